// A real OpenID provider on loopback: the npm package `oidc-provider`, with the resource, clients and users of the
// demo and the tests. Tokens are issued by the provider itself, over HTTP, and verified against its live JWKS.

import { createHash, generateKeyPair, randomBytes, randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { errors, interactionPolicy, Provider } from "oidc-provider";
import { Faults } from "./faults.mjs";
import { readBody, serve } from "./http.mjs";
import { loginPage, logoutPage, noticePage } from "./provider_pages.mjs";

export const AUDIENCE = "https://api.example.com";
export const OTHER_AUDIENCE = "https://other.example.com";
export const ROLES_CLAIM = "https://example.com/roles";
export const SCOPES = ["read:items", "write:items", "admin:read"];
export const RSA_ALGS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Serves development and tests alone: these providers hold no one's data. */
export const CLIENT_SECRET = "local-client-secret-of-no-value-0123456789";

const IDENTITY_SCOPES = ["openid", "profile", "email", "offline_access"];

export const ACCOUNTS = {
  alice: {
    name: "Alice Example",
    email: "alice@example.com",
    email_verified: true,
    org_id: "org_1",
    permissions: ["read:items", "write:items"],
    [ROLES_CLAIM]: ["admin", "editor"],
  },
  bob: {
    name: "Bob Exemplar",
    email: "bob@example.com",
    email_verified: false,
    org_id: "org_2",
    permissions: [],
    [ROLES_CLAIM]: ["viewer"],
  },
};

const ROUTES = {
  standard: {},
  auth0: {
    authorization: "/authorize",
    token: "/oauth/token",
    userinfo: "/userinfo",
    jwks: "/.well-known/jwks.json",
    end_session: "/oidc/logout",
    revocation: "/oauth/revoke",
    pushed_authorization_request: "/oauth/par",
  },
};

/** The client id that gets client-credentials tokens of an algorithm. */
export const clientFor = (alg) => (alg === "RS256" ? "edgeward-service" : `edgeward-service-${alg.toLowerCase()}`);

/**
 * Starts a provider.
 *
 * @param {object} [options]
 * @param {number} [options.port]        0 takes a free one
 * @param {string} [options.host]
 * @param {"standard" | "auth0"} [options.dialect] "auth0": its endpoint paths, an issuer with a closing slash, the
 *   `audience` parameter, and its claims in access tokens (typ JWT, azp, permissions)
 * @param {string[]} [options.audiences] the API resources it knows; the first is the default
 * @param {string[]} [options.opaque]    the resources whose access tokens are opaque
 * @param {string[]} [options.scopes]    the scopes of each resource
 * @param {string[]} [options.algs]      algorithms that have a key from the start; others get theirs when first used
 * @param {string[]} [options.gateways]  origins whose callback paths the web clients may use
 * @param {Record<string, object>} [options.accounts] users by id, with their claims; any id can log in
 * @param {object} [options.ttl]         seconds: { accessToken, idToken, refreshToken, session }
 * @param {boolean} [options.rotateRefreshTokens]
 * @param {object} [options.oidc]        further configuration of `oidc-provider`; its features are added to those here
 * @param {(oidc: Provider, provided: object) => void} [options.extend] adds to it, with its keys and its resources
 * @param {string[]} [options.acrValues] values of `acr` that a login has if they are requested
 * @param {boolean} [options.conformIdTokenClaims] ID tokens have the claims of the scope `openid` only; the others are at userinfo
 */
export async function startProvider(options = {}) {
  const provider = new LocalProvider(options);
  await provider.start();
  return provider;
}

class LocalProvider {
  #options;
  #server;
  #oidc;
  #callback;
  #store = new Map();
  #keys = [];
  #unpublished = new Set();
  #clientAlgs = new Map();
  /** What a token request of `tokenFor` or `login` asked beyond the protocol, by the id it sent along. */
  #tickets = new Map();
  #cookieKeys = [randomBytes(32).toString("hex")];
  #faults = new Faults();
  /** How access tokens are encrypted. */
  #encryption;

  /** How many requests each endpoint has had: `counts.jwks`, `counts.discovery`, `counts.token`, … */
  counts = {};
  /** Sends the provider's own requests, such as logout tokens; tests may replace it. */
  fetch = (url, init) => fetch(url, init);
  /** Every request since the start: `{ endpoint, method, url, at }`. */
  requests = [];

  constructor({
    port = 0,
    host = "127.0.0.1",
    dialect = "standard",
    audiences = [AUDIENCE, OTHER_AUDIENCE],
    scopes = SCOPES,
    algs = ["RS256", "PS256"],
    gateways = ["http://127.0.0.1:8787", "http://localhost:8787"],
    accounts = ACCOUNTS,
    ttl = {},
    rotateRefreshTokens = true,
    conformIdTokenClaims = false,
    opaque = [],
    oidc = {},
    extend,
    acrValues = [],
  } = {}) {
    this.#options = {
      port, host, dialect, audiences, opaque, scopes, algs, gateways, accounts, rotateRefreshTokens, conformIdTokenClaims,
      oidc, extend, acrValues,
      ttl: { accessToken: 3600, idToken: 3600, refreshToken: 14 * 86400, session: 14 * 86400, ...ttl },
    };
    for (const alg of RSA_ALGS) {
      this.setClient(clientFor(alg), { grant_types: ["client_credentials"], redirect_uris: [], response_types: [], alg });
    }
    this.setClient("edgeward-web", {});
    this.setClient("edgeward-web-basic", { token_endpoint_auth_method: "client_secret_basic" });
    this.setClient("edgeward-web-public", { token_endpoint_auth_method: "none" });
  }

  // ---- life ---------------------------------------------------------------------------------------------------

  /** Starts listening; after `stop()`, on the same port and with the same keys, sessions and tokens. */
  async start() {
    if (this.#server) {
      await this.#server.listen();
      return;
    }
    const { port, host, algs } = this.#options;
    this.#keys = [await newKey("ES256"), ...(await Promise.all(algs.map((alg) => newKey(alg))))];
    this.#server = await serve((req, res) => this.#handle(req, res), { port, host });
    this.#rebuild();
  }

  /** Stops listening and cuts every connection. */
  async stop() {
    await this.#server?.close();
  }

  get port() {
    return this.#server.port;
  }

  /** Base address, without a closing slash. */
  get url() {
    return this.#server.url;
  }

  get issuer() {
    return this.#options.dialect === "auth0" ? `${this.url}/` : this.url;
  }

  /** `host:port`, as the `domain` of an Auth0-style configuration. */
  get domain() {
    return `${this.#options.host}:${this.port}`;
  }

  get tokenEndpoint() {
    return `${this.url}${this.#path("token")}`;
  }

  get jwksUri() {
    return `${this.url}${this.#path("jwks")}`;
  }

  get audience() {
    return this.#options.audiences[0];
  }

  get jwksRequests() {
    return this.counts.jwks ?? 0;
  }

  get discoveryRequests() {
    return this.counts.discovery ?? 0;
  }

  resetCounts() {
    this.counts = {};
    this.requests = [];
  }

  // ---- faults -------------------------------------------------------------------------------------------------

  /**
   * Makes an endpoint answer badly; null mends it. Endpoints: `jwks`, `discovery`, `authorization`, `token`,
   * `userinfo`, `end_session`, `revocation`, `introspection`, `pushed_authorization_request`. See `Fault` in faults.mjs.
   * Returns a record `{ served, bytes, aborted }` that keeps count.
   */
  setFault(endpoint, fault) {
    return this.#faults.set(endpoint, fault);
  }

  clearFaults() {
    this.#faults.clear();
  }

  // ---- keys ---------------------------------------------------------------------------------------------------

  /** The keys it holds: `{ kid, alg, published }`, the signing key of each algorithm first. */
  get keys() {
    return this.#keys.map(({ kid, alg }) => ({ kid, alg, published: !this.#unpublished.has(kid) }));
  }

  /**
   * From now on tokens of `alg` are signed with a new key. `keepOld: false` takes the former keys of that algorithm
   * out of the JWKS; `publish: false` keeps the new one out of it until `publish(kid)`. Returns the new `kid`.
   */
  async rotate({ alg = "RS256", keepOld = true, publish = true, kid, modulusLength } = {}) {
    const key = await newKey(alg, { kid, modulusLength });
    if (!keepOld) this.#keys = this.#keys.filter((old) => old.alg !== alg);
    this.#keys.unshift(key);
    if (!publish) this.#unpublished.add(key.kid);
    this.#rebuild();
    return key.kid;
  }

  /** Publishes a key that signs nothing yet, as a provider does ahead of a rotation. Returns its `kid`. */
  async announce({ alg = "RS256", kid } = {}) {
    const key = await newKey(alg, { kid });
    this.#keys.push(key);
    this.#rebuild();
    return key.kid;
  }

  /** Takes a key out of the JWKS while it goes on signing: what a lagging JWKS looks like. */
  unpublish(kid) {
    this.#unpublished.add(kid);
  }

  publish(kid) {
    this.#unpublished.delete(kid);
  }

  /** Removes a key for good: neither published nor signing. */
  revokeKey(kid) {
    this.#keys = this.#keys.filter((key) => key.kid !== kid);
    this.#rebuild();
  }

  /** From now on access tokens are encrypted like this, `{ alg, enc, kid, key }`; undefined stops it. */
  encryptAccessTokens(encryption) {
    this.#encryption = encryption;
  }

  async #ensureKey(alg) {
    if (!this.#keys.some((key) => key.alg === alg)) await this.rotate({ alg });
  }

  // ---- clients, users, grants ---------------------------------------------------------------------------------

  /** Adds or replaces a client. `alg` is the algorithm of its access tokens; the rest is client metadata. */
  setClient(id, { alg = "RS256", ...metadata } = {}) {
    const paths = ["/auth/callback", "/callback", "/api/v1/auth0/callback"];
    const { gateways } = this.#options;
    const complete = {
      client_id: id,
      client_name: id,
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: gateways.flatMap((origin) => paths.map((path) => origin + path)),
      post_logout_redirect_uris: gateways.flatMap((origin) => [origin, `${origin}/`, `${origin}/account`]),
      token_endpoint_auth_method: "client_secret_post",
      ...metadata,
    };
    if (complete.token_endpoint_auth_method !== "none") complete.client_secret ??= CLIENT_SECRET;
    this.#clientAlgs.set(id, alg);
    this.#store.set(`Client:${id}`, { payload: complete });
  }

  /** Ends the refresh tokens and grants of an account, a client, or everyone. Returns how many it ended. */
  revoke({ account, clientId } = {}) {
    return this.#forget(["RefreshToken", "Grant", "AuthorizationCode"], { account, clientId });
  }

  /** Ends the provider's own sessions: the next login asks again. */
  endSessions({ account } = {}) {
    return this.#forget(["Session"], { account });
  }

  #forget(models, { account, clientId }) {
    let ended = 0;
    for (const [key, { payload }] of this.#store) {
      if (!models.includes(key.slice(0, key.indexOf(":")))) continue;
      if (account !== undefined && payload.accountId !== account) continue;
      if (clientId !== undefined && payload.clientId !== clientId) continue;
      this.#store.delete(key);
      ended += 1;
    }
    return ended;
  }

  // ---- tokens -------------------------------------------------------------------------------------------------

  /**
   * An access token by the client-credentials grant.
   *
   * @param {object} [wish]
   * @param {string} [wish.scope]     space-separated; none by default
   * @param {string} [wish.alg]       RS256 … PS512; picks the client that has it
   * @param {string} [wish.clientId]  another client
   * @param {string} [wish.audience]  one of the provider's resources
   * @param {object} [wish.claims]    claims to set, over the provider's own; undefined removes one
   * @param {object} [wish.header]    header members to set
   * @param {number} [wish.ttl]       seconds
   * @param {object} [wish.requestHeaders] headers of the token request
   * @returns {Promise<string>}
   */
  async tokenFor({ scope, alg, clientId, audience = this.audience, claims, header, ttl, requestHeaders } = {}) {
    alg ??= (clientId && this.#clientAlgs.get(clientId)) || "RS256";
    clientId ??= clientFor(alg);
    await this.#ensureKey(alg);
    const reply = await this.#tokenRequest(
      { grant_type: "client_credentials", client_id: clientId, client_secret: this.#secret(clientId), resource: audience, scope },
      { alg, claims, header, ttl, requestHeaders },
    );
    return reply.access_token;
  }

  /**
   * Logs an account in as a browser would (authorization code with PKCE) and returns the token endpoint's reply:
   * `{ access_token, id_token, refresh_token?, … }`.
   */
  async login({
    account = "alice",
    clientId = "edgeward-web",
    scope = "openid profile email",
    audience,
    redirectUri = this.#store.get(`Client:${clientId}`).payload.redirect_uris[0],
    nonce = randomUUID(),
    prompt,
    alg,
    claims,
    header,
    ttl,
  } = {}) {
    const verifier = randomBytes(32).toString("base64url");
    const browser = new Browser(this.url);
    const start = new URL(this.#path("authorization"), this.url);
    const query = {
      client_id: clientId, response_type: "code", redirect_uri: redirectUri, scope, nonce, prompt, resource: audience,
      state: randomUUID(), code_challenge_method: "S256",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    };
    for (const [name, value] of Object.entries(query)) if (value !== undefined) start.searchParams.set(name, value);

    let reply = await browser.get(start.href);
    if (reply.status === 200) reply = await browser.post(reply.url, { account });
    const callback = new URL(reply.location ?? this.url);
    const code = callback.searchParams.get("code");
    if (!code) throw new Error(`login of ${account} ended with ${reply.status} ${callback.href} ${reply.text}`);
    return this.#tokenRequest(
      { grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier, client_id: clientId, client_secret: this.#secret(clientId) },
      { alg, claims, header, ttl },
    );
  }

  /** Trades a refresh token for new tokens. */
  async refresh({ refreshToken, clientId = "edgeward-web", scope }) {
    return this.#tokenRequest(
      { grant_type: "refresh_token", refresh_token: refreshToken, client_id: clientId, client_secret: this.#secret(clientId), scope },
      {},
    );
  }

  #secret(clientId) {
    return this.#store.get(`Client:${clientId}`)?.payload.client_secret;
  }

  async #tokenRequest(form, wish) {
    const ticket = randomUUID();
    this.#tickets.set(ticket, wish);
    try {
      const headers = { "x-token-ticket": ticket, ...wish.requestHeaders };
      const method = this.#store.get(`Client:${form.client_id}`)?.payload.token_endpoint_auth_method;
      const { client_secret, ...rest } = form;
      const fields = method === "client_secret_post" ? form : rest;
      if (method === "client_secret_basic") {
        headers.authorization = `Basic ${Buffer.from(`${form.client_id}:${client_secret}`).toString("base64")}`;
      }
      const body = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));
      const response = await fetch(`${this.url}${this.#path("token")}`, { method: "POST", headers, body });
      const reply = await response.json();
      if (!response.ok) throw new Error(`token endpoint: ${response.status} ${JSON.stringify(reply)}`);
      return reply;
    } finally {
      this.#tickets.delete(ticket);
    }
  }

  // ---- the provider behind ------------------------------------------------------------------------------------

  #path(endpoint) {
    const standard = {
      authorization: "/auth", token: "/token", userinfo: "/me", jwks: "/jwks", end_session: "/session/end",
      revocation: "/token/revocation", introspection: "/token/introspection", pushed_authorization_request: "/request",
      discovery: "/.well-known/openid-configuration",
    };
    return ROUTES[this.#options.dialect][endpoint] ?? standard[endpoint];
  }

  #endpointOf(pathname) {
    const names = ["jwks", "discovery", "authorization", "token", "userinfo", "end_session", "revocation", "introspection", "pushed_authorization_request"];
    return names.find((name) => this.#path(name) === pathname);
  }

  async #handle(req, res) {
    const url = new URL(req.url, this.url);
    const endpoint = this.#endpointOf(url.pathname);
    this.requests.push({ endpoint, method: req.method, url: req.url, at: Date.now() });
    if (endpoint) {
      this.counts[endpoint] = (this.counts[endpoint] ?? 0) + 1;
      if (await this.#faults.apply(endpoint, req, res)) return;
    }
    if (url.pathname.startsWith("/interaction/")) {
      await this.#interaction(req, res);
      return;
    }
    if (endpoint === "jwks") this.#hideUnpublished(res);
    // Auth0 grants offline_access without asking; the specification, and so oidc-provider, wants a consent prompt.
    if (endpoint === "authorization" && this.#options.dialect === "auth0") {
      const scopes = (url.searchParams.get("scope") ?? "").split(" ");
      if (scopes.includes("offline_access") && !url.searchParams.has("prompt")) {
        url.searchParams.set("prompt", "consent");
        req.url = url.pathname + url.search;
      }
    }
    await this.#callback(req, res);
  }

  #hideUnpublished(res) {
    const end = res.end.bind(res);
    res.end = (body) => {
      res.end = end;
      const set = JSON.parse(body);
      set.keys = set.keys.filter((key) => !this.#unpublished.has(key.kid));
      const text = JSON.stringify(set);
      res.setHeader("content-length", Buffer.byteLength(text));
      return res.end(text);
    };
  }

  /** The login page: any account, no password. Consent is given without asking. */
  async #interaction(req, res) {
    const details = await this.#oidc.interactionDetails(req, res).catch((error) => error);
    if (details instanceof errors.SessionNotFound) {
      send(res, 400, noticePage("This login has expired", "It was finished already or took too long. Start again at the site you came from."));
      return;
    }
    if (details instanceof Error) throw details;
    const { prompt, params } = details;
    if (prompt.name === "consent") {
      await this.#oidc.interactionFinished(req, res, { consent: {} }, { mergeWithLastSubmission: true });
      return;
    }
    if (req.method === "POST") {
      const form = new URLSearchParams((await readBody(req)).toString());
      const result = form.has("cancel")
        ? { error: "access_denied", error_description: "The login was cancelled" }
        : { login: { accountId: form.get("account") || "alice", acr: params.acr_values?.split(" ").find((acr) => this.#options.acrValues.includes(acr)) } };
      await this.#oidc.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
      return;
    }
    const accounts = Object.entries(this.#options.accounts).map(([id, { name, [ROLES_CLAIM]: roles }]) => ({
      id, name: name ?? id, about: roles?.length > 0 ? `${id}; roles: ${roles.join(", ")}` : id,
    }));
    send(res, 200, loginPage(params.client_id, accounts));
  }

  /** Makes the provider anew over the same store: keys are fixed when it is made. */
  #rebuild() {
    const { audiences, opaque, scopes, accounts, dialect, ttl, rotateRefreshTokens, conformIdTokenClaims } = this.#options;
    const { oidc: more, acrValues } = this.#options;
    const auth0 = dialect === "auth0";
    const store = this.#store;
    const wishOf = (ctx) => this.#tickets.get(ctx?.get("x-token-ticket")) ?? {};
    const algOf = (ctx, client) => wishOf(ctx).alg ?? this.#clientAlgs.get(client.clientId) ?? "RS256";
    const audienceOf = (ctx) => ctx.oidc.body?.audience ?? ctx.oidc.params?.audience;

    const resourceServer = (ctx, resource, client) => {
      if (!audiences.includes(resource)) throw new errors.InvalidTarget();
      return {
        audience: resource,
        scope: scopes.join(" "),
        accessTokenFormat: opaque.includes(resource) ? "opaque" : "jwt",
        accessTokenTTL: wishOf(ctx).ttl ?? ttl.accessToken,
        jwt: { sign: { alg: algOf(ctx, client) }, encrypt: this.#encryption },
      };
    };

    const oidc = new Provider(this.issuer, {
      adapter: (model) => new MemoryAdapter(model, store),
      jwks: { keys: this.#keys.map(({ jwk }) => jwk) },
      cookies: { keys: this.#cookieKeys },
      routes: ROUTES[dialect],
      scopes: [...IDENTITY_SCOPES],
      claims: {
        openid: ["sub", "org_id", ROLES_CLAIM],
        profile: ["name"],
        email: ["email", "email_verified"],
      },
      conformIdTokenClaims,
      acrValues,
      responseTypes: ["code"],
      extraParams: ["audience", "organization"],
      clientBasedCORS: () => false,
      // Without the protection of addresses in private networks, which is where everything is here.
      fetch: (url, { dispatcher: _, ...init }) => this.fetch(url, init),
      pkce: { required: () => true },
      enabledJWA: { idTokenSigningAlgValues: [...RSA_ALGS, "ES256"], dPoPSigningAlgValues: ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"] },
      interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}`, policy: steppingUp() },
      findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ ...accounts[sub], sub }) }),
      loadExistingGrant: (ctx) => this.#grant(ctx),
      rotateRefreshToken: () => rotateRefreshTokens,
      issueRefreshToken: (_ctx, client, source) =>
        client.grantTypeAllowed("refresh_token") && source.scopes.has("offline_access"),
      expiresWithSession: () => false,
      renderError: (ctx, out) => {
        // Programs, such as `edgeward token`.
        if (ctx.accepts("html", "json") === "json") ctx.body = out;
        else show(ctx, noticePage("This does not work", Object.entries(out).map(([name, value]) => `${name}: ${value}`).join(" · ")));
      },
      ttl: {
        AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? ttl.accessToken,
        ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? ttl.accessToken,
        IdToken: () => ttl.idToken,
        RefreshToken: () => ttl.refreshToken,
        Session: () => ttl.session,
        Grant: () => Math.max(ttl.session, ttl.refreshToken),
        Interaction: () => 600,
        AuthorizationCode: () => 60,
      },
      extraTokenClaims: (_ctx, token) => {
        const { permissions, org_id, [ROLES_CLAIM]: roles } = accounts[token.accountId] ?? {};
        return { permissions, org_id, [ROLES_CLAIM]: roles };
      },
      formats: {
        customizers: {
          jwt: (ctx, token, jwt) => {
            const { claims, header } = wishOf(ctx);
            jwt.header = {};
            if (auth0) auth0Claims(ctx, token, jwt, this.issuer);
            Object.assign(jwt.payload, claims);
            Object.assign(jwt.header, header);
          },
        },
      },
      ...more,
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        jwtUserinfo: { enabled: true },
        backchannelLogout: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        jwtIntrospection: { enabled: true },
        revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
        rpInitiatedLogout: {
          enabled: true,
          logoutSource: (ctx, form) => show(ctx, logoutPage(form)),
          postLogoutSuccessSource: (ctx) => show(ctx, noticePage("You are logged out", "Your session with this provider has ended.")),
        },
        resourceIndicators: {
          enabled: true,
          defaultResource: (ctx, _client, oneOf) => (oneOf ? oneOf[0] : audienceOf(ctx)),
          useGrantedResource: () => true,
          getResourceServerInfo: resourceServer,
        },
        ...more.features,
      },
    });
    this.#options.extend?.(oidc, { keys: this.#keys.map(({ jwk }) => jwk), resourceServer });
    // Readers that go away are part of the tests; real faults of the provider are shown.
    oidc.silent = true;
    oidc.on("server_error", (_ctx, error) => console.error("identity provider:", error));
    this.#oidc = oidc;
    this.#callback = oidc.callback();
  }

  /** Every user has granted every scope that the client requests. */
  async #grant(ctx) {
    const { oidc } = ctx;
    const { Grant } = oidc.provider;
    const clientId = oidc.client.clientId;
    const grantId = oidc.result?.consent?.grantId ?? oidc.session.grantIdFor(clientId);
    const grant = (grantId && (await Grant.find(grantId))) || new Grant({ clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope(IDENTITY_SCOPES.join(" "));
    for (const resource of this.#options.audiences) grant.addResourceScope(resource, this.#options.scopes.join(" "));
    await grant.save();
    return grant;
  }
}

/** Auth0's own shape of an access token: typ JWT, azp, and for users the userinfo endpoint as a second audience. */
function auth0Claims(ctx, token, { header, payload }, issuer) {
  header.typ = "JWT";
  payload.azp = payload.client_id;
  delete payload.client_id;
  delete payload.jti;
  if (token.accountId === undefined) {
    payload.sub = `${payload.azp}@clients`;
    payload.gty = "client-credentials";
    return;
  }
  const { AuthorizationCode, RefreshToken } = ctx.oidc.entities;
  const identity = IDENTITY_SCOPES.filter((scope) => (AuthorizationCode ?? RefreshToken)?.scopes.has(scope));
  if (identity.length === 0) return;
  payload.scope = [...identity, payload.scope].filter(Boolean).join(" ");
  payload.aud = [payload.aud, `${issuer}userinfo`];
}

/** Asks for another login where the one of the session is none of the requested ones (RFC 9470 §5). */
function steppingUp() {
  const { base, Check } = interactionPolicy;
  const policy = base();
  policy.get("login").checks.add(new Check("acr_values", "another login is requested", (ctx) => {
    const { params, session, result } = ctx.oidc;
    const requested = params.acr_values?.split(" ") ?? [];
    return requested.length > 0 && !result?.login && !requested.includes(session.acr) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT;
  }));
  return policy;
}

/** What the provider keeps, shared by every provider made over the same map. */
class MemoryAdapter {
  #model;
  #store;

  constructor(model, store) {
    this.#model = model;
    this.#store = store;
  }

  #key(id) {
    return `${this.#model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const expires = typeof expiresIn === "number" ? Date.now() + (expiresIn + 60) * 1000 : Infinity;
    this.#store.set(this.#key(id), { payload, expires });
  }

  async find(id) {
    const entry = this.#store.get(this.#key(id));
    if (!entry) return undefined;
    if (entry.expires < Date.now()) {
      this.#store.delete(this.#key(id));
      return undefined;
    }
    return entry.payload;
  }

  async #findWhere(name, value) {
    for (const [key, { payload }] of this.#store) {
      if (key.startsWith(`${this.#model}:`) && payload[name] === value) return payload;
    }
    return undefined;
  }

  findByUid(uid) {
    return this.#findWhere("uid", uid);
  }

  findByUserCode(userCode) {
    return this.#findWhere("userCode", userCode);
  }

  async consume(id) {
    const entry = this.#store.get(this.#key(id));
    if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.#store.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of this.#store) {
      if (payload.grantId === grantId && !key.startsWith("Session:")) this.#store.delete(key);
    }
  }
}

/** As much of a browser as a login needs: cookies, and redirects within one origin. */
class Browser {
  #origin;
  #cookies = new Map();

  constructor(origin) {
    this.#origin = origin;
  }

  get(url) {
    return this.#follow(url, {});
  }

  post(url, form) {
    return this.#follow(url, { method: "POST", body: new URLSearchParams(form) });
  }

  async #follow(url, init) {
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const response = await fetch(url, { ...init, redirect: "manual", headers: { cookie } });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (value) this.#cookies.set(name, value);
        else this.#cookies.delete(name);
      }
      const text = await response.text();
      const location = response.headers.get("location");
      const next = location && new URL(location, url).href;
      if (!next || new URL(next).origin !== this.#origin) return { status: response.status, url, location: next, text };
      url = next;
      init = {};
    }
    throw new Error(`too many redirects at ${url}`);
  }
}

async function newKey(alg, { kid, modulusLength = 2048 } = {}) {
  const generate = promisify(generateKeyPair);
  const { privateKey } =
    alg === "ES256" ? await generate("ec", { namedCurve: "P-256" }) : await generate("rsa", { modulusLength });
  kid ??= `${alg.toLowerCase()}-${randomBytes(4).toString("hex")}`;
  return { kid, alg, jwk: { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" } };
}

const send = (res, status, { headers, body }) => res.writeHead(status, headers).end(body);

function show(ctx, { headers, body }) {
  ctx.set(headers);
  ctx.body = body;
}
