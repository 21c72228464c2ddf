// The options of providers, for createVerifier and the functions that accept its options. The gateway's table is
// src/gateway/config/presets.rs; tests/npm/providers.test.mjs compares both.

import { plain } from "./plain.js";

/**
 * Makes a preset: a function from options to options, in which the given ones take precedence over `keys`. In the URLs of `keys`,
 * `{domain}`, `{clientId}` and `{audience}` stand for these options. `domain` is an option of presets with `{domain}` only.
 */
const preset = (name, keys) => (options = {}) => {
  const given = plain(options);
  if (given === undefined) throw new TypeError(`${name}: options must be a plain object`);
  const { domain, clientId, audience } = given;
  const parts = { domain, clientId, audience };
  // Of another preset it stays, and createVerifier refuses it: it could be meant as a requirement.
  if (JSON.stringify(keys).includes("{domain}")) delete given.domain;
  const filledIn = (url) =>
    url.replace(/\{(domain|clientId|audience)\}/g, (_, part) => {
      const value = parts[part];
      if (value === undefined) throw new TypeError(`${name}: ${part} is missing: the issuer or the URL of the keys is made from it`);
      if (typeof value !== "string" || !/^[\w-]+(\.[\w-]+)*$/.test(value)) throw new TypeError(`${name}: ${part} must be a bare name, such as ${EXAMPLES[part]}`);
      return value;
    });
  const made = { algorithms: ["RS256"] };
  for (const [key, value] of Object.entries(keys)) {
    const hasKeys = Object.hasOwn(given, "jwks");
    if (Object.hasOwn(given, key) || (key === "jwksUri" && hasKeys)) continue;
    if (key === "issuers" && hasKeys) {
      made.issuers = value.map(({ issuer }) => ({ issuer, jwks: given.jwks }));
      delete given.jwks;
    } else made[key] = key === "issuer" || key === "jwksUri" ? filledIn(value) : structured(value);
  }
  return { ...made, ...given };
};

const EXAMPLES = { domain: "login.example.com", clientId: "client_01", audience: "my-project" };

/** Copies lists, so that no caller changes a preset. */
const structured = (value) => (Array.isArray(value) ? value.map((item) => (typeof item === "object" ? { ...item } : item)) : value);

const GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs";

export const okta = preset("okta", { issuer: "https://{domain}/oauth2/default" });
export const entra = preset("entra", { issuer: "https://login.microsoftonline.com/{tenantid}/v2.0" });
export const cognito = preset("cognito", { audience: false });
export const keycloak = preset("keycloak", {});
// ID tokens, since Google's access tokens are opaque. Their `iss` is written with and without the scheme.
export const google = preset("google", {
  kind: "id",
  issuers: ["https://accounts.google.com", "accounts.google.com"].map((issuer) => ({ issuer, jwksUri: GOOGLE_KEYS })),
});
export const supabase = preset("supabase", { issuer: "https://{domain}/auth/v1", audience: "authenticated", algorithms: ["RS256", "ES256"] });
export const clerk = preset("clerk", { issuer: "https://{domain}", audience: false });
export const workos = preset("workos", {
  issuer: "https://api.workos.com/user_management/{clientId}",
  jwksUri: "https://api.workos.com/sso/jwks/{clientId}",
});
export const zitadel = preset("zitadel", { issuer: "https://{domain}" });
export const firebase = preset("firebase", {
  issuer: "https://securetoken.google.com/{audience}",
  jwksUri: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
});
export const cloudflareAccess = preset("cloudflareAccess", { issuer: "https://{domain}", jwksUri: "https://{domain}/cdn-cgi/access/certs" });
export const githubActions = preset("githubActions", { issuer: "https://token.actions.githubusercontent.com" });
