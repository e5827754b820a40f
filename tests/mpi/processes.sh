#!/usr/bin/env bash
# One model computed by several processes that mpirun starts: answers are the same bytes for 1, 2 and 4 of them, whatever
# its layers are, a run goes on with another number, what was stored stays when a process dies, and what cannot be divided
# is told or refused by name.
#   tests/mpi/processes.sh build/mmbatch demo tests/data/reference      exit status 77: there is no MPI here
set -euo pipefail
test_name=mpi
source "$(dirname "$0")/../shell/helpers.sh"
program=$(realpath "${1:?usage: $0 build/mmbatch demo tests/data/reference}")
demo=$(realpath "$2") references=$(realpath "$3")
work=$(mktemp -d "${TMPDIR:-/tmp}/mmbatch-mpi.XXXXXX")
items=${MMBATCH_MPI_ITEMS:-4000}
launcher=''

finish() {
  local code=$?
  if [ $code -ne 0 ]; then tail -n 20 "$work"/*.log 2>/dev/null || true; fi
  [ -z "$launcher" ] || kill -KILL "$launcher" 2>/dev/null || true
  rm -rf "$work"
  exit $code
}
trap finish EXIT
cd "$work"
# A program beside which the module is not, as a build without MPI leaves it, says so before it does anything.
ln "$program" mmbatch-alone 2>/dev/null || cp "$program" mmbatch-alone
code=0
OMPI_COMM_WORLD_SIZE=2 ./mmbatch-alone run "$demo/manifest.yaml" --database no.db 2> alone.log || code=$?
[ $code = 2 ] && grep -q 'was built without MPI' alone.log || fail "without MPI it ended with $code: $(cat alone.log)"
command -v mpirun > /dev/null || { echo "mpi: mpirun is not installed"; exit 77; }
[ -e "$(dirname "$program")/libmmbatch_mpi.so" ] || { echo "mpi: built without MPI"; exit 77; }

# More processes than cores, in a container, as root: nothing that a cluster would need.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none \
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_plm_rsh_agent=false
mpirun --oversubscribe -n 2 true 2> probe.log || { echo "mpi: mpirun cannot start processes here"; cat probe.log; exit 77; }
processes() { # N ARGUMENT...
  local count=$1
  shift
  mpirun --oversubscribe -n "$count" "$program" "$@"
}
answers() { "$program" query "$1" --format jsonl --columns job,id,status,answer,sequence,logprob,score | sort; }
number() { "$program" query "$1" --format csv --sql "$2" 2>/dev/null | tail -n 1; }

cp "$demo/manifest.yaml" manifest.yaml
sed -i "s|^model: .*|model: $demo/model|; s|image_root: |image_root: $demo/|" manifest.yaml
for precision in f32 bf16 int8; do
  options=(--quiet --threads 1 --precision $precision)
  "$program" run manifest.yaml "${options[@]}" --tensor-parallel 4 --database $precision-1.db
  for count in 2 4; do
    processes $count run manifest.yaml "${options[@]}" --database $precision-$count.db 2> $precision-$count.log ||
      fail "$count processes in $precision ended with $?"
    cmp <(answers $precision-1.db) <(answers $precision-$count.db) ||
      fail "$count processes answer otherwise than one in $precision"
  done
  [ "$(number $precision-1.db 'SELECT count(*) FROM answers')" -ge 50 ] || fail "there are few answers in $precision"
done
[ "$(number f32-2.db 'SELECT precision FROM models')" = '"f32, 4 slices of all"' ] || fail "the model's precision is not told"
# Whole, it is another computation, and is told apart.
"$program" run manifest.yaml --quiet --precision f32 --database f32-1.db
[ "$(number f32-1.db 'SELECT count(*) FROM runs')" = 2 ] || fail "a whole model and a divided one are one run"

# Experts; recurrent layers; short convolutions; an encoder behind the tower; cross-attention in the decoder, and in the
# prompt's encoder to the image; a tower in stages; encoders without a decoder.
compare() { # MODEL PRECISION TASK
  local model=$1 precision=$2 options=(--quiet --threads 1 --precision "$2" --model "$references/$1/model") count
  cat > "$model.yaml" <<MANIFEST
generation: {max_new_tokens: 6, ignore_eos: true}
jobs:
  - {name: t, $3}
MANIFEST
  "$program" run "$model.yaml" "${options[@]}" --tensor-parallel 4 --database "$model-$precision-1.db" > "$model.log" 2>&1 ||
    fail "$model in $precision ended with $?"
  for count in 2 4; do
    processes $count run "$model.yaml" "${options[@]}" --database "$model-$precision-$count.db" > "$model.log" 2>&1 ||
      fail "$count processes with $model in $precision ended with $?"
    cmp <(answers "$model-$precision-1.db") <(answers "$model-$precision-$count.db") ||
      fail "$count processes with $model answer otherwise than one in $precision"
  done
  [ "$(number "$model-$precision-1.db" "SELECT count(*) FROM answers")" -ge 2 ] || fail "there are no answers of $model"
}
text='task: generate, items: [{prompt: the cat}, {prompt: a dog and}]'
compare qwen3-moe f32 "$text"
compare qwen3-moe int8 "$text"
for model in qwen3-5 lfm2-vl deepseek-ocr2 blip-vqa florence2; do
  images=$references/$model/images
  compare $model int8 "task: vqa, items: [{image: $images/gray.png, question: what}, {image: $images/wide.png, question: what}]"
done
images=$references/siglip/images
compare siglip int8 "task: embed, items: [{image: $images/gray.png}, {image: $images/wide.png}]"
[ "$(grep -c 'the vision tower is divided but for a part' florence2.log)" = 1 ] ||
  fail "what is not divided is not told once: $(cat florence2.log)"

# A process dies in the middle; another number of them goes on.
questions "$demo" "$items" > items.jsonl
cat > long.yaml <<MANIFEST
model: $demo/model
database: long.db
generation: {max_new_tokens: 12, ignore_eos: true}
jobs:
  - {name: shapes, task: vqa, items: items.jsonl}
MANIFEST
stored=0
some_more_are_stored() { [ "$(number long.db 'SELECT count(*) FROM results')" -ge $((stored + 10)) ]; }
for victim in 1 0; do
  mpirun --oversubscribe -n 2 "$program" run long.yaml --quiet --threads 1 --max-sequences 4 > killed.log 2>&1 &
  launcher=$!
  until_true 120 "answers" some_more_are_stored
  kill -KILL "$(for process in $(pgrep -P "$launcher"); do
    grep -qz "^OMPI_COMM_WORLD_RANK=$victim\$" "/proc/$process/environ" && echo "$process"; done)"
  code=0; wait "$launcher" || code=$?
  launcher=''
  [ $code -ne 0 ] || fail "process $victim died, and the run says that all is well"
  some_more_are_stored || fail "what was stored is gone"
  stored=$(number long.db 'SELECT count(*) FROM results')
  [ "$stored" -lt "$items" ] || fail "the run was quicker than the test"
done
processes 4 run long.yaml --quiet --threads 1 2> resumed.log || fail "the run does not go on"
[ "$(number long.db 'SELECT count(*) FROM runs')" = 1 ] || fail "it went on as another run"
[ "$(number long.db 'SELECT count(*) FROM answers')" = "$items" ] || fail "not every item has one answer"
"$program" run long.yaml --quiet --tensor-parallel 4 --database alone.db
cmp <(answers long.db) <(answers alone.db) || fail "answers of a run that was cut are others"

# What cannot be divided, and numbers that do not go together.
refused() { # WHAT ARGUMENT...
  local what=$1 code=0
  shift
  "$@" > refused.log 2>&1 || code=$?
  [ $code = 2 ] || fail "$what: ended with $code"
  grep -q -- "$what" refused.log || fail "$what: not told: $(cat refused.log)"
}
refused 'multiple of the number of processes, which is 3' processes 3 run manifest.yaml --quiet --database no.db
processes 2 run manifest.yaml --quiet --threads 1 --tensor-parallel 8 --database eight.db 2> eight.log || fail "8 slices ended with $?"
grep -q 'every process computes whole: attention: 4 attention heads cannot be divided into 8 slices' eight.log ||
  fail "heads that 8 slices do not divide are not told"
"$program" quantize "$demo/model" packed --weights int8 > quantize.log 2>&1
refused 'take the published checkpoint' processes 2 run manifest.yaml --model packed --database no.db
echo "mpi: the same bytes by 1, 2 and 4 processes in f32, bf16 and int8; killed at $stored of $items, and went on"
