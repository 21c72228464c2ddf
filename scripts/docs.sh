#!/usr/bin/env bash
# `make docs`: builds the documentation site into target/site, with the project's Node. See docs.mjs. One page contains the core.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"
scripts/build.sh cli
exec node scripts/docs.mjs "$@"
