// The verifier: the core decides, this fetches what it asks for.

import * as Core from "./core.js";
import { aborted, fromCore, internalError, invalidOption, keysNotLoaded } from "./error.js";
import { explain, explainPerCall } from "./options.js";
import { edgeGet, edgePut, send } from "./fetch.js";
import { Known } from "./known.js";
import { Claims, VerifiedToken } from "./token.js";

/** Looks at one token before giving up; only a broken core would come near. */
const MAX_CHECKS = 1000;
/** How often `load` looks whether another call has loaded the keys. */
const MAX_LOAD_CHECKS = 400;
const MAX_TIMEOUT_MS = 30_000;

/** A count of fetches past which the core asks for no further one. */
const NO_MORE_FETCHES = 255;

export function createVerifier(options) {
  return new Verifier(options);
}

/** The verifier's methods for the other modules of this package. */
export let checkedDemands;
export let authenticate;

class Verifier {
  #text;
  #fetch;
  #now;
  #timeout;
  /** What `#open` gives, until that core breaks or the verifier is disposed of. */
  #opened;

  static {
    checkedDemands = (verifier, demands) => verifier.#checkedDemands(demands);
    authenticate = (verifier, request, demands, call) => {
      const { form, text } = credentials(request);
      return verifier.#verify(form, text, demands, call);
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
    this.#fetch = customFetch;
    this.#now = now;
    this.#timeout = timeout;
    this.#text = plain(rest);
    this.#open();
  }

  async verify(token, options) {
    const { demands, call } = perCall(options);
    const [form, text] = asInput(token);
    return this.#verify(form, text, demands, call);
  }

  verifySync(token, options) {
    const { demands, call } = perCall(options);
    const [form, text] = asInput(token);
    const now = this.#time();
    const opened = this.#open();
    const { core, number } = opened;
    const known = demands === undefined ? opened.known.find(form, text, now) : undefined;
    if (known !== undefined) return new VerifiedToken(known);
    let outcome = core.check(number, form, text, demands, now, 0);
    if (outcome === Core.FETCH) {
      // The keys are fetched for the calls to come; this one is decided with those that are there.
      this.#inBackground(opened, core.permit(), call);
      const later = this.#time();
      outcome = core.check(number, form, text, demands, later, NO_MORE_FETCHES);
    }
    switch (outcome) {
      case Core.VERIFIED:
        return verified(opened, form, text);
      case Core.VERIFIED_AND_REFRESH:
        return this.#verifiedAndRefresh(opened, form, text, call);
      case Core.REFUSED:
        throw refusal(core, demands);
      default:
        throw keysNotLoaded();
    }
  }

  async authenticate(request, options) {
    const { demands, call } = perCall(options);
    return authenticate(this, request, demands, call);
  }

  async load(options) {
    const { call, demands } = perCall(options);
    if (demands !== undefined) throw invalidOption("load takes only signal");
    return unlessAborted(call.signal, this.#load());
  }

  keys() {
    const { core, number } = this.#open();
    return core.keys(number);
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    registry?.unregister(this);
    this.#opened?.core.destroy(this.#opened.number);
    this.#opened = undefined;
    this.#text = undefined;
  }

  /**
   * A core that works, this verifier's number in it, and the verdicts known from there; one value, so that none of them is ever
   * used with another's. A core that broke is replaced, and the verifier built again. What was begun with one such value ends with it.
   */
  #open() {
    if (this.#opened?.core.broken === false) return this.#opened;
    if (this.#text === undefined) throw internalError("the verifier was disposed of");
    const core = Core.currentCore();
    const { number, reason, issuer } = core.create(this.#text);
    if (number === undefined) throw invalidOption(explain(this.#text, reason, issuer));
    this.#opened = { core, number, known: new Known(core.cacheEntries(number)) };
    registry?.unregister(this);
    registry?.register(this, this.#opened, this);
    return this.#opened;
  }

  /** The time in milliseconds. A clock that says nothing sensible must not make old tokens young. */
  #time() {
    if (this.#now === undefined) return Date.now();
    const millis = this.#now() * 1000;
    if (!(millis > 0 && millis < Infinity)) throw invalidOption("now must return the time in seconds");
    return millis;
  }

  async #verify(form, text, demands, call) {
    if (call.signal?.aborted) throw aborted(call.signal.reason);
    let fetches = 0;
    let cause;
    for (let checks = 0; checks < MAX_CHECKS; checks += 1) {
      const now = this.#time();
      const opened = this.#open();
      const { core, number } = opened;
      const known = demands === undefined ? opened.known.find(form, text, now) : undefined;
      if (known !== undefined) return new VerifiedToken(known);
      switch (core.check(number, form, text, demands, now, fetches)) {
        case Core.VERIFIED:
          return verified(opened, form, text);
        case Core.VERIFIED_AND_REFRESH:
          return this.#verifiedAndRefresh(opened, form, text, call);
        case Core.REFUSED:
          throw refusal(core, demands, cause);
        case Core.FETCH: {
          const work = this.#use(opened, core.permit(), call);
          // Others rely on it, also when this client goes away.
          call.waitUntil?.(work.catch(() => {}));
          const fetched = await unlessAborted(call.signal, work);
          fetches += fetched.askedProvider ? 1 : 0;
          cause = fetched.cause;
          break;
        }
        default:
          await unlessAborted(call.signal, sleep(core.pollMs));
      }
    }
    throw internalError("there is no verdict after many checks");
  }

  async #load() {
    let failure;
    for (let checks = 0; checks < MAX_LOAD_CHECKS; checks += 1) {
      const now = this.#time();
      const opened = this.#open();
      const permits = opened.core.warmUp(opened.number, now);
      const done = await Promise.all(permits.map((permit) => this.#use(opened, permit, {})));
      failure = done.find(({ error }) => error !== undefined) ?? failure;
      const keys = this.keys();
      if (keys.every(({ loaded }) => loaded)) return keys;
      if (failure !== undefined) break;
      // Another call is loading them, the core broke meanwhile, or the provider is given a pause after it failed.
      await sleep(opened.core.pollMs);
    }
    throw unavailable(failure);
  }

  #verifiedAndRefresh(opened, form, text, call) {
    const permit = opened.core.permit();
    const token = verified(opened, form, text);
    this.#inBackground(opened, permit, call);
    return token;
  }

  #inBackground(opened, permit, { waitUntil }) {
    const work = this.#use(opened, permit, { waitUntil }).then(() => {}, () => {});
    if (waitUntil !== undefined) waitUntil(work);
  }

  /** Uses a permit up: asks and answers until the core is done. Neither a verifier that is gone nor a core that broke takes an answer. */
  async #use({ core, number, known }, permit, { waitUntil }) {
    let cause;
    for (;;) {
      const asked = core.broken ? undefined : core.ask(number, permit);
      if (asked === undefined) return { askedProvider: true };
      let answer;
      if (asked.edge !== undefined) {
        // A fetch of the caller's own answers for itself alone: nothing of it is shared.
        answer = this.#fetch === undefined ? await edgeGet(asked.edge) : { kind: 0 };
      } else {
        answer = await send({ ...asked.http, timeoutMs: this.#timeout ?? asked.http.timeoutMs }, this.#fetch);
        cause = answer.cause;
      }
      const now = this.#time();
      if (core.broken) return { askedProvider: true };
      const done = core.answer(number, permit, answer, now);
      // The keys may be others now: verdicts stand or fall anew.
      known.clear();
      if (done === undefined) {
        permit = core.permit();
        continue;
      }
      if (done.edge !== undefined && this.#fetch === undefined) {
        const kept = edgePut(done.edge);
        if (waitUntil !== undefined) waitUntil(kept);
      }
      return { ...done, cause: done.error === undefined ? undefined : cause };
    }
  }

  /** The demands as the core takes them, or an error that names what is wrong with them. */
  #checkedDemands(options) {
    const { demands } = perCall(options);
    const now = this.#time();
    const { core, number } = this.#open();
    core.check(number, Core.NO_HEADER, "", demands, now, 0);
    const error = refusal(core, demands);
    if (error.code === "options_invalid") throw error;
    return demands;
  }
}

/** Frees what forgotten verifiers hold in wasm memory, where the runtime tells. */
const registry =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry(({ core, number }) => core.destroy(number));

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
  if (options === undefined) return { demands: undefined, call: {} };
  if (options === null || typeof options !== "object") throw invalidOption("options must be an object");
  const { signal, waitUntil, ...rest } = options;
  if (waitUntil !== undefined && typeof waitUntil !== "function") throw invalidOption("waitUntil must be a function");
  if (signal !== undefined && typeof signal?.addEventListener !== "function") throw invalidOption("signal must be an AbortSignal");
  const demands = Object.keys(rest).length === 0 ? undefined : Core.encoder.encode(plain(rest));
  return { demands, call: { signal, waitUntil } };
}

/** The error that the core's refusal describes. For what is wrong with the caller's options there are words here. */
function refusal(core, demands, cause) {
  const described = core.json();
  if (described.code === "options_invalid") return invalidOption(explainPerCall(new TextDecoder().decode(demands)));
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

function unavailable(failure) {
  const code = failure?.error ?? "jwks_unreachable";
  const detail = failure?.message ?? "the issuer's key set cannot be fetched";
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", "retry-after": "1" };
  const body = JSON.stringify({ status: 503, title: "Service Unavailable", code, detail });
  return fromCore({ code, message: detail, reply: { status: 503, headers, body } }, failure?.cause);
}

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** What `work` comes to, unless the signal ends the wait before. The work itself goes on: others rely on it. */
function unlessAborted(signal, work) {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const end = () => reject(aborted(signal.reason));
    signal.addEventListener("abort", end, { once: true });
    // Whatever comes of the work after that, somebody listens: a rejection that nobody hears of ends a process.
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
    if (signal.aborted) end();
  });
}
