// The options of providers: what each issues passes, what is close to it does not, and the gateway's types have the same keys.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { createVerifier, initSync } from "../../pkg/src/entry/slim.js";
import { VERIFIER } from "../../pkg/src/options.js";
import * as presets from "../../pkg/src/providers.js";
import { root } from "./install.mjs";

initSync(readFileSync(join(root, "pkg/wasm/edgeward_bg.wasm")));

const { now, providers } = JSON.parse(readFileSync(join(root, "tests/providers/tokens.json"), "utf8"));
/** The gateway's table. */
const table = Object.fromEntries(
  [...readFileSync(join(root, "src/gateway/config/presets.rs"), "utf8").matchAll(/"(\w+)",\s*r#"(\{.*?\})"#/gs)].map(([, name, keys]) => [name, JSON.parse(keys)]),
);

/** The options with static keys, and the rights that the gateway's route requires. */
function options({ npm, options: given, jwks, role, claim, scope }) {
  const { jwksUri: _, ...made } = presets[npm](given);
  const keys = made.issuers === undefined ? { jwks } : { issuers: made.issuers.map(({ issuer }) => ({ issuer, jwks })) };
  return { ...made, ...keys, ...(role && { roles: { claim, all: role } }), ...(scope && { scopes: scope }), now: () => now };
}

for (const provider of providers) {
  it(`tokens of ${provider.type} pass, and near misses are refused`, () => {
    const verifier = createVerifier(options(provider));
    const verdict = (token) => {
      try {
        verifier.verifySync(token);
        return "passed";
      } catch (error) {
        return error.code;
      }
    };
    for (const [name, token] of provider.passes) assert.equal(verdict(token), "passed", name);
    assert.ok(provider.misses.length >= 10);
    for (const [name, code, token] of provider.misses) assert.equal(verdict(token), code, name);
  });
}

it("the gateway's types and the functions have the same keys", () => {
  assert.deepEqual(Object.keys(table), providers.map(({ type }) => type));
  assert.deepEqual(Object.keys(presets).sort(), providers.map(({ npm }) => npm).sort());
  for (const { type, npm, options: given, claim } of providers) {
    const { issuer, jwks_uri: jwksUri, audience, algorithms = ["RS256"], roles_claim: rolesClaim } = table[type];
    const fill = (url) => url?.replace("{domain}", given.domain).replace("{client_id}", given.clientId).replace("{audience}", given.audience);
    const made = presets[npm](given);
    assert.deepEqual(made.algorithms, algorithms, type);
    if (audience !== undefined) assert.deepEqual(made.audience, audience, type);
    if (claim !== undefined) assert.deepEqual(claim, rolesClaim, type);
    if (type === "google") {
      assert.deepEqual([made.kind, made.issuers[0].issuer], ["id", issuer]);
    } else {
      assert.deepEqual([made.issuer, made.jwksUri], [fill(issuer) ?? given.issuer, fill(jwksUri)], type);
    }
  }
});

it("given options take precedence, and nothing is changed", () => {
  const given = Object.freeze({ domain: "a.example", audience: "b", algorithms: ["PS256"], issuer: "https://a.example/oauth2/other" });
  assert.deepEqual(presets.okta(given), { algorithms: ["PS256"], audience: "b", issuer: "https://a.example/oauth2/other" });
  const jwks = { keys: [] };
  assert.deepEqual(presets.cloudflareAccess({ domain: "a.example", audience: "b", jwks }), { algorithms: ["RS256"], issuer: "https://a.example", audience: "b", jwks });
  presets.google({}).issuers[0].issuer = "https://evil.example";
  presets.google({}).issuers.pop();
  assert.deepEqual(presets.google({}).issuers.map(({ issuer }) => issuer), ["https://accounts.google.com", "accounts.google.com"]);
});

const OF_DOMAIN = ["okta", "supabase", "clerk", "zitadel", "cloudflareAccess"];

it("every option given to a preset is used in a URL, or reaches createVerifier", () => {
  const needed = { domain: "a.example", clientId: "client", audience: "project" };
  const values = { ...Object.fromEntries(Object.keys(VERIFIER).map((name) => [name, { of: name }])), ...needed };
  let count = 0;
  for (const [npm, preset] of Object.entries(presets)) {
    const isUsed = (made, given, name, value) =>
      made[name] === value ||
      (name === "domain" && OF_DOMAIN.includes(npm) && (Object.hasOwn(given, "issuer") || made.issuer.includes(`//${value}`))) ||
      // For each issuer of the preset.
      (name === "jwks" && npm === "google" && !Object.hasOwn(given, "issuers") && made.issuers.every(({ jwks, jwksUri }) => jwks === value && jwksUri === undefined));
    const { domain, ...others } = needed;
    const base = OF_DOMAIN.includes(npm) ? needed : others;
    for (const one of Object.keys(values)) {
      for (const other of Object.keys(values)) {
        const given = { ...base, [one]: values[one], [other]: values[other] };
        const made = preset(given);
        for (const [name, value] of Object.entries(given)) assert.ok(isUsed(made, given, name, value), `${npm}: ${one}, ${other}: ${name} is lost`);
        count += 1;
      }
    }
  }
  assert.ok(count > 10_000, `${count} calls`);
});

it("a domain is refused where no URL is made from it", () => {
  for (const npm of Object.keys(presets).filter((name) => !OF_DOMAIN.includes(name))) {
    assert.throws(() => createVerifier(presets[npm]({ domain: "a.example", clientId: "client", audience: "project" })), { code: "options_invalid", message: "domain is not an option" }, npm);
  }
});

it("keys that are given are used, or refused beside issuers", () => {
  const [{ jwks }] = providers;
  const pinned = presets.google({ clientId: "client", jwks });
  assert.deepEqual(pinned.issuers, ["https://accounts.google.com", "accounts.google.com"].map((issuer) => ({ issuer, jwks })));
  assert.equal(createVerifier(pinned).keys().every(({ loaded }) => loaded), true);
  const own = presets.google({ clientId: "client", jwks, issuers: [{ issuer: "https://accounts.google.com" }] });
  assert.throws(() => createVerifier(own), { code: "options_invalid", message: "jwks cannot be used beside issuers: move it into each of them" });
});

it("missing and wrong parts of an issuer are named", () => {
  for (const [call, message] of [
    [() => presets.okta(null), "okta: options must be a plain object"],
    [() => presets.okta(), "okta: domain is missing: the issuer or the URL of the keys is made from it"],
    [() => presets.okta({ domain: "https://a.example" }), "okta: domain must be a bare name, such as login.example.com"],
    [() => presets.clerk({ domain: "a.example/b" }), "clerk: domain must be a bare name, such as login.example.com"],
    [() => presets.cloudflareAccess({ domain: "a.example@b.example" }), "cloudflareAccess: domain must be a bare name, such as login.example.com"],
    [() => presets.workos({}), "workos: clientId is missing: the issuer or the URL of the keys is made from it"],
    [() => presets.workos({ clientId: "../client" }), "workos: clientId must be a bare name, such as client_01"],
    [() => presets.firebase({ audience: ["a"] }), "firebase: audience must be a bare name, such as my-project"],
  ]) assert.throws(call, { name: "TypeError", message });
});

it("what a provider needs besides is an error of the verifier", () => {
  for (const [made, message] of [
    [presets.entra({ audience: "a" }), 'tenants is missing: the ids of the tenants that the issuer may stand for, or "any"'],
    [presets.cognito({ issuer: "https://a.example" }), "audience is false: then clients must list the clients whose tokens are accepted"],
    [presets.clerk({ domain: "a.example" }), "audience is false: then clients must list the clients whose tokens are accepted"],
    [presets.cloudflareAccess({ domain: "a.example" }), "audience is missing"],
    [presets.google({}), 'issuers[0].clientId is missing: it is the audience of ID tokens (kind: "id")'],
  ]) assert.throws(() => createVerifier(made), { code: "options_invalid", message });
  assert.throws(() => createVerifier(presets.githubActions({ audience: "a" })), { code: "options_invalid", message: /^claims must have a rule that names a repository or its owner/ });
});
