// The record of requests: one event in the log for each, a data point for metrics, and nothing secret in any of them.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, test } from "node:test";
import { SITE } from "./support/browser.mjs";
import { assertNothingLeaked, bearer, many, openSocket, proxy, respond, until } from "./support/gateway.mjs";
import { COOKIE, LOGIN_COOKIE, SESSION_SECRET, startSite, WITH_REFRESH } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, CLIENT_SECRET } from "./support/provider.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker, wrappedBuild } from "./support/worker.mjs";

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer({ audience: AUDIENCE })]);
const config = {
  authorizer: { type: "oidc", issuer: issuer.issuer, audience: AUDIENCE },
  log: { level: "info" },
  paths: [
    proxy("/api/{*rest}", origin),
    proxy("/scoped/{*rest}", origin, { scopes: ["admin"] }),
    proxy("/seen/{*rest}", origin, { scopes: ["admin"], observe: true }),
    proxy("/down/{*rest}", "http://127.0.0.1:1", { auth: "none" }),
    respond("/public", { body: "open" }),
    respond("/moved", { status: 302, headers: { Location: "/public" } }),
  ],
};
const worker = await startWorker({ config });
after(() => Promise.all([worker, origin, issuer].map((part) => part.stop())));

/** Requests a path, with an id as the platform gives one, and returns its event. */
async function eventOf(path, { headers = {}, at = worker, ...init } = {}) {
  const id = `${randomBytes(8).toString("hex")}-AMS`;
  const answer = await at.fetch(path, { ...init, headers: { ...headers, "cf-ray": id } });
  await answer.arrayBuffer();
  const line = await at.waitForLog(({ message }) => message.startsWith("{") && message.includes(`"id":"${id}"`));
  const { id: logged, duration_ms, ...event } = JSON.parse(line.message);
  assert.equal(logged, id);
  assert.ok(Number.isInteger(duration_ms) && duration_ms >= 0 && duration_ms < 60_000);
  assert.equal(line.level, { info: "log", warning: "warn", error: "error" }[event.level]);
  return event;
}

describe("an event", () => {
  test("says what became of the request, by whose token, and whether it had to be verified", async () => {
    const kid = (key) => JSON.parse(Buffer.from(key.split(".")[0], "base64url")).kid;
    const token = await issuer.token();
    const verified = { credentials: "bearer", issuer: issuer.issuer, kid: kid(token) };
    const base = { event: "request", level: "info", method: "GET", status: 200 };
    const forwarded = await eventOf("/api/x?q=1", { headers: bearer(token) });
    assert.ok(forwarded.bytes === undefined || forwarded.bytes > 0);
    delete forwarded.bytes;
    assert.deepEqual(forwarded, { ...base, route: "/api/{*rest}", outcome: "forwarded", ...verified, cache: "miss" });
    assert.equal((await eventOf("/api/y", { headers: bearer(token) })).cache, "hit");
    const { bytes, ...refused } = await eventOf("/scoped/x", { headers: bearer(token), method: "POST" });
    assert.ok(bytes > 100);
    assert.deepEqual(refused, {
      ...base, level: "warning", method: "POST", route: "/scoped/{*rest}", status: 403, outcome: "refused", code: "insufficient_scope", ...verified, cache: "hit",
    });
    const seen = await eventOf("/seen/x", { headers: bearer(token) });
    assert.deepEqual([seen.level, seen.outcome, seen.code, seen.status], ["warning", "observed", "insufficient_scope", 200]);
    assert.deepEqual(await eventOf("/public"), { ...base, route: "/public", outcome: "answered", bytes: 4 });
  });

  test("has no issuer and no kid of a token that was refused", async () => {
    const event = await eventOf("/api/x", { headers: bearer(await issuer.token({ claims: { aud: "https://other.example" } })) });
    assert.equal(event.code, "audience_mismatch");
    assert.deepEqual([event.issuer, event.kid, event.credentials, event.cache], [undefined, undefined, undefined, undefined]);
  });

  test("names each outcome", async () => {
    for (const [path, level, status, outcome, code] of [
      ["/moved", "info", 302, "redirected", undefined],
      ["/api/x", "warning", 401, "refused", "token_missing"],
      ["/nothing", "warning", 404, "refused", "not_found"],
      ["/api/x%2F..%2Fy", "warning", 400, "refused", "path_invalid"],
      ["/down/x", "error", 502, "failed", "origin_unreachable"],
      ["/.well-known/edgeward/health", "info", 200, "answered", undefined],
    ]) {
      const event = await eventOf(path);
      assert.deepEqual([event.level, event.status, event.outcome, event.code], [level, status, outcome, code], path);
    }
  });

  test("is text in local development", async () => {
    await (await worker.fetch("/scoped/x")).text();
    await worker.waitForLog(/^edgeward: GET \/scoped\/\{\*rest\} 401 refused token_missing \d+ ms bytes=\d+ id=[\w-]+$/);
  });
});

