// The status route in workerd, with traffic on two isolates, and in Chromium. EDGEWARD_SCREENSHOTS=folder keeps pictures of it.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CHROMIUM, launchChromium } from "./support/chromium.mjs";
import { assertNothingLeaked, assertProblem, bearer, many, proxy, REALM, respond, until } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE } from "./support/provider.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

/** Isolates report as often at most. */
const REPORT_MS = 5000;
const SCREENSHOTS = process.env.EDGEWARD_SCREENSHOTS;

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer({ audience: AUDIENCE })]);
const config = {
  authorizer: { type: "oidc", issuer: issuer.issuer, audience: AUDIENCE, issuers: [{ issuer: "http://127.0.0.1:1/", audience: AUDIENCE }] },
  pages: { name: "Shop", colors: { accent: "#0a7a4b" }, dark_colors: { accent: "#6fdca8" } },
  paths: [
    proxy("/api/{*rest}", origin),
    proxy("/admin/{*rest}", origin, { scopes: ["admin"] }),
    proxy("/seen/{*rest}", origin, { scopes: ["admin"], observe: true }),
    proxy("/down/{*rest}", "http://127.0.0.1:1", { auth: "none" }),
    respond("/public", { body: "open" }),
    respond("/moved", { status: 302, headers: { Location: "/public" } }),
    { method: "GET", path: "/status", scopes: ["ops"], integration: { type: "status" } },
  ],
};
const [single, shared] = await Promise.all([startWorker({ config }), startWorker({ config, sessions: true, isolates: 2 })]);
after(() => Promise.all([single, shared, origin, issuer].map((part) => part.stop())));

const token = await issuer.token({ claims: { sub: "user-of-the-traffic" } });
const operator = await issuer.token({ claims: { scope: "ops" } });

const send = (worker, port, target, headers = {}) => worker.request({ target, port, headers });
const status = async (worker, port = worker.port) => {
  const answer = await send(worker, port, "/status", { ...bearer(operator), accept: "application/json" });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.header("cache-control"), /no-store/);
  return answer.json();
};
const sum = (shown, name) => shown.last_hour[name].reduce((total, count) => total + count, 0);

/** Requests of every outcome. */
async function traffic(worker, port, times = 1) {
  const targets = ["/api/a?secret-of-the-query", "/api/b", "/api/c", "/admin/x", "/seen/x", "/down/x", "/public", "/moved", "/nothing"];
  await many(times * targets.length, (at) => send(worker, port, targets[at % targets.length], bearer(token)), { atOnce: 8 });
  await send(worker, port, "/api/anonymous");
  await send(worker, port, "/api/expired", bearer(await issuer.token({ claims: { exp: 1_000_000 } })));
}
const OUTCOMES = { forwarded: 3, answered: 1, redirected: 1, observed: 1, refused: 4, failed: 1 };

test("without a token with the right there is no status", async () => {
  await assertProblem(send(single, single.port, "/status"), { status: 401, code: "token_missing", challenge: REALM });
  assert.equal((await send(single, single.port, "/status", bearer(token))).status, 403);
});

test("one isolate counts its own requests, and says so", async () => {
  const before = await status(single);
  await traffic(single, single.port);
  const shown = await status(single);
  assert.equal(shown.scope, "isolate");
  for (const [name, count] of Object.entries(OUTCOMES)) {
    // The status itself was answered, and counted, meanwhile.
    assert.equal(sum(shown, name) - sum(before, name), count + (name === "answered" ? 1 : 0), name);
  }
  const codes = shown.refusals.map(({ code, route }) => [code, route]);
  for (const expected of [["insufficient_scope", "/seen/{*rest}"], ["origin_unreachable", "/down/{*rest}"], ["not_found", null], ["token_expired", "/api/{*rest}"]]) {
    assert.ok(codes.some((one) => String(one) === String(expected)), `${expected} in ${JSON.stringify(codes)}`);
  }
  const [{ keys, fetched, fresh_until }, other] = shown.issuers;
  assert.deepEqual(keys.map(({ unusable }) => unusable), [null]);
  assert.ok(fetched <= shown.time && fresh_until > shown.time);
  assert.deepEqual([other.issuer, other.fetched, other.keys], ["http://127.0.0.1:1/", null, []]);
  assertNothingLeaked([token, operator, "secret-of-the-query", "user-of-the-traffic"], [JSON.stringify(shown)]);
});

test("all isolates are summed where the Durable Object is bound", async () => {
  const [one, two] = shared.ports;
  await traffic(shared, one);
  await traffic(shared, two);
  await delay(REPORT_MS + 100);
  // The first request after the pause reports those before it.
  await send(shared, two, "/public");
  const shown = await until(async () => {
    const shown = await status(shared, one);
    return sum(shown, "failed") >= 2 && shown;
  }, { what: "the report of the other isolate" });
  assert.equal(shown.scope, "all");
  for (const name of ["forwarded", "redirected", "observed", "refused", "failed"]) assert.equal(sum(shown, name), 2 * OUTCOMES[name], name);
  assert.equal(shown.refusals.find(({ code }) => code === "token_expired").count, 2);
  assert.equal((await status(shared, two)).configuration, shown.configuration);
});

describe("in Chromium", { skip: !CHROMIUM && "there is no Chromium here", timeout: 60_000 }, () => {
  let chromium;
  before(async () => (chromium = await launchChromium()));
  after(() => chromium?.close());

  for (const [colorScheme, width] of [["light", 1100], ["dark", 1100], ["light", 360], ["dark", 360]]) {
    test(`the page is whole, ${colorScheme}, ${width} pixels wide`, async () => {
      await traffic(shared, shared.port, 3);
      const context = await chromium.newContext({ colorScheme, viewport: { width, height: 900 }, extraHTTPHeaders: bearer(operator) });
      const page = await context.newPage();
      const complaints = [];
      page.on("console", (message) => complaints.push(message.text()));
      const answer = await page.goto(`${shared.url}/status`);
      assert.equal(answer.headers()["content-type"], "text/html; charset=utf-8");
      assert.equal(await page.locator("html").getAttribute("lang"), "en");
      assert.deepEqual(await page.getByRole("heading").evaluateAll((all) => all.slice(0, 4).map(({ localName }) => localName)), ["h1", "h2", "h2", "h2"]);
      assert.equal(await page.getByRole("img", { name: /in a minute$/ }).count(), 6);
      assert.ok(await page.getByText("insufficient_scope").isVisible());
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than the page");
      // The style was applied.
      assert.ok(await page.evaluate(() => document.querySelector("svg").getBoundingClientRect().height < 100));
      assert.deepEqual(complaints.filter((text) => !/favicon|404/.test(text)), []);
      if (SCREENSHOTS) {
        await mkdir(SCREENSHOTS, { recursive: true });
        await page.screenshot({ path: join(SCREENSHOTS, `status-${colorScheme}-${width}.png`), fullPage: true });
      }
      await context.close();
    });
  }
});
