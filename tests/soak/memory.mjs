// Steady mixed traffic for a long time: the memory of the runtime must not grow. Tokens, sessions, logins and logouts are always new, so
// that every cache of the gateway is filled to its bound and turned over. A second runtime gets the same requests, for comparison: a Worker
// that only forwards (control.mjs).

import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { WebSocket } from "ws";
import { Cancelled } from "./client.mjs";
import { control, PairedConnection } from "./control.mjs";
import { random } from "./random.mjs";
import { startBareRuntime } from "./runtime.mjs";
import { COOKIE, HOST, inLanes, NAVIGATION, startSoakSite } from "./site.mjs";
import { drift, mean, slope } from "./statistics.mjs";
import { delay } from "../node/support/http.mjs";
import { wasmMemories, withMemory } from "../node/support/memory.mjs";

/** The samples before this share of the run are those of caches that fill, and of allocators that find their size. */
const WARM_UP = 1 / 2;
/** The samples are averaged in so many blocks: neighbours resemble each other. */
const BLOCKS = 20;

const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1);

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.seconds
 * @param {number} [options.rate]   requests in a second, a logout with its login counting as one; `Infinity` for as many as are answered
 * @param {number} [options.users]
 * @param {boolean} [options.judged] whether a slope is a failure; short runs are all warm-up
 * @param {(line: string) => void} [options.progress] gets a line each minute
 */
export async function memory({ seed, seconds, rate = 400, users: userCount = 600, judged = true, progress = () => {} }) {
  const site = await startSoakSite({ start: startBareRuntime, worker: { source: await withMemory() } });
  const failures = [];
  let controlRuntime;
  try {
    controlRuntime = await startBareRuntime({ source: control(site.origin.url) });
    site.connect = () => new PairedConnection(site.worker.port, controlRuntime.port);
    site.lean.life = 60;
    const users = Array.from({ length: userCount }, (_, index) => site.user(`user-${index}`));
    await inLanes(site, userCount, 8, (index, connection) => site.logIn(users[index], connection));
    const samples = [];
    const counts = { requests: 0, logins: 0, logouts: 0, refused: 0, cancelled: 0 };
    const began = Date.now();
    let minutes = 0;
    const sample = async () => {
      const wasm = await wasmMemories(site.worker);
      const usage = await collect(site.worker.inspectorPort);
      const controlUsage = await collect(controlRuntime.inspectorPort);
      if (!usage || !controlUsage) return;
      const taken = {
        at: (Date.now() - began) / 60_000, instances: wasm.length, wasm: wasm.reduce((sum, bytes) => sum + bytes, 0), heap: usage.usedSize,
        resident: anonymousBytes(site.worker.pid), control: anonymousBytes(controlRuntime.pid),
      };
      samples.push(taken);
      if (taken.at < minutes + 1) return;
      minutes = Math.floor(taken.at);
      const parts = ["wasm", "heap", "resident", "control"].filter((name) => taken[name] !== undefined);
      progress(`${minutes} of ${seconds / 60} minutes, ${counts.requests} requests: ${parts.map((name) => `${name} ${mebibytes(taken[name])} MiB`).join(", ")}`);
    };

    const lanes = 16;
    const traffic = inLanes(site, lanes, lanes, async (lane, connection) => {
      const rng = random(seed, lane);
      // Each lane has users of its own: a logout does not meet requests of the same session.
      const own = users.filter((_, index) => index % lanes === lane);
      for (let number = 0; Date.now() - began < seconds * 1000; number += 1) {
        const due = began + (number * lanes * 1000) / rate;
        if (due > Date.now()) await delay(due - Date.now());
        const wrong = await turn(site, rng, own, connection, counts).catch((error) => error.message);
        if (wrong && failures.length < 20) failures.push(wrong);
        counts.requests += 1;
      }
    });
    const every = Math.max(200, Math.min(5000, (seconds * 1000) / 200));
    for (let due = began; Date.now() - began < seconds * 1000; due += every) {
      await sample();
      await delay(Math.max(0, due + every - Date.now()));
    }
    await traffic;

    if (samples.length < 3) throw new Error("the memory of the runtime could not be read");
    const steady = samples.filter(({ at }) => at >= samples.at(-1).at * WARM_UP);
    if (judged && steady.length < BLOCKS) failures.push(`${samples.length} samples are too few for a slope`);
    const trend = (name, estimate) => {
      if (steady[0][name] === undefined) return null;
      const count = Math.min(BLOCKS, steady.length);
      const blocks = Array.from({ length: count }, (_, index) => steady.slice((index * steady.length) / count, ((index + 1) * steady.length) / count));
      const fit = estimate(blocks.map((block) => mean(block.map(({ at }) => at))), blocks.map((block) => mean(block.map((one) => one[name])) / 1024));
      return Object.fromEntries(Object.entries(fit).map(([name, value]) => [name, Number(value.toFixed(2))]));
    };
    const trends = { heap: trend("heap", slope), resident: trend("resident", drift), control: trend("control", drift) };
    const text = (name) => {
      const fit = trends[name];
      return `${mebibytes(mean(steady.map((one) => one[name])))} MiB, ${fit.slope} KiB a minute (${fit.low} to ${fit.high})`;
    };
    const wasm = { first: samples[0].wasm, steady: steady[0].wasm, last: samples.at(-1).wasm };
    if (judged && wasm.last > wasm.steady) failures.push(`wasm memory grew from ${wasm.steady} to ${wasm.last} bytes after the warm-up`);
    if (samples.at(-1).instances !== 1) failures.push(`${samples.at(-1).instances} wasm instances: one has trapped`);
    for (const name of ["heap", "resident"]) {
      if (judged && trends[name]?.low > 0) failures.push(`${name} memory grows: ${text(name)}`);
    }
    const wasmText = `${mebibytes(wasm.last)} MiB, ${wasm.last > wasm.steady ? "growing" : "the same since the warm-up"}`;
    const processText = trends.resident ? `the process ${text("resident")}; the control ${text("control")}` : "the memory of a process cannot be read here";
    return {
      seconds: Math.round((Date.now() - began) / 1000), perSecond: Math.round((counts.requests * 1000) / (Date.now() - began)), ...counts,
      samples: samples.length, wasm, ...trends, failures,
      prose: `${counts.requests} requests: wasm memory ${wasmText}; heap ${text("heap")}; ${processText}`,
    };
  } finally {
    await Promise.all([site.stop(), controlRuntime?.stop()]);
  }
}

