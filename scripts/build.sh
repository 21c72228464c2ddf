#!/usr/bin/env bash
# Builds what ships: the Worker (build/index.js, build/index_bg.wasm), and the wasm modules of the npm package (pkg/wasm/) and of its
# command (pkg/wasm-cli/). Usage: build.sh [worker] [npm] [cli]; all of them without arguments.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"
# What wasm-bindgen makes of the compiled modules.
MODULES="${CARGO_TARGET_DIR:-target}/modules"

say() { printf 'build: %s\n' "$*" >&2; }

# File sizes as the platform counts them: raw, and compressed for transfer.
report() {
  local file
  for file in "$@"; do
    printf '  %-22s %8d bytes, %7d gzipped\n' "$file" "$(wc -c <"$file")" "$(gzip -9 -c "$file" | wc -c)"
  done
}

# up_to_date FOLDER CRATE: whether the last build into it began after every change of its sources.
up_to_date() {
  [[ -f $1/.built && -z "$(find Cargo.toml Cargo.lock rust-toolchain.toml src rsa "$2" scripts/build.sh scripts/bundle-worker.mjs scripts/env.sh scripts/glue \
    -newer "$1/.built" -print -quit)" ]]
}

# optimize LEVEL FILE. Function names are for debuggers; they would be a tenth of the module. Large functions with one caller stay
# functions: copied into it, they make the module larger. Twice: further rounds make it hardly smaller.
optimize() { wasm_optimize "$1" "$2" "$2" "$1" --one-caller-inline-max-function-size=20 --strip-debug --strip-producers; }

build_worker() {
  local began out="$MODULES/worker"
  if up_to_date build bindings/worker; then
    say "the Worker is up to date"
    return
  fi
  say "the Worker"
  began="$(mktemp)"
  wasm_bindgen edgeward-worker relaxed edgeward "$out"
  # The exports of classes for streams, which nothing creates.
  wasm_optimize '--remove-exports=intounderlying*' "$out/edgeward_bg.wasm" "$out/edgeward_bg.wasm" \
    '--remove-exports=__wbg_intounderlying*'
  optimize -Oz "$out/edgeward_bg.wasm"
  node scripts/bundle-worker.mjs "$out/edgeward.js" "$out/index.js"
  # The previous build stays until the new one is complete.
  rm -rf build
  mkdir build
  cp "$out/edgeward_bg.wasm" build/index_bg.wasm
  cp "$out/index.js" build/index.js
  mv "$began" build/.built
  report build/index.js build/index_bg.wasm
}

# npm_module VARIANT
npm_module() {
  local out="$MODULES/npm-$1"
  wasm_bindgen edgeward-npm "$1" edgeward "$out"
  # The exports of the glue, and with them the import that they need: some bundlers resolve the imports of a module.
  wasm_optimize '--remove-exports=__*' "$out/edgeward_bg.wasm" "$out/edgeward_bg.wasm"
  optimize -O3 "$out/edgeward_bg.wasm"
}

build_npm() {
  local out=pkg/wasm began
  if up_to_date "$out" bindings/npm; then
    say "the wasm modules of the npm package are up to date"
    return
  fi
  say "the wasm modules of the npm package"
  began="$(mktemp)"
  together "npm_module baseline" "npm_module relaxed"
  rm -rf "$out"
  cp -r "$MODULES/npm-baseline" "$out"
  cp "$MODULES/npm-relaxed/edgeward_bg.wasm" "$out/edgeward_simd_bg.wasm"
  mv "$began" "$out/.built"
  report "$out/edgeward.js" "$out/edgeward_bg.wasm" "$out/edgeward_simd_bg.wasm"
}

# The command runs in Node 20, too, which has no relaxed SIMD.
build_cli() {
  local out=pkg/wasm-cli began
  if up_to_date "$out" bindings/cli; then
    say "the wasm module of the command is up to date"
    return
  fi
  say "the wasm module of the command"
  began="$(mktemp)"
  wasm_bindgen edgeward-cli baseline edgeward "$MODULES/cli"
  optimize -Oz "$MODULES/cli/edgeward_bg.wasm"
  rm -rf "$out"
  cp -r "$MODULES/cli" "$out"
  mv "$began" "$out/.built"
  report "$out/edgeward.js" "$out/edgeward_bg.wasm"
}

"$EDGEWARD_ROOT/scripts/tools.sh"
(($#)) || set -- worker npm cli
for part in "$@"; do
  case "$part" in
    worker | npm | cli) ;;
    *)
      say "error: there is no part named $part"
      exit 2
      ;;
  esac
done
together "${@/#/build_}"

# The package contains all of them: it is assembled once they exist.
if [[ -s build/index_bg.wasm && -s pkg/wasm/edgeward_simd_bg.wasm && -s pkg/wasm-cli/edgeward_bg.wasm ]]; then
  say "the npm package (pkg/dist)"
  node scripts/pack-npm.mjs
fi
