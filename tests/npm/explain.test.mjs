// `edgeward explain`, as installed, against the Worker: for each refusal it names the same code, and the check that failed.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Host } from "../../pkg/src/cli/host.js";
import { startOrigin } from "../node/support/origin.mjs";
import { makeToken, startIssuer } from "../node/support/tokens.mjs";
import { startWorker } from "../node/support/worker.mjs";
import { installCommand } from "./command.mjs";

const SECRET = "a sealing secret of at least 32 characters";

let command;
let issuer;
let origin;
let worker;
let config;

before(async () => {
  [command, issuer, origin] = await Promise.all([installCommand(), startIssuer(), startOrigin()]);
  const proxy = (path, more = {}) => ({ method: ["GET", "POST"], path, ...more, integration: { type: "http_proxy", url: origin.url, headers: { "X-User": "$claims.sub", "X-Token": "$token" } } });
  config = {
    authorizer: {
      type: "oidc", issuer: issuer.issuer, audience: issuer.audience, algorithms: ["RS256"], roles_claim: "roles",
      client_id: "web", client_secret: "hidden-client-secret-of-the-test", redirect_uri: "https://app.example.com/cb",
    },
    session: { secrets: SECRET },
    protected_resource: { resource: "https://app.example.com/api" },
    cors: { allow_origins: ["https://shop.example.com"] },
    paths: [
      { method: "GET", path: "/login", integration: { type: "login" } },
      { method: "GET", path: "/cb", integration: { type: "callback" } },
      { method: "GET", path: "/public", auth: "none", integration: { type: "respond", body: "open" } },
      { method: "GET", path: "/me", integration: { type: "userinfo" } },
      { method: "GET", path: "/json", auth: "none", integration: { type: "respond", body: { code: "x\u009b2J", detail: "of the application" } } },
      proxy("/api/{*rest}"),
      proxy("/observed", { observe: true, scopes: ["read:items"] }),
      proxy("/scopes", { scopes: { all: ["read:items"], any: ["a", "b"] } }),
      proxy("/permissions", { permissions: ["items:write"] }),
      proxy("/roles", { roles: ["admin"] }),
      proxy("/organization", { organizations: ["org_1"] }),
      proxy("/claims", { claims: { tier: { any: ["gold", "silver"] } } }),
      proxy("/session", { credentials: "session" }),
      proxy("/optional", { auth: "optional" }),
    ],
  };
  writeFileSync(join(command.folder, "edgeward.json"), JSON.stringify(config));
  worker = await startWorker({ config });
});
after(async () => {
  await worker?.stop();
  await origin?.stop();
  await issuer?.stop();
  command?.remove();
});

/** Explains a request; the token comes from the standard input. */
async function explain(path, { token, method = "GET", headers = {}, args = [] } = {}) {
  const lines = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const from = token === undefined ? [] : ["--token-file", "-"];
  const { code, stdout, stderr } = await command.run(["explain", "--json", ...from, ...lines, ...args, method, path], { input: token ?? "" });
  assert.equal(stderr, "");
  for (const secret of [SECRET, config.authorizer.client_secret]) assert.ok(!stdout.includes(secret));
  if (token?.split(".").at(-1).length > 20 && !args.includes("--reveal")) assert.ok(!stdout.includes(token.split(".").at(-1)), "no signature is printed");
  return { exit: code, ...JSON.parse(stdout) };
}

