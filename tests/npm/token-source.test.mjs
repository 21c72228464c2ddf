// `edgeward/token-source`: one request for any number of calls, pauses after failures, and responses of no use; with a provider in memory, and
// with a real one.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { calculateJwkThumbprint, decodeProtectedHeader, jwtVerify } from "jose";
import { createTokenSource, TokenSourceError } from "../../pkg/src/token-source.js";
import { CLIENT_SECRET, OTHER_AUDIENCE, startProvider } from "../node/support/provider.mjs";
import { startOrigin } from "../node/support/origin.mjs";

const ENDPOINT = "https://tenant.example.com/oauth/token";
const SECRET = "a-client-secret-of-no-value";
const OPTIONS = { tokenEndpoint: ENDPOINT, clientId: "client-1", clientSecret: SECRET, audience: "https://orders.example.com", scope: "read:orders" };
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const json = (body, init = {}) => Response.json(body, init);

/** A provider in memory with a clock: `answer(form, request)` makes its responses. */
function provider(answer = ({ number }) => json({ access_token: `token-${number}`, token_type: "Bearer", expires_in: 3600 })) {
  const requests = [];
  const self = {
    seconds: 1_800_000_000,
    requests,
    answer,
    fetch: async (url, init) => {
      const form = Object.fromEntries(new URLSearchParams(init.body));
      requests.push({ url, form, ...init });
      return self.answer({ number: requests.length, form, url, init });
    },
    source: (options = {}) => createTokenSource({ ...OPTIONS, fetch: self.fetch, now: () => self.seconds, ...options }),
  };
  return self;
}

const codeOf = (promise) => promise.then(() => "a token", (error) => {
  assert.ok(error instanceof TokenSourceError, inspect(error));
  for (const secret of [SECRET, CLIENT_SECRET]) assert.ok(!inspect(error).includes(secret));
  return [error.code, error.retryAfter, error.error].filter((one) => one !== undefined).join(" ");
});

