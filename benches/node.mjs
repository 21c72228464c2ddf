// The rows on Node, each part in a process of its own: `node benches/node.mjs PART SETTINGS`. See run.mjs.

import { createPublicKey, verify as verifySignature, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AUDIENCE, hostileTokens, ISSUER, jwks, operations, SIZES, tokens } from "./inputs.mjs";
import { emit, quick, race } from "./measure.mjs";

const [part, settings] = process.argv.slice(2);
const { wasm, entries } = JSON.parse(settings);

/** The bench module of a build; every call makes an instance of its own. */
async function benchModule(folder) {
  const glue = await import(`${pathToFileURL(join(folder, "bench_wasm.js"))}`);
  glue.initSync({ module: readFileSync(join(folder, "bench_wasm_bg.wasm")) });
  return glue;
}

/** Makes sure that a contender tells right from wrong before it is timed. */
function expect(right, who) {
  if (!right) throw new Error(`${who} gave a wrong verdict: nothing was measured`);
}

function checked(id, { message, wrong }, verify) {
  expect(verify(message) === true && verify(wrong) === false, id);
  return { id, call: () => verify(message) };
}

/** The RSA operation alone, PKCS#1 v1.5 with SHA-256. `prefix` tells runs with different flags apart. */
async function operation(prefix, sizes) {
  const builds = {};
  for (const [name, folder] of Object.entries(wasm)) builds[name] = await benchModule(folder);
  for (const { bits, n, e, key, message, rs256, ps256 } of operations().filter(({ bits: size }) => sizes.includes(size))) {
    const cases = { message, wrong: Buffer.from(message).fill(1) };
    const id = (who) => `${prefix}${bits}.${who}`;
    const contenders = [checked(id("node"), cases, (given) => verifySignature("sha256", given, key, rs256))];
    for (const [name, module] of Object.entries(builds)) {
      const ours = new module.Edgeward(n, e, false);
      contenders.push(checked(id(name), cases, (given) => ours.verify(given, rs256)));
    }
    if (prefix === "op" && bits === 2048) {
      const fast = builds.relaxed ?? builds.baseline;
      const pss = new fast.Edgeward(n, e, true);
      contenders.push(checked(id("pss"), cases, (given) => pss.verify(given, ps256)));
      const crates = { rsa: new builds.baseline.RsaCrate(n, e), rsa_next: new builds.baseline.RsaCrateNext(n, e) };
      for (const [name, crate] of Object.entries(crates)) {
        contenders.push(checked(id(name), cases, (given) => crate.verify(given, rs256)));
      }
      const name = "RSASSA-PKCS1-v1_5";
      const jwk = key.export({ format: "jwk" });
      const subtle = await webcrypto.subtle.importKey("jwk", jwk, { name, hash: "SHA-256" }, false, ["verify"]);
      contenders.push({ id: id("subtle"), async: true, call: () => webcrypto.subtle.verify(name, subtle, rs256, message) });
    }
    await race(contenders);
  }
}

/** What an HTTP server has: the value of the Authorization header. Each call takes its token out of one. */
const fromHeader = (values, verify) => (i) => verify(values[i % values.length].slice("Bearer ".length));
const headers = (alg) => tokens(alg, 64).map((token) => `Bearer ${token}`);
const tampered = (value) => value.replace(/\.eyJ/, ".eyK").slice("Bearer ".length);

/** A contender for whole tokens; `verify` returns (or resolves to) claims and throws (or rejects). */
async function whole(id, values, verify, options = {}) {
  const claims = await verify(values[0].slice("Bearer ".length));
  expect(claims.iss === ISSUER, id);
  const refused = await Promise.resolve().then(() => verify(tampered(values[0]))).then(() => false, () => true);
  expect(refused, id);
  return { id, call: fromHeader(values, verify), ...options };
}

async function ourVerifier(entry, alg, cacheSize) {
  const { createVerifier } = await import(pathToFileURL(entry));
  const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: [alg], jwks, cacheSize });
  return (token) => verifier.verifySync(token).payload;
}

