// The documents keep up with the code: every code of a refusal is explained, none is invented, and every link leads somewhere.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "../..");
const read = (path) => readFileSync(join(root, path), "utf8");
const sources = (folder) =>
  readdirSync(join(root, folder), { recursive: true }).filter((name) => name.endsWith(".rs")).map((name) => read(join(folder, name)));

test("docs/troubleshooting.md explains every code of a login, and names none that does not exist", () => {
  const code = [...sources("src"), ...sources("bindings/worker/src"), read("bindings/worker/entry.js")].join("\n");
  const named = [...read("docs/troubleshooting.md").matchAll(/^\|(.*?)\|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name));
  // What is logged begins with its code; the Worker and its shell put `edgeward: ` before it.
  for (const name of named) assert.ok(code.includes(`"${name}"`) || code.includes(`"${name}: `) || code.includes(`edgeward: ${name}:`), `${name} is in no source`);

  const codes = (path) => [...read(path).matchAll(/=> "([a-z]+(?:_[a-z]+)+)"/g)].map(([, name]) => name);
  const login = ["oidc/login_error", "oidc/callback", "discovery", "oidc/userinfo"].flatMap((file) => codes(`src/${file}.rs`));
  const logged = [...code.matchAll(/(?:host\.log\(|log\(|line =|format_args!\()[^;]*?"(?:edgeward: )?([a-z]+(?:_[a-z]+)+): /g)].map(([, name]) => name);
  assert.ok(logged.includes("session_unsealable") && logged.includes("refresh_unavailable"), logged.join(" "));
  const needed = new Set([...login, ...logged].filter((name) => name !== "config"));
  assert.ok(needed.size > 15, [...needed].join(" "));
  for (const name of needed) assert.ok(named.includes(name), `${name} is not explained`);
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

for (const document of ["README.md", "SECURITY.md", "docs/headers.md", "docs/session-format.md", "docs/troubleshooting.md", "docs/performance.md", "pkg/README.md"]) {
  test(`the links of ${document} lead somewhere`, () => {
    for (const [, target] of read(document).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (!/^[a-z]+:/.test(target)) assert.ok(existsSync(join(root, dirname(document), target)), target);
    }
  });
}
