// Creates a Response from a reply of the core.

/**
 * Replies differ more in their bodies than in their headers, so headers are cached, except for cookies and redirects, which are
 * specific to a user. A Response copies a Headers object in a third of the time that it needs for names and values.
 */
const cache = new Map();
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
  let init = cache.get(key);
  if (init === undefined) {
    init = { status, headers: pairs(headers) };
    if (!/^(set-cookie|location)\n/m.test(headers)) {
      init.headers = new Headers(init.headers);
      if (cache.size >= MAX_ENTRIES) cache.clear();
      cache.set(key, init);
    }
  }
  return new Response(body, init);
}
