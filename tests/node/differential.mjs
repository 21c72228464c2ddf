// edgeward and jose on mutated tokens: both get the same key, issuer, audience and time, and every difference between their verdicts must be
// of a class in differential.json, which has the reasons. Usage: differential.mjs [COUNT [SEED]]; `make differential`.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLocalJWKSet, jwtVerify } from "jose";
import { AUDIENCE, claims, header, ISSUER, NOW, text } from "../../corpus/generate/corpus.mjs";
import { b, e3, jwk, p256 } from "../../corpus/generate/keys.mjs";
import { base64url, signature } from "../../corpus/generate/sign.mjs";
import { createVerifier, initSync } from "../../pkg/src/entry/slim.js";

const root = join(import.meta.dirname, "../..");
const SKEW = 5;

/** SplitMix64: a seed gives the same tokens in every run. */
function random(seed) {
  let state = BigInt(seed);
  const next = () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) & 0xffff_ffffn);
  };
  return { below: (bound) => next() % bound, pick: (list) => list[next() % list.length] };
}

const PIECES = [
  "{", "}", "[", "]", ":", ",", '"', "\\", "\\u0000", "\\ud800", "\\u0061", "null", "true", "-", "1e400", "18446744073709551616", "-0", "0", "\0", "\u007f", "\ufeff", ".", "=", "+", "/", "\n", " ", "é", "🌍",
  '"alg":"none"', '"iss":[]', '"aud":{}', '"exp":-1', '"kid":null', '"crit":["exp"]', '"b64":false', '"typ":"at+jwt"', '"cnf":{}', '"nonce":"n"', '"events":{}', '"exp":1e400', '"nbf":1.5', '"sub":1', "[[[[", "]]]]",
];

/** One to three changes of a text. */
function mutated(rng, given) {
  let bytes = Buffer.from(given);
  for (let count = 1 + rng.below(3); count > 0; count -= 1) {
    const at = rng.below(bytes.length + 1);
    const end = Math.min(at + rng.below(10), bytes.length);
    const piece = Buffer.from(rng.pick(PIECES));
    const cut = (from, to, ...between) => Buffer.concat([bytes.subarray(0, from), ...between, bytes.subarray(to)]);
    switch (rng.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at] ^= 1 << rng.below(8);
        break;
      case 1:
        bytes = cut(at, at, piece);
        break;
      case 2:
        bytes = cut(at, end);
        break;
      case 3:
        bytes = cut(at, end, piece);
        break;
      case 4: {
        const to = rng.below(bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at, end), bytes.subarray(to)]);
        break;
      }
      case 5:
        bytes = cut(Math.max(0, at - 1), end, bytes.subarray(at, end), piece);
        break;
      default:
        if (at < bytes.length) bytes[at] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".charCodeAt(rng.below(64));
    }
  }
  return bytes;
}

/** Values that the members of header and claims get in turn. */
const VALUES = [null, true, false, 0, -1, 1.5, NOW, NOW + 1, NOW - 5, NOW - 6, NOW + 5, NOW + 6, 1e308, "", "x", ISSUER, AUDIENCE, [], [ISSUER], [AUDIENCE], [AUDIENCE, "x"], [AUDIENCE, 1], {}, { a: 1 }, "RS256", "JWT", "at+jwt"];
const HEADER_NAMES = ["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5c", "zip", "enc"];
const CLAIM_NAMES = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "azp", "nonce", "cnf", "typ", "token_use", "events", "client_id", "at_hash"];

function setUp(seed) {
  initSync(readFileSync(join(root, existsSync(join(root, "pkg/dist/verifier_simd.wasm")) ? "pkg/dist/verifier_simd.wasm" : "pkg/wasm/edgeward_bg.wasm")));
  const jwks = { keys: [jwk(e3, { kid: "a", alg: "RS256" }), jwk(b, { kid: "b", alg: "PS256" }), jwk(p256, { kid: "c", alg: "ES256" })] };
  const algorithms = ["RS256", "PS256", "ES256"];
  const ours = createVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms, clockSkew: SKEW, jwks, now: () => NOW, cacheSize: 0 });
  const set = createLocalJWKSet(jwks);
  const theirs = { issuer: ISSUER, audience: AUDIENCE, algorithms, clockTolerance: SKEW, requiredClaims: ["exp"], currentDate: new Date(NOW * 1000) };
  const rng = random(seed);
  const sign = (head, body, alg = "RS256", key = e3) => {
    const signed = `${base64url(text(head))}.${base64url(text(body))}`;
    return `${signed}.${base64url(signature(alg, key, Buffer.from(signed)))}`;
  };
  const whole = [sign(header(), claims()), sign(header({ alg: "PS256", kid: "b" }), claims(), "PS256", b), sign(header({ alg: "ES256", kid: "c" }), claims(), "ES256", p256)];
  /** Most mutations are of what is signed afterwards, so that the rules behind the signature are reached. */
  const token = () => {
    switch (rng.below(8)) {
      case 0:
      case 1:
        return mutated(rng, rng.pick(whole)).toString("latin1");
      case 2:
        return sign(mutated(rng, JSON.stringify(header())), claims());
      case 3:
      case 4:
        return sign(header(), mutated(rng, JSON.stringify(claims())));
      case 5:
        return sign(header({ [rng.pick(HEADER_NAMES)]: rng.pick(VALUES) }), claims());
      default:
        return sign(header(), claims({ [rng.pick(CLAIM_NAMES)]: rng.pick(VALUES), [rng.pick(CLAIM_NAMES)]: rng.pick(VALUES) }));
    }
  };
  return { ours, theirs: (one) => jwtVerify(one, set, theirs), token };
}

