// The data of the suite: a key set, the policies, and a corpus of tokens with the expected verdicts, for every runtime and the native program.

import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { CompactEncrypt, SignJWT } from "jose";
import { corpus as publishedCorpus } from "../../corpus/index.mjs";
import { base64url, generateKey, makeToken, pkcs1Encoding, publicJwk } from "../node/support/tokens.mjs";

export const ISSUER = "https://tenant.example.com/";
export const OTHER_ISSUER = "https://other.example.com/";
export const AUDIENCE = "https://api.example.com";
export const CLIENT = "client-1";
export const NONCE = "nonce-1";
export const NOW = 1_800_000_000;

export async function makeFixtures() {
  const [first, second, pss, other, weak, stranger] = await Promise.all([
    generateKey("RS256"),
    generateKey("RS256", { modulusLength: 3072 }),
    generateKey("RS256"),
    generateKey("RS256"),
    generateKey("RS256", { modulusLength: 1024 }),
    generateKey("RS256"),
  ]);
  const jwks = {
    keys: [
      publicJwk(first, { kid: "first", use: "sig", alg: "RS256" }),
      publicJwk(second, { kid: "second", use: "sig" }),
      publicJwk(pss, { kid: "pss", use: "sig", alg: "PS256" }),
      publicJwk(weak, { kid: "weak", use: "sig" }),
      publicJwk(stranger, { kid: "encryption", use: "enc" }),
      publicJwk(await generateKey("ES256"), { kid: "elliptic", use: "sig", alg: "ES256" }),
    ],
  };
  const otherJwks = { keys: [publicJwk(other, { kid: "first", use: "sig", alg: "RS256" })] };

  const policies = {
    access: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256", "PS256"], jwks },
    all: { issuer: ISSUER, audience: [AUDIENCE, "https://b.example.com"], algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], jwks },
    rfc9068: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], profile: "rfc9068", jwks },
    auth0: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], profile: "auth0", clientId: CLIENT, jwks },
    strict: {
      issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], clockSkew: 0, maxTokenAge: 300, clients: ["client-1"],
      requiredClaims: ["sub"], jwks,
    },
    rights: {
      issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], scopes: ["read:things"], permissions: ["read"],
      roles: { claim: "https://example.com/roles", any: ["admin", "editor"] }, organizations: ["org_1"], jwks,
    },
    id: { kind: "id", issuer: ISSUER, clientId: CLIENT, nonce: NONCE, algorithms: ["RS256"], jwks },
    audienceless: { issuer: ISSUER, audience: false, clients: [CLIENT], algorithms: ["RS256"], jwks },
    typed: { issuer: ISSUER, audience: AUDIENCE, types: ["application/custom+jwt"], algorithms: ["RS256"], jwks },
    idOfApp: {
      kind: "id", issuer: ISSUER, clientId: CLIENT, clients: ["app-1"], trustedAudiences: ["project-1"], algorithms: ["RS256"], jwks,
    },
    several: {
      issuers: [{ issuer: ISSUER, jwks }, { issuer: OTHER_ISSUER, jwks: otherJwks }], audience: AUDIENCE, algorithms: ["RS256"],
    },
  };

  const header = (changes = {}) => defined({ alg: "RS256", typ: "JWT", kid: "first", ...changes });
  const claims = (changes = {}) =>
    defined({
      iss: ISSUER, sub: "user-1", aud: AUDIENCE, iat: NOW - 60, exp: NOW + 600, azp: CLIENT, scope: "read:things write:things",
      ...changes,
    });
  const token = (head = {}, body = {}, key = first, more = {}) =>
    makeToken({ header: header(head), payload: claims(body), key, ...more });
  const rights = { permissions: ["read", "write"], "https://example.com/roles": ["editor"], org_id: "org_1", email_verified: true };
  const idClaims = (changes = {}) => ({ aud: CLIENT, azp: undefined, scope: undefined, nonce: NONCE, ...changes });
  const good = token();
  const [head, body, signature] = good.split(".");
  const flipped = Buffer.from(signature, "base64url");
  flipped[100] ^= 1;
  const signWithJose = (alg, kid, key) =>
    new SignJWT(claims()).setProtectedHeader(header({ alg, kid })).sign(key);
  const exponentOne = Buffer.from(`${head}.${body}`);

  const corpus = [];
  const add = (policy, expect, cases) => {
    for (const [name, text] of Object.entries(cases)) corpus.push({ name, policy, expect, token: text });
  };

  add("access", "ok", {
    "a genuine token": good,
    "PS256": token({ alg: "PS256", kid: "pss" }, {}, pss),
    "a 3072-bit key": token({ kid: "second" }, {}, second),
    "RFC 9068": token({ typ: "at+jwt" }, { client_id: CLIENT, jti: "t-1" }),
    "the long form of typ": token({ typ: "application/at+jwt" }),
    "no typ": token({ typ: undefined }),
    "an audience of several": token({}, { aud: ["x", AUDIENCE] }),
    "expired within the skew": token({}, { exp: NOW - 4 }),
    "issued ahead within the skew": token({}, { iat: NOW + 5 }),
    "a fractional date": token({}, { exp: NOW + 0.5 }),
    "claims beyond ASCII": token({}, { name: "Zoë 🌍", "https://example.com/über": "ß" }),
    "a member called __proto__": makeToken({ header: header(), payload: `${JSON.stringify(claims()).slice(0, -1)},"__proto__":{"admin":true}}`, key: first }),
    "a nonce beside scopes": token({}, { nonce: "n" }),
    "claims of other types, which no option reads": token({}, { scope: 1, permissions: "read", org_id: null, jti: [] }),
    "RS256 of another library": await signWithJose("RS256", "first", first),
    "PS256 of another library": await signWithJose("PS256", "pss", pss),
  });
  for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]) {
    add("all", "ok", {
      [`${alg}, key for any`]: token({ alg, kid: "second" }, {}, second),
      [`${alg} of another library`]: await signWithJose(alg, "second", second),
    });
  }

  add("access", "token_malformed", {
    "empty": "", "one part": "abc", "two parts": `${head}.${body}`, "four parts": `${good}.x`, "three empty parts": "..",
    "padding": `${head}=.${body}.${signature}`, "a space": ` ${good}`, "a line break": `${good}\n`, "standard base64": `${head}.${body}.${signature.slice(0, -4)}+/A_`,
    "unused bits set": `${head}.${body}.${signature.slice(0, -1)}${signature.endsWith("B") ? "C" : "B"}`,
    "a lone surrogate": `${head}.${body}.${signature.slice(0, -1)}\ud800`,
    "a NUL": `${head}.${body}.${signature}\0`,
    "not JSON": makeToken({ header: "hello", payload: claims(), key: first }),
    "an array for a header": makeToken({ header: "[]", payload: claims(), key: first }),
    "a duplicate in the header": makeToken({ header: '{"alg":"RS256","kid":"first","kid":"first"}', payload: claims(), key: first, alg: "RS256" }),
    "a duplicate in the header, escaped": makeToken({ header: '{"alg":"RS256","kid":"first","\\u006bid":"first"}', payload: claims(), key: first, alg: "RS256" }),
    "a number for alg": token({ alg: 256 }, {}, first, { alg: "RS256" }),
    "a number for kid": token({ kid: 1 }),
    "a kid too long": token({ kid: "k".repeat(257) }),
    "a deep header": makeToken({ header: `{"alg":"RS256","kid":"first","x":${"[".repeat(40)}${"]".repeat(40)}}`, payload: claims(), key: first, alg: "RS256" }),
    "a duplicate claim": makeToken({ header: header(), payload: `${JSON.stringify(claims()).slice(0, -1)},"sub":"root"}`, key: first }),
    "claims that are a list": makeToken({ header: header(), payload: "[]", key: first }),
    "claims that are not UTF-8": makeToken({ header: header(), payload: Buffer.from([0x7b, 0xff, 0x7d]), key: first }),
    "a byte order mark": makeToken({ header: header(), payload: `\ufeff${JSON.stringify(claims())}`, key: first }),
  });
  add("access", "token_encrypted", { "five parts": "a.b.c.d.e" });
  add("access", "token_too_large", { "one past the limit": "x".repeat(16 * 1024 + 1), "a megabyte": "é".repeat(500_000) });
  add("access", "alg_not_allowed", {
    "none": makeToken({ header: header({ alg: "none" }), payload: claims(), alg: "none" }),
    "None": makeToken({ header: header({ alg: "None" }), payload: claims(), alg: "none" }),
    "HS256 with the public key": token({ alg: "HS256" }, {}, Buffer.from(publicJwk(first).n), { alg: "HS256" }),
    "RS384, which the policy leaves out": token({ alg: "RS384" }),
    "lower case": token({ alg: "rs256" }, {}, first, { alg: "RS256" }),
    "ES256": token({ alg: "ES256", kid: "elliptic" }, {}, first, { alg: "RS256" }),
  });
  add("access", "crit_not_supported", { "crit": token({ crit: ["exp"] }), "an empty crit": token({ crit: [] }) });
  add("access", "b64_not_supported", { "b64": token({ b64: true }) });
  add("access", "key_not_found", {
    "an unknown kid": token({ kid: "nobody" }), "another kid by case": token({ kid: "First" }),
    "a weak key": token({ kid: "weak" }, {}, weak), "an encryption key": token({ kid: "encryption" }, {}, stranger),
    "a key in the header": token({ kid: "mine", jwk: publicJwk(stranger) }, {}, stranger),
  });
  add("access", "key_ambiguous", { "no kid, several keys": token({ kid: undefined }) });
  add("access", "key_alg_mismatch", { "PS256 with a key for RS256": token({ alg: "PS256" }) });
  add("access", "signature_invalid", {
    "one bit": `${head}.${body}.${base64url(flipped)}`, "no signature": `${head}.${body}.`, "another key": token({}, {}, stranger),
    "other claims": `${head}.${base64url(JSON.stringify(claims({ sub: "root" })))}.${signature}`,
    "a short signature": `${head}.${body}.${base64url(Buffer.from(signature, "base64url").subarray(1))}`,
    "a long signature": `${head}.${body}.${base64url(Buffer.concat([Buffer.alloc(1), Buffer.from(signature, "base64url")]))}`,
    "zero": `${head}.${body}.${base64url(Buffer.alloc(256))}`, "all ones": `${head}.${body}.${base64url(Buffer.alloc(256, 0xff))}`,
    "the encoding itself": `${head}.${body}.${base64url(pkcs1Encoding(exponentOne, 256))}`,
    "PSS under RS256": token({}, {}, first, { alg: "PS256" }),
  });
  add("access", "typ_not_allowed", { "a logout token": token({ typ: "logout+jwt" }), "DPoP": token({ typ: "dpop+jwt" }) });
  add("access", "token_kind_mismatch", {
    "an ID token's nonce": token({}, { nonce: "n", scope: undefined }), "an ID token's mark": token({}, { token_use: "id" }),
    "an event": token({}, { events: {} }),
  });
  add("access", "token_sender_constrained", { "cnf": token({}, { cnf: { jkt: "x" } }) });
  add("access", "issuer_mismatch", { "no slash": token({}, { iss: ISSUER.slice(0, -1) }), "another": token({}, { iss: OTHER_ISSUER }) });
  add("access", "audience_mismatch", {
    "another": token({}, { aud: "x" }), "a slash": token({}, { aud: `${AUDIENCE}/` }), "an empty list": token({}, { aud: [] }),
  });
  add("access", "token_expired", { "at the skew": token({}, { exp: NOW - 5 }), "zero": token({}, { exp: 0 }) });
  add("access", "token_not_yet_valid", { "past the skew": token({}, { nbf: NOW + 6 }) });
  add("access", "token_issued_in_future", { "past the skew": token({}, { iat: NOW + 6 }) });
  add("access", "claim_missing", {
    "no exp": token({}, { exp: undefined }), "no iss": token({}, { iss: undefined }), "no aud": token({}, { aud: undefined }),
  });
  add("access", "claim_malformed", {
    "exp as text": token({}, { exp: `${NOW + 600}` }), "exp null": token({}, { exp: null }), "exp negative": token({}, { exp: -1 }),
    "iss as a list": token({}, { iss: [ISSUER] }), "aud as an object": token({}, { aud: {} }), "aud of numbers": token({}, { aud: [AUDIENCE, 1] }),
    "nbf true": token({}, { nbf: true }), "sub as a number": token({}, { sub: 1 }),
  });

  add("rfc9068", "ok", { "complete": token({ typ: "at+jwt" }, { client_id: CLIENT, jti: "t-1" }) });
  add("rfc9068", "claim_missing", { "no jti": token({ typ: "at+jwt" }, { client_id: CLIENT }) });
  add("rfc9068", "typ_not_allowed", { "JWT": token({}, { client_id: CLIENT, jti: "t-1" }) });
  add("auth0", "typ_not_allowed", { "at+jwt": token({ typ: "at+jwt" }) });
  add("auth0", "audience_mismatch", { "an ID token without nonce": token({}, { aud: CLIENT }) });
  add("strict", "ok", { "recent, of an accepted client": token() });
  add("strict", "token_too_old", { "old": token({}, { iat: NOW - 300 }) });
  add("strict", "client_not_allowed", { "another client": token({}, { azp: "client-2" }), "no client": token({}, { azp: undefined }) });
  add("strict", "claim_missing", { "no sub": token({}, { sub: undefined }), "no iat": token({}, { iat: undefined }) });
  add("strict", "token_expired", { "without skew": token({}, { exp: NOW }) });
  add("rights", "ok", { "all rights": token({}, rights) });
  add("rights", "ok", {
    "a list of scopes": token({}, { ...rights, scope: ["read:things", "x"] }),
    "scopes in scp": token({}, { ...rights, scope: undefined, scp: ["read:things"] }),
    "roles as an object": token({}, { ...rights, "https://example.com/roles": { editor: {} } }),
  });
  add("rights", "insufficient_scope", {
    "a prefix": token({}, { ...rights, scope: "read" }), "no scope": token({}, { ...rights, scope: undefined }),
    "a list with a number": token({}, { ...rights, scope: ["read:things", 1] }), "scp beside scope": token({}, { ...rights, scope: "x", scp: ["read:things"] }),
  });
  add("rights", "insufficient_permissions", {
    "another": token({}, { ...rights, permissions: ["write"] }), "a text": token({}, { ...rights, permissions: "read" }),
  });
  add("rights", "permissions_claim_missing", { "none": token({}, { ...rights, permissions: undefined }) });
  add("rights", "insufficient_role", { "another": token({}, { ...rights, "https://example.com/roles": ["reader"] }) });
  add("rights", "roles_claim_missing", { "none": token({}, { ...rights, "https://example.com/roles": undefined }) });
  add("rights", "organization_not_allowed", { "another": token({}, { ...rights, org_id: "org_2" }) });
  add("id", "ok", { "an ID token": token({}, idClaims()) });
  add("id", "nonce_mismatch", { "another login": token({}, idClaims({ nonce: "nonce-2" })) });
  add("id", "claim_missing", { "no nonce": token({}, idClaims({ nonce: undefined })), "several audiences without azp": token({}, idClaims({ aud: [CLIENT] .concat(CLIENT) })) });
  add("id", "azp_mismatch", { "another client": token({}, idClaims({ azp: "client-2" })) });
  add("id", "typ_not_allowed", { "an access token": token({ typ: "at+jwt" }, idClaims()) });
  add("id", "audience_mismatch", { "an access token's audience": token(), "one not trusted": token({}, idClaims({ aud: [CLIENT, "x"], azp: CLIENT })) });
  add("audienceless", "ok", { "no audience": token({}, { aud: undefined }), "by client_id": token({}, { aud: undefined, azp: "x", client_id: CLIENT }) });
  add("audienceless", "audience_mismatch", { "the API's audience": good, "an empty list": token({}, { aud: [] }), "the client": token({}, { aud: CLIENT }) });
  add("audienceless", "claim_malformed", { "null": token({}, { aud: null }) });
  add("audienceless", "client_not_allowed", {
    "no client": token({}, { aud: undefined, azp: undefined }), "an empty client": token({}, { aud: undefined, azp: "" }),
    "another client": token({}, { aud: undefined, azp: "client-2" }), "a list": token({}, { aud: undefined, client_id: [CLIENT] }),
  });
  add("typed", "ok", { "the listed type": token({ typ: "custom+jwt" }), "in its long form": token({ typ: "application/CUSTOM+jwt" }), "JWT": good });
  add("typed", "typ_not_allowed", { "another": token({ typ: "custom2+jwt" }), "DPoP": token({ typ: "dpop+jwt" }) });
  add("idOfApp", "ok", {
    "azp is the client": token({}, idClaims({ azp: CLIENT })), "azp is the app": token({}, idClaims({ azp: "app-1" })),
    "a trusted audience": token({}, idClaims({ aud: [CLIENT, "project-1"], azp: CLIENT })),
  });
  add("idOfApp", "azp_mismatch", { "another app": token({}, idClaims({ azp: "app-2" })) });
  add("idOfApp", "audience_mismatch", {
    "one not trusted": token({}, idClaims({ aud: [CLIENT, "project-2"], azp: CLIENT })), "the app alone": token({}, idClaims({ aud: "app-1", azp: "app-1" })),
  });
  add("several", "ok", { "the first issuer": good, "the second issuer": token({}, { iss: OTHER_ISSUER }, other) });
  add("several", "signature_invalid", {
    "the second issuer's name, the first one's key": token({}, { iss: OTHER_ISSUER }), "the reverse": token({}, {}, other),
  });
  add("several", "issuer_mismatch", { "a third": token({}, { iss: "https://third.example.com/" }) });

  // Changes of one character of a genuine token, the same in every run except for the key.
  let state = 1;
  const next = (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % bound;
  };
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
  for (let index = 0; index < 150; index += 1) {
    const at = next(good.length);
    const character = alphabet[next(alphabet.length)];
    const kind = next(3);
    const text = good.slice(0, at) + (kind === 0 ? "" : character) + good.slice(kind === 2 ? at : at + 1);
    if (text !== good) corpus.push({ name: `change ${index}`, policy: "access", token: text });
  }

  const curves = await makeCurves(header, claims, first);
  const encrypted = await makeEncrypted(good, token({}, { exp: NOW - 60 }));

  const accessToken = "an-access-token";
  const atHash = base64url(createHash("sha256").update(accessToken).digest().subarray(0, 16));
  return {
    issuer: ISSUER, otherIssuer: OTHER_ISSUER, audience: AUDIENCE, client: CLIENT, now: NOW, jwks, otherJwks, policies, corpus, curves, encrypted, vectors: curveVectors(), published: publishedCases(),
    good, accessToken,
    missingScope: token({}, { scope: "openid" }),
    withRights: token({}, rights),
    nonAscii: token({}, { name: "Zoë 🌍" }),
    unknownKid: token({ kid: "nobody" }),
    other: token({}, { iss: OTHER_ISSUER }, other),
    idToken: token({}, idClaims({ nonce: "login-7", at_hash: atHash })),
  };
}

