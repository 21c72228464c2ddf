/**
 * Hono middleware.
 *
 * ```js
 * app.get("/api/me", bearer({ verifier }), (c) => c.json({ user: c.get("token").payload.sub }));
 * ```
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { AccessTokenPayload, GuardedToken, RouteOptions, RouteWithVerifierOptions } from "./index.js";

/**
 * Returns middleware that lets requests with an accepted token pass; the handler reads it with `c.get("token")`. All others get an error
 * response.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function bearer<P = AccessTokenPayload, const Required extends boolean = true>(
  options: RouteOptions<P, Required> | RouteWithVerifierOptions<Required>,
): MiddlewareHandler<{ Variables: { token: GuardedToken<P, Required> } }>;
