// Bearer tokens at the Worker: which pass, and the exact response to all others. Valid tokens come from a real provider with its live
// JWKS; tokens that no provider would issue are made by hand.

import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { after, beforeEach, describe, test } from "node:test";
import {
  assertBadRequest, assertForbidden, assertNothingLeaked, assertProblem, assertRefused, assertTokenMissing, authorizer,
  bearer, describing, proxy, read, respond, until,
} from "./support/gateway.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, clientFor, OTHER_AUDIENCE, ROLES_CLAIM, RSA_ALGS, startProvider } from "./support/provider.mjs";
import { base64url, generateKey, nowSeconds, publicJwk, startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const SEND_ACCESS_TOKEN = "Send the access token issued for this API, not the ID token.";
const SET_AUDIENCE = "Request the token with this API's audience; it is compared exactly, a trailing slash counts.";
const ALTERED = "The token was altered, or not copied as a whole.";
const NOT_A_JWT = "This is not a signed JWT. A provider issues opaque tokens when no API audience was requested.";
const FOR_THE_PROVIDER = "This token is encrypted. A provider issues tokens for itself when no API audience was requested.";
const REFRESH = "Refresh the token or log in again.";
const CLIENT = "edgeward-web";

const [origin, provider, issuer] = await Promise.all([startOrigin(), startProvider(), startIssuer()]);
const auth0 = await startProvider({ dialect: "auth0" });

const paths = [
  proxy("/api/{*rest}", origin, { headers: { "X-User-Id": "$claims.sub" } }),
  proxy("/optional", origin, { auth: "optional", headers: { "X-User-Id": "$claims.sub" } }),
  proxy("/public", origin, { auth: "none" }),
  proxy("/scoped", origin, { scopes: ["read:items", "admin:read"] }),
  proxy("/permitted", origin, { permissions: ["write:items"] }),
  proxy("/editors", origin, { roles: ["editor"] }),
  proxy("/of-org-1", origin, { organizations: ["org_1", "acme"] }),
  proxy("/for-both", origin, { audience: [AUDIENCE, OTHER_AUDIENCE] }),
  proxy("/everything", origin, {
    scopes: ["read:items"], permissions: ["read:items"], roles: ["editor"], organizations: ["org_1"],
  }),
  proxy("/members", origin, { scopes: ["admin:read"], on_forbidden: "/unauthorized" }),
  respond("/unauthorized", { status: 403, body: "This page is for members." }),
];
const configuration = (from, changes) => ({
  authorizer: authorizer(from, { roles_claim: ROLES_CLAIM, client_id: CLIENT, ...changes }),
  paths,
});

const real = await startWorker({ config: configuration(provider) });
const made = await startWorker({ config: configuration(issuer) });
/** Its configuration changes from test to test. */
const other = await startWorker({ config: configuration(issuer) });

const workers = [real, made, other];
/** All tokens that were sent and all answers that came, for the last test. */
const sent = new Set();
const answers = [];
const logs = [];

after(() => Promise.all([...workers, origin, provider, auth0, issuer].map((part) => part.stop())));
beforeEach(() => origin.reset());

async function call(worker, path, token, init = {}) {
  if (token !== undefined) sent.add(token);
  const answer = await read(worker.fetch(path, { ...init, headers: { ...(token !== undefined && bearer(token)), ...init.headers } }));
  answers.push(answer.text, answer.header("www-authenticate") ?? "");
  return answer;
}

/** A request that must pass: the origin is reached and told this subject. */
async function assertPasses(worker, token, { path = "/api/items", sub } = {}) {
  const answer = await call(worker, path, token);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(origin.last.url, path);
  if (sub !== undefined) assert.equal(origin.last.headers["x-user-id"], sub);
  return answer;
}

const assertOriginUntouched = () => assert.deepEqual(origin.requests.map(({ url }) => url), []);

async function reconfigure(from, changes) {
  logs.push(await other.written());
  await other.restart({ config: configuration(from, changes) });
}

describe("tokens of a real provider", () => {
  test("without a token the answer is 401 with a challenge that has no error", async () => {
    await assertTokenMissing(call(real, "/api/items"));
    await assertTokenMissing(call(real, "/scoped", undefined, { method: "POST", body: "{}" }));
    assertOriginUntouched();
  });

  test("an RS256 access token passes and its subject reaches the origin", async () => {
    await assertPasses(real, await provider.tokenFor({ scope: "read:items" }), { sub: "edgeward-service" });
  });

  test("the access token of a login passes with the user as its subject", async () => {
    const { access_token } = await provider.login({ account: "alice", audience: AUDIENCE, scope: "openid read:items" });
    await assertPasses(real, access_token, { sub: "alice" });
  });

  test("the scheme is compared without regard to case", async () => {
    const token = await provider.tokenFor();
    for (const scheme of ["bearer", "BEARER", "bEaReR"]) {
      const answer = await call(real, "/api/items", undefined, { headers: { authorization: `${scheme} ${token}` } });
      assert.equal(answer.status, 200, scheme);
    }
  });

  test("a PS256 token is refused where only RS256 is allowed", async () => {
    const { body } = await assertRefused(call(real, "/api/items", await provider.tokenFor({ alg: "PS256" })), "alg_not_allowed");
    assert.equal(body.detail, "Algorithm PS256 is not one of the accepted algorithms: RS256.");
    assertOriginUntouched();
  });

  test("every RSA algorithm passes where it is allowed", async () => {
    await reconfigure(provider, { algorithms: RSA_ALGS });
    // All first: the provider makes a key when it is first used.
    const tokens = await Promise.all(RSA_ALGS.map((alg) => provider.tokenFor({ alg })));
    for (const [index, alg] of RSA_ALGS.entries()) await assertPasses(other, tokens[index], { sub: clientFor(alg) });
  });

  test("a token for another audience is refused with the hint that a slash counts", async () => {
    await assertRefused(
      call(real, "/api/items", await provider.tokenFor({ audience: OTHER_AUDIENCE })), "audience_mismatch",
      { hint: SET_AUDIENCE },
    );
    assertOriginUntouched();
  });

  test("an ID token is refused with the hint to send the access token", async () => {
    const { id_token } = await provider.login({ account: "alice", clientId: CLIENT });
    await assertRefused(call(real, "/api/items", id_token), "audience_mismatch", { hint: SEND_ACCESS_TOKEN });
    await assertRefused(call(real, "/optional", id_token), "audience_mismatch", { hint: SEND_ACCESS_TOKEN });
    assertOriginUntouched();
  });

  test("an opaque access token is refused with the hint that the audience was missing", async () => {
    const { access_token } = await provider.login({ account: "alice" });
    assert.ok(!access_token.includes("."));
    await assertRefused(call(real, "/api/items", access_token), "token_malformed", { hint: NOT_A_JWT });
  });

  test("a token of another provider is refused", async () => {
    await assertRefused(call(real, "/api/items", await auth0.tokenFor()), "key_not_found");
    assertOriginUntouched();
  });

  test("a missing scope is 403 and names all scopes that were demanded", async () => {
    for (const scope of [undefined, "read:items", "admin:read", "write:items"]) {
      await assertForbidden(call(real, "/scoped", await provider.tokenFor({ scope })), "insufficient_scope", {
        required: "read:items admin:read", scope: "read:items admin:read",
      });
    }
    assertOriginUntouched();
    await assertPasses(real, await provider.tokenFor({ scope: "admin:read write:items read:items" }), { path: "/scoped" });
  });

  test("permissions, roles and organizations of a real user decide", async () => {
    const token = async (account) => (await provider.login({ account, audience: AUDIENCE, scope: "openid read:items" })).access_token;
    const [alice, bob] = [await token("alice"), await token("bob")];
    for (const path of ["/permitted", "/editors", "/of-org-1", "/everything"]) await assertPasses(real, alice, { path });
    origin.reset();
    await assertForbidden(call(real, "/permitted", bob), "insufficient_permissions", { required: "write:items" });
    await assertForbidden(call(real, "/editors", bob), "insufficient_role", { required: "editor" });
    await assertForbidden(call(real, "/of-org-1", bob), "organization_not_allowed", { required: "org_1 acme" });
    assertOriginUntouched();
  });

  test("Auth0's own form of access tokens passes, for machines and for users", async () => {
    await reconfigure(auth0, { type: "auth0", issuer: undefined, domain: auth0.domain });
    await assertPasses(other, await auth0.tokenFor({ scope: "read:items" }), { sub: "edgeward-service@clients" });
    const { access_token } = await auth0.login({ account: "alice", audience: AUDIENCE, scope: "openid profile read:items" });
    await assertPasses(other, access_token, { sub: "alice", path: "/optional" });
    await assertPasses(other, access_token, { path: "/permitted" });
  });

  const profiles = [
    ["auto", { rfc9068: "passes", auth0: "passes" }],
    ["rfc9068", { rfc9068: "passes", auth0: "typ_not_allowed" }],
    ["auth0", { rfc9068: "typ_not_allowed", auth0: "passes" }],
  ];
  for (const [profile, verdicts] of profiles) {
    test(`token_profile ${profile}: of RFC 9068 ${verdicts.rfc9068}, of Auth0 ${verdicts.auth0}`, async () => {
      for (const [dialect, from, settings] of [
        ["rfc9068", provider, {}],
        ["auth0", auth0, { type: "auth0", issuer: undefined, domain: auth0.domain }],
      ]) {
        await reconfigure(from, { ...settings, token_profile: profile });
        const token = await from.tokenFor({ scope: "read:items" });
        if (verdicts[dialect] === "passes") await assertPasses(other, token);
        else await assertRefused(call(other, "/api/items", token), verdicts[dialect]);
      }
    });
  }

  test("clients: only the listed ones pass, by client_id or azp", async () => {
    await reconfigure(provider, { clients: ["edgeward-service", "another"], algorithms: ["RS256", "PS256"] });
    await assertPasses(other, await provider.tokenFor());
    await assertProblem(call(other, "/api/items", await provider.tokenFor({ alg: "PS256" })), {
      status: 403, code: "client_not_allowed", error: "insufficient_scope", challenge: describing("insufficient_scope"),
    });
    await reconfigure(auth0, { type: "auth0", issuer: undefined, domain: auth0.domain, clients: ["edgeward-service"] });
    await assertPasses(other, await auth0.tokenFor());
  });

  test("organizations: only members of one of them pass, on every route", async () => {
    await reconfigure(provider, { organizations: ["org_1", "org_9"] });
    const token = async (account) => (await provider.login({ account, audience: AUDIENCE, scope: "openid read:items" })).access_token;
    await assertPasses(other, await token("alice"), { sub: "alice" });
    await assertForbidden(call(other, "/api/items", await token("bob")), "organization_not_allowed", { required: "org_1 org_9" });
    await assertForbidden(call(other, "/api/items", await provider.tokenFor()), "organization_not_allowed", { required: "org_1 org_9" });
  });
});

describe("where the token stands", () => {
  test("two Authorization headers are 400, whatever they hold", async () => {
    const [good, bad] = [await provider.tokenFor(), "x.y.z"];
    sent.add(good);
    for (const pair of [
      [`Bearer ${good}`, `Bearer ${good}`], [`Bearer ${good}`, `Bearer ${bad}`], ["Basic eDp5", `Bearer ${good}`],
      [`Bearer ${good}`, "Basic eDp5"],
    ]) {
      const headers = pair.map((value, index) => [index ? "authorization" : "Authorization", value]);
      await assertBadRequest(real.request({ target: "/api/items", headers }));
      await assertBadRequest(real.request({ target: "/optional", headers }));
    }
    assertOriginUntouched();
  });

  test("a token in the query is 400, also beside a good header and however it is written", async () => {
    const token = await provider.tokenFor();
    for (const query of [
      `access_token=${token}`, `a=b&access_token=${token}`, `%61ccess%5Ftoken=${token}`, "access_token", "access_token=",
    ]) {
      await assertBadRequest(call(real, `/api/items?${query}`));
      await assertBadRequest(call(real, `/optional?${query}`));
      await assertBadRequest(call(real, `/api/items?${query}`, token));
    }
    assertOriginUntouched();
  });

  test("a token in the body is not looked at", async () => {
    const body = new URLSearchParams({ access_token: await provider.tokenFor() });
    await assertTokenMissing(call(real, "/api/items", undefined, { method: "POST", body }));
  });

  test("a token in a cookie is not looked at", async () => {
    const token = await provider.tokenFor();
    for (const name of ["access_token", "Authorization", "__Host-edgeward"]) {
      await assertTokenMissing(call(real, "/api/items", undefined, { headers: { cookie: `${name}=${token}` } }));
    }
  });

  for (const value of ["Basic dXNlcjpwYXNz", "DPoP abc", "Digest username=\"a\"", "Bearerish abc", "Negotiate abc"]) {
    test(`another scheme is no token: ${value}`, async () => {
      await assertTokenMissing(call(real, "/api/items", undefined, { headers: { authorization: value } }));
    });
  }

  for (const value of [
    "Bearer", "Bearer ", "Bearer  a.b.c d", "Bearer a.b.c d", "Bearer\ta.b.c", "Bearer a.b.c,d", "Bearer \"a.b.c\"",
    "Bearer a.b.c\xe9", "Bearer =",
  ]) {
    test(`a header that says Bearer but is not one token is 400: ${JSON.stringify(value)}`, async () => {
      const request = { target: "/api/items", headers: [["Authorization", value]] };
      await assertBadRequest(real.request(request));
      await assertBadRequest(real.request({ ...request, target: "/optional" }));
      assertOriginUntouched();
    });
  }

  test("optional authentication: without a token, with a valid one, and with a forged one", async () => {
    const anonymous = await call(real, "/optional");
    assert.equal(anonymous.status, 200);
    assert.equal(origin.last.headers["x-user-id"], undefined);
    await assertPasses(real, await provider.tokenFor(), { path: "/optional", sub: "edgeward-service" });
    origin.reset();
    const forged = (await provider.tokenFor()).replace(/\.[^.]+$/, `.${base64url(Buffer.alloc(256, 1))}`);
    await assertRefused(call(real, "/optional", forged), "signature_invalid");
    assertOriginUntouched();
    const basic = await call(real, "/optional", undefined, { headers: { authorization: "Basic eDp5" } });
    assert.equal(basic.status, 200);
    assert.equal(origin.last.headers["x-user-id"], undefined);
  });

  test("a public route does not look at tokens", async () => {
    for (const headers of [{}, { authorization: "Bearer x.y.z" }, { authorization: "Bearer" }]) {
      assert.equal((await call(real, "/public", undefined, { headers })).status, 200);
    }
    assert.equal((await call(real, "/public?access_token=x")).status, 200);
  });

  test("on_forbidden sends who lacks the right to a page, and who is unknown gets 401 all the same", async () => {
    const answer = await call(real, "/members", await provider.tokenFor({ scope: "read:items" }));
    assert.equal(answer.status, 302);
    assert.equal(answer.header("location"), "/unauthorized");
    assert.equal(answer.header("cache-control"), "private, no-store");
    assert.equal(answer.text, "");
    await assertTokenMissing(call(real, "/members"));
    assertOriginUntouched();
    await assertPasses(real, await provider.tokenFor({ scope: "admin:read" }), { path: "/members" });
    const page = await call(real, "/unauthorized");
    assert.deepEqual([page.status, page.text], [403, "This page is for members."]);
  });
});

describe("tokens that no provider would issue", async () => {
  const now = nowSeconds();
  const key = issuer.keys.values().next().value;
  const stranger = await generateKey();
  const publicKey = createPublicKey(key.key);
  const exported = (format, type) => publicKey.export({ format, type });
  const nested = (depth) => `{"a":`.repeat(depth) + "1" + "}".repeat(depth);
  const claims = (changes) => issuer.claims(changes);
  const withRaw = (name, literal) => JSON.stringify(claims({ [name]: "@" })).replace('"@"', literal);
  const header = (more) => `{"alg":"RS256","typ":"at+jwt","kid":"${key.kid}"${more}}`;
  const parts = (token = issuer.token()) => token.split(".");

  const hmacKeys = {
    "the PEM of the public key": exported("pem", "spki"),
    "the PEM without its last line break": exported("pem", "spki").trimEnd(),
    "the PKCS#1 PEM": exported("pem", "pkcs1"),
    "the DER": exported("der", "spki"),
    "the PKCS#1 DER": exported("der", "pkcs1"),
    "the JWK as JSON": JSON.stringify(key.jwk),
    "the JWKS as JSON": JSON.stringify({ keys: [key.jwk] }),
    "the modulus as text": key.jwk.n,
    "the modulus as bytes": Buffer.from(key.jwk.n, "base64url"),
    "the key id": key.kid,
    "nothing": "",
  };

  const refusals = [
    // form
    ["one word", () => "opaque", "token_malformed"],
    ["two parts", () => parts().slice(0, 2).join("."), "token_malformed"],
    ["four parts", () => `${issuer.token()}.AAAA`, "token_malformed"],
    ["five parts, as encrypted ones have", () => `${issuer.token()}.AAAA.AAAA`, "token_encrypted"],
    ["sixteen thousand dots", () => ".".repeat(16_000), "token_malformed"],
    ["an empty header", () => `.${parts().slice(1).join(".")}`, "token_malformed"],
    ["an empty payload", () => `${parts()[0]}..${parts()[2]}`, "signature_invalid"],
    ["no signature", () => `${parts().slice(0, 2).join(".")}.`, "signature_invalid"],
    ["a padded signature", () => `${issuer.token()}==`, "token_malformed"],
    ["base64 instead of base64url", () => `${parts()[0]}.${parts()[1]}.ab+/`, "token_malformed"],
    ["unused bits in its signature", () => `${parts().slice(0, 2).join(".")}.AB`, "token_malformed"],
    ["a header that is not JSON", () => issuer.token({ rawHeader: "alg" }), "token_malformed"],
    ["a header that is an array", () => issuer.token({ rawHeader: '["RS256"]' }), "token_malformed"],
    ["a header with a byte order mark", () => issuer.token({ rawHeader: `\ufeff${header("")}` }), "token_malformed"],
    ["a header that is not UTF-8", () => issuer.token({ rawHeader: Buffer.from(header(',"x":"\xff"'), "latin1") }), "token_malformed"],
    ["alg twice", () => issuer.token({ rawHeader: header(',"alg":"RS256"') }), "token_malformed"],
    ["alg twice, once escaped", () => issuer.token({ rawHeader: header(',"\\u0061lg":"none"') }), "token_malformed"],
    ["a header deeper than 16", () => issuer.token({ rawHeader: header(`,"x":${nested(16)}`) }), "token_malformed"],
    ["a header longer than 4 KiB", () => issuer.token({ rawHeader: header(`,"x":"${"x".repeat(4096)}"`) }), "token_malformed"],
    ["a kid longer than 256 bytes", () => issuer.token({ header: { kid: "k".repeat(257) } }), "token_malformed"],
    ["a kid that is a number", () => issuer.token({ header: { kid: 1 } }), "token_malformed"],
    ["no alg", () => issuer.token({ header: { alg: undefined }, signWith: "RS256" }), "token_malformed"],
    ["alg as a list", () => issuer.token({ header: { alg: ["RS256"] }, signWith: "RS256" }), "token_malformed"],
    ["a payload that is an array", () => issuer.token({ rawPayload: "[]" }), "token_malformed"],
    ["sub twice", () => issuer.token({ rawPayload: JSON.stringify(claims()).replace("{", '{"sub":"admin",') }), "token_malformed"],
    ["claims deeper than 64", () => issuer.token({ rawPayload: withRaw("x", nested(64)) }), "token_malformed"],
    ["NaN as exp", () => issuer.token({ rawPayload: withRaw("exp", "NaN") }), "token_malformed"],
    // algorithm
    ...["none", "None", "NONE", "nOnE"].map((alg) => [
      `alg ${alg} and no signature`, () => issuer.token({ header: { alg }, signWith: "none" }), "alg_not_allowed",
    ]),
    ["alg none and a true RS256 signature", () => issuer.token({ header: { alg: "none" }, signWith: "RS256" }), "alg_not_allowed"],
    ["alg rs256 in lower case", () => issuer.token({ header: { alg: "rs256" }, signWith: "RS256" }), "alg_not_allowed"],
    ["alg RS1", () => issuer.token({ header: { alg: "RS1" }, signWith: "RS256" }), "alg_not_allowed"],
    ["alg RS512, which is not in the list", () => issuer.token({ header: { alg: "RS512" }, signWith: "RS512" }), "alg_not_allowed"],
    ["alg PS256, which is not in the list", () => issuer.token({ header: { alg: "PS256" }, signWith: "PS256" }), "alg_not_allowed"],
    ["alg RS256 over a PS256 signature", () => issuer.token({ signWith: "PS256" }), "signature_invalid"],
    ...Object.entries(hmacKeys).map(([name, secret]) => [
      `HS256 keyed with ${name}`, () => issuer.token({ alg: "HS256", header: { alg: "HS256" }, key: secret }), "alg_not_allowed",
    ]),
    // signature and key
    ["another key's signature", () => issuer.token({ key: stranger }), "signature_invalid"],
    ["one changed bit", () => issuer.token({ signature: Buffer.alloc(256) }), "signature_invalid"],
    ["a signature of zero bytes", () => issuer.token({ signature: Buffer.alloc(0) }), "signature_invalid"],
    ["a signature of 8 KiB", () => issuer.token({ signature: Buffer.alloc(8192, 1) }), "signature_invalid"],
    [
      "changed claims under a true signature",
      () => [parts()[0], base64url(JSON.stringify(claims({ sub: "admin" }))), parts()[2]].join("."), "signature_invalid",
    ],
    ["its own key in the header (jwk)", () => issuer.token({ key: stranger, header: { jwk: publicJwk(stranger) } }), "signature_invalid"],
    ["its own key by address (jku)", () => issuer.token({ key: stranger, header: { jku: `${origin.url}/jwks` } }), "signature_invalid"],
    [
      "its own certificate by address (x5u)", () => issuer.token({ key: stranger, header: { x5u: `${origin.url}/cert` } }),
      "signature_invalid",
    ],
    ["its own certificate (x5c)", () => issuer.token({ key: stranger, header: { x5c: ["MIIB"] } }), "signature_invalid"],
    [
      "an unknown kid and its own key", () => issuer.token({ key: stranger, header: { kid: "mine", jwk: publicJwk(stranger) } }),
      "key_not_found",
    ],
    ["crit", () => issuer.token({ header: { crit: ["exp"], exp: now } }), "crit_not_supported"],
    ["an empty crit", () => issuer.token({ header: { crit: [] } }), "crit_not_supported"],
    ["b64 false", () => issuer.token({ header: { b64: false } }), "b64_not_supported"],
    // claims
    ["another issuer", () => issuer.token({ claims: { iss: "https://elsewhere.example" } }), "issuer_mismatch"],
    ["the issuer with a slash", () => issuer.token({ claims: { iss: `${issuer.issuer}/` } }), "issuer_mismatch"],
    ["the issuer in a list", () => issuer.token({ claims: { iss: [issuer.issuer] } }), "claim_malformed"],
    ["no issuer", () => issuer.token({ claims: { iss: undefined } }), "claim_missing"],
    ["the audience with a slash", () => issuer.token({ claims: { aud: `${AUDIENCE}/` } }), "audience_mismatch", SET_AUDIENCE],
    [
      "the audience without its last letter", () => issuer.token({ claims: { aud: AUDIENCE.slice(0, -1) } }), "audience_mismatch",
      SET_AUDIENCE,
    ],
    ["an audience list without this API", () => issuer.token({ claims: { aud: [OTHER_AUDIENCE] } }), "audience_mismatch", SET_AUDIENCE],
    ["an empty audience list", () => issuer.token({ claims: { aud: [] } }), "audience_mismatch", SET_AUDIENCE],
    ["a number as audience", () => issuer.token({ claims: { aud: 1 } }), "claim_malformed"],
    ["no audience", () => issuer.token({ claims: { aud: undefined } }), "claim_missing"],
    [
      "the login client as audience", () => issuer.token({ claims: { aud: CLIENT }, header: { typ: "JWT" } }),
      "audience_mismatch", SET_AUDIENCE,
    ],
    [
      "a nonce and no scope, as ID tokens have",
      () => issuer.token({ claims: { nonce: "n", scope: undefined }, header: { typ: "JWT" } }), "token_kind_mismatch", SEND_ACCESS_TOKEN,
    ],
    ["exp an hour ago", () => issuer.token({ claims: { exp: now - 3600 } }), "token_expired", REFRESH],
    ["exp as text", () => issuer.token({ claims: { exp: String(now + 600) } }), "claim_malformed"],
    ["exp in a list", () => issuer.token({ claims: { exp: [now + 600] } }), "claim_malformed"],
    ["exp null", () => issuer.token({ claims: { exp: null } }), "claim_malformed"],
    ["exp 1e400", () => issuer.token({ rawPayload: withRaw("exp", "1e400") }), "token_malformed"],
    ["exp beyond the year 9999", () => issuer.token({ rawPayload: withRaw("exp", "253402300800") }), "claim_malformed"],
    ["exp 2^64", () => issuer.token({ rawPayload: withRaw("exp", "18446744073709551616") }), "claim_malformed"],
    ["a negative exp", () => issuer.token({ rawPayload: withRaw("exp", "-1") }), "claim_malformed"],
    ["no exp", () => issuer.token({ claims: { exp: undefined } }), "claim_missing"],
    ["nbf in an hour", () => issuer.token({ claims: { nbf: now + 3600 } }), "token_not_yet_valid"],
    ["nbf as text", () => issuer.token({ claims: { nbf: String(now - 60) } }), "claim_malformed"],
    ["nbf true", () => issuer.token({ claims: { nbf: true } }), "claim_malformed"],
    ["iat in an hour", () => issuer.token({ claims: { iat: now + 3600 } }), "token_issued_in_future"],
    ["a binding to a certificate (cnf)", () => issuer.token({ claims: { cnf: { "x5t#S256": "x" } } }), "token_sender_constrained"],
    ["the mark of an ID token", () => issuer.token({ claims: { token_use: "id" }, header: { typ: "JWT" } }), "token_kind_mismatch", SEND_ACCESS_TOKEN],
    [
      "events, as logout tokens have", () => issuer.token({ claims: { events: {} } }), "token_kind_mismatch",
      "Send the access token issued for this API.",
    ],
    ["typ logout+jwt", () => issuer.token({ header: { typ: "logout+jwt" } }), "typ_not_allowed"],
    ["typ dpop+jwt", () => issuer.token({ header: { typ: "dpop+jwt" } }), "typ_not_allowed"],
  ];
  for (const [what, make, code, hint] of refusals) {
    test(`a token with ${what} is refused: ${code}`, async () => {
      const token = make();
      // An opaque token does not have three parts.
      const malformed = token.split(".").length === 3 ? ALTERED : NOT_A_JWT;
      const hinted = { token_malformed: malformed, token_encrypted: FOR_THE_PROVIDER }[code] ?? hint;
      await assertRefused(call(made, "/api/items", token), code, { hint: hinted });
      assertOriginUntouched();
    });
  }

  test("a good token passes between all of them", () => assertPasses(made, issuer.token(), { sub: "user-1" }));

  const accepted = [
    ["no typ", { header: { typ: undefined } }],
    ["typ JWT in another case", { header: { typ: "jwt" } }],
    ["typ application/at+jwt", { header: { typ: "application/at+jwt" } }],
    ["unknown header members, numbers among them", { header: { x: 1, "https://example.com/y": [{}] } }],
    ["an audience list with this API in it", { claims: { aud: [OTHER_AUDIENCE, AUDIENCE] } }],
    ["exp in the last second of the year 9999", { claims: { exp: 253402300799 } }],
    ["fractions of a second", { claims: { exp: now + 600.5, iat: now - 0.25 } }],
  ];
  for (const [what, wish] of accepted) {
    test(`a token with ${what} passes`, () => assertPasses(made, issuer.token(wish), { sub: "user-1" }));
  }

  test("a token of 16 KiB passes and one byte more is refused", async () => {
    const sized = (bytes) => {
      const bare = issuer.token({ claims: { pad: "" }, header: { h: "" } }).length;
      for (let h = 0; h < 4; h += 1) {
        const about = Math.floor(((bytes - bare) * 3) / 4);
        for (let pad = about - 8; pad <= about + 4; pad += 1) {
          const token = issuer.token({ claims: { pad: "x".repeat(pad) }, header: { h: "x".repeat(h) }, signature: Buffer.alloc(256) });
          if (token.length === bytes) return issuer.token({ claims: { pad: "x".repeat(pad) }, header: { h: "x".repeat(h) } });
        }
      }
      throw new Error(`no token of ${bytes} bytes`);
    };
    await assertPasses(made, sized(16_384), { sub: "user-1" });
    const { body } = await assertRefused(call(made, "/api/items", sized(16_385)), "token_too_large");
    assert.equal(body.detail, "Token of 16385 bytes is too large.");
  });

  test("a token without the claims that permissions and roles stand in is told so", async () => {
    const token = issuer.token();
    const permission = await assertForbidden(call(made, "/permitted", token), "permissions_claim_missing", { required: "write:items" });
    assert.match(permission.body.detail, /Add Permissions in the Access Token/);
    await assertForbidden(call(made, "/editors", token), "roles_claim_missing", { required: "editor" });
    await assertForbidden(call(made, "/of-org-1", token), "organization_not_allowed", { required: "org_1 acme" });
  });

  test("a scope is a whole word, a permission and a role a whole entry", async () => {
    for (const scope of ["read:items admin:reader", "read:items,admin:read", "xread:items admin:read"]) {
      await assertForbidden(call(made, "/scoped", issuer.token({ claims: { scope } })), "insufficient_scope", {
        required: "read:items admin:read", scope: "read:items admin:read",
      });
    }
    for (const permissions of [[], ["write:items:all"], ["write", "items"]]) {
      await assertForbidden(
        call(made, "/permitted", issuer.token({ claims: { permissions } })), "insufficient_permissions",
        { required: "write:items" },
      );
    }
    for (const roles of [[], ["Editor"], "editors", 1]) {
      await assertForbidden(
        call(made, "/editors", issuer.token({ claims: { [ROLES_CLAIM]: roles } })), "insufficient_role", { required: "editor" },
      );
    }
    await assertPasses(made, issuer.token({ claims: { [ROLES_CLAIM]: "editor" } }), { path: "/editors" });
  });

  test("organizations are compared by id, names without regard to case", async () => {
    await assertPasses(made, issuer.token({ claims: { org_id: "org_9", org_name: "Acme" } }), { path: "/of-org-1" });
    for (const claims of [{ org_id: "ORG_1" }, { org_name: "org_1" }, { org_id: "acme" }]) {
      await assertForbidden(call(made, "/of-org-1", issuer.token({ claims })), "organization_not_allowed", { required: "org_1 acme" });
    }
  });

  test("a route's own audiences are all demanded", async () => {
    const required = `${AUDIENCE} ${OTHER_AUDIENCE}`;
    await assertForbidden(call(made, "/for-both", issuer.token()), "audience_not_allowed", { required });
    await assertPasses(made, issuer.token({ claims: { aud: [AUDIENCE, OTHER_AUDIENCE] } }), { path: "/for-both" });
  });

  test("what one route granted is not remembered for another", async () => {
    const token = issuer.token({ claims: { scope: "read:items" } });
    await assertPasses(made, token);
    await assertForbidden(
      call(made, "/scoped", token), "insufficient_scope", { required: "read:items admin:read", scope: "read:items admin:read" },
    );
    await assertForbidden(call(made, "/permitted", token), "permissions_claim_missing", { required: "write:items" });
    await assertPasses(made, token);
  });

  test("a verified token that expires is refused from that second on, although it is remembered", async () => {
    // The clock skew of 5 s is still tolerated; the rest is waited for.
    const exp = nowSeconds() - 3;
    const token = issuer.token({ claims: { exp } });
    await assertPasses(made, token);
    const refused = await until(async () => {
      const before = nowSeconds();
      const answer = await call(made, "/api/items", token);
      if (answer.status === 200) assert.ok(before < exp + 5, "it passed after it had expired");
      return answer.status !== 200 && answer;
    });
    const { body } = await assertRefused(refused, "token_expired", { hint: REFRESH });
    assert.match(body.detail, new RegExp(`^Token expired at ${exp}, it is ${exp + 5}`));
  });

  test("clock_skew_s is the tolerance, on both ends", async () => {
    await reconfigure(issuer, { clock_skew_s: 60 });
    const seconds = nowSeconds();
    await assertPasses(other, issuer.token({ claims: { exp: seconds - 30 } }));
    await assertPasses(other, issuer.token({ claims: { nbf: seconds + 30, iat: seconds + 30 } }));
    await assertRefused(call(other, "/api/items", issuer.token({ claims: { exp: seconds - 60 } })), "token_expired", { hint: REFRESH });
    await assertRefused(call(other, "/api/items", issuer.token({ claims: { nbf: seconds + 120 } })), "token_not_yet_valid");
    await reconfigure(issuer, { clock_skew_s: 0 });
    await assertRefused(call(other, "/api/items", issuer.token({ claims: { exp: nowSeconds() } })), "token_expired", { hint: REFRESH });
  });

  test("max_token_age_s refuses old tokens, and those that do not say how old they are", async () => {
    await reconfigure(issuer, { max_token_age_s: 300 });
    await assertPasses(other, issuer.token({ claims: { iat: nowSeconds() - 200 } }));
    const { body } = await assertRefused(call(other, "/api/items", issuer.token({ claims: { iat: nowSeconds() - 305 } })), "token_too_old");
    assert.match(body.detail, /more than 300 s ago/);
    await assertRefused(call(other, "/api/items", issuer.token({ claims: { iat: undefined } })), "claim_missing");
  });

  test("RFC 9068 tokens must have the claims which that profile requires", async () => {
    await reconfigure(issuer, { token_profile: "rfc9068" });
    await assertPasses(other, issuer.token());
    for (const claim of ["sub", "client_id", "iat", "jti"]) {
      const { body } = await assertRefused(call(other, "/api/items", issuer.token({ claims: { [claim]: undefined } })), "claim_missing");
      assert.equal(body.detail, `Claim ${claim} is missing.`);
    }
    await assertRefused(call(other, "/api/items", issuer.token({ header: { typ: undefined } })), "typ_not_allowed");
  });
});

test("no answer and no log line holds any part of a token", async () => {
  assert.ok(sent.size > 100 && answers.length > 300);
  assertNothingLeaked(sent, [...answers, ...logs, ...(await Promise.all(workers.map((one) => one.written())))]);
});
