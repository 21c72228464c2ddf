// An issuer of hand-made tokens: any header and payload bytes, any signature, and a JWKS over HTTP with any
// content. For tokens that no real provider issues; see provider.mjs for real ones.

import {
  constants, createHash, createHmac, createPublicKey, generateKeyPair, randomBytes, randomUUID, sign as signBytes,
} from "node:crypto";
import { promisify } from "node:util";
import { Faults } from "./faults.mjs";
import { serve } from "./http.mjs";

const generate = promisify(generateKeyPair);

export const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
export const nowSeconds = () => Math.floor(Date.now() / 1000);

/** A private key object: RSA unless the algorithm is ES256, ES384 or EdDSA. */
export async function generateKey(alg = "RS256", { modulusLength = 2048, publicExponent = 65537 } = {}) {
  if (alg === "ES256" || alg === "ES384") {
    return (await generate("ec", { namedCurve: alg === "ES256" ? "P-256" : "P-384" })).privateKey;
  }
  if (alg === "EdDSA") return (await generate("ed25519")).privateKey;
  return (await generate("rsa", { modulusLength, publicExponent })).privateKey;
}

/** The public JWK of a key, with `extra` members set over it; undefined removes one. */
export function publicJwk(key, extra = {}) {
  const jwk = { ...createPublicKey(key).export({ format: "jwk" }), ...extra };
  return JSON.parse(JSON.stringify(jwk));
}

/**
 * The signature over `data`. `alg` is RS, PS, ES or HS with 256, 384 or 512, EdDSA, or none; `key` a private key, or
 * the secret bytes of an HS algorithm.
 */
export function signatureOf(data, alg, key) {
  const hash = `sha${alg.slice(2)}`;
  switch (alg.slice(0, 2)) {
    case "RS":
      return signBytes(hash, data, key);
    case "PS":
      return signBytes(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(alg.slice(2)) / 8 });
    case "ES":
      return signBytes(hash, data, { key, dsaEncoding: "ieee-p1363" });
    case "HS":
      return createHmac(hash, key).update(data).digest();
    case "Ed":
      return signBytes(null, data, key);
    default:
      return Buffer.alloc(0);
  }
}

/**
 * A compact JWS. Header and payload: an object is written as JSON; a string or bytes are taken as they are. `alg` is
 * what the signature is really made with, whatever the header claims. `signature` replaces the true signature.
 */
export function makeToken({ header = {}, payload = {}, key, alg = header.alg ?? "RS256", signature }) {
  const bytes = (part) => (typeof part === "string" || Buffer.isBuffer(part) ? part : JSON.stringify(part));
  const signed = `${base64url(bytes(header))}.${base64url(bytes(payload))}`;
  return `${signed}.${base64url(signature ?? signatureOf(Buffer.from(signed), alg, key))}`;
}

const DIGEST_INFO = { 256: "3031300d060960864801650304020105000420" };

/**
 * EMSA-PKCS1-v1_5 encoding with SHA-256 of the signed part of a token: what an exponent of 1 accepts as a signature.
 */
export function pkcs1Encoding(data, length) {
  const tail = Buffer.concat([Buffer.from(DIGEST_INFO[256], "hex"), createHash("sha256").update(data).digest()]);
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(length - tail.length - 3, 0xff), Buffer.from([0]), tail]);
}

/**
 * Starts the issuer: discovery and JWKS on loopback, one RS256 key.
 *
 * @param {{ port?: number, host?: string, audience?: string, alg?: string }} [options]
 */
export async function startIssuer({ port = 0, host = "127.0.0.1", audience = "https://api.example.com", alg = "RS256" } = {}) {
  const issuer = new TokenIssuer(audience);
  await issuer.open({ port, host });
  await issuer.addKey({ alg });
  return issuer;
}

class TokenIssuer {
  #server;
  #faults = new Faults();

