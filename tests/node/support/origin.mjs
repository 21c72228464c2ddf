// The demo origin behind the gateway: answers every request with a JSON account of what reached it.
//
//   /status/{code}     that status            /slow/{ms}    after a wait
//   /stream            bytes, streamed; `?bytes=…&chunk=…&every=…`
//   /upload            the length and SHA-256 of the body, read as it comes
//   /sse               server-sent events; `?events=…&every=…`
//   /redirect?to=…     302                    /headers      with odd response headers
//   /reset             cuts the connection    /websocket    (upgrade on any path) echoes every message
//   anything else      { method, url, headers, rawHeaders, body }
//
// A route may stand anywhere in the path: `/api/stream` is `/stream`.

import { createHash } from "node:crypto";
import { WebSocketServer } from "ws";
import { delay, readBody, serve } from "./http.mjs";

/**
 * Starts the origin.
 *
 * @param {{ port?: number, host?: string }} [options]
 * @returns {Promise<{ url: string, port: number, requests: object[], last: object | undefined, reset(): void,
 *   start(): Promise<void>, stop(): Promise<void> }>} `requests` holds what arrived: `{ method, url, headers,
 *   rawHeaders, body? }`
 */
export async function startOrigin({ port = 0, host = "127.0.0.1" } = {}) {
  const requests = [];
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });

  const describe = (req) => ({ method: req.method, url: req.url, headers: req.headers, rawHeaders: req.rawHeaders });
  const server = await serve(
    async (req, res) => {
      const seen = describe(req);
      requests.push(seen);
      const [path, query = ""] = req.url.split("?");
      const segments = path.split("/");
      const at = segments.findIndex((segment) => Object.hasOwn(ROUTES, segment));
      const respond = ROUTES[segments[at]] ?? echo;
      await respond({ req, res, seen, argument: segments[at + 1], query: new URLSearchParams(query) });
    },
    {
      port,
      host,
      onUpgrade: (req, socket, head) => {
        requests.push({ ...describe(req), upgrade: true });
        sockets.handleUpgrade(req, socket, head, (peer) => {
          peer.on("message", (data, binary) => peer.send(data, { binary }));
        });
      },
    },
  );

  return {
    requests,
    get last() {
      return requests.at(-1);
    },
    get url() {
      return server.url;
    },
    get port() {
      return server.port;
    },
    reset() {
      requests.length = 0;
    },
    start: () => server.listen(),
    async stop() {
      for (const peer of sockets.clients) peer.terminate();
      await server.close();
    },
  };
}

function json(res, value, status = 200) {
  const body = JSON.stringify(value, null, 2);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

async function echo({ req, res, seen }) {
  seen.body = (await readBody(req)).toString();
  json(res, seen);
}

const number = (query, name, fallback) => Number(query.get(name) ?? fallback);

const ROUTES = {
  async status({ req, res, seen, argument }) {
    seen.body = (await readBody(req)).toString();
    const status = Number(argument);
    if (status === 204 || status === 304) res.writeHead(status).end();
    else json(res, { ...seen, status }, status);
  },

  async slow({ req, res, seen, argument }) {
    await delay(Number(argument));
    await echo({ req, res, seen });
  },

  async stream({ res, query }) {
    const bytes = number(query, "bytes", 65_536);
    const chunk = number(query, "chunk", 16_384);
    const every = number(query, "every", 0);
    res.writeHead(200, { "content-type": "application/octet-stream" });
    for (let sent = 0; sent < bytes && !res.destroyed; sent += chunk) {
      const flowing = res.write(Buffer.alloc(Math.min(chunk, bytes - sent), 0x2e));
      if (!flowing) await new Promise((resolve) => res.once("drain", resolve));
      if (every) await delay(every);
    }
    res.end();
  },

  /** Reports on the body as it comes: the time of the first chunk, the count of chunks. */
  async upload({ req, res, seen }) {
    const hash = createHash("sha256");
    let bytes = 0;
    let chunks = 0;
    for await (const chunk of req) {
      seen.firstChunkAt ??= Date.now();
      hash.update(chunk);
      bytes += chunk.length;
      chunks += 1;
    }
    seen.endAt = Date.now();
    json(res, { bytes, chunks, sha256: hash.digest("hex"), headers: req.headers });
  },

  async sse({ res, query }) {
    const events = number(query, "events", 3);
    const every = number(query, "every", 50);
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    for (let i = 1; i <= events && !res.destroyed; i += 1) {
      res.write(`id: ${i}\nevent: tick\ndata: {"count":${i}}\n\n`);
      await delay(every);
    }
    res.end();
  },

  redirect({ res, query }) {
    res.writeHead(302, { location: query.get("to") ?? "/", "content-length": "0" }).end();
  },

  headers({ res }) {
    res.writeHead(200, "Fine", [
      ["content-type", "text/plain; charset=utf-8"],
      ["set-cookie", "a=1; Path=/"],
      ["set-cookie", "b=2; Path=/; HttpOnly"],
      ["x-latin", Buffer.from("caf\u00e9", "utf8").toString("latin1")],
      ["cache-control", "public, max-age=60"],
    ].flat());
    res.end("headers");
  },

  reset({ req }) {
    req.socket.destroy();
  },
};
