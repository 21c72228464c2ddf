// Sessions in workerd with real and hostile answers of providers: large ID tokens, cookies as runtimes and other sites send them, tokens
// that are refreshed in part, userinfo and claims, and what the operator reads of all that.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig, startSite, WITH_REFRESH } from "./support/login.mjs";
import { ACCOUNTS, ROLES_CLAIM } from "./support/provider.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startWorker } from "./support/worker.mjs";

const HOST = { host: new URL(SITE).host };
const API = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
const GROUPS = Array.from({ length: 300 }, (_, index) => `/example/group-${index}`);
const MORE = [
  { method: ["GET", "POST"], path: "/refresh", integration: { type: "refresh" } },
  { method: "GET", path: "/me", integration: { type: "claims" } },
  { method: "ANY", path: "/open/{*rest}", auth: "none", integration: { type: "http_proxy", url: "$env.ORIGIN" } },
  { method: "GET", path: "/group", roles: ["/example/group-299"], integration: { type: "respond", body: "a member" } },
];

const accounts = { ...ACCOUNTS, groups: { ...ACCOUNTS.alice, [ROLES_CLAIM]: GROUPS } };
const origin = await startOrigin();
const env = { ORIGIN: origin.url, NOWHERE: "http://127.0.0.1:9" };
const site = await startSite({ provider: { accounts }, authorizer: WITH_REFRESH, paths: MORE, worker: { env } });
const hostile = await startHostileProvider();
const worker = await startWorker({ config: loginConfig(hostile, origin, { authorizer: { scope: "openid offline_access" }, paths: MORE }), env });
after(() => Promise.all([site, hostile, origin, worker].map((part) => part.stop())));

const reset = () => hostile.reset();
/** A browser that is logged in at the hostile provider. */
async function loggedIn(path = "/login?return_to=/") {
  const browser = new Browser(worker);
  const answer = await browser.open(path);
  assert.equal(answer.status, 200, `${answer.text}\n${worker.logText}`);
  return browser;
}
const linesOf = async (one, code) => (await one.written()).split("\n").filter((line) => line.startsWith(`edgeward: ${code}: `));

describe("300 groups and an ID token of 8 KB", () => {
  test("log in, open routes, are refreshed and log out", async () => {
    const browser = await site.loggedIn("groups", "/login?prompt=consent");
    const me = (await browser.send("/me")).json();
    assert.deepEqual([me[ROLES_CLAIM], me.scope], [GROUPS, "read:items"]);
    assert.equal((await browser.send("/group")).status, 200);
    const before = browser.cookies().get(COOKIE);
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, site.worker.logText);
    assert.notEqual(browser.cookies().get(COOKIE), before);
    assert.equal((await browser.send("/group")).status, 200);
    const { next, status, text } = await browser.open("/logout", { until: (url) => url.origin !== SITE });
    assert.equal(status, 302, text);
    assert.ok(next.href.length < 2048, `${next.href.length}`);
    assert.equal(next.searchParams.has("id_token_hint"), false);
    assert.equal(next.searchParams.get("client_id"), "edgeward-web");
    assert.equal(next.searchParams.get("post_logout_redirect_uri"), `${SITE}/`);
    // What stays is the mark of a browser at the provider's logout.
    assert.deepEqual([...browser.cookies().keys()].filter((name) => name.startsWith(COOKIE)), [`${COOKIE}-logged-out`]);
    // The provider accepts the logout by these parameters, and the user is logged out there, too.
    const loggedOut = await browser.open(next.href, { until: (url) => url.origin === SITE });
    assert.equal(loggedOut.next?.href, `${SITE}/`, loggedOut.text);
    assert.equal((await browser.send("/group", { headers: API })).status, 401);
  });

  test("are at least 8 KB", () => {
    assert.ok(Buffer.from(JSON.stringify(GROUPS)).toString("base64url").length > 8000);
  });
});

