// `make blackbox`: the whole of the black-box suites. Usage: node tests/blackbox/main.mjs [--seed 1] [--share 1] [PART ...]

import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";

const PARTS = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.mjs")).map((name) => name.replace(".test.mjs", "")).sort();

const { values, positionals } = parseArgs({
  options: { seed: { type: "string", default: "1" }, share: { type: "string", default: "1" } }, allowPositionals: true,
});
const unknown = positionals.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) {
  console.error(`blackbox: there is no part ${unknown.join(", ")}; the parts are: ${PARTS.join(" ")}`);
  process.exit(2);
}

let failed = 0;
for (const part of positionals.length > 0 ? positionals : PARTS) {
  const { run } = await import(`./${part}.mjs`);
  const began = performance.now();
  const tally = await run({ seed: Number(values.seed), share: Number(values.share) });
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`blackbox: ${part}: ${tally.cases} cases, ${tally.failed} failures, ${seconds} s`);
  for (const [name, times] of Object.entries(tally.counts).sort()) console.log(`  ${times} × ${name}`);
  for (const text of tally.failures) console.log(`  failure: ${text}`);
  failed += tally.failed;
}
process.exit(failed === 0 ? 0 : 1);
