/**
 * Verifies the tokens of an OAuth 2.0 or OpenID Connect provider.
 *
 * ```js
 * import { createVerifier } from "edgeward";
 *
 * const verifier = createVerifier({
 *   issuer: "https://tenant.us.auth0.com/", audience: "https://api.example.com", algorithms: ["RS256"],
 * });
 * const token = await verifier.verify(jwt);
 * token.payload.sub;
 * ```
 *
 * @module
 */

/**
 * A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). HMAC and `none` are not supported. The platform's Web Crypto verifies `ES256`, `ES384`
 * and `EdDSA`, asynchronously. `EdDSA` is Ed25519, and `Ed25519` another name of it.
 */
export type Algorithm = "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519";

/** One public key (RFC 7517 §4). */
export interface JSONWebKey {
  readonly kty?: string;
  readonly kid?: string;
  readonly use?: string;
  readonly key_ops?: readonly string[];
  readonly alg?: string;
  readonly n?: string;
  readonly e?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly [member: string]: unknown;
}

/** A set of public keys (RFC 7517 §5). Keys that cannot verify signatures are skipped. */
export interface JSONWebKeySet {
  readonly keys: readonly JSONWebKey[];
}

/** The source of the keys: a set, a URL, or neither, for the issuer's discovery document. */
export type KeySource = JwksSource | RemoteSource;

interface JwksSource {
  /** Static keys. They are never fetched: `verifySync` works at once, and rotating them takes a new verifier. */
  readonly jwks: JSONWebKeySet;
  readonly jwksUri?: never;
}

interface RemoteSource {
  readonly jwks?: never;
  /** URL of the JWKS: https, or http on loopback. Default: the one in the issuer's OpenID Connect discovery document. */
  readonly jwksUri?: string;
}

/** Rights of which all of `all`, and at least one of `any`, are required. */
export type AllOrAny =
  | { readonly all: string | readonly string[]; readonly any?: string | readonly string[] }
  | { readonly all?: never; readonly any: string | readonly string[] };

/** The conditions of a rule on a claim. All must be met; a claim that is absent, or neither a string, an array of strings nor a boolean, meets none. */
export interface ClaimConditions {
  /** It must be this string or boolean. */
  readonly equals?: string | boolean;
  /** It must be or contain one of these. */
  readonly any?: string | readonly string[];
  /** It must be or contain each of these. */
  readonly all?: string | readonly string[];
  /** It must neither be nor contain any of these. */
  readonly not?: string | readonly string[];
  /** It must be a string that begins with this. */
  readonly prefix?: string;
}

/** A rule on the claim of this name, or at this path. */
export interface ClaimRule extends ClaimConditions {
  readonly claim: string | readonly string[];
}

/** The rights that a token must grant. All that are named are required; a missing one is answered with 403. */
export interface Requirements {
  /** Scopes; the claim `scope`, else `scp`, must contain all of them. Or `{ any: […] }`. */
  readonly scopes?: string | readonly string[] | AllOrAny;
  /** Permissions; the claim `permissions` (Auth0's RBAC) must contain all of them. Or `{ any: […] }`. */
  readonly permissions?: string | readonly string[] | AllOrAny;
  /** Rules on other claims: the name of each with the string that it must be or its conditions, or a list of rules. */
  readonly claims?: Readonly<Record<string, string | boolean | ClaimConditions>> | readonly ClaimRule[];
  /** Roles, in a claim of your choice, for example `https://yourapp.com/roles`. */
  readonly roles?: {
    /**
     * The claim, or a path such as `["realm_access", "roles"]`: an array of strings, one string, or an object whose names are the roles,
     * except those with the value `null` or `false`.
     */
    readonly claim: string | readonly string[];
    /** Roles of which at least one is required. */
    readonly any?: string | readonly string[];
    /** Roles that are all required. */
    readonly all?: string | readonly string[];
  };
  /** Organizations, one of which must be the token's: `org_…` is compared with `org_id`, anything else with `org_name`. */
  readonly organizations?: string | readonly string[];
}

