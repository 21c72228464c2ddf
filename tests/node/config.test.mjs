// Configuration fails closed: with one mistake every request is 503, and the log names all mistakes at once, each with its
// place in the document; with none, it serves.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  assertNothingLeaked, assertProblem, assertRefused, assertTokenMissing, authorizer, bearer, HEALTH, proxy, read, respond,
} from "./support/gateway.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, OTHER_AUDIENCE, startProvider } from "./support/provider.mjs";
import { generateKey, publicJwk, startIssuer } from "./support/tokens.mjs";
import { BUILD, startWorker } from "./support/worker.mjs";

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
const worker = await startWorker({ config: { paths: [respond("/", { body: "up" })] } });
after(() => Promise.all([worker, origin, issuer].map((part) => part.stop())));

const PROTECTED = respond("/api", { auth: "required", body: "yours" });
const PUBLIC = respond("/public", { body: "everybody's" });

const CALLBACK = { method: "GET", path: "/cb", integration: { type: "callback" } };
const CLIENT = { client_id: "c", client_secret: "a-secret-of-the-client-0123456789" };

/** A configuration that serves, with changes; undefined removes a member. */
const valid = ({ authorizer: changes, ...more } = {}) => JSON.parse(JSON.stringify({
  authorizer: changes === null ? undefined : authorizer({ issuer: "https://login.example.com" }, changes),
  paths: [PROTECTED, PUBLIC],
  ...more,
}));

/** Without the members that are undefined, as the runtime takes it. */
const plain = (config) => (typeof config === "object" ? JSON.parse(JSON.stringify(config)) : config);

/** What these lines say about the configuration: `{ kind, path, message }`. */
const problemsIn = (lines) => lines.flatMap(({ message, level }) => {
  const found = /^edgeward: config: (error|warning) at (.*?): (.*)$/s.exec(message);
  if (!found) return [];
  assert.equal(level, found[1] === "error" ? "error" : "warn");
  return [{ kind: found[1], path: found[2], message: found[3] }];
});

/** Starts the Worker anew with this configuration and returns what its log says about it. */
async function problemsOf(config, env = {}) {
  await worker.restart({ config: plain(config), env });
  await (await worker.fetch("/public")).text();
  await worker.flush();
  return problemsIn(worker.logs);
}

async function assertServesNothing(port = worker.port) {
  const requests = [["/public"], ["/api"], ["/nowhere"], ["/"], [HEALTH], ["/public", { method: "POST", body: "x" }], ["//odd"]];
  for (const [path, init] of requests) {
    const answer = await read(fetch(`http://127.0.0.1:${port}${path}`, init));
    await assertProblem(answer, { status: 503, code: "config_invalid" });
  }
}

/** Asserts that these are exactly the errors expected: `[path, message]`. */
function assertErrors(problems, expected) {
  const errors = problems.filter(({ kind }) => kind === "error");
  assert.deepEqual(errors.map(({ path }) => path), expected.map(([path]) => path), JSON.stringify(errors, null, 1));
  for (const [index, [, message]] of expected.entries()) {
    if (message instanceof RegExp) assert.match(errors[index].message, message);
    else assert.equal(errors[index].message, message);
  }
}

/** Asserts that a configuration is refused with exactly these errors. */
async function assertInvalid(config, expected, env) {
  assertErrors(await problemsOf(config, env), expected);
  await assertServesNothing();
}

/**
 * A test for each row `[name, config, expected, env]`, whose Workers share a runtime: to start one for each would take most of the time.
 * `check` gets the port of the row's Worker, what its log says and what is expected.
 */
function testEach(rows, check) {
  for (let first = 0; first < rows.length; first += 20) {
    const group = rows.slice(first, first + 20);
    describe(`${first + 1} to ${first + group.length}`, () => {
      let runtime;
      before(async () => (runtime = await startWorker({ isolates: group.map(([, config, , env]) => ({ EDGEWARD: plain(config), ...env })) })));
      after(() => runtime.stop());
      for (const [index, [name, , expected]] of group.entries()) {
        test(name, async () => {
          await runtime.flush();
          const [port, known] = [runtime.ports[index], runtime.logs.length];
          await (await fetch(`http://127.0.0.1:${port}/public`)).text();
          await runtime.flush();
          await check(port, problemsIn(runtime.logs.slice(known)), expected);
        });
      }
    });
  }
}

async function assertServes(config, env) {
  const problems = await problemsOf(config, env);
  assertErrors(problems, []);
  assert.equal((await worker.fetch(HEALTH)).status, 200);
  return problems;
}

