// The gateway as a DPoP client: its tokens are bound to a key of its own. The provider verifies the proofs, and so does the upstream,
// which is another gateway that wants bound tokens, a nonce, and each proof once.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { after, describe, test } from "node:test";
import { calculateJwkThumbprint, decodeJwt } from "jose";
import { SITE } from "./support/browser.mjs";
import { authorizer, respond } from "./support/gateway.mjs";
import { readBody, serve } from "./support/http.mjs";
import { COOKIE, startSite, WITH_REFRESH } from "./support/login.mjs";
import { AUDIENCE, startProvider } from "./support/provider.mjs";
import { registerTokenExchange as extend, TOKEN_EXCHANGE } from "./support/token_exchange.mjs";
import { startWorker } from "./support/worker.mjs";

const ID = "edgeward-dpop";
const LOGIN = "/login?prompt=consent&return_to=/app/x";

async function keyPair(type, options, alg) {
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  const jwk = publicKey.export({ format: "jwk" });
  const thumbprint = await calculateJwkThumbprint(jwk);
  const secret = JSON.stringify({ ...privateKey.export({ format: "jwk" }), alg });
  return { secret, thumbprint, published: { ...jwk, alg, use: "sig", kid: thumbprint } };
}

const keys = {
  ES256: await keyPair("ec", { namedCurve: "P-256" }, "ES256"),
  EdDSA: await keyPair("ed25519", {}, "EdDSA"),
  PS256: await keyPair("rsa", { modulusLength: 2048 }, "PS256"),
  RS256: await keyPair("rsa", { modulusLength: 2048 }, "RS256"),
  client: await keyPair("rsa", { modulusLength: 2048 }, "PS256"),
};

let wantsNonce = true;
let isFapi = false;
const oidc = {
  clientAuthMethods: ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["PS256"], idTokenSigningAlgValues: ["RS256", "PS256"],
    dPoPSigningAlgValues: ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"],
  },
  features: {
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => wantsNonce },
    fapi: { enabled: true, profile: (_ctx, client) => (isFapi && client?.clientId === ID ? "2.0" : undefined) },
    pushedAuthorizationRequests: { enabled: true },
  },
};

/** Starts an upstream that wants bound tokens of the provider. */
const startUpstream = (provider, more) => startWorker({
  config: {
    authorizer: authorizer(provider, { dpop: "required", algorithms: ["RS256", "PS256"], ...more }),
    paths: [respond("/{*rest}", { auth: "required", headers: { "X-User": "$claims.sub" }, body: "for bound tokens" })],
  },
});

const env = Object.fromEntries(Object.entries(keys).map(([name, { secret }]) => [name, secret]));
let upstream = { url: "http://127.0.0.1:1" };

/** An upstream that executes requests whose proof has its nonce. */
const upload = { nonce: "", error: "use_dpop_nonce", received: 0, executed: [] };
const uploads = await serve(async (req, res) => {
  upload.received += 1;
  const body = await readBody(req);
  if (decodeJwt(req.headers.dpop).nonce !== upload.nonce) {
    res.writeHead(401, { "dpop-nonce": upload.nonce, "www-authenticate": `DPoP error="${upload.error}"` }).end();
    return;
  }
  const { "content-length": length, "transfer-encoding": encoding, "x-note": note } = req.headers;
  upload.executed.push({ method: req.method, target: req.url, body: body.toString(), length, encoding, note });
  res.end("done");
});
const paths = () => {
  const proxy = (path, more, route) => ({
    method: "ANY", path, ...route, integration: { type: "http_proxy", url: upstream.url, ...more },
  });
  return [
    { method: "POST", path: "/refresh", integration: { type: "refresh" } },
    proxy("/upstream/{*rest}", { headers: { Authorization: "Bearer $token" } }),
    proxy("/m2m/{*rest}", { upstream_auth: { m2m: { audience: AUDIENCE, scope: "read:items" } } }, { auth: "none" }),
    proxy("/uploads/{*rest}", { url: uploads.url, upstream_auth: { m2m: { audience: AUDIENCE, scope: "read:items" } } }, { auth: "none" }),
    proxy("/exchange/{*rest}", { upstream_auth: { exchange: { audience: AUDIENCE, scope: "read:items" } } }),
  ];
};
const site = await startSite({
  provider: { oidc, extend }, authorizer: { ...WITH_REFRESH, client_id: ID, dpop_key: "$secrets.ES256" }, paths: paths(), worker: { env },
});
const { provider, worker } = site;
upstream = await startUpstream(provider, { dpop_nonce_secret: randomUUID() });
after(() => Promise.all([site.stop(), upstream.stop(), uploads.close()]));

