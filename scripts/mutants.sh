#!/usr/bin/env bash
# `make mutants`: mutants of the core against its tests (tests/mutants). Usage: mutants.sh [--list | --survivors] [PATH ...], of the sources
# that begin with a PATH; --survivors: those that the last run here did not kill. JOBS says how many run at once. The results are in
# tests/mutants/results.txt; it fails below 95 % and for a survivor without an explanation.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

cargo run --locked --quiet --release --manifest-path tests/mutants/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$EDGEWARD_ROOT/target}/mutants/tool" -- "$@"