const claims = (changes) => issuer.token({ claims: changes });
const REFUSALS = [
  ["no token", "/api/x", {}, "token_missing", "credentials"],
  ["no token, of a path that is not normalized", "/api//x", {}, "token_missing", "credentials"],
  ["an unknown path", "/nothing", {}, "not_found", "route"],
  ["a method that the route does not support", "/api/x", { method: "DELETE" }, "method_not_allowed", "route"],
  ["an ambiguous path", "/public%2F..%2Fapi%2fx", {}, "path_invalid", "route"],
  ["a path whose readings disagree", "/api%2fx", {}, undefined],
  ["a backslash in a path", "/public%5Cx%00", {}, "path_invalid", "route"],
  ["a token in the query", "/api/x?access_token=a.b.c", {}, undefined, "credentials"],
  ["two schemes", "/api/x", { headers: { authorization: "Bearer a, Bearer b" } }, undefined, "credentials"],
  ["a token where a session is required", "/session", { token: () => claims({}) }, "bearer_not_accepted", "credentials"],
  ["a text that is no token", "/api/x", { token: () => "abc" }, "token_malformed", "token"],
  ["a forged signature", "/api/x", { token: () => claims({}).replace(/[^.]{20}$/, "A".repeat(20)) }, "signature_invalid", "token"],
  ["an expired token", "/api/x", { token: () => claims({ exp: 1_700_000_000 }) }, "token_expired", "exp"],
  ["a token of the future", "/api/x", { token: () => claims({ nbf: 4_000_000_000 }) }, "token_not_yet_valid", "nbf"],
  ["another audience", "/api/x", { token: () => claims({ aud: "another" }) }, "audience_mismatch", "aud"],
  ["another issuer", "/api/x", { token: () => claims({ iss: "https://another.example" }) }, "issuer_mismatch", "iss"],
  ["an algorithm that is not accepted", "/api/x", { token: () => makeToken({ header: { alg: "HS256" }, payload: {}, alg: "HS256", key: "x" }) }, "alg_not_allowed", undefined],
  ["an unknown key", "/api/x", { token: () => issuer.token({ header: { kid: "unknown" } }) }, "key_not_found", "token"],
  ["a critical extension", "/api/x", { token: () => issuer.token({ header: { crit: ["x"], x: 1 } }) }, "crit_not_supported", "token"],
  ["a detached payload", "/api/x", { token: () => issuer.token({ header: { b64: false } }) }, "b64_not_supported", "token"],
  ["an encrypted token", "/api/x", { token: () => `${Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString("base64url")}..a.b.c` }, "token_encrypted", "token"],
  ["a token that is too large", "/api/x", { token: () => "a".repeat(20_000) }, undefined, undefined],
  ["another type", "/api/x", { token: () => issuer.token({ header: { typ: "dpop+jwt" } }) }, "typ_not_allowed", undefined],
  ["an ID token", "/api/x", { token: () => claims({ typ: "ID" }) }, "token_kind_mismatch", undefined],
  ["a claim that is missing", "/api/x", { token: () => claims({ exp: undefined }) }, "claim_missing", "exp"],
  ["a claim of the wrong type", "/api/x", { token: () => claims({ exp: "soon" }) }, "claim_malformed", "exp"],
  ["a token that was issued in the future", "/api/x", { token: () => claims({ iat: 4_000_000_000, exp: 4_000_000_100 }) }, "token_issued_in_future", "iat"],
  ["a scope that is missing", "/scopes", { token: () => claims({ scope: "a" }) }, undefined, "scopes"],
  ["a permission that is missing", "/permissions", { token: () => claims({ permissions: ["items:read"] }) }, undefined, "permissions"],
  ["a role that is missing", "/roles", { token: () => claims({ roles: ["viewer"] }) }, undefined, "roles"],
  ["another organization", "/organization", { token: () => claims({ org_id: "org_2" }) }, undefined, "organization"],
  ["a claim with another value", "/claims", { token: () => claims({ tier: "bronze" }) }, "claim_not_allowed", "tier"],
];

