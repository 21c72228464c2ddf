// Sessions and tokens that end before they expire: by a back-channel logout of a real provider, and by an administrator. Two isolates,
// one Durable Object.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { NAVIGATION, SITE } from "./support/browser.mjs";
import { assertRefused, bearer, until } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { startSite } from "./support/login.mjs";
import { clientFor } from "./support/provider.mjs";

const paths = [
  { method: "POST", path: "/backchannel", integration: { type: "backchannel_logout" } },
  { method: "POST", path: "/revoke", scopes: ["admin:read"], integration: { type: "revoke" } },
];
const site = await startSite({ paths, worker: { sessions: true, isolates: 2 } });
/** The same without a Durable Object. */
const unbound = await startSite({ paths });
after(() => Promise.all([site.stop(), unbound.stop()]));
const { provider, worker } = site;
const [a, b] = worker.ports;

/** The logout tokens that arrived, and how they were answered. */
const received = [];

provider.setClient("edgeward-web", { backchannel_logout_uri: `${SITE}/backchannel`, backchannel_logout_session_required: true });
provider.fetch = async (url, { body }) => {
  const answer = await post(new URL(url).pathname, String(body));
  received.push({ body: String(body), status: answer.status });
  return new Response(answer.text || null, { status: answer.status });
};

const FORM = "application/x-www-form-urlencoded";
const post = (target, body, { port = a, type = FORM, headers = {} } = {}) =>
  worker.request({ method: "POST", target, headers: { "content-type": type, ...headers }, body, port });

const opens = async (browser, port) => {
  const { status } = await browser.send("/app/x", { port });
  assert.ok(status === 200 || status === 401, `${status}\n${worker.logText}`);
  return status === 200;
};

const seesAll = async (ask, expected) => {
  for (const port of [a, b]) assert.equal(await ask(port), expected, `${port}\n${worker.logText}`);
};

async function revoke(order, { port = a } = {}) {
  const token = await provider.tokenFor({ scope: "admin:read" });
  return post("/revoke", JSON.stringify(order), { port, type: "application/json", headers: bearer(token) });
}

describe("a back-channel logout", () => {
  test("of a real provider ends the session on another isolate, within a second", async (context) => {
    const [browser, other] = [await site.loggedIn("alice"), await site.loggedIn("alice")];
    await seesAll((port) => opens(browser, port), true);
    await seesAll((port) => opens(other, port), true);
    // The user logs out at the provider, not here.
    await browser.open(`${provider.url}/session/end?client_id=edgeward-web`);
    await until(() => received.length === 1, { what: "the logout token" });
    const stored = performance.now();
    assert.equal(received[0].status, 200, worker.logText);
    await until(async () => !(await opens(browser, b)), { what: "the end of the session" });
    context.diagnostic(`the other isolate refused the session ${Math.round(performance.now() - stored)} ms after the logout`);
    await seesAll((port) => opens(browser, port), false);
    await seesAll((port) => opens(other, port), true);
    // Browsers are sent to the login.
    const page = await browser.send("/app/x", { port: b, headers: NAVIGATION });
    assert.equal(page.status, 302);
    assert.match(page.header("location"), /\/login\?return_to=%2Fapp%2Fx$/);
    await browser.open("/app/x", { account: "alice" });
    await seesAll((port) => opens(browser, port), true);
  });

  test("counts once, on any isolate", async () => {
    const browser = await site.loggedIn("alice");
    for (const port of [a, b]) {
      const answer = await post("/backchannel", received[0].body, { port });
      assert.equal(answer.status, 400);
      assert.equal(answer.json().code, "logout_token_replayed");
      assert.equal(answer.header("cache-control"), "no-store");
    }
    await seesAll((port) => opens(browser, port), true);
  });

  test("is refused with any other token, and in any other form", async () => {
    const { id_token: idToken, access_token: accessToken } = await provider.login({ audience: provider.audience });
    for (const [body, code] of [
      [`logout_token=${idToken}`, "logout_token_kind"], [`logout_token=${accessToken}`, "typ_not_allowed"],
      ["logout_token=x", "token_malformed"], ["", "invalid_request"], [`${received[0].body}&${received[0].body}`, "invalid_request"],
      [`logout_token=${"a".repeat(100_000)}`, "invalid_request"],
    ]) {
      const answer = await post("/backchannel", body);
      assert.equal(answer.status, 400, body.slice(0, 40));
      assert.equal(answer.json().code, code);
      assert.equal(answer.json().error, "invalid_request");
    }
    assert.equal((await post("/backchannel", received[0].body, { type: "application/json" })).status, 400);
    assert.equal((await worker.request({ target: "/backchannel" })).status, 405);
  });
});

