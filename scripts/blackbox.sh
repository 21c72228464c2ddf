#!/usr/bin/env bash
# `make blackbox`: the built Worker in workerd, by bytes on its connections (tests/blackbox). Usage: blackbox.sh [SEED [PART ...]]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

seed="${1:-1}"
shift $(($# < 1 ? $# : 1))
scripts/build.sh worker
node tests/blackbox/main.mjs --seed "$seed" "$@"
