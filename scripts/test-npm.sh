#!/usr/bin/env bash
# Tests the npm package as installed: the suite in every runtime, its form, types, sizes and examples.
# Usage: test-npm.sh [RUNTIME …], with parts of runtime names, to run the suite in these only. The last line counts the tests.
# Requires build.sh to have run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

say() { printf 'npm: %s\n' "$*" >&2; }

NODE_20=20.20.2

# Node 20 is the oldest version that the package supports. Installed from npm into the user's cache, once.
node_20() {
  local package root
  package="$(node_package "$NODE_20")"
  [[ -n $package ]] || return 0
  root="$EDGEWARD_CACHE/node-$NODE_20"
  if [[ ! -x $root/node_modules/${package%@*}/bin/node ]]; then
    say "installing $package; once, into $root"
    install_node "$package" "$root" || return 0
  fi
  printf '%s' "$root/node_modules/${package%@*}/bin/node"
}

export EDGEWARD_NODE_20 EDGEWARD_CHROMIUM
EDGEWARD_NODE_20="$(node_20)"
EDGEWARD_CHROMIUM="$(chromium)"

output="$(mktemp -d "${TMPDIR:-/tmp}/edgeward-npm-XXXXXX")"
trap 'rm -rf "$output"' EXIT
status=0

node tests/npm/run.mjs "$@" | tee "$output/suite" || status=1
passed="$(sed -n '$s/ passed,.*//p' "$output/suite")"
failed="$(sed -n '$s/.*, \([0-9]*\) failed.*/\1/p' "$output/suite")"

if (($# == 0)); then
  export EDGEWARD_TARBALL
  EDGEWARD_TARBALL="$(node scripts/pack-npm.mjs "$output" | tail -1)"
  # Two files at once: each mostly waits.
  node --test --test-concurrency=2 --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$output/tap" 'tests/npm/*.test.mjs' || status=1
  counted="$(awk '$1 == "#" && NF == 3 { n[$2] = $3 } END { print n["pass"] + 0, n["fail"] + n["cancelled"] + n["skipped"] + 0 }' "$output/tap")"
  passed=$((${passed:-0} + ${counted% *})) failed=$((${failed:-1} + ${counted#* }))
fi
((status == 0)) || ((${failed:-0} > 0)) || failed=1

printf '%d passed, %d failed\n' "${passed:-0}" "${failed:-1}"
((${failed:-1} == 0))