describe("an administrator", () => {
  test("revokes a token, which every isolate has cached", async () => {
    const tokens = [await provider.tokenFor({ scope: "read:items" }), await provider.tokenFor({ scope: "read:items" })];
    const ask = (token) => (port) => worker.request({ target: "/app/x", headers: bearer(token), port });
    const status = (token) => async (port) => (await ask(token)(port)).status;
    for (const token of tokens) await seesAll(status(token), 200);
    const { jti } = JSON.parse(Buffer.from(tokens[0].split(".")[1], "base64url"));
    assert.equal((await revoke({ jti })).status, 204, worker.logText);
    await delay(1000);
    for (const port of [a, b]) await assertRefused(ask(tokens[0])(port), "token_revoked");
    await seesAll(status(tokens[1]), 200);
  });

  test("revokes all tokens of a client, but no later one", async () => {
    const clientId = clientFor("PS256");
    const tokenOf = () => provider.tokenFor({ scope: "read:items", alg: "PS256" });
    const open = (token) => async (port) => (await worker.request({ target: "/app/x", headers: bearer(token), port })).status;
    // Tokens issued within the skew of the clocks after a revocation are refused, too.
    await site.reconfigure({ paths, authorizer: { algorithms: ["RS256", "PS256"], clock_skew_s: 0 } });
    const token = await tokenOf();
    for (const port of worker.ports) assert.equal(await open(token)(port), 200, worker.logText);
    assert.equal((await revoke({ client_id: clientId }, { port: worker.port })).status, 204);
    await delay(1100);
    const later = await tokenOf();
    for (const port of worker.ports) {
      await assertRefused(worker.request({ target: "/app/x", headers: bearer(token), port }), "token_revoked");
      assert.equal(await open(later)(port), 200);
    }
  });

  test("logs a user out everywhere", async () => {
    const browsers = [await site.loggedIn("bob"), await site.loggedIn("bob")];
    const { access_token: token } = await provider.login({ account: "bob", scope: "openid", audience: provider.audience });
    const alice = await site.loggedIn("alice");
    assert.equal((await revoke({ sub: "bob" }, { port: worker.port })).status, 204, worker.logText);
    await delay(1100);
    for (const port of worker.ports) {
      for (const browser of browsers) assert.equal(await opens(browser, port), false);
      await assertRefused(worker.request({ target: "/app/x", headers: bearer(token), port }), "token_revoked");
      assert.equal(await opens(alice, port), true);
    }
    await browsers[0].open("/app/x", { account: "bob" });
    for (const port of worker.ports) assert.equal(await opens(browsers[0], port), true);
  });

  test("needs the right to do so", async () => {
    const weak = await provider.tokenFor({ scope: "read:items" });
    const json = { type: "application/json", port: worker.port };
    assert.equal((await post("/revoke", '{"sub":"alice"}', { ...json, headers: bearer(weak) })).status, 403);
    assert.equal((await post("/revoke", '{"sub":"alice"}', json)).status, 401);
    assert.equal((await revoke({ sub: "alice", jti: "x" }, json)).status, 400);
    assert.equal((await revoke({}, json)).status, 400);
  });
});

test("without a Durable Object, nothing that may be revoked passes", async () => {
  const token = await unbound.provider.tokenFor({ scope: "read:items" });
  const answer = await unbound.worker.request({ target: "/app/x", headers: bearer(token) });
  assert.equal(answer.status, 503);
  assert.equal(answer.json().code, "revocation_unavailable");
  await unbound.worker.waitForLog("revocation_unavailable: no Durable Object is bound as EDGEWARD_SESSIONS");
  assert.equal((await unbound.worker.request({ target: "/" })).status, 200);
  await unbound.reconfigure({ revocation: { fail: "open" } });
  assert.equal((await unbound.worker.request({ target: "/app/x", headers: bearer(token) })).status, 200);
});
