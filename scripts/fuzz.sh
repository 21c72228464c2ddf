#!/usr/bin/env bash
# `make fuzz`: the fuzz drivers of fuzz/, each target for so many seconds, or executions. Usage: fuzz.sh [60s|20000x [SEED [TARGET ...]]]
# An input that fails is cut down, written to fuzz/seeds/TARGET and printed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

extent="${1:-60s}" seed="${2:-1}"
shift $(($# < 2 ? $# : 2))
option=--seconds profile=long folder=long
# Executions are for short runs, which are not worth an optimized build: the core is that of the native tests.
[[ $extent != *x ]] || option=--executions profile=test folder=debug
cargo build --locked --quiet --workspace --all-features --profile "$profile" --bin edgeward-fuzz
"${CARGO_TARGET_DIR:-target}/$folder/edgeward-fuzz" "$option" "${extent%[sx]}" --seed "$seed" "$@"
