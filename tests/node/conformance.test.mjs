// docs/forwarding.md, row by row: what arrives at an origin that records every byte, and what arrives at the client.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { assertProblem, authorizer, bearer, openSocket, proxy } from "./support/gateway.mjs";
import { delay, serve } from "./support/http.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE } from "./support/provider.mjs";
import { startRawOrigin } from "./support/raw_origin.mjs";
import { session, sessionCookie } from "./support/seal.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const HOST = "app.example.com";
const SECRET = "a sealing secret of at least 32 characters";
const [origin, sockets, issuer] = await Promise.all([startRawOrigin(), startOrigin(), startIssuer()]);
const gone = await startOrigin();
await gone.stop();
/** Sends one event, and the next whenever the test lets it. */
const events = await serve(async (_req, res) => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  for (let count = 1; count <= 3; count += 1) {
    res.write(`data: ${count}\n\n`);
    await delay(400);
  }
  res.end();
});

const services = [];
const integration = (more) => ({ type: "http_proxy", url: origin.url, ...more });
const route = (path, more, auth = "none") => ({ method: "ANY", path, auth, integration: integration(more) });
const worker = await startWorker({
  config: {
    authorizer: { ...authorizer(issuer), client_id: "web", client_secret: "secret of the client", redirect_uri: `https://${HOST}/cb` },
    session: { secrets: SECRET },
    cors: { allow_origins: ["https://www.example.com"] },
    paths: [
      { method: "GET", path: "/cb", integration: { type: "callback" } },
      route("/public/{*rest}", { headers: { "X-Tenant": "gold" } }),
      route("/private/{*rest}", { headers: { "X-User-Id": "$claims.sub" } }, "required"),
      route("/kept/{*rest}", { strip_authorization: false }),
      route("/v1/{*rest}", { strip_prefix: "/v1" }),
      route("/based/{*rest}", { url: `${origin.url}/base/` }),
      route("/off/{*rest}", { forwarded: false, strip_prefix: "/off" }),
      route("/timed/{*rest}", { timeout_ms: 300 }),
      route("/timed-events", { url: events.url, timeout_ms: 300 }),
      route("/timed-sockets/{*rest}", { url: sockets.url, timeout_ms: 300 }),
      proxy("/sockets/{*rest}", sockets, { auth: "none" }),
      proxy("/gone", gone, { auth: "none" }),
      { method: "ANY", path: "/service/{*rest}", auth: "none", integration: { type: "service", binding: "BACKEND" } },
      { method: "ANY", path: "/own/{*rest}", auth: "none", integration: { type: "service", binding: "BACKEND", strip_prefix: "/own", timeout_ms: 300 } },
    ],
  },
  serviceBindings: {
    BACKEND: (request) => {
      const { pathname, searchParams } = new URL(request.url);
      services.push({ url: request.url, prefix: request.headers.get("x-forwarded-prefix") });
      if (pathname === "/slow") return delay(2000).then(() => new Response("late"));
      return new Response("from the service", { headers: searchParams.has("to") ? { location: searchParams.get("to") } : {} });
    },
  },
});
const boundWorker = await startWorker({
  config: { authorizer: { ...authorizer(issuer), dpop: "allowed", dpop_nonce_secret: SECRET }, paths: [route("/private/{*rest}", {}, "required")] },
});
after(() => Promise.all([worker.stop(), boundWorker.stop(), origin.stop(), sockets.stop(), issuer.stop(), events.close()]));

/** Sends a request, answered with these bytes; returns what the client and the origin got. */
async function send(request, answer, to = worker) {
  origin.reset();
  if (answer !== undefined) origin.answer = answer;
  const { headers = [], ...more } = typeof request === "string" ? { target: request } : request;
  const got = await to.request({ ...more, headers: [["Host", HOST], ...headers] });
  return { got, arrived: origin.requests.at(-1) };
}

const authorization = () => ["Authorization", bearer(issuer.token()).authorization];
const everywhere = () => [["/public/x", []], ["/private/x", [authorization()]]];
const valuesOf = ({ headers }, name) => headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

