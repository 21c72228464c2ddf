// Workers for the benchmark: bundled with esbuild, run by workerd itself, one process each.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";

const COMPATIBILITY_DATE = "2026-11-01";
const workerd = createRequire(import.meta.resolve("miniflare"))("workerd").default;

/** Bundles a Worker as a user would; returns its modules: `{ name: bytes }`, the main one first. */
export async function bundle(entry, { nodePaths = [], alias = {} } = {}) {
  const wasm = new Map();
  const modules = {
    name: "wasm modules",
    setup(api) {
      api.onResolve({ filter: /\.wasm(\?module)?$/ }, async ({ path, resolveDir, kind, pluginData }) => {
        if (pluginData === "resolved here") return undefined;
        const found = await api.resolve(path.replace(/\?module$/, ""), { resolveDir, kind, pluginData: "resolved here" });
        if (found.errors.length) return { errors: found.errors };
        wasm.set(basename(found.path), readFileSync(found.path));
        return { path: `./${basename(found.path)}`, external: true };
      });
    },
  };
  const { outputFiles } = await build({
    entryPoints: [entry], bundle: true, write: false, format: "esm", target: "es2022", platform: "neutral",
    mainFields: ["module", "main"], conditions: ["workerd", "worker", "browser"], external: ["cloudflare:*", "node:*"],
    plugins: [modules], nodePaths, alias, logLevel: "error",
  });
  return { "index.js": Buffer.from(outputFiles[0].contents), ...Object.fromEntries(wasm) };
}

/** The modules of a built Worker. */
export const builtWorker = (folder) =>
  Object.fromEntries(["index.js", "index_bg.wasm"].map((name) => [name, readFileSync(join(folder, name))]));

/**
 * Starts a Worker on a free port.
 *
 * @param {Record<string, Uint8Array>} modules  the main one first
 * @param {Record<string, unknown>} [bindings]  JSON values
 */
export async function startRuntime(modules, bindings = {}) {
  const folder = mkdtempSync(join(tmpdir(), "edgeward-bench-worker-"));
  for (const [name, bytes] of Object.entries(modules)) writeFileSync(join(folder, name), bytes);
  const text = JSON.stringify;
  const list = Object.keys(modules).map((name) => `(name = ${text(name)}, ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed ${text(name)})`);
  const given = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, json = embed ${text(`${name}.json`)})`);
  for (const [name, value] of Object.entries(bindings)) writeFileSync(join(folder, `${name}.json`), text(value));
  writeFileSync(join(folder, "config.capnp"), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [${list.join(", ")}],
    bindings = [${given.join(", ")}],
    compatibilityDate = "${COMPATIBILITY_DATE}",
    compatibilityFlags = ["no_nodejs_compat"],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
  const child = spawn(workerd, ["serve", "--control-fd=3", join(folder, "config.capnp")], {
    // What a Worker logs is not a result.
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const port = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdio[3] }).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.event === "listen") resolve(said.port);
    });
    ended.then((code) => reject(new Error(`workerd ended (${code})`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    cpuTime: () => cpuTime(child.pid),
    async stop() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether this system tells how much CPU time a process has used. */
export const tellsCpuTime = existsSync("/proc/self/stat");
const hasSchedstat = existsSync("/proc/self/schedstat");
const TICK_US = tellsCpuTime ? 1e6 / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" })) : undefined;

/** CPU time of a process, all threads, user and system, in microseconds: to the nanosecond, or else to the tick. */
function cpuTime(pid) {
  if (!tellsCpuTime) return undefined;
  const read = (name) => readFileSync(`/proc/${pid}/${name}`, "utf8");
  if (hasSchedstat) {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => sum + Number(read(`task/${thread}/schedstat`).split(" ")[0]), 0) / 1e3;
  }
  const text = read("stat");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}
