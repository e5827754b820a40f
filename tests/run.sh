#!/usr/bin/env bash
# Installs what is needed, builds mmbatch and runs every test through ctest.
#   bash tests/run.sh          all tests
#   bash tests/run.sh --long   and 300 kills where the short run has twenty; ten thousand rows of a table, and the same
#                              from a run that is killed; an array job on a Slurm of two nodes, both
#                              on this machine; ten thousand damaged pictures of every format where it has hundreds;
#                              twenty thousand changed GGUF models and files of quantized weights;
#                              stages, engine and store under ThreadSanitizer; all tests again under AddressSanitizer
#                              and UndefinedBehaviorSanitizer, and under both a minute of libFuzzer for each fuzz target
# Ends at the first thing that fails, with its exit status.
set -euo pipefail
cd "$(dirname "$0")/.."
source demo/setup.sh
case "${1:-}" in
  '' | --long) ;;
  *) echo "usage: bash tests/run.sh [--long]" >&2; exit 2 ;;
esac
mapfile -t packages < demo/packages.txt
[ -z "${1:-}" ] || packages+=(clang-14 libclang-rt-14-dev chromium slurm-wlm munge)
install_packages "${packages[@]}"

step() { printf '\n== %s\n' "$*"; }

build release all
ctest --test-dir build --output-on-failure -j "$(nproc)"
[ -n "${1:-}" ] || exit 0

step "300 kills"
MMBATCH_KILLS=300 build/tests/test_pipeline --gtest_filter='Kill.*'

step "a table of 10,000 rows, and the same from a run that is killed"
MMBATCH_TABLE_ITEMS=10000 build/tests/test_pipeline --gtest_filter='ManyTableItems.*'

step "an array job, its merging, and a model on two nodes of a Slurm"
tests/slurm/two_nodes.sh build/mmbatch

step "10,000 damaged pictures of every format"
MMBATCH_MUTANTS=10000 build/tests/test_vision --gtest_filter='ImageMutants.*'

step "20,000 changed GGUF models, and as many files of weights that other libraries quantized"
MMBATCH_MUTANTS=20000 build/tests/test_fusion --gtest_filter='HostileGguf.*'
MMBATCH_MUTANTS=20000 build/tests/test_kernels --gtest_filter='StoredMutants.*'

step "stages, engine and store under ThreadSanitizer"
build tsan test_threads
TSAN_OPTIONS=suppressions=$PWD/tests/threads/tsan.supp build-tsan/tests/test_threads

step "all tests under AddressSanitizer and UndefinedBehaviorSanitizer"
build asan all
ctest --preset asan -j "$(nproc)"

# New inputs that libFuzzer finds stay in build-fuzz/corpus, where the next run continues; an input that fails is kept
# as build-fuzz/crash-*, timeout-*, leak-* or oom-*, and goes into tests/fuzz/corpus with its fix.
build fuzz fuzz_targets
for source in tests/fuzz/fuzz_*.cpp; do
  target=$(basename "$source" .cpp) name=${source#tests/fuzz/fuzz_} name=${name%.cpp}
  step "$target: a minute"
  mkdir -p build-fuzz/corpus/"$name"
  build-fuzz/tests/"$target" -max_total_time=60 -timeout=20 -rss_limit_mb=3000 -max_len=65536 -verbosity=0 \
    -print_final_stats=1 -artifact_prefix=build-fuzz/ build-fuzz/corpus/"$name" tests/fuzz/corpus/"$name"
done
