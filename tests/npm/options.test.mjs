// The table of options: its messages, exactly, and its agreement with the core and the types.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { createVerifier, guard, initSync, protect } from "../../pkg/src/entry/slim.js";
import { VERIFIER, readVerifierOptions } from "../../pkg/src/options.js";
import { root } from "./install.mjs";

initSync(readFileSync(join(root, "pkg/wasm/edgeward_bg.wasm")));

const issuer = "https://tenant.example.com/";
const shared = { audience: "https://api.example.com", algorithms: ["RS256"] };
const base = { issuer, ...shared };
const { audience: _, ...id } = { ...base, kind: "id", clientId: "client" };

function messageOf(call) {
  try {
    call();
  } catch (error) {
    assert.equal(error.code, "options_invalid", error.stack);
    return error.message;
  }
  return undefined;
}

const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" });
const publicKey = pair.publicKey.export({ format: "jwk" });

const circular = {};
circular.keys = circular;

it("wrong options have these messages", () => {
  const cases = [
    [null, "options must be a plain object"],
    [[], "options must be a plain object"],
    [{}, "issuer is missing"],
    [{ issuer }, 'algorithms is missing: ["RS256"] is what most providers sign with'],
    [{ issuer, algorithms: "RS256" }, "audience is missing"],
    [{ ...id, clientId: undefined }, "clientId must be a string"],
    [{ issuer, algorithms: "RS256", kind: "id" }, 'clientId is missing: it is the audience of ID tokens (kind: "id")'],
    [{ ...base, issuer: 5 }, "issuer must be a string"],
    [{ ...base, issuer: "" }, "issuer must not be empty"],
    [{ ...base, issuer: "\ud800" }, "issuer must not contain lone surrogates"],
    [{ ...base, issuer: "http://a.example/" }, "issuer must be an https URL (http is allowed on loopback only)"],
    [{ ...base, jwksUri: "http://a.example/" }, "jwksUri must be an https URL (http is allowed on loopback only)"],
    [{ ...base, audience: undefined }, "audience must be a string or an array of strings"],
    [{ ...base, audience: [] }, "audience must not be empty"],
    [{ ...base, audience: ["a", ""] }, "audience[1] must not be empty"],
    [{ ...base, audience: ["a", , "b"] }, "audience[1] must be a string"],
    [{ ...base, algorithms: ["RS256", "HS256"] }, "algorithms[1] must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, Ed25519"],
    [{ ...base, kind: "refresh" }, "kind must be one of access, id"],
    [{ ...base, profile: "okta" }, "profile must be one of auto, auth0, rfc9068"],
    [{ ...base, clockSkew: 61 }, "clockSkew must be a whole number of seconds from 0 to 60"],
    [{ ...base, maxTokenAge: -1 }, "maxTokenAge must be a whole number of seconds from 0 to 4294967295"],
    [{ ...base, timeout: 0 }, "timeout must be a whole number of milliseconds from 1 to 30000"],
    [{ ...base, cacheSize: 0.5 }, "cacheSize must be a whole number of tokens from 0 to 65536"],
    [{ ...base, dpop: true }, "dpop must be a string"],
    [{ ...base, dpop: "on" }, "dpop must be one of off, allowed, required"],
    [{ ...base, dpop: "allowed" }, "origins is missing: the origins of your API, as clients see them, which proofs (dpop) must name"],
    [{ ...base, dpop: "allowed", origins: [] }, "origins must not be empty"],
    [{ ...base, dpop: "allowed", origins: "api.example.com" }, "origins must be an origin, such as https://api.example.com"],
    [{ ...base, dpop: "allowed", origins: ["https://a.example/api"] }, "origins[0] must be an origin, such as https://api.example.com"],
    [{ ...base, dpop: "allowed", origins: "ftp://a.example" }, "origins must be an origin, such as https://api.example.com"],
    [{ ...base, dpop: "allowed", origins: "https://a.example", replayStore: {} }, "replayStore must be an object with the function use"],
    [{ ...base, origins: "https://a.example" }, "origins has no effect: dpop is off"],
    [{ ...base, dpop: "off", replayStore: { use() {} } }, "replayStore has no effect: dpop is off"],
    [{ ...id, dpop: "off" }, "dpop is for access tokens"],
    [{ ...base, decryptionKeys: {} }, "decryptionKeys must be an array of objects"],
    [{ ...base, decryptionKeys: [] }, "decryptionKeys must not be empty"],
    [{ ...base, decryptionKeys: [privateKey] }, "decryptionKeys[0] must be a plain object"],
    [{ ...base, decryptionKeys: [{ kid: "a" }] }, "decryptionKeys[0].key is missing"],
    [{ ...base, decryptionKeys: [{ key: undefined }] }, "decryptionKeys[0].key is no private key: it must be PKCS#8 in PEM (BEGIN PRIVATE KEY) or a JWK"],
    [{ ...base, decryptionKeys: [{ key: circular }] }, "decryptionKeys[0].key must be plain JSON"],
    [{ ...base, decryptionKeys: [{ key: publicKey }] }, "decryptionKeys[0].key is a public key: the private one is needed here"],
    [{ ...base, decryptionKeys: [{ key: privateKey }, { key: { ...publicKey, d: "AQ", use: "sig" } }] }, "decryptionKeys[1].key is not for decryption by its use, key_ops or alg"],
    [{ ...base, decryptionKeys: [{ key: privateKey, kid: 1 }] }, "decryptionKeys[0].kid must be a string"],
    [{ ...base, decryptionKeys: [{ key: privateKey, alg: "RSA1_5" }] }, "decryptionKeys[0].alg must be one of RSA-OAEP-256, RSA-OAEP-384, RSA-OAEP-512, RSA-OAEP"],
    [{ ...base, decryptionKeys: [{ key: privateKey }, { key: privateKey, alg: "RSA-OAEP" }] }, "decryptionKeys[1].key has the same kid as another key"],
    [{ ...id, decryptionKeys: [{ key: privateKey }] }, "decryptionKeys is for access tokens"],
    [{ ...base, fetch: null }, "fetch must be a function"],
    [{ ...base, now: undefined }, "now must be a function"],
    [{ ...base, scopes: "a b" }, "scopes must be a single scope, without spaces"],
    [{ ...base, roles: "admin" }, "roles must be a plain object"],
    [{ ...base, roles: { any: ["a"] } }, "roles.claim is missing"],
    [{ ...base, roles: { claim: "a" } }, "roles must have all or any"],
    [{ ...base, roles: { claim: "a", any: [1] } }, "roles.any[0] must be a string"],
    [{ ...base, roles: { claim: [], any: ["a"] } }, "roles.claim must not be empty"],
    [{ ...base, scopes: {} }, "scopes must have all or any"],
    [{ ...base, scopes: { any: "a b" } }, "scopes.any must be a single scope, without spaces"],
    [{ ...base, permissions: { any: [] } }, "permissions.any must not be empty"],
    [{ ...base, permissions: { some: ["a"] } }, "permissions.some is not an option"],
    [{ ...base, claims: "a" }, "claims must be a plain object or an array of rules"],
    [{ ...base, claims: {} }, "claims must not be empty"],
    [{ ...base, claims: [] }, "claims must not be empty"],
    [{ ...base, claims: { acr: 1 } }, "claims.acr must be a plain object"],
    [{ ...base, claims: { acr: "" } }, "claims.acr.equals must not be empty"],
    [{ ...base, claims: { acr: {} } }, "claims.acr must have equals, any, all, not or prefix"],
    [{ ...base, claims: { acr: { claim: "a", any: "b" } } }, "claims.acr.claim is not an option"],
    [{ ...base, claims: { acr: { prefx: "a" } } }, "claims.acr.prefx is not an option; did you mean claims.acr.prefix?"],
    [{ ...base, claims: [{ any: ["a"] }] }, "claims[0].claim is missing"],
    [{ ...base, claims: [{ claim: ["a", 1], any: ["a"] }] }, "claims[0].claim[1] must be a string"],
    [{ ...base, tenants: "contoso.example" }, 'tenants must be "any" or the ids of tenants, GUIDs in lower case'],
    [{ ...base, tenants: ["any"] }, 'tenants must be "any" or the ids of tenants, GUIDs in lower case'],
    [{ ...base, tenants: [] }, "tenants must not be empty"],
    [{ ...base, tenants: "any" }, "tenants has no effect: no issuer has {tenantid} in it"],
    [{ ...base, issuer: "https://a.example/{tenantid}/" }, 'tenants is missing: the ids of the tenants that the issuer may stand for, or "any"'],
    [{ ...base, issuer: "https://{tenantid}.example/", tenants: "any" }, "issuer must be an https URL (http is allowed on loopback only)"],
    ...[
      undefined, { ref: "refs/heads/main" }, { actor: "octocat" }, { sub: { prefix: "repo:" } }, { repository_owner: { prefix: "octo" } },
      { repository: { not: "evil/app" } }, [{ claim: ["x", "repository"], equals: "octo/app" }], { job_workflow_ref: "octo/app/x.yml" },
      { sub: "environment:production" }, { sub: "job_workflow_ref:octo/shared/x.yml@v1" }, { sub: { prefix: "ref:refs/heads/" } },
    ].flatMap((claims) =>
      ["https://token.actions.githubusercontent.com", "https://token.actions.githubusercontent.com/enterprise", "https://gitlab.com"].map((name) => [
        { ...base, issuer: name, ...(claims && { claims }) },
        "claims must have a rule that names a repository or its owner (sub, repository, repository_owner, project_path, namespace_path, or their ids), or at Google an account (sub, email, hd, azp): anyone can request a token of this issuer for any audience",
      ])),
    [{ ...base, nonce: "n" }, 'nonce is for ID tokens (kind: "id")'],
    [{ ...id, profile: "auth0" }, "profile is for access tokens"],
    [{ ...base, trustedAudiences: ["c"] }, 'trustedAudiences is for ID tokens (kind: "id")'],
    [{ ...base, audience: false }, "audience is false: then clients must list the clients whose tokens are accepted"],
    [{ ...base, audience: false, clients: [] }, "clients must not be empty"],
    [{ ...base, audience: true, clients: ["c"] }, "audience must be a string or an array of strings"],
    [{ ...id, audience: false, clients: ["c"] }, "audience cannot be false for ID tokens: it lists further audiences to trust"],
    [{ algorithms: "RS256", issuers: [{ issuer, audience: false }] }, "issuers[0].audience is false: then clients must list the clients whose tokens are accepted"],
    [{ ...base, types: [] }, "types must not be empty"],
    [{ ...base, allowHttp: "http://a.example" }, "allowHttp must be a host, such as keys.internal or keys.internal:8080"],
    [{ ...base, jwksUri: "http://a.example:81/", allowHttp: "a.example:80" }, "jwksUri must be an https URL (http is allowed on loopback only)"],
    [{ ...base, jwks: { keys: [] }, jwksUri: "https://a.example/" }, "jwks and jwksUri exclude each other"],
    [{ ...base, jwks: undefined }, "jwks must be a JSON Web Key Set: an object with the array keys"],
    [{ ...base, jwks: circular }, "jwks must be plain JSON"],
    [{ ...base, jwks: { keys: [] } }, "jwks has no key that can verify a signature"],
    [{ ...base, jwks: { keys: [], more: "x".repeat(600_000) } }, "jwks is too large"],
    [{ ...base, issuers: [{ issuer }] }, "issuer cannot be used beside issuers: move it into each of them"],
    [{ ...shared, issuers: {} }, "issuers must be an array of objects"],
    [{ ...shared, issuers: [] }, "issuers must not be empty"],
    [{ ...shared, issuers: [{ issuer }, 1] }, "issuers[1] must be a plain object"],
    [{ ...shared, issuers: [{ issuer }, {}] }, "issuers[1].issuer is missing"],
    [{ ...shared, issuers: [{ issuer }, { issuer }] }, "issuers[1].issuer is a duplicate"],
    [{ algorithms: "RS256", issuers: [{ issuer }] }, "issuers[0].audience is missing"],
    [{ ...shared, issuers: [{ issuer }, { issuer: "http://a.example/" }] }, "issuers[1].issuer must be an https URL (http is allowed on loopback only)"],
    // Misspelt names.
    [{ ...base, audiance: "a" }, "audiance is not an option; did you mean audience?"],
    [{ ...base, aud: "a" }, "aud is not an option; did you mean audience?"],
    [{ ...base, clockTolerance: 5 }, "clockTolerance is not an option; did you mean clockSkew?"],
    [{ ...base, maxAge: 5 }, "maxAge is not an option; did you mean maxTokenAge?"],
    [{ ...base, jwksUrl: "https://a.example/" }, "jwksUrl is not an option; did you mean jwksUri?"],
    [{ ...base, ClockSkew: 5 }, "ClockSkew is not an option; did you mean clockSkew?"],
    [{ ...base, roles: { claim: "a", every: ["a"] } }, "roles.every is not an option"],
    [{ ...base, roles: { clam: "a", any: ["a"] } }, "roles.clam is not an option; did you mean roles.claim?"],
    [{ ...shared, issuers: [{ isuer: issuer }] }, "issuers[0].isuer is not an option; did you mean issuers[0].issuer?"],
    [{ ...base, foo: 1 }, "foo is not an option"],
    [{ ...base, constructor: 1 }, "constructor is not an option"],
    [JSON.parse(`{"__proto__":1}`), "__proto__ is not an option"],
  ];
  for (const [options, message] of cases) assert.equal(messageOf(() => createVerifier(options)), message);
});

