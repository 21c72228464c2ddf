// The rights of a session come from an access token verified for this gateway and user, end with it, and belong to its login. A hostile
// provider tries to break this.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { assertNothingLeaked, assertProblem, bearer, read, until } from "./support/gateway.mjs";
import { CLIENT_ID, startHostileProvider } from "./support/hostile.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, loginConfig, WITH_REFRESH } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, OTHER_AUDIENCE } from "./support/provider.mjs";
import { nowSeconds, startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, elsewhere, further, origin] = await Promise.all([
  startHostileProvider(), startHostileProvider(), startIssuer({ audience: AUDIENCE }), startOrigin(),
]);
const ROUTES = [
  { method: "GET", path: "/scoped", scopes: ["read:items"], integration: { type: "respond", body: "scoped" } },
  { method: "GET", path: "/permitted", permissions: ["write:items"], integration: { type: "respond", body: "permitted" } },
  { method: "GET", path: "/api", audience: [AUDIENCE], integration: { type: "respond", body: "api" } },
  { method: "POST", path: "/refresh", integration: { type: "refresh" } },
  { method: "GET", path: "/maybe", auth: "optional", integration: { type: "http_proxy", url: origin.url, headers: { "X-Token": "$token" } } },
];
const configure = ({ authorizer, ...changes } = {}) =>
  loginConfig(provider, origin, { paths: ROUTES, authorizer: { issuers: [{ issuer: further.issuer }], clients: [CLIENT_ID], ...WITH_REFRESH, ...authorizer }, ...changes });
// Without the edge cache, a restarted Worker has no keys.
const [worker, shared] = await Promise.all([
  startWorker({ config: configure(), cache: false }), startWorker({ config: configure(), cache: false, sessions: true, isolates: 2 }),
]);
after(() => Promise.all([worker, shared, provider, elsewhere, further, origin].map((part) => part.stop())));
beforeEach(() => provider.reset());

const API = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
const DEMANDING = ["/scoped", "/permitted", "/editors", "/api"];
const GRANTED = { scope: "read:items", permissions: ["write:items"], "https://example.com/roles": ["editor"] };

/** An access token of the user who logs in, with these claims over good ones. */
const token = (claims = {}, issuer = provider.tokens) =>
  issuer.token({ claims: { sub: "mallory", client_id: CLIENT_ID, ...GRANTED, ...claims } });

/** From now on the token endpoint answers with this access token and these members. */
function answerWith(access_token, changes = {}) {
  // Its hash in the ID token is that of another one.
  provider.behave.idToken = { claims: { at_hash: undefined } };
  provider.behave.reply = (reply) => JSON.parse(JSON.stringify({ ...reply, access_token, ...changes }));
}

async function loggedIn(at = worker) {
  const browser = new Browser(at);
  const answer = await browser.open("/login?return_to=/app/x");
  assert.equal(answer.status, 200, `${answer.text}\n${at.logText}`);
  return browser;
}

const statusOf = async (browser, path) => (await browser.send(path, { headers: API })).status;
const statuses = (browser, paths = DEMANDING) => Promise.all(paths.map((path) => statusOf(browser, path)));

describe("an access token", () => {
  const rows = [
    ["for this gateway and user grants what it says", () => token(), {}, [200, 200, 200, 200]],
    ["with less than the token endpoint states grants no more", () => token({ scope: "other" }), { scope: "read:items" }, [403, 200, 200, 200]],
    ["without scope and scp has the stated one", () => token({ scope: undefined }), { scope: "read:items" }, [200, 200, 200, 200]],
    ["with scp has not", () => token({ scope: undefined, scp: ["x"] }), { scope: "read:items" }, [403, 200, 200, 200]],
    ["for another API grants nothing", () => token({ aud: OTHER_AUDIENCE }), { scope: "read:items" }, [403, 403, 403, 403]],
    ["of another subject grants nothing", () => token({ sub: "alice" }), { scope: "read:items" }, [403, 403, 403, 403]],
    ["of a client that is not allowed grants nothing", () => token({ client_id: "other" }), { scope: "read:items" }, [403, 403, 403, 403]],
    ["of a further issuer grants nothing", () => token({}, further), { scope: "read:items" }, [403, 403, 403, 403]],
    ["that is opaque grants nothing", () => "opaque", { scope: "read:items" }, [403, 403, 403, 403]],
  ];
  for (const [what, make, changes, expected] of rows) {
    test(`${what}, at login and after a refresh`, async () => {
      answerWith(make(), changes);
      const browser = await loggedIn();
      assert.deepEqual(await statuses(browser), expected);
      assert.equal(await statusOf(browser, "/app/x"), 200, "the login is one all the same");
      answerWith(token());
      const other = await loggedIn();
      assert.deepEqual(await statuses(other), [200, 200, 200, 200]);
      answerWith(make(), changes);
      assert.equal((await other.send("/refresh", { method: "POST" })).status, 200);
      assert.deepEqual(await statuses(other), expected, "what the former token granted is gone");
    });
  }

  test("of a user by another name counts where subject_match says so; the log tells of a mismatch, without values", async () => {
    const pairwise = token({ sub: "pairwise-subject", uid: "the-same-user" });
    answerWith(pairwise);
    provider.behave.idToken.claims.oid = "the-same-user";
    assert.deepEqual(await statuses(await loggedIn()), [403, 403, 403, 403]);
    const { message } = await worker.waitForLog(/access_token_unusable: its claim "sub"/);
    assertNothingLeaked(["pairwise-subject", "the-same-user", pairwise], [message]);
    await worker.restart({ config: configure({ authorizer: { subject_match: { access_token: "uid", id_token: "oid" } } }) });
    assert.deepEqual(await statuses(await loggedIn()), [200, 200, 200, 200]);
    await worker.restart({ config: configure() });
  });
});

