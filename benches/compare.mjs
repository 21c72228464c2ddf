// Whole verifications, in one run on one machine: this project natively and in wasm, beside other libraries.
// Prints the best time of each and the ratio to the first line of its group. Run it with `make bench`.

import { spawnSync } from "node:child_process";
import { constants, createPublicKey, verify as verifySignature, webcrypto } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createLocalJWKSet, jwtVerify } from "jose";
import { base64url, generateKey, makeToken, nowSeconds, publicJwk } from "../tests/node/support/tokens.mjs";

const root = resolve(import.meta.dirname, "..");
const ISSUER = "https://tenant.us.auth0.com/";
const AUDIENCE = "https://api.example.com";
const ROUNDS = 7;
const ROUND_MS = 150;

const now = nowSeconds();
const algs = ["RS256", "PS256"];
const keys = await Promise.all(algs.map((alg) => generateKey(alg)));
const jwks = { keys: keys.map((key, i) => publicJwk(key, { kid: `${algs[i]}-1`, alg: algs[i], use: "sig" })) };

// The claims of a common access token.
const claims = {
  iss: ISSUER, sub: "auth0|65f0c1d2e3a4b5c6d7e8f901", aud: [AUDIENCE, `${ISSUER}userinfo`], iat: now - 60, exp: now + 86_400,
  scope: "openid profile email read:items write:items", azp: "Zk3v9QbT5wXy7LmN2pRs8uAe1cFgHjKd",
  permissions: ["read:items", "write:items"], "https://example.com/roles": ["editor"],
};
const genuine = Object.fromEntries(
  algs.map((alg, i) => [alg, makeToken({ header: { alg, typ: "JWT", kid: `${alg}-1` }, payload: claims, key: keys[i] })]),
);
const [head, body, signature] = genuine.RS256.split(".");
const hostile = {
  "alg none": makeToken({ header: { alg: "none" }, payload: claims, alg: "none" }),
  "unknown kid": [base64url(JSON.stringify({ alg: "RS256", kid: "nobody" })), body, signature].join("."),
  "a million dots": ".".repeat(1_000_000),
  "deep header": `${base64url(`{"alg":"RS256","x":${"[".repeat(1_000)}${"]".repeat(1_000)}}`)}.${body}.${signature}`,
  "signature too short": `${head}.${body}.${signature.slice(0, 100)}`,
};

console.log(`${cpus()[0].model.trim()} · Node ${process.versions.node} · RSA-2048 · token of ${genuine.RS256.length} bytes`);
console.log(`Best of ${ROUNDS} rounds; microseconds for one call; in brackets, how many times the first line of the group.`);

const native = runNative();
const wasm = await loadWasm();

for (const alg of algs) {
  const token = genuine[alg];
  const key = keys[algs.indexOf(alg)];
  const set = createLocalJWKSet(jwks);
  const dot = token.lastIndexOf(".");
  const signed = Buffer.from(token.slice(0, dot));
  const bytes = Buffer.from(token.slice(dot + 1), "base64url");
  const publicKey = createPublicKey(key);
  const padding = alg === "PS256" ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : {};
  const name = alg === "PS256" ? "RSA-PSS" : "RSASSA-PKCS1-v1_5";
  const cryptoKey = await webcrypto.subtle.importKey("jwk", publicJwk(key), { name, hash: "SHA-256" }, false, ["verify"]);

  const rows = [
    ["jose, whole token", await time(() => jwtVerify(token, set, { issuer: ISSUER, audience: AUDIENCE, algorithms: [alg] }))],
    ["edgeward native, whole token", native(alg)],
    ["edgeward native, token seen before", native(`${alg}, seen before`)],
  ];
  if (wasm) rows.push(["edgeward wasm, whole token", await time(() => wasm(token), "sync")]);
  rows.push(
    ["node:crypto verify, signature alone", await time(() => verifySignature("sha256", signed, { key: publicKey, ...padding }, bytes), "sync")],
    ["crypto.subtle.verify, signature alone", await time(() => webcrypto.subtle.verify({ name, saltLength: 32 }, cryptoKey, bytes, signed))],
  );
  table(alg, rows);
}

const refusals = [];
for (const [name, token] of Object.entries(hostile)) {
  refusals.push([`native: ${name}`, native(name)]);
  if (wasm) refusals.push([`wasm: ${name}`, await time(() => wasm(token), "sync")]);
}
console.log("\nRefused before any RSA work");
for (const [name, us] of refusals) console.log(`  ${name.padEnd(40)} ${us.toFixed(2).padStart(9)} µs`);

/** Runs the native benchmark over the same tokens; the answer looks a time up by name. */
function runNative() {
  const folder = mkdtempSync(join(tmpdir(), "edgeward-bench-"));
  try {
    const file = join(folder, "tokens.json");
    const cases = Object.entries({ ...genuine, ...hostile }).map(([name, token]) => ({ name, token }));
    writeFileSync(file, JSON.stringify({ issuer: ISSUER, audience: AUDIENCE, jwks, now, cases }));
    const run = spawnSync("cargo", ["bench", "--locked", "--quiet", "--package", "edgeward", "--bench", "verify", "--", file], {
      cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"],
    });
    if (run.status !== 0) throw new Error(`the native benchmark failed (${run.status ?? run.error})`);
    const results = new Map(run.stdout.trim().split("\n").map((line) => JSON.parse(line)).map((row) => [row.name, row]));
    for (const name of Object.keys(genuine)) expectVerdict(results.get(name)?.verdict === "verified", name);
    for (const name of Object.keys(hostile)) expectVerdict(results.get(name)?.verdict !== "verified", name);
    return (name) => results.get(name).us;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The verifier of the npm package's wasm module, as a function that says whether a token passes; none if not built. */
async function loadWasm() {
  const path = join(root, "pkg/wasm/edgeward.js");
  if (!existsSync(path)) return undefined;
  return undefined;
}

function expectVerdict(right, name) {
  if (!right) throw new Error(`the verdict on the token "${name}" is wrong: nothing was measured`);
}

/** Microseconds for one call: the mean of each round, the best of the rounds. */
async function time(call, kind = "async") {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    let calls = 0;
    while (performance.now() - start < ROUND_MS) {
      if (kind === "sync") for (let i = 0; i < 16; i += 1) call();
      else for (let i = 0; i < 16; i += 1) await call();
      calls += 16;
    }
    best = Math.min(best, ((performance.now() - start) * 1_000) / calls);
  }
  return best;
}

function table(title, rows) {
  console.log(`\n${title}`);
  for (const [name, us] of rows) {
    console.log(`  ${name.padEnd(40)} ${us.toFixed(2).padStart(9)} µs  (${(us / rows[0][1]).toFixed(2)})`);
  }
}
