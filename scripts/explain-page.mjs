// Builds docs/site/explain into one file: a page with the wasm module of the command, which needs no request and allows none.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { createIssuer } from "../pkg/src/testing.js";

const root = resolve(import.meta.dirname, "..");
const folder = join(root, "docs/site/explain");
const read = (name) => readFileSync(join(folder, name), "utf8");

/** Between the times of the examples' token, whose key is made for it. */
const ISSUED = "2030-01-01T12:00:00Z";
const MEANWHILE = "2030-01-01T12:05:00Z";
const EXPIRED = "2030-01-01T13:00:00Z";
const LIFETIME_S = 1_800;

async function examples() {
  const config = read("example.json");
  const { issuer: name, audience } = JSON.parse(config).authorizer;
  const issuer = await createIssuer({ issuer: name });
  const iat = Date.parse(ISSUED) / 1_000;
  const token = await issuer.mint({ claims: { sub: "alice", aud: audience, scope: "orders:read", iat, exp: iat + LIFETIME_S } });
  const common = { config, variables: "ORIGIN=https://origin.example.com", url: "https://api.example.com/orders/17", token, keys: JSON.stringify(issuer.jwks(), null, 1), clock: MEANWHILE };
  return [
    { title: "A valid token", ...common },
    { title: "A missing scope", ...common, method: "DELETE" },
    { title: "An expired token", ...common, clock: EXPIRED },
    { title: "An ambiguous path", ...common, url: "https://api.example.com/orders%2F17" },
    { title: "No key set", ...common, keys: "" },
    { title: "A wrong configuration", ...common, config: config.replace('"scopes"', '"scope"').replace('"auth": "none"', '"auth": "never"') },
  ];
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Returns the page, as HTML; `icon` is its icon, as a URL. */
export async function explainPage(icon) {
  const wasm = join(root, "pkg/wasm-cli/edgeward_bg.wasm");
  if (!existsSync(wasm)) throw new Error('pkg/wasm-cli is missing: run "scripts/build.sh cli"');
  const { outputFiles: [{ text: script }] } = await build({
    entryPoints: [join(folder, "page.js")], bundle: true, write: false, format: "esm", platform: "browser", target: "es2022", minify: true,
    loader: { ".wasm": "binary" }, define: { EXAMPLES: JSON.stringify(await examples()) }, legalComments: "none", logLevel: "warning",
  });
  const style = read("page.css");
  const policy = [
    "default-src 'none'", `script-src ${hash(script)} 'wasm-unsafe-eval'`, `style-src ${hash(style)}`, "img-src data:", "connect-src 'none'", "base-uri 'none'",
    "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join("; ");
  const parts = { POLICY: policy, ICON: icon, STYLE: style, SCRIPT: script };
  return read("page.html").replace(/\b(?:POLICY|ICON|STYLE|SCRIPT)\b/g, (name) => parts[name]);
}
