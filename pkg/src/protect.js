import { EdgewardError, invalidOption } from "./error.js";
import { membersOf, readRouteOptions } from "./options.js";
import { authenticate, createVerifier, isVerifier } from "./verifier.js";

/** Wraps a handler so that it runs only for requests with an accepted token. */
export function protect(handler, options) {
  if (typeof handler !== "function") throw invalidOption("handler must be a function");
  const { check, onError } = guarded(options);
  return async (request, ...rest) => {
    // Workers and edge functions pass a context that extends the life of background work.
    const context = rest.find((one) => typeof one?.waitUntil === "function");
    const waitUntil = context && ((work) => context.waitUntil(work));
    let token;
    try {
      token = await check(request, waitUntil);
    } catch (error) {
      if (!(error instanceof EdgewardError)) throw error;
      return onError === undefined ? error.toResponse() : onError(error, request, ...rest);
    }
    return handler(request, token, ...rest);
  };
}

/** Returns a function from a request to its token, or undefined where none is required; `protect` and the adapters share it. */
export const guard = (options) => guarded(options).check;

function guarded(options) {
  const members = membersOf(options);
  const { verifier: given, isRequired, onError, requirements } = readRouteOptions(members, isVerifier);
  const { required: _, onError: __, ...own } = members;
  const verifier = given ?? createVerifier(own);
  const check = async (request, waitUntil) => {
    try {
      return await authenticate(verifier, request, requirements, { signal: undefined, waitUntil });
    } catch (error) {
      if (!isRequired && error instanceof EdgewardError && error.code === "token_missing") return undefined;
      throw error;
    }
  };
  return { check, onError };
}
