// Origins that read paths in different ways, and note which of their handlers served a request.
//
//   node      Node's HTTP server, routes compared with the path as it came
//   express   Express 5: routes decoded and without regard to case and closing slash
//   hono      Hono behind @hono/node-server: the path as the platform's URL parser leaves it
//   strict    bytes on a connection: another path than its own letter by letter is none of its routes
//   lenient   bytes on a connection, as servers in C and Java do it, in four readings: paths are decoded once or twice, overlong UTF-8
//             and `%u` too, cut at `;`, NUL, `?` and `#`; dots are resolved, slashes merged, `\` is one, blanks and dots at the end of
//             a segment are trimmed, case is ignored. A path that is protected in one of them is protected
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

/** A path whose upgrades are refused by servers that are nothing but a connection: they go on with the next request. */
export const REFUSED = "/public/refused";

export const PROTECTED = "protected";
export const PUBLIC = "public";

/** Starts all of them. `served(id)` returns what they did with a case: `{ origin, handler, method, target }[]`. */
export async function startOrigins() {
  const cases = new Map();
  const note = (origin, id, handler, method, target) => {
    if (!cases.has(id)) cases.set(id, []);
    cases.get(id).push({ origin, handler, method, target });
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
    handle(req, undefined, () => sockets.handleUpgrade(req, socket, head, (peer) => {
      peer.on("error", () => peer.terminate());
      peer.close();
    }));
  });
  return listening(server, open);
}

/** Starts a server whose connections are in `open`. */
async function listening(server, open) {
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

const startNode = (note) =>
  onNode((req, res, upgrade) => {
    const handler = handlerOf(req.url.split("?")[0]);
    note(req.headers[CASE], handler, req.method, req.url);
    if (upgrade) upgrade();
    else res.writeHead(200, { "x-handler": handler }).end(handler);
  });

function startExpress(note) {
  const app = express();
  const serve = (handler) => (req, res) => {
    note(req.headers[CASE], handler, req.method, req.url);
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

/** What follows the host in a URL. */
const targetOf = ({ url }) => /^https?:\/\/[^/?#]*(.*)$/s.exec(url)[1] || "/";

function startHono(note) {
  const app = new Hono();
  const serve = (handler) => (context) => {
    note(context.req.header(CASE), handler, context.req.method, targetOf(context.req.raw));
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

/** A server that reads request heads as bytes; `readings` turn a target into the paths that are looked up. */
async function onTcp(note, readings) {
  const open = new Set();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    let text = "";
    let isUpgraded = false;
    socket.on("data", (chunk) => {
      // Frames.
      if (isUpgraded) return;
      text += chunk.toString("latin1");
      for (;;) {
        const request = headOf(text);
        if (!request) return;
        text = text.slice(request.length);
        const handler = readings.some((read) => isProtected(read(request.target))) ? PROTECTED : PUBLIC;
        note(request.header(CASE), handler, request.method, request.target);
        const key = request.header("sec-websocket-key");
        if (key && /websocket/i.test(request.header("upgrade") ?? "") && request.target.includes(REFUSED)) {
          socket.write("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
          continue;
        }
        if (key && /websocket/i.test(request.header("upgrade") ?? "")) {
          isUpgraded = true;
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
  return listening(server, open);
}

/** The request at the start of the text; undefined while it is not whole. */
function headOf(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...lines] = text.slice(0, end).split("\r\n");
  const header = (name) => lines.find((one) => one.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim();
  let length = end + 4;
  if (/chunked/i.test(header("transfer-encoding") ?? "")) {
    for (let size; size !== 0; ) {
      const line = text.indexOf("\r\n", length);
      if (line < 0) return undefined;
      size = Number.parseInt(text.slice(length, line), 16);
      length = line + 4 + size;
      if (!(text.length >= length)) return undefined;
    }
  } else {
    length += Number(header("content-length") ?? 0);
    if (text.length < length) return undefined;
  }
  const [method, target] = line.split(" ");
  return { method, target, header, length };
}

/** `%xx` to bytes; what is no such sequence stays. */
const decoded = (text) => text.replace(/%([0-9a-fA-F]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));

/** UTF-8 as decoders without checks read it: overlong forms are the character that they encode. */
const overlong = (bytes) =>
  bytes
    .replace(/[\xe0-\xef][\x80-\xbf]{2}/g, (all) => narrow(((all.charCodeAt(0) & 15) << 12) | ((all.charCodeAt(1) & 63) << 6) | (all.charCodeAt(2) & 63), all))
    .replace(/[\xc0-\xdf][\x80-\xbf]/g, (all) => narrow(((all.charCodeAt(0) & 31) << 6) | (all.charCodeAt(1) & 63), all));

const unicodeEscapes = (text) => text.replace(/%u([0-9a-fA-F]{4})/g, (all, digits) => narrow(Number.parseInt(digits, 16), all));

/** ASCII, and the full-width forms of it. Other characters stay as they were written. */
const narrow = (point, written) => {
  if (point < 0x80) return String.fromCharCode(point);
  return point > 0xff00 && point < 0xff5f ? String.fromCharCode(point - 0xfee0) : written;
};

/** Without empty segments and dot segments. */
function resolved(path) {
  const out = [];
  for (const segment of path.split("/")) {
    if (segment === "..") out.pop();
    else if (segment !== "." && segment !== "") out.push(segment);
  }
  return `/${out.join("/")}`;
}

const pathOf = (target) => target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "").split(/[?#]/)[0];
const trimmed = (path) => path.split("/").map((segment) => (/^\.{1,2}$/.test(segment) ? segment : segment.trim().replace(/[\s.]+$/, ""))).join("/");
const withoutParameters = (path) => path.replace(/;[^/]*/g, "");
const withSlashes = (path) => path.replace(/\\/g, "/");
const untilNul = (path) => path.split("\0")[0];

/** Readings of the lenient origin, each as one kind of server does it. */
const READINGS = [
  // Decoded once, then resolved.
  (target) => untilNul(resolved(decoded(pathOf(target)))),
  // Parameters of segments are cut before the path is decoded, as in servlet containers.
  (target) => resolved(decoded(withoutParameters(pathOf(target)))),
  // File names of Windows.
  (target) => trimmed(resolved(withSlashes(overlong(decoded(unicodeEscapes(pathOf(target))))))).toLowerCase(),
  // Two servers in a row, each with all of it.
  (target) => {
    const layer = (path) => trimmed(resolved(withoutParameters(withSlashes(untilNul(path.split(/[?#]/)[0])))));
    const decode = (path) => overlong(decoded(unicodeEscapes(path)));
    return layer(decode(layer(decode(layer(pathOf(target)))))).toLowerCase();
  },
];

const ORIGINS = {
  node: startNode,
  express: startExpress,
  hono: startHono,
  strict: (note) => onTcp(note, [(target) => target.split("?")[0]]),
  lenient: (note) => onTcp(note, READINGS),
};
