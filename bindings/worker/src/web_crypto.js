// What the core leaves to Web Crypto, for the Worker, the npm package and its command. No function throws.

export const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
  "RSA-OAEP": { name: "RSA-OAEP", hash: "SHA-1" },
  "RSA-OAEP-256": { name: "RSA-OAEP", hash: "SHA-256" },
  "RSA-OAEP-384": { name: "RSA-OAEP", hash: "SHA-384" },
  "RSA-OAEP-512": { name: "RSA-OAEP", hash: "SHA-512" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
};

/** What a function returns in place of a result. */
export const FAILED = 0;
export const KEY_REFUSED = 2;
export const UNSUPPORTED = 3;

/**
 * Imported keys by algorithm and content, so that none can be taken for another, the last used at the end. Keys, not promises: those belong to
 * a request.
 */
const shared = new Map();
/** Of issuers, and of clients that prove to have theirs. */
const MAX_KEYS = 256;

const encode = (text) => new TextEncoder().encode(text);

/** Imports a key once. */
async function importKey(format, algorithm, key, usage, keys) {
  const name = `${usage} ${algorithm} ${key}`;
  let imported = keys.get(name);
  if (imported === undefined) {
    const data = format === "jwk" ? JSON.parse(key) : key;
    imported = await crypto.subtle.importKey(format, data, ALGORITHMS[algorithm], false, [usage]);
    if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value);
  }
  keys.delete(name);
  keys.set(name, imported);
  return imported;
}

/** Verifies a signature: 1 for a genuine one, else 0, or a number of above. */
export async function verifySignature(algorithm, key, message, signature, keys = shared) {
  let imported;
  try {
    imported = await importKey("raw", algorithm, key, "verify", keys);
    return Number(await crypto.subtle.verify(ALGORITHMS[algorithm], imported, signature, encode(message)));
  } catch (error) {
    // Most platforms refuse a key that is not on its curve as it is imported, Deno as it is used.
    return error.name === "DataError" || (error.name === "TypeError" && imported !== undefined) ? KEY_REFUSED : UNSUPPORTED;
  }
}

const KEY_BYTES = { A128GCM: 16, A256GCM: 32 };

/** Decrypts the content of a token with a private JWK. Returns it, or a number of above. */
export async function decrypt(algorithm, encryption, key, encryptedKey, content, aad, keys = shared) {
  let imported;
  try {
    imported = await importKey("jwk", algorithm, key, "decrypt", keys);
  } catch (error) {
    return error.name === "DataError" ? KEY_REFUSED : UNSUPPORTED;
  }
  // RFC 7516 §11.5: a random key takes the place of one that cannot be decrypted.
  const length = KEY_BYTES[encryption];
  const random = crypto.getRandomValues(new Uint8Array(length));
  const decrypted = await crypto.subtle.decrypt({ name: "RSA-OAEP" }, imported, encryptedKey).catch(() => random);
  try {
    const contentKey = await crypto.subtle.importKey("raw", decrypted.byteLength === length ? decrypted : random, "AES-GCM", false, ["decrypt"]);
    const parameters = { name: "AES-GCM", iv: content.subarray(0, 12), additionalData: encode(aad) };
    return new Uint8Array(await crypto.subtle.decrypt(parameters, contentKey, content.subarray(12)));
  } catch {
    return FAILED;
  }
}

/** Signs a message with a private JWK. Returns the signature, or a number of above. */
export async function sign(algorithm, key, message, keys = shared) {
  try {
    const imported = await importKey("jwk", algorithm, key, "sign", keys);
    return new Uint8Array(await crypto.subtle.sign(ALGORITHMS[algorithm], imported, encode(message)));
  } catch (error) {
    // Numbers that are no key may only be found when they are used, with an error of the engine's own.
    return error.name === "NotSupportedError" ? UNSUPPORTED : KEY_REFUSED;
  }
}
