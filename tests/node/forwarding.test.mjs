// Forwarding: bodies stream in both directions, and responses of origins arrive unchanged.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, beforeEach, describe, test } from "node:test";
import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib";
import { assertProblem, assertTokenMissing, authorizer, bearer, openSocket, proxy, read, respond } from "./support/gateway.mjs";
import { serve } from "./support/http.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { residentMemory, startWorker } from "./support/worker.mjs";

const MEGABYTE = 1 << 20;

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
/** Answers with whatever the test puts into `handle`. */
let handle;
const scripted = await serve((req, res) => handle(req, res));
const gone = await startOrigin();
await gone.stop();

const service = { requests: [], answer: undefined };
const worker = await startWorker({
  config: {
    authorizer: authorizer(issuer),
    paths: [
      proxy("/api/{*rest}", origin, { headers: { "X-User-Id": "$claims.sub" } }),
      proxy("/public/{*rest}", origin, { auth: "none" }),
      proxy("/scripted/{*rest}", scripted, { auth: "none" }),
      proxy("/scripted-private/{*rest}", scripted),
      proxy("/gone/{*rest}", gone, { auth: "none" }),
      proxy("/gone-private", gone),
      proxy("/prefixed/{*rest}", `${origin.url}/base/v1`, { auth: "none" }),
      proxy("/prefixed-slash", `${origin.url}/base/`, { auth: "none" }),
      {
        method: "ANY", path: "/service/{*rest}",
        integration: { type: "service", binding: "BACKEND", headers: { "X-User-Id": "$claims.sub" } },
      },
      {
        method: "ANY", path: "/service-kept", auth: "none",
        integration: { type: "service", binding: "BACKEND", strip_authorization: false },
      },
      respond("/respond/empty"),
      respond("/respond/text", { status: 201, headers: { "X-One": "1", "Content-Language": "en" }, body: "grüß dich" }),
      respond("/respond/json", { body: { list: [1, "two", null], "ünï": true } }),
      respond("/respond/html", { headers: { "Content-Type": "text/html" }, body: "<p>" }),
      respond("/respond/none", { status: 204 }),
      respond("/respond/teapot", { status: 418, body: "short and stout" }),
      respond("/respond/private", { auth: "required", headers: { "X-Sub": "$claims.sub", "X-Nothing": "$claims.nothing" }, body: "yours" }),
      respond("/respond/cached", { auth: "required", headers: { "Cache-Control": "private, max-age=5" }, body: "yours" }),
    ],
  },
  serviceBindings: {
    BACKEND: async (request) => {
      const { method, url } = request;
      service.requests.push({ method, url, headers: Object.fromEntries(request.headers), body: await request.text() });
      return service.answer(request);
    },
  },
});

after(() => Promise.all([worker, origin, issuer].map((part) => part.stop()).concat(scripted.close())));
beforeEach(() => {
  origin.reset();
  service.requests.length = 0;
});

const authorized = (init = {}) => ({ ...init, headers: { ...bearer(issuer.token()), ...init.headers } });

/** A promise to be settled from outside. */
const signal = () => Promise.withResolvers();

