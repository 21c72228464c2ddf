// Sources of keys and their failures: rotation, outages, floods, and every bad response of a JWKS or discovery endpoint. Known keys
// remain in use; without keys the response is 503, never 401 and never access; routes that need no keys are served.

import assert from "node:assert/strict";
import { createHash, createPrivateKey, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { assertRefused, assertUnavailable, authorizer, bearer, HEALTH, many, read, respond, until } from "./support/gateway.mjs";
import { delay, serve } from "./support/http.mjs";
import { startSite } from "./support/login.mjs";
import { startProvider } from "./support/provider.mjs";
import { base64url, generateKey, nowSeconds, pkcs1Encoding, publicJwk, startIssuer } from "./support/tokens.mjs";
import { trappable } from "./support/trap.mjs";
import { startWorker, wrappedBuild } from "./support/worker.mjs";

const paths = [
  respond("/api", { auth: "required", headers: { "X-Sub": "$claims.sub" }, body: "yours" }),
  respond("/optional", { auth: "optional", body: "ours" }),
  respond("/public", { body: "everybody's" }),
];
const configuration = (issuer, changes) => ({ authorizer: authorizer(issuer, changes), paths });

const call = (worker, token, path = "/api") => worker.fetch(path, { headers: bearer(token) });

async function assertPasses(worker, token) {
  const answer = await read(call(worker, token));
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

/** What needs no keys is served, whatever is wrong with them. */
async function assertRestServes(worker) {
  for (const path of [HEALTH, "/public", "/optional"]) assert.equal((await worker.fetch(path)).status, 200, path);
  assert.equal((await call(worker, "x.y.z", "/public")).status, 200);
  assert.equal((await worker.fetch("/api")).status, 401);
}

const json = (value) => ({ body: JSON.stringify(value), headers: { "content-type": "application/json" } });

describe("a real provider", () => {
  let provider;
  let worker;
  before(async () => {
    provider = await startProvider();
    worker = await startWorker({ config: configuration(provider) });
  });
  after(() => Promise.all([worker.stop(), provider.stop()]));
  beforeEach(async () => {
    await worker.restart();
    provider.resetCounts();
  });

  /** Does something while the provider is down. */
  async function whileDown(work) {
    await provider.stop();
    try {
      await work();
    } finally {
      await provider.start();
    }
  }

  test("only discovery is configured: one discovery and one JWKS request serve all", async () => {
    for (let index = 0; index < 5; index += 1) await assertPasses(worker, await provider.tokenFor());
    assert.deepEqual([provider.discoveryRequests, provider.jwksRequests], [1, 1]);
  });

  test("it rotates its keys while requests run: none is refused and one more JWKS request is made", async () => {
    const tokens = [await provider.tokenFor()];
    await assertPasses(worker, tokens[0]);
    const statuses = [];
    let running = true;
    const lane = async (number) => {
      for (let turn = number; running; turn += 1) statuses.push((await call(worker, tokens[turn % tokens.length])).status);
    };
    const lanes = Array.from({ length: 8 }, (_, number) => lane(number));
    const after = async (count) => until(() => statuses.length >= count, { every: 5 });
    await after(100);
    await provider.rotate();
    tokens.push(await provider.tokenFor());
    await after(statuses.length + 300);
    running = false;
    await Promise.all(lanes);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.deepEqual([provider.discoveryRequests, provider.jwksRequests], [1, 2]);
  });

  test("it revokes a key: with the first token of the new one, tokens of the old one are refused", async () => {
    const old = await provider.tokenFor();
    await assertPasses(worker, old);
    await provider.rotate({ keepOld: false });
    await assertPasses(worker, await provider.tokenFor());
    await assertRefused(call(worker, old), "key_not_found");
    assert.equal(provider.jwksRequests, 2);
  });

  test("it signs with a key before it publishes it: 401 until then, and no request for each such token", async () => {
    await assertPasses(worker, await provider.tokenFor());
    const kid = await provider.rotate({ publish: false });
    const early = await provider.tokenFor();
    for (let index = 0; index < 10; index += 1) await assertRefused(call(worker, early), "key_not_found");
    assert.equal(provider.jwksRequests, 2);
    provider.publish(kid);
  });

  test("it stops: known keys go on verifying, unknown ones are 503", async () => {
    const [known, alsoKnown] = [await provider.tokenFor(), await provider.tokenFor({ scope: "read:items" })];
    await assertPasses(worker, known);
    await provider.rotate();
    const fresh = await provider.tokenFor();
    await whileDown(async () => {
      await assertPasses(worker, known);
      await assertPasses(worker, alsoKnown);
      await assertUnavailable(call(worker, fresh), "jwks_unreachable");
      await assertPasses(worker, known);
      await assertRestServes(worker);
      await worker.waitForLog(/jwks_unreachable/);
    });
    await assertPasses(worker, known);
  });

  test("it is down from the start: 503 with Retry-After, and back by itself", async () => {
    const token = await provider.tokenFor();
    await whileDown(async () => {
      for (let index = 0; index < 5; index += 1) await assertUnavailable(call(worker, token), "discovery_unreachable");
      await assertUnavailable(call(worker, token, "/optional"), "discovery_unreachable");
      await assertRestServes(worker);
      await worker.waitForLog(/discovery_unreachable/);
    });
    await until(async () => (await call(worker, token)).status === 200);
  });

  test("it is down from the start and only jwks_uri is configured: 503 jwks_unreachable", async () => {
    const token = await provider.tokenFor();
    await worker.restart({ config: configuration(provider, { jwks_uri: provider.jwksUri }) });
    await whileDown(() => assertUnavailable(call(worker, token), "jwks_unreachable"));
    await until(async () => (await call(worker, token)).status === 200);
    assert.equal(provider.discoveryRequests, 0);
    await worker.restart({ config: configuration(provider) });
  });

  test("its Auth0 dialect: the domain alone leads to the keys, without discovery", async () => {
    const auth0 = await startProvider({ dialect: "auth0" });
    try {
      await worker.restart({ config: configuration(auth0, { type: "auth0", issuer: undefined, domain: auth0.domain }) });
      const answer = await assertPasses(worker, await auth0.tokenFor());
      assert.equal(answer.header("x-sub"), "edgeward-service@clients");
      assert.deepEqual([auth0.discoveryRequests, auth0.jwksRequests], [0, 1]);
    } finally {
      await auth0.stop();
      await worker.restart({ config: configuration(provider) });
    }
  });
});

describe("many requests", () => {
  let issuer;
  let worker;
  before(async () => {
    issuer = await startIssuer();
    worker = await startWorker({ config: configuration(issuer) });
  });
  after(() => Promise.all([worker.stop(), issuer.stop()]));
  beforeEach(async () => {
    await worker.restart();
    issuer.counts = { jwks: 0, discovery: 0 };
    issuer.clearFaults();
  });

  test("1,000 tokens with made-up key ids cause one JWKS request, and good tokens pass between them", async () => {
    const good = issuer.token();
    await assertPasses(worker, good);
    const signature = Buffer.alloc(256, 1);
    const codes = await many(1_000, async (index) => {
      if (index % 50 === 0) await assertPasses(worker, good);
      const answer = await call(worker, issuer.token({ header: { kid: randomUUID() }, signature }));
      return `${answer.status} ${(await answer.json()).code}`;
    });
    assert.deepEqual(new Set(codes), new Set(["401 key_not_found"]));
    assert.deepEqual(issuer.counts, { jwks: 2, discovery: 1 });
  });

  test("1,000 of them against a cold cache cause no more than one more", async () => {
    const signature = Buffer.alloc(256, 1);
    const statuses = await many(1_000, async () => (await call(worker, issuer.token({ header: { kid: randomUUID() }, signature }))).status);
    assert.deepEqual(new Set(statuses), new Set([401]));
    assert.ok(issuer.counts.jwks <= 2 && issuer.counts.discovery <= 2, JSON.stringify(issuer.counts));
  });

  test("200 at once against a cold cache all pass, with one JWKS request", async () => {
    const tokens = Array.from({ length: 20 }, (_, index) => issuer.token({ claims: { sub: `user-${index}` } }));
    const subjects = await many(200, async (index) => (await assertPasses(worker, tokens[index % 20])).header("x-sub"), { atOnce: 200 });
    assert.deepEqual(subjects, Array.from({ length: 200 }, (_, index) => `user-${index % 20}`));
    assert.ok(issuer.counts.jwks <= 3, `${issuer.counts.jwks} requests`);
    assert.doesNotMatch(await worker.written(), /different request|I\/O|hung|Critical|exception/i);
  });

  test("200 at once against a cold cache and a slow provider all pass, with few JWKS requests", async () => {
    const token = issuer.token();
    issuer.setFault("jwks", { delay: 700 });
    const began = performance.now();
    await many(200, () => assertPasses(worker, token), { atOnce: 200 });
    // While an answer is on its way, another request is made every half second (`FETCH_LEASE_MS`): three here, more on a slow machine.
    const most = Math.max(3, Math.ceil((performance.now() - began) / 500));
    assert.ok(issuer.counts.jwks <= most, `${issuer.counts.jwks} requests, at most ${most} expected`);
    assert.doesNotMatch(await worker.written(), /different request|hung|Critical|exception/i);
  });

  test("a client that disconnects while keys are fetched does not affect others", { timeout: 15_000 }, async () => {
    const token = issuer.token();
    issuer.setFault("jwks", { delay: 300, times: 1 });
    await assert.rejects(worker.fetch("/api", { headers: bearer(token), signal: AbortSignal.timeout(100) }));
    await until(async () => (await call(worker, token)).status === 200);
  });

  test("a flood during an outage causes no flood at the provider", async () => {
    issuer.setFault("jwks", { status: 500 });
    const token = issuer.token();
    const answers = await many(500, async () => read(call(worker, token)));
    for (const answer of answers) await assertUnavailable(answer, "jwks_unreachable");
    assert.ok(issuer.counts.jwks <= 3, `${issuer.counts.jwks} requests`);
  });
});

describe("a JWKS that goes wrong", () => {
  let issuer;
  let worker;
  let elsewhere;
  let visits = 0;
  const padded = (bytes) => ({ keys: [...issuer.published], padding: "x".repeat(bytes) });
  before(async () => {
    issuer = await startIssuer();
    elsewhere = await serve((_req, res) => {
      visits += 1;
      res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: issuer.published }));
    });
    worker = await startWorker({ config: configuration(issuer) });
  });
  after(() => Promise.all([worker.stop(), issuer.stop(), elsewhere.close()]));
  beforeEach(async () => {
    await worker.restart();
    issuer.clearFaults();
    issuer.counts = { jwks: 0, discovery: 0 };
    visits = 0;
  });

  const faults = [
    [
      "an HTML page", "jwks", () => ({ body: "<!doctype html><title>Login</title>", headers: { "content-type": "text/html" } }),
      "jwks_invalid",
    ],
    ["an empty object", "jwks", () => json({}), "jwks_invalid"],
    ["a list", "jwks", () => json([]), "jwks_invalid"],
    ["keys that are no list", "jwks", () => json({ keys: {} }), "jwks_invalid"],
    ["no keys at all", "jwks", () => json({ keys: [] }), "jwks_no_usable_key"],
    ["entries that are no keys", "jwks", () => json({ keys: [1, null, "key", [], {}] }), "jwks_no_usable_key"],
    ["two members of one name", "jwks", () => ({ body: (text) => text.replace("{", '{"keys":[],') }), "jwks_invalid"],
    [
      "1,001 keys", "jwks",
      () => json({ keys: Array.from({ length: 1001 }, () => ({ ...issuer.published[0], kid: randomUUID(), n: "AQAB" })) }),
      "jwks_invalid",
    ],
    ["an empty body", "jwks", () => ({ body: "", headers: { "content-type": "application/json" } }), "jwks_invalid"],
    ["status 500", "jwks", () => ({ status: 500 }), "jwks_unreachable"],
    ["status 204", "jwks", () => ({ status: 204, body: "" }), "jwks_unreachable"],
    ["status 404 with the right keys", "jwks", () => ({ ...json({ keys: issuer.published }), status: 404 }), "jwks_unreachable"],
    ["a redirect", "jwks", () => ({ redirect: `${elsewhere.url}/jwks` }), "jwks_unreachable"],
    ["a cut connection", "jwks", () => ({ reset: true }), "jwks_unreachable"],
    ["a cut body", "jwks", () => ({ truncate: 30 }), "jwks_unreachable"],
    ["a body of more than 512 KiB", "jwks", () => json(padded(524_288)), "jwks_unreachable"],
    ["a compressed bomb", "jwks", () => json(padded(5_000_000)), "jwks_unreachable"],
    ["a body without end", "jwks", () => ({ endless: true }), "jwks_unreachable"],
    [
      "a discovery document of another issuer", "discovery",
      () => ({ body: (text) => text.replace(issuer.issuer, "https://elsewhere.example") }), "discovery_issuer_mismatch",
    ],
    [
      "a discovery document whose issuer has a slash", "discovery",
      () => ({ body: (text) => text.replace(`"${issuer.issuer}"`, `"${issuer.issuer}/"`) }), "discovery_issuer_mismatch",
    ],
    ["a discovery document without jwks_uri", "discovery", () => json({ issuer: issuer.issuer }), "discovery_invalid"],
    ["a discovery document without issuer", "discovery", () => json({ jwks_uri: issuer.jwksUri }), "discovery_invalid"],
    [
      "a jwks_uri over http elsewhere", "discovery",
      () => json({ issuer: issuer.issuer, jwks_uri: "http://keys.example.com/jwks" }), "discovery_invalid",
    ],
    ["a jwks_uri that is a file", "discovery", () => json({ issuer: issuer.issuer, jwks_uri: "file:///etc/passwd" }), "discovery_invalid"],
    [
      "a jwks_uri that holds the keys", "discovery",
      () => json({ issuer: issuer.issuer, jwks_uri: `data:application/json,{"keys":[]}` }), "discovery_invalid",
    ],
    ["an HTML page for discovery", "discovery", () => ({ body: "<html>", headers: { "content-type": "text/html" } }), "discovery_invalid"],
    ["no discovery document under either address", "discovery", () => ({ status: 404 }), "discovery_unreachable"],
    [
      "a discovery redirect", "discovery", () => ({ redirect: `${elsewhere.url}/.well-known/openid-configuration` }),
      "discovery_unreachable",
    ],
    ["a cut discovery connection", "discovery", () => ({ reset: true }), "discovery_unreachable"],
  ];
  for (const [what, endpoint, fault, code] of faults) {
    test(`${what}: 503 ${code}, and the rest serves`, async () => {
      const record = issuer.setFault(endpoint, fault());
      const token = issuer.token();
      await assertUnavailable(call(worker, token), code);
      await assertUnavailable(call(worker, token, "/optional"), code);
      await assertRestServes(worker);
      await worker.waitForLog(code);
      assert.equal(visits, 0);
      // A network error is answered by asking once more; the runtime itself asks again on a connection that it had kept open.
      const { reset, truncate } = fault();
      const most = reset || truncate ? 4 : 2;
      assert.ok(record.served <= most, `asked ${record.served} times`);
    });
  }

  test("a body without end is not read beyond the limit", async () => {
    const record = issuer.setFault("jwks", { endless: true });
    await assertUnavailable(call(worker, issuer.token()), "jwks_unreachable");
    await until(() => record.aborted, { what: "the end of the connection" });
    // Bytes in socket buffers count as sent, though they were never read.
    assert.ok(record.bytes < 8 << 20, `${record.bytes} bytes`);
  });

  test("a body of 64 KiB passes", async () => {
    const size = JSON.stringify(padded(0)).length;
    issuer.setFault("jwks", json(padded(65_536 - size)));
    await assertPasses(worker, issuer.token());
  });

  test("100 keys pass", async () => {
    const keys = Array.from({ length: 99 }, () => ({ kty: "RSA", kid: randomUUID(), n: "AQAB", e: "AQAB" }));
    issuer.setFault("jwks", json({ keys: [...keys, ...issuer.published] }));
    await assertPasses(worker, issuer.token());
  });

  for (const [said, least, most] of [["7", 6, 7], ["86400", 299, 300], ["0", 1, 1], ["soon", 1, 1], [undefined, 1, 1]]) {
    test(`status 429 with Retry-After ${said}: so is ours, between 1 s and 5 minutes`, async () => {
      issuer.setFault("jwks", { status: 429, headers: said === undefined ? {} : { "retry-after": said } });
      const { header } = await assertUnavailable(call(worker, issuer.token()), "jwks_unreachable");
      const seconds = Number(header("retry-after"));
      assert.ok(seconds >= least && seconds <= most, `${seconds}`);
    });
  }

  test("a pause that the provider asked for is kept", async () => {
    issuer.setFault("jwks", { status: 503, headers: { "retry-after": "60" }, times: 1 });
    const token = issuer.token();
    for (let index = 0; index < 5; index += 1) await assertUnavailable(call(worker, token), "jwks_unreachable");
    assert.equal(issuer.counts.jwks, 1);
  });

  test("it recovers: tokens pass again", async () => {
    issuer.setFault("jwks", { ...json({ keys: [] }), times: 1 });
    const token = issuer.token();
    await assertUnavailable(call(worker, token), "jwks_no_usable_key");
    await until(async () => (await call(worker, token)).status === 200);
    assert.equal(issuer.counts.jwks, 2);
  });

  test("an empty set in response to an unknown key id does not remove the known keys", async () => {
    const known = issuer.token();
    await assertPasses(worker, known);
    issuer.setFault("jwks", json({ keys: [] }));
    await assertUnavailable(call(worker, issuer.token({ header: { kid: "new" } })), "jwks_no_usable_key");
    await assertPasses(worker, known);
    await assertPasses(worker, issuer.token());
  });

  test("nothing of the client's goes to the provider", async () => {
    const seen = [];
    const curious = await serve((req, res) => {
      seen.push(req.headers);
      res.writeHead(200, { "content-type": "application/jwk-set+json" }).end(JSON.stringify({ keys: issuer.published }));
    });
    const other = await startWorker({ config: configuration(issuer, { jwks_uri: `${curious.url}/keys` }) });
    try {
      const headers = { ...bearer(issuer.token()), cookie: "a=1", "x-secret": "s", "user-agent": "theirs" };
      assert.equal((await other.fetch("/api?code=secret", { headers })).status, 200);
      assert.equal(seen.length, 1);
      for (const name of ["authorization", "cookie", "x-secret", "referer", "origin"]) assert.equal(seen[0][name], undefined, name);
      assert.equal(seen[0].accept, "application/json, application/jwk-set+json");
      assert.match(seen[0]["user-agent"], /^edgeward\/\d/);
      assert.equal(issuer.counts.discovery, 0);
    } finally {
      await Promise.all([other.stop(), curious.close()]);
    }
  });

  test("discovery falls back to the address of RFC 8414 where the first is 404", async () => {
    const asked = [];
    const plain = await serve((req, res) => {
      asked.push(req.url);
      if (req.url !== "/.well-known/oauth-authorization-server") return res.writeHead(404).end();
      const document = JSON.stringify({ issuer: plain.url, jwks_uri: issuer.jwksUri });
      return res.writeHead(200, { "content-type": "application/json" }).end(document);
    });
    const other = await startWorker({ config: configuration({ issuer: plain.url }) });
    try {
      await assertPasses(other, issuer.token({ claims: { iss: plain.url } }));
      assert.deepEqual(asked, ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]);
    } finally {
      await Promise.all([other.stop(), plain.close()]);
    }
  });
});

