// The record of a request: an event in the log, and a data point for Workers Analytics Engine.

const LEVELS = ["", "info", "warning", "error"];
const INFO = 1;
const WARNING = 2;
const ERROR = 3;

/** A method that is no word of the protocol may be anything. */
const methodOf = ({ method }) => (/^[A-Z]{3,12}$/.test(method) ? method : "other");

function lengthOf({ headers }) {
  const text = headers.get("content-length");
  const length = Number(text ?? NaN);
  return Number.isSafeInteger(length) ? length : undefined;
}

/**
 * Records a request and returns its response. `dataset` is the binding for metrics, if there is one; `level` the number of the lowest
 * level to log, 0 for none, and `own` that of this request; `sample` and `began` (in milliseconds) as the core has them. `bytes` is the
 * length of the gateway's own body, negative for another; `isTimed`: the client may see `Server-Timing`. `facts` are lines: the
 * request's id, route, outcome, code, credentials, issuer, cache and `kid`, the only one that could have line breaks. Nothing of it is
 * a token, cookie, code of a login, query, or other claim.
 */
export function record(request, response, dataset, level, own, sample, began, bytes, isTimed, facts) {
  const [id, route, outcome, code, credentials, issuer, cache, ...kid] = facts.split("\n");
  const { status } = response;
  // The clock of the platform stands still while the Worker computes: this is the time spent waiting.
  const duration_ms = Date.now() - began;
  const length = bytes >= 0 ? bytes : lengthOf(response);
  const method = methodOf(request);
  if (level !== 0 && own >= level && (own !== INFO || sample === 1 || Math.random() * sample < 1)) {
    const event = {
      level: LEVELS[own], id, method, route, status, outcome, code, duration_ms, credentials, issuer, kid: kid.join("\n"), cache, bytes: length,
    };
    write(own, request, event);
  }
  if (dataset?.writeDataPoint !== undefined) {
    const index = route.slice(0, MAX_INDEX_UNITS);
    const blobs = [route, method, outcome, code, credentials, issuer, cache];
    try {
      dataset.writeDataPoint({ indexes: [index], blobs, doubles: [status, duration_ms, length ?? 0] });
    } catch (error) {
      console.warn(`edgeward: metrics_failed: ${error}`);
    }
  }
  return isTimed && status !== 101 ? timed(response, outcome, code, cache, duration_ms) : response;
}

function timed(response, outcome, code, cache, duration) {
  const changed = new Response(response.body, response);
  const words = code === "" ? outcome : `${outcome} ${code}`;
  // The secret is not part of a cache's key.
  changed.headers.set("cache-control", "private, no-store");
  changed.headers.append("server-timing", `edgeward;desc="${words}";dur=${duration}${cache && `, token;desc="${cache}"`}`);
  return changed;
}

/** An index has at most 96 bytes; a UTF-16 code unit needs at most three. */
const MAX_INDEX_UNITS = 32;

/** Writes an event: as JSON, or as text where no platform has given the request an id, as in local development. */
function write(level, request, event) {
  const text = request.headers.has("cf-ray") ? asJson(event) : asText(event);
  if (level === ERROR) console.error(text);
  else if (level === WARNING) console.warn(text);
  else console.log(text);
}

/** Half the time of `JSON.stringify` for the whole event. The members without a quote of their own are words of the gateway. */
const asJson = ({ level, id, method, route, status, outcome, code, duration_ms, credentials, issuer, kid, cache, bytes }) =>
  `{"event":"request","level":"${level}","id":"${id}","method":"${method}"${member("route", route)},"status":${status},"outcome":"${outcome}"` +
  `${member("code", code)},"duration_ms":${duration_ms}${member("credentials", credentials)}${member("issuer", issuer)}` +
  `${member("kid", kid)}${member("cache", cache)}${bytes === undefined ? "" : `,"bytes":${bytes}`}}`;

const member = (name, value) => (value === "" ? "" : `,"${name}":${JSON.stringify(value)}`);

function asText({ id, method, route, status, outcome, code, duration_ms, credentials, issuer, kid, cache, bytes }) {
  const named = Object.entries({ credentials, issuer, kid: kid && JSON.stringify(kid), cache, bytes, id });
  const rest = named.filter(([, value]) => value !== "" && value !== undefined).map(([name, value]) => `${name}=${value}`);
  return ["edgeward:", method, route || "(no route)", status, outcome, code, `${duration_ms} ms`, ...rest].filter((part) => part !== "").join(" ");
}