it("further audiences, clients, types and hosts are options of both kinds where they apply", () => {
  for (const options of [
    { ...base, audience: false, clients: "c" },
    { ...base, types: "custom+jwt" },
    { ...base, issuer: "http://a.example/", allowHttp: ["a.example"] },
    { ...base, jwksUri: "http://a.example:80/", allowHttp: ["A.example:80"] },
    { ...id, clients: ["c"], trustedAudiences: ["d"], types: ["custom+jwt"] },
  ]) assert.equal(messageOf(() => createVerifier(options)), undefined);
});

it("wrong options of a call have these messages", () => {
  const access = createVerifier(base);
  const cases = [
    [null, "options must be a plain object"],
    [{ scope: "a" }, "scope is not an option; did you mean scopes?"],
    [{ audiences: "a" }, "audiences is not an option; did you mean audience?"],
    [{ roles: { claims: "a", any: ["a"] } }, "roles.claims is not an option; did you mean roles.claim?"],
    [{ issuer }, "issuer is not an option"],
    [{ nonce: "n" }, 'nonce is for ID tokens (kind: "id")'],
    [{ accessToken: "t" }, 'accessToken is for ID tokens (kind: "id")'],
    [{ signal: 1 }, "signal must be an AbortSignal"],
    [{ waitUntil: 1 }, "waitUntil must be a function"],
    [{ permissions: null }, "permissions must be a string or an array of strings"],
  ];
  for (const [options, message] of cases) assert.equal(messageOf(() => access.verifySync("a.b.c", options)), message);
  assert.throws(() => access.verifySync("a.b.c", { signal: undefined, waitUntil: undefined }), { code: "token_malformed" });
  assert.throws(() => createVerifier(id).verifySync("a.b.c", { nonce: "n", accessToken: "t" }), { code: "token_malformed" });
});

