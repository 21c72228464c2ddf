// Runs the demo on three loopback ports: an identity provider, the site of examples/site, and the gateway in `wrangler dev`. Prints
// the URL to open and three requests to paste, which get fresh tokens by `make token`. Ctrl-C stops everything and removes its files.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startSite } from "../examples/site/server.mjs";
import { delay } from "../tests/node/support/http.mjs";
import { CLIENT_SECRET, startProvider } from "../tests/node/support/provider.mjs";
import { PROVIDER_PORT } from "./token.mjs";

const root = process.env.EDGEWARD_ROOT ?? resolve(import.meta.dirname, "..");
const HEALTH = "/.well-known/edgeward/health";
const STARTUP_SECONDS = 90;
const GRACE_MS = 5_000;

const ports = {
  gateway: port("EDGEWARD_PORT", 8787),
  provider: port("EDGEWARD_PROVIDER_PORT", PROVIDER_PORT),
  origin: port("EDGEWARD_ORIGIN_PORT", 9401),
};

/** Functions that stop a running part, in the order of their start. */
const running = [];
let ending;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(0));
process.on("uncaughtException", (error) => {
  console.error(error);
  end(1);
});

await requireFreePorts();

// A host name other than the provider's: to the browser the two are different sites, as in production.
const gatewayUrl = `http://localhost:${ports.gateway.number}`;
const provider = await startProvider({ port: ports.provider.number, gateways: [gatewayUrl] });
running.push(() => provider.stop());
const site = await startSite({ port: ports.origin.number });
running.push(() => site.stop());
const wrangler = startWrangler();

if (await healthy()) {
  wrangler.show();
  await announce();
}

function port(variable, fallback) {
  const number = Number(process.env[variable] || fallback);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    console.error(`dev: ${variable}=${process.env[variable]} is not a port number`);
    process.exit(1);
  }
  return { variable, number };
}

async function requireFreePorts() {
  const taken = [];
  const seen = new Map();
  for (const [name, { variable, number }] of Object.entries(ports)) {
    if (seen.has(number)) taken.push(`${variable} and ${seen.get(number)} are both ${number}`);
    else if (!(await isFree(number))) {
      taken.push(`port ${number}, meant for the ${name}, is taken: choose another one, ${variable}=… make dev`);
    }
    seen.set(number, variable);
  }
  if (taken.length === 0) return;
  for (const line of taken) console.error(`dev: ${line}`);
  process.exit(1);
}

/** Tests both addresses of `localhost`. */
async function isFree(number) {
  const probes = ["127.0.0.1", "::1"].map((host) => new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", ({ code }) => resolve(code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT"));
    probe.listen(number, host, () => probe.close(() => resolve(true)));
  }));
  return (await Promise.all(probes)).every(Boolean);
}

/** Starts `wrangler dev` in a process group of its own. Its output is buffered until the gateway answers. */
function startWrangler() {
  const variables = {
    EDGEWARD_ISSUER: provider.issuer,
    EDGEWARD_ORIGIN: site.url,
    EDGEWARD_SITE: gatewayUrl,
    EDGEWARD_CLIENT_ID: "edgeward-web",
    EDGEWARD_CLIENT_SECRET: CLIENT_SECRET,
    EDGEWARD_SESSION_SECRET: randomBytes(32).toString("hex"),
    // The page of an invalid configuration lists its errors. The gateway listens on loopback only.
    EDGEWARD_DEV: "1",
  };
  const state = mkdtempSync(join(tmpdir(), "edgeward-dev-"));
  mkdirSync(join(state, "tmp"));
  const child = spawn(
    process.execPath,
    [
      join(root, "node_modules/wrangler/bin/wrangler.js"), "dev", "--local", "--config", "examples/site/wrangler.toml",
      "--ip", "127.0.0.1", "--port", String(ports.gateway.number), "--inspector-port", "0",
      "--persist-to", join(state, "state"), "--show-interactive-dev-session=false",
      ...Object.entries(variables).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
    ],
    {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        TMPDIR: join(state, "tmp"),
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_HIDE_BANNER: "true",
        WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
        WRANGLER_LOG_PATH: join(state, "logs"),
        CLOUDFLARE_DEV_REGISTRY_PATH: join(state, "registry"),
        WRANGLER_REGISTRY_PATH: join(state, "registry"),
      },
    },
  );
  const held = [];
  let write = (chunk) => held.push(chunk);
  child.stdout.on("data", (chunk) => write(chunk));
  child.stderr.on("data", (chunk) => write(chunk));
  const exited = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));

  running.push(async () => {
    signalGroup(child.pid, "SIGTERM");
    await Promise.race([exited, delay(GRACE_MS)]);
    // The runtime is a child process of wrangler and may outlive it.
    signalGroup(child.pid, "SIGKILL");
    await exited;
    rmSync(state, { recursive: true, force: true });
  });
  exited.then((how) => {
    if (ending) return;
    for (const chunk of held) process.stderr.write(chunk);
    console.error(`dev: the gateway (wrangler dev) exited unexpectedly (${how})`);
    end(1);
  });

  return {
    show() {
      held.length = 0;
      write = (chunk) => process.stdout.write(chunk);
    },
    dump() {
      for (const chunk of held) process.stderr.write(chunk);
    },
  };
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

async function healthy() {
  const deadline = Date.now() + STARTUP_SECONDS * 1_000;
  let last = "no connection";
  while (Date.now() < deadline && !ending) {
    try {
      const answer = await fetch(gatewayUrl + HEALTH, { signal: AbortSignal.timeout(5_000) });
      if (answer.ok) return true;
      last = `${answer.status} ${await answer.text()}`;
      // An invalid configuration: waiting does not help.
      if (answer.status === 503) break;
    } catch (error) {
      last = error.cause?.code ?? error.message;
    }
    await delay(200);
  }
  if (ending) return false;
  await delay(500); // for the log of the last answer
  wrangler.dump();
  console.error(`dev: the gateway did not become ready at ${gatewayUrl}${HEALTH}: ${last}`);
  await end(1);
  return false;
}

async function announce() {
  const changed = ports.provider.number === PROVIDER_PORT ? "" : ` EDGEWARD_PROVIDER_PORT=${ports.provider.number}`;
  const bearer = `-H "Authorization: Bearer $(make -s token SCOPE=read:items${changed})"`;
  console.log(`
Edgeward is running. Ctrl-C stops everything.

  open this          ${gatewayUrl}
  identity provider  ${provider.issuer}
  origin             ${site.url}
  configuration      examples/site/edgeward.json (save it, and the gateway reloads)

Log in as Alice, an administrator, or as Bob, who is not one; there are no passwords.

The API accepts bearer tokens, too; \`make token SCOPE="read:items write:items"\` prints a fresh one. Paste these here, in another terminal.
With a valid token: 200, and the origin shows the verified claims that it received.

curl -i ${bearer} ${gatewayUrl}/api/items

Without a token: 401.

curl -i ${gatewayUrl}/api/items

With a token without the scope admin:read: 403.

curl -i ${bearer} ${gatewayUrl}/api/admin/users
`);
}

/** Stops the running parts, last one first, and then this process. */
function end(code) {
  ending ??= (async () => {
    for (const stop of running.reverse()) {
      try {
        await stop();
      } catch (error) {
        console.error("dev:", error);
        code = 1;
      }
    }
    process.exit(code);
  })();
  return ending;
}
