// The runtimes that the package supports: each loads the installed package, runs the suite, and returns its report and version, or the reason
// why it cannot run here.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CHROMIUM, launchChromium } from "../node/support/chromium.mjs";
import { bundlers } from "./bundlers.mjs";
import { install, root, run } from "./install.mjs";
import { esbuild, inWorkerd } from "./run-bundle.mjs";

const bin = (name) => join(root, "node_modules", ...name.split("/"));
const require = createRequire(import.meta.url);
const versionOf = (name) => require(join(root, "node_modules", name, "package.json")).version;

/** A script's last line is the report. */
const report = (output) => JSON.parse(output.trim().split("\n").at(-1));

const NODE_20 = process.env.EDGEWARD_NODE_20;

const node = (file) => async ({ folder }) => ({
  report: report(await run(process.execPath, [file], { cwd: folder })),
  version: process.versions.node,
});
const node20 = (file) => async ({ folder }) => {
  if (!NODE_20) return { missing: "there is no Node 20 here" };
  return { report: report(await run(NODE_20, [file], { cwd: folder })), version: (await run(NODE_20, ["--version"])).trim().slice(1) };
};

export const runtimes = {
  "Node 20, ES module": node20("main.mjs"),
  "Node 20, CommonJS": node20("main.cjs"),
  "Node 24, ES module": node("main.mjs"),
  "Node 24, CommonJS": node("main.cjs"),
  "Node 24, `edgeward/slim`": node("slim.mjs"),

  "Deno": async ({ folder }) => {
    const deno = require.resolve("deno/package.json").replace("package.json", "bin.cjs");
    // Only the network is allowed: no file and no variable is read.
    const args = [deno, "run", "--no-prompt", "--no-lock", "--node-modules-dir=manual", "--allow-net=127.0.0.1", "main.mjs"];
    return { report: report(await run(process.execPath, args, { cwd: folder })), version: versionOf("deno") };
  },

  "Bun": async ({ folder }) => {
    const platform = { "linux-x64": "bun-linux-x64", "linux-arm64": "bun-linux-aarch64", "darwin-arm64": "bun-darwin-aarch64", "darwin-x64": "bun-darwin-x64" };
    const bun = bin(`@oven/${platform[`${process.platform}-${process.arch}`]}/bin/bun`);
    if (!existsSync(bun)) return { missing: "there is no Bun for this platform" };
    return { report: report(await run(bun, ["run", "main.mjs"], { cwd: folder })), version: versionOf("bun") };
  },

  "Cloudflare Workers (workerd, bundled by wrangler)": async ({ folder }) => {
    const wrangler = { name: "fixture", main: "worker.mjs", compatibility_date: "2026-11-01", compatibility_flags: ["no_nodejs_compat"] };
    writeFileSync(join(folder, "wrangler.json"), JSON.stringify(wrangler));
    await run(process.execPath, [bin("wrangler/bin/wrangler.js"), "deploy", "--dry-run", "--outdir", "out-wrangler"], { cwd: folder });
    const out = join(folder, "out-wrangler");
    const script = readFileSync(join(out, "worker.js"), "utf8");
    const wasm = script.match(/from\s*"\.\/([^"]+\.wasm)"/)?.[1];
    if (wasm === undefined) throw new Error("wrangler did not take the entry that imports the wasm module");
    return { report: await inWorkerd("worker.js", { "worker.js": script, [wasm]: readFileSync(join(out, wasm)) }), version: versionOf("workerd") };
  },

  "workerd, inlined module": async ({ folder }) => {
    // The entry of a Worker whose bundler does not support the condition `workerd`.
    const code = await esbuild(folder, "worker.mjs", { format: "esm", platform: "browser" });
    return { report: await inWorkerd("worker.js", { "worker.js": code }), version: versionOf("workerd") };
  },

  "Vercel Edge (edge-runtime)": async ({ folder }) => {
    const { EdgeRuntime } = await import("edge-runtime");
    const code = await esbuild(folder, "edge.mjs", { format: "iife", conditions: ["edge-light"], plugins: [edgeModules] });
    const module = new WebAssembly.Module(readFileSync(join(folder, "node_modules/edgeward/dist/verifier_simd.wasm")));
    const runtime = new EdgeRuntime({ initialCode: code, extend: (context) => Object.assign(context, { edgewardModule: module }) });
    const response = await runtime.dispatchFetch("https://edge.example.com/");
    return { report: await response.json(), version: versionOf("edge-runtime") };
  },

  "Vite, `workerd` condition": async ({ folder }) => {
    const { build } = await import("vite");
    await build({
      root: folder, configFile: false, logLevel: "error",
      // Vite imports no compiled modules.
      resolve: { alias: [{ find: /^edgeward$/, replacement: "edgeward/inline" }] },
      ssr: { target: "webworker", noExternal: true, resolve: { conditions: ["workerd"] } },
      build: { ssr: "worker.mjs", outDir: "out-vite-workerd", rollupOptions: { output: { entryFileNames: "worker.js" } } },
    });
    const code = readFileSync(join(folder, "out-vite-workerd/worker.js"), "utf8");
    return { report: await inWorkerd("worker.js", { "worker.js": code }), version: versionOf("vite") };
  },

  "webpack, `workerd` condition": async ({ folder }) => {
    await webpack(folder, {
      target: "webworker", entry: "./worker.mjs", resolve: { conditionNames: ["workerd", "..."] }, experiments: { outputModule: true },
      output: { path: join(folder, "out-webpack-workerd"), filename: "worker.js", module: true, library: { type: "module" } },
    });
    const code = readFileSync(join(folder, "out-webpack-workerd/worker.js"), "utf8");
    return { report: await inWorkerd("worker.js", { "worker.js": code }), version: versionOf("webpack") };
  },

  "esbuild bundle, in Node 24": async ({ folder }) => {
    writeFileSync(join(folder, "out-esbuild.mjs"), await esbuild(folder, "main.mjs", { format: "esm", platform: "node" }));
    return { ...(await node("out-esbuild.mjs")({ folder })), version: versionOf("esbuild") };
  },

  "webpack bundle, in Node 24": async ({ folder }) => {
    await webpack(folder, { target: "node20", entry: "./main.mjs", output: { path: join(folder, "out-webpack"), filename: "main.cjs" } });
    return { ...(await node("out-webpack/main.cjs")({ folder })), version: versionOf("webpack") };
  },

  "Chromium, `<script type=module>`": async ({ folder, server }) => {
    if (!CHROMIUM) return { missing: "there is no Chromium here" };
    const imports = { edgeward: "/node_modules/edgeward/dist/inline.js" };
    const html = (script) => `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">${script}</script>`;
    writeFileSync(join(folder, "csp-allowed.html"), html('import "./browser.mjs";'));
    writeFileSync(join(folder, "csp-refused.html"), html(`
      import { createVerifier } from "edgeward";
      try { createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] }); globalThis.report = "made"; }
      catch (error) { globalThis.report = error.code + ": " + error.message; }`));
    return inBrowser(async (open) => {
      const refused = await open(`${server.issuer}/csp-refused.html`);
      if (!/^options_invalid: .*wasm-unsafe-eval/.test(refused)) throw new Error(`without wasm-unsafe-eval: ${refused}`);
      return open(`${server.issuer}/csp-allowed.html`);
    });
  },

  "Vite build, in Chromium": async ({ folder, server }) => {
    if (!CHROMIUM) return { missing: "there is no Chromium here" };
    const { build } = await import("vite");
    writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/browser.mjs"></script>');
    await build({ root: folder, base: "./", logLevel: "error", build: { outDir: "out-vite", chunkSizeWarningLimit: 10_000 } });
    const { report } = await inBrowser((open) => open(`${server.issuer}/out-vite/index.html`));
    return { report, version: versionOf("vite") };
  },

  ...bundlers,
};

