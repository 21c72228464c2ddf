// Tokens that are bound to a key, with proofs of possession made by `jose`: `authenticate`, `protect`, and stores of used proofs.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { createVerifier, guard, initSync, protect } from "../../pkg/src/entry/slim.js";

initSync(readFileSync(new URL("../../pkg/wasm/edgeward_bg.wasm", import.meta.url)));

const ORIGIN = "https://api.example.com";
const URL_OF_ITEMS = `${ORIGIN}/items`;
const issuer = "https://tenant.example.com/";
let provider;
let options;

/** A client with a key, a token that is bound to it, and a function that makes proofs. */
async function newClient(alg, cnf) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const token = await tokenWith({ cnf: cnf === undefined ? { jkt: await calculateJwkThumbprint(jwk) } : cnf });
  const ath = createHash("sha256").update(token).digest("base64url");
  const prove = ({ header, key = privateKey, ...claims } = {}) =>
    new SignJWT({ jti: randomUUID(), htm: "GET", htu: URL_OF_ITEMS, ath, iat: Math.floor(Date.now() / 1000), ...claims })
      .setProtectedHeader({ alg, typ: "dpop+jwt", jwk, ...header })
      .sign(key);
  return { token, prove, privateJwk: await exportJWK(privateKey) };
}

const tokenWith = (claims) =>
  new SignJWT({ sub: "user-1", ...claims }).setProtectedHeader({ alg: "RS256", kid: "a" }).setIssuer(issuer).setAudience("api").setIssuedAt().setExpirationTime("5m").sign(provider.privateKey);

before(async () => {
  provider = await generateKeyPair("RS256");
  options = { issuer, audience: "api", algorithms: "RS256", jwks: { keys: [{ ...(await exportJWK(provider.publicKey)), kid: "a" }] }, dpop: "allowed", origins: ORIGIN };
});

const request = (authorization, dpop, { url = URL_OF_ITEMS, method = "GET" } = {}) =>
  new Request(url, { method, headers: { ...(authorization && { authorization }), ...(dpop && { dpop }) } });
const bound = (token, proof, init) => request(`DPoP ${token}`, proof, init);

async function refusal(promise, code, status = 401) {
  const error = await promise.then(() => assert.fail(`expected ${code}`), (error) => error);
  assert.equal(error.code, code, error.stack);
  assert.equal(error.status, status);
  return error;
}

