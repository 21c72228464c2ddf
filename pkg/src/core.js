// The wasm module's exports as functions on text. The other side of the interface is bindings/npm/src/lib.rs.

import { internalError } from "./error.js";

let textEncoder;
let textDecoder;

/** Created on first use: some test environments have no encoder while the package is imported. */
export const encoder = {
  encode: (text) => (textEncoder ??= new TextEncoder()).encode(text),
  encodeInto: (text, bytes) => (textEncoder ??= new TextEncoder()).encodeInto(text, bytes),
};
const decode = (bytes) => (textDecoder ??= new TextDecoder()).decode(bytes);

/** The outcomes of `check` and of tasks. */
export const PASSED = 0;
export const REFUSED = 1;
export const NOT_LOADED = 2;
export const PENDING = 3;
/** Added to an outcome of `check` if there are `updates`. */
export const HAS_UPDATES = 8;

/** The forms of the text for `check`. */
export const TOKEN = 0;
export const HEADER = 1;
export const NO_HEADER = 2;
export const QUERY = 3;
const EITHER_SCHEME = 4;

let provideModule = () => {
  throw internalError("the wasm module is not loaded: call init() or initSync() first");
};
let shared;

/** Sets the source of the compiled module. Called by the entry for the runtime. */
export function setModule(provide) {
  provideModule = provide;
  shared = undefined;
}

/** Returns the instance that all verifiers share: a new one if there is none yet, or the last one broke. */
export function currentCore() {
  if (typeof TextEncoder === "undefined" || typeof TextDecoder === "undefined") {
    throw internalError("this environment has no TextEncoder or TextDecoder: define both, for Jest's jsdom in its environment or in a setup file");
  }
  if (!shared || shared.broken) shared = new Core(provideModule());
  return shared;
}

class Core {
  /** Set when a call trapped: the state of the instance is unknown, so it is never called again. */
  broken = false;

  constructor(module) {
    // Some runtimes have modules that are not instances of WebAssembly.Module: the constructor checks them.
    this.guard(() => {
      this.wasm = new WebAssembly.Instance(module).exports;
      this.maxTokenBytes = this.wasm.max_token_bytes();
    });
  }

  #input;
  #pointer = 0;

