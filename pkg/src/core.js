// The wasm module's exports as functions on text. The other side is bindings/npm/src/lib.rs.

import { internalError } from "./error.js";

/** Writes text as UTF-8. */
export const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the module imports: the table that its tool chain sets up and nothing here uses. */
const IMPORTS = { "./edgeward_bg.js": { __wbindgen_init_externref_table() {} } };

/** The outcomes of `check` and of tasks. */
export const PASSED = 0;
export const REFUSED = 1;
export const NOT_LOADED = 2;
export const PENDING = 3;
/** Added to an outcome of `check` if there is `mail`. */
export const MAIL = 8;

/** What `check` is given. */
export const TOKEN = 0;
export const HEADER = 1;
export const NO_HEADER = 2;
export const QUERY = 3;

let provideModule = () => {
  throw internalError("the wasm module is not loaded: call init() or initSync() first");
};
let shared;

/** Says where the compiled module comes from. Called once, by the entry for the runtime. */
export function setModule(provide) {
  provideModule = provide;
  shared = undefined;
}

/** The instance that all verifiers share; a new one if there is none yet or the last one broke. */
export function currentCore() {
  if (!shared || shared.broken) shared = new Core(provideModule());
  return shared;
}

class Core {
  /** Set once a call trapped: the instance's state is unknown, so it is never called again. */
  broken = false;

  constructor(module) {
    // Not every runtime's modules are instances of WebAssembly.Module: no check, the constructor makes it.
    this.guard(() => {
      this.wasm = new WebAssembly.Instance(module, IMPORTS).exports;
      this.maxTokenBytes = this.wasm.max_token_bytes();
    });
  }

  #input;
  #pointer = 0;

  /** The input buffer with room for `bytes`: memory moves when it grows. */
  #room(bytes) {
    let input = this.#input;
    if (input === undefined || input.length < bytes || input.buffer !== this.wasm.memory.buffer) {
      const size = Math.max(bytes, input?.length ?? 0, 1024);
      this.#pointer = this.wasm.input(size) >>> 0;
      input = this.#input = new Uint8Array(this.wasm.memory.buffer, this.#pointer, size);
    }
    return input;
  }

  /** Runs `call`; a trap breaks the instance and becomes an error. */
  guard(call) {
    if (this.broken) throw internalError("the wasm instance broke earlier");
    try {
      return call();
    } catch (cause) {
      this.broken = true;
      throw internalError("the wasm instance broke; the next call starts a new one", cause);
    }
  }

  #output() {
    const { wasm } = this;
    return new Uint8Array(wasm.memory.buffer, wasm.output() >>> 0, wasm.output_len());
  }

  text() {
    return decoder.decode(this.#output());
  }

  json() {
    return this.guard(() => JSON.parse(this.text()));
  }

  /** The verified header and claims, as JSON texts. */
  claims() {
    return this.guard(() => {
      const bytes = this.#output();
      const split = this.wasm.header_len();
      const text = decoder.decode(bytes);
      // Without characters beyond ASCII, bytes and characters count the same.
      if (text.length === bytes.length) return [text.slice(0, split), text.slice(split)];
      return [decoder.decode(bytes.subarray(0, split)), decoder.decode(bytes.subarray(split))];
    });
  }

  /** Writes texts and bytes one after the other into the input; their lengths. */
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

  /** A verifier's `number`, which is never another's; if the options are invalid, the `reason`, and which `issuer` it is about. */
  create(options) {
    return this.guard(() => {
      const [length] = this.#write(options);
      const number = this.wasm.create(length);
      return number > 0 ? { number } : { reason: -number & 7, issuer: -number >>> 3 };
    });
  }

  /** How many verified tokens a verifier keeps. */
  cacheEntries(verifier) {
    return this.guard(() => this.wasm.cache_entries(verifier) >>> 0);
  }

  /** From when until when the last verdict stands while the keys are the same; undefined if that is not known. */
  settled() {
    return this.guard(() => {
      const until = this.wasm.settled_until();
      return until === 0 ? undefined : { from: this.wasm.settled_from(), until };
    });
  }

  destroy(verifier) {
    this.#forget(() => this.wasm.destroy(verifier));
  }

  /** Forgets a task; the jobs that it began go on. */
  leave(verifier, task) {
    this.#forget(() => this.wasm.leave(verifier, task));
  }

  #forget(call) {
    // A broken instance is forgotten as a whole.
    if (this.broken) return;
    try {
      call();
    } catch {
      this.broken = true;
    }
  }

  /** One of the outcomes. `demands` are JSON in UTF-8. */
  check(verifier, form, text, requirements, nowMs, mayWait) {
    return this.guard(() => {
      const room = this.maxTokenBytes + 64;
      const input = this.#room(room + (requirements?.length ?? 0));
      let length = text.length;
      let more = 0;
      // A text too long in characters is too long in bytes: that much is all the core needs to know.
      if (length <= room) {
        const { read, written } = encoder.encodeInto(text, input);
        // What did not fit is too long in bytes.
        length = read === length ? written : room + 1;
        // Requirements that do not fit stand behind a token that is too long anyway.
        if (requirements !== undefined && length + requirements.length <= input.length) {
          input.set(requirements, length);
          more = requirements.length;
        }
      }
      return this.wasm.check(verifier, form, length, more, nowMs, mayWait) >>> 0;
    });
  }

  /** The task that the last `check` began. */
  task() {
    return this.guard(() => this.wasm.task());
  }

  /** Begins to load the keys; the task that does it. */
  load(verifier, nowMs) {
    return this.guard(() => this.wasm.load(verifier, nowMs));
  }

  /** What the flows of a verifier ask for since the last call, and which have ended or failed. */
  mail(verifier) {
    return this.guard(() => {
      this.wasm.mail(verifier);
      return this.json();
    });
  }

  /** Hands over what came of a request. */
  answer(verifier, request, { kind, head = "", body = new Uint8Array(0) }, nowMs) {
    this.guard(() => {
      const [headLength, bodyLength] = this.#write(head, body);
      this.wasm.answer(verifier, request, kind, headLength, bodyLength, nowMs);
    });
  }

  /** The outcome of a task that has ended. */
  result(verifier, task) {
    return this.guard(() => this.wasm.result(verifier, task) >>> 0);
  }

  keys(verifier) {
    return this.guard(() => {
      this.wasm.keys(verifier);
      return this.json();
    });
  }
}
