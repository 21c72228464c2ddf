// Logins that must not succeed: callbacks that were altered, ID tokens and token endpoints that lie, a provider that fails,
// and addresses that lead elsewhere. Each is one change to a login that works; none ends in a session.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { assertNothingLeaked, many } from "./support/gateway.mjs";
import { CLIENT_ID, startHostileProvider } from "./support/hostile.mjs";
import { serve } from "./support/http.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig, SESSION_SECRET } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, CLIENT_SECRET } from "./support/provider.mjs";
import { leavesSite, payloads, published } from "./support/redirects.mjs";
import { base64url, generateKey, nowSeconds } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const configure = (changes) => loginConfig(provider, origin, changes);
const worker = await startWorker({ config: configure() });
after(() => Promise.all([worker, provider, origin].map((part) => part.stop())));

/** Keys that are not the provider's. */
const [other, ec] = await Promise.all(["RS256", "ES256"].map((alg) => generateKey(alg)));

/** Log lines and `Set-Cookie` lines of the whole run. */
const logged = [];
const browsers = [];

async function restart(changes) {
  logged.push(await worker.written());
  await worker.restart({ config: configure(changes) });
}

function newBrowser() {
  const browser = new Browser(worker);
  browsers.push(browser);
  return browser;
}

const API = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
/** A client that is no browser and says nothing about itself. A browser's script redeems no code: its GET of a callback does nothing. */
const PROGRAM = { accept: "application/json" };
const isCallback = (url) => url.origin === SITE && url.pathname === "/auth/callback";
const isApp = (url) => url.origin === SITE && url.pathname.startsWith("/app/");
const sessionCookies = (browser) => [...browser.cookies().keys()].filter((name) => name === COOKIE || name.startsWith(`${COOKIE}.`));

/** A browser with the address of the callback that it is about to open. */
async function atCallback(path = "/login?return_to=/app/x", browser = newBrowser()) {
  const { next } = await browser.open(path, { until: isCallback });
  return { browser, url: next };
}

async function loggedIn() {
  const browser = newBrowser();
  const answer = await browser.open("/login?return_to=/app/x");
  assert.equal(answer.status, 200, `${answer.text}\n${worker.logText}`);
  return browser;
}

/** Asserts that no login succeeded: this response, only cleared cookies, no caching, no access. */
async function assertNotLoggedIn(browser, answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.ok(answer.text.includes(code), `${code} in ${answer.text}`);
  for (const line of answer.setCookies) assert.match(line, /^[^=]+=; .*Max-Age=0/, "only cleared");
  assert.match(answer.header("cache-control"), /\bno-store\b/);
  assert.equal(answer.header("location"), null);
  assert.deepEqual(sessionCookies(browser), []);
  assert.equal((await browser.send("/app/x", { headers: API })).status, 401);
}

test("the login that every attack alters works", async () => {
  provider.reset();
  const browser = await loggedIn();
  assert.equal((await browser.send("/app/x")).json().headers["x-user-id"], "mallory");
  assert.equal(provider.exchanges.length, 1);
});

const setTo = (name, value) => (query) => void query.set(name, value);
const append = (name, value) => (query) => void query.append(name, value);
const drop = (name) => (query) => void query.delete(name);
const altered = (name, change) => (query) => void query.set(name, change(query.get(name)));
const raw = (change) => (query) => change(query.toString());