/** Sends a request with a token bound to a key, and a proof of it with the nonce that the gateway wants. */
async function sendBound(answer) {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  const token = issuer.token({ claims: { cnf: { jkt: await calculateJwkThumbprint(jwk) } } });
  const claims = { htm: "GET", htu: `http://${HOST}/private/x`, ath: createHash("sha256").update(token).digest("base64url") };
  const prove = (more) => new SignJWT({ ...claims, ...more, jti: randomUUID() }).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk }).setIssuedAt().sign(privateKey);
  const request = async (more) => ({ target: "/private/x", headers: [["Authorization", `DPoP ${token}`], ["DPoP", await prove(more)]] });
  const { got } = await send(await request({}), undefined, boundWorker);
  return send(await request({ nonce: valuesOf(got, "dpop-nonce")[0] }), answer, boundWorker);
}

/** Headers arrive as they were sent, once each, on public and private routes. */
async function arriveUnchanged(headers, more = {}) {
  for (const [target, own] of everywhere()) {
    const { arrived } = await send({ target, headers: [...own, ...headers], ...more });
    for (const [name, value] of headers) assert.deepEqual(arrived.values(name), [value], `${target}: ${name}`);
  }
}

/** An answer's headers and body arrive as they were sent, on public and private routes. */
async function returnUnchanged(status, headers, body = "", request = {}) {
  const bytes = Buffer.from(body);
  const length = status === 204 || status === 304 || headers.some(([name]) => name === "Content-Length") ? [] : [["Content-Length", String(bytes.length)]];
  const head = [...headers, ...length].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  for (const [target, own] of everywhere()) {
    const { got } = await send({ target, ...request, headers: [...own, ...(request.headers ?? [])] }, [`HTTP/1.1 ${status} Any\r\n${head}\r\n`, bytes]);
    assert.equal(got.status, status, target);
    for (const name of new Set(headers.map(([given]) => given))) assert.deepEqual(valuesOf(got, name), valuesOf({ headers }, name), `${target}: ${name}`);
    assert.ok(got.body.equals(bytes), `${target}: ${got.body.length} bytes instead of ${bytes.length}`);
  }
}

const answering = (...headers) => `HTTP/1.1 200 OK\r\n${headers.map((line) => `${line}\r\n`).join("")}Content-Length: 2\r\n\r\nok`;
const REFERENCES = ["Location", "Content-Location", "Refresh"];
const referring = (name, url) => `${name}: ${name === "Refresh" ? `5; url=${url}` : url}`;

