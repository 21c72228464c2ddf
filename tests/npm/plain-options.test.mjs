// Every function that takes options refuses what is not a plain object: members that are inherited, hidden or held inside would be lost unnoticed,
// and with them a requirement. And nothing comes from `Object.prototype`.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { VERIFIER } from "../../pkg/src/options.js";
import { install, pack } from "./install.mjs";

let temporary;
let edgeward;
let presets;
let express;
let hono;
let withAuth0;
let createTokenSource;
let issuer;
let options;
let verifier;
let good;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-plain-"));
  const folder = await install(join(temporary, "project"), await pack(temporary));
  const load = (name) => import(pathToFileURL(join(folder, "node_modules/edgeward/dist", `${name}.js`)));
  edgeward = await load("inline");
  presets = await load("providers");
  [{ bearer: express }, { bearer: hono }, { withAuth0 }, { createTokenSource }] = await Promise.all(["express", "hono", "netlify", "token-source"].map(load));
  issuer = await (await load("testing")).createIssuer();
  options = { issuer: issuer.issuer, audience: "api", algorithms: ["RS256"], jwks: issuer.jwks() };
  verifier = edgeward.createVerifier(options);
  good = await issuer.mint({ claims: { aud: "api", scope: "read", roles: ["a"] } });
});
after(() => rmSync(temporary, { recursive: true, force: true }));