describe("downloads", () => {
  test("the first chunk is there before the origin sends the last", { timeout: 10_000 }, async () => {
    const go = signal();
    handle = async (_req, res) => {
      res.writeHead(200, { "content-type": "application/octet-stream" }).write("first");
      await go.promise;
      res.end("last");
    };
    const answer = await worker.fetch("/scripted/download");
    const reader = answer.body.getReader();
    assert.equal(Buffer.from((await reader.read()).value).toString(), "first");
    go.resolve();
    assert.equal(Buffer.from((await reader.read()).value).toString(), "last");
    assert.equal((await reader.read()).done, true);
  });

  test("server-sent events arrive one by one, on a private route, too", { timeout: 10_000 }, async () => {
    const turns = Array.from({ length: 3 }, signal);
    handle = async (_req, res) => {
      res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
      for (const [index, turn] of turns.entries()) {
        res.write(`id: ${index}\ndata: {"n":${index}}\n\n`);
        await turn.promise;
      }
      res.end();
    };
    const answer = await worker.fetch("/scripted-private/events", authorized());
    assert.equal(answer.headers.get("content-type"), "text/event-stream");
    assert.equal(answer.headers.get("cache-control"), "private, no-store");
    const reader = answer.body.getReader();
    for (const [index, turn] of turns.entries()) {
      assert.equal(Buffer.from((await reader.read()).value).toString(), `id: ${index}\ndata: {"n":${index}}\n\n`);
      turn.resolve();
    }
    assert.equal((await reader.read()).done, true);
  });

  test("who stops listening ends the origin's work", { timeout: 10_000 }, async () => {
    const closed = signal();
    handle = (_req, res) => {
      res.writeHead(200);
      const timer = setInterval(() => res.write("more"), 20);
      res.on("close", () => {
        clearInterval(timer);
        closed.resolve();
      });
    };
    const abort = new AbortController();
    const answer = await worker.fetch("/scripted/endless", { signal: abort.signal });
    await answer.body.getReader().read();
    abort.abort();
    await closed.promise;
  });

  test("a body that breaks off at the origin breaks off at the client", async () => {
    handle = (_req, res) => {
      res.writeHead(200, { "content-length": "1000" }).write("half");
      setTimeout(() => res.destroy(), 20);
    };
    const answer = await worker.fetch("/scripted/broken");
    assert.equal(answer.status, 200);
    await assert.rejects(answer.text());
  });

  for (const [encoding, compress] of [["gzip", gzipSync], ["br", brotliCompressSync]]) {
    test(`an answer compressed with ${encoding} is readable and says so truly`, async () => {
      const text = "compressible ".repeat(1000);
      handle = (_req, res) => res.writeHead(200, { "content-type": "text/plain", "content-encoding": encoding }).end(compress(text));
      assert.equal(await (await worker.fetch("/scripted/compressed")).text(), text);
      const plain = await worker.request({ target: "/scripted/compressed", headers: [["Accept-Encoding", "gzip"]] });
      const body = plain.header("content-encoding") === "gzip" ? gunzipSync(plain.body) : plain.body;
      if (plain.header("content-encoding") !== "br") assert.equal(body.toString(), text);
    });
  }
});

describe("uploads", () => {
  test("the first chunk reaches the origin before the client sends the last", { timeout: 10_000 }, async () => {
    const arrived = signal();
    let received = "";
    handle = async (req, res) => {
      for await (const chunk of req) {
        received += chunk;
        arrived.resolve(received);
      }
      res.end(received);
    };
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(Buffer.from("first "));
        assert.equal(await arrived.promise, "first ");
        controller.enqueue(Buffer.from("last"));
        controller.close();
      },
    });
    const answer = await worker.fetch("/scripted-private/upload", authorized({ method: "POST", body, duplex: "half" }));
    assert.equal(await answer.text(), "first last");
  });

  test("an upload without a token is refused before the origin hears of it", async () => {
    // The answer does not wait for the rest of the body, which never comes.
    const head = `POST /api/upload HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: ${MEGABYTE}\r\n\r\n`;
    await assertTokenMissing(worker.raw(Buffer.concat([Buffer.from(head), randomBytes(10_000)])));
    assert.deepEqual(origin.requests, []);
  });

  test("every byte arrives, whatever the framing", async () => {
    const bytes = randomBytes(3 * MEGABYTE + 7);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 100_000) controller.enqueue(bytes.subarray(at, at + 100_000));
        controller.close();
      },
    });
    for (const body of [bytes, stream]) {
      const answer = await (await worker.fetch("/api/upload", authorized({ method: "PUT", body, duplex: "half" }))).json();
      assert.deepEqual([answer.bytes, answer.sha256], [bytes.length, sha256]);
    }
  });
});

/** In megabytes. `STREAM_MB=1024` moves a gigabyte. */
const STREAM = Number(process.env.STREAM_MB ?? 64);