describe("a callback with", () => {
  const rows = [
    ["nothing at all", raw(() => ""), "callback_invalid"],
    ["no state", drop("state"), "callback_invalid"],
    ["an empty state", setTo("state", ""), "state_invalid"],
    ["a foreign state", setTo("state", randomBytes(32).toString("base64url")), "state_invalid"],
    ["two states, both right", (query) => query.append("state", query.get("state")), "callback_invalid"],
    ["two states, the second no UTF-8", raw((query) => `${query}&state=%ff`), "callback_invalid"],
    ["two states, one with its name encoded", raw((query) => `${query}&%73tate=x`), "callback_invalid"],
    ["a state that goes on", altered("state", (state) => `${state}A`), "state_invalid"],
    ["a state that is cut", altered("state", (state) => state.slice(0, -1)), "state_invalid"],
    ["another state of the same beginning", altered("state", (state) => state.slice(0, 8) + randomBytes(26).toString("base64url")), "state_invalid"],
    ["a state in the wrong case", altered("state", (state) => state.toLowerCase() + (state === state.toLowerCase() ? "x" : "")), "state_invalid"],
    ["a state with a line break", altered("state", (state) => `${state}\r\nset-cookie: a=b`), "state_invalid"],
    ["a state with a NUL", altered("state", (state) => `${state}\0`), "state_invalid"],
    ["a state with space before it", altered("state", (state) => ` ${state}`), "state_invalid"],
    ["a state of other characters", setTo("state", "../é<script>;=%00"), "state_invalid"],
    ["a state of 16 KiB", setTo("state", "a".repeat(16_384)), "state_invalid"],
    ["a state that is encoded twice", raw((query) => query.replace(/state=(.)/, (_, first) => `state=%25${first.charCodeAt(0).toString(16)}`)), "state_invalid"],
    ["a state that is no UTF-8", raw((query) => query.replace(/state=/, "state=%c3%28")), "state_invalid"],
    ["no code", drop("code"), "callback_invalid"],
    ["an empty code", setTo("code", ""), "callback_invalid"],
    ["two codes", append("code", "other"), "callback_invalid"],
    ["two codes, the second no UTF-8", raw((query) => `${query}&code=%ff`), "callback_invalid"],
    ["no iss, although it is promised", drop("iss"), "callback_issuer_mismatch"],
    ["the iss of another provider", setTo("iss", "https://evil.example"), "callback_issuer_mismatch"],
    ["an iss with a closing slash", altered("iss", (iss) => `${iss}/`), "callback_issuer_mismatch"],
    ["an empty iss", setTo("iss", ""), "callback_issuer_mismatch"],
    ["an iss that is no UTF-8", raw((query) => query.replace(/iss=[^&]*/, "iss=%ff")), "callback_issuer_mismatch"],
    ["two iss, both right", (query) => query.append("iss", query.get("iss")), "callback_invalid"],
    ["two iss, the second no UTF-8", raw((query) => `${query}&iss=%ff`), "callback_invalid"],
    ["an error beside the code", append("error", "access_denied"), "login_denied"],
    ["an empty error beside the code", append("error", ""), "login_denied"],
    ["an error that is no UTF-8 beside the code", raw((query) => `${query}&error=%ff`), "login_denied"],
    ["an error instead of the code", (query) => { query.delete("code"); query.set("error", "login_required"); }, "login_denied"],
    ["two errors", raw((query) => `${query}&error=a&error=b`), "callback_invalid"],
    ["an error and a foreign state", (query) => { query.set("error", "access_denied"); query.set("state", "foreign"); }, "state_invalid"],
    ["semicolons between its parameters", raw((query) => query.replaceAll("&", ";")), "callback_invalid"],
    ["names in capitals", raw((query) => query.replace("state=", "STATE=")), "callback_invalid"],
    ["parameters in brackets", raw((query) => query.replace("state=", "state[]=")), "callback_invalid"],
  ];
  for (const [what, change, code] of rows) {
    test(`${what} is ${code}, for browser navigations and API clients`, async () => {
      for (const headers of [NAVIGATION, API]) {
        provider.reset();
        const { browser, url } = await atCallback();
        const query = new URLSearchParams(url.search);
        const text = change(query) ?? query.toString();
        const answer = await browser.send(`/auth/callback?${text}`, { headers });
        await assertNotLoggedIn(browser, answer, 400, code);
        const type = headers === API ? "application/problem+json" : "text/html; charset=utf-8";
        assert.equal(answer.header("content-type"), type);
        assert.equal(provider.exchanges.length, 0, "no code was exchanged");
      }
    });
  }

  test("the parameters of another browser's login is state_invalid, whatever that browser does", async () => {
    provider.reset();
    const [theirs, mine] = [await atCallback(), await atCallback()];
    await assertNotLoggedIn(newBrowser(), await newBrowser().send(theirs.url.href, { headers: NAVIGATION }), 400, "state_invalid");
    const answer = await mine.browser.send(theirs.url.href, { headers: NAVIGATION });
    await assertNotLoggedIn(mine.browser, answer, 400, "state_invalid");
    const mixed = new URL(mine.url);
    mixed.searchParams.set("code", theirs.url.searchParams.get("code"));
    await assertNotLoggedIn(mine.browser, await mine.browser.send(mixed.href, { headers: NAVIGATION }), 502, "token_exchange_failed");
    const late = await theirs.browser.send(theirs.url.href, { headers: NAVIGATION });
    await assertNotLoggedIn(theirs.browser, late, 502, "token_exchange_failed");
    assert.equal(provider.exchanges.length, 2, "PKCE kept the code from the wrong hands, and burnt it");
  });

  test("a login that went through redeems nothing the second time, even with the cookie of then", async () => {
    provider.reset();
    const { browser, url } = await atCallback();
    const jar = new Map(browser.cookies());
    assert.equal((await browser.open(url.href)).status, 200);
    const session = browser.cookies().get(COOKIE);
    for (const [name, value] of jar) browser.cookies().set(name, value);
    const tampered = new URL(url);
    tampered.searchParams.set("code", "other");
    tampered.searchParams.set("return_to", "https://evil.example");
    for (const href of [url.href, tampered.href]) {
      const again = await browser.send(href, { headers: NAVIGATION });
      assert.equal(again.status, 302);
      assert.equal(again.header("location"), "/app/x", "with a session it goes on to its own destination");
      assert.deepEqual(again.setCookies, []);
    }
    assert.equal(browser.cookies().get(COOKIE), session, "the session that there is goes on");
    // Without a session, an altered callback is refused as ever.
    const stranger = newBrowser();
    for (const [name, value] of jar) stranger.cookies().set(name, value);
    await assertNotLoggedIn(stranger, await stranger.send(tampered.href, { headers: NAVIGATION }), 400, "state_invalid");
    assert.equal(provider.exchanges.length, 1);
  });

  test("another method than GET is 405 and exchanges nothing", async () => {
    provider.reset();
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const { browser, url } = await atCallback();
      const inBody = { method, headers: API, ...(method === "POST" && { form: Object.fromEntries(url.searchParams) }) };
      await assertNotLoggedIn(browser, await browser.send(method === "POST" ? "/auth/callback" : url.href, inBody), 405, "method_not_allowed");
      await assertNotLoggedIn(browser, await browser.send(url.href, { method, headers: API }), 405, "method_not_allowed");
    }
    assert.equal(provider.exchanges.length, 0);
  });

  test("a hostile error and description shows none of it", async () => {
    const payloads = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a\r\nset-cookie: evil=1", "x".repeat(20_000), "${7*7}{{7*7}}", "\u202ecod.exe"];
    for (const payload of payloads) {
      for (const headers of [NAVIGATION, API]) {
        const { browser, url } = await atCallback();
        const query = new URLSearchParams({ state: url.searchParams.get("state"), iss: provider.issuer, error: payload, error_description: payload, error_uri: "javascript:alert(1)" });
        const answer = await browser.send(`/auth/callback?${query}`, { headers });
        await assertNotLoggedIn(browser, answer, 400, "login_denied");
        assert.ok(!answer.text.includes(payload.slice(0, 12)) && !answer.text.includes("javascript:"), answer.text);
        assert.equal(answer.header("evil"), null);
        if (headers === API) assert.equal(answer.json().error, "unknown_error");
        else assert.match(answer.header("content-security-policy"), /^default-src 'none'/);
      }
    }
    await worker.waitForLog(/login_denied: the provider answered unknown_error/);
  });
});

