/** Why there is no verified token. */
export class EdgewardError extends Error {
  #reply;

  constructor(code, message, reply, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.#reply = reply;
  }

  get status() {
    return this.#reply.status;
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
}
EdgewardError.prototype.name = "EdgewardError";

/** The error that the core describes. */
export function fromCore({ code, message, reply }, cause) {
  return new EdgewardError(code, message, reply, cause);
}

/** Failures that happen outside the core, in the form that the core gives its own. */
function outside(code, message, status, title, detail, cause, more = {}) {
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", ...more };
  return new EdgewardError(code, message, { status, headers, body: JSON.stringify({ status, title, code, detail }) }, cause);
}

const CANNOT = "The server cannot check tokens.";

export function internalError(message, cause) {
  return outside("internal_error", message, 500, "Internal Server Error", CANNOT, cause);
}

export function invalidOption(message, cause) {
  return outside("options_invalid", message, 500, "Internal Server Error", CANNOT, cause);
}

export function keysNotLoaded() {
  const message = "the keys are not loaded: await load() or verify() first";
  return outside("keys_not_loaded", message, 503, "Service Unavailable", "The keys are not loaded yet.", undefined, { "retry-after": "1" });
}

export function aborted(cause) {
  const message = "the caller's signal ended the call before there was a verdict";
  return outside("aborted", message, 503, "Service Unavailable", "The check was broken off.", cause);
}