describe("a provider that does not answer in time", { concurrency: true }, () => {
  const cases = [
    ["a JWKS that never comes", "jwks", { hang: true }, "jwks_unreachable"],
    ["a JWKS that drips in", "jwks", { drip: { bytes: 1, every: 100 } }, "jwks_unreachable"],
    ["a JWKS that comes too late", "jwks", { delay: 6_000 }, "jwks_unreachable"],
    ["a discovery document that never comes", "discovery", { hang: true }, "discovery_unreachable"],
  ];
  for (const [what, endpoint, fault, code] of cases) {
    test(`${what}: 503 ${code} after 3 s, for all waiting requests, without a fetch for each`, { timeout: 30_000 }, async () => {
      const issuer = await startIssuer();
      const worker = await startWorker({ config: configuration(issuer) });
      try {
        const record = issuer.setFault(endpoint, fault);
        const token = issuer.token();
        const start = performance.now();
        const first = call(worker, token).then(async (answer) => {
          await assertUnavailable(answer, code);
          return performance.now() - start;
        });
        await until(() => record.served > 0);
        await assertRestServes(worker);
        const rest = await many(40, async () => read(call(worker, token)), { atOnce: 40 });
        for (const answer of rest) await assertUnavailable(answer, code);
        const took = await first;
        assert.ok(took > 2_800, `the first was answered after ${took} ms`);
        assert.ok(record.served <= 10, `asked ${record.served} times`);
      } finally {
        await Promise.all([worker.stop(), issuer.stop()]);
      }
    });
  }

  test("known keys are not held up by it", { timeout: 30_000 }, async () => {
    const issuer = await startIssuer();
    const worker = await startWorker({ config: configuration(issuer) });
    try {
      const known = issuer.token();
      await assertPasses(worker, known);
      issuer.setFault("jwks", { hang: true });
      let isAnswered = false;
      const unknown = call(worker, issuer.token({ header: { kid: "new" } })).finally(() => (isAnswered = true));
      await many(100, () => assertPasses(worker, known));
      assert.ok(!isAnswered, "the other one still waits");
      await assertUnavailable(unknown, "jwks_unreachable");
    } finally {
      await Promise.all([worker.stop(), issuer.stop()]);
    }
  });
});

