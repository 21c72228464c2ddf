// Single faults of the platform and the network that only a runtime can have, by their numbers in docs/faults.md: connections that
// fail below HTTP, compressed bodies, the Cache API, traps and stack overflows, Durable Objects.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { gzipSync } from "node:zlib";
import { edgeGet, edgePut } from "../../pkg/src/fetch.js";
import { assertRefused, assertUnavailable, authorizer, bearer, read, respond, until } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { loginConfig, startSite, WITH_REFRESH } from "./support/login.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { TRAP } from "./support/trap.mjs";
import { residentMemory, startWorker, wrappedBuild } from "./support/worker.mjs";

const paths = [respond("/api", { auth: "required", headers: { "X-Sub": "$claims.sub" }, body: "yours" }), respond("/open", { body: "open" })];
const call = (worker, token, headers = {}) => worker.fetch("/api", { headers: { ...bearer(token), ...headers } });
const passes = async (worker, token, headers) => assert.equal((await read(call(worker, token, headers))).header("x-sub"), "user-1", worker.logText);

/** Listens with raw TCP, or TLS, where an HTTP server should be. */
async function listen(server, port = 0) {
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
  return {
    port: server.address().port,
    get connections() {
      return sockets.size;
    },
    close: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(resolve);
    }),
  };
}

