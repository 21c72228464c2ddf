// Applications that build absolute URLs, behind the gateway: Express with `trust proxy`, and Next.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import express from "express";
import { ENV, installed, ready } from "../npm/bundlers.mjs";
import { run } from "../npm/install.mjs";
import { authorizer, bearer } from "./support/gateway.mjs";
import { freePort } from "./support/http.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const HOST = "shop.example.com";
const SITE = `http://${HOST}`;
const SPOOFED = ["Host", "Proto", "For", "Prefix", "Port"].map((name) => [`X-Forwarded-${name}`, "spoofed.example"]);
const ADDRESS = ["CF-Connecting-IP", "192.0.2.7"];

/** Follows redirects as a browser does, which knows the site by one host; returns each location and the last answer. */
async function follow(worker, path, headers = [], init = {}) {
  const locations = [];
  let answer = await worker.request({ target: path, headers: [["Host", HOST], ADDRESS, ...SPOOFED, ...headers], ...init });
  while (answer.header("location") !== null) {
    assert.ok(locations.length < 5, locations.join(" "));
    locations.push(answer.header("location"));
    const url = new URL(answer.header("location"), locations.at(-2) ?? SITE + path);
    assert.equal(url.origin, SITE, locations.join(" "));
    answer = await worker.request({ target: url.pathname + url.search, headers: [["Host", HOST], ADDRESS, ...headers] });
  }
  return { locations, answer };
}

describe("Express", () => {
  const folder = mkdtempSync(join(tmpdir(), "edgeward-express-"));
  let server, worker, issuer;

  before(async () => {
    mkdirSync(join(folder, "docs"));
    writeFileSync(join(folder, "docs/index.html"), "<h1>the documents</h1>");
    const app = express();
    app.set("trust proxy", true);
    const absolute = (req, path) => `${req.protocol}://${req.host}${req.get("x-forwarded-prefix") ?? ""}${path}`;
    app.get("/where", (req, res) => res.json({ url: absolute(req, req.originalUrl), hostname: req.hostname, ip: req.ip, user: req.get("x-user-id") }));
    app.get("/old", (_req, res) => res.redirect("/where?from=old"));
    app.get("/absolute", (req, res) => res.redirect(301, absolute(req, "/where?from=absolute")));
    app.get("/internal", (req, res) => res.redirect(`http://${req.get("host")}/where?from=internal`));
    app.get("/relative", (_req, res) => res.redirect("where?from=relative"));
    app.get("/back", (req, res) => res.redirect(req.get("referrer") ?? "/"));
    app.get("/away", (_req, res) => res.redirect("https://elsewhere.example/"));
    app.post("/items", express.json(), (req, res) => res.status(201).location(absolute(req, "/items/7")).json(req.body));
    app.get("/cookie", (_req, res) => res.cookie("a", "1").cookie("b", "2", { httpOnly: true }).end());
    app.use(express.static(folder));
    app.get("/", (_req, res) => res.send("the start"));
    server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    issuer = await startIssuer();
    const url = `http://127.0.0.1:${server.address().port}`;
    const headers = { "X-User-Id": "$claims.sub" };
    worker = await startWorker({
      config: {
        authorizer: authorizer(issuer),
        paths: [
          { method: "ANY", path: "/shop/{*rest}", integration: { type: "http_proxy", url, headers, strip_prefix: "/shop" } },
          { method: "ANY", path: "/{*rest}", integration: { type: "http_proxy", url, headers } },
        ],
      },
    });
  });

  after(async () => {
    server.closeAllConnections();
    await Promise.all([worker.stop(), issuer.stop(), new Promise((resolve) => server.close(resolve))]);
    rmSync(folder, { recursive: true });
  });

  for (const prefix of ["", "/shop"]) {
    const authorized = () => [["Authorization", bearer(issuer.token()).authorization]];

    test(`builds the site's URLs ${prefix ? "below a prefix" : "at the root"}`, async () => {
      const { answer } = await follow(worker, `${prefix}/where?a=b`, authorized());
      assert.deepEqual(answer.json(), { url: `${SITE}${prefix}/where?a=b`, hostname: HOST, ip: "192.0.2.7", user: "user-1" });
    });

    test(`its redirects arrive ${prefix ? "below the prefix" : "at the root"}`, async () => {
      for (const from of ["old", "absolute", "internal", "relative"]) {
        const { locations, answer } = await follow(worker, `${prefix}/${from}`, authorized());
        assert.equal(answer.status, 200, `${from}: ${answer.text}`);
        assert.equal(answer.json().url, `${SITE}${prefix}/where?from=${from}`, locations.join(" "));
      }
      const { locations, answer } = await follow(worker, `${prefix}/docs`, authorized());
      assert.deepEqual([locations.length, answer.text], [1, "<h1>the documents</h1>"]);
      const back = await follow(worker, `${prefix}/back`, [["Referer", `${SITE}${prefix}/where`], ...authorized()]);
      assert.equal(back.answer.json().url, `${SITE}${prefix}/where`);
      const away = await worker.request({ target: `${prefix}/away`, headers: [["Host", HOST], ...authorized()] });
      assert.equal(away.header("location"), "https://elsewhere.example/");
    });

    test(`answers conditional and partial requests itself ${prefix ? "below a prefix" : "at the root"}`, async () => {
      const ask = (headers) => worker.request({ target: `${prefix}/docs/index.html`, headers: [["Host", HOST], ...authorized(), ...headers] });
      const whole = await ask([]);
      assert.equal((await ask([["If-None-Match", whole.header("etag")]])).status, 304);
      assert.equal((await ask([["If-Modified-Since", whole.header("last-modified")]])).status, 304);
      assert.equal((await ask([["If-None-Match", whole.header("etag")], ["Cache-Control", "no-cache"]])).status, 200);
      const part = await ask([["Range", "bytes=4-6"]]);
      assert.deepEqual([part.status, part.text, part.header("content-range")], [206, "the", `bytes 4-6/${whole.body.length}`]);
    });

    test(`creates resources and sets cookies ${prefix ? "below a prefix" : "at the root"}`, async () => {
      const headers = [["Host", HOST], ["Content-Type", "application/json"], ...authorized()];
      const created = await worker.request({ method: "POST", target: `${prefix}/items`, headers, body: '{"a":1}' });
      assert.deepEqual([created.status, created.header("location"), created.json()], [201, `${SITE}${prefix}/items/7`, { a: 1 }]);
      const answer = await worker.request({ target: `${prefix}/cookie`, headers });
      assert.deepEqual(answer.headers.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value), ["a=1; Path=/", "b=2; Path=/; HttpOnly"]);
    });
  }
});