describe("a rotation while the provider is slow", { concurrency: true }, () => {
  /** A build whose clock goes ahead by the milliseconds in the header x-ahead. */
  const source = () => wrappedBuild(`
    const now = Date.now;
    let ahead = 0;
    Date.now = () => now() + ahead;
    export default {
      fetch(request, env, context) {
        if (!request.headers.has("x-ahead")) return gateway.fetch(request, env, context);
        ahead += Number(request.headers.get("x-ahead"));
        return new Response(null, { status: 204 });
      },
    };`);
  /** Does something at each of these times, in milliseconds from now. */
  const at = (times, act) => Promise.all(times.map(async (time) => {
    await delay(time);
    return act();
  }));

  for (const isWarm of [false, true]) {
    for (const isReplaced of [false, true]) {
      const what = `${isReplaced ? "a key replaced under its id" : "a new key"}, ${isWarm ? "warm" : "cold"}`;
      test(`${what}: no token of it is refused`, { timeout: 30_000 }, async () => {
        const issuer = await startIssuer();
        const worker = await startWorker({ config: configuration(issuer), cache: false, source: await source() });
        try {
          if (isWarm) await assertPasses(worker, issuer.token());
          // Past the pause after the set was fetched.
          await worker.fetch("/", { headers: { "x-ahead": "31000" } });
          const [old] = issuer.keys.keys();
          if (isReplaced) issuer.removeKey(old);
          const { kid } = await issuer.addKey(isReplaced ? { kid: old } : {});
          issuer.setFault("jwks", { delay: 900, times: 1 });
          issuer.counts.jwks = 0;
          await at([0, 100, 600, 800], () => assertPasses(worker, issuer.token({ kid })));
          // A cold instance asks again after a while.
          assert.ok(issuer.jwksRequests <= (isWarm ? 1 : 2), `${issuer.jwksRequests} requests`);
        } finally {
          await Promise.all([worker.stop(), issuer.stop()]);
        }
      });
    }
  }

  test("a JWKS that never comes: 503, and no token of a new key is refused", { timeout: 30_000 }, async () => {
    const issuer = await startIssuer();
    const worker = await startWorker({ config: configuration(issuer), cache: false });
    try {
      await assertPasses(worker, issuer.token());
      const { kid } = await issuer.addKey();
      issuer.setFault("jwks", { hang: true });
      issuer.counts.jwks = 0;
      await at([0, 100, 600, 2000, 4000], () => assertUnavailable(call(worker, issuer.token({ kid })), "jwks_unreachable"));
      assert.equal(issuer.jwksRequests, 1);
    } finally {
      await Promise.all([worker.stop(), issuer.stop()]);
    }
  });

  test("logins that end meanwhile succeed", { timeout: 30_000 }, async () => {
    const site = await startSite({ worker: { cache: false } });
    try {
      await site.loggedIn();
      await site.provider.rotate();
      site.provider.setFault("jwks", { delay: 1500, times: 1 });
      site.provider.resetCounts();
      await at([0, 100, 900], () => site.loggedIn());
      assert.equal(site.provider.jwksRequests, 1);
    } finally {
      await site.stop();
    }
  });
});

