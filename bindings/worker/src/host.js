// Host functions that are shorter in JavaScript.

/** Why there is no response. */
const NETWORK_FAILED = 0;
const GIVEN_UP = 1;

/** Reads a body of at most `limit` bytes; a longer one is an error, and its rest is not read. */
async function readBody(body, limit) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > limit) throw GIVEN_UP;
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Rejects after some milliseconds, unless `exchange` ends before. */
async function within(millis, exchange) {
  let timer;
  const deadline = new Promise((_, reject) => (timer = setTimeout(() => reject(GIVEN_UP), millis)));
  try {
    return await Promise.race([exchange, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Time limit for the body of a request that the gateway itself reads, in milliseconds. */
const BODY_TIMEOUT_MS = 10_000;

/** Reads the body of a request, which must be at most `limit` bytes. */
export const bodyOf = (request, limit) => within(BODY_TIMEOUT_MS, readBody(request.body, limit));

/**
 * Sends a request once: no redirects, no cache, one deadline for the whole response. `headers` alternates names and values. `fetcher` is the
 * binding to send it through, if any.
 */
export async function send(method, url, headers, body, millis, limit, fetcher = globalThis) {
  const pairs = [];
  for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  const exchange = async () => {
    const signal = AbortSignal.timeout(millis);
    const response = await fetcher.fetch(url, { method, headers: pairs, body, redirect: "manual", cache: "no-store", signal });
    const header = (name) => response.headers.get(name);
    const headersRead = ["content-type", "cache-control", "age", "retry-after"].map(header);
    return [response.status, ...headersRead, await readBody(response.body, limit)];
  };
  try {
    // The signal limits the wait for the head, this the wait for a slow body.
    return await within(millis, exchange());
  } catch (reason) {
    return reason instanceof Error && reason.name !== "TimeoutError" ? NETWORK_FAILED : GIVEN_UP;
  }
}

export const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

// The edge cache is the data center's Cache API. A failure counts as a miss, and so does an entry that does not come in time.

/** As in src/limits.rs. */
const EDGE_TIMEOUT_MS = 500;

export function edgeGet(key, limit) {
  const read = async () => {
    const response = await caches.default.match(key);
    return response && readBody(response.body, limit);
  };
  return within(EDGE_TIMEOUT_MS, read());
}

export async function edgePut(key, value, maxAge) {
  const headers = { "cache-control": `max-age=${maxAge}`, "content-type": "application/json" };
  await caches.default.put(key, new Response(value, { headers }));
}

/** Sends a message to a Durable Object, of a session or with shared records. Returns the status and text of its response. */
export async function askCoordinator(env, name, action, sealed, millis) {
  const objects = env.EDGEWARD_SESSIONS;
  const init = { method: "POST", body: sealed, signal: AbortSignal.timeout(millis) };
  const response = await objects.get(objects.idFromName(name)).fetch(`https://coordinator.invalid/${action}`, init);
  return [response.status, await response.text()];
}

const ALGORITHMS = {
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
/**
 * Imported keys by algorithm and content, so that none can be taken for another, the last used at the end. Keys, not promises: those belong to
 * a request.
 */
const keys = new Map();
/** Of issuers, and of clients that prove to have theirs. */
const MAX_KEYS = 256;

/** Imports a key once. */
async function importKey(format, algorithm, key, usage) {
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

/** Verifies a signature: 1 for a genuine one, 0 for another, 2 if the key is refused, 3 if the platform cannot. */
export async function verifySignature(algorithm, key, message, signature) {
  try {
    const imported = await importKey("raw", algorithm, key, "verify");
    return Number(await crypto.subtle.verify(ALGORITHMS[algorithm], imported, signature, new TextEncoder().encode(message)));
  } catch (error) {
    return error.name === "DataError" ? 2 : 3;
  }
}

const KEY_BYTES = { A128GCM: 16, A256GCM: 32 };

/** Decrypts the content of a token with a private JWK. Returns it; 0 if that fails, 2 if the key is refused, 3 if the platform cannot. */
export async function decrypt(algorithm, encryption, key, encryptedKey, content, aad) {
  let imported;
  try {
    imported = await importKey("jwk", algorithm, key, "decrypt");
  } catch (error) {
    return error.name === "DataError" ? 2 : 3;
  }
  // RFC 7516 §11.5: a random key takes the place of one that cannot be decrypted.
  const length = KEY_BYTES[encryption];
  const random = crypto.getRandomValues(new Uint8Array(length));
  const decrypted = await crypto.subtle.decrypt({ name: "RSA-OAEP" }, imported, encryptedKey).catch(() => random);
  try {
    const contentKey = await crypto.subtle.importKey("raw", decrypted.byteLength === length ? decrypted : random, "AES-GCM", false, ["decrypt"]);
    const parameters = { name: "AES-GCM", iv: content.subarray(0, 12), additionalData: new TextEncoder().encode(aad) };
    return new Uint8Array(await crypto.subtle.decrypt(parameters, contentKey, content.subarray(12)));
  } catch {
    return 0;
  }
}

/** Signs a message with a private JWK. Returns the signature; 2 if the key is refused, 3 if the platform cannot sign. */
export async function sign(algorithm, key, message) {
  try {
    const imported = await importKey("jwk", algorithm, key, "sign");
    return new Uint8Array(await crypto.subtle.sign(ALGORITHMS[algorithm], imported, new TextEncoder().encode(message)));
  } catch (error) {
    // Numbers that are no key may only be found when they are used, with an error of the engine's own.
    return error.name === "NotSupportedError" ? 3 : 2;
  }
}

// JavaScript engines include the Unicode tables.

export const plainForms = (text) => text.normalize("NFKC");
export const foldCase = (text) => text.toUpperCase().toLowerCase();