describe("an ID token", () => {
  const publicPem = () => provider.tokens.keys.values().next().value.jwk.n;
  const claims = (changes) => () => ({ claims: changes });
  const rows = [
    ["without nonce", claims({ nonce: undefined }), "claim_missing"],
    ["with another nonce", claims({ nonce: "n" }), "nonce_mismatch"],
    ["with an empty nonce", claims({ nonce: "" }), "nonce_mismatch"],
    ["with a nonce that is a list", claims({ nonce: ["a"] }), "claim_malformed"],
    ["without aud", claims({ aud: undefined }), "claim_missing"],
    ["of another client", claims({ aud: "other-client" }), "audience_mismatch"],
    ["for the API", claims({ aud: AUDIENCE }), "audience_mismatch"],
    ["with an empty aud", claims({ aud: [] }), "claim_malformed|audience_mismatch"],
    ["with several aud and no azp", claims({ aud: [CLIENT_ID, "other"] }), "claim_missing|audience_mismatch"],
    ["with several aud and another's azp", claims({ aud: [CLIENT_ID, "other"], azp: "other" }), "azp_mismatch|audience_mismatch"],
    ["with another's azp", claims({ azp: "other" }), "azp_mismatch"],
    ["with another at_hash", claims({ at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }), "at_hash_mismatch"],
    ["with an empty at_hash", claims({ at_hash: "" }), "at_hash_mismatch"],
    ["without iss", claims({ iss: undefined }), "claim_missing"],
    ["of another issuer", claims({ iss: "https://evil.example" }), "issuer_mismatch"],
    ["with a closing slash after iss", () => ({ claims: { iss: `${provider.issuer}/` } }), "issuer_mismatch"],
    ["without sub", claims({ sub: undefined }), "claim_missing"],
    ["with an empty sub", claims({ sub: "" }), "claim_malformed"],
    ["with a sub that is a number", claims({ sub: 1 }), "claim_malformed"],
    ["that has expired", () => ({ claims: { exp: nowSeconds() - 60, iat: nowSeconds() - 120 } }), "token_expired"],
    ["without exp", claims({ exp: undefined }), "claim_missing"],
    ["without iat", claims({ iat: undefined }), "claim_missing"],
    ["issued in the future", () => ({ claims: { iat: nowSeconds() + 300 } }), "token_issued_in_future"],
    ["with nbf ahead", () => ({ claims: { nbf: nowSeconds() + 300 } }), "token_not_yet_valid"],
    ["with alg none", () => ({ alg: "none" }), "alg_not_allowed"],
    ["with alg NoNe", () => ({ header: { alg: "NoNe" }, signWith: "none" }), "alg_not_allowed"],
    ["with alg none and the signature of RS256", () => ({ header: { alg: "none" }, signWith: "RS256" }), "alg_not_allowed"],
    ["with HS256 by the client secret", () => ({ alg: "HS256", key: CLIENT_SECRET }), "alg_not_allowed"],
    ["with HS256 by the public key", () => ({ alg: "HS256", key: publicPem() }), "alg_not_allowed"],
    ["with ES256", () => ({ alg: "ES256", key: ec }), "alg_not_allowed"],
    ["with PS256 where only RS256 is configured", () => ({ alg: "PS256" }), "alg_not_allowed"],
    ["signed by another key under the right kid", () => ({ key: other }), "signature_invalid"],
    ["with an empty signature", () => ({ signature: Buffer.alloc(0) }), "signature_invalid"],
    ["with a signature of zeros", () => ({ signature: Buffer.alloc(256) }), "signature_invalid"],
    ["with an unknown kid", () => ({ header: { kid: "unknown" } }), "key_not_found"],
    ["with the key inside", () => ({ key: other, header: { jwk: { kty: "RSA", n: "AQAB", e: "AQAB" }, jku: "https://evil.example/jwks", x5u: "https://evil.example/x" } }), "signature_invalid"],
    ["with crit", () => ({ header: { crit: ["exp"] } }), "crit_not_supported"],
    ["typed as an access token", () => ({ header: { typ: "at+jwt" } }), "typ_not_allowed|token_kind_mismatch"],
    ["typed as a logout token", () => ({ header: { typ: "logout+jwt" } }), "typ_not_allowed|token_kind_mismatch"],
    ["that is the access token", () => (_good, { accessToken }) => accessToken, "."],
    ["that is an access token for the client", () => ({ header: { typ: "at+jwt" }, claims: { client_id: CLIENT_ID, scope: "openid", jti: "1" } }), "typ_not_allowed|token_kind_mismatch"],
    ["of 20 KiB", claims({ filler: "x".repeat(20_000) }), "token_too_large"],
    ["of two parts", () => () => `${base64url("{}")}.${base64url("{}")}`, "token_malformed"],
    ["of five parts", () => () => "a.b.c.d.e", "token_encrypted|token_malformed"],
    ["that is no token", () => () => "<script>alert(1)</script>", "token_malformed"],
    ["with claims twice", () => (good) => provider.tokens.token({ header: good.header, rawPayload: JSON.stringify(provider.tokens.claims(good.claims)).replace("{", "{\"sub\":\"alice\",") }), "token_malformed"],
  ];
  for (const [what, wish, code] of rows) {
    test(`${what} makes no session: ${code}`, async () => {
      provider.reset();
      // A line is not repeated within a minute: it may be there from another row.
      provider.behave.idToken = wish();
      const browser = newBrowser();
      const answer = await browser.open("/login?return_to=/app/x");
      await assertNotLoggedIn(browser, answer, 400, "id_token_invalid");
      await worker.waitForLog(new RegExp(`id_token_invalid: (${code})`));
      assert.equal(provider.exchanges.length, 1);
      assert.ok(!answer.text.includes("mallory"));
    });
  }

  test("that is missing, empty or no text makes no session", async () => {
    // Formerly an empty one was refused as a token.
    for (const idToken of [undefined, null, 7, ["x"], {}, ""]) {
      provider.reset();
      provider.behave.idToken = () => idToken;
      const browser = newBrowser();
      await assertNotLoggedIn(browser, await browser.open("/login?return_to=/app/x"), 502, "token_exchange_failed");
    }
  });

  test("of another login of the same person makes no session", async () => {
    provider.reset();
    let first;
    provider.behave.idToken = (good) => (first = provider.tokens.token(good));
    await loggedIn();
    provider.behave.idToken = () => first;
    const browser = newBrowser();
    await assertNotLoggedIn(browser, await browser.open("/login?return_to=/app/x"), 400, "id_token_invalid");
  });

  test("without at_hash, and with a kid absent where there is one key, is as good as any", async () => {
    for (const wish of [{ claims: { at_hash: undefined } }, { header: { kid: undefined } }, { claims: { aud: [CLIENT_ID], azp: CLIENT_ID } }]) {
      provider.reset();
      provider.behave.idToken = wish;
      await loggedIn();
    }
  });

  test("with a kid absent where there are two keys makes no session", async () => {
    provider.reset();
    const second = await provider.tokens.addKey({ alg: "RS256" });
    await restart();
    provider.behave.idToken = { header: { kid: undefined } };
    const browser = newBrowser();
    await assertNotLoggedIn(browser, await browser.open("/login?return_to=/app/x"), 400, "id_token_invalid");
    provider.tokens.removeKey(second.kid);
    await restart();
  });
});

