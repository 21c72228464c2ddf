// Several gateways of edgeward/gateway in one Worker: each serves by its own configuration, in any order and concurrently, and shares
// no state with the others.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { assertTokenMissing, authorizer, bearer, many, read, respond } from "./support/gateway.mjs";
import { Browser, SITE } from "./support/browser.mjs";
import { delay } from "./support/http.mjs";
import { COOKIE, loginConfig, WITH_REFRESH } from "./support/login.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startProvider } from "./support/provider.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const DIST = resolve(import.meta.dirname, "../../pkg/dist");
if (!existsSync(join(DIST, "gateway.js"))) throw new Error('there is no package in pkg/dist: run "make build"');

/** Modules for `startWorker({ source })`: the package's gateway, these configurations, and a Worker that imports both. */
async function source(main, configs = []) {
  return {
    main: "main.js",
    modules: {
      "main.js": { type: "esm", contents: main },
      "configs.js": { type: "esm", contents: `export default ${JSON.stringify(configs)};` },
      "gateway.js": { type: "esm", contents: await readFile(join(DIST, "gateway.js"), "utf8") },
      "gateway/index.js": { type: "esm", contents: await readFile(join(DIST, "gateway/index.js"), "utf8") },
      "gateway/index_bg.wasm": { type: "wasm", contents: await readFile(join(DIST, "gateway/index_bg.wasm")) },
    },
  };
}

/** A gateway for each configuration; the host's first label is its number. */
const BY_HOST = `
  import { gateway } from "./gateway.js";
  import configs from "./configs.js";
  const gateways = configs.map(gateway);
  const number = (request) => Number(/^g(\\d+)\\./.exec(new URL(request.url).hostname)[1]);
  export default { fetch: (request, env, ctx) => gateways[number(request)].fetch(request, env, ctx) };
`;

const [issuer, other] = await Promise.all([startIssuer(), startIssuer()]);
// Stopped here: a suite of which no test is selected runs no hooks.
const started = [issuer, other];
after(() => Promise.all(started.map((part) => part.stop())));

const at = (worker, number, target, headers = {}) => read(worker.request({ target, headers: { host: `g${number}.example.com`, ...headers } }));
const audience = (number) => `https://api-${number}.example.com`;
/** Its own audience, by turns of two issuers, and a route that says which one it is; every third protects nothing. */
const numbered = (number) => ({
  ...(number % 3 === 2 ? {} : { authorizer: authorizer(number % 2 ? other : issuer, { audience: audience(number) }) }),
  paths: [respond("/who", { body: `gateway ${number}`, auth: number % 3 === 2 ? "none" : "required" }), respond(`/only-${number}`, { body: "here" })],
});
const tokenOf = (number, changes) => (number % 2 ? other : issuer).token({ claims: { aud: audience(number), ...changes } });

/** Asks every gateway everything, in an order that only looks random. */
async function askAll(worker, count, rounds) {
  const asked = Array.from({ length: count * rounds }, (_, index) => (index * 7 + Math.floor(index / count) * 3) % count);
  await many(asked.length, async (index) => {
    const number = asked[index];
    const neighbour = (number + 1) % count;
    const isOpen = number % 3 === 2;
    const token = bearer(tokenOf(number));
    const answer = await at(worker, number, "/who", isOpen ? {} : token);
    assert.equal(`${answer.status} ${answer.text}`, `200 gateway ${number}`);
    if (!isOpen) {
      await assertTokenMissing(at(worker, number, "/who"));
      // Of the same issuer, for another gateway.
      const elsewhere = await at(worker, number, "/who", bearer(tokenOf(number, { aud: audience(number + 6) })));
      assert.equal(elsewhere.json().code, "audience_mismatch");
      // For this one, of the other issuer, whose keys another gateway may have.
      const foreign = (number % 2 ? issuer : other).token({ claims: { aud: audience(number) } });
      assert.equal((await at(worker, number, "/who", bearer(foreign))).status, 401);
    }
    assert.equal((await at(worker, number, `/only-${number}`)).status, 200);
    assert.equal((await at(worker, number, `/only-${neighbour}`)).status, 404);
  }, { atOnce: 40 });
}

for (const count of [2, 20]) {
  test(`${count} gateways serve each by its own rules, in any order and at the same time`, async () => {
    const worker = await startWorker({ source: await source(BY_HOST, Array.from({ length: count }, (_, number) => numbered(number))) });
    try {
      [issuer, other].forEach((one) => one.setFault("jwks", { delay: 150 }));
      await askAll(worker, count, 200 / count);
      assert.doesNotMatch(await worker.written(), /config_invalid/);
    } finally {
      [issuer, other].forEach((one) => one.clearFaults());
      await worker.stop();
    }
  });
}

