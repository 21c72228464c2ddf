// The customer edge: what the provider gets of a client's certificate, as workerd states it.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { startOrigin } from "./support/origin.mjs";
import { startWorker } from "./support/worker.mjs";

const origin = await startOrigin();
const route = (method, path) => ({
  method, path, integration: { type: "customer_edge", url: origin.url, api_key: "$secrets.CNAME_API_KEY", self_signed: true },
});
const worker = await startWorker({
  config: { paths: [route("POST", "/oauth/token"), route("POST", "/oauth/par"), route("GET", "/userinfo")] },
  env: { CNAME_API_KEY: "key-of-a-custom-domain" },
});
after(() => Promise.all([worker, origin].map((part) => part.stop())));

const der = randomBytes(900);
const STATED = {
  certPresented: "1", certRevoked: "0", certVerified: "SUCCESS", certFingerprintSHA256: createHash("sha256").update(der).digest("hex"),
};
/** A request with what Cloudflare states about the client's certificate. */
const send = (tlsClientAuth, { target = "/oauth/token", method = "POST", headers = {}, ...more } = {}) =>
  worker.request({
    target, method, ...more,
    headers: { "mf-cf-blob": JSON.stringify({ tlsClientAuth }), "cf-client-cert-der-base64": der.toString("base64"), ...headers },
  });

test("the certificate, its verification and the key of the domain reach the provider, and the request as it came", async () => {
  const form = "grant_type=client_credentials&client_id=a";
  const headers = { "content-type": "application/x-www-form-urlencoded", authorization: "Basic YTpi", "client-certificate": "forged", "CNAME-API-KEY": "forged" };
  const answer = await send(STATED, { headers, body: form });
  assert.equal(answer.status, 200, worker.logText);
  const { headers: got, body, url } = answer.json();
  assert.deepEqual([url, body, got.authorization], ["/oauth/token", form, "Basic YTpi"]);
  assert.deepEqual([got["cname-api-key"], got["client-certificate-ca-verified"]], ["key-of-a-custom-domain", "SUCCESS"]);
  const pem = decodeURIComponent(got["client-certificate"]);
  const [, text] = /^-----BEGIN CERTIFICATE-----\n([\s\S]*)\n-----END CERTIFICATE-----\n$/.exec(pem);
  assert.ok(text.split("\n").every((line) => line.length <= 64));
  assert.equal(text.replaceAll("\n", ""), der.toString("base64"));
  assert.equal(Object.keys(got).some((name) => name.startsWith("cf-client-cert")), false);

  const userinfo = await send({ ...STATED, certVerified: "FAILED:self signed certificate" }, { method: "GET", target: "/userinfo", headers: { authorization: "Bearer token" } });
  const seen = userinfo.json().headers;
  assert.deepEqual([seen["client-certificate-ca-verified"], seen.authorization], ["FAILED", "Bearer token"]);
});

test("clients without a certificate of their own are refused", async () => {
  const count = origin.requests.length;
  for (const [stated, headers, status, code] of [
    [undefined, {}, 401, "client_certificate_missing"],
    [{ ...STATED, certPresented: "0", certVerified: "NONE" }, {}, 401, "client_certificate_missing"],
    [{ ...STATED, certRevoked: "1" }, {}, 401, "client_certificate_refused"],
    [{ ...STATED, certVerified: "FAILED:certificate has expired" }, {}, 401, "client_certificate_refused"],
    [STATED, { "cf-client-cert-der-base64": randomBytes(900).toString("base64") }, 503, "client_certificate_unavailable"],
  ]) {
    const answer = await send(stated, { headers });
    assert.deepEqual([answer.status, answer.json().code], [status, code]);
  }
  assert.equal(origin.requests.length, count);
  assert.equal((await send(STATED, { target: "/authorize", method: "GET" })).status, 404);
});
