#!/usr/bin/env bash
# Builds the wasm modules of the npm package into pkg/wasm/: edgeward_bg.wasm for every engine with wasm SIMD, and
# edgeward_simd_bg.wasm for engines with relaxed SIMD, which the package prefers where it validates.
# build.sh calls this; the tools are there then.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

target=wasm32-unknown-unknown
out=pkg/wasm
staging="$(mktemp -d "${TMPDIR:-/tmp}/edgeward-npm-XXXXXX")"
trap 'rm -rf "$staging"' EXIT

# build NAME RUSTFLAGS: one module. The exports take numbers only (bindings/npm/src/lib.rs), so of what wasm-bindgen
# makes, only the module is kept.
build() {
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$2" \
    cargo build --locked --release --package edgeward-npm --target "$target"
  "$WASM_BINDGEN_BIN" --target web --no-typescript --omit-default-module-path --out-name "$1" --out-dir "$staging" \
    "${CARGO_TARGET_DIR:-target}/$target/release/edgeward_npm.wasm"
  "$WASM_OPT_BIN" -O3 --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int \
    --enable-sign-ext --enable-reference-types --enable-multivalue --enable-simd --enable-relaxed-simd \
    --strip-debug --strip-producers --output "$staging/$1.wasm" "$staging/$1_bg.wasm"
}

build edgeward "-C target-feature=+simd128"
mv "$staging/edgeward.wasm" "$staging/baseline.wasm"
build edgeward "-C target-feature=+simd128,+relaxed-simd"

mkdir -p "$out"
# The last good build stays until the new one is whole.
mv "$staging/baseline.wasm" "$out/edgeward_bg.wasm"
mv "$staging/edgeward.wasm" "$out/edgeward_simd_bg.wasm"
