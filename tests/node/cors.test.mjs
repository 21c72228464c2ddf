// Cross-origin requests: preflights are answered before any authentication, and every response, errors included, says whether the
// requesting page may read it.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { assertProblem, assertTokenMissing, authorizer, bearer, HEALTH, openSocket, proxy, respond } from "./support/gateway.mjs";
import { serve } from "./support/http.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const APP = "https://app.example.com";
const STRANGER = "https://elsewhere.example";

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
/** An origin with a CORS policy of its own, which is all too open. */
const open = await serve((_req, res) => {
  res.writeHead(200, {
    "access-control-allow-origin": "*", "access-control-allow-credentials": "true", "access-control-allow-methods": "PURGE",
    "access-control-allow-headers": "x-theirs", "access-control-expose-headers": "x-theirs", "access-control-max-age": "9", vary: "Accept",
  });
  res.end("open");
});

const paths = [
  proxy("/api/{*rest}", origin, { scopes: ["read:items"] }),
  proxy("/read", origin, { method: "GET", auth: "none" }),
  proxy("/options", origin, { method: ["GET", "OPTIONS"], auth: "none" }),
  proxy("/open", open, { auth: "none" }),
  proxy("/gone", "http://127.0.0.1:1", { auth: "none" }),
  respond("/own", { body: "own" }),
];
const site = (cors) => startWorker({ config: { authorizer: authorizer(issuer), ...(cors && { cors }), paths } });

const strict = await site({
  allow_origins: [APP, "https://*.tenant.example.com", "http://localhost:3000"],
  allow_methods: ["GET", "POST", "DELETE"],
  allow_headers: ["authorization", "content-type", "x-own"],
  expose_headers: ["x-request-id", "etag"],
  allow_credentials: true,
  max_age_s: 600,
});
const lax = await site({ allow_origins: "*", allow_headers: "*" });
const plain = await site({ allow_origins: [APP] });
const none = await site(undefined);
const workers = [strict, lax, plain, none];

after(() => Promise.all([...workers, origin, issuer].map((part) => part.stop()).concat(open.close())));
beforeEach(() => origin.reset());

const CORS = ["origin", "credentials", "methods", "headers", "expose-headers", "max-age"];
/** The CORS headers of an answer, by their last words, and Vary. */
function corsOf(answer) {
  const entries = CORS.map((name) => [name, answer.headers.get(`access-control-${/^(expose|max)/.test(name) ? "" : "allow-"}${name}`)]);
  return Object.fromEntries([...entries, ["vary", answer.headers.get("vary")]].filter(([, value]) => value !== null));
}

const preflight = (worker, path, from, { method = "GET", headers = "authorization" } = {}) =>
  worker.fetch(path, {
    method: "OPTIONS",
    headers: { origin: from, "access-control-request-method": method, "access-control-request-headers": headers },
  });

describe("a preflight", () => {
  test("to a protected route is answered 204 without a token, and the origin hears nothing", async () => {
    const answer = await preflight(strict, "/api/items", APP);
    assert.deepEqual([answer.status, await answer.text()], [204, ""]);
    assert.deepEqual(corsOf(answer), {
      origin: APP, credentials: "true", methods: "GET, POST, DELETE", headers: "authorization, content-type, x-own",
      "expose-headers": "x-request-id, etag", "max-age": "600", vary: "Origin",
    });
    assert.equal(answer.headers.get("www-authenticate"), null);
    assert.deepEqual(origin.requests, []);
  });

  test("has defaults for what the configuration leaves out", async () => {
    assert.deepEqual(corsOf(await preflight(plain, "/api/items", APP)), {
      origin: APP, methods: "GET, HEAD, POST, PUT, PATCH, DELETE", headers: "authorization, content-type", vary: "Origin",
    });
  });

  test("from another origin gets no permission", async () => {
    for (const from of [
      STRANGER, "null", "https://app.example.com.elsewhere.example", "http://app.example.com", "https://app.example.com:444",
      "https://APP.example.com.", `${APP}/`,
    ]) {
      const answer = await preflight(strict, "/api/items", from);
      assert.equal(answer.status, 204, from);
      assert.deepEqual(corsOf(answer), { vary: "Origin" }, from);
    }
  });

  test("is answered for paths without a route and methods without one, and says nothing about them", async () => {
    for (const path of ["/nowhere", "/read", "/own"]) {
      const answer = await preflight(strict, path, APP, { method: "DELETE" });
      assert.equal(answer.status, 204);
      assert.equal(corsOf(answer).origin, APP);
    }
    assert.deepEqual(origin.requests, []);
  });

  test("with \"*\" for headers names the headers that were asked for, Authorization among them", async () => {
    const answer = await preflight(lax, "/api/items", STRANGER, { headers: "authorization,x-anything" });
    assert.deepEqual(corsOf(answer), { origin: "*", methods: "GET, HEAD, POST, PUT, PATCH, DELETE", headers: "authorization,x-anything" });
    const odd = await preflight(lax, "/api/items", STRANGER, { headers: "x\"y" });
    assert.equal("headers" in corsOf(odd), false);
  });

  test("to an ambiguous path is 400 like any request", async () => {
    // Two slashes alone are not ambiguous: this path is, because in one reading it has no route.
    const answer = await preflight(strict, "/api%2fitems", APP);
    await assertProblem(answer, { status: 400, code: "path_ambiguous" });
    await assertProblem(await preflight(strict, "/api/%00", APP), { status: 400, code: "path_invalid" });
  });

  test("without CORS in the configuration is a request like any other", async () => {
    await assertTokenMissing(preflight(none, "/api/items", APP));
    const answer = await preflight(none, "/options", APP);
    assert.equal(answer.status, 200);
    assert.equal(origin.last.method, "OPTIONS");
    assert.deepEqual(corsOf(answer), {});
  });

  test("is only what has an Origin and asks for a method", async () => {
    for (const headers of [{}, { origin: APP }, { "access-control-request-method": "GET" }]) {
      await assertTokenMissing(strict.fetch("/api/items", { method: "OPTIONS", headers }));
    }
    const answer = await strict.fetch("/options", { method: "OPTIONS", headers: { origin: APP } });
    assert.equal(answer.status, 200);
    assert.equal(origin.last.method, "OPTIONS");
    assert.equal(corsOf(answer).origin, APP);
  });
});

