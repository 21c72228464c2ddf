// Writes the figures of one run, or of several for comparison, into the generated part of docs/performance.md.
// Usage: `node benches/report.mjs RESULTS.json …`; the first run gives the figures, each run a column of ratios.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { barOf, BUSY, groups, isBusy, memoryLine, number, outcome, verdict } from "./table.mjs";

const PAGE = join(import.meta.dirname, "../docs/performance.md");
const BEGIN = "<!-- Begin of what `make bench` wrote. -->";
const END = "<!-- End of what `make bench` wrote. -->";

export function writeReport(files) {
  const runs = files.map((file) => JSON.parse(readFileSync(file, "utf8")));
  const page = readFileSync(PAGE, "utf8");
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error("docs/performance.md lacks the marks of its generated part");
  writeFileSync(PAGE, `${page.slice(0, from)}${BEGIN}\n\n${section(runs)}\n${page.slice(to)}`);
}

function section(runs) {
  const [{ versions, settings, results }] = runs;
  const list = (names) => Object.entries(names).map(([name, version]) => `${name} ${version}`).join(", ");
  const lines = [
    `${versions.date} · ${versions.cpu}, ${versions.cores} cores, ${versions.system} · Node ${versions.node} (OpenSSL ${versions.openssl}) · rustc ${versions.rustc}`,
    "",
    `npm: ${list(versions.npm)} · crates: ${list(versions.crates)}`,
    "",
    `Medians of ${settings.rounds} rounds; \`ours\` and \`theirs\` are those of the first run.${settings.quick ? " **A quick run, for development only.**" : ""}`,
  ];
  if (runs.some(isBusy)) lines.push("", BUSY);
  const ratios = runs.map((_, i) => (runs.length === 1 ? "ratio" : `ratio, run ${i + 1}`));
  for (const [title, rows] of groups(runs[0])) {
    if (rows.length === 0) continue;
    lines.push("", `### ${title}`, "", `| what | ours | theirs | time | ${ratios.join(" | ")} | bar | met? |`, `|---|--:|--:|---|${ratios.map(() => "--:|").join("")}--:|---|`);
    for (const row of rows) {
      const all = runs.map((run) => outcome(run.results, row));
      const [first] = all;
      const amount = (figure) => (figure ? `${number(figure.middle)} ${row.unit}` : "");
      const raw = row.unit === "KiB" && first.ours ? `(raw ${number(first.ours.raw)} KiB)` : "";
      const compared = (row.theirs ?? []).length > 0;
      const cells = all.map(({ ours, ratio }) => (compared ? number(ratio) : runs.length > 1 ? amount(ours) : ""));
      const verdicts = [...new Set(all.map((one) => verdict(row, one)))];
      const met = verdicts.length === 1 ? verdicts[0] : all.map((one) => verdict(row, one)).join(", ");
      lines.push(`| ${row.what} | ${amount(first.ours)} | ${amount(first.theirs) || raw} | ${first.by} | ${cells.join(" | ")} | ${barOf(row)} | ${met === "missed" ? "**missed**" : met} |`);
    }
  }
  if (results.memory) lines.push("", memoryLine(results.memory));
  return `${lines.join("\n")}\n`;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2);
  writeReport(files.length ? files : [join(import.meta.dirname, "../target/bench/results.json")]);
}
