// Origins that read paths in different ways, and note which of their handlers served a request.
//
//   node      Node's HTTP server, routes compared with the path as it came
//   express   Express 5: routes decoded and without regard to case and closing slash
//   hono      Hono behind @hono/node-server: the path as the platform's URL parser leaves it
//   strict    bytes on a connection: another path than its own letter by letter is none of its routes
//   lenient   bytes on a connection, as servers in C do it: decodes twice, overlong UTF-8 and `%u` too, `\` is `/`, cuts at `;`, NUL,
//             `?` and `#`, resolves dots, merges slashes, trims blanks and dots, ignores case
//
// The routes are the same everywhere. A protected one is /admin, /admin/ANY, /team/ANY/secret or /api/v1/items/ANY; everything else
// is public.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { once } from "node:events";
import express from "express";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { WebSocketServer } from "ws";

/** The header that tells the origin which case a request belongs to. */
export const CASE = "x-case";

export const PROTECTED = "protected";
export const PUBLIC = "public";

/** Starts all of them. `served(id)` returns what they did with a case: `{ origin, handler, line }[]`. */
export async function startOrigins() {
  const cases = new Map();
  const note = (origin, id, handler, line) => {
    if (!cases.has(id)) cases.set(id, []);
    cases.get(id).push({ origin, handler, line });
  };
  const origins = await Promise.all(Object.entries(ORIGINS).map(async ([name, start]) => [name, await start((...what) => note(name, ...what))]));
  return {
    urls: Object.fromEntries(origins.map(([name, { port }]) => [name, `http://127.0.0.1:${port}`])),
    served: (id) => cases.get(String(id)) ?? [],
    /** How many cases reached an origin. */
    get reached() {
      return cases.size;
    },
    reset: () => cases.clear(),
    stop: () => Promise.all(origins.map(([, { stop }]) => stop())),
  };
}

/** The protected routes, of a path whose reading is done. */
const isProtected = (path) => /^\/admin(?:\/|$)|^\/team\/[^/]*\/secret$|^\/api\/v1\/items\/./.test(path);

const handlerOf = (path) => (isProtected(path) ? PROTECTED : PUBLIC);

// ---- on Node's server ---------------------------------------------------------------------------------------------

