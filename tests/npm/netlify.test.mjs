// `edgeward/netlify` as installed: in Node, where Netlify runs functions, and in Deno, where it runs edge functions.

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { generateKey, makeToken, nowSeconds, publicJwk } from "../node/support/tokens.mjs";
import { install, pack, run } from "./install.mjs";

const AUDIENCE = "https://api.example.com";
const CLAIM = "https://yourapp.com/roles";
const deno = createRequire(import.meta.url).resolve("deno/package.json").replace("package.json", "bin.cjs");

let temporary;
let folder;

before(async () => {
  temporary = mkdtempSync(join(tmpdir(), "edgeward-netlify-"));
  folder = await install(join(temporary, "project"), await pack(temporary));
  writeFileSync(join(folder, "fixtures.mjs"), `export default ${JSON.stringify(await makeFixtures())};`);
  copyFileSync(join(import.meta.dirname, "netlify-suite.mjs"), join(folder, "suite.mjs"));
  const imports = 'import fixtures from "./fixtures.mjs"; import { suite } from "./suite.mjs";';
  const report = "((edgeward, set) => suite(edgeward, fixtures, set).then((failures) => console.log(JSON.stringify(failures))))";
  // The variables of functions: `process.env`; of edge functions: `Netlify.env`.
  const process = "(name, value) => { if (value === undefined) delete process.env[name]; else process.env[name] = value; }";
  const netlify = "(name, value) => { if (value === undefined) variables.delete(name); else variables.set(name, value); }";
  const modules = 'import * as core from "edgeward"; import { withAuth0 } from "edgeward/netlify";';
  const files = {
    "main.mjs": `${imports} ${modules} ${report}({ ...core, withAuth0 }, ${process});`,
    "edge.mjs": `${imports} ${modules} const variables = new Map(); globalThis.Netlify = { env: variables }; ${report}({ ...core, withAuth0 }, ${netlify});`,
    "main.cjs": `
      const edgeward = { ...require("edgeward"), ...require("edgeward/netlify") };
      Promise.all([import("./fixtures.mjs"), import("./suite.mjs")]).then(([{ default: fixtures }, { suite }]) => ${report}(edgeward, ${process}));`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
});
after(() => rmSync(temporary, { recursive: true, force: true }));

describe("edgeward/netlify", () => {
  const passes = async (command, ...args) => assert.deepEqual(JSON.parse((await run(command, args, { cwd: folder })).trim().split("\n").at(-1)), []);

  it("wraps functions, in Node as an ES module", () => passes(process.execPath, "main.mjs"));
  it("wraps functions, in Node in CommonJS", () => passes(process.execPath, "main.cjs"));
  it("wraps edge functions, in Deno without access to files and variables", () =>
    passes(process.execPath, deno, "run", "--no-prompt", "--no-lock", "--node-modules-dir=manual", "edge.mjs"));
});

async function makeFixtures() {
  const [key, stranger] = await Promise.all([generateKey("RS256"), generateKey("RS256")]);
  const now = nowSeconds();
  const base = { iss: "https://tenant.example.com/", sub: "user-1", aud: AUDIENCE, iat: now - 60, exp: now + 3600, scope: "read:items", azp: "client-1" };
  const token = (claims, by = key) => makeToken({ header: { alg: "RS256", typ: "JWT", kid: "one" }, payload: { ...base, ...claims }, key: by });
  return {
    audience: AUDIENCE,
    jwks: { keys: [publicJwk(key, { kid: "one", use: "sig", alg: "RS256" })] },
    tokens: {
      good: token({}),
      admin: token({ scope: undefined, [CLAIM]: ["owner", "admin"] }),
      editor: token({ [CLAIM]: ["editor"] }),
      otherClaim: token({ roles: ["admin", "editor", "owner"] }),
      expired: token({ exp: now - 60, iat: now - 3600 }),
      forged: token({}, stranger),
      otherAudience: token({ aud: "https://other.example.com" }),
      idToken: token({ nonce: "n", at_hash: "AAAAAAAAAAAAAAAAAAAAAA", scope: undefined }),
    },
  };
}
