// Unintended requests change nothing: every step of the login flow, by every method, with every marking by browsers and routers. One
// browser runs through the whole table with a pending login and a session; afterwards both are unchanged.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const flow = (path, type) => ({ method: ["GET", "POST"], path, integration: { type } });
const config = loginConfig(provider, origin, { authorizer: { scope: "openid offline_access" } });
config.paths = [
  flow("/login", "login"), { ...flow("/auth/callback", "callback"), method: "ANY" }, flow("/logout", "logout"), flow("/userinfo", "userinfo"), flow("/refresh", "refresh"),
  ...config.paths.filter(({ integration: { type } }) => ["http_proxy", "respond"].includes(type)),
];
const worker = await startWorker({ config });
after(() => Promise.all([worker, provider, origin].map((part) => part.stop())));

const isCallback = (url) => url.pathname === "/auth/callback";

async function withBoth() {
  const browser = new Browser(worker);
  await browser.open("/login?return_to=/");
  assert.ok(browser.cookies().has(COOKIE), worker.logText);
  const { next } = await browser.open("/login?return_to=/app/pending", { until: isCallback });
  provider.exchanges.length = 0;
  provider.revocations.length = 0;
  return { browser, callback: next.pathname + next.search };
}

/** Everything that browsers may say together: each header with each value, and without. */
function* combinations([[name, values], ...rest]) {
  for (const more of rest.length > 0 ? combinations(rest) : [{}]) {
    yield more;
    for (const value of values) yield { [name]: value, ...more };
  }
}
const FETCH = [...combinations([
  ["sec-fetch-mode", ["navigate", "cors", "no-cors"]], ["sec-fetch-dest", ["document", "iframe", "empty"]],
  ["sec-fetch-site", ["none", "same-origin", "same-site", "cross-site"]], ["sec-fetch-user", ["?1"]],
])];
const PREFETCH = [
  { "sec-purpose": "prefetch" }, { "sec-purpose": "prefetch;prerender" }, { "x-sec-purpose": "prefetch" }, { purpose: "prefetch" }, { "x-purpose": "preview" },
  { "x-moz": "prefetch" }, { "next-router-prefetch": "1" }, { "next-router-segment-prefetch": "/_tree" }, { "x-middleware-prefetch": "1" }, { "hx-preloaded": "true" },
];

/** Whether it may act. `origin` is sent with POST by browsers; here it is not, so that the site alone tells. */
function isMeant(act, method, headers) {
  const is = (name, ...allowed) => headers[name] === undefined || allowed.includes(headers[name]);
  if (PREFETCH.some((one) => Object.keys(one).some((name) => name in headers))) return false;
  if (method === "POST") return act !== "callback" && is("sec-fetch-site", "none", "same-origin");
  // A service worker passes a navigation on without its destination; no script can set that mode.
  const isPassedOn = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "empty";
  if (method !== "GET" || !is("sec-fetch-mode", "navigate") || !(is("sec-fetch-dest", "document") || isPassedOn)) return false;
  const linked = headers["sec-fetch-site"] === "same-site" && headers["sec-fetch-dest"] === "document";
  return act !== "logout" || is("sec-fetch-site", "none", "same-origin") || linked;
}

const ROWS = [...FETCH, ...PREFETCH.flatMap((purpose) => [purpose, { ...NAVIGATION, ...purpose }, { ...NAVIGATION, "sec-fetch-user": "?1", ...purpose }])];