async function webpack(folder, options) {
  const { default: create } = await import("webpack");
  const compiler = create({ context: folder, mode: "production", performance: { hints: false }, ...options });
  const stats = await new Promise((resolve, reject) => compiler.run((error, done) => (error ? reject(error) : resolve(done))));
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString());
}

/** Creates a project that runs the suite. */
export async function project(folder, tarball, fixtures) {
  await install(folder, tarball);
  const suite = readFileSync(join(import.meta.dirname, "suite.mjs"), "utf8");
  const files = {
    "suite.mjs": suite,
    // U+2028 and lone surrogates are escaped, so that no tool on the way can change them.
    "fixtures.mjs": `export default ${JSON.stringify(fixtures)};`,
    "main.mjs": `
      import * as edgeward from "edgeward";
      import fixtures from "./fixtures.mjs";
      import { suite } from "./suite.mjs";
      suite(edgeward, fixtures).then((report) => console.log(JSON.stringify(report)));`,
    "main.cjs": `
      const edgeward = require("edgeward");
      Promise.all([import("./suite.mjs"), import("./fixtures.mjs")])
        .then(([{ suite }, { default: fixtures }]) => suite(edgeward, fixtures))
        .then((report) => console.log(JSON.stringify(report)));`,
    "slim.mjs": `
      import { readFileSync } from "node:fs";
      import * as edgeward from "edgeward/slim";
      import fixtures from "./fixtures.mjs";
      import { suite } from "./suite.mjs";
      const options = fixtures.policies.access;
      try { edgeward.createVerifier(options); throw new Error("made without a module"); }
      catch (error) { if (error.code !== "internal_error") throw error; }
      const bytes = readFileSync(new URL(import.meta.resolve("edgeward/verifier.wasm")));
      edgeward.initSync(bytes);
      edgeward.initSync(new WebAssembly.Module(bytes));
      await edgeward.init(new Response(bytes, { headers: { "content-type": "application/wasm" } }));
      suite(edgeward, fixtures).then((report) => console.log(JSON.stringify(report)));`,
    "worker.mjs": `
      import * as edgeward from "edgeward";
      import fixtures from "./fixtures.mjs";
      import { suite } from "./suite.mjs";
      export default { fetch: async () => Response.json(await suite(edgeward, fixtures)) };`,
    "edge.mjs": `
      import * as edgeward from "edgeward";
      import fixtures from "./fixtures.mjs";
      import { suite } from "./suite.mjs";
      addEventListener("fetch", (event) => event.respondWith(suite(edgeward, fixtures).then((report) => Response.json(report))));`,
    "browser.mjs": `
      import * as edgeward from "edgeward";
      import fixtures from "./fixtures.mjs";
      import { suite } from "./suite.mjs";
      suite(edgeward, fixtures).then((report) => { globalThis.report = report; }, (error) => { globalThis.report = String(error); });`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

/** `?module`, as Vercel's build resolves it: a compiled module. */
const edgeModules = {
  name: "edge-modules",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\.wasm\?module$/ }, ({ path }) => ({ path, namespace: "edge-module" }));
    onLoad({ filter: /./, namespace: "edge-module" }, () => ({ contents: "export default globalThis.edgewardModule;" }));
  },
};

/** Opens pages, each of which sets its report as `globalThis.report`. */
async function inBrowser(work) {
  const browser = await launchChromium();
  try {
    const open = async (url) => {
      const page = await browser.newPage();
      const problems = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      await page.goto(url);
      const handle = await page.waitForFunction(() => globalThis.report, undefined, { timeout: 60_000 }).catch((error) => {
        throw new Error([error, ...problems].join("\n"));
      });
      return handle.jsonValue();
    };
    return { report: await work(open), version: browser.version() };
  } finally {
    await browser.close();
  }
}
