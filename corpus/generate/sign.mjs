// Signatures that are the same in every run: PKCS#1 v1.5, PSS with a derived salt, ECDSA with a derived nonce (RFC 6979), Ed25519.
// Nothing here is constant in time: the keys are published.

import { constants, createHash, createHmac, createPrivateKey, createPublicKey, privateEncrypt, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";

export const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const hash = (bits, ...parts) => parts.reduce((digest, part) => digest.update(part), createHash(`sha${bits}`)).digest();
const toInteger = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
export const toBytes = (integer, length) => Buffer.from(integer.toString(16).padStart(2 * length, "0"), "hex");

// --- RSA -----------------------------------------------------------------------------------------------------------

export function rsaKey(file) {
  const key = createPrivateKey(readFileSync(new URL(`../../tests/keys/${file}.pem`, import.meta.url)));
  const { n, e } = createPublicKey(key).export({ format: "jwk" });
  return { key, jwk: { kty: "RSA", n, e }, bytes: Math.ceil(key.asymmetricKeyDetails.modulusLength / 8) };
}

const mask = (bits, seed, length) => {
  const blocks = [];
  for (let counter = 0; blocks.length * (bits / 8) < length; counter += 1) blocks.push(hash(bits, seed, toBytes(BigInt(counter), 4)));
  return Buffer.concat(blocks).subarray(0, length);
};
const xor = (one, two) => Buffer.from(one.map((byte, index) => byte ^ two[index]));
/** The private operation on an encoded message. */
export const rsaRaw = ({ key, bytes }, encoded) =>
  privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.concat([Buffer.alloc(Math.max(0, bytes - encoded.length)), encoded]));

/** EMSA-PSS (RFC 8017 §9.1.1) with any salt length, trailer, and hash of the mask. */
export function pssEncoding(bits, message, length, { saltLength = bits / 8, maskBits = bits, trailer = 0xbc } = {}) {
  const digest = hash(bits, message);
  const salt = mask(bits, Buffer.concat([Buffer.from("salt"), digest]), saltLength);
  const seal = hash(bits, Buffer.alloc(8), digest, salt);
  const size = length - seal.length - 1;
  const block = Buffer.concat([Buffer.alloc(size - salt.length - 1), Buffer.from([1]), salt]);
  const masked = xor(block, mask(maskBits, seal, size));
  masked[0] &= 0x7f;
  return Buffer.concat([masked, seal, Buffer.from([trailer])]);
}

const DIGEST_INFO = {
  1: "3021300906052b0e03021a05000414", 256: "3031300d060960864801650304020105000420", 384: "3041300d060960864801650304020205000430",
  512: "3051300d060960864801650304020305000440",
};
/** EMSA-PKCS1-v1_5 (RFC 8017 §9.2); `info` replaces the prefix of the digest, `make` builds another block around both. */
export function pkcs1Encoding(bits, message, length, { info = DIGEST_INFO[bits], make } = {}) {
  const tail = Buffer.concat([Buffer.from(info, "hex"), hash(bits, message)]);
  if (make) return make(tail, length);
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(length - tail.length - 3, 0xff), Buffer.from([0]), tail]);
}

// --- ECDSA (FIPS 186-5 §6.4) ---------------------------------------------------------------------------------------

const CURVES = {
  "P-256": {
    bits: 256, size: 32,
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  },
  "P-384": {
    bits: 384, size: 48,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    x: 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
    y: 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
  },
};
const mod = (a, m) => ((a % m) + m) % m;
function inverse(a, m) {
  let [r, next, x, y] = [mod(a, m), m, 1n, 0n];
  while (next > 0n) [r, next, x, y] = [next, r % next, y, x - (r / next) * y];
  return mod(x, m);
}
function add({ p }, one, two) {
  if (!one || !two) return one ?? two;
  const isSame = one[0] === two[0];
  if (isSame && mod(one[1] + two[1], p) === 0n) return undefined;
  const slope = isSame ? mod((3n * one[0] * one[0] - 3n) * inverse(2n * one[1], p), p) : mod((two[1] - one[1]) * inverse(two[0] - one[0], p), p);
  const x = mod(slope * slope - one[0] - two[0], p);
  return [x, mod(slope * (one[0] - x) - one[1], p)];
}
function multiply(curve, scalar, point = [curve.x, curve.y]) {
  let sum;
  for (let rest = scalar; rest > 0n; rest >>= 1n, point = add(curve, point, point)) if (rest & 1n) sum = add(curve, sum, point);
  return sum;
}

