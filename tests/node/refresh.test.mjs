// Refreshing sessions: once for all concurrent requests, on any isolate, even if a client disconnects meanwhile. The provider
// rotates refresh tokens without overlap: using one twice ends the session.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { after, afterEach, describe, test } from "node:test";
import { assertProblem, bearer, REALM, until } from "./support/gateway.mjs";
import { NAVIGATION } from "./support/browser.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, startSite, WITH_REFRESH } from "./support/login.mjs";
import { wrappedBuild } from "./support/worker.mjs";

/** Seconds. The gateway refreshes tokens 30 s before they expire, short-lived ones after half their lifetime: these after three, twice as long as
 * the slow origin takes. */
const LIFETIME = 6;
const DUE_MS = (LIFETIME / 2) * 1000 + 100;
const REFRESH = { method: ["GET", "POST"], path: "/refresh", integration: { type: "refresh" } };

/** An origin that takes its time. */
const slow = createServer((_, response) => setTimeout(() => response.end("late"), 1500)).listen(0, "127.0.0.1");
await once(slow, "listening");
const SLOW = { method: "GET", path: "/slow", auth: "required", integration: { type: "http_proxy", url: `http://127.0.0.1:${slow.address().port}` } };

const settings = { provider: { ttl: { accessToken: LIFETIME } }, authorizer: WITH_REFRESH, paths: [REFRESH, SLOW] };
const one = await startSite(settings);
const two = await startSite({ ...settings, worker: { sessions: true, isolates: 2 } });
after(() => Promise.all([one.stop(), two.stop(), slow.close()]));
afterEach(() => [one, two].forEach(({ provider }) => provider.clearFaults()));

/** A browser whose access token is due. */
async function due(site, account = "alice") {
  const browser = await site.loggedIn(account, "/login?prompt=consent");
  await delay(DUE_MS);
  site.provider.resetCounts();
  return browser;
}

const tokenAt = (answer) => answer.json().headers.authorization;

