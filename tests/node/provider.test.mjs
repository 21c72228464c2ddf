// The local identity provider, on which every end-to-end test relies, must issue correct tokens.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { AUDIENCE, OTHER_AUDIENCE, RSA_ALGS, startProvider } from "./support/provider.mjs";

const json = async (url) => (await fetch(url)).json();
const check = (provider, token, audience = AUDIENCE) =>
  jwtVerify(token, createRemoteJWKSet(new URL(provider.jwksUri)), { issuer: provider.issuer, audience });

for (const dialect of ["standard", "auth0"]) {
  describe(`the provider, ${dialect}`, () => {
    let provider;
    before(async () => {
      provider = await startProvider({ dialect });
    });
    after(() => provider.stop());

    test("discovery names its issuer and keys", async () => {
      const document = await json(`${provider.url}/.well-known/openid-configuration`);
      assert.equal(document.issuer, provider.issuer);
      assert.equal(document.jwks_uri, provider.jwksUri);
    });

    for (const alg of RSA_ALGS) {
      test(`access tokens signed with ${alg} verify`, async () => {
        const token = await provider.tokenFor({ alg, scope: "read:items" });
        const { payload, protectedHeader } = await check(provider, token);
        assert.equal(protectedHeader.alg, alg);
        assert.equal(protectedHeader.typ, dialect === "auth0" ? "JWT" : "at+jwt");
        assert.equal(payload.scope, "read:items");
      });
    }

    test("a login ends in an ID token, an access token and a refresh token that works once", async () => {
      const prompt = dialect === "auth0" ? undefined : "consent";
      const scope = "openid profile email offline_access read:items";
      const tokens = await provider.login({ account: "alice", audience: AUDIENCE, scope, prompt });
      const id = await check(provider, tokens.id_token, "edgeward-web");
      assert.equal(id.payload.sub, "alice");
      const access = await check(provider, tokens.access_token);
      assert.deepEqual(access.payload.permissions, ["read:items", "write:items"]);
      const next = await provider.refresh({ refreshToken: tokens.refresh_token });
      assert.notEqual(next.refresh_token, tokens.refresh_token);
      await assert.rejects(provider.refresh({ refreshToken: tokens.refresh_token }), /invalid_grant/);
    });

    test("the audience, the lifetime and single claims can be wished for", async () => {
      const token = await provider.tokenFor({ audience: OTHER_AUDIENCE, ttl: 7, claims: { sub: undefined, x: 1 } });
      const claims = decodeJwt(token);
      assert.equal(claims.aud, OTHER_AUDIENCE);
      assert.equal(claims.exp - claims.iat, 7);
      assert.equal("sub" in claims, false);
      assert.equal(claims.x, 1);
      await assert.rejects(provider.tokenFor({ audience: "https://unknown.example" }), /invalid_target/);
    });
  });
}

describe("the provider, going wrong", () => {
  let provider;
  before(async () => {
    provider = await startProvider();
  });
  after(() => provider.stop());

  const kids = async () => (await json(provider.jwksUri)).keys.map(({ kid }) => kid);

  test("keys rotate: published together, alone, or late", async () => {
    const before = decodeProtectedHeader(await provider.tokenFor()).kid;
    const second = await provider.rotate();
    assert.equal(decodeProtectedHeader(await provider.tokenFor()).kid, second);
    assert.ok((await kids()).includes(before) && (await kids()).includes(second));
    const third = await provider.rotate({ keepOld: false, publish: false });
    assert.equal(decodeProtectedHeader(await provider.tokenFor()).kid, third);
    assert.ok(!(await kids()).some((kid) => [before, second, third].includes(kid)));
    provider.publish(third);
    assert.ok((await kids()).includes(third));
    await check(provider, await provider.tokenFor());
  });

  test("no private member of a key is published", async () => {
    for (const key of (await json(provider.jwksUri)).keys) {
      assert.deepEqual(["d", "p", "q", "dp", "dq", "qi"].filter((name) => name in key), []);
    }
  });

  test("requests are counted by endpoint", async () => {
    provider.resetCounts();
    await json(provider.jwksUri);
    await json(provider.jwksUri);
    await json(`${provider.url}/.well-known/openid-configuration`);
    assert.deepEqual([provider.jwksRequests, provider.discoveryRequests], [2, 1]);
  });

  test("it stops at once and comes back on its port with its keys", async () => {
    const token = await provider.tokenFor();
    const { port } = provider;
    await provider.stop();
    await assert.rejects(fetch(provider.jwksUri));
    await provider.start();
    assert.equal(provider.port, port);
    await check(provider, token);
  });

  const faults = [
    ["a status", { status: 503, headers: { "retry-after": "5" } }, async (answer) => {
      assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "5"]);
    }],
    ["a page", { body: "<html>", headers: { "content-type": "text/html" } }, async (answer) => {
      assert.deepEqual([answer.headers.get("content-type"), await answer.text()], ["text/html", "<html>"]);
    }],
    ["a redirect", { redirect: "http://127.0.0.1:1/" }, async (answer) => assert.equal(answer.status, 302)],
    ["a header", { headers: { "cache-control": "max-age=60" } }, async (answer) => {
      assert.equal(answer.headers.get("cache-control"), "max-age=60");
      assert.ok((await answer.json()).keys.length > 1);
    }],
    ["a changed body", { body: (text) => text.replace('"keys"', '"clefs"') }, async (answer) => {
      assert.ok((await answer.json()).clefs.length > 1);
    }],
    ["a cut body", { truncate: 20 }, async (answer) => assert.rejects(answer.text())],
    ["a dripping body", { drip: { bytes: 1_000, every: 1 } }, async (answer) => {
      assert.ok((await answer.json()).keys.length > 1);
    }],
  ];
  for (const [name, fault, expectation] of faults) {
    test(`its JWKS answers with ${name}`, async () => {
      const record = provider.setFault("jwks", { ...fault, times: 1 });
      await expectation(await fetch(provider.jwksUri, { redirect: "manual" }));
      assert.equal(record.served, 1);
      await check(provider, await provider.tokenFor());
    });
  }

  for (const [name, fault] of [["hangs", { hang: true }], ["resets", { reset: true }], ["never ends", { endless: true }]]) {
    test(`its JWKS ${name}`, async () => {
      provider.setFault("jwks", fault);
      await assert.rejects(async () => (await fetch(provider.jwksUri, { signal: AbortSignal.timeout(200) })).text());
      provider.clearFaults();
      await check(provider, await provider.tokenFor());
    });
  }
});
