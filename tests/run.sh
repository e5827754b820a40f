#!/usr/bin/env bash
# Installs what is needed, builds mmbatch and runs every test through ctest.
#   bash tests/run.sh          all tests
#   bash tests/run.sh --long   and all tests again under AddressSanitizer and UndefinedBehaviorSanitizer, and
#                              stages, engine and store under ThreadSanitizer, and hundreds of kills where the
#                              short run has twenty, and a minute for each fuzz target
set -euo pipefail
cd "$(dirname "$0")/.."
source demo/setup.sh
mapfile -t packages < demo/packages.txt
install_packages "${packages[@]}"

build release all
ctest --test-dir build --output-on-failure -j "$(nproc)"

if [ "${1:-}" = --long ]; then
  MMBATCH_KILLS=300 build/tests/test_pipeline --gtest_filter='Kill.*'
  build tsan test_threads
  TSAN_OPTIONS=suppressions=$PWD/tests/threads/tsan.supp build-tsan/tests/test_threads
  build asan all
  mapfile -t targets < <(cd tests/fuzz && ls fuzz_*.cpp)
  for target in "${targets[@]%.cpp}"; do
    echo "== $target: a minute under AddressSanitizer and UndefinedBehaviorSanitizer"
    build-asan/tests/"$target" tests/fuzz/corpus/"${target#fuzz_}" 60
  done
  ctest --test-dir build-asan --output-on-failure -j "$(nproc)"
fi
