// Sessions must not be stolen, moved, fixed, read, cached or used by others: malformed cookies of every kind, cross-site requests,
// and concurrent logins and logouts.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Browser, NAVIGATION, SITE } from "./support/browser.mjs";
import { assertNothingLeaked, many, openSocket, until } from "./support/gateway.mjs";
import { delay, serve } from "./support/http.mjs";
import { COOKIE, LOGIN_COOKIE, SESSION_SECRET, startSite, WITH_REFRESH } from "./support/login.mjs";
import { CLIENT_SECRET } from "./support/provider.mjs";

const ACCOUNTS = { dora: { name: "d".repeat(6000), org_id: "org_1", permissions: [] } };
const ROUTES = ({ origin }) => [
  { method: "ANY", path: "/open/{*rest}", auth: "none", integration: { type: "http_proxy", url: origin.url } },
  { method: "ANY", path: "/maybe/{*rest}", auth: "optional", integration: { type: "http_proxy", url: origin.url, headers: { "X-User-Id": "$claims.sub" } } },
  { method: "GET", path: "/hello", auth: "optional", integration: { type: "respond", headers: { "cache-control": "public, max-age=600", "set-cookie": "theme=dark" }, body: "hello" } },
  { method: "GET", path: "/refresh", integration: { type: "refresh" } },
  { method: "GET", path: "/elsewhere", roles: ["nobody"], on_forbidden: "/", integration: { type: "respond" } },
];

const site = await startSite();
const { provider, origin, worker } = site;
const paths = ROUTES(site);
await site.reconfigure({ paths, authorizer: WITH_REFRESH });
after(() => site.stop());

const logged = [];
const received = [];

async function reconfigure(changes = {}) {
  logged.push(await worker.written());
  await site.reconfigure({ paths, ...changes, authorizer: { ...WITH_REFRESH, ...changes.authorizer } });
}

const HOST = { host: "app.example.com" };
const API = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" };
const cookiesSet = (answer) => answer.headers.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
const latin1 = (text) => Buffer.from(text).toString("latin1");
const ask = (cookie, target = "/app/x", headers = API) => worker.request({ target, headers: { ...HOST, ...headers, ...(cookie !== undefined && { cookie }) } });

async function loggedIn(account) {
  const browser = await site.loggedIn(account);
  received.push(browser.received);
  return browser;
}

