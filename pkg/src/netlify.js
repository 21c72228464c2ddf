import { EdgewardError, guard } from "edgeward";
import { ORIGINAL } from "./original.js";
import { plain } from "./plain.js";

const OPTIONS = ["required", "roles", "rolesClaim", "scopes", "permissions", "claims", "organizations", "verifier"];

/** Wraps a Netlify function, of `(event, context)` or `(request, context)`, so that it runs without a token or with an accepted one. */
export function withAuth0(handler, options = { auth0: {} }) {
  if (typeof handler !== "function") throw invalidOption("handler must be a function");
  const { verifier, route } = readOptions(options);
  // The verifier checks the variables. A runtime may provide them to requests only.
  let check = verifier !== undefined || isConfigured() ? guard({ ...(verifier ?? fromVariables()), ...route }) : undefined;
  return async (request, context, ...rest) => {
    const isWeb = typeof request.headers?.get === "function";
    const waitUntil = typeof context?.waitUntil === "function" ? (work) => context.waitUntil(work) : undefined;
    check ??= guard({ ...fromVariables(), ...route });
    let token;
    try {
      token = await check(isWeb ? request : fromEvent(request), waitUntil);
    } catch (error) {
      if (!(error instanceof EdgewardError)) throw error;
      return isWeb ? error.toResponse() : { statusCode: error.status, headers: error.headers, body: error.body };
    }
    return handler(request, context, token, ...rest);
  };
}

/** Returns the options for `guard`: the verifier, if there is one, and the requirements. */
function readOptions(options) {
  const members = (value, name) => {
    const read = plain(value);
    if (read === undefined) throw invalidOption(`${name} must be a plain object`);
    return read;
  };
  const auth0 = members(members(options, "options").auth0, "auth0");
  for (const [name, value] of Object.entries(auth0)) {
    if (!OPTIONS.includes(name)) throw invalidOption(`auth0.${name} is not an option: the options are ${OPTIONS.join(", ")}`);
    // A requirement must not be lost unnoticed.
    if (value === undefined) throw invalidOption(`auth0.${name} must not be undefined`);
  }
  const { verifier, required: stated, roles, rolesClaim, ...requirements } = auth0;
  if (roles === undefined) {
    if (rolesClaim !== undefined) throw invalidOption("auth0.rolesClaim is used with auth0.roles only");
  } else if (typeof roles === "string" || Array.isArray(roles)) {
    if (rolesClaim === undefined) throw invalidOption("auth0.rolesClaim is missing: the claim that lists the roles, for example https://yourapp.com/roles");
    requirements.roles = { claim: rolesClaim, all: roles };
  } else {
    if (rolesClaim !== undefined) throw invalidOption("auth0.rolesClaim is for a list of roles; here, auth0.roles.claim is the claim");
    requirements.roles = roles;
  }
  // Without a token there are no rights: a requirement implies one.
  const [implied] = Object.keys(requirements);
  if (implied !== undefined && stated === false) throw invalidOption(`auth0.${implied} requires a token, auth0.required: false does not`);
  // Absent, not null: that is a mistake, which `guard` refuses.
  const required = stated === undefined ? implied !== undefined : stated;
  return { verifier: verifier === undefined ? undefined : { verifier }, route: { ...requirements, required } };
}

/** Returns an environment variable. Functions of the older form have no `Netlify`; edge functions need not allow `process.env`. */
const variable = (name) => (globalThis.Netlify === undefined ? globalThis.process?.env?.[name] : Netlify.env.get(name));

const isConfigured = () => Boolean(variable("AUTH0_ISSUER") && variable("AUTH0_AUDIENCE"));

/** Returns the verifier's options, from the variables that Netlify's Auth0 integration sets. */
function fromVariables() {
  const [issuer, audience] = ["AUTH0_ISSUER", "AUTH0_AUDIENCE"].map((name) => {
    const value = variable(name);
    if (!value) throw invalidOption(`the environment variable ${name} is not set`);
    return value;
  });
  return { issuer: asIssuer(issuer), audience, algorithms: ["RS256"] };
}

/** Returns the `iss` of a tenant: Auth0's is a URL with a trailing slash; the variable may be a domain. */
function asIssuer(text) {
  const url = /^https?:\/\//i.test(text) ? text : `https://${text}`;
  return url.endsWith("/") ? url : `${url}/`;
}

/** Returns an event as `guard` reads requests. Header names of events may have any letter case. */
function fromEvent(event) {
  const { headers, httpMethod, multiValueHeaders, queryStringParameters, multiValueQueryStringParameters, rawUrl } = event;
  // The values of a repeated header, of which `headers` may have only one.
  const values = (name) => valuesOf(name, multiValueHeaders) ?? valuesOf(name, headers);
  const hasQueryToken = [queryStringParameters, multiValueQueryStringParameters].some((query) => Object.hasOwn(query ?? {}, "access_token"));
  const headersDistinct = { authorization: values("authorization"), dpop: values("dpop") };
  return { headers: {}, headersDistinct, method: httpMethod, url: hasQueryToken ? "/?access_token=" : rawUrl, [ORIGINAL]: event };
}

function valuesOf(wanted, headers) {
  const values = Object.entries(headers ?? {}).flatMap(([name, value]) => (name.toLowerCase() === wanted ? (value ?? []) : []));
  return values.length === 0 ? undefined : values;
}

/** Returns an error as the package's own options do. */
function invalidOption(message) {
  const [status, title, code] = [500, "Internal Server Error", "options_invalid"];
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new EdgewardError(code, message, { status, headers, body: JSON.stringify({ status, title, code, detail: "The server cannot check tokens." }) });
}