describe("a token", () => {
  it("is requested with a form, and once for a thousand calls", async () => {
    const one = provider();
    const source = one.source();
    const { getToken } = source;
    for (let call = 0; call < 1000; call += 1) assert.equal(await getToken(), "token-1");
    assert.equal(one.requests.length, 1);
    const [{ url, method, form, headers, redirect }] = one.requests;
    assert.deepEqual([url, method, redirect, headers["content-type"], headers.authorization], [ENDPOINT, "POST", "manual", "application/x-www-form-urlencoded", undefined]);
    assert.deepEqual(form, {
      grant_type: "client_credentials", audience: "https://orders.example.com", scope: "read:orders", client_id: "client-1", client_secret: SECRET,
    });
    assert.ok(!inspect(source, { depth: 9, showHidden: true }).includes(SECRET) && !JSON.stringify(source).includes("token-1"));
  });

  it("is requested once for fifty calls after the expiry", async () => {
    const one = provider();
    const source = one.source();
    await source.getToken();
    one.seconds += 3570;
    const { answer } = one;
    one.answer = async (request) => {
      await delay(60);
      return answer(request);
    };
    const tokens = await Promise.all(Array.from({ length: 50 }, () => source.getToken()));
    assert.deepEqual([...new Set(tokens), one.requests.length], ["token-2", 2]);
  });

  it("is not used after the clock went back", async () => {
    const one = provider();
    const source = one.source();
    await source.getToken();
    one.seconds -= 60;
    assert.equal(await source.getToken(), "token-2");
  });

  it("is used no longer than its own exp", async () => {
    const one = provider();
    const payload = Buffer.from(JSON.stringify({ exp: one.seconds + 100.5 })).toString("base64url");
    one.answer = () => json({ access_token: `e30.${payload}.AA`, token_type: "Bearer", expires_in: 3600 });
    const source = one.source();
    await source.getToken();
    one.seconds += 69;
    await source.getToken();
    assert.equal(one.requests.length, 1);
    one.seconds += 1;
    await source.getToken();
    assert.equal(one.requests.length, 2);
  });

  it("may be requested with the secret in a header, a resource and an organization", async () => {
    const one = provider();
    await one.source({ clientId: "a client", clientSecret: "100%: é!", clientAuth: "client_secret_basic", audience: undefined, resource: "https://a.example", organization: "org_1" }).getToken();
    const [{ form, headers }] = one.requests;
    assert.equal(headers.authorization, `Basic ${btoa("a%20client:100%25%3A%20%C3%A9%21")}`);
    assert.deepEqual(form, { grant_type: "client_credentials", resource: "https://a.example", scope: "read:orders", organization: "org_1" });
  });

  it("comes with the next secret if the provider refuses the first, and no third is tried", async () => {
    const one = provider(({ number, form }) =>
      form.client_secret === SECRET ? json({ access_token: `token-${number}`, token_type: "Bearer" }) : json({ error: "invalid_client" }, { status: 401 }));
    assert.equal(await one.source({ clientSecret: ["replaced", SECRET] }).getToken(), "token-2");
    assert.equal(await codeOf(one.source({ clientSecret: ["replaced", "also replaced", SECRET] }).getToken()), "upstream_token_refused 1 invalid_client");
    assert.equal(one.requests.length, 4);
  });

  it("is waited for as long as discovery and two attempts may take", async () => {
    const [one, held, issuer] = [provider(), [], "https://tenant.example.com/"];
    one.answer = ({ url }) => new Promise((resolve) => held.push({ url, resolve }));
    const source = one.source({ tokenEndpoint: undefined, issuer, clientSecret: ["replaced", SECRET] });
    const calls = [];
    const responses = [json({ issuer, token_endpoint: ENDPOINT }), json({ error: "invalid_client" }, { status: 401 }), json({ access_token: "a-token", token_type: "Bearer" })];
    for (const [number, response] of responses.entries()) {
      calls.push(source.getToken());
      await delay(40);
      assert.equal(held.length, number + 1);
      one.seconds += 9.9;
      held[number].resolve(response);
      await delay(40);
    }
    assert.deepEqual([[...new Set(await Promise.all(calls))], one.requests.length], [["a-token"], 3]);
  });

  it("that is late ends no wait for a newer request", async () => {
    const [one, held] = [provider(), []];
    one.answer = () => new Promise((resolve) => held.push(resolve));
    const source = one.source();
    const first = codeOf(source.getToken());
    await delay(40);
    one.seconds += 36;
    const second = source.getToken();
    await delay(40);
    assert.equal(one.requests.length, 2);
    held[0](json({ error: "invalid_scope" }, { status: 400 }));
    await delay(40);
    one.seconds += 2;
    const third = source.getToken();
    await delay(40);
    assert.equal(one.requests.length, 2);
    held[1](json({ access_token: "a-token", token_type: "Bearer" }));
    assert.deepEqual([await first, await second, await third], ["a token", "a-token", "a-token"]);
  });

  it("of a cancelled call comes to the others", async () => {
    const one = provider();
    const { answer } = one;
    one.answer = async (request) => {
      await delay(60);
      return answer(request);
    };
    const source = one.source();
    const controller = new AbortController();
    const kept = [];
    const cancelled = codeOf(source.getToken({ signal: controller.signal, waitUntil: (promise) => kept.push(promise) }));
    const others = [source.getToken(), source.getToken({ signal: AbortSignal.timeout(60_000) })];
    controller.abort();
    assert.equal(await cancelled, "aborted");
    assert.deepEqual([await Promise.all(others), one.requests.length, kept.length], [["token-1", "token-1"], 1, 1]);
    assert.equal(await codeOf(source.getToken({ signal: AbortSignal.abort() })), "aborted");
  });
});

