// No error that the package makes of a token shows a piece of it: neither of its text nor of what is encoded in it.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import { inspect } from "node:util";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { currentCore } from "../../pkg/src/core.js";
import { createVerifier, decodeUnverified, guard, initSync } from "../../pkg/src/entry/slim.js";
import { EdgewardError } from "../../pkg/src/error.js";
import { createIssuer } from "../../pkg/src/testing.js";

initSync(readFileSync(new URL("../../pkg/wasm/edgeward_bg.wasm", import.meta.url)));

/** The shortest piece that is looked for, in characters. Parsers quote ten around the fault. */
const PIECE = 6;
const MARK = "Zq7kVx";

let issuer;
let verifier;
let idTokens;

before(async () => {
  issuer = await createIssuer({ algorithms: ["RS256", "ES256"] });
  verifier = createVerifier(issuer.verifierOptions({ audience: "api" }));
  idTokens = createVerifier(issuer.verifierOptions({ kind: "id", clientId: "client" }));
  await Promise.all([verifier.load(), idTokens.load()]);
});

const encode = (text) => Buffer.from(text).toString("base64url");

/** All that a log or a response could show of an error, and of its causes. */
function shown(error) {
  const all = [];
  for (let one = error; one !== undefined; one = one.cause) {
    all.push(inspect(one, { showHidden: true, depth: 9, maxStringLength: null }), JSON.stringify(one), String(one), one.message, one.stack, one.body, JSON.stringify(one.headers));
  }
  return all.join("\n");
}

/** Pieces of a text. Those that this project's own texts have prove nothing. */
const pieces = (text) => Array.from({ length: Math.max(0, text.length - PIECE + 1) }, (_, index) => text.slice(index, index + PIECE));

/** Throws if the error shows a piece of one of the texts, or a mark. */
function assertSilent(error, texts, name) {
  assert.ok(error instanceof EdgewardError, `${name}: ${inspect(error)}`);
  const all = shown(error);
  assert.ok(!all.includes(MARK), `${name}: ${all}`);
  for (const text of texts) for (const piece of pieces(text)) assert.ok(!all.includes(piece), `${name}: ${piece} in ${all}`);
}

const errorOf = async (call) => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return assert.fail("it has passed");
};

describe("decodeUnverified", () => {
  const object = encode("{}");
  const cases = {
    "no token": ["hunter2-and-more"],
    "two parts": ["hunter2.and-more"],
    "four parts": ["hunter2.and-more.quokka.wombat"],
    "no base64url": ["hunter2!.and-more.quokka"],
    "an impossible length": [`${"hunter2ab"}.${object}.x`],
    "no UTF-8": [`${object}.${Buffer.concat([Buffer.from("hunter2 quokka "), Buffer.from([0xff])]).toString("base64url")}.x`, "hunter2 quokka "],
    ...Object.fromEntries(
      ["hunter2 quokka", '{"sub":"quokka wombat",}', '{"sub":"quokka', '{"quokka', '{"a":quokka}', '"quokka wombat"', "[\"quokka wombat\"]", "tru", "1e", "12345678", '{"a":"\u0001quokka"}', '{"a":"\\quokka"}'].flatMap((text) => [
        [`header ${text}`, [`${encode(text)}.${object}.x`, text]],
        [`payload ${text}`, [`${object}.${encode(text)}.x`, text]],
      ]),
    ),
  };
  for (const [name, texts] of Object.entries(cases)) {
    it(`does not quote: ${JSON.stringify(name)}`, async () => {
      const error = await errorOf(async () => decodeUnverified(texts[0]));
      assert.equal(error.code, "token_malformed");
      assert.match(error.cause.message, /^the (text is not three parts separated by dots|(header|payload) is not (base64url|UTF-8|JSON|an object))$/);
      assertSilent(error, texts.flatMap((text) => text.split(".")), name);
    });
  }

  it("refuses what is no text without looking at it", async () => {
    for (const value of [undefined, null, 5, {}, { split: () => ["e30", "e30", "x"] }, [`${object}.${object}.x`]]) {
      assert.equal((await errorOf(async () => decodeUnverified(value))).code, "token_malformed");
    }
  });
});