describe("explain", () => {
  for (const [what, path, { token: makeOne, method = "GET", headers = {} }, code, failed] of REFUSALS) {
    it(`names the code of the Worker, and the check that failed: ${what}`, async () => {
      const token = makeOne?.();
      const sent = { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
      const answer = await worker.request({ target: path, method, headers: { Host: "app.example.com", ...sent } });
      const body = answer.json();
      const { exit, checks, verdict } = await explain(path, { token, method, headers });
      assert.deepEqual([exit, verdict.forwarded, verdict.status, verdict.code], [1, false, body.status, body.code]);
      if (code !== undefined) assert.equal(body.code, code);
      const failing = checks.filter(({ passed }) => !passed);
      assert.equal(failing.length, 1, JSON.stringify(checks));
      assert.equal(failing[0].code, body.code);
      if (failed !== undefined) assert.equal(failing[0].name, failed);
    });
  }

  it("shows expected and found values, and what would be sent on; personal values only with --reveal", async () => {
    const token = claims({ scope: "read:items b", tier: "bronze" });
    const { exit, route, readings, checks, verdict } = await explain("/scopes?code=secret-code", { token, headers: { "X-User": "forged", "X-Other": "kept" } });
    assert.equal(exit, 0);
    assert.deepEqual(route, { path: "/scopes", auth: "required", credentials: "any", integration: "http_proxy", observe: false });
    assert.deepEqual(readings, [{ path: "/scopes", isMain: true, routes: ["/scopes"] }]);
    assert.deepEqual(checks.map(({ name, passed }) => [name, passed]), ["credentials", "signature", "iss", "aud", "exp", "scopes"].map((name) => [name, true]));
    assert.deepEqual(checks.at(-1), { name: "scopes", passed: true, expected: "read:items, and any of a, b", found: "read:items, b" });
    assert.equal(verdict.url, `${origin.url}/scopes?(hidden)`);
    assert.deepEqual(verdict.dropped, ["x-user", "authorization"]);
    const sent = new Map(verdict.headers.map(([name, value]) => [name.toLowerCase(), value]));
    assert.deepEqual(["x-user", "x-token", "x-other", "authorization", "x-forwarded-host"].map((name) => sent.get(name)), ["(hidden)", "(hidden)", "(hidden)", undefined, "app.example.com"]);

    const revealed = await explain("/scopes", { token, args: ["--reveal"] });
    assert.deepEqual(revealed.verdict.headers.filter(([name]) => /^x-(user|token)$/i.test(name)).map(([, value]) => value), ["user-1", token]);
    const hidden = await explain("/claims", { token });
    assert.deepEqual(hidden.checks.at(-1).found, "(hidden)");
    assert.deepEqual((await explain("/claims", { token, args: ["--reveal"] })).checks.at(-1).found, "bronze");
  });

  it("is readable as text: readings, route, checks, verdict", async () => {
    const { code, stdout } = await command.run(["explain", "GET", "/api/%61%2562"]);
    assert.equal(code, 1);
    assert.match(stdout, /^GET https:\/\/app\.example\.com\/api\/%61%2562\n( {2}read as .*\n)+ {2}route {5}\/api\/\{\*rest\}: auth required, credentials any, http_proxy\n {2}failed {4}credentials: token_missing: .*\n {2}verdict {3}401 token_missing: .*\n/);
    assert.match(stdout, / {2}read as {3}\/api\/ab → \/api\/\{\*rest\}/);
    assert.equal((await command.run(["explain", "GET", "https://app.example.com/public"])).code, 0);
    const { readings } = await explain("/api%2Fx");
    assert.deepEqual(readings.map(({ path, isMain, routes }) => [path, isMain, ...routes]), [["/api%2Fx", false, null], ["/api%2Fx", true, null], ["/api/x", false, "/api/{*rest}"]]);
  });

  it("tells that a browser is sent to the login, and redeems no code", async () => {
    const browser = { "Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none" };
    const { exit, checks, verdict } = await explain("/api/x", { headers: browser });
    assert.deepEqual([exit, verdict.status, checks.at(-1).code], [1, 302, "login_required"]);
    const [, location] = verdict.headers.find(([name]) => name === "location");
    assert.match(location, /^https:\/\/app\.example\.com\/login\?\(hidden\)$/);
    const forbidden = await explain("/roles", { token: claims({ roles: ["viewer"] }), headers: browser });
    assert.deepEqual([forbidden.exit, forbidden.verdict.status, forbidden.verdict.code, forbidden.checks.at(-1).name], [1, 403, "insufficient_role", "roles"]);
    const before = issuer.counts.token ?? 0;
    await explain("/cb?code=a&state=b", { headers: browser });
    assert.equal(issuer.counts.token ?? 0, before);
  });

  it("knows what the gateway answers without a route", async () => {
    const preflight = { "Origin": "https://shop.example.com", "Access-Control-Request-Method": "GET" };
    for (const [path, status, more] of [
      ["/.well-known/edgeward/health", 200], ["/.well-known/oauth-protected-resource/api", 200], ["/api/x", 204, { method: "OPTIONS", headers: preflight }],
    ]) {
      const { exit, checks, verdict } = await explain(path, more);
      assert.deepEqual([exit, verdict.status, checks.map(({ name, passed }) => [name, passed])], [0, status, [["route", true]]], path);
    }
  });

  it("takes code and detail from problems only, not from the body of a route", async () => {
    const { exit, verdict } = await explain("/json");
    assert.deepEqual([exit, verdict.status, verdict.code, verdict.detail], [0, 200, undefined, undefined]);
    const { stdout } = await command.run(["explain", "GET", "/json"]);
    assert.match(stdout, / {2}verdict {3}200\n/);
    assert.ok(!stdout.includes("\u009b"));
  });

  it("tells what a route that only observes would have refused, and that it passes", async () => {
    for (const [token, code] of [[undefined, "token_missing"], [claims({ scope: "other" }), "insufficient_scope"]]) {
      const { exit, verdict } = await explain("/observed", { token });
      assert.deepEqual([exit, verdict.forwarded, verdict.observed], [0, true, code]);
    }
    const { code, stdout } = await command.run(["explain", "GET", "/observed"]);
    assert.equal(code, 0);
    assert.match(stdout, / {2}observed {2}token_missing would have been refused\n {2}verdict {3}forwarded to /);
    const { exit, verdict } = await explain("/observed", { token: claims({ scope: "read:items" }) });
    assert.deepEqual([exit, verdict.observed], [0, undefined]);
  });

  it("stops where the gateway would ask the provider", async () => {
    const before = { ...issuer.counts };
    for (const path of ["/login", "/cb?code=a&state=b"]) {
      const { exit, verdict } = await explain(path);
      assert.deepEqual([exit, verdict], [0, { forwarded: false, asksProvider: true, headers: [] }], path);
      assert.match((await command.run(["explain", "GET", path])).stdout, / {2}verdict {3}would ask the provider\n$/);
    }
    assert.deepEqual({ ...issuer.counts }, before);
    // Without a session there is nothing to ask.
    assert.deepEqual((await explain("/me")).verdict.status, 401);
    // What explain itself cannot foresee, such as a session that is due, is not sent.
    const host = new Host({ isReadOnly: true });
    assert.equal(await host.send("POST", `${issuer.issuer}/token`, [], undefined, 1_000, 1_000), false);
    assert.equal(await host.send("GET", `${issuer.issuer}/userinfo`, ["Authorization", "Bearer x"], undefined, 1_000, 1_000), false);
    assert.deepEqual([host.wouldAsk, host.exchanges.length], [true, 2]);
  });

  it("leaves open what the provider or shared records decide, and asks neither", async () => {
    const upstream = { m2m: { audience: "https://orders.example", scope: "read:orders" } };
    const proxy = (path, more = {}, integration = {}) => ({ method: "GET", path, ...more, integration: { type: "http_proxy", url: origin.url, ...integration } });
    const more = {
      ...config, authorizer: { ...config.authorizer, introspection: { endpoint: `${issuer.issuer}/introspect` } },
      paths: [
        { method: "POST", path: "/revoke", scopes: ["revoke"], integration: { type: "revoke" } }, ...config.paths,
        proxy("/m2m", {}, { upstream_auth: upstream }), proxy("/watched", { observe: true, scopes: ["read:items"] }),
      ],
    };
    writeFileSync(join(command.folder, "asking.json"), JSON.stringify(more));
    const args = ["--config", "asking.json"];
    const before = { ...issuer.counts };
    const outcomes = ({ checks }) => checks.map(({ name, passed, undecided }) => `${name} ${passed ?? undecided}`).join(", ");
    const asked = { forwarded: false, asksProvider: true, headers: [] };

    const opaque = await explain("/api/x", { token: "opaque-token", args });
    assert.deepEqual([opaque.exit, outcomes(opaque), opaque.verdict], [0, "credentials true, token provider", asked]);
    const token = claims({ scope: "read:items" });
    const revocable = await explain("/api/x", { token, args });
    assert.deepEqual([revocable.exit, revocable.verdict.forwarded, /revocation records/.test(outcomes(revocable))], [0, true, true], outcomes(revocable));
    const m2m = await explain("/m2m", { token, args });
    assert.deepEqual([m2m.exit, m2m.checks.at(-1), m2m.verdict], [0, {
      name: "upstream_auth", passed: null, undecided: "provider", expected: "m2m, audience https://orders.example, scope read:orders", found: "would ask the token endpoint",
    }, asked]);
    for (const [given, code] of [[undefined, "token_missing"], [claims({ scope: "other" }), "insufficient_scope"]]) {
      const watched = await explain("/watched", { token: given, args });
      assert.deepEqual([watched.exit, watched.route.observe, watched.verdict.observed, watched.verdict.forwarded], [0, true, code, true]);
    }
    const { stdout } = await command.run(["explain", ...args, "--token-file", "-", "GET", "/m2m"], { input: token });
    assert.match(stdout, /\n {2}open {6}revocation: found would look up shared records; here, none is assumed\n/);
    assert.match(stdout, /\n {2}open {6}upstream_auth: expected m2m, audience https:\/\/orders\.example, scope read:orders; found would ask the token endpoint\n {2}verdict {3}would ask the provider\n$/);
    assert.deepEqual({ ...issuer.counts, jwks: 0, discovery: 0 }, { ...before, jwks: 0, discovery: 0 });
  });

  it("joins several headers Cookie as HTTP/1.1 has them", async () => {
    const { code, stdout } = await command.run(["explain", "--json", "--reveal", "-H", "Cookie: a=1", "-H", "Cookie: b=2", "-H", "X-A: 1", "-H", "X-A: 2", "GET", "/optional"]);
    assert.equal(code, 0);
    const sent = new Map(JSON.parse(stdout).verdict.headers);
    assert.deepEqual([sent.get("cookie"), sent.get("x-a")], ["a=1; b=2", "1, 2"]);
  });

  it("tells why keys are unavailable", async () => {
    issuer.jwksDocument = "<html>";
    try {
      const { checks, verdict } = await explain("/api/x", { token: claims({}) });
      assert.deepEqual([checks.at(-1).name, checks.at(-1).code, verdict.status, verdict.code], ["keys", "jwks_invalid", 503, "jwks_invalid"]);
    } finally {
      issuer.jwksDocument = undefined;
    }
  });

  it("says what is wrong with the command line and the configuration", async () => {
    for (const args of [[], ["GET"], ["G T", "/"], ["GET", "api"], ["GET", "ftp://x/"], ["-H", "no colon", "GET", "/"], ["-H", "Authorization: Bearer x", "--token-file", "-", "GET", "/"]]) {
      const { code, stderr } = await command.run(["explain", ...args]);
      assert.deepEqual([code, stderr.split("\n").length], [2, 2], stderr);
    }
    writeFileSync(join(command.folder, "wrong.json"), '{ "paths": 1 }');
    for (const file of ["wrong.json", "none.json"]) {
      const { code, stderr } = await command.run(["explain", "--config", file, "GET", "/"]);
      assert.deepEqual([code, stderr.split("\n").length], [1, 2], stderr);
    }
  });
});
