// The built Worker with a wrapper around it that makes its wasm module trap on demand.
//
// The product has no way to be told to trap, and none is added: the wrapper is the entry module here, as worker.js is in
// a deployment. It replaces `Date.now`, which the module calls while it verifies a token, by one that calls `unreachable`
// in a second, tiny wasm module. The runtime raises the same WebAssembly.RuntimeError as for an `unreachable` of the
// module's own, with the module's frames on the stack; what they held (a borrowed cell, the shadow stack) stays as it is.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BUILD } from "./worker.mjs";

/** (module (func (export "unreachable") unreachable)) */
export const TRAP = Buffer.from("0061736d0100000001040160000003020100070f010b756e726561636861626c6500000a05010300000b", "hex");

const WRAPPER = `
import trap from "./trap.wasm";
import gateway from "./index.js";
const { unreachable } = new WebAssembly.Instance(trap).exports;
const now = Date.now;
let armed = false;
Date.now = () => {
  if (armed) {
    armed = false;
    unreachable();
  }
  return now();
};
export default {
  async fetch(request, env, ctx) {
    const key = request.headers.get("x-test-cache-key");
    if (key) {
      const headers = { "cache-control": "max-age=3600", "content-type": "application/json" };
      await caches.default.put(key, new Response(await request.text(), { headers }));
      return new Response(null, { status: 204 });
    }
    if (request.headers.has("x-test-trap")) armed = true;
    return gateway.fetch(request, env, ctx);
  },
};
`;

/**
 * Modules for `startWorker({ source })`. A request with the header `x-test-trap` traps when it comes to verify its
 * token; one with `x-test-cache-key` stores its body in the Cache API under that key.
 */
export async function trappable() {
  return {
    main: "wrapper.js",
    modules: {
      "wrapper.js": { type: "esm", contents: WRAPPER },
      "trap.wasm": { type: "wasm", contents: TRAP },
      "index.js": { type: "esm", contents: await readFile(join(BUILD, "index.js"), "utf8") },
      "index_bg.wasm": { type: "wasm", contents: await readFile(join(BUILD, "index_bg.wasm")) },
    },
  };
}
