// A loopback server for the runtimes: an issuer's documents, a redirect, and the browser's pages.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { generateKey, makeToken, publicJwk } from "../node/support/tokens.mjs";
import { AUDIENCE, NOW } from "./fixtures.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const POLICIES = {
  "/csp-allowed.html": "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
  "/csp-refused.html": "default-src 'self'; script-src 'self' 'unsafe-inline'",
};

export async function startServer(folder) {
  const key = await generateKey("RS256");
  const server = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, "http://localhost");
    res.setHeader("access-control-allow-origin", "*");
    if (pathname === "/.well-known/openid-configuration") return json(res, { issuer, jwks_uri: `${issuer}/jwks` });
    if (pathname === "/jwks") return json(res, { keys: [publicJwk(key, { kid: "live", alg: "RS256", use: "sig" })] });
    if (pathname === "/redirect") return res.writeHead(302, { location: `${issuer}/jwks` }).end();
    try {
      const file = join(folder, normalize(pathname));
      const body = await readFile(file);
      const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": "no-store" };
      if (POLICIES[pathname]) headers["content-security-policy"] = POLICIES[pathname];
      res.writeHead(200, headers).end(body);
    } catch {
      res.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const payload = { iss: issuer, sub: "live", aud: AUDIENCE, exp: NOW + 600 };
  const token = makeToken({ header: { alg: "RS256", kid: "live" }, payload, key });
  return {
    issuer, token, redirect: `${issuer}/redirect`,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

function json(res, value) {
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
