// An origin that is nothing but TCP: it records every byte, reads requests strictly, and keeps its connections open, so that what one
// request leaves behind on a connection is found before the next.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

const LINE = /^([A-Z]+) (\S+) HTTP\/1\.1$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/s;

/** Starts it. `of(target)` are the requests that it has had for a target; `problems` what was no request. */
export async function startRecorder() {
  const byTarget = new Map();
  const problems = [];
  const open = new Set();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    let bytes = Buffer.alloc(0);
    let isSwitched = false;
    socket.on("data", (chunk) => {
      // What follows are the messages of a WebSocket.
      if (isSwitched) return;
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        const request = parse(bytes);
        if (request === undefined || isSwitched) return;
        if (request.problem) {
          problems.push(`${request.problem}: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`);
          socket.destroy();
          return;
        }
        bytes = bytes.subarray(request.length);
        if (!byTarget.has(request.target)) byTarget.set(request.target, []);
        byTarget.get(request.target).push(request);
        isSwitched = answer(socket, request);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    problems,
    of: (target) => byTarget.get(target) ?? [],
    get targets() {
      return [...byTarget.keys()];
    },
    async stop() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Answers, and returns whether the connection is now that of a WebSocket. */
function answer(socket, { method, values }) {
  const isUpgrade = values("upgrade").some((value) => value.toLowerCase() === "websocket");
  const [[key], [version]] = [values("sec-websocket-key"), values("sec-websocket-version")];
  if (isUpgrade && version !== "13") {
    socket.write("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n");
    return false;
  }
  if (isUpgrade) {
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    return true;
  }
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${method === "HEAD" ? "" : "ok"}`);
  return false;
}

/** The request at the start of the bytes, with its length; undefined while it is not whole. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const text = bytes.subarray(0, end).toString("latin1");
  const [line, ...lines] = text.split("\r\n");
  const [, method, target] = LINE.exec(line) ?? [];
  if (method === undefined) return { problem: "no request line" };
  const headers = [];
  for (const one of lines) {
    const [, name, value] = HEADER.exec(one) ?? [];
    if (name === undefined || /[\0\r\n]/.test(one)) return { problem: "no header line" };
    headers.push([name, value]);
  }
  const values = (name) => headers.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
  const [lengths, codings] = [values("content-length"), values("transfer-encoding")];
  if (lengths.length + codings.length > 1) return { problem: "several lengths" };
  let at = end + 4;
  if (lengths.length === 1) {
    if (!/^\d+$/.test(lengths[0])) return { problem: "no length" };
    at += Number(lengths[0]);
    if (bytes.length < at) return undefined;
  } else if (codings.length === 1) {
    if (codings[0] !== "chunked") return { problem: "another coding" };
    at = endOfChunks(bytes, at);
    if (at === undefined) return undefined;
    if (at < 0) return { problem: "no chunk" };
  }
  return { method, target, headers, values, text, body: bytes.subarray(end + 4, at).toString("latin1"), length: at };
}

/** Where the chunked body ends, undefined while it is not whole, negative if it is none. It has neither extensions nor trailers. */
function endOfChunks(bytes, start) {
  for (let at = start; ;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const size = bytes.subarray(at, end).toString("latin1");
    if (!/^[0-9a-f]+$/i.test(size)) return -1;
    at = end + 2 + Number.parseInt(size, 16) + 2;
    if (bytes.length < at) return undefined;
    if (bytes.subarray(at - 2, at).toString("latin1") !== "\r\n") return -1;
    if (Number.parseInt(size, 16) === 0) return at;
  }
}
