// Access tokens by client credentials (RFC 6749 §4.4), for calls to other APIs. The rules are those of the gateway's `upstream_auth`
// (src/oidc/upstream.rs); tests/flows/upstream_tokens.json tests both.

import { inBackground } from "./background.js";
import { assertionOf, readPrivateKey, SIGNING_ALGORITHMS } from "./client-assertion.js";
import { send } from "./fetch.js";
import { plain } from "./plain.js";

/** How long before its expiry a token is no longer used, in seconds; half of its lifetime at most. */
const MARGIN_S = 30;
/** The lifetime of an opaque token without `expires_in`, and the longest that is believed. */
const DEFAULT_LIFETIME_S = 3600;
const MAX_LIFETIME_S = 2_592_000;
const MAX_TOKEN_BYTES = 16_384;
const MAX_BODY_BYTES = 65_536;
const TIMEOUT_MS = 10_000;
/** How long a request is waited for before another one is made: longer than discovery and two attempts can take. */
const LEASE_MS = 3 * TIMEOUT_MS + 5_000;
const POLL_MS = 10;
const MAX_PAUSE_S = 30;
const MAX_RETRY_AFTER_S = 300;
const DISCOVERY_FRESH_MS = 3_600_000;

export function createTokenSource(options) {
  return new TokenSource(options);
}

/** Why there is no token. */
export class TokenSourceError extends Error {
  // Survives minification, for inspection.
  static name = "TokenSourceError";

  constructor(code, message, { cause, ...about } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    Object.assign(this, about);
  }
}
TokenSourceError.prototype.name = "TokenSourceError";

class TokenSource {
  static name = "TokenSource";

  #options;
  #endpoint = { until: 0 };
  #token;
  /** The newest request, while it is waited for. */
  #lease = { until: 0 };
  #failures = 0;
  #failure;

  constructor(options) {
    this.#options = readOptions(options);
  }

  // Functions of their own instead of methods, so that they can be destructured.