export function curveKey(crv, seed) {
  const curve = CURVES[crv];
  const d = mod(toInteger(hash(512, `${crv} ${seed}`)), curve.n - 1n) + 1n;
  const [x, y] = multiply(curve, d);
  return { crv, d, jwk: { kty: "EC", crv, x: base64url(toBytes(x, curve.size)), y: base64url(toBytes(y, curve.size)) } };
}
/** The order of the curve's base point. */
export const orderOf = (crv) => toBytes(CURVES[crv].n, CURVES[crv].size);

function ecdsa({ crv, d }, bits, message) {
  const { n, size } = CURVES[crv];
  const order = CURVES[crv];
  const digest = hash(bits, message);
  // Both hashes are as long as the order, so no bit is cut (RFC 6979 §2.3.2).
  const z = toInteger(digest.subarray(0, size));
  const seed = Buffer.concat([toBytes(d, size), toBytes(mod(z, n), size)]);
  let [key, value] = [Buffer.alloc(bits / 8), Buffer.alloc(bits / 8, 1)];
  const mac = (...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac(`sha${bits}`, key)).digest();
  for (const separator of [0, 1]) {
    key = mac(value, Buffer.from([separator]), seed);
    value = mac(value);
  }
  value = mac(value);
  const k = mod(toInteger(Buffer.concat([value, mac(value)]).subarray(0, size)), n - 1n) + 1n;
  const r = mod(multiply(order, k)[0], n);
  return Buffer.concat([toBytes(r, size), toBytes(mod(inverse(k, n) * (z + r * d), n), size)]);
}

// --- Ed25519 -------------------------------------------------------------------------------------------------------

export function edwardsKey(seed) {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), hash(256, `Ed25519 ${seed}`)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { key, jwk: createPublicKey(key).export({ format: "jwk" }) };
}

// --- by the name of the algorithm ------------------------------------------------------------------------------------

/** The signature over `message`; `key` is of `rsaKey`, `curveKey` or `edwardsKey`, or the secret of an HS algorithm. */
export function signature(alg, key, message) {
  const bits = Number(alg.slice(2));
  switch (alg.slice(0, 2)) {
    case "RS":
      return rsaRaw(key, pkcs1Encoding(bits, message, key.bytes));
    case "PS":
      return rsaRaw(key, pssEncoding(bits, message, key.bytes));
    case "ES":
      return ecdsa(key, bits, message);
    case "Ed":
      return sign(null, message, key.key);
    case "HS":
      return createHmac(`sha${bits}`, key).update(message).digest();
    default:
      return Buffer.alloc(0);
  }
}

/** Whether the coordinates of a JWK are a point of its curve. */
function isOnCurve({ crv, x, y }) {
  const { p, x: baseX, y: baseY, size } = CURVES[crv];
  const [one, two] = [x, y].map((coordinate) => Buffer.from(coordinate ?? "", "base64url"));
  if (one.length !== size || two.length !== size) return false;
  const rest = (x, y) => mod(y * y - x * x * x + 3n * x, p);
  return rest(toInteger(one), toInteger(two)) === rest(baseX, baseY);
}

/** What the platform says about a signature of ES256, ES384 or EdDSA with a public JWK. */
export function platformVerdict(alg, jwk, message, bytes) {
  if (CURVES[jwk.crv] !== undefined && !isOnCurve(jwk)) return "key_refused";
  let key;
  try {
    key = createPublicKey({ key: jwk, format: "jwk" });
  } catch {
    return "key_refused";
  }
  const isValid = alg.startsWith("Ed") ? verify(null, message, key, bytes) : verify(`sha${alg.slice(2)}`, message, { key, dsaEncoding: "ieee-p1363" }, bytes);
  return isValid ? "valid" : "invalid";
}