const request = (token) => new Request("https://api.example.com/", { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
const handler = () => new Response("passed");

/** Objects that have `members`, but not as enumerable members of their own. */
const hidden = {
  "a promise": (members) => Promise.resolve(members),
  "a Map": (members) => new Map(Object.entries(members)),
  "a Set": (members) => new Set(Object.values(members)),
  "URLSearchParams": (members) => new URLSearchParams(Object.keys(members).map((name) => [name, "x"])),
  "a date": () => new Date(),
  "a function": (members) => Object.assign(() => {}, members),
  "an instance with getters": (members) => new (class { static { for (const name of Object.keys(members)) Object.defineProperty(this.prototype, name, { get: () => members[name] }); } })(),
  "an instance with members of its own": (members) => Object.assign(new (class {})(), members),
  "an heir": (members) => Object.create(members),
  "an heir of an object without a prototype": (members) => Object.create(Object.assign(Object.create(null), members)),
  "an heir with members of its own": (members) => Object.assign(Object.create({ scopes: ["admin"], not: ["user-1"], all: ["admin"] }), members),
  "hidden members": (members) => Object.defineProperties({}, Object.fromEntries(Object.entries(members).map(([name, value]) => [name, { value }]))),
  "a hidden member beside others": (members) => Object.defineProperty({ ...members }, "scopes", { value: ["admin"], enumerable: false }),
  "a member named by a symbol": (members) => ({ ...members, [Symbol("scopes")]: ["admin"] }),
  "the arguments of a function": (members) => (function () { return Object.assign(arguments, members); })(),
  "Object.prototype": () => Object.prototype,
  "an instance of another realm": (members) => runInNewContext("class A {}; Object.assign(new A(), members)", { members }),
};

/** Plain objects with `members`. */
const plain = {
  "a literal": (members) => ({ ...members }),
  "a parsed document": (members) => JSON.parse(JSON.stringify(members)),
  "a clone": (members) => structuredClone(members),
  "an object without a prototype": (members) => Object.assign(Object.create(null), members),
  "a frozen object": (members) => Object.freeze({ ...members }),
  "getters of its own": (members) => Object.defineProperties({}, Object.fromEntries(Object.entries(members).map(([name, value]) => [name, { get: () => value, enumerable: true }]))),
  "an object of another realm": (members) => runInNewContext(`(${JSON.stringify(members)})`),
  "the exports of a CommonJS module": (members) => Object.defineProperty({ ...members }, "__esModule", { value: true }),
};

const rights = { scopes: ["read"] };
/** Every function with options, and every option that is an object, with what is plain there. */
const readers = {
  "createVerifier": [() => options, (given) => edgeward.createVerifier(given)],
  "createVerifier, an issuer": [() => ({ issuer: issuer.issuer }), (one) => edgeward.createVerifier({ audience: "api", algorithms: ["RS256"], issuers: [one] })],
  "createVerifier, a decryption key": [() => ({ key: "x" }), (key) => edgeward.createVerifier({ ...options, decryptionKeys: [key] }), /no private key/],
  "verify": [() => rights, (given) => verifier.verify(good, given)],
  "verifySync": [() => rights, (given) => verifier.verifySync(good, given)],
  "authenticate": [() => rights, (given) => verifier.authenticate(request(good), given)],
  "load": [() => ({ signal: undefined }), (given) => verifier.load(given)],
  "verify, scopes": [() => ({ any: ["read"] }), (scopes) => verifier.verify(good, { scopes })],
  "verify, permissions": [() => ({ any: ["read"] }), (permissions) => verifier.verify(good, { permissions }), /permissions/],
  "verify, roles": [() => ({ claim: "roles", any: ["a"] }), (roles) => verifier.verify(good, { roles })],
  "verify, claims": [() => ({ sub: "user-1" }), (claims) => verifier.verify(good, { claims })],
  "verify, a rule by name": [() => ({ prefix: "user" }), (sub) => verifier.verify(good, { claims: { sub } })],
  "verify, a rule of a list": [() => ({ claim: "sub", prefix: "user" }), (rule) => verifier.verify(good, { claims: [rule] })],
  "guard": [() => ({ verifier, ...rights }), (given) => edgeward.guard(given)],
  "guard without a verifier": [() => options, (given) => edgeward.guard(given)],
  "protect": [() => options, (given) => edgeward.protect(handler, given)],
  "express": [() => options, (given) => express(given)],
  "hono": [() => options, (given) => hono(given)],
  "withAuth0": [() => ({ auth0: { verifier } }), (given) => withAuth0(handler, given)],
  "withAuth0, auth0": [() => ({ verifier, required: true }), (auth0) => withAuth0(handler, { auth0 })],
  "createTokenSource": [() => ({ issuer: issuer.issuer, clientId: "c", clientSecret: "s" }), (given) => createTokenSource(given)],
  "verifierOptions": [() => ({ audience: "api" }), (given) => issuer.verifierOptions(given)],
  ...Object.fromEntries(["okta", "entra", "cognito", "keycloak", "google", "supabase", "clerk", "workos", "zitadel", "firebase", "cloudflareAccess", "githubActions"].map((name) => [
    name, [() => ({ domain: "a.example", clientId: "c", audience: "a" }), (given) => presets[name](given)],
  ])),
};

/** Returns the message of the error that a call throws or rejects with. */
async function messageOf(call) {
  try {
    await call();
  } catch (error) {
    return error.message;
  }
  return "passed";
}

describe("what is no plain object is refused, and named", () => {
  for (const [name, [members, read]] of Object.entries(readers)) {
    it(name, async () => {
      for (const [form, make] of Object.entries(hidden)) assert.match(await messageOf(() => read(make(members()))), /must be (a plain object|a string or an array of strings)/, form);
      for (const value of [null, 1, Symbol("x"), 1n]) assert.match(await messageOf(() => read(value)), /must be /, String(value));
    });
  }
});

describe("every plain object is read", () => {
  for (const [name, [members, read, expected = /^passed$/]] of Object.entries(readers)) {
    it(name, async () => {
      for (const [form, make] of Object.entries(plain)) {
        // Neither functions nor verifiers are JSON.
        if (/document|clone|realm/.test(form) && Object.values(members()).some((value) => value === verifier || value?.verifier === verifier)) continue;
        assert.match(await messageOf(() => read(make(members()))), expected, form);
      }
    });
  }

  it("and counts", async () => {
    for (const [form, make] of Object.entries(plain)) {
      await assert.rejects(verifier.verify(good, make({ scopes: ["admin"] })), { code: "insufficient_scope" }, form);
      await assert.rejects(verifier.verify(good, { claims: make({ sub: "another" }) }), { code: "claim_not_allowed" }, form);
    }
  });

  it("a module, too", async () => {
    const module = await import('data:text/javascript,export const scopes = ["admin"];');
    await assert.rejects(verifier.verify(good, module), { code: "insufficient_scope" });
  });
});

it("an array has as many items as its length says", async () => {
  class Empty extends Array {
    *[Symbol.iterator]() {}
  }
  await assert.rejects(verifier.verify(good, { scopes: Empty.of("admin") }), { code: "insufficient_scope" });
  await assert.rejects(verifier.verify(good, { claims: Empty.of({ claim: "sub", equals: "another" }) }), { code: "claim_not_allowed" });
  await assert.rejects(verifier.verify(good, { claims: [{ claim: "sub", any: Empty.of("another") }] }), { code: "claim_not_allowed" });
});

it("nothing comes from Object.prototype", async () => {
  // Made before: the platform's constructors read `Object.prototype`.
  const requests = new Map([undefined, "x.y.z", good].map((token) => [token, request(token)]));
  const verdicts = async () => {
    const codeOf = async (call) => {
      try {
        const result = await call();
        return result instanceof Response ? String(result.status) : "passed";
      } catch (error) {
        return error.code ?? error;
      }
    };
    const made = [() => edgeward.guard({ verifier }), () => edgeward.guard({ ...options }), () => edgeward.protect(handler, { verifier }), () => edgeward.protect(handler, { ...options })];
    const all = [];
    for (const make of made) for (const token of [undefined, "x.y.z", good]) all.push(await codeOf(() => make()(requests.get(token))));
    for (const token of ["x.y.z", good]) {
      all.push(await codeOf(() => edgeward.createVerifier({ ...options }).verify(token)), await codeOf(() => verifier.verify(token)), await codeOf(() => verifier.verify(token, {})));
    }
    for (const claims of [{ sub: "user-1" }, [{ claim: "sub", prefix: "us" }], [{ claim: "sub" }]]) all.push(await codeOf(() => verifier.verify(good, { claims })));
    for (const more of [{ audience: false }, { kind: "id" }, { dpop: "allowed" }, { issuer: "https://token.actions.githubusercontent.com", claims: { ref: "a" } }]) {
      all.push(await codeOf(() => edgeward.createVerifier({ ...options, ...more })));
    }
    for (const auth0 of [{ verifier, required: true }, { verifier, scopes: ["read"] }, { verifier }]) {
      for (const token of [undefined, good]) all.push(await codeOf(() => withAuth0(handler, { auth0 })(requests.get(token), {})));
    }
    all.push(await codeOf(() => withAuth0(handler, {})), await codeOf(() => presets.workos({ audience: "a" })), await codeOf(() => presets.okta({})));
    all.push(await codeOf(() => createTokenSource({ issuer: issuer.issuer, clientId: "c" })), await codeOf(() => createTokenSource({ clientId: "c", clientSecret: "s" })));
    // Express: what `onError` of the prototype would answer.
    for (const token of [undefined, good]) {
      all.push(await new Promise((resolve) => {
        const response = { setHeader() {}, end: () => resolve(String(response.statusCode)) };
        express({ verifier })({ headers: token === undefined ? {} : { authorization: `Bearer ${token}` }, method: "GET", url: "/" }, response, () => resolve("passed"));
      }));
    }
    const context = { req: { raw: requests.get(undefined) }, set() {} };
    all.push(await codeOf(() => hono({ verifier })(context, () => handler())));
    return all.map((one) => (one instanceof TypeError ? one.message : one)).join("\n");
  };
  const expected = await verdicts();
  const values = {
    required: false, onError: () => new Response("passed"), verifier, auth0: {}, domain: "evil.example", clientSecret: "s", tokenEndpoint: "https://evil.example/", rolesClaim: "sub",
    signal: { aborted: true }, waitUntil: 5, requirements: new Uint8Array(2), call: {}, accessToken: "x", equals: "user-1", prefix: "user-", not: "user-1", any: ["octo/app"], all: ["octo/app"], claim: "sub",
    kind: "id", dpop: "required", origins: ["https://evil.example"], clients: ["c"], clientId: "client", clockSkew: 60, now: () => 1, fetch: () => Response.json({}), timeout: 1, nonce: "n", profile: "auth0",
  };
  for (const name of new Set([...Object.keys(VERIFIER), ...Object.keys(values)])) {
    Object.prototype[name] = Object.hasOwn(values, name) ? values[name] : ["x"];
    let found;
    try {
      found = await verdicts();
    } finally {
      delete Object.prototype[name];
    }
    assert.equal(found, expected, name);
  }
});
