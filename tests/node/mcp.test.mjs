// The client of the official MCP SDK finds out how to log in from the gateway's challenge, and calls the server behind it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { Browser } from "./support/browser.mjs";
import { bearer, read, REALM } from "./support/gateway.mjs";
import { freePort, serve } from "./support/http.mjs";
import { mcpConfig } from "./support/mcp.mjs";
import { startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const port = await freePort();
const SITE = `http://127.0.0.1:${port}`;
const RESOURCE = `${SITE}/mcp`;
const METADATA = `${SITE}/.well-known/oauth-protected-resource/mcp`;
const CALLBACK = `${SITE}/callback`;

/** The requests that the MCP server has received: their headers. */
const received = [];
const server = await serve(async (req, res) => {
  received.push(req.headers);
  const mcp = new McpServer({ name: "demo", version: "1.0.0" });
  mcp.registerTool("whoami", { description: "Returns the user" }, () => ({ content: [{ type: "text", text: req.headers["x-user"] }] }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on("close", () => transport.close());
  await mcp.connect(transport);
  await transport.handleRequest(req, res);
});
const provider = await startProvider({ audiences: [RESOURCE, "https://other.example.com"], scopes: ["mcp:use"], gateways: [SITE] });
provider.setClient("mcp-client", { token_endpoint_auth_method: "none", redirect_uris: [CALLBACK] });
const worker = await startWorker({
  port,
  config: mcpConfig({ issuer: provider.issuer, resource: RESOURCE, url: server.url, user: "$claims.sub" }),
});
after(() => Promise.all([worker.stop(), provider.stop(), server.close()]));

/** What the SDK needs of an application: it stores what it is given, and opens the provider's page. */
class Application {
  redirectUrl = CALLBACK;
  clientMetadata = { redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
  clientInformation = () => ({ client_id: "mcp-client" });
  tokens = () => this.granted;
  saveTokens = (tokens) => (this.granted = tokens);
  redirectToAuthorization = (url) => (this.page = url);
  saveCodeVerifier = (verifier) => (this.verifier = verifier);
  codeVerifier = () => this.verifier;
}

/** Counts the requests for each URL. */
function countingFetch() {
  const urls = [];
  return { urls, fetch: (url, init) => (urls.push(String(url)), fetch(url, init)) };
}

test("the SDK's client is challenged, discovers the provider, logs in and calls a tool", async () => {
  const application = new Application();
  const { urls, fetch } = countingFetch();
  const connect = async (transport) => {
    const client = new Client({ name: "tests", version: "1.0.0" });
    await client.connect(transport);
    return client;
  };
  const first = new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider: application, fetch });
  await assert.rejects(connect(first), UnauthorizedError);
  assert.equal(received.length, 0, "nothing reaches the server before the login");
  assert.equal(urls[0], RESOURCE);
  assert.equal(urls[1], METADATA, "the challenge names the metadata");
  assert.equal(application.page.origin, provider.url, "the metadata names the provider");
  assert.equal(application.page.searchParams.get("resource"), RESOURCE);
  assert.equal(application.page.searchParams.get("scope"), "mcp:use", "the challenge names the scope");

  const { next } = await new Browser(worker).open(application.page.href, { until: (url) => url.href.startsWith(CALLBACK) });
  await first.finishAuth(next.searchParams.get("code"));
  const client = await connect(new StreamableHTTPClientTransport(new URL(RESOURCE), { authProvider: application, fetch }));
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name), ["whoami"]);
  const { content } = await client.callTool({ name: "whoami", arguments: {} });
  assert.deepEqual(content, [{ type: "text", text: "alice" }]);
  await client.close();
  assert.ok(received.length >= 3);
  for (const headers of received) assert.equal(headers.authorization, undefined, "the token stays at the gateway");
});

test("tokens for another resource, or without the scope, are refused with what the client needs to know", async () => {
  const call = (token) =>
    read(fetch(RESOURCE, { method: "POST", headers: { ...(token && bearer(token)), "content-type": "application/json" }, body: "{}" }));
  const before = received.length;
  const named = `resource_metadata="${METADATA}"`;
  const none = await call();
  assert.equal(none.status, 401);
  assert.equal(none.header("www-authenticate"), `${REALM}, ${named}, scope="mcp:use"`);
  const other = await call(await provider.tokenFor({ audience: "https://other.example.com", scope: "mcp:use" }));
  assert.equal(other.json().code, "audience_mismatch");
  assert.match(other.header("www-authenticate"), new RegExp(`error="invalid_token".*${named}, scope="mcp:use"$`));
  const unscoped = await call(await provider.tokenFor({ audience: RESOURCE }));
  assert.equal(unscoped.status, 403);
  assert.equal(unscoped.header("www-authenticate"), `${REALM}, error="insufficient_scope", scope="mcp:use", ${named}`);
  assert.equal(received.length, before);
});

test("the metadata is readable by scripts of every site", async () => {
  const answer = await read(fetch(METADATA, { headers: { origin: "https://inspector.example.com" } }));
  assert.equal(answer.status, 200);
  assert.equal(answer.header("access-control-allow-origin"), "*");
  assert.deepEqual(answer.json(), {
    resource: RESOURCE, authorization_servers: [provider.issuer], scopes_supported: ["mcp:use"], bearer_methods_supported: ["header"],
  });
});
