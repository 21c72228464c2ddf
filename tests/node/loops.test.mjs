// No redirect loops: with any configuration and any cookies, a browser that opens a page arrives after at most five redirects. The
// provider has a session and asks nothing, so that nothing else would end a loop.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { NAVIGATION, SITE } from "./support/browser.mjs";
import { startHostileProvider } from "./support/hostile.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, loginConfig } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startWorker } from "./support/worker.mjs";

const [provider, origin] = await Promise.all([startHostileProvider(), startOrigin()]);
const route = (path, more) => ({ method: "GET", path, integration: { type: "http_proxy", url: origin.url }, ...more });
const paths = [
  route("/denied", { auth: "none" }), route("/scoped", { scopes: ["read:items"] }), route("/forced", { on_unauthenticated: "login" }),
  route("/maybe", { auth: "optional" }), route("/maybe-editors", { auth: "optional", roles: ["editor"], on_forbidden: "/denied" }),
  route("/sent-away", { roles: ["editor"], on_forbidden: "/denied" }),
];
const configure = (changes) => loginConfig(provider, origin, { paths, authorizer: { scope: "openid offline_access" }, ...changes });
const worker = await startWorker({ config: configure(), sessions: true });
after(() => Promise.all([worker, provider, origin].map((part) => part.stop())));

const PAGES = ["/", "/app/x", "/scoped", "/forced", "/maybe", "/maybe-editors", "/sent-away", "/editors", "/login", "/login?return_to=/login", "/login?return_to=/logout", "/logout", "/userinfo", "/auth/callback", "/nowhere"];

/** A browser's cookies: of this site, by name, domain and whether they are kept from requests that other sites cause. */
class Jar {
  cookies = [];