test("a public gateway's rules are never those of a protected one, whichever is asked first", async () => {
  const configs = [
    { paths: [{ method: "ANY", path: "/{*rest}", auth: "none", integration: { type: "respond", body: "public" } }] },
    { authorizer: authorizer(issuer), paths: [{ method: "ANY", path: "/{*rest}", integration: { type: "respond", body: "secret" } }] },
  ];
  const worker = await startWorker({ source: await source(BY_HOST, configs) });
  try {
    for (const order of [[0, 1], [1, 0]]) {
      await worker.restart();
      for (const number of [...order, ...order]) {
        const answer = await at(worker, number, "/admin");
        assert.equal(answer.status, number === 0 ? 200 : 401, `gateway ${number} of ${order}`);
      }
      assert.equal((await at(worker, 1, "/admin", bearer(issuer.token()))).text, "secret");
    }
  } finally {
    await worker.stop();
  }
});

test("more gateways than are kept serve all the same", async () => {
  const count = 80;
  const worker = await startWorker({ source: await source(BY_HOST, Array.from({ length: count }, (_, number) => numbered(number))) });
  try {
    await askAll(worker, count, 2);
    await at(worker, 5, "/who");
    await askAll(worker, count, 1);
  } finally {
    await worker.stop();
  }
});

test("one that is not made of plain objects answers 503: what it inherits or hides would be lost", async () => {
  const main = `
    import { gateway } from "./gateway.js";
    import configs from "./configs.js";
    const config = () => structuredClone(configs[0]);
    const { paths: [route, ...routes], ...rest } = config();
    const requirement = { scopes: ["admin"] };
    class Route { get scopes() { return requirement.scopes; } }
    const gateways = [
      Object.create(config()), Promise.resolve(config()), new Map(Object.entries(config())), { ...rest, paths: new Set([route]) },
      ...[
        Object.assign(new Route(), route), Object.assign(Object.create(requirement), route), Object.defineProperty({ ...route }, "scopes", { value: ["admin"] }), { ...route, [Symbol("scopes")]: ["admin"] },
      ].map((one) => ({ ...rest, paths: [one, ...routes] })),
      config(), Object.freeze(config()), Object.assign(Object.create(null), config()), { ...rest, get paths() { return [route, ...routes]; } }, JSON.stringify(config()),
    ].map(gateway);
    const number = (request) => Number(/^g(\\d+)\\./.exec(new URL(request.url).hostname)[1]);
    export default { fetch: (request, env, ctx) => gateways[number(request)].fetch(request, env, ctx) };
  `;
  const worker = await startWorker({ source: await source(main, [numbered(0)]) });
  const token = bearer(tokenOf(0));
  try {
    for (let number = 0; number < 8; number += 1) assert.equal((await at(worker, number, "/who", token)).status, 503, String(number));
    for (let number = 8; number < 13; number += 1) assert.equal((await at(worker, number, "/who", token)).text, "gateway 0", String(number));
  } finally {
    await worker.stop();
  }
});

test("one that is wrong answers 503, and the others serve", async () => {
  const worker = await startWorker({ source: await source(BY_HOST, [{ paths: [{ path: "no" }] }, numbered(2), null, "{", numbered(2)]) });
  try {
    for (let round = 0; round < 2; round += 1) {
      for (const number of [0, 2, 3]) assert.equal((await at(worker, number, "/who")).status, 503);
      for (const number of [1, 4]) assert.equal((await at(worker, number, "/who")).text, "gateway 2");
    }
    await worker.flush();
    assert.equal(worker.logs.filter(({ message }) => message.includes("config_invalid")).length, 3, "once for each, not for each request");
  } finally {
    await worker.stop();
  }
});

