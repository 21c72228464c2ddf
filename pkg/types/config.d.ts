// Made from the declarations in src/gateway/config.

/** The value of a Worker's variable or secret. It may stand inside a longer string, too. */
export type Placeholder = `$env.${string}` | `$secrets.${string}`;

/** The gateway's configuration: who issues the tokens, what each path needs, and where requests go. */
export interface GatewayConfig {
  /** The JSON Schema of this document, for editors. */
  $schema?: string;
  /** Who issues the tokens, what they must satisfy, and the client that logs users in. */
  authorizer?: AuthorizerConfig;
  /** Several authorizers by name, in place of `authorizer`. Each has the keys of `authorizer`, for which no variables stand in. */
  authorizers?: Readonly<Record<string, AuthorizerConfig>>;
  /** The authorizer of each host, such as `app.example.com`, which stands for all its ports, or `app.example.com:8443`. Requests to other hosts are answered 421. */
  hosts?: Readonly<Record<string, HostConfig>>;
  /** The sealed cookie that holds a login. */
  session?: SessionConfig;
  /** Sessions and bearer tokens that end before they expire. */
  revocation?: RevocationConfig;
  /** Where logins end. */
  login?: LoginConfig;
  /** The API, as described to its clients (RFC 9728). */
  protected_resource?: ResourceConfig;
  /** A signed statement for origins about who calls. */
  identity_token?: IdentityTokenConfig;
  /** Cross-origin requests of scripts. */
  cors?: CorsConfig;
  /** The gateway's own pages. */
  pages?: PagesConfig;
  /** Which requests are logged. */
  log?: LogConfig;
  /** Counters and durations. */
  metrics?: MetricsConfig;
  /** The routes. The most specific path decides: an exact one before `{param}` before `{*rest}`. A request that matches none is answered 404. */
  paths: readonly PathConfig[];
}

