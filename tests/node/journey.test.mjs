// The way to a page and back: any address comes back after the login, however many logins are open and however often a callback comes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { after, beforeEach, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig, SESSION_SECRET } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE } from "./support/provider.mjs";
import { loginCookies } from "./support/seal.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const configure = (changes) => loginConfig(provider, origin, changes);
const worker = await startWorker({ config: configure() });
after(() => Promise.all([worker, provider, origin].map((part) => part.stop())));
beforeEach(() => provider.reset());

const host = new URL(SITE).host;
const login = { issuer: provider.issuer, clientId: "edgeward-web", audience: [AUDIENCE] };
const isCallback = (url) => url.origin === SITE && url.pathname === "/auth/callback";
const newBrowser = () => new Browser(worker);
const openLogins = (browser) => [...browser.cookies().keys()].filter((name) => name.startsWith(LOGIN_COOKIE));
const deepLink = async (browser, path) => (await browser.open(path, { until: isCallback })).next;
/** Where the page's link leads. */
const link = (answer) => {
  assert.match(answer.header("content-type"), /^text\/html/, answer.text);
  return /<a href="([^"]*)"/.exec(answer.text)[1].replaceAll("&amp;", "&");
};
const page = (browser, url) => browser.send(url, { headers: NAVIGATION });
/** A login in a browser that began it this long ago. */
function begun(age, destination, more) {
  const [browser, state] = [newBrowser(), randomBytes(32).toString("base64url")];
  for (const [name, value] of loginCookies(SESSION_SECRET, host, login, state, { issued: Date.now() - age, destination, ...more })) browser.cookies().set(name, value);
  return { browser, state, callback: `/auth/callback?code=code&state=${state}&iss=${encodeURIComponent(provider.issuer)}` };
}
const MINUTE = 60_000;

/** Requests a target byte for byte, as no URL parser would leave it; follows the login to the page. */
async function comesBack(target) {
  const browser = newBrowser();
  const first = await worker.request({ target, headers: { host, ...NAVIGATION } });
  assert.equal(first.status, 302, `${target}: ${first.text}`);
  for (const [name, value] of first.headers) {
    if (name.toLowerCase() !== "set-cookie") continue;
    const [pair] = value.split(";");
    browser.cookies().set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
  }
  const { next } = await browser.open(first.header("location"), { until: isCallback });
  const back = await page(browser, next.href);
  assert.equal(back.status, 302, back.text);
  assert.equal((await page(browser, back.header("location"))).status, 200);
  return back.header("location");
}

describe("after a login a browser is", () => {
  for (const [what, target, expected] of [
    ["at a plain page", "/app/x?year=2026", "/app/x?year=2026"],
    // Browsers encode `"`, `<`, `>` and spaces themselves, and the runtime refuses them.
    ["at one with raw braces, bars, carets, quotes and backslashes in its query", "/app/x?a={b}|c^d\\e'f`g%22", "/app/x?a=%7Bb%7D%7Cc%5Ed%5Ce%27f%60g%22"],
    ["at one with every escape in its query", `/app/x?${Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")}%zz%&%E`, undefined],
    ["at one with escapes in its path", "/app/caf%C3%A9/%E9/a%20b/%7Bc%7D/%40;v=1", "/app/caf%C3%A9/%E9/a%20b/%7Bc%7D/%40;v=1"],
    ["at one with two slashes", "/app/a//b?c=//d", "/app/a//b?c=//d"],
    ["at one with an encoded URL", "/app/https%3A%2F%2Fexample.com%2Fa", "/app/https%3A%2F%2Fexample.com%2Fa"],
    ["at one with 8 KiB of query", `/app/x?${"q=0123456789&".repeat(700).slice(0, 8192)}`, undefined],
    ["at one with an empty query", "/app/x?", undefined],
  ]) {
    test(what, async () => assert.equal(await comesBack(target), expected ?? target));
  }

  test("where its link led, and the origin gets the same bytes", async () => {
    const browser = newBrowser();
    origin.reset();
    const answer = await browser.open("/app/x?filter={a|b}&q=%7B%5C&é=ü");
    assert.equal(answer.status, 200);
    assert.equal(origin.requests.at(-1).url, "/app/x?filter=%7Ba%7Cb%7D&q=%7B%5C&%C3%A9=%C3%BC");
  });
});

