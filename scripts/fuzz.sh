#!/usr/bin/env bash
# `make fuzz`: the fuzz drivers of fuzz/, each target for so many seconds, or executions. Usage: fuzz.sh [60s|20000x [SEED [TARGET ...]]]
# An input that fails is cut down, written to fuzz/seeds/TARGET and printed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

extent="${1:-60s}" seed="${2:-1}"
shift $(($# < 2 ? $# : 2))
folder="${CARGO_TARGET_DIR:-$EDGEWARD_ROOT/target}"
option=--seconds profile=release built="$folder/fuzz"
# Executions are for short runs, which are not worth an optimized build. It has the profile of the native tests, and their folder: what
# they were built with is built once.
[[ $extent != *x ]] || option=--executions profile=test built="$folder"
cargo build --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir "$built" --profile "$profile"
"$built/${profile/test/debug}/edgeward-fuzz" "$option" "${extent%[sx]}" --seed "$seed" "$@"
