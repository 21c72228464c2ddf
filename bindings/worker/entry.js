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
  /** `config` comes from a wrapper: the configuration, unless the variable EDGEWARD is set. */
  fetch(request, env, ctx, config) {
    try {
      if (glue === undefined) start();
      const answer = glue.fetch(request, env, ctx, config);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  },
};

/**
 * A Durable Object for each session that is refreshed: one exchange with the provider, whatever isolates ask for it; and what
 * remembers the end of the session for all of them.
 */
export class EdgewardSessions {
  #ctx;
  #env;
  #config;
  #turn = Promise.resolve();

  /** `config` as for `fetch`. */
  constructor(ctx, env, config) {
    this.#ctx = ctx;
    this.#env = env;
    this.#config = config;
  }

  /** Refreshes take turns, so that a second one finds what came of the first. An end waits for none: a refresh that is under way finds it. */
  fetch(request) {
    const act = new URL(request.url).pathname.slice(1);
    if (act !== "refresh") return this.#serve(act, request);
    const turn = this.#turn.then(() => this.#serve(act, request));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #serve(act, request) {
    try {
      if (glue === undefined) start();
      const { storage } = this.#ctx;
      const read = () => storage.get("refreshes");
      const [status, text, kept, until] = await glue.coordinate(act, await request.text(), read, this.#env, this.#config);
      // All at once: nothing is stored that no alarm deletes.
      if (kept !== undefined) await Promise.all([storage.put({ refreshes: kept, until }), storage.setAlarm(until)]);
      return new Response(text, { status });
    } catch (error) {
      return failed(error);
    }
  }

  async alarm() {
    const { storage } = this.#ctx;
    const until = (await storage.get("until")) ?? 0;
    // An alarm that was due already when it was set anew comes all the same.
    if (Date.now() < until) await storage.setAlarm(until);
    else await storage.deleteAll();
  }
}