/** Who issues the tokens, what they must satisfy, and the client that logs users in. */
export interface AuthorizerConfig {
  /** `auth0`: the issuer is `https://{domain}/`, with Auth0's endpoint paths. `oidc`: the issuer's URL, endpoints and keys by discovery. Any other: `oidc` with the keys that [docs/providers.md](providers.md) lists. */
  type: "auth0" | "oidc" | "okta" | "entra" | "cognito" | "keycloak" | "google" | "supabase" | "clerk" | "workos" | "zitadel" | "firebase" | "cloudflare_access" | "github_actions" | Placeholder;
  /** The provider's domain, a bare host name, for the types that make the issuer from it. That of Auth0 may have a port on loopback, where http is used. Variable: `AUTH0_DOMAIN`. */
  domain?: string;
  /** The provider's issuer URL, compared exactly. `{tenantid}` in it stands for the token's `tid`, one of `tenants`. Any text, with `jwks` or `jwks_uri` and without `client_id`: then nothing is fetched from it. Variables: `AUTH0_ISSUER`, `AUTH0_ISSUER_BASE_URL`. */
  issuer?: string;
  /** The tenants that `{tenantid}` in an issuer may stand for: ids, or `any`. With a single one, the issuer is that tenant's, and so are its endpoints; else they are those of `common`. */
  tenants?: string | readonly string[];
  /** Rules on claims for every access token: claim names, each with the text that the claim must be, or with a rule; or a list of rules. Those of GitHub Actions and gitlab.com need one on the repository or its owner, here or on every route. */
  claims?: Readonly<Record<string, string | boolean | ClaimRuleConfig>> | readonly ClaimRuleConfig[];
  /** Further issuers, each bound to its own keys. */
  issuers?: readonly IssuerConfig[];
  /** Identifier of the API. One of several must be in `aud`, compared exactly. Without it: `protected_resource.resource`, or else no bearer token is accepted, and sessions alone open routes. `false`: tokens have no `aud`, and those that have one are refused; only together with `clients`. Variable: `AUTH0_AUDIENCE`. */
  audience?: string | readonly string[] | false;
  /** Accepted signature algorithms: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA` (with Ed25519; `Ed25519` is the same). Without it: `RS256`; with `fapi`, `PS256`, `ES256` and `EdDSA`. */
  algorithms?: "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519" | Placeholder | readonly ("RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519" | Placeholder)[];
  /** A static key set, as an object or as JSON text. It is never fetched: rotating keys means deploying again. */
  jwks?: string | { readonly keys: readonly object[] };
  /** URL of the key set. Without it: Auth0's path, or what discovery says. */
  jwks_uri?: string;
  /** Hosts that may be http: for the issuer, its keys, and the endpoints that it names. A host, or a host with its port. */
  allow_http?: string | readonly string[];
  /** Larger RSA keys are skipped; in bits. Default: `4096`. */
  max_key_bits?: number | `${number}` | Placeholder;
  /** Tolerated difference between the clocks, in seconds. Default: `5`. */
  clock_skew_s?: number | `${number}` | Placeholder;
  /** Accepted form of access tokens: that of Auth0, that of RFC 9068, or both. Default: `"auto"`. */
  token_profile?: "auto" | "auth0" | "rfc9068" | Placeholder;
  /** Further values of the header `typ` that are accepted, besides those of the profile. */
  types?: string | readonly string[];
  /** Largest age of a token since `iat`, in seconds. */
  max_token_age_s?: number | `${number}` | Placeholder;
  /** One of these must be the token's `org_id`, or its `org_name` in any letter case; logins request it if it is the only one. `false`: tokens and users of an organization are refused. */
  organizations?: string | readonly string[] | false;
  /** Only tokens of these clients are accepted (`client_id`, else `azp`). In ID tokens, `azp` may be one of them, or `client_id`. */
  clients?: string | readonly string[];
  /** Audiences that ID tokens may name besides `client_id`. */
  trusted_audiences?: string | readonly string[];
  /** The claim that lists roles: a name, for example `https://yourapp.com/roles`, or a path such as `["realm_access", "roles"]`. Of an object, the names count. */
  roles_claim?: string | readonly string[];
  /** The login client. Variable: `AUTH0_CLIENT_ID`. */
  client_id?: string;
  /** Its secret. Of a list the first is used, and the next is tried once when the provider answers `invalid_client`. Variable: `AUTH0_CLIENT_SECRET`. */
  client_secret?: string | readonly string[];
  /** How the client authenticates at the provider: with a secret, with signed assertions (`private_key`), or with a certificate (`mtls_binding`); `none` is for public clients. Default: `"client_secret_post"`. */
  client_auth?: "client_secret_post" | "client_secret_basic" | "private_key_jwt" | "tls_client_auth" | "self_signed_tls_client_auth" | "none" | Placeholder;
  /** The gateway's callback, exactly as registered at the provider. Without it: the callback route on the origin in `APP_BASE_URL` or `AUTH0_BASE_URL`. */
  redirect_uri?: string;
  /** Where the browser goes after a login. Without it: back to the page that asked for the login. */
  callback_uri?: string;
  /** Where the browser goes after a logout, registered at the provider. Without it: the root of the site. */
  post_logout_uri?: string;
  /** The parameter of the provider's logout that carries the URL to return to. Without it: `returnTo` with the type `auth0`, at Auth0's own logout; else `post_logout_redirect_uri`, the standard one, with which the ID token is sent, too. */
  logout_parameter?: "post_logout_redirect_uri" | "logout_uri" | "returnTo" | Placeholder;
  /** Scopes requested at login, `openid` among them. With `offline_access` sessions are refreshed; some providers refresh them without it. Default: `"openid profile email"`. */
  scope?: string;
  /** How the login requests an access token for the audience: by this parameter, or not at all. Without it: `audience` with the type `auth0`, else `resource` (RFC 8707). */
  audience_parameter?: "audience" | "resource" | "none" | Placeholder;
  /** Further parameters of every login, by name. Links to the login route cannot override them. */
  authorization_params?: Readonly<Record<string, string>>;
  /** Whether sessions also get the claims that only the provider's userinfo has, such as `name` and `email`. Claims of the ID token prevail. A signed response (`application/jwt`) is verified like an ID token. A login fails without userinfo. Default: `false`. */
  userinfo_at_login?: boolean;
  /** Whether the user's address is sent to the token endpoint (`auth0-forwarded-for`). Default: `false`. */
  forward_client_ip?: boolean;
  /** Where bearer tokens are read. Without it: in the header `Authorization`. All these headers and cookies are removed before a request is forwarded. */
  token_from?: readonly TokenSourceConfig[];
  /** The claims that must be equal before the rights of an access token count for the user of an ID token. */
  subject_match?: SubjectMatchConfig;
  /** Tokens that are bound to a key of their client (DPoP, RFC 9449), which come with the scheme `DPoP` and a proof: accepted beside bearer tokens (`allowed`), or alone (`required`). A bound token without its proof is refused in any case. See [docs/bound-tokens.md](bound-tokens.md). Default: `"off"`. */
  dpop?: "off" | "allowed" | "required" | Placeholder;
  /** Secrets of at least 32 characters each. With them, a proof needs a nonce that the gateway has given out. The first makes nonces, all are recognized. */
  dpop_nonce_secret?: string | readonly string[];
  /** Tokens that are bound to a client certificate (mutual TLS, RFC 8705), which the client must have presented to Cloudflare: `allowed` or `required`, likewise. Default: `"off"`. */
  mtls?: "off" | "allowed" | "required" | Placeholder;
  /** Accepts opaque access tokens of the issuer, about which the provider is asked. Without it, they are refused. */
  introspection?: IntrospectionConfig;
  /** The private keys of `"client_auth": "private_key_jwt"`, in PKCS#8 (PEM) or as JWK, from secrets: RSA, P-256, P-384 or Ed25519 (as JWK). The `kid` is that of the JWK, or the key's thumbprint (RFC 7638). Of a list the first signs, and the next is tried once when the provider answers `invalid_client`. */
  private_key?: string | object | readonly (string | object)[];
  /** The algorithm of the assertions: one that the keys fit. Without it: the `alg` of the JWK; else `RS256`, or `PS256` with `fapi`, of an RSA key. */
  private_key_alg?: "RS256" | "RS384" | "PS256" | "ES256" | "ES384" | "EdDSA" | Placeholder;
  /** The name of an `mtls_certificate` binding of the Worker. The client's requests to the provider are sent with its certificate, to `mtls_endpoint_aliases` of the metadata where there are some (RFC 8705). */
  mtls_binding?: string;
  /** Whether authorization requests are pushed (RFC 9126), so that the browser carries a reference only. Without it: if the provider's metadata requires that. */
  par?: boolean;
  /** The signature of authorization requests (RFC 9101). */
  jar?: JarConfig;
  /** What a login requests beyond scopes (RFC 9396): objects, each with a `type` that the provider knows. */
  authorization_details?: readonly { readonly type: string; readonly [property: string]: unknown }[];
  /** `fapi2_sp`: sets and checks what the FAPI 2.0 Security Profile requires; see [docs/fapi.md](fapi.md). */
  fapi?: "fapi2_sp" | Placeholder;
  /** The private keys that the tokens of the gateway's own client are bound to (DPoP, RFC 9449), in PKCS#8 (PEM) or as JWK, from secrets: with them, the gateway makes a proof for each request to the provider and to an upstream that carries such a token. New tokens are bound to the first. See [docs/bound-tokens.md](bound-tokens.md#tokens-of-the-gateway-itself). */
  dpop_key?: string | object | readonly (string | object)[];
  /** Private keys that decrypt access tokens, which are signed inside. Without it, encrypted ones are refused. */
  decryption_keys?: readonly DecryptionKeyConfig[];
}