describe("an access token", () => {
  test("that is the ID token, or of another subject, gives no rights, and the login stands", async () => {
    const editors = [{ method: "GET", path: "/items", permissions: ["write:items"], integration: { type: "respond", body: "items" } }];
    await restart({ paths: editors });
    const rights = { permissions: ["write:items"] };
    for (const [accessClaims, status] of [[rights, 200], [{ ...rights, sub: "alice" }, 403], [{ ...rights, aud: "https://other.example" }, 403]]) {
      provider.reset();
      provider.behave.accessClaims = accessClaims;
      const browser = await loggedIn();
      assert.equal((await browser.send("/items")).status, status, JSON.stringify(accessClaims));
    }
    provider.reset();
    provider.behave.reply = (reply) => ({ ...reply, access_token: reply.id_token });
    provider.behave.idToken = { claims: { at_hash: undefined, permissions: ["write:items"] } };
    assert.equal((await (await loggedIn()).send("/items")).status, 403);
    await restart();
  });
});

describe("a token endpoint that", () => {
  const problem = (status, error, more = {}) => ({ status, body: JSON.stringify({ error, error_description: "<script>alert(1)</script>", ...more }) });
  const ok = (reply) => ({ reply });
  const rows = [
    ["answers 400 invalid_grant", { fault: problem(400, "invalid_grant") }, /\/token answered 400, invalid_grant \(\?script\?alert\(1\)\?\/script\?\): the code was used, has expired, or authorizer\.redirect_uri/],
    ["answers 401 invalid_client", { fault: problem(401, "invalid_client") }, /\/token answered 401, invalid_client \(\?script\?alert\(1\)\?\/script\?\): check client_id, client_secret/],
    ["answers 400 unauthorized_client", { fault: problem(400, "unauthorized_client") }, /\/token answered 400, unauthorized_client \(\?script\?alert\(1\)\?\/script\?\): check client_id/],
    ["answers 403", { fault: problem(403, "access_denied") }, /\/token answered 403, access_denied \(\?script\?alert\(1\)\?\/script\?\): check authorizer\.redirect_uri/],
    ["answers with a hostile error", { fault: problem(400, "<b>\r\nx</b>") }, /\/token answered 400, unknown_error \(\?script\?alert\(1\)\?\/script\?\): check/],
    ["answers 429", { fault: { status: 429, headers: { "content-type": "text/plain", "retry-after": "7" }, body: "slow down" } }, /\/token answered 429 \(request/],
    ["answers 500", { fault: { status: 500, headers: { "content-type": "text/html" }, body: "<h1>sorry</h1>" } }, /\/token answered 500 \(request/],
    ["answers 503 with good tokens", { reply: undefined, fault: { status: 503, body: (text) => text } }, /\/token answered 503 \(request/],
    ["answers 201 with good tokens", { fault: { status: 201, body: (text) => text } }, /\/token answered 201 \(request/],
    ["answers HTML with 200", { fault: { status: 200, headers: { "content-type": "text/html" }, body: "<html>" } }, /answered 200 without JSON/],
    ["answers half of its JSON", { fault: { body: (text) => text.slice(0, -20) } }, /answered 200 without JSON/],
    ["breaks off within its JSON", { fault: { body: (text) => text, truncate: 100 } }, /\/token did not respond/],
    ["answers names twice", { fault: { body: (text) => text.replace("{", "{\"access_token\":\"x\",") } }, /answered 200 without JSON/],
    ["answers a list", ok(() => [1]), /answered 200 without JSON/],
    ["answers an error beside good tokens", ok((reply) => ({ ...reply, error: "server_error" })), /answered 200, server_error/],
    ["gives no access token", ok((reply) => ({ ...reply, access_token: undefined })), /answered 200 without access_token/],
    ["gives an empty access token", ok((reply) => ({ ...reply, access_token: "" })), /answered 200 without access_token/],
    ["gives an access token with a line break", ok((reply) => ({ ...reply, access_token: "a\nset-cookie: b=c" })), /answered 200 without access_token/],
    ["gives an access token beyond ASCII", ok((reply) => ({ ...reply, access_token: "é" })), /answered 200 without access_token/],
    ["gives an access token of 20 KiB", ok((reply) => ({ ...reply, access_token: "x".repeat(20_000) })), /answered 200 without access_token/],
    ["gives a token_type of its own", ok((reply) => ({ ...reply, token_type: "DPoP" })), /answered 200 without token_type Bearer/],
    ["gives a token_type that is no text", ok((reply) => ({ ...reply, token_type: ["Bearer"] })), /answered 200 without token_type Bearer/],
    ["never ends its answer", { fault: { endless: true, headers: { "content-type": "application/json" }, body: () => " ".repeat(65_536) } }, /\/token did not respond/],
    ["cuts the connection", { fault: { reset: true } }, /\/token did not respond/],
  ];
  for (const [what, { fault, reply }, line] of rows) {
    test(`${what} is 502, once, and the log says what to do`, async () => {
      for (const headers of [NAVIGATION, PROGRAM]) {
        provider.reset();
        // A line is not repeated within a minute: it may be there from another row.
        provider.behave.reply = reply;
        const { browser, url } = await atCallback();
        if (fault) provider.setFault("token", fault);
        const answer = await browser.send(url.href, { headers });
        await assertNotLoggedIn(browser, answer, 502, "token_exchange_failed");
        assert.equal(answer.header("retry-after"), "5");
        assert.equal(provider.counts.token, 1, "one exchange");
        assert.ok(!/<script>|mallory|alert/.test(answer.text), answer.text);
        await worker.waitForLog(line);
        provider.setFault("token", null);
        await assertNotLoggedIn(browser, await browser.send(url.href, { headers }), 400, "state_invalid");
        assert.equal(provider.counts.token, 1, "and never again");
      }
    });
  }

  test("redirects is not followed", async () => {
    provider.reset();
    let followed = 0;
    const trap = await serve((_req, res) => {
      followed += 1;
      res.end("{}");
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const { browser, url } = await atCallback();
      provider.setFault("token", { status, headers: { location: trap.url }, body: "{}" });
      await assertNotLoggedIn(browser, await browser.send(url.href, { headers: NAVIGATION }), 502, "token_exchange_failed");
    }
    assert.equal(followed, 0);
    provider.reset();
    await trap.close();
  });

  test("never answers is given up after 10 s, and not asked again", async () => {
    provider.reset();
    const { browser, url } = await atCallback();
    provider.setFault("token", { hang: true });
    const headers = { host: "app.example.com", cookie: browser.cookieHeader(), ...NAVIGATION };
    const began = Date.now();
    const answer = await worker.request({ target: url.pathname + url.search, headers, timeout: 30_000 });
    assert.equal(answer.status, 502);
    assert.ok(Date.now() - began >= 9_500);
    assert.equal(answer.header("set-cookie"), null);
    assert.equal(provider.counts.token, 1);
    provider.reset();
  });
});

describe("while the provider", () => {
  const document = (changes) => () => {
    provider.tokens.discoveryDocument = {
      issuer: provider.issuer, jwks_uri: provider.tokens.jwksUri, authorization_endpoint: `${provider.url}/authorize`, token_endpoint: `${provider.url}/token`, ...changes,
    };
  };
  const rows = [
    ["is of another issuer", document({ issuer: "https://evil.example" }), "discovery_issuer_mismatch"],
    ["says no issuer", document({ issuer: undefined }), "discovery_issuer_mismatch"],
    ["has a closing slash too many in its issuer", () => document({ issuer: `${provider.issuer}/` })(), "discovery_issuer_mismatch"],
    ["has its token endpoint on http elsewhere", document({ token_endpoint: "http://evil.example/token" }), "discovery_invalid"],
    ["has its authorization endpoint on http elsewhere", document({ authorization_endpoint: "http://evil.example/authorize" }), "discovery_invalid"],
    ["has a javascript: endpoint", document({ authorization_endpoint: "javascript:alert(1)" }), "discovery_invalid"],
    ["has a line break in an endpoint", document({ authorization_endpoint: "https://a.example/\r\nset-cookie: a=b" }), "discovery_invalid"],
    ["has no token endpoint", document({ token_endpoint: undefined }), "discovery_invalid"],
    ["answers discovery with HTML", () => provider.setFault("discovery", { status: 200, headers: { "content-type": "text/html" }, body: "<html>" }), "discovery_invalid"],
    ["answers discovery with half of it", () => provider.setFault("discovery", { body: (text) => text.slice(0, 50) }), "discovery_invalid"],
    ["answers discovery with 500", () => provider.setFault("discovery", { status: 500, body: "{}" }), "discovery_unreachable"],
    ["redirects discovery", () => provider.setFault("discovery", { redirect: "https://evil.example/" }), "discovery_unreachable"],
    ["never ends discovery", () => provider.setFault("discovery", { endless: true, body: () => " ".repeat(65_536) }), "discovery_unreachable"],
    ["cuts discovery off", () => provider.setFault("discovery", { reset: true }), "discovery_unreachable"],
  ];
  for (const [what, spoil, code] of rows) {
    test(`${what}: no new login, ${code}; the site, its sessions and the logout still work`, async () => {
      provider.reset();
      const session = await loggedIn();
      const open = await atCallback();
      const exchanges = provider.exchanges.length;
      spoil();
      await restart();
      const browser = newBrowser();
      const login = await browser.open("/app/x");
      await assertNotLoggedIn(browser, login, 502, code);
      assert.match(login.header("retry-after"), /^[1-9]\d*$/);
      await assertNotLoggedIn(open.browser, await open.browser.send(open.url.href, { headers: NAVIGATION }), 502, code);
      assert.equal(provider.exchanges.length, exchanges);
      assert.equal((await browser.send("/")).status, 200);
      assert.equal((await session.send("/app/x")).json().headers["x-user-id"], "mallory");
      const claims = await session.send("/userinfo");
      assert.equal(claims.status, 200);
      assert.equal(claims.json().sub, "mallory");
      const logout = await session.send("/logout", { headers: NAVIGATION });
      assert.equal(logout.status, 200);
      assert.deepEqual(sessionCookies(session), []);
      await worker.waitForLog(new RegExp(`edgeward: ${code}: `));
      provider.reset();
      await restart();
    });
  }

  test("sends userinfo about another user: 502 and none of it", async () => {
    provider.reset();
    const browser = await loggedIn();
    provider.behave.userinfo = () => ({ sub: "alice", email: "alice@example.com" });
    const answer = await browser.send("/userinfo");
    assert.equal(answer.status, 502);
    assert.equal(answer.json().code, "userinfo_subject_mismatch");
    assert.ok(!answer.text.includes("alice"));
    for (const claims of [{}, { sub: 7 }, { sub: ["mallory"] }, []]) {
      provider.behave.userinfo = () => claims;
      assert.notEqual((await browser.send("/userinfo")).json().email, "alice@example.com");
      assert.ok([200, 502].includes((await browser.send("/userinfo")).status));
    }
  });

  test("fails at userinfo: what the session knows stands, and no redirect is followed", async () => {
    provider.reset();
    const browser = await loggedIn();
    for (const fault of [{ status: 500, body: "{}" }, { status: 401, body: "{}" }, { reset: true }, { redirect: "https://evil.example/" }, { headers: { "content-type": "text/html" }, body: "<p>", status: 200 }]) {
      provider.setFault("userinfo", fault);
      const answer = await browser.send("/userinfo");
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json().sub, "mallory");
      assert.equal(answer.header("cache-control"), "private, no-store");
    }
    provider.reset();
  });

  for (const [what, idToken, continues] of [
    ["person, the session ends", { claims: { sub: "alice" } }, false],
    // Formerly these ended it, too, although the old refresh token was used.
    ["issuer, client, access token or key, nothing of it is used but the refresh token", [{ claims: { iss: "https://evil.example" } }, { claims: { aud: "other" } }, { key: other }, { claims: { at_hash: "AAAAAAAAAAAAAAAAAAAAAA" } }], true],
  ]) {
    test(`renews tokens with an ID token of another ${what}`, async () => {
      for (const wish of [idToken].flat()) {
        provider.reset();
        let issued;
        provider.behave.reply = (reply) => ({ ...reply, expires_in: 1, refresh_token: (issued = reply.refresh_token) });
        const browser = newBrowser();
        const { next } = await browser.open("/login?return_to=/app/x", { until: isApp });
        assert.equal(next.pathname, "/app/x");
        provider.behave.idToken = wish;
        const answer = await browser.send("/app/x", { headers: API });
        assert.equal(answer.status, continues ? 200 : 401, JSON.stringify(wish));
        assert.equal(provider.exchanges.length, 2);
        assert.equal(sessionCookies(browser).length > 0, continues);
        assert.deepEqual(provider.revocations, continues ? [] : [issued]);
        if (continues) assert.equal(answer.json().headers["x-user-id"], "mallory");
      }
      provider.reset();
    });
  }
});

describe("where a browser goes", () => {
  const assertStays = (location, payload) =>
    assert.equal(leavesSite(location, SITE), undefined, `${JSON.stringify(payload)} -> ${location}`);
  const addresses = payloads(SITE);

  test(`after login is on this site, for ${addresses.length} addresses through whole logins`, async () => {
    assert.equal(published.length, 558);
    provider.reset();
    const taken = await many(addresses.length, async (index) => {
      const payload = addresses[index];
      const browser = new Browser(worker);
      const name = index % 2 ? "return_to" : "returnTo";
      const { next } = await browser.open(`/login?${name}=${encodeURIComponent(payload.toWellFormed())}`, { until: isCallback });
      const answer = await browser.send(next.href, { headers: NAVIGATION });
      assert.equal(answer.status, 302, answer.text);
      assertStays(answer.header("location"), payload);
      return answer.header("location") !== "/";
    }, { atOnce: 16 });
    assert.ok(taken.includes(true) && taken.includes(false));
  });

  test("to log in comes back to this site, whatever path is opened", async () => {
    const targets = ["/app/..//evil.example", "/app//evil.example", "/app/%2f%2fevil.example", "/app/\\evil.example", "//evil.example/app/x", "/app/x?return_to=//evil.example", "/app/x?\\\\evil", "/app/x?%0d%0alocation:%20//evil.example"];
    for (const target of targets) {
      const answer = await worker.request({ target, headers: { host: "app.example.com", ...NAVIGATION } });
      const location = answer.header("location");
      if (location === null) continue;
      if (location.startsWith(`${provider.url}/authorize`)) {
        // The login began at once: where it ends, the browser is on this site.
        const browser = newBrowser();
        const { next } = await browser.open(target, { until: isCallback });
        const back = await browser.send(next.href, { headers: NAVIGATION });
        assertStays(back.header("location"), target);
        continue;
      }
      assertStays(location, target);
      assertStays(new URL(location).searchParams.get("return_to"), target);
    }
    for (const host of ["evil.example", "app.example.com.evil.example", "app.example.com:8443"]) {
      const answer = await worker.request({ target: "/app/x", headers: { host, "x-forwarded-host": "evil.example", ...NAVIGATION } });
      assertStays(answer.header("location"), host);
    }
  });

  test("after logout is what is configured, whatever the link says", async () => {
    const expected = `${provider.url}/session/end?client_id=${CLIENT_ID}&post_logout_redirect_uri=${encodeURIComponent(`${SITE}/`)}`;
    const names = ["returnTo", "return_to", "post_logout_redirect_uri", "redirect_uri", "state", "id_token_hint", "client_id"];
    await many(addresses.length, async (index) => {
      const query = names.map((name) => `${name}=${encodeURIComponent(addresses[index].toWellFormed())}`).join("&");
      const answer = await worker.request({ target: `/logout?${query}`, headers: { host: "app.example.com", ...NAVIGATION } });
      if (answer.status !== 414 && answer.status !== 431) assert.equal(answer.header("location"), expected);
    });
  });

  test("at the provider is told by the configuration alone", async () => {
    const query = "client_id=evil&redirect_uri=https://evil.example&response_type=token&response_mode=form_post&scope=admin&state=a&nonce=b&code_challenge=c&code_challenge_method=plain&resource=x&request=y&request_uri=z&login_hint=%0d%0a%26client_id%3devil&prompt=none%26state%3dx";
    const browser = newBrowser();
    const { next } = await browser.open(`/login?${query}`, { until: (url) => url.origin === provider.url });
    const sent = next.searchParams;
    for (const name of new Set(sent.keys())) assert.equal(sent.getAll(name).length, 1, name);
    assert.equal(sent.get("client_id"), CLIENT_ID);
    assert.equal(sent.get("redirect_uri"), `${SITE}/auth/callback`);
    assert.equal(sent.get("response_type"), "code");
    assert.equal(sent.get("code_challenge_method"), "S256");
    assert.equal(sent.get("resource"), AUDIENCE);
    for (const name of ["response_mode", "request", "request_uri"]) assert.equal(sent.get(name), null, name);
    for (const name of ["state", "nonce", "code_challenge"]) assert.match(sent.get(name), /^[\w-]{43}$/);
  });
});

describe("the cookie of a login under way", () => {
  test("of a strange name is never repeated in an answer", async () => {
    const names = ["é", "a b", "\"x\"", "<script>", ".1", "x".repeat(300), "a,b", "%0d%0a"];
    for (const name of names) {
      const cookie = Buffer.from(`${LOGIN_COOKIE}${name}=1.x; ${LOGIN_COOKIE}abcdefgh=1.x`).toString("latin1");
      const answer = await worker.request({ target: "/login", headers: { host: "app.example.com", cookie, ...NAVIGATION } });
      assert.equal(answer.status, 302);
      const set = answer.headers.filter(([header]) => header.toLowerCase() === "set-cookie").map(([, value]) => value);
      assert.equal(set.length, 2, set.join("\n"));
      assert.match(set[1], /^__Host-edgeward-login-abcdefgh=; /, "what does not open is cleared");
    }
  });

  test("does not pile up: a thousand of them are answered with at most forty to clear", async () => {
    const cookie = Array.from({ length: 1000 }, (_, index) => `${LOGIN_COOKIE}${String(index).padStart(8, "0")}=1.x`).join("; ");
    const answer = await worker.request({ target: "/login", headers: { host: "app.example.com", cookie, ...NAVIGATION } });
    assert.equal(answer.status, 302);
    assert.ok(answer.headers.filter(([header]) => header.toLowerCase() === "set-cookie").length <= 41);
  });

  test("that is altered, cut, another login's or a session is state_invalid", async () => {
    provider.reset();
    const session = (await loggedIn()).cookies().get(COOKIE);
    const others = (await atCallback()).browser;
    const foreign = [...others.cookies()].find(([name]) => name.startsWith(LOGIN_COOKIE))[1];
    const exchanges = provider.exchanges.length;
    const changes = [
      (value) => value.slice(0, -1), (value) => `${value}A`, (value) => value.replace("1.", "2."), (value) => value.slice(2), () => session, () => foreign, () => "",
      (value) => `"${value}"`, (value) => value.slice(0, 40) + (value[40] === "A" ? "B" : "A") + value.slice(41),
    ];
    for (const change of changes) {
      const { browser, url } = await atCallback();
      const [name, value] = [...browser.cookies()].find(([one]) => one.startsWith(LOGIN_COOKIE));
      browser.cookies().set(name, change(value));
      await assertNotLoggedIn(browser, await browser.send(url.href, { headers: NAVIGATION }), 400, "state_invalid");
    }
    assert.equal(provider.exchanges.length, exchanges);
  });
});

describe("the published checklist of clients", () => {
  // What each module of the conformance suite for clients comes to here: the test that covers it, or why none does.
  const NONE = {
    claims: "aggregated and distributed claims are handed through as they are, never fetched",
    implicit: "c_hash, s_hash and a required at_hash belong to the implicit and hybrid flows, which are not offered",
    formPost: "response_mode form_post is not asked for; a POST to the callback is refused",
    requestObject: "request objects are not sent",
    mtls: "mutual TLS is not offered",
    webfinger: "the issuer is configured, not found by WebFinger",
    registration: "clients are configured, not registered",
    channel: "front-channel and back-channel logout and session management are not offered",
    userinfo: "tokens are not sent to userinfo in the body",
    state: "no state is sent to the logout, so none is expected back",
  };
  const COVERED = {
    "oidcc-client-test-3rd-party-init-login": "asks the provider for exactly what it should",
    "oidcc-client-test": "leads from the protected page over the provider back to it",
    "oidcc-client-test-aggregated-claims": NONE.claims,
    "oidcc-client-test-client-secret-basic": "as a client that authenticates by ${method}",
    "oidcc-client-test-distributed-claims": NONE.claims,
    "oidcc-client-test-form-post-error": NONE.formPost,
    "oidcc-client-test-idtoken-sig-none": "with alg none",
    "oidcc-client-test-idtoken-sig-rs256": "the login that every attack alters works",
    "oidcc-client-test-invalid-athash": "with another at_hash",
    "oidcc-client-test-invalid-aud": "of another client",
    "oidcc-client-test-invalid-chash": NONE.implicit,
    "oidcc-client-test-invalid-sig-es256": "with ES256",
    "oidcc-client-test-invalid-sig-hs256": "with HS256 by the client secret",
    "oidcc-client-test-invalid-sig-rs256": "signed by another key under the right kid",
    "oidcc-client-test-invalid-iss": "of another issuer",
    "oidcc-client-test-userinfo-invalid-sub": "sends userinfo about another user: 502 and none of it",
    "oidcc-client-test-kid-absent-multiple-jwks": "with a kid absent where there are two keys makes no session",
    "oidcc-client-test-kid-absent-single-jwks": "without at_hash, and with a kid absent where there is one key, is as good as any",
    "oidcc-client-test-missing-athash": NONE.implicit,
    "oidcc-client-test-missing-aud": "without aud",
    "oidcc-client-test-missing-chash": NONE.implicit,
    "oidcc-client-test-missing-iat": "without iat",
    "oidcc-client-test-missing-sub": "without sub",
    "oidcc-client-test-mtls-endpoint-aliases": NONE.mtls,
    "oidcc-client-test-nonce-unless-code-flow": "asks the provider for exactly what it should",
    "oidcc-client-test-nonce-invalid": "with another nonce",
    "oidcc-client-test-refresh-token": "revokes the refresh token",
    "oidcc-client-test-refresh-token-invalid-issuer": "issuer, client, access token or key, nothing of it is used but the refresh token",
    "oidcc-client-test-refresh-token-invalid-sub": "person, the session ends",
    "oidcc-client-test-request-uri-signed-none": NONE.requestObject,
    "oidcc-client-test-request-uri-signed-rs256": NONE.requestObject,
    "oidcc-client-test-scope-userinfo-claims": "tells the session's user, without tokens",
    "oidcc-client-test-userinfo-signed": "come from a signed userinfo of a real provider, and from the session without the provider",
    "oidcc-client-test-userinfo-bearer-body": NONE.userinfo,
    "oidcc-client-test-userinfo-bearer-header": "tells the session's user, without tokens",
    "oidcc-client-test-discovery-issuer-mismatch": "is of another issuer",
    "oidcc-client-test-discovery-jwks-uri-keys": "only discovery is configured: one discovery and one JWKS request serve all",
    "oidcc-client-test-discovery-openid-config": "only discovery is configured: one discovery and one JWKS request serve all",
    "oidcc-client-test-discovery-webfinger-acct": NONE.webfinger,
    "oidcc-client-test-discovery-webfinger-url": NONE.webfinger,
    "oidcc-client-test-dynamic-registration": NONE.registration,
    "oidcc-client-test-signing-key-rotation": "it rotates its keys between and during logins: every login succeeds",
    "oidcc-client-test-signing-key-rotation-just-before-signing": "it rotates its keys between and during logins: every login succeeds",
    "oidcc-client-test-rp-backchannel-rpinitlogout": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-no-event": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": NONE.channel,
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": NONE.channel,
    "oidcc-client-test-rp-frontchannel-opinitlogout": NONE.channel,
    "oidcc-client-test-rp-frontchannel-rpinitlogout": NONE.channel,
    "oidcc-client-test-rp-init-logout": "ends the session here and at the provider, and the old cookie opens nothing here any more",
    "oidcc-client-test-rp-init-logout-other-state": NONE.state,
    "oidcc-client-test-rp-init-logout-no-state": NONE.state,
    "oidcc-client-test-session-management": NONE.channel,
  };

  test("it rotates its keys between and during logins: every login succeeds", async () => {
    provider.reset();
    await restart();
    await loggedIn();
    const { browser, url } = await atCallback();
    const [former] = provider.tokens.keys.keys();
    const next = await provider.tokens.addKey({ alg: "RS256" });
    provider.tokens.removeKey(former);
    const answer = await browser.open(url.href);
    assert.equal(answer.status, 200, `${next.kid}: ${answer.text}`);
  });

  test("every module is covered by a test, or does not apply", () => {
    const here = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.mjs"));
    const texts = here.map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));
    // Of this file, what stands before the table.
    const sources = texts.map((text) => text.split("const COVERED")[0]).join("\n") + 'test("it rotates its keys between and during logins: every login succeeds"';
    const reasons = Object.values(NONE);
    for (const [module, what] of Object.entries(COVERED)) {
      assert.ok(reasons.includes(what) || sources.includes(what), `${module}: no test is called "${what}"`);
    }
    assert.equal(Object.keys(COVERED).length, 57);
  });
});

test("nothing secret stands in the log of all this", async () => {
  logged.push(await worker.written());
  assert.match(logged.join("\n"), /edgeward: /);
  const cookies = browsers.flatMap((browser) => browser.received.map((line) => line.split(";")[0].split("=")[1]));
  assert.ok(provider.secrets.length > 500 && cookies.length > 300);
  assertNothingLeaked([...provider.secrets, ...cookies, CLIENT_SECRET, SESSION_SECRET], [logged.join("\n")]);
});
