// What must hold before a site goes live, as the documents of identity providers ask of an integration: six steps and a
// checklist, each against a real provider.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { bearer, many } from "./support/gateway.mjs";
import { NAVIGATION, SITE } from "./support/browser.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, SESSION_SECRET, startSite, WITH_REFRESH } from "./support/login.mjs";
import { AUDIENCE } from "./support/provider.mjs";

const ADMIN = {
  method: "GET", path: "/admin", roles: ["editor"], on_forbidden: "/unauthorized", integration: { type: "respond", body: "admins only" },
};
const site = await startSite({ provider: { ttl: { accessToken: 6 } }, authorizer: WITH_REFRESH, paths: [ADMIN] });
const { provider, worker } = site;
after(() => site.stop());

describe("the six steps", () => {
  test("1. a login with another redirect_uri than the registered one fails", async () => {
    for (const redirect of [`${SITE}/auth/callback/`, `${SITE}/other`, "https://app.example.org/auth/callback"]) {
      const other = { method: "GET", path: "/other", integration: { type: "callback" } };
      await site.reconfigure({ authorizer: { ...WITH_REFRESH, redirect_uri: redirect }, paths: redirect.endsWith("/other") ? [other] : [] });
      const browser = site.browser();
      // On the host of another redirect_uri the login would begin there; not if the browser was sent there already.
      const answer = await browser.open("/login?sent_home=1");
      assert.equal(answer.status, 400, answer.text);
      assert.equal(new URL(answer.url).origin, provider.url);
      assert.match(answer.text, /invalid_redirect_uri/);
      assert.equal(browser.cookies().has(COOKIE), false);
    }
    await site.reconfigure({});
  });

  test("2. an invalid token gets 401", async () => {
    const good = await provider.tokenFor({ scope: "read:items" });
    for (const token of ["x", "a.b.c", `${good.slice(0, -4)}AAAA`, good.split(".").slice(0, 2).join(".")]) {
      assert.equal((await worker.fetch("/app/x", { headers: bearer(token) })).status, 401);
    }
    assert.equal((await worker.fetch("/app/x")).status, 401);
    assert.equal((await worker.fetch("/app/x", { headers: bearer(good) })).status, 200);
  });

  test("3. an expired access token is refreshed", async () => {
    const browser = await site.loggedIn("alice", "/login?prompt=consent");
    const token = async () => (await browser.send("/token/x")).json().headers.authorization;
    const first = await token();
    // Due after half its lifetime.
    await delay(3_100);
    assert.notEqual(await token(), first);
  });

  test("4. the admin page is denied to those without the role", async () => {
    const [alice, bob] = await Promise.all([site.loggedIn("alice"), site.loggedIn("bob")]);
    assert.equal((await alice.send("/admin", { headers: NAVIGATION })).text, "admins only");
    const denied = await bob.send("/admin", { headers: NAVIGATION });
    assert.equal(denied.status, 302);
    assert.equal(denied.header("location"), "/unauthorized");
  });

  test("5. after logging out, the protected page asks for a login", async () => {
    const browser = await site.loggedIn();
    assert.equal((await browser.send("/app/x", { headers: NAVIGATION })).status, 200);
    await browser.open("/logout");
    const answer = await browser.send("/app/x", { headers: NAVIGATION });
    assert.equal(answer.status, 302);
    assert.match(answer.header("location"), /\/login\?return_to=%2Fapp%2Fx$/);
  });

  test("6. the session's cookie is HttpOnly and Secure, and so is every other", async () => {
    const browser = await site.loggedIn();
    await browser.open("/logout");
    assert.ok(browser.received.length >= 4);
    for (const line of browser.received) assert.match(line, /^__Host-edgeward[\w.-]*=[^;]*; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$/);
  });
});

describe("the checklist", () => {
  test("callback and logout URLs are those of the site's own domain", async () => {
    const browser = await site.loggedIn();
    const sent = new URL(browser.visited.find((url) => url.startsWith(`${provider.url}/auth?`))).searchParams;
    assert.equal(new URL(sent.get("redirect_uri")).origin, SITE);
    await browser.open("/logout");
    const left = new URL(browser.visited.find((url) => url.includes("/session/end?"))).searchParams;
    assert.equal(new URL(left.get("post_logout_redirect_uri")).origin, SITE);
  });

  test("the session secret has 32 characters or nothing is served", async () => {
    await site.reconfigure({ session: { secrets: "x".repeat(31) } });
    assert.equal((await worker.fetch("/")).status, 503);
    await site.reconfigure({ session: { secrets: SESSION_SECRET } });
    assert.equal((await worker.fetch("/")).status, 200);
  });

  test("the API's identifier is the audience of every token", async () => {
    const browser = await site.loggedIn();
    const sent = new URL(browser.visited.find((url) => url.startsWith(`${provider.url}/auth?`))).searchParams;
    assert.equal(sent.get("resource"), AUDIENCE);
    const token = await provider.tokenFor({ audience: "https://other.example.com" });
    assert.equal((await worker.fetch("/app/x", { headers: bearer(token) })).status, 401);
  });

  test("keys and endpoints are not asked for again with every request", async () => {
    const browser = await site.loggedIn();
    const token = await provider.tokenFor();
    await worker.fetch("/app/x", { headers: bearer(token) });
    provider.resetCounts();
    await many(100, (index) => (index % 2 ? browser.send("/app/x") : worker.fetch("/app/x", { headers: bearer(token) })));
    assert.deepEqual([provider.counts.jwks, provider.counts.discovery], [undefined, undefined]);
  });

  test("an error of the session is a page, with a way forward", async () => {
    const browser = site.browser();
    const answer = await browser.open("/auth/callback?code=c&state=s");
    assert.equal(answer.status, 400);
    assert.match(answer.header("content-type"), /^text\/html/);
    assert.match(answer.text, /<a href="\/login">Log in<\/a>/);
    browser.cookies().set(COOKIE, "1.broken");
    assert.equal((await browser.open("/app/x")).status, 200, "a broken cookie only means logging in");
  });
});
