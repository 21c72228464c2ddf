// The demo site behind the gateway: a public page, one for logged-in users, one for administrators, and an API. It checks no
// credentials: the gateway does, and names the user in the X-User-… headers, which it removes from clients' requests.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { WebSocketServer } from "ws";
import * as pages from "./pages.mjs";

const MAX_BODY_BYTES = 4_096;
const MAX_ITEMS = 20;
const MAX_ITEM_CHARS = 200;

const POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml" };
const ASSETS = ["icon.svg", "items.js", "live.js", "site.css"];
const EVENT_MS = 1_000;
/** Requested by browsers for pages that name no icon, such as the gateway's own. */
const FAVICON = "/favicon.ico";

/**
 * Starts the site.
 *
 * @param {{ port?: number, host?: string }} [options] port 0 uses a free one
 * @returns {Promise<{ url: string, port: number, stop(): Promise<void> }>}
 */
export async function startSite({ port = 0, host = "127.0.0.1" } = {}) {
  const assets = new Map(await Promise.all(ASSETS.map(async (name) => [`/assets/${name}`, await readFile(join(import.meta.dirname, "assets", name))])));
  /** Items by account. */
  const items = new Map();
  const server = createServer((req, res) => {
    if (req.url === "/live/events" && req.method === "GET") return events(req, res);
    answer(req, assets, items)
      .catch((error) => text(500, `${error.stack}\n`))
      .then(({ status, headers, body }) => res.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) }).end(body));
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_BODY_BYTES });
  server.on("upgrade", (req, socket, head) => {
    if (req.url !== "/live/socket") return socket.destroy();
    sockets.handleUpgrade(req, socket, head, (live) => {
      live.on("error", () => {});
      live.on("message", (text) => live.send(`${userOf(req.headers)?.name ?? "nobody"} said ${text}`));
    });
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  const address = server.address();
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      for (const live of sockets.clients) live.terminate();
      await closed;
    },
  };
}

/** Streams the time and the user, once per second. */
function events(req, res) {
  const user = userOf(req.headers);
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const send = () => res.write(`data: ${new Date().toISOString()} for ${user?.name ?? "nobody"}\n\n`);
  send();
  const timer = setInterval(send, EVENT_MS);
  res.on("close", () => clearInterval(timer));
}

async function answer(req, assets, items) {
  let { pathname, searchParams } = new URL(req.url, "http://site");
  if (pathname === FAVICON) pathname = "/assets/icon.svg";
  const user = userOf(req.headers);
  if (assets.has(pathname)) {
    return { status: 200, headers: { "content-type": TYPES[extname(pathname)], "cache-control": "no-cache" }, body: assets.get(pathname) };
  }
  if (pathname === "/api/items") return itemsOf(req, user, items);
  if (/^\/(api|public)\//.test(pathname)) return json(200, received(req));
  if (pathname === "/letter" && req.method === "POST") {
    const letter = new URLSearchParams(await bodyOf(req) ?? "").get("text") ?? "";
    return page(200, pages.letter(user, letter.slice(0, MAX_ITEM_CHARS)));
  }
  if (req.method !== "GET" && req.method !== "HEAD") return text(405, "Only GET and HEAD.\n");
  switch (pathname) {
    case "/":
      return page(200, pages.start(user));
    case "/account":
      return page(200, pages.account(user));
    case "/letter":
      return page(200, pages.letter(user));
    case "/live/":
      return page(200, pages.live(user));
    case "/search":
      return page(200, pages.search(searchParams, user));
    case "/admin":
      return page(200, pages.admin(user));
    default:
      return page(404, pages.missing(pathname, user));
  }
}

/** Lists the user's items, or adds one. */
async function itemsOf(req, user, items) {
  const own = items.get(user.id) ?? [];
  if (req.method === "POST") {
    const item = await itemIn(req);
    if (item === undefined) return json(400, { error: `send JSON: {"item": "at most ${MAX_ITEM_CHARS} characters"}` });
    own.push(item);
    items.set(user.id, own.slice(-MAX_ITEMS));
  }
  return json(200, { items: items.get(user.id) ?? [], ...received(req) });
}

/** The request as it arrived: the claims that the gateway verified are among its headers. */
const received = ({ method, url, headers }) => ({ method, url, headers });

/** The user, from the gateway's headers. */
function userOf(headers) {
  if (headers["x-user-id"] === undefined) return undefined;
  const value = (name) => headers[name] && decodeURIComponent(headers[name]);
  return {
    id: value("x-user-id"), name: value("x-user-name"), email: value("x-user-email"), scope: value("x-user-scope"),
    // Lists are sent as JSON.
    roles: [JSON.parse(headers["x-user-roles"] ?? "[]")].flat().map(String),
  };
}

/** The body as text; undefined if it is too long. */
async function bodyOf(req) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of req) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function itemIn(req) {
  try {
    const { item } = JSON.parse(await bodyOf(req));
    return typeof item === "string" && item !== "" && item.length <= MAX_ITEM_CHARS ? item : undefined;
  } catch {
    return undefined;
  }
}

const page = (status, html) => ({
  status,
  headers: {
    "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY, "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff", "cache-control": "private, no-store",
  },
  body: String(html),
});

const json = (status, value) => ({
  status, headers: { "content-type": "application/json", "cache-control": "private, no-store" }, body: JSON.stringify(value, null, 2),
});

const text = (status, body) => ({ status, headers: { "content-type": "text/plain; charset=utf-8" }, body });
