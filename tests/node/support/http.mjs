// A loopback HTTP server that can be stopped at once and started again on the same port.

import { once } from "node:events";
import { createServer } from "node:http";

/**
 * Listens on `host:port` (0 takes a free port) and resolves once it does.
 * `close()` ends open connections too, so that nothing lingers, and `listen()` opens the same port again.
 *
 * @param {(req: import("node:http").IncomingMessage, res: import("node:http").ServerResponse) => unknown} handler
 * @param {{ port?: number, host?: string, onUpgrade?: (req: any, socket: any, head: any) => void }} [options]
 */
export async function serve(handler, { port = 0, host = "127.0.0.1", onUpgrade } = {}) {
  let server;
  const sockets = new Set();

  async function listen() {
    server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
      Promise.resolve()
        .then(() => handler(req, res))
        .catch((error) => {
          if (!res.headersSent) res.writeHead(500, { "content-type": "text/plain" });
          res.end(`local server: ${error?.stack ?? error}`);
        });
    });
    if (onUpgrade) server.on("upgrade", onUpgrade);
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    });
    await new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    port = server.address().port;
  }

  async function close() {
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
    server = undefined;
  }

  await listen();
  return {
    get port() {
      return port;
    },
    get url() {
      return `http://${host}:${port}`;
    },
    get listening() {
      return server !== undefined;
    },
    listen,
    close,
  };
}

/** The whole request body. */
export async function readBody(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A loopback port that is free at the moment. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
