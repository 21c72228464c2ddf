// Providers of others, as they are installed: logins through their forms, sessions, bearer tokens, refresh, userinfo, refused logins
// and logout. One configuration, tests/node/login_only.json, is right for each of them.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startBetterAuth } from "./support/better_auth.mjs";
import { Browser, SITE } from "./support/browser.mjs";
import { CANAILLE, startCanaille } from "./support/canaille.mjs";
import { bearer, read } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, SESSION_SECRET } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, CLIENT_SECRET, startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const config = JSON.parse(await readFile(join(import.meta.dirname, "login_only.json"), "utf8"));
const NAME = "Alice Example";
const EMAIL = "alice@example.com";
const PASSWORD = "a long pass phrase of alice";
const CLIENT = {
  client_name: "Edgeward", redirect_uris: [`${SITE}/auth/callback`], post_logout_redirect_uris: [`${SITE}/`],
  grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
};

/**
 * The providers. `login` matches the path of the page that asks for credentials. `fill` returns what a user enters on each page, and
 * `deny` what one enters who refuses. Further settings of `authorizer`: `refresh` for refresh tokens, `api` for access tokens of an API.
 */
const PROVIDERS = {
  "oidc-provider, with the claims of openid alone in ID tokens": {
    async start() {
      const provider = await startProvider({ gateways: [SITE], conformIdTokenClaims: true });
      return { ...parts(provider), client_id: "edgeward-web", client_secret: CLIENT_SECRET };
    },
    login: /^\/interaction\//,
    fill: () => undefined,
    deny: { account: null },
    refresh: { scope: "openid profile email offline_access", authorization_params: { prompt: "consent" } },
    api: { audience: AUDIENCE, scope: "openid offline_access read:items", authorization_params: { prompt: "consent" } },
    scope: "read:items",
  },
  "better-auth": {
    async start(alg = "RS256") {
      const client = { ...CLIENT, token_endpoint_auth_method: "client_secret_post", enable_end_session: true };
      const user = { name: NAME, email: EMAIL, password: PASSWORD };
      return startBetterAuth({ client, user, resources: [AUDIENCE], scopes: ["read:items"], alg });
    },
    login: /^\/login$/,
    fill: pages({ "/login": { email: EMAIL, password: PASSWORD }, "/consent": { answer: "accept" } }),
    deny: { fill: pages({ "/login": { email: EMAIL, password: PASSWORD }, "/consent": { answer: "deny" } }) },
    refresh: { scope: "openid profile email offline_access" },
    api: { audience: AUDIENCE, scope: "openid profile email offline_access read:items" },
    scope: "read:items",
  },
  "Canaille": {
    skip: !CANAILLE && "there is no python3 with venv that can install it",
    async start() {
      const client = {
        ...CLIENT, client_id: "edgeward-web", client_secret: CLIENT_SECRET, client_uri: SITE, scope: ["openid", "profile", "email"],
        token_endpoint_auth_method: "client_secret_post",
      };
      const user = { user_name: "alice", password: PASSWORD, formatted_name: NAME, family_name: "Example", emails: [EMAIL] };
      const basic = { ...client, client_id: "edgeward-web-basic", token_endpoint_auth_method: "client_secret_basic" };
      const provider = await startCanaille({ clients: [client, basic], user });
      return { ...parts(provider), client_id: client.client_id, client_secret: CLIENT_SECRET };
    },
    login: /^\/login$/,
    fill: pages({ "/login": { login: "alice" }, "/auth/password": { password: PASSWORD }, "/oauth/authorize": { answer: "accept" } }),
    deny: { fill: pages({ "/login": { login: "alice" }, "/auth/password": { password: PASSWORD }, "/oauth/authorize": { answer: "deny" } }) },
    // Its revocation endpoint accepts this authentication only.
    refresh: { scope: "openid profile email offline_access", client_id: "edgeward-web-basic", client_auth: "client_secret_basic" },
    api: { audience: "edgeward-web", audience_parameter: "none" },
  },
};

