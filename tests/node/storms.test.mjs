// Many concurrent requests at a cold start, with a provider that is slow, drops connections or does not respond: one request fetches
// each document, and the others are served with it.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { NAVIGATION, SITE } from "./support/browser.mjs";
import { bearer, many, read, until } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, startSite } from "./support/login.mjs";

const site = await startSite();
const { provider, worker } = site;
after(() => site.stop());
beforeEach(async () => {
  provider.clearFaults();
  await worker.restart();
  provider.resetCounts();
});

const headers = { host: new URL(SITE).host, ...NAVIGATION };
const atCallback = (url) => url.origin === SITE && url.pathname === "/auth/callback";

async function assertBegins(port = worker.port) {
  const answer = await worker.request({ target: "/login", headers, port });
  assert.equal(answer.status, 302, answer.text);
  assert.equal(new URL(answer.header("location")).origin, provider.url);
}

const logins = (count) => many(count, () => assertBegins(), { atOnce: count });

describe("a hundred logins at once against a cold gateway", () => {
  for (const [what, fault, discoveries] of [
    ["all go on, with one discovery request", null, 1],
    ["wait for a provider that takes 300 ms, with one", { delay: 300 }, 1],
    ["wait for a provider that takes longer than a lease of the keys, with one", { delay: 700 }, 1],
    ["do not notice that the first connection is reset", { reset: true, times: 1 }, 2],
    ["are not refused because one connection hangs", { hang: true, times: 1 }, 2],
  ]) {
    test(what, async () => {
      provider.setFault("discovery", fault);
      await logins(100);
      assert.equal(provider.counts.discovery, discoveries);
      await logins(10);
      assert.equal(provider.counts.discovery, discoveries, "and it is known from then on");
      assert.doesNotMatch(await worker.written(), /different request|I\/O|hung|Critical|exception/i);
    });
  }

  test("are told so while the provider is down, with few requests to it", async () => {
    provider.setFault("discovery", { status: 500 });
    const answers = await many(100, () => worker.request({ target: "/login", headers }), { atOnce: 100 });
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([502]));
    assert.ok(provider.counts.discovery <= 2, `${provider.counts.discovery} requests`);
    provider.clearFaults();
    await until(async () => (await worker.request({ target: "/login", headers })).status === 302);
  });
});

describe("a hundred callbacks at once against a cold gateway", () => {
  // One discovery for the endpoints and one for the keys. On a busy machine the keys may take longer than their lease, and one
  // more request fetches them.
  for (const [what, faults, most] of [
    ["all end in a session", {}, { discovery: 3, jwks: 2 }],
    ["wait for a slow provider", { discovery: { delay: 200 }, jwks: { delay: 200 } }, { discovery: 4, jwks: 3 }],
    [
      "do not notice that connections are reset", { discovery: { reset: true, times: 1 }, jwks: { reset: true, times: 1 } },
      { discovery: 4, jwks: 3 },
    ],
  ]) {
    test(what, async () => {
      const begun = await many(100, async () => {
        const browser = site.browser();
        const { next } = await browser.open("/login", { until: atCallback });
        return { browser, next };
      }, { atOnce: 20 });
      await worker.restart();
      provider.resetCounts();
      for (const [endpoint, fault] of Object.entries(faults)) provider.setFault(endpoint, fault);
      const crossing = { ...NAVIGATION, "sec-fetch-site": "cross-site" };
      await many(100, async (index) => {
        const { browser, next } = begun[index];
        const answer = await browser.send(next.href, { headers: crossing });
        assert.equal(answer.status, 302, answer.text);
        assert.ok(browser.cookies().has(COOKIE), worker.logText);
      }, { atOnce: 100 });
      for (const [endpoint, count] of Object.entries(most)) {
        assert.ok(provider.counts[endpoint] <= count, `${endpoint}: ${provider.counts[endpoint]} requests`);
      }
      assert.equal(provider.counts.token, 100, "every code is redeemed, and once");
    });
  }
});

describe("the token endpoint", () => {
  test("is asked once, whatever becomes of the connection: a code is never sent twice", async () => {
    for (const fault of [{ reset: true }, { truncate: 10 }, { status: 500 }]) {
      provider.clearFaults();
      const browser = site.browser();
      const { next } = await browser.open("/login", { until: atCallback });
      provider.resetCounts();
      provider.setFault("token", fault);
      const answer = await browser.send(next.href, { headers: { ...NAVIGATION, "sec-fetch-site": "cross-site" } });
      assert.ok(answer.status >= 400, `${answer.status}`);
      assert.equal(provider.counts.token, 1, JSON.stringify(fault));
    }
  });
});

describe("requests with a token against a cold gateway", () => {
  for (const endpoint of ["discovery", "jwks"]) {
    test(`all pass although the first connection for ${endpoint} is reset`, async () => {
      const token = await provider.tokenFor({ clientId: "edgeward-service" });
      provider.setFault(endpoint, { reset: true, times: 1 });
      const answers = await many(100, () => read(worker.fetch("/app/x", { headers: bearer(token) })), { atOnce: 100 });
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]), answers[0].text);
      assert.ok(provider.counts[endpoint] <= 3, `${provider.counts[endpoint]} requests`);
    });
  }
});

describe("a client that goes away while a document is fetched for it", () => {
  for (const endpoint of ["discovery", "jwks"]) {
    test(`${endpoint}: the fetch goes on, and the others need none of their own`, async () => {
      const token = await provider.tokenFor({ clientId: "edgeward-service" });
      provider.resetCounts();
      const record = provider.setFault(endpoint, { delay: 300, times: 1 });
      const request = (timeout) => endpoint === "jwks"
        ? worker.request({ target: "/app/x", headers: Object.entries(bearer(token)), timeout })
        : worker.request({ target: "/login", headers, timeout });
      await assert.rejects(request(100), "it does not wait that long");
      await until(() => record.bytes > 0, { every: 5 });
      await delay(50);
      const answers = await many(20, () => request(), { atOnce: 20 });
      for (const { status } of answers) assert.equal(status, endpoint === "jwks" ? 200 : 302);
      assert.equal(provider.counts[endpoint], 1);
    });
  }
});
