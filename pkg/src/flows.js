// The flows of one verifier in one core: what they ask for is done here, and who waits for one hears what it has come to.

import { edgeGet, edgePut, send } from "./fetch.js";

const DONE = { kind: 0 };

export class Flows {
  #core;
  #number;
  #known;
  #host;
  #isOver = false;
  /**
   * By the numbers of their tasks, the calls that wait, and those whose work for others goes on: how many requests of that work are
   * under way, and the cause of the last failure in it.
   */
  #calls = new Map();

  /** `host` has the caller's `fetch` and `timeout`, if any, and `time`, the clock. */
  constructor(core, number, known, host) {
    this.#core = core;
    this.#number = number;
    this.#known = known;
    this.#host = host;
  }

  /**
   * What `read` makes of a task's outcome once it has ended. Undefined if the verifier or its core is gone before: nothing was
   * decided then.
   */
  wait(task, { waitUntil }, read) {
    return new Promise((resolve, reject) => {
      this.#calls.set(task, { waitUntil, read, resolve, reject, work: 0 });
      this.collect();
    });
  }

  /** Nobody waits for a task any more. What it began for others goes on. */
  leave(task) {
    const call = this.#calls.get(task);
    if (call?.read === undefined) return;
    this.#core.leave(this.#number, task);
    this.#close(task, call);
  }

  /** Ends all waiting, with an error if one is given. */
  end(error) {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#isOver = true;
    for (const call of calls) {
      if (error === undefined) call.resolve?.();
      else call.reject?.(error);
      call.done?.();
    }
  }

  /** Does what the flows ask for since the last time. What a call began that waits for nothing is for this `waitUntil`. */
  collect(waitUntil, cause) {
    let mail;
    try {
      mail = this.#core.mail(this.#number);
    } catch (error) {
      this.end(error);
      return;
    }
    const begun = [];
    for (const { call: task, isWork } of mail.requests) {
      let call = this.#calls.get(task);
      if (call === undefined) this.#calls.set(task, (call = { waitUntil, work: 0 }));
      if (isWork && (call.work += 1) === 1) begun.push(call);
    }
    for (const task of mail.failed) {
      const call = this.#calls.get(task);
      if (call !== undefined) call.cause = cause;
    }
    for (const task of mail.ended) this.#finish(task);
    for (const request of mail.requests) this.#perform(request);
    for (const call of begun) call.waitUntil?.(new Promise((resolve) => (call.done = resolve)));
  }

  #finish(task) {
    const call = this.#calls.get(task);
    if (call?.read === undefined) return;
    try {
      call.resolve(call.read(this.#core.result(this.#number, task), call.cause));
    } catch (error) {
      call.reject(error);
    }
    this.#close(task, call);
  }

  /** Lets a call go that nobody waits for, once its work is done. */
  #close(task, call) {
    call.read = undefined;
    if (call.work === 0) this.#calls.delete(task);
  }

  async #perform(request) {
    const answer = await this.#answerTo(request);
    if (this.#isOver) return;
    if (this.#core.broken) {
      this.end();
      return;
    }
    const { call: task, isWork } = request;
    const call = this.#calls.get(task);
    // Without a time the flow goes on as of the last one that was known; others rely on it. The call hears of it.
    let now = NaN;
    try {
      now = this.#host.time();
    } catch (error) {
      call?.reject?.(error);
      this.leave(task);
    }
    try {
      this.#core.answer(this.#number, request.number, answer, now);
    } catch (error) {
      this.end(error);
      return;
    }
    // The keys may be others now: verdicts stand or fall anew.
    if (isWork) this.#known.clear();
    try {
      this.collect(undefined, answer.cause);
    } catch (error) {
      call?.reject?.(error);
    }
    if (isWork && (call.work -= 1) === 0) {
      call.done?.();
      if (call.read === undefined) this.#calls.delete(task);
    }
  }

  async #answerTo({ send: message, edgeGet: key, edgePut: entry, sleep: millis }) {
    const { fetch, timeout } = this.#host;
    if (message !== undefined) return send({ ...message, timeoutMs: timeout ?? message.timeoutMs }, fetch);
    if (millis !== undefined) await new Promise((resolve) => setTimeout(resolve, millis));
    // A fetch of the caller's own answers for itself alone: nothing of it is shared.
    else if (fetch === undefined && key !== undefined) return edgeGet(key);
    else if (fetch === undefined) await edgePut(entry);
    return DONE;
  }
}