describe("an access token that is due", () => {
  test("is replaced before it is used, and the cookie with it", async () => {
    const browser = await one.loggedIn("alice", "/login?prompt=consent");
    const first = tokenAt(await browser.send("/token/x"));
    assert.equal(tokenAt(await browser.send("/token/x")), first, "good until then");
    await delay(DUE_MS);
    const before = browser.cookies().get(COOKIE);
    const answer = await browser.send("/token/x");
    assert.equal(answer.status, 200);
    assert.notEqual(tokenAt(answer), first);
    assert.notEqual(browser.cookies().get(COOKIE), before);
    assert.equal(answer.header("cache-control"), "private, no-store");
    assert.equal(tokenAt(await browser.send("/token/x")), tokenAt(answer));
    await delay(DUE_MS);
    assert.equal((await browser.send("/token/x")).status, 200, "the rotated refresh token was kept: it works, too");
    assert.equal((await browser.send("/app/x")).json().headers["x-user-name"], "Alice Example");
  });

  test("is replaced once for 50 requests at the same time", async () => {
    const browser = await due(one);
    const cookie = browser.cookieHeader();
    const ask = () => one.worker.request({ target: "/token/x", headers: { host: "app.example.com", cookie } });
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    assert.deepEqual(answers.map(({ status }) => status), Array(50).fill(200));
    assert.equal(one.provider.counts.token, 1);
    assert.equal(new Set(answers.map(tokenAt)).size, 1);
    for (const answer of answers) assert.ok(answer.header("set-cookie").startsWith(`${COOKIE}=`));
    assert.equal((await ask()).status, 200, "a straggler with the old cookie gets what came of it");
    assert.equal(one.provider.counts.token, 1);
  });

  test("is replaced once for 50 requests on two isolates, by the Durable Object", async () => {
    const browser = await due(two);
    const cookie = browser.cookieHeader();
    const ask = (index) =>
      two.worker.request({ target: "/token/x", headers: { host: "app.example.com", cookie }, port: two.worker.ports[index % 2] });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index)));
    assert.deepEqual(answers.map(({ status }) => status), Array(50).fill(200), two.worker.logText);
    assert.equal(two.provider.counts.token, 1);
    assert.equal(new Set(answers.map(tokenAt)).size, 1);
    await browser.send("/app/x", { port: two.worker.ports[1] });
    await delay(DUE_MS);
    for (const port of two.worker.ports) assert.equal((await browser.send("/token/x", { port })).status, 200, "the session is intact");
    assert.equal(two.provider.counts.token, 2);
  });

  test("is not restored by a late response after a logout and another user's login on the other isolate", async () => {
    const browser = await due(two);
    const [a, b] = two.worker.ports;
    const late = browser.send("/slow", { port: b });
    await until(() => two.provider.counts.token === 1, { what: "the refresh" });
    assert.equal((await browser.send("/logout", { method: "POST", port: a })).status, 302);
    assert.ok((await browser.open("/login?prompt=login", { account: "bob" })).status < 400);
    const answer = await late;
    assert.deepEqual([answer.status, answer.text, answer.setCookies], [200, "late", []]);
    for (const port of [a, b]) assert.equal((await browser.send("/app/x", { port })).json().headers["x-user-id"], "bob");
  });

  test("keeps its newest tokens although a late response sets the cookie last", async () => {
    const browser = await due(two);
    const [a, b] = two.worker.ports;
    const late = browser.send("/slow", { port: b });
    await until(() => two.provider.counts.token === 1, { what: "the refresh" });
    assert.equal((await browser.send("/refresh", { method: "POST", port: a })).status, 200);
    const newest = tokenAt(await browser.send("/token/x", { port: a }));
    assert.equal((await late).setCookies.length, 1);
    assert.equal(tokenAt(await browser.send("/token/x", { port: a })), newest);
  });

  test("leaves no timer behind: the runtime would never release what waits for it", async () => {
    const source = await wrappedBuild(`
const pending = new Set();
const { setTimeout: set, clearTimeout: clear } = globalThis;
globalThis.setTimeout = (work, millis) => {
  const timer = set(() => (pending.delete(timer), work()), millis);
  pending.add(timer);
  return timer;
};
globalThis.clearTimeout = (timer) => (pending.delete(timer), clear(timer));
export default {
  fetch: (request, env, ctx) => request.headers.has("x-timers") ? new Response(String(pending.size)) : gateway.fetch(request, env, ctx),
};`);
    const site = await startSite({ ...settings, worker: { source } });
    try {
      const timers = async () => Number(await (await site.worker.fetch("/", { headers: { "x-timers": "1" } })).text());
      const browser = await due(site);
      const before = await timers();
      assert.equal((await browser.send("/token/x")).status, 200);
      assert.equal(site.provider.counts.token, 1);
      assert.equal(await timers(), before);
    } finally {
      await site.stop();
    }
  });

  test("is replaced although the client goes away meanwhile", async () => {
    const browser = await due(one);
    one.provider.setFault("token", { delay: 300 });
    const cookie = browser.cookieHeader();
    const socket = connect(one.worker.port, "127.0.0.1");
    socket.write(`GET /token/x HTTP/1.1\r\nHost: app.example.com\r\nCookie: ${cookie}\r\n\r\n`);
    await until(() => one.provider.counts.token === 1, { what: "the refresh" });
    socket.destroy();
    await delay(600);
    one.provider.clearFaults();
    const answer = await browser.send("/token/x");
    assert.equal(answer.status, 200);
    assert.equal(one.provider.counts.token, 1, "the outcome was kept");
  });

  for (const [what, fault] of [
    ["answers 500", { status: 500, body: "{}" }], ["answers 429", { status: 429, headers: { "content-type": "application/json" }, body: '{"error":"slow_down"}' }],
    ["answers HTML", { status: 200, headers: { "content-type": "text/html" }, body: "<p>hello" }], ["cuts the connection", { reset: true }],
    ["redirects", { redirect: "https://evil.example/token" }],
  ]) {
    test(`stays as it is while the token endpoint ${what}; the session goes on`, async () => {
      const browser = await due(one);
      one.provider.setFault("token", fault);
      const answer = await browser.send("/app/x");
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json().headers["x-user-id"], "alice");
      await one.worker.waitForLog(/refresh_unavailable/);
      one.provider.clearFaults();
      await until(async () => (await browser.send("/app/x")).setCookies.length > 0, { what: "the refresh, once it can be had" });
    });
  }

  test("that the provider will not replace ends the session: no loop, no error", async () => {
    const browser = await due(one, "bob");
    one.provider.revoke({ account: "bob" });
    const answer = await browser.send("/app/x");
    assert.equal(answer.status, 401);
    assert.equal(answer.json().login, "/login");
    assert.ok(answer.setCookies.some((line) => line.startsWith(`${COOKIE}=;`) && line.includes("Max-Age=0")));
    assert.equal(browser.cookies().has(COOKIE), false);
    await one.worker.waitForLog(/session_ended/);
    const page = await browser.open("/app/x", { account: "bob" });
    assert.equal(page.status, 200, "logging in again is all it takes");
  });

  test("that the provider will not replace ends the session on every isolate", async () => {
    const browser = await due(two, "bob");
    two.provider.revoke({ account: "bob" });
    const cookie = browser.cookieHeader();
    for (const port of two.worker.ports) {
      const answer = await two.worker.request({ target: "/app/x", headers: { host: "app.example.com", cookie, ...NAVIGATION }, port });
      assert.equal(answer.status, 302);
      assert.match(answer.header("location"), /\/login\?return_to=/);
    }
    assert.equal(two.provider.counts.token, 1);
  });
});

