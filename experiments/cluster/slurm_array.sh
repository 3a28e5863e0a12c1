#!/usr/bin/env bash
# A SLURM array: each task trains a share of the trials into one workdir.
#
#   sbatch --array=0-7 experiments/cluster/slurm_array.sh runs/mnist --dataset=mnist
#   sbatch --dependency=singleton --job-name=jaxmem \
#       --wrap='python -m jaxmem.estimate runs/mnist'
#
# A task that is preempted or whose node dies is queued again, and goes on where it was. The
# array may be submitted again with another number of tasks once the first has ended.
#SBATCH --job-name=jaxmem
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=jaxmem-%A_%a.log
set -euo pipefail
workdir=$1
shift
exec srun python -m jaxmem.run --share=auto --workdir="$workdir" "$@"
