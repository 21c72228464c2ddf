// An HTTP/1.1 client that writes bytes as they are: many requests over few connections, pipelined.

import { connect } from "node:net";

const UPGRADE = [
  ["Connection", "Upgrade"], ["Upgrade", "websocket"], ["Sec-WebSocket-Version", "13"], ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
];

/** Attempts at a request whose connection is closed before its answer: its predecessor may have been the reason. */
const ATTEMPTS = 3;

export class RawClient {
  #port;
  #depth;
  #timeout;
  #queue = [];
  #lanes = [];

  /**
   * @param {number} port
   * @param {{ connections?: number, depth?: number, timeout?: number }} [options] `depth`: requests under way on a connection
   */
  constructor(port, { connections = 4, depth = 8, timeout = 30_000 } = {}) {
    this.#port = port;
    this.#depth = depth;
    this.#timeout = timeout;
    this.#lanes = Array.from({ length: connections }, () => ({ socket: undefined, sent: [], bytes: Buffer.alloc(0), timer: undefined }));
  }

  /**
   * Sends one request: the target and the headers go on the wire exactly as they are given, in order, one byte for each character.
   * `host` is the value of `Host`; null sends none. `upgrade` asks for a WebSocket. A connection that is closed without an answer
   * is status 0.
   *
   * @param {{ method?: string, target?: string, host?: string | null, headers?: [string, string][], body?: string, upgrade?: boolean }} request
   * @returns {Promise<{ status: number, headers: [string, string][], header(name: string): string | null, values(name: string): string[],
   *   body: Buffer, text: string, json(): any }>}
   */
  send({ method = "GET", target = "/", host = `127.0.0.1:${this.#port}`, headers = [], body, upgrade = false } = {}) {
    const pairs = [...(host === null ? [] : [["Host", host]]), ...(upgrade ? UPGRADE : []), ...headers];
    if (body !== undefined) pairs.push(["Content-Length", String(body.length)]);
    const lines = pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return this.raw(`${method} ${target} HTTP/1.1\r\n${lines}\r\n${body ?? ""}`, { hasBody: method !== "HEAD", isLast: upgrade });
  }

  /**
   * Sends the bytes of one request. `hasBody`: the answer may have a body. `isLast`: nothing is sent behind it before its answer is
   * there, for the answer may switch protocols.
   */
  raw(bytes, { hasBody = true, isLast = false } = {}) {
    return new Promise((resolve) => {
      this.#queue.push({ bytes: Buffer.from(bytes, "latin1"), hasBody, isLast, attempts: 0, resolve });
      this.#fill();
    });
  }

  close() {
    for (const lane of this.#lanes) {
      lane.sent.length = 0;
      this.#disconnect(lane);
    }
  }

  #fill() {
    // Each connection gets one before any gets a second.
    for (let depth = 0; depth < this.#depth; depth += 1) {
      for (const lane of this.#lanes) {
        if (this.#queue.length === 0) return;
        if (lane.sent.length > depth || lane.sent.at(-1)?.isLast) continue;
        const request = this.#queue.shift();
        lane.sent.push(request);
        lane.socket ??= this.#connect(lane);
        lane.socket.write(request.bytes);
        if (lane.sent.length === 1) this.#wait(lane);
      }
    }
  }

  #connect(lane) {
    const socket = connect(this.#port, "127.0.0.1");
    socket.setNoDelay(true);
    const end = () => {
      if (lane.socket === socket) this.#closed(lane);
    };
    socket.on("data", (chunk) => {
      if (lane.socket !== socket) return;
      lane.bytes = lane.bytes.length === 0 ? chunk : Buffer.concat([lane.bytes, chunk]);
      this.#read(lane);
    });
    socket.on("end", end);
    socket.on("error", end);
    socket.on("close", end);
    return socket;
  }

  #wait(lane) {
    clearTimeout(lane.timer);
    if (lane.sent.length > 0) lane.timer = setTimeout(() => this.#closed(lane, { isLate: true }), this.#timeout);
  }

  #disconnect(lane) {
    clearTimeout(lane.timer);
    lane.socket?.destroy();
    lane.socket = undefined;
    lane.bytes = Buffer.alloc(0);
  }

  #read(lane) {
    while (lane.sent.length > 0) {
      const { answer, length } = parse(lane.bytes, lane.sent[0]) ?? {};
      if (!answer) return;
      lane.bytes = lane.bytes.subarray(length);
      // An interim answer (RFC 9110 §15.2).
      if (answer.status >= 100 && answer.status < 200 && answer.status !== 101) continue;
      lane.sent.shift().resolve(answer);
      if (answer.status === 101 || /\bclose\b/i.test(answer.header("connection") ?? "")) {
        this.#closed(lane, { isAnnounced: true });
        return;
      }
      this.#wait(lane);
    }
    this.#fill();
  }

  /** Requests behind the one that ended the connection are sent once more. `isAnnounced`: its answer said so. */
  #closed(lane, { isLate = false, isAnnounced = false } = {}) {
    const [first, ...rest] = lane.sent.splice(0);
    const remains = first && parse(lane.bytes, { ...first, isClosed: true });
    this.#disconnect(lane);
    this.#queue.unshift(...rest);
    if (first) {
      if (!isAnnounced) first.attempts += 1;
      if (remains) first.resolve(remains.answer);
      else if (isLate || first.attempts >= ATTEMPTS) first.resolve(answered(0, [], Buffer.alloc(0)));
      // Alone: a connection that is closed because of what was sent behind a request may lose the end of its answer.
      else this.#queue.unshift({ ...first, isLast: first.isLast || !isAnnounced });
    }
    this.#fill();
  }
}

/** The answer at the start of `bytes`, and its length; undefined while it is not whole. */
export function parse(bytes, { hasBody, isClosed = false }) {
  const split = bytes.indexOf("\r\n\r\n");
  if (split < 0) return undefined;
  const [statusLine, ...lines] = bytes.subarray(0, split).toString("latin1").split("\r\n");
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
  const status = Number(statusLine.split(" ")[1]);
  const start = split + 4;
  const whole = (body, length) => ({ answer: answered(status, headers, body), length });
  if (!hasBody || status < 200 || status === 204 || status === 304) return whole(Buffer.alloc(0), start);
  const value = (name) => headers.find(([given]) => given.toLowerCase() === name)?.[1];
  if (/\bchunked\b/i.test(value("transfer-encoding") ?? "")) {
    const parts = [];
    for (let at = start; ;) {
      const end = bytes.indexOf("\r\n", at);
      const size = end < 0 ? Number.NaN : Number.parseInt(bytes.subarray(at, end).toString("latin1"), 16);
      if (Number.isNaN(size) || bytes.length < end + 4 + size) return isClosed ? whole(Buffer.concat(parts), bytes.length) : undefined;
      if (size === 0) return whole(Buffer.concat(parts), end + 4);
      parts.push(bytes.subarray(end + 2, end + 2 + size));
      at = end + 4 + size;
    }
  }
  const length = value("content-length");
  if (length === undefined) return isClosed ? whole(bytes.subarray(start), bytes.length) : undefined;
  if (bytes.length < start + Number(length)) return undefined;
  return whole(bytes.subarray(start, start + Number(length)), start + Number(length));
}

function answered(status, headers, body) {
  const values = (name) => headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return {
    status, headers, values, body,
    header: (name) => values(name)[0] ?? null,
    get text() {
      return body.toString();
    },
    json: () => JSON.parse(body.toString()),
  };
}