describe("a Cookie header", () => {
  const sent = async (headers, target = "/app/x") => {
    origin.reset();
    const answer = await worker.request({ target, headers: [["host", HOST.host], ...Object.entries(API), ...headers] });
    const raw = origin.last?.rawHeaders ?? [];
    return { status: answer.status, cookies: raw.filter((_, index) => index % 2 === 1 && raw[index - 1].toLowerCase() === "cookie") };
  };

  test("with one of ours after a comma, or in a second header, gives no session and is not forwarded", async () => {
    const browser = await loggedIn();
    const session = browser.cookieHeader();
    assert.equal((await sent([["cookie", session]])).status, 200);
    for (const headers of [
      [["cookie", `a=b, ${session}`]], [["cookie", `a=b,${session}; c=d`]], [["cookie", `${session}, a=b`]],
      [["cookie", "a=b"], ["cookie", session]], [["cookie", session], ["cookie", "a=b"]],
    ]) {
      assert.equal((await sent(headers)).status, 401, JSON.stringify(headers));
      const { status, cookies } = await sent(headers, "/open/x");
      assert.equal(status, 200);
      assert.ok(!cookies.join().includes("edgeward"), cookies.join());
      assert.match(cookies.join(), /a=b/);
    }
  });

  test("of other sites arrives byte for byte, unless one of ours is removed from it", async () => {
    const browser = await loggedIn();
    const session = browser.cookieHeader();
    // As bytes: not UTF-8, UTF-8, odd separators.
    for (const cookie of ["a=\xff\xfe; b=\xe9", "a=\xc3\xa9", "a=1;b=2 ;; c = \"x, y\" ,", "theme", "a=b;"]) {
      assert.deepEqual(await sent([["cookie", cookie]], "/open/x"), { status: 200, cookies: [cookie] });
    }
    for (const [others, kept] of [["a=\xff; b=2", /^a=.+; b=2$/], ["a=\xc3\xa9;b=2", /^a=.+; b=2$/], ["a=1;b=2", /^a=1; b=2$/]]) {
      const { status, cookies } = await sent([["cookie", `${others}; ${session}`]]);
      assert.equal(status, 200, "bytes in other cookies do no harm");
      assert.match(cookies.join(), kept);
    }
  });

  test("with a session cookie cut anywhere, or 100 stale cookies of our names, is anonymous, without an error or a loop", async () => {
    const browser = await site.loggedIn("groups");
    const parts = [...browser.cookies()].filter(([name]) => name.startsWith(COOKIE));
    assert.ok(parts.length > 2, "there are several chunks");
    const headers = [];
    for (const [name, value] of parts) {
      for (const length of [0, 1, 2, 3, 100, value.length - 1]) {
        headers.push(parts.map(([one, whole]) => `${one}=${one === name ? value.slice(0, length) : whole}`).join("; "));
      }
      headers.push(parts.filter(([one]) => one !== name).map((pair) => pair.join("=")).join("; "));
    }
    const many = (name) => Array.from({ length: 100 }, (_, index) => `${name(index)}=1.stale${index}`).join("; ");
    headers.push(many(() => COOKIE), many((index) => `${COOKIE}.${index}`), many((index) => `${LOGIN_COOKIE}${String(index).padStart(8, "a")}`));
    for (const cookie of headers) {
      const api = await site.worker.request({ target: "/app/x", headers: { ...HOST, ...API, cookie } });
      assert.equal(api.status, 401, cookie.slice(0, 200));
      // A browser that follows redirects gets to the provider in five.
      const visitor = new Browser(site.worker);
      for (const pair of cookie.split("; ")) visitor.cookies().set(...pair.split(/=(.*)/s).slice(0, 2));
      let answer = await visitor.send("/app/x", { headers: NAVIGATION });
      let hops = 0;
      for (; answer.header("location") && new URL(answer.header("location"), answer.url).origin === SITE; hops += 1) {
        assert.ok(hops < 5, `a loop: ${visitor.visited.join(" → ")}`);
        answer = await visitor.send(new URL(answer.header("location"), answer.url).href, { headers: NAVIGATION });
      }
      assert.equal(answer.status, 302, answer.text);
      assert.equal(new URL(answer.header("location")).origin, new URL(site.provider.url).origin);
    }
  });
});

