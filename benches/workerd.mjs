// The rows in workerd, timed from outside, because its clock stands still within a request: a request does so many
// verifications, and one that does none is subtracted. Usage: `node benches/workerd.mjs SETTINGS`.

import { join } from "node:path";
import { asJson, common, operations, tokens } from "./inputs.mjs";
import { emit, median, quick, ROUNDS } from "./measure.mjs";
import { bundle, startRuntime } from "./runtime.mjs";

const { wasm, consumer } = JSON.parse(process.argv[2]);
const REQUEST_MS = quick ? 15 : 40;
const source = (name) => join(import.meta.dirname, "workers", name);

/** Times what a Worker does for each of `names` (`who` by id), in turns: by the clock, and its process's CPU time. */
async function race(worker, names) {
  const ask = async (who, times) => {
    const before = worker.cpuTime();
    const start = performance.now();
    const response = await fetch(`${worker.url}/?who=${who}&times=${times}`);
    const good = await response.text();
    const took = performance.now() - start;
    if (response.status !== 200 || Number(good) !== times) throw new Error(`${who}: ${response.status} ${good.slice(0, 200)}`);
    return { took, cpu: before === undefined ? NaN : (worker.cpuTime() - before) / 1e3 };
  };
  const timed = Object.entries(names).map(([id, who]) => ({ id, who, times: 1, us: [], cpu: [] }));
  for (const one of timed) {
    // Long enough for the engine to optimise, then as many as fill a request.
    for (let took = 0, warm = 0; warm < 8; warm += took > REQUEST_MS / 2) {
      ({ took } = await ask(one.who, one.times));
      if (took < REQUEST_MS / 2) one.times *= 2;
      else one.times = Math.max(1, Math.round((one.times * REQUEST_MS) / took));
    }
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < timed.length; turn += 1) {
      const one = timed[(turn + round) % timed.length];
      const empty = [];
      for (let i = 0; i < 5; i += 1) empty.push(await ask(one.who, 0));
      const full = await ask(one.who, one.times);
      const net = (what) => ((full[what] - median(empty.map((one) => one[what]))) * 1_000) / one.times;
      one.us.push(net("took"));
      if (!Number.isNaN(full.cpu)) one.cpu.push(net("cpu"));
    }
  }
  for (const { id, us, cpu } of timed) emit({ id, us, cpu });
}

const [operation] = operations();
for (const [name, folder] of Object.entries(wasm)) {
  const modules = await bundle(source("operation.js"), { alias: { "bench-wasm": folder } });
  const worker = await startRuntime(modules, { INPUT: asJson(operation) });
  try {
    await race(worker, { [`workerd.op.${name}`]: "edgeward", [`workerd.op.subtle.${name}`]: "subtle" });
  } finally {
    await worker.stop();
  }
}

if (consumer) {
  const modules = await bundle(source("token.js"), { nodePaths: [join(consumer, "node_modules")] });
  const values = tokens("RS256", 64).map((token) => `Bearer ${token}`);
  const worker = await startRuntime(modules, { INPUT: { ...common, values } });
  try {
    await race(worker, {
      "workerd.token.edgeward": "edgeward",
      "workerd.token.jose": "jose",
      "workerd.cached.edgeward": "edgeward-cached",
    });
  } finally {
    await worker.stop();
  }
}