describe("authenticate", () => {
  for (const alg of ["ES256", "EdDSA", "RS256", "PS256"]) {
    it(`accepts a bound token with a proof of ${alg}, once`, async () => {
      const { authenticate } = createVerifier(options);
      const { token, prove } = await newClient(alg);
      const proof = await prove();
      const verified = await authenticate(bound(token, proof, { url: `${URL_OF_ITEMS}?q=1` }));
      assert.deepEqual([verified.payload.sub, verified.token], ["user-1", token]);
      const error = await refusal(authenticate(bound(token, proof)), "dpop_proof_replayed");
      assert.match(error.wwwAuthenticate, /^DPoP realm="edgeward", error="invalid_dpop_proof"/);
      assert.equal((await authenticate(bound(token, await prove()))).payload.sub, "user-1");
      const other = await generateKeyPair(alg);
      await refusal(authenticate(bound(token, await prove({ key: other.privateKey }))), "dpop_proof_invalid");
    });
  }

  it("refuses a bound token without its proof, whatever dpop is", async () => {
    const { token, prove } = await newClient("ES256");
    const { dpop: _, origins: __, ...off } = options;
    for (const settings of [off, { ...off, dpop: "off" }, options, { ...options, dpop: "required" }]) {
      const { authenticate, verify, verifySync } = createVerifier(settings);
      await refusal(authenticate(request(`Bearer ${token}`)), "token_sender_constrained");
      await refusal(authenticate(request(`Bearer ${token}`, await prove())), "token_sender_constrained");
      await refusal(verify(token), "token_sender_constrained");
      assert.throws(() => verifySync(token), { code: "token_sender_constrained" });
      const isOff = (settings.dpop ?? "off") === "off";
      await refusal(authenticate(bound(token)), isOff ? "token_missing" : "dpop_proof_missing");
      if (isOff) await refusal(authenticate(bound(token, await prove())), "token_missing");
      else await authenticate(bound(token, await prove()));
      // That it has passed with a proof is no reason to pass without.
      await refusal(verify(token), "token_sender_constrained");
      assert.throws(() => verifySync(token), { code: "token_sender_constrained" });
    }
    for (const cnf of [{ "x5t#S256": "A".repeat(43) }, { jwk: {} }, {}, null]) {
      const client = await newClient("ES256", cnf);
      const error = await createVerifier(options).authenticate(bound(client.token, await client.prove())).catch((error) => error);
      assert.equal(error.status, 401, JSON.stringify(cnf));
    }
  });

  it("refuses proofs for anything else, with the reason", async () => {
    const { authenticate } = createVerifier(options);
    const { token, prove, privateJwk } = await newClient("ES256");
    const now = Math.floor(Date.now() / 1000);
    const cases = [
      [await prove({ htm: "POST" }), /htm/], [await prove({ htu: `${ORIGIN}/other` }), /htu/], [await prove({ htu: "https://evil.example/items" }), /htu/],
      [await prove({ ath: "AAAA" }), /ath/], [await prove({ ath: undefined }), /ath/], [await prove({ jti: undefined }), /not one proof/],
      [await prove({ jti: "x".repeat(257) }), /not one proof/], [await prove({ iat: now - 400 }), /too old/], [await prove({ iat: now + 120 }), /future/],
      [await prove({ header: { typ: "JWT" } }), /not one proof/], [await prove({ header: { jwk: privateJwk } }), /jwk/],
      [`${await prove()}, ${await prove()}`, /not one proof/], ["nonsense", /not one proof/], [await prove({ x: "x".repeat(4096) }), /not one proof/],
      [await new SignJWT({ jti: "1" }).setProtectedHeader({ alg: "HS256", typ: "dpop+jwt", jwk: { kty: "oct", k: "AAAA" } }).sign(new Uint8Array(32)), /algorithm/],
    ];
    for (const [proof, reason] of cases) {
      const error = await refusal(authenticate(bound(token, proof)), "dpop_proof_invalid");
      assert.match(error.message, reason);
      assert.equal(error.headers["www-authenticate"].match(/(?:Bearer|DPoP) realm/g).join(), "DPoP realm,Bearer realm");
    }
  });

  it("accepts bearer tokens beside bound ones, or none", async () => {
    const { token, prove } = await newClient("ES256");
    const plain = await tokenWith({});
    const [allowed, required] = [createVerifier(options), createVerifier({ ...options, dpop: "required" })];
    assert.equal((await allowed.authenticate(request(`Bearer ${plain}`))).payload.sub, "user-1");
    await refusal(allowed.authenticate(request(`Bearer ${plain}`, await prove())), "token_not_bound");
    await refusal(required.authenticate(request(`Bearer ${plain}`)), "token_not_bound");
    for (const verifier of [allowed, required]) {
      await refusal(verifier.authenticate(bound(plain, await prove())), "token_not_bound");
      await refusal(verifier.authenticate(request(`Bearer ${plain}, DPoP ${token}`)), "invalid_request", 400);
      await refusal(verifier.authenticate(request("DPoP", await prove())), "invalid_request", 400);
      await refusal(verifier.authenticate(bound(token, await prove(), { url: `${URL_OF_ITEMS}?access_token=x` })), "invalid_request", 400);
    }
    const missing = await refusal(required.authenticate(request()), "token_missing");
    assert.equal(missing.wwwAuthenticate, 'DPoP realm="edgeward", algs="ES256 EdDSA Ed25519 PS256 RS256"');
    const both = await refusal(allowed.authenticate(request()), "token_missing");
    assert.equal(both.wwwAuthenticate, 'Bearer realm="edgeward", DPoP realm="edgeward", algs="ES256 EdDSA Ed25519 PS256 RS256"');
    await refusal(allowed.authenticate(bound(token, await prove()), { scopes: "admin" }), "insufficient_scope", 403);
  });

  it("knows its origins, whatever Host says", async () => {
    const { authenticate } = createVerifier({ ...options, origins: [ORIGIN, "https://www.example.com:8443"] });
    const { token, prove } = await newClient("ES256");
    const node = (dpop, more) => ({ method: "GET", url: "/items?q=1", headers: { authorization: `DPoP ${token}`, dpop, host: "evil.example" }, ...more });
    await authenticate(node(await prove()));
    await authenticate(node(await prove({ htu: "https://www.example.com:8443/items" })));
    await refusal(authenticate(node(await prove({ htu: "https://evil.example/items" }))), "dpop_proof_invalid");
    await refusal(authenticate(node(await prove(), { method: undefined })), "dpop_proof_invalid");
    await refusal(authenticate(node(await prove(), { url: undefined })), "dpop_proof_invalid");
    const distinct = { authorization: [`DPoP ${token}`], dpop: [await prove(), await prove()] };
    await refusal(authenticate(node(undefined, { headersDistinct: distinct })), "dpop_proof_invalid");
  });
});

