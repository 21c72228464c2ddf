// The verifier: the core decides, synchronously where it can.

import * as Core from "./core.js";
import { aborted, asyncRequired, fromCore, internalError, invalidOption, keysNotLoaded } from "./error.js";
import { Flows } from "./flows.js";
import { readCallOptions, readVerifierOptions, refusedOptions } from "./options.js";
import { ORIGINAL } from "./original.js";
import { headerOf, ProofMemory, senderOf, useOnce } from "./sender.js";
import { Claims, VerifiedToken } from "./token.js";
import { VerdictCache } from "./verdict-cache.js";

export function createVerifier(options) {
  return new Verifier(options);
}

/** Access to the verifier for the other modules of this package. */
export let authenticate;
export let isVerifier;

class Verifier {
  // Survives minification, for inspection.
  static name = "Verifier";

  #policy;
  #kind;
  /** Whether bound tokens are accepted (`dpop`), the site's `origins`, and the `store` of proofs that were used. */
  #sender;
  /** By request, the text of the proof that it was accepted with, and its headers then. */
  #accepted = new WeakMap();
  /** The caller's `fetch` and `timeout`, if any, and `time`, the clock. */
  #host;
  /** The result of `#open`, until its core breaks or the verifier is disposed of. */
  #opened;

  static {
    isVerifier = (value) => typeof value === "object" && value !== null && #policy in value;
    authenticate = (verifier, request, requirements, call) => {
      if (verifier.#provesSender(request)) return verifier.#verifySender(request, requirements, call);
      const { form, text } = credentials(request);
      return verifier.#verify(form, text, requirements, call);
    };
  }

  constructor(options) {
    const { policy, kind, fetch, now, timeout, sender } = readVerifierOptions(options);
    this.#policy = policy;
    this.#kind = kind;
    this.#sender = { ...sender, store: sender.store ?? new ProofMemory() };
    this.#host = { fetch, timeout, time: clock(now) };
    this.#open();
  }

  // Functions of their own instead of methods, so that they can be destructured.

  verify = async (token, options) => {
    const { requirements, call } = readCallOptions(options, this.#kind);
    const [form, text] = asInput(token);
    return this.#verify(form, text, requirements, call);
  };

  verifySync = (token, options) => {
    const { requirements, call } = readCallOptions(options, this.#kind);
    const [form, text] = asInput(token);
    const now = this.#host.time();
    const opened = this.#open();
    const cached = requirements === undefined ? opened.verdicts.find(form, text, now) : undefined;
    if (cached !== undefined) return new VerifiedToken(cached, text);
    const outcome = opened.core.check(opened.number, form, text, requirements, now, false);
    return decided(opened, outcome, form, text, call);
  };

  authenticate = async (request, options) => {
    const { requirements, call } = readCallOptions(options, this.#kind);
    return authenticate(this, request, requirements, call);
  };

  load = async (options) => {
    const { call, requirements } = readCallOptions(options, this.#kind);
    if (requirements !== undefined) throw invalidOption("load accepts no option but signal and waitUntil");
    for (;;) {
      const now = this.#host.time();
      const opened = this.#open();
      const { core, number } = opened;
      const keys = await wait(opened, core.load(number, now), call, (outcome, cause) => {
        if (outcome !== Core.PASSED) throw refusal(core, cause);
        return core.keys(number);
      });
      if (keys !== undefined) return keys;
    }
  };

  keys = () => {
    const { core, number } = this.#open();
    return core.keys(number);
  };

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    registry?.unregister(this);
    if (this.#opened !== undefined) close(this.#opened);
    this.#opened = undefined;
    this.#policy = undefined;
  }

  /**
   * Returns a working core with this verifier's number, flows and cached verdicts in it: one value, so that none of them is ever used with
   * another core. A broken core is replaced and the verifier created again; whatever was started in the old one ends with it.
   */
  #open() {
    if (this.#opened?.core.broken === false) return this.#opened;
    this.#opened?.flows.end();
    if (this.#policy === undefined) throw internalError("the verifier has been disposed of");
    const core = Core.currentCore();
    const { number, ...refused } = core.create(this.#policy);
    if (number === undefined) throw refusedOptions(this.#policy, refused);
    const verdicts = new VerdictCache(core.cacheEntries(number));
    this.#opened = { core, number, verdicts, flows: new Flows(core, number, verdicts, this.#host) };
    registry?.unregister(this);
    registry?.register(this, this.#opened, this);
    return this.#opened;
  }

  /** Whether the request is checked for a proof: it has a bound token, or a proof, or must have one. */
  #provesSender(request) {
    const { dpop } = this.#sender;
    if (dpop === "off") return false;
    return dpop === "required" || headerOf(request, "dpop") !== undefined || /^dpop\b/i.test(headerOf(request, "authorization") ?? "");
  }

  /** Verifies the token of a request, and that it comes from the sender that it is bound to, with a proof that was not used before. */
  async #verifySender(request, requirements, call) {
    const { origins } = this.#sender;
    const original = request[ORIGINAL] ?? request;
    const { form, text } = credentials(request);
    if (form !== Core.HEADER) return this.#verify(form, text, requirements, call);
    if (call.signal?.aborted) throw aborted(call.signal.reason);
    for (;;) {
      const now = this.#host.time();
      const opened = this.#open();
      const { core, number } = opened;
      const sender = senderOf(request, origins);
      const sent = { text: sender.proof, headers: original.headers };
      const outcome = core.checkSender(number, text, requirements, sender, now) & ~Core.HAS_UPDATES;
      if (outcome === Core.REFUSED) throw refusal(core);
      const proved = await wait(opened, core.task(), call, (outcome, cause) => {
        if (outcome !== Core.PASSED) throw refusal(core, cause);
        return { proof: core.proof(), token: new VerifiedToken(new Claims(core.claims()), text) };
      });
      if (proved === undefined) continue;
      if (proved.proof !== undefined) await this.#use(proved.proof, original, sent);
      return proved.token;
    }
  }

  /**
   * Throws unless no other request had this proof. The same one may have it again: guards follow each other. A copy counts as another request,
   * and so does an object with other headers, which a framework uses again.
   */
  async #use(proof, request, sent) {
    const accepted = this.#accepted.get(request);
    if (accepted?.text === sent.text && accepted.headers === sent.headers) return;
    await useOnce(this.#sender.store, proof, this.#host.time() / 1000);
    this.#accepted.set(request, sent);
  }

  async #verify(form, text, requirements, call) {
    if (call.signal?.aborted) throw aborted(call.signal.reason);
    for (;;) {
      const now = this.#host.time();
      const opened = this.#open();
      const { core, number } = opened;
      const cached = requirements === undefined ? opened.verdicts.find(form, text, now) : undefined;
      if (cached !== undefined) return new VerifiedToken(cached, text);
      const outcome = core.check(number, form, text, requirements, now, true);
      if ((outcome & ~Core.HAS_UPDATES) !== Core.PENDING) return decided(opened, outcome, form, text, call);
      const token = await wait(opened, core.task(), call, (outcome, cause) => verdict(opened, outcome, form, text, cause));
      // Undefined: the core broke, or the verifier was disposed of.
      if (token !== undefined) return token;
    }
  }
}

/** Frees the wasm memory of collected verifiers, where the runtime reports them. */
const registry = typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry(close);

function close({ core, number, flows }) {
  core.destroy(number);
  flows.end();
}

/** Returns the clock in milliseconds. A caller's clock without a valid time must not make expired tokens valid. */
function clock(now) {
  if (now === undefined) return Date.now;
  return () => {
    const millis = now() * 1000;
    if (!(millis > 0 && millis < Infinity)) throw invalidOption("now must return the time in seconds");
    return millis;
  };
}

/** Returns the verdict of a `check`, and starts the background work that it left. */
function decided(opened, outcome, form, text, call) {
  if (outcome === Core.PASSED) return verified(opened, form, text);
  try {
    return verdict(opened, outcome & ~Core.HAS_UPDATES, form, text);
  } finally {
    // After the verdict has been read: updates overwrite it.
    if ((outcome & Core.HAS_UPDATES) !== 0) opened.flows.update(call.waitUntil);
  }
}

/** Returns the accepted token, or throws the reason for the refusal. */
function verdict(opened, outcome, form, text, cause) {
  if (outcome === Core.PASSED) return verified(opened, form, text);
  throw outcome === Core.REFUSED ? refusal(opened.core, cause) : keysNotLoaded();
}

/** Returns the token that the core has just accepted, and caches it if the verdict holds for a known period. */
function verified({ core, verdicts }, form, text) {
  const claims = new Claims(core.claims());
  const period = core.settled();
  if (period !== undefined) verdicts.insert(form, text, period, claims);
  return new VerifiedToken(claims, text);
}

/** Returns the error for the core's refusal. */
function refusal(core, cause) {
  const described = core.json();
  if (described.code === "options_invalid") return invalidOption("the core cannot read the options of this call");
  if (described.code === "async_required") return asyncRequired();
  if (described.code === "internal_error") return internalError("the core does not know the verifier");
  return fromCore(described, cause);
}

/** Returns a token's form and text for the core. A value that is not a string is not a token. */
function asInput(token) {
  if (typeof token === "string") return [Core.TOKEN, token];
  return token === undefined || token === null ? [Core.NO_HEADER, ""] : [Core.TOKEN, ""];
}

/** Returns a request's credentials. Several headers become one text with commas, which the core refuses. */
function credentials(request) {
  const { url } = request;
  if (typeof url === "string" && hasTokenInQuery(url)) return { form: Core.QUERY, text: "" };
  const text = headerOf(request, "authorization");
  return text === undefined ? { form: Core.NO_HEADER, text: "" } : { form: Core.HEADER, text };
}

function hasTokenInQuery(url) {
  const from = url.indexOf("?");
  return from >= 0 && new URLSearchParams(url.slice(from + 1).split("#", 1)[0]).has("access_token");
}

/** Waits for a task, or until the caller's signal aborts. The task's work for others continues then. */
function wait({ flows }, task, call, read) {
  const work = flows.wait(task, call, read);
  const { signal } = call;
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => {
      flows.cancel(task);
      reject(aborted(signal.reason));
    };
    // The work stays handled after an abort, and whatever the signal does: an unhandled rejection ends a process.
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort)).catch(() => {});
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
}
