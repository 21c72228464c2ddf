// A site with login: the Worker before a real provider and an origin, and browsers on it.

import { startOrigin } from "./origin.mjs";
import { AUDIENCE, CLIENT_SECRET, ROLES_CLAIM, startProvider } from "./provider.mjs";
import { Browser, SITE } from "./browser.mjs";
import { startWorker } from "./worker.mjs";

export const SESSION_SECRET = "a-session-secret-of-the-tests-0123456789abcdef";
export const COOKIE = "__Host-edgeward";
export const LOGIN_COOKIE = "__Host-edgeward-login-";

/** Changes are set over what a login needs; undefined removes a member. */
export const loginConfig = (provider, origin, { authorizer, session, paths = [], ...more } = {}) =>
  JSON.parse(JSON.stringify({
    authorizer: {
      type: "oidc", issuer: provider.issuer, audience: AUDIENCE, client_id: "edgeward-web", client_secret: CLIENT_SECRET,
      redirect_uri: `${SITE}/auth/callback`, scope: "openid profile email read:items", roles_claim: ROLES_CLAIM, ...authorizer,
    },
    session: { secrets: SESSION_SECRET, ...session },
    paths: [
      ...paths,
      { method: "GET", path: "/", auth: "none", integration: { type: "respond", body: "everybody's" } },
      { method: "GET", path: "/login", integration: { type: "login" } },
      { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
      { method: ["GET", "POST"], path: "/logout", integration: { type: "logout" } },
      { method: "GET", path: "/userinfo", integration: { type: "userinfo" } },
      {
        method: "ANY", path: "/app/{*rest}",
        integration: {
          type: "http_proxy", url: origin.url,
          headers: { "X-User-Id": "$claims.sub", "X-User-Name": "$claims.name", "X-User-Scope": "$claims.scope" },
        },
      },
      {
        method: "GET", path: "/token/{*rest}",
        integration: { type: "http_proxy", url: origin.url, headers: { Authorization: "Bearer $token" } },
      },
      { method: "GET", path: "/editors", roles: ["editor"], integration: { type: "respond", body: "for editors" } },
      { method: "GET", path: "/writers", permissions: ["write:items"], integration: { type: "respond", body: "for writers" } },
    ],
    ...more,
  }));

/** With refresh tokens: the provider wants a consent prompt for them, and grants it by itself. */
export const WITH_REFRESH = { scope: "openid profile email offline_access read:items" };

export async function startSite({ provider: providerOptions, config, worker: workerOptions, ...changes } = {}) {
  const [provider, origin] = await Promise.all([startProvider({ gateways: [SITE], ...providerOptions }), startOrigin()]);
  const configure = (more = changes) => (config ?? loginConfig)(provider, origin, more);
  const worker = await startWorker({ config: configure(), ...workerOptions });
  return {
    provider, origin, worker,
    browser: () => new Browser(worker),
    /** A browser that is logged in. */
    async loggedIn(account = "alice", path = "/login") {
      const browser = new Browser(worker);
      const answer = await browser.open(path, { account });
      if (!browser.cookies().has(COOKIE)) throw new Error(`no login: ${answer.status} ${answer.url} ${answer.text}\n${worker.logText}`);
      return browser;
    },
    reconfigure: (more) => worker.restart({ config: configure({ ...changes, ...more }) }),
    stop: () => Promise.all([worker, provider, origin].map((part) => part.stop())),
  };
}
