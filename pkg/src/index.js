// The exports of every entry. The entry sets the source of the wasm module.
export { decodeUnverified } from "./decode.js";
export { EdgewardError } from "./error.js";
export { guard, protect } from "./protect.js";
export { createVerifier } from "./verifier.js";
