// Requests with tokens that are bound to a key (DPoP, RFC 9449): what the core reads of them, and proofs that were used.

import { proofReplayed, replayCheckUnavailable } from "./error.js";

/** As in src/limits.rs: some ninety requests per second. */
const MAX_PROOFS = 32_768;

/** The proofs that this process has accepted, each until it is too old. */
export class ProofMemory {
  #until = new Map();
  /** When it was last searched for proofs to forget: at most once a second. */
  #swept;

  use(id, expiresAt, now) {
    if (this.#until.has(id)) return false;
    if (this.#until.size >= MAX_PROOFS) {
      const second = Math.floor(now);
      if (this.#swept !== second) for (const [one, until] of this.#until) if (until <= now) this.#until.delete(one);
      this.#swept = second;
      if (this.#until.size >= MAX_PROOFS) throw new Error(`more than ${MAX_PROOFS} proofs in five minutes: set replayStore`);
    }
    this.#until.set(id, expiresAt);
    return true;
  }
}

/** Throws unless the store says that no other request had this proof. `now` in seconds. */
export async function useOnce(store, { id, expiresAt }, now) {
  let isFirst;
  try {
    isFirst = await store.use(id, expiresAt, now);
  } catch (cause) {
    throw replayCheckUnavailable(cause);
  }
  if (isFirst !== true) throw proofReplayed();
}

/**
 * Returns a header of a web `Request`, or of a request of Node: over HTTP/2, it has no `headersDistinct`, and only the first `Authorization` in `headers`.
 * Several become one text with commas, which is malformed.
 */
export function headerOf({ headers, headersDistinct, rawHeaders }, name) {
  const distinct = () => (headersDistinct ? headersDistinct[name] : rawValues(rawHeaders, name));
  const values = typeof headers.get === "function" ? headers.get(name) : (distinct() ?? headers[name]);
  const text = Array.isArray(values) ? values.join(", ") : values;
  return typeof text === "string" ? text : undefined;
}

/** Returns the values of a header among `rawHeaders`, in which names and values alternate. */
function rawValues(rawHeaders, name) {
  if (!Array.isArray(rawHeaders)) return undefined;
  const values = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1].toLowerCase() === name);
  return values.length === 0 ? undefined : values;
}

/** Returns the request for the core, with its URL on each of the site's origins, which it cannot state itself: clients choose `Host`. */
export function senderOf(request, origins) {
  const { method, url } = request;
  // Without a method or a path it is no request that a proof could be for.
  const path = typeof url === "string" ? url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, "") : undefined;
  const urls = path === undefined ? [] : origins.map((origin) => origin + (path.startsWith("/") ? path : `/${path}`));
  return { method: typeof method === "string" ? method : "", urls, proof: headerOf(request, "dpop") };
}
