#!/usr/bin/env bash
# A TPU pod slice: each host stands alone and trains a share of the trials.
#
#   gcloud compute tpus tpu-vm ssh NAME --zone=ZONE --worker=all \
#       --command='bash jaxmem/experiments/cluster/tpu_pod.sh 4 /mnt/nfs/runs/mnist --dataset=mnist'
#
# 4 is the number of hosts; the workdir is on a file system that all of them share.
set -euo pipefail
hosts=$1 workdir=$2
shift 2
# The number of this host, which the TPU VM's metadata server knows.
index=$(curl -s -H 'Metadata-Flavor: Google' \
    http://metadata.google.internal/computeMetadata/v1/instance/attributes/agent-worker-number)
# Without these a host waits for all others of the slice.
export TPU_SKIP_MDS_QUERY=1 TPU_PROCESS_BOUNDS=1,1,1 TPU_WORKER_HOSTNAMES=localhost TPU_WORKER_ID=0
exec python -m jaxmem.run --share="$index/$hosts" --workdir="$workdir" "$@"
