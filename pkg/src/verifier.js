// The verifier: the core decides, at once where it can.

import * as Core from "./core.js";
import { aborted, fromCore, internalError, invalidOption, keysNotLoaded } from "./error.js";
import { explain, explainPerCall } from "./options.js";
import { Flows } from "./flows.js";
import { Known } from "./known.js";
import { Claims, VerifiedToken } from "./token.js";

const MAX_TIMEOUT_MS = 30_000;

export function createVerifier(options) {
  return new Verifier(options);
}

/** The verifier's methods for the other modules of this package. */
export let checkedRequirements;
export let authenticate;

class Verifier {
  #text;
  /** The caller's `fetch` and `timeout`, if any, and `time`, the clock. */
  #host;
  /** What `#open` gives, until that core breaks or the verifier is disposed of. */
  #opened;

  static {
    checkedRequirements = (verifier, requirements) => verifier.#checkedRequirements(requirements);
    authenticate = (verifier, request, requirements, call) => {
      const { form, text } = credentials(request);
      return verifier.#verify(form, text, requirements, call);
    };
  }

  constructor(options) {
    if (options === null || typeof options !== "object") throw invalidOption("options must be an object");
    const { fetch: customFetch, now, timeout, ...rest } = options;
    for (const [name, value] of Object.entries({ fetch: customFetch, now })) {
      if (name in options && typeof value !== "function") throw invalidOption(`${name} must be a function`);
    }
    if ("timeout" in options && !(Number.isInteger(timeout) && timeout >= 1 && timeout <= MAX_TIMEOUT_MS)) {
      throw invalidOption(`timeout must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
    }
    this.#host = { fetch: customFetch, timeout, time: clock(now) };
    this.#text = plain(rest);
    this.#open();
  }

  async verify(token, options) {
    const { requirements, call } = perCall(options);
    const [form, text] = asInput(token);
    return this.#verify(form, text, requirements, call);
  }

  verifySync(token, options) {
    const { requirements, call } = perCall(options);
    const [form, text] = asInput(token);
    const now = this.#host.time();
    const opened = this.#open();
    const known = requirements === undefined ? opened.known.find(form, text, now) : undefined;
    if (known !== undefined) return new VerifiedToken(known);
    const outcome = opened.core.check(opened.number, form, text, requirements, now, false);
    return decided(opened, outcome, form, text, requirements, call);
  }

  async authenticate(request, options) {
    const { requirements, call } = perCall(options);
    return authenticate(this, request, requirements, call);
  }

  async load(options) {
    const { call, requirements } = perCall(options);
    if (requirements !== undefined) throw invalidOption("load takes only signal");
    for (;;) {
      const now = this.#host.time();
      const opened = this.#open();
      const { core, number } = opened;
      const keys = await wait(opened, core.load(number, now), call, (outcome, cause) => {
        if (outcome !== Core.PASSED) throw refusal(core, undefined, cause);
        return core.keys(number);
      });
      if (keys !== undefined) return keys;
    }
  }

  keys() {
    const { core, number } = this.#open();
    return core.keys(number);
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    registry?.unregister(this);
    if (this.#opened !== undefined) close(this.#opened);
    this.#opened = undefined;
    this.#text = undefined;
  }

  /**
   * A core that works, this verifier's number in it, and the flows and the known verdicts from there; one value, so that none of
   * them is ever used with another's. A core that broke is replaced, and the verifier built again. What was begun with one such value
   * ends with it.
   */
  #open() {
    if (this.#opened?.core.broken === false) return this.#opened;
    this.#opened?.flows.end();
    if (this.#text === undefined) throw internalError("the verifier was disposed of");
    const core = Core.currentCore();
    const { number, reason, issuer } = core.create(this.#text);
    if (number === undefined) throw invalidOption(explain(this.#text, reason, issuer));
    const known = new Known(core.cacheEntries(number));
    this.#opened = { core, number, known, flows: new Flows(core, number, known, this.#host) };
    registry?.unregister(this);
    registry?.register(this, this.#opened, this);
    return this.#opened;
  }

  async #verify(form, text, requirements, call) {
    if (call.signal?.aborted) throw aborted(call.signal.reason);
    for (;;) {
      const now = this.#host.time();
      const opened = this.#open();
      const { core, number } = opened;
      const known = requirements === undefined ? opened.known.find(form, text, now) : undefined;
      if (known !== undefined) return new VerifiedToken(known);
      const outcome = core.check(number, form, text, requirements, now, true);
      if ((outcome & ~Core.MAIL) !== Core.PENDING) return decided(opened, outcome, form, text, requirements, call);
      const token = await wait(opened, core.task(), call, (outcome, cause) => verdict(opened, outcome, form, text, requirements, cause));
      // Undefined: the core broke, or the verifier is gone.
      if (token !== undefined) return token;
    }
  }

  /** The demands as the core takes them, or an error that names what is wrong with them. */
  #checkedRequirements(options) {
    const { requirements } = perCall(options);
    const now = this.#host.time();
    const { core, number } = this.#open();
    core.check(number, Core.NO_HEADER, "", requirements, now, true);
    const error = refusal(core, requirements);
    if (error.code === "options_invalid") throw error;
    return requirements;
  }
}

/** Frees what forgotten verifiers hold in wasm memory, where the runtime tells. */
const registry = typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry(close);

function close({ core, number, flows }) {
  core.destroy(number);
  flows.end();
}

/** The time in milliseconds, from the caller's clock if there is one. One that says nothing sensible must not make old tokens young. */
function clock(now) {
  if (now === undefined) return Date.now;
  return () => {
    const millis = now() * 1000;
    if (!(millis > 0 && millis < Infinity)) throw invalidOption("now must return the time in seconds");
    return millis;
  };
}

/** The verdict of a `check`; what is to be done in the background is begun. */
function decided(opened, outcome, form, text, requirements, call) {
  if (outcome === Core.PASSED) return verified(opened, form, text);
  try {
    return verdict(opened, outcome & ~Core.MAIL, form, text, requirements);
  } finally {
    // The verdict is read by now: mail takes its place.
    if ((outcome & Core.MAIL) !== 0) opened.flows.collect(call.waitUntil);
  }
}

/** The token that passed, or the error that says why it did not. */
function verdict(opened, outcome, form, text, requirements, cause) {
  if (outcome === Core.PASSED) return verified(opened, form, text);
  throw outcome === Core.REFUSED ? refusal(opened.core, requirements, cause) : keysNotLoaded();
}

/** The token that the core has just accepted, kept for the next call if its verdict stands for a time. */
function verified({ core, known }, form, text) {
  const claims = new Claims(core.claims());
  const period = core.settled();
  if (period !== undefined) known.keep(form, text, period, claims);
  return new VerifiedToken(claims);
}

/** Options as JSON. What JSON has no word for becomes `null`, which the core refuses by the option's name. */
function plain(options) {
  try {
    return JSON.stringify(options, (name, value) => {
      // A document in the document: the core reads key sets from text.
      if (name === "jwks") return JSON.stringify(value) ?? null;
      const type = typeof value;
      return type === "undefined" || type === "function" || type === "symbol" || type === "bigint" ? null : value;
    });
  } catch (cause) {
    throw invalidOption("the options must be plain values", cause);
  }
}

/** Splits the options of one call into demands, for the core, and the rest. */
function perCall(options) {
  if (options === undefined) return { requirements: undefined, call: {} };
  if (options === null || typeof options !== "object") throw invalidOption("options must be an object");
  const { signal, waitUntil, ...rest } = options;
  if (waitUntil !== undefined && typeof waitUntil !== "function") throw invalidOption("waitUntil must be a function");
  if (signal !== undefined && typeof signal?.addEventListener !== "function") throw invalidOption("signal must be an AbortSignal");
  const requirements = Object.keys(rest).length === 0 ? undefined : Core.encoder.encode(plain(rest));
  return { requirements, call: { signal, waitUntil } };
}

/** The error that the core's refusal describes. For what is wrong with the caller's options there are words here. */
function refusal(core, requirements, cause) {
  const described = core.json();
  if (described.code === "options_invalid") return invalidOption(explainPerCall(new TextDecoder().decode(requirements)));
  if (described.code === "internal_error") return internalError("the verifier is gone");
  return fromCore(described, cause);
}

/** A token as the core takes it. What is no text is no token. */
function asInput(token) {
  if (typeof token === "string") return [Core.TOKEN, token];
  return token === undefined || token === null ? [Core.NO_HEADER, ""] : [Core.TOKEN, ""];
}

/** What a request proves itself with. Several headers are one text with commas, which the core refuses. */
function credentials(request) {
  const { headers, headersDistinct, url } = request;
  if (typeof url === "string" && hasTokenInQuery(url)) return { form: Core.QUERY, text: "" };
  const given =
    typeof headers.get === "function" ? headers.get("authorization") : (headersDistinct?.authorization ?? headers.authorization);
  const text = Array.isArray(given) ? given.join(", ") : given;
  return typeof text === "string" ? { form: Core.HEADER, text } : { form: Core.NO_HEADER, text: "" };
}

function hasTokenInQuery(url) {
  const from = url.indexOf("?");
  return from >= 0 && new URLSearchParams(url.slice(from + 1).split("#", 1)[0]).has("access_token");
}

/** What a task comes to, unless the caller's signal ends the wait before. What others rely on goes on. */
function wait({ flows }, task, call, read) {
  const work = flows.wait(task, call, read);
  const { signal } = call;
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const end = () => {
      flows.leave(task);
      reject(aborted(signal.reason));
    };
    signal.addEventListener("abort", end, { once: true });
    // Whatever comes of the work after that, somebody listens: a rejection that nobody hears of ends a process.
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
    if (signal.aborted) end();
  });
}
