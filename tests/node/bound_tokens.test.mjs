// Tokens that are bound to their sender, as `oidc-provider` issues them: to a key, with proofs made by `jose` (DPoP), and to a client
// certificate. Two isolates share one Durable Object.

import assert from "node:assert/strict";
import { createHash, randomUUID, X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { authorizer, bearer, many, proxy, read, respond } from "./support/gateway.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

/** The certificate of a client, which signed it itself. */
const CERTIFICATE = new X509Certificate(`-----BEGIN CERTIFICATE-----
MIIBZzCCAQygAwIBAgIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZjbGllbnQw
IBcNMjYxMTI2MTUyODE3WhgPMjEyNjExMDIxNTI4MTdaMBExDzANBgNVBAMMBmNs
aWVudDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABK0HLnpbo1BTysmZ+/y6qJSU
lzdbDD5OkpQ+Ljen4A51NMi/Ht0xE+Gscfpw6oVXHfbL+k17MuI0n7d5DL9nHhuj
UzBRMB0GA1UdDgQWBBQQm9Hsp5QJOjDs6w07PBn1HToyODAfBgNVHSMEGDAWgBQQ
m9Hsp5QJOjDs6w07PBn1HToyODAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMC
A0kAMEYCIQCsBZdnmTeztFMZyc+TbFSDRWGzTVBzM5Tr6GwBg3APBAIhAOMXm9ss
VAIOrLklmCHIIJ8s8YXKiSqt/1Zc8IwFBJ0i
-----END CERTIFICATE-----`);
const FINGERPRINT = CERTIFICATE.fingerprint256.replaceAll(":", "").toLowerCase();

const ALGS = 'algs="ES256 EdDSA Ed25519 PS256 RS256"';
const SITE = "https://api.example.com";
const mTLS = { enabled: true, certificateBoundAccessTokens: true, getCertificate: (ctx) => (ctx.get("x-certificate") ? CERTIFICATE : undefined) };
const [provider, origin] = await Promise.all([startProvider({ oidc: { features: { mTLS } } }), startOrigin()]);
const configure = (changes) => ({
  authorizer: authorizer(provider, { dpop: "allowed", mtls: "allowed", ...changes }),
  paths: [proxy("/api/{*rest}", origin, { headers: { "X-User": "$claims.sub" } }), respond("/open")],
});
const [worker, strict] = await Promise.all([
  startWorker({ config: configure(), sessions: true, isolates: 2 }),
  startWorker({ config: configure({ dpop: "required", dpop_nonce_secret: randomUUID() }) }),
]);
after(() => Promise.all([worker, strict, provider, origin].map((part) => part.stop())));

/** A client with a key of its own. */
async function newClient(alg) {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  const jwk = await exportJWK(publicKey);
  const prove = (claims) => new SignJWT({ jti: randomUUID(), ...claims }).setProtectedHeader({ alg, typ: "dpop+jwt", jwk }).setIssuedAt().sign(privateKey);
  const token = await provider.tokenFor({ requestHeaders: { dpop: await prove({ htm: "POST", htu: provider.tokenEndpoint }) } });
  const ath = createHash("sha256").update(token).digest("base64url");
  return { token, proof: (htu, claims) => prove({ htm: "GET", htu, ath, ...claims }) };
}

/** Sends a request to the site, on one of the isolates. Its URL is `http`, as always on loopback. */
const send = (isolate, headers, target = "/api/items") =>
  worker.request({ port: worker.ports[isolate], target, headers: { host: new URL(SITE).host, ...headers } });
const URL_OF_ITEMS = `${SITE.replace("https:", "http:")}/api/items`;
const dpop = (token, proof) => ({ authorization: `DPoP ${token}`, dpop: proof });

async function assertRefused(answer, status, code, challenges) {
  const { status: got, text, header, json } = await read(answer);
  assert.equal(got, status, text);
  assert.equal(json().code, code, text);
  const challenge = header("www-authenticate");
  for (const one of challenges) assert.ok(challenge.includes(one), challenge);
  return { header };
}

describe("a token bound to a key", () => {
  for (const alg of ["ES256", "EdDSA", "RS256", "PS256"]) {
    test(`passes with proofs of ${alg}, and a proof in another's name does not`, async () => {
      const [client, thief] = await Promise.all([newClient(alg), newClient(alg)]);
      assert.equal(typeof decodeJwt(client.token).cnf.jkt, "string");
      for (const isolate of [0, 1]) {
        const answer = await send(isolate, dpop(client.token, await client.proof(URL_OF_ITEMS)), "/api/items?q=1");
        assert.equal(answer.status, 200, answer.text);
        assert.equal(origin.last.headers["x-user"], decodeJwt(client.token).sub);
        assert.equal("dpop" in origin.last.headers, false);
      }
      const [start, , signature] = (await client.proof(URL_OF_ITEMS)).split(".");
      const altered = `${start}.${Buffer.from(JSON.stringify({ ...decodeJwt(await client.proof(URL_OF_ITEMS)), jti: "other" })).toString("base64url")}.${signature}`;
      const ath = createHash("sha256").update(client.token).digest("base64url");
      for (const proof of [altered, await thief.proof(URL_OF_ITEMS, { ath })]) {
        await assertRefused(send(0, dpop(client.token, proof)), 401, "dpop_proof_invalid", ['DPoP realm="edgeward", error="invalid_dpop_proof"', ALGS]);
      }
    });
  }

  test("is no bearer token, with or without proof, and needs one", async () => {
    const client = await newClient("ES256");
    const invalid = ['Bearer realm="edgeward", error="invalid_token"', `DPoP realm="edgeward", ${ALGS}`];
    await assertRefused(send(0, bearer(client.token)), 401, "token_sender_constrained", invalid);
    const proof = await client.proof(URL_OF_ITEMS);
    await assertRefused(send(0, { ...bearer(client.token), dpop: proof }), 401, "token_sender_constrained", invalid);
    await assertRefused(send(0, { authorization: `DPoP ${client.token}` }), 401, "dpop_proof_missing", ['DPoP realm="edgeward", error="invalid_token"', ALGS]);
    const plain = await provider.tokenFor();
    await assertRefused(send(0, dpop(plain, await client.proof(URL_OF_ITEMS))), 401, "token_not_bound", ['DPoP realm="edgeward", error="invalid_token"']);
    assert.equal((await send(0, bearer(plain))).status, 200);
    // Two headers are no proof.
    const pair = [["host", "api.example.com"], ["authorization", `DPoP ${client.token}`], ["dpop", proof], ["dpop", await client.proof(URL_OF_ITEMS)]];
    await assertRefused(worker.request({ target: "/api/items", headers: pair }), 401, "dpop_proof_invalid", ["invalid_dpop_proof"]);
    // None of these has used the proof.
    assert.equal((await send(0, dpop(client.token, proof))).status, 200);
  });

  test("needs a proof for this request and this time", async () => {
    const client = await newClient("ES256");
    const now = Math.floor(Date.now() / 1000);
    const cases = {
      "the path": [URL_OF_ITEMS.replace("items", "other")], "the host": ["http://other.example.com/api/items"], "the scheme": [`${SITE}/api/items`],
      "the method": [URL_OF_ITEMS, { htm: "POST" }], "the token": [URL_OF_ITEMS, { ath: createHash("sha256").digest("base64url") }],
      "no token": [URL_OF_ITEMS, { ath: undefined }], "no id": [URL_OF_ITEMS, { jti: undefined }],
    };
    for (const [name, [url, claims]] of Object.entries(cases)) {
      const answer = await send(0, dpop(client.token, await client.proof(url, claims)));
      assert.equal(answer.status, 401, name);
      assert.equal(answer.json().code, "dpop_proof_invalid", name);
    }
    const at = async (iat) => {
      const { privateKey, publicKey } = await generateKeyPair("ES256");
      const jwk = await exportJWK(publicKey);
      const sign = (claims) => new SignJWT({ jti: randomUUID(), ...claims }).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk }).sign(privateKey);
      const token = await provider.tokenFor({ requestHeaders: { dpop: await sign({ htm: "POST", htu: provider.tokenEndpoint, iat: now }) } });
      const ath = createHash("sha256").update(token).digest("base64url");
      return (await send(0, dpop(token, await sign({ htm: "GET", htu: URL_OF_ITEMS, ath, iat })))).status;
    };
    assert.deepEqual(await Promise.all([-400, -250, 30, 120].map((seconds) => at(now + seconds))), [401, 200, 200, 401]);
  });

  test("passes once with each proof, on all isolates together", async () => {
    const client = await newClient("ES256");
    const proof = await client.proof(URL_OF_ITEMS);
    assert.equal((await send(0, dpop(client.token, proof))).status, 200);
    for (const isolate of [0, 1, 1]) {
      await assertRefused(send(isolate, dpop(client.token, proof)), 401, "dpop_proof_replayed", ['DPoP realm="edgeward", error="invalid_dpop_proof"']);
    }
    const next = await client.proof(URL_OF_ITEMS);
    const answers = await many(20, (index) => send(index % 2, dpop(client.token, next)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(401)]);
    const fresh = await many(20, async (index) => send(index % 2, dpop(client.token, await client.proof(URL_OF_ITEMS))));
    assert.ok(fresh.every(({ status }) => status === 200), worker.logText);
  });
});

