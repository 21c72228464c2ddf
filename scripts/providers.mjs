// Writes tests/providers/tokens.json: for each type of provider a key set, a token in the form that the provider issues, and near misses, each
// with the code of its refusal. The private keys are thrown away. Usage: node scripts/providers.mjs

import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const now = 1_800_000_000;
const times = { iat: now - 60, exp: now + 600 };
const api = "https://api.example.com";
const tenant = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";
const second = "11111111-2222-4333-8444-555555555555";
const foreign = "99999999-2222-4333-8444-555555555555";
const absent = undefined;

const okta = "https://example.okta.com/oauth2/default";
const entra = (id, version = "v2.0") => `https://login.microsoftonline.com/${id}/${version}`;
const pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc123";
const realm = "https://sso.example.com/realms/main";
const zitadelRoles = "urn:zitadel:iam:org:project:roles";
const github = "https://token.actions.githubusercontent.com";

/** The misses of every provider: each names the change of the claims, the code, and the change of the header. */
const common = [
  ["expired an hour ago", { exp: now - 3600 }, "token_expired"],
  ["not valid yet", { nbf: now + 3600 }, "token_not_yet_valid"],
  ["for its sender only", { cnf: { jkt: "x" } }, "token_sender_constrained"],
  ["a logout token", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }, "token_kind_mismatch"],
  ["a key that is not published", {}, "key_not_found", { kid: "other" }],
];

