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

/** How long what came of a refresh is kept, in milliseconds: requests with an older cookie may come late. */
const KEPT_MS = 3_600_000;

/** A Durable Object for each session that is refreshed: one exchange with the provider, whatever isolates ask for it. */
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

  /** Requests take turns, so that a second one finds what came of the first. */
  fetch(request) {
    const turn = this.#turn.then(() => this.#serve(request));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #serve(request) {
    try {
      if (glue === undefined) start();
      const kept = await this.#ctx.storage.get("refreshes");
      const [status, text, keep] = await glue.deskTurn(await request.text(), kept, this.#env, this.#config);
      if (keep !== undefined) {
        await this.#ctx.storage.put("refreshes", keep);
        await this.#ctx.storage.setAlarm(Date.now() + KEPT_MS);
      }
      return new Response(text, { status });
    } catch (error) {
      return failed(error);
    }
  }

  async alarm() {
    await this.#ctx.storage.deleteAll();
  }
}