describe("F14: a connection that fails", { concurrency: 4 }, () => {
  const start = async () => {
    const issuer = await startIssuer();
    return { issuer, worker: await startWorker({ config: { authorizer: authorizer(issuer, { jwks_uri: issuer.jwksUri }), paths } }) };
  };

  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  const faults = [
    ["is refused", null],
    ["is closed at once", (socket) => socket.destroy()],
    ["is reset at once", (socket) => socket.resetAndDestroy()],
    ["is reset after the request", (socket) => socket.once("data", () => socket.resetAndDestroy())],
    ["brings no HTTP", (socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9.6\r\n"))],
    ["brings an alert of TLS", (socket) => socket.once("data", () => socket.end(Buffer.from("15030100020228", "hex")))],
    ["brings HTTP/2", (socket) => socket.once("data", () => socket.end(Buffer.from("000000040000000000000007070000000000000000000000000000", "hex")))],
    ["ends in the head", (socket) => socket.once("data", () => socket.end(head))],
    ["ends in the body", (socket) => socket.once("data", () => socket.end(`${head}content-length: 500\r\n\r\n{"keys":[`))],
    ["ends in a chunk", (socket) => socket.once("data", () => socket.end(`${head}transfer-encoding: chunked\r\n\r\nff\r\n{"keys":[`))],
  ];
  for (const [what, handle] of faults) {
    test(`that ${what}: without keys 503, with keys the known ones work on`, async () => {
      const { issuer, worker } = await start();
      const during = async (work) => {
        const { port } = issuer;
        await issuer.stop();
        const server = handle && (await listen(createServer(handle), port));
        try {
          await work();
          // The runtime repeats a request on a connection that it had kept open.
          assert.ok(!server || server.connections <= 4, `${server?.connections} connections`);
        } finally {
          await server?.close();
          await issuer.start();
        }
      };
      const token = issuer.token();
      await during(async () => {
        for (let i = 0; i < 3; i += 1) await assertUnavailable(call(worker, token), "jwks_unreachable");
        assert.equal((await worker.fetch("/open")).status, 200);
      });
      await until(async () => (await call(worker, token)).status === 200);
      await during(async () => {
        await passes(worker, token);
        for (let i = 0; i < 3; i += 1) await assertUnavailable(call(worker, issuer.token({ header: { kid: "new" } })), "jwks_unreachable");
        await passes(worker, issuer.token());
      });
      await passes(worker, issuer.token());
      await Promise.all([worker.stop(), issuer.stop()]);
    });
  }

  test("because of its certificate, its protocol or its name is never used: 503", async () => {
    const { issuer, worker } = await start();
    const folder = mkdtempSync(join(tmpdir(), "edgeward-tls-"));
    const files = ["key.pem", "cert.pem"].map((name) => join(folder, name));
    const options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=other.example"];
    execFileSync("openssl", [...options, "-keyout", files[0], "-out", files[1]], { stdio: "ignore" });
    const [key, cert] = files.map((file) => readFileSync(file));
    rmSync(folder, { recursive: true });
    const served = [];
    const answer = (socket) => socket.once("data", (data) => served.push(data.toString())).on("error", () => {});
    const [selfSigned, plain] = await Promise.all([listen(createTlsServer({ key, cert }, answer)), listen(createServer(answer))]);
    try {
      for (const address of [`https://127.0.0.1:${selfSigned.port}/jwks`, `https://localhost:${selfSigned.port}/jwks`, `https://127.0.0.1:${plain.port}/jwks`, "https://keys.invalid/jwks"]) {
        await worker.restart({ config: { authorizer: authorizer(issuer, { jwks_uri: address }), paths } });
        await assertUnavailable(call(worker, issuer.token()), "jwks_unreachable");
        await worker.waitForLog("jwks_unreachable");
      }
      assert.ok(served.every((text) => !text.startsWith("GET")), "nothing is sent without TLS");
    } finally {
      await Promise.all([selfSigned.close(), plain.close(), worker.stop(), issuer.stop()]);
    }
  });
});

describe("F07: a compressed body", () => {
  test("counts as long as it is: 64 MiB in 64 KB are given up at the limit, and memory stays as it was", async () => {
    const issuer = await startIssuer();
    const worker = await startWorker({ config: { authorizer: authorizer(issuer), paths } });
    const bomb = gzipSync(Buffer.concat([Buffer.from('{"keys":[],"padding":"'), Buffer.alloc(64 << 20, 0x20)]));
    const explode = () => issuer.setFault("jwks", { body: bomb, headers: { "content-type": "application/json", "content-encoding": "gzip" } });
    try {
      const token = issuer.token();
      // Compressed, but no bomb.
      issuer.setFault("jwks", { body: (text) => gzipSync(text), headers: { "content-encoding": "gzip" } });
      await passes(worker, token);
      await worker.restart();
      await worker.fetch("/open");
      const before = residentMemory();
      explode();
      for (let i = 0; i < 2; i += 1) {
        await assertUnavailable(call(worker, token), "jwks_unreachable");
        await delay(1_100);
      }
      const growth = (residentMemory() - before) / (1 << 20);
      assert.ok(growth < 40, `memory grew by ${growth.toFixed(1)} MiB`);
      issuer.clearFaults();
      await until(async () => (await call(worker, token)).status === 200);
      explode();
      await assertUnavailable(call(worker, issuer.token({ header: { kid: "new" } })), "jwks_unreachable");
      await passes(worker, issuer.token());
    } finally {
      await Promise.all([worker.stop(), issuer.stop()]);
    }
  });
});

describe("in a runtime with faults", () => {
  let issuer;
  let worker;
  let token;
  before(async () => {
    issuer = await startIssuer();
    token = issuer.token();
    const source = await wrappedBuild(`
      const now = Date.now;
      let fault = "";
      const overflow = () => overflow() + 1;
      Date.now = () => {
        const current = fault;
        fault = "";
        return current === "overflow" ? overflow() : now();
      };
      const { match, put } = caches.default;
      const faults = {
        throws: () => { throw new Error("no cache"); },
        rejects: async () => { throw new Error("no cache"); },
        hangs: () => new Promise(() => {}),
        "answers nonsense": async () => new Response("<html>"),
        "has a body that never comes": async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
        "is no response": async () => 7,
      };
      export default {
        fetch(request, env, ctx) {
          const cache = faults[request.headers.get("x-cache")];
          caches.default.match = cache ?? match;
          caches.default.put = cache ?? put;
          fault = request.headers.get("x-fault") ?? "";
          return gateway.fetch(request, env, ctx);
        },
      };`);
    worker = await startWorker({ config: { authorizer: authorizer(issuer), paths }, source });
  });
  after(() => Promise.all([worker.stop(), issuer.stop()]));

  for (const fault of ["throws", "rejects", "hangs", "answers nonsense", "has a body that never comes", "is no response"]) {
    test(`F35: a Cache API that ${fault} counts as empty`, async () => {
      await worker.restart();
      issuer.counts = { jwks: 0, discovery: 0 };
      const faulty = { "x-cache": fault };
      await passes(worker, token, faulty);
      assert.deepEqual(issuer.counts, { jwks: 1, discovery: 1 });
      await passes(worker, token, faulty);
      await assertRefused(call(worker, issuer.token({ header: { kid: "new" } }), faulty), "key_not_found");
      await passes(worker, token);
      assert.equal(issuer.counts.jwks, 2);
      assert.doesNotMatch(await worker.written(), /hung|exception/i);
    });
  }

  test("F21: an instance of the module that cannot be made costs its request, and no other", async () => {
    const source = await wrappedBuild(`
      const { Instance } = WebAssembly;
      let failures = 2;
      WebAssembly.Instance = function (...parts) {
        failures -= 1;
        if (failures >= 0) throw new Error("out of memory");
        return new Instance(...parts);
      };
      export default { fetch: (request, env, ctx) => gateway.fetch(request, env, ctx) };`);
    const other = await startWorker({ config: { authorizer: authorizer(issuer), paths }, source });
    try {
      for (let i = 0; i < 2; i += 1) {
        const answer = await read(call(other, token));
        assert.deepEqual([answer.status, answer.json().code], [500, "internal_error"]);
      }
      for (let i = 0; i < 3; i += 1) assert.equal((await call(other, token)).headers.get("x-sub"), "user-1");
    } finally {
      await other.stop();
    }
  });

  test("F21: a stack overflow costs its request, and no other", async () => {
    for (const isCold of [true, false]) {
      if (isCold) await worker.restart();
      else await passes(worker, token);
      const answer = await read(call(worker, token, { "x-fault": "overflow" }));
      assert.deepEqual([answer.status, answer.json().code], [500, "internal_error"]);
      for (let i = 0; i < 3; i += 1) await passes(worker, token);
      await worker.waitForLog(/internal_error: RangeError/);
    }
  });
});

test("F35: in the npm package, too, a Cache API that throws, hangs or answers nonsense counts as empty", async () => {
  const { caches } = globalThis;
  const never = () => new Promise(() => {});
  const matches = [
    () => { throw new Error("no cache"); }, async () => { throw new Error("no cache"); }, never, async () => 7, async () => undefined,
    async () => new Response(new ReadableStream({ pull: never })), async () => new Response(Buffer.alloc(2 << 20)),
  ];
  try {
    for (const match of matches) {
      globalThis.caches = { default: { match } };
      assert.deepEqual(await edgeGet("https://keys.edgeward.invalid/v1/x"), { kind: 0 }, String(match));
    }
    // A document without an origin may not even ask for it.
    const denied = { get() { throw new Error("SecurityError"); }, configurable: true };
    for (const cache of [Object.defineProperty({}, "default", denied), undefined]) {
      if (cache === undefined) Object.defineProperty(globalThis, "caches", denied);
      else globalThis.caches = cache;
      assert.deepEqual(await edgeGet("https://keys.edgeward.invalid/v1/x"), { kind: 0 });
      await edgePut({ key: "https://keys.edgeward.invalid/v1/x", value: "x", maxAge: 1 });
    }
    Object.defineProperty(globalThis, "caches", { value: undefined, writable: true, configurable: true });
    globalThis.caches = { default: { match: async () => new Response("entry") } };
    assert.equal(Buffer.from((await edgeGet("https://keys.edgeward.invalid/v1/x")).body).toString(), "entry");
  } finally {
    globalThis.caches = caches;
  }
});

describe("a Durable Object with faults", () => {
  let site;
  /** Sets the fault; the clock of the runtime goes so many milliseconds ahead. */
  const set = (fault, ahead = 0) => site.worker.fetch("/", { headers: { "x-object": fault, "x-ahead": ahead } });
  before(async () => {
    const source = await wrappedBuild(`
      import { EdgewardSessions as Genuine } from "./index.js";
      import trap from "./trap.wasm";
      const { unreachable } = new WebAssembly.Instance(trap).exports;
      const [now, later] = [Date.now, globalThis.setTimeout];
      let fault = "";
      let isArmed = false;
      let ahead = 0;
      Date.now = () => {
        if (isArmed) {
          isArmed = false;
          unreachable();
        }
        return now() + ahead;
      };
      // A minute is over in half a second, and the fifteen of a refresh in one.
      globalThis.setTimeout = (work, millis, ...rest) => later(work, millis === 60_000 ? 500 : millis, ...rest);
      const { timeout } = AbortSignal;
      AbortSignal.timeout = (millis) => timeout.call(AbortSignal, millis === 15_000 ? 1_000 : millis);
      const faults = {
        throws: () => { throw new Error("no object"); },
        hangs: () => new Promise(() => {}),
        "is overloaded": () => new Response("overloaded", { status: 503 }),
        "answers nonsense": () => new Response("nonsense"),
        "answers without end": () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
      };
      let reads = 0;
      const storageFaults = {
        put: () => fault === "cannot be written",
        setAlarm: () => fault === "sets no alarm",
        get: () => fault === "cannot be read again" && (reads += 1) > 1,
      };
      const withFaults = (storage) => new Proxy(storage, {
        get(target, name) {
          if (storageFaults[name]?.()) return async () => { throw new Error("storage fault"); };
          return typeof target[name] === "function" ? target[name].bind(target) : target[name];
        },
      });
      export class EdgewardSessions {
        #genuine;
        #make;
        constructor(ctx, env) {
          this.#make = () => new Genuine({ storage: withFaults(ctx.storage) }, env);
          this.#genuine = this.#make();
        }
        fetch(request) {
          if (faults[fault]) return faults[fault]();
          if (fault === "restarts") this.#genuine = this.#make();
          if (fault === "traps") [isArmed, fault] = [true, ""];
          return this.#genuine.fetch(request);
        }
        alarm() { return this.#genuine.alarm(); }
      }
      export default {
        fetch(request, env, ctx) {
          const changed = request.headers.get("x-object");
          if (changed === null) return gateway.fetch(request, env, ctx);
          [fault, reads] = [changed, 0];
          ahead += Number(request.headers.get("x-ahead"));
          return new Response(null, { status: 204 });
        },
      };`);
    source.modules["trap.wasm"] = { type: "wasm", contents: TRAP };
    const paths = [
      { method: "POST", path: "/refresh", integration: { type: "refresh" } },
      { method: "POST", path: "/backchannel", integration: { type: "backchannel_logout" } },
    ];
    // Without records of revocation, requests pass: what refreshes do is seen apart from them.
    const config = (provider, origin, more) => loginConfig(provider, origin, { authorizer: WITH_REFRESH, paths, revocation: { fail: "open" }, ...more });
    site = await startSite({ config, worker: { source, sessions: true } });
  });
  after(() => site.stop());
  afterEach(() => set("nothing"));

  const refresh = (browser) => site.worker.request({
    method: "POST", target: "/refresh", headers: { host: "app.example.com", cookie: browser.cookieHeader() },
  });

  for (const fault of ["throws", "is overloaded", "answers nonsense"]) {
    test(`F31: that ${fault} costs a refresh, and no session`, async () => {
      const browser = await site.loggedIn("alice", "/login?prompt=consent");
      site.provider.resetCounts();
      await set(fault);
      const answer = await refresh(browser);
      assert.deepEqual([answer.status, answer.json().code], [502, "refresh_unavailable"]);
      assert.equal((await browser.send("/app/x")).status, 200);
      assert.equal(site.provider.counts.token ?? 0, 0, "the refresh token is not sent by the isolate itself");
      await set("nothing", 5_000);
      assert.equal((await refresh(browser)).status, 200);
    });
  }

  test("F25: that hangs delays one request at a time", async () => {
    const browser = await site.loggedIn();
    await set("hangs", 1_000);
    assert.equal((await browser.send("/app/x")).status, 200, "after the time limit");
    await set("hangs", 1_000);
    let isOver = false;
    const first = browser.send("/app/x").finally(() => (isOver = true));
    await delay(100);
    for (let index = 0; index < 3; index += 1) assert.equal((await browser.send("/app/x")).status, 200);
    assert.ok(!isOver, "the others do not wait");
    assert.equal((await first).status, 200);
  });

  test("F21, F31: that traps in a refresh does not block the next one", async () => {
    const browser = await site.loggedIn("alice", "/login?prompt=consent");
    await set("traps");
    const answer = await refresh(browser);
    assert.deepEqual([answer.status, answer.json().code], [502, "refresh_unavailable"]);
    assert.equal((await browser.send("/app/x")).status, 200);
    await set("nothing", 5_000);
    assert.equal((await refresh(browser)).status, 200);
    await site.worker.waitForLog(/internal_error: RuntimeError/);
  });

  for (const fault of ["cannot be written", "sets no alarm", "cannot be read again"]) {
    test(`F31: whose storage ${fault} loses no refresh token`, async () => {
      const browser = await site.loggedIn("alice", "/login?prompt=consent");
      site.provider.resetCounts();
      await set(fault);
      assert.equal((await refresh(browser)).status, 200, "the outcome of the exchange is returned");
      if (fault !== "cannot be read again") await site.worker.waitForLog(/object_not_stored: .*storage fault/);
      assert.equal((await refresh(browser)).status, 200, "and kept: this request has the former cookie, too");
      await set("nothing");
      assert.equal((await refresh(browser)).status, 200);
      await set("restarts");
      assert.equal((await refresh(browser)).status, 200, "it was stored once that was possible");
      assert.equal(site.provider.counts.token, 1);
    });
  }

  for (const fault of ["throws", "hangs", "is overloaded", "answers nonsense", "answers without end"]) {
    test(`F32: with records of revocation that ${fault}, requests pass where that is configured`, async () => {
      const browser = await site.loggedIn();
      await set(fault, 1_000);
      assert.equal((await browser.send("/app/x")).status, 200, "fail: open");
      await site.worker.waitForLog(/revocation_unavailable/);
    });
  }
});
