// The wasm module of the command, compiled on first use.

import { readFileSync } from "node:fs";
import { Configuration, initSync, maxConfigBytes, unusableKeys } from "../../wasm-cli/edgeward.js";

let isLoaded = false;

/** Returns the functions of bindings/cli. */
export function core() {
  if (!isLoaded) {
    initSync({ module: new WebAssembly.Module(readFileSync(new URL("./core.wasm", import.meta.url))) });
    isLoaded = true;
  }
  return { Configuration, maxConfigBytes, unusableKeys };
}
