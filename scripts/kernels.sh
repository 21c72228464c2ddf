#!/usr/bin/env bash
# Builds the tests of the kernels of rsa/ and prints their folder: the program `differential`, with both kernels, and the RSA
# operation as the modules `baseline.wasm` and `relaxed.wasm`, built like the shipped ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

export CARGO_TERM_QUIET=true
folder="${CARGO_TARGET_DIR:-target}/kernels"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"

flags="--cfg edgeward_emulate_fma"
# The instruction instead of a function of the C library: a tenth of the time.
if [[ $(uname -m) == x86_64 ]] && grep -qw fma /proc/cpuinfo 2>/dev/null; then flags+=" -C target-feature=+fma"; fi
differential() {
  RUSTFLAGS="$flags" \
    cargo build --locked --release --package edgeward-kernels --bin differential --target-dir "$folder/native"
  cp "$folder/native/release/differential" "$folder/differential"
}

# module VARIANT
module() {
  wasm_bindgen edgeward-kernels "$1" kernels "$folder/$1"
  wasm_optimize -O3 "$folder/$1/kernels_bg.wasm" "$folder/$1.wasm" --strip-debug --strip-producers
}

together differential "module baseline" "module relaxed"

printf '%s\n' "$folder"
