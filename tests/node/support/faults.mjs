// Faults of a server: bad responses, one fault at a time for each endpoint.

import { delay } from "./http.mjs";

/**
 * @typedef {object} Fault
 * @property {number} [times]     how many answers it spoils; all until cleared, when absent
 * @property {number} [delay]     milliseconds to wait before answering
 * @property {boolean} [reset]    cut the connection instead of answering
 * @property {boolean} [hang]     accept the request and never answer
 * @property {string} [redirect]  answer 302 to this address
 * @property {number} [status]    answer with this status
 * @property {Record<string, string>} [headers] set these headers, on the true answer too
 * @property {string | Buffer | ((text: string) => string | Buffer)} [body] answer with this body; a function gets the true one
 * @property {number} [truncate]  send only so many bytes of the body, under its full Content-Length, then cut
 * @property {{ bytes: number, every: number }} [drip] send the body so many bytes every so many milliseconds
 * @property {boolean} [endless]  send the body again and again until the reader goes away
 */

export class Faults {
  #active = new Map();

  /** Sets the fault of an endpoint, or clears it with null. Returns a record of what it did. */
  set(endpoint, fault) {
    this.#active.delete(endpoint);
    if (!fault) return undefined;
    const record = { served: 0, bytes: 0, aborted: false };
    this.#active.set(endpoint, { fault, record });
    return record;
  }

  clear() {
    this.#active.clear();
  }

  /**
   * Lets the fault of `endpoint` have the answer. Resolves to true when it took it; otherwise the true answer is
   * still to be made, and `res` may have been set up to alter it.
   */
  async apply(endpoint, req, res) {
    const active = this.#active.get(endpoint);
    if (!active) return false;
    const { fault, record } = active;
    if (fault.times !== undefined && record.served >= fault.times) {
      this.#active.delete(endpoint);
      return false;
    }
    record.served += 1;
    res.on("close", () => {
      record.aborted ||= !res.writableFinished;
    });

    if (fault.delay) await delay(fault.delay);
    if (fault.reset) {
      req.socket.destroy();
      return true;
    }
    if (fault.hang) return true;
    if (fault.redirect) {
      res.writeHead(302, { location: fault.redirect, "content-length": "0", ...fault.headers }).end();
      return true;
    }

    // The true answer is made with one `end(body)`: what the fault changes is changed there.
    const end = res.end.bind(res);
    res.end = (body = "") => {
      res.end = end;
      if (typeof fault.body === "function") body = fault.body(body.toString());
      else if (fault.body !== undefined) body = fault.body;
      if (fault.status !== undefined) res.statusCode = fault.status;
      if (fault.body !== undefined || fault.endless || fault.drip) res.removeHeader("content-length");
      for (const [name, value] of Object.entries(fault.headers ?? {})) res.setHeader(name, value);
      transmit(res, Buffer.from(body), fault, record);
      return res;
    };
    if (fault.status === undefined && (fault.body === undefined || typeof fault.body === "function")) return false;
    res.setHeader("content-type", "application/json");
    res.end();
    return true;
  }
}

async function transmit(res, body, fault, record) {
  const write = (chunk) => {
    record.bytes += chunk.length;
    return new Promise((resolve) => {
      if (res.write(chunk) || res.destroyed) return resolve();
      const done = () => {
        res.off("drain", done).off("close", done);
        resolve();
      };
      res.on("drain", done).on("close", done);
      return undefined;
    });
  };
  if (fault.endless) {
    while (!res.destroyed) await write(body);
    return;
  }
  if (fault.truncate !== undefined) {
    res.setHeader("content-length", body.length);
    await write(body.subarray(0, fault.truncate));
    res.socket?.destroySoon();
    return;
  }
  if (fault.drip) {
    for (let at = 0; at < body.length && !res.destroyed; at += fault.drip.bytes) {
      await write(body.subarray(at, at + fault.drip.bytes));
      await delay(fault.drip.every);
    }
    res.end();
    return;
  }
  record.bytes += body.length;
  res.end(body);
}
