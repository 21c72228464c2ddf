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

/** Sends a request once: no redirects, no cache, one deadline for the whole response. `headers` alternates names and values. */
export async function send(method, url, headers, body, millis, limit) {
  const pairs = [];
  for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  const exchange = async () => {
    const signal = AbortSignal.timeout(millis);
    const response = await fetch(url, { method, headers: pairs, body, redirect: "manual", cache: "no-store", signal });
    const header = (name) => response.headers.get(name);
    const headersRead = ["content-type", "cache-control", "age", "retry-after"].map(header);
    return [response.status, ...headersRead, await readBody(response.body, limit)];
  };
  let timer;
  // The signal limits the wait for the head, this the wait for a slow body.
  const deadline = new Promise((_, reject) => (timer = setTimeout(() => reject(GIVEN_UP), millis)));
  try {
    return await Promise.race([exchange(), deadline]);
  } catch (reason) {
    return reason instanceof Error && reason.name !== "TimeoutError" ? NETWORK_FAILED : GIVEN_UP;
  } finally {
    clearTimeout(timer);
  }
}

export const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

// The edge cache is the data center's Cache API. A failure counts as a miss.

export async function edgeGet(key, limit) {
  const response = await caches.default.match(key);
  return response && readBody(response.body, limit);
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
};
/**
 * Imported keys by algorithm and content, so that none can be taken for another, the last used at the end. Keys, not promises: those belong to
 * a request.
 */
const keys = new Map();
/** Of issuers, and of clients that prove to have theirs. */
const MAX_KEYS = 256;

/** Verifies a signature: 1 for a genuine one, 0 for another, 2 if the key is refused, 3 if the platform cannot. */
export async function verifySignature(algorithm, key, message, signature) {
  const parameters = ALGORITHMS[algorithm];
  const name = `${algorithm} ${key}`;
  try {
    let imported = keys.get(name);
    if (imported === undefined) {
      imported = await crypto.subtle.importKey("raw", key, parameters, false, ["verify"]);
      if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value);
    }
    keys.delete(name);
    keys.set(name, imported);
    return Number(await crypto.subtle.verify(parameters, imported, signature, new TextEncoder().encode(message)));
  } catch (error) {
    return error.name === "DataError" ? 2 : 3;
  }
}

// JavaScript engines include the Unicode tables.

export const plainForms = (text) => text.normalize("NFKC");
export const foldCase = (text) => text.toUpperCase().toLowerCase();