  counts = { jwks: 0, discovery: 0 };
  /** Private keys by `kid`, in the order they were added: `{ kid, alg, key }`. */
  keys = new Map();
  /** The published JWKs; change it at will. */
  published = [];
  /** When set, served as the JWKS instead: text, or an object. */
  jwksDocument = undefined;
  /** When set, served as the discovery document instead: text, or an object. */
  discoveryDocument = undefined;
  /** Members set over those of the discovery document. */
  metadata = {};
  /** Further endpoints by path: `{ endpoint, answer(req, res) }`; counted and spoilt under the endpoint's name. */
  routes = {};

  constructor(audience) {
    this.audience = audience;
  }

  async open(where) {
    this.#server = await serve((req, res) => this.#handle(req, res), where);
  }

  start() {
    return this.#server.listen();
  }

  stop() {
    return this.#server.close();
  }

  get port() {
    return this.#server.port;
  }

  get url() {
    return this.#server.url;
  }

  get issuer() {
    return this.url;
  }

  get jwksUri() {
    return `${this.url}/jwks`;
  }

  get jwksRequests() {
    return this.counts.jwks;
  }

  /** See `Fault` in faults.mjs; endpoints `jwks`, `discovery` and those of `routes`. */
  setFault(endpoint, fault) {
    return this.#faults.set(endpoint, fault);
  }

  clearFaults() {
    this.#faults.clear();
  }

  /**
   * Adds a key, made for the purpose or given, and publishes it. `jwk` sets members of the published JWK (undefined
   * removes one). Returns `{ kid, alg, key, jwk }`.
   */
  async addKey({ alg = "RS256", kid = `key-${randomBytes(4).toString("hex")}`, key, jwk = {}, publish = true, ...size } = {}) {
    key ??= await generateKey(alg, size);
    const entry = { kid, alg, key, jwk: publicJwk(key, { kid, alg, use: "sig", ...jwk }) };
    this.keys.set(kid, entry);
    if (publish) this.published.push(entry.jwk);
    return entry;
  }

  removeKey(kid) {
    this.keys.delete(kid);
    this.published = this.published.filter((jwk) => jwk.kid !== kid);
  }

  /** Claims that pass, with `changes` set over them; undefined removes one. */
  claims(changes = {}) {
    const now = nowSeconds();
    const claims = {
      iss: this.issuer, sub: "user-1", aud: this.audience, iat: now, exp: now + 600,
      client_id: "client-1", jti: randomUUID(), scope: "read:items", ...changes,
    };
    return JSON.parse(JSON.stringify(claims));
  }

  /**
   * A token that passes, but for what is given: `header` and `claims` change members; `rawHeader` and `rawPayload`
   * replace the whole part (text or bytes); `kid` picks the key; `signWith` is the true algorithm; `key` signs instead.
   */
  token({ header = {}, claims = {}, rawHeader, rawPayload, kid, alg, signWith, key, signature } = {}) {
    const entry = this.keys.get(kid) ?? this.keys.values().next().value;
    alg ??= entry.alg;
    const complete = JSON.parse(JSON.stringify({ alg, typ: "at+jwt", kid: kid ?? entry.kid, ...header }));
    return makeToken({
      header: rawHeader ?? complete,
      payload: rawPayload ?? this.claims(claims),
      key: key ?? entry.key,
      alg: signWith ?? alg,
      signature,
    });
  }

  async #handle(req, res) {
    const path = req.url.split("?")[0];
    const route = this.routes[path];
    const endpoint = route?.endpoint ?? { "/jwks": "jwks", "/.well-known/openid-configuration": "discovery" }[path];
    if (!endpoint) {
      res.writeHead(404).end();
      return;
    }
    this.counts[endpoint] = (this.counts[endpoint] ?? 0) + 1;
    if (await this.#faults.apply(endpoint, req, res)) return;
    if (route) {
      await route.answer(req, res);
      return;
    }
    const document =
      endpoint === "jwks"
        ? (this.jwksDocument ?? { keys: this.published })
        : (this.discoveryDocument ?? this.#discovery());
    const body = typeof document === "string" ? document : JSON.stringify(document);
    res.setHeader("content-type", "application/json");
    res.setHeader("content-length", Buffer.byteLength(body));
    res.end(body);
  }

  #discovery() {
    return {
      issuer: this.issuer,
      jwks_uri: this.jwksUri,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
      ...this.metadata,
    };
  }
}
