// Other verifiers with the corpus's policies as their options, for scores: only what a library's options can express is asked of it.

import { spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Codes whose rules are options of few libraries: the kind of token, the sender, clients, nonces, rights, and times of issue. */
const RULES_OF_OPTIONS = new Set([
  "token_kind_mismatch", "token_sender_constrained", "typ_not_allowed", "client_not_allowed", "claim_mismatch", "token_issued_in_future", "token_encrypted",
]);
const OPTIONS = new Set(["issuer", "audience", "algorithms", "clockSkew", "keys"]);

/** Whether a policy is an issuer, audiences, algorithms, a clock skew and a key set, and the case depends on nothing else. */
const isPlain = (policy, { code, limit }) => !limit && policy.audience !== false && Object.keys(policy).every((name) => OPTIONS.has(name)) && !RULES_OF_OPTIONS.has(code);
const isUnchanged = (text) => JSON.stringify(JSON.parse(text.replace(/^\ufeff/, ""))) === text;

/** The workspace with the program that runs the crate; it is no part of the package. */
const CRATES = new URL("../benches/", import.meta.url);
/** Where `make bench` builds, too. */
const TARGET = fileURLToPath(new URL("../target/bench/cargo-native/", import.meta.url));

/**
 * Each: `create(now)` returns `expresses(case, policy, text)`, `verify(token, policy, text)`, which throws where it refuses, and, for what is no npm
 * package, its `version` and `end()`; undefined if it cannot be run here.
 */
export const verifiers = {
  async jose(now) {
    const { createLocalJWKSet, jwtVerify } = await import("jose");
    const sets = new Map();
    /** It has a name for each of what the corpus calls EdDSA. */
    const named = (algorithms) => algorithms.flatMap((alg) => (alg === "EdDSA" ? ["EdDSA", "Ed25519"] : [alg]));
    return {
      // It reads key sets as objects: what is special about their text is lost before.
      expresses: (one, policy, text) => isPlain(policy, one) && isUnchanged(text),
      async verify(token, { issuer, audience, algorithms, clockSkew = 5 }, text) {
        if (!sets.has(text)) sets.set(text, createLocalJWKSet(JSON.parse(text)));
        await jwtVerify(token, sets.get(text), { issuer, audience, algorithms: named(algorithms), clockTolerance: clockSkew, requiredClaims: ["exp"], currentDate: new Date(now * 1000) });
      },
    };
  },

  async "fast-jwt"(now) {
    const { createVerifier } = await import("fast-jwt");
    const made = new Map();
    const keyOf = (text, kid) => JSON.parse(text).keys.find((key) => key.kid === kid);
    const FAMILIES = { RSA: /^[RP]S/, EC: /^ES/, OKP: /^Ed/ };
    const listed = ({ algorithms }, key) => algorithms.filter((alg) => FAMILIES[key?.kty]?.test(alg));
    return {
      // It has no key sets: a case whose kid names one key of the set is asked with that key.
      expresses: (one, policy, text) =>
        isPlain(policy, one) && ["main", "curves"].includes(one.keys ?? policy.keys) && !one.code?.startsWith("key_") && headerOf(one.token)?.alg !== "Ed25519" && listed(policy, keyOf(text, headerOf(one.token)?.kid)).length > 0,
      async verify(token, policy, text) {
        const { issuer, audience, clockSkew = 5 } = policy;
        const { kid } = headerOf(token);
        const name = JSON.stringify([policy, kid, text]);
        if (!made.has(name)) {
          const key = createPublicKey({ key: keyOf(text, kid), format: "jwk" }).export({ type: "spki", format: "pem" });
          made.set(name, createVerifier({
            key, algorithms: listed(policy, keyOf(text, kid)), allowedIss: issuer, allowedAud: audience, clockTolerance: clockSkew * 1000, clockTimestamp: now * 1000, requiredClaims: ["exp", "iss", "aud"],
          }));
        }
        made.get(name)(token);
      },
    };
  },

  async "aws-jwt-verify"(now) {
    const { JwtVerifier } = await import("aws-jwt-verify");
    // It has no option for the clock.
    Date.now = () => now * 1000;
    const made = new Map();
    return {
      // It takes the algorithm from the key.
      expresses: (one, policy, text) =>
        isPlain(policy, one) && isUnchanged(text) && one.code !== "alg_not_allowed" && policy.algorithms.every((alg) => !alg.startsWith("PS")) && !/^(PS|ES384|Ed25519)/.test(headerOf(one.token)?.alg),
      async verify(token, policy, text) {
        const name = JSON.stringify([policy, text]);
        if (!made.has(name)) {
          const { issuer, audience, clockSkew = 5 } = policy;
          const verifier = JwtVerifier.create({ issuer, audience, jwksUri: "https://keys.example.com/jwks", graceSeconds: clockSkew });
          verifier.cacheJwks(JSON.parse(text));
          made.set(name, verifier);
        }
        made.get(name).verifySync(token);
      },
    };
  },

  async "jsonwebtoken (crate)"() {
    if (!existsSync(new URL("corpus/", CRATES))) return undefined;
    const [, version] = readFileSync(new URL("Cargo.lock", CRATES), "utf8").match(/name = "jsonwebtoken"\nversion = "(.+)"/);
    const program = spawn("cargo", ["run", "--quiet", "--release", "--locked", "--target-dir", TARGET, "--package", "bench-corpus"], { cwd: CRATES, stdio: ["pipe", "pipe", "inherit"] });
    const verdicts = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
    return {
      version,
      // It has no option for the clock, finds keys by `kid` only, leaves it to its caller what they are for, and does not have the newer name of
      // EdDSA. Strings of Rust hold no lone surrogates.
      expresses(one, policy, text) {
        const { kid, alg } = headerOf(one.token) ?? {};
        const isTimeless = !one.class.endsWith("-times") && !TIMES.has(one.code);
        return isPlain(policy, one) && isTimeless && !one.code?.startsWith("key_") && typeof kid === "string" && alg !== "Ed25519" && one.token.isWellFormed() && text.isWellFormed();
      },
      async verify(token, { issuer, audience, algorithms }, keys) {
        program.stdin.write(`${JSON.stringify({ token, keys, issuer, audience: [audience].flat(), algorithms })}\n`);
        const { value } = await verdicts.next();
        if (value !== "accept") throw new Error(value);
      },
      // An early end is no verdict.
      end: () => new Promise((resolve, reject) => {
        program.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`the program has failed (${code})`))));
        program.stdin.end();
      }),
    };
  },
};

const TIMES = new Set(["token_expired", "token_not_yet_valid"]);

function headerOf(token) {
  try {
    return JSON.parse(Buffer.from(token.split(".")[0], "base64url").toString());
  } catch {
    return undefined;
  }
}
