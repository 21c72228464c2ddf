// `edgeward token`: a token of the provider that `edgeward dev-idp` runs.

import { createHash, randomBytes } from "node:crypto";
import { DEVELOPMENT_CLIENT, DEVELOPMENT_GATEWAY, DEVELOPMENT_ISSUER, gatewayOrigin } from "./development.js";
import { describe, Host } from "./host.js";
import { discover, isHttpUrl } from "./provider.js";
import { Failure, inLine, UsageError } from "./terminal.js";

export const help = `Gets a token of the provider that "edgeward dev-idp" runs, and prints it.

Usage: edgeward token [OPTION ...]

  --issuer URL          the provider, ${DEVELOPMENT_ISSUER} by default; on loopback only
  --audience AUDIENCE   the API that the token is for, https://api.example.com by default
  --scope SCOPE         a scope of the token; may be repeated
  --algorithm NAME      RS256, PS256 or ES256; RS256 by default. Tokens of users are RS256
  --user ID             a token of this user, who is logged in for it; without it, the token is a service's
  --id-token            print the ID token of that user
  --gateway URL         the gateway through which the user logs in, as the provider knows it; ${DEVELOPMENT_GATEWAY} by default. It is not contacted

Examples:
  edgeward token --scope read:items
  curl -H "Authorization: Bearer $(edgeward token --user alice)" http://localhost:8787/api/items

Exit codes: 0 the token is printed, 1 there is none, 2 the command line is wrong.
`;

export const options = {
  "issuer": { type: "string" },
  "audience": { type: "string" },
  "scope": { type: "string", multiple: true },
  "algorithm": { type: "string" },
  "user": { type: "string" },
  "id-token": { type: "boolean" },
  "gateway": { type: "string" },
};
export const maxArguments = 0;

const CLIENTS = { RS256: "edgeward-service", PS256: "edgeward-service-ps256", ES256: "edgeward-service-es256" };
/** Scopes of the provider itself, which tokens for an API do not have. */
const LOGIN_SCOPES = ["openid", "profile", "email", "offline_access"];
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export async function run({ issuer = DEVELOPMENT_ISSUER, audience = "https://api.example.com", scope = [], algorithm, user, "id-token": wantsIdToken = false, gateway }, _, terminal) {
  if (!isHttpUrl(issuer) || !LOOPBACK.test(new URL(issuer).hostname)) throw new UsageError("--issuer: must be on loopback: only the provider for development gives tokens to anyone");
  if (wantsIdToken && user === undefined) throw new UsageError("--id-token needs --user");
  if (gateway !== undefined && user === undefined) throw new UsageError("--gateway needs --user");
  const site = gatewayOrigin(gateway ?? DEVELOPMENT_GATEWAY);
  if (algorithm !== undefined && (user !== undefined || !Object.hasOwn(CLIENTS, algorithm))) throw new UsageError(`--algorithm: must be one of ${Object.keys(CLIENTS).join(", ")}, without --user`);
  const { metadata, problem, status } = await discover(issuer, new Host());
  const isElsewhere = metadata === undefined && status === undefined;
  if (problem !== undefined) throw new Failure(isElsewhere ? `${problem}; "edgeward dev-idp" runs the provider, and --issuer says where it is` : problem);
  const token = await terminal.during("requesting a token", async () => {
    if (user !== undefined) return loggedIn(metadata, { user, audience, site, scope: ["openid", ...scope].join(" ") });
    return tokenRequest(metadata, { grant_type: "client_credentials", client_id: CLIENTS[algorithm ?? "RS256"], resource: audience, ...(scope.length > 0 ? { scope: scope.join(" ") } : {}) });
  });
  const text = wantsIdToken ? token.id_token : token.access_token;
  if (typeof text !== "string") throw new Failure("the provider's response has no such token");
  const granted = new Set([...grantedScopes(token), ...(user === undefined ? [] : LOGIN_SCOPES)]);
  const lacking = scope.flatMap((one) => one.split(" ")).filter((one) => one !== "" && !granted.has(one));
  if (lacking.length > 0) terminal.warn(`the token lacks the scope ${inLine(lacking.join(", "))}: the provider does not grant it; see "edgeward dev-idp --help", --scope`);
  terminal.print(`${text}\n`);
  return 0;
}

/** Returns the scopes of a token response, which may leave them out (RFC 6749 §5.1), and of its access token. */
function grantedScopes({ scope, access_token: token }) {
  let claims = {};
  try {
    claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  } catch {
    // An opaque token.
  }
  return [scope, claims?.scope].filter((words) => typeof words === "string").flatMap((words) => words.split(" "));
}

/** Sends a request as the development provider's own client. */
async function exchange(url, init) {
  try {
    return await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(10_000), ...init });
  } catch (error) {
    throw new Failure(`${inLine(new URL(url).origin)} cannot be reached: ${describe(error, 10_000)}`);
  }
}

async function tokenRequest(metadata, form) {
  const response = await exchange(metadata.token_endpoint, { method: "POST", body: new URLSearchParams({ ...form, client_secret: DEVELOPMENT_CLIENT.secret }) });
  const reply = await response.json().catch(() => ({}));
  if (!response.ok) throw new Failure(`the provider refuses: ${reasonOf(reply, `status ${response.status}`)}`);
  return reply;
}

/** Returns the error of a response in words, or `other` if there is none. */
function reasonOf(reply, other) {
  return inLine([reply?.error, reply?.error_description].filter((part) => typeof part === "string").join(": ") || other).slice(0, 500);
}

/** Logs a user in as a browser does: authorization code with PKCE (RFC 7636). */
async function loggedIn(metadata, { user, audience, site, scope }) {
  const client = { client_id: DEVELOPMENT_CLIENT.id, redirect_uri: `${site}/auth/callback` };
  const verifier = randomBytes(32).toString("base64url");
  const start = new URL(metadata.authorization_endpoint);
  const query = {
    ...client, response_type: "code", scope, resource: audience, state: randomBytes(16).toString("hex"), nonce: randomBytes(16).toString("hex"),
    code_challenge_method: "S256", code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  };
  for (const [name, value] of Object.entries(query)) start.searchParams.set(name, value);
  const cookies = new Map();
  let form;
  for (let [hops, url] = [0, start]; hops < 10; hops += 1) {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const response = await exchange(url, { headers: { cookie, accept: "application/json" }, ...(form === undefined ? {} : { method: "POST", body: form }) });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined) cookies.set(name, value);
    }
    const location = response.headers.get("location");
    // The page that asks who logs in.
    if (location === null && form === undefined && response.status === 200) {
      form = new URLSearchParams({ account: user });
      continue;
    }
    form = undefined;
    if (location === null) {
      const reply = await response.json().catch(() => ({}));
      const hint = reply?.error === "invalid_redirect_uri" ? `; it knows no gateway at ${site}: name one that it knows by --gateway` : "";
      throw new Failure(`the provider refuses the login: ${reasonOf(reply, `status ${response.status}`)}${hint}`);
    }
    url = new URL(location, url);
    if (url.origin !== start.origin) {
      const code = url.searchParams.get("code");
      if (code === null) throw new Failure(`the provider refuses the login: ${reasonOf(Object.fromEntries(url.searchParams), "no code")}`);
      return tokenRequest(metadata, { grant_type: "authorization_code", code, redirect_uri: client.redirect_uri, code_verifier: verifier, client_id: client.client_id });
    }
  }
  throw new Failure("the provider redirects without end");
}
