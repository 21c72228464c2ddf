// The RSA kernels as engines run them: the builds with and without relaxed SIMD, in Node and in workerd. scripts/test.sh gives
// the built modules in EDGEWARD_KERNELS and the cases of published vectors, with the verdicts of the native tests, in
// EDGEWARD_CASES.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startWorker } from "../node/support/worker.mjs";
import { Runner } from "./cases.mjs";

const { EDGEWARD_KERNELS, EDGEWARD_CASES } = process.env;
const read = (name) => readFileSync(join(EDGEWARD_KERNELS, name));
const here = (name) => join(import.meta.dirname, name);

const KERNEL = { baseline: "integer", relaxed: "fma" };
/** Accepted, refused, and how many of these with a key that is refused: the same as tests/wycheproof.rs and tests/vectors/ring.rs. */
const VECTORS = {
  "wycheproof-pkcs1": [89, 3017, 0],
  "wycheproof-pss": [777, 1429, 0],
  "ring-pkcs1": [26, 137, 40],
  "ring-pss": [9, 45, 0],
  "ring-primitive": [4, 5, 5],
  "ring-padding": [60, 41, 0],
};
const SEED = "3";
const MAX_BYTES = 512 * 1024 * 1024;

let worker;
before(async () => {
  const esm = (name) => ({ type: "esm", contents: readFileSync(here(name), "utf8") });
  const wasm = (name) => ({ type: "wasm", contents: read(name) });
  const modules = {
    "worker.js": esm("worker.js"), "cases.mjs": esm("cases.mjs"), "baseline.wasm": wasm("baseline.wasm"), "relaxed.wasm": wasm("relaxed.wasm"),
  };
  worker = await startWorker({ source: { main: "worker.js", modules } });
});
after(() => worker?.stop());

const hosts = {
  Node(build, cases) {
    const runner = new Runner(new WebAssembly.Module(read(`${build}.wasm`)));
    runner.push(cases);
    return runner.report();
  },
  async workerd(build, cases) {
    const response = await worker.fetch(`/?build=${build}`, { method: "POST", body: cases });
    assert.equal(response.status, 200, worker.logText);
    return response.json();
  },
};

function emitted(count) {
  const { status, stdout } = spawnSync(join(EDGEWARD_KERNELS, "differential"), ["--emit", count, SEED], { maxBuffer: MAX_BYTES });
  assert.equal(status, 0);
  return stdout;
}

for (const [host, run] of Object.entries(hosts)) {
  for (const [build, kernel] of Object.entries(KERNEL)) {
    describe(`${build} build in ${host}`, () => {
      for (const [name, [accepted, refused, keys]] of Object.entries(VECTORS)) {
        const cases = join(EDGEWARD_CASES, name);
        it(`${name}: accepts ${accepted}, refuses ${refused}`, async () => {
          const report = await run(build, readFileSync(cases));
          assert.equal(report.wrong, undefined);
          assert.deepEqual([report.accepted, report.refused, report.kernels.none ?? 0], [accepted, refused, keys]);
          assert.equal(report.kernels[kernel], accepted + refused - keys);
        });
      }

      it("raises 2,000 numbers to their powers as num-bigint does", async () => {
        const report = await run(build, emitted(2_000));
        assert.equal(report.wrong, undefined);
        assert.deepEqual(report.kernels, { [kernel]: 2_000 });
      });

      it("reports a case that comes out wrong", async () => {
        const cases = emitted(20);
        cases[cases.length - 1] ^= 1;
        assert.match((await run(build, cases)).wrong, /^MISMATCH, kernel /);
      });
    });
  }
}

it("the native kernels agree with num-bigint on 10,000 inputs each", () => {
  const { status, stdout, stderr } = spawnSync(join(EDGEWARD_KERNELS, "differential"), ["10000", SEED], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.match(/kernel (fma|integer): 10000 inputs agree/g)?.length, 2);
});

// An x64 engine without that instruction rounds twice.
const skip = process.arch !== "x64" && "only x64 processors can do without fused multiply-add";
it("on a host that does not fuse, the relaxed build takes the integer kernel", { skip }, () => {
  const script = `
    import { readFileSync } from "node:fs";
    import { Runner } from ${JSON.stringify(here("cases.mjs"))};
    const runner = new Runner(new WebAssembly.Module(readFileSync(${JSON.stringify(join(EDGEWARD_KERNELS, "relaxed.wasm"))})));
    runner.push(readFileSync(0));
    console.log(JSON.stringify(runner.report()));`;
  const run = (...flags) => {
    const options = { input: emitted(2_000), encoding: "utf8", maxBuffer: MAX_BYTES };
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, "--input-type=module", "--eval", script], options);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };
  assert.deepEqual(run().kernels, { fma: 2_000 });
  const { kernels, wrong } = run("--no-enable-fma3");
  assert.equal(wrong, undefined);
  assert.deepEqual(kernels, { integer: 2_000 });
});
