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

/** A signature algorithm (RFC 7518 §3.1). There are no others, and neither `none` nor HMAC. */
export type Algorithm = "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512";

/** One public key (RFC 7517 §4). */
export interface JSONWebKey {
  readonly kty?: string;
  readonly kid?: string;
  readonly use?: string;
  readonly key_ops?: readonly string[];
  readonly alg?: string;
  readonly n?: string;
  readonly e?: string;
  readonly [member: string]: unknown;
}

/** A set of public keys (RFC 7517 §5). Keys that cannot verify RS or PS signatures are skipped. */
export interface JSONWebKeySet {
  readonly keys: readonly JSONWebKey[];
}

/** Where keys come from: a set, a URL, or neither, for the issuer's discovery document. Never both. */
export type KeySource =
  | {
      /** Static keys. They are never fetched, so `verifySync` works at once; rotating them takes a new verifier. */
      readonly jwks: JSONWebKeySet;
      readonly jwksUri?: never;
    }
  | {
      readonly jwks?: never;
      /** URL of the JWKS: https, or http on this machine. Without it: OpenID Connect discovery from the issuer. */
      readonly jwksUri?: string;
    };

/** What a token must give its holder the right to. All that is named is demanded; a missing right is answered with 403. */
export interface Requirements {
  /** Every one must be a word of the claim `scope`. */
  readonly scopes?: string | readonly string[];
  /** Every one must be in the claim `permissions` (Auth0's RBAC). */
  readonly permissions?: string | readonly string[];
  /** Roles, in a claim that you name, for example `https://yourapp.com/roles`. */
  readonly roles?: {
    /** The claim: an array of texts, or one text. */
    readonly claim: string;
    /** At least one of these must be there. */
    readonly any?: readonly string[];
    /** Every one of these must be there. */
    readonly all?: readonly string[];
  };
  /** At least one must be the token's organization: `org_…` is compared with `org_id`, anything else with `org_name`. */
  readonly organizations?: string | readonly string[];
}

interface CommonOptions extends Requirements {
  /** Tolerated difference of clocks in seconds, at most 60. Default 5. */
  readonly clockSkew?: number;
  /** Tokens must have been issued at most so many seconds ago. */
  readonly maxTokenAge?: number;
  /** Claims that must be there. */
  readonly requiredClaims?: readonly string[];
  /** Sends the requests for keys. Default: the runtime's own `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** The time in **seconds** since 1970. Default: the runtime's clock. */
  readonly now?: () => number;
  /** Time for one request for keys, in milliseconds, at most 30,000. Default 3,000. */
  readonly timeout?: number;
  /** About how many verified tokens are kept, so that they are not verified again; 0 for none. Default 512. */
  readonly cacheSize?: number;
}

interface AccessTokenPolicy extends CommonOptions {
  /** What is verified. Default: access tokens. An ID token never passes for one. */
  readonly kind?: "access";
  /** Auth0's access tokens (`auth0`), those of RFC 9068 (`rfc9068`), or both. Default `auto`. */
  readonly profile?: "auto" | "auth0" | "rfc9068";
  /** Only tokens of these clients (`client_id`, else `azp`). Default: any. */
  readonly clients?: readonly string[];
  /** Your login client, so that its ID tokens are recognised and the answer says what to send instead. */
  readonly clientId?: string;
  readonly nonce?: never;
}

interface IdTokenPolicy extends CommonOptions {
  /** Verifies ID tokens (OpenID Connect Core §3.1.3.7). An access token never passes for one. */
  readonly kind: "id";
  /** The `nonce` sent with every login. Usually each login has its own: give that to `verify`. */
  readonly nonce?: string;
  readonly profile?: never;
  readonly clients?: never;
}

/** Options for verifying access tokens of one issuer. Issuer, audience and algorithms have no defaults. */
export type AccessTokenOptions = AccessTokenPolicy &
  KeySource & {
    /** The exact issuer, with its closing slash if it has one. */
    readonly issuer: string;
    /** The token must be for at least one of these. Compared exactly. */
    readonly audience: string | readonly string[];
    /** The algorithms that are accepted: usually `["RS256"]`. */
    readonly algorithms: readonly Algorithm[];
    readonly issuers?: never;
  };