describe("keys", () => {
  let issuer;
  let worker;
  let good;
  const stored = (name) => createPrivateKey(readFileSync(resolve(import.meta.dirname, "../keys", `${name}.pem`)));
  before(async () => {
    issuer = await startIssuer();
    worker = await startWorker({ config: configuration(issuer) });
    [good] = issuer.keys.values();
  });
  after(() => Promise.all([worker.stop(), issuer.stop()]));
  beforeEach(() => (issuer.counts = { jwks: 0, discovery: 0 }));

  /** Publishes exactly these JWKs. */
  async function publish(keys, changes = {}) {
    issuer.jwksDocument = { keys };
    await worker.restart({ config: configuration(issuer, changes) });
  }
  const jwk = (key, kid, more = {}) => publicJwk(key, { kid, alg: "RS256", use: "sig", ...more });

  test("a set with a post-quantum key, keys of other kinds and a malformed one serves all the same", async () => {
    const [ec, ed] = await Promise.all([generateKey("ES256"), generateKey("EdDSA")]);
    await publish([
      { kty: "AKP", kid: "pq", alg: "ML-DSA-65", pub: base64url(Buffer.alloc(1952, 7)), use: "sig" },
      publicJwk(ec, { kid: "ec" }),
      publicJwk(ed, { kid: "ed" }),
      { kty: "EC", crv: "P-999", x: "AA", y: "AA", kid: "curve" },
      { kty: "oct", k: "c2VjcmV0", kid: good.kid },
      { kty: "RSA", kid: "malformed", n: "!!", e: "AQAB" },
      { kty: "RSA", kid: "without-n", e: "AQAB" },
      null, "key", 7,
      good.jwk,
    ]);
    await assertPasses(worker, issuer.token());
    await assertRefused(call(worker, issuer.token({ header: { kid: "pq" } })), "key_not_found");
  });

  test("a key behind ten others is found", async () => {
    const others = await Promise.all(Array.from({ length: 10 }, async (_, index) => jwk(await generateKey(), `other-${index}`)));
    await publish([...others, good.jwk]);
    await assertPasses(worker, issuer.token());
  });

  test("a key without alg serves what the policy allows, and nothing else", async () => {
    await publish([jwk(good.key, good.kid, { alg: undefined })]);
    await assertPasses(worker, issuer.token());
    await assertRefused(call(worker, issuer.token({ alg: "PS256", header: { alg: "PS256" } })), "alg_not_allowed");
    await publish([jwk(good.key, good.kid, { alg: undefined })], { algorithms: ["RS256", "PS256"] });
    await assertPasses(worker, issuer.token());
    await assertPasses(worker, issuer.token({ alg: "PS256", header: { alg: "PS256" } }));
    await assertRefused(call(worker, issuer.token({ header: { alg: "PS256" }, signWith: "RS256" })), "signature_invalid");
  });

  test("a key with alg serves that algorithm only", async () => {
    await publish([jwk(good.key, good.kid, { alg: "PS256" })], { algorithms: ["RS256", "PS256"] });
    const { body } = await assertRefused(call(worker, issuer.token()), "key_alg_mismatch");
    assert.equal(body.detail, "Token is signed with RS256, its key is for PS256.");
    await assertPasses(worker, issuer.token({ alg: "PS256", header: { alg: "PS256" } }));
  });

  test("a token without a key id passes if there is one key, and is ambiguous if there are two", async () => {
    await publish([good.jwk]);
    await assertPasses(worker, issuer.token({ header: { kid: undefined } }));
    await publish([good.jwk, jwk(await generateKey(), "second")]);
    await assertRefused(call(worker, issuer.token({ header: { kid: undefined } })), "key_ambiguous");
    await publish([good.jwk, jwk(await generateKey(), good.kid)]);
    await assertRefused(call(worker, issuer.token()), "key_ambiguous");
  });

  const unusable = [
    ["of 1024 bits", () => ({ key: stored("rsa1024") })],
    ["of 8192 bits, more than the default cap", () => ({ key: stored("rsa8192") })],
    ["with exponent 1", () => ({ key: good.key, more: { e: "AQ" }, forge: (data) => pkcs1Encoding(data, 256) })],
    ["with an even exponent", () => ({ key: good.key, more: { e: "AQAA" } })],
    ["with an exponent of 34 bits", () => ({ key: good.key, more: { e: base64url(Buffer.from("0200000001", "hex")) } })],
    [
      "with an even modulus",
      () => ({
        key: good.key,
        more: { n: base64url(Buffer.concat([Buffer.from(good.jwk.n, "base64url").subarray(0, 255), Buffer.from([2])])) },
      }),
    ],
    ["for encryption", () => ({ key: good.key, more: { use: "enc" } })],
    ["for signing alone, by key_ops", () => ({ key: good.key, more: { key_ops: ["sign"] } })],
    ["with its private part", () => ({ key: good.key, more: { d: "AQAB" } })],
    ["for another algorithm family", () => ({ key: good.key, more: { alg: "RSA-OAEP" } })],
    ["with a modulus that is not base64", () => ({ key: good.key, more: { n: `${good.jwk.n}!` } })],
  ];
  for (const [what, make] of unusable) {
    test(`a key ${what} is not used: beside others its tokens are refused, alone it is no key`, async () => {
      const { key, more, forge } = make();
      const bad = jwk(key, "bad", more);
      const signed = issuer.token({ header: { kid: "bad" } }).split(".").slice(0, 2).join(".");
      const token = forge
        ? `${signed}.${base64url(forge(Buffer.from(signed)))}`
        : issuer.token({ header: { kid: "bad" }, key });
      await publish([bad, good.jwk]);
      await assertRefused(call(worker, token), "key_not_found");
      await assertPasses(worker, issuer.token());
      await publish([bad]);
      await assertUnavailable(call(worker, token), "jwks_no_usable_key");
    });
  }

  test("keys of 3072 and 4096 bits and with exponent 3 pass; one of 8192 bits where max_key_bits says so", async () => {
    const keys = ["rsa3072", "rsa4096", "rsa2048-e3", "rsa8192"].map((name) => [name, stored(name)]);
    await publish(keys.map(([name, key]) => jwk(key, name)), { max_key_bits: 8192 });
    for (const [name, key] of keys) await assertPasses(worker, issuer.token({ header: { kid: name }, key }));
  });

  for (const [form, write] of [["an object", (set) => set], ["a string", (set) => JSON.stringify(set)]]) {
    test(`a static jwks, as ${form}, verifies without a single request`, async () => {
      await worker.restart({ config: configuration(issuer, { jwks: write({ keys: [good.jwk] }) }) });
      await assertPasses(worker, issuer.token());
      await assertRefused(call(worker, issuer.token({ header: { kid: "unknown" } })), "key_not_found");
      await assertRefused(call(worker, issuer.token({ key: await generateKey() })), "signature_invalid");
      assert.deepEqual(issuer.counts, { jwks: 0, discovery: 0 });
    });
  }

  test("a static jwks from the environment verifies, too", async () => {
    await worker.restart({ config: configuration(issuer, { jwks: "$env.KEYS" }), env: { KEYS: JSON.stringify({ keys: [good.jwk] }) } });
    await assertPasses(worker, issuer.token());
  });
});

