// Brings package-lock.json in line with package.json: run it after changing a dependency.
// Usage: lock.mjs [FOLDER]; without one, the project's own.
//
// Some packages name one optional package per platform. A registry mirror may lack those of some platforms; `npm install` then
// omits them from the lock, which `npm ci` refuses. They are added here: exact version, platform, and the registry's hash, if the
// registry has the package. npm fetches it on that platform only. The lock contains no locations (.npmrc), which is checked, too.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

const root = resolve(import.meta.dirname, "..", process.argv[2] ?? ".");
const path = resolve(root, "package-lock.json");

npm("install", "--package-lock-only", "--ignore-scripts");
const lock = JSON.parse(readFileSync(path, "utf8"));
const added = complete(lock.packages);
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);

const located = Object.entries(lock.packages).filter(([, entry]) => entry.resolved && !entry.link);
if (located.length > 0) {
  console.error(`lock: these entries have a location: ${located.map(([name]) => name).join(", ")}`);
  process.exit(1);
}
npm("ci", "--dry-run", "--ignore-scripts");
console.log(`lock: ${Object.keys(lock.packages).length - 1} packages${added.length ? `; added ${added.join(", ")}` : ""}`);

function complete(packages) {
  const added = [];
  for (const [owner, { optionalDependencies = {}, dev }] of Object.entries({ ...packages })) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const platform = platformOf(name);
      const found = find(packages, owner, name);
      if (!platform || (found?.version === version && found.integrity)) continue;
      if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${owner} asks for ${name}@${version}: not an exact version`);
      const integrity = integrityOf(name, version);
      if (found?.version === version) {
        if (integrity) found.integrity = integrity;
        continue;
      }
      const place = found ? `${owner}/node_modules/${name}` : `node_modules/${name}`;
      packages[place] = { version, ...(integrity && { integrity }), ...platform, dev, optional: true };
      added.push(`${name}@${version}`);
    }
  }
  return added;
}

/** The hash of a package's contents; undefined if the registry does not have it. */
function integrityOf(name, version) {
  const { stdout } = spawnSync("npm", ["view", `${name}@${version}`, "dist.integrity"], { cwd: root, encoding: "utf8" });
  return /^sha512-[A-Za-z0-9+/]+=*$/.exec(stdout.trim())?.[0];
}

/** Looks a package up as Node would: in the owner's own node_modules, then in each above. */
function find(packages, owner, name) {
  for (let folder = owner; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const found = packages[folder ? `${folder}/node_modules/${name}` : `node_modules/${name}`];
    if (found || !folder) return found;
  }
}

/** The platform that a package name ends with, as `os` and `cpu` of a lock entry. */
function platformOf(name) {
  const match = /[-/](darwin|linux|win32|windows|freebsd|android)-(x64|64|arm64|aarch64)(?:-[a-z-]+)?$/.exec(name);
  if (!match) return undefined;
  const os = match[1] === "windows" ? "win32" : match[1];
  const cpu = { 64: "x64", aarch64: "arm64" }[match[2]] ?? match[2];
  return { cpu: [cpu], os: [os] };
}

function npm(...words) {
  const run = spawnSync("npm", [...words, "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"],
  });
  if (run.status === 0) return;
  console.error(run.stdout + run.stderr.split("\n").slice(0, 20).join("\n"));
  process.exit(run.status ?? 1);
}