interface CommonOptions extends Requirements {
  /** The algorithms to accept: usually `["RS256"]`. */
  readonly algorithms: Algorithm | readonly Algorithm[];
  /** The tolerated difference between clocks, in **seconds**, at most 60. Default 5. */
  readonly clockSkew?: number;
  /** The maximum age of a token since `iat`, in **seconds**. Default: no limit. */
  readonly maxTokenAge?: number;
  /**
   * The clients (`client_id`, else `azp`) whose tokens are accepted. Default: any. ID tokens: accepted values of `azp` besides `clientId`.
   */
  readonly clients?: string | readonly string[];
  /** Further values of the header `typ` to accept. Default: `JWT`, for access tokens also `at+jwt`. */
  readonly types?: string | readonly string[];
  /** Hosts whose URLs may be http: `keys.internal`, or with a port `keys.internal:8080`. Default: only loopback. */
  readonly allowHttp?: string | readonly string[];
  /**
   * The tenants that `{tenantid}` in an issuer may stand for, or `any`: `iss` has the tenant of the claim `tid` in its place. Required for
   * such issuers.
   */
  readonly tenants?: "any" | string | readonly string[];
  /** Claims that every token must have. */
  readonly requiredClaims?: string | readonly string[];
  /** Sends the requests for keys. Default: the runtime's `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Returns the time in **seconds** since 1970. Default: the runtime's clock. */
  readonly now?: () => number;
  /** The timeout of a request for keys, in **milliseconds**, at most 30,000. Default 3,000. */
  readonly timeout?: number;
  /** The approximate number of verified **tokens** to cache, at most 65,536; 0 for none. Default 512. */
  readonly cacheSize?: number;
}

interface IdTokenPolicy extends CommonOptions {
  /** Verifies ID tokens (OpenID Connect Core §3.1.3.7). An access token never passes for one. */
  readonly kind: "id";
  /** The `nonce` sent with every login. Usually each login has its own, which is an option of `verify`. */
  readonly nonce?: string;
  /** Further audiences to trust. Default: none; a token that names another is refused. */
  readonly audience?: string | readonly string[];
  /** The same: further audiences to trust. */
  readonly trustedAudiences?: string | readonly string[];
  readonly profile?: OnlyForAccessTokens;
  readonly dpop?: OnlyForAccessTokens;
  readonly decryptionKeys?: OnlyForAccessTokens;
}

/** A private RSA key that decrypts access tokens. */
export interface DecryptionKey {
  /** PKCS#8 in PEM, or a JWK. */
  readonly key: string | JSONWebKey;
  /** The `kid` in the header of tokens. Default: that of the JWK, else the thumbprint of the public key. */
  readonly kid?: string;
  /** The only algorithm that it is for. Default: that of the JWK, else all but `RSA-OAEP`, which uses SHA-1. */
  readonly alg?: "RSA-OAEP-256" | "RSA-OAEP-384" | "RSA-OAEP-512" | "RSA-OAEP";
}

/** Remembers the proofs of possession that were used. */
export interface ReplayStore {
  /**
   * Returns whether no other request had this id, and remembers it until `expiresAt`, in **seconds** since 1970. Two calls with one id must
   * not both return `true`. If it throws, the request is answered with 503.
   */
  use(id: string, expiresAt: number): boolean | Promise<boolean>;
}

interface AccessTokenPolicy extends CommonOptions {
  /** The kind of token to verify. Default: access tokens. An ID token never passes for one. */
  readonly kind?: "access";
  /** The profile of access tokens: Auth0's (`auth0`), that of RFC 9068 (`rfc9068`), or both. Default `auto`. */
  readonly profile?: "auto" | "auth0" | "rfc9068";
  /** Your login client: its ID tokens are recognised, and the error says which token to send instead. */
  readonly clientId?: string;
  /**
   * Whether `authenticate` and the guards accept tokens that are bound to a key, with a proof (DPoP, RFC 9449): beside bearer tokens
   * (`allowed`), or alone (`required`). Default `off`. A bound token without proof is refused in any case.
   */
  readonly dpop?: "off" | "allowed" | "required";
  /** With `dpop`: the origins of your API as clients see them, such as `https://api.example.com`, which proofs must name. */
  readonly origins?: string | readonly string[];
  /** With `dpop`: remembers the proofs that were used, for all processes. Default: the memory of this one. */
  readonly replayStore?: ReplayStore;
  /**
   * Private keys that decrypt access tokens, which are signed inside (JWE). Default: none, and encrypted ones are refused. `verifySync` throws
   * `async_required` for those that are not cached.
   */
  readonly decryptionKeys?: readonly DecryptionKey[];
  readonly nonce?: OnlyForIdTokens;
  readonly trustedAudiences?: OnlyForIdTokens;
}

