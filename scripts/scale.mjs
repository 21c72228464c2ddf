// Writes the tables of docs/scale.md and the plot docs/scale.svg, from the lines of examples/scale.rs on standard input.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";

const docs = join(resolve(import.meta.dirname, ".."), "docs");
const number = (value) => (/^[\d.]+$/.test(value) ? Number(value).toLocaleString("en", { maximumFractionDigits: 1 }) : value);

/** The parts of the simulation: `{ head, rows }` by name. */
function parse(lines) {
  const parts = {};
  let head = [];
  for (const [name, ...cells] of lines.map((line) => line.split(","))) {
    if (name === "part") head = cells;
    else (parts[name] ??= { head, rows: [] }).rows.push(cells);
  }
  return parts;
}

function table({ head, rows }) {
  const row = (cells) => `| ${cells.join(" | ")} |`;
  return [row(head), row(head.map(() => "---")).replaceAll(" ", ""), ...rows.map((cells) => row(cells.map(number)))].join("\n");
}

/** A plot of both axes in powers of ten. `series` has a name and points `[x, y]` each. */
function plot(title, series) {
  const [width, height, left, top, bottom] = [720, 360, 70, 40, 50];
  const xs = series.flatMap(({ points }) => points.map(([x]) => Math.log10(x)));
  const ys = series.flatMap(({ points }) => points.map(([, y]) => Math.log10(y)));
  const [maxX, maxY] = [Math.max(...xs), Math.ceil(Math.max(...ys))];
  const x = (value) => left + (Math.log10(value) / maxX) * (width - left - 180);
  const y = (value) => height - bottom - (Math.max(0, Math.log10(value)) / maxY) * (height - top - bottom);
  const parts = [];
  for (let power = 0; power <= maxY; power += 1) {
    const at = y(10 ** power);
    parts.push(`<line class="grid" x1="${left}" x2="${width - 180}" y1="${at}" y2="${at}"/>`);
    parts.push(`<text x="${left - 8}" y="${at + 4}" text-anchor="end">${number(String(10 ** power))}</text>`);
  }
  for (let power = 0; power <= maxX; power += 1) {
    parts.push(`<text x="${x(10 ** power)}" y="${height - bottom + 20}" text-anchor="middle">${number(String(10 ** power))}</text>`);
  }
  series.forEach(({ name, points }, index) => {
    const path = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    const [lastX, lastY] = points.at(-1);
    parts.push(`<polyline class="s${index}" points="${path}"/>`);
    for (const [a, b] of points) parts.push(`<circle class="s${index}" cx="${x(a).toFixed(1)}" cy="${y(b).toFixed(1)}" r="3"/>`);
    parts.push(`<text class="s${index}" x="${x(lastX) + 10}" y="${y(lastY) + 4}">${name}</text>`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
<style>
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .grid { stroke: #ccc } polyline { fill: none; stroke-width: 2 }
  polyline.s0, circle.s0 { stroke: #0b5fa5 } circle.s0, text.s0 { fill: #0b5fa5 }
  polyline.s1, circle.s1 { stroke: #a5440b } circle.s1, text.s1 { fill: #a5440b }
  @media (prefers-color-scheme: dark) { text { fill: #bbb } .grid { stroke: #444 } polyline.s0, circle.s0 { stroke: #6cb4f0 } circle.s0, text.s0 { fill: #6cb4f0 } polyline.s1, circle.s1 { stroke: #f0a06c } circle.s1, text.s1 { fill: #f0a06c } }
</style>
<text x="${left}" y="22">${title}</text>
${parts.join("\n")}
<text x="${(left + width - 180) / 2}" y="${height - 10}" text-anchor="middle">isolates</text>
</svg>
`;
}

const parts = parse((await text(process.stdin)).trim().split("\n"));
const file = join(docs, "scale.md");
let document = readFileSync(file, "utf8");
for (const [name, part] of Object.entries(parts)) {
  const region = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- end -->)`);
  if (!region.test(document)) throw new Error(`docs/scale.md has no place for ${name}`);
  document = document.replace(region, (_, from, to) => `${from}${table(part)}\n${to}`);
}
writeFileSync(file, document);
const column = parts.keys.head.indexOf("provider per hour");
const points = (edge) => parts.keys.rows.filter((cells) => cells[1] === edge).map((cells) => [Number(cells[0]), Number(cells[column])]);
writeFileSync(
  join(docs, "scale.svg"),
  plot("Requests to the provider for keys, in an hour", [{ name: "with the edge cache", points: points("yes") }, { name: "without", points: points("no") }]),
);
