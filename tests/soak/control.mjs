// The control of the run for memory: a Worker that does what any Worker does which forwards requests, and nothing else.

import { Cancelled, Connection } from "./client.mjs";

/** The request header that has the status of the gateway's answer. */
const STATUS_HEADER = "x-gateway-status";

/** The control, as `source` of `startBareRuntime`. It forwards what the gateway forwards, and calls the origin where that calls the issuer. */
export const control = (origin) => ({
  main: "control.js",
  modules: { "control.js": { type: "esm", contents: `
const origin = ${JSON.stringify(origin)};
const setCookie = (headers) => headers.append("set-cookie", "control=" + "x".repeat(2000) + "; Path=/; Secure; HttpOnly");
export default {
  async fetch(request) {
    const status = Number(request.headers.get("${STATUS_HEADER}") ?? 404);
    const { pathname } = new URL(request.url);
    if (status === 200 && /^\\/(app|token)\\//.test(pathname)) {
      const answer = await fetch(new Request(origin + pathname, request));
      return new Response(answer.body, answer);
    }
    if (pathname === "/auth/callback") await (await fetch(origin + "/token", { method: "POST", body: new URLSearchParams({ code: "code" }) })).text();
    const answer = new Response(status === 302 ? null : "answer", { status });
    if (status === 302) setCookie(answer.headers);
    return answer;
  },
};
` } },
});

/** A connection that repeats each request to the control, and waits for both answers. Those of the gateway are the answers. */
export class PairedConnection {
  #gateway;
  #control;

  constructor(gatewayPort, controlPort) {
    this.#gateway = new Connection(gatewayPort);
    this.#control = new Connection(controlPort);
  }

  async request(request, options) {
    const repeat = (status) => this.#control.request({ ...request, headers: { ...request.headers, [STATUS_HEADER]: status } }, options);
    try {
      const answer = await this.#gateway.request(request, options);
      await repeat(answer.status).catch(ignoreCancelled);
      return answer;
    } catch (error) {
      ignoreCancelled(error);
      await repeat(200).catch(ignoreCancelled);
      throw error;
    }
  }

  close() {
    this.#gateway.close();
    this.#control.close();
  }
}

function ignoreCancelled(error) {
  if (!(error instanceof Cancelled)) throw error;
}