// Not `never`: with that, the compiler would take the options for those of the other kind and explain the wrong error.
interface OnlyForIdTokens {
  readonly "an option of ID tokens": never;
}
interface OnlyForAccessTokens {
  readonly "an option of access tokens": never;
}

/** One of several issuers. Options that it leaves out are those of the verifier. */
export type IssuerOptions = KeySource & {
  /** The exact issuer. A token is verified with the keys of the issuer it names, never with another's. */
  readonly issuer: string;
  readonly audience?: string | readonly string[] | false;
  readonly algorithms?: Algorithm | readonly Algorithm[];
  readonly clientId?: string;
};

interface NoSingleIssuer {
  readonly issuer?: never;
  readonly jwks?: never;
  readonly jwksUri?: never;
}

/** The options that each issuer may have for itself. */
interface PerIssuer {
  readonly audience: string | readonly string[] | false;
  readonly clientId: string;
  readonly algorithms: Algorithm | readonly Algorithm[];
}

type Own<K extends keyof PerIssuer> = IssuerOptions & Pick<PerIssuer, K>;

/** The option `N` and the algorithms are given beside `issuers` or in each of them. */
type SharedOrOwn<N extends keyof PerIssuer> =
  | ({ readonly issuers: readonly Own<N | "algorithms">[] } & Partial<Pick<PerIssuer, N | "algorithms">>)
  | ({ readonly issuers: readonly Own<"algorithms">[] } & Pick<PerIssuer, N> & Partial<Pick<PerIssuer, "algorithms">>)
  | ({ readonly issuers: readonly Own<N>[] } & Pick<PerIssuer, "algorithms"> & Partial<Pick<PerIssuer, N>>)
  | ({ readonly issuers: readonly IssuerOptions[] } & Pick<PerIssuer, N | "algorithms">);

interface SeveralIssuers extends Omit<AccessTokenPolicy, "algorithms">, NoSingleIssuer {}
interface SeveralIssuersOfIdTokens extends Omit<IdTokenPolicy, "algorithms">, NoSingleIssuer {}

/** Options for verifying ID tokens of several issuers. */
export type SeveralIssuersIdTokenOptions = SeveralIssuersOfIdTokens & SharedOrOwn<"clientId">;

/** Options for verifying access tokens of several issuers, each bound to its own keys. */
export type SeveralIssuersOptions = SeveralIssuers & SharedOrOwn<"audience">;

interface SingleIssuer {
  /** The exact issuer, with its trailing slash if it has one. */
  readonly issuer: string;
  readonly issuers?: never;
}

interface SingleIssuerIdTokenOptions extends IdTokenPolicy, SingleIssuer {
  /** Your client: the audience of its ID tokens. */
  readonly clientId: string;
}

interface SingleIssuerOptions extends AccessTokenPolicy, SingleIssuer {
  /**
   * The audiences of your API: the token must name at least one. Compared exactly. `false`, only together with `clients`: tokens without an
   * audience; one that has an audience is refused.
   */
  readonly audience: string | readonly string[] | false;
}

/** Options for verifying ID tokens of one issuer. */
export type IdTokenOptions = SingleIssuerIdTokenOptions & KeySource;

/** Options for verifying access tokens of one issuer. Issuer, audience and algorithms have no defaults. */
export type AccessTokenOptions = SingleIssuerOptions & KeySource;

/** The options of every kind of verifier. At run time, all options must be plain objects: inherited and hidden members are refused. */
export type VerifierOptions = SeveralIssuersIdTokenOptions | SeveralIssuersOptions | IdTokenOptions | AccessTokenOptions;