describe("a client with a key", () => {
  const issuer = "https://tenant.example.com/";
  const pem = (pair) => pair.privateKey.export({ type: "pkcs8", format: "pem" });
  const jwk = (pair) => pair.privateKey.export({ format: "jwk" });
  const [rsa, next] = [1, 2].map(() => generateKeyPairSync("rsa", { modulusLength: 2048 }));
  const [p256, p384, ed25519] = [["ec", { namedCurve: "P-256" }], ["ec", { namedCurve: "P-384" }], ["ed25519"]].map((of) => generateKeyPairSync(...of));
  const keyed = { tokenEndpoint: undefined, issuer, clientSecret: undefined, clientAuth: "private_key_jwt" };
  const discovering = (answer = () => json({ access_token: "a-token", token_type: "Bearer" })) =>
    provider((request) => (request.url === ENDPOINT ? answer(request) : json({ issuer, token_endpoint: ENDPOINT })));

  for (const [what, pair, privateKey, alg, privateKeyAlg] of [
    ["RSA", rsa, pem(rsa), "RS256"],
    ["RSA, in one line", rsa, pem(rsa).replaceAll("\n", "\\n"), "RS256"],
    ["RSA, for RS384", rsa, pem(rsa), "RS384", "RS384"],
    ["RSA, for PS256", rsa, pem(rsa), "PS256", "PS256"],
    ["P-256", p256, pem(p256), "ES256"],
    ["P-384", p384, pem(p384), "ES384"],
    ["Ed25519", ed25519, pem(ed25519), "EdDSA"],
    ["an RSA JWK", rsa, { ...jwk(rsa), use: "sig", ext: false }, "RS256"],
    ["an RSA JWK for PS256", rsa, { ...jwk(rsa), alg: "PS256", key_ops: ["sign"] }, "PS256"],
    ["a JWK in JSON", p256, JSON.stringify(jwk(p256)), "ES256"],
    ["an Ed25519 JWK", ed25519, jwk(ed25519), "EdDSA"],
  ]) {
    it(`(${what}) signs an assertion for each request, for the issuer and a minute`, async () => {
      const one = discovering();
      const source = one.source({ ...keyed, privateKey, privateKeyAlg });
      for (let call = 0; call < 2; call += 1) {
        await source.getToken();
        one.seconds += 3600;
      }
      one.seconds -= 3600;
      const forms = one.requests.filter(({ url }) => url === ENDPOINT).map(({ form }) => form);
      const ids = new Set();
      for (const [index, { client_assertion: assertion, ...form }] of forms.entries()) {
        assert.deepEqual(form, {
          grant_type: "client_credentials", audience: "https://orders.example.com", scope: "read:orders", client_id: "client-1",
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        });
        const iat = one.seconds - 3600 * (1 - index);
        const { payload, protectedHeader } = await jwtVerify(assertion, pair.publicKey, { currentDate: new Date(1000 * iat), audience: issuer });
        assert.deepEqual(protectedHeader, { alg, typ: "JWT", kid: await calculateJwkThumbprint(pair.publicKey.export({ format: "jwk" })) });
        const { jti, ...claims } = payload;
        assert.deepEqual(claims, { sub: "client-1", iss: "client-1", aud: issuer, iat, exp: iat + 60 });
        ids.add(jti);
      }
      assert.equal(ids.size, 2);
      assert.ok(!inspect(source, { depth: 9, showHidden: true }).includes("PRIVATE"));
    });
  }

  it("names its key by the kid of the JWK", async () => {
    const one = discovering();
    await one.source({ ...keyed, privateKey: { ...jwk(p256), kid: "of the client" } }).getToken();
    assert.equal(decodeProtectedHeader(one.requests.at(-1).form.client_assertion).kid, "of the client");
  });

  it("signs with the next key if the provider refuses the first, and no third is tried", async () => {
    const kid = await calculateJwkThumbprint(next.publicKey.export({ format: "jwk" }));
    const one = discovering(({ form }) =>
      decodeProtectedHeader(form.client_assertion).kid === kid ? json({ access_token: "a-token", token_type: "Bearer" }) : json({ error: "invalid_client" }, { status: 401 }));
    assert.equal(await one.source({ ...keyed, privateKey: [pem(rsa), pem(next)] }).getToken(), "a-token");
    assert.equal(await codeOf(one.source({ ...keyed, privateKey: [pem(rsa), pem(p256), pem(next)] }).getToken()), "upstream_token_refused 1 invalid_client");
    assert.equal(one.requests.length, 6);
  });

  it("sends nothing if the platform refuses its key", async () => {
    const one = discovering();
    for (const privateKey of [{ ...jwk(p256), x: jwk(p384).x }, pem(generateKeyPairSync("rsa", { modulusLength: 1024 }))]) {
      assert.equal(await codeOf(one.source({ ...keyed, privateKey }).getToken()), "upstream_token_unavailable 1");
    }
    assert.deepEqual(one.requests.map(({ url }) => url === ENDPOINT), [false, false]);
  });

  for (const [what, change, message] of [
    ["no key", { privateKey: undefined }, /^privateKey must be a private key/],
    ["no key in a list", { privateKey: [] }, /^privateKey must not be empty/],
    ["a public key", { privateKey: rsa.publicKey.export({ format: "jwk" }) }, /^privateKey must be a private key/],
    ["another form of PEM", { privateKey: rsa.privateKey.export({ type: "pkcs1", format: "pem" }) }, /^privateKey must be a private key: PKCS#8/],
    ["broken JSON", { privateKey: "{" }, /^privateKey is not JSON/],
    ["broken base64", { privateKey: pem(rsa).replace("MII", "MII=") }, /^privateKey is not base64/],
    ["another curve", { privateKey: pem(generateKeyPairSync("ec", { namedCurve: "P-521" })) }, /^privateKey must be an RSA, P-256, P-384 or Ed25519 key/],
    ["another curve of a JWK", { privateKey: jwk(generateKeyPairSync("x25519")) }, /^privateKey must be an RSA, P-256, P-384 or Ed25519 key/],
    ["a key for encryption", { privateKey: { ...jwk(rsa), use: "enc" } }, /^privateKey is not for signing/],
    ["a key for other operations", { privateKey: { ...jwk(rsa), key_ops: ["decrypt"] } }, /^privateKey is not for signing/],
    ["a kid that is a number", { privateKey: { ...jwk(rsa), kid: 1 } }, /^privateKey has a kid/],
    ["the algorithm of another type", { privateKey: pem(p256), privateKeyAlg: "RS256" }, /^privateKey cannot sign with RS256/],
    ["two algorithms", { privateKey: { ...jwk(rsa), alg: "RS256" }, privateKeyAlg: "PS256" }, /^privateKey is for RS256/],
    ["an unknown algorithm", { privateKeyAlg: "HS256" }, /^privateKeyAlg must be one of/],
    ["a secret, too", { clientSecret: SECRET }, /^clientSecret has no effect/],
    ["no issuer", { issuer: undefined, tokenEndpoint: ENDPOINT }, /needs issuer/],
    ["a key and another method", { clientAuth: undefined, clientSecret: SECRET }, /^privateKey has no effect/],
    ["an algorithm and another method", { clientAuth: undefined, clientSecret: SECRET, privateKey: undefined, privateKeyAlg: "RS256" }, /^privateKeyAlg has no effect/],
  ]) {
    it(`with ${what} is refused, by name`, () => {
      assert.throws(() => createTokenSource({ ...OPTIONS, ...keyed, privateKey: pem(rsa), ...change }), (error) => error.code === "options_invalid" && message.test(error.message));
    });
  }
});

describe("responses", () => {
  for (const { name, status, type, body, reused_s: reused, failure } of JSON.parse(readFileSync(join(import.meta.dirname, "../flows/upstream_tokens.json")))) {
    it(`with ${name} are read as the gateway reads them`, async () => {
      const text = body.replace("$LONG", "a".repeat(16_385));
      const one = provider(() => {
        const headers = new Headers(type === "" ? {} : { "content-type": type });
        return new Response(new TextEncoder().encode(text), { status, headers });
      });
      const source = one.source();
      if (reused === undefined) {
        for (let call = 0; call < 5; call += 1) assert.match(await codeOf(source.getToken()), new RegExp(`^upstream_token_${failure} 1`));
        assert.equal(one.requests.length, 1);
        return;
      }
      const token = await source.getToken();
      one.seconds += reused - 0.001;
      assert.equal(await source.getToken(), token);
      assert.equal(one.requests.length, 1);
      one.seconds += 0.001;
      await source.getToken();
      assert.equal(one.requests.length, 2);
    });
  }

  it("of 429 are not amplified: Retry-After counts, up to five minutes", async () => {
    const one = provider(() => json({ error: "slow_down" }, { status: 429, headers: { "retry-after": "120" } }));
    const source = one.source();
    const storm = () => Promise.all(Array.from({ length: 50 }, () => codeOf(source.getToken())));
    assert.deepEqual([...new Set(await storm())], ["upstream_token_unavailable 120"]);
    one.seconds += 119;
    assert.deepEqual([...new Set(await storm()), one.requests.length], ["upstream_token_unavailable 1", 1]);
    one.seconds += 1;
    one.answer = () => json({}, { status: 503, headers: { "retry-after": "86400" } });
    assert.equal(await codeOf(source.getToken()), "upstream_token_unavailable 300");
    assert.equal(one.requests.length, 2);
  });

  it("may state the time of the next one as a date of HTTP, and as no other", async () => {
    for (const [retryAfter, expected] of [
      [(seconds) => new Date((seconds + 90) * 1000).toUTCString(), 90],
      [(seconds) => new Date((seconds - 90) * 1000).toUTCString(), 1],
      [(seconds) => new Date((seconds + 90) * 1000).toISOString(), 1],
      [() => "Sun, 99 Foo 2099 00:00:00 GMT", 1],
      [() => "1e2", 1],
    ]) {
      const one = provider(() => json({}, { status: 503, headers: { "retry-after": retryAfter(one.seconds) } }));
      assert.equal(await codeOf(one.source().getToken()), `upstream_token_unavailable ${expected}`, String(retryAfter));
    }
  });

  it("that fail again and again are asked for ever more seldom", async () => {
    const one = provider(() => json({}, { status: 500 }));
    const source = one.source();
    const pauses = [];
    for (let round = 0; round < 7; round += 1) {
      const pause = Number((await codeOf(source.getToken())).split(" ")[1]);
      pauses.push(pause);
      one.seconds += pause;
    }
    assert.deepEqual([pauses, one.requests.length], [[1, 2, 4, 8, 16, 30, 30], 7]);
  });

  it("that are too large, broken or late are failures", async () => {
    const endless = () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16_384)) }), { headers: { "content-type": "application/json" } });
    for (const answer of [endless, () => Promise.reject(new TypeError("fetch failed")), () => new Promise(() => {})]) {
      assert.equal(await codeOf(provider(answer).source({ timeout: 0.05 }).getToken()), "upstream_token_unavailable 1");
    }
  });
});

