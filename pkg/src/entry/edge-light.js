// Vercel's edge runtime: `?module` asks for a compiled module.
import module from "../wasm/edgeward_simd_bg.wasm?module";
import { setModule } from "../core.js";

setModule(() => module);
export * from "../index.js";
