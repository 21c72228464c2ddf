/**
 * Hono middleware.
 *
 * ```js
 * app.use("/api/*", bearer({ verifier }));
 * app.get("/api/me", (c) => c.json({ user: c.get("token").payload.sub }));
 * ```
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { AccessTokenPayload, RouteOptions, RouteWithVerifierOptions, VerifiedToken } from "./index.js";

/**
 * Lets requests pass that carry a token that passes; the handler finds it as `c.get("token")`. All others are answered.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function bearer<P = AccessTokenPayload>(
  options: RouteOptions<P, false> & { readonly required: false },
): MiddlewareHandler<{ Variables: { token: VerifiedToken<P> | undefined } }>;
export function bearer<P = AccessTokenPayload>(
  options: RouteOptions<P, true>,
): MiddlewareHandler<{ Variables: { token: VerifiedToken<P> } }>;
export function bearer(
  options: RouteWithVerifierOptions<true>,
): MiddlewareHandler<{ Variables: { token: VerifiedToken } }>;
