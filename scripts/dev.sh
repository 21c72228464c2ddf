#!/usr/bin/env bash
# `make dev`: installs and builds what is missing, then runs the demo on loopback: gateway, identity provider, origin.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[[ -f $EDGEWARD_ROOT/build/.built ]] ||
  echo "dev: the first build installs tools and compiles everything, about five minutes; later ones take seconds" >&2
"$EDGEWARD_ROOT/scripts/build.sh" worker
exec node "$EDGEWARD_ROOT/scripts/dev.mjs"
