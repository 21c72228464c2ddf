/**
 * Middleware for Express, Connect and anything else that calls `(request, response, next)` with Node's own objects.
 *
 * ```js
 * app.use("/api", bearer({ verifier }));
 * app.get("/api/me", (req, res) => res.json({ user: req.auth.payload.sub }));
 * ```
 *
 * @module
 */
import type { AccessTokenPayload, RouteOptions, RouteWithVerifierOptions, VerifiedToken } from "./index.js";

/** What of Node's `IncomingMessage` is read, and where the token is put. */
export interface NodeRequest {
  readonly headers: { readonly authorization?: string | undefined };
  readonly headersDistinct?: { readonly authorization?: string[] | undefined };
  readonly url?: string | undefined;
  auth?: VerifiedToken<any> | undefined;
}

/** What of Node's `ServerResponse` is used. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** A Connect middleware. */
export type Middleware = (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void;

/**
 * Lets requests pass that carry a token that passes; the handler finds it as `req.auth`. All others are answered.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function bearer<P = AccessTokenPayload>(options: RouteOptions<P> | RouteWithVerifierOptions): Middleware;

declare global {
  namespace Express {
    interface Request {
      /** The verified token, where the `bearer` middleware ran. */
      auth?: VerifiedToken<any> | undefined;
    }
  }
}
