// Reads the head of a request.

const encoder = new TextEncoder();

/**
 * Writes what nearly every request is decided by: method, URL, and `Authorization` if there is one, a line each. None of them can
 * hold a line break. Returns how many bytes were written; 0 if they do not fit.
 */
export function readHead(request, into) {
  const authorization = request.headers.get("authorization");
  const head = `${request.method}\n${request.url}`;
  const text = authorization === null ? head : `${head}\n${authorization}`;
  const { read, written } = encoder.encodeInto(text, into);
  return read === text.length ? written : 0;
}
