// What is wrong with options. The core reads them strictly and refuses them; this finds the words for it.

const MAX_U32 = 0xffff_ffff;
const MAX_CLOCK_SKEW = 60;
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

// Each checks one value and returns what is wrong, to be read after the option's name; or nothing.

const text = (value) => (typeof value !== "string" ? "must be text" : value === "" ? "must not be empty" : undefined);

function list(value) {
  if (typeof value === "string") return value === "" ? "must not hold empty text" : undefined;
  if (!Array.isArray(value)) return "must be text or a list of texts";
  if (value.some((one) => typeof one !== "string")) return "must be a list of texts";
  if (value.length === 0) return "must not be empty";
  return value.includes("") ? "must not hold empty text" : undefined;
}

const listOf = (allowed, reason) => (value) => list(value) ?? ([value].flat().every(allowed) ? undefined : reason);

const number = (max) => (value) =>
  Number.isInteger(value) && value >= 0 && value <= max ? undefined : `must be a whole number from 0 to ${max}`;

const choice = (...names) => (value) =>
  text(value) ?? (names.includes(value) ? undefined : `must be one of ${names.join(", ")}`);

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const anything = () => undefined;

const REQUIREMENTS = {
  scopes: listOf((scope) => !scope.includes(" "), "must be one scope each, without spaces"),
  permissions: list,
  roles: (value) => (isObject(value) ? undefined : "must be an object"),
  organizations: list,
};
const ISSUER = {
  issuer: text,
  audience: list,
  algorithms: listOf((name) => ALGORITHMS.includes(name), `has a value that is none of ${ALGORITHMS.join(", ")}`),
  jwks: anything,
  jwksUri: text,
  clientId: text,
};
const VERIFIER = {
  ...ISSUER, ...REQUIREMENTS, issuers: anything, kind: choice("access", "id"), nonce: text, profile: choice("auto", "auth0", "rfc9068"),
  clients: list, requiredClaims: list, maxTokenAge: number(MAX_U32), cacheSize: number(65_536),
  clockSkew: (value) => number(MAX_U32)(value) ?? (value > MAX_CLOCK_SKEW ? `must be at most ${MAX_CLOCK_SKEW} seconds` : undefined),
};
const PER_CALL = { ...REQUIREMENTS, audience: list, nonce: text, accessToken: text };

const ROLES = { claim: text, all: list, any: list };

/** The core's reasons beside the form of options, by its numbers. */
const REASONS = [
  "", "is too large", "has no key that can verify a signature", "must be a JSON Web Key Set: an object with the array keys",
  "must be an https URL (http is for this machine only)",
];
const NOT_HTTPS = 4;
const GENERAL = "the options must be an object of plain values and well-formed text";

/** The first unknown or wrong option of an object. */
function inTable(options, table, prefix = "") {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(table, name)) return `${prefix}${name} is not an option`;
  }
  for (const [name, check] of Object.entries(table)) {
    const reason = name in options ? check(options[name]) : undefined;
    if (reason !== undefined) return `${prefix}${name} ${reason}`;
  }
  if (options.roles === undefined) return undefined;
  const wrong = inTable(options.roles, ROLES, `${prefix}roles.`);
  if (wrong !== undefined) return wrong;
  if (options.roles.claim === undefined) return `${prefix}roles.claim is missing`;
  return options.roles.all ?? options.roles.any ? undefined : `${prefix}roles must have all or any`;
}

/** What is wrong with the options of one call, given as JSON. */
export function explainPerCall(json) {
  const options = JSON.parse(json);
  const login = ["nonce", "accessToken"].find((name) => name in options);
  return inTable(options, PER_CALL) ?? (login ? `${login} is for verifiers of ID tokens (kind: "id")` : GENERAL);
}

/** What is wrong with a verifier's options, given as JSON; the core's reason, and which issuer it is about. */
export function explain(json, reason, index) {
  const all = JSON.parse(json);
  const several = Array.isArray(all.issuers);
  if (reason > 0) {
    const one = several ? all.issuers[index] : all;
    const option = reason < NOT_HTTPS ? "jwks" : "jwksUri" in one ? "jwksUri" : "issuer";
    return `${several ? `issuers[${index}].` : ""}${option} ${REASONS[reason]}`;
  }
  const wrong = inTable(all, VERIFIER);
  if (wrong !== undefined) return wrong;
  if (!("issuers" in all)) return inIssuer(all, all, "") ?? GENERAL;
  if (!several) return "issuers must be a list of objects";
  const beside = ["issuer", "jwks", "jwksUri"].find((name) => name in all);
  if (beside !== undefined) return `${beside} cannot stand beside issuers: give it to each of them`;
  if (all.issuers.length === 0) return "issuers must not be empty";
  for (const [position, one] of all.issuers.entries()) {
    const prefix = `issuers[${position}].`;
    if (!isObject(one)) return `issuers[${position}] must be an object`;
    const wrong = inTable(one, ISSUER, prefix) ?? inIssuer(all, one, prefix);
    if (wrong !== undefined) return wrong;
    if (all.issuers.findIndex(({ issuer }) => issuer === one.issuer) < position) return `${prefix}issuer is there twice`;
  }
  return GENERAL;
}

/** What is missing for one issuer, or in the way. */
function inIssuer(all, one, prefix) {
  const { audience, algorithms, clientId } = { ...all, ...one };
  if (one.issuer === undefined) return `${prefix}issuer is missing`;
  if (algorithms === undefined) return `${prefix}algorithms is missing: ["RS256"] is what most providers sign with`;
  if (all.kind === "id") {
    const forAccess = ["profile", "clients"].find((name) => name in all);
    if (forAccess !== undefined) return `${forAccess} is for access tokens`;
    if (clientId === undefined) return `clientId is missing: it is the audience of ID tokens (kind: "id")`;
  } else {
    if ("nonce" in all) return `nonce is for ID tokens (kind: "id")`;
    if (audience === undefined) return `${prefix}audience is missing`;
  }
  return "jwks" in one && "jwksUri" in one ? `${prefix}jwks and jwksUri exclude each other` : undefined;
}
