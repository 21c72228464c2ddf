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

/** Returns the tests of a cell of `source`: `[file, name]`. Throws if one does not exist. */
function testsOf(cell, source) {
  return cell.split("; ").flatMap((group) => {
    const [, path, separator, names] = /^(\S+?)(::|: )(.*)$/.exec(group) ?? [];
    if (path === undefined) throw new Error(`${source}: no test: ${cell}`);
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
    if (rest !== "") throw new Error(`${source}: ${file} has no test "${rest}"`);
    return found;
  });
}

export const cellOf = (text) => text.replaceAll("|", "\\|");
const proofOf = ([file, name]) => `[${cellOf(name.replaceAll("_", " "))}](../${file})`;

/** Returns the text of a cell of `source` with tests, or with the reason why there are none. */
export const proofsOf = (cell, source, without) =>
  cell.startsWith("none: ") ? without + cell.slice("none: ".length) : testsOf(cell, source).map(proofOf).join(" · ");

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
    text += `| ${at} | ${cellOf(statement)} | ${proofsOf(proofs, SOURCE, "does not apply: ")} |\n`;
  }
  return text;
}

/** Writes a document, or with `--check` compares it, if `script` is what runs. */
export function main(script, target, make) {
  if (script !== pathToFileURL(process.argv[1] ?? "").href) return;
  const text = make();
  if (process.argv[2] !== "--check") writeFileSync(join(root, target), text);
  else if (readFileSync(join(root, target), "utf8") !== text) {
    console.error(`${target} is not up to date: node ${process.argv[1]}`);
    process.exitCode = 1;
  }
}

main(import.meta.url, TARGET, requirements);