describe("a configuration is its document and the variables that it reads:", () => {
  /** How often this document was compiled: each time it warns of a public path within a protected one. */
  const compiled = async (worker) => (await worker.written()).match(/config: warning/g).length;
  const WARNS = { authorizer: authorizer(issuer, { audience: "$env.NAME" }), paths: [respond("/a/{*rest}", { auth: "required", body: "yours" }), respond("/a/b/{x}")] };
  const named = (name) => bearer(issuer.token({ claims: { aud: name } }));

  async function serving(main, configs, run, env = {}) {
    const worker = await startWorker({ source: await source(main, configs), env });
    try {
      await run(worker);
    } finally {
      await worker.stop();
    }
  }

  test("an environment made anew for each request is compiled once, and its variables count", () =>
    serving(`
      import { gateway } from "./gateway.js";
      import configs from "./configs.js";
      const one = gateway(configs[0]);
      export default { fetch: (request, env, ctx) => one.fetch(request, { ...env, NAME: request.headers.get("x-name") ?? env.NAME }, ctx) };
    `, [WARNS], async (worker) => {
      const ask = async (audience, headers = {}) => (await read(worker.request({ target: "/a/x", headers: { ...named(audience), ...headers } }))).status;
      assert.equal(await ask("first"), 200);
      await worker.waitForLog(/config: warning/);
      assert.equal(await compiled(worker), 1);
      for (let i = 0; i < 100; i += 1) assert.equal(await ask("first"), 200);
      assert.equal(await compiled(worker), 1);
      await many(200, async (index) => {
        const name = `name-${index % 5}`;
        assert.equal(await ask(name, { "x-name": name }), 200);
        assert.equal(await ask(`name-${(index + 1) % 5}`, { "x-name": name }), 401);
      });
      assert.equal(await ask("first"), 200);
      assert.equal(await ask("name-1"), 401);
      await delay(50);
      assert.equal(await compiled(worker), 6);
    }, { NAME: "first" }));

  test("a gateway made anew for each request is compiled once", () =>
    serving(`
      import { gateway } from "./gateway.js";
      import configs from "./configs.js";
      export default { fetch: (request, env, ctx) => gateway(structuredClone(configs[Number(request.headers.get("x-number"))])).fetch(request, env, ctx) };
    `, [WARNS, numbered(2), numbered(5)], async (worker) => {
      const ask = async (number, target, headers = {}) => (await read(worker.request({ target, headers: { "x-number": String(number), ...headers } }))).text;
      await many(100, async (index) => {
        const number = index % 3;
        assert.equal(await ask(number, ...(number === 0 ? ["/a/x", named("a name")] : ["/who"])), ["yours", "gateway 2", "gateway 5"][number]);
      });
      await delay(50);
      assert.equal(await compiled(worker), 1);
    }, { NAME: "a name" }));

  test("an object that changes later, or serves for two gateways, is taken as it was", () =>
    serving(`
      import { gateway } from "./gateway.js";
      import configs from "./configs.js";
      const config = configs[0];
      const first = gateway(config);
      config.paths[0].integration.body = "second";
      config.paths[0].auth = "none";
      const second = gateway(config);
      export default { fetch: (request, env, ctx) => (request.headers.has("x-second") ? second : first).fetch(request, env, ctx) };
    `, [{ authorizer: authorizer(issuer), paths: [respond("/who", { auth: "required", body: "first" })] }], async (worker) => {
      for (let round = 0; round < 3; round += 1) {
        assert.equal((await read(worker.request({ target: "/who", headers: { "x-second": "1" } }))).text, "second");
        assert.equal((await read(worker.request({ target: "/who" }))).status, 401);
        assert.equal((await read(worker.request({ target: "/who", headers: bearer(issuer.token()) }))).text, "first");
      }
    }));

  test("EDGEWARD wins where it is set, for every gateway that is given it and for no other", async () => {
    const main = `
      import gateway_, { gateway } from "./gateway.js";
      import configs from "./configs.js";
      const gateways = configs.map(gateway);
      export default {
        fetch(request, env, ctx) {
          const number = Number(request.headers.get("x-number"));
          const { EDGEWARD, ...rest } = env;
          const given = request.headers.has("x-without") ? rest : request.headers.has("x-object") ? { ...env, EDGEWARD: JSON.parse(EDGEWARD) } : env;
          return (number < 0 ? gateway_ : gateways[number]).fetch(request, given, ctx);
        },
      };
    `;
    await serving(main, [numbered(2), numbered(5)], async (worker) => {
      const who = async (number, headers = {}) => {
        const { status, text } = await read(worker.request({ target: "/who", headers: { "x-number": String(number), ...headers } }));
        return status === 200 ? text : status;
      };
      for (let round = 0; round < 3; round += 1) {
        for (const number of [0, 1, -1]) assert.equal(await who(number), "gateway 8");
        for (const number of [0, 1, -1]) assert.equal(await who(number, { "x-object": "1" }), "gateway 8");
        assert.equal(await who(0, { "x-without": "1" }), "gateway 2");
        assert.equal(await who(1, { "x-without": "1" }), "gateway 5");
        assert.equal(await who(-1, { "x-without": "1" }), 503);
      }
    }, { EDGEWARD: JSON.stringify(numbered(8)) });
  });
});

