// All other runtimes: both builds are inlined, and the faster one is used where the engine supports it.
import baseline from "edgeward:baseline";
import probe from "edgeward:probe";
import simd from "edgeward:simd";
import { bytes, useInlined } from "../inlined.js";

useInlined(() => (simd !== undefined && WebAssembly.validate(bytes(probe)) ? simd : baseline));
export * from "../index.js";
