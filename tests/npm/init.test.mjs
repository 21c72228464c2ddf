// `edgeward init`, as installed: from an empty folder to a login in `wrangler dev`.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join, relative, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort, readBody, serve } from "../node/support/http.mjs";
import { startProvider } from "../node/support/provider.mjs";
import { bare, installCommand } from "./command.mjs";
import { root, run } from "./install.mjs";

const FILES = [".dev.vars", ".dev.vars.example", ".gitignore", "edgeward.json", "package.json", "worker.js", "wrangler.toml"];
const TENANTS = {
  auth0: ["--domain", "tenant.us.auth0.com"],
  okta: ["--domain", "example.okta.com", "--audience", "api://default"],
  entra: ["--issuer", "https://login.microsoftonline.com/8b5f4b3e-1111-2222-3333-444455556666/v2.0"],
  cognito: ["--issuer", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x"],
  keycloak: ["--issuer", "https://sso.example.com/realms/main"],
  zitadel: ["--domain", "example.zitadel.cloud"],
  clerk: ["--domain", "clerk.example.com"],
  google: [],
  supabase: ["--domain", "abcdefgh.supabase.co"],
  workos: ["--client-id", "client_01"],
  firebase: ["--audience", "my-project"],
  cloudflare_access: ["--domain", "team.cloudflareaccess.com"],
  github_actions: ["--repository", "octo-org/app"],
  oidc: ["--issuer", "https://login.example.com"],
};
/** Those without a login, and those without tokens for APIs. */
const ONLY = { google: "--site", supabase: "--api", workos: "--api", firebase: "--api", cloudflare_access: "--api", github_actions: "--api" };

let command;
before(async () => {
  command = await installCommand();
});
after(() => command.remove());

let count = 0;
const init = async (args, folder = `project-${(count += 1)}`) => ({ folder: join(command.folder, folder), ...(await command.run(["init", ...args, folder])) });
const read = (folder, name) => readFileSync(join(folder, name), "utf8");

describe("init", () => {
  it("writes a project for every provider that checks without errors, and tells what to register", async () => {
    const written = [];
    for (const [provider, tenant] of Object.entries(TENANTS)) {
      for (const kind of [["--site", "--client-id", "web", "--url", "https://shop.example.com"], ["--api", ...(["okta", "firebase"].includes(provider) ? [] : ["--audience", "https://api.example.com"])]]) {
        const { folder, code, stdout, stderr } = await init(["--provider", provider, ...kind, ...tenant]);
        if (ONLY[provider] !== undefined && ONLY[provider] !== kind[0]) {
          assert.deepEqual([code, stdout], [2, ""]);
          assert.match(stderr, new RegExp(`^edgeward: --provider: ${provider} is for .*: use ${ONLY[provider]}\n$`));
          continue;
        }
        assert.equal(code, 0, stderr);
        assert.deepEqual(readdirSync(folder).sort(), FILES);
        written.push(join(folder, "edgeward.json"));
        assert.equal(stdout.includes("https://shop.example.com/auth/callback and http://localhost:8787/auth/callback"), kind[0] === "--site");
        assert.equal(stdout.includes('"trusted_audiences"'), provider === "zitadel" && kind[0] === "--site");
      }
    }
    const checked = await command.run(["check", "--offline", ...written]);
    assert.equal(checked.stdout, written.map((file) => `${file}: no problems; the providers were not asked\n`).join(""));
  });

  it("makes a new secret for each project, in a file that git ignores, and prints none", async () => {
    const secrets = [];
    for (let i = 0; i < 2; i += 1) {
      const { folder, stdout } = await init(["--site", "--provider", "auth0", "--domain", "t.auth0.com", "--client-id", "web"]);
      const [, secret] = /^SESSION_SECRET=([0-9a-f]{64})$/m.exec(read(folder, ".dev.vars"));
      assert.ok(!stdout.includes(secret));
      assert.equal(statSync(join(folder, ".dev.vars")).mode & 0o077, 0);
      assert.match(read(folder, ".gitignore"), /^\.dev\.vars$/m);
      for (const name of FILES.filter((file) => file !== ".dev.vars")) assert.ok(!read(folder, name).includes(secret), name);
      assert.match(read(folder, ".dev.vars.example"), /^SESSION_SECRET=$/m);
      secrets.push(secret);
    }
    assert.notEqual(secrets[0], secrets[1]);
  });

  it("replaces nothing without --force, and leaves package.json and .gitignore but for .dev.vars", async () => {
    const folder = join(command.folder, "existing");
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "name": "mine" }');
    writeFileSync(join(folder, ".gitignore"), "dist");
    writeFileSync(join(folder, "worker.js"), "// mine");
    const args = ["--api", "--provider", "oidc", "--issuer", "https://i.example", "--audience", "a"];
    const refused = await init(args, "existing");
    assert.deepEqual([refused.code, refused.stderr], [1, "edgeward: worker.js exists already: remove what you do not need, or use --force\n"]);
    assert.ok(!existsSync(join(folder, "edgeward.json")));
    const { code, stdout } = await init([...args, "--force"], "existing");
    assert.equal(code, 0);
    // By its tarball: a name alone means the registry, where the package may not be.
    assert.match(stdout, /^1\. cd existing && npm install file:\S+edgeward-[\d.]+\.tgz && npm install --save-dev wrangler@4$/m);
    assert.deepEqual([read(folder, "package.json"), read(folder, ".gitignore")], ['{ "name": "mine" }', "dist\n.dev.vars\n"]);
    assert.doesNotMatch(read(folder, "worker.js"), /mine/);
    assert.equal((await init(args, "existing/package.json/x")).code, 1);
  });

  it("prints the installation of what the project lacks, whatever package.json and node_modules have, and it installs this package", async () => {
    const { dependencies } = JSON.parse(readFileSync(join(command.folder, "package.json"), "utf8"));
    const tarball = resolve(command.folder, dependencies.edgeward.replace("file:", ""));
    /** The first step in a project with this package.json and these packages installed. */
    const first = async (folder, manifest, installed = []) => {
      if (manifest !== undefined) {
        mkdirSync(join(command.folder, folder), { recursive: true });
        writeFileSync(join(command.folder, folder, "package.json"), manifest);
      }
      for (const name of installed) mkdirSync(join(command.folder, folder, "node_modules", name), { recursive: true });
      const { code, stdout, stderr } = await init(["--site", "--provider", "dev"], folder);
      assert.equal(code, 0, stderr);
      return /^1\. (.*)$/m.exec(stdout)[1];
    };
    const has = (...names) => JSON.stringify({ devDependencies: Object.fromEntries(names.map((name) => [name, "*"])) });
    const path = (folder) => `file:${relative(join(command.folder, folder), tarball)}`;
    const both = "npm install --save-dev wrangler@4 oidc-provider@9";
    const all = ["edgeward", "wrangler", "oidc-provider"];

    assert.equal(await first("new"), "cd new && npm install");
    assert.equal(JSON.parse(read(join(command.folder, "new"), "package.json")).dependencies.edgeward, path("new"));
    assert.equal(await first("a/b/new"), "cd a/b/new && npm install");
    assert.equal(JSON.parse(read(join(command.folder, "a/b/new"), "package.json")).dependencies.edgeward, path("a/b/new"));
    assert.equal(await first("none", "{}"), `cd none && npm install ${path("none")} && ${both}`);
    assert.equal(await first("broken", "{"), `cd broken && npm install ${path("broken")} && ${both}`);
    // As after "npm install ../edgeward-0.1.0.tgz".
    assert.equal(await first("only", has("edgeward"), ["edgeward"]), `cd only && ${both}`);
    assert.equal(await first("without-idp", has("edgeward", "wrangler"), ["edgeward", "wrangler"]), "cd without-idp && npm install --save-dev oidc-provider@9");
    assert.equal(await first("not-installed", has(...all), ["edgeward", "wrangler"]), "cd not-installed && npm install");
    assert.equal(await first("complete", has(...all), all), "cd complete");
    assert.equal(await first("it's here", "{}"), `cd 'it'\\''s here' && npm install ${path("it's here")} && ${both}`);
    mkdirSync(join(command.folder, "target"));
    symlinkSync(join(command.folder, "target"), join(command.folder, "a/link"));
    assert.equal(await first("a/link/x", "{}"), `cd a/link/x && npm install ${path("target/x")} && ${both}`);

    // The steps as they are, but for the packages of others, which are large.
    const shell = (line) => run("bash", ["-c", `${line} --offline --no-audit --no-fund`], { cwd: command.folder });
    writeFileSync(join(command.folder, "new/package.json"), JSON.stringify({ dependencies: JSON.parse(read(join(command.folder, "new"), "package.json")).dependencies }));
    await shell("cd new && npm install");
    for (const folder of ["none", "it's here", "a/link/x"]) {
      const line = await first(`${folder}/again`, "{}");
      await shell(line.replace(` && ${both}`, ""));
      assert.ok(existsSync(join(command.folder, folder, "again/node_modules/edgeward/package.json")));
    }
    // One that is linked to the package's folder, and one of a registry.
    const steps = async (folder) => {
      mkdirSync(join(folder, "project"));
      writeFileSync(join(folder, "project/package.json"), has("wrangler"));
      const { stdout } = await command.run(["init", "--api", "--provider", "firebase", "--audience", "a", "project"], { cwd: folder, script: join(folder, "node_modules/edgeward/dist/cli/edgeward.js") });
      return /^1\. (.*)$/m.exec(stdout)[1];
    };
    const own = join(command.folder, "new/node_modules/edgeward");
    const { version } = JSON.parse(readFileSync(join(own, "package.json"), "utf8"));
    for (const [name, specifier, expected] of [["registry", "^0.1.0", "'edgeward@^0.1.0'"], ["gone", "file:../gone.tgz", `'edgeward@^${version}'`], ["workspace", "workspace:*", `'edgeward@^${version}'`], ["unknown", undefined, `'edgeward@^${version}'`]]) {
      const folder = join(command.folder, "..", name);
      cpSync(own, join(folder, "node_modules/edgeward"), { recursive: true });
      writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: { edgeward: specifier } }));
      assert.equal(await steps(folder), `cd project && npm install ${expected}`, name);
    }
    const linked = join(command.folder, "../linked");
    mkdirSync(join(linked, "node_modules"), { recursive: true });
    cpSync(own, join(linked, "../clone"), { recursive: true });
    symlinkSync("../../clone", join(linked, "node_modules/edgeward"));
    assert.equal(await steps(linked), "cd project && npm install file:../../clone");
  });

  it("writes through no link, and makes .dev.vars private even where it replaces a readable one", async () => {
    const args = ["--api", "--provider", "oidc", "--issuer", "https://i.example", "--audience", "a"];
    for (const name of FILES) {
      const folder = join(command.folder, `links-${name}`);
      mkdirSync(folder);
      const target = join(command.folder, `target-of-${name}`);
      symlinkSync(target, join(folder, name));
      const refused = await init(args, `links-${name}`);
      assert.deepEqual([refused.code, refused.stderr], [1, `edgeward: ${name} exists already: remove what you do not need, or use --force\n`]);
      assert.equal((await init([...args, "--force"], `links-${name}`)).code, 0);
      assert.ok(!existsSync(target) && lstatSync(join(folder, name)).isFile(), name);
    }
    const folder = join(command.folder, "readable");
    mkdirSync(folder);
    writeFileSync(join(folder, ".dev.vars"), "");
    chmodSync(join(folder, ".dev.vars"), 0o644);
    assert.equal((await init([...args, "--force"], "readable")).code, 0);
    assert.equal(statSync(join(folder, ".dev.vars")).mode & 0o777, 0o600);
  });

  it("writes nothing for values that are wrong or missing", async () => {
    for (const args of [
      [], ["--site"], ["--site", "--api"], ["--site", "--provider", "x"], ["--site", "--provider", "__proto__"], ["--site", "--provider", "auth0"], ["--site", "--provider", "auth0", "--domain", "t.auth0.com"],
      ["--api", "--provider", "oidc", "--issuer", "https://i.example"], ["--api", "--provider", "oidc", "--issuer", "i.example", "--audience", "a"],
      ["--api", "--provider", "oidc", "--domain", "i.example", "--issuer", "https://i.example", "--audience", "a"],
      ["--api", "--provider", "dev", "--origin", "https://a.example/path"], ["--api", "--provider", "github_actions", "--audience", "a"],
      ["--api", "--provider", "firebase"], ["--api", "--provider", "firebase", "--audience", "a", "--domain", "a.example"], ["--api", "--provider", "github_actions", "--repository", "", "--audience", "a"], ["--site", "--provider", "dev", "--url", "x"],
    ]) {
      const { folder, code, stdout, stderr } = await init(args);
      assert.deepEqual([code, stdout, stderr.split("\n").length], [2, "", 2], `${args.join(" ")}: ${stderr}`);
      assert.ok(!existsSync(folder));
    }
  });

  // A terminal, by util-linux.
  if (spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux")) {
    it("asks on a terminal for what no option gives", () => {
      const ask = (folder, input) => {
        const line = ["node", command.script, "init", folder].map((part) => `'${part}'`).join(" ");
        return spawnSync("script", ["-qec", line, "/dev/null"], { cwd: command.folder, input, encoding: "utf8", timeout: 30_000, env: { ...bare, TERM: "xterm" } });
      };
      const { status, stdout } = ask("asked", "api\nno-provider\noidc\nhttps://login.example.com\n\nhttps://api.example.com\n");
      assert.equal(status, 0, stdout);
      const { authorizer } = JSON.parse(read(join(command.folder, "asked"), "edgeward.json"));
      assert.deepEqual(authorizer, { type: "oidc", issuer: "https://login.example.com", audience: "https://api.example.com" });
      const stopped = ask("stopped", "api\n");
      assert.equal(stopped.status, 1);
      assert.match(stopped.stdout, /edgeward: stopped: nothing was written/);
      assert.ok(!existsSync(join(command.folder, "stopped")));
    });
  }

  it("from an empty folder to a login: the site runs in wrangler dev, and its origin gets the user", { timeout: 150_000 }, async () => {
    const port = await freePort();
    const site = `http://localhost:${port}`;
    const origin = await serve((req, res) => res.end(JSON.stringify({ url: req.url, user: req.headers["x-user-id"], email: req.headers["x-user-email"] })));
    const provider = await startProvider({ gateways: [site] });
    const { folder, code } = await init(["--site", "--provider", "dev", "--origin", origin.url]);
    assert.equal(code, 0);
    // The ports that are free in this test; and the package, which is not published.
    const change = (name, from, to) => writeFileSync(join(folder, name), read(folder, name).replace(from, to));
    change("edgeward.json", "http://127.0.0.1:9400", provider.issuer);
    change(".dev.vars", "http://localhost:8787", site);
    symlinkSync(join(command.folder, "node_modules"), join(folder, "node_modules"));
    assert.match((await command.run(["check"], { cwd: folder })).stdout, /the provider accepts the client/);

    const args = ["dev", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0", "--show-interactive-dev-session=false"];
    const child = spawn(join(root, "node_modules/.bin/wrangler"), args, { cwd: folder, detached: true, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true" } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const ended = new Promise((resolve) => child.once("close", resolve));
    try {
      for (const end = Date.now() + 90_000; !/Ready on/.test(output); await new Promise((resolve) => setTimeout(resolve, 100))) {
        assert.ok(child.exitCode === null && Date.now() < end, output);
      }
      const { text, cookie } = await browse(`${site}/account`);
      assert.deepEqual(JSON.parse(text), { url: "/account", user: "alice", email: "alice@example.com" }, output);
      assert.doesNotMatch(output, /config_invalid|error at/);

      // Why this request passes, without its session, and without the user.
      const explain = (...args) => command.run(["explain", ...args, "-H", `Cookie: ${cookie}`, "GET", "/account"], { cwd: folder });
      const explained = await explain();
      assert.equal(explained.code, 0, explained.stdout);
      assert.match(explained.stdout, /credentials: expected any; found a session\n(?:.*\n)* {2}verdict {3}forwarded to .*\/account\n(?:.*\n)* {2}header {4}X-User-Id: \(hidden\)\n/);
      assert.ok(!explained.stdout.includes("alice") && !cookie.split(/[=;]/).some((part) => part.length > 30 && explained.stdout.includes(part)));
      assert.match((await explain("--reveal")).stdout, / {2}header {4}X-User-Id: alice\n/);
      assert.equal((await command.run(["explain", "GET", "/account"], { cwd: folder })).code, 1);
    } finally {
      process.kill(-child.pid, "SIGTERM");
      await ended;
      await provider.stop();
      await origin.close();
    }
  });
});

/** Opens a page as a browser does, logs in as Alice where it is asked to, and returns what the page shows in the end, with its cookies. */
async function browse(url) {
  const jars = new Map();
  let form;
  for (let hops = 0; hops < 20; hops += 1) {
    const { origin } = new URL(url);
    const jar = jars.get(origin) ?? new Map();
    jars.set(origin, jar);
    const headers = { "cookie": [...jar].map((pair) => pair.join("=")).join("; "), "accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none" };
    const response = await request(url, headers, form);
    for (const line of response.headers["set-cookie"] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    const { location } = response.headers;
    const text = (await readBody(response)).toString();
    form = undefined;
    if (location !== undefined) url = new URL(location, url).href;
    else if (/name="account"/.test(text)) form = "account=alice";
    else return { text, cookie: headers.cookie };
  }
  throw new Error(`too many redirects: ${url}`);
}

/** Not by `fetch`, which says that it is a script. */
const request = (url, headers, form) => new Promise((resolve, reject) => {
  const type = form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
  const sent = httpRequest(url, { method: form === undefined ? "GET" : "POST", headers: { ...headers, ...type }, family: 4 }, resolve);
  sent.on("error", reject).end(form);
});
