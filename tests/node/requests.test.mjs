// Logins at a real provider without a client secret: signed assertions and certificates, pushed, signed and detailed requests, and the
// FAPI profile before `oidc-provider` with its own FAPI 2.0 checks.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, describe, test } from "node:test";
import { calculateJwkThumbprint, compactVerify, importJWK } from "jose";
import { fetch as runtimeFetch } from "miniflare";
import { SITE } from "./support/browser.mjs";
import { COOKIE, startSite, WITH_REFRESH } from "./support/login.mjs";

const ID = "edgeward-key";
const CERTIFICATE = "CN=edgeward-key";

/** The provider wants a consent prompt for refresh tokens. */
const LOGIN = "/login?prompt=consent&return_to=/app/x";

/** A key pair: the private key as PEM and as JWK, the public one as the provider has it. */
async function keyPair(type, options, alg) {
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  const jwk = publicKey.export({ format: "jwk" });
  const published = { ...jwk, alg, use: "sig", kid: await calculateJwkThumbprint(jwk) };
  return { pem: privateKey.export({ format: "pem", type: "pkcs8" }), jwk: privateKey.export({ format: "jwk" }), published };
}

const rsa = { modulusLength: 2048 };
const keys = {
  RS256: await keyPair("rsa", rsa, "RS256"),
  RS384: await keyPair("rsa", rsa, "RS384"),
  PS256: await keyPair("rsa", rsa, "PS256"),
  ES256: await keyPair("ec", { namedCurve: "P-256" }, "ES256"),
  ES384: await keyPair("ec", { namedCurve: "P-384" }, "ES384"),
  EdDSA: await keyPair("ed25519", {}, "EdDSA"),
  jar: await keyPair("rsa", rsa, "PS256"),
  unknown: await keyPair("rsa", rsa, "PS256"),
};

/** A binding with the client's certificate: the provider sees its subject. */
const withCertificate = async (request) => {
  const headers = new Headers(request.headers);
  headers.set("x-test-certificate", CERTIFICATE);
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.text();
  return runtimeFetch(request.url, { method: request.method, headers: [...headers], body, redirect: "manual" });
};

const details = [{ type: "payment", amount: "12.50", currency: "EUR" }];
let granted;
const oidc = {
  clientAuthMethods: ["private_key_jwt", "tls_client_auth", "client_secret_basic", "client_secret_post", "none"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA"],
    idTokenSigningAlgValues: ["RS256", "PS256"],
    requestObjectSigningAlgValues: ["RS256", "PS256", "ES256"],
  },
  features: {
    fapi: { enabled: true, profile: (_ctx, client) => (client?.clientId === ID ? "2.0" : undefined) },
    requestObjects: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    mTLS: {
      enabled: true, tlsClientAuth: true, certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.get("x-test-certificate") || undefined,
      certificateAuthorized: () => true,
      certificateSubjectMatches: (ctx, _property, expected) => ctx.get("x-test-certificate") === expected,
    },
    richAuthorizationRequests: {
      enabled: true,
      types: { payment: { validate: (_ctx, detail) => assert.deepEqual(detail, details[0]) } },
      authorizationDetailsForGrantSource: (ctx) => (granted = JSON.parse(ctx.oidc.params.authorization_details ?? "null") ?? undefined),
      authorizationDetailsForAccessToken: (_ctx, token) => token.authorizationDetails,
      authorizationDetailsForIntrospection: () => undefined,
    },
  },
};

const env = Object.fromEntries(Object.entries(keys).map(([name, { pem }]) => [`KEY_${name}`, pem]));
env.JWK_EdDSA = JSON.stringify(keys.EdDSA.jwk);
const authorizer = (more) => ({
  ...WITH_REFRESH, client_id: ID, client_secret: undefined, client_auth: "private_key_jwt", algorithms: ["PS256"], ...more,
});
const site = await startSite({
  provider: { oidc }, authorizer: authorizer({ private_key: "$secrets.KEY_RS256" }),
  paths: [{ method: "POST", path: "/refresh", integration: { type: "refresh" } }],
  worker: { env, serviceBindings: { CERTIFICATE: withCertificate } },
});
after(() => site.stop());
const { provider, worker } = site;

/** Registers the client anew; it has no secret that could be used. */
const register = (metadata) => provider.setClient(ID, {
  alg: "PS256", authorization_details_types: ["payment"], token_endpoint_auth_method: "private_key_jwt", id_token_signed_response_alg: "PS256",
  jwks: { keys: Object.entries(keys).filter(([name]) => name !== "unknown").map(([, { published }]) => published) },
  ...metadata,
});

