#!/usr/bin/env bash
# A study on Slurm: Ray runs on each of the job's nodes, with a worker for each GPU.
#   sbatch docs/cluster/slurm.sh study.yaml /shared/studies/mine
# A job that runs out of time or is preempted is queued again and continues where it ended; so does a second sbatch.
#SBATCH --job-name=deep-dissect
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:INT@300
set -euo pipefail

study=${1:?usage: sbatch slurm.sh STUDY.yaml OUT}
out=${2:?usage: sbatch slurm.sh STUDY.yaml OUT}
: "${DATA:=/shared/coco}" "${CHECKPOINT:=/shared/models/detr_r50.pth}" "${CONFIG:=/shared/models/detr_r50.py}"
source "${VENV:-$HOME/deep-dissect/.venv}/bin/activate" # the same on all nodes

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000)) # several studies may share a node
export RAY_USAGE_STATS_ENABLED=0
# Only this job may use its cluster: without a token, whoever reaches a node's port could run code there.
# srun passes both variables on to all nodes.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

srun --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="$ip" --port="$port" --block &
until timeout 2 bash -c "echo > /dev/tcp/$ip/$port" 2> /dev/null; do sleep 1; done
if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
        ray start --address="$ip:$port" --block &
fi

# Nodes may be late: workers begin as their nodes join.
deep-dissect run "$study" --checkpoint "$CHECKPOINT" --config "$CONFIG" \
    --images "$DATA/train2017" --annotations "$DATA/annotations/instances_train2017.json" \
    --out "$out" --batch-size 4 --replicates 0 \
    --engine ray --address "$ip:$port" --gpus-per-worker 1 --cpus-per-worker 4 &
driver=$!
# Five minutes before the job's end: let the batches that run now finish, and queue the job again.
trap 'kill -INT "$driver"; wait "$driver" || true; scontrol requeue "$SLURM_JOB_ID"' INT
wait "$driver"