describe("which origins", () => {
  for (const [from, allowed] of [
    [APP, true],
    ["https://a.tenant.example.com", true],
    ["https://a-b.tenant.example.com", true],
    ["http://localhost:3000", true],
    ["https://tenant.example.com", false],
    ["https://a.b.tenant.example.com", false],
    ["http://a.tenant.example.com", false],
    ["https://a.tenant.example.com:8443", false],
    ["https://.tenant.example.com", false],
    ["https://a.tenant.example.com.elsewhere.example", false],
    ["https://elsewhere.example/.tenant.example.com", false],
    ["https://xtenant.example.com", false],
    ["http://localhost:3001", false],
    ["null", false],
  ]) {
    test(`${from} ${allowed ? "may" : "may not"} read answers`, async () => {
      const headers = { origin: from, ...bearer(issuer.token({ claims: { scope: "read:items" } })) };
      const answer = await strict.fetch("/api/items", { headers });
      assert.equal(answer.status, 200);
      const expected = { origin: from, credentials: "true", "expose-headers": "x-request-id, etag", vary: "Origin" };
      assert.deepEqual(corsOf(answer), allowed ? expected : { vary: "Origin" });
    });
  }
});

describe("every answer", () => {
  const answers = [
    ["401", (headers) => strict.fetch("/api/items", { headers }), 401],
    [
      "403",
      (headers) => strict.fetch("/api/items", { headers: { ...headers, ...bearer(issuer.token({ claims: { scope: "none" } })) } }),
      403,
    ],
    ["400 for an invalid path", (headers) => strict.fetch("/api/%00", { headers }), 400],
    ["400 for a token in the query", (headers) => strict.fetch("/api/items?access_token=x", { headers }), 400],
    ["404", (headers) => strict.fetch("/nowhere", { headers }), 404],
    ["405", (headers) => strict.fetch("/read", { method: "DELETE", headers }), 405],
    ["502", (headers) => strict.fetch("/gone", { headers }), 502],
    ["of the gateway's own", (headers) => strict.fetch("/own", { headers }), 200],
  ];
  for (const [name, ask, status] of answers) {
    test(`${name} can be read by an allowed page and by no other`, async () => {
      const allowed = await ask({ origin: APP });
      assert.equal(allowed.status, status);
      assert.deepEqual(corsOf(allowed), { origin: APP, credentials: "true", "expose-headers": "x-request-id, etag", vary: "Origin" });
      assert.deepEqual(corsOf(await ask({ origin: STRANGER })), { vary: "Origin" });
      assert.deepEqual(corsOf(await ask({})), { vary: "Origin" });
    });
  }

  test("503 while keys cannot be had can be read, too", async () => {
    const lost = await startIssuer();
    await lost.stop();
    const worker = await startWorker({ config: { authorizer: authorizer(lost), cors: { allow_origins: APP }, paths } });
    try {
      const answer = await worker.fetch("/api/items", { headers: { origin: APP, ...bearer(issuer.token()) } });
      assert.equal(answer.status, 503);
      assert.deepEqual(corsOf(answer), { origin: APP, vary: "Origin" });
    } finally {
      await worker.stop();
    }
  });

  test("with \"*\" allows every origin, without credentials and without Vary", async () => {
    for (const headers of [{ origin: STRANGER }, { origin: "null" }]) {
      assert.deepEqual(corsOf(await lax.fetch("/own", { headers })), { origin: "*" });
    }
  });

  test("the origin's own CORS headers give way, its other headers stay", async () => {
    for (const [from, expected] of [
      [APP, { origin: APP, credentials: "true", "expose-headers": "x-request-id, etag", vary: "Accept, Origin" }],
      [STRANGER, { vary: "Accept, Origin" }],
    ]) {
      assert.deepEqual(corsOf(await strict.fetch("/open", { headers: { origin: from } })), expected);
    }
    assert.deepEqual(corsOf(await strict.fetch("/open")), { vary: "Accept, Origin" });
  });

  test("of an OPTIONS request that is no preflight takes nothing from the origin's CORS headers either", async () => {
    const answer = await strict.fetch("/open", { method: "OPTIONS", headers: { origin: APP } });
    assert.deepEqual(corsOf(answer), { origin: APP, credentials: "true", "expose-headers": "x-request-id, etag", vary: "Accept, Origin" });
  });

  test("without CORS in the configuration the origin's own policy stands", async () => {
    const answer = await none.fetch("/open", { headers: { origin: APP } });
    assert.deepEqual(corsOf(answer), {
      origin: "*", credentials: "true", methods: "PURGE", headers: "x-theirs", "expose-headers": "x-theirs", "max-age": "9", vary: "Accept",
    });
  });

  test("health and WebSockets need none", async () => {
    assert.equal((await strict.fetch(HEALTH, { headers: { origin: APP } })).status, 200);
    const { status, socket } = await openSocket(strict, "/read", { headers: { origin: APP } });
    assert.equal(status, 101);
    socket.terminate();
  });
});