describe("a store of used proofs", () => {
  it("is asked once for each accepted proof", async () => {
    const asked = [];
    const replayStore = { use: async (id, expiresAt) => asked.push({ id, expiresAt }) < 3 };
    const { authenticate } = createVerifier({ ...options, replayStore });
    const { token, prove } = await newClient("ES256");
    await authenticate(bound(token, await prove({ jti: "one" })));
    await authenticate(bound(token, await prove({ jti: "two" })));
    await refusal(authenticate(bound(token, await prove({ jti: "one" }))), "dpop_proof_replayed");
    await refusal(authenticate(bound(token, await prove({ jti: "four", htm: "PUT" }))), "dpop_proof_invalid");
    assert.equal(asked.length, 3);
    assert.deepEqual([asked[0].id === asked[2].id, asked[0].id === asked[1].id], [true, false]);
    assert.match(asked[0].id, /^[\w-]{43}$/);
    const now = Date.now() / 1000;
    assert.ok(asked[0].expiresAt > now + 290 && asked[0].expiresAt < now + 310);
  });

  it("that fails, or does not say yes, lets nothing pass", async () => {
    const { token, prove } = await newClient("ES256");
    const failing = createVerifier({ ...options, replayStore: { use: () => Promise.reject(new Error("down")) } });
    const error = await refusal(failing.authenticate(bound(token, await prove())), "replay_check_unavailable", 503);
    assert.deepEqual([error.retryAfter, error.cause.message, error.wwwAuthenticate], [1, "down", undefined]);
    for (const answer of [undefined, null, 1, "OK", false]) {
      const { authenticate } = createVerifier({ ...options, replayStore: { use: () => answer } });
      await refusal(authenticate(bound(token, await prove())), "dpop_proof_replayed");
    }
  });

  it("in memory admits one of many at once, and forgets what is too old", async () => {
    let seconds = Math.floor(Date.now() / 1000);
    const { authenticate } = createVerifier({ ...options, now: () => seconds });
    const { token, prove } = await newClient("ES256");
    const proof = await prove({ iat: seconds });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => authenticate(bound(token, proof))));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    seconds += 200;
    await refusal(authenticate(bound(token, proof)), "dpop_proof_replayed");
  });
});

