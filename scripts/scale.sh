#!/usr/bin/env bash
# Simulates a deployment of up to 10,000 isolates (examples/scale.rs), and writes tables and plot of docs/scale.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
cargo run --quiet --release --locked --example scale --features testing | node scripts/scale.mjs