const parts = (provider) => ({ url: provider.url, issuer: provider.issuer, stop: () => provider.stop() });

/** What to enter on the pages of a provider, by path. */
function pages(fields) {
  return ({ url, status }) => (status === 200 && new URL(url).origin !== SITE ? fields[new URL(url).pathname] : undefined);
}

/** The gateway with further settings of `authorizer`. */
const gatewayOf = ({ provider, origin }, authorizer = {}, paths = []) => ({
  config: { ...config, authorizer: { ...config.authorizer, ...authorizer }, paths: [...config.paths, ...paths] },
  env: { ISSUER: provider.issuer, CLIENT_ID: provider.client_id, CLIENT_SECRET: provider.client_secret, SESSION_SECRET, ORIGIN: origin.url },
});

test("the configuration of a login has five lines", () => assert.equal(Object.keys(config.authorizer).length, 5));

for (const [name, { start, skip, login, fill, deny, refresh, api, scope }] of Object.entries(PROVIDERS)) {
  describe(name, { skip }, () => {
    let provider, origin, worker;
    const configured = (authorizer, paths) => gatewayOf({ provider, origin }, authorizer, paths);
    before(async () => {
      [provider, origin] = await Promise.all([start(), startOrigin()]);
      worker = await startWorker(configured());
    });
    after(() => Promise.all([worker?.stop(), provider?.stop(), origin?.stop()]));

    /** A browser after its login, with the answer of the page that it asked for. */
    async function loggedIn(page = "/app/home") {
      const browser = new Browser(worker);
      let answer = await browser.open(page, { fill });
      // Canaille's development server does not always know a token that it has just issued. The page about it offers another try.
      for (let tries = 1; name === "Canaille" && answer.status === 502 && tries < 5; tries += 1) {
        await delay(500 * tries);
        answer = await browser.open(page, { fill });
      }
      assert.equal(answer.status, 200, `${answer.url} ${answer.text}\n${worker.logText}`);
      assert.ok(browser.cookies().has(COOKIE), worker.logText);
      return { browser, answer };
    }
    const headersAt = async (browser) => (await browser.send("/app/home")).json().headers;

    describe("a site with login and no API", () => {
      // First of all: once given, a consent stands.
      test("reports a refused login, and lets the user log in again", async () => {
        const browser = new Browser(worker);
        const answer = await browser.open("/app/home", deny);
        assert.equal(answer.status, 400, `${answer.url} ${answer.text}`);
        assert.match(answer.text, /login_denied/);
        assert.equal(browser.cookies().has(COOKIE), false);
        assert.equal((await browser.open("/app/home", { fill })).status, 200);
      });

      test("leads over the provider to the page, and opens a session", async () => {
        const { browser, answer } = await loggedIn("/app/report?a=b");
        assert.equal(answer.url, `${SITE}/app/report?a=b`);
        const user = answer.json().headers["x-user-id"];
        assert.ok(user);
        assert.equal((await headersAt(browser))["x-user-id"], user);
        const userinfo = (await browser.send("/userinfo")).json();
        assert.deepEqual([userinfo.sub, userinfo.name, userinfo.email], [user, NAME, EMAIL]);
      });

      test("accepts no bearer token", async () => {
        const { answer } = await loggedIn();
        const refused = await read(worker.fetch("/app/home", { headers: bearer(answer.json().headers["x-token"]) }));
        assert.deepEqual([refused.status, refused.json().code], [401, "audience_not_configured"]);
      });

      test("logs out, at the provider too", async () => {
        const { browser } = await loggedIn();
        const end = await browser.open("/logout");
        assert.equal(browser.cookies().has(COOKIE), false);
        assert.equal(end.url, `${SITE}/`, end.text);
        const { next } = await browser.open("/app/home", { until: ({ origin, pathname }) => origin === provider.url && login.test(pathname) });
        assert.ok(next, "the next login asks for credentials");
      });
    });

    describe("with userinfo at login and refresh tokens", () => {
      before(() => worker.restart(configured({ userinfo_at_login: true, ...refresh }, [
        { method: "POST", path: "/refresh", integration: { type: "refresh" } },
      ])));

      test("the session has the name and the address, before and after a refresh", async () => {
        const { browser } = await loggedIn();
        const first = await headersAt(browser);
        assert.deepEqual([first["x-user-name"], first["x-user-email"]].map(decodeURIComponent), [NAME, EMAIL]);
        const refreshed = await browser.send("/refresh", { method: "POST" });
        assert.equal(refreshed.status, 200, `${refreshed.text}\n${worker.logText}`);
        const second = await headersAt(browser);
        assert.notEqual(second["x-token"], first["x-token"]);
        for (const name of ["x-user-id", "x-user-name", "x-user-email"]) assert.equal(second[name], first[name]);
      });

      test("a logout revokes the refresh token: the provider refuses it to a copy of the cookie in another isolate", async () => {
        const { browser } = await loggedIn();
        const copy = browser.cookieHeader();
        await browser.open("/logout");
        // The logout does not wait for the revocation, which the restart must not cut off.
        await delay(1000);
        await worker.restart();
        const headers = { host: new URL(SITE).host, origin: SITE, cookie: copy };
        const refused = await read(worker.request({ method: "POST", target: "/refresh", headers }));
        assert.deepEqual([refused.status, refused.json().code], [401, "session_ended"], worker.logText);
        await worker.waitForLog(/session_ended: the provider refused a refresh token/);
      });
    });

    describe("with an API", () => {
      const rights = scope ? { scopes: [scope] } : {};
      before(() => worker.restart(configured(api, [
        { method: "GET", path: "/api/items", ...rights, integration: { type: "http_proxy", url: origin.url, headers: { "X-User-Id": "$claims.sub" } } },
      ])));

      test("an access token of the login opens it, and so does the session; one with a changed signature does not", async () => {
        const { browser, answer } = await loggedIn();
        const { "x-token": token, "x-user-id": user } = answer.json().headers;
        const call = (text) => read(worker.fetch("/api/items", { headers: bearer(text) }));
        const opened = await call(token);
        assert.equal(opened.status, 200, `${opened.text}\n${worker.logText}`);
        assert.equal(opened.json().headers["x-user-id"], user);
        assert.equal((await browser.send("/api/items")).status, 200, worker.logText);
        const [head, body, signature] = token.split(".");
        const changed = await call([head, body, (signature[0] === "A" ? "B" : "A") + signature.slice(1)].join("."));
        assert.deepEqual([changed.status, changed.json().code], [401, "signature_invalid"]);
      });
    });
  });
}

