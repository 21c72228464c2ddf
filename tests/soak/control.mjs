// The control of the run for memory: a Worker that only does what every Worker must do which forwards requests. What its process grows by is
// the runtime's own.

import { Cancelled, Connection } from "./client.mjs";

/** The request header that has the status of the gateway's answer. */
const STATUS_HEADER = "x-gateway-status";

/**
 * The control, as `source` of `startBareRuntime`. It forwards what the gateway forwards, answers with the gateway's status, and calls the
 * origin for each callback. Refreshes and fetches of keys are not repeated. The cookie is as long as one with a session.
 */
export const control = (origin) => ({
  main: "control.js",
  modules: { "control.js": { type: "esm", contents: `
const origin = ${JSON.stringify(origin)};
export default {
  async fetch(request) {
    const status = Number(request.headers.get("${STATUS_HEADER}") ?? 404);
    const { pathname } = new URL(request.url);
    if (status === 200 && /^\\/(app|token)\\//.test(pathname)) {
      const answer = await fetch(new Request(origin + pathname, request));
      return new Response(answer.body, answer);
    }
    if (pathname === "/auth/callback") await (await fetch(origin + "/token", { method: "POST", body: new URLSearchParams({ code: "code" }) })).text();
    const cookie = "control=" + "x".repeat(2000) + "; Path=/; Secure; HttpOnly";
    return new Response(status === 302 ? null : "answer", { status, headers: status === 302 ? { "set-cookie": cookie } : {} });
  },
};
` } },
});

/** A connection that repeats each request to the control, and waits for both. Resolves to the gateway's answer. */
export class PairedConnection {
  #gateway;
  #control;

  constructor(gatewayPort, controlPort) {
    this.#gateway = new Connection(gatewayPort);
    this.#control = new Connection(controlPort);
  }

  async request(request, options) {
    try {
      const answer = await this.#gateway.request(request, options);
      await this.#repeat(request, options, answer.status);
      return answer;
    } catch (error) {
      if (error instanceof Cancelled) await this.#repeat(request, options, 200);
      throw error;
    }
  }

  async #repeat(request, options, expected) {
    const repeated = { ...request, headers: { ...request.headers, [STATUS_HEADER]: expected } };
    const status = await this.#control.request(repeated, options).then((answer) => answer.status, (error) => {
      if (!(error instanceof Cancelled)) throw error;
      return expected;
    });
    if (status !== expected) throw new Error(`the control answers ${status} instead of ${expected} to ${request.target}`);
  }

  close() {
    this.#gateway.close();
    this.#control.close();
  }
}
