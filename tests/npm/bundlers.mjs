// The bundlers and test runners that only these tests need: pinned in tests/npm/bundlers, installed from npm into the user's cache, once.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./install.mjs";
import { esbuild, inWorkerd } from "./run-bundle.mjs";
import { freePort } from "../node/support/http.mjs";

const fixture = join(import.meta.dirname, "bundlers");
const cache = process.env.EDGEWARD_CACHE ?? join(homedir(), ".cache/edgeward");

// As it is now: Vite, which other tests run in this process, sets NODE_ENV.
export const ENV = { ...process.env, CI: "true", NEXT_TELEMETRY_DISABLED: "1", NITRO_TELEMETRY_DISABLED: "1" };

/** Installs the pinned packages and returns their folder. */
export async function installed() {
  const files = ["package.json", "package-lock.json"];
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(fixture, file)));
  const folder = join(cache, `bundlers-${hash.digest("hex").slice(0, 16)}`);
  const stamp = join(folder, "node_modules/.installed");
  if (!existsSync(stamp)) {
    mkdirSync(folder, { recursive: true });
    for (const file of files) copyFileSync(join(fixture, file), join(folder, file));
    const flags = ["--include=dev", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    await run("npm", ["ci", ...flags], { cwd: folder, env: ENV });
    writeFileSync(stamp, "");
  }
  return folder;
}

