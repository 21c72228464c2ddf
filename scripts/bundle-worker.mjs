// Bundles the Worker's script: bindings/worker/entry.js with the glue of wasm-bindgen as a factory, so that the entry can create
// a second instance after a trap. Usage: bundle-worker.mjs GLUE.js OUTPUT.js

import { build } from "esbuild";
import { resolve } from "node:path";

const [glue, output] = process.argv.slice(2);
const common = { bundle: true, minify: true, target: "es2022", platform: "neutral", legalComments: "none", logLevel: "warning" };

const { outputFiles } = await build({ ...common, entryPoints: [glue], format: "cjs", write: false });
const factory = `export const makeGlue = () => { const module = { exports: {} }; { ${outputFiles[0].text} } return module.exports; };`;

await build({
  ...common,
  entryPoints: [resolve(import.meta.dirname, "../bindings/worker/entry.js")],
  outfile: output,
  format: "esm",
  external: ["./index_bg.wasm"],
  plugins: [{
    name: "glue",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^edgeward:glue$/ }, ({ path }) => ({ path, namespace: "glue" }));
      onLoad({ filter: /./, namespace: "glue" }, () => ({ contents: factory, loader: "js" }));
    },
  }],
});
