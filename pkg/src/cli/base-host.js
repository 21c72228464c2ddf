// The operations of the host that the core needs (bindings/cli/src/host.rs), without a network: it is the part of Node, or of the page in
// docs/site/explain. Every exchange is recorded.

import { decrypt, sign, verifySignature } from "../../../bindings/worker/src/web_crypto.js";

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
    return [response.status, header("content-type"), header("cache-control"), header("age"), header("retry-after"), bytes, header("dpop-nonce")];
  }

  sleep(millis) {
    return new Promise((resolve) => setTimeout(resolve, millis));
  }

  verifySignature(algorithm, key, message, signature) {
    return verifySignature(algorithm, key, message, signature);
  }

  decrypt(algorithm, encryption, key, encryptedKey, content, aad) {
    return decrypt(algorithm, encryption, key, encryptedKey, content, aad);
  }

  sign(algorithm, key, message) {
    return sign(algorithm, key, message);
  }

  log(line) {
    this.warnings.push(line);
  }
}