describe("discovery", () => {
  const issuer = "https://tenant.example.com/";
  const discovering = (document) => {
    const one = provider();
    const { answer } = one;
    one.answer = (request) => (request.url === ENDPOINT ? answer(request) : json(document));
    return one;
  };

  it("finds the token endpoint once an hour", async () => {
    const one = discovering({ issuer, token_endpoint: ENDPOINT });
    const source = one.source({ tokenEndpoint: undefined, issuer });
    await source.getToken();
    one.seconds += 3570;
    await source.getToken();
    assert.deepEqual(one.requests.map(({ url }) => url), ["https://tenant.example.com/.well-known/openid-configuration", ENDPOINT, ENDPOINT]);
    one.seconds += 3600;
    await source.getToken();
    assert.equal(one.requests.length, 5);
  });

  for (const [what, document] of [
    ["of another issuer", { issuer: "https://tenant.example.com", token_endpoint: ENDPOINT }],
    ["without the endpoint", { issuer }],
    ["with an endpoint on http", { issuer, token_endpoint: "http://tenant.example.com/oauth/token" }],
    ["that is a list", []],
  ]) {
    it(`sends no secret for a document ${what}`, async () => {
      const one = discovering(document);
      const source = one.source({ tokenEndpoint: undefined, issuer });
      for (let call = 0; call < 5; call += 1) assert.equal(await codeOf(source.getToken()), "upstream_token_unavailable 1");
      assert.deepEqual(one.requests.map(({ method }) => method), ["GET"]);
    });
  }
});

