// The package as its users get it: packed, and installed from the tarball into a clean folder.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);

export const root = resolve(import.meta.dirname, "../..");

/** Packs the package into `folder`; the path of the tarball. */
export async function pack(folder) {
  return (await run("node", [join(root, "scripts/pack-npm.mjs"), folder])).trim().split("\n").at(-1);
}

/** A new project in `folder` with the tarball installed, and nothing else but what is named. */
export async function install(folder, tarball, packages = []) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "fixture", private: true, type: "module" }));
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=peer", "--loglevel=error"];
  await run("npm", ["install", ...flags, tarball, ...packages], { cwd: folder });
  return folder;
}

/** What a command prints; an error with all of it if it fails. */
export async function run(command, args, options = {}) {
  try {
    return (await exec(command, args, { encoding: "utf8", maxBuffer: 64 << 20, timeout: 300_000, ...options })).stdout;
  } catch (error) {
    throw new Error(`${command} ${args.join(" ")} failed (${error.code ?? error.signal})\n${error.stdout}\n${error.stderr}`);
  }
}