describe(`${STREAM} MB`, () => {
  async function growthDuring(work) {
    const before = residentMemory();
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, residentMemory())), 50);
    await work();
    clearInterval(timer);
    return (Math.max(most, residentMemory()) - before) / MEGABYTE;
  }

  test("go down and up without being held in memory", { timeout: 60_000 + STREAM * 500 }, async () => {
    const size = STREAM * MEGABYTE;
    const down = async (bytes) => {
      let got = 0;
      const answer = await worker.fetch(`/api/stream?bytes=${bytes}&chunk=${MEGABYTE}`, authorized());
      for await (const chunk of answer.body) got += chunk.length;
      assert.equal(got, bytes);
    };
    const up = async (bytes) => {
      const chunk = Buffer.alloc(MEGABYTE, 0x2e);
      let left = bytes / MEGABYTE;
      const body = new ReadableStream({
        pull(controller) {
          if (left === 0) controller.close();
          else controller.enqueue(chunk);
          left -= 1;
        },
      });
      const answer = await worker.fetch("/api/upload", authorized({ method: "POST", body, duplex: "half" }));
      assert.equal((await answer.json()).bytes, bytes);
    };
    await down(MEGABYTE);
    await up(MEGABYTE);
    const growth = await growthDuring(async () => {
      await down(size);
      await up(size);
    });
    assert.ok(growth < 40, `memory grew by ${growth.toFixed(1)} MB`);
  });
});

describe("answers", () => {
  test("redirects are the client's to follow", async () => {
    // The origin's own address was passed on before; now it is the site's. conformance.test.mjs has the rules.
    for (const [to, expected = to] of [
      ["/elsewhere"], ["https://elsewhere.example/x?y=z#f"], ["//elsewhere.example"], [`${origin.url}/target`, `${worker.url}/target`],
    ]) {
      origin.reset();
      const answer = await worker.fetch(`/public/redirect?${new URLSearchParams({ to })}`);
      assert.deepEqual([answer.status, answer.headers.get("location"), await answer.text()], [302, expected, ""]);
      assert.equal(origin.requests.length, 1);
    }
  });

  for (const status of [200, 201, 202, 206, 207, 226, 400, 401, 403, 404, 409, 422, 429, 500, 501, 502, 503, 504, 599]) {
    test(`status ${status} passes with its body`, async () => {
      for (const path of ["/public", "/api"]) {
        const answer = await worker.fetch(`${path}/status/${status}`, authorized());
        assert.equal(answer.status, status);
        assert.equal(answer.headers.get("content-type"), "application/json");
        assert.equal((await answer.json()).status, status);
      }
    });
  }

  for (const status of [204, 304]) {
    test(`status ${status} passes without a body`, async () => {
      for (const path of ["/public", "/api"]) {
        const answer = await worker.request({ target: `${path}/status/${status}`, headers: bearer(issuer.token()) });
        assert.deepEqual([answer.status, answer.text], [status, ""]);
      }
    });
  }

  test("status 205 passes without a body", async () => {
    handle = (_req, res) => res.writeHead(205, { "x-reset": "yes" }).end();
    const answer = await worker.fetch("/scripted/reset-content");
    assert.deepEqual([answer.status, answer.headers.get("x-reset")], [205, "yes"]);
  });

  test("HEAD has the headers of GET and no body", async () => {
    const get = await read(worker.fetch("/public/headers"));
    const head = await read(worker.fetch("/public/headers", { method: "HEAD" }));
    assert.deepEqual([head.status, head.text], [get.status, ""]);
    for (const name of ["content-type", "cache-control", "set-cookie"]) assert.equal(head.header(name), get.header(name));
    assert.equal(origin.last.method, "HEAD");
  });
});

describe("requests", () => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "REPORT", "OPTIONS", "QUERY"]) {
    test(`${method} arrives as ${method}, with its body and content type`, async () => {
      const headers = [["Content-Type", "text/x-odd"], ["Authorization", `Bearer ${issuer.token()}`]];
      const answer = await worker.request({ method, target: "/api/x?y=1", headers, body: "the body" });
      if (method === "QUERY" && answer.status === 501) return; // not a method the runtime knows, yet
      assert.equal(answer.status, 200, answer.text);
      const { url, body, headers: got } = origin.last;
      assert.deepEqual([origin.last.method, url, body, got["content-type"]], [method, "/api/x?y=1", "the body", "text/x-odd"]);
    });
  }

  test("DELETE without a body arrives without one", async () => {
    assert.equal((await worker.fetch("/api/x", authorized({ method: "DELETE" }))).status, 200);
    assert.deepEqual([origin.last.method, origin.last.body, origin.last.headers["transfer-encoding"]], ["DELETE", "", undefined]);
  });

  test("a body that comes with GET goes along, though it has no meaning; an empty one does no harm", async () => {
    for (const method of ["GET", "HEAD"]) {
      for (const body of ["the body", ""]) {
        const answer = await worker.request({ method, target: "/api/x", headers: bearer(issuer.token()), body });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual([origin.last.method, origin.last.body], [method, body]);
      }
    }
  });

  test("the upstream URL's own path comes first", async () => {
    assert.equal((await worker.fetch("/prefixed/a/b%2Dc?x=1&y")).status, 200);
    // The client's part of the path, byte for byte.
    assert.equal(origin.last.url, "/base/v1/prefixed/a/b%2Dc?x=1&y");
    assert.equal((await worker.fetch("/prefixed-slash?")).status, 200);
    assert.match(origin.last.url, /^\/base\/prefixed-slash\??$/);
  });

  test("parameters of the query arrive byte for byte", async () => {
    for (const query of ["?a=b&a=c", "?x=%2F..%2Fadmin&%zz", "?é=1".replace("é", "%C3%A9"), "?a=b?c=d/;e", "?url=http://x//y"]) {
      await worker.request({ target: `/public/q${query}` });
      assert.equal(origin.last.url, `/public/q${query}`);
    }
  });
});

