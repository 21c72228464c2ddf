// Runs the cases in a request's body on the module that the query names.

import baseline from "./baseline.wasm";
import relaxed from "./relaxed.wasm";
import { Runner } from "./cases.mjs";

const modules = { baseline, relaxed };

export default {
  async fetch(request) {
    const runner = new Runner(modules[new URL(request.url).searchParams.get("build")]);
    runner.push(new Uint8Array(await request.arrayBuffer()));
    return Response.json(runner.report());
  },
};
