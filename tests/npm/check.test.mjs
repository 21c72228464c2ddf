// `edgeward check`, as installed: every mistake that the gateway's tests know, files that are no configuration, and providers that are
// down or lie.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { lines, offsetOf, offsets } from "../../pkg/src/cli/positions.js";
import { inLine, json as asJson, Terminal } from "../../pkg/src/cli/terminal.js";
import { parseEnv } from "../../pkg/src/cli/env-file.js";
import { parseJsonc, parseTomlVariables, secretsInAddresses } from "../../pkg/src/cli/variables.js";
import { serve } from "../node/support/http.mjs";
import { CLIENT_SECRET, startProvider } from "../node/support/provider.mjs";
import { installCommand } from "./command.mjs";
import { root, run as runCommand } from "./install.mjs";

let command;
let folder;
before(async () => {
  command = await installCommand();
  ({ folder } = command);
});
after(() => command.remove());

const write = (name, content) => {
  const file = join(folder, name);
  writeFileSync(file, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content, null, 2));
  return name;
};
const check = (...args) => command.run(["check", ...args]);
const json = async (...args) => {
  const { code, stdout, stderr } = await check("--json", ...args);
  assert.equal(stderr, "");
  const report = JSON.parse(stdout);
  assert.equal(code, report.errors > 0 ? 1 : 0);
  return report;
};

/** A server that records what it is asked for. */
async function recorder() {
  const requests = [];
  const server = await serve((req, res) => {
    requests.push(req.url);
    res.writeHead(404).end();
  });
  return { url: server.url, requests, close: () => server.close() };
}

const api = (issuer, more = {}) => ({
  authorizer: { type: "oidc", issuer, audience: "https://api.example.com", algorithms: ["RS256"], ...more },
  paths: [{ method: "GET", path: "/api", integration: { type: "respond", body: "yours" } }],
});

