// A minimal browser for logins: cookies with their protection rules, and redirects across origins.

import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { readBody } from "./http.mjs";

/** Headers of a top-level navigation from the address bar. */
export const NAVIGATION = {
  accept: "text/html,application/xhtml+xml", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none",
};

/** Where the sites of the tests stand for the browser: the gateway is reached at this origin. */
export const SITE = "https://app.example.com";

export class Browser {
  #worker;
  /** Cookies by origin, then by name. */
  #jars = new Map();
  /** Addresses opened, redirects included. */
  visited = [];
  /** Every `Set-Cookie` line received from the gateway. */
  received = [];

  /** @param {{ request(request: object): Promise<any> }} worker the gateway, which this browser reaches at `SITE` */
  constructor(worker) {
    this.#worker = worker;
  }

  /** The cookies for an origin; those of the site are alive in the map. */
  cookies(origin = SITE) {
    if (!this.#jars.has(origin)) this.#jars.set(origin, new Map());
    return this.#jars.get(origin);
  }

  /** The `Cookie` header for an origin. */
  cookieHeader(origin = SITE) {
    return [...this.cookies(origin)].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** One request, no redirects. Paths are the site's. */
  async send(url, { method = "GET", headers = {}, form, port, origin = SITE } = {}) {
    const address = new URL(url, origin);
    const cookie = this.cookieHeader(address.origin);
    const sent = { ...(cookie && { cookie }), ...headers };
    let body;
    if (form) {
      body = new URLSearchParams(form).toString();
      sent["content-type"] = "application/x-www-form-urlencoded";
    }
    this.visited.push(address.href);
    const answer = address.origin === SITE ? await this.#ask(address, { method, headers: sent, body, port }) : await reach(address, { method, headers: sent, body });
    for (const line of answer.setCookies) this.#store(address.origin, line);
    return { ...answer, url: address.href };
  }

  /** Submits the form of a page, with its hidden fields. */
  async #submit(page, fields) {
    const [, attributes, content] = /<form\b([^>]*)>(.*?)<\/form>/s.exec(page.text);
    const attribute = (tag, name) => decoded(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? "");
    const inputs = [...content.matchAll(/<input\b[^>]*>/gs)].map(([tag]) => tag);
    const hidden = inputs.filter((tag) => attribute(tag, "type") === "hidden").map((tag) => [attribute(tag, "name"), attribute(tag, "value")]);
    const address = new URL(attribute(attributes, "action") || page.url, page.url);
    const headers = { ...NAVIGATION, origin: address.origin, referer: page.url, "sec-fetch-site": "same-origin" };
    return this.send(address.href, { method: "POST", headers, form: { ...Object.fromEntries(hidden), ...fields } });
  }

  async #ask(address, { method, headers, body, port }) {
    const all = Object.entries({ host: address.host, ...headers });
    const answer = await this.#worker.request({ method, target: address.pathname + address.search, headers: all, body, port });
    const setCookies = answer.headers.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
    this.received.push(...setCookies);
    return { status: answer.status, header: answer.header, text: answer.text, json: answer.json, setCookies };
  }

  /** A cookie is taken only if its prefix and attributes agree (RFC 6265bis §5.7). */
  #store(origin, line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const [name, ...rest] = pair.split("=");
    const has = (wanted) => attributes.some((attribute) => attribute.toLowerCase() === wanted);
    if (name.startsWith("__Host-") && !(has("secure") && has("path=/") && !attributes.some((one) => /^domain=/i.test(one)))) {
      throw new Error(`a browser refuses this cookie: ${line}`);
    }
    if (has("max-age=0") || attributes.some((one) => /^expires=.*1970/i.test(one))) this.cookies(origin).delete(name);
    else this.cookies(origin).set(name, rest.join("="));
  }

  /**
   * Opens a page as a person does: follows redirects, and logs in as `account` where the local provider asks. `fill` returns the
   * fields to submit on the pages of other providers.
   */
  async open(url, { account = "alice", until = () => false, fill = () => undefined, headers = {} } = {}) {
    let answer = await this.send(url, { headers: { ...NAVIGATION, ...headers } });
    for (let hops = 0; hops < 20; hops += 1) {
      const location = answer.header("location");
      const next = location && new URL(location, answer.url);
      if (next && until(next)) return { ...answer, next };
      if (next) {
        const crosses = next.origin !== new URL(answer.url).origin;
        answer = await this.send(next.href, { headers: { ...NAVIGATION, "sec-fetch-site": crosses ? "cross-site" : "same-origin" } });
      } else if (new URL(answer.url).pathname.startsWith("/interaction/") && answer.status === 200) {
        const form = account === null ? { cancel: "1" } : { account };
        answer = await this.send(answer.url, { method: "POST", form });
      } else if (/document\.forms\[0\]\.submit/.test(answer.text)) {
        // The provider's logout page submits itself.
        const action = /action="([^"]+)"/.exec(answer.text)[1];
        const xsrf = /name="xsrf" value="([^"]+)"/.exec(answer.text)[1];
        answer = await this.send(action, { method: "POST", form: { xsrf, logout: "yes" }, origin: new URL(answer.url).origin });
      } else {
        const fields = fill(answer);
        if (!fields) return answer;
        answer = await this.#submit(answer, fields);
      }
    }
    throw new Error(`too many redirects: ${this.visited.slice(-6).join(" → ")}`);
  }
}

const decoded = (text) => text.replace(/&(?:amp|#38);/g, "&").replace(/&(?:quot|#34);/g, '"').replace(/&#39;/g, "'");

/** `fetch` would set `sec-fetch-mode` by itself. */
async function reach(address, { method, headers, body }) {
  const request = httpRequest(address, { method, headers, agent: false });
  request.end(body);
  const [response] = await once(request, "response");
  const text = (await readBody(response)).toString();
  return {
    status: response.statusCode, header: (name) => response.headers[name] ?? null, text, json: () => JSON.parse(text),
    setCookies: response.headers["set-cookie"] ?? [],
  };
}
