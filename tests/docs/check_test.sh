#!/usr/bin/env bash
# check.sh itself: what holds passes, and each kind of mistake is found.   bash check_test.sh ROOT BUILD
set -euo pipefail
root=$1 build=$2 here=$(dirname "$(realpath "$0")")
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT

bash "$here/check.sh" "$here/example.md" "$root" "$build"

# refuses NAME WHAT TEXT: a page with this text fails, and says what.
refuses() {
  printf '%s\n' "$3" > "$pages/$1.md"
  if bash "$here/check.sh" "$pages/$1.md" "$root" "$build" > "$pages/said" 2>&1; then
    echo "$1: was not found"
    exit 1
  fi
  grep -q "$2" "$pages/said" || { echo "$1: says something else:"; cat "$pages/said"; exit 1; }
}
refuses output 'another output' $'```console\n$ echo 1\n2\n```'
refuses numbers 'another output' $'```console numbers\n$ echo 1 a\n2 b\n```'
refuses exact 'another output' $'```console\n$ echo 12\n1.2\n```'
refuses status 'exit status 1' $'```console\n$ false\n```'
refuses no_failure 'exit status 0' $'```console\n$ true   # exit 2\n```'
refuses option 'no option --parts' $'```console elsewhere\n$ mmbatch run m.yaml --parts 0/2\n```'
refuses syntax 'not a command' $'```console elsewhere\n$ if then\n```'
refuses kind 'unknown kind' $'```console often\n$ true\n```'
refuses untested 'not tested' $'    build/mmbatch run m.yaml'
refuses plain 'console block' $'```\n$ mmbatch run m.yaml\n```'
refuses open 'does not end' $'```console\n$ true'
refuses link 'leads nowhere' '[page](nowhere.md)'
echo "check.sh finds what it must"