/** One request, or a login or logout. Returns what is wrong with it. */
async function turn(site, rng, users, connection, counts) {
  const user = rng.pick(users);
  const choice = rng.below(100);
  const expect = (answer, status) => (answer.status === status ? undefined : `${answer.status} instead of ${status}: ${answer.text.slice(0, 200)}\n${site.worker.logText.slice(-500)}`);
  if (choice < 5) {
    const answer = await connection.request({ target: "/logout", headers: { ...user.withSession, ...NAVIGATION, "sec-fetch-site": "same-origin" } });
    user.receive(answer);
    counts.logouts += 1;
    await site.logIn(user, connection);
    counts.logins += 1;
    return expect(answer, 200) ?? (user.cookies.has(COOKIE) ? undefined : "no session");
  }
  if (choice < 7) {
    // A login that is not continued.
    counts.logins += 1;
    return expect(await connection.request({ target: "/login", headers: { host: HOST, ...NAVIGATION } }), 302);
  }
  if (choice < 25) {
    // Unknown keys, broken tokens, wrong audiences, forged signatures: none is the same twice.
    const token = site.issuer.token({ claims: { sub: user.id } });
    const [header, payload] = token.split(".");
    const bad = [
      () => site.issuer.token({ header: { kid: `unknown-${rng.below(1e9)}` } }),
      () => `${token}A`,
      () => `${header}.${payload}.${Buffer.alloc(256, rng.below(256)).toString("base64url")}`,
      () => site.issuer.token({ claims: { aud: `https://other-${rng.below(1e9)}.example.com` } }),
    ];
    counts.refused += 1;
    return expect(await connection.request({ target: "/app/x", headers: { host: HOST, authorization: `Bearer ${rng.pick(bad)()}` } }), 401);
  }
  if (choice < 40) {
    const fresh = site.issuer.token({ claims: { sub: user.id } });
    return expect(await connection.request({ target: "/app/x", headers: { host: HOST, authorization: `Bearer ${fresh}` } }), 200);
  }
  const isSession = choice < 75;
  const request = { target: rng.pick(["/app/x", "/token/x", "/me", "/userinfo"]), headers: isSession ? user.withSession : user.withBearer };
  if (!isSession && request.target === "/userinfo") request.target = "/me";
  if (rng.chance(10) && request.target !== "/userinfo") Object.assign(request, { method: "POST", body: "x".repeat(rng.below(5000)) });
  try {
    const answer = await connection.request(request, { cancelAfter: rng.chance(1) ? rng.below(10) : undefined });
    user.receive(answer);
    return expect(answer, 200);
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    counts.cancelled += 1;
    return undefined;
  }
}

/** The memory of a process that is no copy of a file, which the system may drop; undefined where processes cannot be read. */
function anonymousBytes(pid) {
  const file = `/proc/${pid}/status`;
  return existsSync(file) ? Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(file, "utf8"))[1]) * 1024 : undefined;
}

/**
 * The heap of the gateway's isolate without garbage, so that what is left is what is held; undefined if the runtime does not say, as of an
 * isolate that has nothing else to do.
 */
async function collect(port) {
  const [{ id }] = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  return heapUsage(port, id, 2000);
}

/** The inspector is left at once: the runtime records requests for it. */
async function heapUsage(port, isolate, timeoutMs) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${isolate}`);
  const ask = (id, method) => new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data) => {
      const answer = JSON.parse(data);
      if (answer.id === id) resolve(answer.result);
    });
    socket.send(JSON.stringify({ id, method }));
  });
  const usage = async () => {
    await once(socket, "open");
    await ask(1, "HeapProfiler.collectGarbage");
    return ask(2, "Runtime.getHeapUsage");
  };
  try {
    return await Promise.race([usage(), delay(timeoutMs)]);
  } finally {
    socket.terminate();
  }
}