/** A rule on a claim that is a text, a list of texts, or a boolean. All conditions must be met; a claim that is absent or of another form meets none. */
export interface ClaimRuleConfig {
  /** The claim: a name, or a path such as `["realm_access", "roles"]`. In a list of rules only. */
  claim?: string | readonly string[];
  /** It must be this text, or this boolean. */
  equals?: string | boolean;
  /** It must be or contain one of these. */
  any?: string | readonly string[];
  /** It must be or contain each of these. */
  all?: string | readonly string[];
  /** It must neither be nor contain any of these. */
  not?: string | readonly string[];
  /** It must be a text that begins with this. */
  prefix?: string;
}

/** A further issuer. */
export interface IssuerConfig {
  /** Its Auth0 domain, with the type `auth0`. */
  domain?: string;
  /** Its issuer URL. */
  issuer?: string;
  /** Its static key set. */
  jwks?: string | { readonly keys: readonly object[] };
  /** URL of its key set. */
  jwks_uri?: string;
  /** What its tokens must have in `aud`, as in `authorizer`, which must have an audience, too. Without it: that of `authorizer`. */
  audience?: string | readonly string[] | false;
  /** Its signature algorithms. Without it: those of `authorizer`. */
  algorithms?: "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519" | Placeholder | readonly ("RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519" | Placeholder)[];
  /** The clients whose tokens are accepted. Without it: those of `authorizer`. */
  clients?: string | readonly string[];
  /** The claim that lists roles in its tokens. Without it: that of `authorizer`, which must have one, too. */
  roles_claim?: string | readonly string[];
  /** Rules on claims of its tokens, in place of `authorizer.claims`. */
  claims?: Readonly<Record<string, string | boolean | ClaimRuleConfig>> | readonly ClaimRuleConfig[];
}

