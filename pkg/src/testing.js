// An issuer in memory, for tests of code that verifies tokens and of gateways. Its keys are made when it is created, and its tokens are
// worth nothing to a verifier that does not fetch its keys.

import { plain } from "./plain.js";

const RSA = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
const pkcs1v15 = (hash) => [{ name: "RSASSA-PKCS1-v1_5", hash, ...RSA }, "RSASSA-PKCS1-v1_5"];
const pss = (hash, saltLength) => [{ name: "RSA-PSS", hash, ...RSA }, { name: "RSA-PSS", saltLength }];
const ecdsa = (namedCurve, hash) => [{ name: "ECDSA", namedCurve }, { name: "ECDSA", hash }];

/** For each algorithm, how Web Crypto generates a key and how it signs. */
const ALGORITHMS = {
  RS256: pkcs1v15("SHA-256"),
  RS384: pkcs1v15("SHA-384"),
  RS512: pkcs1v15("SHA-512"),
  PS256: pss("SHA-256", 32),
  PS384: pss("SHA-384", 48),
  PS512: pss("SHA-512", 64),
  ES256: ecdsa("P-256", "SHA-256"),
  ES384: ecdsa("P-384", "SHA-384"),
  EdDSA: [{ name: "Ed25519" }, "Ed25519"],
};

const PUBLIC_MEMBERS = ["kty", "n", "e", "crv", "x", "y"];
const LIFETIME_S = 600;
const CODE_BYTES = 16;

const utf8 = new TextEncoder();

/** Encodes bytes, or the JSON of a value, in base64url. */
function base64url(value) {
  const bytes = value instanceof Uint8Array ? value : utf8.encode(JSON.stringify(value));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(CODE_BYTES)));

async function makeKey(algorithm, number) {
  if (!Object.hasOwn(ALGORITHMS, algorithm)) throw new TypeError(`algorithms: ${algorithm} is none of ${Object.keys(ALGORITHMS).join(", ")}`);
  const kid = `${algorithm}-${number}`;
  const { privateKey, publicKey } = await crypto.subtle.generateKey(ALGORITHMS[algorithm][0], false, ["sign", "verify"]);
  const exported = await crypto.subtle.exportKey("jwk", publicKey);
  const jwk = { kid, use: "sig", alg: algorithm };
  for (const member of PUBLIC_MEMBERS) if (exported[member] !== undefined) jwk[member] = exported[member];
  return { kid, algorithm, privateKey, jwk };
}

/** Creates an issuer with a new key for each algorithm. */
export async function createIssuer({ issuer = "https://issuer.test/", algorithms = ["RS256"], clientId = "test-client" } = {}) {
  if (!Array.isArray(algorithms) || algorithms.length === 0) throw new TypeError("algorithms must be a list with at least one algorithm");
  const { protocol } = new URL(issuer);
  if (protocol !== "https:" && protocol !== "http:") throw new TypeError("issuer must be an https or http URL");
  return new Issuer(issuer, clientId, await Promise.all(algorithms.map((algorithm) => makeKey(algorithm, 1))));
}

class Issuer {
  // Survives minification, for inspection.
  static name = "Issuer";

  /** All keys ever made; those of the current generation sign. */
  #keys;
  #published;
  #generation = 1;
  #algorithms;
  #clientId;
  #shifted = 0;
  /** Undefined while the issuer is up; `null` for a network error, otherwise the status that it answers. */
  #outage;
  #codes = new Map();
  #refreshTokens = new Map();
  /** The claims about the user, by access token. */
  #userinfo = new Map();

  /** The requests received, the oldest first: `{ method, url }`. */
  requests = [];

  constructor(issuer, clientId, keys) {
    this.issuer = issuer;
    this.#clientId = clientId;
    this.#keys = keys;
    this.#published = new Set(keys);
    this.#algorithms = keys.map(({ algorithm }) => algorithm);
  }

  // Functions of their own instead of methods, so that they can be passed on.

  now = () => Math.floor(Date.now() / 1000) + this.#shifted;