describe("the source documents' example", () => {
  const EXAMPLE = `{ "authorizer": { "type": "auth0", "domain": "$env.AUTH0_DOMAIN", "client_id": "$env.AUTH0_CLIENT_ID",
    "client_secret": "$secrets.AUTH0_CLIENT_SECRET", "redirect_uri": "https://api.example.com/api/v1/auth0/callback",
    "callback_uri": "https://app.example.com/auth/callback", "jwks_uri": "https://tenant.us.auth0.com/.well-known/jwks.json",
    "scope": "openid profile email" },
  "paths": [ { "method": "GET", "path": "/api/v1/auth0/callback", "integration": { "type": "auth0_callback" } } ] }`;
  const env = { AUTH0_DOMAIN: "tenant.us.auth0.com", AUTH0_CLIENT_ID: "client", AUTH0_CLIENT_SECRET: "a-secret-of-the-client-0123456789" };

  for (const [form, config] of [["as it stands", EXAMPLE], ["as an object", JSON.parse(EXAMPLE)]]) {
    test(`loads byte for byte and serves, ${form}`, async () => {
      const [warning, ...others] = await assertServes(config, env);
      assert.equal(warning.path, "session.secrets");
      assert.match(warning.message, /^is missing: sessions are sealed with a key derived from the client secret/);
      assert.deepEqual(others, []);
      await assertProblem(worker.fetch("/api/v1/auth0/callback?code=c&state=s"), { status: 400, code: "state_invalid" });
      await assertProblem(worker.fetch("/api/v1/other"), { status: 404, code: "not_found" });
      const { header } = await assertProblem(
        worker.fetch("/api/v1/auth0/callback", { method: "DELETE" }), { status: 405, code: "method_not_allowed" },
      );
      assert.equal(header("allow"), "GET, HEAD");
    });
  }

  for (const [missing, path, what] of [
    ["AUTH0_DOMAIN", "authorizer.domain", "environment variable AUTH0_DOMAIN is not set"],
    ["AUTH0_CLIENT_ID", "authorizer.client_id", "environment variable AUTH0_CLIENT_ID is not set"],
    ["AUTH0_CLIENT_SECRET", "authorizer.client_secret", "secret AUTH0_CLIENT_SECRET is not set"],
  ]) {
    test(`is refused without ${missing}, by name`, async () => {
      await assertInvalid(EXAMPLE, [[path, what]], { ...env, [missing]: "" });
    });
  }

  test("is refused with nothing set, with all three names at once", async () => {
    await assertInvalid(
      EXAMPLE,
      [
        ["authorizer.domain", /AUTH0_DOMAIN/], ["authorizer.client_id", /AUTH0_CLIENT_ID/],
        ["authorizer.client_secret", /AUTH0_CLIENT_SECRET/],
      ],
    );
  });
});

describe("where the configuration comes from", () => {
  test("the variable EDGEWARD as an object, or as JSON text", async () => {
    for (const config of [valid(), JSON.stringify(valid()), ` ${JSON.stringify(valid(), null, 2)}\n`]) {
      await assertServes(config);
      assert.equal(await (await worker.fetch("/public")).text(), "everybody's");
    }
  });

  test("nowhere: every request is 503 and the log says what is missing", async () => {
    for (const config of [undefined, ""]) {
      assert.deepEqual(await problemsOf(config), []);
      await worker.waitForLog("neither edgeward.json nor the variable EDGEWARD gives a configuration");
      await assertServesNothing();
    }
  });

  /** The modules of worker.js with a configuration in the place of edgeward.json. */
  async function deployed(config) {
    const root = resolve(import.meta.dirname, "../..");
    const text = (name) => readFile(join(root, name), "utf8");
    return {
      main: "worker.js",
      modules: {
        "worker.js": { type: "esm", contents: await text("worker.js") },
        // Bundlers turn a JSON file into a module; so does this.
        "edgeward.json": { type: "esm", contents: `export default ${await text(config)}` },
        "build/index.js": { type: "esm", contents: await readFile(join(BUILD, "index.js"), "utf8") },
        "build/index_bg.wasm": { type: "wasm", contents: await readFile(join(BUILD, "index_bg.wasm")) },
      },
    };
  }

  test("worker.js serves by edgeward.json of this repository without any variable, and by EDGEWARD when it is set", async () => {
    const site = await startWorker({ source: await deployed("edgeward.json") });
    try {
      assert.match(await (await site.fetch("/")).text(), /^Edgeward is running/);
      assert.equal((await site.fetch("/elsewhere")).status, 404);
      assert.equal(await site.written(), "");
      await site.restart({ config: valid() });
      assert.equal((await site.fetch("/public")).status, 200);
      assert.equal((await site.fetch("/")).status, 404);
    } finally {
      await site.stop();
    }
  });

  test("the demo's configuration serves with its variables, and nothing without them", async () => {
    const env = {
      EDGEWARD_ISSUER: issuer.issuer, EDGEWARD_ORIGIN: origin.url, EDGEWARD_SITE: "http://localhost:8787",
      EDGEWARD_CLIENT_ID: "edgeward-web", EDGEWARD_CLIENT_SECRET: CLIENT.client_secret, EDGEWARD_SESSION_SECRET: "x".repeat(32),
    };
    const site = await startWorker({ source: await deployed("examples/site/edgeward.json"), env });
    try {
      await assertTokenMissing(site.fetch("/api/items"));
      assert.equal((await site.fetch("/api/items", { headers: bearer(issuer.token()) })).status, 200);
      await site.restart({ env: {} });
      await assertProblem(site.fetch(HEALTH), { status: 503, code: "config_invalid" });
      await site.waitForLog("EDGEWARD_ISSUER is not set");
    } finally {
      await site.stop();
    }
  });
});

test("five mistakes: every request is 503, and all five are in the log with their places", async () => {
  const config = {
    authorizer: { type: "oidc", issuer: "https://login.example.com", audience: AUDIENCE, clock_skew: 5, algorithms: ["RS256", "HS256"] },
    paths: [
      { method: "GET", path: "/api", scops: ["read:items"], integration: { type: "respond", body: "x" } },
      { method: "GET", path: "/public//x", auth: "none", integration: { type: "respond" } },
      { method: "GET", path: "/proxy", integration: { type: "http_prox", url: "https://origin.example.com" } },
    ],
  };
  await assertInvalid(config, [
    ["authorizer.clock_skew", 'unknown key "clock_skew"; did you mean "clock_skew_s"?'],
    ["authorizer.algorithms", "has an unsupported algorithm; supported are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"],
    ["paths[0].scops", 'unknown key "scops"; did you mean "scopes"?'],
    ["paths[1].path", "The path has two slashes in a row."],
    ["paths[2].integration.type", /^unknown value "http_prox"; did you mean "http_proxy"\?; one of /],
  ]);
  await worker.waitForLog("edgeward: config_invalid: 5 error(s); every request is answered with 503 until they are fixed");
});

const route = (changes) => JSON.parse(JSON.stringify({
  method: "GET", path: "/x", auth: "none", integration: { type: "respond", body: "x" }, ...changes,
}));
const integration = (changes) => route({ integration: changes });
const upstream = (url) => integration({ type: "http_proxy", url });
const withPaths = (...paths) => valid({ paths: [...paths, PUBLIC] });

