#!/usr/bin/env bash
# `make simulate`: random schedules of requests, faults, rotations, clock jumps and restarts against a model (tests/simulation).
# SEEDS and STEPS say how many schedules of which length, SEED a single one; TRACE=1 prints its steps.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

if [[ -z ${SEED:-} ]]; then
  unset SEED
  export SEEDS="${SEEDS:-1000}"
else
  unset SEEDS
  export SEED
fi
export STEPS="${STEPS:-10000}"
cargo test --locked --quiet --profile long --all-features --test simulation -- random --nocapture