describe("options", () => {
  for (const [what, change, message] of [
    ["an unknown name", { clientID: "x" }, /no option "clientID"/],
    ["two endpoints", { issuer: "https://a.example" }, /either issuer or tokenEndpoint/],
    ["no endpoint", { tokenEndpoint: undefined }, /either issuer or tokenEndpoint/],
    ["http", { tokenEndpoint: "http://a.example/token" }, /tokenEndpoint must be an https URL/],
    ["no URL", { tokenEndpoint: "token" }, /tokenEndpoint must be an https URL/],
    ["no client", { clientId: "" }, /clientId must be/],
    ["no secret", { clientSecret: undefined }, /clientSecret must be/],
    ["no secret in a list", { clientSecret: [] }, /clientSecret must be/],
    ["another method", { clientAuth: "none" }, /clientAuth must be/],
    ["scopes as a list", { scope: ["a"] }, /scope must be/],
    ["a fetch that is text", { fetch: "x" }, /fetch must be a function/],
    ["a timeout in milliseconds", { timeout: 5000 }, /timeout must be/],
  ]) {
    it(`with ${what} are refused, by name`, () => {
      assert.throws(() => createTokenSource({ ...OPTIONS, ...change }), (error) => error.code === "options_invalid" && message.test(error.message) && !error.message.includes(SECRET));
    });
  }
  it("that are no object are refused", () => {
    for (const options of [undefined, null, "x", []]) assert.throws(() => createTokenSource(options), { code: "options_invalid" });
  });
});

