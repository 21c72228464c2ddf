// Step-up (RFC 9470) with a real provider: routes that need a stronger or more recent login, for browsers and API clients.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { assertProblem, bearer } from "./support/gateway.mjs";
import { COOKIE, startSite } from "./support/login.mjs";
import { nowSeconds } from "./support/tokens.mjs";

const MFA = "urn:example:mfa";
const respond = (path, more) => ({ method: "GET", path, ...more, integration: { type: "respond", body: path } });
const site = await startSite({
  provider: { acrValues: [MFA] },
  paths: [respond("/mfa", { acr: [MFA] }), respond("/recent", { max_age: 60 }), respond("/unknown", { acr: ["urn:example:other"] })],
});
after(() => site.stop());
const { provider, worker } = site;
const asked = () => provider.requests.filter(({ endpoint }) => endpoint === "authorization").map(({ url }) => new URL(url, provider.url).searchParams);

test("a browser logs in again where a page needs it, and comes back", async () => {
  const browser = await site.loggedIn();
  provider.resetCounts();
  const page = await browser.open("/mfa?x=1");
  assert.deepEqual([page.status, page.text], [200, "/mfa"], worker.logText);
  assert.ok(page.url.endsWith("/mfa?x=1"));
  assert.equal(asked()[0].get("acr_values"), MFA);
  provider.resetCounts();
  // The provider states `auth_time` only if `max_age` is requested; the login itself is recent enough.
  for (const expected of [1, 1]) {
    assert.equal((await browser.open("/recent")).status, 200);
    assert.equal(provider.counts.authorization, expected);
  }
});

test("a provider that performs another login than the requested one causes no loop", async () => {
  const browser = await site.loggedIn();
  const session = browser.cookies().get(COOKIE);
  provider.resetCounts();
  const page = await browser.open("/unknown");
  assert.equal(page.status, 403, page.text);
  assert.match(page.text, /authentication_insufficient/);
  assert.equal(provider.counts.authorization <= 2, true, "one request, and its return from the login page");
  assert.equal(browser.cookies().get(COOKIE), session);
  await worker.waitForLog("authentication_insufficient");
});

test("max_age makes the provider ask for credentials again", async () => {
  const browser = await site.loggedIn();
  provider.resetCounts();
  const page = await browser.open("/login?return_to=/recent&max_age=0");
  assert.deepEqual([page.status, page.text], [200, "/recent"], worker.logText);
  assert.equal(asked()[0].get("max_age"), "0");
  assert.ok(provider.requests.some(({ method, url }) => method === "POST" && url.startsWith("/interaction/")), "although it has a session");
});

test("API clients get the challenge of RFC 9470", async () => {
  const token = (claims) => provider.tokenFor({ claims });
  const get = async (path, claims) => worker.fetch(path, { headers: bearer(await token(claims)) });
  assert.equal((await get("/mfa", { acr: MFA })).status, 200);
  assert.equal((await get("/recent", { auth_time: nowSeconds() - 30 })).status, 200);
  for (const [path, claims, challenge] of [
    ["/mfa", { acr: "pwd" }, `acr_values="${MFA}"`],
    ["/mfa", {}, `acr_values="${MFA}"`],
    ["/recent", { auth_time: nowSeconds() - 70 }, 'max_age="60"'],
    ["/recent", { auth_time: String(nowSeconds()) }, 'max_age="60"'],
  ]) {
    await assertProblem(await get(path, claims), {
      status: 401, code: "insufficient_user_authentication", error: "insufficient_user_authentication",
      challenge: ({ detail }) => `Bearer realm="edgeward", error="insufficient_user_authentication", error_description="${detail}", ${challenge}`,
    });
  }
});