describe("what an access token grants", () => {
  for (const [what, changes] of [
    ["as text", { expires_in: "3600" }], ["as a fraction", { expires_in: 3600.5 }], ["not at all", { expires_in: undefined }],
    ["longer than the token says", { expires_in: 86_400 }], ["as less than nothing", { expires_in: -1 }], ["as nonsense", { expires_in: "soon" }],
  ]) {
    test(`ends at its exp, where expires_in tells it ${what}; there is no loop, and the login goes on`, async () => {
      answerWith(token({ exp: nowSeconds() + 3 }), { ...changes, refresh_token: undefined });
      const browser = await loggedIn();
      assert.deepEqual(await statuses(browser), [200, 200, 200, 200]);
      await delay(3_100);
      origin.reset();
      assert.deepEqual(await statuses(browser, [...DEMANDING, "/token/x"]), [401, 401, 401, 401, 401]);
      const page = await browser.send("/scoped", { headers: NAVIGATION });
      assert.equal(page.status, 403, "a new login would not help: this one has just begun");
      assert.match(page.text, /token_expired/);
      assert.match(page.text, /href="\/login\?return_to=%2Fscoped"/);
      assert.deepEqual(origin.requests.length, 0);
      const seen = (await browser.send("/app/x", { headers: API })).json().headers;
      assert.deepEqual([seen["x-user-id"], seen["x-user-scope"]], ["mallory", undefined]);
      assert.equal((await browser.send("/maybe", { headers: API })).json().headers["x-token"], undefined);
    });
  }

  test("ends at its exp in an outage too, and is renewed after it", async () => {
    answerWith(token({ exp: nowSeconds() + 3 }));
    const browser = await loggedIn();
    provider.setFault("token", { status: 500, body: "{}" });
    await delay(3_100);
    origin.reset();
    assert.deepEqual(await statuses(browser, [...DEMANDING, "/token/x"]), [401, 401, 401, 401, 401]);
    assert.equal(origin.requests.length, 0);
    assert.equal(await statusOf(browser, "/app/x"), 200);
    assert.equal((await browser.send("/maybe", { headers: API })).json().headers["x-token"], undefined);
    answerWith(token());
    provider.setFault("token", null);
    await until(async () => (await statusOf(browser, "/scoped")) === 200, { what: "the rights, once there is a new token" });
  });

  test("of an opaque token, which is handed on, ends with expires_in", async () => {
    answerWith("opaque", { expires_in: "3", refresh_token: undefined });
    const browser = await loggedIn();
    assert.equal((await browser.send("/token/x", { headers: API })).json().headers.authorization, "Bearer opaque");
    await delay(3_100);
    assert.equal(await statusOf(browser, "/token/x"), 401);
  });

  test("is not renewed with every request where it lasts for 25 s", async () => {
    answerWith(token({ exp: nowSeconds() + 25 }), { expires_in: 25 });
    const browser = await loggedIn();
    for (let index = 0; index < 10; index += 1) assert.equal(await statusOf(browser, "/scoped"), 200);
    assert.equal(provider.exchanges.length, 1);
  });
});