/** Options for verifying ID tokens of one issuer. */
export type IdTokenOptions = IdTokenPolicy &
  KeySource & {
    /** The exact issuer, with its closing slash if it has one. */
    readonly issuer: string;
    /** Your client: the audience of its ID tokens. */
    readonly clientId: string;
    /** Further audiences that you trust. Default: none, a token that names another is refused. */
    readonly audience?: string | readonly string[];
    /** The algorithms that are accepted: usually `["RS256"]`. */
    readonly algorithms: readonly Algorithm[];
    readonly issuers?: never;
  };

/** One issuer of several. What it does not say itself, the verifier's options say for all. */
export type IssuerOptions = KeySource & {
  /** The exact issuer. A token is verified with the keys of the issuer it names and with no other's. */
  readonly issuer: string;
  readonly audience?: string | readonly string[];
  readonly algorithms?: readonly Algorithm[];
  readonly clientId?: string;
};

interface NoSingleIssuer {
  readonly issuer?: never;
  readonly jwks?: never;
  readonly jwksUri?: never;
}

/** What issuers may have each for itself, or all together. */
interface Shared {
  readonly audience: string | readonly string[];
  readonly clientId: string;
  readonly algorithms: readonly Algorithm[];
}

type Own<K extends keyof Shared> = IssuerOptions & Pick<Shared, K>;

/** `N` and the algorithms stand beside `issuers`, or every entry has them. */
type SharedOrOwn<N extends keyof Shared> =
  | ({ readonly issuers: readonly IssuerOptions[] } & Pick<Shared, N | "algorithms">)
  | ({ readonly issuers: readonly Own<N>[] } & Pick<Shared, "algorithms"> & Partial<Pick<Shared, N>>)
  | ({ readonly issuers: readonly Own<"algorithms">[] } & Pick<Shared, N> & Partial<Pick<Shared, "algorithms">>)
  | ({ readonly issuers: readonly Own<N | "algorithms">[] } & Partial<Pick<Shared, N | "algorithms">>);

/** Options for verifying access tokens of several issuers, each bound to its own keys. */
export type SeveralIssuersOptions = AccessTokenPolicy & NoSingleIssuer & SharedOrOwn<"audience">;

/** Options for verifying ID tokens of several issuers. */
export type SeveralIssuersIdTokenOptions = IdTokenPolicy &
  NoSingleIssuer &
  SharedOrOwn<"clientId"> & { readonly audience?: string | readonly string[] };

/** All forms of options. */
export type VerifierOptions = AccessTokenOptions | IdTokenOptions | SeveralIssuersOptions | SeveralIssuersIdTokenOptions;