/** A server whose upgrades go through the same routes as its requests: `handle(req, res)` answers both. */
async function onNode(handle) {
  const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => handle(req, res));
  const sockets = new WebSocketServer({ noServer: true });
  const open = new Set();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  server.on("upgrade", (req, socket, head) => {
    handle(req, undefined, () => sockets.handleUpgrade(req, socket, head, (peer) => peer.close()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

const lineOf = (req) => `${req.method} ${req.url}`;

const startNode = (note) =>
  onNode((req, res, upgrade) => {
    const handler = handlerOf(req.url.split("?")[0]);
    note(req.headers[CASE], handler, lineOf(req));
    if (upgrade) upgrade();
    else res.writeHead(200, { "x-handler": handler }).end(handler);
  });

function startExpress(note) {
  const app = express();
  const serve = (handler) => (req, res) => {
    note(req.headers[CASE], handler, lineOf(req));
    res.set("x-handler", handler).send(handler);
  };
  app.all(["/admin", "/admin/{*rest}", "/team/:id/secret", "/api/v1/items/{*rest}"], serve(PROTECTED));
  app.use(serve(PUBLIC));
  // A path that it cannot decode.
  app.use((_error, req, res, _next) => res.status(400).end());
  return onNode((req, res, upgrade) => {
    if (!upgrade) return app(req, res);
    // The routes answer a request; that a handler ran is what counts.
    return app(req, responseWithoutConnection(upgrade));
  });
}

/** What Express needs of a response to an upgrade; to send it is to accept the upgrade. */
function responseWithoutConnection(accept) {
  const res = {
    set: () => res, status: () => res, setHeader() {}, getHeader() {}, removeHeader() {}, on() {}, once() {}, emit() {},
    send: accept, end: accept, headersSent: false,
  };
  return res;
}

function startHono(note) {
  const app = new Hono();
  const serve = (handler) => (context) => {
    note(context.req.header(CASE), handler, `${context.req.method} ${context.req.url}`);
    return context.text(handler, 200, { "x-handler": handler });
  };
  for (const path of ["/admin", "/admin/*", "/team/:id/secret", "/api/v1/items/*"]) app.all(path, serve(PROTECTED));
  app.all("*", serve(PUBLIC));
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return onNode(async (req, res, upgrade) => {
    if (!upgrade) return listener(req, res);
    const headers = { [CASE]: req.headers[CASE] };
    await app.fetch(new Request(`http://${req.headers.host}${req.url}`, { headers }));
    return upgrade();
  });
}

// ---- on a connection ----------------------------------------------------------------------------------------------

/** A server that reads request heads as bytes; `read` turns a target into the path that is looked up. */
async function onTcp(note, read) {
  const open = new Set();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (;;) {
        const request = headOf(text);
        if (!request) return;
        text = text.slice(request.length);
        const handler = handlerOf(read(request.target));
        note(request.header(CASE), handler, `${request.method} ${request.target}`);
        const key = request.header("sec-websocket-key");
        if (key && /websocket/i.test(request.header("upgrade") ?? "")) {
          const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
          // A close frame follows.
          socket.end(Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n\x88\x00`, "latin1"));
          return;
        }
        const body = request.method === "HEAD" ? "" : handler;
        socket.write(`HTTP/1.1 200 OK\r\nX-Handler: ${handler}\r\nContent-Length: ${handler.length}\r\n\r\n${body}`);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

/** The request at the start of the text; undefined while it is not whole. */
function headOf(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...lines] = text.slice(0, end).split("\r\n");
  const header = (name) => lines.find((one) => one.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim();
  let length = end + 4;
  if (/chunked/i.test(header("transfer-encoding") ?? "")) {
    const last = text.indexOf("0\r\n\r\n", length);
    if (last < 0) return undefined;
    length = last + 5;
  } else {
    length += Number(header("content-length") ?? 0);
    if (text.length < length) return undefined;
  }
  const [method, target] = line.split(" ");
  return { method, target, header, length };
}

/** `%xx` to bytes; what is no such sequence stays. */
const decoded = (text) => text.replace(/%([0-9a-fA-F]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));

const lenient = {
  /** UTF-8 as decoders without checks read it: overlong forms are the character that they encode. */
  overlong: (bytes) =>
    bytes
      .replace(/[\xe0-\xef]([\x80-\xbf])([\x80-\xbf])/g, (all, a, b) => narrow(((all.charCodeAt(0) & 15) << 12) | ((a.charCodeAt(0) & 63) << 6) | (b.charCodeAt(0) & 63), all))
      .replace(/[\xc0-\xdf]([\x80-\xbf])/g, (all, a) => narrow(((all.charCodeAt(0) & 31) << 6) | (a.charCodeAt(0) & 63), all)),
  unicode: (text) => text.replace(/%u([0-9a-fA-F]{4})/g, (all, digits) => narrow(Number.parseInt(digits, 16), all)),
  decode: (text) => lenient.overlong(decoded(lenient.unicode(text))),
};

/** ASCII, and the full-width forms of it. Other characters stay as they were written. */
const narrow = (point, written) => {
  if (point < 0x80) return String.fromCharCode(point);
  return point > 0xff00 && point < 0xff5f ? String.fromCharCode(point - 0xfee0) : written;
};

function resolved(path) {
  const out = [];
  for (const segment of path.split("/")) {
    if (segment === "..") out.pop();
    else if (segment !== "." && segment !== "") out.push(segment);
  }
  return `/${out.join("/")}`;
}

function readLeniently(target) {
  let path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "");
  // What follows is decided on each layer of encoding, as it is when one server passes a request on to another.
  for (let layer = 0; layer < 3; layer += 1) {
    path = path.replace(/[?#\0][^]*$/, "").replace(/\\/g, "/").replace(/;[^/]*/g, "");
    path = resolved(path.split("/").map((segment) => segment.replace(/[\s.]+$/, (end) => (/^\.{1,2}$/.test(segment) ? end : "")).trim()).join("/"));
    if (layer < 2) path = lenient.decode(path);
  }
  return path.toLowerCase();
}

const ORIGINS = {
  node: startNode,
  express: startExpress,
  hono: startHono,
  strict: (note) => onTcp(note, (target) => target.split("?")[0]),
  lenient: (note) => onTcp(note, readLeniently),
};
