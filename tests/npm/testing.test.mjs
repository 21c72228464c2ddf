// `edgeward/testing`: the issuer in memory, as installed, in every runtime, with the gateway, and in the example for Vitest.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, describe, it } from "node:test";
import { startWorker } from "../node/support/worker.mjs";
import { ENV, installed as runners } from "./bundlers.mjs";
import { install, pack, root, run } from "./install.mjs";
import { esbuild, inWorkerd } from "./run-bundle.mjs";

const AUDIENCE = "https://api.example.com";
const SITE = "https://app.example.com";
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const require = createRequire(import.meta.url);

let temporary;
let installed;
let createIssuer;
let createVerifier;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-testing-"));
  const folder = await install(join(temporary, "project"), await pack(temporary));
  installed = join(folder, "node_modules/edgeward");
  const load = (name) => import(pathToFileURL(join(installed, "dist", name)));
  [{ createIssuer }, { createVerifier }] = await Promise.all([load("testing.js"), load("inline.js")]);
});
after(() => rmSync(temporary, { recursive: true, force: true }));

const code = (promise) => promise.then(() => "ok", (error) => error.code);

describe("the issuer in memory", () => {
  let issuer;
  let verifier;
  const mint = (claims, more) => issuer.mint({ claims: { aud: AUDIENCE, ...claims }, ...more });
  const verdict = async (token) => code(verifier.verify(await token));

  before(async () => {
    issuer = await createIssuer({ algorithms: ALGORITHMS });
    verifier = createVerifier(issuer.verifierOptions({ audience: AUDIENCE }));
  });

  it("signs with every algorithm", async () => {
    for (const algorithm of ALGORITHMS) {
      const token = await verifier.verify(await mint({ scope: "a b" }, { algorithm }));
      assert.deepEqual([token.header.alg, token.payload.sub, token.scopes], [algorithm, "user-1", ["a", "b"]]);
    }
    assert.deepEqual(issuer.requests.map(({ url }) => url), ["https://issuer.test/.well-known/openid-configuration", "https://issuer.test/.well-known/jwks.json"]);
  });

  it("mints ID tokens", async () => {
    const ids = createVerifier(issuer.verifierOptions({ kind: "id", clientId: "test-client" }));
    const token = await issuer.mint({ kind: "id", claims: { nonce: "n", name: "Alice" } });
    assert.equal((await ids.verify(token, { nonce: "n" })).payload.name, "Alice");
    assert.equal(await code(ids.verify(token, { nonce: "m" })), "nonce_mismatch");
    assert.equal(await verdict(mint({ nonce: "n" }, { kind: "id" })), "token_kind_mismatch");
  });

  it("mints tokens of any claims and header, to be refused", async () => {
    assert.equal(await verdict(mint({ iss: undefined })), "claim_missing");
    assert.equal(await verdict(mint({ iss: "https://other.test/" })), "issuer_mismatch");
    assert.equal(await verdict(mint({ exp: "soon" })), "claim_malformed");
    assert.equal(await verdict(mint({}, { header: { alg: "none" } })), "alg_not_allowed");
    assert.equal(await verdict(mint({}, { header: { kid: "unknown" } })), "key_not_found");
    assert.equal(await verdict(mint({}, { header: { kid: "RS256-1", alg: "RS256" }, algorithm: "PS256" })), "signature_invalid");
    assert.equal(await verdict(mint({}, { header: { crit: ["exp"] } })), "crit_not_supported");
    assert.equal(await verdict(mint({}, { header: { typ: undefined } })), "ok");
    await assert.rejects(issuer.mint({ kid: "RS256-9" }), /never a key RS256-9/);
    await assert.rejects(createIssuer({ algorithms: ["HS256"] }), /HS256 is none of/);
    await assert.rejects((await createIssuer()).mint({ algorithm: "ES256" }), /created without ES256/);
  });

  it("publishes public keys only, and makes them anew each time", async () => {
    const [one, other] = [issuer.jwks(), (await createIssuer({ algorithms: ALGORITHMS })).jwks()];
    assert.equal(one.keys.length, ALGORITHMS.length);
    for (const [index, key] of one.keys.entries()) {
      for (const member of ["d", "p", "q", "dp", "dq", "qi", "k"]) assert.equal(key[member], undefined);
      assert.equal(key.kid, other.keys[index].kid);
      assert.notDeepEqual(key, other.keys[index]);
    }
    for (const file of ["testing.js", "testing.cjs"]) assert.doesNotMatch(readFileSync(join(installed, "dist", file), "utf8"), /[\w+/-]{120}/);
  });
});

