// The package as users install it: packed, and installed from the tarball into an empty folder.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

export const root = resolve(import.meta.dirname, "../..");

/**
 * Packs the package into `folder` and returns the path of the tarball; of the one in the variable EDGEWARD_TARBALL, if it is set: packing writes
 * pkg/dist anew, so that no two files of tests may do it at once.
 */
export async function pack(folder) {
  const { EDGEWARD_TARBALL: tarball } = process.env;
  return tarball || (await run("node", [join(root, "scripts/pack-npm.mjs"), folder])).trim().split("\n").at(-1);
}

/** Creates a project in `folder` with the tarball and the named packages installed. */
export async function install(folder, tarball, packages = []) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "fixture", private: true, type: "module" }));
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer", "--loglevel=error"];
  await run("npm", ["install", ...flags, tarball, ...packages], { cwd: folder });
  return folder;
}

/** Runs a command and returns its output; an error contains all of it. */
export async function run(command, args, options = {}) {
  try {
    return (await exec(command, args, { encoding: "utf8", maxBuffer: 64 << 20, timeout: 300_000, ...options })).stdout;
  } catch (error) {
    throw new Error(`${command} ${args.join(" ")} failed (${error.code ?? error.signal})\n${error.stdout}\n${error.stderr}`);
  }
}