  header(isForeign) {
    return this.cookies.filter((cookie) => !(isForeign && cookie.strict)).map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  set(line) {
    const [pair, ...attributes] = line.split("; ");
    const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    const domain = attributes.find((one) => one.startsWith("Domain="))?.slice(7) ?? "";
    const at = this.cookies.findIndex((one) => one.name === name && one.domain === domain);
    const cookie = { name, value, domain, strict: attributes.includes("SameSite=Strict") };
    if (attributes.includes("Max-Age=0")) this.cookies.splice(at, at < 0 ? 0 : 1);
    else if (at >= 0) this.cookies[at] = cookie;
    else this.cookies.push(cookie);
  }
}

/** Opens a page by its address, or by a link of another site, and follows. Gives what it arrives at, and where it was. */
async function open(jar, path, { linked = false } = {}) {
  let url = new URL(path, SITE);
  // Once another site has had a part in it, all that follows by redirects is another site's doing.
  let isForeign = linked;
  const visited = [];
  for (;;) {
    visited.push(url.href);
    assert.ok(visited.length <= 6, `more than five redirects:\n${visited.join("\n")}`);
    let answer;
    if (url.origin === SITE) {
      const headers = { host: url.host, ...NAVIGATION, "sec-fetch-site": isForeign ? "cross-site" : visited.length > 1 ? "same-origin" : "none" };
      const cookie = jar.header(isForeign);
      answer = await worker.request({ target: url.pathname + url.search, headers: { ...headers, ...(cookie && { cookie }) } });
      for (const [name, value] of answer.headers) if (name.toLowerCase() === "set-cookie") jar.set(value);
    } else {
      const response = await fetch(url, { redirect: "manual" });
      await response.text();
      answer = { status: response.status, header: (name) => response.headers.get(name) };
      isForeign = true;
    }
    const refresh = answer.header("refresh")?.match(/^0; url=(.*)$/)?.[1];
    const next = answer.header("location") ?? refresh;
    if (next === null || next === undefined) return { ...answer, url, visited };
    // What a page goes on to by itself is the page's own doing.
    if (refresh) isForeign = false;
    url = new URL(next, url);
  }
}

const CONFIGURATIONS = {
  "as it comes": {},
  "SameSite=Strict": { session: { same_site: "Strict" } },
  "SameSite=None": { session: { same_site: "None" } },
  "a shared domain": { session: { cookie: "__Secure-edgeward", domain: "example.com" } },
  "a shared domain, Strict": { session: { cookie: "__Secure-edgeward", domain: "app.example.com", same_site: "Strict" } },
  "a page after login": { authorizer: { scope: "openid offline_access", callback_uri: `${SITE}/scoped`, post_logout_uri: `${SITE}/app/x` } },
};

const cookie = (name, value, domain = "") => ({ name, value, domain, strict: false });
const logIn = async (jar) => {
  const { status, visited } = await open(jar, "/login?return_to=/denied");
  assert.equal(status, 200, visited.join("\n"));
};

/** What a browser may hold, by the name of the session's cookie. */
const STATES = {
  "nothing": () => {},
  "a session": logIn,
  "garbage": (jar, name) => jar.cookies.push(cookie(name, "1.garbage")),
  // Of the other names a browser keeps one for each domain.
  "garbage for the domain and the host": (jar, name) => {
    const domains = name.startsWith("__Host-") ? [""] : ["", "example.com"];
    for (const domain of domains) jar.cookies.push(cookie(name, "2.garbage", domain), cookie(`${name}.1`, "garbage", domain));
  },
  "garbage in front of a session": async (jar, name) => {
    jar.cookies.push(...(name.startsWith("__Host-") ? [] : [cookie(name, "1.garbage"), cookie(name, "1.garbage", "sibling")]));
    await logIn(jar);
  },
  "a session that was logged out elsewhere": async (jar) => {
    await logIn(jar);
    const copy = Object.assign(new Jar(), { cookies: [...jar.cookies] });
    await open(copy, "/logout");
  },
  "a session whose refresh the provider refuses": async (jar) => {
    provider.behave.reply = (reply, asked) => (asked.has("state") ? { ...reply, expires_in: 4 } : { error: "invalid_grant" });
    provider.setFault("token", null);
    await logIn(jar);
    await delay(2_100);
    provider.behave.reply = undefined;
    provider.setFault("token", { times: 1, status: 400, body: '{"error":"invalid_grant"}' });
  },
  "a session that cannot be refreshed now": async (jar) => {
    provider.behave.reply = (reply, asked) => (asked.has("state") ? { ...reply, expires_in: 4 } : reply);
    await logIn(jar);
    provider.behave.reply = undefined;
    await delay(2_100);
    provider.setFault("token", { times: 1, status: 503, body: "{}" });
  },
};

for (const [configuration, changes] of Object.entries(CONFIGURATIONS)) {
  describe(`with ${configuration}, a browser with`, () => {
    for (const [state, prepare] of Object.entries(STATES)) {
      test(`${state} arrives, whatever page it opens`, async () => {
        await worker.restart({ config: configure(changes) });
        const name = changes.session?.cookie ?? COOKIE;
        // What costs a second to prepare is tried where it matters.
        const isSlow = state.includes("refresh");
        for (const page of isSlow ? ["/app/x", "/maybe", "/scoped"] : PAGES) {
          for (const linked of isSlow ? [false] : [false, true]) {
            provider.reset();
            const jar = new Jar();
            await prepare(jar, name);
            const { status, url, visited } = await open(jar, page, { linked });
            provider.setFault("token", null);
            const where = `${page}${linked ? ", linked" : ""}: ${status}\n${visited.join("\n")}`;
            if (["/app/x", "/forced", "/maybe"].includes(page)) assert.equal(status, 200, where);
            assert.ok(status < 500, where);
            // The session holds: opening the page again needs no login.
            if (page === "/app/x") assert.equal((await open(jar, page)).visited.length, 1, where);
            assert.equal(url.origin === SITE || url.href.startsWith(`${provider.url}/session/end`), true, where);
          }
        }
      });
    }
  });
}

test("with SameSite=Strict the page after a login goes on by itself, and has a link for who waits in vain", async () => {
  provider.reset();
  await worker.restart({ config: configure({ session: { same_site: "Strict" } }) });
  const jar = new Jar();
  const { visited } = await open(jar, "/app/x?a=b&c=%3Cd%3E");
  assert.equal(visited.at(-1), `${SITE}/app/x?a=b&c=%3Cd%3E`);
  const callback = new URL(visited.at(-2));
  assert.equal(callback.pathname, "/auth/callback");
  const pending = new Jar();
  const login = await worker.request({ target: "/login?return_to=/app/x%3Fa%3Db%26c", headers: { host: "app.example.com", ...NAVIGATION } });
  pending.set(login.header("set-cookie"));
  const response = await fetch(login.header("location"), { redirect: "manual" });
  const back = new URL(response.headers.get("location"));
  const answer = await worker.request({ target: back.pathname + back.search, headers: { host: "app.example.com", ...NAVIGATION, "sec-fetch-site": "cross-site", cookie: pending.header(true) } });
  assert.equal(answer.status, 200);
  assert.equal(answer.header("refresh"), "0; url=/app/x?a=b&c");
  assert.match(answer.text, /<a href="\/app\/x\?a=b&amp;c">Continue<\/a>/);
  assert.match(answer.header("content-security-policy"), /^default-src 'none'/);
  assert.match(answer.header("cache-control"), /no-store/);
  assert.ok(answer.headers.some(([name, value]) => name.toLowerCase() === "set-cookie" && value.startsWith(`${COOKIE}=1.`) && value.endsWith("SameSite=Strict")));
});