/** Each row's first cell and treatment, and its check. */
const REQUESTS = {
  "method, body, `Content-Type`": ["unchanged", async () => {
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      for (const target of ["/public/x", "/timed/x"]) {
        const { arrived } = await send({ method, target, headers: [["Content-Type", "text/x-odd"]], body: "the body" });
        assert.deepEqual([arrived.line, arrived.body, ...arrived.values("content-type")], [`${method} ${target} HTTP/1.1`, "the body", "text/x-odd"]);
      }
    }
    const { arrived } = await send({ method: "POST", target: "/public/x", headers: [["Transfer-Encoding", "chunked"]], body: "2\r\nhi\r\n0\r\n\r\n" });
    assert.match(arrived.body, /^2\r\nhi\r\n0\r\n/);
    assert.deepEqual((await send("/public/x")).arrived.values("transfer-encoding"), []);
  }],
  "path and query": ["unchanged", async () => {
    for (const rest of ["/a%2Fb/%41//c;v=1", "/x?a=%20&b=c?d/../&%zz", "/?", "/"]) {
      assert.equal((await send(`/public${rest}`)).arrived.line, `GET /public${rest} HTTP/1.1`);
      assert.equal((await send(`/based${rest}`)).arrived.line, `GET /base/based${rest} HTTP/1.1`);
    }
  }],
  "path, with `strip_prefix`": ["mapped", async () => {
    for (const [target, path] of [["/v1/a%2Fb//c?d=/v1", "/a%2Fb//c?d=/v1"], ["/v1/", "/"], ["/v1", "/"], ["/v1?x", "/?x"], ["/v1/v1", "/v1"]]) {
      assert.equal((await send(target)).arrived.line, `GET ${path} HTTP/1.1`, target);
    }
    for (const target of ["/v1//x", "/v1/%2Fx", "/v1/%5Cx", "/v1/;a/x", "/%761/x"]) {
      const { got, arrived } = await send(target);
      await assertProblem(got, { status: 400, code: "path_ambiguous" });
      assert.equal(arrived, undefined, target);
    }
    for (const target of ["/v1/%2e%2e%2fx", "/v1/..%2fx", "/v1/%252e%252e/x"]) {
      await assertProblem((await send(target)).got, { status: 400, code: "path_invalid" });
    }
  }],
  "`Host`": ["mapped", async () => {
    assert.deepEqual((await send("/public/x")).arrived.values("host"), [`127.0.0.1:${origin.port}`]);
    await send("/service/x");
    assert.deepEqual(services.at(-1), { url: `http://${HOST}/service/x`, prefix: null });
    await send("/own/x?y");
    assert.deepEqual(services.at(-1), { url: `http://${HOST}/x?y`, prefix: "/own" });
  }],
  "`Cache-Control`, `Pragma`": ["unchanged", async () => {
    await arriveUnchanged([["Cache-Control", "max-age=0"], ["Pragma", "no-cache"]]);
    for (const [target, headers] of everywhere()) {
      const { arrived } = await send({ target, headers });
      assert.deepEqual([arrived.values("cache-control"), arrived.values("pragma")], [[], []], target);
    }
  }],
  "`If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range`, `Range`": ["unchanged", async () => {
    const date = "Wed, 21 Oct 2015 07:28:00 GMT";
    await arriveUnchanged([
      ["If-Match", '"a", W/"b"'], ["If-None-Match", '"c", *'], ["If-Modified-Since", date], ["If-Unmodified-Since", date], ["If-Range", '"a"'],
      ["Range", "bytes=0-1,-5"],
    ]);
  }],
  "`Accept`, `Accept-Encoding`, `Accept-Language`, `User-Agent`": ["unchanged", () =>
    arriveUnchanged([["Accept", "text/html;q=0.9,*/*"], ["Accept-Encoding", "zstd, br;q=0.5"], ["Accept-Language", "de-CH"], ["User-Agent", "any/1"]])],
  "`Expect`": ["unchanged", async () => {
    const post = { method: "POST", target: "/public/x", headers: [["Expect", "100-continue"]], body: "hi" };
    const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (const answer of [["HTTP/1.1 100 Continue\r\n\r\n", ok], ok]) {
      const { got, arrived } = await send(post, answer);
      assert.deepEqual([arrived.values("expect"), arrived.body], [["100-continue"], "hi"]);
      assert.ok(got.status === 100 ? got.text.startsWith("HTTP/1.1 200 OK") : got.status === 200, got.text);
    }
    const { got, arrived } = await send({ target: "/public/x", headers: [["Expect", "202-maybe"]] }, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert.deepEqual([got.status, arrived.values("expect")], [417, ["202-maybe"]]);
  }],
  "`Upgrade: websocket`, `Sec-WebSocket-Protocol`": ["unchanged", async () => {
    sockets.reset();
    const { socket } = await openSocket(worker, "/sockets/x?y=1", { protocols: ["chat.v2", "chat.v1"] });
    const { url, headers } = sockets.last;
    assert.deepEqual([url, headers.upgrade, headers["sec-websocket-protocol"]], ["/sockets/x?y=1", "websocket", "chat.v2,chat.v1"]);
    socket.send("hello");
    assert.equal(String((await once(socket, "message"))[0]), "hello");
    socket.terminate();
  }],
  "`Cookie`": ["unchanged", () => arriveUnchanged([["Cookie", 'a=1; b="x, y"; c=%C3']])],
  "the gateway's own cookies": ["removed", async () => {
    for (const [target, own] of everywhere()) {
      const cookie = "a=1; __Host-edgeward=1.x; __Host-edgeward-login-abcdefgh=1.y; b=2";
      assert.deepEqual((await send({ target, headers: [...own, ["Cookie", cookie]] })).arrived.values("cookie"), ["a=1; b=2"], target);
    }
  }],
  "`Authorization`": ["removed", async () => {
    for (const [target, kept] of [["/public/x", []], ["/private/x", []], ["/kept/x", undefined]]) {
      const header = authorization();
      assert.deepEqual((await send({ target, headers: [header] })).arrived.values("authorization"), kept ?? [header[1]], target);
    }
  }],
  "`DPoP`": ["unchanged", async () => {
    await arriveUnchanged([["DPoP", "no.proof.atall"]]);
    const { arrived } = await sendBound();
    assert.deepEqual([arrived.values("dpop"), arrived.values("authorization")], [[], []]);
  }],
  "identity, client address, previous proxies, method override": ["removed", async () => {
    const names = ["X-User-Id", "x_user_id", "Remote-User", "X-Real-IP", "Forwarded", "X-Forwarded-User", "X-Original-URL", "X-HTTP-Method-Override"];
    for (const [target, own] of [...everywhere(), ["/off/x", []]]) {
      const { arrived } = await send({ target, headers: [...own, ...names.map((name) => [name, "spoofed"])] });
      assert.ok(!arrived.text.includes("spoofed"), arrived.text);
    }
  }],
  "`X-Forwarded-Host`, `X-Forwarded-Proto`, `X-Forwarded-For`": ["added", async () => {
    const spoofed = ["Host", "Proto", "For", "Prefix", "Port"].map((name) => [`X-Forwarded-${name}`, "spoofed"]);
    for (const [target, expected] of [["/public/x", [[HOST], ["http"], ["192.0.2.7"]]], ["/off/x", [[], [], []]]]) {
      const { arrived } = await send({ target, headers: [...spoofed, ["CF-Connecting-IP", "192.0.2.7"]] });
      assert.deepEqual(["x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"].map(arrived.values), expected, target);
      assert.ok(!arrived.text.includes("spoofed"), arrived.text);
    }
  }],
  "`X-Forwarded-Prefix`": ["added", async () => {
    for (const [target, expected] of [["/v1/x", ["/v1"]], ["/off/x", []], ["/public/x", []]]) {
      const { arrived } = await send({ target, headers: [["X-Forwarded-Prefix", "//evil.example"]] });
      assert.deepEqual(arrived.values("x-forwarded-prefix"), expected, target);
    }
  }],
  "headers of `integration.headers`": ["added", async () => {
    assert.deepEqual((await send({ target: "/public/x", headers: [["X-Tenant", "spoofed"]] })).arrived.values("x-tenant"), ["gold"]);
    assert.deepEqual((await send({ target: "/v1/x", headers: [["X-Tenant", "spoofed"]] })).arrived.values("x-tenant"), []);
    assert.deepEqual((await send({ target: "/private/x", headers: [authorization()] })).arrived.values("x-user-id"), ["user-1"]);
  }],
  "`Connection`, `Keep-Alive`, `TE`, `Transfer-Encoding`, `Proxy-*`": ["removed", async () => {
    const headers = [["Keep-Alive", "timeout=5"], ["TE", "trailers"], ["Proxy-Authorization", "Basic eDp5"], ["Proxy-Connection", "close"]];
    for (const [target, own] of everywhere()) {
      const { arrived } = await send({ target, headers: [...own, ...headers] });
      for (const name of ["connection", "transfer-encoding", ...headers.map(([name]) => name)]) assert.deepEqual(arrived.values(name), [], name);
    }
  }],
  "trailers": ["removed", async () => {
    const headers = [["Transfer-Encoding", "chunked"], ["Trailer", "X-Sum"]];
    const { arrived } = await send({ method: "POST", target: "/public/x", headers, body: "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n" });
    assert.deepEqual([arrived.body, arrived.values("trailer")], ["2\r\nhi\r\n0\r\n\r\n", []]);
  }],
};