/** Options of one call. */
export interface VerifyOptions extends Requirements {
  /** Every one must be in `aud`, beyond what the verifier demands. */
  readonly audience?: string | readonly string[];
  /** ID tokens: the `nonce` sent with this login. */
  readonly nonce?: string;
  /** ID tokens: the access token that came with it. If the ID token has `at_hash`, it must match. */
  readonly accessToken?: string;
  /** Ends the wait for keys. The request goes on, for others that need it. */
  readonly signal?: AbortSignal;
  /** Keeps background work alive after the answer: `(work) => ctx.waitUntil(work)` in Workers. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
}

/** The header of a token (RFC 7515 §4). */
export interface TokenHeader {
  readonly alg: Algorithm;
  readonly kid?: string;
  readonly typ?: string;
  readonly [parameter: string]: unknown;
}

/** The claims of an access token. Those named here were checked for their types; all others may be anything. */
export interface AccessTokenPayload {
  readonly iss: string;
  readonly aud: string | readonly string[];
  readonly exp: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly sub?: string;
  readonly jti?: string;
  readonly azp?: string;
  readonly client_id?: string;
  readonly scope?: string;
  readonly permissions?: readonly string[];
  readonly org_id?: string;
  readonly org_name?: string;
  readonly [claim: string]: unknown;
}

/** The claims of an ID token (OpenID Connect Core §2). */
export interface IdTokenPayload extends AccessTokenPayload {
  readonly sub: string;
  readonly iat: number;
  readonly nonce?: string;
  readonly at_hash?: string;
}

/** A token that passed. Header and claims are authentic. */
export interface VerifiedToken<Payload = AccessTokenPayload> {
  /** The claims. Parsed when first read. */
  readonly payload: Payload;
  /** The header. Parsed when first read. */
  readonly header: TokenHeader;
  /** The words of `scope`; empty if there is none. */
  readonly scopes: string[];
  /** The claim `permissions`; empty if there is none. */
  readonly permissions: string[];
}

/** What is held of one issuer's keys. */
export interface KeyStatus {
  readonly issuer: string;
  /** Whether there is a set at all. */
  readonly loaded: boolean;
  /** The ids of the usable keys; `null` for one without an id. */
  readonly kids: readonly (string | null)[];
  /** How many keys of the set cannot be used. */
  readonly skipped: number;
  /** When the set was fetched, in seconds since 1970. Absent for static keys. */
  readonly fetchedAt?: number;
  /** Until when it is used without asking again, in seconds since 1970. Absent for static keys. */
  readonly freshUntil?: number;
}

/** A request as `authenticate` and guards read it: the web's `Request`, or Node's `IncomingMessage`. */
export type AnyRequest =
  | { readonly headers: { get(name: string): string | null }; readonly url?: string }
  | {
      readonly headers: { readonly authorization?: string | undefined };
      readonly headersDistinct?: { readonly authorization?: string[] | undefined };
      readonly url?: string | undefined;
    };

/** Verifies tokens by one policy. Make one and keep it: it holds the keys. */
export interface Verifier<Payload = AccessTokenPayload> {
  /**
   * Verifies a token, fetching keys when they are needed.
   *
   * @throws {EdgewardError} whatever goes wrong
   */
  verify(token: string, options?: VerifyOptions): Promise<VerifiedToken<Payload>>;

  /**
   * The same verdict without a wait. Before the keys were first loaded it throws `keys_not_loaded` and starts to load them.
   *
   * @throws {EdgewardError} whatever goes wrong
   */
  verifySync(token: string, options?: Omit<VerifyOptions, "signal">): VerifiedToken<Payload>;

  /**
   * Verifies the bearer token of a request's `Authorization` header (RFC 6750 §2.1): one header, one token, none in the query.
   *
   * @throws {EdgewardError} whatever goes wrong; `token_missing` if there is no token
   */
  authenticate(request: AnyRequest, options?: VerifyOptions): Promise<VerifiedToken<Payload>>;

  /**
   * Loads the keys of every issuer whose keys are not there and fresh.
   *
   * @throws {EdgewardError} if an issuer's keys cannot be had
   */
  load(options?: { readonly signal?: AbortSignal }): Promise<KeyStatus[]>;

