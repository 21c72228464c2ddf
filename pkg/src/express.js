import { EdgewardError, guard } from "edgeward";

/** Connect middleware that lets requests with an accepted token pass and sets `req.auth`. */
export function bearer(options) {
  const check = guard(options);
  const { onError } = options;
  return (request, response, next) => {
    check({ headers: request.headers, headersDistinct: request.headersDistinct, url: request.originalUrl ?? request.url }).then(
      (token) => {
        request.auth = token;
        next();
      },
      (error) => {
        if (!(error instanceof EdgewardError)) return next(error);
        if (onError !== undefined) return onError(error, request, response, next);
        response.statusCode = error.status;
        for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
        response.end(error.body);
      },
    );
  };
}
