// Writes the addresses of project.json (repository, homepage, bugs) into the manifests of the npm package and the crates.
// Usage: project.mjs [--check]; with --check, nothing is written, and a manifest that differs, or has another version, is an error.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const read = (file) => readFileSync(join(root, file), "utf8");
const { repository, homepage, bugs } = JSON.parse(read("project.json"));
const isCheck = process.argv.includes("--check");
const wrong = [];

function settle(file, text) {
  if (text === read(file)) return;
  if (isCheck) wrong.push(`${file} does not have the addresses of project.json: run node scripts/project.mjs`);
  else writeFileSync(join(root, file), text);
}

const npm = `  "repository": { "type": "git", "url": "git+${repository}.git" },\n  "homepage": ${JSON.stringify(homepage)},\n  "bugs": { "url": ${JSON.stringify(bugs)} },\n`;
const manifest = read("pkg/package.json").replace(/^ {2}"(?:repository|homepage|bugs)": .*\n/gm, "");
settle("pkg/package.json", manifest.replace(/^ {2}"license": .*\n/m, (line) => line + npm));
const cargo = read("Cargo.toml").replace(/^(?:repository|homepage) = ".*"\n/gm, "");
settle("Cargo.toml", cargo.replace(/^license = ".*"\n/m, (line) => `${line}repository = "${repository}"\nhomepage = "${homepage}"\n`));

const { version } = JSON.parse(read("pkg/package.json"));
const [, crate] = /^\[workspace\.package\]\nversion = "([^"]+)"/m.exec(read("Cargo.toml"));
if (crate !== version) wrong.push(`the version is ${version} in pkg/package.json, and ${crate} in Cargo.toml`);
if (wrong.length > 0) {
  console.error(wrong.map((line) => `project: ${line}`).join("\n"));
  process.exit(1);
}
