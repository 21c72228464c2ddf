#!/usr/bin/env bash
# Builds what tests the kernels of src/rsa and prints the folder it is in: the program `differential`, with both kernels, and
# the RSA operation as modules, `baseline.wasm` and `relaxed.wasm`, built as the shipped ones are.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

folder="${CARGO_TARGET_DIR:-target}/kernels"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"

flags="--cfg edgeward_emulate_fma"
# The instruction instead of a function of the C library: a tenth of the time.
if [[ $(uname -m) == x86_64 ]] && grep -qw fma /proc/cpuinfo 2>/dev/null; then flags+=" -C target-feature=+fma"; fi
RUSTFLAGS="$flags" cargo build --quiet --locked --release --package edgeward-kernels --bin differential --target-dir "$folder/native"
cp "$folder/native/release/differential" "$folder/differential"

# module NAME RUSTFLAGS
module() {
  local target=wasm32-unknown-unknown
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$2" \
    cargo build --quiet --locked --release --package edgeward-kernels --lib --target "$target" --target-dir "$folder/$1"
  "$WASM_BINDGEN_BIN" --target web --omit-default-module-path --out-name kernels --out-dir "$folder/$1/out" \
    "$folder/$1/$target/release/edgeward_kernels.wasm"
  "$WASM_OPT_BIN" -O3 --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-sign-ext \
    --enable-reference-types --enable-multivalue --enable-simd --enable-relaxed-simd --strip-debug --strip-producers \
    --output "$folder/$1.wasm" "$folder/$1/out/kernels_bg.wasm"
}
# The same as in scripts/build.sh.
small="-C llvm-args=-inline-threshold=5"
module baseline "$small"
module relaxed "$small -C target-feature=+simd128,+relaxed-simd"

printf '%s\n' "$folder"
