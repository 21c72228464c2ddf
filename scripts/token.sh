#!/usr/bin/env bash
# `make token`: prints a fresh access token of the provider that `make dev` runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
exec node "$EDGEWARD_ROOT/scripts/token.mjs"
