// The commands of README as a new user runs them: `make dev`, whose lines are pasted into a shell, whose configuration is edited, and
// which leaves nothing behind after Ctrl-C; `npx wrangler dev` and `make deploy ARGS=--dry-run`.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { freePort } from "./support/http.mjs";

const script = resolve(import.meta.dirname, "../../scripts/dev.mjs");
const configuration = resolve(import.meta.dirname, "../../examples/site/edgeward.json");

function startDev(ports) {
  const child = spawn(process.execPath, [script], { env: { ...process.env, ...ports }, stdio: ["ignore", "pipe", "pipe"] });
  const dev = { child, output: "", exited: once(child, "close").then(([code]) => code) };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (dev.output += chunk));
  return dev;
}

async function until(condition, what, seconds) {
  const end = Date.now() + seconds * 1_000;
  while (!condition()) {
    if (Date.now() > end) assert.fail(what());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The live processes that descend from `pid`, by `ps`: `[{ pid, args }]`. */
function descendants(pid) {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat=,args="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([own, parent, state, ...args]) => ({ pid: Number(own), parent: Number(parent), state, args: args.join(" ") }));
  const found = [];
  for (let parents = [pid]; parents.length > 0; ) {
    const children = rows.filter((row) => parents.includes(row.parent) && !row.state.startsWith("Z"));
    found.push(...children);
    parents = children.map((row) => row.pid);
  }
  return found;
}

const isAlive = (pid) => {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).trim().startsWith("Z");
  } catch {
    return false;
  }
};

test("make dev: the site opens, three requests answer 200, 401 and 403, and Ctrl-C leaves nothing behind", { timeout: 150_000 }, async () => {
  const ports = {
    EDGEWARD_PORT: String(await freePort()),
    EDGEWARD_PROVIDER_PORT: String(await freePort()),
    EDGEWARD_ORIGIN_PORT: String(await freePort()),
  };
  const dev = startDev(ports);
  let started = [];
  try {
    const lines = () => dev.output.match(/^curl .*$/gm) ?? [];
    await until(() => lines().length === 3 || dev.child.exitCode !== null, () => `not ready:\n${dev.output}`, 120);
    assert.equal(lines().length, 3, dev.output);

    const [address] = /http:[^\s]+/.exec(dev.output);
    assert.equal(address, `http://localhost:${ports.EDGEWARD_PORT}`, "the first address is the one to open");
    const page = await fetch(address);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<h1>/);
    // Not by fetch, which says that it is a script: those are not sent to log in.
    const login = await promisify(execFile)("curl", ["--silent", "--max-time", "20", "--write-out", "%{redirect_url}", `${address}/login`]);
    assert.match(login.stdout, new RegExp(`^http://127\\.0\\.0\\.1:${ports.EDGEWARD_PROVIDER_PORT}/auth\\?`));

    assert.ok(lines().every((line) => line.length < 160), "no token is in them");
    const answers = [];
    for (const line of lines()) {
      const { stdout } = await promisify(execFile)("bash", ["-c", `${line} --silent --max-time 20`]);
      const [head, ...body] = stdout.split("\r\n\r\n");
      answers.push({ status: Number(head.split(" ")[1]), head, body: body.join("\r\n\r\n") });
    }
    assert.deepEqual(answers.map(({ status }) => status), [200, 401, 403], dev.output);
    const seen = JSON.parse(answers[0].body);
    assert.equal(seen.url, "/api/items");
    assert.ok(Object.values(seen.headers).includes("edgeward-service"), "the origin was handed the subject of the token");
    assert.match(answers[1].head, /^www-authenticate: Bearer/im);
    assert.match(answers[2].head, /^www-authenticate: Bearer .*insufficient_scope/im);

    // Configurations are edited while it runs. The file is restored.
    const before = readFileSync(configuration, "utf8");
    assert.ok(before.includes('"status": "ok"'));
    const health = async () => (await fetch(`${address}/health`)).text().catch(() => "");
    assert.equal(await health(), '{"status":"ok"}');
    try {
      writeFileSync(configuration, before.replace('"status": "ok"', '"status": "edited"'));
      let seen = "";
      const poll = setInterval(() => health().then((text) => (seen = text), () => {}), 250);
      await until(() => seen.includes("edited"), () => `the edit has no effect:\n${dev.output}`, 30).finally(() => clearInterval(poll));
    } finally {
      writeFileSync(configuration, before);
    }

    // A mistake is on the page of the browser that runs beside it, with its place.
    const asPage = async () => {
      const args = ["--silent", "--max-time", "5", "-H", "accept: text/html", `${address}/health`];
      return (await promisify(execFile)("curl", args).catch(() => ({ stdout: "" }))).stdout;
    };
    // What no bundler reads as JSON, too: requests must not wait for a build that fails.
    const mistakes = [
      [before.replace('"path": "/health"', '"pth": "/health"'), /<li>error at paths\[\d+\]\.pth: unknown key &quot;pth&quot;/],
      ['{ "a": 1, }', /<li>error at \(document\): is not JSON: line 1, column 11/],
      [before.slice(0, -20), /<li>error at \(document\): is not JSON: line \d+/],
      ["", /<li>error at \(document\): is not JSON/],
      ["[]", /<li>error at \(document\)/],
    ];
    try {
      for (const [text, expected] of mistakes) {
        writeFileSync(configuration, text);
        let seen = "";
        const poll = setInterval(() => asPage().then((text) => (seen = text)), 500);
        await until(() => expected.test(seen), () => `the page does not show ${expected}:\n${seen}\n${dev.output}`, 30).finally(() => clearInterval(poll));
        assert.match(seen, /<h1>This site is not ready yet<\/h1>/);
      }
      writeFileSync(configuration, before);
      let seen = "";
      const poll = setInterval(() => health().then((text) => (seen = text), () => {}), 250);
      await until(() => seen === '{"status":"ok"}', () => `the corrected file has no effect:\n${dev.output}`, 30).finally(() => clearInterval(poll));
    } finally {
      writeFileSync(configuration, before);
    }

    started = descendants(dev.child.pid);
    assert.ok(started.some(({ args }) => args.includes("workerd")), "the gateway runs in workerd");
  } finally {
    dev.child.kill("SIGINT");
  }
  assert.equal(await dev.exited, 0, dev.output);
  await until(() => !started.some(({ pid }) => isAlive(pid)), () => `left behind: ${JSON.stringify(started.filter(({ pid }) => isAlive(pid)))}`, 5);
  for (const port of Object.values(ports)) {
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), `port ${port} is free again`);
  }
});