  /** Returns the input buffer with room for `bytes`. Memory moves when it grows. */
  #room(bytes) {
    let input = this.#input;
    if (input === undefined || input.length < bytes || input.buffer !== this.wasm.memory.buffer) {
      const size = Math.max(bytes, input?.length ?? 0, 1024);
      this.#pointer = this.wasm.input(size) >>> 0;
      input = this.#input = new Uint8Array(this.wasm.memory.buffer, this.#pointer, size);
    }
    return input;
  }

  /** Runs `call`. A trap breaks the instance and becomes an error. */
  guard(call) {
    if (this.broken) throw internalError("the wasm instance broke earlier");
    try {
      return call();
    } catch (cause) {
      this.broken = true;
      throw internalError("the wasm instance broke; the next call creates a new one", cause);
    }
  }

  #output() {
    const { wasm } = this;
    return new Uint8Array(wasm.memory.buffer, wasm.output() >>> 0, wasm.output_len());
  }

  text() {
    return decode(this.#output());
  }

  json() {
    return this.guard(() => {
      const text = this.text();
      try {
        return JSON.parse(text);
      } catch {
        // The parser's error quotes the text, which may hold claims.
        throw new SyntaxError("the output is not JSON");
      }
    });
  }

  /** Returns the verified header and claims, as JSON. */
  claims() {
    return this.guard(() => {
      const bytes = this.#output();
      const split = this.wasm.header_len();
      const end = bytes.length - this.wasm.proof_len();
      const text = decode(bytes);
      // In ASCII, bytes and characters count the same.
      if (text.length === bytes.length) return [text.slice(0, split), text.slice(split, end)];
      return [decode(bytes.subarray(0, split)), decode(bytes.subarray(split, end))];
    });
  }

  /** Returns the proof of the request with the verified token: its id, and when it may be forgotten, in seconds; undefined if it has none. */
  proof() {
    return this.guard(() => {
      const length = this.wasm.proof_len();
      if (length === 0) return undefined;
      const [id, millis] = decode(this.#output().subarray(-length)).split(" ");
      return { id, expiresAt: Number(millis) / 1000 };
    });
  }

  /** Writes strings and bytes one after the other into the input, and returns their lengths. */
  #write(...parts) {
    const bytes = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
    const input = this.#room(bytes.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of bytes) {
      input.set(part, at);
      at += part.length;
    }
    return bytes.map((part) => part.length);
  }

  /**
   * Creates a verifier and returns its `number`, which is never used again; for invalid options, the `reason`, the `index` of the issuer or key,
   * and the core's `message`, if any.
   */
  create(options) {
    return this.guard(() => {
      const [length] = this.#write(options);
      const number = this.wasm.create(length);
      return number > 0 ? { number } : { reason: -number & 7, index: -number >>> 3, message: this.text() };
    });
  }

  /** Returns how many verified tokens a verifier caches. */
  cacheEntries(verifier) {
    return this.guard(() => this.wasm.cache_entries(verifier) >>> 0);
  }

  /** Returns the period in which the last verdict holds with the same keys, in milliseconds since 1970; undefined if it is unknown. */
  settled() {
    return this.guard(() => {
      const until = this.wasm.settled_until();
      return until === 0 ? undefined : { from: this.wasm.settled_from(), until };
    });
  }

  destroy(verifier) {
    this.#release(() => this.wasm.destroy(verifier));
  }

  /** Removes a task; the jobs that it started continue. */
  cancel(verifier, task) {
    this.#release(() => this.wasm.cancel(verifier, task));
  }

  #release(call) {
    // A broken instance is collected as a whole.
    if (this.broken) return;
    try {
      call();
    } catch {
      this.broken = true;
    }
  }

  /** Checks a text and returns the outcome. `requirements` are JSON in UTF-8. */
  check(verifier, form, text, requirements, nowMs, mayWait) {
    return this.guard(() => {
      const room = this.maxTokenBytes + 64;
      const input = this.#room(room + (requirements?.length ?? 0));
      let length = text.length;
      let more = 0;
      // A text too long in characters is too long in bytes: the core needs to know no more.
      if (length <= room) {
        const { read, written } = encoder.encodeInto(text, input);
        // A text that did not fit is too long in bytes.
        length = read === length ? written : room + 1;
        // If the requirements do not fit, the token before them is too long anyway.
        if (requirements !== undefined && length + requirements.length <= input.length) {
          input.set(requirements, length);
          more = requirements.length;
        }
      }
      return this.wasm.check(verifier, form, length, more, 0, nowMs, mayWait) >>> 0;
    });
  }

  /** Checks an `Authorization` header with the rest of its request, as JSON, and returns the outcome. */
  checkSender(verifier, authorization, requirements = new Uint8Array(0), sender, nowMs) {
    return this.guard(() => {
      const [length, more, rest] = this.#write(authorization, requirements, JSON.stringify(sender));
      return this.wasm.check(verifier, EITHER_SCHEME, length, more, rest, nowMs, true) >>> 0;
    });
  }

  /** Returns the task that the last `check` started. */
  task() {
    return this.guard(() => this.wasm.task());
  }

  /** Starts to load the keys and returns the task. */
  load(verifier, nowMs) {
    return this.guard(() => this.wasm.load(verifier, nowMs));
  }

  /** Returns the new requests of a verifier's flows, and the calls that have ended or failed. */
  updates(verifier) {
    return this.guard(() => {
      this.wasm.updates(verifier);
      return this.json();
    });
  }

  /** Passes in the response to a request. */
  respond(verifier, request, { kind, head = "", body = new Uint8Array(0) }, nowMs) {
    this.guard(() => {
      const [headLength, bodyLength] = this.#write(head, body);
      this.wasm.respond(verifier, request, kind, headLength, bodyLength, nowMs);
    });
  }

  /** Returns the outcome of a task that has ended. */
  result(verifier, task) {
    return this.guard(() => this.wasm.result(verifier, task) >>> 0);
  }

  keys(verifier) {
    return this.guard(() => {
      this.wasm.keys(verifier);
      return this.json().map((status) => {
        const usable = status.keys.filter((key) => key.usable);
        return { ...status, kids: usable.map((key) => key.kid), skipped: status.keys.length - usable.length };
      });
    });
  }
}
