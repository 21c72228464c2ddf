// Makes a Response of the core's answer.

/**
 * Answers differ in their bodies more than in their headers. Those that set cookies or lead elsewhere are one person's. A Response
 * copies a Headers object in a third of the time that it takes to read names and values one by one.
 */
const known = new Map();
const MAX_ENTRIES = 64;

function pairs(headers) {
  const lines = headers.split("\n");
  const pairs = [];
  for (let i = 0; i + 1 < lines.length; i += 2) pairs.push([lines[i], lines[i + 1]]);
  return pairs;
}

export function respond(status, headersLength, text) {
  const headers = text.slice(0, headersLength);
  const body = text.length === headersLength ? null : text.slice(headersLength);
  const key = status + headers;
  let init = known.get(key);
  if (init === undefined) {
    init = { status, headers: pairs(headers) };
    if (!/^(set-cookie|location)\n/m.test(headers)) {
      init.headers = new Headers(init.headers);
      if (known.size >= MAX_ENTRIES) known.clear();
      known.set(key, init);
    }
  }
  return new Response(body, init);
}