describe("what is refused:", () => {
  const nested = (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  const refused = [
    // the document
    ["text that is not JSON", "{ paths: [] }", [["(document)", "is not JSON: line 1, column 3"]]],
    ["JSON that breaks off", '{\n"paths": [', [["(document)", "is not JSON: line 2, column 10"]]],
    ["JSON with a comment", '{ // here\n"paths": [] }', [["(document)", /^is not JSON/]]],
    ["JSON that is a list", "[]", [["(document)", "must be a JSON object"]]],
    ["two keys of one name", '{"paths":[],"paths":[]}', [["(document)", "has an object with two keys of the same name: line 1, column 20"]]],
    [
      "two keys of one name, deep inside", JSON.stringify(valid()).replace('"method"', '"method":"GET","method"'),
      [["(document)", /^has an object with two keys of the same name: line 1, column \d+$/]],
    ],
    ["a document deeper than 64", `{"paths":[],"x":${nested(64)}}`, [["(document)", /^is nested too deeply: line 1, column \d+$/]]],
    ["a document larger than 1 MiB", JSON.stringify({ ...valid(), $schema: "x".repeat(1 << 20) }), [["(document)", "is too large"]]],
    ["no paths", valid({ paths: undefined }), [["paths", "is missing: a list of routes"]]],
    ["an empty list of paths", valid({ paths: [] }), [["paths", "must not be empty"]]],
    ["paths that are no list", valid({ paths: {} }), [["paths", "must be a list of routes"]]],
    ["a path that is no object", valid({ paths: ["/x"] }), [["paths[0]", "must be an object"]]],
    ["an unknown key at the top", valid({ autorizer: {} }), [["autorizer", 'unknown key "autorizer"; did you mean "authorizer"?']]],
    ["a key in another case", valid({ Paths: [] }), [["Paths", 'unknown key "Paths"; did you mean "paths"?']]],
    ["an unknown key that resembles nothing", valid({ xyzzyplugh: 1 }), [["xyzzyplugh", 'unknown key "xyzzyplugh"']]],
    // the authorizer
    [
      "protected routes without an authorizer", valid({ authorizer: null }),
      [["authorizer", /^is missing, and there are routes that need it/]],
    ],
    [
      "a protected route without an audience", valid({ authorizer: { audience: undefined } }),
      [["authorizer.audience", /^is missing, and there are protected routes/]],
    ],
    [
      "an optional route without an audience",
      valid({ authorizer: { audience: undefined }, paths: [{ ...PROTECTED, auth: "optional" }] }),
      [["authorizer.audience", /^is missing/]],
    ],
    [
      "one of two protected routes without an audience",
      valid({ authorizer: { audience: undefined }, paths: [PROTECTED, { ...PROTECTED, path: "/y", audience: AUDIENCE }] }),
      [["authorizer.audience", /^is missing/]],
    ],
    [
      "an empty audience", valid({ authorizer: { audience: [""] } }),
      [["authorizer.audience[0]", "must not be empty"]],
    ],
    ["an authorizer without a type", valid({ authorizer: { type: undefined } }), [["authorizer.type", 'is missing: "auth0", "oidc" or a provider such as "okta"']]],
    [
      "an unknown authorizer type", valid({ authorizer: { type: "oauth0" } }),
      [["authorizer.type", /^unknown value "oauth0"; did you mean "auth0"\?; one of auth0, oidc, okta, /]],
    ],
    [
      "an unknown authorizer key", valid({ authorizer: { audiance: "x" } }),
      [["authorizer.audiance", 'unknown key "audiance"; did you mean "audience"?']],
    ],
    [
      "oidc without an issuer", valid({ authorizer: { issuer: undefined } }),
      [["authorizer.issuer", "is missing: the provider's issuer URL"]],
    ],
    [
      "auth0 without a domain", valid({ authorizer: { type: "auth0", issuer: undefined } }),
      [["authorizer.domain", /^is missing: your Auth0 domain/]],
    ],
    [
      "an issuer over http elsewhere", valid({ authorizer: { issuer: "http://login.example.com" } }),
      [["authorizer.issuer", "must be an https URL (http is allowed on loopback only)"]],
    ],
    [
      "an issuer with a query", valid({ authorizer: { issuer: "https://login.example.com?x=y" } }),
      [["authorizer.issuer", "must be an https URL without query and fragment"]],
    ],
    ["an issuer that is no URL", valid({ authorizer: { issuer: "login.example.com" } }), [["authorizer.issuer", /^must be an https URL/]]],
    [
      "a domain with a path", valid({ authorizer: { type: "auth0", issuer: undefined, domain: "tenant.us.auth0.com/x" } }),
      [["authorizer.domain", /^must be a bare host name/]],
    ],
    [
      "a domain over http elsewhere",
      valid({ authorizer: { type: "auth0", issuer: undefined, domain: "http://tenant.us.auth0.com" } }),
      [["authorizer.domain", "must not be http: it is allowed on loopback only"]],
    ],
    [
      "a domain with a port elsewhere",
      valid({ authorizer: { type: "auth0", issuer: undefined, domain: "tenant.us.auth0.com:8443" } }),
      [["authorizer.domain", /^must be a bare host name/]],
    ],
    [
      "one issuer twice", valid({ authorizer: { issuers: [{ issuer: "https://login.example.com" }] } }),
      [["authorizer.issuers[0]", "names the same issuer as another entry"]],
    ],
    ...["HS256", "none", "NONE", "ES512", "rs256", "RS256 ", "RS1"].map((alg) => [
      `the algorithm ${JSON.stringify(alg)}`, valid({ authorizer: { algorithms: [alg] } }),
      [["authorizer.algorithms", /^has an unsupported algorithm/]],
    ]),
    ["an empty list of algorithms", valid({ authorizer: { algorithms: [] } }), [["authorizer.algorithms", "must not be empty"]]],
    [
      "a jwks_uri over http elsewhere", valid({ authorizer: { jwks_uri: "http://login.example.com/jwks" } }),
      [["authorizer.jwks_uri", "must be an https URL (http is allowed on loopback only)"]],
    ],
    [
      "a jwks_uri that is a file", valid({ authorizer: { jwks_uri: "file:///etc/jwks.json" } }),
      [["authorizer.jwks_uri", /^must be an https URL/]],
    ],
    [
      "a static jwks without keys", valid({ authorizer: { jwks: { keys: [] } } }),
      [["authorizer.jwks", /has no key that can verify a signature$/]],
    ],
    [
      "a static jwks with keys of no use",
      valid({ authorizer: { jwks: { keys: [{ kty: "oct", k: "AAAA" }, { kty: "RSA", n: "AQAB", e: "AQAB" }] } } }),
      [["authorizer.jwks", /has no key that can verify a signature$/]],
    ],
    ["a static jwks that is something else", valid({ authorizer: { jwks: { jwks: [] } } }), [["authorizer.jwks", /has no array "keys"$/]]],
    ["a static jwks that is not JSON", valid({ authorizer: { jwks: "{" } }), [["authorizer.jwks", /is not a strict JSON object$/]]],
    [
      "a clock skew of 61 s", valid({ authorizer: { clock_skew_s: 61 } }),
      [["authorizer.clock_skew_s", "must be a whole number from 0 to 60"]],
    ],
    [
      "a clock skew of half a second", valid({ authorizer: { clock_skew_s: 0.5 } }),
      [["authorizer.clock_skew_s", "must be a whole number from 0 to 60"]],
    ],
    [
      "a negative clock skew", valid({ authorizer: { clock_skew_s: -1 } }),
      [["authorizer.clock_skew_s", "must be a whole number from 0 to 60"]],
    ],
    ["a maximum age of 0", valid({ authorizer: { max_token_age_s: 0 } }), [["authorizer.max_token_age_s", /^must be a whole number/]]],
    [
      "an unknown token profile", valid({ authorizer: { token_profile: "rfc9069" } }),
      [["authorizer.token_profile", /^unknown value "rfc9069"; did you mean "rfc9068"\?/]],
    ],
    [
      "keys of up to 1024 bits", valid({ authorizer: { max_key_bits: 1024 } }),
      [["authorizer.max_key_bits", "must be a whole number from 2048 to 8192"]],
    ],
    [
      "an unknown client_auth", valid({ authorizer: { client_auth: "client_secret_jwt" } }),
      [["authorizer.client_auth", /^unknown value "client_secret_jwt"/]],
    ],
    [
      "a redirect_uri over http elsewhere", valid({ authorizer: { redirect_uri: "http://app.example.com/cb" } }),
      [["authorizer.redirect_uri", /^must be an https URL/]],
    ],
    // session
    [
      "a short session secret", valid({ session: { secrets: ["x".repeat(31)] } }),
      [["session.secrets", "must have at least 32 characters; make one with: openssl rand -hex 32"]],
    ],
    [
      "a short one beside a long one", valid({ session: { secrets: ["x".repeat(64), "short"] } }),
      [["session.secrets", /^must have at least 32/]],
    ],
    ["no session secrets in the list", valid({ session: { secrets: [] } }), [["session.secrets", /^must have at least 32/]]],
    ["an unknown session key", valid({ session: { secret: "x" } }), [["session.secret", 'unknown key "secret"; did you mean "secrets"?']]],
    // CORS
    [
      "every origin with credentials", valid({ cors: { allow_origins: ["*"], allow_credentials: true } }),
      [["cors.allow_credentials", /^must not be true while allow_origins has "\*"/]],
    ],
    ["CORS without origins", valid({ cors: {} }), [["cors.allow_origins", "is missing"]]],
    [
      "an origin with a path", valid({ cors: { allow_origins: ["https://app.example.com/"] } }),
      [["cors.allow_origins", /without a path$/]],
    ],
    [
      "every host of a top-level domain", valid({ cors: { allow_origins: ["https://*.com"] } }),
      [["cors.allow_origins", /^must hold origins/]],
    ],
    [
      "an age beyond a day", valid({ cors: { allow_origins: "*", max_age_s: 86_401 } }),
      [["cors.max_age_s", "must be a whole number from 0 to 86400"]],
    ],
    [
      "a method that is none", valid({ cors: { allow_origins: "*", allow_methods: ["GET, POST"] } }),
      [["cors.allow_methods", "must hold names only"]],
    ],
    // routes
    ["a route without a method", withPaths(route({ method: undefined })), [["paths[0].method", /^is missing/]]],
    ["a route without a path", withPaths(route({ path: undefined })), [["paths[0].path", "is missing"]]],
    ["a route without an integration", withPaths(route({ integration: undefined })), [["paths[0].integration", "is missing"]]],
    ["an integration without a type", withPaths(integration({})), [["paths[0].integration.type", /^is missing: one of http_proxy, http, /]]],
    ["an unknown integration type", withPaths(integration({ type: "respnd" })), [["paths[0].integration.type", /did you mean "respond"/]]],
    [
      "an unknown integration key", withPaths(integration({ type: "respond", boddy: "" })),
      [["paths[0].integration.boddy", /did you mean "body"/]],
    ],
    [
      "the methods CONNECT and TRACE", withPaths(route({ method: ["GET", "TRACE"] }), route({ path: "/y", method: "connect" })),
      [["paths[0].method", /other than CONNECT and TRACE/], ["paths[1].method", /other than/]],
    ],
    [
      "an unknown kind of auth", withPaths(route({ auth: "require" })),
      [["paths[0].auth", /^unknown value "require"; did you mean "required"\?/]],
    ],
    [
      "a path that does not start with a slash", withPaths(route({ path: "x" })),
      [["paths[0].path", "The path does not start with a slash."]],
    ],
    ["a path with dot segments", withPaths(route({ path: "/a/../b" })), [["paths[0].path", "The path has a . or .. segment."]]],
    ["a path with a semicolon", withPaths(route({ path: "/a;b" })), [["paths[0].path", "The path has a semicolon."]]],
    ["a rest in the middle", withPaths(route({ path: "/{*rest}/x" })), [["paths[0].path", "{*rest} must be the last segment"]]],
    ["half a parameter", withPaths(route({ path: "/a{b}" })), [["paths[0].path", /^a parameter is a whole segment/]]],
    ["two parameters of one name", withPaths(route({ path: "/{a}/{a}" })), [["paths[0].path", "two parameters have the same name"]]],
    [
      "two routes of one path and method", withPaths(route({}), route({ method: ["POST", "GET"] })),
      [["paths[1]", "has the same path and method as paths[0]"]],
    ],
    [
      "two routes that differ in a parameter's name", withPaths(route({ path: "/{a}" }), route({ path: "/{b}/" })),
      [["paths[1]", "has the same path and method as paths[0]"]],
    ],
    [
      "two ambiguous routes", withPaths(route({ path: "/{a}/b" }), route({ path: "/a/{b}" })),
      [["paths[1]", /^is ambiguous with paths\[0\]: some paths match both \/a\/\{b\} and \/\{a\}\/b$/]],
    ],
    [
      "rights on a public route", withPaths(route({ scopes: ["read:items"] })),
      [["paths[0].auth", /^is "none", but the route demands rights/]],
    ],
    [
      "claims on a public route",
      withPaths(integration({ type: "http_proxy", url: "https://o.example.com", headers: { "X-Sub": "$claims.sub" } })),
      [["paths[0].integration.headers", /^use \$claims or \$token/]],
    ],
    [
      "reserved permission names", withPaths(route({ auth: "required", permissions: ["openid", "read:items", "email"] })),
      [["paths[0].permissions", /^"openid" is a reserved name/], ["paths[0].permissions", /^"email" is a reserved name/]],
    ],
    [
      "two scopes in one", withPaths(route({ auth: "required", scopes: ["read:items write:items"] })),
      [["paths[0].scopes", /list each scope by itself$/]],
    ],
    [
      "roles without the claim that lists them", withPaths(route({ auth: "required", roles: ["admin"] })),
      [["paths[0].roles", /^needs authorizer\.roles_claim/]],
    ],
    [
      "a page for the forbidden on another site",
      withPaths(route({ auth: "required", on_forbidden: "https://elsewhere.example" })),
      [["paths[0].on_forbidden", "must be 403 or a path such as /unauthorized"]],
    ],
    [
      "a page for the forbidden that looks like a path",
      withPaths(route({ auth: "required", on_forbidden: "//elsewhere.example" })),
      [["paths[0].on_forbidden", "must be 403 or a path such as /unauthorized"]],
    ],
    [
      "an unknown on_unauthenticated", withPaths(route({ on_unauthenticated: "redirect" })),
      [["paths[0].on_unauthenticated", /^unknown value "redirect"/]],
    ],
    [
      "a status that is none", withPaths(integration({ type: "respond", status: 600 })),
      [["paths[0].integration.status", "must be a whole number from 200 to 599"]],
    ],
    [
      "a header name that is none", withPaths(integration({ type: "respond", headers: { "X Y": "z" } })),
      [["paths[0].integration.headers.X Y", "is not a header name"]],
    ],
    [
      "a header value with a line break", withPaths(integration({ type: "respond", headers: { "X-Y": "a\r\nb" } })),
      [["paths[0].integration.headers.X-Y", /^a header value may hold/]],
    ],
    [
      "a claim without a name", withPaths(integration({ type: "respond", headers: { "X-Y": "$claims" } })),
      [["paths[0].integration.headers.X-Y", /^write \$claims\.name/]],
    ],
    // upstreams
    [
      "an upstream over http elsewhere", withPaths(upstream("http://origin.example.com")),
      [["paths[0].integration.url", "must be an https URL (http is allowed on loopback only)"]],
    ],
    [
      "an upstream without a scheme", withPaths(upstream("origin.example.com")),
      [["paths[0].integration.url", "must be an absolute https URL"]],
    ],
    [
      "an upstream with a password", withPaths(upstream("https://user:pass@origin.example.com")),
      [["paths[0].integration.url", "must be an absolute https URL"]],
    ],
    [
      "an upstream with a query", withPaths(upstream("https://origin.example.com/?x=y")),
      [["paths[0].integration.url", "must not have a query"]],
    ],
    [
      "an upstream whose path has dots", withPaths(upstream("https://origin.example.com/a/../b")),
      [["paths[0].integration.url", "has a path that is not in canonical form"]],
    ],
    [
      "a proxy without an upstream", withPaths(integration({ type: "http_proxy" })),
      [["paths[0].integration.url", "is missing: where to send requests"]],
    ],
    [
      "a service without a binding", withPaths(integration({ type: "service" })),
      [["paths[0].integration.binding", "is missing: the name of a service binding"]],
    ],
    // login routes
    [
      "a refresh route without offline_access at Auth0; other providers may not know it",
      valid({
        authorizer: { ...CLIENT, type: "auth0", issuer: undefined, domain: "tenant.us.auth0.com", redirect_uri: "https://app.example.com/cb" },
        paths: [
          PUBLIC, { method: "POST", path: "/refresh", integration: { type: "refresh" } },
          { method: "GET", path: "/cb", integration: { type: "callback" } },
        ],
      }),
      [["paths[1].integration", /^needs "offline_access" in authorizer\.scope/]],
    ],
    [
      "a redirect_uri that no route serves", valid({ authorizer: { redirect_uri: "https://app.example.com/cb" } }),
      [["authorizer.redirect_uri", "is not the path of any callback integration"]],
    ],
    [
      "a redirect_uri that another integration serves", valid({ authorizer: { redirect_uri: "https://app.example.com/public" } }),
      [["authorizer.redirect_uri", "is not the path of any callback integration"]],
    ],
    [
      "a callback without a redirect_uri",
      valid({ authorizer: CLIENT, paths: [PUBLIC, { method: "GET", path: "/cb", integration: { type: "callback" } }] }),
      [["paths[1].integration", "needs authorizer.redirect_uri, or the site's origin in APP_BASE_URL"]],
    ],
    [
      "a callback without a client", valid({ authorizer: { redirect_uri: "https://app.example.com/cb" }, paths: [PUBLIC, CALLBACK] }),
      [["authorizer.client_id", "is missing, and there are login routes; or set AUTH0_CLIENT_ID"]],
    ],
    [
      "a client without a secret",
      valid({ authorizer: { client_id: "c", redirect_uri: "https://app.example.com/cb" }, paths: [PUBLIC, CALLBACK] }),
      [["authorizer.client_secret", /^is missing: .*client_auth/]],
    ],
    [
      "a login without a callback",
      valid({
        authorizer: { ...CLIENT, redirect_uri: "https://app.example.com/cb" },
        paths: [PUBLIC, { method: "GET", path: "/login", integration: { type: "login" } }],
      }),
      [["paths[1].integration", "needs a route with the callback integration, too"]],
    ],
    [
      "scopes without openid", valid({ authorizer: { scope: "profile email" } }),
      [["authorizer.scope", /^must have the word "openid"/]],
    ],
    [
      "a way to a login that is not there", valid({ paths: [{ ...PROTECTED, on_unauthenticated: "login" }, PUBLIC] }),
      [["paths[0].on_unauthenticated", /^is "login", but no route/]],
    ],
    ["a cookie that other hosts could set", valid({ session: { cookie: "session" } }), [["session.cookie", /^must start with __Host-/]]],
    ["a cookie with a name that is none", valid({ session: { cookie: "__Host-a b" } }), [["session.cookie", "is not a cookie name"]]],
    ["a domain for a __Host- cookie", valid({ session: { domain: "example.com" } }), [["session.domain", /^needs session\.cookie/]]],
    ["a domain that is a top-level one", valid({ session: { domain: "com", cookie: "__Secure-s" } }), [["session.domain", /^must be a host name/]]],
    [
      "a login without an authorizer",
      valid({ authorizer: null, paths: [PUBLIC, { method: "GET", path: "/login", integration: { type: "login" } }] }),
      [["paths[1]", "/login needs an authorizer"]],
    ],
    // placeholders
    [
      "an environment variable that is not set", withPaths(upstream("$env.ORIGIN_URL")),
      [["paths[0].integration.url", "environment variable ORIGIN_URL is not set"]],
    ],
    [
      "a secret that is not set", withPaths(integration({ type: "respond", headers: { "X-Key": "key $secrets.API_KEY" } })),
      [["paths[0].integration.headers.X-Key", "secret API_KEY is not set"]],
    ],
    [
      "several in one text", withPaths(integration({ type: "respond", body: "$env.A-$secrets.B" })),
      [["paths[0].integration.body", "environment variable A is not set"], ["paths[0].integration.body", "secret B is not set"]],
    ],
  ];
  testEach(refused, async (port, problems, expected) => {
    assertErrors(problems, expected);
    await assertServesNothing(port);
  });
});

describe("what is accepted:", () => {
  const accepted = [
    ["a clock skew of 60 s", valid({ authorizer: { clock_skew_s: 60 } })],
    ["a number from the environment", valid({ authorizer: { clock_skew_s: "$env.SKEW" } }), { SKEW: "30" }],
    ["session secrets of 32 characters", valid({ session: { secrets: ["x".repeat(32), "y".repeat(64)] } })],
    ["null for what is left out", valid({ cors: null, session: null })],
    ["true and false for auth", withPaths(route({ auth: false }), route({ path: "/y", auth: true }))],
    [
      "http on loopback",
      withPaths(
        upstream("http://127.0.0.1:1"), { ...upstream("http://localhost:8080/base"), path: "/y" },
        { ...upstream("http://[::1]:1"), path: "/z" },
      ),
    ],
    ["a domain with scheme and slash", valid({ authorizer: { type: "auth0", issuer: undefined, domain: "https://tenant.us.auth0.com/" } })],
    [
      "a path of every form",
      withPaths(...["/a/:id", "/b/{id}", "/c/*", "/d/{*rest}", "/e/{.+}", "/f/", "/{x}/g/h"].map((path) => route({ path }))),
    ],
    [
      "an own audience for each protected route",
      valid({
        authorizer: { audience: undefined },
        paths: [PUBLIC, { ...PROTECTED, audience: AUDIENCE }, { ...PROTECTED, path: "/y", audience: OTHER_AUDIENCE }],
      }),
    ],
    ["a document with $schema", valid({ $schema: "./edgeward.schema.json" })],
    ["every login integration under both its names", valid({
      authorizer: {
        redirect_uri: "https://app.example.com/cb", scope: "openid offline_access", client_id: "c", client_secret: ["new", "old"],
      },
      paths: [
        PUBLIC,
        ...[
          "login", "auth0_callback_redirect", "callback", "auth0_callback", "logout", "auth0_logout", "userinfo",
          "auth0_userinfo", "claims", "refresh", "auth0_refresh",
        ].map((type) => ({ method: "GET", path: type === "callback" ? "/cb" : `/${type}`, integration: { type } })),
      ],
    })],
  ];
  testEach(accepted.map(([what, config, env]) => [what, config, [], env]), async (port, problems, expected) => {
    assertErrors(problems, expected);
    for (const path of [HEALTH, "/public"]) assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 200);
  });

  test("a public rest-route that takes requests from a protected one serves, and the log warns", async () => {
    const warnings = await assertServes(valid({ paths: [{ ...PROTECTED, path: "/{*rest}" }, { ...PUBLIC, path: "/public/{*rest}" }] }));
    assert.deepEqual(
      warnings, [{ kind: "warning", path: "paths[1]", message: "public /public/{*rest} takes requests from protected /{*rest}" }],
    );
    assert.equal((await worker.fetch("/public/a")).status, 200);
    await assertTokenMissing(worker.fetch("/other"));
  });

  test("warnings and the configuration are read once, not with every request", async () => {
    await assertServes(valid({ paths: [{ ...PROTECTED, path: "/{*rest}" }, { ...PUBLIC, path: "/public/{*rest}" }] }));
    for (let index = 0; index < 10; index += 1) await worker.fetch("/public/a");
    await worker.flush();
    assert.equal(worker.logs.length, 1);
  });
});

