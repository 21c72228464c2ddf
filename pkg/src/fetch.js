// The core's requests, sent: no redirects, no cache, a deadline, and a limit on the body.

const FORWARDED_HEADERS = ["content-type", "cache-control", "age", "retry-after"];
const MAX_EDGE_BYTES = 256 * 1024;

let noStore;

/** `cache: "no-store"` where the runtime knows it; an older one throws on it. */
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
 * Sends a request and reads the answer whole. Never throws: what failed is the `cause`, and the `kind` says whether it was the
 * network (2) or this function, which gave up (4).
 *
 * @returns {Promise<{ kind: number, head?: string, body?: Uint8Array, cause?: unknown }>}
 */
export async function send({ url, headers, timeoutMs, maxBytes }, customFetch) {
  const controller = new AbortController();
  let timer;
  try {
    // The deadline stands beside the signal: a fetch that ignores signals is left behind.
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => {
        const reason = new Error(`no answer within ${timeoutMs} ms`);
        controller.abort(reason);
        reject(reason);
      }, timeoutMs);
    });
    const exchange = async () => {
      const init = { method: "GET", headers, redirect: "manual", signal: controller.signal, ...cacheMode() };
      const response = await (customFetch === undefined ? fetch(url, init) : customFetch(url, init));
      const head = { status: response.status };
      for (const name of FORWARDED_HEADERS) {
        const value = response.headers.get(name);
        if (typeof value === "string") head[name] = value;
      }
      const body = await readBody(response, maxBytes, controller);
      return { kind: 3, head: JSON.stringify(head), body, cause: unexpected(url, response) };
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

/** What is odd about an answer, for whoever reads the error of a fetch that failed. */
function unexpected(url, { status, headers }) {
  if (status !== 200) return new Error(`${url} answered ${status}`);
  return new Error(`${url} answered with the content type ${headers.get("content-type")}`);
}

/** A body of at most `limit` bytes; past them the rest is refused unread, and the exchange aborted. */
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
      const reason = new Error(`the answer is larger than ${limit} bytes`);
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

/** The data centre's cache, on the one platform that has it. */
const edgeCache = () => globalThis.caches?.default;

/** Looks a key up in the edge cache. Every failure is a miss. */
export async function edgeGet(key) {
  try {
    const response = await edgeCache()?.match(key);
    if (response) return { kind: 1, body: await readBody(response, MAX_EDGE_BYTES) };
  } catch {
    // Not there, then.
  }
  return { kind: 0 };
}

/** Keeps an entry in the edge cache, if there is one. */
export async function edgePut({ key, value, maxAge }) {
  try {
    const headers = { "cache-control": `max-age=${maxAge}`, "content-type": "application/json" };
    await edgeCache()?.put(key, new Response(value, { headers }));
  } catch {
    // The next isolate fetches for itself.
  }
}