/** Starts the Worker anew with these keys of the authorizer. */
async function configure(more, metadata) {
  register(metadata);
  provider.clearFaults();
  provider.resetCounts();
  granted = undefined;
  await site.reconfigure({ authorizer: authorizer(more) });
  await worker.flush();
  worker.logs.length = 0;
}

/** Logs in, refreshes and logs out, and returns the address to which the browser was sent. */
async function journey() {
  const browser = site.browser();
  const start = await browser.open(LOGIN, { until: (url) => url.origin !== SITE });
  assert.equal(start.status, 302, `${start.text}\n${worker.logText}`);
  const reply = await browser.open(LOGIN, { account: "alice" });
  assert.ok(browser.cookies().has(COOKIE), `${reply.status} ${reply.text}\n${worker.logText}`);
  assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, worker.logText);
  const out = await browser.open("/logout", { until: (url) => url.origin !== SITE });
  assert.equal(out.status, 302);
  for (let tries = 0; tries < 100 && !provider.counts.revocation; tries += 1) await new Promise((done) => setTimeout(done, 10));
  assert.equal(provider.counts.token, 2, "code and refresh");
  assert.equal(provider.counts.revocation, 1);
  assert.equal(await worker.written(), "");
  return start.next;
}

/** The answer to a login that cannot begin, and its log line. */
async function refused() {
  const reply = await site.browser().open("/login", { until: (url) => url.origin !== SITE });
  assert.equal(reply.status, 502, `${reply.text} ${worker.logText}`);
  assert.equal(reply.next, undefined);
  return (await worker.waitForLog("authorization_request_failed: ")).message;
}

describe("private_key_jwt", () => {
  for (const [alg, name = `KEY_${alg}`] of [["RS256"], ["RS384"], ["PS256"], ["ES256"], ["ES384"], ["EdDSA", "JWK_EdDSA"]]) {
    test(`with ${alg} for code, refresh, revocation and the pushed request`, async () => {
      await configure({ private_key: `$secrets.${name}`, private_key_alg: alg, par: true }, { token_endpoint_auth_signing_alg: alg });
      await journey();
      assert.equal(provider.counts.pushed_authorization_request, 2);
    });
  }

  test("tries the next key of a list when the provider does not know the first", async () => {
    await configure({ private_key: ["$secrets.KEY_unknown", "$secrets.KEY_ES256"], par: true });
    const browser = await site.loggedIn();
    assert.ok(browser.cookies().has(COOKIE));
    assert.deepEqual([provider.counts.pushed_authorization_request, provider.counts.token], [2, 2]);
  });

  test("with a key that the provider does not know logs nobody in", async () => {
    await configure({ private_key: "$secrets.KEY_unknown", private_key_alg: "PS256", par: true });
    assert.match(await refused(), /\/request answered 401, invalid_client/);
  });

  test("with a key whose numbers are none says so and sends nothing", async () => {
    await configure({ private_key: { ...keys.PS256.jwk, p: "AQAB" }, par: true });
    assert.match(await refused(), /did not respond/);
    await worker.waitForLog("edgeward: signing_failed: the platform refuses the private key (authorizer.private_key)");
    assert.equal(provider.counts.pushed_authorization_request, undefined);
  });
});

describe("a pushed request", () => {
  const key = { private_key: "$secrets.KEY_PS256", private_key_alg: "PS256" };

  test("is made where the client must push, and only the reference is in the URL", async () => {
    await configure({ ...key, par: true }, { require_pushed_authorization_requests: true });
    const url = await journey();
    assert.deepEqual([...url.searchParams.keys()], ["client_id", "request_uri"]);
    assert.match(url.searchParams.get("request_uri"), /^urn:ietf:params:oauth:request_uri:/);
  });

  test("is made where the provider's metadata requires it, without configuration", async () => {
    await configure(key, { require_pushed_authorization_requests: true });
    provider.setFault("discovery", { body: (text) => JSON.stringify({ ...JSON.parse(text), require_pushed_authorization_requests: true }) });
    const browser = await site.loggedIn();
    assert.ok(browser.cookies().has(COOKIE));
    assert.equal(provider.counts.pushed_authorization_request, 1);
  });

  test("that the provider refuses ends the login", async () => {
    await configure({ ...key, par: true, authorization_details: [{ type: "unknown" }] });
    assert.match(await refused(), /\/request answered 400, invalid_authorization_details/);
  });

  test("that the provider ignores ends the login", async () => {
    await configure({ ...key, par: true });
    provider.setFault("pushed_authorization_request", { status: 200, headers: { "content-type": "text/html" }, body: "<h1>Welcome</h1>" });
    assert.match(await refused(), /\/request answered 200 without request_uri/);
    provider.setFault("pushed_authorization_request", { reset: true });
    assert.match(await refused(), /authorization_request_failed/);
  });

  test("without an endpoint ends the login", async () => {
    await configure({ ...key, par: true });
    provider.setFault("discovery", {
      body: (text) => JSON.stringify({ ...JSON.parse(text), pushed_authorization_request_endpoint: undefined }),
    });
    assert.match(await refused(), /no pushed_authorization_request_endpoint/);
    assert.equal(provider.counts.pushed_authorization_request, undefined);
  });
});