describe("the frame of the command", () => {
  it("has help with examples, a version, and exit code 2 for mistakes in the command line", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "pkg/package.json"), "utf8"));
    assert.deepEqual([(await command.run(["--version"])).stdout, (await command.run(["--help"])).code], [`${version}\n`, 0]);
    const { stdout } = await command.run([]);
    for (const [, name] of stdout.matchAll(/^ {2}([a-z-]+) {2,}/gm)) {
      const help = await command.run([name, "--help"]);
      assert.equal(help.code, 0);
      assert.match(help.stdout, new RegExp(`^Usage: edgeward ${name}`, "m"));
      assert.match(help.stdout, /^Examples:\n {2}edgeward/m);
      assert.match(help.stdout, /^Exit codes: 0 /m);
      assert.ok(help.stdout.split("\n").every((line) => line.length <= 150), name);
    }
    for (const args of [[], ["chekc"], ["check", "--of"], ["check", "--json", "--sarif"], ["check", "--vars"], ["__proto__"], ["check", "--json=x"]]) {
      const { code, stderr } = await command.run(args);
      assert.equal(code, 2, args.join(" "));
      if (args.length > 0) assert.match(stderr, /^edgeward: .*\n$/);
    }
  });

  it("names the package that dev-idp needs if it is not installed", async () => {
    const { code, stderr } = await command.run(["dev-idp"]);
    assert.equal(code, 1);
    assert.match(stderr, /^edgeward: dev-idp needs the package oidc-provider, which is not installed: npm install .*\n$/);
  });

  it("uses colours on terminals only, unless NO_COLOR is set", () => {
    const { NO_COLOR, TERM } = process.env;
    const uses = (isTTY, variables) => {
      Object.assign(process.env, { NO_COLOR: "", TERM: "xterm" }, variables);
      return Terminal.hasColours({ isTTY });
    };
    try {
      assert.deepEqual([uses(true), uses(undefined), uses(false), uses(true, { NO_COLOR: "1" }), uses(true, { TERM: "dumb" })], [true, false, false, false, false]);
    } finally {
      for (const [name, value] of Object.entries({ NO_COLOR, TERM })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  it("runs in the oldest Node that the package supports, and uses no colours but on terminals", async () => {
    const { EDGEWARD_NODE_20: node } = process.env;
    const options = { env: { FORCE_COLOR: "1" }, ...(node ? { node } : {}) };
    const { code, stdout } = await command.run(["check", "--offline", write("a.json", {})], options);
    assert.deepEqual([code, stdout], [1, 'a.json:1:1: error: paths: is missing: a list of routes\n1 error, 0 warnings\n']);
  });
});

describe("the position of a problem", () => {
  const text = `{
  "a": { "b\\u002ec": [1, { "d": "x" }], "é": null },
  "list": [[], [ "]", {"\\"": true} ], -1.5e3],
  "😀": { "f": "{" }, "hosts": { "x.y": { "z": 1 }, "x": { "y": 2 } },
  "last": 1
}`;
  const at = (place) => {
    const { line, column } = lines(text)(offsetOf(offsets(text), place));
    return `${line}:${column} ${text.split("\n")[line - 1].slice(column - 1, column + 4)}`;
  };

  it("is that of the name of a member, or of the value of an element", () => {
    for (const [place, expected] of [
      ["a", '2:3 "a": '], ["a.b.c", '2:10 "b\\u0'], ["a.b.c[0]", "2:23 1, { "], ["a.b.c[1]", '2:26 { "d"'], ["a.b.c[1].d", '2:28 "d": '],
      ["a.é", '2:41 "é": '], ["list[0]", "3:12 [], ["], ["list[1][0]", '3:18 "]", '], ['list[1][1]."', '3:24 "\\"":'], ["list[2]", "3:39 -1.5e"],
      ["😀.f", '4:11 "f": '], ["hosts.x.y", '4:34 "x.y"'], ["hosts.x.y.z", '4:43 "z": '], ["last", '5:3 "last'],
    ]) assert.equal(at(place), expected, place);
  });

  it("is that of what surrounds a missing place", () => {
    for (const [place, expected] of [["a.x", "2:3"], ["list[7].x", "3:3"], ["list[1][1].x.y", "3:23"], ["nothing", "1:1"], ["", "1:1"], ["lastly", "1:1"]]) {
      assert.equal(at(place).split(" ")[0], expected, place);
    }
  });

  it("finds every value of generated documents", () => {
    const names = ["a", "b.c", 'q"', "\\", "é", "😀", "[0]", " ", "\n"];
    let seed = 7;
    const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
    const values = [];
    const make = (depth) => {
      const kind = depth > 4 ? 2 : random(3);
      if (kind === 0) return Object.fromEntries(names.filter(() => random(3) === 0).map((name) => [name, make(depth + 1)]));
      if (kind === 1) return Array.from({ length: random(4) }, () => make(depth + 1));
      values.push(values.length);
      return `value ${values.length - 1} "\\`;
    };
    for (let round = 0; round < 200; round += 1) {
      const text = JSON.stringify({ root: make(0) }, null, random(4));
      for (const [, offset] of offsets(text)) {
        const rest = text.slice(offset);
        // A name with its colon, or a value.
        const end = /^"(?:\\.|[^"\\])*"\s*:/.exec(rest);
        assert.ok(end !== null || /^["[{]/.test(rest), rest.slice(0, 20));
      }
      const places = [...offsets(text).keys()].length;
      const count = (value) => (typeof value === "object" ? Object.values(value).reduce((sum, one) => sum + 1 + count(one), 0) : 0);
      assert.ok(places <= count(JSON.parse(text)));
    }
  });
});

describe("mistakes in a configuration", () => {
  it("are reported word for word as the gateway does, each with a position, and exit code 1", async () => {
    const cases = mkdtempSync(join(tmpdir(), "edgeward-cases-"));
    after(() => rmSync(cases, { recursive: true, force: true }));
    const args = ["test", "--quiet", "--locked", "--workspace", "--all-features", "--test", "gateway", "--", "every_mistake_is_reported_word_for_word"];
    // The native tests may be compiling.
    await runCommand("cargo", args, { cwd: root, env: { ...process.env, EDGEWARD_CASES: cases }, timeout: 0 });
    const documents = JSON.parse(readFileSync(join(cases, "problems.json"), "utf8"));
    const golden = readFileSync(join(root, "tests/gateway/problems.txt"), "utf8").split(/^# /m).slice(1).map((part) => part.trimEnd().split("\n"));
    assert.ok(documents.length >= 60, `${documents.length}`);
    assert.deepEqual(documents.map(([name]) => name), golden.map(([name]) => name));
    mkdirSync(join(folder, "mistakes"));
    const files = documents.map(([, text], index) => write(`mistakes/${index}.json`, text));
    const { problems } = await json("--offline", ...files);
    for (const [index, [name]] of documents.entries()) {
      const found = problems.filter(({ file }) => file === files[index]);
      assert.ok(found.some(({ severity }) => severity === "error"), name);
      const [, ...expected] = golden[index];
      const lines = found.map(({ severity, path, message, line, column }) => {
        assert.ok(line >= 1 && column >= 1, name);
        const [, stated] = expected[0].match(/(: line \d+, column \d+)$/) ?? [];
        return `${severity} at ${path || "(document)"}: ${message}${stated ?? ""}`;
      });
      assert.deepEqual(lines, expected, name);
    }
    // Each on its own, with the exit code.
    for (const index of [0, 60, documents.length - 3]) assert.equal((await check("--offline", files[index])).code, 1);
  });

  it("are shown with the line and column of the mistake", async () => {
    write("a.json", '{\n  "authorizer": { "type": "oidc", "issuer": "https://i.example", "audience": "a" },\n  "paths": [\n    { "method": "GET", "path": "/é", "auth": "none", "integration": { "type": "respond", "bdy": 1 } }\n  ]\n}');
    assert.equal((await check("--offline", "a.json")).stdout, 'a.json:4:90: error: paths[0].integration.bdy: unknown key "bdy"; did you mean "body"?\n1 error, 0 warnings\n');
    write("b.json", '{\n  "é": 1,, }');
    const { problems: [{ line, column, message }] } = await json("--offline", "b.json");
    assert.deepEqual([line, column, message], [2, 10, "is not JSON"]);
  });

  it("are SARIF on request", async () => {
    const { code, stdout } = await check("--offline", "--sarif", write("c.json", { ...api("https://i.example"), extra: 1 }));
    assert.equal(code, 1);
    const { version, runs: [{ tool, results }] } = JSON.parse(stdout);
    assert.equal(version, "2.1.0");
    assert.equal(results.length, 1);
    const [{ ruleId, ruleIndex, level, locations: [{ physicalLocation }] }] = results;
    assert.deepEqual([ruleId, level, tool.driver.rules[ruleIndex].id], ["configuration", "error", "configuration"]);
    assert.deepEqual(physicalLocation, { artifactLocation: { uri: "c.json" }, region: { startLine: 20, startColumn: 3 } });
  });

  it("include files that are none: empty, binary, huge, deeply nested, a folder, missing", async () => {
    const deep = "[".repeat(1_000_000);
    for (const [content, message] of [
      ["", "is empty"], [" \n\t", "is empty"], [Buffer.from([0xff, 0xfe, 0, 1, 2]), "is not UTF-8"], [Buffer.alloc(1000), "is not JSON"],
      [Buffer.alloc(3 << 20, " "), "is too large"], ["[]", "must be a JSON object"], ["null", "must be a JSON object"], [`{"a":${deep}`, "is nested too deeply"],
      [`{"a":${"[".repeat(400_000)}${"]".repeat(400_000)}}`, "is nested too deeply"], ['{"paths":', "is not JSON"], ["\ufeff{}", "is missing: a list of routes"],
    ]) {
      const { problems } = await json("--offline", write("d.json", content));
      assert.deepEqual(problems.map((problem) => problem.message), [message]);
    }
    for (const [file, reason] of [["none.json", "there is no such file"], [".", "it is a directory"], ["d.json/x", "there is no such file"], ["/dev/zero", undefined]]) {
      const { code, stdout } = await check(file);
      assert.deepEqual([code, stdout], [1, `${file}:1:1: error: ${reason ? `cannot be read: ${reason}` : "is too large"}\n1 error, 0 warnings\n`]);
    }
  });

  it("are found within seconds if there are very many", async () => {
    const started = performance.now();
    const { problems } = await json("--offline", write("f.json", `{"paths": [\n${Array(10_000).fill("{}").join(",\n")}]}`));
    assert.ok(performance.now() - started < 20_000);
    assert.deepEqual([problems.length, problems.at(-1).line], [30_000, 10_001]);
  });

  it("print JSON without characters that steer a terminal or reorder its text", async () => {
    const name = "\u009b2J\u007f\u200e\u200f\u202e\u2066";
    const { stdout } = await check("--offline", "--json", write("e.json", { paths: [], [name]: 1 }));
    assert.doesNotMatch(stdout, /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
    assert.match(asJson({ name }), /"\\u009b2J\\u007f\\u200e\\u200f\\u202e\\u2066"/);
    assert.deepEqual(JSON.parse(asJson({ name })), { name });
    assert.equal(inLine("a \n \n b\u200f\n"), "a b\ufffd ");
  });

  it("print no control characters of the document", async () => {
    const { code, stdout } = await check("--offline", write("e.json", { "paths": [], "\u001b]0;x\u0007\u202e\n": 1 }));
    assert.equal(code, 1);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(stdout.trimEnd().replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});

describe("the variables of a configuration", () => {
  const config = { ...api("$env.ISSUER", { audience: "$secrets.AUDIENCE" }) };
  const missing = async (...args) => (await json("--offline", ...args)).problems.map(({ path, message }) => `${path}: ${message}`);

  it("come from --vars, the environment, .dev.vars and wrangler's [vars], in this order", async () => {
    mkdirSync(join(folder, "env"));
    write("env/edgeward.json", config);
    const all = ["authorizer.issuer: environment variable ISSUER is not set", "authorizer.audience: secret AUDIENCE is not set"];
    assert.deepEqual(await missing("env/edgeward.json"), all);
    write("env/wrangler.toml", 'name = "x"\n[vars]\nISSUER = "no URL: from toml"\n[env.x.vars]\nAUDIENCE = "a"\n');
    const [audience, issuer] = await missing("env/edgeward.json");
    assert.equal(audience, all[1]);
    assert.match(issuer, /^authorizer\.issuer: must be an https URL/);
    write("env/.dev.vars", 'ISSUER="https://dev.example"\nAUDIENCE=secret-of-dev # a comment\n');
    assert.deepEqual(await missing("env/edgeward.json"), []);
    const { stdout } = await command.run(["check", "--offline", "env/edgeward.json"], { env: { ISSUER: "hidden-in-the-environment" } });
    assert.match(stdout, /authorizer\.issuer: must be an https URL/);
    assert.doesNotMatch(stdout, /hidden/);
    // An environment of wrangler inherits no variables.
    write("env/.dev.vars", "");
    write("env/wrangler.toml", 'name = "x"\n[vars]\nISSUER = "no URL: from toml"\n[env.x.vars]\nAUDIENCE = "a"\n');
    assert.deepEqual(await missing("--wrangler-env", "x", "env/edgeward.json"), [all[0]]);
    write("env/.dev.vars.x", "ISSUER=https://x.example\n");
    assert.deepEqual(await missing("--wrangler-env", "x", "env/edgeward.json"), []);
    for (const [name, message, status] of [["y", 'wrangler.toml has no environment "y"', 1], ["a.b", '--wrangler-env: "a.b" is not the name of an environment', 2]]) {
      const refused = await check("--wrangler-env", name, "env/edgeward.json");
      assert.deepEqual([refused.code, refused.stderr], [status, `edgeward: ${message}\n`]);
    }
    write("env/.dev.vars", 'ISSUER="https://dev.example"\nAUDIENCE=secret-of-dev # a comment\n');
    write("one.env", "ISSUER=not-shown\n");
    write("two.env", "export ISSUER='https://two.example'\n");
    assert.equal((await missing("--env-file", "one.env", "env/edgeward.json")).length, 1);
    assert.deepEqual(await missing("--env-file", "two.env", "env/edgeward.json"), []);
    assert.deepEqual(await missing("--vars", "one.env", "--vars", "two.env", "env/edgeward.json"), []);
    const { code, stderr } = await check("--vars", "none.env", "env/edgeward.json");
    assert.deepEqual([code, stderr], [1, "edgeward: none.env cannot be read\n"]);
  });

  it("come from the environment only if a file declares them, they stand in for keys, or --env names them", async () => {
    mkdirSync(join(folder, "hostile"));
    const { url, requests, close } = await recorder();
    try {
      write("hostile/edgeward.json", api(`${url}/$env.CLOUD_ACCOUNT`, { allow_http: [new URL(url).host] }));
      const env = { CLOUD_ACCOUNT: "account-of-the-victim", AUTH0_DOMAIN: "t.auth0.com" };
      const run = (...args) => command.run([...args, "--env-file", write("empty.env", "")], { env });
      for (const args of [["check", "hostile/edgeward.json"], ["check", "--json", "hostile/edgeward.json"], ["explain", "--config", "hostile/edgeward.json", "GET", "/api"]]) {
        const { code, stdout, stderr } = await run(...args);
        assert.equal(code, 1);
        assert.match(stdout + stderr, /environment variable CLOUD_ACCOUNT is not set; the environment has it: allow it with --env CLOUD_ACCOUNT/);
        assert.ok(!(stdout + stderr).includes("victim"));
      }
      assert.deepEqual(requests, []);
      await run("check", "--env", "CLOUD_ACCOUNT", "hostile/edgeward.json");
      assert.ok(requests.some((one) => one.startsWith("/account-of-the-victim/")), requests.join());
      write("hostile/.dev.vars.example", "CLOUD_ACCOUNT=\n");
      assert.doesNotMatch((await run("check", "--offline", "hostile/edgeward.json")).stdout, /is not set/);
      const { authorizer: { issuer: _, ...rest }, paths } = api("");
      write("hostile/edgeward.json", { authorizer: { ...rest, type: "auth0" }, paths });
      assert.equal((await run("check", "--offline", "hostile/edgeward.json")).code, 0, "AUTH0_DOMAIN stands in for a key");
      assert.equal((await run("check", "--env", "A=B", "hostile/edgeward.json")).code, 2);
    } finally {
      await close();
    }
  });

  it("send no secret in an address, whatever they call it", async () => {
    mkdirSync(join(folder, "secret"));
    const { url, requests, close } = await recorder();
    try {
      write("secret/.dev.vars", "SESSION_SECRET=sealing-secret\nPLAIN=x\n");
      for (const placeholder of ["$secrets.PLAIN", "$env.SESSION_SECRET"]) {
        write("secret/edgeward.json", api(`${url}/${placeholder}`));
        const { problems } = await json("secret/edgeward.json");
        assert.deepEqual(problems.map(({ path }) => path), ["authorizer.issuer"]);
        assert.match(problems[0].message, /would be sent in an address/);
        assert.equal((await json("--offline", "secret/edgeward.json")).errors, 0);
        const { code, stderr } = await command.run(["explain", "--config", "secret/edgeward.json", "GET", "/api"]);
        assert.equal(code, 1);
        assert.match(stderr, /authorizer\.issuer: \$\w+\.\w+ would be sent in an address/);
      }
      assert.deepEqual(requests, []);
    } finally {
      await close();
    }
    const problems = (authorizer, options) => secretsInAddresses(JSON.stringify({ authorizer }), options).map(({ path }) => path);
    assert.deepEqual(problems({ client_secret: ["$secrets.A"], issuers: [{ jwks_uri: "https://x/$secrets.A" }], domain: "$env.KEYCLOAK_HOST" }), ["authorizer.issuers[0].jwks_uri"]);
    assert.deepEqual(problems({ domain: "$env.API_KEY" }, { env: ["API_KEY"] }), []);
    assert.deepEqual(problems({ issuer: "https://x/$secret.A" }), ["authorizer.issuer"], "another spelling of $secrets");
    // Only the exact places of keys are exempt: not a parameter or an authorizer of the same name.
    assert.deepEqual(problems({ authorization_params: { jwks: "$secrets.A", client_secret: "$secrets.A" } }), ["authorizer.authorization_params.jwks", "authorizer.authorization_params.client_secret"]);
    const several = secretsInAddresses(JSON.stringify({ authorizers: { jwks: { issuer: "$secrets.A" }, client_secret: { client_secret: "$secrets.A" } } }));
    assert.deepEqual(several.map(({ path }) => path), ["authorizers.jwks.issuer"]);
    const keys = { private_key: "$secrets.A", jar: { private_key: "$secrets.A" }, dpop_key: "$secrets.A", dpop_nonce_secret: ["$secrets.A"], decryption_keys: [{ key: "$secrets.A" }], jwks: "$secrets.A", issuers: [{ jwks: { keys: ["$secrets.A"] } }] };
    assert.deepEqual(problems(keys), []);
    assert.deepEqual(problems({ jar: { audience: "$secrets.A" }, decryption_keys: [{ kid: "$secrets.A" }] }), ["authorizer.jar.audience", "authorizer.decryption_keys[0].kid"]);
  });

  it("are read in linear time, from files of a limited size", async () => {
    // In quadratic time, these would take hours.
    parseTomlVariables(`[${" ".repeat(1 << 20)}x\n${" ".repeat(1 << 20)}`);
    for (const part of ["/*", '"\\', ", "]) assert.throws(() => parseJsonc(part.repeat(1 << 18), "x"));
    inLine(" ".repeat(1 << 20));
    write("edgeward.json", api("https://login.example.com"));
    for (const file of [write("huge.env", "A=1\n".repeat(300_000)), "/dev/zero"]) {
      const { code, stderr } = await check("--offline", "--vars", file);
      assert.deepEqual([code, stderr], [1, `edgeward: ${file} is too large\n`]);
    }
  });

  it("are read as wrangler reads them", () => {
    const env = parseEnv('A=1\n B = two words # comment\nexport C="x\\ny#z"\nD=\'a\nb\'\n# E=1\nF=\nG=a#b\r\nH=`"`\nA=2\n=x\nI\n');
    assert.deepEqual(Object.fromEntries(env), { A: "2", B: "two words", C: "x\ny#z", D: "a\nb", F: "", G: "a#b", H: '"' });
    const toml = parseTomlVariables('vars.A = "a"\nB = "no"\n[vars]\nC = "x\\"y" # z\n"D" = \'raw\\n\'\nE = 1\n[[vars2]]\nF = "no"\n');
    assert.deepEqual(Object.fromEntries(toml), { A: "a", C: 'x"y', D: "raw\\n" });
    const environments = '[vars]\nA = "no"\n[env.x]\nname = "n"\nvars.B = "b"\n[ env . "x" . vars ]\nC = "c"\n[env.y.vars]\nD = "no"\n';
    assert.deepEqual(Object.fromEntries(parseTomlVariables(environments, "x")), { B: "b", C: "c" });
    assert.deepEqual(Object.fromEntries(parseTomlVariables(environments)), { A: "no" });
    assert.deepEqual(parseJsonc('{ // c\n "vars": { "A": "//,}" /* , */, }, }', "x"), { vars: { A: "//,}" } });
    assert.throws(() => parseJsonc("{", "wrangler.json"), /wrangler\.json is not JSON/);
  });
});

describe("providers", () => {
  let provider;
  const login = (more = {}) => ({
    authorizer: {
      type: "oidc", issuer: provider.issuer, audience: "https://api.example.com", algorithms: ["RS256"],
      client_id: "edgeward-web", client_secret: CLIENT_SECRET, redirect_uri: "http://localhost:8787/auth/callback", ...more,
    },
    session: { secrets: "a sealing secret of at least 32 characters" },
    paths: [
      { method: "GET", path: "/login", integration: { type: "login" } },
      { method: "GET", path: "/auth/callback", integration: { type: "callback" } },
      { method: "GET", path: "/other/callback", integration: { type: "callback" } },
      { method: "ANY", path: "/{*rest}", integration: { type: "http_proxy", url: "https://origin.example.com" } },
    ],
  });
  const ask = async (config) => {
    const { problems, facts } = await json(write("live.json", config));
    return { problems: problems.map(({ severity, path, message, line }) => `${severity} ${path}:${line}: ${message.replaceAll(provider.url, "URL")}`), facts: facts.map(({ text }) => text) };
  };
  before(async () => {
    provider = await startProvider();
  });
  after(() => provider.stop());

  it("that are in order give facts only", async () => {
    const { problems, facts } = await ask(login());
    assert.deepEqual(problems, []);
    assert.equal(facts[0], `issuer ${provider.issuer}: 1 of 3 keys can be used`);
    assert.match(facts[1], /^login http:\/\/localhost:8787\/login: its cookie has \d+ of 4096 bytes$/);
    assert.match(facts[2], /the provider accepts the client and "http:\/\/localhost:8787\/auth\/callback"$/);
    const { stdout } = await check("live.json");
    assert.doesNotMatch(stdout, new RegExp(CLIENT_SECRET));
  });

  it("get no credentials: a login that is pushed is not tried", async () => {
    provider.requests = [];
    const { problems, facts } = await ask(login({ par: true }));
    assert.deepEqual(problems, []);
    assert.match(facts.at(-1), /^login http:\/\/localhost:8787\/login: not tried, because the provider gets its parameters with credentials/);
    assert.deepEqual([...new Set(provider.requests.map(({ method }) => method))], ["GET"]);
  });

  it("that call themselves otherwise, are down, or refuse the login are reported, at the place concerned", async () => {
    assert.deepEqual((await ask(api(`${provider.issuer}/`))).problems, [
      'error authorizer.issuer:4: the issuer is "URL/", but its provider calls itself "URL": write "URL", or its tokens are refused',
    ]);
    assert.deepEqual((await ask(login({ redirect_uri: "http://localhost:8787/other/callback" }))).problems, [
      'error authorizer.redirect_uri:11: the provider answers 400 to a login with this client and the redirect address "http://localhost:8787/other/callback": is it registered there?',
    ]);
    assert.match((await ask(login({ client_id: "unknown" }))).problems.join(), /^error authorizer\.redirect_uri:11: the provider answers 400 /);
    assert.deepEqual((await ask(api(`${provider.issuer}/tenant`))).problems, [
      "error authorizer.issuer:4: URL/tenant/.well-known/openid-configuration answers 404: is the issuer spelled as its provider spells it?",
    ]);
    assert.deepEqual((await ask(api("http://127.0.0.1:9"))).problems.length, 1);
    assert.match((await ask(api(provider.issuer, { algorithms: ["RS512"] }))).problems.join(), /^error authorizer\.issuer:4: none of the issuer's keys can be used: .*no accepted algorithm/);
  });

  for (const [what, endpoint, fault, expected] of [
    ["a discovery document that is no JSON", "discovery", { body: "<html>" }, /^error authorizer\.issuer:4: URL\/\.well-known\/openid-configuration is not JSON$/],
    ["a discovery document that is a list", "discovery", { body: "[]" }, /openid-configuration is not a JSON object$/],
    ["a discovery document without an issuer", "discovery", { body: "{}" }, /openid-configuration names no issuer$/],
    ["a discovery document with terminal escapes", "discovery", { body: JSON.stringify({ issuer: "\u001b[2J\nx" }) }, /calls itself "[^\u001b]*x"/],
    ["a discovery document without end", "discovery", { body: "x".repeat(60_000), endless: true }, /the response is too large$/],
    ["a redirect of the discovery document", "discovery", { redirect: "http://127.0.0.1:9/" }, /answers 302/],
    ["a connection that is cut", "discovery", { reset: true }, /cannot be fetched: the connection was cut$/],
    ["keys that cannot be fetched", "jwks", { status: 500 }, /^error authorizer\.issuer:4: the issuer's key set cannot be fetched: URL\/jwks: status 500$/],
    ["keys that are HTML", "jwks", { body: "<html>" }, /^error authorizer\.issuer:4: the issuer's key set is not a valid JWKS document/],
    ["keys of no use", "jwks", { body: '{"keys":[{"kty":"oct","kid":"x"}]}' }, /^error authorizer\.issuer:4: the issuer's key set has no usable key: .*key type is not supported/],
    ["a broken clock", "discovery", { headers: { date: "Tue, 01 Jan 2030 00:00:00 GMT" } }, /^warning :1: the local clock is \d+ s behind that of URL/],
  ]) {
    it(`${what}: one message`, async () => {
      provider.setFault(endpoint, fault);
      try {
        const { problems } = await ask(api(provider.issuer));
        assert.equal(problems.length, 1, problems.join("\n"));
        assert.match(problems[0], expected);
      } finally {
        provider.clearFaults();
      }
    });
  }

  it("that never answer are given up, with progress meanwhile", async () => {
    provider.setFault("discovery", { hang: true });
    try {
      const { code, stdout, stderr, progress } = await check(write("live.json", api(provider.issuer)));
      assert.deepEqual([code, stderr, progress], [1, "", "checking live.json …\n"]);
      assert.match(stdout, /there was no complete response within 5 s/);
    } finally {
      provider.clearFaults();
    }
  });

  it("that speak no HTTP are reported", async () => {
    const { createServer } = await import("node:net");
    const server = createServer((socket) => socket.on("error", () => {}).end("SSH-2.0-x\r\n")).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      assert.match((await ask(api(`http://127.0.0.1:${server.address().port}`))).problems.join(), /cannot be fetched: the response is not HTTP$/);
    } finally {
      server.close();
    }
  });

  it("of several authorizers are reported where they are configured", async () => {
    const other = await serve((_req, res) => res.writeHead(404).end());
    try {
      const { issuer, ...rest } = login().authorizer;
      const one = { issuer, ...rest };
      const two = { ...rest, issuer: other.url, redirect_uri: "http://127.0.0.1:8787/auth/callback" };
      const { authorizer, ...config } = login();
      const { problems } = await ask({ ...config, authorizers: { one, two }, hosts: { localhost: { authorizer: "one" }, "127.0.0.1": { authorizer: "two" } } });
      assert.equal(problems.length, 1, problems.join("\n"));
      assert.match(problems[0], /^error authorizers\.two\.issuer:\d+: .* answers 404/);
    } finally {
      await other.close();
    }
  });
});