  fetch = async (input, init) => {
    // Not `new Request(input)`: Miniflare's requests are of a class of their own.
    const isRequest = typeof input === "object" && "url" in input;
    const url = isRequest ? input.url : String(input);
    const method = init?.method ?? (isRequest ? input.method : "GET");
    this.requests.push({ method, url });
    if (this.#outage === null) throw new TypeError("fetch failed: the issuer is down");
    if (this.#outage !== undefined) return new Response("the issuer is down", { status: this.#outage });
    const body = () => (init?.body === undefined && isRequest ? input.text() : new Response(init?.body).text());
    const headers = new Headers(init?.headers ?? (isRequest ? [...input.headers] : []));
    return this.#respond(method, url, headers, body);
  };

  verifierOptions(options = {}) {
    const given = plain(options);
    if (given === undefined) throw new TypeError("options must be a plain object");
    return { issuer: this.issuer, algorithms: [...this.#algorithms], fetch: this.fetch, now: this.now, ...given };
  }

  jwks() {
    return { keys: [...this.#published].map(({ jwk }) => ({ ...jwk })) };
  }

  async mint({ claims, header, algorithm, kid, kind = "access" } = {}) {
    const key = this.#signingKey(algorithm, kid);
    const now = this.now();
    const own = kind === "id" ? { aud: this.#clientId } : { client_id: this.#clientId, jti: random() };
    const payload = { iss: this.issuer, sub: "user-1", iat: now, exp: now + LIFETIME_S, ...own, ...claims };
    const head = { alg: key.algorithm, kid: key.kid, typ: kind === "id" ? "JWT" : "at+jwt", ...header };
    const input = `${base64url(head)}.${base64url(payload)}`;
    const signature = await crypto.subtle.sign(ALGORITHMS[key.algorithm][1], key.privateKey, utf8.encode(input));
    return `${input}.${base64url(new Uint8Array(signature))}`;
  }

  async rotate({ keep = true } = {}) {
    this.#generation += 1;
    const made = await Promise.all(this.#algorithms.map((algorithm) => makeKey(algorithm, this.#generation)));
    if (!keep) this.#published.clear();
    this.#keys = [...made, ...this.#keys];
    for (const key of made) this.#published.add(key);
  }

  down(status = null) {
    this.#outage = status;
  }

  up() {
    this.#outage = undefined;
  }

  shift(seconds) {
    if (!Number.isFinite(seconds)) throw new TypeError("shift takes a number of seconds");
    this.#shifted += seconds;
  }

  /** Logs a user in through a gateway, and returns the cookies of the session. */
  async signIn(send, { site, path = "/.well-known/edgeward/login", claims, accessClaims } = {}) {
    const jar = new Map();
    const visit = async (url) => {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
      const headers = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", ...(cookie === "" ? {} : { cookie }) };
      const response = await send(new Request(url, { headers, redirect: "manual" }));
      for (const line of response.headers.getSetCookie()) {
        const [pair, ...attributes] = line.split(";");
        const [name, value] = [pair.slice(0, pair.indexOf("=")).trim(), pair.slice(pair.indexOf("=") + 1)];
        if (attributes.some((attribute) => /^\s*max-age=0\s*$/i.test(attribute))) jar.delete(name);
        else jar.set(name, value);
      }
      return response;
    };
    const begun = await visit(new URL(path, site).href);
    const location = begun.headers.get("location");
    if (location === null || new URL(location, site).origin !== new URL(this.issuer).origin) {
      throw new Error(`${path} answered ${begun.status} instead of a redirect to ${this.issuer}: ${await begun.text()}`);
    }
    const back = this.#authorize(new URL(location), { claims, accessClaims });
    const landed = await visit(back.href);
    // With SameSite=Strict, the answer is a page that continues by itself.
    if (landed.status >= 400) throw new Error(`the callback answered ${landed.status}: ${await landed.text()}`);
    return [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  #signingKey(algorithm = this.#algorithms[0], kid) {
    const found = this.#keys.find((key) => (kid === undefined ? key.algorithm === algorithm : key.kid === kid));
    if (found === undefined) throw new TypeError(kid === undefined ? `the issuer was created without ${algorithm}` : `there was never a key ${kid}`);
    return found;
  }

  #url(path) {
    return `${this.issuer.replace(/\/$/, "")}/${path}`;
  }

  async #respond(method, url, headers, body) {
    const endpoint = `${method} ${url.split("?", 1)[0]}`;
    if (endpoint === `GET ${this.#url(".well-known/openid-configuration")}`) return Response.json(this.#metadata());
    if (endpoint === `GET ${this.#url(".well-known/jwks.json")}`) return Response.json(this.jwks());
    if (endpoint === `POST ${this.#url("oauth/token")}`) return this.#token(new URLSearchParams(await body()));
    if (endpoint === `POST ${this.#url("oauth/revoke")}`) return new Response(null, { status: 200 });
    if (endpoint === `GET ${this.#url("userinfo")}`) {
      const claims = this.#userinfo.get(headers.get("authorization")?.replace(/^Bearer /, ""));
      return claims === undefined ? new Response(null, { status: 401 }) : Response.json(claims);
    }
    return new Response("the issuer has no such endpoint", { status: 404 });
  }

  #metadata() {
    return {
      issuer: this.issuer,
      authorization_endpoint: this.#url("authorize"),
      token_endpoint: this.#url("oauth/token"),
      revocation_endpoint: this.#url("oauth/revoke"),
      userinfo_endpoint: this.#url("userinfo"),
      jwks_uri: this.#url(".well-known/jwks.json"),
      response_types_supported: ["code"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: this.#algorithms,
      token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
      code_challenge_methods_supported: ["S256"],
      authorization_response_iss_parameter_supported: true,
    };
  }

  /** Answers an authorization request (RFC 6749 §4.1.2) for a user who consents at once. */
  #authorize(url, user) {
    const asked = Object.fromEntries(url.searchParams);
    const code = random();
    this.#codes.set(code, { asked, user });
    const back = new URL(asked.redirect_uri);
    for (const [name, value] of Object.entries({ code, state: asked.state, iss: this.issuer })) {
      if (value !== undefined) back.searchParams.set(name, value);
    }
    return back;
  }

  /** Redeems a code, once and with its PKCE verifier (RFC 7636 §4.6), or a refresh token, which is rotated. */
  async #token(form) {
    const isRefresh = form.get("grant_type") === "refresh_token";
    const [issued, name] = isRefresh ? [this.#refreshTokens, "refresh_token"] : [this.#codes, "code"];
    const grant = issued.get(form.get(name));
    issued.delete(form.get(name));
    if (grant === undefined || (!isRefresh && !(await matches(grant.asked, form)))) return Response.json({ error: "invalid_grant" }, { status: 400 });
    const { asked, user } = grant;
    const { client_id: clientId, scope = "", nonce } = asked;
    const subject = user.claims?.sub === undefined ? {} : { sub: user.claims.sub };
    const aud = asked.audience ?? asked.resource ?? clientId;
    const access = await this.mint({ claims: { ...subject, aud, client_id: clientId, scope, ...user.accessClaims } });
    const id = await this.mint({ kind: "id", claims: { aud: clientId, ...(nonce === undefined ? {} : { nonce }), ...user.claims } });
    const answer = { token_type: "Bearer", access_token: access, id_token: id, expires_in: LIFETIME_S, scope };
    this.#userinfo.set(access, { sub: "user-1", ...user.claims });
    if (scope.split(" ").includes("offline_access")) {
      answer.refresh_token = random();
      this.#refreshTokens.set(answer.refresh_token, grant);
    }
    return Response.json(answer, { headers: { "cache-control": "no-store" } });
  }
}

async function matches({ redirect_uri: redirectUri, code_challenge: challenge }, form) {
  if (form.get("redirect_uri") !== redirectUri) return false;
  if (challenge === undefined) return true;
  const digest = await crypto.subtle.digest("SHA-256", utf8.encode(form.get("code_verifier") ?? ""));
  return base64url(new Uint8Array(digest)) === challenge;
}
