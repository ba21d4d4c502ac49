#!/bin/bash
# One job, many ranks: the fingerprint set, then the potential.
#SBATCH --job-name=annpot
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=32
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --output=annpot-%j.out
set -euo pipefail

# Kernels are compiled into a folder that stays: best once, before all ranks want them.
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$HOME/.cache/annpot}"
# sbatch does not pass this on to srun; annpot takes it for the threads of each rank.
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# A job that starts again, as after a failure of its node, goes on with either, and at
# once if the set, or all, is complete.
srun annpot generate in.yaml --resume auto
srun annpot train --resume auto
