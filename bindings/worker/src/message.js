// Conversion of the runtime's requests and responses.

const encoder = new TextEncoder();

/**
 * Writes the parts that most decisions depend on: method, URL, and `Authorization` if present, one per line. None of them can
 * contain a line break. Returns the number of bytes written, or 0 if they do not fit.
 */
export function readHead(request, into) {
  const text = headOf(request);
  const { read, written } = encoder.encodeInto(text, into);
  return read === text.length ? written : 0;
}

export function headOf({ method, url, headers }) {
  const authorization = headers.get("authorization");
  return authorization === null ? `${method}\n${url}` : `${method}\n${url}\n${authorization}`;
}

export const header = (request, name) => request.headers.get(name) ?? undefined;

export const headerNames = (request) => [...request.headers.keys()].join("\n");

/** Forwards a request without the headers `removed`; `set` alternates names and values. */
export async function forward(request, url, service, removed, set, isPrivate) {
  const headers = new Headers(request.headers);
  for (const name of removed) headers.delete(name);
  for (let i = 0; i + 1 < set.length; i += 2) headers.set(set[i], set[i + 1]);
  const init = { headers, redirect: "manual" };
  // Cloudflare caches some responses by the path's extension alone; a private one must not be shared.
  if (isPrivate) init.cache = "no-store";
  // Used as init, the request keeps its method and body, even the body of a GET, which could not be set explicitly.
  const forwarded = new Request(new Request(url, request), init);
  const response = await (service === undefined ? fetch(forwarded) : service.fetch(forwarded));
  return [response, response.status, response.headers.get("cache-control") ?? undefined];
}

/** Returns the response with edited headers: `edits` repeats a method of Headers, a name and a value. The body is untouched. */
export function edited(response, edits) {
  const { status, headers, webSocket } = response;
  if (edits.length === 0 && webSocket) return response;
  const changed = webSocket ? new Response(null, { status, headers, webSocket }) : new Response(response.body, response);
  for (let i = 0; i + 2 < edits.length; i += 3) changed.headers[edits[i]](edits[i + 1], edits[i + 2]);
  return changed;
}
