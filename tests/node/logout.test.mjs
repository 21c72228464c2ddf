// After a logout, no copy of the session's cookie gets new tokens, on any isolate, even with a refresh in flight; and the newest
// refresh token is revoked. Two isolates, one Durable Object, and a provider that records its requests.

import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { Browser, NAVIGATION } from "./support/browser.mjs";
import { until } from "./support/gateway.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, loginConfig } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const paths = [
  { method: "ANY", path: "/maybe/{*rest}", auth: "optional", integration: { type: "http_proxy", url: origin.url, headers: { "X-User-Id": "$claims.sub" } } },
];
const start = async (options) => {
  const worker = await startWorker({ config: loginConfig(provider, origin, { paths }), ...options });
  after(() => worker.stop());
  return worker;
};
const shared = await start({ sessions: true, isolates: 2 });
const alone = await start({});
/** Something is bound that is no Durable Object: it does not answer. */
const broken = await start({ env: { EDGEWARD_SESSIONS: {} } });
after(() => Promise.all([provider.stop(), origin.stop()]));
afterEach(() => provider.reset());

const HOST = { host: "app.example.com" };
const API = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
const cookiesSet = (answer) => answer.headers.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
const isRefresh = (form) => form.get("grant_type") === "refresh_token";
const refreshes = () => provider.exchanges.filter(isRefresh).length;

/** The refresh tokens that the provider gave since `given` was made. */
let given = [];

/** A `Cookie` header whose session is to be refreshed now. What a refresh brings is good for an hour. */
async function due(worker, port = worker.port) {
  given = [];
  provider.behave.reply = (reply, asked) => {
    given.push(reply.refresh_token);
    return { ...reply, expires_in: asked.has("state") ? 3 : 3600 };
  };
  const browser = new Browser(worker);
  await browser.open("/login?return_to=/");
  assert.ok(browser.cookies().has(COOKIE), worker.logText);
  await delay(2_000);
  assert.equal(refreshes(), 0, worker.logText);
  return { cookie: browser.cookieHeader(), ask: (cookie, options) => ask(worker, cookie, { port, ...options }) };
}

function ask(worker, cookie, { port, target = "/app/x", headers = API, method } = {}) {
  return worker.request({ method, target, headers: { ...HOST, ...headers, cookie }, port });
}

const logOut = (worker, cookie, port) => ask(worker, cookie, { port, target: "/logout", headers: NAVIGATION });

/** The cookie that an answer brings. */
const renewed = (answer) => cookiesSet(answer).find((line) => line.startsWith(`${COOKIE}=1.`))?.split(";")[0];

/** No isolate lets this cookie in, asks the provider for it, or keeps it. */
async function assertOver(worker, cookie, ports = worker.ports) {
  const before = provider.exchanges.length;
  for (const port of ports) {
    const script = await ask(worker, cookie, { port });
    assert.equal(script.status, 401, `${port}: ${script.text}`);
    assert.equal(renewed(script), undefined);
    assert.equal((await ask(worker, cookie, { port, headers: NAVIGATION })).status, 302);
    const maybe = await ask(worker, cookie, { port, target: "/maybe/x" });
    assert.equal(maybe.status, 200, "anonymous requests pass where authentication is optional");
    assert.equal(maybe.json().headers["x-user-id"], undefined);
    assert.equal(renewed(maybe), undefined);
    assert.notEqual((await ask(worker, cookie, { port, target: "/refresh" })).status, 200);
  }
  assert.equal(provider.exchanges.length, before, "the provider is not asked");
}

const assertRevoked = (token) => until(() => provider.revocations.includes(token), { what: "the revocation" });

