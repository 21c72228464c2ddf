// The rows: what is compared with what, and the bars of the project's goal.

const us = (ours, theirs, more = {}) => ({ unit: "µs", ours, theirs: [theirs].flat(), ...more });

/**
 * `theirs` may name several: the fastest counts. `bar` is for the ratio, or for the figure itself where there is none; `more` is
 * a bar for the difference.
 */
export const GOALS = [
  { what: "RSA-2048 operation, wasm, Node · `node:crypto` sync verify", ...us("op2048.relaxed", "op2048.node"), bar: 1.0, reach: 0.85 },
  { what: "RSA-2048 operation, wasm, workerd · `crypto.subtle.verify`", ...us("workerd.op.relaxed", "workerd.op.subtle.relaxed"), bar: 1.05, reach: 0.9 },
  { what: "whole token, uncached, Node · fastest of fast-jwt, aws-jwt-verify", ...us("token.edgeward", ["token.fast_jwt", "token.aws_jwt_verify"]), bar: 0.75, reach: 0.5 },
  { what: "whole token, uncached, Node · jose", ...us("token.edgeward", "token.jose"), bar: 0.4, reach: 0.28 },
  { what: "whole token, uncached, workerd · jose", ...us("workerd.token.edgeward", "workerd.token.jose"), bar: 0.85, reach: 0.7 },
  { what: "whole token, cached, Node · fast-jwt, its SHA-256 cache", ...us("cached.edgeward", "cached.fast_jwt.sha256"), bar: 0.5, reach: 0.15 },
  { what: "whole token, PS256 · RS256, both ours", ...us("token.edgeward.ps256", "token.edgeward"), bar: 1.1 },
  { what: "RSA-2048 operation, integer kernel in wasm, Node · `rsa` crate in wasm", ...us("op2048.baseline", "op2048.rsa"), bar: 0.2, reach: 0.12 },
  { what: "RSA-2048 operation, native · `ring`", ...us("native.op2048.edgeward", "native.op2048.ring"), bar: 1.3, reach: 1.0 },
  { what: "RSA-2048 operation, native · `rsa` crate", ...us("native.op2048.edgeward", "native.op2048.rsa"), bar: 0.4 },
  { what: "Worker, CPU per request, distinct tokens · Hono + jose", ...us("cpu.edgeward.distinct", "cpu.hono.distinct"), bar: 0.9, reach: 0.8 },
  { what: "Worker, CPU per request, repeated token · Hono + jose", ...us("cpu.edgeward.repeated", "cpu.hono.repeated"), bar: 0.75, reach: 0.65 },
  { what: "Worker, CPU per request with a session cookie · with a repeated token: so much more", ...us("cpu.login.session", "cpu.login.repeated", { more: 15 }) },
  { what: "Worker, CPU per request, distinct tokens bound to a key, with proofs of ES256 · bearer tokens", ...us("cpu.dpop.distinct", "cpu.edgeward.distinct"), bar: 2.2 },
  { what: "Worker, CPU per request, repeated token, with log and metrics · without: so much more", ...us("cpu.recorded.repeated", "cpu.edgeward.repeated", { more: 3 }) },
  { what: "Worker, CPU per request, 300 routes · 10 routes", ...us("cpu.routes.300", "cpu.routes.10"), bar: 1.2 },
  { what: "Worker, CPU per request, 3,000 routes · 10 routes", ...us("cpu.routes.3000", "cpu.routes.10"), bar: 1.2 },
  { what: "Worker, CPU per request, distinct tokens, 1,000 issuers · 10 issuers", ...us("cpu.issuers.1000", "cpu.issuers.10"), bar: 1.2 },
  { what: "sealing a session of 2 KiB, wasm, Node", ...us("session.seal", []), bar: 40 },
  { what: "opening a session of 2 KiB, wasm, Node", ...us("session.open", []), bar: 40 },
  { what: "npm verifier, gzip: relaxed-SIMD wasm + glue", unit: "KiB", ours: "size.npm.relaxed", bar: 72, reach: 60 },
  { what: "npm verifier, gzip: baseline wasm + glue", unit: "KiB", ours: "size.npm.baseline", bar: 72, reach: 60 },
  { what: "Worker, gzip, all", unit: "KiB", ours: "size.worker", bar: 195, reach: 120 },
  { what: "compile, instantiate, first verification, fresh Node process", unit: "ms", ours: "start.relaxed.first", bar: 5, reach: 2 },
];

const scaling = (bits) => [
  { what: `RSA-${bits} operation, wasm, Node · \`node:crypto\``, ...us(`op${bits}.relaxed`, `op${bits}.node`) },
  { what: `RSA-${bits} operation, integer kernel in wasm, Node · \`node:crypto\``, ...us(`op${bits}.baseline`, `op${bits}.node`) },
  { what: `RSA-${bits} operation, native · \`ring\``, ...us(`native.op${bits}.edgeward`, `native.op${bits}.ring`) },
];

