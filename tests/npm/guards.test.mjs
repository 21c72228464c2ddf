// Guards that follow each other on one request with a proof of possession (DPoP), through every adapter, as installed: the request passes all of them,
// and the next request with the same proof passes none.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { createServer as createHttp2Server, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { install, pack } from "./install.mjs";

let temporary;
let guard;
let protect;
let express;
let hono;
let withAuth0;
let verifier;
let token;
let prove;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-guards-"));
  const folder = await install(join(temporary, "project"), await pack(temporary));
  const load = (name) => import(pathToFileURL(join(folder, "node_modules/edgeward/dist", `${name}.js`)));
  const [core, { createIssuer }] = await Promise.all([load("inline"), load("testing")]);
  ({ guard, protect } = core);
  [{ bearer: express }, { bearer: hono }, { withAuth0 }] = await Promise.all(["express", "hono", "netlify"].map(load));
  const issuer = await createIssuer();
  verifier = core.createVerifier(issuer.verifierOptions({ audience: "api", dpop: "required", origins: "https://api.example.com" }));
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  token = await issuer.mint({ claims: { aud: "api", scope: "read", cnf: { jkt: await calculateJwkThumbprint(jwk) } } });
  const ath = createHash("sha256").update(token).digest("base64url");
  prove = () =>
    new SignJWT({ jti: randomUUID(), htm: "GET", htu: "https://api.example.com/items", ath, iat: issuer.now() }).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk }).sign(privateKey);
});
after(() => rmSync(temporary, { recursive: true, force: true }));

const headers = (proof) => ({ authorization: `DPoP ${token}`, dpop: proof });
const web = (proof) => new Request("https://api.example.com/items", { headers: headers(proof) });
const codeOf = async (promise) => promise.then(() => "passed", ({ code }) => code);

/** Checks a request of Node by middleware and by guards, one after another, and returns the verdicts. */
function inNode(request) {
  const middleware = (options) =>
    new Promise((resolve) => express({ verifier, onError: (error) => resolve(error.code), ...options })(request, {}, (error) => resolve(error === undefined ? "passed" : String(error))));
  const guarded = (options) => codeOf(guard({ verifier, ...options })(request));
  return [() => middleware({}), () => middleware({ scopes: "read" }), () => guarded({}), () => guarded({ scopes: "read" }), () => middleware({})];
}

/** For each adapter, a function from a proof to checks of one request with it, to be made in this order. */
const adapters = {
  "Hono": (proof) => {
    const context = { req: { raw: web(proof) }, set() {} };
    const check = (options) => async () => {
      let passed = "refused";
      const response = await hono({ verifier, ...options })(context, async () => (passed = "passed"));
      return response === undefined ? passed : (await response.json()).code;
    };
    return [check({}), check({ scopes: "read" }), () => codeOf(guard({ verifier })(context.req.raw))];
  },
  "protect": (proof) => {
    const request = web(proof);
    const inner = protect(() => Response.json({ code: "passed" }), { verifier, scopes: "read" });
    const outer = protect((given) => inner(given), { verifier });
    return [async () => (await (await outer(request)).json()).code, async () => (await (await inner(request)).json()).code];
  },
  "withAuth0, a request": (proof) => {
    const request = web(proof);
    const inner = withAuth0(() => Response.json({ code: "passed" }), { auth0: { verifier, required: true } });
    const outer = withAuth0((given, context) => inner(given, context), { auth0: { verifier, scopes: "read" } });
    return [async () => (await (await outer(request, {})).json()).code];
  },
  "withAuth0, an event": (proof) => {
    const event = { httpMethod: "GET", rawUrl: "https://api.example.com/items", headers: headers(proof) };
    const inner = withAuth0(async () => ({ statusCode: 200, body: '{"code":"passed"}' }), { auth0: { verifier, required: true } });
    const outer = withAuth0((given, context) => inner(given, context), { auth0: { verifier, scopes: "read" } });
    return [async () => JSON.parse((await outer(event, {})).body).code];
  },
};

const verdicts = async (checks) => {
  const all = [];
  for (const check of checks) all.push(await check());
  return [...new Set(all)].join();
};

describe("guards that follow each other accept one request with a proof, and no second one", () => {
  for (const [name, adapter] of Object.entries(adapters)) {
    it(name, async () => {
      const proof = await prove();
      assert.equal(await verdicts(adapter(proof)), "passed");
      assert.equal(await verdicts(adapter(proof)), "dpop_proof_replayed");
      assert.equal(await verdicts(adapter(await prove())), "passed");
    });
  }

  const clients = {
    "HTTP/1.1": [createServer, (port, proof) => new Promise((resolve, reject) => send({ port, path: "/items", headers: headers(proof) }, (response) => response.resume().on("end", resolve)).on("error", reject).end())],
    "HTTP/2": [createHttp2Server, (port, proof) => new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${port}`).on("error", reject);
      session.request({ ":path": "/items", ...headers(proof) }).resume().on("end", () => session.close(resolve)).on("error", reject).end();
    })],
  };
  for (const [name, [create, request]] of Object.entries(clients)) {
    it(`express, over ${name}`, async () => {
      const found = [];
      const server = create((given, response) => verdicts(inNode(given)).then((all) => (found.push(all), response.end())));
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address();
      const [one, two] = [await prove(), await prove()];
      for (const proof of [one, one, two, one]) await request(port, proof);
      server.close();
      assert.deepEqual(found, ["passed", "dpop_proof_replayed", "passed", "dpop_proof_replayed"]);
    });
  }
});
