import { EdgewardError, invalidOption } from "./error.js";
import { authenticate, checkedRequirements, createVerifier } from "./verifier.js";

const REQUIREMENTS = ["scopes", "permissions", "roles", "organizations", "audience"];

/** Wraps a handler: it runs only for requests with a token that passes. */
export function protect(handler, options) {
  if (typeof handler !== "function") throw invalidOption("handler must be a function");
  const check = guard(options);
  return async (request, ...rest) => {
    // Workers and edge functions hand over a context that keeps background work alive.
    const context = rest.find((one) => typeof one?.waitUntil === "function");
    const waitUntil = context && ((work) => context.waitUntil(work));
    let token;
    try {
      token = await check(request, waitUntil);
    } catch (error) {
      if (error instanceof EdgewardError) return error.toResponse();
      throw error;
    }
    return handler(request, token, ...rest);
  };
}

/** What `protect` and the adapters share: a function from a request to its token, undefined where none is needed. */
export function guard(options) {
  if (options === null || typeof options !== "object") throw invalidOption("options must be an object");
  const { verifier: given, required = true, ...rest } = options;
  if (typeof required !== "boolean") throw invalidOption("required must be true or false");
  let verifier = given;
  let route = rest;
  if (given === undefined) {
    if ("verifier" in options) throw invalidOption("verifier must be what createVerifier returns");
    // Requirements in the options of a verifier made here are demands of its one route: the verifier checks them itself.
    verifier = createVerifier(rest);
    route = undefined;
  } else {
    for (const name of Object.keys(rest)) {
      if (!REQUIREMENTS.includes(name)) throw invalidOption(`${name} belongs to createVerifier, not beside verifier`);
    }
  }
  let requirements;
  try {
    requirements = checkedRequirements(verifier, route);
  } catch (error) {
    if (error instanceof EdgewardError) throw error;
    throw invalidOption("verifier must be what createVerifier returns", error);
  }
  return async (request, waitUntil) => {
    try {
      return await authenticate(verifier, request, requirements, { waitUntil });
    } catch (error) {
      if (!required && error instanceof EdgewardError && error.code === "token_missing") return undefined;
      throw error;
    }
  };
}
