#!/usr/bin/env bash
# `make dev`: installs and builds what is missing, then runs the demo on loopback: gateway, identity provider, origin.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
"$EDGEWARD_ROOT/scripts/build.sh" worker
exec node "$EDGEWARD_ROOT/scripts/dev.mjs"
