// The host of the page. Nothing is sent: what the gateway would fetch is the pasted key set, or missing.

import { BaseHost } from "../../../pkg/src/cli/base-host.js";

export class OfflineHost extends BaseHost {
  /** The addresses that the gateway would have fetched, without a pasted key set. */
  missing = new Set();
  /** Whether the pasted key set was used. */
  hasUsedKeys = false;

  #discovery;
  #keySet;
  #clock;

  /** `issuers`: those of the configuration; `keySet`: a text, or undefined; `clock`: a fixed time in milliseconds, or undefined. */
  constructor({ issuers, keySet, clock }) {
    super({ isReadOnly: true });
    // The metadata of all tenants together is under `common`.
    this.#discovery = new Map(issuers.map((issuer) => [`${issuer.replace("{tenantid}", "common").replace(/\/+$/, "")}/.well-known/openid-configuration`, issuer]));
    this.#keySet = keySet;
    this.#clock = clock;
  }

  now() {
    return this.#clock ?? super.now();
  }

  async exchange(url) {
    if (this.#keySet === undefined) {
      this.missing.add(url);
      return { failure: "this page fetches nothing", isNetwork: false };
    }
    this.hasUsedKeys = true;
    const issuer = this.#discovery.get(url);
    const text = issuer === undefined ? this.#keySet : JSON.stringify({ issuer, jwks_uri: `${new URL(issuer).origin}/pasted-key-set` });
    return { response: { status: 200, headers: new Headers({ "content-type": "application/json" }) }, bytes: new TextEncoder().encode(text) };
  }
}
