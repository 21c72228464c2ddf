#!/usr/bin/env bash
# What a release consists of.
# Usage: release.sh build FOLDER   builds everything that is published into FOLDER, with bills of materials and checksums
#        release.sh check          builds in two folders, compares the bytes, and tries out publishing (target/release-files/ has the files)
#        release.sh crates FOLDER  publishes the crates, if they are those of FOLDER
#        release.sh ready          fails while project.json has placeholders, or the changelog no section for the version
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$EDGEWARD_ROOT"

say() { printf 'release: %s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

version() { node -p 'require("./pkg/package.json").version'; }

build() {
  local out=$1 version target="${CARGO_TARGET_DIR:-$EDGEWARD_ROOT/target}"
  mkdir -p "$out"
  out="$(cd "$out" && pwd)"
  version="$(version)"
  scripts/build.sh
  node scripts/pack-npm.mjs "$out"
  # The Worker by itself, for those who deploy it without npm.
  tar --create --file - --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar --mode=u=rw,go=r -C build index.js index_bg.wasm |
    gzip --no-name -9 >"$out/edgeward-worker-$version.tar.gz"
  cargo package --quiet --locked --allow-dirty --no-verify --package edgeward-rsa --package edgeward
  cp "$target/package/edgeward-rsa-"*.crate "$target/package/edgeward-$version.crate" "$out"
  node scripts/sbom.mjs crate "$out/edgeward-$version.crate.cdx.json"
  node scripts/sbom.mjs npm "$out/edgeward-$version.tgz.cdx.json"
  (cd "$out" && sha256sum -- *.tgz *.crate *.tar.gz *.cdx.json >SHA256SUMS)
}

# copy FOLDER: the files that Git knows, as they are, with the installed npm packages.
copy() {
  mkdir -p "$1"
  git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --file=- | tar --extract --file=- -C "$1"
  ln -s "$EDGEWARD_ROOT/node_modules" "$1/node_modules"
}

check() {
  local files=target/release-files work name
  scripts/tools.sh
  versions
  work="$(mktemp -d "${TMPDIR:-/tmp}/edgeward-release-XXXXXX")"
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  # Paths of different lengths: bytes that depend on them differ.
  for name in one another/folder/below; do copy "$work/$name"; done
  for name in one another/folder/below; do
    say "building in $name"
    (unset CARGO_TARGET_DIR && cd "$work/$name" && scripts/release.sh build "$work/files/${name%%/*}")
  done
  diff --recursive "$work/files/one" "$work/files/another" || fail "two builds differ"
  say "both builds have the same bytes"
  rm -rf "$files"
  mkdir -p "$(dirname "$files")"
  cp -r "$work/files/one" "$files"
  (cd "$files" && sha256sum --check --quiet SHA256SUMS)
  npm publish --dry-run --ignore-scripts --access public "$files/edgeward-$(version).tgz" >"$work/npm" 2>&1 || {
    cat "$work/npm" >&2
    fail "npm would not publish the package"
  }
  # What crates.io gets must build by itself.
  cargo package --quiet --locked --allow-dirty --package edgeward-rsa --package edgeward
  say "all checks passed; the files are in $files:"
  (cd "$files" && ls -l) >&2
  to_do
}

# Packed outside Git, whose commit would be part of the file: crates.io gets the bytes that were checked.
crates() {
  local files work
  files="$(cd "$1" && pwd)"
  work="$(mktemp -d "${TMPDIR:-/tmp}/edgeward-release-XXXXXX")"
  git archive HEAD | tar --extract --file=- -C "$work"
  cd "$work"
  unset CARGO_TARGET_DIR
  cargo package --quiet --locked --no-verify --package edgeward-rsa --package edgeward
  local crate
  for crate in target/package/*.crate; do cmp "$crate" "$files/${crate##*/}"; done
  cargo publish --locked --package edgeward-rsa --package edgeward
}

# One version everywhere, and the addresses of project.json in every manifest.
versions() {
  node scripts/project.mjs --check
}

# What only the maintainers can do.
to_do() {
  ! grep -qE 'OWNER|\.example' project.json || say "before publishing: replace the placeholders in project.json"
  grep -q "^## \[$(version)\]" CHANGELOG.md || say "before publishing: add a section for $(version) to CHANGELOG.md"
}

ready() {
  versions
  local left
  left="$(to_do 2>&1)"
  if [[ -n $left ]]; then
    printf '%s\n' "$left" >&2
    exit 1
  fi
}

case "${1-}" in
  build) build "${2:?a folder}" ;;
  check) check ;;
  crates) crates "${2:?a folder}" ;;
  ready) ready ;;
  *) fail "usage: release.sh build FOLDER | check | crates FOLDER | ready" ;;
esac