describe("an origin that is not there", () => {
  test("is 502 origin_unreachable, with nothing about it in the answer", async () => {
    for (const path of ["/gone/a?secret=1", "/gone-private"]) {
      const answer = await assertProblem(worker.fetch(path, authorized()), { status: 502, code: "origin_unreachable" });
      assert.ok(!answer.text.includes(String(gone.port)) && !answer.text.includes("secret"));
    }
    const { message } = await worker.waitForLog("origin_unreachable");
    assert.ok(!message.includes("secret"));
  });

  test("still needs a token where the route does", () => assertTokenMissing(worker.fetch("/gone-private")));

  test("is 502 when it cuts the connection", async () => {
    await assertProblem(worker.fetch("/public/reset"), { status: 502, code: "origin_unreachable" });
  });

  test("is 502 for an upload and for a WebSocket, too", async () => {
    await assertProblem(worker.fetch("/gone/a", { method: "POST", body: randomBytes(1000) }), { status: 502, code: "origin_unreachable" });
    await assertProblem(openSocket(worker, "/gone/a"), { status: 502, code: "origin_unreachable" });
  });
});

describe("WebSockets", () => {
  test("without a token the upgrade is refused with 401 and the origin hears nothing", async () => {
    await assertTokenMissing(openSocket(worker, "/api/websocket"));
    assert.deepEqual(origin.requests, []);
  });

  test("with a token messages go both ways, text and binary, and the origin knows who it is", async () => {
    const token = issuer.token({ claims: { sub: "alice" } });
    const { status, socket } = await openSocket(
      worker, "/api/websocket?room=1", { headers: bearer(token), protocols: ["chat.v2", "chat.v1"] },
    );
    assert.equal(status, 101);
    assert.equal(socket.protocol, "chat.v2");
    const [seen] = origin.requests;
    assert.deepEqual([seen.url, seen.headers["x-user-id"], seen.headers.authorization], ["/api/websocket?room=1", "alice", undefined]);
    for (const message of ["hello", "", "ünï𝄞", "x".repeat(200_000), randomBytes(50_000)]) {
      socket.send(message);
      const [echo, binary] = await once(socket, "message");
      assert.equal(binary, Buffer.isBuffer(message));
      assert.ok(Buffer.from(message).equals(echo));
    }
    socket.close(4001, "done");
    const [code] = await once(socket, "close");
    assert.equal(code, 4001);
  });

  test("many at once keep their own conversation", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    await Promise.all(
      names.map(async (name) => {
        const { socket } = await openSocket(worker, `/api/websocket/${name}`, { headers: bearer(issuer.token({ claims: { sub: name } })) });
        for (let turn = 0; turn < 5; turn += 1) {
          socket.send(`${name} ${turn}`);
          const [echo] = await once(socket, "message");
          assert.equal(echo.toString(), `${name} ${turn}`);
        }
        socket.terminate();
      }),
    );
    for (const { url, headers } of origin.requests) assert.equal(url, `/api/websocket/${headers["x-user-id"]}`);
  });

  test("an origin that refuses the upgrade is heard", async () => {
    const refusing = (_req, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    const plain = await serve((_req, res) => res.writeHead(403).end("no"), { onUpgrade: refusing });
    const other = await startWorker({ config: { paths: [proxy("/{*rest}", plain, { auth: "none" })] } });
    try {
      const { status, text } = await openSocket(other, "/x");
      assert.deepEqual([status, text], [403, "no"]);
    } finally {
      await Promise.all([other.stop(), plain.close()]);
    }
  });
});