describe("where bound tokens are required, with nonces", () => {
  const url = () => `${strict.url}/api/items`;

  test("a client gets a nonce, and the next with each answer", async () => {
    const client = await newClient("ES256");
    await assertRefused(strict.fetch("/api/items"), 401, "token_missing", [`DPoP realm="edgeward", ${ALGS}`]);
    await assertRefused(strict.fetch("/api/items", { headers: bearer(await provider.tokenFor()) }), 401, "token_not_bound", ['DPoP realm="edgeward", error="invalid_token"']);
    const asked = await assertRefused(strict.fetch("/api/items", { headers: dpop(client.token, await client.proof(url())) }), 401, "dpop_nonce_required", [
      'DPoP realm="edgeward", error="use_dpop_nonce"', ALGS,
    ]);
    let nonce = asked.header("dpop-nonce");
    assert.match(nonce, /^[\w-]{24}$/);
    for (let round = 0; round < 3; round += 1) {
      const answer = await strict.fetch("/api/items", { headers: dpop(client.token, await client.proof(url(), { nonce })) });
      assert.equal(answer.status, 200, await answer.text());
      nonce = answer.headers.get("dpop-nonce");
    }
    await assertRefused(
      strict.fetch("/api/items", { headers: dpop(client.token, await client.proof(url(), { nonce: `${nonce}x` })) }), 401, "dpop_nonce_required", ["use_dpop_nonce"],
    );
    assert.equal((await strict.fetch("/open")).status, 200);
  });
});

