// `make bench`: runs every part, one after the other, prints the table and keeps the figures as JSON.
// Usage: `node benches/run.mjs [--json FILE] [--report] [PART …]`, see scripts/bench.sh, which builds what this needs.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { asJson, common, operations, tokens } from "./inputs.mjs";
import { median, quick, ROUND_MS, ROUNDS } from "./measure.mjs";
import { table } from "./table.mjs";
import { writeReport } from "./report.mjs";

const ROOT = resolve(import.meta.dirname, "..");
const BUILT = resolve(process.env.BENCH_BUILT ?? join(ROOT, "target/bench"));
const PARTS = ["sizes", "operation", "bounds", "tokens", "cached", "hostile", "session", "start", "workerd", "cpu", "growth", "native", "memory"];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string", default: join(BUILT, "results.json") }, report: { type: "boolean", default: false } },
});
for (const part of positionals) {
  if (!PARTS.includes(part)) throw new Error(`there is no part named ${part}; there are: ${PARTS.join(", ")}`);
}
const wanted = positionals.length ? positionals : PARTS;

const scratch = mkdtempSync(join(tmpdir(), "edgeward-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** What was measured: `{ median, min, rounds, cpu: { median, min, rounds } }` in microseconds, or other numbers, by id. */
const results = {};
const native = join(BUILT, "native");
const wasm = benchModules();
// What is measured is copied first: a build at the same time does not disturb a run.
const consumer = consumerOfPackage();
const site = deployedSite();
const entries = consumer ? { edgeward: join(consumer, "index.mjs"), baseline: join(consumer, "baseline.mjs") } : {};
const settings = JSON.stringify({ wasm, entries });

const parts = {
  sizes,
  operation: () => child("node.mjs", ["operation", settings]),
  bounds: () => child("node.mjs", ["bounds", settings], ["--wasm-enforce-bounds-checks"]),
  tokens: () => child("node.mjs", ["tokens", settings]),
  cached: () => child("node.mjs", ["cached", settings]),
  hostile: () => child("node.mjs", ["hostile", settings]),
  session: () => child("node.mjs", ["session", settings]),
  start,
  workerd: () => child("workerd.mjs", [JSON.stringify({ wasm, consumer })]),
  cpu: () => child("cpu.mjs", [JSON.stringify({ site })]),
  growth: () => child("cpu.mjs", [JSON.stringify({ site, growth: true })]),
  native: nativeTimes,
  memory: () => entries.edgeward && child("node.mjs", ["memory", settings]),
};

const began = Date.now();
const busy = await otherLoad();
process.stderr.write(`bench: load ${busy.toFixed(1)} on ${cpus().length} cores\n`);
const failed = [];
for (const part of wanted) {
  process.stderr.write(`bench: ${part}\n`);
  try {
    await parts[part]();
  } catch (error) {
    process.stderr.write(`bench: ${part} failed: ${error.message}\n`);
    failed.push(part);
  }
}

const seconds = Math.round((Date.now() - began) / 1000);
const run = { versions: versions(), settings: { rounds: ROUNDS, quick, partial: wanted !== PARTS, load: busy, seconds }, results };
mkdirSync(dirname(resolve(options.json)), { recursive: true });
writeFileSync(options.json, `${JSON.stringify(run, null, 1)}\n`);
process.stdout.write(table(run));
process.stderr.write(`bench: ${seconds} s; the figures are in ${options.json}\n`);
if (failed.length > 0) {
  // Missed bars are results; a part that broke is not.
  process.stderr.write(`bench: failed: ${failed.join(", ")}\n`);
  process.exitCode = 1;
} else if (options.report) {
  writeReport([options.json]);
}

/** The bench module of each build that exists. The fast one counts only if the fused operation is really in it. */
function benchModules() {
  const found = {};
  for (const name of ["relaxed", "baseline"]) {
    const folder = join(BUILT, `wasm-${name}`);
    const file = join(folder, "bench_wasm_bg.wasm");
    if (!existsSync(file)) continue;
    // f64x2.relaxed_madd
    if (name === "relaxed" && !readFileSync(file).includes(Buffer.from([0xfd, 0x87, 0x02]))) continue;
    found[name] = folder;
  }
  return found;
}

/** A project that has the npm package installed as users have it; undefined while the package is not built. */
function consumerOfPackage() {
  const pkg = join(ROOT, "pkg");
  if (!existsSync(join(pkg, "dist/inline.js"))) return undefined;
  const folder = join(scratch, "consumer");
  for (const part of ["package.json", "dist"]) {
    cpSync(join(pkg, part), join(folder, "node_modules/edgeward", part), { recursive: true });
  }
  writeFileSync(join(folder, "index.mjs"), 'export * from "edgeward";\n');
  writeFileSync(join(folder, "slim.mjs"), 'export * from "edgeward/slim";\n');
  writeFileSync(
    join(folder, "baseline.mjs"),
    `import { readFileSync } from "node:fs";
import { initSync } from "edgeward/slim";
initSync(readFileSync(new URL(import.meta.resolve("edgeward/verifier.wasm"))));
export * from "edgeward/slim";
`,
  );
  return folder;
}

/** The built Worker and what wrangler wraps it in; undefined while it is not built. */
function deployedSite() {
  if (!existsSync(join(ROOT, "build/index_bg.wasm"))) return undefined;
  const folder = join(scratch, "site");
  for (const part of ["build", "worker.js", "edgeward.json"]) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  return folder;
}

/** Runs a part in a process of its own and takes in the lines it prints. */
async function child(script, given, flags = []) {
  await lines(process.execPath, ["--no-warnings", ...flags, join(import.meta.dirname, script), ...given]);
}

async function lines(command, given) {
  const process_ = spawn(command, given, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve, reject) => process_.once("exit", resolve).once("error", reject));
  for await (const line of createInterface({ input: process_.stdout })) take(JSON.parse(line));
  const code = await ended;
  if (code !== 0) throw new Error(`${[command, ...given].join(" ").slice(0, 100)} failed (${code})`);
}

function take({ id, us, cpu = [], ...rest }) {
  const summary = (values) => ({ median: median(values), min: Math.min(...values), rounds: values.length });
  results[id] = us ? { ...summary(us), ...(cpu.length > 0 && { cpu: summary(cpu) }) } : rest;
}

async function nativeTimes() {
  if (!existsSync(native)) return;
  const file = join(scratch, "native.json");
  const input = { ...common, keys: operations().map(asJson), rs256: tokens("RS256", 64), ps256: tokens("PS256", 64) };
  writeFileSync(file, JSON.stringify(input));
  // Short rounds, and many: most of them fit between two interruptions.
  await lines(native, [file, String(ROUNDS * 5), String(Math.ceil(ROUND_MS / 5))]);
}

/** The first verification of a fresh process, contenders in turns. */
async function start() {
  const file = (name, more) => {
    writeFileSync(join(scratch, name), JSON.stringify({ ...common, token: tokens("RS256", 1)[0], ...more }));
    return join(scratch, name);
  };
  const given = file("start.json");
  const contenders = { jose: ["jose", "", given], fast_jwt: ["fast_jwt", "", given] };
  if (consumer) {
    const instance = (module) => ["instance", join(consumer, "slim.mjs"), file(`${module}.json`, { wasm: join(consumer, "node_modules/edgeward/dist", module) })];
    contenders.edgeward = ["edgeward", entries.edgeward, given];
    contenders.relaxed = instance("verifier_simd.wasm");
    contenders.baseline = instance("verifier.wasm");
  }
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, args] of Object.entries(contenders)) {
      const printed = execFileSync(process.execPath, [join(import.meta.dirname, "start.mjs"), ...args], { encoding: "utf8" });
      times[name].push(JSON.parse(printed));
    }
  }
  for (const [name, rounds] of Object.entries(times)) {
    take({ id: `start.${name}`, us: rounds.map(({ load, first }) => (load + first) * 1_000) });
    take({ id: `start.${name}.first`, us: rounds.map(({ first }) => first * 1_000) });
  }
}