/** A place of bearer tokens: either a header or a cookie. */
export interface TokenSourceConfig {
  /** A header, which holds the token alone; `Authorization` holds it after `Bearer`. */
  header?: string;
  /** A cookie, which holds the token alone. */
  cookie?: string;
}

/** The claims that name the same user: okta `uid` and `sub`, entra `oid` and `oid`. */
export interface SubjectMatchConfig {
  /** Of the access token. Default: `"sub"`. */
  access_token?: string;
  /** Of the ID token. Default: `"sub"`. */
  id_token?: string;
}

/** Opaque access tokens: the provider is asked about each (RFC 7662). JWTs are never sent there. */
export interface IntrospectionConfig {
  /** How long an answer counts, in seconds, and never beyond the token's `exp`. `0`: each request asks. Default: `60`. */
  cache_s?: number | `${number}` | Placeholder;
  /** The introspection endpoint. Without it: what discovery says. */
  endpoint?: string;
  /** Whether answers must be signed JWTs (RFC 9701). Signed ones are verified in any case. Default: `false`. */
  signed?: boolean;
}

/** The signature of authorization requests (RFC 9101). With it, only `client_id` and the signed request are sent to the provider. */
export interface JarConfig {
  /** The private key, in PKCS#8 (PEM) or as a JWK; another one than `authorizer.private_key`. */
  private_key: string | object | readonly (string | object)[];
  /** The algorithm of the signatures: one that the key fits. Without it: the `alg` of the JWK; else `RS256`, or `PS256` with `authorizer.fapi`, of an RSA key. */
  private_key_alg?: "RS256" | "RS384" | "PS256" | "ES256" | "ES384" | "EdDSA" | Placeholder;
}

/** A key that decrypts access tokens. */
export interface DecryptionKeyConfig {
  /** An RSA key as PKCS#8 PEM or JWK. */
  key: string;
  /** The `kid` in the header of tokens. Without it: that of the JWK, else the thumbprint of the public key. */
  kid?: string;
  /** The only algorithm that it is for. Without it: that of the JWK, else all but `RSA-OAEP`, which uses SHA-1. */
  alg?: "RSA-OAEP-256" | "RSA-OAEP-384" | "RSA-OAEP-512" | "RSA-OAEP" | Placeholder;
}