describe("a refused token", () => {
  const evil = `${MARK}"\r\nX: 1, é`;
  const members = {
    typ: { header: { typ: evil } }, kid: { header: { kid: evil } }, alg: { header: { alg: evil } }, crit: { header: { crit: [evil] } }, b64: { header: { b64: evil } }, header: { header: { [MARK]: 1, alg: 1 } },
    iss: { claims: { iss: evil } }, aud: { claims: { aud: [evil] } }, sub: { claims: { sub: [evil] } }, exp: { claims: { exp: evil } }, nbf: { claims: { nbf: evil } }, iat: { claims: { iat: evil } },
    scope: { claims: { scope: { [evil]: 1 } } }, cnf: { claims: { cnf: { jkt: evil } } }, use: { claims: { token_use: evil, nonce: evil } }, nonce: { kind: "id", claims: { aud: "client", nonce: evil } },
    azp: { kind: "id", claims: { aud: ["client", evil], azp: evil } }, hash: { kind: "id", claims: { aud: "client", nonce: "n", at_hash: evil } }, client: { claims: { client_id: evil, azp: evil } },
    org: { claims: { org_id: evil, org_name: evil } }, roles: { claims: { roles: [evil] } }, permissions: { claims: { permissions: [evil] } }, elliptic: { algorithm: "ES256", claims: { aud: evil } },
  };
  for (const [name, member] of Object.entries(members)) {
    it(`does not show ${name}`, async () => {
      const token = await issuer.mint({ ...member, claims: { aud: "api", ...member.claims } });
      const requirements = { scopes: ["admin"], permissions: ["p"], organizations: ["o"], roles: { claim: "roles", any: ["r"] }, claims: { client_id: "c" } };
      const [header, payload, signature] = token.split(".");
      const forms = [token, `${header}.${payload}.${signature.slice(0, -4)}AAAA`, `${header}.${payload}`, ` ${token}`, `Bearer ${token}`, `"${token}"`, `${token}\n`, `${header}.${payload.slice(0, -3)}.${signature}`, `${token}.${token}`];
      const check = guard({ verifier, scopes: ["admin"] });
      for (const text of forms) {
        for (const [kind, call] of Object.entries({
          verify: () => verifier.verify(text, requirements), verifySync: () => verifier.verifySync(text, requirements), id: () => idTokens.verify(text, { nonce: "other", accessToken: "a" }),
          authenticate: () => verifier.authenticate({ headers: { authorization: text } }), guard: () => check({ headers: { authorization: `Bearer ${text}, x` } }), decode: () => decodeUnverified(`${text}.x`),
          query: () => check({ headers: {}, url: `/?access_token=${text}` }),
        })) {
          let error;
          try {
            await call();
            continue;
          } catch (thrown) {
            error = thrown;
          }
          assertSilent(error, [payload, signature], `${name}: ${kind}`);
        }
      }
    });
  }

  it("does not show the proof", async () => {
    const bound = createVerifier(issuer.verifierOptions({ audience: "api", dpop: "required", origins: "https://api.example.com" }));
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const jwk = await exportJWK(publicKey);
    const token = await issuer.mint({ claims: { aud: "api", cnf: { jkt: await calculateJwkThumbprint(jwk) } } });
    const ath = createHash("sha256").update(token).digest("base64url");
    const prove = (claims, header) =>
      new SignJWT({ jti: randomUUID(), htm: "GET", htu: "https://api.example.com/", ath, iat: issuer.now(), ...claims }).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk, ...header }).sign(privateKey);
    const once = await prove({ jti: MARK });
    const authenticate = (dpop) => bound.authenticate({ method: "GET", url: "/", headers: { authorization: `DPoP ${token}`, dpop } });
    await authenticate(once);
    for (const proof of [once, await prove({ htu: MARK }), await prove({ htm: MARK }), await prove({ ath: MARK }), await prove({ iat: MARK }), await prove({}, { typ: MARK }), MARK, `${encode(`{"${MARK}`)}.a.b`]) {
      assertSilent(await errorOf(() => authenticate(proof)), [token.split(".")[1], proof.split(".").at(-1)], proof);
    }
  });
});

it("a core that no longer answers in JSON is not quoted", async () => {
  const core = currentCore();
  core.text = () => `${MARK} is a claim`;
  const error = await errorOf(() => verifier.verify("a.b.c"));
  assert.equal(error.code, "internal_error");
  assertSilent(error, []);
  // It is replaced.
  assert.equal((await errorOf(() => verifier.verify("a.b.c"))).code, "token_malformed");
});
