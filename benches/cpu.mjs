// CPU that workerd's process uses per request of a protected route that answers by itself: the built Worker beside Hono
// with jose doing the same job, and a Worker that does nothing. With `growth` in the settings, the built Worker alone: with few
// routes and with many, and with URLs that are costly to read. Usage: `node benches/cpu.mjs SETTINGS`.
//
// Each Worker runs in a process of its own; a round is a fixed number of requests to one of them, and rounds take turns. After
// some rounds all processes are replaced.
// The process's user and system time, as the kernel counts it, is read before and after.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import autocannon from "autocannon";
import { session, sessionCookie } from "../tests/node/support/seal.mjs";
import { AUDIENCE, boundRequests, ISSUER, jwks, tokens } from "./inputs.mjs";
import { emit, median, quick } from "./measure.mjs";
import { builtWorker, bundle, startRuntime, tellsCpuTime } from "./runtime.mjs";

const { site, growth } = JSON.parse(process.argv[2]);
const CONNECTIONS = 8;
const POOL = 2_400; // several times what the verified-token cache holds
const REQUESTS = quick ? 2_400 : 9_600; // a multiple of the pool: every token is sent equally often
const GENERATIONS = quick ? 1 : growth ? 3 : 6; // of processes: what the engine optimises, and when, differs from one to the next
const CPU_ROUNDS = 3;
/** Requests of a round with proofs of possession. A process remembers some 32,000 of them. */
const PROOFS = 4_800;
const ROUND_US = 250_000; // of CPU time, for requests that are too slow for as many as above
const PATH = "/api/items";
const BODY = { items: [] };

const source = (name) => join(import.meta.dirname, "workers", name);

/** The routes of workers/hono.js. */
const config = {
  authorizer: { type: "oidc", issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], jwks },
  paths: [
    { method: "GET", path: "/health", auth: "none", integration: { type: "respond", body: { status: "ok" } } },
    { method: "GET", path: PATH, scopes: ["read:items"], integration: { type: "respond", body: BODY } },
    { method: "GET", path: `${PATH}/{id}`, scopes: ["read:items"], integration: { type: "respond", body: { id: "1" } } },
    { method: "POST", path: PATH, scopes: ["write:items"], integration: { type: "respond", status: 201, body: { created: true } } },
    { method: "ANY", path: "/api/admin/{*rest}", scopes: ["admin:read"], integration: { type: "respond", body: { admin: true } } },
  ],
};

if (!tellsCpuTime) {
  process.stderr.write("bench: the CPU time of the Worker is read from /proc, which this system lacks: left out\n");
  process.exit();
}

/** The same with login. */
const SECRET = "a sealing secret of the bench, 32 characters or more";
const HOST = "app.example.com";
const loginConfig = {
  authorizer: { ...config.authorizer, client_id: "c", client_secret: "s", redirect_uri: `https://${HOST}/callback` },
  session: { secrets: SECRET },
  paths: [
    ...config.paths,
    { method: "GET", path: "/login", integration: { type: "login" } },
    { method: "GET", path: "/callback", integration: { type: "callback" } },
  ],
};

/** The id that the platform gives a request: with it, events are JSON. */
const RAY = { "cf-ray": "8f1c2d3e4a5b6c7d-AMS" };
const pool = tokens("RS256", POOL).map((token) => ({ authorization: `Bearer ${token}`, ...RAY }));

const bound = boundRequests(POOL);

/** A session with what a provider's tokens hold. */
const payload = JSON.parse(Buffer.from(pool[0].authorization.split(".")[1], "base64url"));
const { aud, scope, exp } = payload;
const login = { issuer: ISSUER, clientId: loginConfig.authorizer.client_id, audience: [AUDIENCE] };
const held = session({ claims: payload, rights: { aud, scope, exp }, at: pool[0].authorization.slice("Bearer ".length) });
const inSession = [{ cookie: sessionCookie(SECRET, HOST, login, held), ...RAY }];