describe("Next", () => {
  let above, project, server, worker;

  before(async () => {
    above = await installed();
    project = mkdtempSync(join(above, "project-"));
    const files = {
      "package.json": '{ "private": true, "type": "module" }',
      "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;",
      "app/page.js": "export default () => <h1>the start</h1>;",
      "app/where/route.js": `
        export const dynamic = "force-dynamic";
        export const GET = (request) => Response.json({
          host: request.headers.get("x-forwarded-host"), proto: request.headers.get("x-forwarded-proto"), ip: request.headers.get("x-forwarded-for"),
          query: new URL(request.url).search,
        });`,
      "app/absolute/route.js": `
        export const dynamic = "force-dynamic";
        export const GET = (request) => Response.redirect(new URL("/where?from=absolute", request.url));`,
      "app/old/route.js": `
        import { redirect } from "next/navigation";
        export const dynamic = "force-dynamic";
        export const GET = () => redirect("/where?from=old");`,
      "app/form/page.js": `
        import { redirect } from "next/navigation";
        async function save(data) {
          "use server";
          redirect("/where?from=" + data.get("name"));
        }
        export default () => <form action={save}><input name="name" /><button>Save</button></form>;`,
      "middleware.js": `
        import { NextResponse } from "next/server";
        export const middleware = (request) => NextResponse.redirect(new URL("/where?from=middleware", request.url));
        export const config = { matcher: "/guarded" };`,
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(project, name, ".."), { recursive: true });
      writeFileSync(join(project, name), text);
    }
    const next = join(above, "node_modules/next/dist/bin/next");
    await run(process.execPath, [next, "build"], { cwd: project, env: ENV });
    const port = await freePort();
    server = spawn(process.execPath, [next, "start", "--hostname", "localhost", "--port", String(port)], { cwd: project, env: ENV });
    await ready(server);
    // The host that `request.url` names in Next, which does not read X-Forwarded-Host for it.
    worker = await startWorker({
      config: { paths: [{ method: "ANY", path: "/{*rest}", auth: "none", integration: { type: "http_proxy", url: `http://localhost:${port}` } }] },
    });
  });

  after(async () => {
    await worker?.stop();
    if (server && server.exitCode === null) {
      server.kill();
      await once(server, "exit");
    }
    rmSync(project, { recursive: true, force: true });
  });

  test("knows the host of the site, and no other", async () => {
    const { answer } = await follow(worker, "/where?a=b");
    assert.deepEqual(answer.json(), { host: HOST, proto: "http", ip: "192.0.2.7", query: "?a=b" });
  });

  test("its redirects arrive at the site", async () => {
    for (const [path, from] of [["/absolute", "absolute"], ["/old", "old"], ["/guarded", "middleware"]]) {
      const { locations, answer } = await follow(worker, path);
      assert.equal(answer.status, 200, `${path}: ${locations} ${answer.text}`);
      assert.equal(answer.json().query, `?from=${from}`, locations.join(" "));
    }
    const { locations, answer } = await follow(worker, "/where/?a=b");
    assert.deepEqual([locations.length, answer.json().query], [1, "?a=b"]);
  });

  test("accepts the forms of its own pages, and those of no other site", async () => {
    const page = await worker.request({ target: "/form", headers: [["Host", HOST]] });
    assert.equal(page.status, 200);
    const [, action] = /name="(\$ACTION_ID_[0-9a-f]+)"/.exec(page.text);
    const part = (name, value) => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const body = `${part(action, "")}${part("name", "form")}--x--\r\n`;
    const post = (origin) => follow(worker, "/form", [["Content-Type", "multipart/form-data; boundary=x"], ["Origin", origin]], { method: "POST", body });
    const { locations, answer } = await post(SITE);
    assert.equal(locations.length, 1, `${answer.status} ${answer.text.slice(0, 300)}`);
    assert.equal(answer.json().query, "?from=form");
    // Next compares Origin with X-Forwarded-Host: a client's own must not reach it.
    const foreign = await post("http://spoofed.example");
    assert.deepEqual([foreign.locations, foreign.answer.status], [[], 500]);
  });
});