describe("sessions of two gateways on one host", async () => {
  /** Seconds. The gateway renews short-lived tokens at half of their life. */
  const LIFETIME = 4;
  const [provider, origin] = await Promise.all([startProvider({ gateways: [SITE], ttl: { accessToken: LIFETIME } }), startOrigin()]);
  const secrets = ["a-session-secret-of-the-first-0123456789abcdef", "a-session-secret-of-the-second-0123456789abcde"];
  const config = (session, name) => loginConfig(provider, origin, { authorizer: WITH_REFRESH, session, paths: [respond("/name", { body: name, auth: "required" })] });
  // The last two are one document.
  const configs = [
    config({ secrets: secrets[0] }, "first"), config({ secrets: secrets[1] }, "second"),
    config({ secrets: "a-session-secret-of-the-third-0123456789abcdef" }, "third"), config({ secrets: "a-session-secret-of-the-third-0123456789abcdef" }, "third"),
  ];
  const worker = await startWorker({
    isolates: 2,
    sessions: { EDGEWARD_SESSIONS: "FirstSessions", SECOND_SESSIONS: "SecondSessions" },
    source: await source(`
      import { gateway, sessions } from "./gateway.js";
      import configs from "./configs.js";
      const gateways = configs.map(gateway);
      export const FirstSessions = sessions(configs[0]);
      export const SecondSessions = sessions(configs[1]);
      export default {
        fetch(request, env, ctx) {
          const number = Number(request.headers.get("x-number"));
          return gateways[number].fetch(request, number === 1 ? { ...env, EDGEWARD_SESSIONS: env.SECOND_SESSIONS } : env, ctx);
        },
      };
    `, configs),
  });
  started.push(worker, provider, origin);

  const send = (number, request) => worker.request({ ...request, headers: [...request.headers, ["x-number", String(number)]] });
  /** A browser for which this gateway is the site. */
  const browserAt = (number) => new Browser({ request: (request) => send(number, request) });
  async function loggedIn(number) {
    const browser = browserAt(number);
    await browser.open("/login?prompt=consent");
    assert.ok(browser.cookies().has(COOKIE), worker.logText);
    return browser;
  }
  const name = async (number, cookie, port) => {
    const { status, text } = await send(number, { target: "/name", headers: [["host", "app.example.com"], ["cookie", cookie]], port });
    return status === 200 ? text : status;
  };

  test("open nothing at each other, but where the documents are the same", async () => {
    const cookies = (await Promise.all([0, 1, 2].map(loggedIn))).map((browser) => browser.cookieHeader());
    const names = ["first", "second", "third", "third"];
    for (const [owner, cookie] of cookies.entries()) {
      for (const number of names.keys()) {
        assert.equal(await name(number, cookie), names[number] === names[owner] ? names[number] : 401, `of ${owner} at ${number}`);
      }
    }
  });

  test("and logins do not end at each other either", async () => {
    const browser = browserAt(0);
    const { next } = await browser.open("/login", { until: (url) => url.origin === SITE && url.pathname === "/auth/callback" });
    const cookie = browser.cookieHeader();
    const back = (number) => send(number, { target: next.pathname + next.search, headers: [["host", "app.example.com"], ["cookie", cookie], ["sec-fetch-mode", "navigate"], ["sec-fetch-dest", "document"]] });
    const wrong = await back(1);
    assert.ok(!wrong.headers.some(([header, value]) => header.toLowerCase() === "set-cookie" && value.startsWith(`${COOKIE}=`) && !value.startsWith(`${COOKIE}=;`)), `${wrong.status}`);
    const right = await back(0);
    assert.ok(right.headers.some(([header, value]) => header.toLowerCase() === "set-cookie" && value.startsWith(`${COOKIE}=`)), `${right.status} ${right.text}`);
  });

  test("are refreshed each by the Durable Object of its own configuration, once for both isolates", async () => {
    const browsers = [await loggedIn(0), await loggedIn(1)];
    await delay((LIFETIME / 2) * 1000 + 100);
    provider.resetCounts();
    const asked = Array.from({ length: 40 }, (_, index) => index % 4);
    const answers = await Promise.all(asked.map((kind) => name(kind % 2, browsers[kind % 2].cookieHeader(), worker.ports[kind >> 1])));
    assert.deepEqual(answers, asked.map((kind) => ["first", "second"][kind % 2]), worker.logText);
    assert.equal(provider.counts.token, 2);
    assert.doesNotMatch(await worker.written(), /refresh_unavailable/);
  });
});
