#!/usr/bin/env bash
# Workers that take pieces of a list from a folder: one is killed, one is stopped until it has lost its piece, one goes
# on to the end; what they stored, merged, is what one run alone gives.
#   tests/pieces/workers.sh build/mmbatch demo
set -euo pipefail
test_name=pieces
source "$(dirname "$0")/../shell/helpers.sh"
program=$(realpath "${1:?usage: $0 build/mmbatch demo}")
demo=$(realpath "${2:?usage: $0 build/mmbatch demo}")
work=$(mktemp -d "${TMPDIR:-/tmp}/mmbatch-pieces.XXXXXX")
items=${MMBATCH_PIECES_ITEMS:-900}
started=()

finish() {
  local code=$? process
  if [ $code -ne 0 ]; then tail -n 20 "$work"/*.log 2>/dev/null || true; fi
  for process in "${started[@]}"; do kill -KILL "$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
  exit $code
}
trap finish EXIT

questions "$demo" "$items" > "$work/items.jsonl"
cat > "$work/manifest.yaml" <<MANIFEST
model: $demo/model
database: results.db
jobs:
  - {name: shapes, task: vqa, items: items.jsonl}
MANIFEST
cd "$work"

worker() { # NAME OPTION... into $started
  "$program" run manifest.yaml --threads 1 --quiet --shards-from pieces --shards 12 --shard-by item --lease 1 \
    --worker "$@" > "$1.log" 2>&1 &
  started+=($!)
}
holds() { compgen -G "pieces/taken/*.$1"; }

worker killed
until_true 60 "a piece of the worker that is killed" holds killed
kill -KILL "${started[0]}"
worker slow
until_true 60 "a piece of the slow worker" holds slow
kill -STOP "${started[1]}"
holds slow > /dev/null || fail "the slow worker was quicker than the test"
worker other
# Its lease is a second: the other one takes the slow one's piece, too, and ends.
code=0; wait "${started[2]}" || code=$?
[ $code = 0 ] || fail "the last worker ended with $code"
[ "$(ls pieces/done | wc -l)" = 12 ] || fail "not all pieces are done"
holds slow && fail "the slow worker's piece was left to it"
kill -CONT "${started[1]}"
code=0; wait "${started[1]}" || code=$?
[ $code = 0 ] || fail "the slow worker ended with $code"
"$program" status pieces > status.txt
grep -q '12 of 12 pieces done, 0 taken' status.txt || fail "status says: $(cat status.txt)"

"$program" merge results.db results.*.db
"$program" run manifest.yaml --database alone.db --quiet
answers() { "$program" query "$1" --format jsonl --columns id,status,answer | sort; }
[ "$(answers results.db | wc -l)" = "$items" ] || fail "not every item is in the merged database"
cmp <(answers results.db) <(answers alone.db) || fail "the merged answers are others"

# Other work, and a list that changed, are refused.
code=0; "$program" run manifest.yaml --quiet --precision int8 --shards-from pieces --worker late 2> late.log || code=$?
[ $code = 2 ] || fail "another precision ended with $code"
grep -q 'other work\|another model' late.log || fail "another precision: $(cat late.log)"
echo '{"id": "new", "image": "'"$demo/images/0009.png"'", "question": "what is it?"}' >> items.jsonl
code=0; "$program" run manifest.yaml --quiet --shards-from pieces --worker late 2> late.log || code=$?
[ $code = 2 ] || fail "a longer list ended with $code"
grep -q "which has $((items + 1)) now" late.log || fail "a longer list: $(cat late.log)"
echo "pieces: $items items by three workers, one killed and one stopped: as one run gives them"
