#!/usr/bin/env bash
# Runs the project's wrangler with a Node that it supports, whatever is on PATH. Usage: wrangler.sh ARGUMENT ...
# `make deploy` is `wrangler.sh deploy`; the build runs as wrangler.toml says.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"
scripts/tools.sh
exec node node_modules/wrangler/bin/wrangler.js "$@"
