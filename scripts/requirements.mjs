// Makes docs/requirements.md of tests/requirements.txt: which test proves which statement of a specification. Each test must exist.
//
//   node scripts/requirements.mjs [--check]

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const root = resolve(import.meta.dirname, "..");
const SOURCE = "tests/requirements.txt";
export const TARGET = "docs/requirements.md";

const HEAD = `# Requirements

The statements of the specifications that concern Edgeward, with the tests that prove each, or the reason why it does not apply. Made from
[tests/requirements.txt](../${SOURCE}) by \`node scripts/requirements.mjs\`; \`make test\` checks that it is up to date and that every test exists.
The statements are in our own words; the specification decides.
`;

/** Returns whether the file declares a test of this name. Names of JavaScript tests may have placeholders. */
function declares(text, isRust, name) {
  return isRust ? text.includes(`fn ${name}(`) : ['"', "`", "'"].some((quote) => text.includes(`(${quote}${name}${quote}`));
}

/** Returns the tests of a cell: `[file, name]`. Throws if one does not exist. */
function testsOf(cell, line) {
  return cell.split("; ").flatMap((group) => {
    const [, path, separator, names] = /^(\S+?)(::|: )(.*)$/.exec(group) ?? [];
    if (path === undefined) throw new Error(`${SOURCE}: no test: ${line}`);
    const file = existsSync(join(root, path)) ? path : `tests/${path}`;
    const text = readFileSync(join(root, file), "utf8");
    const isRust = separator === "::";
    const found = [];
    // A name may have commas itself.
    let rest = "";
    for (const part of names.split(", ")) {
      rest = rest === "" ? part : `${rest}, ${part}`;
      if (!declares(text, isRust, rest)) continue;
      found.push([file, rest]);
      rest = "";
    }
    if (rest !== "") throw new Error(`${SOURCE}: ${file} has no test "${rest}"`);
    return found;
  });
}

const cellOf = (text) => text.replaceAll("|", "\\|");
const proofOf = ([file, name]) => `[${cellOf(name.replaceAll("_", " "))}](../${file})`;

/** Returns the text of the document. Throws if a test that it names does not exist. */
export function requirements() {
  const lines = readFileSync(join(root, SOURCE), "utf8").split("\n");
  let text = HEAD;
  let section = "";
  for (const line of lines.filter((line) => line !== "" && !line.startsWith("# "))) {
    const cells = line.split(" | ");
    if (line.startsWith("## ")) {
      text += `\n${cells[0]}\n\n| section | statement | tests |\n|---|---|---|\n`;
      section = cells[0];
      continue;
    }
    if (section === "" || cells.length !== 3 || cells.some((cell) => cell.trim() === "")) throw new Error(`${SOURCE}: no row: ${line}`);
    const [at, statement, proofs] = cells;
    const proof = proofs.startsWith("none: ") ? `does not apply: ${proofs.slice("none: ".length)}` : testsOf(proofs, line).map(proofOf).join(" · ");
    text += `| ${at} | ${cellOf(statement)} | ${proof} |\n`;
  }
  return text;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const text = requirements();
  if (process.argv[2] !== "--check") writeFileSync(join(root, TARGET), text);
  else if (readFileSync(join(root, TARGET), "utf8") !== text) {
    console.error(`${TARGET} is not up to date: node scripts/requirements.mjs`);
    process.exitCode = 1;
  }
}
