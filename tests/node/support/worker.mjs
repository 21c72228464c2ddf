// The built Worker in workerd, the runtime it is deployed to, on a loopback port.

import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { fetch as runtimeFetch, Log, LogLevel, Miniflare } from "miniflare";
import { delay } from "./http.mjs";

export const BUILD = resolve(import.meta.dirname, "../../../build");
export const COMPATIBILITY_DATE = "2026-11-01";
const NAME = "edgeward";
const MARKER = "log-marker";

/**
 * Starts the Worker.
 *
 * @param {object} [options]
 * @param {object | string} [options.config]  the variable EDGEWARD: an object, or JSON text; absent leaves it unset
 * @param {Record<string, unknown>} [options.env] further variables and secrets; strings stay strings, the rest is JSON
 * @param {Record<string, string | ((request: Request) => Response | Promise<Response>)>} [options.serviceBindings]
 *   services by binding name: the address of a local server, or a function
 * @param {Record<string, string> | ((request: Request) => Response | Promise<Response>)} [options.hosts] where requests of the Worker to a host really go:
 *   `{ "tenant.us.auth0.com": "http://127.0.0.1:9400" }`; or a function that answers them all
 * @param {string} [options.build]  the folder with index.js and index_bg.wasm
 * @param {{ main: string, modules: Record<string, { type: string, contents: string | Uint8Array }> }} [options.source]
 *   modules to run instead of the build
 * @param {string} [options.compatibilityDate]
 * @param {string[]} [options.compatibilityFlags]
 * @param {Record<string, object>} [options.bindings] further bindings, as Miniflare describes them
 * @param {string[]} [options.storedSecrets]  names of Secrets Store bindings; `storeSecret` gives them values
 * @param {boolean} [options.cache]  the Cache API stores; default true
 * @param {number} [options.port]    0, the default, takes a free one
 * @param {boolean | Record<string, string>} [options.sessions] binds the Durable Object through which isolates share refreshes;
 *   or the classes of these names, by binding
 * @param {number | Record<string, unknown>[]} [options.isolates] how many Workers of this build run, each in an isolate of its own;
 *   or the variables of each, set over those of all; default 1
 * @param {object} [options.runtime] further options of Miniflare
 */
export async function startWorker(options = {}) {
  const worker = new RunningWorker(options);
  await worker.start();
  return worker;
}

class RunningWorker {
  #options;
  #runtime;
  #urls = [];
  #marker;
  #marks = new Map();

  /** What the Worker wrote to its console, and what the runtime reports: `{ level, message }`. It comes late: see `flush`. */
  logs = [];

  constructor(options) {
    this.#options = options;
  }