test("without the section there are no events; with a level, only those of that level and above", async () => {
  for (const [level, expected] of [[undefined, []], ["off", []], ["error", [502]], ["warning", [401, 502]], ["info", [200, 401, 502]]]) {
    const { log: _, ...without } = config;
    const other = await startWorker({ config: { ...without, ...(level && { log: { level } }) } });
    for (const path of ["/public", "/api/x", "/down/x"]) await (await other.fetch(path, { headers: { "cf-ray": "1-AMS" } })).text();
    await other.waitForLog("origin_unreachable: ");
    await other.flush();
    const statuses = () => other.logs.filter(({ message }) => message.startsWith("{")).map(({ message }) => JSON.parse(message).status).sort();
    await until(() => statuses().length >= expected.length, { what: `events of level ${level}` });
    assert.deepEqual(statuses(), expected, level);
    await other.stop();
  }
});

test("one in so many of the requests at level info is logged, and every refusal", async () => {
  const other = await startWorker({ config: { ...config, log: { level: "info", sample: 5 } } });
  after(() => other.stop());
  await many(400, async (i) => (await other.fetch(i % 2 ? "/public" : "/api/x")).text());
  await other.flush();
  const count = (text) => other.logs.filter(({ message }) => message.includes(text)).length;
  await until(() => count(" refused token_missing ") === 200, { what: "200 refusals" });
  // Of 200, 40 are expected; so far off is one run in ten million.
  assert.ok(count(" answered ") > 10 && count(" answered ") < 75, String(count(" answered ")));
});

describe("metrics", () => {
  test("have one data point for each request where the dataset is bound", async () => {
    const source = await wrappedBuild(`
      const points = [];
      const dataset = { writeDataPoint(point) { points.push(point); if (point.doubles[0] === 404) throw new Error("refused"); } };
      export default {
        fetch(request, env, ctx) {
          return request.url.endsWith("/points") ? Response.json(points) : gateway.fetch(request, { ...env, [env.NAME]: dataset }, ctx);
        },
      };`);
    for (const [NAME, metrics, isBound] of [["EDGEWARD_METRICS", undefined, true], ["OTHER", { binding: "OTHER" }, true], ["OTHER", undefined, false]]) {
      const other = await startWorker({ config: { ...config, log: { level: "off" }, ...(metrics && { metrics }) }, source, env: { NAME } });
      const token = await issuer.token();
      await (await other.fetch("/api/x?secret=1", { headers: bearer(token) })).text();
      await (await other.fetch("/public")).text();
      assert.equal((await other.fetch("/nothing")).status, 404, "a dataset that fails costs no request");
      const points = (await (await other.fetch("/points")).json()).map(({ doubles: [status, duration, bytes], ...point }) => {
        assert.ok(duration >= 0 && bytes >= 0);
        return { status, ...point };
      });
      assert.deepEqual(points, !isBound ? [] : [
        { status: 200, indexes: ["/api/{*rest}"], blobs: ["/api/{*rest}", "GET", "forwarded", "", "bearer", issuer.issuer, "miss"] },
        { status: 200, indexes: ["/public"], blobs: ["/public", "GET", "answered", "", "", "", ""] },
        { status: 404, indexes: [""], blobs: ["", "GET", "refused", "not_found", "", "", ""] },
      ]);
      if (isBound) await other.waitForLog("metrics_failed: ");
      await other.stop();
    }
  });

  test("go to a dataset of Workers Analytics Engine", async () => {
    const bindings = { EDGEWARD_METRICS: { type: "analytics-engine-dataset", name: "edgeward" } };
    const other = await startWorker({ config, bindings });
    after(() => other.stop());
    assert.equal((await other.fetch("/public")).status, 200);
    assert.equal((await eventOf("/public", { at: other })).outcome, "answered");
    assert.doesNotMatch(await other.written(), /metrics_failed/);
  });
});

test("Server-Timing is for clients that have the secret, which no origin and no log line gets", async () => {
  const secret = "a-secret-of-those-who-see-timings-0123456789";
  const other = await startWorker({ config: { ...config, metrics: { server_timing: "$secrets.TIMING" } }, env: { TIMING: secret } });
  after(() => other.stop());
  const token = await issuer.token();
  const timing = async (path, sent, more) => {
    const answer = await other.fetch(path, { headers: { "x-edgeward-timing": sent, ...more } });
    const text = await answer.text();
    assert.ok(!text.includes("x-edgeward-timing"), "forwarded");
    return answer.headers.get("server-timing");
  };
  assert.match(await timing("/api/x", secret, bearer(token)), /^edgeward;desc="forwarded";dur=\d+, token;desc="miss"$/);
  assert.match(await timing("/api/x", secret), /^edgeward;desc="refused token_missing";dur=\d+$/);
  assert.match(await timing("/public", secret), /^edgeward;desc="answered";dur=\d+$/);
  assert.match(await timing("/status/204", secret), /^edgeward;desc="refused not_found";dur=\d+$/);
  assert.match(await timing("/api/status/204", secret, bearer(token)), /^edgeward;desc="forwarded";dur=\d+, token;desc="hit"$/);
  for (const wrong of ["", "x", `${secret}x`, secret.slice(1), secret.toUpperCase()]) assert.equal(await timing("/api/x", wrong, bearer(token)), null, wrong);
  const { socket, headers } = await openSocket(other, "/api/ws", { headers: { "x-edgeward-timing": secret, ...bearer(token) } });
  socket.close();
  assert.equal(headers["server-timing"], undefined);
  assertNothingLeaked([secret], [await other.written()]);
});