  getToken = async (options) => {
    const { signal, waitUntil } = readCallOptions(options);
    for (;;) {
      if (signal?.aborted) throw aborted(signal);
      const now = this.#options.now();
      const token = this.#token;
      if (token !== undefined && token.from <= now && now < token.until) return token.text;
      // Nothing of one caller's request is shared with another: some platforms end it with the caller. The others wait for its outcome.
      if (isAhead(this.#lease.until, now, LEASE_MS)) {
        await unlessAborted(new Promise((resolve) => setTimeout(resolve, POLL_MS)), signal);
      } else if (this.#failure !== undefined && isAhead(this.#failure.retryAt, now, MAX_RETRY_AFTER_S * 1000)) {
        const { code, message, retryAt, ...about } = this.#failure;
        throw new TokenSourceError(code, message, { retryAfter: Math.ceil((retryAt - now) / 1000), ...about });
      } else {
        this.#lease = { until: now + LEASE_MS };
        const request = this.#request(this.#lease);
        if (waitUntil !== undefined) inBackground(waitUntil, request);
        await unlessAborted(request, signal);
      }
    }
  };

  fetch = async (input, init = {}) => {
    const isRequest = typeof Request !== "undefined" && input instanceof Request;
    const signal = init.signal ?? (isRequest ? input.signal : undefined);
    const headers = new Headers(init.headers ?? (isRequest ? input.headers : undefined));
    headers.set("authorization", `Bearer ${await this.getToken({ signal })}`);
    const { fetch: sender = fetch } = this.#options;
    // A redirect to another site must not get the token.
    return sender(input, { redirect: "manual", ...init, headers });
  };

  /** Requests a token and records the outcome. Never throws. */
  async #request(lease) {
    const outcome = await this.#obtain().catch((cause) => unavailable("the token endpoint did not respond", { cause }));
    const now = this.#options.now();
    // A late request ends its own lease only.
    lease.until = 0;
    if (outcome.text !== undefined) {
      this.#failures = 0;
      this.#failure = undefined;
      this.#token = outcome;
      return;
    }
    this.#failures += 1;
    const pauseS = Math.min(2 ** (this.#failures - 1), MAX_PAUSE_S);
    const { retryAfterS = 0, ...failure } = outcome;
    this.#failure = { ...failure, retryAt: now + 1000 * Math.max(pauseS, Math.min(retryAfterS, MAX_RETRY_AFTER_S)) };
  }

  async #obtain() {
    const { credentials, fetch, timeout } = this.#options;
    const url = await this.#tokenEndpoint();
    if (url === undefined) return unavailable("the issuer's discovery document cannot be used");
    let outcome;
    for (const credential of credentials.slice(0, 2)) {
      const message = await this.#form(credential);
      if (message === undefined) return unavailable("Web Crypto refuses the private key");
      const response = await send({ url, method: "POST", ...message, timeoutMs: timeout, maxBytes: MAX_BODY_BYTES }, fetch);
      outcome = readResponse(response, this.#options.now());
      if (outcome.error !== "invalid_client") break;
    }
    return outcome;
  }

  /**
   * Returns the headers and the form of the request, with the secret in it or in a header (RFC 6749 §2.3.1), or with an assertion; undefined if the
   * key cannot sign.
   */
  async #form(credential) {
    const { parameters, clientId, clientAuth, issuer, now } = this.#options;
    const form = new URLSearchParams({ grant_type: "client_credentials", ...parameters });
    const headers = { accept: "application/json", "content-type": "application/x-www-form-urlencoded" };
    if (clientAuth === "client_secret_basic") {
      headers.authorization = `Basic ${btoa(`${formEncoded(clientId)}:${formEncoded(credential)}`)}`;
    } else if (clientAuth === "client_secret_post") {
      form.set("client_id", clientId);
      form.set("client_secret", credential);
    } else {
      const assertion = await assertionOf(credential, clientId, issuer, now());
      if (assertion === undefined) return undefined;
      form.set("client_id", clientId);
      form.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      form.set("client_assertion", assertion);
    }
    return { headers, form: form.toString() };
  }

  /** Returns the token endpoint: as given, or as the issuer's discovery document names it. */
  async #tokenEndpoint() {
    const { issuer, tokenEndpoint, fetch, timeout, now } = this.#options;
    if (tokenEndpoint !== undefined) return tokenEndpoint;
    if (isAhead(this.#endpoint.until, now(), DISCOVERY_FRESH_MS)) return this.#endpoint.url;
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const response = await send({ url, headers: { accept: "application/json" }, timeoutMs: timeout, maxBytes: MAX_BODY_BYTES }, fetch);
    const { status, document } = readJson(response, now());
    // A server that answers for another issuer must not get the secret.
    if (status !== 200 || document?.issuer !== issuer || !isSecure(document.token_endpoint)) return undefined;
    this.#endpoint = { url: document.token_endpoint, until: now() + DISCOVERY_FRESH_MS };
    return this.#endpoint.url;
  }
}

/** Reads a response of the token endpoint (RFC 6749 §5): a token with its period of use, or a failure. */
function readResponse(response, now) {
  const { status, retryAfterS, document } = readJson(response, now);
  const more = { cause: response.kind === 3 ? undefined : response.cause, retryAfterS };
  const error = text(document?.error);
  if (error !== undefined) {
    const code = /^[a-z_]{1,64}$/.test(error) ? error : "unknown_error";
    const isTemporary = status === 429 || status >= 500 || ["temporarily_unavailable", "server_error"].includes(code);
    if (isTemporary) return unavailable(`the token endpoint answered ${status}, ${code}`, more);
    return { code: "upstream_token_refused", message: `the provider refused to issue a token: ${code}`, error: code };
  }
  if (status === undefined) return unavailable("the token endpoint did not respond", more);
  if (status !== 200 || document === undefined) return unavailable(`the token endpoint answered ${status} without a token`, more);
  const token = text(document.access_token);
  if (token === undefined || token.length > MAX_TOKEN_BYTES || !/^[\x21-\x7e]+$/.test(token)) return unavailable("the response has no access_token", more);
  // Some providers omit the type, or send an empty one.
  if (!/^(?:bearer)?$/i.test(document.token_type ?? "")) return unavailable("the response has no token_type Bearer", more);
  const exp = expiryOf(token);
  const statedS = secondsOf(document.expires_in) ?? (exp === undefined ? DEFAULT_LIFETIME_S : MAX_LIFETIME_S);
  // A JWT is not valid beyond its own `exp`, whatever the response states.
  const lifeS = Math.max(0, Math.min(statedS, MAX_LIFETIME_S, exp === undefined ? Infinity : exp - Math.floor(now / 1000)));
  const until = now + 1000 * (lifeS - Math.min(MARGIN_S, Math.floor(lifeS / 2)));
  return until > now ? { text: token, from: now, until } : unavailable("the provider returned a token that has expired", more);
}

/** Reads a response with a JSON object, whatever its media type: some providers send none, or that of a text. */
function readJson({ kind, head, body }, now) {
  if (kind !== 3) return {};
  const { status, "retry-after": retryAfter = "" } = JSON.parse(head);
  const retryAfterS = secondsUntil(retryAfter, now);
  try {
    const document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
    return { status, retryAfterS, document: isObject ? document : undefined };
  } catch {
    return { status, retryAfterS };
  }
}

const text = (value) => (typeof value === "string" && value !== "" ? value : undefined);

/** Returns the seconds of `Retry-After`, negative for a past date: a number, or the date of RFC 9110 §5.6.7, of which `Date.parse` accepts other forms, too. */
function secondsUntil(retryAfter, now) {
  if (/^\s*\d{1,9}\s*$/.test(retryAfter)) return Number(retryAfter);
  const date = /^\s*\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\s*$/.test(retryAfter) && Date.parse(retryAfter);
  return date ? (date - now) / 1000 : undefined;
}

/** Returns a number of seconds, which some providers send as text. */
function secondsOf(value) {
  if (typeof value === "number") return Math.trunc(value);
  return typeof value === "string" && /^\d+(?:\.\d*)?$/.test(value) ? Math.trunc(Number(value)) : undefined;
}

/** Returns the `exp` of a token that is a JWT. */
function expiryOf(token) {
  try {
    const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return typeof exp === "number" ? Math.trunc(exp) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a time is ahead by at most `most` milliseconds: if it is further ahead, the clock went back. */
const isAhead = (time, now, most) => time > now && time - now <= most;

const unavailable = (message, more) => ({ code: "upstream_token_unavailable", message, ...more });

const aborted = (signal) => new TokenSourceError("aborted", "the signal was aborted before there was a token", { cause: signal.reason });

/** Waits for a promise, or throws when the signal is aborted. What the promise stands for continues. */
async function unlessAborted(promise, signal) {
  if (signal === undefined || signal === null) return promise;
  let stop;
  const stopped = new Promise((_, reject) => {
    stop = () => reject(aborted(signal));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const formEncoded = (value) => encodeURIComponent(value).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** Whether a URL may get a secret: https, or http on loopback. */
function isSecure(url) {
  try {
    const { protocol, hostname, hash } = new URL(url);
    return hash === "" && (protocol === "https:" || (protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)));
  } catch {
    return false;
  }
}

const OPTIONS = [
  "issuer", "tokenEndpoint", "clientId", "clientSecret", "clientAuth", "privateKey", "privateKeyAlg", "audience", "resource", "scope", "organization", "fetch",
  "timeout", "now",
];
const METHODS = ["client_secret_post", "client_secret_basic", "private_key_jwt"];

const invalid = (message) => {
  throw new TokenSourceError("options_invalid", message);
};

function readCallOptions(given = {}) {
  const options = plain(given) ?? invalid("the options must be a plain object");
  const { signal, waitUntil } = options;
  const isSignal = ["addEventListener", "removeEventListener"].every((name) => typeof signal?.[name] === "function");
  if (signal !== undefined && signal !== null && !isSignal) invalid("signal must be an AbortSignal");
  if (waitUntil !== undefined && typeof waitUntil !== "function") invalid("waitUntil must be a function");
  return options;
}

/** Checks the options. No message repeats a value, which may be a secret. */
function readOptions(given) {
  const options = plain(given) ?? invalid("the options must be a plain object");
  for (const name of Object.keys(options)) if (!OPTIONS.includes(name)) invalid(`there is no option "${name}"; there are ${OPTIONS.join(", ")}`);
  const { issuer, tokenEndpoint, clientId, clientAuth = METHODS[0], fetch, timeout = TIMEOUT_MS / 1000, now } = options;
  if ((issuer === undefined) === (tokenEndpoint === undefined)) invalid("either issuer or tokenEndpoint must be given");
  for (const [name, url] of Object.entries({ issuer, tokenEndpoint })) {
    if (url !== undefined && !(typeof url === "string" && isSecure(url))) invalid(`${name} must be an https URL (http is allowed on loopback only)`);
  }
  if (issuer?.includes("?")) invalid("issuer must be a URL without a query");
  if (text(clientId) === undefined) invalid("clientId must be a string that is not empty");
  if (!METHODS.includes(clientAuth)) invalid(`clientAuth must be one of ${METHODS.join(", ")}`);
  const credentials = clientAuth === "private_key_jwt" ? privateKeys(options) : clientSecrets(options);
  const parameters = {};
  for (const name of ["audience", "resource", "scope", "organization"]) {
    const value = options[name];
    if (value === undefined) continue;
    if (text(value) === undefined) invalid(`${name} must be a string that is not empty`);
    parameters[name] = value;
  }
  for (const [name, value] of Object.entries({ fetch, now })) if (value !== undefined && typeof value !== "function") invalid(`${name} must be a function`);
  if (!(typeof timeout === "number" && timeout > 0 && timeout <= TIMEOUT_MS / 1000)) invalid("timeout must be a number of seconds, at most 10");
  const clock = now === undefined ? Date.now : () => now() * 1000;
  return { issuer, tokenEndpoint, clientId, credentials, clientAuth, parameters, fetch, timeout: timeout * 1000, now: clock };
}

function clientSecrets({ clientSecret, privateKey, privateKeyAlg }) {
  for (const [name, value] of Object.entries({ privateKey, privateKeyAlg })) {
    if (value !== undefined) invalid(`${name} has no effect without clientAuth: "private_key_jwt"`);
  }
  const secrets = [clientSecret].flat();
  if (secrets.length === 0 || secrets.some((secret) => text(secret) === undefined)) invalid("clientSecret must be a string that is not empty, or a list of them");
  return secrets;
}

function privateKeys({ issuer, clientSecret, privateKey, privateKeyAlg }) {
  if (issuer === undefined) invalid('clientAuth: "private_key_jwt" needs issuer in place of tokenEndpoint: it is the audience of assertions');
  if (clientSecret !== undefined) invalid('clientSecret has no effect with clientAuth: "private_key_jwt"');
  if (privateKeyAlg !== undefined && !SIGNING_ALGORITHMS.includes(privateKeyAlg)) invalid(`privateKeyAlg must be one of ${SIGNING_ALGORITHMS.join(", ")}`);
  const keys = [privateKey].flat().map((key) => readPrivateKey(key, privateKeyAlg));
  if (keys.length === 0) invalid("privateKey must not be empty");
  for (const reason of keys) if (typeof reason === "string") invalid(`privateKey ${reason}`);
  return keys;
}
