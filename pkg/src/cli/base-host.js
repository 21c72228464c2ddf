// The operations of the host that the core needs (bindings/cli/src/host.rs), without a network: it is the part of Node, or of the page in
// docs/site/explain. Every exchange is recorded.

const ALGORITHMS = {
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  "RSA-OAEP": { name: "RSA-OAEP", hash: "SHA-1" },
  "RSA-OAEP-256": { name: "RSA-OAEP", hash: "SHA-256" },
  "RSA-OAEP-384": { name: "RSA-OAEP", hash: "SHA-384" },
  "RSA-OAEP-512": { name: "RSA-OAEP", hash: "SHA-512" },
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
    return [response.status, header("content-type"), header("cache-control"), header("age"), header("retry-after"), bytes, header("dpop-nonce")];
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

  /** Decrypts the content of a token with a private JWK. Returns undefined if that fails, and null if the engine cannot use the key. */
  async decrypt(algorithm, encryption, key, encryptedKey, content, aad) {
    const imported = await crypto.subtle.importKey("jwk", JSON.parse(key), ALGORITHMS[algorithm], false, ["decrypt"]).catch(() => null);
    if (!imported) return null;
    try {
      const contentKey = await crypto.subtle.decrypt({ name: "RSA-OAEP" }, imported, encryptedKey);
      if (8 * contentKey.byteLength !== Number(encryption.slice(1, 4))) return undefined;
      const parameters = { name: "AES-GCM", iv: content.subarray(0, 12), additionalData: new TextEncoder().encode(aad) };
      const aes = await crypto.subtle.importKey("raw", contentKey, "AES-GCM", false, ["decrypt"]);
      return new Uint8Array(await crypto.subtle.decrypt(parameters, aes, content.subarray(12)));
    } catch {
      return undefined;
    }
  }

  /** Signs a message with a private JWK. Returns undefined if the key is refused, and null if the engine cannot sign with it. */
  async sign(algorithm, key, message) {
    try {
      const imported = await crypto.subtle.importKey("jwk", JSON.parse(key), ALGORITHMS[algorithm], false, ["sign"]);
      return new Uint8Array(await crypto.subtle.sign(ALGORITHMS[algorithm], imported, new TextEncoder().encode(message)));
    } catch (error) {
      return error.name === "NotSupportedError" ? null : undefined;
    }
  }

  log(line) {
    this.warnings.push(line);
  }
}
