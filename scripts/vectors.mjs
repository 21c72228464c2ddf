// Distils published test vectors into tests/vectors/data, whose form tests/vectors/README.md describes: identifiers, inputs and
// verdicts, no prose. Usage: vectors.mjs FOLDER, which holds a folder for each source with the files as published there.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: vectors.mjs FOLDER");
  process.exit(2);
}
const data = resolve(import.meta.dirname, "../tests/vectors/data");

const WYCHEPROOF = { source: "C2SP/wycheproof", revision: "dac1dd4729fd1f8dd9e1e9f3dce51d783da6c166", licence: "Apache-2.0" };
const RFC_7520 = { source: "ietf-jose/cookbook", revision: "13692b68", licence: "Unlicense" };
// The revision of its files is unknown.
const JSON_TEST_SUITE = { source: "nst/JSONTestSuite", revision: null, licence: "MIT" };
const RING = { source: "briansmith/ring", revision: "19b21ad9", licence: "ISC" };
const OAUTH2_PROXY = { source: "oauth2-proxy/oauth2-proxy", revision: "14af2951", licence: "MIT" };

const bytes = (...path) => readFileSync(join(folder, ...path));
const text = (...path) => bytes(...path).toString("utf8");
const json = (...path) => JSON.parse(text(...path));