describe("a service binding", () => {
  test("gets method, path, query, body and identity, and its answer passes", async () => {
    service.answer = () => new Response(
      "from the service", { status: 207, headers: [["x-service", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]] },
    );
    const headers = { "x-user-id": "spoofed", "x-other": "kept", cookie: "a=1; __Host-edgeward=secret" };
    const answer = await worker.fetch("/service/%61/b?c=d", authorized({ method: "PUT", body: "the body", headers }));
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get("x-service")], [207, "from the service", "1"]);
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(answer.headers.get("cache-control"), "private, no-store");
    const [seen] = service.requests;
    assert.deepEqual(
      [seen.method, new URL(seen.url).pathname, new URL(seen.url).search, seen.body], ["PUT", "/service/%61/b", "?c=d", "the body"],
    );
    assert.deepEqual(
      [seen.headers["x-user-id"], seen.headers["x-other"], seen.headers.cookie, seen.headers.authorization],
      ["user-1", "kept", "a=1", undefined],
    );
  });

  test("hears nothing of a request without a token", async () => {
    await assertTokenMissing(worker.fetch("/service/a"));
    assert.deepEqual(service.requests, []);
  });

  test("gets Authorization where the route says so", async () => {
    service.answer = () => new Response(null, { status: 204 });
    assert.equal((await worker.fetch("/service-kept", { headers: { authorization: "Basic eDp5" } })).status, 204);
    assert.equal(service.requests[0].headers.authorization, "Basic eDp5");
  });

  test("that fails is 502 origin_unreachable", async () => {
    service.answer = () => {
      throw new Error("secret of the service");
    };
    const answer = await read(worker.fetch("/service/a", authorized()));
    // Miniflare answers for a function that throws; a service that cannot be reached throws at the Worker.
    if (answer.status !== 500) await assertProblem(answer, { status: 502, code: "origin_unreachable" });
  });
});

describe("respond", () => {
  const answerOf = async (path, init) => {
    const answer = await read(worker.fetch(`/respond/${path}`, init));
    return { status: answer.status, type: answer.header("content-type"), text: answer.text, header: answer.header };
  };

  test("status, headers and a text", async () => {
    const { status, type, text, header } = await answerOf("text");
    assert.deepEqual(
      [status, type, text, header("x-one"), header("content-language")],
      [201, "text/plain; charset=utf-8", "grüß dich", "1", "en"],
    );
  });

  test("JSON, as it stands in the configuration", async () => {
    const { status, type, text } = await answerOf("json");
    assert.deepEqual([status, type, JSON.parse(text)], [200, "application/json", { list: [1, "two", null], "ünï": true }]);
  });

  test("a content type of its own", async () => {
    const { type, text } = await answerOf("html");
    assert.deepEqual([type, text], ["text/html", "<p>"]);
  });

  test("nothing at all, and nothing with 204", async () => {
    const empty = await answerOf("empty");
    assert.deepEqual([empty.status, empty.text], [200, ""]);
    const none = await answerOf("none");
    assert.deepEqual([none.status, none.type, none.text], [204, null, ""]);
    assert.deepEqual([(await answerOf("teapot")).status, (await answerOf("teapot")).text], [418, "short and stout"]);
  });

  test("HEAD without the body", async () => {
    const { status, type, text } = await answerOf("text", { method: "HEAD" });
    assert.deepEqual([status, type, text], [201, "text/plain; charset=utf-8", ""]);
  });

  test("any method, and a body that is not read", async () => {
    assert.equal((await answerOf("text", { method: "POST", body: randomBytes(MEGABYTE) })).status, 201);
  });

  test("on a protected route only with a token, with claims, and never cached for others", async () => {
    await assertTokenMissing(worker.fetch("/respond/private"));
    const { text, header } = await answerOf("private", authorized());
    assert.deepEqual([text, header("x-sub"), header("x-nothing"), header("cache-control")], ["yours", "user-1", null, "private, no-store"]);
    assert.equal((await answerOf("cached", authorized())).header("cache-control"), "private, max-age=5");
  });
});
