# What the tests that are shell scripts share. Sourced by them; `test_name` says which test speaks.

fail() { echo "$test_name: $*" >&2; exit 1; }

# until_true SECONDS WHAT COMMAND...     tries every ${poll:-0.02} seconds
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "$what: not within the time"
    sleep "${poll:-0.02}"
  done
}

# questions DEMO COUNT     lines of a listing, about the bundled images in turn
questions() {
  local images=("$1"/images/*.png) i
  for ((i = 0; i < $2; ++i)); do
    printf '{"id": "q%d", "image": "%s", "question": "what color is shape %d?"}\n' "$i" "${images[i % ${#images[@]}]}" "$i"
  done
}
