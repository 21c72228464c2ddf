// What the black-box suites share: gateways in one workerd, requests as bytes, and the count of what failed.
//
// A suite is `NAME.mjs`, which exports `run({ seed, share })`: it starts what it needs, sends the share of its cases that the seed
// selects, and returns a `Tally`. `NAME.test.mjs` is its short run in `make test`, `make blackbox PART=NAME` all of it.

import { NAVIGATION, SITE } from "../node/support/browser.mjs";
import { HEALTH } from "../node/support/gateway.mjs";
import { startWorker } from "../node/support/worker.mjs";
import { RawClient } from "./client.mjs";

/** A sequence of numbers in [0, 1) that the seed decides (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The share of the cases that the seed selects, in their order; all of them if the share is 1. */
export function sample(cases, { seed = 1, share = 1 } = {}) {
  const next = random(seed);
  return share >= 1 ? cases : cases.filter(() => next() < share);
}

/** How many cases there were, of which kinds, and which of them failed. */
export class Tally {
  cases = 0;
  failed = 0;
  /** Cases by a name: of an outcome, or of a class. */
  counts = {};
  /** The first failures, in words. */
  failures = [];

  count(name, times = 1) {
    this.counts[name] = (this.counts[name] ?? 0) + times;
  }

  fail(text) {
    this.failed += 1;
    if (this.failures.length < 50) this.failures.push(text);
  }

  /** Counts a failure unless the condition holds. */
  check(condition, text) {
    if (!condition) this.fail(typeof text === "function" ? text() : text);
    return condition;
  }
}

/**
 * Starts gateways in one workerd, one isolate for each configuration, with a client each.
 *
 * @param {Record<string, object>} configs configurations by name
 * @param {object} [options] those of `startWorker`, and `client`: those of `RawClient`
 * @returns {Promise<{ worker: object, clients: Record<string, RawClient>, stop(): Promise<void> }>}
 */
export async function startGateways(configs, { client, ...options } = {}) {
  const names = Object.keys(configs);
  const worker = await startWorker({ ...options, isolates: names.map((name) => ({ EDGEWARD: configs[name] })) });
  const clients = Object.fromEntries(names.map((name, index) => [name, new RawClient(worker.ports[index], client)]));
  for (const [name, one] of Object.entries(clients)) {
    const { status } = await one.send({ target: HEALTH });
    if (status !== 200) throw new Error(`the configuration ${name} is refused: ${(await worker.waitForLog("config_invalid")).message}`);
  }
  return {
    worker,
    clients,
    async stop() {
      for (const one of Object.values(clients)) one.close();
      await worker.stop();
    },
  };
}

/** Runs `task` for each item, so many at once: enough for the connections and pipelines of a client to be in use. */
export async function each(items, task, { atOnce = 256 } = {}) {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await task(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
}

/** The cookies that an answer sets, as the value of `Cookie`. */
export const cookiesOf = (answer) =>
  answer.values("set-cookie").map((line) => line.split(";")[0]).filter((pair) => !pair.endsWith("=")).join("; ");

/**
 * A whole login by a navigation to `target`, at a provider that asks nothing. Returns the first answer and, if it begins a login, that to
 * the callback.
 */
export async function logIn(client, target = "/login", { host = new URL(SITE).host } = {}) {
  const headers = Object.entries(NAVIGATION).filter(([name]) => name !== "sec-fetch-site");
  const open = (path, more) => client.send({ target: path, host, headers: [...headers, ...more] });
  const begun = await open(target, [["sec-fetch-site", "none"]]);
  const location = begun.header("location");
  if (!location || !new URL(location, SITE).searchParams.has("code_challenge")) return { begun };
  const authorized = await fetch(location, { redirect: "manual" });
  const { pathname, search } = new URL(authorized.headers.get("location"));
  return { begun, done: await open(pathname + search, [["sec-fetch-site", "cross-site"], ["Cookie", cookiesOf(begun)]]) };
}

/** Logs in and returns the session's cookies. */
export async function sessionOf(client) {
  const { begun, done } = await logIn(client);
  const cookies = done && cookiesOf(done);
  if (!cookies?.includes("__Host-edgeward=")) throw new Error(`no login: ${(done ?? begun).status} ${(done ?? begun).text}`);
  return cookies;
}
