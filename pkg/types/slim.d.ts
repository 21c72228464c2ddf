/**
 * The package without its wasm module: you load `edgeward/verifier.wasm` the way your platform does, and hand it over.
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

/** Compiles and takes the module, from a `fetch` answer, bytes, or a compiled module. Await it before `createVerifier`. */
export function init(source: WasmSource | Promise<WasmSource>): Promise<void>;

/** Takes a compiled module, or compiles bytes at once. */
export function initSync(source: WebAssembly.Module | ArrayBuffer | ArrayBufferView): void;

/** What the module may come as. */
export type WasmSource = WebAssembly.Module | ArrayBuffer | ArrayBufferView | Response;
