#!/usr/bin/env bash
# `make differential`: the RSA kernels against another implementation, on random and adversarial inputs; and whole tokens, mutated, against
# another library, if the npm package is built.
# Usage: differential.sh [COUNT [SEED]]: COUNT inputs for each native kernel, a fifth of it for each wasm build on Node, and COUNT tokens.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

count="${1:-1000000}"
seed="${2:-1}"
scripts/tools.sh
folder="$(scripts/kernels.sh)"
echo "differential: seed $seed"
"$folder/differential" "$count" "$seed"
# A seed of its own: other inputs than above.
"$folder/differential" --emit "$(((count + 4) / 5))" "$((seed + 1))" | node tests/kernels/differential.mjs "$folder"
if [[ -f pkg/dist/verifier.wasm ]]; then
  node tests/node/differential.mjs "$count" "$seed"
else
  echo "differential: tokens: not run: there is no package in pkg/dist: run \"make build\"" >&2
fi