describe("a response to a refresh", () => {
  const refreshed = (browser) => browser.send("/refresh", { method: "POST" });
  const lastToken = () => hostile.exchanges.at(-1).get("refresh_token");

  test("with empty members and without token_type renews the tokens", async () => {
    reset();
    const browser = await loggedIn();
    hostile.behave.reply = ({ access_token, expires_in }) => ({ access_token, expires_in, id_token: "", refresh_token: "", scope: "" });
    assert.equal((await refreshed(browser)).status, 200, worker.logText);
    const first = lastToken();
    assert.equal((await refreshed(browser)).status, 200);
    assert.equal(lastToken(), first, "the refresh token stays");
  });

  for (const [what, change, line] of [
    ["without an access token", (reply) => ({ ...reply, access_token: "" }), /refresh_unavailable: http:\S+\/token answered 200 without access_token;/],
    ["with a token of another type", (reply) => ({ ...reply, token_type: "DPoP" }), /refresh_unavailable: http:\S+\/token answered 200 without token_type Bearer;/],
    ["with an ID token that is refused", (reply) => ({ ...reply, id_token: "e30.e30.AA" }), /id_token_invalid: token_malformed: .*the new tokens are not used/],
  ]) {
    test(`${what} still brings the refresh token that replaced the old one`, async () => {
      reset();
      const browser = await loggedIn();
      let issued;
      hostile.behave.reply = (reply) => {
        issued = reply.refresh_token;
        return change(reply);
      };
      assert.deepEqual([(await refreshed(browser)).status, (await browser.send("/app/x")).status], [502, 200]);
      await worker.waitForLog(line);
      hostile.behave = {};
      await new Promise((resolve) => setTimeout(resolve, 5_100));
      assert.equal((await refreshed(browser)).status, 200, worker.logText);
      assert.equal(lastToken(), issued);
    });
  }

  test("about another user ends the session and revokes the new refresh token", async () => {
    reset();
    const browser = await loggedIn();
    let issued;
    hostile.behave = { idToken: { claims: { sub: "alice" } }, reply: (reply) => ((issued = reply.refresh_token), reply) };
    assert.equal((await refreshed(browser)).status, 401);
    assert.deepEqual(hostile.revocations, [issued]);
    reset();
  });
});

