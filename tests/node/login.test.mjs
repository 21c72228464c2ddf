// Users log in at a real provider and return with a session; it opens every route and ends with the logout.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, describe, test } from "node:test";
import { assertProblem, bearer, many, read, REALM } from "./support/gateway.mjs";
import { NAVIGATION, SITE } from "./support/browser.mjs";
import { COOKIE, LOGIN_COOKIE, startSite, WITH_REFRESH } from "./support/login.mjs";
import { AUDIENCE, CLIENT_SECRET, startProvider } from "./support/provider.mjs";

const site = await startSite();
const { provider, origin, worker } = site;
after(() => site.stop());

const sessionCookies = (browser) => [...browser.cookies().keys()].filter((name) => name === COOKIE || name.startsWith(`${COOKIE}.`));
const loginCookies = (browser) => [...browser.cookies().keys()].filter((name) => name.startsWith(LOGIN_COOKIE));
const atProvider = (url) => url.origin === provider.url;

describe("a login", () => {
  test("leads from the protected page over the provider back to it", async () => {
    const browser = site.browser();
    const answer = await browser.open("/app/report?year=2026&q=a%20b");
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.url, `${SITE}/app/report?year=2026&q=a%20b`);
    const seen = answer.json();
    assert.equal(seen.url, "/app/report?year=2026&q=a%20b");
    assert.equal(seen.headers["x-user-id"], "alice");
    assert.equal(seen.headers["x-user-name"], "Alice Example");
    assert.equal(seen.headers["x-user-scope"], "read:items");
    assert.equal(seen.headers.cookie, undefined, "the origin does not see the gateway's cookies");
    assert.equal(seen.headers.authorization, undefined);
    assert.equal(answer.header("cache-control"), "private, no-store");
  });

  test("asks the provider for exactly what it should", async () => {
    const { next } = await site.browser().open("/login?return_to=/app/x&prompt=login&redirect_uri=https://evil.example&state=s", { until: atProvider });
    const query = next.searchParams;
    assert.equal(next.pathname, "/auth");
    assert.equal(query.get("response_type"), "code");
    assert.equal(query.get("client_id"), "edgeward-web");
    assert.deepEqual(query.getAll("redirect_uri"), [`${SITE}/auth/callback`]);
    assert.equal(query.get("scope"), "openid profile email read:items");
    assert.equal(query.get("resource"), AUDIENCE);
    assert.equal(query.get("prompt"), "login");
    assert.equal(query.get("code_challenge_method"), "S256");
    for (const name of ["state", "nonce", "code_challenge"]) assert.match(query.get(name), /^[A-Za-z0-9_-]{43}$/);
    assert.equal(new Set(["state", "nonce", "code_challenge"].map((name) => query.get(name))).size, 3);
  });

  test("begins on the site's own origin, where its cookie is; once, for proxies that change the host", async () => {
    const headers = { host: "www.example.com", ...NAVIGATION };
    const answer = await worker.request({ target: "/login?return_to=/app/x", headers });
    assert.equal(answer.status, 302);
    assert.equal(answer.header("location"), `${SITE}/login?return_to=/app/x&sent_home=1`);
    assert.equal(answer.header("set-cookie"), null);
    assert.equal((await worker.request({ target: "/login", headers })).header("location"), `${SITE}/login?sent_home=1`);
    const again = await worker.request({ target: "/login?return_to=/app/x&sent_home=1", headers });
    assert.ok(atProvider(new URL(again.header("location"))));
    assert.equal((await site.browser().open("/login?return_to=/app/x&sent_home=1")).url, `${SITE}/app/x`);
  });

  test("keeps its state in a cookie of this browser alone", async () => {
    const browser = site.browser();
    const { next } = await browser.open("/login", { until: atProvider });
    assert.equal(browser.received.length, 1);
    assert.match(browser.received[0], /^__Host-edgeward-login-[A-Za-z0-9]{8}=1\.[A-Za-z0-9_-]+; Path=\/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax$/);
    for (const name of ["state", "nonce"]) assert.ok(!browser.received[0].includes(next.searchParams.get(name)), name);
  });

  test("ends with a sealed cookie and no trace of the login", async () => {
    const browser = site.browser();
    await browser.open("/login");
    assert.deepEqual(loginCookies(browser), []);
    const line = browser.received.findLast((cookie) => cookie.startsWith(`${COOKIE}=`));
    assert.match(line, /^__Host-edgeward=1\.[A-Za-z0-9_-]+; Path=\/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax$/);
    assert.ok(!Buffer.from(line.slice(line.indexOf(".") + 1, line.indexOf(";")), "base64url").toString("latin1").includes("alice"));
  });

  test("exchanges the code once, and nothing of it reaches the browser", async () => {
    const browser = site.browser();
    provider.resetCounts();
    await browser.open("/app/x");
    assert.equal(provider.counts.token, 1);
    const cookies = browser.received.join("\n");
    for (const secret of [CLIENT_SECRET, "eyJ"]) assert.ok(!cookies.includes(secret));
  });

  test("brings a new session each time", async () => {
    const browser = await site.loggedIn();
    const first = browser.cookies().get(COOKIE);
    await browser.open("/login");
    assert.notEqual(browser.cookies().get(COOKIE), first);
  });

  test("works in several tabs at once, twenty at most", async () => {
    const browser = site.browser();
    const callbacks = [];
    for (let tab = 0; tab < 21; tab += 1) {
      callbacks.push((await browser.open(`/login?return_to=/app/${tab}`, { until: (url) => url.pathname === "/auth/callback" })).next.href);
    }
    assert.equal(loginCookies(browser).length, 20);
    const first = await browser.open(callbacks[0]);
    assert.equal(first.status, 400, "the oldest gave way");
    assert.match(first.text, /state_invalid/);
    assert.equal(first.setCookies.length, 0);
    for (const tab of [20, 1, 3]) assert.equal((await browser.open(callbacks[tab])).url, `${SITE}/app/${tab}`);
    const back = await browser.open(callbacks[20]);
    assert.equal(back.url, `${SITE}/`, "the back button: used already");
    assert.equal((await browser.send("/app/x")).status, 200, "which does not end the session");
  });

  test("begins by no HEAD and by no prefetch", async () => {
    const browser = site.browser();
    const head = await browser.send("/login", { method: "HEAD", headers: NAVIGATION });
    assert.deepEqual([head.status, head.header("location")], [200, null]);
    const prefetch = await browser.send("/app/x", { headers: { ...NAVIGATION, "sec-purpose": "prefetch" } });
    assert.equal(prefetch.status, 401);
    assert.equal(browser.received.length, 0);
  });

  for (const [method, clientId] of [["client_secret_basic", "edgeward-web-basic"], ["none", "edgeward-web-public"]]) {
    test(`as a client that authenticates by ${method}`, async () => {
      const authorizer = { client_id: clientId, client_auth: method, client_secret: method === "none" ? undefined : CLIENT_SECRET };
      await site.reconfigure({ authorizer });
      const answer = await site.browser().open("/app/x");
      assert.equal(answer.json().headers["x-user-id"], "alice");
      await site.reconfigure({});
    });
  }

  test("tries the next client secret once when the first is refused, and names it when none is left", async () => {
    await site.reconfigure({ authorizer: { client_secret: ["wrong-secret-0123456789-0123456789-0", CLIENT_SECRET] } });
    provider.resetCounts();
    assert.equal((await site.browser().open("/app/x")).status, 200);
    assert.equal(provider.counts.token, 2);
    await site.reconfigure({ authorizer: { client_secret: "wrong-secret-0123456789-0123456789-0" } });
    const browser = site.browser();
    const answer = await browser.open("/app/x");
    assert.equal(answer.status, 502);
    assert.match(answer.text, /token_exchange_failed/);
    assert.deepEqual(sessionCookies(browser), []);
    const [, request] = /request <code>([\w-]+)<\/code>/.exec(answer.text);
    await worker.waitForLog(new RegExp(`token_exchange_failed: .*invalid_client \\(.+\\): check client_id, client_secret.*\\(request ${request}\\)`));
    await site.reconfigure({});
  });

  test("sends the browser to callback_uri where one is set", async () => {
    await site.reconfigure({ authorizer: { callback_uri: "https://www.example.com/welcome" } });
    const { next } = await site.browser().open("/app/x", { until: (url) => url.host === "www.example.com" });
    assert.equal(next.href, "https://www.example.com/welcome");
    await site.reconfigure({});
  });

  test("passes organization and other allowed parameters on", async () => {
    const query = "organization=org_1&connection=c&login_hint=a%40b&screen_hint=signup&acr_values=x&ui_locales=de&scope=admin";
    const { next } = await site.browser().open(`/login?${query}`, { until: atProvider });
    const sent = next.searchParams;
    for (const [name, value] of new URLSearchParams(query)) {
      if (name !== "scope") assert.deepEqual(sent.getAll(name), [value]);
    }
    assert.deepEqual(sent.getAll("scope"), ["openid profile email read:items"]);
  });

  test("is held to the organization asked for, and to the configured ones", async () => {
    assert.equal((await site.browser().open("/login?organization=org_1&return_to=/app/x")).status, 200);
    const other = site.browser();
    const answer = await other.open("/login?organization=org_2&return_to=/app/x");
    assert.equal(answer.status, 403);
    assert.match(answer.text, /organization_mismatch/);
    assert.deepEqual(sessionCookies(other), []);
    await site.reconfigure({ authorizer: { organizations: ["org_1"] } });
    assert.equal((await site.browser().open("/app/x", { account: "alice" })).status, 200);
    const bob = site.browser();
    const { next } = await bob.open("/login", { until: atProvider });
    assert.equal(next.searchParams.get("organization"), "org_1");
    assert.equal((await bob.open("/app/x", { account: "bob" })).status, 403);
    assert.deepEqual(sessionCookies(bob), []);
    await site.reconfigure({});
  });
});