/** Bytes, raw and gzipped (level 9). */
function sizes() {
  const size = (...files) => ({
    raw: files.reduce((sum, bytes) => sum + bytes.length, 0),
    gzip: files.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0),
  });
  const note = (id, folder, ...files) => {
    if (folder) take({ id, ...size(...files.map((file) => readFileSync(join(folder, file)))) });
  };
  const dist = consumer && join(consumer, "node_modules/edgeward/dist");
  note("size.npm.relaxed", dist, "slim.js", "verifier_simd.wasm");
  note("size.npm.baseline", dist, "slim.js", "verifier.wasm");
  note("size.npm.glue", dist, "slim.js");
  note("size.npm.inline", dist, "inline.js");
  note("size.worker", site && join(site, "build"), "index.js", "index_bg.wasm");
}

/** How many cores other programs keep busy, over two seconds of our own idleness: the load average would count the build before the run. */
async function otherLoad() {
  const times = () => cpus().reduce(
    (sum, { times: { idle, ...busy } }) => ({ idle: sum.idle + idle, busy: sum.busy + Object.values(busy).reduce((a, b) => a + b) }),
    { idle: 0, busy: 0 },
  );
  const before = times();
  await sleep(2_000);
  const after = times();
  const busy = after.busy - before.busy;
  return (cpus().length * busy) / (busy + after.idle - before.idle);
}

function versions() {
  const npm = (name) => JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
  const crates = readFileSync(join(import.meta.dirname, "Cargo.lock"), "utf8");
  const crate = (name) => [...crates.matchAll(new RegExp(`^name = "${name}"\nversion = "(.*)"$`, "gm"))].map(([, version]) => version).join(", ");
  const tool = (name) => {
    try {
      return execFileSync(name, ["--version"], { encoding: "utf8" }).match(/\d+\.\d+\.\d+/)?.[0];
    } catch {
      return undefined;
    }
  };
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0].model.trim(),
    cores: cpus().length,
    system: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
    rustc: tool("rustc"),
    npm: Object.fromEntries(["workerd", "jose", "fast-jwt", "aws-jwt-verify", "hono", "autocannon"].map((name) => [name, npm(name)])),
    crates: Object.fromEntries(["rsa", "ring", "jsonwebtoken", "aws-lc-rs"].map((name) => [name, crate(name)])),
  };
}
