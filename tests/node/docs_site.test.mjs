// The documentation site, as `make docs` builds it: its links, its search, and how it looks on a phone.
// EDGEWARD_SCREENSHOTS=folder keeps a picture of every page.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { SECTIONS, TOOLS } from "../../docs/site/pages.mjs";
import { CHROMIUM, launchChromium } from "./support/chromium.mjs";

const root = resolve(import.meta.dirname, "../..");
const { repository, homepage } = JSON.parse(readFileSync(join(root, "project.json"), "utf8"));
const pages = SECTIONS.flatMap((section) => section.pages);
const addresses = [...pages, ...TOOLS].map(([, address]) => address);
const out = mkdtempSync(join(tmpdir(), "edgeward-site-"));
const read = (file) => readFileSync(join(out, file), "utf8");
const SCREENSHOTS = process.env.EDGEWARD_SCREENSHOTS;

before(() => promisify(execFile)(process.execPath, [join(root, "scripts/docs.mjs"), out]), { timeout: 300_000 });
after(() => rmSync(out, { recursive: true, force: true }));

test("every document is a page", () => {
  const files = pages.map(([file]) => file);
  for (const name of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"))) assert.ok(files.includes(`docs/${name}`), name);
});

test("every link leads to a page, a heading or a file that exists, and nothing is loaded from elsewhere", () => {
  let checked = 0;
  for (const address of addresses) {
    const html = read(`${address}.html`);
    for (const [, attribute, link] of html.matchAll(/<[a-z][^>]*?\s(href|src)="([^"]*)"/g)) {
      const url = new URL(link.replaceAll("&amp;", "&"), new URL(`${address}.html`, homepage));
      checked += 1;
      if (url.origin === new URL(homepage).origin) {
        const file = decodeURIComponent(url.pathname.slice(new URL(homepage).pathname.length)) || "index.html";
        const target = [file, `${file}.html`].find((name) => existsSync(join(out, name)));
        assert.ok(target, `${address}: ${link}`);
        const id = decodeURIComponent(url.hash.slice(1));
        if (id !== "" && target.endsWith(".html")) assert.ok(read(target).includes(`id="${id}"`), `${address}: ${link}`);
      } else {
        assert.equal(attribute, "href", `${address} loads ${link}`);
        if (link.startsWith(`${repository}/blob/main/`)) assert.ok(existsSync(join(root, link.slice(`${repository}/blob/main/`.length).split("#")[0])), `${address}: ${link}`);
      }
    }
    assert.doesNotMatch(html, /<(?:link|script)[^>]*(?:href|src)="(?:https?:)?\/\//, address);
  }
  assert.ok(checked > 500, `${checked} links`);
});

test("llms.txt lists every page as Markdown, with links that resolve", () => {
  const listed = [...read("llms.txt").matchAll(/\]\(([^)]+)\): ./g)].map(([, url]) => url);
  assert.deepEqual(listed, pages.map(([, address]) => new URL(`${address}.md`, homepage).href));
  for (const [, address] of pages) {
    for (const [, path] of read(`${address}.md`).matchAll(/\]\((\/[^)#]*)/g)) assert.ok(existsSync(join(out, path)), `${address}.md: ${path}`);
  }
});

describe("in Chromium", { skip: !CHROMIUM && "there is no Chromium here", timeout: 120_000 }, () => {
  const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".woff2": "font/woff2" };
  let server, chromium, site;

  before(async () => {
    server = createServer((request, response) => {
      const path = join(out, decodeURIComponent(new URL(request.url, "http://site").pathname).replace(/\/$/, "/index.html"));
      if (!existsSync(path)) return response.writeHead(404).end();
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(readFileSync(path));
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    site = `http://127.0.0.1:${server.address().port}/`;
    chromium = await launchChromium();
    if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });
  });
  after(async () => {
    await chromium?.close();
    server?.closeAllConnections();
    server?.close();
  });

  test("no page is wider than a phone, and none complains", async () => {
    const context = await chromium.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => request.url().startsWith(site) || complaints.push(request.url()));
    for (const address of addresses) {
      await page.goto(`${site}${address}.html`);
      await page.waitForSelector("main h1");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, address);
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `site-${address}.png`) });
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("the page that explains requests is reached from the navigation and the text, and leads back", async () => {
    const context = await chromium.newContext({ viewport: { width: 1200, height: 900 } });
    const page = await context.newPage();
    for (const [address, where] of [["index", ".VPNavBarMenu"], ["index", ".VPSidebar"], ["command", ".vp-doc"], ["troubleshooting", ".vp-doc"]]) {
      await page.goto(`${site}${address}.html`);
      await page.click(`${where} a[href$="/explain.html"]`);
      await page.click("#examples button");
      await page.waitForSelector("#result .passed");
    }
    await page.click("header .name");
    await page.waitForSelector(".vp-doc h1");
    await context.close();
  });

  test("the search finds a code and a key", async () => {
    const context = await chromium.newContext({ viewport: { width: 1200, height: 900 } });
    const page = await context.newPage();
    await page.goto(site);
    for (const [asked, address] of [["path_ambiguous", "troubleshooting"], ["strip_prefix", "forwarding"]]) {
      await page.click(".DocSearch-Button");
      await page.fill(".VPLocalSearchBox input", asked);
      await page.waitForSelector(`.VPLocalSearchBox .result[href*="${address}"]`);
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `site-search-${asked}.png`) });
      await page.keyboard.press("Escape");
    }
    await context.close();
  });
});
