// Conversion of the runtime's requests and responses.

const encoder = new TextEncoder();

/** Writes a text and returns the number of its bytes, or -2 if they do not fit. */
function write(text, into) {
  const { read, written } = encoder.encodeInto(text, into);
  return read === text.length ? written : -2;
}

/**
 * Writes the parts that most decisions depend on: method, URL, and `Authorization` if present, one per line. None of them can
 * contain a line break.
 */
export const readHead = (request, into) => write(headOf(request), into);

export function headOf({ method, url, headers }) {
  const authorization = headers.get("authorization");
  return authorization === null ? `${method}\n${url}` : `${method}\n${url}\n${authorization}`;
}

/** As in src/http/mod.rs. */
const CLIENT_CERTIFICATE = ":client-certificate";

export const header = (request, name) =>
  name === CLIENT_CERTIFICATE ? certificate(request.cf?.tlsClientAuth) : (request.headers.get(name) ?? undefined);

/** What the platform states about the client's certificate, in lines. */
const certificate = (stated) =>
  stated && [stated.certPresented, stated.certRevoked, stated.certVerified, stated.certFingerprintSHA256].join("\n");

/**
 * Writes a header, or returns -1 if there is none. A long one, such as a cookie with a session, takes a third of the time that the glue
 * needs for a string.
 */
export function readHeader(request, name, into) {
  const value = header(request, name);
  return value === undefined ? -1 : write(value, into);
}

export const headerNames = (request) => [...request.headers.keys()].join("\n");

// Cloudflare caches some responses by the path's extension alone; a private one must not be shared. Negative values prevent storing, as
// Cloudflare documents; `bypass` also prevents an answer from what a public route stored. Unlike `cache: "no-store"`, for which the
// runtime sends the same, they add no header to the request.
const NEVER_CACHED = { cacheLevel: "bypass", cacheTtlByStatus: { "100-599": -1 } };

/**
 * Forwards a request without the headers `removed`; `set` alternates names and values. The origin knows the site as the first
 * `upstreamLength` characters of `url`; at the site, `prefix` precedes its paths. Returns an empty list if the response's headers do
 * not arrive within `timeout` milliseconds; 0 waits for any time.
 */
export async function forward(request, url, service, removed, set, isPrivate, upstreamLength, prefix, timeout) {
  const headers = new Headers(request.headers);
  for (const name of removed) headers.delete(name);
  // The runtime would upgrade, and for that send GET, whatever the method is that the policy has allowed (RFC 6455 §4.1).
  if (request.method !== "GET") headers.delete("upgrade");
  for (let i = 0; i + 1 < set.length; i += 2) headers.set(set[i], set[i + 1]);
  const init = { headers, redirect: "manual" };
  // A service has no cache in front of it, and reads the client's properties in `cf`.
  if (isPrivate && service === undefined) init.cf = NEVER_CACHED;
  // Used as init, the request keeps its method and body, even the body of a GET, which could not be set explicitly.
  const forwarded = new Request(new Request(url, request), init);
  const send = (options) => (service === undefined ? fetch(forwarded, options) : service.fetch(forwarded, options));
  const response = await (timeout === 0 ? send() : within(timeout, send));
  if (response === undefined) return [];
  const site = siteAddresses(response.headers, url.slice(0, upstreamLength), url, prefix, request);
  return [response, response.status, response.headers.get("cache-control") ?? undefined, site];
}

/** Returns a header of what `forward` returned. */
export const headerOf = ([response], name) => response.headers.get(name) ?? undefined;

/**
 * Returns the request with its body in memory, so that it can be forwarded again; undefined if the body is longer than `limit`, of a length that
 * is not stated, or that of a GET, which could not be set.
 */
export async function repeatable(request, limit) {
  if (request.body === null) return request;
  const length = Number(request.headers.get("content-length") ?? NaN);
  if (length === 0) return new Request(request, { body: null });
  if (!(length <= limit) || request.method === "GET" || request.method === "HEAD") return undefined;
  return new Request(request, { body: await request.arrayBuffer() });
}