describe("changes of the issuer", () => {
  let issuer;
  let verifier;
  const mint = (more) => issuer.mint({ claims: { aud: AUDIENCE }, ...more });
  const verdict = async (token) => code(verifier.verify(await token));
  const start = async (options) => {
    issuer = await createIssuer(options);
    verifier = createVerifier(issuer.verifierOptions({ audience: AUDIENCE }));
  };

  it("rotates its keys, with the earlier ones published or not", async () => {
    await start();
    const early = await mint();
    assert.equal(await verdict(early), "ok");
    await issuer.rotate();
    issuer.shift(31);
    assert.equal(await verdict(mint()), "ok");
    assert.equal(await verdict(mint({ kid: "RS256-1" })), "ok");
    await issuer.rotate({ keep: false });
    assert.deepEqual(issuer.jwks().keys.map(({ kid }) => kid), ["RS256-3"]);
    verifier = createVerifier(issuer.verifierOptions({ audience: AUDIENCE }));
    assert.equal(await verdict(mint()), "ok");
    assert.equal(await verdict(mint({ kid: "RS256-1" })), "key_not_found");
  });

  it("shifts the time", async () => {
    await start();
    const { now } = issuer;
    const began = now();
    const token = await mint();
    assert.equal(await verdict(token), "ok");
    issuer.shift(601 + 5);
    assert.ok(now() - began >= 606);
    assert.equal(await verdict(token), "token_expired");
    assert.equal(await verdict(mint()), "ok");
    issuer.shift(-86_400);
    assert.equal(await verdict(issuer.mint({ claims: { aud: AUDIENCE, iat: issuer.now() + 3600 } })), "token_issued_in_future");
    assert.throws(() => issuer.shift("2d"), TypeError);
  });

  it("goes down, with a network error or a status, and comes up again", async () => {
    await start();
    for (const status of [undefined, 500, 429]) {
      verifier = createVerifier(issuer.verifierOptions({ audience: AUDIENCE }));
      issuer.down(status);
      assert.equal(await verdict(mint()), "discovery_unreachable");
      issuer.up();
      issuer.shift(61);
      assert.equal(await verdict(mint()), "ok");
      // Known keys outlast an outage.
      issuer.down(status);
      assert.equal(await verdict(mint()), "ok");
      issuer.up();
    }
    assert.equal((await issuer.fetch("https://issuer.test/elsewhere")).status, 404);
    assert.equal((await issuer.fetch(new URL("https://other.test/jwks"))).status, 404);
  });

  it("has a path if its URL has one", async () => {
    await start({ issuer: "https://issuer.test/realms/one" });
    assert.equal(await verdict(mint()), "ok");
    assert.equal(issuer.requests[0].url, "https://issuer.test/realms/one/.well-known/openid-configuration");
  });
});

