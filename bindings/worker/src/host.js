// What the host needs of the runtime that is shorter in JavaScript.

/** Why there is no answer. */
const NETWORK_FAILED = 0;
const GIVEN_UP = 1;

/** A body of at most `limit` bytes; past them the rest is refused unread. */
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

/** Sends a request once: no redirects, no cache, one deadline for the whole answer. `headers` are names and values in turn. */
export async function send(method, url, headers, body, millis, limit) {
  const pairs = [];
  for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  const exchange = async () => {
    const signal = AbortSignal.timeout(millis);
    const response = await fetch(url, { method, headers: pairs, body, redirect: "manual", cache: "no-store", signal });
    const header = (name) => response.headers.get(name);
    const known = ["content-type", "cache-control", "age", "retry-after"].map(header);
    return [response.status, ...known, await readBody(response.body, limit)];
  };
  let timer;
  // The signal ends the wait for the head; a body that drips in is ended by this.
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

// The edge cache is the Cache API of the data centre. Every failure is a miss.

export async function edgeGet(key, limit) {
  const response = await caches.default.match(key);
  return response && readBody(response.body, limit);
}

export async function edgePut(key, value, maxAge) {
  const headers = { "cache-control": `max-age=${maxAge}`, "content-type": "application/json" };
  await caches.default.put(key, new Response(value, { headers }));
}

/** Sends a message to the Durable Object of a session. Status and text of its answer. */
export async function askCoordinator(env, name, act, sealed, millis) {
  const objects = env.EDGEWARD_SESSIONS;
  const init = { method: "POST", body: sealed, signal: AbortSignal.timeout(millis) };
  const answer = await objects.get(objects.idFromName(name)).fetch(`https://coordinator.invalid/${act}`, init);
  return [answer.status, await answer.text()];
}

// Unicode's tables are part of every JavaScript engine.

export const plainForms = (text) => text.normalize("NFKC");
export const foldCase = (text) => text.toUpperCase().toLowerCase();