/** The authorizer of a host. */
export interface HostConfig {
  /** The name of one of `authorizers`. */
  authorizer: string;
  /** The organization of this host, by `org_id` or name, in place of `authorizer.organizations`: logins request it, and only its tokens and users are accepted. The callback is that of the authorizer, on this host. */
  organization?: string;
}

/** The sealed cookie that holds a login. */
export interface SessionConfig {
  /** At least 32 characters each. The first seals, all open. Variable: `AUTH0_SECRET`. */
  secrets?: string | readonly string[];
  /** Name of the cookie. It must start with `__Host-` unless `domain` is set. Default: `"__Host-edgeward"`. */
  cookie?: string;
  /** Seconds without a request after which a session ends. Default: `86400`. */
  idle_s?: number | `${number}` | Placeholder;
  /** Seconds after the login when a session ends in any case. Default: `259200`. */
  absolute_s?: number | `${number}` | Placeholder;
  /** With `Strict`, a login ends on a page that continues by itself, and links from other sites arrive without the session. Default: `"Lax"`. */
  same_site?: "Lax" | "Strict" | "None" | Placeholder;
  /** Shares the session between the subdomains of this host. */
  domain?: string;
  /** Claims of the ID token that the session holds, besides `iss`, `sub`, `sid`, the organization and what routes use. Without it: all claims about the user. */
  claims?: string | readonly string[];
}

/** Sessions and bearer tokens that end before they expire, by the provider's back-channel logout or the integration `revoke`. It needs the Durable Object `EDGEWARD_SESSIONS`. */
export interface RevocationConfig {
  /** What requests with a session or a token get while the Durable Object does not respond. `closed`: 503. `open`: they pass. Default: `"closed"`. */
  fail?: "closed" | "open" | Placeholder;
  /** Whether bearer tokens are looked up, besides sessions. Without it: if a route has the integration `revoke`. */
  tokens?: boolean;
  /** Longest lifetime of the issuers' access tokens, in seconds: how long the revocation of a token is remembered. Default: `2592000`. */
  token_lifetime_s?: number | `${number}` | Placeholder;
}

/** Where logins end. */
export interface LoginConfig {
  /** The page to go to after a login that names none, a path of the site. Without it: the root. */
  default_return_to?: string;
}

/** The API, as described to its clients (RFC 9728): an MCP server, for example. The description is served at `/.well-known/oauth-protected-resource`, followed by the path of the resource; 401 and 403 name it. */
export interface ResourceConfig {
  /** The public URL of the API, as clients call it. Access tokens must be for it unless `authorizer.audience` is given. */
  resource: string;
  /** Issuers from which clients get tokens. Without it: those of `authorizer`, of each of its `tenants`; with `"tenants": "any"` it is required. */
  authorization_servers?: string | readonly string[];
  /** Scopes that clients may request. */
  scopes_supported?: string | readonly string[];
}

/** A short-lived JWT about the caller, signed by the gateway, for every origin and service. Routes of the type `jwks` publish its keys. */
export interface IdentityTokenConfig {
  /** The token's `iss`: the gateway, such as `https://app.example.com`. */
  issuer: string;
  /** The token's `aud`, which origins check. */
  audience: string;
  /** A private key as PKCS#8 PEM or JWK, P-256 (ES256) or RSA (RS256). Of a list the first signs, and all are published. */
  private_key: string | readonly string[];
  /** Seconds until the token expires. It is sent for half of them. Default: `60`. */
  ttl_s?: number | `${number}` | Placeholder;
  /** The header that holds the token. That of a client is always removed. Default: `"X-Identity-Token"`. */
  header?: string;
}

