// The size of the memory of the Worker's wasm module. The product has no way to be asked.

import { wrappedBuild } from "./worker.mjs";

/** A request with this header is answered with the bytes of each instance, as a list. */
const MEMORY_HEADER = "x-wasm-memory";

const WRAPPER = `
const memories = [];
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, given) {
    const instance = new target(...given);
    memories.push(instance.exports.memory);
    return instance;
  },
});
export { EdgewardSessions } from "./index.js";
export default {
  fetch(request, env, ctx) {
    if (!request.headers.has("${MEMORY_HEADER}")) return gateway.fetch(request, env, ctx);
    return Response.json(memories.map((memory) => memory.buffer.byteLength));
  },
};
`;

/** Modules for `source` of `startWorker`: the built Worker, which answers such requests. */
export const withMemory = () => wrappedBuild(WRAPPER);

/** Bytes of the memory of each instance of a Worker. */
export async function wasmMemories(worker) {
  return (await worker.fetch("/", { headers: { [MEMORY_HEADER]: "1" } })).json();
}

/** Bytes of the memory of all instances of a Worker. */
export async function wasmMemory(worker) {
  return (await wasmMemories(worker)).reduce((sum, bytes) => sum + bytes, 0);
}
