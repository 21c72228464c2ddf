// A lean HTTP/1.1 client: keep-alive connections with one request at a time each, and a request that can be cancelled. `fetch` and
// node:http cost more per request than the gateway does.

import { connect } from "node:net";

const TIMEOUT_MS = 60_000;

/** The request was cancelled by `cancel`. */
export class Cancelled extends Error {}

export class Connection {
  #port;
  #socket;
  #received = Buffer.alloc(0);
  #pending;

  constructor(port) {
    this.#port = port;
  }

  /**
   * Sends a request and resolves to `{ status, head, header(name), setCookies, text }`.
   *
   * @param {{ method?: string, target: string, headers?: Record<string, string>, body?: string }} request
   * @param {{ cancelAfter?: number }} [options] milliseconds until the connection is closed, unless the answer has arrived
   */
  request({ method = "GET", target, headers = {}, body }, { cancelAfter } = {}) {
    let head = `${method} ${target} HTTP/1.1\r\n`;
    if (headers.host === undefined) head += `host: 127.0.0.1:${this.#port}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    if (body !== undefined) head += `content-length: ${Buffer.byteLength(body)}\r\n`;
    return new Promise((resolve, reject) => {
      if (this.#pending) throw new Error("this connection has a request already");
      const timer = setTimeout(
        () => this.#fail(cancelAfter === undefined ? new Error(`no answer within ${TIMEOUT_MS} ms: ${method} ${target}`) : new Cancelled()),
        cancelAfter ?? TIMEOUT_MS,
      );
      this.#pending = { resolve, reject, timer };
      this.#open().write(`${head}\r\n${body ?? ""}`);
    });
  }

  /** Closes the connection; a request under way is cancelled. */
  close() {
    this.#fail(new Cancelled());
  }

  #open() {
    if (this.#socket) return this.#socket;
    const socket = connect(this.#port, "127.0.0.1").setNoDelay();
    const lost = (error) => {
      if (this.#socket === socket) this.#fail(error ?? new Error("the connection was closed without an answer"));
    };
    socket.on("data", (chunk) => {
      if (this.#socket === socket) this.#read(chunk);
    });
    socket.on("error", lost);
    socket.on("close", () => lost());
    this.#received = Buffer.alloc(0);
    this.#socket = socket;
    return socket;
  }

  #fail(error) {
    this.#socket?.destroy();
    this.#socket = undefined;
    const pending = this.#pending;
    this.#pending = undefined;
    if (!pending) return;
    clearTimeout(pending.timer);
    pending.reject(error);
  }

  #read(chunk) {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const answer = this.#pending && parse(this.#received);
    if (!answer) return;
    const { resolve, timer } = this.#pending;
    this.#pending = undefined;
    clearTimeout(timer);
    const isLast = answer.header("connection") === "close";
    // What follows an answer would be the answer to another request.
    if (isLast || answer.length !== this.#received.length) {
      this.#socket.destroy();
      this.#socket = undefined;
    }
    if (answer.length !== this.#received.length) answer.surplus = this.#received.subarray(answer.length).toString("latin1");
    this.#received = Buffer.alloc(0);
    resolve(answer);
  }
}

/** The answer at the start of these bytes, or undefined while it is not whole. */
function parse(bytes) {
  const split = bytes.indexOf("\r\n\r\n");
  if (split < 0) return undefined;
  const head = bytes.toString("latin1", 0, split);
  const values = (name) => {
    const found = [];
    for (let line = head.indexOf("\r\n"); line >= 0; line = head.indexOf("\r\n", line + 2)) {
      const colon = head.indexOf(":", line);
      if (colon - line - 2 !== name.length || head.slice(line + 2, colon).toLowerCase() !== name) continue;
      const end = head.indexOf("\r\n", colon);
      found.push(head.slice(colon + 1, end < 0 ? undefined : end).trim());
    }
    return found;
  };
  const header = (name) => values(name)[0] ?? null;
  const status = Number(head.slice(9, 12));
  const answer = { status, head, header, get setCookies() { return values("set-cookie"); } };
  const start = split + 4;
  const length = header("content-length");
  if (length !== null) {
    answer.length = start + Number(length);
    if (bytes.length < answer.length) return undefined;
    answer.text = bytes.toString("utf8", start, answer.length);
    return answer;
  }
  if (status === 204 || status === 304) return { ...answer, length: start, text: "" };
  if (header("transfer-encoding") !== "chunked") throw new Error(`an answer without length: ${head}`);
  const parts = [];
  for (let at = start; ;) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, end), 16);
    at = end + 2 + size + 2;
    if (bytes.length < at) return undefined;
    if (size === 0) {
      answer.length = at;
      answer.text = Buffer.concat(parts).toString();
      return answer;
    }
    parts.push(bytes.subarray(end + 2, at - 2));
  }
}