describe("a logout, with a Durable Object,", () => {
  const [a, b] = shared.ports;

  test("ends every copy of the cookie, the one from before a refresh too", async () => {
    const { cookie } = await due(shared);
    const second = renewed(await ask(shared, cookie, { port: a }));
    assert.ok(second);
    assert.equal((await logOut(shared, second, a)).status, 302);
    await assertRevoked(given[1]);
    // A session that is not due for refresh is not checked: the documented limitation.
    assert.equal((await ask(shared, second, { port: b })).status, 200);
    assert.equal((await ask(shared, second, { port: a })).status, 401);
    await assertOver(shared, cookie);
    // By then the other isolate has heard of the logout, for every copy.
    assert.equal((await ask(shared, second, { port: b })).status, 401);
  });

  // The logout cleared the cookie. Who still sends it may have logged in again meanwhile: a late answer must not undo that.
  test("is known on another isolate, which takes no cookie away", async () => {
    const noneCleared = (answer) => assert.ok(!cookiesSet(answer).some((line) => line.startsWith(`${COOKIE}=`)));
    const { cookie } = await due(shared);
    await logOut(shared, cookie, a);
    const answer = await ask(shared, cookie, { port: b });
    assert.equal(answer.status, 401);
    noneCleared(answer);
    const { cookie: other } = await due(shared);
    await logOut(shared, other, a);
    const maybe = await ask(shared, other, { port: b, target: "/maybe/x" });
    assert.equal(maybe.status, 200);
    assert.equal(maybe.header("cache-control"), "private, no-store");
    noneCleared(maybe);
  });

  test("revokes the refresh token that the browser never heard of", async () => {
    const { cookie } = await due(shared);
    await ask(shared, cookie, { port: a }); // The answer is lost.
    assert.equal(given.length, 2);
    await logOut(shared, cookie, b);
    await assertRevoked(given[1]);
    await assertOver(shared, cookie);
  });

  for (const [where, port] of [["where it is", a], ["elsewhere", b]]) {
    test(`waits for no refresh that is under way ${where}, and that brings nothing`, async () => {
      const { cookie } = await due(shared);
      provider.setFault("token", { delay: 1_500 });
      const before = provider.counts.token;
      const refreshing = ask(shared, cookie, { port: a });
      await until(() => provider.counts.token > before, { what: "the refresh" });
      assert.equal((await logOut(shared, cookie, port)).status, 302);
      assert.equal(given.length, 1, "the logout was first");
      const late = await refreshing;
      assert.equal(late.status, 401, late.text);
      assert.equal(renewed(late), undefined);
      assert.equal(given.length, 2);
      await assertRevoked(given[1]);
      await assertOver(shared, cookie);
    });
  }

  test("is one for a session that a new login takes the place of, and the new one goes on", async () => {
    const browser = new Browser(shared);
    const { cookie } = await due(shared);
    const [name, value] = cookie.split("=");
    browser.cookies().set(name, value);
    await browser.open("/login?return_to=/");
    const next = browser.cookieHeader();
    assert.notEqual(next, cookie);
    await assertOver(shared, cookie);
    await delay(2_000);
    assert.equal((await ask(shared, next, { port: b })).status, 200);
    assert.deepEqual(provider.revocations, [], "some providers would end the new login with it");
  });

  test("and nothing of another session", async () => {
    const { cookie } = await due(shared);
    const { cookie: other } = await due(shared);
    await logOut(shared, cookie, a);
    for (const port of shared.ports) assert.equal((await ask(shared, other, { port })).status, 200);
  });
});

describe("a logout without a Durable Object", () => {
  test("is one for what this isolate refreshed and the browser never heard of", async () => {
    const { cookie, ask } = await due(alone);
    const second = renewed(await ask(cookie));
    await logOut(alone, cookie);
    await assertRevoked(given[1]);
    await assertOver(alone, cookie);
    await assertOver(alone, second);
  });

  test("is one for a refresh that is under way", async () => {
    const { cookie, ask } = await due(alone);
    provider.setFault("token", { delay: 1_500 });
    const before = provider.counts.token;
    const refreshing = ask(cookie);
    await until(() => provider.counts.token > before, { what: "the refresh" });
    await logOut(alone, cookie);
    const late = await refreshing;
    assert.equal(late.status, 401);
    assert.equal(renewed(late), undefined);
    await assertRevoked(given[1]);
    await assertOver(alone, cookie);
  });

  test("that is bound but does not answer clears the cookie, revokes the token and logs what is left", async () => {
    const { cookie } = await due(broken);
    const answer = await logOut(broken, cookie);
    assert.equal(answer.status, 302);
    assert.ok(cookiesSet(answer).some((line) => line.startsWith(`${COOKIE}=;`)));
    await assertRevoked(given[0]);
    await broken.waitForLog(/session_end_not_shared/);
    await assertOver(broken, cookie);
  });
});

test("a refresh that the provider has no rotation for goes on by the Durable Object", async () => {
  provider.behave.reply = (reply, asked) => ({ ...reply, refresh_token: asked.has("state") ? "the-same" : undefined, expires_in: 3 });
  const browser = new Browser(shared);
  await browser.open("/login?return_to=/");
  for (let round = 1; round <= 3; round += 1) {
    await delay(2_000);
    const before = refreshes();
    assert.equal((await browser.send("/app/x", { port: shared.ports[round % 2] })).status, 200);
    assert.equal(refreshes(), before + 1, `round ${round}`);
  }
});
