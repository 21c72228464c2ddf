// Sends the core's requests: no redirects, no cache, a deadline, and a limit on the body.

const FORWARDED_HEADERS = ["content-type", "cache-control", "age", "retry-after"];
const MAX_EDGE_BYTES = 1024 * 1024 + 4096;
/** As in src/limits.rs. */
const EDGE_TIMEOUT_MS = 500;

/** Browsers name themselves: their `user-agent` would cause a CORS preflight, which providers do not expect. */
const isBrowser = typeof document !== "undefined" || typeof importScripts === "function";

let noStore;

/** Returns `cache: "no-store"` where the runtime supports it; others throw. */
function cacheMode() {
  if (noStore === undefined) {
    try {
      noStore = new Request("https://edgeward.invalid/", { cache: "no-store" }) && { cache: "no-store" };
    } catch {
      noStore = {};
    }
  }
  return noStore;
}

/**
 * Sends a request and reads the whole response. Never throws: a failure has a `cause`, and its `kind` is 2 for the network and 4 for a
 * deadline or limit of this function.
 *
 * @returns {Promise<{ kind: number, head?: string, body?: Uint8Array, cause?: unknown }>}
 */
export async function send({ url, method = "GET", headers, form, timeoutMs, maxBytes }, customFetch) {
  const controller = new AbortController();
  let timer;
  try {
    // A deadline beside the signal, because a caller's fetch may ignore signals.
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => {
        const reason = new Error(`no response within ${timeoutMs} ms`);
        controller.abort(reason);
        reject(reason);
      }, timeoutMs);
    });
    const exchange = async () => {
      const init = { method, body: form, headers: isBrowser && form === undefined ? { accept: headers.accept } : headers, redirect: "manual", signal: controller.signal, ...cacheMode() };
      const response = await (customFetch === undefined ? fetch(url, init) : customFetch(url, init));
      const head = { status: response.status };
      for (const name of FORWARDED_HEADERS) {
        const value = response.headers.get(name);
        if (typeof value === "string") head[name] = value;
      }
      const body = await readBody(response, maxBytes, controller);
      return { kind: 3, head: JSON.stringify(head), body, cause: describe(url, response, body) };
    };
    const sent = exchange();
    sent.catch(() => {});
    return await Promise.race([sent, deadline]);
  } catch (cause) {
    return { kind: controller.signal.aborted ? 4 : 2, cause };
  } finally {
    clearTimeout(timer);
  }
}

/** Describes an unexpected response, as the cause of an error; undefined for a JSON object, of which the core says what is wrong with it. */
function describe(url, { status, headers }, body) {
  if (status !== 200) return new Error(`${url} answered ${status}`);
  // Content of any type counts: of content that is an object, the type is no reason.
  if (/^\s*\{/.test(new TextDecoder().decode(body.subarray(0, 64)))) return undefined;
  return new Error(`${url} answered with ${body.length === 0 ? "nothing" : `the content type ${headers.get("content-type") ?? "unknown"}`}`);
}

/** Reads a body of at most `limit` bytes; a longer one aborts the exchange. */
async function readBody(response, limit, controller) {
  const stream = response.body;
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > limit) {
      const reason = new Error(`the response is larger than ${limit} bytes`);
      reader.cancel().catch(() => {});
      controller?.abort(reason);
      throw reason;
    }
    chunks.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** The cache of the data centre, on platforms that have one. Browsers throw if a document without an origin of its own asks for it. */
function edgeCache() {
  try {
    return globalThis.caches?.default;
  } catch {
    return undefined;
  }
}

/** Looks a key up in the edge cache. Every failure is a miss, and so is an entry that does not come in time. */
export async function edgeGet(key) {
  const cache = edgeCache();
  if (cache === undefined) return { kind: 0 };
  let timer;
  const deadline = new Promise((resolve) => (timer = setTimeout(resolve, EDGE_TIMEOUT_MS)));
  const read = async () => {
    const response = await cache.match(key);
    return response && readBody(response, MAX_EDGE_BYTES);
  };
  try {
    const body = await Promise.race([read(), deadline]);
    if (body) return { kind: 1, body };
  } catch {
    // A miss.
  } finally {
    clearTimeout(timer);
  }
  return { kind: 0 };
}

/** Stores an entry in the edge cache, if there is one. */
export async function edgePut({ key, value, maxAge }) {
  try {
    const headers = { "cache-control": `max-age=${maxAge}`, "content-type": "application/json" };
    await edgeCache()?.put(key, new Response(value, { headers }));
  } catch {
    // The next isolate fetches the document itself.
  }
}
