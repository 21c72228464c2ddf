// The operations of the host that the core needs (bindings/cli/src/host.rs), without a network: it is the part of Node, or of the page in
// docs/site/explain. Every exchange is recorded.

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
};

export class BaseHost {
  /** The responses and failures, in the order in which they came: `{ url, status, type, skewMs }` or `{ url, failure }`. */
  exchanges = [];
  /** The warnings that the core has logged. */
  warnings = [];

  #isReadOnly;

  /** Whether a request was refused because it would have asked the provider for more than a document. */
  wouldAsk = false;

  /** @param {{ isReadOnly?: boolean }} [options] `isReadOnly`: refuse to send anything but GET requests without credentials */
  constructor({ isReadOnly = false } = {}) {
    this.#isReadOnly = isReadOnly;
  }

  now() {
    return Date.now();
  }

  /** Sends a request once: no redirects, one deadline for the whole response. Returns what the core reads. */
  async send(method, url, headers, body, millis, limit) {
    const hasCredentials = headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === "authorization");
    if (this.#isReadOnly && (method !== "GET" || hasCredentials)) {
      this.wouldAsk = true;
      this.exchanges.push({ url, failure: "not sent: this command changes nothing at the provider" });
      return false;
    }
    const pairs = [];
    for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
    const { failure, isNetwork, response, bytes } = await this.exchange(url, { method, headers: pairs, body }, millis, limit);
    if (failure !== undefined) return isNetwork;
    const header = (name) => response.headers.get(name) ?? undefined;
    return [response.status, header("content-type"), header("cache-control"), header("age"), header("retry-after"), bytes];
  }

  sleep(millis) {
    return new Promise((resolve) => setTimeout(resolve, millis));
  }

  /** Returns whether a signature is genuine; undefined if the key is refused, and null if the engine cannot verify it. */
  async verifySignature(algorithm, key, message, signature) {
    try {
      const imported = await crypto.subtle.importKey("raw", key, ALGORITHMS[algorithm], false, ["verify"]);
      return await crypto.subtle.verify(ALGORITHMS[algorithm], imported, signature, new TextEncoder().encode(message));
    } catch (error) {
      return error.name === "DataError" ? undefined : null;
    }
  }

  log(line) {
    this.warnings.push(line);
  }
}
