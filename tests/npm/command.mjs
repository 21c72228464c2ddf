// The command `edgeward` as it is installed.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { install, pack } from "./install.mjs";
import { apart } from "./progress.mjs";

/**
 * Installs the package, and other packages beside it, into a temporary folder that the tests may write to. Returns the folder, a function
 * that runs the command in it, and one that removes it.
 */
export async function installCommand(packages = []) {
  const temporary = mkdtempSync(join(tmpdir(), "edgeward-command-"));
  const folder = await install(join(temporary, "project"), await pack(temporary), packages);
  const { bin } = JSON.parse(readFileSync(join(folder, "node_modules/edgeward/package.json"), "utf8"));
  const script = join(folder, "node_modules/edgeward", bin.edgeward);
  const remove = () => rmSync(temporary, { recursive: true, force: true });
  return { folder, script, remove, run: (args, options) => run(options?.script ?? script, args, { cwd: folder, ...options }) };
}

/** The variables that a command needs of its surroundings. */
export const bare = { PATH: process.env.PATH, HOME: process.env.HOME };

/** Starts the command. */
export function start(script, args, { cwd, env = {}, node = process.execPath }) {
  const child = spawn(node, [script, ...args], { cwd, env: { ...bare, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  const output = { child, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].on("data", (chunk) => (output[name] += chunk));
  output.exited = new Promise((resolve, reject) => child.once("error", reject).once("close", (code, signal) => resolve(code ?? signal)));
  return output;
}

/** Runs the command to its end. Returns its exit code and what it printed, apart from its progress. No output may look like a stack trace. */
async function run(script, args, { input = "", ...options }) {
  const started = performance.now();
  const output = start(script, args, options);
  output.child.stdin.on("error", () => {});
  output.child.stdin.end(input);
  const code = await output.exited;
  const { stdout, stderr } = output;
  if (/^\s+at .*:\d+:\d+\)?$/m.test(stdout + stderr) || /internal error/.test(stderr)) throw new Error(`edgeward ${args.join(" ")} shows a stack:\n${stdout}${stderr}`);
  return { code, stdout, ...apart(stderr), ms: performance.now() - started };
}
