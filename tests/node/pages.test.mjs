// The gateway's own pages in workerd: which requests get one, and how they look in Chromium, in every language, light and dark, narrow
// and wide. EDGEWARD_SCREENSHOTS=folder stores pictures of them.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CHROMIUM, launchChromium } from "./support/chromium.mjs";
import { freePort } from "./support/http.mjs";
import { COOKIE } from "./support/login.mjs";
import { CLIENT_SECRET, startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const SCREENSHOTS = process.env.EDGEWARD_SCREENSHOTS;
const NAVIGATION = { "sec-fetch-mode": "navigate", accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40"><circle cx="20" cy="20" r="18" fill="#0a7d55"/></svg>`;

const port = await freePort();
const site = `http://localhost:${port}`;
const provider = await startProvider({ gateways: [site] });
/** Answers forms and the logo. */
const origin = createServer((req, res) => {
  if (req.url === "/logo.svg") res.writeHead(200, { "content-type": "image/svg+xml" }).end(LOGO);
  else if (req.method === "POST") req.resume().on("end", () => res.end("saved"));
  else res.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><title>Form</title><h1>Form</h1><form method="post" action="/form"><label>Text <input name="text"></label><button>Send</button></form>');
}).listen(0, "127.0.0.1");
await new Promise((resolve) => origin.once("listening", resolve));
const originUrl = `http://127.0.0.1:${origin.address().port}`;

const route = (path, more = {}, method = "ANY") => ({ method, path, integration: { type: "http_proxy", url: originUrl }, ...more });
const config = {
  authorizer: {
    type: "oidc", issuer: provider.issuer, audience: provider.audience, client_id: "edgeward-web", client_secret: CLIENT_SECRET,
    redirect_uri: `${site}/auth/callback`, roles_claim: "https://example.com/roles", scope: "openid profile email",
  },
  session: { secrets: "a-session-secret-of-the-tests-0123456789abcdef" },
  pages: { name: "Kite & Co", logo: "/logo.svg", colors: { accent: "#0a7d55" }, dark_colors: { accent: "#5fd3a4" } },
  paths: [
    { method: "GET", path: "/login", integration: { type: "login" } },
    { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
    { method: "GET", path: "/logout", integration: { type: "logout" } },
    route("/"), route("/form"), route("/logo.svg", { auth: "none" }), route("/admin", { roles: ["admin", "chief of everything"] }),
    route("/api", { on_unauthenticated: "401" }), route("/machine", { credentials: "bearer" }), route("/get", { auth: "none" }, "GET"),
    { method: "ANY", path: "/dead", auth: "none", integration: { type: "http_proxy", url: `http://127.0.0.1:${await freePort()}` } },
    { method: "ANY", path: "/unbound", auth: "none", integration: { type: "service", binding: "NOTHING" } },
  ],
};
const worker = await startWorker({ config, port });
after(async () => {
  await Promise.all([worker.stop(), provider.stop()]);
  origin.closeAllConnections();
  origin.close();
});

/** Status, headers and text of a raw request. */
const ask = (target, { method = "GET", headers = {} } = {}) => worker.request({ method, target, headers: { host: `localhost:${port}`, ...headers } });

test("every refusal is a page for browser navigations and a problem document for API clients, with the same status and headers", async () => {
  for (const [method, target, status, code, heading] of [
    ["GET", "/nowhere", 404, "not_found", "Page not found"],
    ["POST", "/get", 405, "method_not_allowed", "This does not work here"],
    ["GET", "/%2e%2e/x", 400, "path_invalid", "This address does not work"],
    ["GET", "/api?access_token=x", 400, "invalid_request", "This address does not work"],
    ["GET", "/api", 401, "token_missing", "Please log in"],
    ["GET", "/machine", 401, "token_missing", "This address is not for browsers"],
    ["POST", "/form", 401, "token_missing", "Your form was not sent"],
    ["GET", "/dead", 502, "origin_unreachable", "This page is not available right now"],
    ["GET", "/unbound", 503, "config_invalid", "This site is not ready yet"],
    ["GET", "/auth/callback?code=a&state=b", 400, "state_invalid", "Login failed"],
  ]) {
    const what = `${method} ${target}`;
    const page = await ask(target, { method, headers: NAVIGATION });
    assert.deepEqual([page.status, page.header("content-type")], [status, "text/html; charset=utf-8"], what);
    assert.ok(page.text.includes(`<h1>${heading}</h1>`) && page.text.includes(`<code>${code}</code>`), page.text);
    assert.equal(page.header("cache-control"), "private, no-store", what);
    const document = await ask(target, { method });
    assert.deepEqual([document.status, document.header("content-type"), document.json().code], [status, "application/problem+json", code], what);
    for (const name of ["www-authenticate", "allow", "retry-after"]) assert.equal(page.header(name), document.header(name), `${what}: ${name}`);
    const german = await ask(target, { method, headers: { ...NAVIGATION, "accept-language": "de-DE,de;q=0.9,en;q=0.8" } });
    assert.match(german.text, /<html lang="de">/);
    assert.ok(!german.text.includes(heading), what);
  }
});

describe("the page of an invalid configuration", () => {
  const broken = { ...config, paths: [{ method: "GET", path: "/<b>", integration: { type: "respnd" } }] };
  const PROBLEM = /unknown value &quot;respnd&quot;/;
  let dev;
  const start = (env) => startWorker({ config: broken, env });
  const visit = (of, headers = {}) => of.request({ target: "/", headers: { ...NAVIGATION, host: `localhost:${of.port}`, ...headers } });
  before(async () => (dev = await start({ EDGEWARD_DEV: "1" })));
  after(() => dev.stop());

  test("lists the problems in a development environment", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      const page = await visit(dev, { host: `${host}:${dev.port}`, "cf-connecting-ip": "127.0.0.1" });
      assert.equal(page.status, 503);
      assert.match(page.text, PROBLEM);
      assert.ok(!page.text.includes("<b>"), "escaped");
    }
    const document = await dev.request({ target: "/", headers: { host: `localhost:${dev.port}`, "cf-connecting-ip": "127.0.0.1" } });
    assert.deepEqual([document.status, document.json().code], [503, "config_invalid"]);
    assert.ok(!document.text.includes("respnd"));
  });

  test("lists none for requests of other hosts and clients", async () => {
    for (const headers of [
      { host: "app.example.com" }, { host: "localhost.example.com" }, { host: "app.example.com", "x-forwarded-host": "localhost" },
      { "cf-connecting-ip": "203.0.113.7" }, { "cf-connecting-ip": "203.0.113.7, 127.0.0.1" }, { "cf-connecting-ip": "127.0.0.1", "cf-ray": "8a-FRA" },
      { "cf-connecting-ip": "127.0.0.1", "x-forwarded-for": "203.0.113.7" }, { "cf-connecting-ip": "192.168.1.7" },
    ]) {
      const page = await visit(dev, headers);
      assert.equal(page.status, 503);
      assert.match(page.text, /This site is not ready yet/);
      assert.doesNotMatch(page.text, PROBLEM, JSON.stringify(headers));
    }
  });

  test("lists none in any other environment, even for loopback", async () => {
    for (const env of [{}, { EDGEWARD_DEV: "0" }, { EDGEWARD_DEV: "true" }]) {
      const deployed = await start(env);
      try {
        const page = await visit(deployed, { "cf-connecting-ip": "127.0.0.1" });
        assert.equal(page.status, 503);
        assert.doesNotMatch(page.text, PROBLEM, JSON.stringify(env));
      } finally {
        await deployed.stop();
      }
    }
  });
});

describe("in Chromium", { skip: !CHROMIUM && "there is no Chromium here", timeout: 300_000 }, () => {
  let chromium, context, page, complaints;

  before(async () => (chromium = await launchChromium()));
  after(() => chromium?.close());

  async function fresh(locale = "en-GB") {
    await context?.close();
    provider.endSessions();
    complaints = [];
    context = await chromium.newContext({ locale });
    await context.exposeBinding("complain", (_source, text) => complaints.push(text));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => globalThis.complain(`${violatedDirective} blocks ${blockedURI}`));
    });
    page = await context.newPage();
  }

  const heading = () => page.getByRole("heading", { level: 1 }).innerText();
  const link = (name) => page.getByRole("link", { name, exact: true });
  const choose = (name) => page.getByRole("button", { name: `Log in as ${name}` }).click();

  async function logIn(name, path) {
    await page.goto(site + path);
    await choose(name);
    await page.waitForURL(site + path);
  }

  /** Stores pictures, and asserts that the page fits a phone and nothing of it was blocked. */
  async function picture(name) {
    await page.waitForLoadState("load");
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [320, 390, 1280]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 760 });
        const found = await page.evaluate(() => ({
          overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
          unloaded: [...document.images].filter((image) => image.naturalWidth === 0).length,
          headings: document.querySelectorAll("h1").length,
          scripts: document.scripts.length,
        }));
        assert.deepEqual(found, { overflows: false, unloaded: 0, headings: 1, scripts: 0 }, `${name} ${width}`);
        if (SCREENSHOTS && width > 320) {
          await mkdir(SCREENSHOTS, { recursive: true });
          await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        }
      }
    }
    assert.deepEqual(complaints, []);
  }

  test("a form sent to an address that accepts none", async () => {
    await fresh();
    await page.goto(`${site}/get`);
    await page.evaluate(() => {
      const form = Object.assign(document.createElement("form"), { method: "post", action: "/get" });
      document.body.append(form);
      form.submit();
    });
    await page.waitForFunction(() => document.title.includes("This does not work here"));
    assert.equal(await heading(), "This does not work here");
    await picture("method-not-allowed");
  });

  for (const locale of ["en-GB", "de-DE"]) {
    test(`every page that needs no session, ${locale}`, async () => {
      await fresh(locale);
      for (const [name, path] of [
        ["not-found", "/nowhere"], ["bad-request", "/form?access_token=x"], ["login-required", "/api"], ["token-needed", "/machine"],
        ["unavailable", "/dead?a=b"], ["not-ready", "/unbound"], ["login-not-pending", "/auth/callback?code=a&state=b"],
      ]) {
        await page.goto(site + path);
        assert.equal(await page.locator("html").getAttribute("lang"), locale.slice(0, 2));
        await picture(`${name}-${locale.slice(0, 2)}`);
      }
    });
  }

  test("the errors of a configuration", async () => {
    await fresh();
    const paths = [...config.paths, { method: "GTE", path: "/a/{b", auth: "requird", integration: { type: "respnd" } }, { path: "/<script>" }];
    const dev = await startWorker({ config: { ...config, paths }, env: { EDGEWARD_DEV: "1" } });
    try {
      await page.setExtraHTTPHeaders({ "cf-connecting-ip": "127.0.0.1" });
      await page.goto(`http://localhost:${dev.port}/`);
      assert.ok((await page.getByRole("listitem").allInnerTexts()).length > 2);
      await picture("configuration");
    } finally {
      await dev.stop();
    }
  });

  test("a missing right: another account, and logging out", async () => {
    await fresh();
    await logIn("Bob Exemplar", "/form");
    await page.evaluate(() => (location.href = "/admin?a=b"));
    await page.waitForURL(`${site}/admin?a=b`);
    assert.equal(await heading(), "You cannot see this page");
    assert.ok((await page.locator("main").innerText()).includes("Role needed: admin chief of everything"));
    await picture("forbidden");
    await link("Back").click();
    await page.waitForURL(`${site}/form`);
    await page.goto(`${site}/admin?a=b`);
    await link("Log in as another user").click();
    await choose("Alice Example");
    await page.waitForURL(`${site}/admin?a=b`);
    await link("Log out").click();
    await page.waitForURL(`${site}/`);
    assert.equal(await heading(), "You are logged out");
  });

  test("after a logout a page says so, and no login begins by itself", async () => {
    await fresh();
    await logIn("Alice Example", "/");
    const opened = [];
    page.on("request", (request) => request.isNavigationRequest() && opened.push(request.url()));
    await page.goto(`${site}/logout`);
    await page.waitForURL(`${site}/`);
    assert.equal(await heading(), "You are logged out");
    assert.ok(!opened.some((url) => url.startsWith(`${site}/login`)), opened.join("\n"));
    await picture("logged-out");
    assert.deepEqual((await context.cookies(site)).filter(({ name }) => name.startsWith(COOKIE)), [], "the page is shown once");
    await link("Log in").click();
    await choose("Alice Example");
    await page.waitForURL(`${site}/`);
    assert.equal(await heading(), "Form");
  });

  test("a form that is sent after the session ended is not lost", async () => {
    await fresh();
    await logIn("Alice Example", "/form");
    await page.getByLabel("Text").fill("a long letter");
    await context.clearCookies({ domain: "localhost" });
    await page.getByRole("button", { name: "Send" }).click();
    assert.equal(await heading(), "Your form was not sent");
    await picture("form-not-sent");
    const [tab] = await Promise.all([context.waitForEvent("page"), link("Log in in a new tab").click()]);
    const button = tab.getByRole("button", { name: "Log in as Alice Example" });
    await Promise.race([button.click().catch(() => {}), tab.waitForURL(`${site}/`)]);
    await tab.waitForURL(`${site}/`);
    await tab.close();
    await page.goBack();
    assert.equal(await page.getByLabel("Text").inputValue(), "a long letter", "the browser still has it");
    await page.getByRole("button", { name: "Send" }).click();
    assert.equal(await page.locator("body").innerText(), "saved");
  });
});