test("better-auth with EdDSA, which it signs with unless set: a session and a token of the login open an API, if the algorithm is listed", async () => {
  const { start, api, fill } = PROVIDERS["better-auth"];
  const [provider, origin] = await Promise.all([start("EdDSA"), startOrigin()]);
  const paths = [{ method: "GET", path: "/api/items", scopes: ["read:items"], integration: { type: "http_proxy", url: origin.url } }];
  const worker = await startWorker(gatewayOf({ provider, origin }, { ...api, algorithms: ["EdDSA"] }, paths));
  try {
    const browser = new Browser(worker);
    const answer = await browser.open("/app/home", { fill });
    assert.equal(answer.status, 200, `${answer.url} ${answer.text}\n${worker.logText}`);
    const token = answer.json().headers["x-token"];
    assert.equal(JSON.parse(Buffer.from(token.split(".")[0], "base64url")).alg, "EdDSA");
    assert.equal((await worker.fetch("/api/items", { headers: bearer(token) })).status, 200, worker.logText);
    assert.equal((await browser.send("/api/items")).status, 200, worker.logText);
    await worker.restart(gatewayOf({ provider, origin }, api, paths));
    const refused = await read(worker.fetch("/api/items", { headers: bearer(token) }));
    assert.deepEqual([refused.status, refused.json().code], [401, "alg_not_allowed"]);
  } finally {
    await Promise.all([worker, provider, origin].map((part) => part.stop()));
  }
});
