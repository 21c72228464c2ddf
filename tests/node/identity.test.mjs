// Identity tokens for origins: jose verifies them with the published keys, across a rotation.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, test } from "node:test";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { Browser, SITE } from "./support/browser.mjs";
import { bearer } from "./support/gateway.mjs";
import { startSite } from "./support/login.mjs";

const pem = ({ privateKey }) => privateKey.export({ type: "pkcs8", format: "pem" });
const ec = () => pem(generateKeyPairSync("ec", { namedCurve: "P-256" }));
const [first, next, rsa] = [ec(), ec(), pem(generateKeyPairSync("rsa", { modulusLength: 2048 }))];
const issuer = SITE;
const identity = (...private_key) => ({ issuer, audience: "origins", private_key });
const seenByService = [];
const site = await startSite({
  identity_token: identity(first),
  paths: [
    { method: "GET", path: "/jwks", integration: { type: "jwks" } },
    { method: "GET", path: "/service/{*rest}", integration: { type: "service", binding: "BACKEND" } },
    { method: "GET", path: "/public/{*rest}", auth: "none", integration: { type: "http_proxy", url: "http://127.0.0.1:1" } },
  ],
  worker: {
    serviceBindings: {
      BACKEND: (request) => {
        seenByService.push(request.headers.get("x-identity-token"));
        return new Response("ok");
      },
    },
  },
});
after(() => site.stop());
const { provider, origin } = site;

/** Verifies as an origin does. */
async function verify(token) {
  const keys = createRemoteJWKSet(new URL("/jwks", site.worker.url));
  const { payload } = await jwtVerify(token, keys, { issuer, audience: "origins", requiredClaims: ["sub", "iat", "exp", "jti"] });
  return payload;
}

const call = (token, path = "/app/x", headers = {}) => site.worker.fetch(path, { headers: { ...bearer(token), ...headers } });
const sent = () => origin.last.headers["x-identity-token"];

test("an origin and a service learn who calls", async () => {
  const { access_token } = await provider.login({ scope: "openid read:items", audience: provider.audience, account: "alice" });
  assert.equal((await call(access_token, "/app/x", { "x-identity-token": "forged" })).status, 200, site.worker.logText);
  const token = sent();
  assert.equal(decodeProtectedHeader(token).alg, "ES256");
  const payload = await verify(token);
  assert.deepEqual([payload.sub, payload.idp, payload.auth, payload.scope], ["alice", provider.issuer, "bearer", "read:items"]);
  assert.deepEqual([payload.permissions, payload.roles, payload.org_id], [["read:items", "write:items"], ["admin", "editor"], "org_1"]);
  assert.equal(payload.exp - payload.iat, 60);
  await call(access_token);
  assert.equal(sent(), token, "the same for half of its lifetime");
  assert.equal((await call(access_token, "/service/x")).status, 200);
  assert.equal((await verify(seenByService.at(-1))).sub, "alice");

  const browser = new Browser(site.worker);
  assert.equal((await browser.open("/app/y", { account: "bob" })).status, 200);
  const ofSession = await verify(sent());
  assert.deepEqual([ofSession.sub, ofSession.auth], ["bob", "session"]);
});

test("the keys may be cached, and hold nothing private", async () => {
  const answer = await site.worker.fetch("/jwks");
  assert.deepEqual([answer.headers.get("content-type"), answer.headers.get("cache-control")], ["application/jwk-set+json", "public, max-age=300"]);
  const { keys } = await answer.json();
  assert.deepEqual(keys.map(Object.keys), [["alg", "kid", "use", "crv", "kty", "x", "y"]]);
});

test("across a rotation, every token verifies with the keys published then and after", async () => {
  const access_token = await provider.tokenFor();
  const tokens = [];
  // The new key is published before it signs, and the former one for as long as its tokens last.
  for (const keys of [[first], [first, next], [next, first], [next], [rsa, next]]) {
    await site.reconfigure({ identity_token: identity(...keys) });
    assert.equal((await call(access_token)).status, 200, site.worker.logText);
    tokens.push(sent());
    for (const token of tokens.slice(-2)) assert.equal((await verify(token)).auth, "bearer");
  }
  assert.deepEqual(tokens.map((token) => decodeProtectedHeader(token).alg), ["ES256", "ES256", "ES256", "ES256", "RS256"]);
  const kids = tokens.map((token) => decodeProtectedHeader(token).kid);
  assert.deepEqual([kids[0] === kids[1], kids[1] === kids[2], kids[2] === kids[3]], [true, false, true]);
  await assert.rejects(verify(tokens[0]), /JWKS|key/);
});
