// `edgeward token`: a token of the provider that `edgeward dev-idp` runs.

import { createHash, randomBytes } from "node:crypto";
import { DEVELOPMENT_CLIENT, DEVELOPMENT_GATEWAY, DEVELOPMENT_ISSUER } from "./development.js";
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
};
export const maxArguments = 0;

const CLIENTS = { RS256: "edgeward-service", PS256: "edgeward-service-ps256", ES256: "edgeward-service-es256" };
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export async function run({ issuer = DEVELOPMENT_ISSUER, audience = "https://api.example.com", scope = [], algorithm, user, "id-token": wantsIdToken = false }, _, terminal) {
  if (!isHttpUrl(issuer) || !LOOPBACK.test(new URL(issuer).hostname)) throw new UsageError("--issuer: must be on loopback: only the provider for development gives tokens to anyone");
  if (wantsIdToken && user === undefined) throw new UsageError("--id-token needs --user");
  if (algorithm !== undefined && (user !== undefined || !Object.hasOwn(CLIENTS, algorithm))) throw new UsageError(`--algorithm: must be one of ${Object.keys(CLIENTS).join(", ")}, without --user`);
  const { metadata, problem } = await discover(issuer, new Host());
  if (problem !== undefined) throw new Failure(problem);
  const token = await terminal.during("requesting a token", async () => {
    if (user !== undefined) return loggedIn(metadata, { user, audience, scope: ["openid", ...scope].join(" ") });
    return tokenRequest(metadata, { grant_type: "client_credentials", client_id: CLIENTS[algorithm ?? "RS256"], resource: audience, ...(scope.length > 0 ? { scope: scope.join(" ") } : {}) });
  });
  const text = wantsIdToken ? token.id_token : token.access_token;
  if (typeof text !== "string") throw new Failure("the provider's response has no such token");
  terminal.print(`${text}\n`);
  return 0;
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
  if (!response.ok) throw new Failure(`the provider refuses: ${inLine([reply.error, reply.error_description].filter(Boolean).join(": ") || `status ${response.status}`)}`);
  return reply;
}

/** Logs a user in as a browser does: authorization code with PKCE (RFC 7636). */
async function loggedIn(metadata, { user, audience, scope }) {
  const client = { client_id: DEVELOPMENT_CLIENT.id, redirect_uri: `${DEVELOPMENT_GATEWAY}/auth/callback` };
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
    const response = await exchange(url, { headers: { cookie }, ...(form === undefined ? {} : { method: "POST", body: form }) });
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
    if (location === null) throw new Failure(`the provider answers ${response.status} to the login`);
    url = new URL(location, url);
    if (url.origin !== start.origin) {
      const code = url.searchParams.get("code");
      if (code === null) throw new Failure(`the provider refuses the login: ${inLine(url.searchParams.get("error_description") ?? url.searchParams.get("error") ?? "no code")}`);
      return tokenRequest(metadata, { grant_type: "authorization_code", code, redirect_uri: client.redirect_uri, code_verifier: verifier, client_id: client.client_id });
    }
  }
  throw new Failure("the provider redirects without end");
}