/** Tokens of ES256, ES384 and EdDSA, which the platform verifies, with the expected verdicts; one key set of all families. */
async function makeCurves(header, claims, rsa) {
  const algs = ["ES256", "ES384", "EdDSA"];
  const [keys, others] = await Promise.all([1, 2].map(() => Promise.all(algs.map((alg) => generateKey(alg)))));
  const jwk = (index, more) => publicJwk(keys[index], { kid: algs[index], use: "sig", ...more });
  const offCurve = { ...jwk(0, { kid: "off-curve" }), y: base64url(Buffer.alloc(32, 7)) };
  // One kid in every family.
  const mixed = [publicJwk(rsa, { kid: "mixed" }), ...algs.map((_, index) => jwk(index, { kid: "mixed" }))];
  const ambiguous = [jwk(0, { kid: "twice" }), publicJwk(others[0], { kid: "twice" })];
  const jwks = { keys: [publicJwk(rsa, { kid: "first" }), ...algs.map((_, index) => jwk(index)), ...mixed, ...ambiguous, offCurve] };
  const cases = [];
  const add = (name, expect, token) => cases.push({ name, expect, token });
  const der = (signature) => {
    const half = signature.length / 2;
    const integers = [signature.subarray(0, half), signature.subarray(half)].map((part) => Buffer.concat([Buffer.from([2, half + 1, 0]), part]));
    return Buffer.concat([Buffer.from([0x30, 2 * half + 6]), ...integers]);
  };
  for (const [index, alg] of algs.entries()) {
    const key = keys[index];
    const make = (head = {}, body = {}, more = {}) => makeToken({ header: header({ alg, kid: alg, ...head }), payload: claims(body), key, alg, ...more });
    const [head, body, text] = make().split(".");
    const signature = Buffer.from(text, "base64url");
    const signed = (bytes) => `${head}.${body}.${base64url(bytes)}`;
    const flipped = Buffer.from(signature);
    flipped[1] ^= 1;
    const jose = await new SignJWT(claims()).setProtectedHeader(header({ alg, kid: alg })).sign(key);
    add(`${alg}`, "ok", make());
    add(`${alg} of another library`, "ok", jose);
    add(`${alg}, one kid in every family`, "ok", make({ kid: "mixed" }));
    add(`${alg}, expired`, "token_expired", make({}, { exp: NOW - 100 }));
    add(`${alg}, other claims`, "signature_invalid", `${head}.${base64url(JSON.stringify(claims({ sub: "root" })))}.${text}`);
    add(`${alg}, one bit`, "signature_invalid", signed(flipped));
    add(`${alg}, another key`, "signature_invalid", make({}, {}, { key: others[index] }));
    add(`${alg}, the halves exchanged`, "signature_invalid", signed(Buffer.concat([signature.subarray(signature.length / 2), signature.subarray(0, signature.length / 2)])));
    for (const [name, bytes] of [
      ["no signature", Buffer.alloc(0)], ["zeros", Buffer.alloc(signature.length)], ["ones", Buffer.alloc(signature.length, 0xff)],
      ["one byte less", signature.subarray(1)], ["one byte more", Buffer.concat([Buffer.alloc(1), signature])], ["DER", der(signature)],
    ]) add(`${alg}, ${name}`, "signature_invalid", signed(bytes));
    add(`${alg}, an RSA key`, "key_alg_mismatch", make({ kid: "first" }));
    for (const other of algs) if (other !== alg) add(`${alg}, a key of ${other}`, "key_alg_mismatch", make({ kid: other }));
    add(`${alg}, no kid`, "key_ambiguous", make({ kid: undefined }));
  }
  add("RS256 beside the curves", "ok", makeToken({ header: header(), payload: claims(), key: rsa }));
  add("RS256, one kid in every family", "ok", makeToken({ header: header({ kid: "mixed" }), payload: claims(), key: rsa }));
  add("Ed25519, the name of RFC 9864", "ok", makeToken({ header: header({ alg: "Ed25519", kid: "EdDSA" }), payload: claims(), key: keys[2], alg: "EdDSA" }));
  add("two keys of one kid", "key_ambiguous", makeToken({ header: header({ alg: "ES256", kid: "twice" }), payload: claims(), key: keys[0] }));
  add("a key that is not on its curve", "key_not_found", makeToken({ header: header({ alg: "ES256", kid: "off-curve" }), payload: claims(), key: keys[0] }));
  add("ES512", "alg_not_allowed", makeToken({ header: header({ alg: "ES512", kid: "ES256" }), payload: claims(), key: keys[0], alg: "ES256" }));
  return { algorithms: ["RS256", ...algs], jwks, cases };
}

