// The tokens of providers, in their own form and in every spelling that JSON and JWT allow them, and near misses of each.

import { AUDIENCE, bad, defined, ending, good, jws, NOW, OTHER_ISSUER, policies, section } from "./corpus.mjs";
import * as k from "./keys.mjs";

const api = AUDIENCE;
const tid = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";
const pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc123";
const realm = "https://sso.example.com/realms/main";
const github = "https://token.actions.githubusercontent.com";

/** Each with its options, its header beside alg and kid, and its claims beside iss and times. `key` is an RSA key unless given. */
const providers = {
  auth0: { options: { issuer: "https://tenant.eu.auth0.com/", audience: api }, claims: { sub: "auth0|507f1f77bcf86cd799439011", aud: [api, "https://tenant.eu.auth0.com/userinfo"], azp: "client-1", scope: "openid profile read:items", permissions: ["read:items"], "https://example.com/roles": ["admin"] } },
  "auth0-machine": { options: { issuer: "https://tenant.eu.auth0.com/", audience: api }, claims: { sub: "client-1@clients", aud: api, azp: "client-1", gty: "client-credentials", scope: "read:items" } },
  "auth0-rfc9068": { options: { issuer: "https://tenant.eu.auth0.com/", audience: api, profile: "rfc9068" }, header: { typ: "at+jwt" }, claims: { sub: "auth0|1", aud: api, client_id: "client-1", jti: "j-1", scope: "read:items" } },
  "auth0-ps256": { options: { issuer: "https://tenant.eu.auth0.com/", audience: api }, alg: "PS256", claims: { sub: "auth0|1", aud: api, azp: "client-1" } },
  okta: { options: { issuer: "https://example.okta.com/oauth2/default", audience: "api://default" }, claims: { ver: 1, jti: "AT.1", aud: "api://default", sub: "ann@example.com", cid: "0oa1", uid: "00u1", scp: ["openid", "read:items"], groups: ["Everyone"] } },
  "entra-v2": { options: { issuer: "https://login.microsoftonline.com/{tenantid}/v2.0", tenants: [tid], audience: "api-1" }, iss: `https://login.microsoftonline.com/${tid}/v2.0`, claims: { aud: "api-1", tid, oid: "oid-1", sub: "pairwise-1", azp: "client-1", azpacr: "1", scp: "Tasks.Read", roles: ["Task.Write"], ver: "2.0", aio: "x", rh: "y", uti: "z", nbf: NOW - 60 } },
  "entra-v1": { options: { issuer: `https://sts.windows.net/${tid}/`, audience: "api://api-1" }, claims: { aud: "api://api-1", tid, appid: "client-1", appidacr: "1", idp: `https://sts.windows.net/${tid}/`, scp: "Tasks.Read", sub: "pairwise-1", ver: "1.0", nbf: NOW - 60 } },
  google: { id: true, options: { issuer: "https://accounts.google.com", clientId: "web.apps.example", clients: ["app.apps.example"] }, claims: { aud: "web.apps.example", azp: "app.apps.example", sub: "110248495921238986420", email: "ann@example.com", email_verified: true, at_hash: "x", hd: "example.com" } },
  "google-without-scheme": { id: true, options: { issuer: "accounts.google.com", clientId: "web.apps.example" }, claims: { aud: "web.apps.example", azp: "web.apps.example", sub: "110", email: "ann@example.com" } },
  cognito: { options: { issuer: pool, audience: false, clients: ["web-1"] }, claims: { sub: "u-1", token_use: "access", client_id: "web-1", scope: "openid", "cognito:groups": ["admins"], username: "ann", origin_jti: "o", event_id: "e", jti: "j", auth_time: NOW - 90, version: 2 } },
  "cognito-id": { id: true, options: { issuer: pool, clientId: "web-1" }, claims: { sub: "u-1", token_use: "id", aud: "web-1", "cognito:username": "ann", email_verified: true, auth_time: NOW - 90, origin_jti: "o", at_hash: "h" } },
  keycloak: { options: { issuer: realm, audience: "api" }, claims: { aud: ["api", "account"], sub: "u-1", typ: "Bearer", azp: "web", nonce: "old", sid: "s", acr: "1", scope: "openid profile", "allowed-origins": ["https://app.example.com"], realm_access: { roles: ["admin"] }, resource_access: Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`client-${index}`, { roles: ["user"] }])) } },
  clerk: { options: { issuer: "https://clerk.example.com", audience: false, clients: ["https://app.example.com"] }, claims: { sub: "user_1", azp: "https://app.example.com", sid: "sess_1", org_id: null, fva: [7, -1], v: 2, sts: "active", nbf: NOW - 70 } },
  workos: { options: { issuer: "https://api.workos.com/user_management/client_01", audience: false, clients: ["client_01"] }, claims: { sub: "user_1", client_id: "client_01", sid: "session_1", jti: "j", org_id: "org_1", role: "admin", permissions: ["read"] } },
  "supabase-es256": { options: { issuer: "https://abcd.supabase.co/auth/v1", audience: "authenticated" }, alg: "ES256", claims: { aud: "authenticated", sub: "u-1", role: "authenticated", aal: "aal1", amr: [{ method: "password", timestamp: NOW - 90 }], session_id: "s-1", is_anonymous: false, app_metadata: { provider: "email", roles: ["editor"] }, user_metadata: {} } },
  "supabase-rs256": { options: { issuer: "https://abcd.supabase.co/auth/v1", audience: "authenticated" }, claims: { aud: "authenticated", sub: "u-1", role: "authenticated", phone: "", app_metadata: { providers: ["email"] } } },
  firebase: { options: { issuer: "https://securetoken.google.com/my-project", audience: "my-project" }, claims: { aud: "my-project", sub: "uid-1", user_id: "uid-1", auth_time: NOW - 90, firebase: { identities: { email: ["a@example.com"] }, sign_in_provider: "password" } } },
  "cloudflare-access": { options: { issuer: "https://team.cloudflareaccess.com", audience: "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2" }, header: { typ: undefined }, claims: { aud: ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"], email: "ann@example.com", type: "app", identity_nonce: "x", sub: "u-1", country: "DE", nbf: NOW - 60 } },
  "google-iap": { options: { issuer: "https://cloud.google.com/iap", audience: "/projects/1/global/backendServices/2", clockSkew: 30 }, alg: "ES256", claims: { aud: "/projects/1/global/backendServices/2", sub: "accounts.google.com:110", email: "accounts.google.com:ann@example.com", hd: "example.com", google: { access_levels: ["x"] } } },
  "github-actions": { options: { issuer: github, audience: api, claims: { repository: "octo-org/app" } }, header: { x5t: "AAAAAAAAAAAAAAAAAAAAAAAAAAA" }, claims: { aud: api, sub: "repo:octo-org/app:ref:refs/heads/main", ref: "refs/heads/main", sha: "d".repeat(40), repository: "octo-org/app", repository_owner: "octo-org", run_id: "1", jti: "j", nbf: NOW - 70, event_name: "push" } },
  "gitlab-ci": { options: { issuer: "https://gitlab.com", audience: api, claims: { project_path: "group/app" } }, claims: { aud: api, sub: "project_path:group/app:ref_type:branch:ref:main", project_path: "group/app", namespace_path: "group", ref_protected: "true", nbf: NOW - 65, jti: "j" } },
  kubernetes: { options: { issuer: "https://kubernetes.default.svc.cluster.local", audience: api }, header: { typ: undefined }, claims: { aud: [api], sub: "system:serviceaccount:default:app", "kubernetes.io": { namespace: "default", serviceaccount: { name: "app", uid: "u" }, warnafter: NOW + 300 }, nbf: NOW - 60, jti: "j" } },
  zitadel: { options: { issuer: "https://app.zitadel.cloud", audience: "project-1" }, claims: { aud: ["client-1", "project-1"], sub: "u-1", client_id: "client-1", jti: "V2_1", "urn:zitadel:iam:org:project:roles": { admin: { "org-1": "example.com" } } } },
  "zitadel-id": { id: true, options: { issuer: "https://app.zitadel.cloud", clientId: "client-1", trustedAudiences: ["project-1"] }, claims: { aud: ["client-1", "project-1"], azp: "client-1", sub: "u-1", amr: ["pwd"], auth_time: NOW - 90, at_hash: "h" } },
  "logto-es384": { options: { issuer: "https://logto.example.com/oidc", audience: api }, alg: "ES384", header: { typ: "at+jwt" }, claims: { aud: api, sub: "u-1", client_id: "client-1", jti: "j", scope: "read" } },
  duende: { options: { issuer: "https://identity.example.com", audience: api }, header: { typ: "at+jwt" }, claims: { aud: api, sub: "u-1", client_id: "client-1", jti: "J", scope: ["openid", "read"], amr: ["pwd"], idp: "local", nbf: NOW - 60 } },
  hydra: { options: { issuer: "https://hydra.example.com/", audience: api }, claims: { aud: [api], sub: "u-1", client_id: "client-1", jti: "j", scp: ["openid", "read"], ext: {}, nbf: NOW - 60 } },
  "better-auth-eddsa": { options: { issuer: "https://app.example.com/api/auth", audience: api }, alg: "EdDSA", header: { typ: undefined }, claims: { aud: [api], sub: "u-1", azp: "client-1", scope: "openid", sid: "s" } },
  "rauthy-eddsa": { options: { issuer: "https://rauthy.example.com/auth/v1/", audience: api }, alg: "EdDSA", claims: { aud: api, sub: "u-1", typ: "Bearer", azp: "client-1", scope: "openid", nbf: NOW - 60, did: "d" } },
  "rauthy-ed25519": { options: { issuer: "https://rauthy.example.com/auth/v1/", audience: api }, alg: "Ed25519", keys: "ed25519Name", claims: { aud: api, sub: "u-1", typ: "Bearer", azp: "client-1" } },
  "canaille-rs512": { options: { issuer: "https://canaille.example.com", audience: "client-1" }, alg: "RS512", claims: { aud: ["client-1"], sub: "u-1", client_id: "client-1", scope: "openid", jti: "j" } },
  "lemonldap-id": { id: true, options: { issuer: "https://auth.example.com", clientId: "client-1", trustedAudiences: ["client-2"] }, claims: { aud: ["client-1", "client-2"], azp: "client-1", sub: "u-1", acr: "loa-2", auth_time: NOW - 90, sid: "s", at_hash: "h" } },
  "django-oauth-toolkit-id": { id: true, options: { issuer: "https://dot.example.com/o", clientId: "client-1" }, claims: { aud: "client-1", sub: "1", auth_time: NOW - 90, at_hash: "h", jti: "j" } },
  "glewlwyd-ps256": { options: { issuer: "https://glewlwyd.example.com/api/glwd", audience: "read" }, alg: "PS256", claims: { aud: ["read", "write"], sub: "u-1", client_id: "client-1", jti: "j", scope: "read write", type: "access_token", salt: "x" } },
};

const signers = { RS256: ["b", k.b], RS512: ["b", k.b], PS256: ["b", k.b], ES256: ["p256", k.p256], ES384: ["p384", k.p384], EdDSA: ["ed", k.ed], Ed25519: ["ed", k.ed] };
const escaped = (word) => [...word].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

const reversed = (object) => JSON.stringify(Object.fromEntries(Object.entries(object).reverse()));

section("good-providers", "Access and ID tokens as providers issue them, and in every spelling that the standards allow.");
const made = Object.entries(providers).map(([name, { options, id, alg = "RS256", header = {}, claims, iss = options.issuer, keys = alg.startsWith("E") ? "curves" : "main" }]) => {
  const [kid, key] = signers[alg];
  policies[name] = { ...(id && { kind: "id" }), ...options, algorithms: [alg === "Ed25519" ? "EdDSA" : alg], keys };
  const head = (changes = {}) => defined({ alg, typ: "JWT", kid, ...header, ...changes });
  const body = (changes = {}) => defined({ iss, iat: NOW - 60, exp: NOW + 600, ...claims, ...changes });
  return { name, id, policy: name, skew: options.clockSkew ?? 5, head, body, kid, key, alg, options, make: (h = {}, b = {}, more = {}) => jws(head(h), body(b), { alg, key, ...more }), sign: (h, b) => jws(h, b, { alg, key }) };
});
for (const { name, id, policy, skew, head, body, make, sign, options } of made) {
  const at = { policy };
  const pass = (what, rule, why, token) => good(`${name}-${what}`, rule, `${name}: ${why}`, token, at);
  pass("own", "RFC 7519 §7.2", "its own form", make());
  pass("spaces", "RFC 8259 §2", "header and claims with whitespace", sign(JSON.stringify(head(), undefined, "\t"), JSON.stringify(body(), undefined, 2)));
  pass("escapes", "RFC 8259 §7", "names and values written with escapes", sign(JSON.stringify(head()).replace('"alg"', `"${escaped("alg")}"`), JSON.stringify(body()).replace('"iss":"', `"${escaped("iss")}":"`).replaceAll("/", "\\/")));
  pass("more", "RFC 7519 §4.3", "further claims and parameters of every type", make({ "x-own": [1] }, { "urn:x": { a: [null, 1.5, "é", true] }, big: 1e300, "": "" }));
  pass("last-second", "RFC 7519 §4.1.4", "the last second in which it is valid", make({}, { exp: NOW - skew + 1 }));
  pass("reversed", "RFC 8259 §4", "members in the reverse order", sign(reversed(head()), reversed(body())));
  const typ = head().typ ?? "JWT";
  pass("typ-case", "RFC 7515 §4.1.9", "its type in the other case", make({ typ: typ === typ.toLowerCase() ? typ.toUpperCase() : typ.toLowerCase() }));
  pass("typ-long", "RFC 7515 §4.1.9", "its type with application/", make({ typ: `application/${typ}` }));
  pass("fraction", "RFC 7519 §2", "times with fractions", make({}, { iat: NOW - 59.75, exp: NOW + 599.5 }));
  pass("exponent", "RFC 7519 §2", "exp with an exponent", sign(head(), JSON.stringify(body({ exp: 12_345_678 })).replace("12345678", "1.8000006E+9")));
  pass("nbf-first", "RFC 7519 §4.1.5", "the first second of nbf", make({}, { nbf: NOW + skew }));
  pass("iat-ahead", "RFC 7519 §4.1.6", "issued as far ahead as the skew allows", make({}, { iat: NOW + skew }));
  pass("long", "RFC 8725 §3.11", "three hundred groups", make({}, { group_ids: Array.from({ length: 300 }, (_, index) => `group-${index}`) }));
  pass("unicode", "RFC 8259 §8.1", "names beyond ASCII", make({}, { name: "Zoë Ångström 🌍", given_name: "日本語", "имя": "Ω" }));
  pass("escaped-unicode", "RFC 8259 §7", "the same written with escapes, and a NUL", sign(head(), ending(body(), '"name":"Zo\\u00eb \\ud83c\\udf0d","nul":"\\u0000"')));
  pass("deep", "RFC 8259 §9", "a claim nested sixty levels deep", sign(head(), ending(body(), `"deep":${"[".repeat(60)}${"]".repeat(60)}`)));
  pass("nulls", "RFC 7519 §4.3", "further claims that are null", make({}, { acr: null, locale: null, org_name: null, address: null }));
  pass("certificates", "RFC 7515 §4.1.6", "certificates in the header", make({ x5c: ["MIIB".repeat(500)], x5t: "AAAAAAAAAAAAAAAAAAAAAAAAAAA" }));
  pass("whitespace-around", "RFC 8259 §2", "line breaks around the objects", sign(`\r\n${JSON.stringify(head())}\n`, ` \t${JSON.stringify(body())}\n\n`));
  if (options.profile !== "rfc9068") pass("no-typ", "RFC 7519 §5.1", "without typ", make({ typ: undefined }));
  if (!id && options.audience !== false) pass("aud-list", "RFC 7519 §4.1.3", "among other audiences", make({}, { aud: ["urn:other", options.audience] }));
}

section("bad-providers", "Near misses of the tokens of providers.");
for (const { name, id, policy, skew, body, make, options, kid } of made) {
  const at = { policy };
  const miss = (what, code, rule, why, token) => bad(`${name}-${what}`, code, rule, `${name}: ${why}`, token, at);
  const { iss } = body();
  miss("slash", "issuer_mismatch", "RFC 7519 §4.1.1", "a slash more or less at the end of iss", make({}, { iss: iss.endsWith("/") ? iss.slice(0, -1) : `${iss}/` }));
  miss("other-issuer", "issuer_mismatch", "RFC 8725 §3.8", "another issuer", make({}, { iss: OTHER_ISSUER }));
  miss("expired", "token_expired", "RFC 7519 §4.1.4", "the first second in which it is no longer valid", make({}, { exp: NOW - skew }));
  miss("unknown-kid", "key_not_found", "RFC 7515 §4.1.4", "a kid that is not published", make({ kid: `${kid}-2` }));
  if (options.audience !== false) miss("other-audience", "audience_mismatch", "RFC 7519 §4.1.3", "another audience", make({}, { aud: `${[options.audience ?? options.clientId].flat()[0]}/`, azp: undefined }));
  if (id) miss("as-access", "typ_not_allowed", "RFC 8725 §3.11", "marked as an access token", make({ typ: "at+jwt" }));
  else miss("as-id", "token_kind_mismatch", "RFC 8725 §3.12", "marked as an ID token", make({}, { token_use: "id", typ: "ID" }));
}
