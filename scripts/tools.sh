#!/usr/bin/env bash
# Installs the tools that are missing. Usage: tools.sh [check | test]: those of the build and `make dev`; those of `make check` too;
# those of `make test` too. Tools go to a per-user cache keyed by name and version ($EDGEWARD_CACHE, default ~/.cache/edgeward): they
# survive `make clean` and serve every checkout. npm packages go to node_modules/ in the checkout.
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

# rust_toolchain TARGET ...
rust_toolchain() {
  command -v cargo >/dev/null || fail "cargo is not on PATH: install Rust 1.95 or newer (rustup is the usual way)"
  local target missing=()
  for target in "$@"; do
    [[ -d "$(rustc --print target-libdir --target "$target")" ]] || missing+=("$target")
  done
  if ((${#missing[@]})); then
    command -v rustup >/dev/null ||
      fail "the Rust targets ${missing[*]} are missing and there is no rustup to add them: install them with the package manager that installed Rust, or install rustup"
    say "adding the Rust targets ${missing[*]}"
    retry rustup target add "${missing[@]}"
  fi
}

rust_components() {
  local missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  if ((${#missing[@]})); then
    command -v rustup >/dev/null || fail "the Rust components ${missing[*]} are missing and there is no rustup to add them"
    say "adding the Rust components ${missing[*]}"
    retry rustup component add "${missing[@]}"
  fi
}

# rust_tool NAME VERSION BINARY WHY SOURCE: builds a tool with its own lock file, once per user and version. SOURCE: as `cargo install` takes it.
# Without optimization: these tools run for a second or two, and are compiled in a third of the time.
rust_tool() {
  local name=$1 version=$2 binary=$3 why=$4 root target quiet=()
  [[ -x $binary ]] && return
  root="$(rust_tool_root "$name" "$version")"
  target="$EDGEWARD_CACHE/target/$name-$version"
  say "building $name $version ($why); this takes a minute or two, once; it is stored in $root"
  # The target folder stays until the tool is installed: an interrupted build resumes.
  [[ -t 2 ]] || quiet=(--quiet) # a terminal shows progress; a log needs no list of 300 crates
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$target" retry cargo install --debug --locked ${quiet[@]+"${quiet[@]}"} --root "$root" "${@:5}" ||
    fail "$name $version could not be built"
  rm -rf "$target"
}

node_runtime() {
  if node_is_recent; then return; fi
  local found package bin root
  found="$(node --version 2>/dev/null)" || fail "node is not on PATH: install Node $NODE_MINIMUM or newer, with npm"
  say "Node $NODE_MINIMUM or newer is required (wrangler needs it); the one on PATH is $found"
  package="$(node_package "$NODE_VERSION")"
  [[ -n $package ]] || fail "there is no Node package for this platform: install Node $NODE_MINIMUM or newer"
  command -v npm >/dev/null || fail "npm is not on PATH: install Node $NODE_MINIMUM or newer, with npm"
  bin="$(node_package_bin)"
  root="${bin%/node_modules/*}"
  say "installing $package for this project's scripts, once; it is stored in $root"
  retry install_node "$package" "$root" ||
    fail "$package could not be installed"
  [[ -x $bin/node ]] || fail "$package contains no binary at $bin/node"
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
purpose="${1:-build}"
# Node first: it fails fast, and its message is the one that newcomers need most.
node_runtime
# The core is compiled for a target without std only in tests.
case "$purpose" in
  build | check) rust_toolchain wasm32-unknown-unknown ;;
  test) rust_toolchain wasm32-unknown-unknown thumbv7em-none-eabi ;;
  *) fail "unknown purpose: $purpose" ;;
esac
[[ $purpose == build ]] || rust_components
npm_packages
rust_tool edgeward-glue "$GLUE_VERSION" "$GLUE_BIN" "generates the JavaScript side of the wasm modules" --path scripts/glue
if [[ $purpose == test ]]; then
  rust_tool cargo-deny "$CARGO_DENY_VERSION" "$CARGO_DENY_BIN" "checks licences, sources and advisories of the dependencies" \
    "cargo-deny@$CARGO_DENY_VERSION"
fi
