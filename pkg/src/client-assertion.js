// Assertions that authenticate a client (`private_key_jwt`, RFC 7523 §2.2, OpenID Connect Core §9), as the gateway signs them
// (src/oidc/client_assertion.rs).

import { ALGORITHMS, sign } from "../../bindings/worker/src/web_crypto.js";

export const SIGNING_ALGORITHMS = ["RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA"];

/** The algorithms of each kind of key, its default first, and how PKCS#8 names it: the object identifier, in hexadecimal (RFC 5958 §2). */
const KINDS = [
  { kty: "RSA", oid: "06092a864886f70d010101", algorithms: ["RS256", "RS384", "PS256"] },
  { kty: "EC", crv: "P-256", oid: "06072a8648ce3d020106082a8648ce3d030107", algorithms: ["ES256"] },
  { kty: "EC", crv: "P-384", oid: "06072a8648ce3d020106052b81040022", algorithms: ["ES384"] },
  { kty: "OKP", crv: "Ed25519", oid: "06032b6570", algorithms: ["EdDSA"] },
];

const MEMBERS = ["kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi"];

/** How long an assertion is valid, in seconds. */
const LIFETIME_S = 60;
const MIN_MODULUS_BYTES = 256;
const MAX_MODULUS_BYTES = 512;

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encode = (text) => new TextEncoder().encode(text);

/**
 * Reads a private key, PKCS#8 in PEM or a JWK, for the algorithm `alg`, if that is given. Returns it with its algorithm, to be imported when it is
 * first used; for a key that cannot be used, the reason, without the key.
 */
export function readPrivateKey(value, alg) {
  let [format, data, kind, only, kid] = ["jwk", value];
  if (typeof value === "string" && !value.trim().startsWith("{")) {
    // In a variable of one line, its breaks are escaped.
    const [, body] = value.replaceAll("\\n", "").match(/^\s*-----BEGIN PRIVATE KEY-----([A-Za-z\d+/=\s]+)-----END PRIVATE KEY-----/) ?? [];
    if (body === undefined) return "must be a private key: PKCS#8 in PEM (BEGIN PRIVATE KEY) or a JWK";
    try {
      [format, data] = ["pkcs8", Uint8Array.from(atob(body.replace(/\s/g, "")), (char) => char.charCodeAt(0))];
    } catch {
      return "is not base64";
    }
    const start = Array.from(data.subarray(0, 40), (byte) => byte.toString(16).padStart(2, "0")).join("");
    kind = KINDS.find(({ oid }) => start.includes(oid));
  } else {
    try {
      data = typeof value === "string" ? JSON.parse(value) : value;
    } catch {
      return "is not JSON";
    }
    const { kty, crv, d, use, key_ops: operations = ["sign"] } = data ?? {};
    if (d === undefined) return "must be a private key: PKCS#8 in PEM (BEGIN PRIVATE KEY) or a JWK";
    if ((use ?? "sig") !== "sig" || !Array.isArray(operations) || !operations.includes("sign")) return "is not for signing by its use or key_ops";
    ({ alg: only, kid } = data);
    // Without `ext`, which would keep it from being imported as below.
    data = Object.fromEntries(MEMBERS.map((name) => [name, data[name]]));
    kind = KINDS.find((one) => one.kty === kty && one.crv === (kty === "RSA" ? undefined : crv));
  }
  if (kind === undefined) return "must be an RSA, P-256, P-384 or Ed25519 key";
  if (kid !== undefined && (typeof kid !== "string" || kid === "")) return "has a kid that is not a string";
  if (only !== undefined && alg !== undefined && only !== alg) return `is for ${only}`;
  const algorithm = alg ?? only ?? kind.algorithms[0];
  if (!kind.algorithms.includes(algorithm)) return `cannot sign with ${algorithm}`;
  return { format, data, algorithm, kid };
}

/** Imports a key, and returns what its signatures need. Without a `kid`, it is the thumbprint of the public key (RFC 7638 §3). */
async function prepare({ format, data, algorithm, kid }) {
  const { subtle } = crypto;
  const jwk = await subtle.exportKey("jwk", await subtle.importKey(format, data, ALGORITHMS[algorithm], true, ["sign"]));
  const { crv, e, kty, n, x, y } = jwk;
  const bytes = n === undefined ? MIN_MODULUS_BYTES : Math.floor((n.length * 3) / 4);
  if (bytes < MIN_MODULUS_BYTES || bytes > MAX_MODULUS_BYTES) throw new Error();
  const members = JSON.stringify({ crv, e, kty, n, x, y });
  return { jwk: JSON.stringify(jwk), kid: kid ?? base64url(new Uint8Array(await subtle.digest("SHA-256", encode(members)))) };
}

/**
 * Returns a new assertion of a client for one request; undefined if the platform refuses the key. The audience is the issuer alone: an assertion
 * for an endpoint's URL could be obtained by another provider that names that endpoint as its own.
 */
export async function assertionOf(key, clientId, issuer, nowMs) {
  try {
    // The result, not its promise: some platforms end that with the caller's request.
    key.prepared ??= await prepare(key);
  } catch {
    return undefined;
  }
  const iat = Math.floor(nowMs / 1000);
  const jti = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const parts = [
    { alg: key.algorithm, typ: "JWT", kid: key.prepared.kid },
    { sub: clientId, iss: clientId, aud: issuer, jti, iat, exp: iat + LIFETIME_S },
  ];
  const message = parts.map((part) => base64url(encode(JSON.stringify(part)))).join(".");
  const signature = await sign(key.algorithm, key.prepared.jwk, message);
  return typeof signature === "number" ? undefined : `${message}.${base64url(signature)}`;
}
