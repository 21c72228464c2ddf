#!/usr/bin/env bash
# `make test`: every check of the project, in order. All of them run, whatever fails; the last line counts the tests. A check that
# cannot run in this environment is reported as not run, with the reason: neither as ok nor as failed.
# Usage: test.sh [STEP ...], with the steps listed below; test.sh --check runs the quick ones (`make check`).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

# Steps with a plus run at once, those with commas one after another: alone, many leave a processor idle for much of their time.
STEPS=(format build+lints npm+native node+features,fuzz,no_std,docs,package,kernels dependencies blackbox)
CHECKS=(format clippy unit texts)
BINDINGS=(edgeward-worker edgeward-npm edgeward-cli edgeward-kernels)

output="$(mktemp -d "${TMPDIR:-/tmp}/edgeward-test-XXXXXX")"
trap 'rm -rf "$output"' EXIT

passed=0 failed=0 skipped=0 not_run=0
failed_steps=()
summary=()

# not_run CHECK REASON: reports a check that cannot run here. `run` reads it from the step's output.
not_run() { printf 'not run: %s: %s\n' "$1" "$2"; }

step_format() { cargo fmt --all --check; }

step_clippy() { cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings; }

step_lints() {
  step_clippy
  # The shells are wasm32 code, part of which the host does not compile. One by one: only one of them has the standard library. With
  # the profile and the folder of their builds, which have compiled the macros.
  local binding folder="${CARGO_TARGET_DIR:-target}/wasm-relaxed"
  for binding in "${BINDINGS[@]}"; do
    cargo clippy --locked --release --package "$binding" --lib --target wasm32-unknown-unknown --target-dir "$folder" -- --deny warnings
  done
}

step_native() { cargo test --locked --workspace --all-features --no-fail-fast; }

# The unit tests of the core, without the longer ones of tests/.
step_unit() { cargo test --locked --all-features --lib --test imports --test limits --test readme; }

# README, docs and scripts against the code. Nothing is built.
step_texts() { node --test --test-reporter=spec tests/node/docs.test.mjs tests/node/scripts.test.mjs; }

# The tests of refusals once more, in a package that depends on the core and turns on every feature of serde_json.
step_features() {
  # In the folder of the native tests: what is the same is not compiled again.
  cargo test --locked --manifest-path tests/features/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}" --no-fail-fast
}

# A short run of each fuzz driver, seeds and former findings first. The number of executions is fixed: it finds the same everywhere.
step_fuzz() { scripts/fuzz.sh 10000x; }

# The core must build for a target without std, with the fewest and with all features.
step_no_std() {
  local core=(--package edgeward --target thumbv7em-none-eabi)
  cargo build --locked "${core[@]}" --no-default-features
  cargo build --locked "${core[@]}" --all-features
}

step_docs() { RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --all-features; }

# The crates as they would be published: nothing but their sources, README, changelog and licences, and they build.
step_package() {
  local package listed unexpected
  for package in edgeward-rsa edgeward; do
    listed="$(cargo package --locked --allow-dirty --list --package "$package")"
    unexpected="$(grep -vxE 'src/.*\.rs|README\.md|CHANGELOG\.md|LICENSE-(APACHE|MIT)|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json' <<<"$listed" || true)"
    if [[ -n $unexpected ]]; then
      printf 'package: files that do not belong into the crate %s:\n%s\n' "$package" "$unexpected" >&2
      return 1
    fi
  done
  cargo fetch --locked
  cargo package --locked --allow-dirty --offline --package edgeward-rsa --package edgeward
}

step_dependencies() {
  "$CARGO_DENY_BIN" --locked --workspace check --hide-inclusion-graph licenses bans sources
  # Advisories are in a Git repository of their own, which cannot be reached from everywhere.
  if GIT_TERMINAL_PROMPT=0 "$CARGO_DENY_BIN" fetch db >"$output/advisories" 2>&1; then
    "$CARGO_DENY_BIN" --locked --workspace check --disable-fetch --hide-inclusion-graph advisories
  else
    not_run advisories "their database cannot be fetched from here"
  fi
}

step_build() { scripts/build.sh; }

# The RSA kernels in wasm, in Node and in workerd: published vectors, which the native tests write down, and a share of the
# comparison of scripts/differential.sh.
step_kernels() {
  export EDGEWARD_KERNELS EDGEWARD_CASES="$output/cases"
  EDGEWARD_KERNELS="$(scripts/kernels.sh)"
  mkdir -p "$EDGEWARD_CASES"
  cargo test --quiet --locked --workspace --all-features --test wycheproof --test vectors -- wycheproof ring
  node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$output/kernels.tap" 'tests/kernels/*.test.mjs'
}

step_node() {
  export EDGEWARD_CHROMIUM EDGEWARD_CANAILLE
  EDGEWARD_CHROMIUM="$(chromium)"
  EDGEWARD_CANAILLE="$(canaille)"
  [[ -n $EDGEWARD_CANAILLE ]] || not_run canaille "there is no python3 with venv that can install it"
  # Three files at once: each mostly waits.
  node --test --test-concurrency=3 --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$output/tap" 'tests/node/*.test.mjs'
}

# A share of each black-box suite against workerd; `make blackbox` runs all of them.
step_blackbox() {
  node --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$output/blackbox.tap" 'tests/blackbox/*.test.mjs'
}

# The npm package as it is installed, in every runtime.
step_npm() { scripts/test-npm.sh; }

