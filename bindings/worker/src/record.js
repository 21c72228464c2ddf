// The record of a request: an event in the log, and a data point for Workers Analytics Engine.

const LEVELS = ["", "info", "warning", "error"];
const INFO = 1;
const WARNING = 2;
const ERROR = 3;

/** Returns the outcome of a request and the number of its level. */
function judge(status, code, isObserved, isForwarded) {
  const [outcome, level] =
    isObserved ? ["observed", WARNING]
    : code !== "" && status >= 500 ? ["failed", ERROR]
    : code !== "" && status >= 400 ? ["refused", WARNING]
    : isForwarded ? ["forwarded", INFO]
    : status >= 300 && status < 400 ? ["redirected", INFO]
    : ["answered", INFO];
  return [outcome, status >= 500 ? ERROR : level];
}

/** A method that is no word of the protocol may be anything. */
const methodOf = ({ method }) => (/^[A-Z]{3,12}$/.test(method) ? method : "other");

function lengthOf({ headers }) {
  const length = headers.get("content-length");
  return length === null ? undefined : Number(length);
}

/**
 * Records a request and returns its response. `dataset` is the binding for metrics, if there is one; `level` the number of the lowest
 * level to log, 0 for none; `sample` and `began` (in milliseconds) as the core has them. `bytes` is the length of the gateway's own
 * body, negative for another. `facts` are lines: the request's id, route, code, observed code, credentials, issuer, cache and `kid`,
 * the only one that could have line breaks. Nothing of it is a token, cookie, code of a login, query, or other claim.
 */
export function record(request, response, dataset, level, sample, began, bytes, isForwarded, facts) {
  const [id, route, refused, observed, credentials, issuer, cache, ...kid] = facts.split("\n");
  const { status } = response;
  const code = observed || refused;
  const [outcome, own] = judge(status, code, observed !== "", isForwarded);
  // The clock of the platform stands still while the Worker computes: this is the time spent waiting.
  const duration_ms = Date.now() - began;
  const length = bytes >= 0 ? bytes : lengthOf(response);
  const method = methodOf(request);
  if (level !== 0 && own >= level && (own !== INFO || sample === 1 || Math.random() * sample < 1)) {
    const event = {
      event: "request", level: LEVELS[own], id, method, route, status, outcome, code, duration_ms, credentials, issuer,
      kid: kid.join("\n"), cache, bytes: length,
    };
    write(own, request, event);
  }
  if (typeof dataset?.writeDataPoint === "function") {
    const index = [...route].slice(0, MAX_INDEX_CHARACTERS).join("");
    const blobs = [route, method, outcome, code, credentials, issuer, cache];
    try {
      dataset.writeDataPoint({ indexes: [index], blobs, doubles: [status, duration_ms, length ?? 0] });
    } catch (error) {
      console.warn(`edgeward: metrics_failed: ${error}`);
    }
  }
  return response;
}

/** An index has at most 96 bytes; a character has at most four. */
const MAX_INDEX_CHARACTERS = 24;

/** Writes an event: as JSON, or as text where no platform has given the request an id, as in local development. */
function write(level, request, event) {
  const text = request.headers.has("cf-ray") ? JSON.stringify(event, (_, value) => (value === "" ? undefined : value)) : asText(event);
  if (level === ERROR) console.error(text);
  else if (level === WARNING) console.warn(text);
  else console.log(text);
}

function asText({ id, method, route, status, outcome, code, duration_ms, credentials, issuer, kid, cache, bytes }) {
  const named = Object.entries({ credentials, issuer, kid: kid && JSON.stringify(kid), cache, bytes, id });
  const rest = named.filter(([, value]) => value !== "" && value !== undefined).map(([name, value]) => `${name}=${value}`);
  return ["edgeward:", method, route || "(no route)", status, outcome, code, `${duration_ms} ms`, ...rest].filter((part) => part !== "").join(" ");
}
