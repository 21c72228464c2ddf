// What cases are made with: policies, tokens, and the list that they are collected in.

import { a, sets } from "./keys.mjs";
import { base64url, platformVerdict, signature } from "./sign.mjs";

export const NOW = 1_800_000_000;
export const ISSUER = "https://issuer.example.com/";
export const OTHER_ISSUER = "https://other.example.com/";
export const AUDIENCE = "https://api.example.com";
export const CLIENT = "client-1";
export const NONCE = "n-0S6_WzA2Mj";

/** In the words of the npm package's options; `keys` names a key set, here or in each of `issuers`. */
export const policies = {
  rs256: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], keys: "main" },
  rsa: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], keys: "main" },
  curves: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256", "ES256", "ES384", "EdDSA"], keys: "curves" },
  exact: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], clockSkew: 0, keys: "main" },
  lenient: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], clockSkew: 60, keys: "main" },
  audiences: { issuer: ISSUER, audience: [AUDIENCE, "urn:api"], algorithms: ["RS256"], keys: "main" },
  age: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], maxTokenAge: 300, keys: "main" },
  rfc9068: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], profile: "rfc9068", keys: "main" },
  jwtOnly: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], profile: "auth0", keys: "main" },
  types: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], types: ["custom+jwt"], keys: "main" },
  clients: { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], clients: [CLIENT, "client-2"], keys: "main" },
  audienceless: { issuer: ISSUER, audience: false, clients: [CLIENT], algorithms: ["RS256"], keys: "main" },
  several: { issuers: [{ issuer: ISSUER, keys: "main" }, { issuer: OTHER_ISSUER, keys: "second" }], audience: AUDIENCE, algorithms: ["RS256"] },
  tenants: { issuer: "https://login.example.com/{tenantid}/v2.0", tenants: ["11111111-2222-4333-8444-555555555555"], audience: AUDIENCE, algorithms: ["RS256"], keys: "main" },
  rights: {
    issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], scopes: ["read:items"], permissions: ["read"],
    roles: { claim: ["realm_access", "roles"], any: ["admin", "editor"] }, keys: "main",
  },
  id: { kind: "id", issuer: ISSUER, clientId: CLIENT, nonce: NONCE, algorithms: ["RS256"], keys: "main" },
  idTrusted: { kind: "id", issuer: ISSUER, clientId: CLIENT, clients: ["app-1"], trustedAudiences: ["project-1"], algorithms: ["RS256"], keys: "main" },
};

const classes = new Map();
const ids = new Set();
let current;

/** Begins a class of cases. */
export function section(name, about) {
  current = { name, about, cases: [] };
  classes.set(name, current);
}

function add(name, code, rule, why, token, { policy = "rs256", keys, limit } = {}) {
  const id = `${current.name}/${name}`;
  if (ids.has(id)) throw new Error(`two cases are called ${id}`);
  if (policies[policy] === undefined || (keys !== undefined && sets[keys] === undefined)) throw new Error(`${id}: there is no ${policy} or ${keys}`);
  ids.add(id);
  const one = { id, verdict: code === undefined ? "accept" : "reject", code, rule, why, limit, policy, keys, token };
  current.cases.push({ ...one, platform: platform(one) });
}
/** A token that must be accepted, by `rule`. */
export const good = (id, rule, why, token, more) => add(id, undefined, rule, why, token, more);
/** A token that must be refused, with our code. */
export const bad = (id, code, rule, why, token, more) => add(id, code, rule, why, token, more);

/** What the platform says about the signature, where it is asked: platforms differ on keys that are refused before. */
function platform({ code, policy, keys, token }) {
  const parts = token.split(".");
  let header;
  try {
    header = JSON.parse(Buffer.from(parts[0], "base64url").toString());
  } catch {
    return undefined;
  }
  const { alg, kid } = header ?? {};
  const crv = { ES256: "P-256", ES384: "P-384", EdDSA: "Ed25519", Ed25519: "Ed25519" }[alg];
  const set = sets[keys ?? policies[policy].keys];
  if (crv === undefined || set === undefined || parts.length !== 3) return undefined;
  const key = JSON.parse(set).keys.find((one) => one?.crv === crv && (kid === undefined || one.kid === kid));
  const { alg: _, ...jwk } = key ?? {};
  const said = key && platformVerdict(alg, jwk, Buffer.from(`${parts[0]}.${parts[1]}`), Buffer.from(parts[2], "base64url"));
  return code === "key_not_found" && said !== "key_refused" ? undefined : said;
}

export const defined = (object) => JSON.parse(JSON.stringify(object));
export const header = (changes = {}) => defined({ alg: "RS256", typ: "JWT", kid: "a", ...changes });
export const claims = (changes = {}) => defined({ iss: ISSUER, sub: "user-1", aud: AUDIENCE, iat: NOW - 60, exp: NOW + 600, ...changes });
export const text = (object) => (typeof object === "string" || Buffer.isBuffer(object) ? object : JSON.stringify(object));

/** A token of a header and claims: objects are written as JSON, texts and bytes taken as they are. `with` changes the signature. */
export function jws(head, body, { key = a, alg = "RS256", with: change } = {}) {
  const signed = `${base64url(text(head))}.${base64url(text(body))}`;
  const made = signature(alg, key, Buffer.from(signed));
  return `${signed}.${base64url(change === undefined ? made : change(made, Buffer.from(signed)))}`;
}
/** A token with changes of the usual header and claims. */
export const token = (head = {}, body = {}, more = {}) => jws(header(head), claims(body), { alg: head.alg, ...more });
/** Claims as a text that ends with these members. */
export const ending = (object, members) => `${JSON.stringify(object).slice(0, -1)},${members}}`;
/** The parts of a token. */
export const parts = (made) => made.split(".");

export const result = () => classes;
