// Requests behind requests: bytes that one parser reads as a body, or as the end of a head, and another as the next request. No origin may
// serve a protected handler for them without a token, and the gateway serves the next connection as if nothing had been.

import { authorizer, proxy } from "../node/support/gateway.mjs";
import { startIssuer } from "../node/support/tokens.mjs";
import { RawClient } from "./client.mjs";
import { CASE, PROTECTED, PUBLIC, REFUSED, startOrigins } from "./origins.mjs";
import { each, sample, startGateways, Tally } from "./support.mjs";

const HEAD = "Host: 127.0.0.1\r\n";
const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** A body of one chunk. */
const chunk = (text, { size = text.length.toString(16), after = "\r\n", end = "0\r\n\r\n" } = {}) => `${size}\r\n${text}${after}${end}`;

const LENGTHS = ["0", "+5", "-1", "0x5", "5, 5", "5,6", " 5", "05", "5 ", "5\t", "", "5.0", "5e0", "99999999999999999999", "18446744073709551616", "\x0b5", "5;6", "five", "5\r\n "];
const ENCODINGS = [
  "Transfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
  "Transfer-Encoding: gzip, chunked", "Transfer-Encoding:\r\n chunked", "X: y\r\n Transfer-Encoding: chunked", "Transfer-encoding: CHUNKED", "Transfer_Encoding: chunked", "Transfer-Encoding: \x0bchunked",
  'Transfer-Encoding: "chunked"', "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding: chunked\0", "Transfer-Encoding\0: chunked",
  " Transfer-Encoding: chunked", "Transfer-Encoding: chunKed ", "Transfer-Encoding: ,chunked", "TE: chunked", "Content-Encoding: chunked",
];
const SIZES = ["5;a=b", "5;", "5 ", " 5", "0x5", "+5", "-5", "5\t", "05", "000000000000000005", "FFFFFFFFFFFFFFFF", "10000000000000005", "5,5", "5\n", "", "g"];
const LINES = [
  (path) => `GET ${path} HTTP/1.0\r\nConnection: keep-alive`, (path) => `GET ${path}`, (path) => `GET ${path} HTTP/1.2`, (path) => `GET ${path} HTTP/2.0`, (path) => `GET ${path} http/1.1`, (path) => `GET  ${path} HTTP/1.1`, (path) => `GET\t${path}\tHTTP/1.1`,
  (path) => `GET ${path} /admin HTTP/1.1`, (path) => `GET ${path} HTTP/1.1 /admin`, (path) => `GET /admin ${path} HTTP/1.1`, (path) => `\r\n\r\nGET ${path} HTTP/1.1`, (path) => ` GET ${path} HTTP/1.1`, (path) => `GET ${path}\x0bHTTP/1.1`, (path) => `GET ${path} HTTP/1.1\r`,
  (path) => `GET ${path} HTTP/1.1\n`, (path) => `GET ${path} HTTP/1.1\r\nX: y\nX-Z: w`, (path) => `GET ${path} HTTP/1.1\r\nX: y\rX-Z: w`, (path) => `GET ${path} HTTP/1.1\r\nX y`, (path) => `GET ${path} HTTP/1.1\r\n: y`, (path) => `GET ${path} HTTP/1.1\r\nX\0: y`, (path) => `GET ${path} HTTP/1.1\r\nX: \0`,
  (path) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET ${path} HTTP/1.1`, (path) => `GET${path} HTTP/1.1`, (path) => `CONNECT ${path} HTTP/1.1`, () => "CONNECT 127.0.0.1:80 HTTP/1.1",
];
const UPGRADES = [
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n${KEY}`, `Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}`, `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${KEY}`,
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n", `Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n${KEY}`, `Connection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n${KEY}`,
  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${KEY}Content-Length: 5\r\n`,
];

/** Bytes that begin with a request for a public path and end with `inner`, by name. `head` is what its lines have in common. */
function framings(head, inner) {
  const post = (lines, body) => `POST /public/a HTTP/1.1\r\n${head}${lines}\r\n${body}`;
  const found = [
    ["the body", post(`Content-Length: ${inner.length}\r\n`, inner)],
    ["behind an empty body", post("Content-Length: 0\r\n", inner)],
    ["behind no body", post("", inner)],
    ["a chunk", post("Transfer-Encoding: chunked\r\n", chunk(inner))],
    ["behind a chunked body", post("Transfer-Encoding: chunked\r\n", chunk("x") + inner)],
    ["a trailer", post("Transfer-Encoding: chunked\r\nTrailer: X\r\n", chunk("x", { end: `0\r\nX: y\r\n${inner}` }))],
    ["within the trailers", post("Transfer-Encoding: chunked\r\n", `0\r\n${inner}`)],
    ["a body for 100-continue", post(`Expect: 100-continue\r\nContent-Length: ${inner.length}\r\n`, inner)],
    ...["GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "FOO"].flatMap((method) => [
      [`the body of ${method}`, `${method} /public/a HTTP/1.1\r\n${head}Content-Length: ${inner.length}\r\n\r\n${inner}`],
      [`a chunk of ${method}`, `${method} /public/a HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n${chunk(inner)}`],
      [`behind a body of ${method}`, `${method} /public/a HTTP/1.1\r\n${head}Content-Length: 1\r\n\r\nx${inner}`],
    ]),
    ...LENGTHS.map((length) => [`Content-Length ${JSON.stringify(length)}`, post(`Content-Length: ${length}\r\n`, `hello${inner}`)]),
    ...[["5", "6"], ["0", "5"], ["5", "0"], ["5", "5"]].map(([one, other]) => [`Content-Length ${one} and ${other}`, post(`Content-Length: ${one}\r\nContent-Length: ${other}\r\n`, `hello${inner}`)]),
    ...["Content-Length : 5", "Content_Length: 5", "Content-Length\t: 5", "X: y\r\n Content-Length: 5"].map((line) => [JSON.stringify(line), post(`${line}\r\n`, `hello${inner}`)]),
    ...SIZES.map((size) => [`a chunk of the size ${JSON.stringify(size)}`, post("Transfer-Encoding: chunked\r\n", chunk("hello", { size }) + inner)]),
    ["a chunk with LF", post("Transfer-Encoding: chunked\r\n", `5\nhello\n0\n\n${inner}`)],
    ["a chunk without a line break", post("Transfer-Encoding: chunked\r\n", chunk("hello", { after: "" }) + inner)],
    ["a chunk that is longer than it says", post("Transfer-Encoding: chunked\r\n", chunk(`hello\r\n0\r\n\r\n${inner}`, { size: "5" }))],
    ...LINES.map((line) => [JSON.stringify(line("/public/a")), `${line("/public/a")}\r\n${head}\r\n${inner}`]),
    ...LINES.map((line) => [`${JSON.stringify(line("/admin"))}, itself`, `${line("/admin")}\r\n${head}\r\n${inner}`]),
    ...UPGRADES.map((lines) => [`behind an upgrade: ${JSON.stringify(lines)}`, `GET /public/a HTTP/1.1\r\n${head}${lines}\r\n${inner}`]),
    ...UPGRADES.map((lines) => [`behind a refused upgrade: ${JSON.stringify(lines)}`, `GET ${REFUSED} HTTP/1.1\r\n${head}${lines}\r\n${inner}`]),
    ...UPGRADES.map((lines) => [`behind an upgrade by POST: ${JSON.stringify(lines)}`, `POST /public/a HTTP/1.1\r\n${head}${lines}Content-Length: 5\r\n\r\nhello${inner}`]),
  ];
  for (const encoding of ENCODINGS) {
    const whole = chunk("x") + inner;
    found.push([`${JSON.stringify(encoding)} alone`, post(`${encoding}\r\n`, whole)]);
    for (const length of [whole.length, 5, chunk("x").length]) {
      found.push([`${JSON.stringify(encoding)} after a length`, post(`Content-Length: ${length}\r\n${encoding}\r\n`, whole)], [`${JSON.stringify(encoding)} before a length`, post(`${encoding}\r\nContent-Length: ${length}\r\n`, whole)]);
      found.push([`${JSON.stringify(encoding)} and a length of 5, inside`, post(`Content-Length: ${length}\r\n${encoding}\r\n`, chunk(inner))]);
    }
  }
  return found;
}

export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const [origins, issuer] = await Promise.all([startOrigins(), startIssuer()]);
  const config = (url) => ({ authorizer: authorizer(issuer), paths: [proxy("/admin", url), proxy("/admin/{*rest}", url), proxy("/{*rest}", url, { auth: "none" })] });
  const gateways = await startGateways(Object.fromEntries(Object.entries(origins.urls).map(([name, url]) => [name, config(url)])));
  let next = 0;
  try {
    const names = framings("", "").map(([name], index) => ({ name, index }));
    const cases = sample(Object.keys(origins.urls).flatMap((origin) => names.map((one) => ({ origin, ...one }))), { seed, share });
    await each(cases, async ({ origin, name, index }) => {
      next += 1;
      const id = `smuggled-${next}`;
      const inner = `GET /admin HTTP/1.1\r\n${HEAD}${CASE}: ${id}\r\n\r\n`;
      const [, bytes] = framings(`${HEAD}${CASE}: ${id}\r\n`, inner)[index];
      const client = new RawClient(gateways.worker.ports[Object.keys(origins.urls).indexOf(origin)], { connections: 1, depth: 1, timeout: 600 });
      const answer = await client.raw(bytes, { isLast: true });
      // What an origin does with the rest, it does at once: the next request on the gateway's connection to it comes after that.
      const after = await gateways.clients[origin].send({ target: "/public/after", headers: [[CASE, `after-${next}`]] });
      client.close();
      const served = origins.served(id);
      tally.cases += 1;
      for (const { handler, method, target } of served) {
        tally.check(handler !== PROTECTED, () => `${origin}: ${name}: ${answer.status}, served as ${method} ${target}`);
      }
      tally.check(after.status === 200 && after.header("x-handler") === PUBLIC, () => `${origin}: after ${name}: ${after.status} ${after.text}`);
      // The runtime has no way to hand CONNECT to a Worker.
      tally.check(answer.status !== 500 || name.includes("CONNECT"), () => `${origin}: ${name}: ${answer.status}`);
      tally.count(`answers with ${answer.status || "the end of the connection, or none"}`);
    }, { atOnce: 24 });
  } finally {
    await gateways.stop();
    await Promise.all([origins.stop(), issuer.stop()]);
  }
  return tally;
}
