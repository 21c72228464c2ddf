/**
 * An issuer in memory, for tests of code that verifies tokens, and of gateways. Never configure one in production: it signs whatever it is asked
 * to. Its keys are made when it is created and cannot be exported, so that its tokens are valid for verifiers of the same test only.
 *
 * ```js
 * import { createVerifier } from "edgeward";
 * import { createIssuer } from "edgeward/testing";
 *
 * const issuer = await createIssuer();
 * const verifier = createVerifier(issuer.verifierOptions({ audience: "https://api.example.com" }));
 * const token = await issuer.mint({ claims: { aud: "https://api.example.com", scope: "read:items" } });
 * (await verifier.verify(token)).scopes; // ["read:items"]
 * ```
 *
 * @module
 */
import type { Algorithm, JSONWebKeySet } from "./index.js";

/** An algorithm that a test issuer signs with. */
export type TestAlgorithm = Exclude<Algorithm, "Ed25519">;

/** Options of `createIssuer`. */
export interface TestIssuerOptions {
  /** The `iss` of its tokens. Default: `https://issuer.test/`. */
  readonly issuer?: string;
  /** The algorithms to make a key for; the first signs by default. Default: `["RS256"]`. */
  readonly algorithms?: readonly TestAlgorithm[];
  /** The `client_id` of access tokens and the `aud` of ID tokens. Default: `test-client`. */
  readonly clientId?: string;
}

/** A token to mint. */
export interface TestToken {
  /**
   * Claims that are added to `iss`, `sub` (`user-1`), `iat` and `exp` (ten minutes later), or replace them; `undefined` removes one. Access tokens need
   * an `aud`.
   */
  readonly claims?: { readonly [name: string]: unknown };
  /** Header parameters that replace `alg`, `kid` and `typ`, whatever the token is signed with; `undefined` removes one. */
  readonly header?: { readonly [name: string]: unknown };
  /** The algorithm to sign with, one of the issuer's. */
  readonly algorithm?: TestAlgorithm;
  /** The key to sign with, even if it is no longer published: `RS256-1` is the first key of RS256, `RS256-2` that of the first rotation. */
  readonly kid?: string;
  /** An access token (RFC 9068), the default, or an ID token. */
  readonly kind?: "access" | "id";
}

/** A user to log in. */
export interface TestLogin {
  /** The gateway's origin: that of `authorizer.redirect_uri`. */
  readonly site: string;
  /** The login route. Default: `/.well-known/edgeward/login`. */
  readonly path?: string;
  /** Claims of the ID token: `sub` (default `user-1`), `email`, roles, … */
  readonly claims?: { readonly [name: string]: unknown };
  /** Claims of the access token: `permissions`, roles, … Default of `scope`: the one requested; of `aud`: the audience requested. */
  readonly accessClaims?: { readonly [name: string]: unknown };
}

/** An issuer in memory. */
export interface TestIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;

  /** The requests received, the oldest first. */
  readonly requests: { readonly method: string; readonly url: string }[];

  /** Answers requests for its discovery document, its keys and, for gateways, tokens; all others with 404. Can be destructured. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

  /** Returns the time in seconds since 1970, as shifted. Can be destructured. */
  readonly now: () => number;

  /** Returns the options of a verifier that trusts this issuer and uses its clock, with yours added. */
  verifierOptions<const Given extends object>(
    options: Given,
  ): Omit<{ issuer: string; algorithms: TestAlgorithm[]; fetch: TestIssuer["fetch"]; now: () => number }, keyof Given> & Given;

  /** Returns the public keys. */
  jwks(): JSONWebKeySet;

  /** Signs a token. */
  mint(token?: TestToken): Promise<string>;

  /** Makes new keys, which sign from now on. The earlier ones stay published, unless `keep` is false. */
  rotate(options?: { readonly keep?: boolean }): Promise<void>;

  /** Lets all requests fail: with a network error, or with this status. */
  down(status?: number): void;

  /** Ends an outage. */
  up(): void;

  /** Shifts the clock of `now` and of new tokens by so many seconds, forward or back. */
  shift(seconds: number): void;

  /**
   * Logs a user in through a gateway whose requests to the issuer reach `fetch`, and returns the session as the value of a `Cookie` header. `send`
   * sends a request to the gateway, without following redirects. The gateway itself seals the session: it is as valid as any other.
   */
  signIn(send: (request: Request) => Response | Promise<Response>, login: TestLogin): Promise<string>;
}

/** Creates an issuer and its keys. */
export function createIssuer(options?: TestIssuerOptions): Promise<TestIssuer>;
