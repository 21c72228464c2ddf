// Everything else: the module is in the file. No file access, no fetch, no asynchronous start.
import { baseline, probe, simd } from "edgeward:wasm";
import { setModule } from "../core.js";
import { invalidOption } from "../error.js";

const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

// Compiled now: some runtimes allow it while a script starts and at no other time.
let compile;
try {
  const module = new WebAssembly.Module(bytes(simd !== undefined && WebAssembly.validate(bytes(probe)) ? simd : baseline));
  compile = () => module;
} catch (cause) {
  compile = () => {
    throw invalidOption(
      "this runtime refuses to compile wasm: a Content-Security-Policy needs 'wasm-unsafe-eval' in script-src; elsewhere, load it with edgeward/slim",
      cause,
    );
  };
}
setModule(compile);
export * from "../index.js";
