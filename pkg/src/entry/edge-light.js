// Vercel's edge runtime: `?module` imports a compiled module.
import module from "../wasm/edgeward_simd_bg.wasm?module";
import { setModule } from "../core.js";

setModule(() => module);
export * from "../index.js";
