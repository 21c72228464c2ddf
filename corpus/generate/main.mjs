// Writes the corpus, the same bytes in every run. Usage: node corpus/generate/main.mjs [FOLDER]; without one, ../data is written again.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NOW, policies, result } from "./corpus.mjs";
import { sets } from "./keys.mjs";
import "./providers.mjs";
import "./good.mjs";
import "./bad.mjs";

const data = process.argv[2] ?? fileURLToPath(new URL("../data", import.meta.url));
rmSync(data, { recursive: true, force: true });
mkdirSync(join(data, "cases"), { recursive: true });
/** Characters beyond ASCII and controls are escaped, so that no tool on the way changes them. */
const ascii = (text) => text.replace(/[^\n -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
const lines = (object) => `{\n${Object.entries(object).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(",\n")}\n}\n`;
writeFileSync(join(data, `keys.json`), ascii(lines(sets)));
writeFileSync(join(data, `policies.json`), ascii(lines(policies)));
const index = { now: NOW, classes: {} };
for (const [name, { about, cases }] of [...result()].sort(([one], [two]) => (one < two ? -1 : 1))) {
  const sort = cases[0].verdict;
  if (cases.some(({ verdict }) => verdict !== sort)) throw new Error(`${name} has cases of both verdicts`);
  index.classes[name] = { about, verdict: sort, cases: cases.length };
  writeFileSync(join(data, `cases/${name}.json`), ascii(`[\n${cases.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`));
}
writeFileSync(join(data, `index.json`), ascii(`${JSON.stringify(index, undefined, 1)}\n`));
const count = (verdict) => Object.values(index.classes).filter((one) => one.verdict === verdict).reduce((sum, one) => sum + one.cases, 0);
console.log(`${count("accept")} to accept, ${count("reject")} to refuse`);