describe("without a session", () => {
  test("a program is told where to log in, and never redirected", async () => {
    for (const [method, headers] of [
      ["GET", { accept: "application/json" }],
      ["GET", { ...NAVIGATION, "sec-fetch-mode": "cors" }],
      ["GET", { accept: "text/html", "x-requested-with": "XMLHttpRequest" }],
      ["POST", { ...NAVIGATION, "sec-fetch-mode": "cors" }],
      ["DELETE", {}],
    ]) {
      const answer = await site.browser().send("/app/x", { method, headers });
      await assertProblem(answer, { status: 401, code: "token_missing", challenge: REALM, login: "/login", error: "unauthorized" });
      assert.equal(answer.setCookies.length, 0);
    }
    // A form that a user sends gets a page with the same status, and is not redirected either.
    const form = await site.browser().send("/app/x", { method: "POST", headers: NAVIGATION });
    assert.deepEqual([form.status, form.header("www-authenticate"), form.header("location")], [401, REALM, null]);
    assert.match(form.text, /<h1>Your form was not sent<\/h1>.*href="\/login"/s);
  });

  test("a person is sent to log in on the site's own origin, whatever host the request came to", async () => {
    const answer = await worker.request({ target: "/app/x?a=b", headers: { host: "other.example", ...NAVIGATION } });
    assert.equal(answer.status, 302);
    assert.equal(answer.header("location"), `${SITE}/login?return_to=%2Fapp%2Fx%3Fa%3Db`);
    assert.equal(answer.header("cache-control"), "private, no-store");
  });
});

