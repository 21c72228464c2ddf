// All other runtimes: the module is inlined. No file access, no fetch, no asynchronous start.
import baseline from "edgeward:baseline";
import probe from "edgeward:probe";
import simd from "edgeward:simd";
import { setModule } from "../core.js";
import { invalidOption } from "../error.js";

const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

// Compiled at once: some runtimes allow it only while a script starts.
let compile;
try {
  const module = new WebAssembly.Module(bytes(simd !== undefined && WebAssembly.validate(bytes(probe)) ? simd : baseline));
  compile = () => module;
} catch (cause) {
  compile = () => {
    throw invalidOption(
      "this runtime refuses to compile wasm: a Content-Security-Policy needs 'wasm-unsafe-eval' in script-src; elsewhere, use edgeward/slim",
      cause,
    );
  };
}
setModule(compile);
export * from "../index.js";