/** JSON in ASCII: a diff shows every character. */
const line = (value) => `${JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;

/** The names of the JSON files in a folder and below it, in the order of their code points. */
const jsonFiles = (...path) => readdirSync(join(folder, ...path), { recursive: true }).filter((name) => name.endsWith(".json")).sort();

/**
 * Writes a file of `[shared, case]`: members that a case shares with the one before it are not said again. The hash is that of
 * the source's files, one after the other.
 */
function write(name, source, [place, ...files], rows, leftOut = []) {
  const sha256 = createHash("sha256");
  for (const file of files) sha256.update(bytes(place, file));
  const from = files.length === 1 ? files[0] : `${files.length} files`;
  let out = line({ ...source, from, sha256: sha256.digest("hex"), cases: rows.length, left_out: leftOut });
  let before = "{}\n";
  for (const [shared, own] of rows) {
    if (line(shared) !== before) out += line(shared);
    before = line(shared);
    out += line(own);
  }
  writeFileSync(join(data, `${name}.jsonl`), out);
  console.log(`${name}: ${rows.length} cases, ${out.length} bytes`);
}

/** Tokens may be JSON: then their text is the token. */
const token = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/** The public parts of a JWK's, a list's or a set's keys. Symmetric keys have no other part. */
function published(keys = []) {
  const list = Array.isArray(keys) ? keys : (keys.keys ?? [keys]);
  return list.map((key) => (key.kty === "oct" ? key : Object.fromEntries(Object.entries(key).filter(([name]) => !PRIVATE.includes(name)))));
}

function wycheproof(name, file) {
  const { numberOfTests, testGroups } = json("wycheproof", file);
  const rows = testGroups.flatMap((group) => {
    const keys = published(group.public ?? group.private);
    return group.tests.map(({ tcId, jws, jwe, result }) => [{ keys }, { id: tcId, token: token(jws ?? jwe), verdict: result }]);
  });
  if (rows.length !== numberOfTests) throw new Error(`${file}: ${rows.length} of ${numberOfTests} tests`);
  write(name, WYCHEPROOF, ["wycheproof", file], rows);
}

/** Keys, whole, and everything in the other examples that a client could send as a token. */
function rfc7520() {
  const files = jsonFiles("rfc7520");
  const rows = files.map((id) => {
    const example = json("rfc7520", id);
    if (example.kty) return [{}, { id, key: example, verdict: "valid" }];
    const outputs = [example.output, example.sign?.output, example.encrypt?.output];
    const tokens = outputs.flatMap((output) => Object.values(output ?? {})).map(token);
    return [{}, { id, keys: published(example.input?.key ?? example.sign?.input?.key), tokens, verdict: "valid" }];
  });
  write("rfc7520", RFC_7520, ["rfc7520", ...files], rows);
}

/** A text, in hexadecimal if it is not UTF-8; a prefix repeated thousands of times is written once. */
function described(text) {
  for (let length = 1; text.length > 2000 && length < 8; length++) {
    const unit = text.subarray(0, length);
    let times = 0;
    while (unit.equals(text.subarray(times * length, (times + 1) * length))) times++;
    if (times > 1000) return { repeated: [unit.toString(), times], ...described(text.subarray(times * length)) };
  }
  const read = text.toString("utf8");
  return Buffer.from(read).equals(text) ? { text: read } : { hex: text.toString("hex") };
}

function jsonTestSuite() {
  const verdicts = { y_: "valid", n_: "invalid" };
  const files = jsonFiles("jsontestsuite");
  const rows = files.map((id) => [{}, { id, ...described(bytes("jsontestsuite", id)), verdict: verdicts[basename(id).slice(0, 2)] ?? "either" }]);
  write("json-test-suite", JSON_TEST_SUITE, ["jsontestsuite", ...files], rows);
}

/** The vectors in one of ring's files, numbered from 1: what stands between two empty lines. */
function ringRows(file) {
  const blocks = text("ring", file).split("\n\n").map((block) => {
    const lines = block.split("\n").filter((line) => line.includes("=") && !line.startsWith("#"));
    return Object.fromEntries(lines.map((line) => line.split(/ *= */, 2)));
  });
  return blocks.filter((block) => Object.keys(block).length > 0).map((block, index) => ({ id: index + 1, ...block }));
}

/** Whole octets in hexadecimal. */
function hex(value) {
  if (value.startsWith('"')) return Buffer.from(value.slice(1, -1)).toString("hex");
  if (!/^[0-9a-f]*$/i.test(value)) throw new Error(`${value}: not hexadecimal`);
  return `${value.length % 2 ? "0" : ""}${value.toLowerCase()}`;
}

const verdict = ({ Result }) => (/^P(ass)?$/.test(Result) ? "valid" : "invalid");
const HASHES = { SHA256: "SHA-256", SHA384: "SHA-384", SHA512: "SHA-512" };

/** `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`: the two numbers as they stand there. */
function numbers(key) {
  const element = (tag, from) => {
    if (key[from] !== tag) throw new Error(`${key.toString("hex")}: not that element at ${from}`);
    const octets = key[from + 1] < 0x80 ? 0 : key[from + 1] - 0x80;
    const start = from + 2 + octets;
    return { start, end: start + (octets ? key.readUIntBE(from + 2, octets) : key[from + 1]) };
  };
  const sequence = element(0x30, 0);
  const n = element(0x02, sequence.start);
  const e = element(0x02, n.end);
  if (e.end !== sequence.end || e.end !== key.length) throw new Error(`${key.toString("hex")}: more than two numbers`);
  return { n: key.toString("hex", n.start, n.end), e: key.toString("hex", e.start, e.end) };
}

function ringSignatures(name, file) {
  const all = ringRows(file);
  const rows = all.filter((row) => row.Digest !== "SHA1").map((row) => {
    if (!HASHES[row.Digest]) throw new Error(`${file}: ${row.Digest}`);
    const own = { id: row.id, hash: HASHES[row.Digest], message: hex(row.Msg), signature: hex(row.Sig), verdict: verdict(row) };
    return [numbers(Buffer.from(row.Key, "hex")), own];
  });
  const sha1 = all.length - rows.length;
  write(name, RING, ["ring", file], rows, sha1 ? [{ rows: sha1, why: "SHA-1, which no JOSE algorithm for signatures uses" }] : []);
}

function ringPrimitive(file) {
  const rows = ringRows(file).map((row) =>
    [{ n: hex(row.n), e: hex(row.e) }, { id: row.id, hash: "SHA-256", message: hex(row.Msg), signature: hex(row.Sig), verdict: verdict(row) }]);
  write("ring-primitive", RING, ["ring", file], rows);
}

/** The salt is left out: a verifier finds it in the encoded message, and must know no more than its length. */
function ringPadding(file) {
  const rows = ringRows(file).map((row) => {
    const hash = HASHES[row.Digest];
    if (hex(row.Salt).length * 4 !== Number(hash.slice(4))) throw new Error(`${file}: a salt of another length than the hash`);
    return [{}, { id: row.id, hash, bits: Number(row.Len), message: hex(row.Msg), encoded: hex(row.EM), verdict: verdict(row) }];
  });
  write("ring-pss-padding", RING, ["ring", file], rows);
}

/** Targets of a redirect, by the number of their line: each leads to another site if it is followed. */
function openRedirects() {
  const lines = text("oauth2-proxy", "openredirects.txt").split("\n").map((input, index) => [{}, { id: index + 1, input, verdict: "invalid" }]);
  write("open-redirects", OAUTH2_PROXY, ["oauth2-proxy", "openredirects.txt"], lines.filter(([, { input }]) => input !== ""));
}

wycheproof("wycheproof-jws", "json_web_signature_test.json");
wycheproof("wycheproof-jwk", "json_web_key_test.json");
wycheproof("wycheproof-crypto", "json_web_crypto_test.json");
wycheproof("wycheproof-jwe", "json_web_encryption_test.json");
rfc7520();
jsonTestSuite();
ringSignatures("ring-pkcs1", "rsa_pkcs1_verify_tests.txt");
ringSignatures("ring-pss", "rsa_pss_verify_tests.txt");
ringPrimitive("rsa_primitive_verify_tests.txt");
ringPadding("rsa_pss_padding_tests.txt");
openRedirects();