test("nothing that is logged has a token, a cookie, a code, a query or a claim", async () => {
  const paths = [proxy("/seen/{*rest}", origin, { scopes: ["admin"], observe: true }), proxy("/gone/{*rest}", "http://127.0.0.1:1")];
  const site = await startSite({ paths, authorizer: WITH_REFRESH, log: { level: "info" } });
  after(() => site.stop());
  const secrets = new Set([SESSION_SECRET, CLIENT_SECRET]);
  // A login from a deep link; its code, tokens, cookies and claims.
  const browser = site.browser();
  const { next } = await browser.open("/app/deep?q=query-of-a-deep-link", { until: (url) => url.pathname === "/auth/callback" });
  for (const value of next.searchParams.values()) if (value !== site.provider.issuer) secrets.add(value);
  const seen = (await browser.open(next.href)).json();
  secrets.add("query-of-a-deep-link").add(seen.headers["x-user-name"]).add(`"${seen.headers["x-user-id"]}"`).add("sub=").add("alice@");
  secrets.add((await browser.send("/token/x")).json().headers.authorization.slice("Bearer ".length));
  for (const path of ["/seen/x", "/gone/x", "/editors", "/writers", "/userinfo", next.href]) await browser.send(path);
  await browser.send(`${SITE}/auth/callback?state=state-of-another-login&code=code-of-another-login&error_description=x`);
  await browser.send("/login?return_to=/app/page-to-return-to&login_hint=hint-of-a-user");
  await browser.send("/logout");
  const cookies = browser.received.map((line) => line.slice(line.indexOf("=") + 1, line.indexOf(";")));
  // A shorter one is a flag.
  for (const cookie of cookies) if (cookie.length > 8) secrets.add(cookie);
  for (const name of ["state-of-another-login", "code-of-another-login", "page-to-return-to", "hint-of-a-user"]) secrets.add(name);
  // Requests with a marked text in each place where a client can put one.
  const places = [
    (mark) => ({ path: `/app/${mark}` }),
    (mark) => ({ path: `/app/x?${mark}=${mark}` }),
    (mark) => ({ path: `/app/x?access_token=${mark}` }),
    (mark) => ({ path: `/auth/callback?code=${mark}&state=${mark}` }),
    (mark) => ({ path: `/auth/callback?error=${mark}&error_description=${mark}&state=${mark}` }),
    (mark) => ({ path: `/login?return_to=/${mark}` }),
    (mark) => ({ path: `/${mark}/%2e%2e/x` }),
    (mark) => ({ headers: { authorization: `Bearer ${mark}` } }),
    (mark) => ({ headers: { authorization: `Bearer ${mark} ${mark}` } }),
    (mark) => ({ headers: { authorization: `Basic ${mark}` } }),
    (mark) => ({ headers: { authorization: `Bearer ${Buffer.from(`{"alg":"RS256","kid":"${mark}"}`).toString("base64url")}.e30.${mark}` } }),
    (mark) => ({ headers: { cookie: `${COOKIE}=1.${mark}; ${mark}=${mark}` } }),
    (mark) => ({ headers: { cookie: `${LOGIN_COOKIE}${mark.slice(0, 8)}=1.${mark}` } }),
    (mark) => ({ headers: { "cf-ray": `${mark}\t${mark}` } }),
    (mark) => ({ headers: { referer: `${SITE}/${mark}`, origin: `https://${mark}.example`, "user-agent": mark, "x-forwarded-for": mark } }),
    (mark) => ({ method: "POST", body: mark, headers: { "sec-fetch-site": "cross-site", "content-type": `text/${mark}` } }),
  ];
  const routes = ["/app/x", "/seen/x", "/gone/x", "/editors", "/login", "/logout", "/auth/callback", "/"];
  await many(places.length * routes.length, async (i) => {
    const mark = `mark${randomBytes(12).toString("hex")}`;
    secrets.add(mark);
    const { path = routes[i % routes.length], headers, ...init } = places[Math.floor(i / routes.length)](mark);
    const isNavigation = i % 3 === 0 && { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html" };
    await (await site.worker.fetch(path, { ...init, headers: { ...isNavigation, ...headers } })).arrayBuffer();
  }, { atOnce: 8 });
  const end = await eventOf("/", { at: site.worker });
  assert.equal(end.outcome, "answered");
  await site.worker.flush();
  const lines = site.worker.logs.map(({ message }) => message);
  assert.ok(lines.length > places.length * routes.length && secrets.size > places.length * routes.length, String(lines.length));
  for (const secret of secrets) for (const line of lines) assert.ok(!line.includes(secret), `${secret.slice(0, 8)}… stands in: ${line}`);
  assertNothingLeaked([...secrets], lines);
});
