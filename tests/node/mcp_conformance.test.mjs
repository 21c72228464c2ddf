// The conformance suite of MCP against a server behind the gateway: its messages and streams pass unchanged.
//
// The suite sends no tokens, so a loopback server in front of the gateway adds one to its requests. Its scenarios for clients, among
// them all that are about authorization, do not apply: the gateway is no MCP client. mcp.test.mjs has the SDK's client log in.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { bearer } from "./support/gateway.mjs";
import { freePort, serve } from "./support/http.mjs";
import { mcpConfig } from "./support/mcp.mjs";
import { startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const COMMAND = resolve(import.meta.dirname, "../../node_modules/@modelcontextprotocol/conformance/dist/index.js");

/** Scenarios that do not apply, by reason. The suite fails if one of them passes. */
const NOT_APPLICABLE = {
  "they are about the content of answers, which passes like that of the others; the demo server has none of it": [
    "completion-complete", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource", "tools-call-mixed-content",
    "json-schema-2020-12", "elicitation-sep1034-defaults", "elicitation-sep1330-enums", "resources-list", "resources-read-text",
    "resources-read-binary", "resources-templates-read", "resources-subscribe", "resources-unsubscribe", "prompts-list",
    "prompts-get-simple", "prompts-get-with-args", "prompts-get-embedded-resource", "prompts-get-with-image",
  ],
  "it is for servers without authentication: here, a page of another site has no token": ["dns-rebinding-protection"],
};

const text = (value) => ({ content: [{ type: "text", text: value }] });
const pause = () => new Promise((done) => setTimeout(done, 50));

/** A server with the tools that the suite calls. */
function demo() {
  const mcp = new McpServer({ name: "demo", version: "1.0.0" }, { capabilities: { logging: {} } });
  const tool = (name, run) => mcp.registerTool(name, { description: name, inputSchema: {} }, run);
  tool("test_simple_text", () => text("This is a simple text response for testing."));
  tool("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool("test_tool_with_logging", async (_input, { sendNotification }) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await sendNotification({ method: "notifications/message", params: { level: "info", data } });
      await pause();
    }
    return text("logged");
  });
  tool("test_tool_with_progress", async (_input, { _meta, sendNotification }) => {
    for (const progress of [0, 50, 100]) {
      await sendNotification({ method: "notifications/progress", params: { progressToken: _meta.progressToken, progress, total: 100 } });
      await pause();
    }
    return text("done");
  });
  // The server asks the client: over the stream of the call, and the answer is a request of its own.
  tool("test_sampling", async (_input, { requestId }) => {
    const messages = [{ role: "user", content: { type: "text", text: "Hello" } }];
    const { content } = await mcp.server.createMessage({ messages, maxTokens: 100 }, { relatedRequestId: requestId });
    return text(`LLM response: ${content.text}`);
  });
  tool("test_elicitation", async (_input, { requestId }) => {
    const properties = { username: { type: "string" }, email: { type: "string" } };
    const requestedSchema = { type: "object", properties, required: ["username", "email"] };
    const answer = await mcp.server.elicitInput({ message: "Who are you?", requestedSchema }, { relatedRequestId: requestId });
    return text(`User response: ${JSON.stringify(answer)}`);
  });
  // The answer comes after the client has opened the stream again.
  tool("test_reconnection", async (_input, { closeSSEStream }) => {
    closeSSEStream();
    await pause();
    return text("reconnected");
  });
  return mcp;
}

/** The events of a session, for streams that are opened again with `Last-Event-ID`. */
class Events {
  #events = [];

  async storeEvent(stream, message) {
    return String(this.#events.push({ stream, message }));
  }

  async replayEventsAfter(id, { send }) {
    const { stream } = this.#events[id - 1];
    for (const [index, event] of this.#events.entries()) {
      if (index >= id && event.stream === stream) await send(String(index + 1), event.message);
    }
    return stream;
  }
}

/** The users of the requests that the server has received. */
const users = [];
const sessions = new Map();
const server = await serve(async (req, res) => {
  users.push(req.headers["x-user"]);
  let transport = sessions.get(req.headers["mcp-session-id"]);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID, eventStore: new Events(), retryInterval: 100, onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await demo().connect(transport);
  }
  await transport.handleRequest(req, res);
});
const port = await freePort();
const RESOURCE = `http://127.0.0.1:${port}/mcp`;
const provider = await startProvider({ audiences: [RESOURCE], scopes: ["mcp:use"] });
const worker = await startWorker({
  port,
  config: mcpConfig({ issuer: provider.issuer, resource: RESOURCE, url: server.url, user: "$claims.client_id" }),
});
const credentials = bearer(await provider.tokenFor({ audience: RESOURCE, scope: "mcp:use" }));
const client = await serve((req, res) => {
  const headers = { ...req.headers, ...credentials };
  // The scenario that opens a stream again names an older version than the one that it is about.
  if (headers["mcp-protocol-version"] === "2025-03-26") headers["mcp-protocol-version"] = "2025-11-25";
  const sent = httpRequest(RESOURCE, { method: req.method, headers }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    res.flushHeaders();
    answer.pipe(res);
  });
  sent.on("error", () => res.destroy());
  res.on("close", () => sent.destroy());
  req.pipe(sent);
});
const folder = await mkdtemp(join(tmpdir(), "edgeward-mcp-"));
after(() => Promise.all([client.close(), worker.stop(), provider.stop(), server.close(), rm(folder, { recursive: true })]));

/** Runs the suite: `{ code, output }`. */
const conformance = (...options) =>
  new Promise((done) => execFile(process.execPath, [COMMAND, "server", ...options], { cwd: folder, timeout: 120_000 }, (error, stdout, stderr) => {
    done({ code: error ? error.code : 0, output: stdout + stderr });
  }));

test("every scenario that applies passes with a token", async () => {
  const baseline = join(folder, "baseline.yml");
  await writeFile(baseline, JSON.stringify({ server: Object.values(NOT_APPLICABLE).flat() }));
  const { code, output } = await conformance("--url", `${client.url}/mcp`, "--suite", "all", "--expected-failures", baseline);
  assert.equal(code, 0, output);
  assert.match(output, /server-sse-polling: 3 passed, 0 failed/, "a stream is opened again");
  assert.ok(users.length > 30, output);
  assert.deepEqual([...new Set(users)], ["edgeward-service"]);
});

test("without a token, nothing reaches the server", async () => {
  const before = users.length;
  const { code, output } = await conformance("--url", RESOURCE, "--scenario", "server-initialize");
  assert.equal(code, 1, output);
  assert.equal(users.length, before);
});