/** The options of one call. */
export interface VerifyOptions extends Requirements {
  /** Audiences that `aud` must all contain, beyond those of the verifier. */
  readonly audience?: string | readonly string[];
  /** ID tokens: the `nonce` sent with this login. */
  readonly nonce?: string;
  /** ID tokens: the access token issued with it. If the ID token has `at_hash`, it must match. */
  readonly accessToken?: string;
  /** Ends the wait for keys. The request continues for other calls. */
  readonly signal?: AbortSignal | undefined;
  /** Extends the life of background work beyond the response: `(work) => ctx.waitUntil(work)` in Workers. Whether it fails decides nothing. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** The header of a token (RFC 7515 §4). */
export interface TokenHeader {
  readonly alg: Algorithm;
  readonly kid?: string;
  readonly typ?: string;
  readonly [parameter: string]: unknown;
}

/**
 * The claims of an access token. The types of `iss`, `aud`, `exp`, `nbf`, `iat` and `sub` were checked. The others are as the provider sent
 * them: checked only where an option reads them.
 */
export interface AccessTokenPayload {
  readonly iss: string;
  /** Absent only with the option `audience: false`. */
  readonly aud: string | readonly string[];
  /** Expiry, in seconds since 1970. */
  readonly exp: number;
  /** Start of validity, in seconds since 1970. */
  readonly nbf?: number;
  /** Time of issue, in seconds since 1970. */
  readonly iat?: number;
  readonly sub?: string;
  readonly jti?: string;
  readonly azp?: string;
  readonly client_id?: string;
  readonly scope?: string | readonly string[];
  readonly scp?: string | readonly string[];
  readonly permissions?: readonly string[];
  readonly org_id?: string | null;
  readonly org_name?: string | null;
  readonly [claim: string]: unknown;
}

/** The claims of an ID token (OpenID Connect Core §2). */
export interface IdTokenPayload extends AccessTokenPayload {
  readonly sub: string;
  /** Time of issue, in seconds since 1970. */
  readonly iat: number;
  readonly nonce?: string;
  readonly at_hash?: string;
}

/**
 * A verified token: header and claims are authentic. Loggers and consoles show algorithm, key and claims, never the token itself.
 */
export interface VerifiedToken<Payload = AccessTokenPayload> {
  /** The claims. Parsed when first read. */
  readonly payload: Payload;
  /** The header. Parsed when first read. */
  readonly header: TokenHeader;
  /** The header, under the name that jose gives it. */
  readonly protectedHeader: TokenHeader;
  /** The token itself, for example to pass it on. */
  readonly token: string;
  /** The scopes in `scope`, else in `scp`; empty if there are none. */
  readonly scopes: string[];
  /** The claim `permissions`; empty if there is none, or if it is no array of strings. */
  readonly permissions: string[];
  /** Returns algorithm, key and claims, for `JSON.stringify`. */
  toJSON(): { header: { alg: Algorithm; kid: string | undefined }; payload: Payload };
}

/** A key that an issuer publishes. */
export interface PublishedKey {
  readonly kid: string | null;
  /** Whether it can verify tokens under the verifier's `algorithms`. */
  readonly usable: boolean;
  /** Why it cannot. */
  readonly reason?: string;
}

/** The status of one issuer's keys. */
export interface KeyStatus {
  readonly issuer: string;
  /** Whether a key set is loaded. */
  readonly loaded: boolean;
  /** The ids of the usable keys; `null` for one without an id. */
  readonly kids: readonly (string | null)[];
  /** The number of keys in the set that cannot be used. */
  readonly skipped: number;
  /** Every key of the set. */
  readonly keys: readonly PublishedKey[];
  /** Why the last fetch failed: the code of the error, and what is wrong. */
  readonly failure?: { readonly code: EdgewardErrorCode; readonly reason: string };
  /** When the set was fetched, in **seconds** since 1970. Absent for static keys. */
  readonly fetchedAt?: number;
  /** Until when the set is used without another fetch, in **seconds** since 1970. Absent for static keys. */
  readonly freshUntil?: number;
}

/**
 * A request as `authenticate` and guards read it: a web `Request`, or Node's `IncomingMessage` or `Http2ServerRequest`. Of an object with `headers`
 * alone, a repeated header cannot be told from a single one: pass the request itself.
 */
export type AnyRequest =
  | { readonly headers: { get(name: string): string | null }; readonly method?: string; readonly url?: string }
  | {
      readonly headers: { readonly authorization?: string | undefined };
      readonly headersDistinct?: { readonly authorization?: string[] | undefined };
      /** Names and values by turns. */
      readonly rawHeaders?: readonly string[] | undefined;
      readonly method?: string | undefined;
      readonly url?: string | undefined;
    };

/**
 * Verifies tokens by one policy. Create one and reuse it: it holds the keys. The functions can be destructured:
 *
 * ```js
 * const { verify, verifySync } = createVerifier(options);
 * ```
 */
export interface Verifier<Payload = AccessTokenPayload> {
  /**
   * Verifies a token, fetching keys when necessary.
   *
   * @throws {EdgewardError} on every failure
   */
  verify(this: void, token: string, options?: VerifyOptions): Promise<VerifiedToken<Payload>>;

  /**
   * Verifies a token with the keys at hand. Before the first load it throws `keys_not_loaded` and starts to load them. For `ES256`, `ES384`,
   * `EdDSA` and encrypted tokens it throws `async_required`, unless the token is cached: only `verify` waits for the platform.
   *
   * @throws {EdgewardError} on every failure
   */
  verifySync(this: void, token: string, options?: Omit<VerifyOptions, "signal">): VerifiedToken<Payload>;