describe("claims of the user", () => {
  test("come from a signed userinfo of a real provider, and from the session without the provider", async () => {
    site.provider.setClient("edgeward-web", { userinfo_signed_response_alg: "RS256" });
    // This provider accepts no token for an API at userinfo.
    const authorizer = { audience: undefined, roles_claim: undefined, scope: "openid profile email", userinfo_at_login: true };
    const config = loginConfig(site.provider, site.origin, { authorizer, paths: MORE });
    const paths = config.paths.filter(({ roles, permissions }) => !roles && !permissions);
    await site.worker.restart({ config: { ...config, paths } });
    const browser = await site.loggedIn();
    assert.ok(site.provider.requests.some(({ endpoint }) => endpoint === "userinfo"));
    site.provider.resetCounts();
    const me = (await browser.send("/me")).json();
    assert.deepEqual([me.sub, me.email, me.exp, me.nonce], ["alice", ACCOUNTS.alice.email, undefined, undefined]);
    assert.equal(site.provider.counts.userinfo, undefined);
    const userinfo = await browser.send("/userinfo");
    assert.deepEqual([userinfo.status, userinfo.json().email], [200, ACCOUNTS.alice.email], userinfo.text);
    assert.equal((await new Browser(site.worker).send("/me", { headers: API })).status, 401);
    // Signed by nobody.
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from('{"sub":"alice"}').toString("base64url")}.`;
    site.provider.setFault("userinfo", { status: 200, headers: { "content-type": "application/jwt" }, body: unsigned });
    const refused = await browser.send("/userinfo");
    assert.deepEqual([refused.status, refused.json().code], [502, "userinfo_invalid"]);
    await site.worker.waitForLog("userinfo_invalid: alg_not_allowed");
    site.provider.clearFaults();
  });
});

describe("the log", () => {
  test("tells outages apart by URL and status, each once, whatever the number of requests", async () => {
    reset();
    const paths = [...MORE, { method: "GET", path: "/nowhere/{*rest}", auth: "none", integration: { type: "http_proxy", url: "$env.NOWHERE/base" } }];
    await worker.restart({ config: loginConfig(hostile, origin, { paths }) });
    hostile.setFault("discovery", { status: 503 });
    for (let i = 0; i < 3; i += 1) assert.equal((await new Browser(worker).send("/login", { headers: NAVIGATION })).status, 502);
    for (let i = 0; i < 3; i += 1) assert.equal((await new Browser(worker).send("/nowhere/x?secret=1", { headers: API })).status, 502);
    const discovery = (await linesOf(worker, "discovery_unreachable")).filter((line) => line.includes("answered"));
    assert.deepEqual(discovery, [`edgeward: discovery_unreachable: ${hostile.url}/.well-known/openid-configuration answered 503; the issuer's discovery document cannot be fetched`]);
    assert.deepEqual(await linesOf(worker, "origin_unreachable"), [`edgeward: origin_unreachable: ${env.NOWHERE} did not respond to the route /nowhere/{*rest}`]);

    reset();
    await worker.restart();
    hostile.setFault("jwks", { status: 500 });
    const token = hostile.tokens.token();
    for (let i = 0; i < 3; i += 1) {
      const answer = await worker.request({ target: "/app/x", headers: { ...HOST, authorization: `Bearer ${token}` } });
      assert.equal(answer.status, 503);
    }
    const [keys, ...others] = await linesOf(worker, "jwks_unreachable");
    assert.deepEqual(others, []);
    assert.match(keys, /^edgeward: jwks_unreachable: http:\S+ answered 500; /);

    reset();
    await worker.restart();
    hostile.behave.callback = (query) => (query.delete("iss"), query.delete("code"), query.set("error", "access_denied"), query);
    for (let i = 0; i < 3; i += 1) assert.equal((await new Browser(worker).open("/login")).status, 400);
    await worker.waitForLog(/callback_issuer_mismatch: iss is missing, although the provider's metadata promises it \(request \S*; unverified error: access_denied/);
    assert.equal((await linesOf(worker, "callback_issuer_mismatch")).length, 1, worker.logText);

    hostile.behave = { reply: (reply) => ({ ...reply, id_token: "" }) };
    for (let i = 0; i < 3; i += 1) assert.equal((await new Browser(worker).open("/login")).status, 502);
    const [line, ...more] = await linesOf(worker, "token_exchange_failed");
    assert.match(line, /^edgeward: token_exchange_failed: http:\S+\/token answered 200 without id_token \(request /);
    assert.deepEqual(more, []);
    reset();
  });

  test("names a revocation that failed, and the static keys that are skipped", async () => {
    reset();
    const published = await (await fetch(hostile.tokens.jwksUri)).json();
    const keys = [...published.keys, { kty: "oct", kid: "old" }];
    await worker.restart({ config: loginConfig(hostile, origin, { authorizer: { scope: "openid offline_access", jwks: { keys } }, paths: MORE }) });
    await (await worker.fetch("/")).text();
    assert.match(await worker.written(), /config: warning at authorizer\.jwks: has keys that are skipped: "old": /);
    const browser = await loggedIn();
    hostile.setFault("revocation", { status: 403 });
    await browser.open("/logout", { until: (url) => url.origin !== SITE });
    await worker.waitForLog(/revocation_failed: http:\S+\/revoke answered 403;/);
    reset();
  });
});

test("a session is found in a cookie header of any length, in front of other cookies and behind them", async () => {
  const browser = await site.loggedIn("alice", "/login");
  const session = browser.cookieHeader();
  // The Worker reads headers of up to some 24 KB at once.
  for (const length of [10, 23_000, 24_600, 25_000, 40_000]) {
    for (const other of ["x", "é"]) {
      const filler = `other=${other.repeat(length)}`;
      for (const cookie of [`${filler}; ${session}`, `${session}; ${filler}`]) {
        const { status, text } = await browser.send("/me", { headers: { ...API, cookie } });
        assert.equal(status, 200, `${other} ${length}: ${text.slice(0, 200)}`);
      }
    }
  }
});