describe("a signed request", () => {
  for (const [alg, secret] of [["PS256", "KEY_jar"], ["RS256", "KEY_RS256"], ["ES256", "KEY_ES256"]]) {
    test(`with ${alg}, pushed and not`, async () => {
      const jar = { private_key: `$secrets.${secret}`, private_key_alg: alg };
      const metadata = { request_object_signing_alg: alg, require_signed_request_object: true };
      for (const par of [true, false]) {
        // Without pushing, the provider does not apply its FAPI checks, which require it.
        await configure({ private_key: "$secrets.KEY_PS256", private_key_alg: "PS256", jar, par }, metadata);
        const url = await journey();
        assert.deepEqual([...url.searchParams.keys()], ["client_id", par ? "request_uri" : "request"]);
        if (par) continue;
        const published = Object.values(keys).find(({ pem }) => pem === env[secret]).published;
        const { payload, protectedHeader } = await compactVerify(url.searchParams.get("request"), await importJWK(published, alg));
        assert.deepEqual(protectedHeader, { alg, typ: "oauth-authz-req+jwt", kid: published.kid });
        const claims = JSON.parse(new TextDecoder().decode(payload));
        assert.deepEqual([claims.iss, claims.aud, claims.sub, claims.exp - claims.nbf], [ID, provider.issuer, undefined, 330]);
      }
    });
  }

  test("with another key is refused by the provider", async () => {
    const jar = { private_key: "$secrets.KEY_unknown", private_key_alg: "PS256" };
    await configure({ private_key: "$secrets.KEY_ES256", jar, par: true });
    assert.match(await refused(), /\/request answered 400, invalid_request_object/);
  });
});

test("authorization details reach the provider in every form of request", async () => {
  const jar = { private_key: "$secrets.KEY_jar", private_key_alg: "PS256" };
  for (const more of [{}, { par: true }, { jar }, { jar, par: true }]) {
    await configure({ private_key: "$secrets.KEY_ES256", authorization_details: details, ...more });
    await site.loggedIn();
    assert.deepEqual(granted, details, JSON.stringify(more));
  }
});

describe("a certificate", () => {
  const metadata = { token_endpoint_auth_method: "tls_client_auth", tls_client_auth_subject_dn: CERTIFICATE };

  test("authenticates the client everywhere", async () => {
    await configure({ client_auth: "tls_client_auth", mtls_binding: "CERTIFICATE", par: true }, metadata);
    await journey();
  });

  test("of another client is refused", async () => {
    await configure({ client_auth: "tls_client_auth", mtls_binding: "CERTIFICATE", par: true }, { ...metadata, tls_client_auth_subject_dn: "CN=other" });
    assert.match(await refused(), /\/request answered 401, invalid_client/);
  });

  test("whose binding is missing sends nothing", async () => {
    await configure({ client_auth: "tls_client_auth", mtls_binding: "ABSENT", par: true }, metadata);
    assert.match(await refused(), /did not respond/);
    await worker.waitForLog("edgeward: mtls_binding_missing: the Worker has no mtls_certificate ABSENT");
    assert.equal(provider.counts.pushed_authorization_request, undefined);
  });
});

describe("the FAPI profile", () => {
  const profile = { fapi: "fapi2_sp", mtls_binding: "CERTIFICATE", mtls: "allowed", algorithms: undefined };

  test("with private_key_jwt passes the checks of a FAPI 2.0 provider", async () => {
    await configure({ ...profile, private_key: "$secrets.KEY_PS256" }, {
      require_pushed_authorization_requests: true, token_endpoint_auth_signing_alg: "PS256", tls_client_certificate_bound_access_tokens: true,
    });
    const url = await journey();
    assert.deepEqual([...url.searchParams.keys()], ["client_id", "request_uri"]);
  });

  test("with a certificate, a signed request and details passes them, too", async () => {
    const more = { ...profile, client_auth: "tls_client_auth", jar: { private_key: "$secrets.KEY_jar" }, authorization_details: details };
    await configure(more, {
      token_endpoint_auth_method: "tls_client_auth", tls_client_auth_subject_dn: CERTIFICATE, require_pushed_authorization_requests: true,
      require_signed_request_object: true, request_object_signing_alg: "PS256", tls_client_certificate_bound_access_tokens: true,
    });
    await journey();
    assert.deepEqual(granted, details);
  });
});
