// Tokens for upstreams in workerd, issued by a real provider: client credentials and token exchange. The provider counts the requests.

import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { Browser, SITE } from "./support/browser.mjs";
import { bearer, proxy, until } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { loginConfig, SESSION_SECRET } from "./support/login.mjs";
import { AUDIENCE, CLIENT_SECRET, OTHER_AUDIENCE, startProvider } from "./support/provider.mjs";
import { startOrigin } from "./support/origin.mjs";
import { registerTokenExchange as extend, TOKEN_EXCHANGE } from "./support/token_exchange.mjs";
import { startWorker } from "./support/worker.mjs";

const payloadOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

const LIFETIME = 6;
/** When a token of this lifetime is no longer reused. */
const DUE_MS = (LIFETIME / 2) * 1000 + 200;
const SERVICE = "edgeward-upstream";
const HOST = { host: new URL(SITE).host };

const M2M = { m2m: { audience: OTHER_AUDIENCE, scope: "read:items" } };
const EXCHANGE = { exchange: { audience: OTHER_AUDIENCE, scope: "read:items" } };
const route = (path, origin, upstream_auth, more = {}, headers = undefined) => {
  const { integration, ...rest } = proxy(path, origin, more);
  return { ...rest, integration: { ...integration, upstream_auth, ...(headers && { headers }) } };
};

const addClient = (provider) =>
  provider.setClient(SERVICE, { grant_types: ["authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE] });
const config = (provider, origin, changes = {}) =>
  loginConfig(provider, origin, {
    ...changes,
    authorizer: { client_id: SERVICE, ...changes.authorizer },
    paths: [
      route("/m2m/{*rest}", origin, M2M, { auth: "none" }),
      route("/header/{*rest}", origin, M2M, { auth: "none" }, { "X-Token": "$m2m" }),
      route("/exchange/{*rest}", origin, EXCHANGE),
      route("/unknown/{*rest}", origin, { m2m: { audience: "https://unknown.example.com" } }, { auth: "none" }),
    ],
  });

const [provider, short, origin, elsewhere] = await Promise.all([
  startProvider({ gateways: [SITE], extend }), startProvider({ gateways: [SITE], extend, ttl: { accessToken: LIFETIME } }), startOrigin(), startOrigin(),
]);
[provider, short].forEach(addClient);
const site = await startWorker({ config: config(provider, origin) });
const shared = await startWorker({ config: config(short, origin), sessions: true, isolates: 2 });
after(() => Promise.all([provider, short, origin, elsewhere, site, shared].map((part) => part.stop())));
afterEach(() => [provider, short].forEach((one) => one.clearFaults()));

const send = (worker, target, { headers = {}, ...more } = {}) =>
  worker.request({ target, headers: { ...HOST, ...headers }, ...more });
const tokenAt = (answer) => {
  assert.equal(answer.status, 200, answer.text);
  return answer.json().headers.authorization?.replace(/^Bearer /, "");
};
const fresh = async (worker, one) => {
  await worker.restart();
  one.resetCounts();
};

describe("client credentials", () => {
  test("cost one request for a thousand calls, and the token is for the upstream's audience", async () => {
    await fresh(site, provider);
    const token = tokenAt(await send(site, "/m2m/x", { headers: bearer("of.the.client") }));
    const payload = payloadOf(token);
    assert.deepEqual([payload.aud, payload.scope, payload.client_id], [OTHER_AUDIENCE, "read:items", SERVICE]);
    for (let round = 0; round < 37; round += 1) {
      const answers = await Promise.all(Array.from({ length: 27 }, () => send(site, "/m2m/x")));
      assert.ok(answers.every((answer) => tokenAt(answer) === token));
    }
    const other = (await send(site, "/header/x", { headers: { "x-token": "forged", authorization: "Basic Zm9v" } })).json().headers;
    assert.deepEqual([other["x-token"], other.authorization], [token, undefined]);
    assert.equal(provider.counts.token, 1);
  });

  test("cost one request for fifty calls after the expiry, on two isolates with one Durable Object", async () => {
    await fresh(shared, short);
    const ask = (index) => send(shared, "/m2m/x", { port: shared.ports[index % 2] });
    const first = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index)));
    assert.equal(new Set(first.map(tokenAt)).size, 1, shared.logText);
    assert.equal(short.counts.token, 1);
    await delay(DUE_MS);
    short.setFault("token", { delay: 200, times: 1 });
    const second = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index)));
    assert.equal(new Set(second.map(tokenAt)).size, 1);
    assert.notEqual(tokenAt(second[0]), tokenAt(first[0]));
    assert.equal(short.counts.token, 2);
  });

  test("work for a client without a login, with its secret in a header", async () => {
    provider.setClient("basic-service", {
      grant_types: ["client_credentials"], redirect_uris: [], response_types: [], token_endpoint_auth_method: "client_secret_basic",
    });
    const authorizer = {
      type: "oidc", issuer: provider.issuer, client_id: "basic-service", client_secret: CLIENT_SECRET, client_auth: "client_secret_basic",
    };
    const worker = await startWorker({ config: { authorizer, paths: [route("/m2m/{*rest}", origin, M2M, { auth: "none" })] } });
    try {
      assert.equal(payloadOf(tokenAt(await send(worker, "/m2m/x"))).client_id, "basic-service", worker.logText);
    } finally {
      await worker.stop();
    }
  });

  test("reach the provider with the next secret if it refuses the first", async () => {
    await site.restart({ config: config(provider, origin, { authorizer: { client_secret: ["replaced-secret-0123456789", CLIENT_SECRET] } }) });
    provider.resetCounts();
    tokenAt(await send(site, "/m2m/x"));
    assert.equal(provider.counts.token, 2);
    await site.restart({ config: config(provider, origin) });
  });
});

