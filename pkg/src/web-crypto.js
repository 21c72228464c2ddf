// Answers the requests of the core that Web Crypto performs.

import { decrypt, FAILED, KEY_REFUSED, UNSUPPORTED, verifySignature } from "../../bindings/worker/src/web_crypto.js";

/** Beside them, by the number of the verdict. */
const VERDICTS = { 1: { kind: 5 }, [FAILED]: { kind: 6 }, [KEY_REFUSED]: { kind: 7 }, [UNSUPPORTED]: { kind: 0 } };
const NOT_DECRYPTED = { kind: 9 };
/** Given up: nothing is known of the token. */
const NO_DECRYPTION = { kind: 4 };

const bytesOf = (base64url) => Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

/** Verifies a signature. `keys` are those that the verifier has imported before. */
export async function verify({ algorithm, key, message, signature }, keys) {
  return VERDICTS[await verifySignature(algorithm, bytesOf(key), message, bytesOf(signature), keys)];
}

/** Decrypts the content of a token. If it is no fault of the token that this fails, the `cause` says why. */
export async function decryptContent({ algorithm, encryption, key, encryptedKey, content, aad }, keys) {
  const decrypted = await decrypt(algorithm, encryption, key, bytesOf(encryptedKey), bytesOf(content), aad, keys);
  if (typeof decrypted !== "number") return { kind: 8, body: decrypted };
  if (decrypted === FAILED) return NOT_DECRYPTED;
  return { ...NO_DECRYPTION, cause: new Error(decrypted === KEY_REFUSED ? "Web Crypto refuses the decryption key" : "Web Crypto cannot decrypt here") };
}