describe("a session cookie", () => {
  /** [what, the `Cookie` header of name and value]; `{ value, header, login }` are those of a good session. */
  const shapes = [
    ["is empty", () => `${COOKIE}=`],
    ["has no value", () => COOKIE],
    ["is cut by a character", ({ value }) => `${COOKIE}=${value.slice(0, -1)}`],
    ["is cut to half", ({ value }) => `${COOKIE}=${value.slice(0, value.length / 2)}`],
    ["goes on", ({ value }) => `${COOKIE}=${value}AAAA`],
    ["has one character changed", ({ value }) => `${COOKIE}=${value.slice(0, 100)}${value[100] === "A" ? "B" : "A"}${value.slice(101)}`],
    ["has its version changed", ({ value }) => `${COOKIE}=${value.replace("1.A", "1.B")}`],
    ["says it has two chunks", ({ value }) => `${COOKIE}=${value.replace("1.", "2.")}`],
    ["says it has no chunks", ({ value }) => `${COOKIE}=${value.replace("1.", "0.")}`],
    ["says it has nine chunks", ({ value }) => `${COOKIE}=${value.replace("1.", "9.")}`],
    ["says +1 chunk", ({ value }) => `${COOKIE}=+${value}`],
    ["says 01 chunks", ({ value }) => `${COOKIE}=0${value}`],
    ["says nothing of chunks", ({ value }) => `${COOKIE}=${value.slice(2)}`],
    ["is there twice", ({ value }) => `${COOKIE}=${value}; ${COOKIE}=${value}`],
    ["is there twice, once empty", ({ value }) => `${COOKIE}=; ${COOKIE}=${value}`],
    ["comes after one that was tossed", ({ value }) => `${COOKIE}=1.tossed; ${COOKIE}=${value}`],
    ["is quoted", ({ value }) => `${COOKIE}="${value}"`],
    ["is padded", ({ value }) => `${COOKIE}=${value}==`],
    ["is in standard base64", ({ value }) => `${COOKIE}=${value.replaceAll("-", "+").replaceAll("_", "/")}+`],
    ["is percent-encoded", ({ value }) => `${COOKIE}=${value.replace("1.", "1%2E")}`],
    ["has space within", ({ value }) => `${COOKIE}=${value.slice(0, 50)} ${value.slice(50)}`],
    ["has its name in lower case", ({ value }) => `${COOKIE.toLowerCase()}=${value}`],
    ["has its name in capitals", ({ value }) => `${COOKIE.toUpperCase()}=${value}`],
    ["has U+2000 before its name", ({ value }) => `\u2000${COOKIE}=${value}`],
    ["has a no-break space before its name", ({ value }) => `\u00a0${COOKIE}=${value}`],
    ["has U+0085 before its name", ({ value }) => `\u0085${COOKIE}=${value}`],
    ["has space between name and value", ({ value }) => `${COOKIE} =${value}`],
    ["has a quoted name", ({ value }) => `"${COOKIE}"=${value}`],
    ["has no name", ({ value }) => `=${value}`],
    ["is nameless and holds its name", ({ value }) => `=${COOKIE}=${value}`],
    ["stands in a quoted cookie", ({ value }) => `a="; ${COOKIE}="${value}"`],
    ["is a $Version cookie's attribute", ({ value }) => `$Version=1, ${COOKIE}=${value}`],
    ["has the plain name", ({ value }) => `edgeward=${value}`],
    ["has the __Secure- name", ({ value }) => `__Secure-edgeward=${value}`],
    ["is a login's", ({ login }) => `${COOKIE}=${login}`],
    ["is base64 of JSON", () => `${COOKIE}=1.${Buffer.from('{"v":1,"id":"x","iat":0,"seen":0,"claims":{"sub":"alice"},"at":"a","at_exp":9999999999}').toString("base64url")}`],
    ["is JSON", () => `${COOKIE}=1.{"sub":"alice"}`],
    ["is a token", () => `${COOKIE}=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.`],
    ["is 16 KiB long", () => `${COOKIE}=1.${"A".repeat(16_384)}`],
    ["is one of eight chunks of 3,500 bytes of nothing", () => `${COOKIE}=8.${"A".repeat(1900)}; ${Array.from({ length: 7 }, (_, i) => `${COOKIE}.${i + 1}=${"A".repeat(1900)}`).join("; ")}`],
    ["has bytes that are no UTF-8", ({ value }) => [`${COOKIE}=${value}`, Buffer.from([0xff, 0xfe]).toString("latin1")]],
    ["has a NUL's encoding", ({ value }) => `${COOKIE}=%00${value}`],
  ];
  const good = {};

  test("that is good opens the door, also among a thousand others", async () => {
    const browser = await loggedIn();
    const { next } = await browser.open("/login?prompt=login", { until: (url) => url.origin === provider.url });
    assert.ok(next);
    good.value = browser.cookies().get(COOKIE);
    good.login = [...browser.cookies()].find(([name]) => name.startsWith(LOGIN_COOKIE))[1];
    const crowd = Array.from({ length: 1000 }, (_, index) => `c${index}=${index}`).join("; ");
    for (const cookie of [`${COOKIE}=${good.value}`, `a=b;${COOKIE}=${good.value};c`, ` ${COOKIE}=${good.value} `, `${crowd}; ${COOKIE}=${good.value}`]) {
      assert.equal((await ask(cookie)).json().headers["x-user-id"], "alice");
    }
  });

  for (const [what, shape] of shapes) {
    test(`that ${what} opens no session`, async () => {
      const made = shape(good);
      const cookie = Array.isArray(made) ? made.join("") : latin1(made);
      origin.reset();
      const program = await ask(cookie);
      assert.equal(program.status, 401, program.text);
      assert.equal(program.json().code, "token_missing");
      const person = await ask(cookie, "/app/x", NAVIGATION);
      assert.equal(person.status, 302);
      assert.equal(person.header("location"), `${SITE}/login?return_to=%2Fapp%2Fx`);
      for (const answer of [program, person]) {
        assert.match(answer.header("cache-control"), /no-store/);
        for (const line of cookiesSet(answer)) assert.match(line, /^__Host-edgeward(\.[1-7])?=; Path=\/; Max-Age=0; HttpOnly; Secure; SameSite=Lax$/);
      }
      for (const target of ["/maybe/x", "/open/x"]) {
        const seen = (await ask(cookie, target)).json();
        assert.equal(seen.headers["x-user-id"], undefined, target);
      }
      assert.equal((await ask(cookie, "/userinfo")).status, 401);
      assert.equal((await ask(cookie, "/refresh")).status, 401);
      assert.equal((await ask(cookie, "/logout", NAVIGATION)).status, 302);
      assert.equal((await ask(cookie, "/")).status, 200);
    });
  }

  test("of another secret, host or gateway opens no session", async () => {
    for (const changes of [
      { session: { secrets: "another-secret-of-the-tests-0123456789abcdef" } },
      { authorizer: { redirect_uri: "https://other.example.com/auth/callback" } },
      { session: { cookie: "__Secure-edgeward", domain: "example.com" } },
    ]) {
      await reconfigure(changes);
      for (const name of [COOKIE, "__Secure-edgeward"]) assert.equal((await ask(`${name}=${good.value}`)).status, 401, JSON.stringify(changes));
    }
    await reconfigure();
    assert.equal((await ask(`${COOKIE}=${good.value}`)).status, 200);
  });

  test("in chunks opens nothing once they are swapped, lost, doubled, mixed or stale", async () => {
    const long = await startSite({ provider: { accounts: ACCOUNTS } });
    try {
      const [one, two] = [await long.loggedIn("dora"), await long.loggedIn("dora")];
      const chunks = (browser) => [...browser.cookies()].filter(([name]) => name === COOKIE || name.startsWith(`${COOKIE}.`));
      const [mine, theirs] = [chunks(one), chunks(two)];
      assert.ok(mine.length >= 3, String(mine.length));
      const status = async (pairs) => {
        const cookie = pairs.map(([name, value]) => `${name}=${value}`).join("; ");
        return (await long.worker.request({ target: "/app/x", headers: { ...HOST, ...API, cookie } })).status;
      };
      assert.equal(await status(mine), 200);
      assert.equal(await status([...mine].reverse()), 200, "the order in the header means nothing");
      assert.equal(await status([...mine, [`${COOKIE}.7`, "left over"]]), 200);
      const [a, b, c] = mine;
      const named = (chunk, value) => [chunk[0], value[1]];
      for (const [what, pairs] of [
        ["the first is lost", mine.slice(1)], ["the second is lost", [a, ...mine.slice(2)]], ["the last is lost", mine.slice(0, -1)],
        ["two are swapped", [a, named(b, c), named(c, b), ...mine.slice(3)]], ["one is doubled", [...mine, b]], ["the first is doubled", [...mine, a]],
        ["one is another session's", [a, theirs[1], ...mine.slice(2)]], ["the first is another session's", [theirs[0], ...mine.slice(1)]],
        ["one is empty", [a, [b[0], ""], ...mine.slice(2)]], ["one is cut", [a, [b[0], b[1].slice(1)], ...mine.slice(2)]],
        ["one is named in capitals", [a, [b[0].toUpperCase(), b[1]], ...mine.slice(2)]],
      ]) assert.equal(await status(pairs), 401, what);
    } finally {
      await long.stop();
    }
  });

  test("never reaches an origin, under whatever name and in whatever shape", async () => {
    const names = { [COOKIE]: {}, "__Host-my.session": { cookie: "__Host-my.session" }, "__Secure-x": { cookie: "__Secure-x", domain: "example.com" } };
    for (const [name, session] of Object.entries(names)) {
      await reconfigure({ session });
      const value = "1.secretsecretsecret";
      const ours = [name, name.toLowerCase(), name.toUpperCase(), `${name}.1`, `${name}.7`, `\u2000${name}`, ` ${name}`, `${LOGIN_COOKIE}abcdefgh`, `${LOGIN_COOKIE}abcdefgh.1`];
      for (const target of ["/open/x", "/maybe/x"]) {
        for (const one of ours) {
          for (const cookie of [`${one}=${value}`, `a=1; ${one}=${value}; b=2`, `a=1,${one}=${value}`, `${one}=${value}, a=1`, `a=1;${one}=${value}`]) {
            const seen = (await ask(latin1(cookie), target)).json();
            assert.ok(!JSON.stringify(seen.rawHeaders).includes("secretsecret"), `${cookie}: ${seen.headers.cookie}`);
          }
        }
        assert.equal((await ask("a=1; __Host-other=2; edgewards=3", target)).json().headers.cookie, "a=1; __Host-other=2; edgewards=3");
      }
    }
    await reconfigure();
  });
});

