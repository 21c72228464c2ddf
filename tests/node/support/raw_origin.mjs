// An origin that is nothing but TCP: it records every byte of a request and answers with the bytes that the test scripts.

import { once } from "node:events";
import { createServer } from "node:net";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/**
 * Starts the origin. `answer` is what it sends once a request is whole: text or bytes, a list of them, or a function that gets the
 * socket. `requests` holds what arrived: `{ line, headers: [name, value][], values(name), body, text }`.
 */
export async function startRawOrigin() {
  const origin = { requests: [], answer: OK };
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let bytes = Buffer.alloc(0);
    let isAnswered = false;
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const request = isAnswered ? undefined : parse(bytes);
      if (request === undefined) return;
      isAnswered = true;
      origin.requests.push(request);
      if (typeof origin.answer === "function") return void origin.answer(socket);
      for (const part of [origin.answer].flat()) socket.write(part);
      socket.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return Object.assign(origin, {
    port,
    url: `http://127.0.0.1:${port}`,
    reset() {
      origin.requests.length = 0;
      origin.answer = OK;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
}

/** The request in `bytes`; undefined while it is not whole. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = lines.map((text) => [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1).trim()]);
  const values = (name) => headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const body = bytes.subarray(end + 4).toString("latin1");
  const isWhole = values("transfer-encoding").length > 0 ? body.endsWith("0\r\n\r\n") : body.length >= Number(values("content-length")[0] ?? 0);
  return isWhole ? { line, headers, values, body, text: bytes.toString("latin1") } : undefined;
}
