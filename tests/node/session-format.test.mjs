// The sealed cookie matches docs/session-format.md byte for byte, and its content is validated although it was sealed.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { SITE } from "./support/browser.mjs";
import { COOKIE, SESSION_SECRET, startSite } from "./support/login.mjs";
import { AUDIENCE } from "./support/provider.mjs";
import { open, seal, session, sessionCookie } from "./support/seal.mjs";

const site = await startSite();
after(() => site.stop());

const host = new URL(SITE).host;
const login = { issuer: site.provider.issuer, clientId: "edgeward-web", audience: [AUDIENCE] };
const ask = (cookie, target = "/app/x") => site.worker.request({ target, headers: { host, cookie } });

test("the cipher is XChaCha20-Poly1305", () => {
  // The construction is checked against the gateway below; here, that opening refuses what was altered.
  const sealed = Buffer.from(seal(SESSION_SECRET, "session", host, login, "text"), "base64url");
  assert.equal(open(SESSION_SECRET, "session", host, login, sealed.toString("base64url")), "text");
  sealed[sealed.length - 1] ^= 1;
  assert.throws(() => open(SESSION_SECRET, "session", host, login, sealed.toString("base64url")));
});

test("what the gateway seals is as documented", async () => {
  const browser = await site.loggedIn();
  const [count, value] = browser.cookies().get(COOKIE).split(/\.(.*)/s);
  assert.equal(count, "1");
  const content = JSON.parse(open(SESSION_SECRET, "session", host, login, value));
  assert.deepEqual(Object.keys(content), ["v", "id", "iat", "login", "seen", "nonce", "claims", "rights", "unread", "at", "at_iat", "at_exp", "rt", "idt"]);
  assert.equal(content.v, 2);
  assert.equal(Buffer.from(content.id, "base64url").length, 16);
  assert.equal(content.claims.sub, "alice");
  assert.equal(content.rights.scope, "read:items");
  assert.equal(content.rights.aud, AUDIENCE);
  const { exp } = JSON.parse(Buffer.from(content.at.split(".")[1], "base64url"));
  assert.deepEqual([content.rights.exp, content.at_exp], [exp, exp]);
  assert.equal(content.unread, null);
  assert.equal(content.rt, null);
  assert.match(content.nonce, /^[\w-]{43}$/);
  for (const name of ["nonce", "exp", "iat", "at_hash", "jti", "scope", "permissions", "aud"]) assert.equal(content.claims[name], undefined, name);
  assert.ok(Math.abs(content.seen - Date.now() / 1000) < 60);
  // The login began before the session did.
  assert.ok(content.login <= content.iat && content.login > content.iat - 60, `${content.login} ${content.iat}`);
});

test("what is sealed as documented opens", async () => {
  const answer = await ask(sessionCookie(SESSION_SECRET, host, login, session({ claims: { sub: "carol" } })));
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json().headers["x-user-id"], "carol");
});

test("what a former version sealed, without the time of the login, opens", async () => {
  const answer = await ask(sessionCookie(SESSION_SECRET, host, login, session({ login: undefined })));
  assert.equal(answer.status, 200, answer.text);
});

const now = Math.floor(Date.now() / 1000);

test("a session that was used while the clock was ahead opens: it has begun, and ends in its time", async () => {
  assert.equal((await ask(sessionCookie(SESSION_SECRET, host, login, session({ seen: now + 3600 })))).status, 200);
});

for (const [what, content] of [
  ["of another format", session({ v: 3 })], ["of the former format", session({ v: 1 })], ["of no format", session({ v: undefined })], ["with a format that is no number", session({ v: "2" })],
  ["from the future", session({ iat: now + 3600, seen: now + 3600 })], ["used before it began", session({ iat: now, seen: now - 10 })],
  ["idle for too long", session({ iat: now - 90_000, seen: now - 86_401 })], ["too old", session({ iat: now - 259_201, seen: now - 1 })],
  ["without claims", session({ claims: undefined })], ["with claims that are no object", session({ claims: [] })],
  ["with a claim of the wrong type", session({ claims: { sub: 1 } })], ["without a token", session({ at: undefined })],
  ["without rights or that there are none", session({ rights: undefined })], ["with rights that are no object", session({ rights: [] })],
  ["with rights without end", session({ rights: { scope: "a" } })], ["with rights that end at no time", session({ rights: { exp: "1" } })],
  ["with rights of the wrong type", session({ rights: { exp: 1, nbf: "1" } })], ["that is unread in no way", session({ unread: true })],
  ["without a nonce", session({ nonce: undefined })], ["with a login at no time", session({ login: "1" })], ["with a login before 1970", session({ login: -1 })],
  ["without a name", session({ id: undefined })], ["with times that are none", session({ iat: -1 })], ["with a fraction of a second", session({ iat: 1.5 })],
  ["with a number too large", session({ at_exp: 1e300 })], ["that is a list", "[]"], ["that is no JSON", "{"], ["that is nothing", ""],
  ["with a name twice", JSON.stringify(session()).replace("{", '{"id":"other",')],
  ["nested deeply", session({ claims: { sub: "a", x: JSON.parse("[".repeat(100) + "]".repeat(100)) } })],
]) {
  test(`a session ${what} is none`, async () => {
    assert.equal((await ask(sessionCookie(SESSION_SECRET, host, login, content))).status, 401);
  });
}

for (const [what, cookie] of [
  ["for another host", sessionCookie(SESSION_SECRET, "other.example", login, session())],
  ["with another secret", sessionCookie(`${SESSION_SECRET}x`, host, login, session())],
  ["for another purpose", `${COOKIE}=1.${seal(SESSION_SECRET, "login", host, login, JSON.stringify(session()))}`],
  ["between isolates", `${COOKIE}=1.${seal(SESSION_SECRET, "refresh", host, login, JSON.stringify(session()))}`],
  ["for another issuer", sessionCookie(SESSION_SECRET, host, { ...login, issuer: `${login.issuer}/` }, session())],
  ["for another client", sessionCookie(SESSION_SECRET, host, { ...login, clientId: "edgeward-web-basic" }, session())],
  ["for another audience", sessionCookie(SESSION_SECRET, host, { ...login, audience: ["https://other.example.com"] }, session())],
  ["for an audience more", sessionCookie(SESSION_SECRET, host, { ...login, audience: [AUDIENCE, "https://other.example.com"] }, session())],
  ["for no audience", sessionCookie(SESSION_SECRET, host, { ...login, audience: [] }, session())],
]) {
  test(`what was sealed ${what} is no session`, async () => {
    assert.equal((await ask(cookie)).status, 401);
  });
}