/** Sends a round of requests, each connection its own share of the tokens. `refusable`: the Worker may refuse them all. */
async function load({ worker, given, path = PATH, refusable = false, amount = REQUESTS }) {
  let connection = 0;
  const share = given.length / CONNECTIONS;
  const result = await autocannon({
    url: worker.url, connections: CONNECTIONS, amount, sampleInt: 100, timeout: 120,
    setupClient(client) {
      const mine = given.length === 1 ? given : given.slice(connection * share, (connection + 1) * share);
      client.setRequests(mine.map((headers) => ({ method: "GET", path, headers })));
      connection += 1;
    },
  });
  const good = result["2xx"] + (refusable ? result["4xx"] : 0);
  if (good !== amount || result.errors) {
    throw new Error(`${worker.name}: ${good} of ${amount} requests passed, ${result.non2xx} refused, ${result.errors} errors`);
  }
}

/** Both must do the job before it is timed. */
async function expectVerdicts(worker) {
  const status = async (path, headers = {}) => {
    const response = await fetch(worker.url + path, { headers });
    return [response.status, await response.text(), response.headers.get("content-type"), response.headers.get("cache-control")];
  };
  const [good] = pool;
  const { authorization } = good;
  const [code, text, type, cache] = await status(PATH, good);
  const forged = { authorization: `${authorization.slice(0, -20)}${authorization.at(-20) === "A" ? "B" : "A"}${authorization.slice(-19)}` };
  const right =
    code === 200 && text === JSON.stringify(BODY) && type === "application/json" && cache === "private, no-store" &&
    (await status(PATH))[0] === 401 && (await status(PATH, forged))[0] === 401 && (await status("/api/admin/x", good))[0] === 403;
  if (!right) throw new Error(`${worker.name} does not do the job: nothing was measured`);
}

const times = new Map();

/** Measures what `begin` starts in turns, `rounds` after it is warm, and ends it. */
async function generation(begin) {
  const workers = [];
  try {
    const series = await begin(async (name, modules, bindings) => {
      const worker = Object.assign(await startRuntime(modules, bindings), { name });
      workers.push(worker);
      return worker;
    });
    for (const one of series) {
      if (one.refusable) one.amount = await amountOf(one);
      await load(one);
    }
    for (let round = 0; round < CPU_ROUNDS; round += 1) {
      for (let turn = 0; turn < series.length; turn += 1) {
        const one = series[(turn + round) % series.length];
        const before = one.worker.cpuTime();
        await load(one);
        const us = (one.worker.cpuTime() - before) / (one.amount ?? REQUESTS);
        times.set(one.id, [...(times.get(one.id) ?? []), us]);
      }
    }
  } finally {
    for (const worker of workers) await worker.stop();
  }
}

/** How many requests fill a round, no more than usual. */
async function amountOf(one) {
  const before = one.worker.cpuTime();
  await load({ ...one, amount: 4 * CONNECTIONS });
  const each = (one.worker.cpuTime() - before) / (4 * CONNECTIONS);
  return Math.min(REQUESTS, Math.max(2, Math.round(ROUND_US / each / CONNECTIONS)) * CONNECTIONS);
}

/** The built Worker with a dataset for metrics, which workerd alone does not have. */
function recorded({ "index.js": main, ...others }) {
  return { "index.js": readFileSync(source("recorded.js")), "gateway.js": main, ...others };
}

/** What runs: a Worker's modules and bindings, and what is sent to it. */
async function contenders() {
  const all = {
    hello: [await bundle(source("hello.js"))],
    log: [await bundle(source("log.js"))],
    hono: [await bundle(source("hono.js")), { SITE: { issuer: ISSUER, audience: AUDIENCE, jwks } }],
  };
  if (site) {
    const built = builtWorker(join(site, "build"));
    all.edgeward = [built, { EDGEWARD: config }];
    all.recorded = [recorded(built), { EDGEWARD: { ...config, log: { level: "info", sample: 100 } } }];
    all.login = [built, { EDGEWARD: loginConfig }];
    all.dpop = [built, { EDGEWARD: { ...config, authorizer: { ...config.authorizer, dpop: "allowed" } } }];
    // As wrangler deploys it.
    all.deployed = [await bundle(join(site, "worker.js")), { EDGEWARD: config }];
  }
  return async (start) => {
    const series = [];
    for (const [name, given] of Object.entries(all)) {
      const worker = await start(name, ...given);
      if (name === "hello") {
        series.push({ id: "cpu.hello", worker, given: pool });
        // What the runtime itself takes for the header of a session, and for that of a token.
        series.push({ id: "cpu.hello.session", worker, given: inSession }, { id: "cpu.hello.repeated", worker, given: pool.slice(0, 1) });
        continue;
      }
      if (name === "log") {
        series.push({ id: "cpu.log", worker, given: pool.slice(0, 1) });
        continue;
      }
      if (name === "dpop") {
        // Every round with proofs of its own.
        series.push({ id: "cpu.dpop.distinct", worker, amount: PROOFS, get given() { return bound(worker.url + PATH, PROOFS).map((headers) => ({ ...headers, ...RAY })); } });
        continue;
      }
      if (name === "recorded") {
        series.push({ id: "cpu.recorded.repeated", worker, given: pool.slice(0, 1) });
        continue;
      }
      series.push({ id: `cpu.${name}.repeated`, worker, given: pool.slice(0, 1) });
      series.push(name === "login" ? { id: "cpu.login.session", worker, given: inSession } : { id: `cpu.${name}.distinct`, worker, given: pool });
      await expectVerdicts(worker);
    }
    return series;
  };
}