test("an own audience for each route: a token for one does not open the other", async () => {
  const paths = [{ ...PROTECTED, audience: AUDIENCE }, { ...PROTECTED, path: "/other", audience: OTHER_AUDIENCE }];
  await assertServes({ authorizer: authorizer(issuer, { audience: undefined }), paths });
  const get = async (path, aud) => (await worker.fetch(path, { headers: bearer(issuer.token({ claims: { aud } })) })).status;
  assert.deepEqual([await get("/api", AUDIENCE), await get("/other", OTHER_AUDIENCE)], [200, 200]);
  assert.deepEqual(
    [await get("/api", OTHER_AUDIENCE), await get("/other", AUDIENCE), await get("/api", "https://third.example")],
    [403, 403, 401],
  );
});

test("a service binding that is missing is 503 on its route, named in the log, and the rest serves", async () => {
  await assertServes(valid({ paths: [PUBLIC, route({ integration: { type: "service", binding: "BACKEND" } })] }));
  await assertProblem(worker.fetch("/x"), { status: 503, code: "config_invalid" });
  await worker.waitForLog("there is no service binding BACKEND");
  assert.equal((await worker.fetch("/public")).status, 200);
});

describe("placeholders", () => {
  test("stand anywhere a string does, also within one", async () => {
    const env = { HOST: new URL(origin.url).host, KEY: "k-1", GREETING: "hello", WHERE: "there" };
    await assertServes(valid({ paths: [
      PUBLIC,
      proxy(
        "/$env.WHERE", `http://$env.HOST`,
        { auth: "none", headers: { "X-Key": "$secrets.KEY", "X-Both": "$env.GREETING, $env.WHERE!", "X-Price": "$5" } },
      ),
      respond("/body", { body: "$env.GREETING" }),
    ] }), env);
    assert.equal((await worker.fetch("/there")).status, 200);
    const { headers } = origin.last;
    assert.deepEqual([headers["x-key"], headers["x-both"], headers["x-price"]], ["k-1", "hello, there!", "$5"]);
    assert.equal(await (await worker.fetch("/body")).text(), "hello");
  });

  test("are not resolved again in what they stand for", async () => {
    await assertServes(valid({ paths: [PUBLIC, respond("/body", { body: "$env.A" })] }), { A: "$env.B", B: "secret" });
    assert.equal(await (await worker.fetch("/body")).text(), "$env.B");
  });

  test("show their values in no log and no answer, whatever is wrong with them", async () => {
    const secret = "hunter2-a-value-that-nobody-may-see";
    const env = { SECRET: secret, PATH_SECRET: "hunter2-a-path-that-nobody-may-see" };
    const at = "$secrets.SECRET";
    const hidden = "/hook/$secrets.PATH_SECRET";
    const configs = [
      { authorizer: {
        type: at, issuer: at, audience: at, algorithms: at, jwks: at, jwks_uri: at, clock_skew_s: at, token_profile: at,
        client_auth: at, redirect_uri: at, callback_uri: at, max_key_bits: at,
        private_key: [at], private_key_alg: at, fapi: at, jar: { private_key: at, private_key_alg: at }, authorization_details: at,
      },
        session: { secrets: at, same_site: at, idle_s: at }, cors: { allow_origins: at, allow_methods: `${at} x`, max_age_s: at },
        paths: [{
          method: `${at} x`, path: at, auth: at, scopes: `${at} x`, on_forbidden: at, on_unauthenticated: at,
          integration: { type: at },
        },
          {
            method: "GET", path: "/a", integration: { type: "http_proxy", url: at, headers: { "X-A": `${at}\n` } },
          }, { method: "GET", path: "/b", integration: { type: "respond", status: at } }] },
      { authorizer: { type: "auth0", domain: `${at}/x` }, paths: [PUBLIC, { ...PUBLIC, path: hidden }, { ...PUBLIC, path: hidden }] },
      {
        authorizer: authorizer(issuer, { client_secret: at }), session: { secrets: [at, "short"] },
        paths: [{ ...PUBLIC, path: `${hidden}/{a}/b` }, { ...PUBLIC, path: `${hidden}/a/{b}` }],
      },
      { authorizer: authorizer(issuer), paths: [{ ...PROTECTED, path: "/{*rest}" }, { ...PUBLIC, path: `${hidden}/{*rest}` }] },
      { paths: [{ method: "GET", path: hidden, integration: { type: "login" } }] },
    ];
    for (const [index, config] of configs.entries()) {
      const problems = await problemsOf(config, env);
      assert.ok(problems.length > 0, `configuration ${index}`);
      const answers = await Promise.all(["/public", "/x", HEALTH].map(async (path) => (await worker.fetch(path)).text()));
      assertNothingLeaked([secret, env.PATH_SECRET], [await worker.written(), ...answers]);
    }
  });
});