describe("a request object", () => {
  const node = (token, dpop) => ({ method: "GET", url: "/items", headers: { authorization: `DPoP ${token}`, dpop } });

  it("may be checked again by the same verifier, which asks its store once", async () => {
    const asked = [];
    const verifier = createVerifier({ ...options, replayStore: { use: (id) => asked.push(id) === asked.length && !asked.slice(0, -1).includes(id) } });
    const { token, prove } = await newClient("ES256");
    const checks = [guard({ verifier }), guard({ verifier, claims: { sub: "user-1" } }), guard({ verifier, required: false }), verifier.authenticate];
    for (const one of [bound(token, await prove()), node(token, await prove())]) {
      for (const check of [...checks, ...checks]) assert.equal((await check(one)).payload.sub, "user-1");
      await refusal(guard({ verifier, scopes: "admin" })(one), "insufficient_scope", 403);
      assert.equal((await verifier.authenticate(one)).payload.sub, "user-1");
    }
    assert.equal(asked.length, 2);
    // The requirements of the first guard refuse before the proof is used.
    const late = bound(token, await prove());
    await refusal(guard({ verifier, scopes: "admin" })(late), "insufficient_scope", 403);
    await checks[0](late);
    await checks[0](late);
    assert.equal(asked.length, 3);
  });

  it("and no other has its proof: no copy, no object with the same headers, no second request", async () => {
    const { authenticate } = createVerifier(options);
    const { token, prove } = await newClient("ES256");
    const proof = await prove();
    const first = bound(token, proof);
    await authenticate(first);
    for (const other of [first.clone(), new Request(first), new Request(first.url, { headers: first.headers }), bound(token, proof), node(token, proof)]) {
      await refusal(authenticate(other), "dpop_proof_replayed");
      await refusal(authenticate(other), "dpop_proof_replayed");
    }
    const object = node(token, await prove());
    await authenticate(object);
    for (const other of [{ ...object }, Object.create(object), structuredClone(object), { ...object, headers: { ...object.headers } }]) {
      await refusal(authenticate(other), "dpop_proof_replayed");
    }
    await authenticate(object);
    await authenticate(first);
  });

  it("that was changed is checked anew", async () => {
    const { authenticate } = createVerifier(options);
    const { token, prove } = await newClient("ES256");
    const [one, two, spent] = await Promise.all([prove({ jti: "one" }), prove({ jti: "two" }), prove({ jti: "spent" })]);
    await authenticate(node(token, spent));
    const object = node(token, one);
    await authenticate(object);
    object.headers.dpop = spent;
    await refusal(authenticate(object), "dpop_proof_replayed");
    // Another proof with the same id is not the one that was accepted.
    object.headers.dpop = await prove({ jti: "one", iat: Math.floor(Date.now() / 1000) - 1 });
    await refusal(authenticate(object), "dpop_proof_replayed");
    object.headers.dpop = two;
    await authenticate(object);
    await authenticate(object);
    object.headers.dpop = one;
    await refusal(authenticate(object), "dpop_proof_replayed");
    object.headers.dpop = two;
    for (const [name, value] of [["method", "POST"], ["url", "/other"]]) await refusal(authenticate({ ...object, [name]: value }), "dpop_proof_invalid");
    object.method = "POST";
    await refusal(authenticate(object), "dpop_proof_invalid");
    object.method = "GET";
    object.headers.authorization = `Bearer ${token}`;
    await refusal(authenticate(object), "token_sender_constrained");
    const other = await newClient("ES256");
    object.headers.authorization = `DPoP ${other.token}`;
    await refusal(authenticate(object), "dpop_proof_invalid");
    object.headers.authorization = `DPoP ${token}`;
    await authenticate(object);
  });

  it("that a framework uses again, with other headers, is another request, even before the first one has its answer", async () => {
    const { token, prove } = await newClient("ES256");
    const proof = await prove();
    const object = node(token, proof);
    const { authenticate } = createVerifier(options);
    const first = authenticate(object);
    object.headers = { ...object.headers };
    await first;
    await refusal(authenticate(object), "dpop_proof_replayed");
    let answer;
    const slow = createVerifier({ ...options, replayStore: { use: () => new Promise((resolve) => (answer = resolve)) } });
    const pending = slow.authenticate(object);
    while (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    object.headers = { ...object.headers };
    answer(true);
    await pending;
    answer = undefined;
    const second = slow.authenticate(object);
    while (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    answer(false);
    await refusal(second, "dpop_proof_replayed");
  });

  it("is new to every verifier, and after a store that failed", async () => {
    const { token, prove } = await newClient("ES256");
    const used = new Set();
    const replayStore = { use: (id) => !used.has(id) && Boolean(used.add(id)) };
    const [one, two] = [createVerifier({ ...options, replayStore }), createVerifier({ ...options, replayStore })];
    const object = bound(token, await prove());
    await one.authenticate(object);
    await refusal(two.authenticate(object), "dpop_proof_replayed");
    await one.authenticate(object);
    const answers = [() => Promise.reject(new Error("down")), () => false, () => true];
    const failing = createVerifier({ ...options, replayStore: { use: () => answers.shift()() } });
    const late = bound(token, await prove());
    await refusal(failing.authenticate(late), "replay_check_unavailable", 503);
    await refusal(failing.authenticate(late), "dpop_proof_replayed");
    await failing.authenticate(late);
    await failing.authenticate(late);
  });

  it("is too old as soon as its proof is", async () => {
    let seconds = Math.floor(Date.now() / 1000);
    const { authenticate } = createVerifier({ ...options, clockSkew: 60, now: () => seconds });
    const { token, prove } = await newClient("ES256");
    const object = bound(token, await prove({ iat: seconds }));
    await authenticate(object);
    seconds += 290;
    await authenticate(object);
    seconds += 20;
    assert.match((await refusal(authenticate(object), "dpop_proof_invalid")).message, /too old/);
  });
});

describe("guards", () => {
  it("take proofs as authenticate does", async () => {
    const verifier = createVerifier(options);
    const { token, prove } = await newClient("ES256");
    const handler = protect((_, verified) => Response.json(verified.payload.sub), { verifier });
    assert.equal((await handler(bound(token, await prove()))).status, 200);
    const refused = await handler(bound(token));
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("www-authenticate"), /^DPoP realm="edgeward", error="invalid_token".*, Bearer realm="edgeward"$/);
  });

  it("of a route that needs no token refuse a bad proof all the same", async () => {
    const check = guard({ ...options, required: false });
    const { token, prove } = await newClient("ES256");
    assert.equal(await check(request()), undefined);
    assert.equal((await check(bound(token, await prove()))).payload.sub, "user-1");
    await refusal(check(bound(token, await prove({ htm: "PUT" }))), "dpop_proof_invalid");
  });
});