/** So many protected routes of all kinds below `base`, each with a literal of its own, and public ones below `open`. */
const manyRoutes = (count, { base = "/api", open = "/open" } = {}) => ({
  ...config,
  paths: [
    ...Array.from({ length: count }, (_, index) => ({
      method: "GET", path: base + [`/list-${index}`, `/item-${index}/{id}`, `/tree-${index}/{*rest}`][index % 3],
      scopes: ["read:items"], integration: { type: "respond", body: BODY },
    })),
    { method: "GET", path: `${open}/{*rest}`, auth: "none", integration: { type: "respond", body: BODY } },
  ],
});
const ROUTES = [10, 300, 3_000];
const PROTECTED = 200;

/** What there is to read in a path in more than one way, and plain characters. */
const COSTLY = [
  "a", "%61%62%63", "a%2Fb", "%2561%2562", "%C4%B1%C5%BF", "%EF%BD%81%EF%BD%82", "a;b=%63", "a%C2%AD%E2%80%8B", "a%20.%20", "%2561%C4%B1;a%2F%EF%BD%81%20.",
];
/** Paths of about 15,000 characters, of these again and again: as one segment and as many. */
const costlyPaths = COSTLY.flatMap((unit) => ["", "/"].map((between) => `/${(unit + between).repeat(15_000 / (unit + between).length)}`));

/** So many issuers, the one of the tokens last. */
const manyIssuers = (count) => {
  const other = (n) => ({ issuer: `https://issuer-${n}.example.com/`, jwks });
  const others = Array.from({ length: count - 1 }, (_, n) => other(n));
  const authorizer = { ...config.authorizer, ...others[0], issuers: [...others.slice(1), { issuer: ISSUER, jwks }] };
  return { ...config, authorizer };
};

/** The built Worker with more and more routes and issuers, and with costly URLs. */
async function growing() {
  const built = builtWorker(join(site, "build"));
  return async (start) => {
    const series = [];
    for (const count of ROUTES) {
      const worker = await start(`${count} routes`, built, { EDGEWARD: manyRoutes(count) });
      // The last of the routes with a parameter.
      const path = `/api/item-${count - 1 - ((count - 2) % 3)}/42`;
      series.push({ id: `cpu.routes.${count}`, worker, given: pool.slice(0, 1), path });
    }
    for (const count of [10, 1000]) {
      const worker = await start(`${count} issuers`, built, { EDGEWARD: manyIssuers(count) });
      series.push({ id: `cpu.issuers.${count}`, worker, given: pool });
    }
    const worker = await start("costly URLs", built, { EDGEWARD: manyRoutes(PROTECTED, { base: "", open: "" }) });
    series.push({ id: "cpu.url.plain", worker, given: [{}], path: "/open/page" });
    costlyPaths.forEach((path, index) => series.push({ id: `cpu.url.${index}`, worker, given: [{}], path, refusable: true }));
    return series;
  };
}

if (!growth || site) {
  const begin = growth ? await growing() : await contenders();
  for (let i = 0; i < GENERATIONS; i += 1) await generation(begin);
}
if (growth && site) {
  const cost = (index) => median(times.get(`cpu.url.${index}`));
  const worst = costlyPaths.reduce((most, _, index) => (cost(index) > cost(most) ? index : most), 0);
  process.stderr.write(`bench: the costliest URL begins with ${costlyPaths[worst].slice(0, 40)}\n`);
  times.set("cpu.url.worst", times.get(`cpu.url.${worst}`));
}
for (const [id, us] of times) emit({ id, us, cpu: us });
