// The host of the command: requests are sent by Node's `fetch`.

import { BaseHost } from "./base-host.js";

const MAX_DOCUMENT_BYTES = 512 * 1024;
const TIMEOUT_MS = 5_000;

export class Host extends BaseHost {
  /** Sends a GET request. Returns `{ failure }`, in words, or `{ status, headers, text }`. */
  async get(url, headers = { accept: "application/json" }) {
    const { failure, response, bytes } = await this.exchange(url, { method: "GET", headers }, TIMEOUT_MS, MAX_DOCUMENT_BYTES);
    if (failure !== undefined) return { failure };
    return { status: response.status, headers: response.headers, text: new TextDecoder().decode(bytes) };
  }

  /** Returns `{ response, bytes }`, or `{ failure, isNetwork }`, in words. */
  async exchange(url, init, millis, limit) {
    try {
      const before = Date.now();
      const response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(millis) });
      const date = Date.parse(response.headers.get("date"));
      // The provider's clock is right to the second; the response took some time.
      const skewMs = Number.isNaN(date) ? undefined : (before + Date.now()) / 2 - (date + 500);
      const bytes = await readBody(response.body, limit);
      this.exchanges.push({ url, status: response.status, skewMs });
      return { response, bytes };
    } catch (error) {
      const failure = describe(error, millis);
      this.exchanges.push({ url, failure });
      return { failure, isNetwork: error.name !== "TimeoutError" && !(error instanceof TooLarge) };
    }
  }
}

class TooLarge extends Error {}

async function readBody(body, limit) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > limit) throw new TooLarge();
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const FAILURES = {
  ENOTFOUND: "its host name cannot be resolved",
  EAI_AGAIN: "its host name cannot be resolved",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ETIMEDOUT: "the connection timed out",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out",
  EHOSTUNREACH: "its host cannot be reached",
  ENETUNREACH: "its network cannot be reached",
};

/** Returns why a request failed, in words. */
export function describe(error, millis) {
  if (error.name === "TimeoutError") return `there was no complete response within ${millis / 1_000} s`;
  if (error instanceof TooLarge) return "the response is too large";
  const code = error.cause?.code ?? error.code;
  if (error.cause?.name === "HTTPParserError" || /^HPE_/.test(code)) return "the response is not HTTP";
  if (typeof code !== "string") return error.cause?.message ? `the request failed (${error.cause.message})` : "the request failed";
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) return `its certificate is not accepted (${code})`;
  return FAILURES[code] ?? `the request failed (${code})`;
}
