// Published vectors as data: the files that tests/vectors/README.md describes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The cases of a data file, with what each shares with those before it. Throws unless all of them are there. */
export function cases(name) {
  const text = readFileSync(join(import.meta.dirname, "../../vectors/data", `${name}.jsonl`), "utf8");
  const [head, ...lines] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  const found = [];
  let shared = {};
  for (const line of lines) {
    if ("id" in line) found.push({ ...shared, ...line });
    else shared = line;
  }
  assert.equal(found.length, head.cases, name);
  return found;
}
