#!/usr/bin/env bash
# Installs what is needed, builds mmbatch, runs the demo manifest on the bundled model and images, and shows
# answers and accuracy. Arguments are passed on to `mmbatch run`.
set -euo pipefail
cd "$(dirname "$0")/.."
source demo/setup.sh
mapfile -t packages < demo/packages.txt
install_packages "${packages[@]}"
build release mmbatch mmbatch_parity mmbatch_resize

echo
echo "== build/mmbatch run demo/manifest.yaml"
build/mmbatch run demo/manifest.yaml "$@"
echo
echo "== build/mmbatch query demo/results.db --columns id,images,prompt,answer,references,correct"
build/mmbatch query demo/results.db --columns id,images,prompt,answer,references,correct
echo
echo "== build/mmbatch eval demo/results.db"
build/mmbatch eval demo/results.db