add() {
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# cargo test closes each test binary with "test result: ok. 12 passed; 0 failed; 1 ignored; …".
count_native() {
  # shellcheck disable=SC2046
  add $(sed $'s/\e\\[[0-9;]*m//g' "$1" | awk '
    /^test result: / {
      for (i = 2; i <= NF; i++) {
        if ($i == "passed;") p += $(i - 1)
        if ($i == "failed;") f += $(i - 1)
        if ($i == "ignored;") s += $(i - 1)
      }
    }
    END { print p + 0, f + 0, s + 0 }')
}

# The TAP report closes with "# pass 12", "# fail 0", "# cancelled 0", "# skipped 1" and "# todo 0".
count_node() {
  [[ -f $1 ]] || return 0
  # shellcheck disable=SC2046
  add $(awk '
    $1 == "#" && NF == 3 { if ($2 ~ /^(pass|fail|cancelled|skipped|todo)$/) n[$2] = $3 }
    END { print n["pass"] + 0, n["fail"] + n["cancelled"] + 0, n["skipped"] + n["todo"] + 0 }' "$1")
}

# test-npm.sh closes with "12 passed, 0 failed".
count_npm() {
  # shellcheck disable=SC2046
  add $(awk '/^[0-9]+ passed, [0-9]+ failed$/ { p = $1; f = $3 } END { print p + 0, f + 0, 0 }' "$1")
}

# execute STEP [COMMAND]: a step is a process of its own, so that its first failing command ends it. Leaves its status and its seconds.
execute() {
  local step=$1 started=$SECONDS status=0
  "${@:2}" "$EDGEWARD_ROOT/scripts/test.sh" --step "$step" "$output" 2>&1 | tee "$output/$step" || status=$?
  printf '%d %d\n' "$status" "$((SECONDS - started))" >"$output/$step.end"
}

# run STEP[,STEP ...][+STEP[,STEP ...] ...]: the output of the first steps is seen while they run, those of the others once all have ended.
# The others get the processor time that the first leave: compiling must not delay what watches the clock.
run() {
  local lanes=() lane step
  IFS=+ read -r -a lanes <<<"$1"
  for lane in "${lanes[@]:1}"; do
    for step in ${lane//,/ }; do execute "$step" nice; done >/dev/null &
  done
  for step in ${lanes[0]//,/ }; do
    printf '\n== %s ==\n' "$step"
    execute "$step"
  done
  wait
  for step in ${lanes[0]//,/ }; do evaluate "$step"; done
  for lane in "${lanes[@]:1}"; do
    for step in ${lane//,/ }; do
      printf '\n== %s ==\n' "$step"
      cat "$output/$step"
      evaluate "$step"
    done
  done
}

evaluate() {
  local step=$1 before=$failed skipped_before=$skipped status took reason reasons=()
  read -r status took <"$output/$step.end"
  case "$step" in
    native | features | unit) count_native "$output/$step" ;;
    kernels) count_node "$output/kernels.tap" ;;
    node) count_node "$output/tap" ;;
    blackbox) count_node "$output/blackbox.tap" ;;
    npm) count_npm "$output/npm" ;;
  esac
  while IFS= read -r reason; do reasons+=("$reason"); done < <(sed -n 's/^not run: //p' "$output/$step")
  ((skipped == skipped_before)) || reasons+=("tests: $((skipped - skipped_before)) of them were skipped")
  not_run=$((not_run + ${#reasons[@]}))
  if ((status)); then
    failed_steps+=("$step")
    # A step that failed without a failing test, such as the format, counts as one.
    ((failed > before)) || failed=$((failed + 1))
    summary+=("$(printf '%-13s FAILED  %4d s' "$step" "$took")")
  elif ((${#reasons[@]})); then
    summary+=("$(printf '%-13s not run %4d s, in part' "$step" "$took")")
  else
    summary+=("$(printf '%-13s ok      %4d s' "$step" "$took")")
  fi
  for reason in ${reasons[@]+"${reasons[@]}"}; do summary+=("  not run: $reason"); done
}

if [[ ${1:-} == --step ]]; then
  rm -rf "$output"
  trap - EXIT
  output=$3
  "step_$2"
  exit
fi

# Steps in the background ignore an interrupt from the terminal.
trap 'trap - INT TERM; kill -TERM 0' INT TERM
tools=test
if [[ ${1:-} == --check ]]; then
  tools=check
  set -- "${CHECKS[@]}"
fi
(($#)) || set -- "${STEPS[@]}"
for step in ${@//[+,]/ }; do
  declare -F "step_$step" >/dev/null || {
    echo "test: unknown step: $step; the steps are: ${STEPS[*]//[+,]/ }" >&2
    exit 2
  }
done

scripts/tools.sh "$tools"
# For a first build, incremental compilation takes a fifth longer.
[[ -d ${CARGO_TARGET_DIR:-target}/debug/incremental ]] || export CARGO_INCREMENTAL=0
for step in "$@"; do run "$step"; done

printf '\n'
printf '%s\n' "${summary[@]}"
if ((${#failed_steps[@]})); then printf '\nfailed: %s\n' "${failed_steps[*]}"; fi
printf '\n%d passed, %d failed' "$passed" "$failed"
((skipped == 0)) || printf ', %d skipped' "$skipped"
((not_run == 0)) || printf ', %d not run' "$not_run"
printf '\n'
((failed == 0))