/** For information. */
export const ROWS = [
  { what: "RSA-2048 operation, wasm, Node · `crypto.subtle.verify`", ...us("op2048.relaxed", "op2048.subtle") },
  { what: "RSA-2048 operation, integer kernel in wasm, Node · `node:crypto`", ...us("op2048.baseline", "op2048.node") },
  { what: "RSA-2048 operation, integer kernel in wasm, Node · next `rsa` crate in wasm", ...us("op2048.baseline", "op2048.rsa_next") },
  { what: "RSA-2048 operation, integer kernel in wasm, workerd · `crypto.subtle.verify`", ...us("workerd.op.baseline", "workerd.op.subtle.baseline") },
  { what: "RSA-2048 operation, wasm, Node with `--wasm-enforce-bounds-checks` · `node:crypto`", ...us("bounds2048.relaxed", "bounds2048.node") },
  { what: "RSA-2048 operation, wasm, PSS · PKCS#1 v1.5, both ours", ...us("op2048.pss", ["op2048.relaxed"]) },
  { what: "RSA-2048 operation, native · next `rsa` crate", ...us("native.op2048.edgeward", "native.op2048.rsa_next") },
  { what: "RSA-8192 operation, wasm, Node · RSA-2048, both ours", ...us("op8192.relaxed", "op2048.relaxed"), bar: 20 },
  ...[3072, 4096, 8192].flatMap(scaling),
  { what: "whole token, uncached, Node · fast-jwt", ...us("token.edgeward", "token.fast_jwt") },
  { what: "whole token, uncached, Node · aws-jwt-verify", ...us("token.edgeward", "token.aws_jwt_verify") },
  { what: "whole token, uncached, Node · hono/jwt with a key set", ...us("token.edgeward", "token.hono") },
  { what: "whole token, uncached, Node, integer kernel · fastest of fast-jwt, aws-jwt-verify", ...us("token.baseline", ["token.fast_jwt", "token.aws_jwt_verify"]) },
  { what: "whole token, cached, Node · fast-jwt, its cache keyed by the text", ...us("cached.edgeward", "cached.fast_jwt.text") },
  { what: "whole token, cached, workerd", ...us("workerd.cached.edgeward", []) },
  { what: "whole token, native · `jsonwebtoken` with aws-lc-rs", ...us("native.rs256.edgeward", "native.rs256.jsonwebtoken") },
  { what: "whole token, native, PS256 · RS256, both ours", ...us("native.ps256.edgeward", "native.rs256.edgeward") },
  { what: "whole token, native, cached", ...us("native.cached.edgeward", []) },
  { what: "Worker, CPU per request, distinct tokens · a Worker that does nothing", ...us("cpu.edgeward.distinct", "cpu.hello") },
  { what: "Worker, CPU per request, repeated token · a Worker that does nothing", ...us("cpu.edgeward.repeated", "cpu.hello") },
  { what: "a Worker that does nothing, CPU per request with a session cookie · with a repeated token", ...us("cpu.hello.session", "cpu.hello.repeated") },
  { what: "a Worker that only logs a line, CPU per request · one that does nothing", ...us("cpu.log", "cpu.hello.repeated") },
  { what: "Worker as `worker.js` wraps it, CPU per request, distinct tokens · Hono + jose", ...us("cpu.deployed.distinct", "cpu.hono.distinct") },
  { what: "Worker as `worker.js` wraps it, CPU per request, repeated token · Hono + jose", ...us("cpu.deployed.repeated", "cpu.hono.repeated") },
  { what: "Worker, CPU per request, 200 protected routes, the costliest of 20 URLs of 15,000 characters · a plain URL", ...us("cpu.url.worst", "cpu.url.plain") },
  { what: "compile, instantiate, first verification, baseline wasm, fresh Node process", unit: "ms", ours: "start.baseline.first" },
  { what: "import of the package and first verification, fresh Node process · jose", unit: "ms", ours: "start.edgeward", theirs: ["start.jose"] },
  { what: "import of the package and first verification, fresh Node process · fast-jwt", unit: "ms", ours: "start.edgeward", theirs: ["start.fast_jwt"] },
  { what: "npm verifier, gzip: glue alone", unit: "KiB", ours: "size.npm.glue" },
  { what: "npm package, gzip: the entry with both builds inside", unit: "KiB", ours: "size.npm.inline" },
];

const HOSTILE_BAR = 50;

/** The rows of hostile tokens that a run has. */
export const hostileRows = (results) =>
  Object.keys(results)
    .filter((id) => id.startsWith("hostile.edgeward."))
    .map((id) => ({ what: `refused before RSA: ${id.slice("hostile.edgeward.".length)}`, unit: "µs", ours: id, bar: HOSTILE_BAR }));

