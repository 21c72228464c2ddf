// Two authorizers, chosen by the host of the request, each with a provider of its own; and tokens in cookies and headers.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { assertProblem, bearer, describing, HEALTH, proxy, REALM } from "./support/gateway.mjs";
import { COOKIE, SESSION_SECRET } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { CLIENT_SECRET, startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const OTHER = "https://other.example.com";
const SOURCE = "Cf-Access-Jwt-Assertion";
const origin = await startOrigin();
const [first, second] = await Promise.all([startProvider({ gateways: [SITE] }), startProvider({ gateways: [OTHER] })]);

const authorizer = (provider, site, more) => ({
  type: "oidc", issuer: provider.issuer, audience: provider.audience, client_id: "edgeward-web", client_secret: CLIENT_SECRET,
  redirect_uri: `${site}/auth/callback`, ...more,
});
const worker = await startWorker({
  sessions: true,
  config: {
    authorizers: {
      first: authorizer(first, SITE),
      second: authorizer(second, OTHER, { token_from: [{ header: SOURCE }, { cookie: "CF_Authorization" }] }),
    },
    hosts: { "app.example.com": { authorizer: "first" }, "OTHER.example.com": { authorizer: "second" } },
    session: { secrets: SESSION_SECRET },
    paths: [
      { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
      { method: "GET", path: "/auth/login", integration: { type: "login" } },
      proxy("/app/{*rest}", origin, { headers: { "X-User-Id": "$claims.sub" } }),
      proxy("/open/{*rest}", origin, { auth: "none" }),
    ],
  },
});
after(() => Promise.all([worker.stop(), first.stop(), second.stop(), origin.stop()]));

/** A request to a host. */
const at = (site, target, { headers = {}, ...init } = {}) =>
  worker.request({ target, headers: { host: new URL(site).host, ...headers }, ...init });

const [ofFirst, ofSecond] = await Promise.all([first, second].map((provider) => provider.tokenFor({})));

describe("the host of a request", () => {
  test("chooses the authorizer: a login, its session and its callback are those of one host", async () => {
    const browser = new Browser(worker);
    const page = await browser.open("/app/page");
    assert.equal(page.status, 200, page.text);
    assert.equal(page.json().headers["x-user-id"], "alice");
    assert.ok(browser.visited.some((url) => url.startsWith(first.url)) && !browser.visited.some((url) => url.startsWith(second.url)));
    const cookie = `${COOKIE}=${browser.cookies().get(COOKIE)}`;
    assert.equal((await at(SITE, "/app/page", { headers: { cookie } })).status, 200);
    // Without `Authorization` among its sources, the challenge names the first of them.
    await assertProblem(at(OTHER, "/app/page", { headers: { cookie } }), {
      status: 401, code: "token_missing", challenge: REALM, error: "unauthorized", login: "/auth/login",
    });
    const toLogin = await at(OTHER, "/app/page", { headers: { cookie, ...NAVIGATION } });
    assert.ok(toLogin.header("location").startsWith(`${OTHER}/auth/login?`), toLogin.header("location"));
  });

  test("a callback of one host is none of the other", async () => {
    const browser = new Browser(worker);
    const isCallback = ({ pathname }) => pathname === "/auth/callback";
    const { next } = await browser.open("/app/page", { until: isCallback });
    const replayed = await at(OTHER, next.pathname + next.search, { headers: { cookie: browser.cookieHeader(), ...NAVIGATION } });
    assert.ok(!replayed.headers.some(([name, value]) => name.toLowerCase() === "set-cookie" && value.startsWith(`${COOKIE}=`)));
    assert.ok(replayed.status >= 400 || !replayed.header("location").startsWith(`${OTHER}/app`), replayed.text);
    const done = await browser.send(next.href, { headers: { ...NAVIGATION, "sec-fetch-site": "cross-site" } });
    assert.equal(done.status, 302, done.text);
  });

  test("a token of one authorizer is none of the other", async () => {
    assert.equal((await at(SITE, "/app/x", { headers: bearer(ofFirst) })).status, 200);
    assert.equal((await at(OTHER, "/app/x", { headers: { [SOURCE]: ofSecond } })).status, 200);
    for (let i = 0; i < 2; i += 1) {
      assert.equal((await at(SITE, "/app/x", { headers: bearer(ofSecond) })).status, 401);
      assert.equal((await at(OTHER, "/app/x", { headers: { [SOURCE]: ofFirst } })).status, 401);
    }
  });

  test("an unknown host is misdirected, whatever headers say", async () => {
    const claims = { "x-forwarded-host": "app.example.com", forwarded: "host=app.example.com" };
    for (const site of ["https://unknown.example.com", "https://app.example.com.evil.example", "http://127.0.0.1"]) {
      await assertProblem(at(site, "/open/x", { headers: claims }), { status: 421, code: "misdirected_request" });
      assert.equal((await at(site, HEALTH)).status, 200);
    }
    for (const host of ["APP.example.com", "app.example.com.", "app.example.com:8443"]) {
      assert.equal((await worker.request({ target: "/open/x", headers: { host } })).status, 200, host);
    }
  });
});

describe("a token in a cookie", () => {
  const cookie = `theme=dark; CF_Authorization=${ofSecond}; b="x, y"`;

  test("opens a route, and only that cookie is removed", async () => {
    for (const path of ["/app/x", "/open/x"]) {
      const { headers } = (await at(OTHER, path, { headers: { cookie, [SOURCE]: ofSecond, "Cf_Access_Jwt_Assertion": "x" } })).json();
      assert.equal(headers.cookie, 'theme=dark; b="x, y"');
      assert.ok(!Object.keys(headers).some((name) => /^cf.access/.test(name)), Object.keys(headers).join());
    }
    // The origin is the same for both hosts.
    assert.equal((await at(SITE, "/open/x", { headers: { cookie } })).json().headers.cookie, 'theme=dark; b="x, y"');
    const answer = await at(OTHER, "/app/x", { headers: { cookie } });
    assert.equal(answer.json().headers["x-user-id"] !== undefined, true);
    assert.equal(answer.header("cache-control"), "private, no-store");
  });

  test("is refused from another site", async () => {
    const evil = { cookie, origin: "https://evil.example", "sec-fetch-site": "cross-site" };
    await assertProblem(at(OTHER, "/app/x", { method: "POST", headers: evil }), { status: 403, code: "cross_site_request", error: "access_denied" });
    const own = { cookie, origin: OTHER, "sec-fetch-site": "same-origin" };
    assert.equal((await at(OTHER, "/app/x", { method: "POST", headers: own })).status, 200);
  });

  test("is refused beside another token", async () => {
    const another = await second.tokenFor({ claims: { jti: "another" } });
    const sent = [["Host", "other.example.com"], ["Cookie", cookie], [SOURCE, another]];
    const expected = { status: 400, code: "invalid_request", error: "invalid_request", challenge: `${REALM}, error="invalid_request"` };
    await assertProblem(worker.request({ target: "/app/x", headers: sent }), expected);
    const twice = [["Host", "other.example.com"], [SOURCE, ofSecond], [SOURCE, ofSecond]];
    await assertProblem(worker.request({ target: "/app/x", headers: twice }), expected);
    const bad = await at(OTHER, "/app/x", { headers: { cookie: cookie.replace(ofSecond, `${ofSecond.slice(0, -8)}AAAAAAAA`) } });
    await assertProblem(bad, { status: 401, code: "signature_invalid", error: "invalid_token", challenge: describing("invalid_token") });
  });
});
