#!/usr/bin/env bash
# Builds what ships: the Worker (build/index.js, build/index_bg.wasm) and the wasm module of the npm package (pkg/wasm/).
# Usage: build.sh [worker] [npm]; both without arguments.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

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
  (cd bindings/worker && "$WORKER_BUILD_BIN" --release --out-dir ../../build)
  [[ -s build/index.js && -s build/index_bg.wasm ]] || {
    say "error: worker-build left no build/index.js and build/index_bg.wasm"
    exit 1
  }
  mv "$began" build/.built
  report build/index.js build/index_bg.wasm
}

build_npm() {
  local target=wasm32-unknown-unknown out=pkg/wasm began
  if up_to_date "$out" bindings/npm; then
    say "the wasm module of the npm package is up to date"
    return
  fi
  say "the wasm module of the npm package"
  began="$(mktemp)"
  cargo build --release --package edgeward-npm --target "$target"
  rm -rf "$out"
  "$WASM_BINDGEN_BIN" --target web --omit-default-module-path --out-name edgeward --out-dir "$out" \
    "${CARGO_TARGET_DIR:-target}/$target/release/edgeward_npm.wasm"
  "$WASM_OPT_BIN" -O3 --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int \
    --enable-sign-ext --enable-reference-types --enable-multivalue --enable-simd --enable-relaxed-simd \
    --output "$out/edgeward_bg.wasm" "$out/edgeward_bg.wasm"
  mv "$began" "$out/.built"
  report "$out/edgeward.js" "$out/edgeward_bg.wasm"
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