describe("a deep link of 8 KiB", () => {
  const target = `/app/x?${"q".repeat(8192)}`;

  test("does not travel in the login's URL, and uses cookies of its own", async () => {
    const browser = newBrowser();
    const next = await deepLink(browser, target);
    assert.equal(openLogins(browser).length, 4);
    for (const url of browser.visited.slice(1)) assert.ok(url.length < 1024, `${url.length} bytes`);
    assert.equal((await browser.open(next.href)).url, SITE + target);
    assert.deepEqual(openLogins(browser), []);
  });

  test("is not lost by a failure: the page links to it", async () => {
    const browser = newBrowser();
    const next = await deepLink(browser, target);
    next.searchParams.set("error", "access_denied");
    const denied = await page(browser, next.href);
    assert.equal(denied.status, 400);
    assert.equal(link(denied), target);
    assert.equal((await browser.open(link(denied))).url, SITE + target);
  });

  test("that is longer than that is said, with a link to the login", async () => {
    for (const path of [`/app/x?${"q".repeat(9300)}`, `/app/x?${"{".repeat(4000)}`, `/login?return_to=/app/${"q".repeat(9300)}`]) {
      const browser = newBrowser();
      const answer = await page(browser, path);
      assert.equal(answer.status, 400);
      assert.match(answer.text, /This address is too long/);
      assert.match(answer.text, /return_to_too_long/);
      assert.equal(link(answer), "/login");
      assert.deepEqual(answer.setCookies, []);
      assert.match(answer.header("cache-control"), /no-store/);
      assert.equal((await browser.open(link(answer))).url, `${SITE}/`);
    }
  });

  test("begins nothing for scripts, frames, prefetches and HEAD", async () => {
    for (const [method, headers, status] of [
      ["GET", { accept: "application/json" }, 401], ["GET", { ...NAVIGATION, "sec-fetch-dest": "iframe" }, 400],
      ["GET", { ...NAVIGATION, "sec-purpose": "prefetch" }, 401], ["HEAD", NAVIGATION, 302], ["POST", NAVIGATION, 401],
    ]) {
      const answer = await newBrowser().send(target, { method, headers });
      assert.equal(answer.status, status, JSON.stringify(headers));
      assert.deepEqual(answer.setCookies, []);
      assert.ok((answer.header("location") ?? "").length < 200);
    }
  });
});

describe("twenty restored tabs", () => {
  const target = (tab) => `/app/${tab}?${"d".repeat(100)}`.slice(0, 100);

  test("are each finished, in any order, with less than 4 KiB of cookies together", async () => {
    const browser = newBrowser();
    const callbacks = [];
    for (let tab = 0; tab < 20; tab += 1) callbacks.push(await deepLink(browser, target(tab)));
    assert.equal(openLogins(browser).length, 20);
    assert.ok(browser.cookieHeader().length < 4096, `${browser.cookieHeader().length} bytes`);
    for (let step = 0; step < 20; step += 1) {
      const tab = (step * 7 + 3) % 20;
      const answer = await browser.open(callbacks[tab].href);
      assert.equal(answer.url, SITE + target(tab));
      assert.equal(answer.status, 200);
    }
    assert.deepEqual([...browser.cookies().keys()], [COOKIE]);
    assert.equal(provider.exchanges.length, 20);
  });

  test("that begin at the same moment do not hinder each other", async () => {
    const browser = newBrowser();
    const callbacks = await Promise.all(Array.from({ length: 20 }, (_, tab) => deepLink(browser, target(tab))));
    await Promise.all(callbacks.map(async (url, tab) => assert.equal((await page(browser, url.href)).header("location"), target(tab))));
    assert.equal((await page(browser, "/app/x")).status, 200);
  });

  test("have room for one with 8 KiB beside them, and fifty abandoned logins do not pile up", async () => {
    const browser = newBrowser();
    const callbacks = [];
    for (let tab = 0; tab < 19; tab += 1) callbacks.push(await deepLink(browser, target(tab)));
    const long = `/app/x?${"q".repeat(8192)}`;
    callbacks.push(await deepLink(browser, long));
    assert.equal(openLogins(browser).length, 23);
    assert.equal((await browser.open(callbacks[19].href)).url, SITE + long);
    assert.equal((await browser.open(callbacks[0].href)).url, SITE + target(0));
    const other = newBrowser();
    for (let attempt = 0; attempt < 50; attempt += 1) await deepLink(other, target(0));
    assert.equal(openLogins(other).length, 20);
  });
});

