// ES256, ES384 and EdDSA at the Worker, whose signatures Web Crypto verifies: bearer tokens, and the ID tokens of logins and refreshes.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Browser } from "./support/browser.mjs";
import { assertRefused, bearer, read } from "./support/gateway.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { COOKIE, loginConfig, WITH_REFRESH } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { base64url, generateKey, publicJwk } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const HASHES = { ES256: "sha256", ES384: "sha384", EdDSA: "sha512" };
const ALGS = Object.keys(HASHES);

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const REFRESH = { method: ["GET", "POST"], path: "/refresh", integration: { type: "refresh" } };
const configure = (algorithms) => loginConfig(provider, origin, { authorizer: { algorithms, ...WITH_REFRESH }, paths: [REFRESH] });
const worker = await startWorker({ config: configure(["RS256", ...ALGS]) });
after(() => Promise.all([worker, provider, origin].map((part) => part.stop())));

const issuer = provider.tokens;
const call = (token) => worker.fetch("/app/x", { headers: bearer(token) });

before(async () => {
  for (const alg of ALGS) await issuer.addKey({ alg, kid: alg });
  // Published by mistake, or by an attacker: none of them may harm the others.
  const [p256, ed25519, strange] = await Promise.all([generateKey("ES256"), generateKey("EdDSA"), generateKey("ES256")]);
  issuer.published.push(
    publicJwk(p256, { kid: "off-curve", y: base64url(Buffer.alloc(32, 7)) }),
    { kty: "OKP", crv: "Ed25519", kid: "small-order", x: base64url(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])) },
    publicJwk(ed25519, { kid: "wrong-alg", alg: "ES256" }),
    publicJwk(strange, { kid: "ES256-twice" }), publicJwk(p256, { kid: "ES256-twice" }),
    ...ALGS.map((alg) => publicJwk(issuer.keys.get(alg).key, { kid: "shared" })),
  );
  issuer.keys.set("off-curve", { ...issuer.keys.get("ES256"), kid: "off-curve" });
});

describe("a bearer token", () => {
  for (const alg of ALGS) {
    test(`with ${alg} passes, also the second time and under a kid of all families, and altered does not`, async () => {
      const token = issuer.token({ kid: alg });
      for (const text of [token, token, issuer.token({ kid: alg, header: { kid: "shared" } })]) {
        const answer = await read(call(text));
        assert.equal(answer.status, 200, answer.text);
        assert.equal(origin.last.headers["x-user-id"], "user-1");
      }
      const [head, , signature] = token.split(".");
      const bytes = Buffer.from(signature, "base64url");
      const bad = [
        `${head}.${base64url(JSON.stringify(issuer.claims({ sub: "root" })))}.${signature}`,
        issuer.token({ kid: alg, key: await generateKey(alg) }),
        ...[Buffer.alloc(0), Buffer.alloc(bytes.length), Buffer.alloc(bytes.length, 0xff), bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)])]
          .map((signature) => issuer.token({ kid: alg, signature })),
      ];
      for (const text of bad) await assertRefused(call(text), "signature_invalid");
      await assertRefused(call(issuer.token({ kid: alg, claims: { exp: 1 } })), "token_expired", { hint: "Refresh the token or log in again." });
      for (const other of ALGS) {
        if (other !== alg) await assertRefused(call(issuer.token({ kid: alg, header: { kid: other } })), "key_alg_mismatch");
      }
    });
  }

  test("under both names of EdDSA is the same", async () => {
    assert.equal((await call(issuer.token({ kid: "EdDSA", header: { alg: "Ed25519" } }))).status, 200);
  });

  test("of a key that is not on its curve, unusable or ambiguous is refused", async () => {
    await assertRefused(call(issuer.token({ kid: "off-curve" })), "key_not_found");
    await assertRefused(call(issuer.token({ kid: "EdDSA", header: { kid: "small-order" } })), "key_not_found");
    await assertRefused(call(issuer.token({ kid: "EdDSA", header: { kid: "wrong-alg" } })), "key_not_found");
    await assertRefused(call(issuer.token({ kid: "ES256", header: { kid: "ES256-twice" } })), "key_ambiguous");
    await worker.waitForLog(/keys_skipped: "small-order": key is no acceptable point of its curve; "wrong-alg": key is of another type than its alg/);
  });

  test("in many at once on a cold isolate passes, with one fetch of the keys", async () => {
    const tokens = Array.from({ length: 30 }, (_, index) => issuer.token({ kid: ALGS[index % 3] }));
    await worker.restart({ config: configure(["RS256", ...ALGS]) });
    issuer.counts.jwks = 0;
    const answers = await Promise.all(tokens.map((token) => read(call(token))));
    assert.deepEqual(answers.map(({ status }) => status), Array(30).fill(200));
    assert.equal(issuer.counts.jwks, 1);
  });
});

describe("the ID token of a login", () => {
  /** Signs the ID token with this algorithm; `wrong` breaks its `at_hash`. */
  const sign = (alg, { wrong = "", ...more } = {}) => (good, { accessToken }) => {
    const digest = createHash(HASHES[alg]).update(accessToken + wrong).digest();
    const claims = { ...good.claims, at_hash: digest.subarray(0, digest.length / 2).toString("base64url") };
    return issuer.token({ ...good, claims, kid: alg, ...more });
  };

  for (const alg of ALGS) {
    test(`with ${alg} makes a session, and a refreshed one continues it`, async () => {
      provider.reset();
      provider.behave.idToken = sign(alg);
      const browser = new Browser(worker);
      const answer = await browser.open("/login?return_to=/app/x");
      assert.equal(answer.status, 200, `${answer.text}\n${worker.logText}`);
      assert.equal(answer.json().headers["x-user-id"], "mallory");
      const refreshed = await browser.send("/refresh", { method: "POST", headers: { origin: "https://app.example.com", "sec-fetch-site": "same-origin" } });
      assert.ok(refreshed.status < 400, `${refreshed.status} ${refreshed.text}`);
      assert.equal(provider.exchanges.length, 2, "a refresh token was exchanged");
      assert.equal((await browser.send("/app/x")).status, 200);
      provider.behave.idToken = sign(alg, { key: await generateKey(alg) });
      const forged = await browser.send("/refresh", { method: "POST", headers: { origin: "https://app.example.com", "sec-fetch-site": "same-origin" } });
      // Formerly it ended the session, whose refresh token was used.
      assert.equal(forged.status, 502, "of a response with a forged ID token only the refresh token is used");
      assert.equal((await browser.send("/app/x")).json().headers["x-user-id"], "mallory");
    });

    test(`with ${alg}, forged or for another access token, makes none`, async () => {
      for (const [more, code] of [
        [{ key: await generateKey(alg) }, "signature_invalid"], [{ signature: Buffer.alloc(alg === "ES384" ? 96 : 64) }, "signature_invalid"],
        [{ wrong: "x" }, "at_hash_mismatch"],
      ]) {
        provider.reset();
        provider.behave.idToken = sign(alg, more);
        const browser = new Browser(worker);
        const answer = await browser.open("/login?return_to=/app/x");
        assert.equal(answer.status, 400, answer.text);
        assert.ok(!browser.cookies().has(COOKIE));
        await worker.waitForLog(new RegExp(`id_token_invalid: ${code}`));
      }
    });
  }
});

test("without being listed, none is accepted", async () => {
  await worker.restart({ config: configure(["RS256"]) });
  for (const alg of ALGS) await assertRefused(call(issuer.token({ kid: alg })), "alg_not_allowed");
  assert.equal((await call(issuer.token())).status, 200);
});