const config = (issuer, changes) => ({
  authorizer: {
    type: "oidc", issuer, audience: AUDIENCE, client_id: "web", client_secret: "a client secret that only this test has", redirect_uri: `${SITE}/auth/callback`,
    scope: "openid email offline_access read:items",
  },
  session: { secrets: "a sealing secret of this test, long enough", ...changes },
  paths: [
    { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
    { method: "POST", path: "/refresh", integration: { type: "refresh" } },
    { method: "GET", path: "/me", scopes: ["read:items"], integration: { type: "userinfo" } },
    { method: "GET", path: "/admin", permissions: ["admin:read"], integration: { type: "respond", body: "admin" } },
  ],
});

describe("sessions of the gateway", () => {
  for (const same_site of ["Lax", "Strict"]) {
    it(`are sealed by a login through the Worker, with SameSite=${same_site}`, async () => {
      const issuer = await createIssuer();
      const worker = await startWorker({ config: config(issuer.issuer, { same_site }), hosts: issuer.fetch });
      try {
        const send = async ({ method, url, headers }) => {
          const { pathname, search } = new URL(url);
          const { status, body, headers: pairs } = await worker.request({ method, target: pathname + search, headers: { host: new URL(SITE).host, ...Object.fromEntries(headers) } });
          return new Response(body, { status, headers: pairs });
        };
        const get = (path, cookie, method = "GET") => send(new Request(SITE + path, { method, headers: { cookie } }));
        const cookie = await issuer.signIn(send, { site: SITE, claims: { sub: "alice", email: "alice@example.com" } });
        assert.match(cookie, /^__Host-edgeward=1\.[\w-]+$/);
        const me = await get("/me", cookie);
        const { sub, email } = await me.json();
        assert.deepEqual([me.status, sub, email], [200, "alice", "alice@example.com"]);
        assert.equal((await get("/admin", cookie)).status, 403);
        const admin = await issuer.signIn(send, { site: SITE, accessClaims: { permissions: ["admin:read"] } });
        assert.equal(await (await get("/admin", admin)).text(), "admin");
        assert.equal((await get("/me", cookie.slice(0, -2))).status, 401);
        const refreshed = await get("/refresh", cookie, "POST");
        assert.deepEqual([refreshed.status, refreshed.headers.has("set-cookie")], [200, true], await refreshed.text());
        await worker.flush();
        assert.deepEqual(worker.logs.filter(({ level }) => level === "error"), []);
        // A code is redeemed once.
        const form = new URLSearchParams({ grant_type: "authorization_code", code: "used" });
        assert.equal((await issuer.fetch("https://issuer.test/oauth/token", { method: "POST", body: form })).status, 400);
      } finally {
        await worker.stop();
      }
    });
  }

  it("can be made beside the gateway, in the Worker of the tests", async () => {
    const contents = (name) => readFileSync(join(installed, "dist", name), name.endsWith(".wasm") ? undefined : "utf8");
    const files = ["testing.js", "gateway.js", "gateway/index.js", "gateway/index_bg.wasm"];
    const main = `
      import { gateway } from "./gateway.js";
      import { createIssuer } from "./testing.js";
      export default {
        async fetch(_, env, ctx) {
          const issuer = await createIssuer({ algorithms: ["RS256"] });
          globalThis.fetch = issuer.fetch;
          const worker = gateway(${JSON.stringify(config("https://issuer.test/"))});
          const send = (request) => worker.fetch(request, env, ctx);
          const cookie = await issuer.signIn(send, { site: "${SITE}", claims: { sub: "bob" } });
          return send(new Request("${SITE}/me", { headers: { cookie } }));
        },
      };`;
    const modules = { "main.js": main, ...Object.fromEntries(files.map((file) => [file, contents(file)])) };
    assert.equal((await inWorkerd("main.js", modules)).sub, "bob");
  });

  it("say why there is none", async () => {
    const issuer = await createIssuer();
    const refused = issuer.signIn(() => Response.json({ code: "config_invalid" }, { status: 503 }), { site: SITE });
    await assert.rejects(refused, /answered 503 instead of a redirect to https:\/\/issuer\.test\/: .*config_invalid/);
  });
});

describe("the runtimes", () => {
  const SCRIPT = `
    const main = async ({ createVerifier }, { createIssuer }) => {
      const issuer = await createIssuer({ algorithms: ["RS256", "PS256", "ES256"] });
      const { verify } = createVerifier(issuer.verifierOptions({ audience: "a" }));
      const report = [];
      for (const algorithm of ["RS256", "PS256", "ES256"]) {
        report.push((await verify(await issuer.mint({ algorithm, claims: { aud: "a" } }))).header.alg);
      }
      return report;
    };`;
  const MODULE = `import * as edgeward from "edgeward"; import * as testing from "edgeward/testing"; ${SCRIPT}`;
  const PRINTED = `${MODULE} console.log(JSON.stringify(await main(edgeward, testing)));`;
  const REQUIRED = `${SCRIPT} main(require("edgeward"), require("edgeward/testing")).then((report) => console.log(JSON.stringify(report)));`;
  const EXPECTED = ["RS256", "PS256", "ES256"];
  const oven = { "linux-x64": "linux-x64", "linux-arm64": "linux-aarch64", "darwin-arm64": "darwin-aarch64", "darwin-x64": "darwin-x64" };
  const bun = join(root, `node_modules/@oven/bun-${oven[`${process.platform}-${process.arch}`]}/bin/bun`);
  const deno = () => [require.resolve("deno/package.json").replace("package.json", "bin.cjs"), "run", "--no-prompt", "--no-lock", "--node-modules-dir=manual"];
  const programs = {
    "Node": [process.execPath, () => [], PRINTED, "main.mjs"],
    "Node, CommonJS": [process.execPath, () => [], REQUIRED, "main.cjs"],
    "Node 20": [process.env.EDGEWARD_NODE_20, () => [], PRINTED, "main20.mjs"],
    "Deno": [process.execPath, deno, PRINTED, "deno.mjs"],
    "Bun": [existsSync(bun) && bun, () => ["run"], PRINTED, "bun.mjs"],
  };

  for (const [name, [program, args, text, file]] of Object.entries(programs)) {
    it(`include ${name}`, async (t) => {
      if (!program) return t.diagnostic(`not run: ${name} is not here`);
      const cwd = join(temporary, "project");
      writeFileSync(join(cwd, file), text);
      assert.deepEqual(JSON.parse(await run(program, [...args(), file], { cwd })), EXPECTED);
    });
  }

  it("include workerd", async () => {
    const cwd = join(temporary, "project");
    writeFileSync(join(cwd, "worker.mjs"), `${MODULE} export default { fetch: async () => Response.json(await main(edgeward, testing)) };`);
    assert.deepEqual(await inWorkerd("worker.js", { "worker.js": await esbuild(cwd, "worker.mjs", { format: "esm", platform: "browser" }) }), EXPECTED);
  });

  it("include Vitest, with the example", async () => {
    const above = await runners();
    const project = mkdtempSync(join(above, "testing-"));
    try {
      cpSync(join(root, "examples/vitest"), project, { recursive: true, filter: (path) => !/node_modules/.test(path) });
      cpSync(installed, join(project, "node_modules/edgeward"), { recursive: true });
      const output = await run(process.execPath, [join(above, "node_modules/vitest/vitest.mjs"), "run", "--root", project], { cwd: project, env: ENV });
      assert.match(output.replace(/\x1b\[[0-9;]*m/g, ""), /Tests +5 passed \(5\)/);
    } finally {
      rmSync(project, { recursive: true, force: true });
    }
  });
});