  /**
   * Verifies the bearer token in a request's `Authorization` header (RFC 6750 §2.1): one header, one token, none in the query. With `dpop`, also
   * a token with the scheme `DPoP`, and the proof in the header `DPoP`, which counts for one request: this object may be checked again.
   *
   * @throws {EdgewardError} on every failure; `token_missing` if there is no token
   */
  authenticate(this: void, request: AnyRequest, options?: VerifyOptions): Promise<VerifiedToken<Payload>>;

  /**
   * Loads the keys of every issuer that lacks fresh ones.
   *
   * @throws {EdgewardError} if an issuer's keys cannot be loaded
   */
  load(this: void, options?: Pick<VerifyOptions, "signal" | "waitUntil">): Promise<KeyStatus[]>;

  /** Returns the status of each issuer's keys: what it publishes, which of it is usable, and why the rest is not. Fetches nothing. */
  keys(this: void): KeyStatus[];

  /** Frees the verifier's keys and memory early: `using verifier = createVerifier(…)`. */
  [Symbol.dispose](): void;
}

// Where the library `esnext.disposable` is absent, these stand in for it; where it is present, they merge with it.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
}

interface ByKind {
  readonly access: { readonly options: AccessTokenOptions | SeveralIssuersOptions; readonly payload: AccessTokenPayload };
  readonly id: { readonly options: IdTokenOptions | SeveralIssuersIdTokenOptions; readonly payload: IdTokenPayload };
}

/**
 * Creates a verifier of access tokens, or with `kind: "id"` of ID tokens. `Claims` are the types of your own claims, which are not checked.
 * `Kind` is inferred from `kind`; beside `Claims` it must be given, or may be either.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function createVerifier<Claims = unknown, const Kind extends keyof ByKind = unknown extends Claims ? "access" : keyof ByKind>(
  options: ByKind[Kind]["options"] & { readonly kind?: Kind },
): Verifier<ByKind[Kind]["payload"] & Claims>;

/** The requirements of a route, for an existing verifier. */
export interface RouteOptions<Payload = AccessTokenPayload, Required extends boolean = boolean> extends Requirements {
  readonly verifier: Verifier<Payload>;
  /** Audiences that `aud` must all contain, beyond those of the verifier. */
  readonly audience?: string | readonly string[];
  /** `false` lets requests without a token pass, with `undefined` for the token. An invalid token is still refused. */
  readonly required?: Required;
}

/** The options of a route that gets its own verifier. */
export type RouteWithVerifierOptions<Required extends boolean = boolean> = (AccessTokenOptions | SeveralIssuersOptions) & {
  readonly verifier?: never;
  /** `false` lets requests without a token pass, with `undefined` for the token. An invalid token is still refused. */
  readonly required?: Required;
};

/** The token of a guarded request: `undefined` is possible only with `required: false`. */
export type GuardedToken<Payload = AccessTokenPayload, Required extends boolean = true> =
  | VerifiedToken<Payload>
  | (false extends Required ? undefined : never);

/**
 * Wraps a handler of web requests so that it runs only with an accepted token, its second argument. All other requests are answered with
 * 401, 403, 400 or 503, `WWW-Authenticate`, and a problem document (RFC 9457). CORS preflights carry no token: answer them first.
 *
 * ```js
 * export default { fetch: protect((request, token) => Response.json({ user: token.payload.sub }), { verifier }) };
 * ```
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function protect<R extends AnyRequest, A extends unknown[], P = AccessTokenPayload, const Required extends boolean = true>(
  handler: (request: R, token: GuardedToken<P, Required>, ...rest: A) => Response | Promise<Response>,
  options: (RouteOptions<P, Required> | RouteWithVerifierOptions<Required>) & {
    /** Makes the response to a refused request, in place of `error.toResponse()`. */
    readonly onError?: (error: EdgewardError, request: R, ...rest: A) => Response | Promise<Response>;
  },
): (request: R, ...rest: A) => Promise<Response>;

/**
 * Checks a request, a web `Request` or one of Node. Returned by `guard`. `Absent` is `never` if a token is required, else
 * `undefined`.
 */
export type Guard<Payload = AccessTokenPayload, Absent extends undefined = undefined> = (
  request: AnyRequest,
  waitUntil?: (work: Promise<unknown>) => void,
) => Promise<VerifiedToken<Payload> | Absent>;