/** Starts the Worker anew with these keys of the authorizer, before a provider that knows the client. */
async function configure(more, { login = true, ...metadata } = {}) {
  isFapi = false;
  provider.setClient(ID, {
    grant_types: ["authorization_code", "refresh_token", ...(login ? ["client_credentials", TOKEN_EXCHANGE] : [])],
    dpop_bound_access_tokens: true, ...metadata,
  });
  provider.clearFaults();
  provider.resetCounts();
  const withoutM2m = paths().filter(({ integration }) => login || !integration.upstream_auth);
  await site.reconfigure({ authorizer: { ...WITH_REFRESH, client_id: ID, ...more }, paths: withoutM2m });
  await worker.flush();
  worker.logs.length = 0;
}

/** Logs in, uses the token at the upstream and at the provider, refreshes, and uses the new one. */
async function journey(browser, key) {
  const start = await browser.open(LOGIN, { until: (url) => url.origin !== SITE });
  const reply = await browser.open(LOGIN, { account: "alice" });
  assert.ok(browser.cookies().has(COOKIE), `${reply.status} ${reply.text}\n${worker.logText}`);
  for (let round = 0; round < 2; round += 1) {
    const token = decodeJwt((await browser.open("/token/x")).json().headers.authorization.replace(/^DPoP /, ""));
    assert.deepEqual(token.cnf, { jkt: key.thumbprint });
    for (const method of ["GET", "POST", "GET"]) {
      const answer = await browser.send(`/upstream/a%2Fb?${method}`, { method, headers: { dpop: "not.a.proof" } });
      assert.deepEqual([answer.status, answer.text], [200, "for bound tokens"], worker.logText);
      assert.deepEqual([answer.header("x-user"), answer.header("dpop-nonce")], ["alice", null]);
    }
    assert.equal((await browser.open("/app/x")).json().headers["x-user-scope"].includes("read:items"), true, "its rights count");
    assert.equal((await browser.open("/userinfo")).json().name, "Alice Example");
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, worker.logText);
  }
  assert.equal(await worker.written(), "");
  return start.next;
}

describe("a login", () => {
  for (const [alg, key] of Object.entries(keys).filter(([name]) => name !== "client")) {
    for (const nonce of [true, false]) {
      test(`with a key for ${alg}${nonce ? ", and nonces" : ""}`, async () => {
        wantsNonce = nonce;
        await configure({ dpop_key: `$secrets.${alg}`, algorithms: ["RS256"] });
        const url = await journey(site.browser(), key);
        assert.equal(url.searchParams.get("dpop_jkt"), key.thumbprint);
        assert.equal(provider.counts.token, nonce ? 4 : 3, "code and two refreshes, and one nonce");
      });
    }
  }

  test("of a public client, whose refresh token is bound, too, with a pushed request", async () => {
    wantsNonce = true;
    await configure({ dpop_key: "$secrets.ES256", client_secret: undefined, client_auth: "none", par: true }, { login: false, token_endpoint_auth_method: "none" });
    const url = await journey(site.browser(), keys.ES256);
    assert.deepEqual([...url.searchParams.keys()], ["client_id", "request_uri"]);
    // With the former key beside a new one, the session goes on. Without it, the provider would refuse the refresh token, and the session would
    // end: it is not sent, because the key may come back, as after a rollback.
    const browser = await site.loggedIn("alice", LOGIN);
    const public_ = { client_secret: undefined, client_auth: "none", par: true };
    await configure({ dpop_key: ["$secrets.PS256", "$secrets.ES256"], ...public_ }, { login: false, token_endpoint_auth_method: "none" });
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, worker.logText);
    await configure({ dpop_key: "$secrets.PS256", ...public_ }, { login: false, token_endpoint_auth_method: "none" });
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 502);
    await worker.waitForLog("dpop_key_missing");
    await configure({ dpop_key: "$secrets.ES256", ...public_ }, { login: false, token_endpoint_auth_method: "none" });
    assert.equal((await browser.send("/refresh", { method: "POST" })).status, 200, worker.logText);
  });

  test("without the key is refused by a provider that binds this client's tokens", async () => {
    await configure({});
    const reply = await site.browser().open(LOGIN, { account: "alice" });
    assert.equal(reply.status, 502);
    assert.match((await worker.waitForLog("token_exchange_failed")).message, /invalid_grant|invalid_dpop_proof|invalid_request/);
  });

  test("with the key is refused where the provider does not bind tokens", async () => {
    await configure({ dpop_key: "$secrets.ES256" });
    provider.setFault("token", { body: (text) => JSON.stringify({ ...JSON.parse(text), token_type: "Bearer" }) });
    const reply = await site.browser().open(LOGIN, { account: "alice" });
    assert.equal(reply.status, 502);
    assert.match((await worker.waitForLog("token_exchange_failed")).message, /answered 200 without token_type DPoP, which authorizer\.dpop_key requires/);
  });
});

