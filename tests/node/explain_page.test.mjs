// The page of docs/site/explain, in Chromium: it explains as the command does, and lets nothing out.
// EDGEWARD_SCREENSHOTS=folder keeps pictures of it, light and dark, on a phone and not.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { explainPage } from "../../scripts/explain-page.mjs";
import { ICON } from "../../docs/site/pages.mjs";
import { CHROMIUM, launchChromium } from "./support/chromium.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { apart } from "../npm/progress.mjs";

const COMMAND = resolve(import.meta.dirname, "../../pkg/dist/cli/edgeward.js");
const SCREENSHOTS = process.env.EDGEWARD_SCREENSHOTS;
const SECRET = "a sealing secret of at least 32 characters";

describe("the page explain.html", { skip: !CHROMIUM && "there is no Chromium here", timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "edgeward-explain-"));
  const requests = [];
  let html, issuer, server, site, chromium, context, page, config;

  before(async () => {
    [html, issuer, chromium] = await Promise.all([explainPage(ICON), startIssuer(), launchChromium()]);
    server = createServer((request, response) => {
      requests.push(request.url);
      response.writeHead(request.url === "/explain.html" ? 200 : 404, { "content-type": "text/html; charset=utf-8" }).end(request.url === "/explain.html" ? html : "");
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    site = `http://127.0.0.1:${server.address().port}`;
    const proxy = (path, more = {}) => ({ method: ["GET", "POST"], path, ...more, integration: { type: "http_proxy", url: "$env.ORIGIN", headers: { "X-User": "$claims.sub", "X-Token": "$token" } } });
    config = {
      authorizer: {
        type: "oidc", issuer: issuer.issuer, audience: issuer.audience, algorithms: ["RS256"], roles_claim: "roles",
        client_id: "web", client_secret: "$secrets.CLIENT", redirect_uri: "https://app.example.com/cb",
      },
      session: { secrets: SECRET },
      paths: [
        { method: "GET", path: "/login", integration: { type: "login" } },
        { method: "GET", path: "/cb", integration: { type: "callback" } },
        { method: "GET", path: "/public", auth: "none", integration: { type: "respond", body: "open" } },
        proxy("/api/{*rest}"), proxy("/observed", { observe: true }), proxy("/scopes", { scopes: { all: ["read:items"], any: ["a", "b"] } }),
        proxy("/roles", { roles: ["admin"] }), proxy("/claims", { claims: { tier: { any: ["gold", "silver"] } } }), proxy("/session", { credentials: "session" }), proxy("/optional", { auth: "optional" }),
      ],
    };
    if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });
    context = await chromium.newContext({ viewport: { width: 1280, height: 900 } });
    page = await open(context);
  });
  after(async () => {
    await chromium?.close();
    server?.closeAllConnections();
    server?.close();
    await issuer?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(context) {
    const page = await context.newPage();
    page.complaints = [];
    page.sent = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(String(error)));
    page.on("request", (request) => page.sent.push(request.url()));
    await page.goto(`${site}/explain.html`);
    return page;
  }

  const VARIABLES = 'ORIGIN="https://origin.example.com"\nexport CLIENT=hidden # comment\n';
  const keySet = (of = issuer) => JSON.stringify({ keys: of.published });
  const explained = (of = page) => of.waitForSelector('#result[aria-busy="false"]');

  async function fill(values) {
    const all = { config: JSON.stringify(config, null, 2), variables: VARIABLES, method: "GET", url: "/", token: "", headers: "", keys: "", clock: "", ...values };
    await page.evaluate((all) => { for (const [name, text] of Object.entries(all)) document.getElementById(name).value = text; }, all);
    await page.click('button[type="submit"]');
    await explained();
  }
  const banner = () => page.textContent("#result .banner");

  test("is one file, whose policy allows its own script and style only, and no connection", () => {
    const [, policy] = /^<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(html);
    const directives = new Map(policy.split("; ").map((one) => [one.slice(0, one.indexOf(" ")), one.slice(one.indexOf(" ") + 1)]));
    assert.deepEqual(["default-src", "connect-src", "form-action", "base-uri", "img-src"].map((name) => directives.get(name)), ["'none'", "'none'", "'none'", "'none'", "data:"]);
    assert.match(directives.get("script-src"), /^'sha256-[\w+/]{43}=' 'wasm-unsafe-eval'$/);
    assert.match(directives.get("style-src"), /^'sha256-[\w+/]{43}='$/);
    assert.doesNotMatch(html, /<(?:link|script|img|iframe)[^>]*(?:src|href)="(?!data:)/);
    assert.ok(html.length < 1_100_000, `${html.length}`);
  });

  const claims = (changes) => issuer.token({ claims: changes });
  const browser = { "Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none" };
  const CASES = [
    ["a valid token", "/api/x?q=1", { token: () => claims({}) }],
    ["a token with its scheme", "/api/x", { token: () => ` Bearer ${claims({})}\n` }],
    ["a forged header of the gateway", "/api/x", { token: () => claims({}), headers: { "X-User": "forged", "X-Other": "kept" } }],
    ["no token", "/api/x", {}],
    ["an optional token that is missing", "/optional", { headers: { Cookie: "a=1" } }],
    ["an unknown path", "/nothing", {}],
    ["another method", "/api/x", { method: "DELETE" }],
    ["dots in a path", "/public%2F..%2Fapi%2fx", {}],
    ["a path with several readings", "/api%2fx", {}],
    ["a path that is not normalized", "/api//%61%2562", {}],
    ["a full URL", "https://other.example.com/public", {}],
    ["a text that is no token", "/api/x", { token: () => "abc" }],
    ["a forged signature", "/api/x", { token: () => claims({}).replace(/[^.]{20}$/, "A".repeat(20)) }],
    ["an expired token", "/api/x", { token: () => claims({ exp: 1_700_000_000 }) }],
    ["another audience", "/api/x", { token: () => claims({ aud: "another" }) }],
    ["another issuer", "/api/x", { token: () => claims({ iss: "https://another.example" }) }],
    ["an unknown key", "/api/x", { token: () => issuer.token({ header: { kid: "unknown" } }) }],
    ["a missing scope", "/scopes", { token: () => claims({ scope: "a" }) }],
    ["a missing role", "/roles", { token: () => claims({ roles: ["viewer"] }) }],
    ["a claim with another value", "/claims", { token: () => claims({ tier: "brönze <b>" }) }],
    ["a token where a session is required", "/session", { token: () => claims({}) }],
    ["a route that observes", "/observed", {}],
    ["a response of the gateway", "/public", { method: "GET" }],
    ["a step of a login", "/login", { headers: browser }],
    ["a browser without a session", "/api/x", { headers: browser }],
    ["a refusal as a page", "/roles", { token: () => claims({ roles: ["viewer"] }), headers: browser }],
  ];

  /** The result of the command. */
  function command(path, { method = "GET", token, headers = {} }) {
    writeFileSync(join(folder, "edgeward.json"), JSON.stringify(config, null, 2));
    writeFileSync(join(folder, ".dev.vars"), VARIABLES);
    const lines = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const from = token === undefined ? [] : ["--token-file", "-"];
    return new Promise((done, fail) => {
      const child = execFile(process.execPath, [COMMAND, "explain", "--reveal", "--json", ...from, ...lines, method, path], { cwd: folder }, (error, stdout, stderr) => {
        const complaint = apart(stderr).stderr;
        if (complaint !== "") fail(new Error(complaint));
        else done({ passes: error === null, ...JSON.parse(stdout) });
      });
      child.stdin.end(token ?? "");
    });
  }
  /** The time of the check, which differs. */
  const timeless = (value) => JSON.parse(JSON.stringify(value).replace(/it is \d+/g, "it is now"));

  test("explains as the command does, without a request", async () => {
    const loaded = requests.length;
    for (const [what, path, { token: makeOne, ...request }] of CASES) {
      const token = makeOne?.();
      const lines = Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");
      const [{ passes, ...expected }] = await Promise.all([command(path, { ...request, token }), fill({ ...request, url: path, token: token ?? "", headers: lines, keys: keySet() })]);
      const result = JSON.parse(await page.locator("#result details:last-child pre").textContent());
      assert.deepEqual(timeless(result), timeless(expected), what);
      assert.equal(await page.locator("#result .banner.refused").count(), passes ? 0 : 1, `${what}: ${await banner()}`);
      assert.equal(await page.locator("#result .checks .failed").count(), expected.checks.filter(({ passed }) => !passed).length, what);
      assert.equal(await page.locator("#result b").count(), 0);
    }
    assert.deepEqual([page.complaints, page.sent, requests.length], [[], [`${site}/explain.html`], loaded]);
  });

  test("tells what is undecided without the key set, and where the gateway would fetch it", async () => {
    await fill({ url: "/api/x", token: claims({}) });
    assert.match(await banner(), /^Undecided/);
    assert.deepEqual(await page.locator("#result section:has(h3:text('Not checked')) li").allTextContents(), [`${issuer.issuer}/.well-known/openid-configuration`]);
    assert.deepEqual(JSON.parse(await page.locator("#result details:last-child pre").textContent()).verdict, { forwarded: false, undecided: true, headers: [] });
    assert.match(await page.locator("#result details:has(summary:text('decoded')) pre").textContent(), /"sub": "user-1"/);
    // What needs no key is decided.
    await fill({ url: "/api/x", token: "abc" });
    assert.match(await banner(), /^Refused with status 401token_malformed/);
    await fill({ url: "/public" });
    assert.match(await banner(), /^Answered by the gateway with status 200/);
  });

  test("takes the keys of other algorithms, of several issuers and of all tenants", async () => {
    const curves = await startIssuer({ alg: "ES256" });
    try {
      const authorizer = { ...config.authorizer, algorithms: ["RS256", "ES256"], issuers: [{ issuer: curves.issuer, audience: curves.audience }] };
      await fill({ config: JSON.stringify({ ...config, authorizer }), url: "/api/x", token: curves.token(), keys: keySet(curves) });
      assert.match(await banner(), /^Forwarded/);
    } finally {
      await curves.stop();
    }
    const tenant = "11111111-2222-3333-4444-555555555555";
    const { client_id: _, client_secret: __, redirect_uri: ___, ...api } = config.authorizer;
    const authorizer = { ...api, issuer: "https://login.example.com/{tenantid}/v2.0", tenants: "any" };
    const { session: _session, paths, ...more } = config;
    const tenants = { ...more, authorizer, paths: paths.filter(({ path }) => path.startsWith("/api")) };
    await fill({ config: JSON.stringify(tenants), url: "/api/x", token: claims({ iss: `https://login.example.com/${tenant}/v2.0`, tid: tenant }), keys: keySet() });
    assert.match(await banner(), /^Forwarded/);
  });

  test("tells what is wrong with a key set", async () => {
    for (const [keys, code] of [["<html>", "jwks_invalid"], ['{ "keys": [] }', "jwks_no_usable_key"]]) {
      await fill({ url: "/api/x", token: claims({}), keys });
      assert.match(await banner(), new RegExp(`^Refused with status 503${code}`));
    }
    await fill({ url: "/api/x", token: claims({}), keys: JSON.stringify({ keys: [...issuer.published, { kty: "oct", kid: "shared", k: "AAAA" }] }) });
    assert.match(await banner(), /^Forwarded/);
    assert.match(await page.locator("#result section:has(h3:text('Key set'))").textContent(), /The key shared cannot be used: ./);
  });

  test("has a clock", async () => {
    const token = claims({ iat: 1_700_000_000, exp: 1_700_000_600 });
    for (const [clock, text] of [["", /^Refused with status 401token_expired/], ["1700000100", /^Forwarded/], ["2023-11-14T22:20:00Z", /^Forwarded/], ["2023-11-14T23:20:00+00:00", /token_expired/], ["soon", /^Not explainedthe time is neither/]]) {
      await fill({ url: "/api/x", token, keys: keySet(), clock });
      assert.match(await banner(), text, clock);
    }
  });

  test("shows the problems of a configuration with line and column, and selects the place", async () => {
    await fill({ config: '{\n  "authorizer": { "type": "oidc" },\n  "paths": [{ "method": "GET", "path": "/", "auth": "never", "integration": { "type": "respond" } }],\n  "ünknown": "<img src=x onerror=alert(1)>"\n}' });
    assert.match(await banner(), /^503: the configuration has \d+ errors/);
    const item = page.locator("#result li:has-text('unknown value')");
    assert.match(await item.textContent(), /^line 3, column 45 error paths\[0\]\.auth: /);
    await item.locator("button").click();
    assert.equal(await page.evaluate(() => { const { value, selectionStart } = document.querySelector("#config"); return value.slice(selectionStart, selectionStart + 6); }), '"auth"');
    assert.equal(await page.locator("#result img").count(), 0);
    await fill({ config: '{\n  "é": 1,,\n}' });
    assert.match(await page.textContent("#result li"), /^line 2, column 10 error/);
    await fill({ variables: "" });
    assert.match(await page.textContent("#result .problems"), /ORIGIN is not set/);
  });

  test("says what is missing in the form", async () => {
    for (const [values, text] of [[{ url: "" }, /the URL is empty/], [{ url: "ftp://x/" }, /neither an http or https URL nor a path/], [{ headers: "A: 1\nno colon" }, /header 2: write/], [{ headers: "Authorization: Bearer x", token: "x" }, /exclude each other/], [{ config: " ".repeat(2 << 20) + "{" }, /too large/]]) {
      await fill(values);
      assert.match(await banner(), text);
    }
    await fill({ config: " " });
    assert.match(await page.textContent("#result .hint"), /Paste a configuration/);
  });

  test("follows what is typed, and its examples work", async () => {
    const fresh = await open(context);
    const outcomes = [];
    for (const button of await fresh.locator("#examples button").all()) {
      await button.click();
      await explained(fresh);
      outcomes.push(await fresh.textContent("#result .banner strong"));
      assert.equal(await fresh.textContent("#status"), outcomes.at(-1));
    }
    assert.deepEqual(outcomes, ["Forwarded", "Refused with status 403", "Refused with status 401", "Refused with status 400", "Undecided: the token cannot be checked without the key set", "503: the configuration has 2 errors"]);
    await fresh.click("#examples button");
    await explained(fresh);
    await fresh.locator("#url").pressSequentially("/more");
    await fresh.waitForSelector("#result .banner:has-text('404')");
    assert.deepEqual(fresh.complaints, []);
    await fresh.close();
  });

  test("lets nothing out, by whatever way, and stores nothing", async () => {
    await fill({ url: "/api/x", token: claims({}), keys: keySet() });
    assert.equal(page.url(), `${site}/explain.html`);
    assert.deepEqual(await page.evaluate(async () => [localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length, (await caches.keys()).length]), [0, 0, "", 0, 0]);
    const before = requests.length;
    const blocked = await page.evaluate(async (site) => {
      const outcome = {};
      outcome.fetch = await fetch(`${site}/fetch`).then(() => "sent", (error) => error.name);
      outcome.self = await fetch("explain.html").then(() => "sent", (error) => error.name);
      outcome.xhr = await new Promise((done) => { const one = new XMLHttpRequest(); one.onload = () => done("sent"); one.onerror = () => done("blocked"); one.open("GET", `${site}/xhr`); one.send(); });
      outcome.image = await new Promise((done) => { const one = new Image(); one.onload = () => done("sent"); one.onerror = () => done("blocked"); one.src = `${site}/image.png`; });
      outcome.socket = await new Promise((done) => { try { const one = new WebSocket(site.replace("http", "ws")); one.onopen = () => done("sent"); one.onerror = () => done("blocked"); } catch { done("blocked"); } });
      navigator.sendBeacon(`${site}/beacon`, "x");
      const frame = document.createElement("iframe");
      frame.src = `${site}/frame`;
      document.body.append(frame);
      const style = document.createElement("link");
      Object.assign(style, { rel: "stylesheet", href: `${site}/style.css` });
      document.head.append(style);
      const form = document.createElement("form");
      Object.assign(form, { action: `${site}/form`, method: "post" });
      document.body.append(form);
      form.submit();
      for (const [name, run] of [["html", () => (document.body.innerHTML = "<b>")], ["eval", () => globalThis.eval("1")]]) {
        try { run(); outcome[name] = "done"; } catch (error) { outcome[name] = "blocked"; }
      }
      await new Promise((done) => setTimeout(done, 300));
      return outcome;
    }, site);
    assert.deepEqual(blocked, { fetch: "TypeError", self: "TypeError", xhr: "blocked", image: "blocked", socket: "blocked", html: "blocked", eval: "blocked" });
    assert.deepEqual(requests.slice(before), []);
    assert.equal(page.url(), `${site}/explain.html`);
  });

  test("fits a phone, shows the explanation there, and is pictured", async () => {
    for (const [name, options] of [["phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }], ["light", { viewport: { width: 1280, height: 900 } }], ["dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }]]) {
      const context = await chromium.newContext(options);
      const page = await open(context);
      for (const [index, button] of (await page.locator("#examples button").all()).entries()) {
        await button.click();
        await explained(page);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), options.viewport.width);
        assert.ok(await page.evaluate(() => document.querySelector("#result").getBoundingClientRect().top < innerHeight * 0.6));
        if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `explain-${name}-${index}.png`), fullPage: name === "phone" });
      }
      await context.close();
    }
  });
});