describe("a session", () => {
  test("gives the rights that its access token gives", async () => {
    const [alice, bob] = await Promise.all([site.loggedIn("alice"), site.loggedIn("bob")]);
    for (const [browser, path, status] of [[alice, "/editors", 200], [alice, "/writers", 200], [bob, "/editors", 403], [bob, "/writers", 403]]) {
      assert.equal((await browser.send(path)).status, status, path);
    }
    const answer = await bob.send("/editors");
    assert.equal(answer.json().code, "insufficient_role");
    assert.equal(answer.json().required, "editor");
    // What touched a session is private, refusals included.
    assert.equal(answer.header("cache-control"), "private, no-store");
  });

  test("shows people a page when they lack a right", async () => {
    const bob = await site.loggedIn("bob");
    const answer = await bob.send("/editors", { headers: NAVIGATION });
    assert.equal(answer.status, 403);
    assert.match(answer.header("content-type"), /^text\/html/);
    assert.match(answer.text, /You cannot see this page/);
    assert.match(answer.header("content-security-policy"), /^default-src 'none'/);
  });

  test("hands the origin the access token where the route says so", async () => {
    const browser = await site.loggedIn();
    const { headers } = (await browser.send("/token/x")).json();
    assert.match(headers.authorization, /^Bearer eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.equal((await read(worker.fetch("/app/x", { headers: { authorization: headers.authorization } }))).status, 200);
  });

  test("gives way to a bearer token, and a bad one is not saved by it", async () => {
    const browser = await site.loggedIn("alice");
    const token = await provider.tokenFor({ scope: "read:items" });
    const seen = (await browser.send("/app/x", { headers: bearer(token) })).json();
    assert.equal(seen.headers["x-user-id"], "edgeward-service");
    assert.equal((await browser.send("/app/x", { headers: bearer(`${token}x`) })).status, 401);
  });

  test("does not act for another site", async () => {
    const browser = await site.loggedIn();
    for (const headers of [{ "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" }, { origin: "https://evil.example" }, { origin: "null" }]) {
      for (const method of ["POST", "PUT", "DELETE"]) {
        const answer = await browser.send("/app/x", { method, headers });
        assert.equal(answer.status, 403, JSON.stringify(headers));
        assert.equal(answer.json().code, "cross_site_request");
      }
    }
    origin.reset();
    for (const headers of [{}, { origin: SITE }, { "sec-fetch-site": "same-origin", origin: SITE }]) {
      assert.equal((await browser.send("/app/x", { method: "POST", headers })).status, 200);
    }
    assert.equal(origin.requests.length, 3);
    // A WebSocket is no mere reading, though it begins with GET.
    const socket = await browser.send("/app/x", { headers: { upgrade: "websocket", connection: "Upgrade", origin: "https://evil.example" } });
    assert.equal(socket.status, 403);
  });

  test("acts for an origin that CORS allows with credentials", async () => {
    const cors = { allow_origins: ["https://www.example.com"], allow_credentials: true };
    await site.reconfigure({ cors });
    const browser = await site.loggedIn();
    const post = (from) => browser.send("/app/x", { method: "POST", headers: { origin: from, "sec-fetch-site": "same-site" } });
    const answer = await post("https://www.example.com");
    assert.equal(answer.status, 200);
    assert.equal(answer.header("access-control-allow-credentials"), "true");
    assert.equal((await post("https://evil.example.com")).status, 403);
    await site.reconfigure({});
  });

  test("is the same on every isolate, and outlives a rotation of its secret", async () => {
    const browser = await site.loggedIn();
    await site.reconfigure({ session: { secrets: ["a-newer-session-secret-0123456789abcdef", "a-session-secret-of-the-tests-0123456789abcdef"] } });
    assert.equal((await browser.send("/app/x")).json().headers["x-user-id"], "alice");
    await site.reconfigure({ session: { secrets: ["a-newer-session-secret-0123456789abcdef"] } });
    const answer = await browser.send("/app/x", { headers: NAVIGATION });
    assert.equal(answer.status, 302, "the old secret is gone: log in again");
    assert.ok(answer.setCookies.some((line) => line.startsWith(`${COOKIE}=;`)), "and the cookie that opens nothing is cleared");
    await worker.waitForLog(/session_unsealable/);
    await site.reconfigure({});
  });

  test("that does not fit into one cookie is kept in several", async () => {
    const accounts = { carol: { name: "c".repeat(5000), org_id: "org_1", permissions: [] } };
    const long = await startSite({ provider: { accounts } });
    try {
      const browser = await long.loggedIn("carol");
      assert.ok(sessionCookies(browser).length >= 2);
      for (const line of browser.received) assert.ok(line.length <= 4096, String(line.length));
      assert.equal((await browser.send("/app/x")).status, 200);
      browser.cookies().delete(`${COOKIE}.1`);
      assert.equal((await browser.send("/app/x")).status, 401, "a chunk is missing");
    } finally {
      await long.stop();
    }
  });

  test("never mixes people up: 1,000 of them in parallel in one isolate", async () => {
    const people = await many(50, (index) => site.loggedIn(`user-${index}`), { atOnce: 10 });
    const answers = await many(1000, async (index) => {
      const person = index % people.length;
      const { headers } = (await people[person].send(`/app/${index}`)).json();
      return [headers["x-user-id"], `user-${person}`];
    });
    for (const [seen, expected] of answers) assert.equal(seen, expected);
  });
});

describe("userinfo", () => {
  test("tells the session's user, without tokens", async () => {
    const browser = await site.loggedIn();
    const answer = await browser.send("/userinfo");
    assert.equal(answer.status, 200, answer.text);
    const claims = answer.json();
    assert.equal(claims.sub, "alice");
    assert.equal(claims.name, "Alice Example");
    assert.ok(!answer.text.includes("eyJ"));
    assert.equal(answer.header("cache-control"), "private, no-store");
  });

  test("passes a refusal of the provider on to a bearer of a token", async () => {
    const token = await provider.tokenFor({ scope: "read:items" });
    const answer = await read(worker.fetch("/userinfo", { headers: bearer(token) }));
    assert.equal(answer.status, 401, answer.text);
    assert.equal(answer.json().code, "userinfo_token_refused");
  });

  test("requires a session", async () => {
    await assertProblem(site.browser().send("/userinfo"), { status: 401, code: "token_missing", challenge: REALM, login: "/login" });
  });
});

describe("logging out", () => {
  test("ends the session here and at the provider, and the old cookie opens nothing here any more", async () => {
    const browser = await site.loggedIn();
    const stolen = browser.cookieHeader();
    const answer = await browser.open("/logout");
    assert.equal(answer.url, `${SITE}/`);
    assert.deepEqual(sessionCookies(browser), []);
    const left = browser.visited.find((url) => url.includes("/session/end?"));
    const query = new URL(left).searchParams;
    assert.equal(query.get("client_id"), "edgeward-web");
    assert.equal(query.get("post_logout_redirect_uri"), `${SITE}/`);
    assert.match(query.get("id_token_hint"), /^eyJ/);
    const again = await browser.open("/app/x", { until: (url) => url.pathname.startsWith("/interaction") });
    assert.ok(again.next, "the provider asks who it is");
    const replay = await worker.request({ target: "/app/x", headers: { host: "app.example.com", cookie: stolen } });
    assert.equal(replay.status, 401);
  });

  test("by another site's doing needs a confirmation", async () => {
    const browser = await site.loggedIn();
    for (const [method, headers] of [
      ["GET", { ...NAVIGATION, "sec-fetch-site": "cross-site" }],
      ["POST", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }],
      ["POST", { origin: "https://evil.example" }],
      ["GET", { "sec-fetch-mode": "no-cors", "sec-fetch-site": "same-origin" }],
      ["GET", { ...NAVIGATION, "sec-fetch-dest": "iframe", "sec-fetch-site": "same-site" }],
    ]) {
      const answer = await browser.send("/logout", { method, headers });
      assert.equal(answer.status, 200);
      assert.match(answer.text, /logout_needs_confirmation/);
      assert.equal(answer.setCookies.length, 0);
    }
    // No page is rendered here: scripts are told to send a POST, and a prefetched page must not be shown later.
    for (const headers of [
      { ...NAVIGATION, "sec-purpose": "prefetch" },
      { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-site" },
    ]) {
      const answer = await browser.send("/logout", { headers });
      assert.equal(answer.status, 400);
      assert.equal(answer.json().code, "navigation_required");
      assert.equal(answer.setCookies.length, 0);
    }
    assert.equal((await browser.send("/app/x")).status, 200);
  });

  test("works with the provider down", async () => {
    const browser = await site.loggedIn();
    await site.reconfigure({});
    await provider.stop();
    const answer = await browser.send("/logout", { headers: NAVIGATION });
    await provider.start();
    assert.equal(answer.status, 200);
    assert.match(answer.text, /You are logged out/);
    assert.deepEqual(sessionCookies(browser), []);
  });

  test("by Auth0's own logout where it is Auth0", async () => {
    const auth0 = await startProvider({ dialect: "auth0", gateways: [SITE] });
    const authorizer = { type: "auth0", issuer: undefined, domain: auth0.domain };
    await site.reconfigure({ authorizer });
    const browser = await site.loggedIn();
    const answer = await browser.send("/logout", { headers: NAVIGATION });
    assert.equal(answer.status, 302);
    assert.equal(answer.header("location"), `${auth0.url}/v2/logout?client_id=edgeward-web&returnTo=${encodeURIComponent(`${SITE}/`)}`);
    await auth0.stop();
    await site.reconfigure({});
  });

  test("revokes the refresh token", async () => {
    await site.reconfigure({ authorizer: WITH_REFRESH });
    const browser = await site.loggedIn("alice", "/login?prompt=consent");
    provider.resetCounts();
    await browser.open("/logout");
    assert.equal(provider.counts.revocation, 1);
    await site.reconfigure({});
  });
});

test("the verifier's challenge is the hash that the exchange proves", async () => {
  // The provider checks it; here, that it is not the verifier itself.
  const { next } = await site.browser().open("/login", { until: atProvider });
  const challenge = next.searchParams.get("code_challenge");
  assert.notEqual(createHash("sha256").update(challenge).digest("base64url"), challenge);
});