const presets = [
  {
    type: "okta", gateway: { domain: "example.okta.com", audience: "api://default" }, npm: "okta", options: { domain: "example.okta.com", audience: "api://default" },
    role: "admins", claim: "groups", scope: "read:items",
    claims: { ver: 1, jti: "AT.1", iss: okta, aud: "api://default", sub: "ann@example.com", cid: "0oa1", uid: "00u1", scp: ["openid", "read:items"], groups: ["Everyone", "admins"] },
    misses: [
      ["the issuer of the organization", { iss: "https://example.okta.com" }, "issuer_mismatch"],
      ["another authorization server", { iss: "https://example.okta.com/oauth2/aus1" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: `${okta}/` }, "issuer_mismatch"],
      ["an ID token", { aud: "0oa1", scp: absent, at_hash: "x", nonce: "n" }, "audience_mismatch"],
      ["an ID token for the API", { scp: absent, at_hash: "x" }, "token_kind_mismatch"],
      ["the audience of the organization", { aud: "https://example.okta.com" }, "audience_mismatch"],
      ["the scopes as one member", { scp: ["openid read:items"] }, "insufficient_scope"],
      ["a longer scope", { scp: ["read:items:all"] }, "insufficient_scope"],
      ["scopes with a number among them", { scp: ["read:items", 1] }, "insufficient_scope"],
      ["another group", { groups: ["Everyone"] }, "insufficient_role"],
      ["no groups", { groups: absent }, "roles_claim_missing"],
    ],
  },
  {
    type: "entra", gateway: { tenants: [tenant, second], audience: "api-1" }, npm: "entra", options: { tenants: [tenant, second], audience: "api-1" },
    role: "Task.Write", claim: "roles",
    claims: { aud: "api-1", iss: entra(tenant), tid: tenant, oid: "oid-1", sub: "pairwise-1", azp: "client-1", scp: "Tasks.Read", roles: ["Task.Write"], ver: "2.0" },
    misses: [
      ["another tenant", { iss: entra(foreign), tid: foreign }, "issuer_mismatch"],
      ["the tid of another tenant", { tid: second }, "claim_mismatch"],
      ["no tid", { tid: absent }, "claim_missing"],
      ["a list as tid", { tid: [tenant] }, "claim_malformed"],
      ["version 1", { iss: `https://sts.windows.net/${tenant}/`, ver: "1.0" }, "issuer_mismatch"],
      ["the template itself", { iss: entra("{tenantid}") }, "issuer_mismatch"],
      ["common as tenant", { iss: entra("common"), tid: "common" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: `${entra(tenant)}/` }, "issuer_mismatch"],
      ["the id in capitals", { iss: entra(tenant.toUpperCase()), tid: tenant.toUpperCase() }, "issuer_mismatch"],
      ["a token for Microsoft Graph", { aud: "00000003-0000-0000-c000-000000000000" }, "audience_mismatch"],
      ["an ID token", { aud: "client-1", nonce: "n", scp: absent }, "audience_mismatch"],
      ["a role as scope", { roles: absent, scp: "Task.Write" }, "roles_claim_missing"],
      ["another role", { roles: ["Task.WriteAll"] }, "insufficient_role"],
    ],
  },
  {
    type: "cognito", gateway: { issuer: pool, clients: ["web-1"] }, npm: "cognito", options: { issuer: pool, clients: ["web-1"] },
    role: "admins", claim: "cognito:groups",
    claims: { iss: pool, sub: "u-1", token_use: "access", client_id: "web-1", scope: "openid", "cognito:groups": ["admins"], username: "ann" },
    misses: [
      ["an ID token", { token_use: "id", aud: "web-1", client_id: absent, scope: absent }, "audience_mismatch"],
      ["an ID token without audience", { token_use: "id" }, "token_kind_mismatch"],
      ["a refresh token", { token_use: "refresh", typ: "Refresh" }, "token_kind_mismatch"],
      ["another client", { client_id: "mobile-1" }, "client_not_allowed"],
      ["no client", { client_id: absent }, "client_not_allowed"],
      ["a list of clients", { client_id: ["web-1"] }, "client_not_allowed"],
      ["an audience", { aud: "web-1" }, "audience_mismatch"],
      ["an empty audience", { aud: [] }, "audience_mismatch"],
      ["another pool", { iss: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Xyz789" }, "issuer_mismatch"],
      ["another region", { iss: "https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_Abc123" }, "issuer_mismatch"],
      ["the groups below a cognito object", { "cognito:groups": absent, cognito: { groups: ["admins"] } }, "roles_claim_missing"],
      ["another group", { "cognito:groups": ["users"] }, "insufficient_role"],
    ],
  },
  {
    type: "keycloak", gateway: { issuer: realm, audience: "api" }, npm: "keycloak", options: { issuer: realm, audience: "api" },
    role: "admin", claim: ["realm_access", "roles"],
    claims: { iss: realm, aud: ["api", "account"], sub: "u-1", typ: "Bearer", azp: "web", nonce: "old", scope: "openid profile", realm_access: { roles: ["admin"] } },
    misses: [
      ["an ID token", { typ: "ID", aud: "web" }, "audience_mismatch"],
      ["an ID token for the API", { typ: "ID" }, "token_kind_mismatch"],
      ["a refresh token", { typ: "Refresh" }, "token_kind_mismatch"],
      ["an offline token", { typ: "Offline" }, "token_kind_mismatch"],
      ["a logout token", { typ: "Logout" }, "token_kind_mismatch"],
      ["the account service only", { aud: "account" }, "audience_mismatch"],
      ["another realm", { iss: "https://sso.example.com/realms/master" }, "issuer_mismatch"],
      ["the internal host name", { iss: "http://keycloak:8080/realms/main" }, "issuer_mismatch"],
      ["the former path", { iss: "https://sso.example.com/auth/realms/main" }, "issuer_mismatch"],
      ["the role under a dotted name", { realm_access: absent, "realm_access.roles": ["admin"] }, "roles_claim_missing"],
      ["the role of a client", { realm_access: absent, resource_access: { api: { roles: ["admin"] } } }, "roles_claim_missing"],
      ["another role", { realm_access: { roles: ["administrator"] } }, "insufficient_role"],
    ],
  },
  {
    type: "google", gateway: { client_id: "web.apps.googleusercontent.com" }, npm: "google", options: { clientId: "web.apps.googleusercontent.com", clients: ["app.apps.googleusercontent.com"] },
    claims: { iss: "https://accounts.google.com", aud: "web.apps.googleusercontent.com", azp: "app.apps.googleusercontent.com", sub: "110", email: "ann@example.com", at_hash: "x" },
    also: [["the issuer without scheme", { iss: "accounts.google.com" }], ["the client itself as azp", { azp: "web.apps.googleusercontent.com" }]],
    common: ["expired an hour ago", "not valid yet", "a logout token", "a key that is not published"],
    misses: [
      ["another web client", { aud: "other.apps.googleusercontent.com" }, "audience_mismatch"],
      ["two audiences", { aud: ["web.apps.googleusercontent.com", "other.apps.googleusercontent.com"] }, "audience_mismatch"],
      ["another app", { azp: "other.apps.googleusercontent.com" }, "azp_mismatch"],
      ["an empty azp", { azp: "" }, "azp_mismatch"],
      ["a number as azp", { azp: 1 }, "claim_malformed"],
      ["the issuer with a slash", { iss: "https://accounts.google.com/" }, "issuer_mismatch"],
      ["the issuer over http", { iss: "http://accounts.google.com" }, "issuer_mismatch"],
      ["the project of a Firebase", { iss: "https://securetoken.google.com/web" }, "issuer_mismatch"],
      ["no subject", { sub: absent }, "claim_missing"],
      ["no time of issue", { iat: absent }, "claim_missing"],
      ["an access token", {}, "typ_not_allowed", { typ: "at+jwt" }],
    ],
  },
  {
    type: "supabase", gateway: { domain: "abcd.supabase.co" }, npm: "supabase", options: { domain: "abcd.supabase.co" },
    role: "editor", claim: ["app_metadata", "roles"],
    claims: { iss: "https://abcd.supabase.co/auth/v1", aud: "authenticated", sub: "u-1", role: "authenticated", aal: "aal1", session_id: "s-1", app_metadata: { provider: "email", roles: ["editor"] }, user_metadata: { roles: ["owner"] } },
    misses: [
      ["another project", { iss: "https://efgh.supabase.co/auth/v1" }, "issuer_mismatch"],
      ["the project's address", { iss: "https://abcd.supabase.co" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://abcd.supabase.co/auth/v1/" }, "issuer_mismatch"],
      ["an anonymous key", { iss: "supabase", aud: absent, role: "anon" }, "issuer_mismatch"],
      ["no audience", { aud: absent }, "claim_missing"],
      ["another audience", { aud: "anon" }, "audience_mismatch"],
      ["roles that the user may write", { app_metadata: { provider: "email" }, user_metadata: { roles: ["editor"] } }, "roles_claim_missing"],
      ["roles under a dotted name", { app_metadata: {}, "app_metadata.roles": ["editor"] }, "roles_claim_missing"],
      ["the role of the database", { app_metadata: {}, role: "editor" }, "roles_claim_missing"],
      ["another role", { app_metadata: { roles: ["viewer"] } }, "insufficient_role"],
    ],
  },
  {
    type: "clerk", gateway: { domain: "clerk.example.com", clients: ["https://app.example.com"] }, npm: "clerk", options: { domain: "clerk.example.com", clients: ["https://app.example.com"] },
    claims: { iss: "https://clerk.example.com", sub: "user_1", azp: "https://app.example.com", sid: "sess_1", org_id: null, fva: [7, -1], v: 2 },
    misses: [
      ["no azp", { azp: absent }, "client_not_allowed"],
      ["an empty azp", { azp: "" }, "client_not_allowed"],
      ["a null azp", { azp: null }, "client_not_allowed"],
      ["a list as azp", { azp: ["https://app.example.com"] }, "client_not_allowed"],
      ["another subdomain", { azp: "https://blog.example.com" }, "client_not_allowed"],
      ["the origin over http", { azp: "http://app.example.com" }, "client_not_allowed"],
      ["the origin with a slash", { azp: "https://app.example.com/" }, "client_not_allowed"],
      ["a token for an API", { aud: api }, "audience_mismatch"],
      ["an empty audience", { aud: [] }, "audience_mismatch"],
      ["a null audience", { aud: null }, "claim_malformed"],
      ["the development instance", { iss: "https://example.clerk.accounts.dev" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://clerk.example.com/" }, "issuer_mismatch"],
    ],
  },
  {
    type: "workos", gateway: { client_id: "client_01", audience: api }, npm: "workos", options: { clientId: "client_01", audience: api },
    role: "admin", claim: "roles",
    claims: { iss: "https://api.workos.com/user_management/client_01", aud: api, sub: "user_1", sid: "session_1", org_id: "org_1", role: "admin", roles: ["admin"], permissions: ["posts:read"], jti: "1" },
    misses: [
      ["another application", { iss: "https://api.workos.com/user_management/client_02" }, "issuer_mismatch"],
      ["the issuer without application", { iss: "https://api.workos.com" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://api.workos.com/user_management/client_01/" }, "issuer_mismatch"],
      ["an own domain", { iss: "https://auth.example.com" }, "issuer_mismatch"],
      ["no audience", { aud: absent }, "claim_missing"],
      ["another audience", { aud: "https://other.example.com" }, "audience_mismatch"],
      ["the client as audience", { aud: "client_01" }, "audience_mismatch"],
      ["another role", { roles: ["member"], role: "member" }, "insufficient_role"],
      ["a role in the wrong claim", { roles: absent }, "roles_claim_missing"],
      ["a role among words", { roles: "admin member" }, "insufficient_role"],
    ],
  },
  {
    type: "zitadel", gateway: { domain: "acme.zitadel.cloud", audience: "project-1" }, npm: "zitadel", options: { domain: "acme.zitadel.cloud", audience: "project-1" },
    role: "admin", claim: zitadelRoles,
    claims: { iss: "https://acme.zitadel.cloud", aud: ["client-1", "project-1"], sub: "u-1", client_id: "client-1", jti: "1", [zitadelRoles]: { admin: { 1: "acme.example" } } },
    misses: [
      ["another project", { aud: ["client-1", "project-2"] }, "audience_mismatch"],
      ["the client alone", { aud: "client-1" }, "audience_mismatch"],
      ["an ID token", { client_id: absent, azp: "client-1", at_hash: "x" }, "token_kind_mismatch"],
      ["another instance", { iss: "https://other.zitadel.cloud" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://acme.zitadel.cloud/" }, "issuer_mismatch"],
      ["another role", { [zitadelRoles]: { user: { 1: "acme.example" } } }, "insufficient_role"],
      ["a role that was withdrawn", { [zitadelRoles]: { admin: null } }, "insufficient_role"],
      ["a role inside a role", { [zitadelRoles]: { user: { admin: "acme.example" } } }, "insufficient_role"],
      ["the roles of another project", { [zitadelRoles]: absent, "urn:zitadel:iam:org:project:2:roles": { admin: {} } }, "roles_claim_missing"],
      ["the role as organization", { [zitadelRoles]: { user: { 1: "admin" } } }, "insufficient_role"],
    ],
  },
  {
    type: "firebase", gateway: { audience: "my-project" }, npm: "firebase", options: { audience: "my-project" },
    claims: { iss: "https://securetoken.google.com/my-project", aud: "my-project", sub: "uid-1", user_id: "uid-1", auth_time: now - 60, firebase: { sign_in_provider: "password", identities: {} } },
    misses: [
      ["another project", { iss: "https://securetoken.google.com/other", aud: "other" }, "issuer_mismatch"],
      ["the audience of another project", { aud: "other" }, "audience_mismatch"],
      ["the issuer of another project", { iss: "https://securetoken.google.com/other" }, "issuer_mismatch"],
      ["a project with the same beginning", { iss: "https://securetoken.google.com/my-project-2" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://securetoken.google.com/my-project/" }, "issuer_mismatch"],
      ["a session cookie", { iss: "https://session.firebase.google.com/my-project" }, "issuer_mismatch"],
      ["an ID token of Google", { iss: "https://accounts.google.com" }, "issuer_mismatch"],
      ["a custom token", { iss: "sa@my-project.iam.gserviceaccount.com", aud: "https://identitytoolkit.googleapis.com/" }, "issuer_mismatch"],
      ["no audience", { aud: absent }, "claim_missing"],
      ["a number as audience", { aud: 1 }, "claim_malformed"],
    ],
  },
  {
    type: "cloudflare_access", gateway: { domain: "team.cloudflareaccess.com", audience: "tag-1" }, npm: "cloudflareAccess", options: { domain: "team.cloudflareaccess.com", audience: "tag-1" },
    claims: { iss: "https://team.cloudflareaccess.com", aud: ["tag-1"], sub: "u-1", email: "ann@example.com", type: "app", identity_nonce: "x", country: "DE", nbf: now - 60 },
    misses: [
      ["another application", { aud: ["tag-2"] }, "audience_mismatch"],
      ["no audience", { aud: absent }, "claim_missing"],
      ["an empty list of audiences", { aud: [] }, "audience_mismatch"],
      ["a tag with the same beginning", { aud: ["tag-12"] }, "audience_mismatch"],
      ["a list inside a list", { aud: [["tag-1"]] }, "claim_malformed"],
      ["another team", { iss: "https://other.cloudflareaccess.com" }, "issuer_mismatch"],
      ["a team with the same ending", { iss: "https://my-team.cloudflareaccess.com" }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: "https://team.cloudflareaccess.com/" }, "issuer_mismatch"],
      ["the issuer without scheme", { iss: "team.cloudflareaccess.com" }, "issuer_mismatch"],
      ["the token of the organization", { type: "org", aud: ["team-tag"] }, "audience_mismatch"],
    ],
  },
  {
    type: "github_actions", gateway: { audience: api, claims: { repository: "octo-org/app", ref: "refs/heads/main" } },
    npm: "githubActions", options: { audience: api, claims: { repository: "octo-org/app", ref: "refs/heads/main" } },
    claims: { iss: github, aud: api, sub: "repo:octo-org/app:ref:refs/heads/main", repository: "octo-org/app", repository_owner: "octo-org", ref: "refs/heads/main", jti: "1", nbf: now - 60 },
    misses: [
      ["a fork", { repository: "someone/app", repository_owner: "someone", sub: "repo:someone/app:ref:refs/heads/main" }, "claim_not_allowed"],
      ["a repository with the same beginning", { repository: "octo-org/app-2" }, "claim_not_allowed"],
      ["an owner with the same beginning", { repository: "octo-org-2/app" }, "claim_not_allowed"],
      ["another letter case", { repository: "Octo-Org/app" }, "claim_not_allowed"],
      ["no repository", { repository: absent }, "claim_not_allowed"],
      ["a list of repositories", { repository: ["octo-org/app", "someone/app"] }, "claim_not_allowed"],
      ["a pull request", { ref: "refs/pull/1/merge" }, "claim_not_allowed"],
      ["another branch", { ref: "refs/heads/main-2" }, "claim_not_allowed"],
      ["the owner's default audience", { aud: "https://github.com/octo-org" }, "audience_mismatch"],
      ["an enterprise", { iss: `${github}/octo` }, "issuer_mismatch"],
      ["the issuer with a slash", { iss: `${github}/` }, "issuer_mismatch"],
      ["an own server", { iss: "https://github.example.com/_services/token" }, "issuer_mismatch"],
    ],
  },
];

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

const made = presets.map(({ claims, misses, also = [], common: shared = common.map(([name]) => name), ...preset }) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const kid = `${preset.type}-1`;
  const token = (changes = {}, header = {}) => {
    const input = `${encode({ alg: "RS256", typ: "JWT", kid, ...header })}.${encode({ ...times, ...claims, ...changes })}`;
    return `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
  };
  const jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" }] };
  return {
    ...preset, jwks,
    passes: [["its own form", token()], ...also.map(([name, changes]) => [name, token(changes)])],
    misses: [...misses, ...common.filter(([name]) => shared.includes(name))].map(([name, changes, code, header]) => [name, code, token(changes, header)]),
  };
});
writeFileSync(join(resolve(import.meta.dirname, ".."), "tests/providers/tokens.json"), `${JSON.stringify({ now, providers: made }, undefined, 1)}\n`);
