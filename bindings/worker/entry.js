// The Worker's entry point: one instance of the wasm module, replaced after a trap, because a trapped instance may be in any
// state. scripts/bundle-worker.mjs builds build/index.js from this file and the generated glue.
import module from "./index_bg.wasm";
import { makeGlue } from "edgeward:glue";
import { SharedRecords, isSharedAction } from "./shared_records.js";

let glue;

/** Returns the instance, and makes it first if there is none. One that could not be made is not used. */
function instance() {
  if (glue === undefined) {
    const made = makeGlue();
    made.initSync({ module });
    glue = made;
  }
  return glue;
}

/** A stack overflow in the module is a RangeError. */
const isTrap = (error) => error instanceof WebAssembly.RuntimeError || error instanceof RangeError;

// Handles traps in tasks that are not awaited.
addEventListener("error", ({ error }) => {
  if (!isTrap(error)) return;
  console.error("edgeward: internal_error:", String(error));
  glue = undefined;
});

/** Whether a page may answer the request, as the core decides it except for prefetches. */
function wantsPage(request) {
  const header = (name) => (request?.headers.get(name) ?? "").toLowerCase();
  const mode = header("sec-fetch-mode");
  const navigates = mode === "" ? header("accept").includes("text/html") : mode === "navigate";
  const by = header("x-requested-with");
  return navigates && (by === "" || by.includes("."));
}

/** The core cannot make it: it has no styles of its own, and shows in the browser's scheme. */
const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>This page is not available right now</title></head><body><main><h1>This page is not available right now</h1>
<p>The request could not be handled. Please try again.</p><p><small>Code <code>internal_error</code></small></p></main></body></html>
`;
const POLICY = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

function failed(error, request, used) {
  console.error("edgeward: internal_error:", String(error));
  // Requests of a former instance may trap later, which says nothing of its successor.
  if (isTrap(error) && glue === used) glue = undefined;
  const [status, noStore] = [500, { "cache-control": "no-store" }];
  if (wantsPage(request)) {
    const headers = { ...noStore, "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY, "x-content-type-options": "nosniff" };
    return new Response(PAGE, { status, headers });
  }
  const problem = { status, title: "Internal Server Error", code: "internal_error", detail: "The request could not be handled." };
  return Response.json(problem, { status, headers: { ...noStore, "content-type": "application/problem+json" } });
}

export default {
  /** `config` is passed by a wrapper: the configuration unless the variable EDGEWARD is set. */
  fetch(request, env, ctx, config) {
    let used;
    try {
      used = instance();
      const response = used.fetch(request, env, ctx, config);
      return response instanceof Promise ? response.catch((error) => failed(error, request, used)) : response;
    } catch (error) {
      return failed(error, request, used);
    }
  },
};

/** The response is sent all the same: a refresh token that was exchanged is used up, and its successor is nowhere else. */
const notStored = (error) => console.error("edgeward: object_not_stored: it stays in memory until the next message:", String(error));

/** As `REFRESH_LEASE_MS` in src/limits.rs. */
const MAX_TURN_MS = 60_000;

/** Resolves when a promise is settled, which that of a trapped task never is, or after a minute. */
function settled(promise) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, MAX_TURN_MS);
    const end = () => resolve(clearTimeout(timer));
    promise.then(end, end);
  });
}

/**
 * A Durable Object. As the coordinator of a session, it refreshes the session once for all isolates, and stores its end. Objects with
 * other names have shared records, obtain a token for upstreams once for all isolates, or have their counts for the status route.
 */
export class EdgewardSessions {
  #ctx;
  #env;
  #config;
  #queue = Promise.resolve();
  #records;
  /** The stored text, once it was read: a storage that fails after an exchange must not lose its outcome. */
  #text;
  /** What is to be written, until it is. */
  #unsaved;

  /** `config` as for `fetch`. */
  constructor(ctx, env, config) {
    this.#ctx = ctx;
    this.#env = env;
    this.#config = config;
    this.#records = new SharedRecords(ctx.storage);
  }

  /**
   * Refreshes run one after another, so that each finds the previous outcome; so do requests for a token, and sums of counts. An end does
   * not wait: a running refresh finds it.
   */
  fetch(request) {
    const action = new URL(request.url).pathname.slice(1);
    if (isSharedAction(action)) return this.#shared(action, request);
    if (!["refresh", "token", "status"].includes(action)) return this.#serve(action, request);
    const turn = this.#queue.then(() => ({ response: this.#serve(action, request) }));
    this.#queue = turn.then(({ response }) => settled(response));
    return turn.then(({ response }) => response);
  }

  async #shared(action, request) {
    try {
      const [status, text] = await this.#records.handle(action, await request.text());
      return new Response(text, { status });
    } catch (error) {
      return failed(error);
    }
  }

  async #serve(action, request) {
    let used;
    try {
      used = instance();
      const read = () => this.#read();
      const [status, text, stored, until] = await used.coordinate(action, await request.text(), read, this.#env, this.#config);
      if (stored !== undefined) [this.#text, this.#unsaved] = [stored, { refreshes: stored, until }];
      if (this.#unsaved !== undefined) await this.#save().catch(notStored);
      return new Response(text, { status });
    } catch (error) {
      return failed(error, undefined, used);
    }
  }

  async #read() {
    if (this.#text !== undefined) return this.#text;
    const stored = (await this.#ctx.storage.get("refreshes")) ?? "";
    // Another message may have changed it meanwhile.
    return (this.#text ??= stored);
  }

  async #save() {
    const { storage } = this.#ctx;
    const unsaved = this.#unsaved;
    // Written together, so that an alarm deletes everything stored.
    await Promise.all([storage.put(unsaved), storage.setAlarm(unsaved.until)]);
    if (this.#unsaved === unsaved) this.#unsaved = undefined;
  }

  async alarm() {
    const { storage } = this.#ctx;
    if (this.#unsaved !== undefined) return this.#save();
    const until = await storage.get("until");
    if (until === undefined) await this.#records.deleteExpired();
    // An alarm that was already due when it was set again still fires.
    else if (Date.now() < until) await storage.setAlarm(until);
    else {
      await storage.deleteAll();
      this.#text = undefined;
    }
  }
}
