// `make test` reports checks that could not run: they are neither ok nor failed. Tools are installed from locked dependencies.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const cache = mkdtempSync(join(tmpdir(), "edgeward-cache-"));
after(() => rmSync(cache, { recursive: true, force: true }));

/** A tool of this name in the cache, which is a shell script. */
function standIn(name, variable, binary, script) {
  const version = new RegExp(`^${variable}=(\\S+)`, "m").exec(readFileSync(join(root, "scripts/env.sh"), "utf8"))[1];
  const folder = join(cache, "rust", `${name}-${version}`, "bin");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, binary), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

standIn("wasm-bindgen-cli", "WASM_BINDGEN_VERSION", "wasm-bindgen", "exit 1");

/** The step `dependencies` with a cargo-deny of which some commands fail. */
function dependencies(failing) {
  standIn("cargo-deny", "CARGO_DENY_VERSION", "cargo-deny", `case "$*" in ${failing.map((command) => `*"${command}"*) exit 1 ;;`).join(" ")} esac`);
  const env = { ...process.env, EDGEWARD_CACHE: cache };
  const { status, stdout } = spawnSync(join(root, "scripts/test.sh"), ["dependencies"], { env, encoding: "utf8" });
  const lines = stdout.trimEnd().split("\n");
  return { status, summary: lines.slice(lines.findLastIndex((line) => line.startsWith("dependencies "))), text: stdout };
}

describe("the step dependencies of scripts/test.sh", () => {
  test("is ok if all of it ran and found nothing", () => {
    const { status, summary, text } = dependencies([]);
    assert.equal(status, 0, text);
    assert.match(summary[0], /^dependencies +ok +\d+ s$/);
    assert.deepEqual(summary.slice(1), ["", "0 passed, 0 failed"]);
  });

  test("is not run, and neither ok nor failed, if the advisories cannot be had", () => {
    const { status, summary, text } = dependencies(["fetch db"]);
    assert.equal(status, 0, text);
    assert.match(summary[0], /^dependencies +not run +\d+ s/);
    assert.doesNotMatch(summary.join("\n"), /\bok\b|FAILED/);
    assert.deepEqual(summary.slice(1), ["  not run: advisories: their database cannot be fetched from here", "", "0 passed, 0 failed, 1 not run"]);
  });

  for (const [what, failing] of [["an advisory", ["hide-inclusion-graph advisories"]], ["a licence", ["licenses bans sources"]], ["a licence, without advisories", ["licenses bans sources", "fetch db"]]]) {
    test(`fails for ${what}`, () => {
      const { status, summary, text } = dependencies(failing);
      assert.equal(status, 1, text);
      assert.match(summary[0], /^dependencies +FAILED +\d+ s$/);
      assert.equal(summary.at(-1), "0 passed, 1 failed");
    });
  }
});

test("every tool is installed from locked dependencies", () => {
  const scripts = readdirSync(join(root, "scripts")).filter((name) => name.endsWith(".sh")).map((name) => [name, readFileSync(join(root, "scripts", name), "utf8")]);
  const commands = scripts.flatMap(([name, text]) =>
    text.replaceAll("\\\n", " ").split("\n").filter((line) => !/^\s*#/.test(line)).map((line) => `${name}: ${line.trim()}`));
  const found = (pattern) => commands.filter((line) => pattern.test(line));
  assert.ok(found(/cargo install/).length > 0 && found(/npm ci/).length > 1);
  for (const line of found(/cargo (install|build|test|clippy|run|fetch)\b/).filter((line) => !/--version/.test(line))) assert.match(line, /--locked/);
  assert.deepEqual(found(/npm (install|i|add|exec)\b|\bnpx\b/).filter((line) => !/\b(fail|say) "/.test(line)), []);
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const unhashed = Object.entries(packages).filter(([place, { link, integrity }]) => place !== "" && !link && !integrity);
  assert.deepEqual(unhashed.map(([place]) => place), []);
});
