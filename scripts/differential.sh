#!/usr/bin/env bash
# `make differential`: the RSA kernels against another implementation, on random and adversarial inputs.
# Usage: differential.sh [COUNT [SEED]]: COUNT inputs for each native kernel, a fifth of it for each wasm build on Node.
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
