#!/usr/bin/env bash
# `make soak`: long runs of the built Worker in workerd (tests/soak). PART, MINUTES, COUNT and SEED choose and bound them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

scripts/build.sh worker
exec node tests/soak/main.mjs
