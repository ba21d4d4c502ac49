#!/bin/bash
# A training of any length on a queue of short jobs: each goes on where the last one
# stopped, until the potential is there.
#SBATCH --job-name=annpot-train
#SBATCH --ntasks=32
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=annpot-%j.out
set -uo pipefail

export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$HOME/.cache/annpot}"
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# 120 s before the end srun's tasks get SIGUSR1: annpot writes a checkpoint and exits 75.
srun annpot train --resume auto
code=$?

if [ "$code" -eq 75 ]; then
    echo "stopped in time; the job goes back to the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$code"