  /** What is held of each issuer's keys. */
  keys(): KeyStatus[];
}

/**
 * Makes a verifier of ID tokens.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function createVerifier<Claims = unknown>(
  options: IdTokenOptions | SeveralIssuersIdTokenOptions,
): Verifier<IdTokenPayload & Claims>;
/**
 * Makes a verifier of access tokens. `Claims` are the types of your own claims: they are not checked.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function createVerifier<Claims = unknown>(
  options: AccessTokenOptions | SeveralIssuersOptions,
): Verifier<AccessTokenPayload & Claims>;

/** What a route demands, of a verifier made before. */
export interface RouteOptions<Payload = AccessTokenPayload, Required extends boolean = boolean> extends Requirements {
  readonly verifier: Verifier<Payload>;
  /** Every one must be in `aud`, beyond what the verifier demands. */
  readonly audience?: string | readonly string[];
  /** `false` lets requests without a token pass, with `undefined` for the token. A wrong token is refused all the same. */
  readonly required?: Required;
}

/** A route with a verifier of its own, made from its options. */
export type RouteWithVerifierOptions<Required extends boolean = boolean> = (AccessTokenOptions | SeveralIssuersOptions) & {
  readonly verifier?: never;
  /** `false` lets requests without a token pass, with `undefined` for the token. A wrong token is refused all the same. */
  readonly required?: Required;
};

/**
 * Wraps a handler of web requests: it runs only with a token that passes, which it gets after the request. All else is
 * answered with 401, 403, 400 or 503, `WWW-Authenticate`, and a problem document (RFC 9457). CORS preflights carry no
 * token: answer them before.
 *
 * ```js
 * export default { fetch: protect((request, token) => Response.json({ user: token.payload.sub }), { verifier }) };
 * ```
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function protect<R extends AnyRequest, A extends unknown[], P = AccessTokenPayload>(
  handler: (request: R, token: VerifiedToken<P> | undefined, ...rest: A) => Response | Promise<Response>,
  options: RouteOptions<P, false> & { readonly required: false },
): (request: R, ...rest: A) => Promise<Response>;
export function protect<R extends AnyRequest, A extends unknown[], P = AccessTokenPayload>(
  handler: (request: R, token: VerifiedToken<P>, ...rest: A) => Response | Promise<Response>,
  options: RouteOptions<P, true>,
): (request: R, ...rest: A) => Promise<Response>;
export function protect<R extends AnyRequest, A extends unknown[]>(
  handler: (request: R, token: VerifiedToken | undefined, ...rest: A) => Response | Promise<Response>,
  options: RouteWithVerifierOptions<false> & { readonly required: false },
): (request: R, ...rest: A) => Promise<Response>;
export function protect<R extends AnyRequest, A extends unknown[]>(
  handler: (request: R, token: VerifiedToken, ...rest: A) => Response | Promise<Response>,
  options: RouteWithVerifierOptions<true>,
): (request: R, ...rest: A) => Promise<Response>;

/** Checks requests; what `guard` makes. */
export type Guard<Payload = AccessTokenPayload> = (
  request: AnyRequest,
  waitUntil?: (work: Promise<unknown>) => void,
) => Promise<VerifiedToken<Payload> | undefined>;

/**
 * The check of `protect` alone, for a framework of your own: a function from a request to its token, or to `undefined`
 * where none is required and there is none. It throws `EdgewardError`, which knows its answer.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function guard<P = AccessTokenPayload>(options: RouteOptions<P> | RouteWithVerifierOptions): Guard<P>;

/**
 * Takes a token apart **without checking anything**: not the signature, not the time, not who it is for. Never decide by it
 * who may pass.
 *
 * @throws {EdgewardError} `token_malformed`
 */
export function decodeUnverified(token: string): {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** Why a token was refused, or there is no verdict. Codes are never changed or reused. */
export type EdgewardErrorCode =
  // 401: the request has no token, or one that is refused.
  | "token_missing"
  | "token_too_large"
  | "token_malformed"
  | "token_encrypted"
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
  | "nonce_mismatch"
  | "azp_mismatch"
  | "at_hash_mismatch"
  // 403: the token is genuine, its rights do not suffice.
  | "client_not_allowed"
  | "insufficient_scope"
  | "insufficient_permissions"
  | "permissions_claim_missing"
  | "insufficient_role"
  | "roles_claim_missing"
  | "organization_not_allowed"
  | "audience_not_allowed"
  // 400: the request carries a token in a way that is not allowed.
  | "invalid_request"
  // 503: there are no keys to decide with.
  | "jwks_unreachable"
  | "jwks_invalid"
  | "jwks_no_usable_key"
  | "discovery_unreachable"
  | "discovery_invalid"
  | "discovery_issuer_mismatch"
  | "keys_not_loaded"
  | "aborted"
  // 500: the caller of this package is at fault, or the package.
  | "options_invalid"
  | "internal_error";

/** Why there is no verified token, for programs, for people, and as an answer over HTTP. Never holds the token. */
export class EdgewardError extends Error {
  private constructor();
  readonly name: "EdgewardError";
  /** The stable name of what went wrong. */
  readonly code: EdgewardErrorCode;
  /** The HTTP status to answer with: 400, 401, 403, 500 or 503. */
  readonly status: 400 | 401 | 403 | 500 | 503;
  /** The value of `WWW-Authenticate` (RFC 6750 §3) to answer with. Absent if the caller's token is not at fault. */
  readonly wwwAuthenticate: string | undefined;
  /** When to try again, in seconds, if the keys could not be had. */
  readonly retryAfter: number | undefined;
  /** The headers of the answer. */
  readonly headers: Record<string, string>;
  /** The body of the answer: a problem document (RFC 9457). */
  readonly body: string;
  /** What went wrong underneath: what `fetch` threw, for example. */
  readonly cause?: unknown;
  /** The answer. */
  toResponse(): Response;
}
