// A Worker in a runtime that runs nothing else. The local runtime of the other tests makes a Worker's requests through a Worker of its own,
// in the same process, whose memory grows with each; a deployed Worker has no such neighbour.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import workerd from "workerd";
import { delay, freePort } from "../node/support/http.mjs";
import { COMPATIBILITY_DATE } from "../node/support/worker.mjs";

/**
 * Starts it, with what the long runs use of `startWorker`: `source` and `config`.
 *
 * @param {object} options
 * @param {object} [options.config]  the variable EDGEWARD
 * @param {{ main: string, modules: Record<string, { type: string, contents: string | Uint8Array }> }} options.source
 */
export async function startBareRuntime({ config = {}, source }) {
  const folder = await mkdtemp(join(tmpdir(), "edgeward-soak-"));
  const [port, inspectorPort] = await Promise.all([freePort(), freePort()]);
  await Promise.all(Object.entries(source.modules).map(([name, { contents }]) => writeFile(join(folder, name), contents)));
  await writeFile(join(folder, "config.capnp"), configuration(source, port));
  const child = spawn(workerd.default, ["serve", "config.capnp", `--inspector-addr=127.0.0.1:${inspectorPort}`], {
    cwd: folder, env: { ...process.env, EDGEWARD: JSON.stringify(config) }, stdio: ["ignore", "pipe", "pipe"],
  });
  // At once: of itself, workerd waits for what it still does.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const logs = [];
  for (const [stream, level] of [[child.stdout, "log"], [child.stderr, "error"]]) {
    createInterface({ input: stream }).on("line", (message) => logs.push({ level, message }));
  }
  const url = `http://127.0.0.1:${port}`;
  const runtime = {
    port, url, inspectorPort, pid: child.pid, logs,
    get logText() {
      return logs.map(({ message }) => message).join("\n");
    },
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    async stop() {
      process.off("exit", kill);
      if (child.exitCode === null && child.signalCode === null) {
        kill();
        await once(child, "exit");
      }
      await rm(folder, { recursive: true });
    },
  };
  while (!(await runtime.fetch("/").catch(() => undefined))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      await runtime.stop();
      throw new Error(`the runtime has ended: ${runtime.logText}`);
    }
    await delay(50);
  }
  return runtime;
}

/** A Worker that may connect to this machine. The main module is the first. */
function configuration({ main, modules }, port) {
  const kinds = { esm: "esModule", wasm: "wasm" };
  const names = [main, ...Object.keys(modules).filter((name) => name !== main)];
  const list = names.map((name) => `(name = "${name}", ${kinds[modules[name].type]} = embed "${name}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "edgeward", worker = .edgeward), (name = "internet", network = (allow = ["public", "private"]))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edgeward")],
  logging = (structuredLogging = true),
);
const edgeward :Workerd.Worker = (
  modules = [${list.join(", ")}],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ["no_nodejs_compat"],
  bindings = [(name = "EDGEWARD", fromEnvironment = "EDGEWARD")],
);
`;
}
