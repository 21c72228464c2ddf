// Verifies the signatures that the core leaves to the platform's Web Crypto.

import { encoder } from "./core.js";

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
};

/** More keys than issuers publish at a time, and those of clients that prove to have theirs. */
const MAX_KEYS = 256;

const VALID = { kind: 5 };
const INVALID = { kind: 6 };
const KEY_REFUSED = { kind: 7 };
const UNSUPPORTED = { kind: 0 };

const bytesOf = (base64url) => Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

/** Verifies one signature. Never throws. `keys` are the keys imported before: by algorithm and content, so that none can be taken for another. */
export async function verifySignature({ algorithm, key, message, signature }, keys) {
  const { subtle } = globalThis.crypto ?? {};
  const parameters = ALGORITHMS[algorithm];
  if (subtle === undefined || parameters === undefined) return UNSUPPORTED;
  const name = `${algorithm} ${key}`;
  let imported = keys.get(name);
  try {
    if (imported === undefined) {
      imported = await subtle.importKey("raw", bytesOf(key), parameters, false, ["verify"]);
      // Keys, not promises: a request must not wait for another's.
      if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value);
    }
    // The last used at the end.
    keys.delete(name);
    keys.set(name, imported);
    return (await subtle.verify(parameters, imported, bytesOf(signature), encoder.encode(message))) === true ? VALID : INVALID;
  } catch (error) {
    // Most platforms refuse a key that is not on its curve as it is imported, Deno as it is used.
    return error?.name === "DataError" || (error?.name === "TypeError" && imported !== undefined) ? KEY_REFUSED : UNSUPPORTED;
  }
}