describe("a session is not", () => {
  test("fixed: a cookie from before the login opens nothing after it, and each login has its own", async () => {
    const attacker = await loggedIn("bob");
    const planted = attacker.cookies().get(COOKIE);
    const victim = site.browser();
    victim.cookies().set(COOKIE, planted);
    await victim.open("/login?return_to=/app/x", { account: "alice" });
    assert.notEqual(victim.cookies().get(COOKIE), planted);
    assert.equal((await victim.send("/app/x")).json().headers["x-user-id"], "alice");
    assert.equal((await ask(`${COOKIE}=${planted}`)).status, 401, "the replaced session has ended");
    const values = new Set();
    const browser = await loggedIn("alice");
    for (let round = 0; round < 5; round += 1) {
      const before = browser.cookies().get(COOKIE);
      await browser.open("/login?return_to=/app/x");
      assert.equal((await ask(`${COOKIE}=${before}`)).status, 401);
      values.add(browser.cookies().get(COOKIE));
    }
    assert.equal(values.size, 5);
  });

  test("taken away by the late answer to a request from before the login", async () => {
    const browser = await loggedIn("alice");
    const before = `${COOKIE}=${browser.cookies().get(COOKIE)}`;
    await browser.open("/login?return_to=/app/x");
    const late = await ask(before);
    assert.equal(late.status, 401);
    assert.deepEqual(cookiesSet(late), []);
  });

  test("given back by the late answer to a request from before the logout", async () => {
    // Tokens that are due after a second, half of their life: every answer with the same cookie then brings the session anew.
    const brief = await startSite({ provider: { ttl: { accessToken: 2 } }, authorizer: WITH_REFRESH });
    try {
      const browser = await brief.loggedIn("alice", "/login?prompt=consent");
      await delay(1100);
      const cookie = browser.cookieHeader();
      const now = await brief.worker.request({ target: "/app/x", headers: { ...HOST, ...API, cookie } });
      assert.ok(cookiesSet(now).some((line) => line.startsWith(`${COOKIE}=1.`)), "an answer in time brings it");
      brief.origin.reset();
      const slow = brief.worker.request({ target: "/app/slow/1500", headers: { ...HOST, ...API, cookie } });
      await until(() => brief.origin.requests.length === 1, { what: "the origin has the request" });
      await browser.send("/logout", { headers: NAVIGATION });
      const late = await slow;
      assert.equal(late.status, 200);
      assert.deepEqual(cookiesSet(late), []);
    } finally {
      await brief.stop();
    }
  });

  test("lost with its new tokens when a WebSocket renews it, or a route sets a cookie of its own", async () => {
    const brief = await startSite({ provider: { ttl: { accessToken: 2 } }, authorizer: WITH_REFRESH, paths });
    try {
      const browser = await brief.loggedIn("alice", "/login?prompt=consent");
      await delay(1100);
      const cookie = browser.cookieHeader();
      const { status, headers, socket } = await openSocket(brief.worker, "/app/socket", { headers: { ...HOST, cookie }, protocols: ["chat"] });
      assert.equal(status, 101);
      assert.equal(headers["sec-websocket-protocol"], "chat");
      assert.ok(headers["set-cookie"]?.some((line) => line.startsWith(`${COOKIE}=1.`)), JSON.stringify(headers));
      const echo = new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
      socket.send("hello");
      assert.equal(await echo, "hello");
      socket.close();
      const answer = await brief.worker.request({ target: "/hello", headers: { ...HOST, ...API, cookie } });
      const set = cookiesSet(answer);
      assert.ok(set.includes("theme=dark") && set.some((line) => line.startsWith(`${COOKIE}=1.`)), set.join("\n"));
    } finally {
      await brief.stop();
    }
  });

  test("mixed up when fifty users log in at once and their callbacks arrive in any order", async () => {
    const isCallback = (url) => url.pathname === "/auth/callback";
    const people = await many(50, async (index) => {
      const browser = site.browser();
      received.push(browser.received);
      const { next } = await browser.open(`/login?return_to=/app/${index}`, { account: `person-${index}`, until: isCallback });
      return { browser, callback: next.href, account: `person-${index}`, index };
    }, { atOnce: 50 });
    const shuffled = people.toSorted((a, b) => ((a.index * 37) % 50) - ((b.index * 37) % 50));
    await many(50, async (turn) => {
      const person = shuffled[turn];
      const stranger = people[(person.index + 1) % people.length];
      const wrong = await person.browser.send(stranger.callback, { headers: NAVIGATION });
      assert.equal(wrong.status, 400);
      const answer = await person.browser.open(person.callback);
      assert.equal(answer.url, `${SITE}/app/${person.index}`);
      assert.equal(answer.json().headers["x-user-id"], person.account);
    }, { atOnce: 50 });
    await many(200, async (turn) => {
      const person = people[turn % people.length];
      assert.equal((await person.browser.send("/app/x")).json().headers["x-user-id"], person.account);
    });
  });
});

