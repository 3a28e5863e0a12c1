#!/usr/bin/env bash
# One SLURM allocation of several nodes, with a Ray cluster of its own in it.
#
#   sbatch --nodes=4 --gpus-per-node=8 experiments/cluster/slurm_ray.sh runs/mnist --dataset=mnist
#
# Not by `ray symmetric-run`: that ends in `ray stop`, which ends all Ray processes of the
# user on a node, also those of other jobs there.
#SBATCH --job-name=jaxmem-ray
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
set -euo pipefail
workdir=$1
shift
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 {print $1}')
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share the head's node
srun --nodes=1 --ntasks=1 --overlap -w "$head" \
    ray start --head --node-ip-address="$address" --port="$port" --block &
sleep 20
if ((SLURM_JOB_NUM_NODES > 1)); then
    others=$((SLURM_JOB_NUM_NODES - 1))
    srun --nodes="$others" --ntasks="$others" --overlap --exclude="$head" \
        ray start --address="$address:$port" --block &
    sleep 20
fi
RAY_ADDRESS="$address:$port" srun --nodes=1 --ntasks=1 --overlap -w "$head" \
    python -m jaxmem.run --cluster=ray --workdir="$workdir" "$@"