describe("a token for an upstream", () => {
  const get = (target) => worker.request({ target, headers: { host: new URL(SITE).host } });

  for (const nonce of [true, false]) {
    test(`by client credentials and exchange${nonce ? ", with nonces" : ""}`, async () => {
      wantsNonce = nonce;
      await configure({ dpop_key: "$secrets.ES256" });
      for (let call = 0; call < 3; call += 1) {
        const answer = await get(`/m2m/${call}`);
        assert.deepEqual([answer.status, answer.text], [200, "for bound tokens"], worker.logText);
      }
      assert.equal(provider.counts.token, nonce ? 2 : 1);
      const browser = await site.loggedIn();
      const answer = await browser.open("/exchange/x");
      assert.deepEqual([answer.status, answer.header("x-user")], [200, "alice"], `${answer.text} ${worker.logText}`);
      assert.equal(await worker.written(), "");
    });
  }

  describe("is proved with the nonce that the upstream wants, in a fresh isolate,", () => {
    const send = async (method, body, headers = {}) =>
      worker.request({ method, target: "/uploads/a%2Fb?c=d", headers: { host: new URL(SITE).host, "x-note": "n", ...headers }, body });
    const anew = async (error = "use_dpop_nonce") => {
      wantsNonce = false;
      await configure({ dpop_key: "$secrets.ES256" });
      Object.assign(upload, { nonce: randomUUID(), error, received: 0, executed: [] });
    };
    const kib = (count) => "0123456789abcdef".repeat(64 * count);

    for (const [method, body, headers] of [
      ["POST", "{}"], ["POST", undefined, { "content-length": "0" }], ["POST"], ["PUT", kib(60)], ["PUT", kib(64)], ["DELETE"], ["DELETE", "x"], ["GET"],
      ["GET", undefined, { "content-length": "0" }],
    ]) {
      test(`by ${method} ${body === undefined ? "without a body" : `of ${body.length} bytes`}${headers ? ", which is stated" : ""}`, async () => {
        await anew();
        // The nonce of a cold isolate, the same once more, and another one.
        for (const attempts of [2, 1, 2]) {
          if (attempts === 2) upload.nonce = randomUUID();
          Object.assign(upload, { received: 0, executed: [] });
          const answer = await send(method, body, headers);
          assert.deepEqual([answer.status, answer.text], [200, "done"], worker.logText);
          assert.equal(upload.received, attempts);
          const [executed, ...others] = upload.executed;
          assert.equal(others.length, 0);
          const { length = "0", encoding, ...rest } = executed;
          assert.deepEqual(rest, { method, target: "/uploads/a%2Fb?c=d", body: body ?? "", note: "n" });
          assert.deepEqual([length, encoding], [String(body?.length ?? 0), undefined]);
        }
        assert.equal(await worker.written(), "");
      });
    }

    for (const [name, body, headers] of [
      ["more than 64 KiB", `${kib(64)}.`], ["unknown length", "5\r\nhello\r\n0\r\n\r\n", { "transfer-encoding": "chunked" }],
    ]) {
      test(`but a body of ${name} has to be sent again by the client`, async () => {
        await anew();
        const refused = await send("POST", body, headers);
        assert.deepEqual([refused.status, refused.json().code, refused.header("retry-after")], [503, "upstream_token_unavailable", "1"]);
        assert.deepEqual([refused.header("dpop-nonce"), refused.header("www-authenticate")], [null, null]);
        assert.deepEqual([upload.received, upload.executed.length], [1, 0]);
        const answer = await send("POST", body, headers);
        assert.deepEqual([answer.status, upload.received, upload.executed.length], [200, 2, 1]);
        assert.equal(upload.executed[0].body, headers ? "hello" : body);
      });
    }

    test("but not after another refusal", async () => {
      await anew("invalid_token");
      assert.equal((await send("POST", "{}")).status, 401);
      assert.equal(upload.received, 1);
    });
  });

  test("is of no use to another without the key", async () => {
    await configure({ dpop_key: "$secrets.ES256" });
    const browser = await site.loggedIn();
    const { headers } = (await browser.open("/token/x")).json();
    for (const authorization of [headers.authorization, headers.authorization.replace("DPoP", "Bearer")]) {
      const stolen = await fetch(`${upstream.url}/token/x`, { headers: { authorization, dpop: headers.dpop } });
      assert.equal(stolen.status, 401);
    }
  });
});

test("the FAPI profile with a key in place of a certificate passes the checks of a FAPI 2.0 provider", async () => {
  wantsNonce = true;
  const profile = {
    fapi: "fapi2_sp", dpop: "allowed", client_secret: undefined, client_auth: "private_key_jwt", private_key: "$secrets.client", dpop_key: "$secrets.ES256",
  };
  await configure(profile, {
    alg: "PS256", require_pushed_authorization_requests: true, token_endpoint_auth_method: "private_key_jwt",
    token_endpoint_auth_signing_alg: "PS256", id_token_signed_response_alg: "PS256", jwks: { keys: [keys.client.published] },
  });
  isFapi = true;
  const url = await journey(site.browser(), keys.ES256);
  assert.deepEqual([...url.searchParams.keys()], ["client_id", "request_uri"]);
});
