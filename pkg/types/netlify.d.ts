/**
 * A wrapper of Netlify functions and edge functions, with the issuer and audience that Netlify's Auth0 integration sets.
 *
 * ```js
 * import { withAuth0 } from "edgeward/netlify";
 *
 * export const handler = withAuth0(
 *   async (event, context, token) => ({ statusCode: 200, body: JSON.stringify({ user: token.payload.sub }) }),
 *   { auth0: { required: true } },
 * );
 * ```
 *
 * @module
 */
import type { AccessTokenPayload, Requirements, VerifiedToken, Verifier } from "./index.js";

/** The requirements of a function. With any of roles, scopes, permissions or organizations, a token is required. */
export interface Auth0Options extends Omit<Requirements, "roles"> {
  /** `true` answers requests without a token with 401. Default `false`; an invalid token is refused in any case. */
  readonly required?: boolean;
  /** Roles that `rolesClaim` must all contain; or the claim, with `any` or `all`. */
  readonly roles?: string | readonly string[] | NonNullable<Requirements["roles"]>;
  /** The claim that lists roles, for example `https://yourapp.com/roles`. Required beside a list of roles. */
  readonly rolesClaim?: NonNullable<Requirements["roles"]>["claim"];
  /** Verifies the tokens. Default: a verifier of RS256 tokens of `AUTH0_ISSUER` for `AUTH0_AUDIENCE`. */
  readonly verifier?: Verifier<any>;
}

/** The options of `withAuth0`. Members beside `auth0` belong to other wrappers and are ignored. */
export interface WithAuth0Options {
  readonly auth0: Auth0Options;
  readonly [wrapper: string]: unknown;
}

/** The members of a function's event that are read. */
export interface NetlifyEvent {
  readonly headers: { readonly [name: string]: string | undefined };
  readonly multiValueHeaders?: { readonly [name: string]: readonly string[] | undefined };
  readonly queryStringParameters?: object | null;
  readonly multiValueQueryStringParameters?: object | null;
  readonly rawUrl?: string;
}

/** The response to a refused event. */
export interface NetlifyResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

/** The token of a request: `undefined` is possible only if none is required. */
export type Auth0Token<Options extends WithAuth0Options> =
  | VerifiedToken<Options["auth0"] extends { readonly verifier: Verifier<infer Payload> } ? Payload : AccessTokenPayload>
  | (Options["auth0"] extends
      | { readonly required: true }
      | { readonly roles: unknown }
      | { readonly scopes: unknown }
      | { readonly permissions: unknown }
      | { readonly claims: unknown }
      | { readonly organizations: unknown }
      ? never
      : undefined);

/**
 * Wraps a function of `(event, context)` or `(request, context)`. It runs with an accepted token, its third argument, or without one where none
 * is required. All other requests are answered with 401, 403, 400 or 503. CORS preflights carry no token: answer them first.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option. Missing variables are reported by the first request.
 */
export function withAuth0<Event extends NetlifyEvent | Request, Context, Result, const Options extends WithAuth0Options = { readonly auth0: {} }>(
  handler: (event: Event, context: Context, token: Auth0Token<Options>) => Result | Promise<Result>,
  options?: Options,
): (event: Event, context: Context) => Promise<Result | (Event extends Request ? Response : NetlifyResponse)>;