/**
 * Returns the check of `protect` alone, for other frameworks: a function from a request to its token, or to `undefined` where none is
 * required. It throws an `EdgewardError`, which holds the response.
 *
 * ```js
 * const check = guard({ verifier, scopes: ["read:items"] });
 * const token = await check(request);
 * ```
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function guard<P = AccessTokenPayload, const Required extends boolean = true>(
  options: RouteOptions<P, Required> | RouteWithVerifierOptions<Required>,
): Guard<P, false extends Required ? undefined : never>;

/**
 * Decodes a token **without checking anything**: not its signature, its expiry or its audience. Never base a decision on it.
 *
 * @throws {EdgewardError} `token_malformed`
 */
export function decodeUnverified(token: string): {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** The codes of errors. They are never changed or reused. */
export type EdgewardErrorCode =
  // 401: there is no token, or it is refused.
  | "token_missing"
  | "token_too_large"
  | "token_malformed"
  | "token_encrypted"
  | "decryption_failed"
  | "alg_not_allowed"
  | "crit_not_supported"
  | "b64_not_supported"
  | "key_not_found"
  | "key_ambiguous"
  | "key_alg_mismatch"
  | "signature_invalid"
  | "typ_not_allowed"
  | "token_kind_mismatch"
  | "claim_malformed"
  | "claim_missing"
  | "claim_mismatch"
  | "issuer_mismatch"
  | "audience_mismatch"
  | "token_expired"
  | "token_not_yet_valid"
  | "token_issued_in_future"
  | "token_too_old"
  | "token_sender_constrained"
  | "token_not_bound"
  | "dpop_proof_missing"
  | "dpop_proof_invalid"
  | "dpop_proof_replayed"
  | "dpop_nonce_required"
  | "certificate_missing"
  | "certificate_not_verified"
  | "certificate_mismatch"
  | "nonce_mismatch"
  | "azp_mismatch"
  | "at_hash_mismatch"
  // 403: the token is genuine but lacks a right.
  | "client_not_allowed"
  | "insufficient_scope"
  | "insufficient_permissions"
  | "permissions_claim_missing"
  | "insufficient_role"
  | "roles_claim_missing"
  | "organization_not_allowed"
  | "audience_not_allowed"
  | "claim_not_allowed"
  // 400: the request carries a token in a way that is not allowed.
  | "invalid_request"
  // 503: there are no keys to verify with.
  | "jwks_unreachable"
  | "jwks_invalid"
  | "jwks_no_usable_key"
  | "algorithm_unsupported"
  | "discovery_unreachable"
  | "discovery_invalid"
  | "discovery_issuer_mismatch"
  | "keys_not_loaded"
  | "aborted"
  // 503: it is unknown whether a proof was used before.
  | "replay_check_unavailable"
  // 500: `verifySync` cannot wait for the platform.
  | "async_required"
  // 500: an error in the options, or in this package.
  | "options_invalid"
  | "internal_error";

/** Why there is no verified token: a stable code, a message, and the HTTP response. Never holds the token. */
export class EdgewardError extends Error {
  private constructor();
  readonly name: "EdgewardError";
  /** The stable code. */
  readonly code: EdgewardErrorCode;
  /** The HTTP status of the response. */
  readonly status: 400 | 401 | 403 | 500 | 503;
  /** The header `WWW-Authenticate` (RFC 6750 §3) of the response. Absent if the token is not the reason. */
  readonly wwwAuthenticate: string | undefined;
  /** When to try again, in **seconds** from now, if the keys could not be loaded. */
  readonly retryAfter: number | undefined;
  /** The headers of the response. */
  readonly headers: Record<string, string>;
  /** The body of the response: a problem document (RFC 9457). */
  readonly body: string;
  /** The claim concerned, if the error is about one. */
  readonly claim?: string;
  /** The accepted values, if values were compared. */
  readonly expected: readonly string[] | undefined;
  /** The token's values, if values were compared. They may be personal data: consoles and `JSON.stringify` do not show them. */
  readonly found: readonly string[] | undefined;
  /** The underlying error, for example the one that `fetch` threw. */
  readonly cause?: unknown;
  /** Returns the response. */
  toResponse(): Response;
  /** Returns name, code, status and message, for `JSON.stringify`. */
  toJSON(): { name: "EdgewardError"; code: EdgewardErrorCode; status: number; message: string };
}
