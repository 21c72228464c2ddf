// What every entry exports. The entry says where the wasm module comes from.
export { decodeUnverified } from "./decode.js";
export { EdgewardError } from "./error.js";
export { guard, protect } from "./protect.js";
export { createVerifier } from "./verifier.js";