describe("a callback that comes again", () => {
  const exchangesOf = async (act) => {
    const before = provider.exchanges.length;
    await act();
    return provider.exchanges.length - before;
  };

  test("goes on with a session, thrice, whatever is in it, and redeems nothing", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, "/app/x?a=b");
    const { browser: pending, callback: old } = begun(11 * MINUTE, "/app/old?c=d");
    assert.equal((await browser.open(url.href)).url, `${SITE}/app/x?a=b`);
    for (const [name, value] of pending.cookies()) browser.cookies().set(name, value);
    const session = browser.cookies().get(COOKIE);
    assert.equal(await exchangesOf(async () => {
      for (const [path, destination] of [
        [url.href, "/"], [url.href, "/"], [url.href, "/"], ["/auth/callback", "/"], [`${url.href}&code=x`, "/"],
        [`${url.href}&return_to=https://evil.example/`, "/"], ["/auth/callback?state=//evil.example&code=x&iss=https://evil.example", "/"],
        ["/auth/callback?error=access_denied&state=x", "/"], [old, "/app/old?c=d"], [old.replace("code=", "error="), "/app/old?c=d"],
      ]) {
        const answer = await page(browser, path);
        assert.equal(answer.status, 302, `${path}: ${answer.text}`);
        assert.equal(answer.header("location"), destination, path);
        assert.deepEqual(answer.setCookies, []);
        assert.match(answer.header("cache-control"), /no-store/);
      }
    }), 0);
    assert.equal(browser.cookies().get(COOKIE), session);
  });

  test("without a session offers the login", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, "/app/x?a=b");
    const jar = new Map(browser.cookies());
    await browser.open(url.href);
    await page(browser, "/logout");
    const gone = await page(browser, url.href);
    assert.equal(gone.status, 400);
    assert.equal(link(gone), "/login");
    for (const [name, value] of jar) browser.cookies().set(name, value);
    const known = await page(browser, url.href);
    assert.equal(known.status, 400, "the session was logged out, and does not come back");
    assert.equal(link(known), "/login?return_to=%2Fapp%2Fx%3Fa%3Db");
    assert.equal((await browser.open(link(known))).url, `${SITE}/app/x?a=b`);
  });

  test("while the first is under way brings the same session, with one exchange", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, "/app/x?a=b");
    provider.setFault("token", { delay: 500, times: 1 });
    const exchanges = await exchangesOf(async () => {
      const answers = await Promise.all([1, 2, 3].map(() => page(browser, url.href)));
      for (const answer of answers) {
        assert.equal(answer.status, 302, answer.text);
        assert.equal(answer.header("location"), "/app/x?a=b");
      }
    });
    assert.equal(exchanges, 1);
    assert.equal((await page(browser, "/app/x")).status, 200);
  });

  test("after the browser gave up the first brings the session", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, "/app/x?a=b");
    provider.setFault("token", { delay: 700, times: 1 });
    const exchanges = await exchangesOf(async () => {
      // A second click cancels the first navigation.
      const socket = connect(worker.port, "127.0.0.1");
      const headers = Object.entries({ host, cookie: browser.cookieHeader(), ...NAVIGATION }).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${headers}\r\n`);
      await delay(250);
      socket.destroy();
      const answer = await page(browser, url.href);
      assert.equal(answer.status, 302, answer.text);
    });
    assert.equal(exchanges, 1);
    assert.equal((await page(browser, "/app/x")).status, 200);
  });
});

describe("every failure leads to a login that keeps the destination:", () => {
  const retry = "/login?return_to=%2Fapp%2Fx%3Fa%3D%257B";
  const target = "/app/x?a={";
  for (const [what, status, change, spoil] of [
    ["an error of the provider", 400, (url) => url.searchParams.set("error", "access_denied")],
    ["the wrong issuer", 400, (url) => url.searchParams.set("iss", "https://evil.example")],
    ["no code", 400, (url) => url.searchParams.delete("code")],
    ["two codes", 400, (url) => url.searchParams.append("code", "x")],
    ["a token endpoint that is down", 502, () => {}, () => provider.setFault("token", { status: 503, body: "{}" })],
    ["an ID token that is wrong", 400, () => {}, () => void (provider.behave.idToken = { claims: { nonce: "other" } })],
  ]) {
    test(what, async () => {
      const browser = newBrowser();
      const url = await deepLink(browser, target);
      change(url);
      spoil?.();
      const answer = await page(browser, url.href);
      assert.equal(answer.status, status, answer.text);
      assert.equal(link(answer), retry);
      provider.reset();
      assert.equal((await browser.open(link(answer))).url, `${SITE}/app/x?a=%7B`);
    });
  }

  test("an outage of the provider, at the login and at the callback", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, target);
    provider.setFault("discovery", { status: 500, body: "{}" });
    await worker.restart();
    const answer = await page(browser, url.href);
    assert.equal(answer.status, 502);
    assert.equal(link(answer), retry);
    const other = newBrowser();
    const login = await other.open(target);
    assert.equal(login.status, 502);
    assert.equal(link(login), retry);
    provider.reset();
    await worker.restart();
    assert.equal((await browser.open(url.href)).url, `${SITE}/app/x?a=%7B`, "nothing was redeemed");
  });

  test("a login that took longer than ten minutes, up to a day, which redeems nothing", async () => {
    for (const minutes of [11, 23 * 60]) {
      provider.exchanges.length = 0;
      const { browser, callback } = begun(minutes * MINUTE, "/app/x?a=%7B");
      for (let time = 0; time < 2; time += 1) {
        const answer = await page(browser, callback);
        assert.equal(answer.status, 400);
        assert.match(answer.text, /This login took too long/);
        assert.match(answer.text, /state_invalid/);
        assert.equal(link(answer), retry);
      }
      assert.equal(provider.exchanges.length, 0);
      assert.equal((await browser.open(retry)).url, `${SITE}/app/x?a=%7B`);
    }
    const { browser, callback } = begun(9 * MINUTE, "/app/x");
    assert.equal((await page(browser, callback)).status, 502, "in time, its code is sent");
  });
});

describe("a login is started again once", () => {
  const keycloak = { error: "temporarily_unavailable", error_description: "authentication_expired" };
  const failed = (state, error) => `/auth/callback?${new URLSearchParams({ ...error, state, iss: provider.issuer })}`;

  for (const [what, age, error, parameters] of [
    ["when the provider's page had expired", 0, keycloak, ""],
    ["when it had expired after an hour", 60 * MINUTE, keycloak, "login_hint=alice"],
    ["when the provider must ask after prompt=none", 0, { error: "login_required" }, "prompt=none&login_hint=alice"],
    ["when it must interact after prompt=none", 0, { error: "interaction_required" }, "prompt=none&login_hint=alice"],
  ]) {
    test(what, async () => {
      const { browser, state } = begun(age, "/app/x?a=b", { parameters });
      const answer = await page(browser, failed(state, error));
      assert.equal(answer.status, 302, answer.text);
      const next = new URL(answer.header("location"));
      assert.equal(next.origin, provider.url);
      assert.equal(next.searchParams.get("prompt"), null);
      assert.equal(next.searchParams.get("login_hint"), parameters ? "alice" : null);
      assert.equal(openLogins(browser).length, 1);
      // It fails again: a page, and no loop.
      const jar = new Map(browser.cookies());
      const again = await page(browser, failed(next.searchParams.get("state"), error));
      assert.equal(again.status, 400);
      assert.match(again.text, /login_denied/);
      assert.equal(link(again), "/login?return_to=%2Fapp%2Fx%3Fa%3Db");
      // Or it succeeds.
      const { browser: lucky, state: first } = begun(age, "/app/x?a=b", { parameters });
      assert.equal((await lucky.open(failed(first, error))).url, `${SITE}/app/x?a=b`);
      assert.ok(jar.size > 0);
    });
  }

  test("but not for other errors, nor for the wrong issuer", async () => {
    for (const [error, parameters] of [
      [{ error: "access_denied" }, "prompt=none"], [{ error: "login_required" }, ""], [{ error: "login_required" }, "prompt=login"],
      [{ error: "temporarily_unavailable" }, ""], [{ ...keycloak, iss: "https://evil.example" }, ""],
    ]) {
      const { browser, state } = begun(0, "/app/x", { parameters });
      const query = new URLSearchParams({ state, iss: provider.issuer, ...error });
      assert.equal((await page(browser, `/auth/callback?${query}`)).status, 400, JSON.stringify(error));
    }
  });

  test("by a link with prompt=none to a provider that asks", async () => {
    const browser = newBrowser();
    provider.behave.callback = (_query, asked) => (asked.get("prompt") === "none" ? new URLSearchParams({ error: "login_required", state: asked.get("state"), iss: provider.issuer }) : undefined);
    assert.equal((await browser.open("/login?prompt=none&return_to=/app/x")).url, `${SITE}/app/x`);
    provider.behave.callback = (_query, asked) => new URLSearchParams({ ...keycloak, state: asked.get("state"), iss: provider.issuer });
    const answer = await newBrowser().open("/app/x");
    assert.equal(answer.status, 400);
    assert.match(answer.text, /login_denied/);
  });
});

describe("bad cookies are no login, no error and no loop:", () => {
  const name = (index) => LOGIN_COOKIE + String(index).padStart(8, "0");
  const rows = {
    "100 stale ones": (browser) => {
      for (let index = 0; index < 100; index += 1) browser.cookies().set(name(index), `1.${"A".repeat(168)}`);
    },
    "100 empty ones": (browser) => {
      for (let index = 0; index < 100; index += 1) browser.cookies().set(name(index), index % 2 ? "" : "1.x");
    },
    "a long one without its chunks": (browser) => browser.cookies().set(name(1), `4.${"A".repeat(3500)}`),
    "chunks without their head": (browser) => [1, 2, 3, 7, 8, 99].forEach((chunk) => browser.cookies().set(`${name(1)}.${chunk}`, "A".repeat(3000))),
    "a session cut in the middle": (browser) => browser.cookies().set(COOKIE, `2.${"A".repeat(3500)}`),
  };
  for (const [what, prepare] of Object.entries(rows)) {
    test(what, async () => {
      const browser = newBrowser();
      prepare(browser);
      const answer = await browser.open("/app/x");
      assert.equal(answer.status, 200, answer.text);
      assert.ok(browser.visited.length <= 6, browser.visited.join("\n"));
      assert.equal((await page(browser, "/auth/callback?state=x&code=y")).status, 302);
      assert.ok(openLogins(browser).length <= 80);
      for (let round = 0; round < 3; round += 1) await deepLink(browser, "/login?return_to=/app/x");
      assert.ok(openLogins(browser).length <= 20 + 7, openLogins(browser).join("\n"));
    });
  }

  test("a login cut anywhere is unknown", async () => {
    const browser = newBrowser();
    const url = await deepLink(browser, "/app/x");
    const [[cookie, value]] = [...browser.cookies()];
    for (let length = 0; length < value.length; length += 7) {
      browser.cookies().set(cookie, value.slice(0, length));
      const answer = await page(browser, url.href);
      assert.equal(answer.status, 400);
      assert.equal(link(answer), "/login");
    }
    browser.cookies().set(cookie, value);
    assert.equal((await browser.open(url.href)).url, `${SITE}/app/x`);
  });
});