describe("another site", () => {
  const foreign = [
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", origin: "https://evil.example" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
    { "sec-fetch-site": "same-site", origin: "https://evil.example.com" },
    { "sec-fetch-site": "Same-Origin" },
    { "sec-fetch-site": "same-origin, cross-site" },
    { "sec-fetch-site": "" , origin: "https://evil.example" },
    { origin: "https://evil.example" }, { origin: "null" }, { origin: `${SITE}.evil.example` }, { origin: `${SITE}:8443` }, { origin: `${SITE}/` },
    { origin: `${SITE}, https://evil.example` }, { origin: "HTTPS://APP.EXAMPLE.COM.evil" },
  ];

  test("changes nothing with the session, by any method in any spelling", async () => {
    const browser = await loggedIn();
    const cookie = browser.cookieHeader();
    origin.reset();
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "post", "Post", "get", "Get", "PROPFIND", "QUERY", "X"]) {
      for (const headers of foreign) {
        const answer = await worker.request({ method, target: "/app/x", headers: { ...HOST, ...headers, cookie, "content-type": "text/plain" } }).catch((error) => ({ status: 0, error }));
        assert.ok([0, 400, 403, 405, 501].includes(answer.status), `${method} ${JSON.stringify(headers)}: ${answer.status}`);
      }
    }
    assert.deepEqual(origin.requests.map(({ method }) => method), []);
    const maybe = await worker.request({ method: "POST", target: "/maybe/x", headers: { ...HOST, ...foreign[0], cookie } });
    assert.equal(maybe.status, 403);
    const open = await worker.request({ method: "POST", target: "/open/x", headers: { ...HOST, ...foreign[0], cookie } });
    assert.equal(open.json().headers["x-user-id"], undefined, "without the session, public routes remain");
  });

  test("opens no WebSocket with the session, in whatever spelling it asks for one", async () => {
    const cookie = (await loggedIn()).cookieHeader();
    for (const upgrade of ["websocket", "WebSocket", "WEBSOCKET", "websocket, h2c"]) {
      const answer = await worker.request({
        target: "/app/socket",
        headers: { ...HOST, cookie, upgrade, connection: "Upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13", origin: "https://evil.example" },
      });
      assert.equal(answer.status, 403, upgrade);
    }
    const own = await openSocket(worker, "/app/socket", { headers: { ...HOST, cookie, origin: SITE } });
    assert.equal(own.status, 101);
    own.socket.close();
    const anonymous = await openSocket(worker, "/app/socket", { headers: { ...HOST } });
    assert.equal(anonymous.status, 401);
  });

  test("reads nothing with the session: credentials are allowed to configured origins alone", async () => {
    const cookieOf = async () => (await loggedIn()).cookieHeader();
    for (const [cors, allowed] of [[undefined, null], [{ allow_origins: ["*"] }, null], [{ allow_origins: ["https://www.example.com"], allow_credentials: true }, null], [{ allow_origins: ["https://www.example.com"] }, null]]) {
      await reconfigure({ cors });
      const cookie = await cookieOf();
      for (const from of ["https://evil.example", "null", "https://www.example.com.evil.example"]) {
        const answer = await ask(cookie, "/app/x", { origin: from, "sec-fetch-mode": "cors", "sec-fetch-site": "cross-site" });
        assert.equal(answer.header("access-control-allow-credentials"), allowed, JSON.stringify(cors));
        assert.notEqual(answer.header("access-control-allow-origin"), from);
      }
      const post = await worker.request({ method: "POST", target: "/app/x", headers: { ...HOST, cookie, origin: "https://www.example.com", "sec-fetch-site": "same-site" } });
      assert.equal(post.status, cors?.allow_credentials ? 200 : 403, JSON.stringify(cors));
    }
    await reconfigure();
  });

  test("cannot log users in as itself: its callback fails in other browsers, its cookies are not accepted from a subdomain", async () => {
    const attacker = site.browser();
    const { next } = await attacker.open("/login", { account: "bob", until: (url) => url.pathname === "/auth/callback" });
    const victim = await loggedIn("alice");
    const answer = await victim.send(next.href, { headers: { ...NAVIGATION, "sec-fetch-site": "cross-site" } });
    // A callback that is not this browser's redeems nothing: with a session it goes on as that user, without one it is refused.
    assert.deepEqual([answer.status, answer.header("location")], [302, "/"]);
    assert.deepEqual(answer.setCookies, []);
    assert.equal((await victim.send("/app/x")).json().headers["x-user-id"], "alice");
    const anonymous = await site.browser().send(next.href, { headers: { ...NAVIGATION, "sec-fetch-site": "cross-site" } });
    assert.equal(anonymous.status, 400);
    assert.deepEqual(anonymous.setCookies, []);
  });

  test("with cookies set from a subdomain cannot move users into another session", async () => {
    const session = { cookie: "__Secure-edgeward", domain: "example.com" };
    await reconfigure({ session });
    const named = async (account) => {
      const browser = new Browser(worker);
      await browser.open("/login?return_to=/app/x", { account });
      received.push(browser.received);
      return browser.cookies().get("__Secure-edgeward");
    };
    const [mine, theirs] = [await named("alice"), await named("bob")];
    assert.equal((await ask(`__Secure-edgeward=${mine}`)).json().headers["x-user-id"], "alice");
    // A browser can hold two cookies of this name without an attack, for example after a change of session.domain; refusing them would
    // lock the user out. So the newest that opens counts, in any order: here bob's, whose login was later. That a sibling host can
    // make a visitor act as another user is the price of session.domain.
    await delay(1_100);
    const later = await named("bob");
    for (const cookie of [`__Secure-edgeward=${theirs}; __Secure-edgeward=${mine}; __Secure-edgeward=${later}`, `__Secure-edgeward=${later}; __Secure-edgeward=${mine}`]) {
      assert.equal((await ask(cookie)).json().headers["x-user-id"], "bob");
    }
    const changed = later.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const cookie of [`__Secure-edgeward=1.tossed; __Secure-edgeward=${mine}`, `__Secure-edgeward=${mine}; __Secure-edgeward=${changed}`]) {
      const answer = await ask(cookie);
      assert.equal(answer.json().headers["x-user-id"], "alice", "what does not open is not in the way");
      assert.deepEqual(cookiesSet(answer), []);
    }
    const anonymous = await ask(`__Secure-edgeward=1.tossed; __Secure-edgeward=${changed}`, "/app/x", NAVIGATION);
    assert.equal(anonymous.status, 302);
    for (const domain of ["Domain=example\\.com; ", ""]) {
      const pattern = new RegExp(`^__Secure-edgeward=; Path=/; ${domain}Max-Age=0`);
      assert.ok(cookiesSet(anonymous).some((line) => pattern.test(line)), cookiesSet(anonymous).join("\n"));
    }
    // A logout ends all of them.
    await ask(`__Secure-edgeward=${mine}; __Secure-edgeward=${later}`, "/logout", NAVIGATION);
    for (const value of [mine, later]) assert.equal((await ask(`__Secure-edgeward=${value}`)).status, 401);
    await reconfigure();
  });

  test("cannot log users out by an image, a frame, a form or a link", async () => {
    const browser = await loggedIn();
    for (const [method, headers] of [
      ["GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" }],
      ["GET", { ...NAVIGATION, "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe" }],
      ["POST", { ...NAVIGATION, "sec-fetch-site": "cross-site", origin: "null" }],
      ["POST", { ...NAVIGATION, "sec-fetch-site": "same-site", origin: "https://evil.example.com" }],
      ["HEAD", { ...NAVIGATION, "sec-fetch-site": "cross-site" }],
    ]) {
      const answer = await browser.send("/logout", { method, headers });
      assert.deepEqual(answer.setCookies, [], JSON.stringify(headers));
      assert.equal(answer.status, 200);
    }
    assert.equal((await browser.send("/app/x")).status, 200);
  });
});

