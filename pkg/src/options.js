// The options: their names, forms and limits, declared once. What passes here is in a normal form, which the core parses without
// checking it again (bindings/npm/src/options.rs).

import { encoder } from "./core.js";
import { invalidOption } from "./error.js";
import { plain } from "./plain.js";

const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

const fail = (place, reason, cause) => {
  throw invalidOption(`${place} ${reason}`, cause);
};

// The forms. Each checks a value, named by its place in messages, and returns it in the normal form.

function text(value, place) {
  if (typeof value !== "string") fail(place, "must be a string");
  if (value === "") fail(place, "must not be empty");
  if (/\p{Surrogate}/u.test(value)) fail(place, "must not contain lone surrogates");
  return value;
}

const listOf = (form) => (value, place) => {
  if (typeof value === "string") return [form(value, place)];
  if (!Array.isArray(value)) fail(place, "must be a string or an array of strings");
  return items(value, form, place);
};
const list = listOf(text);

/** Reads the items of an array, as many as its length says: an iterator of its own could leave some out. */
function items(array, form, place) {
  if (array.length === 0) fail(place, "must not be empty");
  return Array.from({ length: array.length }, (_, index) => form(array[index], `${place}[${index}]`));
}

const choice = (names) => (value, place) => {
  if (names.includes(text(value, place))) return value;
  fail(place, `must be one of ${names.join(", ")}`);
};

const integer = (min, max, unit) => (value, place) =>
  Number.isInteger(value) && value >= min && value <= max ? value : fail(place, `must be a whole number of ${unit} from ${min} to ${max}`);

const instance = (is, description) => (value, place) => (is(value) ? value : fail(place, `must be ${description}`));

const isFunction = (value) => typeof value === "function";

const callback = instance(isFunction, "a function");

const optional = (form) => (value, place) => (value === undefined ? undefined : form(value, place));

function scope(value, place) {
  if (text(value, place).includes(" ")) fail(place, "must be a single scope, without spaces");
  return value;
}

/** A list of which all are required, or an object with `all`, `any` or both. */
const allOrAny = (form) => (value, place) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return listOf(form)(value, place);
  return withAllOrAny(readOptions(value, { all: listOf(form), any: listOf(form) }, place), place);
};

function withAllOrAny(read, place) {
  if (read.all === undefined && read.any === undefined) fail(place, "must have all or any");
  return read;
}

/** Ids of tenants, or any. */
function tenants(value, place) {
  if (value === "any") return value;
  const ids = list(value, place);
  if (!ids.every((id) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(id))) fail(place, 'must be "any" or the ids of tenants, GUIDs in lower case');
  return ids;
}

/** Audiences, or false for tokens without one. */
const audience = (value, place) => (value === false ? value : list(value, place));

function httpHost(value, place) {
  if (!/^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(text(value, place))) fail(place, "must be a host, such as keys.internal or keys.internal:8080");
  return value;
}

/** An origin, as clients see it. */
function origin(value, place) {
  const { protocol, origin } = URL.canParse(text(value, place)) ? new URL(value) : {};
  if (!/^https?:$/.test(protocol) || origin !== value.replace(/\/$/, "").toLowerCase()) fail(place, "must be an origin, such as https://api.example.com");
  return origin;
}

function roles(value, place) {
  const read = readOptions(value, ROLES, place);
  if (read.claim === undefined) fail(`${place}.claim`, "is missing");
  return withAllOrAny(read, place);
}

/** Rules on claims, as a list: an object has the name of each claim with its rule, or with the text or boolean that it must be. */
function claims(value, place) {
  if (Array.isArray(value)) return items(value, listedRule, place);
  const named = Object.entries(plain(value) ?? fail(place, "must be a plain object or an array of rules"));
  if (named.length === 0) fail(place, "must not be empty");
  return named.map(([name, rule]) => {
    const at = `${place}.${name}`;
    const claim = [text(name, at)];
    return withConditions({ __proto__: null, claim, ...readOptions(typeof rule === "string" || typeof rule === "boolean" ? { equals: rule } : rule, RULE, at) }, at);
  });
}

