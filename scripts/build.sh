#!/usr/bin/env bash
# Builds what ships: the Worker (build/index.js, build/index_bg.wasm) and the wasm module of the npm package (pkg/wasm/).
# Usage: build.sh [worker] [npm]; both without arguments.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

# For engines with relaxed SIMD, as workerd is: the fused multiply-add kernel of src/rsa.
FAST="-C target-feature=+simd128,+relaxed-simd"

# Panic messages name source files. Without this they would name folders of this machine.
paths() {
  local folder
  cargo fetch --locked >&2
  for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do printf -- ' --remap-path-prefix=%s=' "$folder"; done
  printf -- ' --remap-path-prefix=%s/=' "$EDGEWARD_ROOT"
}

# What rustc emits by default, and SIMD.
WASM_FEATURES=(--enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-sign-ext
  --enable-reference-types --enable-multivalue --enable-simd --enable-relaxed-simd)

say() { printf 'build: %s\n' "$*" >&2; }

# File sizes as the platform counts them: raw, and compressed as it goes over the wire.
report() {
  local file
  for file in "$@"; do
    printf '  %-22s %8d bytes, %7d gzipped\n' "$file" "$(wc -c <"$file")" "$(gzip -9 -c "$file" | wc -c)"
  done
}

# up_to_date FOLDER CRATE: whether the last build into it began after every change of what it is made from.
up_to_date() {
  [[ -f $1/.built && -z "$(find Cargo.toml Cargo.lock rust-toolchain.toml src "$2" scripts/build.sh scripts/env.sh \
    -newer "$1/.built" -print -quit)" ]]
}

build_worker() {
  if up_to_date build bindings/worker; then
    say "the Worker is up to date"
    return
  fi
  say "the Worker"
  local began
  began="$(mktemp)"
  # The last good build stays until the new one is whole.
  (cd bindings/worker && CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$FAST $(paths)" "$WORKER_BUILD_BIN" --release --out-dir ../../build)
  [[ -s build/index.js && -s build/index_bg.wasm ]] || {
    say "error: worker-build left no build/index.js and build/index_bg.wasm"
    exit 1
  }
  # Function names are for debuggers; they would be a tenth of what is shipped.
  "$WASM_OPT_BIN" "${WASM_FEATURES[@]}" --strip-debug --strip-producers --output build/index_bg.wasm build/index_bg.wasm
  mv "$began" build/.built
  report build/index.js build/index_bg.wasm
}

# npm_module NAME RUSTFLAGS: one wasm module of the npm package. The glue does not depend on the flags.
npm_module() {
  local name=$1 target=wasm32-unknown-unknown
  local folder="${CARGO_TARGET_DIR:-target}/npm-$name"
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$2 $(paths)" \
    cargo build --release --package edgeward-npm --target "$target" --target-dir "$folder"
  "$WASM_BINDGEN_BIN" --target web --omit-default-module-path --out-name edgeward --out-dir "$folder/out" \
    "$folder/$target/release/edgeward_npm.wasm"
  "$WASM_OPT_BIN" -O3 "${WASM_FEATURES[@]}" --strip-debug --strip-producers \
    --output "$folder/out/edgeward_bg.wasm" "$folder/out/edgeward_bg.wasm"
}

build_npm() {
  local out=pkg/wasm began folder="${CARGO_TARGET_DIR:-target}"
  if up_to_date "$out" bindings/npm; then
    say "the wasm modules of the npm package are up to date"
    return
  fi
  say "the wasm modules of the npm package"
  began="$(mktemp)"
  npm_module baseline ""
  npm_module simd "$FAST"
  rm -rf "$out"
  cp -r "$folder/npm-baseline/out" "$out"
  cp "$folder/npm-simd/out/edgeward_bg.wasm" "$out/edgeward_simd_bg.wasm"
  mv "$began" "$out/.built"
  report "$out/edgeward.js" "$out/edgeward_bg.wasm" "$out/edgeward_simd_bg.wasm"
}

"$EDGEWARD_ROOT/scripts/tools.sh"
(($#)) || set -- worker npm
for part in "$@"; do
  case "$part" in
    worker) build_worker ;;
    npm) build_npm ;;
    *)
      say "error: there is no part named $part"
      exit 2
      ;;
  esac
done