/** Runs `work` in a project with the package as installed in `source`, the suite and `files`. The packages are found in the folder above. */
async function inProject(source, files, work) {
  const above = await installed();
  const project = mkdtempSync(join(above, "project-"));
  try {
    cpSync(join(source, "node_modules/edgeward"), join(project, "node_modules/edgeward"), { recursive: true });
    for (const file of ["suite.mjs", "fixtures.mjs"]) copyFileSync(join(source, file), join(project, file));
    for (const [name, text] of Object.entries({ "package.json": '{ "private": true, "type": "module" }', ...files })) {
      mkdirSync(join(project, name, ".."), { recursive: true });
      writeFileSync(join(project, name), text);
    }
    const node = (path, args) => run(process.execPath, [join(above, "node_modules", path), ...args], { cwd: project, env: ENV });
    const version = (name) => JSON.parse(readFileSync(join(above, "node_modules", name, "package.json"))).version;
    return await work({ project, node, version, bin: (path) => join(above, "node_modules", path) });
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

const json = (file) => JSON.parse(readFileSync(file, "utf8"));

/** A test of Jest: it is CommonJS, and so is its copy of the suite. */
const JEST = `
  const edgeward = require("edgeward");
  const { suite, fixtures } = require("./suite.cjs");
  test("the suite", async () => {
    require("node:fs").writeFileSync(__dirname + "/report.json", JSON.stringify(await suite(edgeward, fixtures)));
  }, 120_000);`;

/** The package in Jest's jsdom without anything else: it can be imported, decodes tokens, and says what is missing. */
const JEST_BARE = `
  const { createVerifier, decodeUnverified } = require("edgeward");
  const { fixtures } = require("./suite.cjs");
  test("without encoders", () => {
    delete globalThis.TextEncoder;
    const missing = { code: "internal_error", message: expect.stringContaining("TextEncoder") };
    expect(() => createVerifier(fixtures.policies.access)).toThrow(expect.objectContaining(missing));
    globalThis.TextEncoder = require("node:util").TextEncoder;
    globalThis.TextDecoder = require("node:util").TextDecoder;
    expect(createVerifier({ ...fixtures.policies.access, now: () => fixtures.now }).verifySync(fixtures.good).payload.sub).toBe("user-1");
    expect(decodeUnverified(fixtures.good).payload.sub).toBe("user-1");
  });`;

/** jsdom with the web standards of Node that the suite uses. */
const JSDOM = `
  const { TestEnvironment } = require("jest-environment-jsdom");
  module.exports = class extends TestEnvironment {
    constructor(...args) {
      super(...args);
      const standards = { TextEncoder, TextDecoder, fetch, Headers, Request, Response, Blob, ReadableStream, AbortController, AbortSignal, Event };
      Object.assign(this.global, standards);
      Object.defineProperty(this.global, "crypto", { value: crypto });
    }
  };`;

/** Jest in an environment. */
const jest = (testEnvironment, more = {}) => ({ folder }) => {
  const entry = 'export { suite } from "./suite.mjs"; export { default as fixtures } from "./fixtures.mjs";';
  const config = { testEnvironment, transform: {}, testMatch: ["**/*.test.cjs"], watchman: false };
  const files = { "main.test.cjs": JEST, "suite-entry.mjs": entry, "jest.config.json": JSON.stringify(config), ...more };
  return inProject(folder, files, async ({ project, node, version }) => {
    writeFileSync(join(project, "suite.cjs"), await esbuild(project, "suite-entry.mjs", { format: "cjs", platform: "neutral" }));
    await node("jest/bin/jest.js", ["--config", "jest.config.json", "--runInBand", "--no-cache"]);
    return { report: json(join(project, "report.json")), version: version("jest") };
  });
};

export const bundlers = {
  "Nitro (`cloudflare-module`), in workerd": ({ folder }) =>
    inProject(folder, {
      "nitro.config.mjs": `export default {
        preset: "cloudflare-module", compatibilityDate: "2026-11-01", logLevel: 1, experimental: { wasm: true }, cloudflare: { deployConfig: false },
      };`,
      "routes/index.mjs": `
        import { defineEventHandler } from "h3";
        import * as edgeward from "edgeward";
        import fixtures from "../fixtures.mjs";
        import { suite } from "../suite.mjs";
        export default defineEventHandler(() => suite(edgeward, fixtures));`,
    }, async ({ project, node, version }) => {
      await node("nitropack/dist/cli/index.mjs", ["build"]);
      const server = join(project, ".output/server");
      const files = readdirSync(server, { recursive: true }).filter((file) => /\.(mjs|wasm)$/.test(file));
      const wasm = files.filter((file) => file.endsWith(".wasm"));
      if (wasm.length !== 1) throw new Error(`one wasm module expected: ${wasm.join(", ")}`);
      const modules = Object.fromEntries(files.map((file) => [file, readFileSync(join(server, file), file.endsWith(".wasm") ? undefined : "utf8")]));
      return { report: await inWorkerd("index.mjs", modules, ["nodejs_compat"]), version: version("nitropack") };
    }),

  "Next, edge route and middleware": ({ folder }) =>
    inProject(folder, {
      "app/edge/route.js": `
        import * as edgeward from "edgeward";
        import fixtures from "../../fixtures.mjs";
        import { suite } from "../../suite.mjs";
        export const runtime = "edge";
        export const dynamic = "force-dynamic";
        export const GET = async () => Response.json(await suite(edgeward, fixtures));`,
      "app/guarded/route.js": 'export const GET = () => new Response("passed");',
      "middleware.js": `
        import { createVerifier, EdgewardError, guard } from "edgeward";
        import fixtures from "./fixtures.mjs";
        const check = guard({ verifier: createVerifier({ ...fixtures.policies.access, now: () => fixtures.now }) });
        export async function middleware(request) {
          try {
            await check(request);
          } catch (error) {
            if (error instanceof EdgewardError) return error.toResponse();
            throw error;
          }
        }
        export const config = { matcher: "/guarded" };`,
    }, async ({ project, node, version, bin }) => {
      await node("next/dist/bin/next", ["build"]);
      const port = await freePort();
      const args = [bin("next/dist/bin/next"), "start", "--hostname", "127.0.0.1", "--port", String(port)];
      const server = spawn(process.execPath, args, { cwd: project, env: ENV });
      const ended = new Promise((resolve) => server.on("exit", resolve));
      try {
        await ready(server);
        const url = `http://127.0.0.1:${port}`;
        const { good, unknownKid } = (await import(join(project, "fixtures.mjs"))).default;
        const answers = [];
        for (const headers of [{}, { authorization: `Bearer ${unknownKid}` }, { authorization: `Bearer ${good}` }]) {
          const response = await fetch(`${url}/guarded`, { headers });
          answers.push(response.status === 200 ? await response.text() : `${response.status} ${(await response.json()).code}`);
        }
        if (answers.join() !== "401 token_missing,401 key_not_found,passed") throw new Error(`the middleware answered ${answers}`);
        return { report: await (await fetch(`${url}/edge`)).json(), version: version("next") };
      } finally {
        server.kill();
        await ended;
      }
    }),

  "Jest": jest("node"),
  "Jest, jsdom": jest("./jsdom.cjs", { "jsdom.cjs": JSDOM, "bare.test.cjs": `/** @jest-environment jsdom */${JEST_BARE}` }),
  "Jest, edge-runtime": jest("@edge-runtime/jest-environment"),

  "Vitest": ({ folder }) =>
    inProject(folder, {
      "main.test.mjs": `
        import { writeFileSync } from "node:fs";
        import { it } from "vitest";
        import * as edgeward from "edgeward";
        import fixtures from "./fixtures.mjs";
        import { suite } from "./suite.mjs";
        it("passes the suite", async () => writeFileSync("report.json", JSON.stringify(await suite(edgeward, fixtures))), 120_000);`,
    }, async ({ project, node, version }) => {
      await node("vitest/vitest.mjs", ["run", "--root", project]);
      return { report: json(join(project, "report.json")), version: version("vitest") };
    }),
};

/** Waits until a server says that it is ready. */
export function ready(server) {
  return new Promise((resolve, reject) => {
    let output = "";
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (/Ready in/.test(output)) resolve();
      });
    }
    server.on("exit", (code) => reject(new Error(`the server ended (${code}):\n${output}`)));
  });
}
