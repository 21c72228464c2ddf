// The corpus as data; README.md describes its form.

import { readFileSync } from "node:fs";

const read = (name) => JSON.parse(readFileSync(new URL(`data/${name}`, import.meta.url), "utf8"));

/** `{ now, classes, keys, policies, cases }`, each case with its `class`. */
export function corpus() {
  const { now, classes } = read("index.json");
  const cases = Object.keys(classes).flatMap((name) => read(`cases/${name}.json`).map((one) => ({ class: name, ...one })));
  return { now, classes, keys: read("keys.json"), policies: read("policies.json"), cases };
}
