/**
 * Hono middleware.
 *
 * ```js
 * app.get("/api/me", bearer({ verifier }), (c) => c.json({ user: c.get("token").payload.sub }));
 * ```
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { AccessTokenPayload, EdgewardError, GuardedToken, RouteOptions, RouteWithVerifierOptions } from "./index.js";

/**
 * Returns middleware that lets requests with an accepted token pass; the handler reads it with `c.get("token")`. All others get an error
 * response: `onError`'s, if there is one.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function bearer<P = AccessTokenPayload, const Required extends boolean = true>(
  options: (RouteOptions<P, Required> | RouteWithVerifierOptions<Required>) & {
    readonly onError?: (error: EdgewardError, c: Context) => Response | Promise<Response>;
  },
): MiddlewareHandler<{ Variables: { token: GuardedToken<P, Required> } }>;
