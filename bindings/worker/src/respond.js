// Makes a Response of the core's answer.

/** Answers differ in their bodies more than in their headers. Those that set cookies or lead elsewhere are one person's. */
const known = new Map();
const MOST_KNOWN = 64;

function describe(status, headers) {
  const lines = headers.split("\n");
  const pairs = [];
  for (let i = 0; i + 1 < lines.length; i += 2) pairs.push([lines[i], lines[i + 1]]);
  return { status, headers: pairs };
}

export function respond(status, headersLength, text) {
  const headers = text.slice(0, headersLength);
  const body = text.length === headersLength ? null : text.slice(headersLength);
  const key = status + headers;
  let init = known.get(key);
  if (init === undefined) {
    init = describe(status, headers);
    if (!/^(set-cookie|location)\n/m.test(headers)) {
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(key, init);
    }
  }
  return new Response(body, init);
}