describe("a session", () => {
  test("opens nothing at a gateway with another issuer, client or audience, which get none of its tokens", async () => {
    answerWith(token());
    const browser = await loggedIn();
    const refreshToken = provider.secrets.at(-1);
    for (const authorizer of [
      { audience: OTHER_AUDIENCE }, { audience: [AUDIENCE, OTHER_AUDIENCE] }, { client_id: "edgeward-web-basic", clients: undefined },
      { issuer: elsewhere.issuer, issuers: undefined }, { issuer: elsewhere.issuer, issuers: [{ issuer: provider.issuer }] },
    ]) {
      await worker.restart({ config: configure({ authorizer }) });
      const cookie = browser.cookieHeader();
      for (const [method, target] of [["GET", "/app/x"], ["GET", "/userinfo"], ["POST", "/refresh"]]) {
        const answer = await worker.request({ method, target, headers: { host: "app.example.com", ...API, cookie } });
        assert.equal(answer.status, 401, `${target} ${JSON.stringify(authorizer)}`);
      }
      const logout = await worker.request({ target: "/logout", headers: { host: "app.example.com", ...NAVIGATION, cookie } });
      assert.ok(!logout.header("location")?.includes("id_token_hint"), "nor does the logout");
      assert.ok(!JSON.stringify(elsewhere.exchanges.map(String)).includes(refreshToken));
    }
    await worker.restart({ config: configure({ authorizer: { audience: [AUDIENCE, AUDIENCE], scope: "openid offline_access" } }) });
    assert.equal(await statusOf(browser, "/scoped"), 200, "what it was not decided by may change");
    await worker.restart({ config: configure() });
  });

  for (const [where, at] of [["", worker], [" and the Durable Object has them", shared]]) {
    test(`that is refreshed while the keys are unreachable keeps its rights, and has the new ones once there are keys${where}`, async () => {
      answerWith(token({ exp: nowSeconds() + 6 }));
      const browser = await loggedIn(at);
      provider.setFault("jwks", { status: 503 });
      await at.restart({ config: configure() });
      answerWith(token({ scope: undefined, permissions: [] }), { scope: "read:items" });
      const refreshed = await browser.send("/refresh", { method: "POST" });
      assert.equal(refreshed.status, 200, refreshed.text);
      await at.waitForLog(/access_token_unread: /);
      assert.deepEqual(await statuses(browser), [200, 200, 200, 200], "of the former token");
      await delay(6_100);
      const answer = await browser.send("/scoped", { headers: API });
      assert.deepEqual([answer.status, answer.json().code], [503, "jwks_unreachable"]);
      assert.match(answer.header("retry-after"), /^[1-9]\d*$/);
      assert.equal(await statusOf(browser, "/app/x"), 200);
      const before = provider.counts.jwks;
      for (let index = 0; index < 20; index += 1) await browser.send("/app/x", { headers: API });
      assert.ok(provider.counts.jwks - before <= 3, `${provider.counts.jwks - before} fetches for 20 requests`);
      provider.setFault("jwks", null);
      await until(async () => (await statusOf(browser, "/scoped")) === 200, { timeout: 40_000, every: 300, what: "the rights, once there are keys" });
      assert.deepEqual(await statuses(browser), [200, 403, 200, 200], "of the new token");
      provider.setFault("jwks", { status: 503 });
      await at.restart({ config: configure() });
      assert.deepEqual(await statuses(browser), [200, 403, 200, 200], "it was read, and need not be again");
      assert.doesNotMatch(await at.written(), /access_token_unusable/);
    });
  }

  test("does not begin while the keys are unreachable", async () => {
    answerWith(token());
    provider.setFault("jwks", { status: 503 });
    await worker.restart({ config: configure() });
    const browser = new Browser(worker);
    assert.equal((await browser.open("/login?return_to=/app/x")).status, 503);
    assert.equal(browser.cookies().has(COOKIE), false);
    provider.reset();
    await worker.restart({ config: configure() });
  });

  test("goes on with an ID token of the same login only", async () => {
    const rows = [
      [{ nonce: "other" }, 401, "nonce"], [{ nonce: "" }, 401, "nonce"], [{ sub: "alice" }, 401, "sub"], [{ azp: CLIENT_ID }, 401, "azp"], [{}, 200],
    ];
    for (const [claims, status, claim] of rows) {
      provider.reset();
      const browser = await loggedIn();
      provider.behave.idToken = { claims };
      assert.equal((await browser.send("/refresh", { method: "POST" })).status, status, JSON.stringify(claims));
      if (claim) await worker.waitForLog(`id_token_invalid: its claim "${claim}" is not that of the login`);
      assert.equal(browser.cookies().has(COOKIE), status === 200);
      // The nonce stays known although the ID token in between had none.
      if (status !== 200) continue;
      provider.behave.idToken = { claims: { nonce: "other" } };
      assert.equal((await browser.send("/refresh", { method: "POST" })).status, 401);
    }
  });
});

test("a bearer token of a further issuer is not sent to the login provider", async () => {
  const userinfo = (access) => read(worker.fetch("/userinfo", { headers: bearer(access) }));
  const foreign = token({}, further);
  assert.equal((await worker.fetch("/scoped", { headers: bearer(foreign) })).status, 200, "it is good here");
  const before = provider.counts.userinfo ?? 0;
  await assertProblem(userinfo(foreign), { status: 403, code: "userinfo_issuer_mismatch" });
  assert.equal(provider.counts.userinfo ?? 0, before);
  assert.equal((await userinfo(token())).status, 200);
  assert.equal(provider.counts.userinfo, before + 1);
});
