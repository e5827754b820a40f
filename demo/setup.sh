# Sourced by demo/run.sh and tests/run.sh: installs what is missing and builds. Runs in the project's
# folder. With everything installed and built it takes a second.

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "Installing ${#missing[@]} packages: ${missing[*]}"
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    > /dev/null
}

# build PRESET TARGET...
build() {
  local preset=$1
  shift
  local folder=build
  [ "$preset" = release ] || folder=build-$preset
  local log
  log=$(mktemp)
  cmake --preset "$preset" > "$log" || { cat "$log"; rm -f "$log"; return 1; }
  rm -f "$log"
  cmake --build "$folder" --target "$@"
}
