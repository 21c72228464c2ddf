// A host for each organization, with a real provider: logins request it, and only its users and tokens are accepted.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Browser, SITE } from "./support/browser.mjs";
import { bearer } from "./support/gateway.mjs";
import { COOKIE, loginConfig, startSite } from "./support/login.mjs";

const OTHER = "https://other.example.com";
/** The callback is configured at a host of its own; each host with an organization has its own callback. */
const config = (provider, origin, changes) => {
  const { authorizer, ...rest } = loginConfig(provider, origin, changes);
  return {
    ...rest,
    authorizers: { main: { ...authorizer, redirect_uri: "https://login.example.com/auth/callback" } },
    hosts: {
      "app.example.com": { authorizer: "main", organization: "org_1" },
      "other.example.com": { authorizer: "main", organization: "org_2" },
    },
  };
};
const site = await startSite({ config, provider: { gateways: [SITE, OTHER] } });
after(() => site.stop());
const { provider, worker } = site;
const asked = () => provider.requests.filter(({ endpoint }) => endpoint === "authorization").map(({ url }) => new URL(url, provider.url).searchParams);

test("a login at a host requests its organization, and comes back to the host", async () => {
  provider.resetCounts();
  const browser = await site.loggedIn("alice");
  const [query] = asked();
  assert.deepEqual([query.get("organization"), query.get("redirect_uri")], ["org_1", `${SITE}/auth/callback`]);
  assert.equal((await browser.open("/app/x")).status, 200);
  // The session is that of the host.
  const elsewhere = await worker.request({ target: "/app/x", headers: { host: "other.example.com", cookie: browser.cookieHeader() } });
  assert.equal(elsewhere.status, 401);
});

test("a user of another organization does not get in", async () => {
  const browser = new Browser(worker);
  const page = await browser.open("/login", { account: "bob" });
  assert.equal(page.status, 403, page.text);
  assert.match(page.text, /organization_mismatch/);
  assert.equal(browser.cookies().has(COOKIE), false);
});

test("tokens count at the host of their organization", async () => {
  const get = (host, token) => worker.request({ target: "/app/x", headers: { host, ...bearer(token) } });
  for (const [org_id, app, other] of [["org_1", 200, 403], ["org_2", 403, 200], ["org_3", 403, 403], [undefined, 403, 403]]) {
    const token = await provider.tokenFor({ claims: { org_id } });
    assert.deepEqual([(await get("app.example.com", token)).status, (await get("other.example.com", token)).status], [app, other], org_id);
    assert.equal((await get("login.example.com", token)).status, 421);
  }
});

test("an invitation reaches the provider", async () => {
  provider.resetCounts();
  await new Browser(worker).open("/login?invitation=ticket&organization=org_1&organization_name=one", { until: (url) => url.pathname.startsWith("/interaction/") });
  const [query] = asked();
  assert.deepEqual(["invitation", "organization", "organization_name"].map((name) => query.getAll(name)), [["ticket"], ["org_1"], ["one"]]);
});
