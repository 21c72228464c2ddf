// Assembles pkg/dist from the sources in pkg/, the wasm modules in pkg/wasm and pkg/wasm-cli and the built Worker in build/, and packs the
// tarball. Usage: pack-npm.mjs [FOLDER FOR THE TARBALL]; without one, pkg/dist is made and nothing is packed.

import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const pkg = join(root, "pkg");
const dist = join(pkg, "dist");
const needed = ["pkg/wasm/edgeward_bg.wasm", "pkg/wasm/edgeward_simd_bg.wasm", "pkg/wasm-cli/edgeward_bg.wasm", "build/index.js", "build/index_bg.wasm"];
const missing = needed.filter((file) => !existsSync(join(root, file)));
if (missing.length > 0) throw new Error(`${missing.join(", ")} missing: run "make build"`);

const baseline = readFileSync(join(pkg, "wasm/edgeward_bg.wasm"));
const simd = readFileSync(join(pkg, "wasm/edgeward_simd_bg.wasm"));

/** A module with one relaxed-SIMD instruction: an engine that validates it can run the faster build. */
const zero = [0xfd, 0x0c, ...Array(16).fill(0)];
const body = [0x00, ...zero, ...zero, ...zero, 0xfd, 0x87, 0x02, 0x0b]; // f64x2.relaxed_madd of three constants
const probe = Buffer.from([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, // one type: () -> v128
  0x03, 0x02, 0x01, 0x00, // one function of it
  0x0a, body.length + 2, 0x01, body.length, ...body,
]);
if (!WebAssembly.validate(probe)) throw new Error("the probe is wrong: this engine has relaxed SIMD");

const wasm = {
  name: "wasm",
  setup({ onResolve, onLoad }) {
    // Imports of the modules stay; entries for runtimes without such imports get the bytes.
    const files = { edgeward_simd_bg: "verifier_simd", edgeward_bg: "verifier" };
    onResolve({ filter: /\.wasm(\?module)?$/ }, ({ path }) => {
      const [, file, query = ""] = path.match(/([^/]+)\.wasm(\?module)?$/);
      return { path: `./${files[file]}.wasm${query}`, external: true };
    });
    // As base64, which source maps leave out. Equal builds are shipped once.
    const inlined = { baseline, simd: baseline.equals(simd) ? undefined : simd, probe };
    onResolve({ filter: /^edgeward:/ }, ({ path }) => ({ path: path.replace("edgeward:", ""), namespace: "wasm" }));
    onLoad({ filter: /./, namespace: "wasm" }, ({ path }) =>
      inlined[path] === undefined ? { contents: "export default undefined;" } : { contents: inlined[path], loader: "base64" });
  },
};

rmSync(dist, { recursive: true, force: true });
const { version, homepage } = JSON.parse(readFileSync(join(pkg, "package.json"), "utf8"));
const common = {
  bundle: true, outdir: dist, entryNames: "[name]", target: "es2022", platform: "neutral", plugins: [wasm], legalComments: "none",
  define: { EDGEWARD_HOMEPAGE: JSON.stringify(homepage) }, minify: true, sourcemap: true, sourcesContent: true, external: ["edgeward", "./gateway/index.js"], logLevel: "warning",
};
const entry = (name) => join(pkg, "src/entry", `${name}.js`);
const source = (name) => join(pkg, "src", `${name}.js`);
await build({
  ...common, format: "esm",
  entryPoints: [...["workerd", "browser", "inline", "slim"].map(entry), ...["hono", "express", "netlify", "providers", "token-source", "testing", "gateway", "gateway-node"].map(source)],
});
await build({
  ...common, format: "cjs", outExtension: { ".js": ".cjs" },
  entryPoints: [...["browser", "inline", "slim"].map(entry), ...["hono", "express", "netlify", "providers", "token-source", "testing"].map(source)],
});

// The command: its entry, and a chunk for each of its parts. Not minified: it is not downloaded by browsers, and can be read.
await build({
  bundle: true, splitting: true, format: "esm", platform: "node", target: "node20", outdir: join(dist, "cli"), chunkNames: "[name]-[hash]",
  entryPoints: { edgeward: join(pkg, "src/cli/main.js") }, define: { EDGEWARD_VERSION: JSON.stringify(version) },
  external: ["edgeward", "oidc-provider"], legalComments: "none", logLevel: "warning",
});
copyFileSync(join(pkg, "wasm-cli/edgeward_bg.wasm"), join(dist, "cli/core.wasm"));

writeFileSync(join(dist, "verifier.wasm"), baseline);
writeFileSync(join(dist, "verifier_simd.wasm"), simd);
mkdirSync(join(dist, "gateway"));
for (const file of ["index.js", "index_bg.wasm"]) copyFileSync(join(root, "build", file), join(dist, "gateway", file));

// The types of both module systems differ only in their imports of each other.
for (const file of readdirSync(join(pkg, "types"))) {
  const text = readFileSync(join(pkg, "types", file), "utf8");
  writeFileSync(join(dist, file), text);
  // The gateway is an ES module only, as Workers are.
  if (file !== "gateway.d.ts" && file !== "config.d.ts") {
    writeFileSync(join(dist, file.replace(".d.ts", ".d.cts")), text.replaceAll('"./index.js"', '"./index.cjs"'));
  }
}
copyFileSync(join(root, "edgeward.schema.json"), join(pkg, "config.schema.json"));
for (const file of ["LICENSE-APACHE", "LICENSE-MIT"]) cpSync(join(root, file), join(pkg, file));

const folder = process.argv[2];
if (folder !== undefined) {
  mkdirSync(folder, { recursive: true });
  const run = spawnSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(folder)], {
    cwd: pkg, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"],
  });
  if (run.status !== 0) throw new Error(`npm pack failed (${run.status ?? run.error})`);
  const packed = JSON.parse(run.stdout);
  const { filename } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
  console.log(join(resolve(folder), basename(filename)));
}
