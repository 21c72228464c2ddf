// The documents agree with the code: codes, links, paths and names exist, commands can be run, snippets have the right types.
// The configurations in README are compiled by tests/readme.rs, its Rust by a documentation test.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

import * as faults from "../../scripts/faults.mjs";
import * as requirements from "../../scripts/requirements.mjs";

const root = resolve(import.meta.dirname, "../..");
const read = (path) => readFileSync(join(root, path), "utf8");
const sources = (folder) =>
  readdirSync(join(root, folder), { recursive: true }).filter((name) => name.endsWith(".rs")).map((name) => read(join(folder, name)));
const list = (folder, accepts) =>
  readdirSync(join(root, folder), { withFileTypes: true }).filter(accepts).map(({ name }) => join(folder, name));
const folders = [".", "docs", "pkg", ...list("examples", (entry) => entry.isDirectory())];
const documents = folders.flatMap((folder) => list(folder, ({ name }) => name.endsWith(".md")));
/** The fenced blocks of these languages in a document. */
const fences = (document, ...languages) =>
  [...read(document).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(([, language]) => languages.includes(language)).map(([, , text]) => text);

test("docs/troubleshooting.md explains every code of responses and log lines, and names none that does not exist", () => {
  const code = [...sources("src"), ...sources("bindings/worker/src"), read("bindings/worker/entry.js"), read("bindings/worker/src/runtime.js"), read("bindings/worker/src/record.js")].join("\n").replace(/^\s*\/\/[/!]?.*$/gm, "");
  const rows = [...read("docs/troubleshooting.md").matchAll(/^\|(.*?)\|(.*?)\|(.*?)\|$/gm)];
  const named = rows.flatMap(([, cell]) => [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name)).filter((name) => name.includes("_"));
  for (const [row, ...cells] of rows) assert.ok(cells.every((cell) => cell.trim() !== ""), `an empty cell: ${row}`);
  // A logged line begins with its code; the shell puts `edgeward: ` before it.
  for (const name of named) assert.ok(code.includes(`"${name}"`) || code.includes(`"${name}: `) || code.includes(`edgeward: ${name}:`), `${name} is in no source`);

  const bodies = [...code.matchAll(/fn code\([^)]*\)[^{]*\{[\s\S]*?\n {4}\}/g)].flatMap(([body]) => [...body.matchAll(/=> "([a-z0-9]+(?:_[a-z0-9]+)+)"/g)]);
  const problems = [...code.matchAll(/(?:Reply::(?:problem(?:_with)?|page)\(\s*\d{3},|bad_path\(|\bcode:)\s*"([a-z0-9_]+)"/g)];
  const logged = [...code.matchAll(/(?:host\.log\(|log\(|line =|format_args!\()[^;]*?"(?:edgeward: )?([a-z]+(?:_[a-z]+)+): /g)];
  const needed = new Set([...bodies, ...problems, ...logged].map(([, name]) => name).filter((name) => name !== "config"));
  for (const name of ["path_ambiguous", "token_expired", "not_found", "logged_out", "session_unsealable"]) assert.ok(needed.has(name), name);
  assert.ok(needed.size > 60, [...needed].join(" "));
  assert.deepEqual([...needed].filter((name) => !named.includes(name)), []);
});

test("docs/headers.md lists every name of a header that is dropped, and no other", () => {
  const names = (text) => [...text.matchAll(/"([a-z0-9-]+)"/g)].map(([, name]) => name);
  const table = read("src/gateway/headers.rs");
  const from = table.indexOf("const IDENTITY:");
  const shared = /const HOP_BY_HOP: [^;]*;/s.exec(read("src/http/header.rs"))[0] + /const CLIENT_ADDRESS: [^;]*;/.exec(read("src/http/mod.rs"))[0];
  const inCode = new Set(names(table.slice(from, table.indexOf("const PASSED:")) + shared));
  assert.ok(inCode.size > 100);
  const inDocs = [...read("docs/headers.md").matchAll(/^\|.*\|$/gm)].flatMap(([row]) => [...row.matchAll(/`([a-z0-9-]+)`/g)].map(([, name]) => name));
  assert.deepEqual([...inDocs].sort(), [...inCode].sort());
});

/** The fragment that a heading gets. */
const fragment = (heading) => heading.trim().toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");

for (const document of documents) {
  test(`the links of ${document} resolve`, () => {
    for (const [, target, anchor] of read(document).matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const path = target === "" ? document : join(dirname(document), target);
      assert.ok(existsSync(join(root, path)), target);
      if (!anchor || !path.endsWith(".md")) continue;
      const headings = [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => fragment(heading));
      assert.ok(headings.includes(anchor), `${target}#${anchor}`);
    }
  });
}

test("tables are whole: a separator after the head, and as many cells in every row", () => {
  for (const document of documents) {
    for (const [table] of read(document).matchAll(/(?:^ *\|.*\n)+/gm)) {
      const [head, separator, ...rows] = table.trimEnd().split("\n").map((row) => row.trim().replaceAll("\\|", ""));
      const cells = (row) => row.split("|").length;
      assert.match(separator ?? "", /^\|(?: *:?-+:? *\|)+$/, `${document}: ${head}`);
      for (const row of [separator, ...rows]) assert.equal(cells(row), cells(head), `${document}: ${row}`);
    }
  }
});

test("the names and paths in docs/architecture.md, CONTRIBUTING.md and SECURITY.md exist", () => {
  for (const [, name, target] of read("docs/architecture.md").matchAll(/\[`([\w:]+)`\]\(([^)]+)\)/g)) {
    for (const part of name.split("::")) assert.match(read(join("docs", target)), new RegExp(`\\b${part}\\b`), `${name} in ${target}`);
  }
  for (const document of ["CONTRIBUTING.md", "SECURITY.md"]) {
    for (const [, path] of read(document).matchAll(/`((?:src|tests|docs|pkg|scripts|bindings)\/[\w./-]+)`/g)) assert.ok(existsSync(join(root, path)), `${path} in ${document}`);
  }
});

test("the commands in README.md, CONTRIBUTING.md and docs/performance.md are ones that exist", () => {
  const targets = [...read("Makefile").matchAll(/^([a-z-]+):.*## /gm)].map(([, name]) => name);
  const { version } = JSON.parse(read("pkg/package.json"));
  const { scripts } = JSON.parse(read("examples/gateway-template/package.json"));
  const known = [
    // `npx wrangler dev` and `make deploy ARGS=--dry-run` are run by dev.test.mjs.
    ({ 1: target }) => targets.includes(target), /^make ([\w-]+)(?: ARGS=--dry-run)?$/,
    () => true, /^(?:openssl rand -hex 32 \| )?npx wrangler (?:dev|secret put [A-Z0-9_]+)$/,
    ({ 1: from }) => existsSync(join(root, from)), /^cp (\S+) \.dev\.vars$/,
    ({ 1: script }) => existsSync(join(root, script)), /^(?:BENCH_QUICK=1 |node )?((?:scripts|benches)\/[\w.]+)(?: [\w.-]+)*$/,
    () => existsSync(join(root, "pkg/package.json")), /^npm pack \.\/pkg$/,
    ({ 1: given }) => given === version, /^npm install \.\.\/edgeward-([\d.]+)\.tgz$/,
    () => scripts.start === "wrangler dev", /^npm start$/,
  ];
  for (const document of ["README.md", "CONTRIBUTING.md", "docs/performance.md"]) {
    for (const line of fences(document, "sh").join("").split("\n").map((text) => text.replace(/\s+#.*$/, "")).filter(Boolean)) {
      const found = known.findIndex((pattern) => pattern instanceof RegExp && pattern.test(line));
      assert.ok(found > 0 && known[found - 1](known[found].exec(line)), `${document}: ${line}`);
    }
  }
});

/** Checks the types of JavaScript snippets. */
function checkTypes(snippets) {
  const folder = mkdtempSync(join(tmpdir(), "edgeward-docs-"));
  try {
    const files = snippets.map((text, index) => {
      writeFileSync(join(folder, `${index}.ts`), text);
      return `${index}.ts`;
    });
    const options = {
      strict: true, noEmit: true, module: "nodenext", target: "es2024", types: [], lib: ["es2024", "esnext.disposable", "dom"],
      paths: { edgeward: [join(root, "pkg/types/index.d.ts")], "edgeward/providers": [join(root, "pkg/types/providers.d.ts")] },
    };
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }));
    const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["--project", folder], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the JavaScript in README.md has the types of the package", () => {
  const snippets = fences("README.md", "js", "ts");
  assert.equal(snippets.length, 1);
  checkTypes(snippets.map((text) => `declare const jwt: string;\n${text}`));
});

test("the JavaScript in docs/providers.md has the types of the package and makes verifiers", async () => {
  const snippets = fences("docs/providers.md", "js");
  const presets = await import("../../pkg/src/providers.js");
  const { readVerifierOptions } = await import("../../pkg/src/options.js");
  assert.ok(snippets.length > Object.keys(presets).length, `${snippets.length}`);
  checkTypes(snippets);
  for (const text of snippets) {
    const [, call] = /createVerifier\(([\s\S]*?)\);\n/.exec(text);
    const options = new Function(...Object.keys(presets), `return ${call.trim().replace(/,$/, "")};`)(...Object.values(presets));
    readVerifierOptions(options);
  }
});

test("docs/providers.md lists the keys of every type", () => {
  const table = [...read("src/gateway/config/presets.rs").matchAll(/"(\w+)",\s*r#"(\{.*?\})"#/gs)];
  assert.equal(table.length, 12);
  const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  const shown = (value) => JSON.stringify(value).replaceAll(/([,:])(?=["\[{])/g, "$1 ").replace(/^\{(.*)\}$/, "{$1}");
  for (const [, name, text] of table) {
    const { audience_parameter: parameter, ...keys } = JSON.parse(text);
    assert.equal(parameter, "none", name);
    const cells = Object.entries(keys).map(([key, value]) => `\`"${key}": ${shown(value)}\``);
    assert.ok(read("docs/providers.md").includes(`| \`${name}\` | \`${camel(name)}\` | ${cells.join(" · ") || "–"} |\n`), `${name}: ${cells.join(" · ")}`);
  }
});

test("README, package.json and the scripts state the Node version that wrangler requires", () => {
  const [, minimum] = /^NODE_MINIMUM="([\d.]+)"/m.exec(read("scripts/env.sh"));
  assert.equal(JSON.parse(read("node_modules/wrangler/package.json")).engines.node, `>=${minimum}`);
  const stated = minimum.replace(/\.0$/, "");
  assert.equal(JSON.parse(read("package.json")).engines.node, `>=${stated}`);
  for (const document of ["README.md", "CONTRIBUTING.md", "examples/gateway-template/README.md"]) assert.ok(read(document).includes(`Node ${stated} or newer`), document);
});

test("docs/requirements.md is made from the rows of tests/requirements.txt, whose tests exist", () => {
  assert.equal(read(requirements.TARGET), requirements.requirements());
});

test("docs/faults.md is made from the rows of tests/faults.txt, whose tests exist, and no fault is missing", () => {
  const document = faults.faults();
  assert.equal(read(faults.TARGET), document);
  const named = [...document.matchAll(/^## (.*):/gm)].flatMap(([, names]) => names.split(", "));
  assert.deepEqual(named, Array.from({ length: 40 }, (_, index) => `F${String(index + 1).padStart(2, "0")}`));
});

test("the documents are in plain English", () => {
  const words = /\b(?:mended|whoever|shall not|is over|somebody|nobody|everybody|this machine)\b/gi;
  for (const document of ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/architecture.md", "docs/providers.md", "docs/troubleshooting.md"]) {
    assert.deepEqual(read(document).match(words) ?? [], [], document);
  }
});
