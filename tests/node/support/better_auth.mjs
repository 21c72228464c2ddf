// better-auth with its OAuth provider, on loopback and in memory, with login and consent pages as an application has them.

import { randomBytes } from "node:crypto";
import { oauthProvider } from "@better-auth/oauth-provider";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import { readBody, serve } from "./http.mjs";

const PATH = "/api/auth";
const TABLES = [
  "user", "session", "account", "verification", "jwks", "rateLimit", "oauthClient", "oauthRefreshToken", "oauthAccessToken",
  "oauthConsent", "oauthResource", "oauthClientResource", "oauthClientAssertion",
];

/**
 * Starts it with one user and one client.
 *
 * @param {object} options
 * @param {object} options.client     metadata of the client
 * @param {{ name: string, email: string, password: string }} options.user
 * @param {string[]} [options.resources] APIs that it issues tokens for
 * @param {string[]} [options.scopes]    their scopes
 * @param {string} [options.alg]         what it signs with; unless set, it is EdDSA
 */
export async function startBetterAuth({ client, user, resources = [], scopes = [], alg }) {
  let handle;
  const server = await serve((req, res) => handle(req, res));
  const auth = betterAuth({
    baseURL: server.url,
    basePath: PATH,
    secret: randomBytes(32).toString("hex"),
    database: memoryAdapter(Object.fromEntries(TABLES.map((name) => [name, []]))),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: "error" },
    plugins: [
      jwt(alg === undefined ? {} : { jwks: { keyPairConfig: { alg } } }),
      oauthProvider({
        loginPage: "/login", consentPage: "/consent", scopes: ["openid", "profile", "email", "offline_access", ...scopes],
        resources, enforcePerClientResources: false, silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
      }),
    ],
  });
  const api = toNodeHandler(auth);

  /** Passes a form on to the API as JSON, and its answer to the browser. */
  async function submit(req, res, path, body) {
    const { cookie } = req.headers;
    const headers = { "content-type": "application/json", accept: "application/json", origin: server.url, ...(cookie && { cookie }) };
    const answer = await auth.handler(new Request(server.url + PATH + path, { method: "POST", headers, body: JSON.stringify(body) }));
    const text = await answer.text();
    const { url } = answer.ok ? JSON.parse(text) : {};
    res.setHeader("set-cookie", answer.headers.getSetCookie());
    if (url) res.writeHead(302, { location: url }).end();
    else res.writeHead(answer.ok ? 200 : answer.status, { "content-type": "text/plain" }).end(text);
  }

  handle = async (req, res) => {
    const { pathname, search } = new URL(req.url, server.url);
    const form = FORMS[pathname];
    if (!form) {
      await api(req, res);
    } else if (req.method === "GET") {
      res.writeHead(200, { "content-type": "text/html" }).end(`<!doctype html><title>better-auth</title><form method="post">${form}</form>`);
    } else {
      const { email, password, answer } = Object.fromEntries(new URLSearchParams((await readBody(req)).toString()));
      const query = { oauth_query: search.slice(1) };
      if (pathname === "/login") await submit(req, res, "/sign-in/email", { email, password, ...query });
      else await submit(req, res, "/oauth2/consent", { accept: answer === "accept", ...query });
    }
  };

  const signedUp = await auth.api.signUpEmail({ body: user, asResponse: true });
  const cookie = signedUp.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
  const registered = await auth.api.adminCreateOAuthClient({ headers: new Headers({ cookie }), body: client });
  const { client_id, client_secret } = registered;
  return { url: server.url, issuer: server.url + PATH, client_id, client_secret, stop: () => server.close() };
}

const FORMS = {
  "/login": '<input name="email" type="email"><input name="password" type="password"><button>Log in</button>',
  "/consent": '<button name="answer" value="accept">Allow</button><button name="answer" value="deny">Deny</button>',
};
