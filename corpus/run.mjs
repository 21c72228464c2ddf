#!/usr/bin/env node
// Prints how often other verifiers agree with the corpus, by class. Usage: run.mjs [--write FILE] [--differences]

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { corpus } from "./index.mjs";
import { verifiers } from "./verifiers.mjs";

const { now, classes, keys, policies, cases } = corpus();
const require = createRequire(import.meta.url);

function versionOf(name) {
  for (let folder = dirname(require.resolve(name)); ; folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (found.name === name) return found.version;
    } catch {
      // Not the package's folder yet.
    }
    if (folder === dirname(folder)) return "";
  }
}

const scores = {};
const titles = {};
for (const [name, create] of Object.entries(verifiers)) {
  const made = await create(now);
  if (made === undefined) continue;
  const { expresses, verify, end, version } = made;
  titles[name] = `${name} ${version ?? versionOf(name)}`;
  const score = (scores[name] = Object.fromEntries(Object.keys(classes).map((one) => [one, { agreed: 0, asked: 0 }])));
  for (const one of cases) {
    const policy = policies[one.policy];
    const text = keys[one.keys ?? policy.keys] ?? "{}";
    if (!expresses(one, policy, text)) continue;
    let verdict = "accept";
    try {
      await verify(one.token, policy, text);
    } catch {
      verdict = "reject";
    }
    score[one.class].asked += 1;
    score[one.class].agreed += Number(verdict === one.verdict);
    if (verdict !== one.verdict && process.argv.includes("--differences")) console.error(`${name}: ${one.id}: ${verdict}`);
  }
  await end?.();
}

const names = Object.keys(scores);
const cell = ({ agreed, asked }) => (asked === 0 ? "–" : `${agreed} / ${asked}`);
const total = (name) => Object.values(scores[name]).reduce((sum, { agreed, asked }) => ({ agreed: sum.agreed + agreed, asked: sum.asked + asked }), { agreed: 0, asked: 0 });
const rows = [
  `| class | cases | edgeward | ${names.map((name) => titles[name]).join(" | ")} |`,
  `|---|---:|---:|${names.map(() => "---:|").join("")}`,
  ...Object.entries(classes).map(([one, { cases: count }]) => `| ${one} | ${count} | ${count} / ${count} | ${names.map((name) => cell(scores[name][one])).join(" | ")} |`),
  `| all | ${cases.length} | ${cases.length} / ${cases.length} | ${names.map((name) => cell(total(name))).join(" | ")} |`,
];
console.log(rows.join("\n"));

const at = process.argv.indexOf("--write");
if (at >= 0) {
  const file = process.argv[at + 1];
  const text = readFileSync(file, "utf8");
  const [from, to] = ["<!-- scores -->\n", "<!-- /scores -->"];
  writeFileSync(file, `${text.slice(0, text.indexOf(from) + from.length)}${rows.join("\n")}\n${text.slice(text.indexOf(to))}`);
}
