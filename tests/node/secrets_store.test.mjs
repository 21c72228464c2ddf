// Secrets in Cloudflare's Secrets Store, whose bindings return their values asynchronously.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { assertProblem, read, respond } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { startWorker, wrappedBuild } from "./support/worker.mjs";

const VALUE = "value-of-the-stored-secret";
const CONFIG = { paths: [respond("/", { body: "$secrets.STORED and $env.PLAIN" })] };

const started = [];
after(() => Promise.all(started.map((worker) => worker.stop())));
async function start(options) {
  const worker = await startWorker(options);
  started.push(worker);
  return worker;
}

// Together: most of their time is the pause before the store is asked again.
describe("secrets of a Secrets Store", { concurrency: true }, () => {
  test("a secret of a Secrets Store is read before the first request is answered", async () => {
    const worker = await start({ config: CONFIG, env: { PLAIN: "plain" }, storedSecrets: ["STORED"] });
    await worker.storeSecret("STORED", VALUE);
    const answers = await Promise.all(Array.from({ length: 20 }, () => read(worker.fetch("/"))));
    for (const answer of answers) assert.deepEqual([answer.status, answer.text], [200, `${VALUE} and plain`]);
    assert.equal(await worker.written(), "");
  });

  test("a secret that is not available is named, never empty, and requested again", async () => {
    const worker = await start({ config: CONFIG, env: { PLAIN: "plain" }, storedSecrets: ["STORED"] });
    for (const value of [undefined, ""]) {
      if (value !== undefined) await worker.storeSecret("STORED", value);
      for (let i = 0; i < 3; i += 1) {
        await assertProblem(await read(worker.fetch("/")), { status: 503, code: "config_invalid" });
      }
      await delay(value === undefined ? 5_100 : 0);
    }
    await worker.waitForLog("secret_unavailable: the Secrets Store binding STORED returned no value");
    await worker.waitForLog(/config: error at paths\[0\]\.integration\.body: secret STORED is not set/);
    await worker.flush();
    const lines = worker.logs.length;
    await worker.storeSecret("STORED", VALUE);
    assert.equal((await worker.fetch("/")).status, 503, "the store is not asked with every request");
    await delay(5_100);
    assert.equal(await (await worker.fetch("/")).text(), `${VALUE} and plain`);
    await worker.flush();
    assert.equal(worker.logs.length, lines);
    assert.ok(!worker.logText.includes(VALUE));
  });

  test("the store is asked once; a value that is no text, and a store that fails or does not answer, give no secret", async () => {
    const source = await wrappedBuild(`
      const asked = {};
      const bindings = {
        good: async () => "good", number: async () => 7, hanging: () => new Promise(() => {}), throwing: () => { throw new Error("x"); },
      };
      const stored = Object.fromEntries(Object.entries(bindings).map(([name, get]) => [name, {
        get() { asked[name] = (asked[name] ?? 0) + 1; return get(); },
      }]));
      export default {
        fetch(request, env, ctx) {
          const name = new URL(request.url).pathname.slice(1);
          if (name === "asked") return Response.json(asked);
          return gateway.fetch(new Request("https://app.example.com/"), { ...env, STORED: stored[name], OTHER: stored.throwing }, ctx);
        },
      };`);
    const worker = await start({ config: { paths: [respond("/", { body: "$secrets.STORED" })] }, source });
    for (let i = 0; i < 10; i += 1) assert.equal(await (await worker.fetch("/good")).text(), "good");
    assert.deepEqual(await (await worker.fetch("/asked")).json(), { good: 1 }, "a binding that is not named is not asked");
    for (const name of ["number", "hanging", "throwing"]) {
      assert.equal((await worker.fetch(`/${name}`)).status, 503, name);
      await delay(name === "throwing" ? 0 : 5_100);
    }
    assert.equal(await (await worker.fetch("/good")).text(), "good");
    assert.deepEqual(await (await worker.fetch("/asked")).json(), { good: 1, number: 1, hanging: 1, throwing: 1 });
  });

  test("a variable that the configuration reads unnamed is not absent while its store fails", async () => {
    const source = await wrappedBuild(`
      const stored = { good: { get: async () => "a sealing secret of at least 32 characters" }, failing: { get: async () => { throw new Error("x"); } } };
      export default {
        fetch: (request, env, ctx) => gateway.fetch(request, { ...env, AUTH0_SECRET: stored[new URL(request.url).pathname.slice(1)] }, ctx),
      };`);
    const authorizer = {
      type: "oidc", issuer: "https://login.example.com", client_id: "c", client_secret: "s", redirect_uri: "https://app.example.com/cb",
    };
    const flow = (path, type) => ({ method: "GET", path, integration: { type } });
    const config = { authorizer, paths: [flow("/login", "login"), flow("/cb", "callback"), respond("/{name}", { body: "served" })] };
    const worker = await start({ config, source });
    for (const [name, status] of [["good", 200], ["failing", 503], ["good", 200]]) {
      assert.equal((await worker.fetch(`/${name}`)).status, status, name);
    }
    await worker.waitForLog("secret_unavailable: the Secrets Store binding AUTH0_SECRET returned no value");
  });
});