describe("who the origin is told about", () => {
  const claimed = ["X-User-Id", "x_user_id", "X-User.Id", "X-USER-ID", "X-Forwarded-User", "Remote-User", "X-Auth-Request-Email", "X-Edgeward-User", "X-Authenticated-Userid"];

  test("is the session's user on a route that may have one, whatever the client claims", async () => {
    const cookie = (await loggedIn("alice")).cookieHeader();
    for (const name of claimed) {
      for (const [target, sent, expected] of [["/maybe/x", cookie, "alice"], ["/maybe/x", undefined, undefined], ["/open/x", cookie, undefined], ["/app/x", cookie, "alice"]]) {
        const seen = (await ask(sent, target, { ...API, [name]: "admin" })).json();
        assert.equal(seen.headers["x-user-id"], expected, `${name} ${target}`);
        assert.ok(!JSON.stringify(seen.rawHeaders).includes("admin"), `${name} ${target}`);
        assert.equal(seen.headers.cookie, undefined);
      }
    }
  });
});

describe("a cache keeps nothing", () => {
  const PRIVATE = "private, no-store";

  test("of what touched a session, whatever its status, path or origin", async () => {
    const browser = await loggedIn("bob");
    const cookie = browser.cookieHeader();
    const rows = [
      ["GET", "/app/x", API], ["HEAD", "/app/x", API], ["GET", "/app/style.css", API], ["GET", "/app/logo.png?v=1", API], ["GET", "/app/headers", API], ["GET", "/maybe/headers", API],
      ["GET", "/app/status/204", API], ["GET", "/app/status/304", API], ["GET", "/app/status/404", API], ["GET", "/app/status/500", API], ["GET", "/app/redirect?to=/x", API], ["GET", "/app/reset", API],
      ["GET", "/maybe/x", API], ["GET", "/maybe/x.css", API], ["GET", "/hello", API], ["GET", "/editors", API], ["GET", "/editors", NAVIGATION], ["GET", "/elsewhere", NAVIGATION],
      ["GET", "/userinfo", API], ["GET", "/refresh", API], ["GET", "/token/x", API], ["OPTIONS", "/app/x", API], ["DELETE", "/app/x", API],
    ];
    for (const [method, target, headers] of rows) {
      const answer = await worker.request({ method, target, headers: { ...HOST, ...headers, cookie } });
      assert.equal(answer.header("cache-control"), PRIVATE, `${method} ${target}: ${answer.status}`);
    }
    for (const [target, headers] of [["/login", NAVIGATION], ["/auth/callback?state=a", NAVIGATION], ["/auth/callback?state=a", API], ["/logout", NAVIGATION], ["/app/x", NAVIGATION], ["/app/x", API], ["/nothing", API], ["/app//x", API]]) {
      for (const sent of [undefined, cookie, `${COOKIE}=1.x`]) {
        const answer = await ask(sent, target, headers);
        assert.match(answer.header("cache-control"), /\bno-store\b/, `${target}: ${answer.status}`);
      }
    }
  });

  test("because an origin tells shared caches to, by headers of their own", async () => {
    const cookie = (await loggedIn()).cookieHeader();
    const names = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"];
    const eager = await serve((_req, res) => {
      for (const name of names) res.setHeader(name, "public, max-age=3600");
      res.setHeader("cache-control", "public, max-age=3600");
      res.setHeader("expires", "Fri, 01 Jan 2100 00:00:00 GMT");
      res.end("mine");
    });
    const route = (path, auth) => ({ method: "GET", path, auth, integration: { type: "http_proxy", url: eager.url } });
    await reconfigure({ paths: [route("/mine", "required"), route("/perhaps", "optional"), route("/ours", "none")] });
    for (const [target, sent] of [["/mine", cookie], ["/perhaps", cookie], ["/perhaps", undefined]]) {
      const answer = await ask(sent, target);
      assert.equal(answer.status, 200);
      assert.equal(answer.header("cache-control"), PRIVATE);
      for (const name of names) assert.equal(answer.header(name), null, `${name} ${target}`);
    }
    const open = await ask(cookie, "/ours");
    assert.equal(open.header("cache-control"), "public, max-age=3600");
    assert.equal(open.header("cdn-cache-control"), "public, max-age=3600");
    await eager.close();
    await reconfigure();
  });

  test("and read-only requests get no cookie", async () => {
    for (const target of ["/", "/open/x", "/maybe/x", "/nothing", "/.well-known/edgeward/health", "/app/x"]) {
      for (const headers of [API, NAVIGATION]) {
        for (const cookie of [undefined, "a=b", `${COOKIE.toLowerCase()}=1.x`]) {
          assert.deepEqual(cookiesSet(await ask(cookie, target, headers)), [], target);
        }
      }
    }
  });
});

test("nothing secret stands in the log of all this", async () => {
  logged.push(await worker.written());
  const cookies = received.flat().map((line) => line.split(";")[0].split("=")[1]);
  assert.ok(cookies.length > 100);
  assertNothingLeaked([...cookies, CLIENT_SECRET, SESSION_SECRET], [logged.join("\n")]);
});