it("wrong options of a route have these messages", () => {
  const verifier = createVerifier(base);
  const cases = [
    [undefined, "options must be a plain object"],
    [{ verifer: verifier }, "verifer is not an option; did you mean verifier?"],
    [{ ...base, requird: false }, "requird is not an option; did you mean required?"],
    [{ verifier, scops: "a" }, "scops is not an option; did you mean scopes?"],
    [{ verifier, issuer }, "issuer is an option of createVerifier and cannot be used beside verifier"],
    [{ verifier: {} }, "verifier must be made by createVerifier"],
    [{ verifier: undefined }, "verifier must be made by createVerifier"],
    [{ verifier, required: "no" }, "required must be true or false"],
    [{ issuer }, 'algorithms is missing: ["RS256"] is what most providers sign with'],
  ];
  for (const [options, message] of cases) {
    assert.equal(messageOf(() => guard(options)), message);
    assert.equal(messageOf(() => protect(() => {}, options)), message);
  }
  assert.equal(messageOf(() => protect(undefined, { verifier })), "handler must be a function");
});

it("the core's messages name the issuer concerned", () => {
  const { policy } = readVerifierOptions({ ...shared, issuers: [{ issuer }, { issuer: "https://b.example/", jwks: {} }] });
  assert.deepEqual(JSON.parse(policy).issuers.map((one) => one.audience), [["https://api.example.com"], ["https://api.example.com"]]);
  const options = { ...shared, issuers: [{ issuer }, { issuer: "https://b.example/", jwks: {} }] };
  assert.equal(messageOf(() => createVerifier(options)), "issuers[1].jwks must be a JSON Web Key Set: an object with the array keys");
});

it("getters are read once, so that a value cannot change after it was checked", () => {
  let reads = 0;
  createVerifier({ ...base, get clockSkew() { return (reads += 1) === 1 ? 5 : 1e9; } });
  assert.equal(reads, 1);
});

it("every option of the table is parsed by the core or used by the package, and typed", () => {
  const core = readFileSync(join(root, "bindings/npm/src/options.rs"), "utf8");
  const types = readFileSync(join(root, "pkg/types/index.d.ts"), "utf8");
  const host = ["fetch", "now", "timeout", "origins", "replayStore"];
  for (const name of Object.keys(VERIFIER)) {
    assert.equal(core.includes(`"${name}"`), !host.includes(name), name);
    assert.match(types, new RegExp(`^  readonly ${name}\\??: `, "m"), name);
  }
});
