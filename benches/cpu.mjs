// CPU that workerd's process uses per request of a protected route that answers by itself: the built Worker beside Hono
// with jose doing the same job, and a Worker that does nothing. Usage: `node benches/cpu.mjs SETTINGS`.
//
// Each Worker runs in a process of its own; a round is a fixed number of requests to one of them, and rounds take turns. After
// some rounds all processes are replaced.
// The process's user and system time, as the kernel counts it, is read before and after.

import { join } from "node:path";
import autocannon from "autocannon";
import { session, sessionCookie } from "../tests/node/support/seal.mjs";
import { AUDIENCE, ISSUER, jwks, tokens } from "./inputs.mjs";
import { emit, quick } from "./measure.mjs";
import { builtWorker, bundle, startRuntime, tellsCpuTime } from "./runtime.mjs";

const { site } = JSON.parse(process.argv[2]);
const CONNECTIONS = 8;
const POOL = 2_400; // several times what the verified-token cache holds
const REQUESTS = quick ? 2_400 : 9_600; // a multiple of the pool: every token is sent equally often
const GENERATIONS = quick ? 1 : 6; // of processes: what the engine optimises, and when, differs from one to the next
const CPU_ROUNDS = 3;
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

const pool = tokens("RS256", POOL).map((token) => ({ authorization: `Bearer ${token}` }));

/** A session with what a provider's tokens hold. */
const payload = JSON.parse(Buffer.from(pool[0].authorization.split(".")[1], "base64url"));
const inSession = [
  { cookie: sessionCookie(SECRET, HOST, session({ claims: payload, at: pool[0].authorization.slice("Bearer ".length) })) },
];

/** Sends a round of requests, each connection its own share of the tokens. */
async function load(worker, given) {
  let connection = 0;
  const share = given.length / CONNECTIONS;
  const result = await autocannon({
    url: worker.url, connections: CONNECTIONS, amount: REQUESTS, sampleInt: 100,
    setupClient(client) {
      const mine = given.length === 1 ? given : given.slice(connection * share, (connection + 1) * share);
      client.setRequests(mine.map((headers) => ({ method: "GET", path: PATH, headers })));
      connection += 1;
    },
  });
  const good = result["2xx"];
  if (good !== REQUESTS || result.non2xx || result.errors) {
    throw new Error(`${worker.name}: ${good} of ${REQUESTS} requests passed, ${result.non2xx} refused, ${result.errors} errors`);
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

/** What runs: a Worker's modules and bindings, and what is sent to it. */
const contenders = {
  hello: { modules: await bundle(source("hello.js")) },
  hono: { modules: await bundle(source("hono.js")), bindings: { SITE: { issuer: ISSUER, audience: AUDIENCE, jwks } } },
};
if (site) {
  const bindings = { EDGEWARD: config };
  contenders.edgeward = { modules: builtWorker(join(site, "build")), bindings };
  contenders.login = { modules: builtWorker(join(site, "build")), bindings: { EDGEWARD: loginConfig } };
  // As wrangler deploys it.
  contenders.deployed = { modules: await bundle(join(site, "worker.js")), bindings };
}
const times = new Map();

/** Starts all Workers, measures them in turns, and ends them. */
async function generation() {
  const series = [];
  try {
    for (const [name, { modules, bindings }] of Object.entries(contenders)) {
      const worker = Object.assign(await startRuntime(modules, bindings), { name });
      if (name === "hello") {
        series.push({ id: "cpu.hello", worker, given: pool });
        continue;
      }
      series.push({ id: `cpu.${name}.repeated`, worker, given: pool.slice(0, 1) });
      series.push(name === "login" ? { id: "cpu.login.session", worker, given: inSession } : { id: `cpu.${name}.distinct`, worker, given: pool });
      await expectVerdicts(worker);
    }
    for (const { worker, given } of series) await load(worker, given);
    for (let round = 0; round < CPU_ROUNDS; round += 1) {
      for (let turn = 0; turn < series.length; turn += 1) {
        const { id, worker, given } = series[(turn + round) % series.length];
        const before = worker.cpuTime();
        await load(worker, given);
        const us = (worker.cpuTime() - before) / REQUESTS;
        times.set(id, [...(times.get(id) ?? []), us]);
      }
    }
  } finally {
    for (const { worker } of series) await worker.stop();
  }
}

for (let i = 0; i < GENERATIONS; i += 1) await generation();
for (const [id, us] of times) emit({ id, us, cpu: us });
