// A header that a client sends twice: refused over HTTP/1.1 and over HTTP/2, by the guards and by the middleware, whichever token comes first. Both
// requests are written byte by byte: Node's own client of HTTP/2 refuses to send them.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { install, pack } from "./install.mjs";

const LONG_LENGTH = 127;

let temporary;
let guards;
let first;
let second;
let bound;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-headers-"));
  const folder = await install(join(temporary, "project"), await pack(temporary));
  const [{ createVerifier, guard }, { bearer }, { createIssuer }] = await Promise.all(
    ["inline", "express", "testing"].map((name) => import(pathToFileURL(join(folder, "node_modules/edgeward/dist", `${name}.js`)))),
  );
  const issuer = await createIssuer();
  const options = { audience: "api", dpop: "allowed", origins: "https://api.example.com" };
  const verifier = createVerifier(issuer.verifierOptions(options));
  [first, second] = await Promise.all(["first", "second"].map((sub) => issuer.mint({ claims: { aud: "api", sub } })));
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  const token = await issuer.mint({ claims: { aud: "api", sub: "bound", cnf: { jkt: await calculateJwkThumbprint(jwk) } } });
  const ath = createHash("sha256").update(token).digest("base64url");
  const prove = () =>
    new SignJWT({ jti: randomUUID(), htm: "GET", htu: "https://api.example.com/", ath, iat: issuer.now() }).setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk }).sign(privateKey);
  bound = { token, prove };
  const check = guard({ verifier });
  const middleware = bearer({ verifier, onError: (error, request, response, next) => next(error) });
  /** Each from a request of Node to its token. */
  guards = {
    "guard": (request) => check(request),
    "authenticate": (request) => verifier.authenticate(request),
    "express": (request) => new Promise((resolve, reject) => middleware(request, {}, (error) => (error === undefined ? resolve(request.auth) : reject(error)))),
  };
});
after(() => rmSync(temporary, { recursive: true, force: true }));

/** Bytes of a request with these headers, in HTTP/1.1. */
const http1 = (headers) => `GET / HTTP/1.1\r\nHost: api.example.com\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;

/** Bytes of a request with these headers, in HTTP/2: literals without indexing, never compressed (RFC 7541 §6.2.2). */
function http2(headers) {
  const string = (text) => {
    const bytes = Buffer.from(text);
    if (bytes.length < LONG_LENGTH) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length = [LONG_LENGTH];
    let rest = bytes.length - LONG_LENGTH;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  const frame = (type, flags, stream, payload) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const pseudo = [[":method", "GET"], [":path", "/"], [":scheme", "http"], [":authority", "api.example.com"]];
  const fields = [...pseudo, ...headers.map(([name, value]) => [name.toLowerCase(), value])].map(([name, value]) => Buffer.concat([Buffer.from([0]), string(name), string(value)]));
  const [SETTINGS, HEADERS, END] = [4, 1, 5];
  return Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0, Buffer.alloc(0)), frame(HEADERS, END, 1, Buffer.concat(fields))]);
}

/** Sends a request, and returns what `use` makes of it in the server. */
async function received(create, bytes, use) {
  const server = create();
  const result = new Promise((resolve, reject) => server.on("request", (request) => use(request).then(resolve, reject)));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect(server.address().port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  socket.write(bytes);
  try {
    return await result;
  } finally {
    socket.destroy();
    server.close();
  }
}

for (const [version, create, encode] of [["HTTP/1.1", createServer, http1], ["HTTP/2", createHttp2Server, http2]]) {
  describe(`over ${version}`, () => {
    const verdict = (guard, headers) => received(create, encode(headers), async (request) => guards[guard](request).then((token) => token.payload.sub, ({ code, status }) => `${code} ${status}`));
    for (const guard of ["guard", "authenticate", "express"]) {
      it(`${guard} refuses a repeated Authorization, in any letter case, and accepts a single one`, async () => {
        const [one, two] = [`Bearer ${first}`, `Bearer ${second}`];
        assert.equal(await verdict(guard, [["Authorization", one]]), "first");
        assert.equal(await verdict(guard, [["X-Authorization", two], ["AUTHORIZATION", one], ["X-Other", two]]), "first");
        for (const values of [[one, two], [two, one], [one, one], [one, "Basic x"], ["Basic x", one], [one, one, one]]) {
          assert.equal(await verdict(guard, values.map((value) => ["Authorization", value])), "invalid_request 400");
        }
        assert.equal(await verdict(guard, [["Authorization", one], ["X-Between", "x"], ["aUTHORIZATION", two]]), "invalid_request 400");
        assert.equal(await verdict(guard, [["X-Authorization", one]]), "token_missing 401");
      });

      it(`${guard} refuses a repeated DPoP`, async () => {
        const authorization = ["Authorization", `DPoP ${bound.token}`];
        assert.equal(await verdict(guard, [authorization, ["DPoP", await bound.prove()]]), "bound");
        assert.equal(await verdict(guard, [authorization, ["DPoP", await bound.prove()], ["dpop", await bound.prove()]]), "dpop_proof_invalid 401");
        assert.equal(await verdict(guard, [authorization, authorization, ["DPoP", await bound.prove()]]), "invalid_request 400");
      });
    }

    it("a header that earlier middleware has set counts where the client sent none", async () => {
      const use = (request) => {
        request.headers.authorization = `Bearer ${first}`;
        return guards.guard(request);
      };
      assert.equal((await received(create, encode([]), use)).payload.sub, "first");
    });
  });
}
