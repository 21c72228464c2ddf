// Cloudflare Workers: a wasm import is a compiled module, and the runtime has relaxed SIMD.
import module from "../wasm/edgeward_simd_bg.wasm";
import { setModule } from "../core.js";

setModule(() => module);
export * from "../index.js";