describe("environment aliases, each alone", () => {
  let auth0;
  before(async () => (auth0 = await startProvider({ dialect: "auth0" })));
  after(() => auth0.stop());
  beforeEach(() => origin.reset());

  const bare = (changes) => ({ authorizer: { type: "auth0", audience: AUDIENCE, ...changes }, paths: [PROTECTED, PUBLIC] });
  const status = async (token) => (await worker.fetch("/api", { headers: bearer(token) })).status;

  for (const [name, value] of [
    ["AUTH0_DOMAIN", () => auth0.domain], ["AUTH0_ISSUER", () => auth0.issuer], ["AUTH0_ISSUER_BASE_URL", () => auth0.url],
  ]) {
    test(`${name} names the Auth0 tenant`, async () => {
      await assertServes(bare(), { [name]: value() });
      assert.equal(await status(await auth0.tokenFor()), 200);
      assert.equal(await status(issuer.token()), 401);
    });
  }

  for (const name of ["AUTH0_ISSUER", "AUTH0_ISSUER_BASE_URL"]) {
    test(`${name} names an OpenID provider`, async () => {
      await assertServes(bare({ type: "oidc" }), { [name]: issuer.issuer });
      assert.equal(await status(issuer.token()), 200);
    });
  }

  test("AUTH0_AUDIENCE names the API", async () => {
    await assertServes(
      { authorizer: authorizer(issuer, { audience: undefined }), paths: [PROTECTED, PUBLIC] }, { AUTH0_AUDIENCE: OTHER_AUDIENCE },
    );
    assert.equal(await status(issuer.token({ claims: { aud: OTHER_AUDIENCE } })), 200);
    assert.equal(await status(issuer.token()), 401);
  });

  test("AUTH0_CLIENT_ID names the login client, whose tokens are told apart", async () => {
    const token = issuer.token({ claims: { aud: "my-client" }, header: { typ: "JWT" } });
    const marked = issuer.token({ claims: { aud: "my-client", token_use: "id" }, header: { typ: "JWT" } });
    for (const [env, detail] of [
      [{ AUTH0_CLIENT_ID: "my-client" }, /^Claim aud is the login client/], [{}, /^Claim aud does not contain the expected audience/],
    ]) {
      await assertServes({ authorizer: authorizer(issuer), paths: [PROTECTED, PUBLIC] }, env);
      const hint = /^Request the token with this API's audience/;
      await assertRefused(worker.fetch("/api", { headers: bearer(token) }), "audience_mismatch", { hint, detail });
      await assertRefused(worker.fetch("/api", { headers: bearer(marked) }), "audience_mismatch", { hint: /^Send the access token/ });
    }
  });

  test("AUTH0_SECRET is the session secret, and held to its length", async () => {
    await assertServes(valid(), { AUTH0_SECRET: "x".repeat(32) });
    await assertInvalid(valid(), [["AUTH0_SECRET (environment)", /^must have at least 32 characters/]], { AUTH0_SECRET: "x".repeat(31) });
  });

  // Part of logging in, which has no effect on tokens: they are only taken without complaint.
  test("a login can be set up by them alone", async () => {
    const env = {
      AUTH0_CLIENT_ID: "c", AUTH0_CLIENT_SECRET: "s", AUTH0_SECRET: "x".repeat(32), APP_BASE_URL: "https://app.example.com/",
    };
    const login = { method: "GET", path: "/login", integration: { type: "login" } };
    const config = { ...bare({ audience: AUDIENCE }), paths: [PROTECTED, PUBLIC, login, CALLBACK] };
    assert.deepEqual(await assertServes(config, { ...env, AUTH0_DOMAIN: "tenant.us.auth0.com" }), []);
    const answer = await worker.request({ target: "/login", headers: { host: "app.example.com" } });
    const { searchParams, origin } = new URL(answer.header("location"));
    assert.equal(origin, "https://tenant.us.auth0.com");
    assert.equal(searchParams.get("redirect_uri"), "https://app.example.com/cb");
    await assertInvalid(config, [["APP_BASE_URL (environment)", /^must be an https origin/]], {
      ...env, AUTH0_DOMAIN: "tenant.us.auth0.com", APP_BASE_URL: "https://app.example.com/x",
    });
  });

  for (const name of ["AUTH0_CLIENT_SECRET", "AUTH0_BASE_URL", "APP_BASE_URL"]) {
    test(`${name} is taken without complaint`, async () => {
      assert.deepEqual(await assertServes(valid(), { [name]: "https://app.example.com" }), []);
    });
  }

  test("what the document says goes before them", async () => {
    const env = {
      AUTH0_DOMAIN: "tenant.us.auth0.com", AUTH0_ISSUER: "https://login.example.com", AUTH0_AUDIENCE: OTHER_AUDIENCE,
      AUTH0_SECRET: "short",
    };
    const config = { authorizer: authorizer(issuer), session: { secrets: "x".repeat(32) }, paths: [PROTECTED, PUBLIC] };
    await assertServes(config, env);
    assert.equal(await status(issuer.token()), 200);
    assert.equal(await status(issuer.token({ claims: { aud: OTHER_AUDIENCE } })), 401);
  });

  test("empty ones count as not set", async () => {
    await assertInvalid(
      bare({ audience: undefined }), [["authorizer.domain", /AUTH0_DOMAIN/], ["authorizer.audience", /AUTH0_AUDIENCE/]],
      { AUTH0_DOMAIN: "", AUTH0_AUDIENCE: "" },
    );
  });

  test("a wrong one is named as what it is", async () => {
    await assertInvalid(bare(), [["AUTH0_DOMAIN (environment)", /^must be a bare host name/]], { AUTH0_DOMAIN: "tenant.us.auth0.com/x" });
  });
});

test("a static jwks with one good key among others serves", async () => {
  const key = publicJwk(await generateKey(), { kid: "k", alg: "RS256" });
  await assertServes(valid({ authorizer: { jwks: { keys: [{ kty: "oct", k: "AAAA" }, key] } } }));
});