describe("without a token", () => {
  test("a storm of 429 is not amplified: Retry-After is passed on and honoured", async () => {
    await fresh(shared, short);
    const fault = short.setFault("token", {
      status: 429, headers: { "retry-after": "30", "content-type": "application/json" }, body: '{"error":"too_many_requests"}',
    });
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) => send(shared, "/m2m/x", { port: shared.ports[index % 2] })),
      );
      for (const answer of answers) {
        assert.deepEqual([answer.status, answer.json().code], [503, "upstream_token_unavailable"], answer.text);
        assert.match(answer.header("retry-after"), /^(2[0-9]|30)$/);
      }
      await delay(300);
    }
    assert.equal(fault.served, 1);
    await shared.flush();
    assert.equal(shared.logs.filter(({ message }) => message.includes("upstream_token_unavailable")).length, 1, shared.logText);
  });

  for (const [what, fault, status] of [
    ["answers 500", { status: 500, body: "{}" }, 503],
    ["answers HTML", { status: 200, headers: { "content-type": "text/html" }, body: "<p>hello" }, 503],
    ["answers without a token", { body: () => "{}" }, 503],
    ["answers with an error and 200", { status: 200, headers: { "content-type": "application/json" }, body: '{"error":"invalid_scope"}' }, 502],
    ["answers with an expired token", { body: (text) => JSON.stringify({ ...JSON.parse(text), expires_in: 0 }) }, 503],
    ["answers endlessly", { headers: { "content-type": "application/json" }, endless: true }, 503],
    ["cuts the connection", { reset: true }, 503],
    ["redirects", { redirect: "https://evil.example/token" }, 503],
  ]) {
    test(`nothing is forwarded while the token endpoint ${what}`, async () => {
      await fresh(site, provider);
      provider.setFault("token", fault);
      origin.reset();
      const answer = await send(site, "/m2m/x", { method: "POST", body: "data" });
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.json().code, status === 502 ? "upstream_token_refused" : "upstream_token_unavailable");
      assert.deepEqual(origin.requests, []);
      provider.clearFaults();
      await until(async () => (await send(site, "/m2m/x")).status === 200, { what: "a token, once it can be had" });
    });
  }

  test("the provider's own refusal is a 502 that names no secret", async () => {
    await fresh(site, provider);
    const answer = await send(site, "/unknown/x");
    assert.deepEqual([answer.status, answer.json().code], [502, "upstream_token_refused"]);
    await site.waitForLog(/upstream_token_refused: .*invalid_target/);
    const texts = [answer.text, await site.written()];
    for (const secret of [CLIENT_SECRET, SESSION_SECRET]) for (const text of texts) assert.ok(!text.includes(secret));
  });
});

describe("the token", () => {
  test("is for the route's origin only: redirects are not followed", async () => {
    await fresh(site, provider);
    elsewhere.reset();
    const answer = await send(site, `/m2m/redirect?to=${encodeURIComponent(elsewhere.url)}`);
    assert.deepEqual([answer.status, answer.header("location"), elsewhere.requests], [302, elsewhere.url, []]);
    assert.match(origin.last.headers.authorization, /^Bearer ey/);
    const other = await send(site, "/token/x");
    assert.equal(other.status, 401);
  });

  test("is not requested again when the origin answers 401, and the body is sent once", async () => {
    await fresh(site, provider);
    origin.reset();
    const answer = await send(site, "/m2m/status/401", { method: "POST", body: "data" });
    assert.deepEqual([answer.status, origin.requests.length, provider.counts.token], [401, 1, 1]);
  });

  test("is in no log line", async () => {
    const token = tokenAt(await send(site, "/m2m/x"));
    const text = await site.written();
    assert.ok(!text.includes(token) && !text.includes(token.slice(-20)));
  });
});

describe("token exchange", () => {
  test("a caller's bearer token becomes one of the upstream's audience, once", async () => {
    await fresh(site, provider);
    const callers = await Promise.all([{ org: 1 }, { org: 2 }].map((claims) => provider.tokenFor({ scope: "read:items", claims })));
    provider.resetCounts();
    const tokens = [];
    for (const caller of callers) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => send(site, "/exchange/x", { headers: bearer(caller) })));
      const [token, ...others] = new Set(answers.map(tokenAt));
      assert.deepEqual([others.length, payloadOf(token).aud, payloadOf(caller).aud], [0, OTHER_AUDIENCE, AUDIENCE]);
      assert.equal(payloadOf(token).sub, payloadOf(caller).sub);
      tokens.push(token);
    }
    assert.notEqual(tokens[0], tokens[1]);
    assert.equal(provider.counts.token, 2);
    assert.equal((await send(site, "/exchange/x")).status, 401);
  });

  test("so does the access token of a session", async () => {
    await fresh(site, provider);
    const browser = new Browser(site);
    await browser.open("/login", { account: "alice" });
    provider.resetCounts();
    const [one, two] = [await browser.send("/exchange/x"), await browser.send("/exchange/x")].map(tokenAt);
    assert.deepEqual([one === two, payloadOf(one).sub, payloadOf(one).aud], [true, "alice", OTHER_AUDIENCE]);
    assert.equal(provider.counts.token, 1);
  });
});
