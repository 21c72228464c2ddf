// Every example, started with its one command, with the package as installed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startIssuer } from "../node/support/tokens.mjs";
import { pack, root } from "./install.mjs";
import { freePort } from "../node/support/http.mjs";

const READY_MS = 90_000;

let temporary;
let tarball;
let issuer;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-examples-"));
  tarball = await pack(temporary);
  issuer = await startIssuer();
});
after(async () => {
  await issuer.stop();
  rmSync(temporary, { recursive: true, force: true });
});

/** Copies an example, replaces the published package by the tarball, and starts it with `npm start`. */
async function start(name, { env = {}, args = [], change = () => {} } = {}) {
  const folder = join(temporary, name);
  cpSync(join(root, "examples", name), folder, { recursive: true, filter: (path) => !/node_modules|\.wrangler/.test(path) });
  const manifest = JSON.parse(readFileSync(join(folder, "package.json")));
  manifest.dependencies.edgeward = `file:${tarball}`;
  // Wrangler is large: this project's own is used.
  delete manifest.devDependencies;
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  change(folder);
  const child = spawn("npm", ["start", "--", ...args], {
    cwd: folder, detached: true, stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}`, npm_config_prefer_offline: "true", npm_config_ignore_scripts: "false",
      CI: "true", WRANGLER_SEND_METRICS: "false", ...env,
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const stop = async () => {
    try {
      process.kill(-child.pid, "SIGTERM");
    } catch {
      // It has already ended.
    }
    await ended;
  };
  const end = Date.now() + READY_MS;
  for (;;) {
    const url = output.match(/(?:Listening|Ready) on (http:\/\/[^\s]+)/)?.[1];
    if (url) return { url, output: () => output, stop };
    if (child.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`${name} did not start:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Returns what the output says, which may come after the address. */
async function printed(output, pattern) {
  const end = Date.now() + READY_MS;
  for (;;) {
    const found = output().match(pattern);
    if (found !== null || Date.now() > end) return found[1];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });
const get = async (url, init) => {
  const response = await fetch(url, init);
  return { status: response.status, challenge: response.headers.get("www-authenticate"), text: await response.text() };
};

for (const name of ["express", "hono"]) {
  describe(`examples/${name}`, () => {
    it("serves with a demo issuer, and the command it prints works", async () => {
      const { url, output, stop } = await start(name, { env: { PORT: "0", ISSUER: "" } });
      try {
        const token = await printed(output, /Authorization: Bearer ([^']+)'/);
        assert.deepEqual(JSON.parse((await get(`${url}/`)).text), { hello: "everyone" });
        assert.deepEqual(JSON.parse((await get(`${url}/me`, bearer(token))).text), { user: "demo-user", scopes: ["read:items"] });
        const none = await get(`${url}/me`);
        assert.deepEqual([none.status, none.challenge, JSON.parse(none.text).code], [401, 'Bearer realm="edgeward"', "token_missing"]);
        const missing = await get(`${url}/items`, { ...bearer(token), method: "DELETE" });
        assert.deepEqual([missing.status, JSON.parse(missing.text).required], [403, "delete:items"]);
        assert.equal((await get(`${url}/me?access_token=${token}`, bearer(token))).status, 400);
        assert.equal((await get(`${url}/me`, bearer(`${token}x`))).status, 401);
      } finally {
        await stop();
      }
    });

    it("serves with a real issuer", async () => {
      const { url, stop } = await start(name, { env: { PORT: "0", ISSUER: issuer.issuer, AUDIENCE: issuer.audience } });
      try {
        assert.equal(JSON.parse((await get(`${url}/me`, bearer(issuer.token()))).text).user, "user-1");
        const allowed = bearer(issuer.token({ claims: { scope: "delete:items" } }));
        assert.deepEqual(JSON.parse((await get(`${url}/items`, { ...allowed, method: "DELETE" })).text), { deleted: true });
        assert.equal((await get(`${url}/me`, bearer(issuer.token({ claims: { aud: "another" } })))).status, 401);
      } finally {
        await stop();
      }
    });
  });
}

describe("examples/worker", () => {
  it("runs in wrangler dev", async () => {
    const args = ["--ip", "127.0.0.1", "--port", String(await freePort())];
    const variables = ["--var", `ISSUER:${issuer.issuer}`, "--var", `AUDIENCE:${issuer.audience}`];
    const { url, stop } = await start("worker", { args: [...args, ...variables] });
    try {
      assert.equal(JSON.parse((await get(`${url}/me`, bearer(issuer.token()))).text).user, "user-1");
      assert.equal((await get(`${url}/me`)).status, 401);
      assert.equal((await get(`${url}/greeting`)).text, "Hello stranger\n");
      assert.equal((await get(`${url}/greeting`, bearer(issuer.token()))).text, "Hello user-1\n");
      assert.equal((await get(`${url}/admin`, bearer(issuer.token()))).status, 403);
      assert.equal((await get(`${url}/admin`, bearer(issuer.token({ claims: { permissions: ["admin:read"] } })))).status, 200);
      assert.equal((await get(`${url}/constructor`)).status, 404);
    } finally {
      await stop();
    }
  });
});

describe("examples/gateway-template", () => {
  const folder = join(root, "examples/gateway-template");

  it("runs in wrangler dev without changes, and refuses requests without a token", async () => {
    const { url, stop } = await start("gateway-template", { args: ["--ip", "127.0.0.1", "--port", String(await freePort())] });
    try {
      const health = await get(`${url}/health`);
      assert.deepEqual([health.status, JSON.parse(health.text).status], [200, "ok"]);
      const none = await get(`${url}/api/items`);
      assert.deepEqual([none.status, JSON.parse(none.text).code], [401, "token_missing"]);
      assert.equal((await get(`${url}/elsewhere`)).status, 404);
    } finally {
      await stop();
    }
  });

  it("holds no secret and no loopback address, and has only keys of the schema", () => {
    const files = readdirSync(folder).filter((name) => !["node_modules", ".wrangler", "README.md"].includes(name));
    for (const name of files) {
      const text = readFileSync(join(folder, name), "utf8");
      assert.doesNotMatch(text, /localhost|127\.0\.0\.1|::1/, name);
    }
    const secrets = readFileSync(join(folder, ".dev.vars.example"), "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
    assert.deepEqual(secrets, []);
    const schema = JSON.parse(readFileSync(join(root, "edgeward.schema.json")));
    const config = JSON.parse(readFileSync(join(folder, "edgeward.json")));
    for (const key of Object.keys(config)) assert.ok(key in schema.properties, key);
    assert.ok(existsSync(join(root, "edgeward.schema.json")));
  });
});
