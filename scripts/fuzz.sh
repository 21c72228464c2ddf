#!/usr/bin/env bash
# `make fuzz`: the fuzz drivers of fuzz/, each target for so many seconds. Usage: fuzz.sh [SECONDS [SEED [TARGET ...]]]
# An input that fails is cut down, written to fuzz/seeds/TARGET and printed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

seconds="${1:-60}" seed="${2:-1}"
shift $(($# < 2 ? $# : 2))
# A short run is not worth an optimized build.
profile=release
((seconds >= 10)) || profile=dev
folder="${CARGO_TARGET_DIR:-$EDGEWARD_ROOT/target}/fuzz"
cargo build --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir "$folder" --profile "$profile"
"$folder/${profile/dev/debug}/edgeward-fuzz" --seconds "$seconds" --seed "$seed" "$@"