describe("the refresh route", () => {
  test("gives the session new tokens and says how long they last", async () => {
    const browser = await one.loggedIn("alice", "/login?prompt=consent");
    const before = tokenAt(await browser.send("/token/x"));
    const answer = await browser.send("/refresh", { method: "POST" });
    assert.equal(answer.status, 200, answer.text);
    const { expires_in: left, ...rest } = answer.json();
    assert.ok(left > 0 && left <= LIFETIME);
    assert.deepEqual(rest, {}, "no token leaves the cookie");
    assert.equal(answer.header("cache-control"), "private, no-store");
    assert.notEqual(tokenAt(await browser.send("/token/x")), before);
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, "with the rotated token");
  });

  test("takes no token from a URL, none from a header, and none that is not there", async () => {
    const browser = await one.loggedIn("alice", "/login?prompt=consent");
    await assertCode(browser.send("/refresh?refresh_token=abc"), 400, "invalid_request");
    await assertCode(browser.send("/refresh?refresh%5Ftoken=abc"), 400, "invalid_request");
    const token = await one.provider.tokenFor({ scope: "read:items" });
    await assertCode(one.browser().send("/refresh", { headers: bearer(token) }), 400, "no_session");
    await assertProblem(one.browser().send("/refresh"), { status: 401, code: "token_missing", challenge: REALM, login: "/login" });
  });

  test("by another site's doing is refused", async () => {
    const browser = await one.loggedIn("alice", "/login?prompt=consent");
    await assertCode(browser.send("/refresh", { method: "POST", headers: { origin: "https://evil.example" } }), 403, "cross_site_request");
  });

  test("says so when the provider has given no refresh token", async () => {
    const browser = await one.loggedIn("alice");
    // Logged in without the consent prompt, which this provider wants for offline_access.
    await assertCode(browser.send("/refresh"), 400, "no_refresh_token");
  });

  test("says so when the provider does not answer, and when it has ended the session", async () => {
    const browser = await one.loggedIn("alice", "/login?prompt=consent");
    one.provider.setFault("token", { status: 503 });
    await assertCode(browser.send("/refresh"), 502, "refresh_unavailable");
    one.provider.clearFaults();
    one.provider.revoke({ account: "alice" });
    const refused = async () => {
      const answer = await browser.send("/refresh");
      return answer.status !== 502 && answer;
    };
    const answer = await assertCode(until(refused, { what: "the end of the session" }), 401, "session_ended");
    assert.ok(answer.setCookies.some((line) => line.startsWith(`${COOKIE}=;`)));
  });
});

async function assertCode(answer, status, code) {
  answer = await answer;
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json().code, code);
  return answer;
}
