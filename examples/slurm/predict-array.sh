#!/bin/bash
# Many structures by many small jobs: each predicts every tenth file of files.txt.
#   find structures -name '*.xsf' | sort > files.txt
#   sbatch predict-array.sh
#SBATCH --job-name=annpot-predict
#SBATCH --array=0-9
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=01:00:00
#SBATCH --requeue
#SBATCH --output=annpot-%A-%a.out
set -euo pipefail

export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$HOME/.cache/annpot}"
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# As --array says, but a constant: 'sbatch --array=3' repeats a single task.
tasks=10
task=$SLURM_ARRAY_TASK_ID
awk -v task="$task" -v tasks="$tasks" 'NR % tasks == task' files.txt > "files-$task.txt"

srun annpot predict --potential potential.h5 --files-from "files-$task.txt" \
    --results "predictions-$task.jsonl" --resume auto
