// The demo site in Chromium: its configuration, the Worker in workerd, a real provider. What users see, and what pages of other
// sites can do. EDGEWARD_SCREENSHOTS=folder keeps a picture of every page, light and dark, narrow and wide.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { request as send } from "node:http";
import { join, resolve } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { startSite } from "../../examples/site/server.mjs";
import { CHROMIUM, launchChromium } from "./support/chromium.mjs";
import { freePort, serve } from "./support/http.mjs";
import { COOKIE } from "./support/login.mjs";
import { ACCOUNTS, CLIENT_SECRET, ROLES_CLAIM, startProvider } from "./support/provider.mjs";
import { startWorker } from "./support/worker.mjs";

const SCREENSHOTS = process.env.EDGEWARD_SCREENSHOTS;
/** A user whose name tests escaping in markup, headers and percent-encoding. */
const ODD = { name: `<img src=x onerror="document.title='x'"> Zoë & 𝄞 100%41`, [ROLES_CLAIM]: ["<b>admin</b>", "„ä“"] };
const config = JSON.parse(await readFile(resolve(import.meta.dirname, "../../examples/site/edgeward.json"), "utf8"));

describe("in Chromium", { skip: !CHROMIUM && "there is no Chromium here", timeout: 300_000 }, () => {
  let gateway, site, provider, worker, chromium, context, page;
  /** The site whose service worker passes every request on, and its port. */
  let passing, passingPort;
  /** What the pages opened in a test complained about. */
  let complaints;

  const env = (sessionSecret) => ({
    EDGEWARD_ISSUER: provider.issuer, EDGEWARD_ORIGIN: site.url, EDGEWARD_SITE: gateway, EDGEWARD_CLIENT_ID: "edgeward-web",
    EDGEWARD_CLIENT_SECRET: CLIENT_SECRET, EDGEWARD_SESSION_SECRET: sessionSecret,
  });
  const SECRET = "a-session-secret-of-the-tests-0123456789abcdef";

  before(async () => {
    const port = await freePort();
    gateway = `http://localhost:${port}`;
    passingPort = await freePort();
    passing = `http://localhost:${passingPort}`;
    [site, provider, chromium] = await Promise.all([startSite(), startProvider({ gateways: [gateway, passing], accounts: { ...ACCOUNTS, odd: ODD } }), launchChromium()]);
    worker = await startWorker({ config, env: env(SECRET), port });
  });
  after(() => Promise.all([chromium?.close(), worker?.stop(), provider?.stop(), site?.stop()]));

  beforeEach(async () => {
    context = await chromium.newContext();
    complaints = [];
    // Every page of every site reports what a content security policy kept from happening.
    await context.exposeBinding("complain", (_source, text) => complaints.push(text));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, documentURI }) =>
        globalThis.complain(`${violatedDirective} blocks ${blockedURI} in ${documentURI}`));
    });
    context.on("console", (message) => {
      if (/content security policy|refused to|status of 404/i.test(message.text())) complaints.push(message.text());
    });
    context.on("weberror", (error) => complaints.push(String(error.error())));
    page = await context.newPage();
  });
  afterEach(async () => {
    await context.close();
    provider.endSessions();
    assert.deepEqual(complaints, []);
  });

  const heading = (of = page) => of.getByRole("heading", { level: 1 }).innerText();
  const open = (path, of = page) => of.goto(new URL(path, gateway).href);
  const isLoginPage = async (of = page) => new URL(of.url()).origin === provider.url && (await heading(of)) === "Log in";
  const sessionCookies = async () => (await context.cookies(gateway)).filter(({ name }) => name.startsWith(COOKIE));

  /** Chooses an account on the provider's login page. */
  async function choose(name, of = page) {
    await of.getByRole("button", { name: `Log in as ${name}` }).click();
  }

  async function logIn(name, path = "/account") {
    await open(path);
    await choose(name);
    await page.waitForURL(new URL(path, gateway).href);
  }

  /** `fetch` in the page: status, address and text of the answer, or that it failed. */
  const fetchIn = (of, url, init) =>
    of.evaluate(async ([url, init]) => {
      try {
        const answer = await fetch(url, init);
        return { status: answer.status, redirected: answer.redirected, type: answer.headers.get("content-type"), text: await answer.text() };
      } catch (error) {
        return { failed: error.name };
      }
    }, [url, init]);

  async function picture(name) {
    if (!SCREENSHOTS) return;
    await mkdir(SCREENSHOTS, { recursive: true });
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [390, 1280]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: width === 390 ? 760 : 800 });
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
  }

  /** No page is wider than a phone, and each has what assistive technology needs. */
  async function assertAccessible() {
    await page.setViewportSize({ width: 320, height: 640 });
    const found = await page.evaluate(() => ({
      language: document.documentElement.lang,
      titled: document.title !== "",
      headings: document.querySelectorAll("h1").length,
      mains: document.querySelectorAll("main").length,
      overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      unnamed: [...document.querySelectorAll("a, button, input:not([type=hidden])")].filter(
        (element) => !(element.textContent.trim() || element.labels?.length || element.getAttribute("aria-label")),
      ).length,
      unloaded: [...document.images].filter((image) => image.naturalWidth === 0).length,
    }));
    assert.deepEqual(found, { language: "en", titled: true, headings: 1, mains: 1, overflows: false, unnamed: 0, unloaded: 0 }, page.url());
    await page.setViewportSize({ width: 1280, height: 720 });
  }

  describe("a login", () => {
    test("leads from a protected page over the provider back to it", async () => {
      await open("/");
      assert.equal(await heading(), "A site with a guard at the edge");
      await assertAccessible();
      await picture("start");
      await page.getByRole("link", { name: "Account", exact: true }).click();
      assert.ok(await isLoginPage(), page.url());
      await assertAccessible();
      await picture("provider-login");
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
      assert.equal(await page.locator("#user").innerText(), "Alice Example");
      const facts = await page.locator("dl").innerText();
      for (const fact of ["alice", "alice@example.com", "admin, editor", "read:items write:items"]) assert.ok(facts.includes(fact), facts);
      await assertAccessible();
      await picture("account");
      await open("/");
      assert.ok((await page.locator("main").innerText()).includes("You are logged in as Alice Example."));
      await picture("start-logged-in");
    });

    test("from the start page's button comes back to the start page", async () => {
      await open("/");
      await page.getByRole("link", { name: "Log in" }).click();
      await choose("Bob Exemplar");
      await page.waitForURL(`${gateway}/`);
      assert.equal(await page.locator("#user").innerText(), "Bob Exemplar");
    });

    test("keeps its session in cookies that no script reads and no other host gets", async () => {
      await logIn("Alice Example");
      const cookies = await context.cookies(gateway);
      assert.ok(cookies.length >= 1);
      for (const { name, domain, path, httpOnly, secure, sameSite } of cookies) {
        assert.ok(name === COOKIE || name.startsWith(`${COOKIE}.`), `${name}: the login's own cookie is gone`);
        // A leading dot would mean that subdomains get it, too.
        assert.deepEqual({ domain, path, httpOnly, secure, sameSite }, { domain: "localhost", path: "/", httpOnly: true, secure: true, sameSite: "Lax" });
      }
      assert.equal(await page.evaluate(() => document.cookie), "");
      assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    });

    test("goes on in two tabs at once", async () => {
      const other = await context.newPage();
      await open("/account");
      await open("/admin", other);
      assert.ok((await isLoginPage()) && (await isLoginPage(other)));
      await choose("Alice Example", other);
      await other.waitForURL(`${gateway}/admin`);
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
      await other.reload();
      assert.equal(await heading(other), "Administration");
    });

    test("survives the back button", async () => {
      await open("/");
      await page.getByRole("link", { name: "Account", exact: true }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
      await page.goBack();
      assert.equal(await heading(), "This login has expired", "the provider's page");
      await assertAccessible();
      await picture("provider-over");
      await page.goBack();
      assert.equal(page.url(), `${gateway}/`);
      assert.equal(await page.locator("#user").innerText(), "Alice Example");
      await page.goForward();
      await page.goForward();
      assert.equal(await heading(), "Hello, Alice Example");
    });

    test("that was finished already goes on when its callback comes again: reopened, and by Back", async () => {
      const callbacks = [];
      page.on("request", (request) => {
        if (request.url().startsWith(`${gateway}/auth/callback`)) callbacks.push(request.url());
      });
      await logIn("Alice Example");
      for (let time = 0; time < 3; time += 1) {
        const answer = await page.goto(callbacks[0]);
        assert.equal(answer.status(), 200);
        assert.equal(page.url(), `${gateway}/`);
      }
      await open("/account");
      assert.equal(await heading(), "Hello, Alice Example");
      await page.goBack();
      assert.equal(page.url(), `${gateway}/`);
      // Without a session, it offers the login.
      await context.clearCookies();
      const answer = await page.goto(callbacks[0]);
      assert.equal(answer.status(), 400);
      assert.equal(await heading(), "Login failed");
      assert.ok((await page.locator("main").innerText()).includes("state_invalid"));
      await assertAccessible();
      await picture("gateway-callback-failed");
      await page.getByRole("link", { name: "Log in" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/`);
      await open("/account");
      assert.equal(await heading(), "Hello, Alice Example");
    });

    test("started in twenty restored tabs is finished in each, in any order", async () => {
      const tabs = [];
      for (let tab = 0; tab < 20; tab += 1) tabs.push(await context.newPage());
      const address = (tab) => `${gateway}/account?tab=${String(tab).padStart(2, "0")}`;
      await Promise.all(tabs.map((one, tab) => one.goto(address(tab))));
      const cookies = (await context.cookies(gateway)).filter(({ name }) => name.includes("-login-"));
      assert.equal(cookies.length, 20);
      assert.ok(cookies.map(({ name, value }) => `${name}=${value}`).join("; ").length < 4096);
      for (let step = 0; step < 20; step += 1) {
        const tab = (step * 7 + 3) % 20;
        assert.ok(await isLoginPage(tabs[tab]), tabs[tab].url());
        await choose("Alice Example", tabs[tab]);
        await tabs[tab].waitForURL(address(tab));
        assert.equal(await heading(tabs[tab]), "Hello, Alice Example");
      }
      assert.ok((await context.cookies(gateway)).every(({ name }) => !name.includes("-login-")));
    });

    test("from a deep link of 8 KiB comes back to it, braces, bars and all", async () => {
      for (const query of ["filter={a|b}^`'\\&q=%7B%5C%zz&é=ü \"<x>", `q={${"0123456789abcdef".repeat(511)}}`]) {
        const target = new URL(`/account?${query}`, gateway);
        await page.goto(target.href);
        assert.ok(await isLoginPage(), page.url());
        assert.ok(page.url().length < 1024);
        await choose("Alice Example");
        await page.waitForURL((url) => url.pathname === "/account");
        assert.equal(await heading(), "Hello, Alice Example");
        const plain = (url) => url.search.replace(/[{}|^`'\\]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
        assert.equal(plain(new URL(page.url())), plain(target));
        await context.clearCookies();
      }
      const answer = await open(`/account?q=${"a".repeat(9300)}`);
      assert.equal(answer.status(), 400);
      assert.equal(await heading(), "This address is too long");
      await assertAccessible();
      await picture("gateway-address-too-long");
      await page.getByRole("link", { name: "Log in" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/`);
    });

    test("that is cancelled ends on a page that offers another try", async () => {
      await open("/account");
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.waitForURL((url) => url.pathname === "/auth/callback");
      assert.equal(await heading(), "Login failed");
      assert.ok((await page.locator("main").innerText()).includes("login_denied"));
      assert.deepEqual((await sessionCookies()).filter(({ name }) => !name.includes("-login-")), []);
      await picture("gateway-login-denied");
      await page.getByRole("link", { name: "Log in" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
      // Back over the provider's page to the callback that failed: with a session, it goes on.
      await page.goBack();
      await page.goBack();
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
    });

    test("begun at 127.0.0.1 ends at localhost, where its cookies are", async () => {
      const address = gateway.replace("localhost", "127.0.0.1");
      await page.goto(`${address}/account`);
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
      await page.goto(address);
      await page.getByRole("link", { name: "Log in" }).click();
      await page.waitForURL(`${gateway}/`);
      assert.equal(await page.locator("#user").innerText(), "Alice Example");
    });

    test("while the provider is down says so, and leads to the page once it is back", async () => {
      await worker.restart();
      await provider.stop();
      try {
        const answer = await open("/account");
        assert.equal(answer.status(), 502);
        assert.equal(await heading(), "Login is not available right now");
        assert.ok((await page.locator("main").innerText()).includes("discovery_unreachable"));
        await assertAccessible();
        await picture("gateway-provider-down");
      } finally {
        await provider.start();
        await worker.restart();
      }
      await page.getByRole("link", { name: "Log in" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
    });
  });

  describe("the demo", () => {
    test("shows a deep link that comes back after the login, with its query", async () => {
      await open("/");
      await page.getByRole("link", { name: "A deep link" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/search?q=caf%C3%A9%20au%20lait&page=2`);
      assert.deepEqual(await page.locator("dd").allInnerTexts(), ["café au lait", "2"]);
      await assertAccessible();
      await picture("search");
    });

    test("shows a form that is not lost when the session has ended", async () => {
      await logIn("Alice Example", "/letter");
      await assertAccessible();
      await picture("letter");
      await page.getByLabel("Letter").fill("Dear <b>Bob</b>");
      const [other] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "log out in another tab" }).click()]);
      await other.getByRole("heading", { name: "You are logged out" }).waitFor();
      await other.close();
      const [answer] = await Promise.all([page.waitForResponse(`${gateway}/letter`), page.getByRole("button", { name: "Send" }).click()]);
      assert.equal(answer.status(), 401);
      assert.equal(await heading(), "Your form was not sent");
      await assertAccessible();
      await picture("gateway-form-not-sent");
      const [tab] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: "Log in in a new tab" }).click()]);
      await choose("Alice Example", tab);
      await tab.waitForURL(`${gateway}/`);
      await page.goBack();
      await page.getByLabel("Letter").fill("Dear <b>Bob</b>");
      await page.getByRole("button", { name: "Send" }).click();
      assert.equal(await page.locator("#sent").innerText(), "Sent: Dear <b>Bob</b>");
    });

    test("shows server-sent events and a WebSocket behind the guard", async () => {
      await logIn("Alice Example", "/live/");
      await page.getByText(/^Event .* for Alice Example$/).waitFor();
      await page.getByText("Alice Example said hello").waitFor();
      await assertAccessible();
      await picture("live");
      await context.clearCookies();
      assert.equal((await fetchIn(page, "/live/events")).status, 401);
      const refused = await page.evaluate(() => new Promise((resolve) => {
        const socket = new WebSocket(`${location.origin.replace("http", "ws")}/live/socket`);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }));
      assert.equal(refused, "refused");
    });
  });

  describe("a session", () => {
    test("that lacks a role is shown a page about it", async () => {
      await logIn("Bob Exemplar");
      const answer = await open("/admin");
      assert.equal(answer.status(), 403);
      assert.equal(await heading(), "You cannot see this page");
      await assertAccessible();
      await picture("gateway-forbidden");
      assert.ok((await page.locator("main").innerText()).includes("Role needed: admin"));
      await page.getByRole("link", { name: "Start page" }).click();
      assert.equal(await page.locator("#user").innerText(), "Bob Exemplar");
    });

    test("that lacks a role is exchanged for another user's, on the same page", async () => {
      await logIn("Bob Exemplar");
      await open("/admin?from=test");
      await page.getByRole("link", { name: "Log in as another user" }).click();
      assert.ok(await isLoginPage(), "the provider asks although it has a session");
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/admin?from=test`);
      assert.equal(await heading(), "Administration");
    });

    test("shows its user's name as it is, whatever it is", async () => {
      await open("/account");
      await choose(ODD.name);
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), `Hello, ${ODD.name}`);
      assert.ok((await page.locator("dl").innerText()).includes(ODD[ROLES_CLAIM].join(", ")));
      assert.equal(await page.locator("main img, main b").count(), 0);
      await assertAccessible();
    });

    test("that has the role is shown the administration", async () => {
      await logIn("Alice Example", "/admin");
      assert.equal(await heading(), "Administration");
      await assertAccessible();
      await picture("admin");
    });

    test("is what scripts of the page call the API with", async () => {
      await logIn("Alice Example");
      await page.getByLabel("New item").fill("<b>bread</b> & butter");
      await page.getByRole("button", { name: "Add", exact: true }).click();
      await page.getByText("The API answered 200.").waitFor();
      assert.deepEqual(await page.locator("#items li").allInnerTexts(), ["<b>bread</b> & butter"]);
      await picture("account-items");
      const answer = await fetchIn(page, "/api/items");
      const { headers } = JSON.parse(answer.text);
      assert.equal(headers["x-user-id"], "alice");
      assert.equal(headers.cookie, undefined, "the origin gets neither cookie nor token");
      assert.equal(headers.authorization, undefined);
    });

    test("that has ended is 401 for the page's script, which offers to log in again", async () => {
      await logIn("Alice Example");
      const other = await context.newPage();
      await open("/account", other);
      await other.getByRole("link", { name: "Log out" }).click();
      await other.waitForURL(`${gateway}/account`);
      assert.equal(await heading(other), "You are logged out");
      await page.getByRole("button", { name: "Read the items" }).click();
      await page.getByText("The API answered 401 token_missing.").waitFor();
      await picture("account-logged-out");
      const answer = await fetchIn(page, "/api/items");
      assert.deepEqual([answer.status, answer.redirected, answer.type], [401, false, "application/problem+json"]);
      await page.getByRole("link", { name: "Log in again" }).click();
      await choose("Alice Example");
      await page.waitForURL(`${gateway}/account`);
    });

    test("sealed with a removed secret ends: scripts get 401, users log in again", async () => {
      await logIn("Alice Example");
      const [{ value }] = await sessionCookies();
      await worker.restart({ env: env("another-session-secret-of-the-tests-0123456789") });
      try {
        assert.equal((await fetchIn(page, "/api/items")).status, 401);
        provider.endSessions();
        await page.reload();
        assert.ok(await isLoginPage(), page.url());
        assert.ok(!(await sessionCookies()).some((cookie) => cookie.value === value), "the dead cookie is cleared");
        await choose("Bob Exemplar");
        await page.waitForURL(`${gateway}/account`);
        assert.equal(await heading(), "Hello, Bob Exemplar");
      } finally {
        await worker.restart({ env: env(SECRET) });
      }
    });

    test("whose cookie was altered is ignored", async () => {
      await logIn("Alice Example");
      for (const { name, value, ...cookie } of await sessionCookies()) {
        const middle = value.length >> 1;
        await context.addCookies([{ ...cookie, name, value: `${value.slice(0, middle)}${value[middle] === "A" ? "B" : "A"}${value.slice(middle + 1)}` }]);
      }
      assert.equal((await fetchIn(page, "/api/items")).status, 401);
      await open("/");
      assert.ok((await page.locator("main").innerText()).includes("You are not logged in."));
    });
  });

  describe("a session whose cookie is SameSite=Strict", () => {
    before(() => worker.restart({ config: { ...config, session: { ...config.session, same_site: "Strict" } } }));
    after(() => worker.restart({ config }));

    /** The account page is open, and no more than these redirects and one page led to it. */
    async function assertArrived() {
      await page.waitForURL(`${gateway}/account`);
      assert.equal(await heading(), "Hello, Alice Example");
    }

    test("begins with a login from the site's own page, and from an address", async () => {
      await open("/");
      await page.getByRole("link", { name: "Account", exact: true }).click();
      await choose("Alice Example");
      await assertArrived();
      for (const { sameSite } of await sessionCookies()) assert.equal(sameSite, "Strict");
      await page.reload();
      await assertArrived();
      await open("/account");
      await assertArrived();
    });

    test("is there again after a link of another site, by the provider's own session, and without end of redirects", async () => {
      await logIn("Alice Example");
      const other = await serve((_req, res) => res.writeHead(200, { "content-type": "text/html" }).end(`<a href="${gateway}/account">Go</a>`));
      const opened = [];
      page.on("request", (request) => request.isNavigationRequest() && opened.push(request.url()));
      try {
        await page.goto(other.url);
        opened.length = 0;
        await page.getByRole("link").click();
        await assertArrived();
        assert.ok(opened.length <= 6, opened.join("\n"));
      } finally {
        await other.close();
      }
    });

    test("ends with a logout", async () => {
      await logIn("Alice Example");
      await page.getByRole("link", { name: "Log out" }).click();
      await page.waitForURL(`${gateway}/account`);
      await page.getByRole("heading", { name: "You are logged out" }).waitFor();
      assert.deepEqual(await context.cookies(gateway), []);
    });
  });

  describe("logging out", () => {
    test("ends the session here and at the provider; no button brings the page back", async () => {
      await logIn("Alice Example");
      await page.getByRole("link", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "You are logged out" }).waitFor();
      assert.equal(page.url(), `${gateway}/account`);
      assert.deepEqual(await context.cookies(gateway), []);
      await assertAccessible();
      await picture("gateway-signed-out");
      await page.goBack();
      // The provider's logout page may be in between; what never comes back is what the account page said.
      assert.ok(!(await page.locator("body").innerText()).includes("alice@example.com"), page.url());
      await open("/account");
      assert.ok(await isLoginPage(), page.url());
    });

    test("works with the provider down", async () => {
      await logIn("Alice Example");
      await worker.restart();
      await provider.stop();
      try {
        await open("/logout");
        assert.equal(await heading(), "You are logged out");
        assert.deepEqual(await context.cookies(gateway), []);
        await assertAccessible();
        await picture("gateway-logged-out");
      } finally {
        await provider.start();
        await worker.restart();
      }
    });
  });

  // Another site altogether, and another origin of the same site: cookies with SameSite=Lax go along with the latter.
  for (const [what, host] of [["another site", "127.0.0.1"], ["another origin of the same site", "localhost"]]) {
    describe(`a page of ${what}`, () => {
      let evil;
      before(async () => {
        evil = await serve((req, res) => {
          const { pathname, searchParams } = new URL(req.url, "http://evil");
          res.writeHead(200, { "content-type": "text/html" });
          if (pathname === "/post") res.end(`<form method="post" enctype="text/plain" action="${gateway}${searchParams.get("to")}"><button name='{"item":"' value='"}'>Win</button></form>`);
          else if (pathname === "/link") res.end(`<a href="${gateway}${searchParams.get("to")}">Win</a>`);
          else if (pathname === "/embed") res.end(`<img src="${gateway}/logout"><iframe src="${gateway}${searchParams.get("to")}"></iframe>`);
          else res.end("<!doctype html><title>evil</title>");
        });
      });
      after(() => evil.close());

      const openEvil = (path) => page.goto(`http://${host}:${evil.port}${path}`);
      let cookie, items;
      beforeEach(async () => {
        await logIn("Alice Example");
        cookie = (await sessionCookies())[0].value;
        ({ items } = JSON.parse((await fetchIn(page, "/api/items")).text));
      });
      /** The session is the one from before, and nothing was done with it. */
      afterEach(async () => {
        assert.equal((await sessionCookies())[0]?.value, cookie);
        await open("/account");
        assert.equal(await heading(), "Hello, Alice Example");
        assert.deepEqual(JSON.parse((await fetchIn(page, "/api/items")).text).items, items);
      });

      test("cannot act with the session by a form", async () => {
        await openEvil("/post?to=/api/items");
        const [answer] = await Promise.all([page.waitForResponse(`${gateway}/api/items`), page.getByRole("button").click()]);
        assert.ok([401, 403].includes(answer.status()), String(answer.status()));
      });

      test("cannot act with the session or read with it by a script", async () => {
        await openEvil("/");
        for (const init of [{ method: "POST", body: '{"item":"x"}', mode: "no-cors" }, { method: "POST", body: '{"item":"x"}' }, { method: "DELETE" }, {}]) {
          const { failed, status, text } = await fetchIn(page, `${gateway}/api/items`, { ...init, credentials: "include" });
          assert.ok(failed || (status === 0 && text === ""), JSON.stringify(init));
        }
      });

      test("cannot log the user out by a script", async () => {
        await openEvil("/");
        for (const init of [{ mode: "no-cors" }, {}, { method: "POST", mode: "no-cors" }]) await fetchIn(page, `${gateway}/logout`, { ...init, credentials: "include" });
      });

      // That frames are refused is a complaint of the browser's, and wanted.
      const wanted = () => {
        assert.ok(complaints.every((text) => /frame-ancestors/.test(text)), complaints.join());
        complaints.length = 0;
      };

      test("cannot log the user out by what it embeds", async () => {
        await openEvil("/embed?to=/logout");
        await page.waitForLoadState("load");
        wanted();
      });

      test("cannot show the site in a frame", async () => {
        await openEvil("/embed?to=/account");
        await page.waitForLoadState("load");
        const [, frame] = page.frames();
        assert.ok(!(await frame.locator("body").innerText({ timeout: 1_000 }).catch(() => "")).includes("Alice"), "the account page is framed");
        wanted();
      });
    });
  }

  describe("behind a service worker that passes every request on", () => {
    let front, origin, worker;
    /** The navigations that reached the gateway: path, destination and site, as the browser states them, and the status of the answer. */
    const seen = [];

    before(async () => {
      front = await serve((req, res) => new Promise((resolve, reject) => {
        const forwarded = send({ host: "127.0.0.1", port: worker.port, method: req.method, path: req.url, headers: req.headers }, (answer) => {
          const { "sec-fetch-mode": mode, "sec-fetch-dest": dest, "sec-fetch-site": site } = req.headers;
          if (mode === "navigate") seen.push(`${req.url.split("?")[0]} ${dest} ${site} ${answer.statusCode}`);
          res.writeHead(answer.statusCode, answer.rawHeaders);
          answer.pipe(res).on("finish", resolve);
        });
        req.pipe(forwarded.on("error", reject));
      }), { port: passingPort });
      origin = await serve((req, res) => {
        if (req.url === "/sw.js") {
          return res.writeHead(200, { "content-type": "text/javascript" }).end(`
            self.addEventListener("install", () => self.skipWaiting());
            self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
            self.addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));`);
        }
        res.writeHead(200, { "content-type": "text/html" });
        res.end(`<!doctype html><title>x</title><link rel="icon" href="data:,"><h1>${req.url}</h1><a href="/logout">Leave</a>
          <script>navigator.serviceWorker.register("/sw.js")</script>`);
      });
      const proxied = (path, auth) => ({ method: "GET", path, auth, integration: { type: "http", url: origin.url } });
      worker = await startWorker({
        config: {
          authorizer: {
            type: "oidc", issuer: provider.issuer, client_id: "edgeward-web", client_secret: CLIENT_SECRET,
            redirect_uri: `${passing}/callback`, post_logout_uri: `${passing}/`,
          },
          session: { secrets: SECRET },
          // The logout works where its route has no POST.
          paths: [...["login", "callback", "logout"].map((type) => ({ method: "GET", path: `/${type}`, integration: { type } })),
            ...["/", "/sw.js", "/favicon.ico"].map((path) => proxied(path, "none")), proxied("/account", "required")],
        },
      });
    });
    after(() => Promise.all([front?.close(), worker?.stop(), origin?.close()]));

    /** Logs in, with every step of it passed on. */
    async function logInPassedOn() {
      await page.goto(`${passing}/`);
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await page.reload();
      seen.length = 0;
      await page.goto(`${passing}/account`);
      await choose("Alice Example");
      await page.waitForURL(`${passing}/account`);
      assert.equal(await heading(), "/account");
      assert.ok(seen.some((line) => / empty /.test(line)), seen.join("\n"));
      assert.ok(seen.some((line) => /^\/callback .* 302$/.test(line)), seen.join("\n"));
    }

    test("a user logs in and out", async () => {
      await logInPassedOn();
      await page.getByRole("link", { name: "Leave" }).click();
      await page.waitForURL(`${passing}/`);
      assert.ok(seen.includes("/logout empty same-origin 302"), seen.join("\n"));
      await page.goto(`${passing}/account`);
      assert.ok(await isLoginPage(), page.url());
    });

    test("a user confirms the logout that another site asks for", async () => {
      await logInPassedOn();
      const evil = await serve((_req, res) => res.writeHead(200, { "content-type": "text/html" }).end(`<link rel="icon" href="data:,"><a href="${passing}/logout">Win</a>`));
      try {
        await page.goto(evil.url);
        await page.getByRole("link").click();
        await page.waitForURL(`${passing}/logout`);
        assert.equal(await heading(), "Log out?");
        assert.ok(seen.includes("/logout empty cross-site 200"), seen.join("\n"));
        await page.getByRole("link", { name: "Log out" }).click();
        await page.waitForURL(`${passing}/`);
        await page.goto(`${passing}/account`);
        assert.ok(await isLoginPage(), page.url());
      } finally {
        await evil.close();
      }
    });

    test("a frame on another site does not log the user out", async () => {
      await logInPassedOn();
      const evil = await serve((_req, res) => res.writeHead(200, { "content-type": "text/html" }).end(`<link rel="icon" href="data:,"><iframe src="${passing}/logout"></iframe>`));
      try {
        await page.goto(evil.url);
        await page.waitForLoadState("load");
        await page.goto(`${passing}/account`);
        assert.equal(await heading(), "/account");
        complaints = complaints.filter((text) => !/frame-ancestors/.test(text));
      } finally {
        await evil.close();
      }
    });
  });

  test("a link of another site to the logout asks first", async () => {
    await logIn("Alice Example");
    const evil = await serve((_req, res) => res.writeHead(200, { "content-type": "text/html" }).end(`<a href="${gateway}/logout">Win</a>`));
    try {
      await page.goto(evil.url);
      await page.getByRole("link").click();
      await page.waitForURL(`${gateway}/logout`);
      assert.equal(await heading(), "Log out?");
      await assertAccessible();
      await picture("gateway-confirm-logout");
      await page.getByRole("link", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "You are logged out" }).waitFor();
      assert.deepEqual(await context.cookies(gateway), []);
    } finally {
      await evil.close();
    }
  });
});
