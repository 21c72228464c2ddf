// Verifiers created, aborted, disposed of and dropped at random, against slow key servers whose keys rotate. Whatever the order of events,
// no verifier ever uses another's keys. Time and timers are virtual and the random numbers seeded, so that every run is the same; only the
// garbage collector is not, and no verdict depends on it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { currentCore } from "../../pkg/src/core.js";
import { createVerifier, initSync } from "../../pkg/src/entry/slim.js";
import { generateKey, makeToken, publicJwk } from "../node/support/tokens.mjs";

const AUDIENCE = "https://api.example.com";
const START_MS = 1_800_000_000_000;
const KIDS = ["stable", "old", "new"];
const dispose = (verifier) => verifier[Symbol.dispose ?? Symbol.for("Symbol.dispose")]();

initSync(readFileSync(new URL("../../pkg/wasm/edgeward_bg.wasm", import.meta.url)));
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** Returns a generator of numbers below a limit (SplitMix32). */
function seeded(seed) {
  let state = seed;
  return (end) => {
    state = (state + 0x9e3779b9) | 0;
    let x = state ^ (state >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) % end;
  };
}

/** The virtual clock and timers. */
const virtual = {
  ms: START_MS,
  timers: new Map(),
  last: 0,
  setTimeout(call, millis) {
    virtual.last += 1;
    virtual.timers.set(virtual.last, { call, at: virtual.ms + millis });
    return virtual.last;
  },
  clearTimeout: (timer) => virtual.timers.delete(timer),
  pass(millis) {
    virtual.ms += millis;
    for (const [timer, { call, at }] of [...virtual.timers]) {
      if (at <= virtual.ms && virtual.timers.delete(timer)) call();
    }
  },
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Answers requests and advances the time until a condition holds. */
async function drain(servers, isDone) {
  for (let round = 0; !isDone(); round += 1) {
    assert.ok(round < 2_000, "it does not end");
    for (const server of servers) while (server.pending.length > 0) server.answer(0, "keys");
    virtual.pass(20);
    await turn();
  }
}

/** Drains until a promise is settled. */
async function settled(promise, all) {
  let isDone = false;
  promise.then(() => (isDone = true));
  await drain(all, () => isDone);
  return promise;
}

/** An issuer and its key server, which answers on request. All servers have the same key ids and different keys. */
class Server {
  pending = [];
  published = ["stable", "old"];

  constructor(name, keys) {
    this.issuer = `https://${name}.example.com/`;
    this.keys = keys;
    this.jwks = Object.fromEntries(KIDS.map((kid) => [kid, publicJwk(keys[kid], { kid, alg: "RS256", use: "sig" })]));
    this.fetch = (url) => {
      assert.ok(url.startsWith(this.issuer), `${this.issuer} was asked for ${url}`);
      return new Promise((resolve, reject) => this.pending.push({ url, resolve, reject }));
    };
  }

  answer(index, how) {
    const [{ url, resolve, reject }] = this.pending.splice(index, 1);
    if (how === "reset") return reject(new TypeError("connection reset"));
    if (how === "error") return resolve(new Response("", { status: 503 }));
    resolve(Response.json(url.endsWith("/jwks") ? this.document() : { issuer: this.issuer, jwks_uri: `${this.issuer}jwks` }));
  }

  document() {
    // The last key id identifies the document.
    return { keys: [...this.published.map((kid) => this.jwks[kid]), { ...this.jwks.stable, kid: this.issuer }] };
  }
}

const options = (server, more = {}) => ({
  issuer: server.issuer, audience: AUDIENCE, algorithms: ["RS256"], fetch: server.fetch, now: () => virtual.ms / 1000, ...more,
});

let servers;
/** `{ token, owner, claims, kid }`: signed with a key of `owner`, and naming `claims` as its issuer. */
let tokens;
const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

before(async () => {
  servers = await Promise.all(["a", "b", "c", "d"].map(async (name) => {
    const keys = await Promise.all(KIDS.map(async (kid) => [kid, await generateKey()]));
    return new Server(name, Object.fromEntries(keys));
  }));
  tokens = servers.flatMap((owner) => servers.flatMap((claims) => KIDS.map((kid) => {
    const payload = { iss: claims.issuer, sub: "user", aud: AUDIENCE, exp: START_MS / 1000 + 1e9 };
    return { owner, claims, kid, token: makeToken({ header: { alg: "RS256", kid }, payload, key: owner.keys[kid] }) };
  })));
  Object.assign(globalThis, { setTimeout: virtual.setTimeout, clearTimeout: virtual.clearTimeout });
});
after(() => Object.assign(globalThis, real));

const genuine = (server, kid = "stable") => tokens.find(({ owner, claims, kid: id }) => owner === server && claims === server && id === kid).token;
const forged = (owner, claims) => tokens.find((one) => one.owner === owner && one.claims === claims && one.kid === "stable").token;
const codeOf = (promise) => promise.then(() => "ok", ({ code }) => code);

describe("verifiers at random against slow key servers", () => {
  for (const seed of [1, 2]) {
    it(`never use each other's keys, in 30,000 steps (${seed})`, async () => {
      const below = seeded(seed);
      const pick = (list) => list[below(list.length)];
      const made = [];
      const calls = new Set();
      const counts = {};
      const mixed = [];

      const make = () => {
        const server = pick(servers);
        const several = below(8) === 0 ? [...new Set([server, pick(servers)])] : [server];
        const how = pick([{}, { jwksUri: `${server.issuer}jwks` }, { cacheSize: 0 }]);
        const one = several.length === 1 ? options(server, how) : {
          ...options(server), issuer: undefined, issuers: several.map(({ issuer }) => ({ issuer })),
          fetch: (url) => several.find(({ issuer }) => url.startsWith(issuer)).fetch(url),
        };
        if (several.length > 1) delete one.issuer;
        made.push({ verifier: createVerifier(one), servers: several, isDisposed: false });
      };
      /** Compares a verdict with the token. */
      const compare = (entry, { owner, claims, kid }, code) => {
        counts[code] = (counts[code] ?? 0) + 1;
        const isFor = entry.servers.includes(claims);
        const isGenuine = isFor && owner === claims;
        const wrong =
          (code === "ok" && !isGenuine) ||
          (isGenuine && code === "signature_invalid") ||
          (isGenuine && kid === "stable" && code === "key_not_found") ||
          (code === "internal_error" && !entry.isDisposed);
        if (wrong) mixed.push(`${code} for a token of ${owner.issuer} (${kid}) that names ${claims.issuer}, at ${entry.servers.map(({ issuer }) => issuer)}`);
      };
      const track = (work) => {
        calls.add(work);
        work.finally(() => calls.delete(work));
      };
      const looksRight = (entry, keys) => {
        const ids = keys.flatMap(({ issuer, kids }) => kids.filter((kid) => kid.startsWith("https:") && kid !== issuer));
        if (ids.length > 0 || keys.some(({ issuer }) => !entry.servers.some((server) => server.issuer === issuer))) mixed.push(`keys: ${JSON.stringify(keys)}`);
      };
      const aborts = [];
      const signal = () => {
        if (below(3) > 0) return {};
        const controller = new AbortController();
        aborts.push(controller);
        return { signal: controller.signal };
      };
      const likely = (entry) => {
        const [rank, issuer] = [below(4), pick(entry.servers)];
        return pick(tokens.filter(({ owner, claims }) => rank === 0 || (claims === issuer && (rank === 1 || owner === issuer))));
      };

      const acts = {
        make: [4, () => made.length < 40 && make()],
        dispose: [3, () => {
          const [entry] = made.splice(below(made.length), 1);
          entry.isDisposed = true;
          dispose(entry.verifier);
        }],
        // Only the calls under way refer to it.
        forget: [1, () => made.splice(below(made.length), 1)],
        verify: [14, () => {
          if (calls.size > 300) return;
          const entry = pick(made);
          const token = likely(entry);
          const requirements = below(5) === 0 ? { audience: AUDIENCE } : {};
          track(codeOf(entry.verifier.verify(token.token, { ...requirements, ...signal() })).then((code) => compare(entry, token, code)));
        }],
        verifySync: [8, () => {
          const entry = pick(made);
          const token = likely(entry);
          let code = "ok";
          try {
            entry.verifier.verifySync(token.token);
          } catch (error) {
            ({ code } = error);
          }
          compare(entry, token, code);
        }],
        load: [1, () => {
          const entry = pick(made);
          track(entry.verifier.load(signal()).then((keys) => looksRight(entry, keys), () => {}));
        }],
        keys: [2, () => {
          const entry = pick(made);
          looksRight(entry, entry.verifier.keys());
        }],
        abort: [3, () => aborts.splice(-1 - below(6), 1)[0]?.abort()],
        answer: [24, () => {
          const { pending } = pick(servers);
          const server = servers.find((one) => one.pending === pending);
          if (pending.length > 0) server.answer(below(pending.length), below(25) === 0 ? pick(["error", "reset"]) : "keys");
        }],
        rotate: [1, () => (pick(servers).published = ["stable", pick(["old", "new"])])],
        pass: [4, () => virtual.pass(below(60) > 0 ? pick([1, 10, 20, 50]) : pick([600, 2_000, 3_100, 31_000, 500_000]))],
        trap: [0.03, () => (currentCore().broken = true)],
      };
      const total = Object.values(acts).reduce((sum, [weight]) => sum + weight, 0);
      for (let step = 0; step < 30_000; step += 1) {
        if (made.length === 0) make();
        let at = (below(1_000_000) / 1_000_000) * total;
        const [, act] = Object.values(acts).find(([weight]) => (at -= weight) < 0);
        act();
        if (step % 3 === 0) await turn();
        if (step % 5_000 === 0) collectGarbage();
      }
      await drain(servers, () => calls.size === 0);
      for (const { verifier } of made) dispose(verifier);

      assert.deepEqual(mixed.slice(0, 10), [], `${mixed.length} mixed verdicts; all: ${JSON.stringify(counts)}`);
      for (const code of ["ok", "signature_invalid", "keys_not_loaded", "aborted", "issuer_mismatch", "key_not_found", "jwks_unreachable"]) {
        assert.ok(counts[code] >= 50, `only ${counts[code]} verdicts were ${code}: ${JSON.stringify(counts)}`);
      }
      assert.ok(counts.ok > 1_500, JSON.stringify(counts));
    });
  }
});

describe("a late answer", () => {
  const [A, B] = [0, 1];
  /** A verifier of the first issuer that ends while its keys are being fetched, and one of the second that fetches afterwards. */
  async function scene(leave) {
    const [a, b] = [servers[A], servers[B]];
    const first = createVerifier(options(a));
    const { call } = await leave(first, a);
    const second = createVerifier(options(b));
    const verdict = codeOf(second.verify(genuine(b)));
    await drain([a], () => a.pending.length === 0);
    for (let i = 0; i < 10; i += 1) {
      virtual.pass(20);
      for (const server of [a]) while (server.pending.length > 0) server.answer(0, "keys");
      await turn();
    }
    assert.equal(second.keys()[0].loaded, false, "the other issuer's answer is not its own");
    await drain([a, b], () => b.pending.length === 0);
    assert.equal(await settled(verdict, [a, b]), "ok");
    assert.equal(await settled(codeOf(second.verify(forged(a, b))), [a, b]), "signature_invalid");
    assert.equal(await settled(codeOf(second.verify(genuine(b))), [a, b]), "ok");
    dispose(second);
    return settled(call, [a, b]);
  }

  it("for a disposed verifier reaches no other", async () => {
    const code = await scene(async (verifier, server) => {
      const call = codeOf(verifier.verify(genuine(server)));
      await turn();
      dispose(verifier);
      return { call };
    });
    assert.equal(code, "internal_error");
  });

  it("for an aborted call reaches its own verifier only", async () => {
    const code = await scene(async (verifier, server) => {
      const controller = new AbortController();
      const call = codeOf(verifier.verify(genuine(server), { signal: controller.signal }));
      await turn();
      controller.abort();
      dispose(verifier);
      return { call };
    });
    assert.equal(code, "aborted");

    const verifier = createVerifier(options(servers[A]));
    const controller = new AbortController();
    const aborted = codeOf(verifier.verify(genuine(servers[A]), { signal: controller.signal }));
    await turn();
    const waiting = codeOf(verifier.verify(genuine(servers[A])));
    controller.abort();
    assert.equal(await settled(aborted, []), "aborted");
    assert.equal(servers[A].pending.length, 1, "the other call waits for the same fetch");
    assert.equal(await settled(waiting, servers), "ok");
    dispose(verifier);
  });

  it("to verifySync or load of a disposed verifier reaches no other", async () => {
    await scene(async (verifier, server) => {
      assert.throws(() => verifier.verifySync(genuine(server)), { code: "keys_not_loaded" });
      await turn();
      dispose(verifier);
      return { call: Promise.resolve() };
    });
    const code = await scene(async (verifier) => {
      const call = codeOf(verifier.load());
      await turn();
      dispose(verifier);
      return { call };
    });
    assert.equal(code, "internal_error");
  });

  it("after the instance broke changes nothing, and the call fetches again in the new one", async () => {
    const [a, b] = [servers[A], servers[B]];
    const [first, second] = [createVerifier(options(a)), createVerifier(options(b))];
    const calls = [first.verify(genuine(a)), second.verify(genuine(b)), first.load(), second.load({ signal: new AbortController().signal })].map(codeOf);
    await turn();
    currentCore().broken = true;
    // The second comes first into the new instance.
    const another = codeOf(second.verify(forged(a, b)));
    for (const call of calls) assert.equal(await settled(call, [a, b]), "ok");
    assert.equal(await settled(another, [a, b]), "signature_invalid");
    for (const [verifier, server] of [[first, a], [second, b]]) {
      assert.deepEqual(verifier.keys()[0].kids, [...server.published, server.issuer]);
      dispose(verifier);
    }
  });

  it("after an abort causes no unhandled rejection", async () => {
    const [a] = servers;
    const unheard = [];
    const note = (reason) => unheard.push(reason);
    process.on("unhandledRejection", note);
    const verifier = createVerifier(options(a));
    const load = codeOf(verifier.load({ signal: AbortSignal.abort() }));
    await turn();
    while (a.pending.length > 0) {
      a.answer(0, "error");
      await turn();
    }
    assert.equal(await settled(load, []), "aborted");
    await turn();
    process.off("unhandledRejection", note);
    assert.deepEqual(unheard, []);
    dispose(verifier);
  });
});

describe("the requests of a cancelled event", () => {
  /** Starts a call and cancels its event, as Workers do: its fetch never settles, and its timers never fire. */
  async function cancelled(verifier, server, onSettled) {
    codeOf(verifier.verify(genuine(server))).then(onSettled);
    await turn();
    server.pending.length = 0;
    virtual.timers.clear();
  }
  const later = (t, millis) => {
    virtual.ms += millis;
    t.mock.timers.setTime(Date.now() + millis);
  };

  it("are given up by a later call, and their calls end", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: START_MS });
    const [a] = servers;
    const verifier = createVerifier(options(a));
    let lost;
    await cancelled(verifier, a, (code) => (lost = code));
    later(t, 59_000);
    assert.equal(await settled(codeOf(verifier.verify(genuine(a))), [a]), "ok");
    assert.equal(lost, undefined, "within the time that a request may take");
    later(t, 700_000);
    assert.equal(await settled(codeOf(verifier.verify(genuine(a))), [a]), "ok");
    await drain([a], () => lost !== undefined);
    assert.equal(lost, "ok");
    dispose(verifier);
  });

  it("do not stay in memory", async (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: START_MS });
    const [a] = servers;
    const verifier = createVerifier(options(a));
    let settled = 0;
    const bytes = [];
    for (let i = 1; i <= 2_000; i += 1) {
      await cancelled(verifier, a, () => (settled += 1));
      later(t, 61_000);
      if (i % 1_000 === 0) bytes.push(currentCore().wasm.memory.buffer.byteLength);
    }
    // The rest still polls for keys: a call does that a limited number of times.
    assert.ok(settled >= 1_000, `only ${settled} calls were settled`);
    assert.equal(bytes[1], bytes[0]);
    dispose(verifier);
  });
});

it("load waits for the fetch of another call and starts the others", async () => {
  const [a, b] = servers;
  const { issuer, ...rest } = options(a);
  const fetch = (url) => [a, b].find((server) => url.startsWith(server.issuer)).fetch(url);
  const verifier = createVerifier({ ...rest, issuers: [{ issuer: a.issuer }, { issuer: b.issuer }], fetch });
  const call = codeOf(verifier.verify(genuine(a)));
  const load = codeOf(verifier.load());
  // The second issuer answers at once, the first later.
  for (let i = 0; i < 20; i += 1) {
    while (b.pending.length > 0) b.answer(0, "keys");
    virtual.pass(10);
    await turn();
  }
  while (a.pending.length > 0) {
    a.answer(0, "keys");
    await turn();
    virtual.pass(10);
    await turn();
  }
  assert.equal(await load, "ok");
  assert.equal(await call, "ok");
  dispose(verifier);
});
