#!/usr/bin/env bash
# Installs what the build, the tests and `make dev` need and the machine lacks; does nothing when all is there.
# Tools go to a per-user cache keyed by name and version ($EDGEWARD_CACHE, default ~/.cache/edgeward), so that
# they survive `make clean` and serve every checkout. npm packages go to node_modules/ in the checkout.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

say() { printf 'tools: %s\n' "$*" >&2; }
fail() {
  printf 'tools: error: %s\n' "$*" >&2
  exit 1
}

# Runs a command that needs the network up to three times.
retry() {
  local attempt
  for attempt in 1 2 3; do
    if "$@"; then return 0; fi
    if ((attempt < 3)); then
      say "attempt $attempt of 3 failed; trying again in $((attempt * 5)) s"
      sleep $((attempt * 5))
    fi
  done
  return 1
}

rust_toolchain() {
  command -v cargo >/dev/null || fail "cargo is not on PATH: install Rust 1.95 or newer (rustup is the usual way)"
  local target missing=()
  for target in wasm32-unknown-unknown thumbv7em-none-eabi; do
    [[ -d "$(rustc --print target-libdir --target "$target")" ]] || missing+=("$target")
  done
  if ((${#missing[@]})); then
    command -v rustup >/dev/null ||
      fail "the Rust targets ${missing[*]} are missing and rustup is not there to add them: install them with the package manager Rust came from, or install rustup"
    say "adding the Rust targets ${missing[*]}"
    retry rustup target add "${missing[@]}"
  fi
  missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  if ((${#missing[@]})); then
    command -v rustup >/dev/null || fail "the Rust components ${missing[*]} are missing and rustup is not there to add them"
    say "adding the Rust components ${missing[*]}"
    retry rustup component add "${missing[@]}"
  fi
}

# rust_tool NAME VERSION BINARY WHY: builds a tool from crates.io, once per user and version, from the dependencies that its own
# lock file names.
rust_tool() {
  local name=$1 version=$2 binary=$3 why=$4 root target quiet=()
  [[ -x $binary ]] && return
  root="$(rust_tool_root "$name" "$version")"
  target="$EDGEWARD_CACHE/target/$name-$version"
  say "building $name $version from crates.io ($why); a few minutes, once: it is kept in $root"
  # The target folder is kept until the tool is installed: an interrupted build goes on where it was.
  [[ -t 2 ]] || quiet=(--quiet) # a terminal shows how far it is; a log needs no list of 300 crates
  CARGO_TARGET_DIR="$target" retry cargo install --locked ${quiet[@]+"${quiet[@]}"} --root "$root" "$name@$version" ||
    fail "$name $version could not be built"
  rm -rf "$target"
}

node_runtime() {
  if node_is_recent; then return; fi
  local package bin root
  package="$(node_package "$NODE_VERSION")"
  [[ -n $package ]] || fail "Node $NODE_MINIMUM or newer is needed, and there is no package of it for this platform: install it"
  command -v npm >/dev/null || fail "npm is not on PATH: install Node $NODE_MINIMUM or newer, with npm"
  bin="$(node_package_bin)"
  root="${bin%/node_modules/*}"
  say "installing $package, because the Node on PATH is older than $NODE_MINIMUM; once: it is kept in $root"
  retry install_node "$package" "$root" ||
    fail "$package could not be installed"
  [[ -x $bin/node ]] || fail "$package brought no binary at $bin/node"
  export PATH="$bin:$PATH"
}

npm_packages() {
  command -v npm >/dev/null || fail "npm is not on PATH: install Node $NODE_MINIMUM or newer, with npm"
  local stamp=node_modules/.edgeward-lock wanted
  wanted="$(cksum <package-lock.json) $(cksum <package.json) $(uname -sm)"
  if [[ -f $stamp && "$(<"$stamp")" == "$wanted" ]]; then return; fi
  say "installing the npm packages of package-lock.json into node_modules/"
  retry npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2 || fail "npm ci failed; after a change of package.json, run: node scripts/lock.mjs"
  printf '%s\n' "$wanted" >"$stamp"
}

mkdir -p "$EDGEWARD_CACHE"
rust_toolchain
node_runtime
npm_packages
rust_tool wasm-bindgen-cli "$WASM_BINDGEN_VERSION" "$WASM_BINDGEN_BIN" "makes the JavaScript side of the wasm modules"
# Only the test run needs cargo-deny; the caller names what it is about to do.
if [[ ${1:-} == test ]]; then
  rust_tool cargo-deny "$CARGO_DENY_VERSION" "$CARGO_DENY_BIN" "checks licences, sources and advisories of the dependencies"
fi