/** Returns a copy of what `repeatable` returned. */
export const copyOf = (request) => (request.body === null ? request : request.clone());

/** Drops a response whose request is sent once more. */
export const discard = ([response]) => void response.body?.cancel().catch(() => {});

/** Returns the response if its headers arrive in time; the body may take any time. */
async function within(timeout, send) {
  const abort = new AbortController();
  let timer;
  const expired = new Promise((resolve) => {
    timer = setTimeout(() => {
      resolve();
      abort.abort();
    }, timeout);
  });
  try {
    return await Promise.race([send({ signal: abort.signal }), expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** A `Refresh` header: seconds, a separator, and a reference that may be quoted. */
const REFRESH = /^(\s*[\d.]+[\s;,]+(?:url\s*=\s*)?)(?:"([^"]*)|'([^']*)|(.*))/i;

/** Returns edits by which references to the origin's own addresses become the site's. `url` is that of the request to the origin. */
export function siteAddresses(headers, upstream, url, prefix, request) {
  const edits = [];
  for (const name of ["location", "content-location", "refresh"]) {
    const value = headers.get(name);
    if (value === null) continue;
    const [, before, ...references] = name === "refresh" ? (REFRESH.exec(value) ?? []) : [, "", value];
    const reference = references.find((one) => one !== undefined);
    const address = reference === undefined ? undefined : siteAddress(reference, upstream, url, prefix, request.url);
    // A redirect to another host or scheme of the same page must not become one to itself: a loop, unless it sets a cookie.
    const isLoop = address === request.url && name === "location" && /^(GET|HEAD)$/.test(request.method) && !headers.has("set-cookie");
    if (address !== undefined && !isLoop) edits.push("set", name, before + address);
  }
  return edits;
}

/**
 * Returns the site's address for a reference of the origin, always absolute, so that no path can be read as another host; undefined if
 * it points elsewhere, or if browsers find the right address already.
 */
function siteAddress(reference, upstream, url, prefix, requestUrl) {
  try {
    const base = new URL(upstream).href.replace(/\/$/, "");
    const { href } = new URL(reference, url);
    const site = new URL(requestUrl);
    const path = href.startsWith(base) ? href.slice(base.length) : undefined;
    if (path === undefined || !isBelow("", path)) return undefined;
    const inBrowsers = new URL(reference, requestUrl);
    // An origin that has the site's host may redirect from http to https.
    const origin = inBrowsers.host === site.host ? inBrowsers.origin : site.origin;
    if (origin + prefix + path === inBrowsers.href) return undefined;
    // An origin that knows the prefix writes it itself. The gateway's own pages have none.
    const address = origin + (isBelow(prefix, path) || isBelow("/.well-known/edgeward", path) ? path : prefix + path);
    return address === inBrowsers.href ? undefined : address;
  } catch {
    return undefined;
  }
}

/** Whether a path, with its query and fragment, is `prefix` or below it. */
const isBelow = (prefix, path) => path.startsWith(prefix) && ["", "/", "?", "#"].includes(path.charAt(prefix.length));

/**
 * Returns the response with edited headers: without those in `removed`, each followed by a comma; `edits` repeats a method of Headers, a
 * name and a value, and so do those that `forward` returned. The body is untouched.
 */
export function edited([response, , , site], removed, edits) {
  const { status, headers, webSocket } = response;
  edits = edits.concat(site);
  if (edits.length === 0 && removed === "" && webSocket) return response;
  const changed = webSocket ? new Response(null, { status, headers, webSocket }) : new Response(response.body, response);
  for (const name of removed.split(",")) if (name !== "") changed.headers.delete(name);
  for (let i = 0; i + 2 < edits.length; i += 3) changed.headers[edits[i]](edits[i + 1], edits[i + 2]);
  return changed;
}
