// What every contender gets: keys, genuine tokens, and tokens that must be refused.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { base64url, makeToken, nowSeconds, publicJwk, signatureOf } from "../tests/node/support/tokens.mjs";

export const ISSUER = "https://tenant.us.auth0.com/";
export const AUDIENCE = "https://api.example.com";
export const SIZES = [2048, 3072, 4096, 8192];

const KEYS = join(import.meta.dirname, "../tests/keys");
const FILES = { 2048: "rsa2048-a", 3072: "rsa3072", 4096: "rsa4096", 8192: "rsa8192" };
const KIDS = { RS256: "rs-1", PS256: "ps-1" };

const now = nowSeconds();
const privateKey = (file) => createPrivateKey(readFileSync(join(KEYS, `${file}.pem`)));
const signers = { RS256: privateKey("rsa2048-a"), PS256: privateKey("rsa2048-b") };

export const jwks = { keys: Object.keys(KIDS).map((alg) => publicJwk(signers[alg], { kid: KIDS[alg], alg, use: "sig" })) };

/** A token such as Auth0 issues for an API. */
function token(alg, i, more) {
  const payload = {
    iss: ISSUER, sub: `auth0|${i.toString(16).padStart(24, "0")}`, aud: [AUDIENCE, `${ISSUER}userinfo`], iat: now - 60,
    exp: now + 86_400, scope: "openid profile email read:items write:items", azp: "Zk3v9QbT5wXy7LmN2pRs8uAe1cFgHjKd",
    permissions: ["read:items", "write:items"], "https://example.com/roles": ["editor"], ...more,
  };
  return makeToken({ header: { alg, typ: "JWT", kid: KIDS[alg] }, payload, key: signers[alg] });
}

/** So many distinct genuine tokens. */
export const tokens = (alg, count) => Array.from({ length: count }, (_, i) => token(alg, i));

/** How many clients share the bound tokens: an isolate remembers 4,096 proofs of each. */
const CLIENTS = 8;

/** A function that returns the headers of so many requests to a URL, each with a proof of its own, for `count` distinct tokens that are bound to a client's key (DPoP). */
export function boundRequests(count) {
  const clients = Array.from({ length: CLIENTS }, () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { crv, kty, x, y } = publicKey.export({ format: "jwk" });
    const jkt = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
    return { key: privateKey, jkt, header: { alg: "ES256", typ: "dpop+jwt", jwk: { kty, crv, x, y } } };
  });
  const bound = Array.from({ length: count }, (_, i) => ({ ...clients[i % CLIENTS], text: token("RS256", i, { cnf: { jkt: clients[i % CLIENTS].jkt } }) }));
  return (htu, amount) =>
    Array.from({ length: amount }, (_, i) => {
      const { key, header, text } = bound[i % count];
      const payload = { jti: randomBytes(16).toString("base64url"), htm: "GET", htu, iat: nowSeconds(), ath: createHash("sha256").update(text).digest("base64url") };
      return { authorization: `DPoP ${text}`, dpop: makeToken({ header, payload, key }) };
    });
}

/** A public key of each size, with one signature of a message as long as a digest. */
export function operations() {
  return SIZES.map((bits) => {
    const key = privateKey(FILES[bits]);
    const { n, e } = createPublicKey(key).export({ format: "jwk" });
    const message = randomBytes(32);
    const signatures = { rs256: signatureOf(message, "RS256", key), ps256: signatureOf(message, "PS256", key) };
    return { bits, n: Buffer.from(n, "base64url"), e: Buffer.from(e, "base64url"), key: createPublicKey(key), message, ...signatures };
  });
}

/** Tokens that cost no RSA, by name. */
export function hostileTokens() {
  const [head, body, signature] = token("RS256", 0).split(".");
  const header = (value) => [base64url(typeof value === "string" ? value : JSON.stringify(value)), body, signature].join(".");
  // As many members as a header of 4 KiB holds, no name twice.
  let crowded = '{"alg":"RS256","kid":"nobody"';
  let members = 2;
  for (; crowded.length < 4_096 - 8; members += 1) crowded += `,"${members.toString(36)}":1`;
  return {
    "no algorithm": makeToken({ header: { alg: "none" }, payload: {}, alg: "none" }),
    "unknown key": header({ alg: "RS256", kid: "nobody" }),
    "header of 16 KiB": `${base64url(randomBytes(12 * 1024)).slice(0, -7)}.e30.AA`,
    "a million dots": ".".repeat(1_000_000),
    [`header of ${members} members`]: header(`${crowded}}`),
    "header 1,000 levels deep": header(`{"alg":"RS256","x":${"[".repeat(1_000)}${"]".repeat(1_000)}}`),
    "signature too short": [head, body, signature.slice(0, 100)].join("."),
  };
}

/** The same, for other processes: octets as base64url. */
export const asJson = (operation) => {
  const text = (octets) => base64url(octets);
  const { bits, n, e, message, rs256, ps256 } = operation;
  return { bits, n: text(n), e: text(e), message: text(message), signature: text(rs256), ps256: text(ps256) };
};

export const common = { issuer: ISSUER, audience: AUDIENCE, now, jwks };
