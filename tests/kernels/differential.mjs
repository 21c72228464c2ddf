// Reads cases on standard input and runs them on the modules in FOLDER: `node differential.mjs FOLDER`. Exits with 1 if one
// comes out wrong, which it prints.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Runner } from "./cases.mjs";

const folder = process.argv[2];
const load = (name) => new WebAssembly.Module(readFileSync(join(folder, `${name}.wasm`)));
const relaxed = load("relaxed");
const runners = {
  "baseline build": [new Runner(load("baseline")), "integer"],
  "relaxed-SIMD build": [new Runner(relaxed), "fma"],
  "relaxed-SIMD build, its integer kernel": [new Runner(relaxed, { integer: true }), "integer"],
};

const entries = Object.entries(runners);
const wrong = () => entries.filter(([, [runner]]) => runner.wrong !== undefined);

for await (const bytes of process.stdin) {
  for (const [, [runner]] of entries) runner.push(bytes);
  if (wrong().length > 0) break;
}
for (const [name, [runner]] of wrong()) console.error(`differential: wasm, ${name}: ${runner.wrong}`);
if (wrong().length > 0) process.exit(1);
for (const [name, [runner, kernel]] of entries) {
  const { kernels } = runner.report();
  console.log(`differential: wasm in Node ${process.versions.node}, ${name}: ${JSON.stringify(kernels)} inputs agree`);
  if (Object.keys(kernels).join() !== kernel) process.exitCode = 1;
}
