#!/usr/bin/env bash
# The array job of docs/cluster.md on a Slurm of two nodes, both on this machine: one part is queued again while it is
# at work, the other is pre-empted by a job of higher priority, a job that waits for the array merges the parts, and they
# are what one run without Slurm gives. Then jobs of two tasks, one on each node, compute one model together, started by
# mpirun and by srun (where there is MPI).
#   tests/slurm/two_nodes.sh build/mmbatch        needs Debian's slurm-wlm and munge
# Everything it starts, and every file, is its own: keys, sockets, ports, logs.
set -euo pipefail
test_name=slurm
poll=0.2
source "$(dirname "$0")/../shell/helpers.sh"
program=$(realpath "${1:?usage: $0 build/mmbatch}")
cd "$(dirname "$0")/../.."
demo=$PWD/demo
work=$(mktemp -d "${TMPDIR:-/tmp}/mmbatch-slurm.XXXXXX")
export SLURM_CONF=$work/slurm.conf
items=${MMBATCH_SLURM_ITEMS:-6000}
controller='' nodes=() munge=''

finish() {
  local code=$? process
  if [ $code -ne 0 ]; then tail -n 20 "$work"/*.log "$work"/*.out 2>/dev/null || true; fi
  scancel --quiet --state=RUNNING 2>/dev/null || true
  for process in "${nodes[@]}" $controller $munge; do kill "$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
  exit $code
}
trap finish EXIT

# munge insists on folders that no one else can write to.
chmod 755 "$work"
mkdir -m 755 "$work/state" "$work/munge"
head -c 1024 /dev/urandom > "$work/munge/key"; chmod 400 "$work/munge/key"
munged --force --foreground --socket="$work/munge/socket" --key-file="$work/munge/key" --pid-file="$work/munge/pid" \
  --seed-file="$work/munge/seed" --log-file="$work/munge.log" 2> "$work/munged.log" &
munge=$!
until_true 20 munge munge --socket="$work/munge/socket" --no-input

next_port=$((20000 + RANDOM % 20000))
free_port() { # into $port
  while next_port=$((next_port + 1)); (: < "/dev/tcp/127.0.0.1/$next_port") 2>/dev/null; do :; done
  port=$next_port
}
free_port; controller_port=$port
free_port; port0=$port
free_port; port1=$port
host=$(hostname -s)
cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=$controller_port
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=sched_interval=1
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
NodeName=n0 NodeHostname=$host NodeAddr=127.0.0.1 Port=$port0 CPUs=1 State=UNKNOWN
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$port1 CPUs=1 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=all Nodes=n0,n1 Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=n0,n1 PriorityTier=9 PreemptMode=OFF MaxTime=INFINITE State=UP
CONF
echo "PMIxCliTmpDirBase=$work/pmix" > "$work/mpi.conf"
mkdir "$work"/{pmix,pmix-n0,pmix-n1,spool-n0,spool-n1}
slurmctld -D 2> /dev/null &
controller=$!
for node in n0 n1; do
  # Nodes of one machine would make the same folder for a job's PMIx: each gets a mount of its own in that place.
  unshare --mount bash -c 'mount --bind "$1" "$2" && exec slurmd -D -N "$3"' - "$work/pmix-$node" "$work/pmix" "$node" \
    2> /dev/null &
  nodes+=($!)
done
two_are_idle() { [ "$(sinfo --noheader --Node --states=idle --format=%N | sort -u | wc -l)" = 2 ]; }
until_true 60 "two idle nodes" two_are_idle

# Many questions about the demo's images, in a listing.
mkdir "$work/run" "$work/alone"
questions "$demo" "$items" > "$work/run/items.jsonl"
cat > "$work/run/manifest.yaml" <<MANIFEST
model: $demo/model
database: results.db
generation: {max_new_tokens: 16, ignore_eos: true}   # long enough to be interrupted
jobs:
  - {name: shapes, task: vqa, items: items.jsonl}
MANIFEST
cat > "$work/run/array.sh" <<ARRAY
#!/bin/bash
#SBATCH --array=0-1
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --output=$work/part-%a.out
#SBATCH --open-mode=append
exec "$program" run manifest.yaml --threads "\$SLURM_CPUS_PER_TASK" --progress plain \\
    --shard "\$SLURM_ARRAY_TASK_ID/\$SLURM_ARRAY_TASK_COUNT" \\
    --summary-json "summary.\$SLURM_ARRAY_TASK_ID.json"
ARRAY
cd "$work/run"
job=$(sbatch --parsable array.sh)
number() { "$program" query "$1" --format csv --sql "$2" 2>/dev/null | tail -n 1; }
has() { [ "$(number "results.$1-of-2.db" 'SELECT count(*) FROM results')" -ge "$2" ]; } # PART ANSWERS
merging=$(sbatch --parsable --dependency="afterany:$job" --output="$work/merge.out" \
  --wrap "'$program' merge results.db results.*-of-2.db")
until_true 120 "part 0 at work" has 0 100
stored=$(number results.0-of-2.db 'SELECT count(*) FROM results')
scontrol requeue "${job}_0"
echo "slurm: part 0 queued again with $stored answers stored"
until_true 120 "part 1 at work" has 1 100
node=$(squeue --noheader --format=%N --job="${job}_1")
sbatch --partition=urgent --nodelist="$node" --output="$work/urgent.out" --wrap 'sleep 2; echo done' > /dev/null
was_preempted() { grep -q 'preempted.*requeued' "$work/slurmctld.log"; }
until_true 60 "part 1 pre-empted" was_preempted
preempted=$(number results.1-of-2.db 'SELECT count(*) FROM results')
echo "slurm: part 1 pre-empted on $node with $preempted answers stored"
nothing_is_queued() { [ -z "$(squeue --noheader)" ]; }
until_true 600 "the end of both parts, and of merging" nothing_is_queued

grep -q done "$work/urgent.out" || fail "the urgent job did not run"
for part in 0 1; do
  [ "$(number "results.$part-of-2.db" 'SELECT max(resumed) FROM runs')" -ge 1 ] || fail "part $part was not resumed"
  [ "$(number "results.$part-of-2.db" 'SELECT max(status) FROM runs')" = finished ] || fail "part $part did not finish"
done
grep -q '^2 databases: .* 0 conflicts' "$work/merge.out" || fail "job $merging did not merge the parts"
"$program" run manifest.yaml --database "$work/alone/results.db" --quiet
answers() { "$program" query "$1" --format jsonl --columns id,status,answer; }
[ "$(answers results.db | wc -l)" = "$items" ] || fail "not every item is in the merged database"
cmp <(answers results.db | sort) <(answers "$work/alone/results.db" | sort) || fail "the merged answers are others"
twice=$("$program" query results.db --format csv --sql \
  "SELECT count(*) FROM (SELECT 1 FROM items GROUP BY id HAVING count(*) > 1)" | tail -n 1)
[ "$twice" = 0 ] || fail "$twice items are there twice"
echo "slurm: $items items in two parts, one queued again at $stored, one pre-empted at $preempted, merged by a job: as one" \
  "run gives them"

# One model on both nodes.
if ! command -v mpirun > /dev/null || [ ! -e "$(dirname "$program")/libmmbatch_mpi.so" ]; then
  echo "slurm: no MPI here, so no model on two nodes"
  exit 0
fi
head -n 200 items.jsonl > some.jsonl
sed 's/items.jsonl/some.jsonl/; s/results.db/together.db/' manifest.yaml > together.yaml
"$program" run together.yaml --database "$work/alone/together.db" --tensor-parallel 4 --quiet
# Nothing that a cluster would need: the job is root's, in a container.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
for launcher in mpirun 'srun --mpi=pmix'; do
  name=${launcher%% *}
  sbatch --nodes=2 --ntasks=2 --ntasks-per-node=1 --output="$work/$name.out" \
    --wrap "$launcher '$program' run together.yaml --database $name.db --threads 1 --progress plain" > /dev/null
  until_true 300 "the end of the model on two nodes by $name" nothing_is_queued
  [ "$(answers "$name.db" | wc -l)" = 200 ] || fail "$name: not every item has an answer: $(cat "$work/$name.out")"
  cmp <(answers "$name.db" | sort) <(answers "$work/alone/together.db" | sort) ||
    fail "$name: both nodes answer otherwise than one process"
  grep -q 'between processes' "$work/$name.out" || fail "$name: the tasks did not work together: $(cat "$work/$name.out")"
  echo "slurm: 200 items by a model on two nodes, started by $launcher: as one process gives them"
done
