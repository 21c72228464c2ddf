// A provider that logs any user in and then responds as a test wants: for responses that no real provider gives.

import { createHash, randomBytes } from "node:crypto";
import { readBody } from "./http.mjs";
import { AUDIENCE } from "./provider.mjs";
import { nowSeconds, startIssuer } from "./tokens.mjs";

export const CLIENT_ID = "edgeward-web";

/**
 * Starts the provider: an issuer of hand-made tokens (see tokens.mjs) with authorization, token and userinfo endpoints.
 * `behave` says what to answer instead of what is right:
 *
 * - `callback(query, asked)`: the parameters of the callback, changed in place or replaced,
 * - `accessClaims`: claims of the access token,
 * - `reply(reply, asked)`: the reply of the token endpoint, which may be replaced,
 * - `idToken`: `token()` options (tokens.mjs) set over those of a good ID token, or a function of them that returns text,
 * - `userinfo(claims)`: the claims, which may be replaced.
 */
export async function startHostileProvider() {
  const issuer = await startIssuer({ audience: AUDIENCE });
  const logins = new Map();
  const provider = {
    issuer: issuer.issuer,
    url: issuer.url,
    tokens: issuer,
    /** The codes, verifiers, nonces, states and tokens of all logins: what must never be seen elsewhere. */
    secrets: [],
    exchanges: [],
    /** The tokens that were revoked. */
    revocations: [],
    behave: {},
    setFault: (endpoint, fault) => issuer.setFault(endpoint, fault),
    counts: issuer.counts,
    /** Behaves well again. */
    reset() {
      provider.behave = {};
      issuer.clearFaults();
      issuer.discoveryDocument = undefined;
      provider.exchanges.length = 0;
      provider.revocations.length = 0;
      for (const name of Object.keys(issuer.counts)) issuer.counts[name] = 0;
    },
    stop: () => issuer.stop(),
  };
  issuer.metadata = {
    userinfo_endpoint: `${issuer.url}/userinfo`,
    revocation_endpoint: `${issuer.url}/revoke`,
    end_session_endpoint: `${issuer.url}/session/end`,
    authorization_response_iss_parameter_supported: true,
  };

  const authorize = (req, res) => {
    const asked = new URL(req.url, issuer.url).searchParams;
    const code = `code-${randomBytes(18).toString("base64url")}`;
    logins.set(code, asked);
    provider.secrets.push(code, asked.get("state"), asked.get("nonce"));
    const query = new URLSearchParams({ code, state: asked.get("state"), iss: issuer.issuer });
    const changed = provider.behave.callback?.(query, asked);
    const location = `${asked.get("redirect_uri")}?${changed ?? query}`;
    res.writeHead(302, { location, "content-length": "0" }).end();
  };

  const json = (res, status, value) => {
    res.statusCode = status;
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify(value));
  };

  /** What was asked at the authorization endpoint, if this is the right code with the right verifier, the first time. */
  const redeem = (form) => {
    const asked = logins.get(form.get("code"));
    logins.delete(form.get("code"));
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    const fits = challenge === asked?.get("code_challenge") && form.get("redirect_uri") === asked.get("redirect_uri");
    return fits ? asked : undefined;
  };

  const renew = (form) => (form.get("refresh_token") ? new URLSearchParams() : undefined);

  const token = async (req, res) => {
    const form = new URLSearchParams((await readBody(req)).toString());
    provider.exchanges.push(form);
    provider.secrets.push(...["code_verifier", "refresh_token"].map((name) => form.get(name)).filter(Boolean));
    const grants = { authorization_code: redeem, refresh_token: renew };
    const asked = grants[form.get("grant_type")]?.(form);
    if (!asked) {
      json(res, 400, { error: "invalid_grant" });
      return;
    }
    const accessToken = issuer.token({ claims: { sub: "mallory", client_id: CLIENT_ID, ...provider.behave.accessClaims } });
    const now = nowSeconds();
    const good = {
      header: { typ: "JWT" },
      claims: {
        aud: CLIENT_ID, sub: "mallory", name: "Mallory", nonce: asked.get("nonce") ?? undefined, iat: now, exp: now + 300, jti: undefined,
        client_id: undefined, scope: undefined,
        at_hash: createHash("sha256").update(accessToken).digest().subarray(0, 16).toString("base64url"),
      },
    };
    const { idToken: wish } = provider.behave;
    const idToken = typeof wish === "function"
      ? wish(good, { accessToken, asked })
      : issuer.token({ ...good, ...wish, header: { ...good.header, ...wish?.header }, claims: { ...good.claims, ...wish?.claims } });
    const reply = {
      access_token: accessToken, token_type: "Bearer", expires_in: 3600, id_token: idToken, scope: "openid",
      refresh_token: `refresh-${randomBytes(18).toString("base64url")}`,
    };
    provider.secrets.push(...[accessToken, idToken, reply.refresh_token].filter((one) => typeof one === "string"));
    json(res, 200, provider.behave.reply?.(reply, asked) ?? reply);
  };

  const userinfo = (_req, res) => {
    const claims = { sub: "mallory", name: "Mallory" };
    json(res, 200, provider.behave.userinfo?.(claims) ?? claims);
  };

  const revoke = async (req, res) => {
    provider.revocations.push(new URLSearchParams((await readBody(req)).toString()).get("token"));
    json(res, 200, {});
  };

  issuer.routes = {
    "/authorize": { endpoint: "authorization", answer: authorize },
    "/token": { endpoint: "token", answer: token },
    "/revoke": { endpoint: "revocation", answer: revoke },
    "/userinfo": { endpoint: "userinfo", answer: userinfo },
  };
  return provider;
}