test("make dev names the ports that are taken", { timeout: 30_000 }, async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const taken = String(holder.address().port);
  const dev = startDev({ EDGEWARD_PORT: String(await freePort()), EDGEWARD_PROVIDER_PORT: taken, EDGEWARD_ORIGIN_PORT: taken });
  try {
    assert.equal(await dev.exited, 1);
    assert.match(dev.output, new RegExp(`port ${taken}, .* is taken: .*EDGEWARD_PROVIDER_PORT`));
    assert.match(dev.output, /EDGEWARD_ORIGIN_PORT and EDGEWARD_PROVIDER_PORT are both/);
  } finally {
    holder.close();
  }
});

const root = resolve(import.meta.dirname, "../..");
const quiet = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CI: "true" };

test("npx wrangler dev: a fresh clone serves its page without any variable", { timeout: 150_000 }, async () => {
  const port = String(await freePort());
  const args = ["dev", "--ip", "127.0.0.1", "--port", port, "--inspector-port", "0", "--show-interactive-dev-session=false"];
  const child = spawn(join(root, "node_modules/.bin/wrangler"), args, { cwd: root, env: quiet, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "close");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  try {
    await until(() => /Ready on/.test(output) || child.exitCode !== null, () => `not ready:\n${output}`, 120);
    const page = await fetch(`http://127.0.0.1:${port}/`);
    assert.deepEqual([page.status, (await page.text()).split(".")[0]], [200, "Edgeward is running"], output);
    assert.equal((await fetch(`http://127.0.0.1:${port}/.well-known/edgeward/health`)).status, 200);
    assert.doesNotMatch(output, /config_invalid|error at/);
  } finally {
    process.kill(-child.pid, "SIGTERM");
    await exited;
  }
});

test("make deploy ARGS=--dry-run: builds, and shows the upload", { timeout: 150_000 }, async () => {
  const { stdout } = await promisify(execFile)("make", ["deploy", "ARGS=--dry-run"], { cwd: root, env: quiet });
  assert.match(stdout, /Total Upload: .* \/ gzip: /);
  assert.match(stdout, /EDGEWARD_SESSIONS/);
  assert.match(stdout, /--dry-run: exiting now/);
});
