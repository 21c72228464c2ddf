import { EdgewardError, guard } from "edgeward";

/** Hono middleware that lets requests with an accepted token pass and sets `token`. */
export function bearer(options) {
  const check = guard(options);
  // Its own: none of `Object.prototype`.
  const { onError } = { __proto__: null, ...options };
  return async (c, next) => {
    let context;
    try {
      context = c.executionCtx;
    } catch {
      // Hono throws where the platform has none.
    }
    try {
      c.set("token", await check(c.req.raw, context && ((work) => context.waitUntil(work))));
    } catch (error) {
      if (!(error instanceof EdgewardError)) throw error;
      return onError === undefined ? error.toResponse() : onError(error, c);
    }
    await next();
  };
}
