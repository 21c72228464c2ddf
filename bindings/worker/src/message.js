// Requests and responses of the runtime.

const encoder = new TextEncoder();

/**
 * Writes what nearly every request is decided by: method, URL, and `Authorization` if there is one, a line each. None of them can
 * hold a line break. Returns how many bytes were written; 0 if they do not fit.
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

/** Sends a request on, less the headers `removed`; `set` are names and values in turn. */
export async function forward(request, url, service, removed, set, isPrivate) {
  const headers = new Headers(request.headers);
  for (const name of removed) headers.delete(name);
  for (let i = 0; i + 1 < set.length; i += 2) headers.set(set[i], set[i + 1]);
  const init = { headers, redirect: "manual" };
  // Cloudflare caches some answers by the path's extension alone; nobody else may get this one.
  if (isPrivate) init.cache = "no-store";
  // A request serves as its own init. That way its method and body come along, even a body that came with GET, which could not be set
  // by itself.
  const forwarded = new Request(new Request(url, request), init);
  const response = await (service === undefined ? fetch(forwarded) : service.fetch(forwarded));
  return [response, response.status, response.headers.get("cache-control") ?? undefined];
}

/** The response with other headers: `edits` are a method of Headers, a name and a value in turn. Its body goes through untouched. */
export function edited(response, edits) {
  const { status, headers, webSocket } = response;
  if (edits.length === 0 && webSocket) return response;
  const changed = webSocket ? new Response(null, { status, headers, webSocket }) : new Response(response.body, response);
  for (let i = 0; i + 2 < edits.length; i += 3) changed.headers[edits[i]](edits[i + 1], edits[i + 2]);
  return changed;
}
