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
    return [response.status, ...headersRead, await readBody(response.body, limit), header("dpop-nonce"), header("www-authenticate")];
  };
  try {
    // The signal limits the wait for the head, this the wait for a slow body.
    return await within(millis, exchange());
  } catch (reason) {
    return reason instanceof Error && reason.name !== "TimeoutError" ? NETWORK_FAILED : GIVEN_UP;
  }
}

/** How to end each sleep before its time. */
const wakers = new WeakMap();

/** Returns a promise that resolves after some milliseconds, or with `wake`. */
export function sleep(millis) {
  let timer, end;
  const slept = new Promise((resolve) => {
    end = resolve;
    timer = setTimeout(resolve, millis);
  });
  wakers.set(slept, () => {
    clearTimeout(timer);
    end();
  });
  return slept;
}

/** Ends a sleep. */
export const wake = (slept) => wakers.get(slept)?.();

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

// JavaScript engines include the Unicode tables.

export const plainForms = (text) => text.normalize("NFKC");
export const foldCase = (text) => text.toUpperCase().toLowerCase();
