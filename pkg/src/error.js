/** Why there is no verified token. */
export class EdgewardError extends Error {
  // Survives minification, for inspection.
  static name = "EdgewardError";

  #reply;
  #compared;

  constructor(code, message, reply, cause, { claim, ...compared } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    if (claim !== undefined) this.claim = claim;
    // Not an own property: found values may be personal data, which logs must not show.
    this.#compared = compared;
    // An own property, so that consoles and loggers show it.
    this.status = reply.status;
    this.#reply = reply;
  }

  get expected() {
    return this.#compared.expected;
  }

  get found() {
    return this.#compared.found;
  }

  get wwwAuthenticate() {
    return this.#reply.headers["www-authenticate"];
  }

  get retryAfter() {
    const seconds = this.#reply.headers["retry-after"];
    return seconds === undefined ? undefined : Number(seconds);
  }

  get headers() {
    return { ...this.#reply.headers };
  }

  get body() {
    return this.#reply.body;
  }

  toResponse() {
    const { status, headers, body } = this.#reply;
    return new Response(body, { status, headers });
  }

  /** Without the cause, which is not ours and may hold anything. */
  toJSON() {
    const { name, code, status, message } = this;
    return { name, code, status, message };
  }
}
EdgewardError.prototype.name = "EdgewardError";

/** Returns the error that the core describes. Why a document was refused is more than how it came. */
export function fromCore({ code, message, reply, reason, ...about }, cause) {
  const why = reason === undefined ? cause : new Error(reason, cause === undefined ? undefined : { cause });
  return new EdgewardError(code, message, reply, why, about);
}

/** Returns an error of this package in the form of the core's. */
function own(code, message, status, title, detail, cause, more = {}) {
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", ...more };
  return new EdgewardError(code, message, { status, headers, body: JSON.stringify({ status, title, code, detail }) }, cause);
}

const CANNOT_CHECK = "The server cannot check tokens.";

export function internalError(message, cause) {
  return own("internal_error", message, 500, "Internal Server Error", CANNOT_CHECK, cause);
}

export function invalidOption(message, cause) {
  return own("options_invalid", message, 500, "Internal Server Error", CANNOT_CHECK, cause);
}

export function keysNotLoaded() {
  const message = "the keys are not loaded: await load() or verify() first";
  return own("keys_not_loaded", message, 503, "Service Unavailable", "The keys are not loaded yet.", undefined, { "retry-after": "1" });
}

export function asyncRequired() {
  const message = "verifySync cannot verify ES256, ES384 or EdDSA, nor decrypt: the platform does so asynchronously; await verify() instead";
  return own("async_required", message, 500, "Internal Server Error", CANNOT_CHECK);
}

export function proofReplayed() {
  const detail = "The proof was used before.";
  const challenge = `DPoP realm="edgeward", error="invalid_dpop_proof", error_description="${detail}", algs="ES256 EdDSA Ed25519 PS256 RS256"`;
  return own("dpop_proof_replayed", "the proof was used before", 401, "Unauthorized", detail, undefined, { "www-authenticate": challenge });
}

export function replayCheckUnavailable(cause) {
  const message = "replayStore cannot tell whether the proof was used before";
  const detail = "Whether the proof was used before cannot be told at the moment.";
  return own("replay_check_unavailable", message, 503, "Service Unavailable", detail, cause, { "retry-after": "1" });
}

export function malformedToken(cause) {
  return own("token_malformed", "the text is not a signed token", 401, "Unauthorized", "The text is not a signed token.", cause);
}

export function aborted(cause) {
  return own("aborted", "the signal was aborted before there was a verdict", 503, "Service Unavailable", "The check was aborted.", cause);
}
