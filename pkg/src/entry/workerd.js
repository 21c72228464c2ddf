// Cloudflare Workers and Vercel's edge runtime: `?module` imports a compiled module, and both have relaxed SIMD.
import module from "../wasm/edgeward_simd_bg.wasm?module";
import { setModule } from "../core.js";

setModule(() => module);
export * from "../index.js";
