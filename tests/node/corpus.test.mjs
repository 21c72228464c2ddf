// The corpus of corpus/ at the Worker: every case that a request can carry has its verdict and code. The clock is the corpus's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { corpus } from "../../corpus/index.mjs";
import { startWorker, wrappedBuild } from "./support/worker.mjs";

const { now, keys, policies, cases } = corpus();

/** A request has the characters of RFC 6750 §2.1 only: of other texts, tests/node/bearer.test.mjs says what becomes. */
const isSendable = (token) => /^[\w.~+/-]+=*$/.test(token);
/** An ID token is no bearer token: logins verify those. */
const sendable = cases.filter(({ policy, token }) => policies[policy].kind !== "id" && isSendable(token));

const hostOf = new Map();
const authorizers = {};
for (const { policy, keys: override } of sendable) {
  const name = `${policy} ${override}`;
  if (hostOf.has(name)) continue;
  const id = `a${hostOf.size}`;
  hostOf.set(name, `${id}.example.com`);
  const { issuer, issuers = [{ issuer, keys: policies[policy].keys }], audience, algorithms, clockSkew, maxTokenAge, profile, types, clients, tenants, claims, roles } = policies[policy];
  const [first, ...further] = issuers.map(({ issuer, keys: own }) => ({ issuer, jwks_uri: `https://keys.example.com/${override ?? own}` }));
  authorizers[id] = JSON.parse(JSON.stringify({
    type: "oidc", ...first, ...(further.length > 0 && { issuers: further }), audience, algorithms, clock_skew_s: clockSkew, max_token_age_s: maxTokenAge, token_profile: profile,
    types, clients, tenants, claims, roles_claim: roles?.claim ?? "roles", max_key_bits: 8192,
  }));
}
const { scopes, permissions, roles } = policies.rights;
const respond = { type: "respond", status: 204 };
const worker = await startWorker({
  source: await wrappedBuild(`Date.now = () => ${now * 1000};\nexport default gateway;\n`),
  config: {
    authorizers,
    hosts: Object.fromEntries(Object.keys(authorizers).map((id) => [`${id}.example.com`, { authorizer: id }])),
    paths: [
      { method: "GET", path: "/", integration: respond },
      { method: "GET", path: "/rights", scopes, permissions, roles: { any: roles.any }, integration: respond },
    ],
  },
  hosts: (request) => new Response(keys[new URL(request.url).pathname.slice(1)]),
});
after(() => worker.stop());

test("every case of the corpus that a request can carry has its verdict and code", async () => {
  const wrong = [];
  const queue = [...sendable];
  const work = async () => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      const { id, code = "ok", policy, keys: override, token } = one;
      const headers = { host: hostOf.get(`${policy} ${override}`), authorization: `Bearer ${token}` };
      const answer = await worker.request({ target: policy === "rights" ? "/rights" : "/", headers });
      const got = answer.status === 204 ? "ok" : answer.json().code;
      if (got !== code) wrong.push(`${id}: ${answer.status} ${got} instead of ${code}`);
      else if (code !== "ok" && ![401, 403].includes(answer.status)) wrong.push(`${id}: status ${answer.status}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  assert.deepEqual(wrong, []);
  assert.ok(sendable.length >= 1500, `${sendable.length} cases`);
});

test("the corpus is what its script writes, and ids are unique", () => {
  const folder = resolve(import.meta.dirname, "../../corpus");
  const written = mkdtempSync(join(tmpdir(), "edgeward-corpus-"));
  try {
    execFileSync(process.execPath, [join(folder, "generate/main.mjs"), written]);
    const files = (root) => readdirSync(root, { recursive: true }).filter((name) => name.endsWith(".json")).sort();
    assert.deepEqual(files(written), files(join(folder, "data")));
    for (const name of files(written)) assert.ok(readFileSync(join(written, name)).equals(readFileSync(join(folder, "data", name))), name);
  } finally {
    rmSync(written, { recursive: true, force: true });
  }
  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length);
  const accepted = cases.filter(({ verdict }) => verdict === "accept").length;
  for (const [file, text] of [["README.md", "that it must refuse"], ["../docs/corpus.md", "to refuse"]]) {
    const about = readFileSync(join(folder, file), "utf8").replace(/\s+/g, " ");
    for (const part of [`${cases.length.toLocaleString("en")} signed`, `${accepted} `, `${cases.length - accepted} ${text}`]) assert.ok(about.includes(part), `${file}: ${part}`);
  }
});
