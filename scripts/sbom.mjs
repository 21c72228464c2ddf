// Writes CycloneDX 1.6 bills of materials: for the crate, and for the npm package, which has no npm dependencies but contains compiled crates.
// Usage: sbom.mjs crate|npm FILE. The data are Cargo's own; nothing depends on time or place.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const [kind, file] = process.argv.slice(2);
const project = JSON.parse(readFileSync(join(root, "project.json"), "utf8"));
const manifest = JSON.parse(readFileSync(join(root, "pkg/package.json"), "utf8"));

/** For each kind, the crates that it consists of, and the arguments with which their dependencies are resolved. */
const KINDS = {
  crate: { crates: ["edgeward"], args: ["--all-features", "--target", "all"] },
  npm: { crates: ["edgeward-worker", "edgeward-npm", "edgeward-cli"], args: ["--target", "wasm32-unknown-unknown"] },
};
if (!Object.hasOwn(KINDS, kind) || file === undefined) throw new Error("usage: sbom.mjs crate|npm FILE");
const { crates, args } = KINDS[kind];

function cargo(...args) {
  const { status, stdout, stderr } = spawnSync("cargo", [...args, "--locked"], { cwd: root, encoding: "utf8", maxBuffer: 256 << 20 });
  if (status !== 0) throw new Error(`cargo ${args.join(" ")} failed\n${stderr}`);
  return stdout;
}

const packages = JSON.parse(cargo("metadata", "--format-version", "1")).packages;
const packageOf = new Map(packages.map((one) => [`${one.name}@${one.version}`, one]));
const checksums = new Map(
  [...readFileSync(join(root, "Cargo.lock"), "utf8").matchAll(/name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]{64})"/g)]
    .map(([, name, version, checksum]) => [`${name}@${version}`, checksum]),
);

/** The crates that are compiled in, each with its dependencies: not those of tests and build scripts, nor macros, which run in the compiler. */
const dependencies = new Map();
for (const crate of crates) {
  const above = [];
  // `cargo tree` prints each crate below the one that needs it, with its depth, and its dependencies once.
  const tree = cargo("tree", "--package", crate, "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", " {p}", ...args);
  for (const [, depth, name, version] of tree.matchAll(/^(\d+) (\S+) v(\S+)/gm)) {
    const id = `${name}@${version}`;
    if (!dependencies.has(id)) dependencies.set(id, new Set());
    above.length = Number(depth);
    if (above.length > 0) dependencies.get(above.at(-1)).add(id);
    above.push(id);
  }
}
const starts = crates.map((name) => [...dependencies.keys()].find((id) => id.startsWith(`${name}@`)));
const found = [...dependencies.keys()];

const purl = ({ name, version }) => `pkg:cargo/${name}@${version}`;
/** `MIT/Apache-2.0` is how crates wrote `OR` once. */
const licenses = (expression) => (expression ? [{ expression: expression.replaceAll("/", " OR ") }] : []);

function component(one) {
  const checksum = checksums.get(`${one.name}@${one.version}`);
  return {
    type: "library",
    "bom-ref": purl(one),
    name: one.name,
    version: one.version,
    ...(one.description && { description: one.description.trim().replaceAll(/\s+/g, " ") }),
    ...(checksum && { hashes: [{ alg: "SHA-256", content: checksum }] }),
    licenses: licenses(one.license),
    purl: purl(one),
    ...(one.source && one.repository && { externalReferences: [{ type: "vcs", url: one.repository }] }),
  };
}

const isCrate = kind === "crate";
const subject = isCrate
  ? component(packageOf.get(starts[0]))
  : {
      type: "library", "bom-ref": `pkg:npm/${manifest.name}@${manifest.version}`, name: manifest.name, version: manifest.version, description: manifest.description,
      licenses: licenses(manifest.license), purl: `pkg:npm/${manifest.name}@${manifest.version}`,
    };
subject.externalReferences = [
  { type: "vcs", url: project.repository }, { type: "website", url: project.homepage }, { type: "issue-tracker", url: project.bugs },
];
const byRef = (a, b) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1);
const edges = found.map((id) => ({ ref: purl(packageOf.get(id)), dependsOn: [...dependencies.get(id)].map((one) => purl(packageOf.get(one))).sort() }));
if (!isCrate) edges.push({ ref: subject["bom-ref"], dependsOn: starts.map((id) => purl(packageOf.get(id))).sort() });
const bom = {
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: { component: subject },
  components: found.filter((id) => !isCrate || !starts.includes(id)).map((id) => component(packageOf.get(id))).sort(byRef),
  dependencies: edges.sort((a, b) => (a.ref < b.ref ? -1 : 1)),
};
writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
