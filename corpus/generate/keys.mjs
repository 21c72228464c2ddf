// The throw-away keys, and the key sets as their issuers would publish them: each a text, so that every byte of it is part of the case.

import { base64url, curveKey, edwardsKey, rsaKey, toBytes } from "./sign.mjs";

export const a = rsaKey("rsa2048-a");
export const b = rsaKey("rsa2048-b");
export const c = rsaKey("rsa2048-c");
export const e3 = rsaKey("rsa2048-e3");
export const r3072 = rsaKey("rsa3072");
export const r4096 = rsaKey("rsa4096");
export const r8192 = rsaKey("rsa8192");
export const weak = rsaKey("rsa1024");
export const p256 = curveKey("P-256", "one");
export const p256b = curveKey("P-256", "two");
export const p384 = curveKey("P-384", "one");
export const p384b = curveKey("P-384", "two");
export const ed = edwardsKey("one");
export const edb = edwardsKey("two");

export const jwk = (key, more = {}) => JSON.parse(JSON.stringify({ ...key.jwk, ...more }));
const text = (...keys) => JSON.stringify({ keys });

/** A key that no token uses: with it, every set has one that can be used, whatever becomes of the other. */
const other = jwk(c, { kid: "other", use: "sig", alg: "RS256" });
const wild = (more, key = a) => text(other, jwk(key, { kid: "k", ...more }));
/** The same around a key written by hand. */
const raw = (key) => `{"keys":[${JSON.stringify(other)},${key}]}`;
const n = Buffer.from(a.jwk.n, "base64url");
const standard = (value) => Buffer.from(value, "base64url").toString("base64");
const members = JSON.stringify(jwk(a, { kid: "k" })).slice(1, -1);

/** A modulus with the fingerprint of the flawed generator (CVE-2017-15361): a power of 65537 modulo each small prime. */
function roca() {
  const primes = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n, 47n, 53n, 59n, 61n, 67n, 71n, 73n, 79n, 83n, 89n, 97n, 101n, 103n, 107n, 109n, 113n, 127n, 131n, 137n, 139n, 149n, 151n, 157n, 163n, 167n];
  const primorial = primes.reduce((product, prime) => product * prime, 1n);
  let residue = 1n;
  for (let count = 0; count < 12; count += 1) residue = (residue * 65537n) % primorial;
  const start = (1n << 2047n) + (1n << 2000n);
  return toBytes(start - (start % primorial) + primorial + residue, 256);
}

const family = [jwk(p256, { kid: "p256" }), jwk(p384, { kid: "p384" }), jwk(ed, { kid: "ed" })];
const unused = Array.from({ length: 150 }, (_, index) => ({ kty: ["EC", "oct", "OKP", "AKP"][index % 4], kid: `unused-${index}`, crv: ["secp256k1", undefined, "X25519", undefined][index % 4], alg: "ML-DSA-44", pub: "AAAA" }));
const chain = Array.from({ length: 3 }, () => Buffer.alloc(1500, 0x30).toString("base64"));
const lone = `"kid":"k"`;