/** Encrypted tokens with the expected verdicts, and the keys that decrypt them. */
async function makeEncrypted(inner, expired) {
  const [pem, jwk, sha1, stranger] = Array.from({ length: 4 }, () => generateKeyPairSync("rsa", { modulusLength: 2048 }));
  const keys = [
    { key: pem.privateKey.export({ type: "pkcs8", format: "pem" }), kid: "pem" },
    { key: { ...jwk.privateKey.export({ format: "jwk" }), kid: "jwk", use: "enc" } },
    { key: sha1.privateKey.export({ type: "pkcs8", format: "pem" }), kid: "sha1", alg: "RSA-OAEP" },
  ];
  const seal = (text, { pair = pem, ...header } = {}) =>
    new CompactEncrypt(Buffer.from(text)).setProtectedHeader(defined({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT", kid: "pem", ...header })).encrypt(pair.publicKey);
  const good = await seal(inner);
  const forged = inner.replace(/[^.](?=[^.]*$)/, (character) => (character === "A" ? "B" : "A"));
  const cases = [];
  const add = async (name, expect, token) => cases.push({ name, expect, token: await token });
  for (const alg of ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"]) {
    for (const enc of ["A128GCM", "A256GCM"]) await add(`${alg} with ${enc}`, "ok", seal(inner, { alg, enc }));
  }
  await add("a key from a JWK", "ok", seal(inner, { kid: "jwk", pair: jwk }));
  await add("SHA-1, with the key for it", "ok", seal(inner, { kid: "sha1", pair: sha1, alg: "RSA-OAEP" }));
  await add("SHA-1, with another key", "decryption_failed", seal(inner, { alg: "RSA-OAEP" }));
  await add("another content encryption", "decryption_failed", seal(inner, { enc: "A256CBC-HS512" }));
  await add("an unknown kid", "decryption_failed", seal(inner, { kid: "other" }));
  await add("no kid, of several keys", "decryption_failed", seal(inner, { kid: undefined }));
  await add("no cty", "decryption_failed", seal(inner, { cty: undefined }));
  await add("another recipient", "decryption_failed", seal(inner, { pair: stranger }));
  await add("a tag with a bit changed", "decryption_failed", good.replace(/.{2}$/, (end) => (end === "AA" ? "BA" : "AA")));
  await add("a header with another kid", "decryption_failed", [base64url(JSON.stringify({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT", kid: "jwk" })), ...good.split(".").slice(1)].join("."));
  await add("content that is no token", "token_malformed", seal("{}"));
  await add("a token twice encrypted", "token_encrypted", seal(good));
  await add("a forged token inside", "signature_invalid", seal(forged));
  await add("an expired token inside", "token_expired", seal(expired));
  await add("a token that is not encrypted", "ok", inner);
  return { keys, good, cases };
}

/** The example of RFC 7515 A.3. */
const RFC_7515_A_3 = {
  id: "RFC 7515 A.3",
  keys: [{ kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }],
  token: "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
  isGenuine: true,
};

/** What the published vectors call valid although no algorithm of this package can make it so, with the reasons. */
const NOT_OFFERED = new Map([
  ["wycheproof-jws 347", "ES521, an algorithm that does not exist"],
  ["wycheproof-jws 351", "ES521, an algorithm that does not exist"],
  ["wycheproof-crypto 67", "a JWE"],
]);

/** The published vectors with a key on a curve: tokens, their keys, and whether the signature is genuine. */
function curveVectors() {
  const vectors = [RFC_7515_A_3];
  for (const file of ["wycheproof-jws", "wycheproof-jwk", "wycheproof-crypto", "rfc7520"]) {
    const [head, ...lines] = readFileSync(new URL(`../vectors/data/${file}.jsonl`, import.meta.url), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    let shared = {};
    let cases = 0;
    for (const line of lines) {
      if (line.id === undefined) {
        shared = line;
        continue;
      }
      cases += 1;
      const { id, keys, token, tokens = [token], verdict } = { ...shared, ...line };
      if (!keys?.some((key) => key.kty === "EC" || key.kty === "OKP")) continue;
      const name = `${file} ${id}`;
      // Of the examples, the one token of Ed25519 in compact form is genuine.
      const isGenuine = file === "rfc7520" ? (text) => id === "curve25519/jws.json" && text === tokens[0] : () => verdict === "valid" && !NOT_OFFERED.has(name);
      for (const text of tokens) vectors.push({ id: name, keys, token: text, isGenuine: isGenuine(text) });
    }
    if (cases !== head.cases) throw new Error(`${file} has ${cases} cases instead of ${head.cases}`);
  }
  return vectors;
}

/** The corpus of `corpus/`, with what the suite needs of it. */
function publishedCases() {
  const { now, keys, policies, cases } = publishedCorpus();
  return { now, keys, policies, cases: cases.map(({ id, code = "ok", policy, keys, token, platform }) => ({ id, code, policy, keys, token, platform })) };
}

const defined = (object) => JSON.parse(JSON.stringify(object));