describe("an unintended request", () => {
  test("starts no login, redeems no code and ends no session", async () => {
    const { browser, callback } = await withBoth();
    const cookie = browser.cookieHeader();
    const targets = { login: "/login?return_to=/app/x", callback, logout: "/logout" };
    let asked = 0;
    for (const [act, target] of Object.entries(targets)) {
      for (const method of ["GET", "HEAD", "POST"]) {
        for (const headers of ROWS.filter((row) => !isMeant(act, method, row))) {
          const what = `${method} ${act} ${JSON.stringify(headers)}`;
          const answer = await worker.request({ method, target, headers: { host: "app.example.com", ...headers, cookie } });
          const names = answer.headers.map(([name]) => name.toLowerCase());
          assert.ok(!names.includes("set-cookie") && !names.includes("location"), what);
          assert.ok([200, 400, 403].includes(answer.status), `${what}: ${answer.status}`);
          assert.match(answer.header("cache-control"), /no-store/, what);
          asked += 1;
        }
      }
    }
    assert.ok(asked > 500, String(asked));
    assert.deepEqual([provider.exchanges.length, provider.revocations.length], [0, 0]);
    assert.equal((await browser.send("/app/x")).status, 200, "the session opens");
    const done = await browser.open(callback);
    assert.equal(done.url, `${SITE}/app/pending`, "the code is still good");
    assert.equal((await browser.send("/logout", { headers: NAVIGATION })).status, 302);
    assert.equal((await browser.send("/app/x")).status, 401);
  });

  test("leaves the session of a callback in place", async () => {
    const { browser, callback } = await withBoth();
    const before = browser.cookies().get(COOKIE);
    for (const headers of PREFETCH) await browser.send(callback, { headers: { ...NAVIGATION, ...headers } });
    await browser.send(callback, { method: "HEAD", headers: NAVIGATION });
    assert.equal(browser.cookies().get(COOKIE), before);
    assert.equal((await browser.send("/app/x")).status, 200);
  });

  test("clears no cookie of a browser that only looks ahead", async () => {
    for (const [method, more] of [["HEAD", {}], ...PREFETCH.map((headers) => ["GET", headers])]) {
      const answer = await worker.request({ method, target: "/app/x", headers: { host: "app.example.com", cookie: `${COOKIE}=1.x`, ...NAVIGATION, ...more } });
      assert.equal(answer.header("set-cookie"), null, JSON.stringify(more));
    }
  });
});

describe("what is meant", () => {
  test("acts, with whatever headers it comes", async () => {
    let { browser, callback } = await withBoth();
    let asked = 0;
    for (const method of ["GET", "POST"]) {
      for (const headers of FETCH) {
        for (const act of ["login", "callback", "logout"].filter((one) => isMeant(one, method, headers))) {
          const what = `${method} ${act} ${JSON.stringify(headers)}`;
          const answer = await browser.send({ login: "/login", callback, logout: "/logout" }[act], { method, headers });
          assert.equal(answer.status, 302, `${what}: ${answer.text}`);
          const names = answer.setCookies.map((line) => line.split("=")[0]);
          assert.ok(names.some((name) => (act === "login" ? name.startsWith(LOGIN_COOKIE) : name === COOKIE)), `${what}: ${names}`);
          if (act !== "login") ({ browser, callback } = await withBoth());
          asked += 1;
        }
      }
    }
    assert.ok(asked > 50, String(asked));
  });

  test("is a script's POST, and its GET is told so", async () => {
    const { browser } = await withBoth();
    const script = { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin", origin: SITE };
    const refused = await browser.send("/logout", { headers: script });
    assert.equal(refused.status, 400);
    assert.equal(refused.json().code, "navigation_required");
    assert.match(refused.json().detail, /send a POST/);
    assert.equal((await browser.send("/logout", { method: "POST", headers: script })).status, 302);
    assert.equal(browser.cookies().has(COOKIE), false);
    const login = await browser.send("/login", { method: "POST", headers: script });
    assert.equal(login.status, 302);
    assert.ok(login.setCookies[0].startsWith(LOGIN_COOKIE));
  });
});

describe("keeping a session fresh", () => {
  test("is no such act: who looks ahead may cause it, and a script by GET", async () => {
    const { browser } = await withBoth();
    for (const [method, headers] of [
      ["GET", {}], ["HEAD", NAVIGATION], ["POST", {}], ["GET", { ...NAVIGATION, ...PREFETCH[0] }], ["GET", { "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" }],
    ]) {
      const answer = await browser.send("/refresh", { method, headers });
      assert.equal(answer.status, 200, `${method} ${JSON.stringify(headers)}: ${answer.text}`);
      assert.equal((await browser.send("/userinfo", { method, headers })).status, 200);
    }
  });

  test("is not another site's, by no method", async () => {
    const { browser } = await withBoth();
    for (const method of ["GET", "HEAD", "POST"]) {
      for (const headers of [
        { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }, { "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" },
        { ...NAVIGATION, "sec-fetch-site": "cross-site" }, { origin: "https://evil.example" },
      ]) {
        const answer = await browser.send("/refresh", { method, headers });
        assert.equal(answer.status, 403, `${method} ${JSON.stringify(headers)}`);
        assert.deepEqual(answer.setCookies, []);
      }
    }
    assert.equal(provider.exchanges.length, 0);
  });
});