describe("a real provider", () => {
  it("accepts the assertions of a client with a key, and each of them once", async () => {
    const real = await startProvider();
    try {
      const pairs = [generateKeyPairSync("rsa", { modulusLength: 2048 }), generateKeyPairSync("ec", { namedCurve: "P-256" })];
      const { keys } = { keys: await Promise.all(pairs.map(async ({ publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid: await calculateJwkThumbprint(publicKey.export({ format: "jwk" })) }))) };
      for (const [index, alg] of ["PS256", "ES256"].entries()) {
        real.setClient("service", {
          grant_types: ["client_credentials"], redirect_uris: [], response_types: [], client_secret: undefined,
          token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: alg, jwks: { keys },
        });
        const privateKey = pairs[index].privateKey.export({ type: "pkcs8", format: "pem" });
        const options = { issuer: real.issuer, clientId: "service", clientAuth: "private_key_jwt", privateKey, privateKeyAlg: alg, resource: OTHER_AUDIENCE, scope: "read:items" };
        let form;
        const recording = (url, init) => {
          if (init.method === "POST") form = init.body;
          return fetch(url, init);
        };
        const token = await createTokenSource({ ...options, fetch: recording }).getToken();
        assert.equal(JSON.parse(Buffer.from(token.split(".")[1], "base64url")).aud, OTHER_AUDIENCE);
        const replay = await fetch(`${real.issuer}${real.issuer.endsWith("/") ? "" : "/"}token`, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: form });
        assert.deepEqual([replay.status, (await replay.json()).error], [401, "invalid_client"]);
        const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
        assert.equal(await codeOf(createTokenSource({ ...options, privateKey: stranger, privateKeyAlg: "PS256" }).getToken()), "upstream_token_refused 1 invalid_client");
      }
    } finally {
      await real.stop();
    }
  });

  it("issues one token for all calls of fetch, which is sent to the named origin only", async () => {
    const [real, origin, elsewhere] = await Promise.all([startProvider(), startOrigin(), startOrigin()]);
    try {
      real.setClient("service", { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] });
      const source = createTokenSource({ issuer: real.issuer, clientId: "service", clientSecret: CLIENT_SECRET, resource: OTHER_AUDIENCE, scope: "read:items" });
      const answers = await Promise.all(Array.from({ length: 50 }, () => source.fetch(`${origin.url}/items`).then((answer) => answer.json())));
      const [header, ...others] = new Set(answers.map(({ headers }) => headers.authorization));
      const { aud, scope } = JSON.parse(Buffer.from(header.split(".")[1], "base64url"));
      assert.deepEqual([others, aud, scope, real.counts.token, real.counts.discovery], [[], OTHER_AUDIENCE, "read:items", 1, 1]);
      const redirected = await source.fetch(new Request(`${origin.url}/redirect?to=${elsewhere.url}`, { headers: { "x-plan": "gold" } }));
      assert.deepEqual([redirected.status, elsewhere.requests, origin.last.headers["x-plan"]], [302, [], "gold"]);
      const refused = await source.fetch(`${origin.url}/status/401`, { method: "POST", body: "data" });
      assert.deepEqual([refused.status, origin.requests.length, real.counts.token], [401, 52, 1]);
      assert.equal(await codeOf(createTokenSource({ issuer: real.issuer, clientId: "service", clientSecret: "wrong" }).getToken()), "upstream_token_refused 1 invalid_client");
    } finally {
      await Promise.all([real, origin, elsewhere].map((part) => part.stop()));
    }
  });
});
