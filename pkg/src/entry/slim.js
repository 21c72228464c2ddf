// Without the module: the application loads `edgeward/verifier.wasm` in the way of its platform.
import { setModule } from "../core.js";

/** Compiles the module from a response or bytes and uses it. */
export async function init(source) {
  const module = await source;
  if (typeof Response !== "undefined" && module instanceof Response) {
    if (!module.ok) throw new TypeError(`the wasm module could not be fetched: ${module.url} answered ${module.status}`);
    return initSync(await WebAssembly.compile(await module.arrayBuffer()));
  }
  const isBytes = ArrayBuffer.isView(module) || module instanceof ArrayBuffer;
  return initSync(isBytes ? await WebAssembly.compile(module) : module);
}

/** Uses a compiled module, or compiles bytes synchronously. */
export function initSync(source) {
  const isBytes = ArrayBuffer.isView(source) || source instanceof ArrayBuffer;
  const module = isBytes ? new WebAssembly.Module(source) : source;
  setModule(() => module);
}

export * from "../index.js";