/** Cross-origin requests of scripts. Preflight requests are answered before any authentication. */
export interface CorsConfig {
  /** Exact origins, those of apps and extensions included (`capacitor://localhost`, `chrome-extension://…`); `https://*.example.com` for one more label, which may have a prefix and a suffix (`https://app-*.example.com`), or `*`. `https://{organization_name}.example.com` stands for the organization of the host, if it is given by name. */
  allow_origins: string | readonly string[];
  /** Methods that scripts of these origins may use. Default: `["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]`. */
  allow_methods?: string | readonly string[];
  /** Headers that they may send. `*` answers with the headers that were asked for. Default: `["authorization", "content-type"]`. */
  allow_headers?: string | readonly string[];
  /** Headers of the answer that they may read. Default: `[]`. */
  expose_headers?: string | readonly string[];
  /** Whether they may send cookies. Not with the origin `*`. Default: `false`. */
  allow_credentials?: boolean;
  /** Seconds for which browsers may cache the answer to a preflight request. */
  max_age_s?: number | `${number}` | Placeholder;
  /** The same as `max_age_s`. */
  max_age?: number | `${number}` | Placeholder;
}

/** The pages with which the gateway answers browser navigations itself: errors, missing rights, logins and logouts. */
export interface PagesConfig {
  /** The name of the site, above the text of each page and in its title. */
  name?: string;
  /** The logo above the text: a path of the site that needs no login, or an https URL without a query. */
  logo?: string;
  /** Colours of the light scheme. */
  colors?: ColorsConfig;
  /** Colours of the dark scheme. */
  dark_colors?: ColorsConfig;
  /** The language of all pages: `en`, `de`, or one of `texts`. Without it: the one that the browser prefers. */
  language?: string;
  /** Texts in place of the built-in ones: by language, an object of names, such as `forbidden.title`, `forbidden.message` and `link.login`, and texts. docs/pages.md lists the names. Further languages are English where a text is missing. */
  texts?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Colours as `#rgb` or `#rrggbb`. Those that are absent stay as they are. */
export interface ColorsConfig {
  /** Links and buttons. */
  accent?: string;
  /** The page. */
  background?: string;
  /** The box with the text. */
  card?: string;
  /** The text. */
  text?: string;
}

/** Which requests are logged. Problems of the gateway itself are logged in any case. */
export interface LogConfig {
  /** The lowest level of requests that are logged. `error`: status 500 or higher. `warning`: also requests that the gateway refuses. `info`: all requests. Default: `"off"`. */
  level?: "off" | "error" | "warning" | "info" | Placeholder;
  /** Of the requests at level `info`, one in so many is logged, at random; all others are. Default: `1`. */
  sample?: number | `${number}` | Placeholder;
}

/** Data points for Workers Analytics Engine, one for each request. */
export interface MetricsConfig {
  /** Name of the dataset's binding in `wrangler.toml`. Without that binding there are no data points. Default: `"EDGEWARD_METRICS"`. */
  binding?: string;
  /** Requests that have this secret in the header `X-Edgeward-Timing` get `Server-Timing`: outcome, code and time. At least 32 characters. */
  server_timing?: string;
}

/** A route: which requests it matches, what they need, and what answers them. */
export interface PathConfig {
  /** A method, a list of methods, or `ANY`. `GET` answers `HEAD` too. */
  method: string | readonly string[];
  /** Exact, with `{param}` segments (or `:param`), or ending in `{*rest}` (or `*`). The most specific path decides, then the method. */
  path: string;
  /** Whether a token or session is needed. Without it: `none` for `login`, `callback`, `logout`, `jwks` and `customer_edge`, else `required`. `true` is `required`, `false` is `none`. */
  auth?: "required" | "optional" | "none" | Placeholder | boolean;
  /** What opens the route: a session, a bearer token, or either. A bearer token is refused where only sessions count, and a session is ignored where only tokens do. Default: `"any"`. */
  credentials?: "any" | "session" | "bearer" | Placeholder;
  /** All must be in the token's `scope`, else in `scp`. */
  scopes?: string | readonly string[] | AnyAllConfig;
  /** All must be in `permissions`. */
  permissions?: string | readonly string[] | AnyAllConfig;
  /** All must be in the claim that `authorizer.roles_claim` names. */
  roles?: string | readonly string[] | AnyAllConfig;
  /** All must be in `aud`. */
  audience?: string | readonly string[];
  /** One must be the token's organization. */
  organizations?: string | readonly string[];
  /** Rules on other claims, all of which must be met: claim names, each with the text that the claim must be, or with a rule; or a list of rules. */
  claims?: Readonly<Record<string, string | boolean | ClaimRuleConfig>> | readonly ClaimRuleConfig[];
  /** The login must have been one of these: values of the claim `acr`. Browser navigations are sent to log in so, API clients get 401 (RFC 9470). */
  acr?: string | readonly string[];
  /** Longest time since the user last entered credentials, the claim `auth_time`, in seconds. Otherwise as for `acr`. */
  max_age?: number | `${number}` | Placeholder;
  /** The answer to a request without token and session. `auto`: browser navigations are sent to log in, API clients get 401. `login`: every request that can be redirected is sent to log in. `401`: always 401. Default: `"auto"`. */
  on_unauthenticated?: "auto" | "login" | "401" | Placeholder | 401;
  /** The answer where a right is missing: 403, or a path to redirect to, which must not require the same right. Default: `403`. */
  on_forbidden?: 403 | string;
  /** For migrations: requests that would get 401 or 403 are logged and pass, without their credentials. The answer names the code in `X-Edgeward-Observed`. Default: `false`. */
  observe?: boolean;
  /** What answers the requests. */
  integration: IntegrationConfig;
}

/** Rights, in place of a list of which all are required; for `scopes`, `permissions` and `roles`. */
export interface AnyAllConfig {
  /** One of these is required. */
  any?: string | readonly string[];
  /** All of these are required. */
  all?: string | readonly string[];
}

/** An HTTP origin. */
export interface ProxyConfig {
  /** The origin, with a path to put in front if it has one. The request's path is appended byte for byte. */
  url: string;
  /** Headers to set. Values are literals, `$claims.name`, `$claims["name"]`, `$token` or `Bearer $token`; with `upstream_auth` also `$m2m` or `Bearer $m2m`. Arrays are sent as JSON; `%` and everything but visible ASCII is percent-encoded. Without the claim there is no header. Default: `{}`. */
  headers?: Readonly<Record<string, string>>;
  /** Whether the client's `Authorization` header is removed. Default: `true`. */
  strip_authorization?: boolean;
  /** Whether `X-Forwarded-Host`, `-Proto` and `-For` are set, and `-Prefix` with `strip_prefix`. Those of a client are always removed. Default: `true`. */
  forwarded?: boolean;
  /** Longest wait for the headers of the answer, in milliseconds, the upload of the request included; then 504. Without it the platform's limit applies. */
  timeout_ms?: number | `${number}` | Placeholder;
  /** Removed from the beginning of the path before forwarding. The route's path must begin with it. */
  strip_prefix?: string;
  /** A token that the gateway obtains for the origin. It is sent as `Authorization: Bearer …`, or in the headers whose value is `$m2m` or `Bearer $m2m`. See [docs/upstream.md](upstream.md). */
  upstream_auth?: UpstreamAuthConfig;
}

/** The token that the gateway sends to the upstream: one of its own, or one for the caller's. */
export interface UpstreamAuthConfig {
  /** A token of the gateway itself, by client credentials (RFC 6749 §4.4). */
  m2m?: MachineTokenConfig;
  /** A token for another audience in exchange for the caller's token (RFC 8693): the bearer token, or the session's access token. Anonymous requests are forwarded without one. */
  exchange?: ExchangeConfig;
}

/** A token by client credentials. */
export interface MachineTokenConfig {
  /** The API that the token is for, sent as `authorizer.audience_parameter` says: `audience` with the type `auth0`, else `resource`. Without it, the provider decides. */
  audience?: string;
  /** The scopes to request, separated by spaces. */
  scope?: string;
  /** The organization on whose behalf the gateway calls, at Auth0. */
  organization?: string;
}

/** A token in exchange for the caller's. */
export interface ExchangeConfig {
  /** The API that the token is for, sent as `audience`, or as `resource` if `authorizer.audience_parameter` says so. */
  audience: string;
  /** The scopes to request, separated by spaces. */
  scope?: string;
}

/** Another Worker of the account. */
export interface ServiceConfig {
  /** Name of the service binding in `wrangler.toml`. */
  binding: string;
  /** Headers to set, as for `http_proxy`. Default: `{}`. */
  headers?: Readonly<Record<string, string>>;
  /** Whether the client's `Authorization` header is removed. Default: `true`. */
  strip_authorization?: boolean;
  /** As for `http_proxy`. Default: `true`. */
  forwarded?: boolean;
  /** As for `http_proxy`. */
  timeout_ms?: number | `${number}` | Placeholder;
  /** As for `http_proxy`. */
  strip_prefix?: string;
  /** As for `http_proxy`. */
  upstream_auth?: UpstreamAuthConfig;
}

/** A fixed answer. */
export interface RespondConfig {
  /** Status of the answer. Default: `200`. */
  status?: number | `${number}` | Placeholder;
  /** Headers of the answer, as for `http_proxy`. On a private route, none lets a shared cache store it. Default: `{}`. */
  headers?: Readonly<Record<string, string>>;
  /** Text, or JSON to answer with. */
  body?: string | object;
}

/** The edge of a custom domain for mTLS. Only the headers of the certificate are added. */
export interface CustomerEdgeConfig {
  /** The forwarding target of the custom domain. */
  url: string;
  /** The key of the custom domain, for `cname-api-key`. */
  api_key: string;
  /** Whether certificates of unknown issuers pass, as `client-certificate-ca-verified: FAILED`. Default: `false`. */
  self_signed?: boolean;
  /** As for `http_proxy`. */
  timeout_ms?: number | `${number}` | Placeholder;
}

/** What answers the requests of a route. */
export type IntegrationConfig =
  /** Forwards requests to an HTTP origin. */
  | ({ type: "http_proxy" | "http" } & ProxyConfig)
  /** Forwards requests to another Worker, by a service binding. */
  | ({ type: "service" | "service_binding" } & ServiceConfig)
  /** Answers by itself. */
  | ({ type: "respond" } & RespondConfig)
  /** Sends the browser to the provider's login. */
  | ({ type: "login" | "auth0_callback_redirect" })
  /** Receives the browser from the provider and starts the session. */
  | ({ type: "callback" | "auth0_callback" })
  /** Ends the session, here and at the provider. */
  | ({ type: "logout" | "auth0_logout" })
  /** Answers with the provider's claims about the user. */
  | ({ type: "userinfo" | "auth0_userinfo" })
  /** Answers with the claims of the session or the token, as `$claims` has them, without a request to the provider. */
  | ({ type: "claims" })
  /** Refreshes the session's tokens. */
  | ({ type: "refresh" | "auth0_refresh" })
  /** Receives the provider's logout tokens (OpenID Connect Back-Channel Logout) and ends the sessions that they name, everywhere. */
  | ({ type: "backchannel_logout" })
  /** Ends sessions and bearer tokens that the body names. The route must require authentication and a right. */
  | ({ type: "revoke" })
  /** Answers with the public keys of `identity_token`. */
  | ({ type: "jwks" })
  /** Forwards `/oauth/token`, `/oauth/par` or `/userinfo` to an Auth0 tenant, with the client's certificate. */
  | ({ type: "customer_edge" } & CustomerEdgeConfig)
  /** Answers with the state of the gateway, for its operators: outcomes, refusals, issuers and keys. Needs `auth` and a scope, permission, role, organization or claim. */
  | ({ type: "status" });
