// Bring your own module: `edgeward/verifier.wasm`, however the platform loads it.
import { setModule } from "../core.js";

/** Compiles and takes the module from whatever it is given as. */
export async function init(source) {
  const given = await source;
  if (typeof Response !== "undefined" && given instanceof Response) {
    if (!given.ok) throw new TypeError(`the wasm module could not be fetched: ${given.url} answered ${given.status}`);
    return initSync(await WebAssembly.compile(await given.arrayBuffer()));
  }
  const isBytes = ArrayBuffer.isView(given) || given instanceof ArrayBuffer;
  return initSync(isBytes ? await WebAssembly.compile(given) : given);
}

/** Takes a compiled module, or compiles bytes at once. */
export function initSync(source) {
  const isBytes = ArrayBuffer.isView(source) || source instanceof ArrayBuffer;
  const module = isBytes ? new WebAssembly.Module(source) : source;
  setModule(() => module);
}

export * from "../index.js";