describe("two issuers", () => {
  test("with the same key id never verify for each other, and each fetches its own keys", async () => {
    const [one, two] = await Promise.all([startIssuer(), startIssuer()]);
    for (const issuer of [one, two]) {
      issuer.keys.clear();
      issuer.published = [];
      await issuer.addKey({ kid: "shared" });
    }
    const worker = await startWorker({ config: configuration(one, { issuers: [{ issuer: two.issuer }] }) });
    try {
      assert.equal((await assertPasses(worker, one.token({ claims: { sub: "of-one" } }))).header("x-sub"), "of-one");
      assert.deepEqual([one.counts.jwks, two.counts.jwks], [1, 0]);
      assert.equal((await assertPasses(worker, two.token({ claims: { sub: "of-two" } }))).header("x-sub"), "of-two");
      assert.deepEqual([one.counts.jwks, two.counts.jwks], [1, 1]);
      await assertRefused(call(worker, one.token({ claims: { iss: two.issuer } })), "signature_invalid");
      await assertRefused(call(worker, two.token({ claims: { iss: one.issuer } })), "signature_invalid");
      await assertRefused(call(worker, one.token({ claims: { iss: "https://third.example" } })), "issuer_mismatch");
      await assertRefused(call(worker, one.token({ claims: { iss: undefined } })), "claim_missing");
      // Of one, a key that only the other has.
      const third = await two.addKey({ kid: "only-two" });
      await assertRefused(call(worker, one.token({ header: { kid: "only-two" }, key: third.key })), "key_not_found");
      await assertPasses(worker, two.token({ kid: "only-two" }));

      await two.stop();
      await worker.restart();
      await assertPasses(worker, one.token());
      await assertUnavailable(call(worker, two.token()), "discovery_unreachable");
    } finally {
      await Promise.all([worker.stop(), one.stop(), two.stop()]);
    }
  });
});