async function fastJwt(options) {
  const { createVerifier } = await import("fast-jwt");
  const key = createPublicKey({ key: jwks.keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
  return createVerifier({ key, algorithms: ["RS256"], allowedIss: ISSUER, allowedAud: AUDIENCE, ...options });
}

async function wholeTokens() {
  const [rs256, ps256] = [headers("RS256"), headers("PS256")];
  const contenders = [];
  for (const [name, entry] of Object.entries(entries)) {
    contenders.push(await whole(`token.${name}`, rs256, await ourVerifier(entry, "RS256", 0)));
    contenders.push(await whole(`token.${name}.ps256`, ps256, await ourVerifier(entry, "PS256", 0)));
  }
  const jose = await import("jose");
  const set = jose.createLocalJWKSet(jwks);
  const joseOptions = { issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"] };
  contenders.push(
    await whole("token.jose", rs256, async (token) => (await jose.jwtVerify(token, set, joseOptions)).payload, { async: true }),
  );

  contenders.push(await whole("token.fast_jwt", rs256, await fastJwt({ cache: false })));

  const { JwtRsaVerifier } = await import("aws-jwt-verify");
  const aws = JwtRsaVerifier.create({ issuer: ISSUER, audience: AUDIENCE, jwksUri: `${ISSUER}.well-known/jwks.json` });
  aws.cacheJwks(jwks);
  contenders.push(await whole("token.aws_jwt_verify", rs256, (token) => aws.verifySync(token)));

  const { verifyWithJwks } = await import("hono/jwt");
  const honoOptions = { keys: jwks.keys, allowedAlgorithms: ["RS256"], verification: { iss: ISSUER, aud: AUDIENCE } };
  contenders.push(await whole("token.hono", rs256, (token) => verifyWithJwks(token, honoOptions), { async: true }));
  await race(contenders);
}

async function cached() {
  const values = headers("RS256");
  const contenders = [];
  for (const [name, entry] of Object.entries(entries)) {
    contenders.push(await whole(`cached.${name}`, values, await ourVerifier(entry, "RS256", 1_000)));
  }
  contenders.push(await whole("cached.fast_jwt.sha256", values, await fastJwt({ cache: true })));
  contenders.push(await whole("cached.fast_jwt.text", values, await fastJwt({ cache: true, cacheKeyBuilder: (token) => token })));
  await race(contenders);
}

async function hostile() {
  for (const [name, entry] of Object.entries(entries)) {
    const verify = await ourVerifier(entry, "RS256", 0);
    const contenders = Object.entries(hostileTokens()).map(([what, token]) => {
      const refuse = () => {
        try {
          return verify(token);
        } catch (error) {
          return error;
        }
      };
      expect(typeof refuse().code === "string", what);
      return { id: `hostile.${name}.${what}`, call: refuse };
    });
    await race(contenders);
  }
}

/** The wasm memory after a million verifications, genuine tokens in the cache and out of it, and hostile ones. */
async function memory() {
  const memories = [];
  const remember = (instance) => {
    if (instance.exports.memory) memories.push(instance.exports.memory);
    return instance;
  };
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct: (target, given, caller) => remember(Reflect.construct(target, given, caller)),
  });
  const bytes = () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  const [entry] = Object.values(entries);
  const verify = await ourVerifier(entry, "RS256", 500);
  const values = tokens("RS256", 1_500);
  const bad = Object.values(hostileTokens());
  const run = (calls) => {
    for (let i = 0; i < calls; i += 1) {
      // One in ten is hostile; of the genuine ones every other is the one before, again.
      if (i % 10 === 9) {
        try {
          verify(bad[i % bad.length]);
        } catch {}
      } else {
        verify(values[(i >> 1) % values.length]);
      }
    }
  };
  const calls = quick ? 30_000 : 1_000_000;
  run(20_000);
  const before = bytes();
  run(calls);
  emit({ id: "memory", calls, before, after: bytes() });
}

/** The seal around a session of 2 KiB. */
async function sessions() {
  const { Sealer } = await benchModule(wasm.relaxed ?? wasm.baseline);
  const sealer = new Sealer("a sealing secret of the bench, 32 characters or more");
  const content = Buffer.alloc(2_048, "x");
  const sealed = sealer.sealed(content);
  expect(sealer.open(sealed) === content.length && sealer.open(sealed.replace(/.$/, "")) === 0, "the seal");
  await race([{ id: "session.seal", call: () => sealer.seal(content) }, { id: "session.open", call: () => sealer.open(sealed) }]);
}

const parts = {
  session: sessions,
  operation: () => operation("op", SIZES),
  bounds: () => operation("bounds", [2048]),
  tokens: wholeTokens,
  cached,
  hostile,
  memory,
};
await parts[part]();
