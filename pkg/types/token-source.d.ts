/**
 * Access tokens for calls to other APIs, by client credentials (RFC 6749 §4.4): requested once, and reused until shortly before they expire.
 *
 * ```js
 * import { createTokenSource } from "edgeward/token-source";
 *
 * const orders = createTokenSource({
 *   issuer: "https://tenant.us.auth0.com/", clientId: "client-id", clientSecret: "client-secret",
 *   audience: "https://orders.example.com", scope: "read:orders",
 * });
 * const response = await orders.fetch("https://orders.internal.example.com/items");
 * ```
 *
 * @module
 */

import type { JSONWebKey } from "./index.js";

/** Where tokens come from. */
export type TokenEndpoint =
  | {
      /** The issuer, exactly as in its discovery document, which names the token endpoint: https, or http on loopback. */
      readonly issuer: string;
      readonly tokenEndpoint?: never;
    }
  | {
      readonly issuer?: never;
      /** URL of the token endpoint: https, or http on loopback. */
      readonly tokenEndpoint: string;
    };

/** A private key: PKCS#8 in PEM, or a JWK. RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519. */
export type PrivateKey = string | JSONWebKey;

/** How the client authenticates at the provider. */
export type ClientAuthentication =
  | {
      /** With its secret, in the form or in a header. Default: `client_secret_post`. */
      readonly clientAuth?: "client_secret_post" | "client_secret_basic";
      /** The client's secret. Of a list the first is used, and the next is tried once when the provider answers `invalid_client`. */
      readonly clientSecret: string | readonly string[];
      readonly privateKey?: never;
      readonly privateKeyAlg?: never;
    }
  | {
      /** With an assertion that it signs for each request, for the issuer and a minute. */
      readonly clientAuth: "private_key_jwt";
      /** The issuer, which is the audience of assertions. */
      readonly issuer: string;
      /**
       * The private key. Its `kid` is that of the JWK, else the thumbprint of the public key (RFC 7638). Of a list the first signs, and the next is
       * tried once when the provider answers `invalid_client`.
       */
      readonly privateKey: PrivateKey | readonly PrivateKey[];
      /** The algorithm registered for the key. Default: the `alg` of the JWK, else `RS256`, `ES256`, `ES384` or `EdDSA`, by its type. */
      readonly privateKeyAlg?: "RS256" | "RS384" | "PS256" | "ES256" | "ES384" | "EdDSA";
      readonly clientSecret?: never;
    };

/** The options of a token source. */
export type TokenSourceOptions = TokenEndpoint & ClientAuthentication & {
  /** The client at the provider. */
  readonly clientId: string;
  /** The API that the token is for, as Auth0 and others expect it. */
  readonly audience?: string;
  /** The API that the token is for, as a resource indicator (RFC 8707). */
  readonly resource?: string;
  /** The scopes to request, separated by spaces. */
  readonly scope?: string;
  /** The organization on whose behalf the client calls, at Auth0. */
  readonly organization?: string;
  /** Used in place of the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** How long the provider may take, in **seconds**, at most 10. Default 10. */
  readonly timeout?: number;
  /** The clock, in **seconds** since 1970. */
  readonly now?: () => number;
};

/** The options of one call. */
export interface GetTokenOptions {
  /** Ends the wait of this call. A request to the provider that others wait for continues. */
  readonly signal?: AbortSignal;
  /** Keeps the request alive when the caller's has ended: `ctx.waitUntil` of a Worker. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
}

/** A source of tokens with one audience and scope. Create it once and share it: it holds the token. */
export interface TokenSource {
  /**
   * Returns a token, from memory if possible. Concurrent calls share one request. After a failure, nothing is requested before the provider's
   * `Retry-After`, or a growing pause of 1 to 30 seconds.
   *
   * @throws {TokenSourceError}
   */
  readonly getToken: (options?: GetTokenOptions) => Promise<string>;
  /**
   * Like the global `fetch`, with the token as `Authorization`. Redirects are not followed unless `redirect` says so, and nothing is sent twice.
   *
   * @throws {TokenSourceError} if there is no token; else what `fetch` throws
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
}

/** Creates a token source. Nothing is requested before the first call.
 *
 * @throws {TokenSourceError} `options_invalid`, naming the option
 */
export function createTokenSource(options: TokenSourceOptions): TokenSource;

/** Why there is no token. */
export class TokenSourceError extends Error {
  private constructor();
  /** `upstream_token_refused`: by the provider. `upstream_token_unavailable`: try again after `retryAfter`. */
  readonly code: "upstream_token_refused" | "upstream_token_unavailable" | "options_invalid" | "aborted";
  /** The provider's error code, such as `invalid_client`, if it refused. */
  readonly error?: string;
  /** Seconds until a token is requested again. */
  readonly retryAfter?: number;
}