// Miniflare keeps the Cache API of one worker to one running instance, so a second isolate cannot be had over the same
// cache. What makes an isolate cold is an empty wasm memory, and that can be had: after a trap the runtime's glue makes a
// new instance of the module, which knows nothing, over the same cache.
describe("the edge cache", () => {
  let issuer;
  let worker;
  let token;
  before(async () => {
    issuer = await startIssuer();
    worker = await startWorker({ config: configuration(issuer), source: await trappable() });
    token = issuer.token();
  });
  after(() => Promise.all([worker.stop(), issuer.stop()]));
  beforeEach(async () => {
    await worker.restart();
    issuer.counts = { jwks: 0, discovery: 0 };
  });

  const forget = async () => assert.equal((await worker.fetch("/api", { headers: { ...bearer(token), "x-test-trap": "1" } })).status, 500);
  /** The cache's key for the issuer's set, as src/jwk/fetch.rs makes it. */
  function cacheKey() {
    const name = `${issuer.issuer.length}:${issuer.issuer}`;
    return `https://keys.edgeward.invalid/v1/${createHash("sha256").update(name).digest("hex")}`;
  }
  const entry = (changes) => ({
    issuer: issuer.issuer, fetched_at: Date.now() - 1_000, fresh_until: Date.now() + 600_000,
    jwks: JSON.stringify({ keys: issuer.published }), ...changes,
  });
  const put = async (value) => {
    const body = typeof value === "string" ? value : JSON.stringify(value);
    const answer = await worker.fetch("/", { method: "POST", headers: { "x-test-cache-key": cacheKey() }, body });
    assert.equal(answer.status, 204);
  };

  test("serves a cold start without a request to the provider, even while that is down", async () => {
    await assertPasses(worker, token);
    assert.deepEqual(issuer.counts, { jwks: 1, discovery: 1 });
    await issuer.stop();
    try {
      await forget();
      await assertPasses(worker, token);
      await assertPasses(worker, issuer.token());
      assert.deepEqual(issuer.counts, { jwks: 1, discovery: 1 });
    } finally {
      await issuer.start();
    }
  });

  test("does not keep a new key from being found", async () => {
    await assertPasses(worker, token);
    const second = await issuer.addKey();
    await forget();
    await assertPasses(worker, issuer.token({ kid: second.kid }));
    assert.equal(issuer.counts.jwks, 2);
    issuer.removeKey(second.kid);
  });

  test("is read and written: an entry put there by hand serves", async () => {
    await put(entry());
    await assertPasses(worker, token);
    assert.deepEqual(issuer.counts, { jwks: 0, discovery: 0 });
  });

  const poisoned = [
    ["no JSON", () => "<html>"],
    ["nothing", () => ""],
    ["another issuer's", () => entry({ issuer: "https://elsewhere.example" })],
    ["from the future", () => entry({ fetched_at: Date.now() + 600_000, fresh_until: Date.now() + 1_200_000 })],
    ["older than a day", () => entry({ fetched_at: Date.now() - 86_400_001 })],
    ["no longer fresh", () => entry({ fetched_at: Date.now() - 4_000_000, fresh_until: Date.now() - 1 })],
    ["fresh for too long", () => entry({ fetched_at: Date.now() - 3_600_001, fresh_until: Date.now() + 9_000_000_000 })],
    ["without keys", () => entry({ jwks: '{"keys":[]}' })],
    ["with two members of one name", () => JSON.stringify(entry()).replace("{", `{"issuer":"x",`)],
    ["larger than any set may be", () => entry({ padding: "x".repeat(1_100_000) })],
  ];
  for (const [what, make] of poisoned) {
    test(`an entry that is ${what} counts as none`, async () => {
      await put(make());
      await assertPasses(worker, token);
      assert.equal(issuer.counts.jwks, 1);
    });
  }

  test("an entry that is no longer fresh serves while the provider is down", async () => {
    await put(entry({ fetched_at: Date.now() - 4_000_000, fresh_until: Date.now() - 1 }));
    await issuer.stop();
    try {
      await assertPasses(worker, token);
    } finally {
      await issuer.start();
    }
  });
});

test("tokens are verified as of now: the clock of the runtime is right", async () => {
  const issuer = await startIssuer();
  const worker = await startWorker({ config: configuration(issuer, { clock_skew_s: 0 }) });
  try {
    await assertRefused(
      call(worker, issuer.token({ claims: { exp: nowSeconds() - 1 } })), "token_expired",
      { hint: "Refresh the token or log in again." },
    );
    await assertPasses(worker, issuer.token({ claims: { exp: nowSeconds() + 5, iat: nowSeconds() - 5 } }));
  } finally {
    await Promise.all([worker.stop(), issuer.stop()]);
  }
});
