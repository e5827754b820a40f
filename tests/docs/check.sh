#!/usr/bin/env bash
# Holds a page of the documentation to the program: runs the commands that it shows, in a scratch copy, and compares
# their output with what it shows.   bash check.sh PAGE.md ROOT BUILD
#
# What stands behind the three backquotes of a block says what it is:
#   ```console             commands, each behind "$ ", run one after the other in one shell; the lines behind a command
#                          are its output (stdout and stderr). None shown: it is not compared. Exit status: 0, or as in
#                          "$ command   # exit 1"
#   ```console numbers     the same, but numbers (times, sizes, dates) may be others
#   ```console elsewhere   needs another machine, other files or long: the shell must be able to read it, and the
#                          options of mmbatch's commands must exist
#   ```LANGUAGE FILE       a file: it is written into the scratch copy before what follows is run
#   ```bash                a script that is not run here: the shell must be able to read it
# In an output "…" stands for any text of a line, and a line with nothing else for any lines.

set -euo pipefail
page=$(realpath "$1") root=$(realpath "$2") build=$(realpath "$3")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/build" "$scratch/tests"
# The page's commands may write beside what they read: they get a copy of the demo, without databases of earlier runs.
mkdir "$scratch/demo"
cp -r "$root"/demo/{model,images,manifest.yaml,table.yaml,receipts,receipts.yaml,run.sh,setup.sh,packages.txt} "$scratch/demo/"
ln -s "$root/tests/data" "$scratch/tests/data"
ln -s "$root/tests/run.sh" "$scratch/tests/run.sh"
ln -s "$root/docs" "$scratch/docs"
for file in mmbatch libmmbatch_image_codec.so bench tests; do ln -s "$build/$file" "$scratch/build/$file"; done
cd "$scratch"
export PATH=$scratch/build:$PATH TERM=dumb
unset MMBATCH_ISA

failures=0
fail() {
  printf '%s:%s: %s\n' "$(basename "$page")" "$line_number" "$1" >&2
  failures=$((failures + 1))
}

# The output shown, as a regular expression. Bash's dot matches line ends too, so they are excluded by hand.
pattern_of() {
  local text
  text=$(sed -E 's/[][\\.*^$+?(){}|]/\\&/g' <<< "$1")
  if [ "$2" = numbers ]; then
    # Columns are as wide as their numbers need.
    text=$(sed -E 's/[0-9]+/0/g; s/0((\\\.|,|:|e-?)0)+/0/g; s/0/[0-9]+([.,:]?[0-9]+|e-?[0-9]+)*/g; s/-{2,}/-+/g; s/ {2,}/ +/g' \
      <<< "$text")
  fi
  text=$(sed -E 's/^…$/@ANY_LINES@/; s/…/[^@LINE_END@]*/g; s/ +$//' <<< "$text")
  text=${text//@ANY_LINES@$'\n'/(.*$'\n')?}
  text=${text//@ANY_LINES@/.*}
  text=${text//@LINE_END@/$'\n'}
  printf '^%s$' "$text"
}

# Options of "mmbatch COMMAND … --option" and "mmbatch_bench … --option": they must be known.
check_options() {
  local command=$1 program known option
  [[ "$command" =~ (^|[/ ])(mmbatch ([a-z]+)|mmbatch_bench) ]] || return 0
  program="mmbatch ${BASH_REMATCH[3]}"
  [ "${BASH_REMATCH[2]}" != mmbatch_bench ] || program=build/bench/mmbatch_bench
  known=$($program --help)
  for option in $(grep -oP '(^|\s)\K--[a-z][a-z-]+' <<< "${command#*"${BASH_REMATCH[2]}"}"); do
    grep -qP -- "$option(?![a-z-])" <<< "$known" || fail "$program has no option $option"
  done
}

run_command() {
  local command=$1 expected=$2 how=$3 status=0 wanted=0
  if [[ "$command" =~ \#\ exit\ ([0-9]+)$ ]]; then wanted=${BASH_REMATCH[1]}; fi
  if [ "$how" = elsewhere ]; then
    bash -n <<< "$command" || fail "not a command: $command"
    check_options "$command"
    return 0
  fi
  eval "$command" > "$scratch/.output" 2>&1 < /dev/null || status=$?
  local output
  output=$(sed -E 's/[ \t\r]+$//' "$scratch/.output")
  if [ "$status" != "$wanted" ]; then
    fail "exit status $status instead of $wanted of: $command"$'\n'"$output"
  elif [ -n "$expected" ]; then
    local pattern
    pattern=$(pattern_of "$expected" "$how")
    [[ "$output" =~ $pattern ]] || fail "another output of: $command"$'\n'"$output"$'\n'"--- shown:"$'\n'"$expected"
  fi
}

# Runs the commands of a console block. A command continues in the next line behind a backslash, and to its end mark
# behind <<'MARK'.
run_block() {
  local how=$1 block=$2 line command='' expected='' end=''
  while IFS= read -r line; do
    if [ -n "$end" ]; then
      command+=$'\n'$line
      [ "$line" != "$end" ] || end=''
    elif [[ "$command" == *\\ ]]; then
      command+=$'\n'$line
    elif [[ "$line" == '$ '* ]]; then
      [ -z "$command" ] || run_command "$command" "$expected" "$how"
      command=${line#'$ '} expected=''
      if [[ "$command" =~ \<\<\'([A-Z]+)\' ]]; then end=${BASH_REMATCH[1]}; fi
    else
      [ -n "$command" ] || fail "output without a command: $line"
      expected+=${expected:+$'\n'}$line
    fi
  done <<< "$block"
  [ -z "$command" ] || run_command "$command" "$expected" "$how"
}

line_number=0 inside='' block='' commands=0
while IFS= read -r line <&3; do
  line_number=$((line_number + 1))
  if [ -z "$inside" ]; then
    case $line in
      '```'*) inside=${line#'```'}; inside=${inside:-plain}; block='' ;;
      '    '*mmbatch\ * | '    bash '*) fail "a command outside of a console block is not tested: $line" ;;
    esac
  elif [ "$line" = '```' ]; then
    read -r kind how rest <<< "$inside "
    case $kind in
      console)
        case $how in '' | numbers | elsewhere) ;; *) fail "unknown kind of block: console $how" ;; esac
        commands=$((commands + 1))
        run_block "$how" "${block%$'\n'}"
        ;;
      bash | sh) bash -n <<< "$block" || fail "not a script" ;;
      *)
        ! grep -q '^\$ ' <<< "$block" || fail "commands belong into a console block"
        if [ -n "$how" ]; then mkdir -p "$(dirname "$how")" && printf '%s' "$block" > "$how"; fi
        ;;
    esac
    inside=''
  else
    block+=$line$'\n'
  fi
done 3< "$page"
[ -z "$inside" ] || fail "a block does not end"

# Links to files of the repository lead somewhere.
while IFS= read -r link; do
  [ -e "$(dirname "$page")/${link%%#*}" ] || { line_number=0; fail "a link leads nowhere: $link"; }
done < <(grep -oP '\]\(\K(?!https?:|#)[^)]+' "$page" || true)

[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
echo "$(basename "$page"): $commands blocks hold"
