// An inlined module: no file access, no fetch, no asynchronous start.

import { setModule } from "./core.js";
import { invalidOption } from "./error.js";

export const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** Compiles the module that `choose` returns, and uses it. At once, because some runtimes allow it only while a script starts. */
export function useInlined(choose) {
  let compile;
  try {
    const module = new WebAssembly.Module(bytes(choose()));
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
}