describe("a token bound to a certificate", () => {
  let token;
  before(async () => {
    provider.setClient("edgeward-mtls", { grant_types: ["client_credentials"], redirect_uris: [], response_types: [], tls_client_certificate_bound_access_tokens: true });
    token = await provider.tokenFor({ clientId: "edgeward-mtls", requestHeaders: { "x-certificate": "1" } });
    assert.deepEqual(decodeJwt(token).cnf, { "x5t#S256": Buffer.from(FINGERPRINT, "hex").toString("base64url") });
  });

  const PRESENTED = { certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certFingerprintSHA256: FINGERPRINT };
  /** The runtime reads `request.cf` from this header on loopback, as Cloudflare sets it. */
  const withCertificate = (tlsClientAuth, headers = bearer(token)) => send(0, { ...headers, "mf-cf-blob": JSON.stringify(tlsClientAuth ? { tlsClientAuth } : {}) });

  test("passes on a connection with it, and on no other", async () => {
    const answer = await withCertificate(PRESENTED);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(origin.last.headers["x-user"], "edgeward-mtls");
    const challenge = ['Bearer realm="edgeward", error="invalid_token"'];
    await assertRefused(send(0, bearer(token)), 401, "certificate_missing", challenge);
    await assertRefused(withCertificate(undefined), 401, "certificate_missing", challenge);
    const none = { certPresented: "0", certVerified: "NONE", certRevoked: "0", certFingerprintSHA256: "" };
    await assertRefused(withCertificate(none), 401, "certificate_missing", challenge);
    await assertRefused(withCertificate({ ...PRESENTED, certVerified: "FAILED:self signed certificate" }), 401, "certificate_not_verified", challenge);
    await assertRefused(withCertificate({ ...PRESENTED, certRevoked: "1" }), 401, "certificate_not_verified", challenge);
    await assertRefused(withCertificate({ ...PRESENTED, certFingerprintSHA256: "00".repeat(32) }), 401, "certificate_mismatch", challenge);
    // A certificate changes nothing for other tokens, and is none that a client could state in a header.
    assert.equal((await withCertificate(PRESENTED, bearer(await provider.tokenFor()))).status, 200);
    const stated = await send(0, { ...bearer(token), ":client-certificate": `1\n0\nSUCCESS\n${FINGERPRINT}` }).catch(() => undefined);
    assert.notEqual(stated?.status, 200);
  });
});
