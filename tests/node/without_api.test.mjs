// A site with login and no API: no audience is requested, sessions open the routes, and no bearer token does.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Browser, SITE } from "./support/browser.mjs";
import { assertProblem, bearer, describing } from "./support/gateway.mjs";
import { COOKIE, SESSION_SECRET } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, CLIENT_SECRET, startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const LOGIN = "/.well-known/edgeward/login";
const origin = await startOrigin();
// Stopped here: a suite of which no test is selected runs no hooks.
const started = [origin];
after(() => Promise.all(started.map((part) => part.stop())));

for (const dialect of ["standard", "auth0"]) {
  describe(`with a provider, ${dialect}`, async () => {
    const provider = await startProvider({ dialect, gateways: [SITE] });
    const where = dialect === "auth0" ? { type: "auth0", domain: provider.domain } : { type: "oidc", issuer: provider.issuer };
    const worker = await startWorker({
      config: {
        authorizer: { ...where, client_id: "edgeward-web", client_secret: CLIENT_SECRET, redirect_uri: `${SITE}/auth/callback` },
        login: { default_return_to: "/app/home" },
        session: { secrets: SESSION_SECRET },
        paths: [
          { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
          { method: "GET", path: "/userinfo", integration: { type: "userinfo" } },
          {
            method: "ANY", path: "/app/{*rest}",
            integration: { type: "http_proxy", url: origin.url, headers: { "X-User-Id": "$claims.sub" } },
          },
        ],
      },
    });
    started.push(worker, provider);

    test("a page leads over the provider back to it, by the login of the gateway", async () => {
      const browser = new Browser(worker);
      const answer = await browser.open("/app/report?a=b");
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.url, `${SITE}/app/report?a=b`);
      assert.equal(answer.json().headers["x-user-id"], "alice");
      assert.ok(browser.visited.some((url) => url.startsWith(`${SITE}${LOGIN}?return_to=`)));
      const asked = new URL(browser.visited.find((url) => url.startsWith(`${provider.url}/auth`)));
      for (const name of ["audience", "resource"]) assert.equal(asked.searchParams.get(name), null, name);
      assert.equal((await browser.send("/userinfo")).json().sub, "alice");
    });

    test("a login that names no page ends on the configured one", async () => {
      const browser = new Browser(worker);
      assert.equal((await browser.open(LOGIN)).url, `${SITE}/app/home`);
      assert.ok(browser.cookies().has(COOKIE));
    });

    test("no bearer token is accepted", async () => {
      const token = await provider.tokenFor({ audience: AUDIENCE });
      const challenge = describing("invalid_token");
      for (const text of [token, "opaque"]) {
        await assertProblem(worker.fetch("/app/x", { headers: bearer(text) }), { status: 401, code: "audience_not_configured", challenge });
      }
    });

    test("the log says where logins begin, once and as information", async () => {
      await worker.flush();
      const lines = worker.logs.filter(({ message }) => message.includes("default_login"));
      assert.deepEqual(lines.map(({ level }) => level), ["log"]);
      assert.match(lines[0].message, /^edgeward: default_login: .* \/\.well-known\/edgeward\/login$/);
    });
  });
}

test("the configuration of a gateway that has only a callback path completes a login", async () => {
  const provider = await startProvider({ dialect: "auth0", gateways: [SITE] });
  const worker = await startWorker({
    config: {
      authorizer: {
        type: "auth0", domain: "$env.AUTH0_DOMAIN", client_id: "$env.AUTH0_CLIENT_ID", client_secret: "$secrets.AUTH0_CLIENT_SECRET",
        redirect_uri: `${SITE}/api/v1/auth0/callback`, callback_uri: "https://www.example.com/auth/callback",
        jwks_uri: provider.jwksUri, scope: "openid profile email",
      },
      paths: [{ method: "GET", path: "/api/v1/auth0/callback", integration: { type: "auth0_callback" } }],
    },
    env: { AUTH0_DOMAIN: provider.domain, AUTH0_CLIENT_ID: "edgeward-web", AUTH0_CLIENT_SECRET: CLIENT_SECRET },
  });
  try {
    const browser = new Browser(worker);
    const { next } = await browser.open(LOGIN, { until: (url) => url.origin === "https://www.example.com" });
    assert.equal(next.href, "https://www.example.com/auth/callback");
    assert.ok(browser.cookies().has(COOKIE));
  } finally {
    await Promise.all([worker.stop(), provider.stop()]);
  }
});
