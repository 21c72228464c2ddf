#!/usr/bin/env bash
# `make bench`: speed, size and CPU beside other libraries, in one run; some twenty minutes.
# Usage: bench.sh [--report] [--json FILE] [PART ...]. --report writes the figures into docs/performance.md; the parts are
# listed in benches/run.mjs, all of them by default. BENCH_QUICK=1 makes a rough run of a minute or so, for development.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

built="${CARGO_TARGET_DIR:-target}/bench"
mkdir -p "$built"
built="$(cd "$built" && pwd)"

# bench_wasm NAME RUSTFLAGS: the bench module, built like the shipped ones. One folder for each set of flags.
bench_wasm() {
  local name=$1 flags=$2 target=wasm32-unknown-unknown out="$built/wasm-$1"
  CARGO_TARGET_DIR="$built/cargo-$name" RUSTFLAGS="$flags" \
    cargo build --quiet --locked --release --manifest-path benches/Cargo.toml --package bench-wasm --target "$target" "${shipped[@]}"
  wasm_glue "$built/cargo-$name/$target/release/bench_wasm.wasm" bench_wasm "$out"
  wasm_optimize -O3 "$out/bench_wasm_bg.wasm" "$out/bench_wasm_bg.wasm"
}

# Installs the tools, too.
scripts/build.sh
# The same optimization levels as in Cargo.toml.
shipped=(--config 'profile.release.package.edgeward.opt-level="z"' --config 'profile.release.package.edgeward-rsa.opt-level="s"')
for package in serde_json base64@0.23.1; do
  shipped+=(--config "profile.release.package.\"$package\".opt-level=2")
done
for package in sha2@0.11.1 chacha20 poly1305; do
  shipped+=(--config "profile.release.package.\"$package\".opt-level=\"s\"")
done
bench_wasm baseline "$WASM_SMALL"
bench_wasm relaxed "$WASM_SMALL $WASM_RELAXED"
# ring and aws-lc-rs need a C compiler. Without one the native rows are left out.
rm -f "$built/native"
if CARGO_TARGET_DIR="$built/cargo-native" \
  cargo build --quiet --locked --release --manifest-path benches/Cargo.toml --package bench-native; then
  ln -s cargo-native/release/bench-native "$built/native"
else
  echo "bench: the native comparison could not be built: its rows are left out" >&2
fi

BENCH_BUILT="$built" exec node benches/run.mjs "$@"
