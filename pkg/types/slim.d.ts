/**
 * The package without its wasm module: the application loads `edgeward/verifier.wasm` in the way of its platform.
 *
 * ```js
 * import module from "edgeward/verifier.wasm";
 * import { createVerifier, initSync } from "edgeward/slim";
 *
 * initSync(module);
 * ```
 *
 * @module
 */
export * from "./index.js";

/** Compiles and uses the module, from a `fetch` response, bytes or a compiled module. Await it before `createVerifier`. */
export function init(source: WasmSource | Promise<WasmSource>): Promise<void>;

/** Uses a compiled module, or compiles bytes synchronously. */
export function initSync(source: WebAssembly.Module | ArrayBuffer | ArrayBufferView): void;

/** The forms in which the module may be passed. */
export type WasmSource = WebAssembly.Module | ArrayBuffer | ArrayBufferView | Response;
