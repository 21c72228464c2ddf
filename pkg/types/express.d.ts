/**
 * Middleware for Express, Connect and other frameworks that call `(request, response, next)` with Node's own objects.
 *
 * ```js
 * app.use("/api", bearer({ verifier }));
 * app.get("/api/me", (req, res) => res.json({ user: req.auth?.payload.sub }));
 * ```
 *
 * @module
 */
import type { AccessTokenPayload, EdgewardError, RouteOptions, RouteWithVerifierOptions, VerifiedToken } from "./index.js";

/** The members of Node's `IncomingMessage` or `Http2ServerRequest` that are read, and `auth`, which is set. */
export interface NodeRequest {
  readonly headers: { readonly authorization?: string | undefined };
  readonly headersDistinct?: { readonly authorization?: string[] | undefined };
  readonly rawHeaders?: readonly string[] | undefined;
  readonly url?: string | undefined;
  auth?: VerifiedToken<any> | undefined;
}

/** The members of Node's `ServerResponse` that are used. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** A Connect middleware. */
export type Middleware = (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void;

/**
 * Returns middleware that lets requests with an accepted token pass; the handler finds it in `req.auth`. All others get an error response,
 * or go to `onError`: `(error, request, response, next) => next(error)` hands them to the application's error handler.
 *
 * @throws {EdgewardError} `options_invalid`, naming the option
 */
export function bearer<P = AccessTokenPayload>(
  options: (RouteOptions<P> | RouteWithVerifierOptions) & {
    readonly onError?: (error: EdgewardError, request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void;
  },
): Middleware;

declare global {
  namespace Express {
    interface Request {
      /** The verified token, on routes with the `bearer` middleware. */
      auth?: VerifiedToken<any> | undefined;
    }
  }
}
