#!/usr/bin/env bash
# `make bench`: times whole verifications, native and in wasm, beside other libraries in the same run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"
scripts/build.sh npm
exec node benches/compare.mjs
