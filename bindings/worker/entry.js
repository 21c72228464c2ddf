// The Worker: one instance of the wasm module, replaced by a fresh one after a trap, because a trapped instance may be in
// any state. scripts/bundle-worker.mjs makes build/index.js from this and the generated glue.
import module from "./index_bg.wasm";
import { makeGlue } from "edgeward:glue";

let glue;

function start() {
  glue = makeGlue();
  glue.initSync({ module });
}

const isTrap = (error) => error instanceof WebAssembly.RuntimeError;

// A trap in a task that nobody awaits arrives here.
addEventListener("error", ({ error }) => {
  if (!isTrap(error)) return;
  console.error("edgeward: internal_error:", String(error));
  glue = undefined;
});

function failed(error) {
  console.error("edgeward: internal_error:", String(error));
  if (isTrap(error)) glue = undefined;
  const problem = { status: 500, title: "Internal Server Error", code: "internal_error", detail: "The request could not be handled." };
  return Response.json(problem, { status: 500, headers: { "content-type": "application/problem+json", "cache-control": "no-store" } });
}

export default {
  fetch(request, env, ctx) {
    try {
      if (glue === undefined) start();
      const answer = glue.fetch(request, env, ctx);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  },
};
