// Makes docs/faults.md of tests/faults.txt: what happens when something that the gateway depends on fails, and the tests of each fault.
// Each test must exist.
//
//   node scripts/faults.mjs [--check]

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cellOf, main, proofsOf } from "./requirements.mjs";

const SOURCE = "tests/faults.txt";
export const TARGET = "docs/faults.md";

const HEAD = `# Faults

What happens when something that the gateway depends on fails: to requests with a bearer token, to requests with a session, and to logins, callbacks and
refreshes; each when an instance has just started (cold), and when it has been at work (warm). The tests assert the status, the code and the headers, the number of requests
to the provider, and that everything works again once the fault has ended. Made from [tests/faults.txt](../${SOURCE}) by
\`node scripts/faults.mjs\`; \`make test\` checks that it is up to date and that every test exists. Many faults at once, in any order, are tested by the simulation and
the other long runs in [assurance.md](assurance.md).

Common to all: https only, no redirects followed, 3 s for each attempt, one more attempt after a network error, documents of 512 KiB at most, a pause of 1 to 30 s
after a failure or as long as the provider asks for (5 minutes at most). The last good keys are used for a day. Nothing is ever accepted because it cannot be checked.
`;

/** Returns the text of the document. Throws if a test that it names does not exist. */
export function faults() {
  const lines = readFileSync(join(resolve(import.meta.dirname, ".."), SOURCE), "utf8").split("\n");
  let text = HEAD;
  let name = "";
  let rows = 0;
  const end = () => {
    if (name !== "" && rows === 0) throw new Error(`${SOURCE}: no rows: ${name}`);
  };
  for (const line of lines.filter((line) => line !== "" && !line.startsWith("# "))) {
    if (line.startsWith("## ")) {
      end();
      [name, rows] = [line, 0];
      text += `\n${line}\n\n| requests | what happens | tests, cold | tests, warm |\n|---|---|---|---|\n`;
      continue;
    }
    const cells = line.split(" | ");
    if (cells.length === 2 && cells[1].startsWith("none: ")) cells.push("none: –", "none: –");
    if (name === "" || cells.length !== 4 || cells.some((cell) => cell.trim() === "")) throw new Error(`${SOURCE}: no row: ${line}`);
    const [requests, what, cold, warm] = cells;
    const statement = what.replace(/^none: /, "Does not apply: ");
    // `same` stands for the tests of the cell before it, which make both.
    const proofs = [cold, warm].map((cell) => (cell === "same" ? "the same" : proofsOf(cell, SOURCE, "")));
    text += `| ${requests} | ${cellOf(statement)} | ${proofs.join(" | ")} |\n`;
    rows += 1;
  }
  end();
  return text;
}

main(import.meta.url, TARGET, faults);