export const sets = {
  // The ordinary set: a key for each purpose.
  main: text(
    jwk(a, { kid: "a", use: "sig", alg: "RS256" }), jwk(b, { kid: "b", use: "sig" }), jwk(c, { kid: "ps", use: "sig", alg: "PS256" }),
    jwk(e3, { kid: "e3" }), jwk(r3072, { kid: "r3072" }), jwk(r4096, { kid: "r4096" }), jwk(r8192, { kid: "r8192" }),
  ),
  single: text(jwk(a)),
  twoWithoutKid: text(jwk(a), jwk(b)),
  oneForEach: text(jwk(a, { alg: "RS256" }), jwk(b, { alg: "PS256" }), jwk(c, { alg: "RS512" })),
  twice: text(jwk(a, { kid: "k", alg: "RS256" }), jwk(b, { kid: "k", alg: "RS256" })),
  second: text(jwk(b, { kid: "a", use: "sig", alg: "RS256" })),
  curves: text(jwk(a, { kid: "a", alg: "RS256" }), jwk(p256, { kid: "p256", use: "sig", alg: "ES256" }), jwk(p384, { kid: "p384", use: "sig", alg: "ES384" }), jwk(ed, { kid: "ed", use: "sig", alg: "EdDSA" })),
  curvesPlain: text(...family),
  curvesNoKid: text(jwk(a), jwk(p256), jwk(p384), jwk(ed)),
  curvesOneKid: text(jwk(a, { kid: "k" }), jwk(p256, { kid: "k" }), jwk(p384, { kid: "k" }), jwk(ed, { kid: "k" })),
  ed25519Name: text(other, jwk(ed, { kid: "ed", alg: "Ed25519" })),
  // Spellings in the wild.
  paddedN: wild({ n: standard(a.jwk.n) }),
  paddedE: wild({ e: "AQAB====" }),
  standardAlphabet: wild({ n: standard(a.jwk.n).replace(/=+$/, "") }),
  leadingZero: wild({ n: base64url(Buffer.concat([Buffer.alloc(1), n])) }),
  leadingZeroE: wild({ e: "AAEAAQ" }),
  nulls: raw(`{${members},"d":null,"alg":null,"use":null,"key_ops":null,"x5c":null,"x5t":null}`),
  byteOrderMark: `\ufeff${wild({})}`,
  sameTwice: text(other, jwk(a, { kid: "k" }), jwk(a, { kid: "k" })),
  sameTwiceWithAlg: text(other, jwk(a, { kid: "k" }), jwk(a, { kid: "k", alg: "RS256" })),
  nullEntries: raw(`null,5,"x",[],{},{${members}}`),
  unusedAround: text(other, ...unused, jwk(a, { kid: "k" }), ...unused.map((one) => ({ ...one, kid: `${one.kid}-after` }))),
  chains: wild({ x5c: chain, x5t: "AAAAAAAAAAAAAAAAAAAAAAAAAAA", "x5t#S256": "AA" }),
  unknownMembers: wild({ iat: 1, nbf: "soon", "x-own": { deep: [[[1]]] }, ext: true }),
  keyOps: wild({ key_ops: ["verify"] }),
  keyOpsMore: wild({ key_ops: ["verify", "wrapKey"] }),
  whitespace: `\r\n\t { "keys" :\n[ ${JSON.stringify(other)} ,\n{ ${members.replaceAll(",", "\n,\t")} } ] , "more" : 1 }\n`,
  escapes: raw(`{"\\u006bty":"\\u0052SA","\\u006e":"${a.jwk.n}","e":"\\u0041QAB",${lone}}`),
  postQuantum: text(other, { kty: "AKP", alg: "ML-DSA-65", kid: "pq", pub: "AAAA" }, jwk(a, { kid: "k" })),
  unknownCurve: text(other, { kty: "EC", crv: "brainpoolP256r1", kid: "bp", x: "AA", y: "AA" }, { kty: "OKP", crv: "Ed448", kid: "448", x: "AA" }, jwk(a, { kid: "k" })),
  oneMalformed: text(other, { kty: "RSA", kid: "broken", n: "!", e: "AQAB" }, { kty: "RSA", kid: "no-n", e: "AQAB" }, jwk(a, { kid: "k" })),
  kidOfOtherType: text(other, { kty: "RSA", n: a.jwk.n, e: "AQAB", kid: 7 }, jwk(a, { kid: "k" })),
  sameKidOtherFamily: text(other, { kty: "oct", kid: "k", k: "c2VjcmV0" }, jwk(p256, { kid: "k" }), jwk(a, { kid: "k" })),
  longKid: text(other, jwk(a, { kid: "k".repeat(256) })),
  unicodeKid: text(other, jwk(a, { kid: "schlüssel-🔑" })),
  emptyKid: text(other, jwk(a, { kid: "" })),
  urlKid: text(other, jwk(a, { kid: "https://keys.example.com/../a?b#c" })),
  caseKids: text(jwk(b, { kid: "K" }), jwk(a, { kid: "k" })),
  extraTop: JSON.stringify({ keys: [other, jwk(a, { kid: "k" })], jwks_uri: "https://evil.example/keys", issuer: "x" }),
  duplicateInOther: raw(`{"kty":"RSA","kid":"dup","kid":"dup","n":"AQAB","e":"AQAB"},{${members}}`),
  // Keys that must not verify anything.
  use: wild({ use: "enc" }),
  useList: wild({ use: ["sig"] }),
  keyOpsSign: wild({ key_ops: ["sign"] }),
  keyOpsEmpty: wild({ key_ops: [] }),
  keyOpsDuplicate: wild({ key_ops: ["verify", "verify"] }),
  keyOpsText: wild({ key_ops: "verify" }),
  algOfOther: wild({ alg: "RS512" }),
  algOfEncryption: wild({ alg: "RSA-OAEP-256" }),
  algOfHmac: wild({ alg: "HS256" }),
  algNone: wild({ alg: "none" }),
  algNumber: wild({ alg: 256 }),
  algOfCurve: wild({ alg: "ES256" }),
  privateD: wild({ d: a.jwk.n }),
  privateP: wild({ p: "AQAB" }),
  oct: text(other, { kty: "oct", kid: "k", k: a.jwk.n }),
  octEmpty: text(other, { kty: "oct", kid: "k", k: "" }),
  duplicateKty: raw(`{"kty":"oct",${members}}`),
  duplicateN: raw(`{${members},"n":"${b.jwk.n}"}`),
  duplicateKid: raw(`{${members},"kid":"k"}`),
  ktyLower: wild({ kty: "rsa" }),
  ktyMissing: wild({ kty: undefined }),
  nMissing: wild({ n: undefined }),
  eMissing: wild({ e: undefined }),
  nNumber: wild({ n: 5 }),
  nBadBase64: wild({ n: `${a.jwk.n.slice(0, 40)} ${a.jwk.n.slice(40)}` }),
  nEmpty: wild({ n: "" }),
  e1: wild({ e: "AQ" }),
  e0: wild({ e: "AA" }),
  e2: wild({ e: "Ag" }),
  eEven: wild({ e: "AQAA" }),
  eHuge: wild({ e: base64url(Buffer.from("0200000001", "hex")) }),
  nEven: wild({ n: base64url(Buffer.concat([n.subarray(0, -1), Buffer.from([n.at(-1) & 0xfe])])) }),
  n1024: wild({}, weak),
  n2047: wild({ n: base64url(Buffer.concat([Buffer.from([n[0] & 0x7f]), n.subarray(1)])) }),
  n8193: wild({ n: base64url(Buffer.concat([Buffer.from([1]), Buffer.alloc(1023, 0x5a), Buffer.from([1])])) }),
  n16384: wild({ n: base64url(Buffer.concat([Buffer.from([0x80]), Buffer.alloc(2046, 0x5a), Buffer.from([1])])) }),
  roca: wild({ n: base64url(roca()) }),
  kidNumber: text(other, { ...a.jwk, kid: 1 }),
  kidTooLong: text(other, jwk(a, { kid: "k".repeat(257) })),
  deepKey: raw(`{${members},"x":${"[".repeat(40)}${"]".repeat(40)}}`),
  // Keys on curves that must not verify anything.
  offCurve: text(other, jwk(p256, { kid: "k", y: p256b.jwk.y })),
  infinity: text(other, { kty: "EC", crv: "P-256", kid: "k", x: base64url(Buffer.alloc(32)), y: base64url(Buffer.alloc(32)) }),
  shortX: text(other, jwk(p256, { kid: "k", x: base64url(Buffer.from(p256.jwk.x, "base64url").subarray(1)) })),
  longX: text(other, jwk(p256, { kid: "k", x: base64url(Buffer.concat([Buffer.alloc(1), Buffer.from(p256.jwk.x, "base64url")])) })),
  noY: text(other, jwk(p256, { kid: "k", y: undefined })),
  otherCurveName: text(other, jwk(p256, { kid: "k", crv: "P-384" })),
  secp256k1: text(other, jwk(p256, { kid: "k", crv: "secp256k1" })),
  p521: text(other, { kty: "EC", crv: "P-521", kid: "k", x: base64url(Buffer.alloc(66, 1)), y: base64url(Buffer.alloc(66, 1)) }),
  okpX25519: text(other, jwk(ed, { kid: "k", crv: "X25519" })),
  okpAsEc: text(other, { ...ed.jwk, kty: "EC", kid: "k" }),
  edSmallOrder: text(other, { kty: "OKP", crv: "Ed25519", kid: "k", x: base64url(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])) }),
  edZero: text(other, { kty: "OKP", crv: "Ed25519", kid: "k", x: base64url(Buffer.alloc(32)) }),
  edOrder8: text(other, { kty: "OKP", crv: "Ed25519", kid: "k", x: base64url(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")) }),
  edNotCanonical: text(other, { kty: "OKP", crv: "Ed25519", kid: "k", x: base64url(Buffer.from(`ed${"ff".repeat(30)}7f`, "hex")) }),
  edShort: text(other, { kty: "OKP", crv: "Ed25519", kid: "k", x: base64url(Buffer.from(ed.jwk.x, "base64url").subarray(1)) }),
  edAsEs256: text(other, jwk(ed, { kid: "k", alg: "ES256" })),
  p256AsEs384: text(other, jwk(p256, { kid: "k", alg: "ES384" })),
  ecPrivate: text(other, jwk(p256, { kid: "k", d: base64url(toBytes(p256.d, 32)) })),
  edPrivate: text(other, jwk(ed, { kid: "k", d: ed.jwk.x })),
};