const compressed = Buffer.from("compressible ".repeat(500));
const ANSWERS = {
  "status, body, `Content-Type`": ["unchanged", async () => {
    for (const status of [200, 201, 301, 307, 400, 404, 412, 429, 500, 503, 599]) await returnUnchanged(status, [["Content-Type", "text/x-odd"]], "the body");
  }],
  "`ETag`, `Last-Modified`, `Vary`, `Age`, `Expires`, `Link`": ["unchanged", () => returnUnchanged(200, [
    ["ETag", 'W/"x"'], ["Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"], ["Age", "7"], ["Expires", "0"], ["Link", "</a.css>; rel=preload"],
  ]).then(() => send("/public/x", answering("Vary: Accept"))).then(({ got }) => assert.equal(valuesOf(got, "vary").join(", ").split(", ").includes("Accept"), true))],
  "204 and 304": ["unchanged", async () => {
    await returnUnchanged(204, [["ETag", '"x"']]);
    await returnUnchanged(304, [["ETag", '"x"'], ["Content-Encoding", "gzip"]], "", { headers: [["If-None-Match", '"x"']] });
  }],
  "206 with `Content-Range`, 416": ["unchanged", async () => {
    await returnUnchanged(206, [["Content-Range", "bytes 0-1/5"], ["Accept-Ranges", "bytes"]], "ok", { headers: [["Range", "bytes=0-1"]] });
    await returnUnchanged(416, [["Content-Range", "bytes */5"]], "", { headers: [["Range", "bytes=9-"]] });
  }],
  "the answer to `HEAD`": ["unchanged", () => returnUnchanged(200, [["Content-Length", "500"], ["Content-Encoding", "gzip"], ["ETag", '"x"']], "", { method: "HEAD" })],
  "100, 102, 103": ["removed", async () => {
    const early = ["HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"];
    for (const [target, headers] of everywhere()) {
      const { got } = await send({ target, headers }, [...early, answering("X-One: 1")]);
      assert.deepEqual([got.status, got.text, valuesOf(got, "x-one"), valuesOf(got, "link")], [200, "ok", ["1"], []], target);
    }
  }],
  "101 with `Sec-WebSocket-Protocol`": ["unchanged", async () => {
    for (const path of ["/sockets/x", "/timed-sockets/x"]) {
      const { status, socket, headers } = await openSocket(worker, path, { protocols: ["chat.v2", "chat.v1"] });
      assert.deepEqual([status, headers["sec-websocket-protocol"]], [101, "chat.v2"]);
      // Beyond the timeout of the second route.
      await delay(path.startsWith("/timed") ? 600 : 0);
      socket.send("still there");
      assert.equal(String((await once(socket, "message"))[0]), "still there");
      socket.terminate();
    }
  }],
  "server-sent events": ["unchanged", async () => {
    const answer = await worker.fetch("/timed-events");
    const began = Date.now();
    const reader = answer.body.getReader();
    for (const count of [1, 2, 3]) assert.equal(Buffer.from((await reader.read()).value).toString(), `data: ${count}\n\n`);
    assert.ok(Date.now() - began > 600, "they did not come at once");
  }],
  "a body with `Content-Encoding`": ["unchanged", async () => {
    const odd = Buffer.from(Uint8Array.from({ length: 512 }, (_, index) => index));
    for (const [encoding, body] of [
      ["gzip", gzipSync(compressed)], ["br", brotliCompressSync(compressed)], ["zstd", zstdCompressSync(compressed)], ["x-odd", odd], ["identity", odd],
      ["gzip, br", brotliCompressSync(gzipSync(compressed))], ["GZIP", gzipSync(compressed)], ["gzip", odd],
    ]) {
      for (const headers of [[], [["Accept-Encoding", encoding]], [["Accept-Encoding", "identity"]]]) {
        await returnUnchanged(200, [["Content-Encoding", encoding], ["Content-Length", String(body.length)]], body, { headers });
      }
    }
  }],
  "`Set-Cookie`": ["unchanged", () => returnUnchanged(200, [
    ["Set-Cookie", "a=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Path=/v1"], ["Set-Cookie", "b=2, 3"], ["Set-Cookie", "a=4; Domain=example.com"],
  ])],
  "the gateway's session cookie": ["added", async () => {
    const now = Math.floor(Date.now() / 1000);
    const login = { issuer: issuer.issuer, clientId: "web", audience: [AUDIENCE] };
    const old = sessionCookie(SECRET, HOST, login, session({ iat: now - 80_000, seen: now - 80_000 }));
    const { got } = await send({ target: "/private/x", headers: [["Cookie", old]] }, answering("Set-Cookie: own=1"));
    assert.equal(got.status, 200, got.text);
    assert.deepEqual(valuesOf(got, "set-cookie").map((line) => line.split("=")[0]), ["own", "__Host-edgeward"]);
  }],
  "`DPoP-Nonce`": ["added", async () => {
    const { got } = await sendBound(answering("DPoP-Nonce: of the origin"));
    assert.equal(valuesOf(got, "dpop-nonce").length, 1);
    assert.notEqual(valuesOf(got, "dpop-nonce")[0], "of the origin");
  }],
  "`Location`, `Content-Location`, `Refresh` to the route's own origin": ["mapped", async () => {
    for (const name of REFERENCES) {
      for (const [target, url, path] of [
        ["/public/x", `${origin.url}/public/y?a#b`, "/public/y?a#b"], ["/v1/x", `${origin.url}/y`, "/v1/y"], ["/v1/x", "/y", "/v1/y"],
        ["/based/x", `${origin.url}/base/based/y`, "/based/y"], ["/based/x", "/base/based/y", "/based/y"], ["/v1", "y", "/v1/y"],
      ]) {
        const { got } = await send(target, answering(referring(name, url)));
        assert.deepEqual(valuesOf(got, name), [referring(name, `http://${HOST}${path}`).slice(name.length + 2)], `${target}: ${name}: ${url}`);
      }
    }
    for (const to of ["/y?z", `http://${HOST}/y?z`, "y?z"]) {
      const { got } = await send(`/own?to=${encodeURIComponent(to)}`);
      assert.deepEqual(valuesOf(got, "location"), [`http://${HOST}/own/y?z`], to);
    }
  }],
  "`Location`, `Content-Location`, `Refresh` to elsewhere": ["unchanged", async () => {
    for (const name of REFERENCES) {
      for (const url of ["https://elsewhere.example/x?y#z", "//elsewhere.example", "/public/y", "y", "?y", `${origin.url}.evil.example/`, "mailto:a@b.example"]) {
        const { got } = await send("/public/x", answering(referring(name, url)));
        assert.deepEqual(valuesOf(got, name), [referring(name, url).slice(name.length + 2)], url);
      }
    }
    assert.deepEqual(valuesOf((await send("/public/x", answering("Refresh: 55"))).got, "refresh"), ["55"]);
  }],
  "`Cache-Control`, on a private route": ["mapped", async () => {
    for (const [said, expected] of [[[], "private, no-store"], [["Cache-Control: public, max-age=60"], "private, no-store"], [["Cache-Control: private"], "private"]]) {
      const { got } = await send({ target: "/private/x", headers: [authorization()] }, answering(...said));
      assert.deepEqual(valuesOf(got, "cache-control"), [expected]);
    }
    assert.deepEqual(valuesOf((await send("/public/x", answering("Cache-Control: public"))).got, "cache-control"), ["public"]);
  }],
  "`CDN-Cache-Control`, `Surrogate-Control`, `X-Accel-Expires` and their like, on a private route": ["removed", async () => {
    const names = [
      "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "Akamai-Cache-Control", "Edge-Control",
      "Netlify-CDN-Cache-Control", "Vercel-CDN-Cache-Control", "X-LiteSpeed-Cache-Control",
    ];
    for (const [target, headers] of everywhere()) {
      const { got } = await send({ target, headers }, answering(...names.map((name) => `${name}: 60`)));
      for (const name of names) assert.deepEqual(valuesOf(got, name), target === "/public/x" ? ["60"] : [], `${target}: ${name}`);
    }
  }],
  "`Access-Control-*`, with `cors` configured": ["mapped", async () => {
    const said = answering("Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true");
    for (const [from, expected] of [["https://www.example.com", ["https://www.example.com"]], ["https://evil.example", []]]) {
      const { got } = await send({ target: "/public/x", headers: [["Origin", from]] }, said);
      assert.deepEqual([valuesOf(got, "access-control-allow-origin"), valuesOf(got, "access-control-allow-credentials")], [expected, []], from);
    }
  }],
  "`Connection`, `Keep-Alive`, `Transfer-Encoding`": ["removed", async () => {
    const { got } = await send("/public/x", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    assert.deepEqual([got.text, valuesOf(got, "keep-alive"), valuesOf(got, "connection")], ["ok", [], ["close"]]);
  }],
  "trailers": ["removed", async () => {
    const { got } = await send("/public/x", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert.deepEqual([got.text, valuesOf(got, "trailer"), valuesOf(got, "x-sum")], ["ok", [], []]);
  }],
  "no headers within `timeout_ms`": ["mapped", async () => {
    const began = Date.now();
    const closed = Promise.withResolvers();
    const { got } = await send("/timed/x", (socket) => socket.on("close", closed.resolve));
    await assertProblem(got, { status: 504, code: "origin_timeout" });
    assert.ok(Date.now() - began >= 290);
    await closed.promise;
    await worker.waitForLog("origin_timeout");
    await assertProblem((await send("/own/slow")).got, { status: 504, code: "origin_timeout" });
    // An upload counts, however fast the rest is.
    const upload = `POST /timed/x HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100\r\n\r\nhalf`;
    await assertProblem(worker.raw(upload), { status: 504, code: "origin_timeout" });
    // Once the headers are there, the body may take any time.
    const slow = await send("/timed/x", async (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi");
      await delay(700);
      socket.end("ne");
    });
    assert.deepEqual([slow.got.status, slow.got.text], [200, "fine"]);
  }],
  "no answer, or one that is not HTTP": ["mapped", async () => {
    for (const answer of ["SSH-2.0-x\r\n", "", "HTTP/1.1 200"]) {
      await assertProblem((await send("/public/x", answer)).got, { status: 502, code: "origin_unreachable" });
      await assertProblem((await send("/timed/x", answer)).got, { status: 502, code: "origin_unreachable" });
    }
    await assertProblem((await send("/gone")).got, { status: 502, code: "origin_unreachable" });
  }],
};

const document = readFileSync(join(import.meta.dirname, "../../docs/forwarding.md"), "utf8");

for (const [heading, rows] of [["Requests", REQUESTS], ["Answers", ANSWERS]]) {
  const [section] = document.split(`## ${heading}\n`)[1].split("\n## ");
  const table = [...section.matchAll(/^\| (.+?) \| (\w+) \|.*\|$/gm)].map(([, what, treatment]) => [what, treatment]).filter(([what]) => what !== "what");

  describe(heading, () => {
    test("the table has these rows and no others", () => {
      assert.deepEqual(table, Object.entries(rows).map(([what, [treatment]]) => [what, treatment]));
    });
    for (const [what, [treatment, check]] of Object.entries(rows)) test(`${what}: ${treatment}`, { timeout: 30_000 }, check);
  });
}

test("the table of mapped addresses is true", async () => {
  const seen = [];
  let location;
  const site = await startWorker({
    config: { paths: [{ method: "ANY", path: "/{*rest}", auth: "none", integration: { type: "http_proxy", url: "https://origin.example/base" } }] },
    hosts: (request) => {
      seen.push(request.url);
      return new Response(null, { status: 302, headers: { location } });
    },
  });
  try {
    const [section] = document.split("## Addresses of the origin\n")[1].split("\n## ");
    const rows = [...section.matchAll(/^\| (`.+`) \| (.+) \|$/gm)];
    assert.ok(rows.length >= 6);
    for (const [, cell, outcome] of rows) {
      for (const [, given] of cell.matchAll(/`([^`]+)`/g)) {
        if (given === "Location") continue;
        location = given;
        const answer = await site.request({ target: "/x/y", headers: [["Host", HOST]] });
        const expected = outcome.startsWith("unchanged") ? given : /`([^`]+)`/.exec(outcome)[1].replace("https://", "http://");
        assert.equal(answer.header("location"), expected, given);
      }
    }
    assert.equal(seen[0], "https://origin.example/base/x/y");
  } finally {
    await site.stop();
  }
});

test("the options of each fetch: no cache stores a private answer, no header is added, and public answers are the cache's own affair", async () => {
  const seen = [];
  const hosts = (request) => {
    seen.push({ url: request.url, cf: request.cf, headers: [...request.headers.keys()] });
    return new Response("ok");
  };
  const backend = [];
  const at = (path, auth, more) => ({ method: "ANY", path, auth, integration: { type: "http_proxy", url: "https://origin.example", ...more } });
  const site = await startWorker({
    config: {
      authorizer: authorizer(issuer),
      paths: [at("/none.css", "none"), at("/optional.css", "optional"), at("/timed.css", "optional", { timeout_ms: 5000 }), {
        method: "ANY", path: "/service.css", auth: "optional", integration: { type: "service", binding: "BACKEND" },
      }],
    },
    hosts,
    serviceBindings: {
      BACKEND: (request) => {
        backend.push({ cf: request.cf, headers: [...request.headers.keys()] });
        return new Response("ok");
      },
    },
  });
  try {
    for (const [path, is] of [["/none.css", undefined], ["/optional.css", { "100-599": -1 }], ["/timed.css", { "100-599": -1 }]]) {
      for (const method of ["GET", "HEAD", "POST"]) {
        seen.length = 0;
        assert.equal((await site.request({ target: path, method })).status, 200);
        assert.deepEqual(seen[0].cf?.cacheTtlByStatus, is, `${method} ${path}`);
        assert.equal(seen[0].cf?.cacheLevel, is && "bypass", `${method} ${path}`);
        for (const name of ["cacheTtl", "cacheEverything", "cacheKey"]) assert.equal(seen[0].cf?.[name], undefined, name);
        for (const name of ["cache-control", "pragma"]) assert.ok(!seen[0].headers.includes(name), `${method} ${path}: ${name}`);
      }
    }
    assert.equal((await site.request({ target: "/service.css" })).status, 200);
    for (const name of ["cache-control", "pragma"]) assert.ok(!backend[0].headers.includes(name), name);
  } finally {
    await site.stop();
  }
});