  async start() {
    this.logs = [];
    this.#runtime = new Miniflare(await this.#settings());
    await this.#runtime.ready;
    const names = [...nameEach(this.#options.isolates), MARKER];
    this.#urls = await Promise.all(names.map((name) => this.#runtime.unsafeGetDirectURL(name)));
    this.#marker = this.#urls.pop();
  }

  async stop() {
    const runtime = this.#runtime;
    this.#runtime = undefined;
    await runtime?.dispose();
  }

  /** Starts afresh (a new isolate, an empty cache) with some options changed. The address may change. */
  async restart(changes = {}) {
    this.#options = { ...this.#options, ...changes };
    await this.stop();
    await this.start();
  }

  /** Stores a secret for a binding of `storedSecrets`. */
  async storeSecret(name, value) {
    const store = await this.#runtime.getSecretsStoreSecretAPI(name, NAME);
    await store().create(value);
  }

  /** Base address, without a closing slash. */
  get url() {
    return this.#urls[0].origin;
  }

  get port() {
    return Number(this.#urls[0].port);
  }

  /** The ports of all isolates. */
  get ports() {
    return this.#urls.map(({ port }) => Number(port));
  }

  /** `fetch` on a path of the Worker; redirects are not followed. */
  fetch(path = "/", init = {}) {
    return fetch(this.url + path, { redirect: "manual", ...init });
  }

  /**
   * Sends bytes as they are over one TCP connection and returns the answer. For request targets, duplicate headers and
   * header values that `fetch` would tidy up. See `request` for the usual shape.
   *
   * @param {string | Buffer} bytes
   * @returns {Promise<{ status: number, headers: [string, string][], header(name: string): string | null,
   *   body: Buffer, text: string, json(): any }>}
   */
  raw(bytes, { timeout = 10_000, port = this.port } = {}) {
    return exchange(port, Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, "latin1"), timeout);
  }

  /**
   * One request over `raw`: the target goes on the wire exactly as it is given, and so does every header, in order.
   *
   * @param {{ method?: string, target?: string, headers?: [string, string][] | Record<string, string>, body?: string | Buffer }} request
   */
  request({ method = "GET", target = "/", headers = [], body, timeout, port = this.port } = {}) {
    const pairs = Array.isArray(headers) ? [...headers] : Object.entries(headers);
    const has = (name) => pairs.some(([given]) => given.toLowerCase() === name);
    if (!has("host")) pairs.unshift(["Host", `127.0.0.1:${port}`]);
    if (body !== undefined && !has("content-length") && !has("transfer-encoding")) {
      pairs.push(["Content-Length", String(Buffer.byteLength(body))]);
    }
    pairs.push(["Connection", "close"]);
    const head = `${method} ${target} HTTP/1.1\r\n${pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
    return this.raw(Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body ?? "")]), { timeout, port });
  }

  /** The text of every log line that has arrived, for messages. An assertion needs `written`. */
  get logText() {
    return this.logs.map(({ message }) => message).join("\n");
  }

  /**
   * Waits for the lines that were written until now. They reach us after the answers of the requests that wrote them, in order: so
   * a second Worker of the same runtime writes a line, and all are here when that one is. Needed before `logs` is counted, found
   * empty or emptied.
   */
  async flush() {
    const mark = randomUUID();
    const arrived = new Promise((resolve) => this.#marks.set(mark, resolve));
    await (await fetch(this.#marker, { method: "POST", body: mark })).text();
    await arrived;
  }

  /** The text of every log line that was written until now. */
  async written() {
    await this.flush();
    return this.logText;
  }

  /** Takes the lines of one run; those that come after a restart are not in `logs` of the next. */
  #receiver() {
    const { logs } = this;
    return ({ level, message }) => {
      const mark = this.#marks.get(message);
      if (mark === undefined) return logs.push({ level, message });
      this.#marks.delete(message);
      return mark();
    };
  }

  /** Waits until a log line matches (text, pattern or function) and returns it. Lines reach us after the answer does. */
  async waitForLog(match, { timeout = 10_000 } = {}) {
    const test =
      typeof match === "function" ? match : ({ message }) => (match instanceof RegExp ? match.test(message) : message.includes(match));
    const end = Date.now() + timeout;
    for (;;) {
      const found = this.logs.find(test);
      if (found) return found;
      if (Date.now() > end) throw new Error(`no log line matches ${match}; there are:\n${this.logText}`);
      await delay(10);
    }
  }

  async #settings() {
    const { config, env = {}, serviceBindings = {}, bindings: further = {}, storedSecrets = [], hosts, cache = true, port = 0, sessions = false, isolates } = this.#options;
    const { compatibilityDate = COMPATIBILITY_DATE, compatibilityFlags = ["no_nodejs_compat"] } = this.#options;
    const { main, modules } = this.#options.source ?? (await builtModules(this.#options.build ?? BUILD));

    const bindings = { ...further, ...variables(config === undefined ? env : { EDGEWARD: config, ...env }) };
    for (const [name, target] of Object.entries(serviceBindings)) {
      bindings[name] = { type: "fetcher", handler: typeof target === "function" ? target : (request) => forward(request, target) };
    }
    for (const secretName of storedSecrets) bindings[secretName] = { type: "secrets-store-secret", storeId: "store", secretName };
    const objects = Object.entries(sessions === true ? { EDGEWARD_SESSIONS: "EdgewardSessions" } : sessions || {});
    for (const [name, exportName] of objects) bindings[name] = { type: "durable-object", worker: NAME, exportName };
    const exported = { exports: Object.fromEntries(objects.map(([, name]) => [name, { type: "durable-object", storage: "sqlite" }])) };

    return {
      host: "127.0.0.1",
      port: 0,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: this.#receiver(),
      enableDevRegistry: false,
      cf: {},
      telemetry: { enabled: false },
      ...this.#options.runtime,
      workers: [...nameEach(isolates).map((name, index) => ({
        config: {
          name,
          compatibilityDate,
          compatibilityFlags,
          env: { ...bindings, ...variables(isolates?.[index] ?? {}) },
          ...exported,
          manifest: { mainModule: main, modulesRoot: BUILD, modules },
        },
        dev: {
          cacheAPI: cache,
          // Requests go straight to the Worker: the front Worker of Miniflare would rewrite some of them.
          unsafeDirectSockets: [{ host: "127.0.0.1", port }],
          ...(hosts && { outboundService: { type: "fetcher", handler: typeof hosts === "function" ? hosts : (request) => forward(request, hosts) } }),
        },
      })), marker()],
    };
  }
}

/** The names of so many Workers; the first is the one whose Durable Objects all use. */
const nameEach = (isolates = 1) =>
  Array.from({ length: isolates.length ?? isolates }, (_, index) => (index === 0 ? NAME : `${NAME}-${index}`));

/** The Worker that writes a line of its own between those of the others. */
const marker = () => ({
  config: {
    name: MARKER,
    compatibilityDate: COMPATIBILITY_DATE,
    manifest: {
      mainModule: "marker.js",
      modulesRoot: BUILD,
      modules: {
        "marker.js": {
          type: "esm",
          contents: "export default { async fetch(request) { console.log(await request.text()); return new Response(); } };",
        },
      },
    },
  },
  dev: { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
});

/** Bindings with these values; strings stay strings, the rest is JSON. */
const variables = (values) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === "string" ? { type: "text", value } : { type: "json", value }]));

/** Resident memory of the runtime's processes, which this process started, in bytes. */
export function residentMemory() {
  const listing = execFileSync("ps", ["-A", "-o", "pid=,ppid=,rss=,args="], { encoding: "utf8" });
  const rows = listing.trim().split("\n").map((row) => row.trim().split(/\s+/));
  const ours = rows.filter(([, parent, , ...args]) => Number(parent) === process.pid && args.join(" ").includes("workerd"));
  if (ours.length === 0) throw new Error("the runtime is no child of this process");
  return ours.reduce((sum, [, , rss]) => sum + Number(rss) * 1024, 0);
}

/** Modules for `source`: the built Worker as `gateway`, behind a Worker with this text. */
export async function wrappedBuild(wrapper) {
  const { modules } = await builtModules(BUILD);
  const contents = `import gateway from "./index.js";\n${wrapper}`;
  return { main: "wrapper.js", modules: { "wrapper.js": { type: "esm", contents }, ...modules } };
}

async function builtModules(build) {
  const [script, wasm] = [join(build, "index.js"), join(build, "index_bg.wasm")];
  if (!existsSync(script) || !existsSync(wasm)) throw new Error(`there is no Worker in ${build}: run "make build"`);
  return {
    main: "index.js",
    modules: {
      "index.js": { type: "esm", contents: await readFile(script, "utf8") },
      "index_bg.wasm": { type: "wasm", contents: await readFile(wasm) },
    },
  };
}

/** Passes a request on to a local server: to one address, or by its host. */
function forward(request, target) {
  const url = new URL(request.url);
  const base = typeof target === "string" ? target : target[url.host];
  const address = base ? new URL(url.pathname + url.search, base) : url;
  const headers = new Headers(request.headers);
  headers.delete("host");
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : request.body;
  return runtimeFetch(address, { method: request.method, headers, body, redirect: "manual", duplex: "half" });
}

function exchange(port, bytes, timeout) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const finish = (error) => {
      clearTimeout(timer);
      socket.destroy();
      const answer = parseAnswer(Buffer.concat(chunks), true);
      if (answer) resolve(answer);
      else reject(error ?? new Error("the connection was closed without an answer"));
    };
    const timer = setTimeout(() => finish(new Error(`no answer within ${timeout} ms`)), timeout);
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (parseAnswer(Buffer.concat(chunks), false)) finish();
    });
    socket.on("end", () => finish());
    socket.on("error", finish);
  });
}

/** The answer in `bytes`, or undefined while it is not whole. `closed`: nothing more will come. */
function parseAnswer(bytes, closed) {
  const split = bytes.indexOf("\r\n\r\n");
  if (split < 0) return undefined;
  const [statusLine, ...lines] = bytes.subarray(0, split).toString("latin1").split("\r\n");
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
  const header = (name) => headers.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1] ?? null;

  const status = Number(statusLine.split(" ")[1]);
  // What follows a switch of protocols is no body.
  let body = status === 101 ? Buffer.alloc(0) : bytes.subarray(split + 4);
  const length = header("content-length");
  if (/\bchunked\b/i.test(header("transfer-encoding") ?? "")) {
    const { data, whole } = dechunk(body);
    if (!whole && !closed) return undefined;
    body = data;
  } else if (length !== null) {
    if (body.length < Number(length) && !closed) return undefined;
    body = body.subarray(0, Number(length));
  } else if (!closed && status !== 101) {
    return undefined;
  }
  const text = body.toString();
  return { status, headers, header, body, text, json: () => JSON.parse(text) };
}

function dechunk(bytes) {
  const parts = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    const size = end < 0 ? NaN : Number.parseInt(bytes.subarray(at, end).toString("latin1"), 16);
    if (Number.isNaN(size)) return { data: Buffer.concat(parts), whole: false };
    if (size === 0) return { data: Buffer.concat(parts), whole: true };
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