/** Runs so many tokens. Returns how often both agreed, and the differences by class. */
export async function compare(count, seed) {
  const classes = JSON.parse(readFileSync(join(import.meta.dirname, "differential.json"), "utf8"));
  const { ours, theirs, token } = setUp(seed);
  const outcome = { accepted: 0, refused: 0, differences: {}, unexplained: [] };
  const verdictOf = async (work) => {
    try {
      await work();
      return "accept";
    } catch (error) {
      return error.claim === undefined ? (error.code ?? String(error)) : `${error.code}: ${error.claim}`;
    }
  };
  for (let index = 0; index < count; index += 1) {
    const one = token();
    const [mine, other] = [await verdictOf(() => ours.verify(one)), await verdictOf(() => theirs(one))];
    if ((mine === "accept") === (other === "accept")) {
      outcome[mine === "accept" ? "accepted" : "refused"] += 1;
      continue;
    }
    const name = classOf(one, mine);
    if (classes[name] === undefined) outcome.unexplained.push({ name, mine, other, token: one });
    outcome.differences[name] = (outcome.differences[name] ?? 0) + 1;
  }
  return outcome;
}

/** The class of a difference: our code, and what of the token it is about. */
function classOf(token, code) {
  if (code === "accept") return "accept";
  const parts = token.split(".");
  const decoded = parts.map((part) => Buffer.from(part, "base64url"));
  const isUtf8 = (bytes) => Buffer.from(bytes.toString("utf8")).equals(bytes);
  if (code === "token_malformed") {
    if (parts.some((part, index) => decoded[index].toString("base64url") !== part)) return "token_malformed: not canonical base64url";
    const names = ["header", "claims"];
    for (const [index, name] of names.entries()) {
      if (!isUtf8(decoded[index])) return `token_malformed: ${name} not UTF-8`;
      if (decoded[index][0] === 0xef) return `token_malformed: ${name} with a byte order mark`;
      const written = decoded[index].toString();
      if (/\\u[dD][89a-fA-F]/.test(written)) return `token_malformed: ${name} with a lone surrogate`;
      if (hasInfinity(written)) return `token_malformed: ${name} with a number that is not finite`;
      if (hasDuplicates(written)) return `token_malformed: ${name} with a duplicate name`;
    }
    const { alg, kid = "", typ = "", cty = "" } = JSON.parse(decoded[0].toString());
    return [alg, kid, typ, cty].every((one) => typeof one === "string") ? "token_malformed: another reason" : "token_malformed: a header parameter of a wrong type";
  }
  return code;
}

/** Whether a number is too large for a double. */
function hasInfinity(written) {
  let found = false;
  try {
    JSON.parse(written, (_, value) => {
      found ||= typeof value === "number" && !Number.isFinite(value);
      return value;
    });
  } catch {
    return false;
  }
  return found;
}

/** Whether an object has fewer members than are written. */
function hasDuplicates(written) {
  let names = 0;
  try {
    JSON.parse(written, function revive(_, value) {
      if (value !== null && typeof value === "object" && !Array.isArray(value)) names += Object.keys(value).length;
      return value;
    });
  } catch {
    return false;
  }
  const outside = written.replace(/"(?:[^"\\]|\\.)*"(\s*:)?/g, (_, colon) => (colon ? "N" : "s"));
  return [...outside].filter((one) => one === "N").length > names;
}


if (process.argv[1] === import.meta.filename) {
  const [count = "1000000", seed = "1"] = process.argv.slice(2);
  const began = performance.now();
  const { accepted, refused, differences, unexplained } = await compare(Number(count), Number(seed));
  const seconds = (performance.now() - began) / 1000;
  console.log(`differential: ${count} tokens, seed ${seed}, ${seconds.toFixed(0)} s: both accept ${accepted}, both refuse ${refused}, unexplained ${unexplained.length}`);
  for (const [name, times] of Object.entries(differences).sort()) console.log(`  ${times} × ${name}`);
  for (const one of unexplained.slice(0, 20)) console.log(JSON.stringify(one));
  process.exit(unexplained.length === 0 ? 0 : 1);
}
