import { EdgewardError, guard } from "edgeward";
import { ORIGINAL } from "./original.js";

/** Connect middleware that lets requests with an accepted token pass and sets `req.auth`. */
export function bearer(options) {
  const check = guard(options);
  // Its own: none of `Object.prototype`.
  const { onError } = { __proto__: null, ...options };
  return (request, response, next) => {
    const refuse = (error) => {
      if (!(error instanceof EdgewardError)) return next(error);
      if (onError !== undefined) return onError(error, request, response, next);
      response.statusCode = error.status;
      for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
      response.end(error.body);
    };
    const { headers, headersDistinct, rawHeaders, method, originalUrl, url } = request;
    check({ headers, headersDistinct, rawHeaders, method, url: originalUrl ?? url, [ORIGINAL]: request }).then(
      (token) => {
        request.auth = token;
        next();
      },
      // An error of `onError` itself must not be lost.
      (error) => Promise.resolve(error).then(refuse).catch(next),
    );
  };
}