function listedRule(value, place) {
  const rule = readOptions(value, LISTED_RULE, place);
  if (rule.claim === undefined) fail(`${place}.claim`, "is missing");
  return withConditions(rule, place);
}

function withConditions(rule, place) {
  if (Object.keys(rule).length === 1) fail(place, "must have equals, any, all, not or prefix");
  return rule;
}

function json(value, place) {
  try {
    return JSON.stringify(value) ?? "";
  } catch (cause) {
    fail(place, "must be plain JSON", cause);
  }
}

const listOfObjects = (form) => (value, place) => {
  if (!Array.isArray(value)) fail(place, "must be an array of objects");
  return items(value, form, place);
};

function decryptionKey(value, place) {
  const read = readOptions(value, DECRYPTION_KEY, place);
  if (read.key === undefined) fail(`${place}.key`, "is missing");
  return read;
}

// The tables.

const ROLES = { claim: list, all: list, any: list };
const RULE = { equals: (value, place) => (typeof value === "boolean" ? value : text(value, place)), any: list, all: list, not: list, prefix: text };
const LISTED_RULE = { claim: list, ...RULE };
const REQUIREMENTS = { scopes: allOrAny(scope), permissions: allOrAny(text), roles, organizations: list, claims };
/** As text: the core parses key sets as they come over the network. */
const SOURCE = { issuer: text, jwks: json, jwksUri: text };
const DECRYPTION_KEY = {
  // As text: the core parses both forms.
  key: (value, place) => (typeof value === "string" ? value : json(value, place)),
  kid: text,
  alg: choice(["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "RSA-OAEP"]),
};
const ISSUER = { ...SOURCE, audience, algorithms: listOf(choice(ALGORITHMS)), clientId: text };
export const VERIFIER = {
  ...ISSUER, ...REQUIREMENTS, issuers: listOfObjects((value, place) => readOptions(value, ISSUER, place)), kind: choice(["access", "id"]), nonce: text, profile: choice(["auto", "auth0", "rfc9068"]),
  tenants, clients: list, trustedAudiences: list, types: list, allowHttp: listOf(httpHost), requiredClaims: list, clockSkew: integer(0, 60, "seconds"), maxTokenAge: integer(0, 0xffff_ffff, "seconds"),
  dpop: choice(["off", "allowed", "required"]), origins: listOf(origin), replayStore: instance((value) => isFunction(value?.use), "an object with the function use"),
  decryptionKeys: listOfObjects(decryptionKey), cacheSize: integer(0, 65_536, "tokens"), timeout: integer(1, 30_000, "milliseconds"), fetch: callback, now: callback,
};
const BESIDE_VERIFIER = { ...REQUIREMENTS, audience: list };
const CALL = {
  ...BESIDE_VERIFIER, nonce: text, accessToken: text, waitUntil: optional(callback),
  signal: optional(instance((value) => isFunction(value?.addEventListener) && isFunction(value.removeEventListener), "an AbortSignal")),
};
const required = instance((value) => typeof value === "boolean", "true or false");

/** The options of one kind only. */
const ONLY = { nonce: "id", accessToken: "id", trustedAudiences: "id", profile: "access", dpop: "access", decryptionKeys: "access" };
const KINDS = { access: "access tokens", id: 'ID tokens (kind: "id")' };

/** Issuers at which anyone can request tokens for any audience: those of public continuous integration. */
const SERVES_EVERYONE = /^https:\/\/(token\.actions\.githubusercontent\.com|gitlab\.com$)/;
/** Google signs ID tokens of service accounts for any audience. As ID tokens they are what they are; none is an access token of your API. */
const GOOGLE = "https://accounts.google.com";
const ACCOUNT_CLAIMS = ["sub", "email", "hd", "azp"];
const ORIGIN_CLAIMS = [
  "repository", "repository_id", "repository_owner", "repository_owner_id", "project_path", "project_id", "namespace_path", "namespace_id",
];

/** A `sub` that names a repository or its owner. Repositories choose what it consists of, and others can choose the same. */
const NAMES_ORIGIN = /^((repo|repository|project_path):[^]*\/|(repository_id|repository_owner|repository_owner_id):[^])/;

/** Whether the rules admit some repositories, owners or accounts only. A prefix must end a name: `octo` also begins `octocat`. */
const restrictsOrigin = (issuer, rules = []) =>
  rules.some(({ claim: [name, ...inner], equals, any = [], all = [], prefix }) => {
    if (inner.length > 0) return false;
    const listed = [...any, ...all, ...(typeof equals === "string" ? [equals] : [])];
    if (issuer === GOOGLE) return listed.length > 0 && ACCOUNT_CLAIMS.includes(name);
    const hasPrefix = prefix !== undefined && prefix.includes("/");
    if (name === "sub") return (listed.length > 0 && listed.every((text) => NAMES_ORIGIN.test(text))) || (hasPrefix && NAMES_ORIGIN.test(prefix));
    return ORIGIN_CLAIMS.includes(name) && (listed.length > 0 || hasPrefix);
  });

const NEEDS_ORIGIN =
  "must have a rule that names a repository or its owner (sub, repository, repository_owner, project_path, namespace_path, or their ids), " +
  "or at Google an account (sub, email, hd, azp): anyone can request a token of this issuer for any audience";

/** The core's reasons, by number. */
const REASONS = [
  "cannot be read", "is too large", "has no key that can verify a signature", "must be a JSON Web Key Set: an object with the array keys",
  "must be an https URL (http is allowed on loopback only)",
];
const NOT_HTTPS = 4;
const DECRYPTION_KEY_REFUSED = 5;
const TENANT = "{tenantid}";

/** Returns the members of an object of options, each read once. */
export const membersOf = (options, place = "options") => plain(options) ?? fail(place, "must be a plain object");

/** Reads an object of options by a table: unknown names and wrong values throw. The result inherits nothing. */
function readOptions(options, table, place) {
  const read = membersOf(options, place);
  const prefix = place === undefined ? "" : `${place}.`;
  const names = Object.keys(read);
  for (const name of names) {
    if (!Object.hasOwn(table, name)) fail(`${prefix}${name}`, `is not an option${didYouMean(name, Object.keys(table), prefix)}`);
  }
  for (const name of names) read[name] = table[name](read[name], `${prefix}${name}`);
  return read;
}

function checkKind(options, kind) {
  for (const [name, only] of Object.entries(ONLY)) {
    if (only !== kind && options[name] !== undefined) fail(name, `is for ${KINDS[only]}`);
  }
}

/** Reads a verifier's options: `policy` for the core as JSON, its `kind`, and what the package uses itself. */
export function readVerifierOptions(options) {
  const { issuers, issuer, jwks, jwksUri, audience, algorithms, clientId, fetch, now, timeout, origins, replayStore, ...rest } = readOptions(options, VERIFIER);
  const policy = { __proto__: null, ...rest };
  const { kind = "access" } = policy;
  checkKind(policy, kind);
  const { dpop = "off" } = policy;
  if (dpop !== "off" && origins === undefined) fail("origins", "is missing: the origins of your API, as clients see them, which proofs (dpop) must name");
  for (const [name, value] of Object.entries({ origins, replayStore })) {
    if (dpop === "off" && value !== undefined) fail(name, "has no effect: dpop is off");
  }
  const source = { issuer, jwks, jwksUri };
  if (issuers !== undefined) {
    for (const name of Object.keys(SOURCE)) {
      if (source[name] !== undefined) fail(name, "cannot be used beside issuers: move it into each of them");
    }
  }
  // Every issuer with the options that it shares with the others.
  policy.issuers = (issuers ?? [source]).map((one) => ({ __proto__: null, audience, algorithms, clientId, ...one }));
  const names = new Set();
  for (const [index, one] of policy.issuers.entries()) {
    const prefix = issuers === undefined ? "" : `issuers[${index}].`;
    const required = (name, hint = "") => one[name] === undefined && fail(`${prefix}${name}`, `is missing${hint}`);
    required("issuer");
    required("algorithms", ': ["RS256"] is what most providers sign with');
    if (kind === "id") required("clientId", ': it is the audience of ID tokens (kind: "id")');
    else required("audience");
    if (one.audience === false) {
      if (kind === "id") fail(`${prefix}audience`, "cannot be false for ID tokens: it lists further audiences to trust");
      if (policy.clients === undefined) fail(`${prefix}audience`, "is false: then clients must list the clients whose tokens are accepted");
    }
    if (one.issuer.includes(TENANT) && policy.tenants === undefined) fail("tenants", 'is missing: the ids of the tenants that the issuer may stand for, or "any"');
    const servesEveryone = SERVES_EVERYONE.test(one.issuer) || (kind === "access" && one.issuer === GOOGLE);
    if (servesEveryone && policy.clients === undefined && !restrictsOrigin(one.issuer, policy.claims)) fail("claims", NEEDS_ORIGIN);
    if (one.jwks !== undefined && one.jwksUri !== undefined) fail(`${prefix}jwks`, "and jwksUri exclude each other");
    if (names.has(one.issuer)) fail(`${prefix}issuer`, "is a duplicate");
    names.add(one.issuer);
  }
  if (policy.tenants !== undefined && !policy.issuers.some((one) => one.issuer.includes(TENANT))) fail("tenants", `has no effect: no issuer has ${TENANT} in it`);
  return { policy: JSON.stringify(policy), kind, fetch, now, timeout, sender: { dpop, origins, store: replayStore } };
}

/** The error for options that the core refuses, by its reason, the index of the issuer or key concerned, and the message of the core. */
export function refusedOptions(policy, { reason, index, message }) {
  if (reason === DECRYPTION_KEY_REFUSED) return invalidOption(`decryptionKeys[${index}].key ${message}`);
  if (reason === 0) return invalidOption(`options ${REASONS[0]}`);
  const { issuers } = JSON.parse(policy);
  const name = reason < NOT_HTTPS ? "jwks" : issuers[index].jwksUri === undefined ? "issuer" : "jwksUri";
  return invalidOption(`${issuers.length === 1 ? "" : `issuers[${index}].`}${name} ${REASONS[reason]}`);
}

/** Those of a call without any, by far the most: members of its own, which hide what `Object.prototype` may have. */
const NO_CALL_OPTIONS = { requirements: undefined, call: { signal: undefined, waitUntil: undefined } };

/** Reads the options of one call: the `requirements` for the core, and what the package uses itself. */
export function readCallOptions(options, kind) {
  if (options === undefined) return NO_CALL_OPTIONS;
  const { signal, waitUntil, ...rest } = readOptions(options, CALL);
  const requirements = { __proto__: null, ...rest };
  checkKind(requirements, kind);
  return { requirements: encode(requirements), call: { signal, waitUntil } };
}

/** Reads the options of a route: its `verifier`, undefined if it is to be made from these options, and the requirements beside it. */
export function readRouteOptions(options, isVerifier) {
  const verifierForm = instance(isVerifier, "made by createVerifier");
  const table = { ...VERIFIER, required, verifier: verifierForm, onError: callback };
  const { verifier, required: isRequired = true, onError, ...requirements } = readOptions(options, table);
  if (verifier === undefined) return { verifier, isRequired, onError, requirements: undefined };
  for (const name of Object.keys(requirements)) {
    if (!Object.hasOwn(BESIDE_VERIFIER, name)) fail(name, "is an option of createVerifier and cannot be used beside verifier");
  }
  return { verifier, isRequired, onError, requirements: encode(requirements) };
}

/** Requirements as the core reads them; undefined if there are none. */
const encode = (requirements) => (Object.keys(requirements).length === 0 ? undefined : encoder.encode(JSON.stringify(requirements)));

/** Returns the most similar name as the end of a message; empty if there is none. */
function didYouMean(name, names, prefix = "") {
  let best = "";
  // Similar names share more than half of their letters, in the same order.
  let bestScore = 0.5;
  for (const other of names) {
    const score = (2 * commonLetters(name.toLowerCase(), other.toLowerCase())) / (name.length + other.length);
    if (score > bestScore) [best, bestScore] = [other, score];
  }
  return best && `; did you mean ${prefix}${best}?`;
}

/** Returns the length of the longest common subsequence. */
function commonLetters(one, other) {
  let row = Array(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let i = 0; i < other.length; i += 1) next.push(letter === other[i] ? row[i] + 1 : Math.max(row[i + 1], next[i]));
    row = next;
  }
  return row[other.length];
}
