// The flows of one verifier in one core: performs their requests, and settles the calls that wait for them.

import { inBackground } from "./background.js";
import { edgeGet, edgePut, send } from "./fetch.js";
import { decryptContent, verify } from "./web-crypto.js";

const DONE = { kind: 0 };
const GIVEN_UP = { kind: 4 };

/**
 * The maximum duration of a request in milliseconds, twice the largest timeout. A request beyond it belongs to an event that the runtime has
 * cancelled: in Workers, neither its fetch nor the timer of its deadline runs any more.
 */
const MAX_REQUEST_MS = 60_000;

export class Flows {
  #core;
  #number;
  #verdicts;
  #host;
  #hasEnded = false;
  /**
   * By task, the calls that wait, and those whose jobs continue: the number of requests under way in their jobs, and the cause of the last
   * failure in one.
   */
  #calls = new Map();
  /** The imported keys. */
  #keys = new Map();
  /** The requests under way, with their start in milliseconds since 1970, oldest first. */
  #requests = new Map();

  /** `host` has the caller's `fetch` and `timeout`, if any, and `time`, the clock. */
  constructor(core, number, verdicts, host) {
    this.#core = core;
    this.#number = number;
    this.#verdicts = verdicts;
    this.#host = host;
  }

  /**
   * Resolves to what `read` makes of a task's outcome at its end; to undefined if the verifier or its core ends before, without a
   * verdict.
   */
  wait(task, { waitUntil }, read) {
    return new Promise((resolve, reject) => {
      this.#calls.set(task, { waitUntil, read, resolve, reject, jobs: 0 });
      this.update();
    });
  }

  /** Stops waiting for a task. Its jobs, on which others rely, continue. */
  cancel(task) {
    const call = this.#calls.get(task);
    if (call?.read === undefined) return;
    this.#core.cancel(this.#number, task);
    this.#release(task, call);
  }

  /** Ends all waiting, with an error if there is one. */
  end(error) {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#requests.clear();
    this.#hasEnded = true;
    for (const call of calls) {
      if (error === undefined) call.resolve?.();
      else call.reject?.(error);
      call.done?.();
    }
  }

  /** Performs the new requests of the flows and settles ended calls. `waitUntil` is for the jobs of a call that does not wait. */
  update(waitUntil) {
    this.#process(waitUntil);
    this.#expire();
  }

  #process(waitUntil, cause) {
    let updates;
    try {
      updates = this.#core.updates(this.#number);
    } catch (error) {
      this.end(error);
      return;
    }
    const started = [];
    for (const { call: task, isJob } of updates.requests) {
      let call = this.#calls.get(task);
      if (call === undefined) this.#calls.set(task, (call = { waitUntil, jobs: 0 }));
      if (isJob && (call.jobs += 1) === 1) started.push(call);
    }
    for (const task of updates.failed) {
      const call = this.#calls.get(task);
      if (call !== undefined) call.cause = cause;
    }
    for (const task of updates.ended) this.#finish(task);
    for (const request of updates.requests) this.#perform(request);
    for (const call of started) if (call.waitUntil !== undefined) inBackground(call.waitUntil, new Promise((resolve) => (call.done = resolve)));
  }

  #finish(task) {
    const call = this.#calls.get(task);
    if (call?.read === undefined) return;
    try {
      call.resolve(call.read(this.#core.result(this.#number, task), call.cause));
    } catch (error) {
      call.reject(error);
    }
    this.#release(task, call);
  }

  /** Removes a call that is no longer waited for, once its jobs have ended. */
  #release(task, call) {
    call.read = undefined;
    if (call.jobs === 0) this.#calls.delete(task);
  }

  async #perform(request) {
    this.#requests.set(request, Date.now());
    // A request without a response would never end its call.
    this.#respond(request, await this.#responseTo(request).catch(() => GIVEN_UP));
  }

  /** Gives up the requests of cancelled events, so that their calls and jobs do not stay in wasm memory. */
  #expire() {
    for (const [request, since] of this.#requests) {
      if (Date.now() - since <= MAX_REQUEST_MS) return;
      this.#respond(request, GIVEN_UP);
    }
  }

  #respond(request, response) {
    // Ended, or given up before.
    if (!this.#requests.delete(request) || this.#hasEnded) return;
    if (this.#core.broken) {
      this.end();
      return;
    }
    const { call: task, isJob } = request;
    const call = this.#calls.get(task);
    if (request.decrypt !== undefined && call !== undefined) call.cause = response.cause;
    // Without a valid time the flow continues with the last one, because others rely on it. The call gets the error.
    let now = NaN;
    try {
      now = this.#host.time();
    } catch (error) {
      call?.reject?.(error);
      this.cancel(task);
    }
    try {
      this.#core.respond(this.#number, request.number, response, now);
    } catch (error) {
      this.end(error);
      return;
    }
    // The keys may have changed.
    if (isJob) this.#verdicts.clear();
    try {
      this.#process(undefined, response.cause);
    } catch (error) {
      call?.reject?.(error);
    }
    if (isJob && (call.jobs -= 1) === 0) {
      call.done?.();
      if (call.read === undefined) this.#calls.delete(task);
    }
  }

  async #responseTo({ send: message, edgeGet: key, edgePut: entry, sleep: millis, verify: check, decrypt: content }) {
    const { fetch, timeout } = this.#host;
    if (check !== undefined) return verify(check, this.#keys);
    if (content !== undefined) return decryptContent(content, this.#keys);
    if (message !== undefined) return send({ ...message, timeoutMs: timeout ?? message.timeoutMs }, fetch);
    if (millis !== undefined) await new Promise((resolve) => setTimeout(resolve, millis));
    // The documents of a caller's fetch are not shared through the edge cache.
    else if (fetch === undefined && key !== undefined) return edgeGet(key);
    else if (fetch === undefined) await edgePut(entry);
    return DONE;
  }
}