const SCALE = { "µs": 1, ms: 1e-3, KiB: 1 / 1024 };

/** A figure of a row in the row's unit: `{ middle, low }`, by the clock or of CPU time. */
function figure(found, unit, cpu) {
  if (unit === "KiB") return { middle: found.gzip / 1024, low: found.gzip / 1024, raw: found.raw / 1024 };
  const { median, min } = cpu ? found.cpu : found;
  return { middle: median * SCALE[unit], low: min * SCALE[unit] };
}

/**
 * What a row comes to in one run. CPU time is compared where both sides have it, that is, where both work in the thread that
 * calls them; otherwise, time by the clock.
 */
export function outcome(results, row) {
  const found = [row.ours, ...(row.theirs ?? [])].map((id) => results[id]).filter(Boolean);
  const cpu = found.every((one) => one.cpu !== undefined);
  const ours = results[row.ours] && figure(results[row.ours], row.unit, cpu);
  const theirs = (row.theirs ?? [])
    .filter((id) => results[id])
    .map((id) => figure(results[id], row.unit, cpu))
    .sort((a, b) => a.middle - b.middle)[0];
  const compared = (row.theirs ?? []).length > 0;
  const ratio = ours && theirs ? ours.middle / theirs.middle : undefined;
  const ratioOfLows = ours && theirs ? ours.low / theirs.low : undefined;
  const difference = ours && theirs ? ours.middle - theirs.middle : undefined;
  const bar = row.more ?? row.bar;
  const judged = row.more !== undefined ? difference : compared ? ratio : ours?.middle;
  const by = row.unit === "KiB" || !ours ? "" : cpu ? "CPU" : "clock";
  return { ours, theirs, ratio, ratioOfLows, by, met: bar === undefined || judged === undefined ? undefined : judged <= bar };
}

export const number = (value) => (value === undefined ? "" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const amount = (figure, unit) => (figure === undefined ? "" : `${number(figure.middle)} ${unit}`);

export function verdict(row, { ours, theirs, met }) {
  if (!ours) return "not built";
  if ((row.theirs ?? []).length > 0 && !theirs) return "no comparison";
  return met === undefined ? "" : met ? "yes" : "missed";
}

export const barOf = (row) => row.more !== undefined ? `≤ +${row.more} ${row.unit}` : (row.bar === undefined ? "" : `≤ ${row.bar}${(row.theirs ?? []).length ? "" : ` ${row.unit}`}`);

/** All rows of a run, grouped; of a run of some parts only, the rows it measured. */
export function groups({ results, settings }) {
  const all = [
    ["Bars", GOALS],
    ["Refusals, through the npm package on Node", hostileRows(results)],
    ["For information", ROWS],
  ];
  const kept = (row) => !settings.partial || row.ours in results;
  return all.map(([title, rows]) => [title, rows.filter(kept)]);
}

/** Whether other programs had so much of the machine that times by the clock are rough. */
export const isBusy = ({ versions, settings }) => settings.load > versions.cores / 2;
export const BUSY = "Other programs kept the machine busy: figures by the clock are rough.";

/** The table for people, in plain text. */
export function table(run) {
  const { versions, settings, results } = run;
  const lines = [`${versions.cpu}, ${versions.cores} cores · Node ${versions.node} · workerd ${versions.npm.workerd} · rustc ${versions.rustc} · ${versions.date}`];
  lines.push(`Medians of ${settings.rounds} rounds taken in turns${settings.quick ? "; a QUICK run, for development only" : ""}. "low" is the ratio of the fastest rounds; "time" is CPU time where both sides work in one thread, else by the clock.`);
  if (isBusy(run)) lines.push(BUSY);
  for (const [title, rows] of groups(run)) {
    const cells = rows.map((row) => {
      const result = outcome(results, row);
      const raw = row.unit === "KiB" && result.ours ? `raw ${number(result.ours.raw)}` : "";
      return [
        row.what.replaceAll("`", ""), amount(result.ours, row.unit), amount(result.theirs, row.unit) || raw, number(result.ratio),
        number(result.ratioOfLows), result.by, barOf(row), verdict(row, result),
      ];
    });
    if (cells.length === 0) continue;
    const all = [["what", "ours", "theirs", "ratio", "low", "time", "bar", "met?"], ...cells];
    const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
    lines.push("", title);
    for (const row of all) lines.push(`  ${row.map((cell, i) => (i === 0 || i === 7 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ").trimEnd()}`);
  }
  if (results.memory) lines.push("", memoryLine(results.memory));
  return `${lines.join("\n")}\n`;
}

export function memoryLine({ calls, before, after }) {
  const grown = after - before;
  return `Memory of the wasm instance over ${calls.toLocaleString("en")} verifications: ${before / 1024} KiB before, ${after / 1024} KiB after: ${grown === 0 ? "flat" : `grown by ${grown / 1024} KiB`}.`;
}
