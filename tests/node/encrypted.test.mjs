// Encrypted access tokens: the Worker's decryption against published vectors, jose and a real provider.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { CompactEncrypt } from "jose";
import { decrypt } from "../../bindings/worker/src/web_crypto.js";
import { assertProblem, bearer } from "./support/gateway.mjs";
import { loginConfig } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { Browser, SITE } from "./support/browser.mjs";
import { startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const vector = JSON.parse(readFileSync(new URL("../vectors/data/rfc7516.json", import.meta.url), "utf8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const newKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const parts = (token) => {
  const [header, key, iv, content, tag] = token.split(".");
  return { header, key: bytes(key), content: new Uint8Array(Buffer.concat([iv, content, tag].map(bytes))) };
};

describe("the host's decryption", () => {
  const { header, key, content } = parts(vector.token);
  const jwk = JSON.stringify(vector.key);
  const altered = (of, at) => of.map((byte, index) => (index === at ? byte ^ 1 : byte));
  const run = (changes = {}) => {
    const all = { algorithm: "RSA-OAEP", encryption: "A256GCM", jwk, key, content, header, ...changes };
    return decrypt(all.algorithm, all.encryption, all.jwk, all.key, all.content, all.header);
  };

  test("returns the content of the vector", async () => {
    assert.equal(Buffer.from(await run()).toString(), vector.plaintext);
  });

  test("fails in one way, whatever is wrong", async () => {
    const { publicKey } = newKey();
    const foreign = parts(await new CompactEncrypt(Buffer.from("x")).setProtectedHeader({ alg: "RSA-OAEP", enc: "A256GCM" }).encrypt(publicKey));
    for (const [what, changes] of [
      ["a key with a bit changed", { key: altered(key, 7) }],
      ["a key of another recipient", foreign],
      ["the key of another algorithm", { algorithm: "RSA-OAEP-256" }],
      // The key of the content is too long.
      ["another content encryption", { encryption: "A128GCM" }],
      ["another iv", { content: altered(content, 0) }],
      ["content with a bit changed", { content: altered(content, 20) }],
      ["a tag with a bit changed", { content: altered(content, content.length - 1) }],
      ["another header", { header: header.replace("e", "f") }],
      ["no content", { content: content.subarray(0, 12) }],
      ["no key", { key: key.subarray(0, 0) }],
    ]) {
      assert.equal(await run(changes), 0, what);
    }
  });

  test("refuses a key that is none", async () => {
    assert.equal(await run({ jwk: JSON.stringify({ kty: "RSA", d: "AQ" }) }), 2);
  });
});

const [former, current] = [newKey(), newKey()];
const [provider, origin] = await Promise.all([startProvider({ gateways: [SITE] }), startOrigin()]);
const keyOf = ({ privateKey }, kid) => ({ key: privateKey.export({ type: "pkcs8", format: "pem" }), kid });
const worker = await startWorker({
  config: loginConfig(provider, origin, { authorizer: { decryption_keys: [keyOf(current, "current"), keyOf(former, "former")] } }),
});
const without = await startWorker({ config: loginConfig(provider, origin) });
after(() => Promise.all([worker, without, provider, origin].map((part) => part.stop())));

const get = (at, token, path = "/app/x") => at.fetch(path, { headers: bearer(token) });
const seal = (inner, { pair = current, ...header } = {}) =>
  new CompactEncrypt(Buffer.from(inner)).setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT", kid: "current", ...header }).encrypt(pair.publicKey);

test("tokens that jose encrypts are accepted under the key that they name, before and after a rotation", async () => {
  const inner = await provider.tokenFor({ scope: "read:items" });
  for (const alg of ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"]) {
    for (const enc of ["A128GCM", "A256GCM"]) {
      for (const [kid, pair] of [["current", current], ["former", former]]) {
        const answer = await get(worker, await seal(inner, { alg, enc, kid, pair }));
        assert.equal(answer.status, 200, `${alg} ${enc} ${kid}: ${await answer.text()} ${worker.logText}`);
      }
    }
  }
  assert.equal(origin.last.headers["x-user-scope"], "read:items");
  const token = await seal(inner);
  for (let time = 0; time < 3; time += 1) assert.equal((await get(worker, token)).status, 200, "again, from the cache");
});

test("others get one answer, without keys another", async () => {
  const inner = await provider.tokenFor();
  const challenge = ({ code, detail }) => `Bearer realm="edgeward", error="invalid_token", error_description="${detail}"`;
  const answers = [];
  for (const token of [
    await seal(inner, { alg: "RSA-OAEP" }),
    await seal(inner, { enc: "A256CBC-HS512" }),
    await seal(inner, { kid: "unknown" }),
    await seal(inner, { cty: undefined }),
    await seal(inner, { pair: former }),
    (await seal(inner)).replace(/.{2}$/, (end) => (end === "AA" ? "BA" : "AA")),
  ]) {
    const answer = await get(worker, token);
    answers.push(await answer.clone().text());
    await assertProblem(answer, { status: 401, code: "decryption_failed", error: "invalid_token", challenge });
  }
  assert.equal(new Set(answers).size, 1);
  await assertProblem(await get(without, await seal(inner)), { status: 401, code: "token_encrypted", error: "invalid_token", challenge });
  // Anyone can encrypt.
  const forged = inner.replace(/[^.](?=[^.]*$)/, (character) => (character === "A" ? "B" : "A"));
  await assertProblem(await get(worker, await seal(forged)), { status: 401, code: "signature_invalid", error: "invalid_token", challenge });
});

test("a provider that encrypts access tokens: API clients and sessions", async () => {
  provider.encryptAccessTokens({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: "current", key: current.publicKey });
  try {
    const token = await provider.tokenFor({ scope: "read:items" });
    assert.equal(token.split(".").length, 5);
    assert.equal((await get(worker, token)).status, 200, worker.logText);
    // The rights of a session come from the token inside.
    const browser = new Browser(worker);
    const page = await browser.open("/login?return_to=/writers");
    assert.deepEqual([page.status, page.text], [200, "for writers"], worker.logText);
    assert.equal((await get(worker, token, "/token/x")).status, 200);
    assert.equal(origin.last.headers.authorization, `Bearer ${token}`, "forwarded as it came");
  } finally {
    provider.encryptAccessTokens(undefined);
  }
});
