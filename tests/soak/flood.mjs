// A flood of tokens with unknown key ids beside good traffic: few fetches of the key set, and the good traffic does not wait for them.
//
// Blocks of three kinds alternate in a random order, so that the noise of the machine is in all of them: good traffic alone; beside a
// flood of tokens that are refused just before the key is looked up (their algorithm is not accepted); and beside the same flood with
// unknown key ids. The last two differ in nothing but the lookup and what follows from it. Any flood takes processor time from the traffic
// beside it on the same core; the ratio to the first kind has that in it, and is printed, too.

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { random } from "./random.mjs";
import { bootstrap, quantile } from "./statistics.mjs";
import { Connection } from "./client.mjs";
import { delay } from "../node/support/http.mjs";
import { base64url } from "../node/support/tokens.mjs";
import { HOST, inLanes, startSoakSite } from "./site.mjs";

const KINDS = ["alone", "refused", "unknown"];
/** Requests that were sent before the block, or right at its start, are not of its kind. */
const SETTLING_MS = 250;
const COOLDOWN_MS = 30_000;
const MAX_CONNECTIONS = 400;

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.rounds  blocks of each kind
 * @param {number} [options.blockMs]
 * @param {number} [options.good]  good requests in a second
 * @param {number} [options.flood] tokens of the flood in a second
 * @param {number | undefined} [options.mostRatio] what p99 may be of that beside the other flood; not judged without it
 */
export async function flood({ seed, rounds: roundCount, blockMs = 2000, good = 150, flood: floodRate = 150, users: userCount = 200, mostRatio }) {
  if (!Number.isFinite(floodRate)) throw new Error("the flood has a finite rate");
  const site = await startSoakSite();
  const rng = random(seed);
  const failures = [];
  const fetches = [];
  const counts = { good: 0, floods: 0 };
  const pool = new Pool(site.worker.port);
  try {
    const users = Array.from({ length: userCount }, (_, index) => site.user(`user-${index}`));
    await inLanes(site, userCount, 8, (index, connection) => site.logIn(users[index], connection));
    await inLanes(site, 500, 8, async (index, connection) => {
      await connection.request({ target: "/me", headers: rng.pick(users)[index % 2 ? "withBearer" : "withSession"] });
    });
    await delay(200);
    const { counts: requests } = site.issuer;
    let seen = requests.jwks;
    const began = performance.now();
    const watching = setInterval(() => {
      for (; seen < requests.jwks; seen += 1) fetches.push(performance.now() - began);
    }, 20);

    const ask = async (request, status, subject) => {
      const answer = await pool.request(request);
      if (answer.status === status && (status !== 200 || answer.header("x-sub") === subject)) return;
      failures.push(`${answer.status} instead of ${status}: ${answer.text.slice(0, 200)}`);
    };
    const block = async (kind) => {
      const latencies = [];
      const pending = [];
      const start = performance.now();
      await steadily(blockMs, [
        [good, (due) => {
          const user = rng.pick(users);
          const request = { target: "/me", headers: rng.chance(50) ? user.withBearer : user.withSession };
          counts.good += 1;
          pending.push(ask(request, 200, user.id).then(() => {
            if (due - start >= SETTLING_MS) latencies.push(performance.now() - due);
          }));
        }],
        [kind === "alone" ? 0 : floodRate, () => {
          counts.floods += 1;
          pending.push(ask({ target: "/me", headers: { host: HOST, authorization: `Bearer ${invented(site.issuer, kind)}` } }, 401));
        }],
      ]);
      await Promise.all(pending);
      return latencies;
    };

    const rounds = [];
    for (let round = 0; round < roundCount && failures.length < 20; round += 1) {
      const latencies = {};
      for (const kind of rng.shuffled(KINDS)) latencies[kind] = await block(kind);
      rounds.push(KINDS.map((kind) => latencies[kind]));
    }
    clearInterval(watching);
    const elapsed = performance.now() - began;
    const most = mostWithin(fetches, 300_000);
    const allowed = Math.min(10, Math.ceil(elapsed / COOLDOWN_MS) + 1);
    if (most > allowed) failures.push(`${most} fetches of the key set`);

    const p99 = (numbers) => quantile(numbers, 0.99);
    const all = KINDS.map((_, kind) => rounds.flatMap((round) => round[kind]));
    const [alone, refused, unknown] = all.map(p99);
    const [low, high] = bootstrap(rounds, (_, before, now) => p99(now) / p99(before), rng);
    const ratio = unknown / refused;
    if (mostRatio !== undefined && ratio > mostRatio) failures.push(`p99 is ${ratio.toFixed(2)} of that without unknown key ids`);
    const rounded = (number) => Number(number.toFixed(2));
    return {
      rounds: rounds.length, seconds: Math.round(elapsed / 1000), ...counts, fetches: fetches.length, fetchesInFiveMinutes: most,
      p50: Object.fromEntries(KINDS.map((kind, index) => [kind, rounded(quantile(all[index], 0.5))])),
      p99: { alone: rounded(alone), refused: rounded(refused), unknown: rounded(unknown) },
      ratio: rounded(ratio), ratioInterval: [rounded(low), rounded(high)], ratioToAlone: rounded(unknown / alone), failures,
      prose: `${counts.floods} refused tokens beside ${counts.good} good requests: ${fetches.length} fetches of the key set in ${Math.round(elapsed / 1000)} s, ${most} in any five minutes; p99 ${unknown.toFixed(2)} ms with unknown key ids, ${refused.toFixed(2)} ms with as many other refused tokens (ratio ${ratio.toFixed(2)}, ${low.toFixed(2)} to ${high.toFixed(2)}), ${alone.toFixed(2)} ms without any`,
    };
  } finally {
    pool.close();
    await site.stop();
  }
}

/** A token that is refused: for its algorithm, or for its key id. The two are as long, and as much work to read. */
function invented(issuer, kind) {
  const header = { alg: kind === "refused" ? "RS512" : "RS256", typ: "at+jwt", kid: randomBytes(8).toString("hex") };
  const part = (value) => base64url(JSON.stringify(value));
  return `${part(header)}.${part(issuer.claims({ sub: "attacker" }))}.${randomBytes(256).toString("base64url")}`;
}

/** Calls each `[perSecond, task]` at its rate, with the time at which it was due. Late ones are called all at once. */
async function steadily(forMs, tasks) {
  const start = performance.now();
  const sent = tasks.map(() => 0);
  for (;;) {
    const now = Math.min(performance.now() - start, forMs);
    for (const [index, [perSecond, task]] of tasks.entries()) {
      const every = 1000 / perSecond;
      for (; perSecond > 0 && sent[index] * every < now; sent[index] += 1) task(start + sent[index] * every);
    }
    if (now >= forMs) return;
    await delay(1);
  }
}

/** The largest number of these times, in order, within a period. */
export function mostWithin(times, period) {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while (times[last] - times[first] >= period) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** Connections, the idle one that was used last first. A request waits if all are busy. */
class Pool {
  #port;
  #idle = [];
  #all = [];
  #waiting = [];

  constructor(port) {
    this.#port = port;
  }

  async request(request) {
    let connection = this.#idle.pop();
    if (!connection && this.#all.length < MAX_CONNECTIONS) {
      connection = new Connection(this.#port);
      this.#all.push(connection);
    }
    connection ??= await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await connection.request(request);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }

  close() {
    for (const connection of this.#all) connection.close();
  }
}
