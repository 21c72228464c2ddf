// The path contract: no anonymous request reaches an origin with a path that any server could read as a protected one, and paths that
// are forwarded arrive byte for byte.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { assertProblem, assertTokenMissing, authorizer, bearer, many, proxy, read, respond } from "./support/gateway.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AMBIGUOUS, encoded, INVALID, PROTECTED, targets } from "./support/paths.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

// ---- how servers read paths ---------------------------------------------------------------------------------------

const decode = (text) =>
  Buffer.from(text.replace(/[^\x00-\xff]+/g, (wide) => Buffer.from(wide).toString("latin1")), "latin1")
    .toString("latin1")
    .replace(/%([0-9a-fA-F]{2})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
/** Bytes as UTF-8, where they are; other bytes stay. */
const asText = (bytes) => {
  const text = Buffer.from(bytes, "latin1").toString();
  return text.includes("\ufffd") ? bytes : text;
};
const decodeOnce = (text) => asText(decode(text));

/** RFC 3986 §5.2.4. */
function removeDots(path) {
  const out = [];
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === "..") {
      if (out.length > 1) out.pop();
    } else if (segment !== ".") {
      out.push(segment);
      continue;
    }
    if (last) out.push("");
  }
  return out.join("/") || "/";
}

const trimmed = (segment) => segment.trim().replace(/(?<=[^.])\.+$/, "");

/** What servers and frameworks do to a path before they look it up. */
const NORMALISERS = {
  "as it is": (path) => path,
  "decoded once": decodeOnce,
  "decoded twice": (path) => decodeOnce(decodeOnce(path)),
  "slashes merged": (path) => path.replace(/\/{2,}/g, "/"),
  "parameters cut": (path) => path.replace(/;[^/]*/g, ""),
  "backslashes as slashes": (path) => path.replace(/\\/g, "/"),
  "in lower case": (path) => path.toUpperCase().toLowerCase(),
  "in compatibility form": (path) => path.normalize("NFKC"),
  "dots removed": removeDots,
  "dots removed, then decoded": (path) => decodeOnce(removeDots(path)),
  "decoded, then dots removed": (path) => removeDots(decodeOnce(path)),
  "cut at a decoded ? or #": (path) => decodeOnce(path).split(/[?#]/)[0],
  "blanks and closing dots trimmed": (path) => decodeOnce(path).split("/").map(trimmed).join("/"),
};

/** Every reading of a path: each normaliser, and each after each other, three deep. */
function readings(path) {
  const found = new Map([[path, []]]);
  let fresh = [path];
  for (let depth = 0; depth < 3; depth += 1) {
    const next = [];
    for (const reading of fresh) {
      for (const [name, normalise] of Object.entries(NORMALISERS)) {
        const other = normalise(reading);
        if (found.has(other)) continue;
        found.set(other, [...found.get(reading), name]);
        next.push(other);
      }
    }
    fresh = next;
  }
  return found;
}

/** How, if at all, a path can be read as one under /admin. */
function readAsAdmin(path) {
  for (const [reading, how] of readings(path)) if (/^\/admin(\/|$)/.test(reading)) return how.join(", ") || "as it is";
  return undefined;
}

/** The path of a request target as the origin must see it: byte for byte, but for what the runtime escapes on its way. */
function asItCame(target) {
  // Of an absolute target, what follows the host; the runtime reads `admin` as if it were part of a host, too.
  const path = target.replace(/^https?:\/\//i, "").replace(/^[^/?#]*/, "").split(/[?#]/)[0] || "/";
  return path.replace(/[^\x21-\x7e]|["<>^`{}]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

const queryOf = (target) => /^[^?#]*(\?[^#]*)?/.exec(target)[1] ?? "";

// ---- the set-up ---------------------------------------------------------------------------------------------------

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
const guarded = [proxy("/admin", origin), proxy("/admin/{*rest}", origin)];
const worker = (paths) => startWorker({ config: { authorizer: authorizer(issuer), paths } });
const sites = {
  narrow: await worker([...guarded, proxy("/public/{*rest}", origin, { auth: "none" })]),
  wide: await worker([...guarded, proxy("/{*rest}", origin, { auth: "none" })]),
};
const methods = await worker([
  proxy("/read", origin, { method: "GET", auth: "none" }),
  proxy("/write", origin, { method: ["POST", "put"], auth: "none" }),
  proxy("/any", origin, { auth: "none" }),
  proxy("/split", origin, { method: "GET", auth: "none" }),
  proxy("/split", origin, { method: "DELETE" }),
  proxy("/mixed/{id}", origin, { method: "GET", auth: "none" }),
  proxy("/mixed/{*rest}", origin, { auth: "none" }),
  respond("/own", { method: "GET", body: "own" }),
]);

after(() => Promise.all([...Object.values(sites), methods, origin, issuer].map((part) => part.stop())));
beforeEach(() => origin.reset());

const METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"];
const UPGRADE = [
  ["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Version", "13"], ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
];

/** A WebSocket upgrade on the wire; resolves to its status once the head is there. */
function upgrade(site, target, headers = []) {
  const lines = [["Host", `127.0.0.1:${site.port}`], ...UPGRADE, ...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return site.raw(`GET ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
}

/** Sends the target with every method and as an upgrade, and asserts the invariants. Returns the answer to GET. */
async function probe(site, target, { headers = [] } = {}) {
  const requests = METHODS.map((method) => site.request({ method, target, headers, ...(method === "POST" && { body: "x" }) }));
  const [upgraded, get, ...rest] = await Promise.all([upgrade(site, target, headers), ...requests]);
  for (const { url, method, upgrade: isUpgrade } of origin.requests) {
    const path = url.split("?")[0];
    assert.equal(readAsAdmin(path), undefined, `${isUpgrade ? "an upgrade of" : method} ${target} reached the origin as ${url}`);
    assert.equal(path, asItCame(target), `${method} ${target} was forwarded as ${url}`);
    assert.equal(queryOf(url), queryOf(target));
  }
  // What one method may not reach, no other may.
  const reached = origin.requests.length;
  assert.ok(reached === 0 || reached === METHODS.length + 1, `${target} reached the origin ${reached} times`);
  assert.ok(rest.every(({ status }) => status === get.status), `${target}: ${[get, ...rest].map(({ status }) => status)}`);
  assert.equal(upgraded.status, get.status === 200 ? 101 : get.status, `an upgrade of ${target}`);
  return get;
}

/** What GET gets: 200 from the origin, a problem of the gateway's, or the runtime's own refusal. */
function outcome(answer) {
  if (answer.header("content-type") === "application/problem+json") return `${answer.status} ${answer.json().code}`;
  if (answer.status === 200) return "forwarded";
  return "refused by the runtime";
}

const shown = (target) => JSON.stringify(target.length > 60 ? `${target.slice(0, 40)}… (${target.length})` : target);

for (const [index, name] of [[1, "narrow"], [2, "wide"]]) {
  describe(name === "narrow" ? "with /public/{*rest} public" : "with /{*rest} public", () => {
    for (const row of targets) {
      const [target, expected] = [row[0], row[index]];
      test(`${shown(target)}: ${expected}`, async () => {
        const answer = await probe(sites[name], target);
        assert.equal(outcome(answer), expected, answer.text);
        if (expected === PROTECTED) await assertTokenMissing(answer);
        if (expected === INVALID || expected === AMBIGUOUS) {
          await assertProblem(answer, { status: 400, code: expected.slice(4), error: "invalid_request" });
        }
      });
    }
  });
}

test("there are enough unusual targets", () => assert.ok(targets.length >= 67, String(targets.length)));

describe("whatever is written", () => {
  /** Characters, and pairs of them, that upper and lower case or compatibility form turn into letters of "admin". */
  function lookalikes() {
    const found = [];
    for (let point = 0x80; point <= 0x10ffff; point += 1) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      for (const form of [character, character.normalize("NFKC")]) {
        const reading = form.toUpperCase().toLowerCase();
        const at = reading.length > 0 && /^[admin]+$/.test(reading) ? "admin".indexOf(reading) : -1;
        if (at < 0) continue;
        found.push(`admin`.slice(0, at) + character + "admin".slice(at + reading.length));
        break;
      }
    }
    return found;
  }

  test("no lookalike of a letter opens a protected path, in all of Unicode", async () => {
    const paths = lookalikes().map((name) => `/${encoded(name)}`);
    assert.ok(paths.length > 100, String(paths.length));
    const answers = await many(paths.length, (index) => sites.wide.request({ target: paths[index] }));
    for (const [index, answer] of answers.entries()) assert.equal(outcome(answer), AMBIGUOUS, paths[index]);
    assert.deepEqual(origin.requests.map(({ url }) => url), []);
  });

  test("no character leads out of its segment, in all of Unicode", async () => {
    const paths = [];
    for (let point = 0x80; point <= 0x10ffff; point += 1) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      const reading = character.normalize("NFKC");
      // A slash, a backslash or a parameter leads on, dots lead back, a percent sign may become any of them.
      if (/[/\\;]/.test(reading)) paths.push([`/${encoded(character)}/admin`, reading.replace(/\\/g, "/").replace(/;.*/, "")]);
      if (/^[/\\;]/.test(reading)) paths.push([`/public/..${encoded(character)}/admin`, ".."]);
      if (/^\.\.?$/.test(reading)) paths.push([`/public/${encoded(character)}/admin`, ".."]);
      if (reading === "%") paths.push([`/public/${encoded(character)}2e${encoded(character)}2e/admin`, ".."], [`/${encoded(character)}61dmin`, ""]);
    }
    assert.ok(paths.length > 10, String(paths.length));
    const answers = await many(paths.length, (index) => sites.wide.request({ target: paths[index][0] }));
    for (const [index, answer] of answers.entries()) {
      const [path, reading] = paths[index];
      if (reading === "..") assert.equal(outcome(answer), INVALID, path);
      else if (/^\/*$/.test(reading)) assert.equal(outcome(answer), AMBIGUOUS, path);
    }
    for (const { url } of origin.requests) assert.equal(readAsAdmin(url), undefined, url);
  });

  test("a thousand random paths of the worst pieces: none gets through to /admin", async () => {
    const pieces = [
      "/", "/", "/", "admin", "admin", "public", "a", "Admin", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "%3b", "%25",
      "%32", "%66", "%61",
      "dmin", "%20", "%00", "?", "#", "%23", "%3f", encoded("．"), encoded("／"), encoded("ａ"), "//", "%c0%af", ":", "@", "*", "~",
    ];
    // A fixed sequence, so that a failure can be repeated (numerical recipes' constants).
    let state = 20_261_120;
    const random = (below) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const written = Array.from(
      { length: 1_000 }, () => `/${Array.from({ length: 1 + random(7) }, () => pieces[random(pieces.length)]).join("")}`,
    );
    for (const site of Object.values(sites)) {
      origin.reset();
      const answers = await many(
        written.length, (index) => site.request({ target: written[index], method: METHODS[index % METHODS.length] }),
      );
      const passed = written.filter((_, index) => answers[index].status === 200);
      const forwarded = passed.map((target) => asItCame(target) + queryOf(target));
      assert.deepEqual(origin.requests.map(({ url }) => url).sort(), forwarded.sort());
      for (const { url } of origin.requests) assert.equal(readAsAdmin(url.split("?")[0]), undefined, url);
    }
  });

  test("with a token, what is protected is forwarded as it came", async () => {
    const token = issuer.token();
    for (const target of ["/admin/%7euser/%c3%a9?q=%zz", "/admin/", "/admin//a%2Fb;c/d%2520e"]) {
      const answer = await sites.narrow.request({ target, headers: bearer(token) });
      assert.equal(answer.status, 200, target);
      assert.equal(origin.last.url, target);
    }
    for (const [target, code] of [["//admin", "path_ambiguous"], ["/%61dmin", "path_ambiguous"], ["/admin;x", "path_ambiguous"], ["/public/..%2fadmin", "path_invalid"]]) {
      const answer = await sites.narrow.request({ target, headers: bearer(token) });
      await assertProblem(answer, { status: 400, code });
    }
  });

  test("a WebSocket upgrade is held to the same policy", async () => {
    for (const site of Object.values(sites)) {
      for (const [target, status] of [
        ["/admin", 401], ["/admin/users", 401], ["/%61dmin", 400], ["//admin", 400], ["/public/..%2fadmin", 400],
        ["/admin;x", 400], ["/Admin", 400],
      ]) {
        const answer = await upgrade(site, target);
        assert.equal(answer.status, status, target);
        assert.equal(answer.header("content-type"), "application/problem+json");
      }
    }
    assert.deepEqual(origin.requests, []);
  });

  test("no header of the client changes which path the policy sees", async () => {
    const headers = [
      ["X-Forwarded-Uri", "/public/a"], ["X-Original-URL", "/public/a"], ["X-Rewrite-URL", "/public/a"], ["X-Forwarded-Prefix", "/public"],
      ["X-Forwarded-Host", "localhost"], ["X-Forwarded-Method", "OPTIONS"], ["Forwarded", "for=127.0.0.1;host=localhost"],
      ["X-Forwarded-For", "127.0.0.1"],
      ["User-Agent", "GoogleHC/1.0"], ["X-Middleware-Subrequest", "middleware"], ["X-Edgeward", "skip"],
      ["Referer", "http://localhost/public/a"],
    ];
    for (const site of Object.values(sites)) {
      await assertTokenMissing(await probe(site, "/admin", { headers }));
      for (const host of ["localhost", "localhost/public/", "localhost/public", "localhost/public?", "localhost/public#", "localhost/public/%23", "elsewhere.example:80", "LOCALHOST", "127.0.0.1"]) {
        const answer = await site.request({ target: "/admin", headers: [["Host", host]] });
        assert.notEqual(answer.status, 200, host);
      }
      assert.deepEqual(origin.requests, []);
    }
  });
});

describe("methods", () => {
  const assertNotAllowed = async (answer, allow) => {
    const got = await assertProblem(answer, { status: 405, code: "method_not_allowed" });
    assert.equal(got.header("allow"), allow);
    assert.deepEqual(origin.requests, []);
  };

  test("a path without a route is 404 and never proxied", async () => {
    for (const method of [...METHODS, "DELETE", "PUT", "PATCH"]) {
      const answer = await read(methods.request({ method, target: "/nowhere" }));
      assert.equal(answer.status, 404);
      if (method !== "HEAD") await assertProblem(answer, { status: 404, code: "not_found" });
    }
    assert.deepEqual(origin.requests, []);
  });

  test("a method without a route is 405, says which there are, and is never proxied", async () => {
    await assertNotAllowed(methods.fetch("/read", { method: "POST", body: "x" }), "GET, HEAD");
    await assertNotAllowed(methods.fetch("/read", { method: "OPTIONS" }), "GET, HEAD");
    await assertNotAllowed(methods.fetch("/read", { method: "PROPFIND" }), "GET, HEAD");
    await assertNotAllowed(methods.fetch("/write"), "POST, PUT");
    await assertNotAllowed(methods.fetch("/own", { method: "DELETE" }), "GET, HEAD");
    await assertNotAllowed(methods.fetch("/split", { method: "PATCH", body: "x" }), "GET, DELETE, HEAD");
  });

  test("a method never falls through to a wider route", async () => {
    await assertNotAllowed(methods.fetch("/mixed/1", { method: "DELETE" }), "GET, HEAD");
    assert.equal((await methods.fetch("/mixed/1/2", { method: "DELETE" })).status, 200);
  });

  test("two routes of one path each guard their own method", async () => {
    assert.equal((await methods.fetch("/split")).status, 200);
    assert.equal((await methods.fetch("/split", { method: "HEAD" })).status, 200);
    origin.reset();
    await assertTokenMissing(methods.fetch("/split", { method: "DELETE" }));
    assert.deepEqual(origin.requests, []);
    assert.equal((await methods.fetch("/split", { method: "DELETE", headers: bearer(issuer.token()) })).status, 200);
    assert.equal(origin.last.method, "DELETE");
  });

  test("HEAD goes wherever GET goes, as HEAD", async () => {
    const answer = await methods.fetch("/read", { method: "HEAD" });
    assert.deepEqual([answer.status, await answer.text()], [200, ""]);
    assert.equal(origin.last.method, "HEAD");
  });

  test("an upgrade by another method than GET is a request with that method", async () => {
    for (const [method, target] of [["POST", "/write"], ["HEAD", "/any"], ["PROPFIND", "/any"]]) {
      origin.reset();
      const answer = await methods.request({ method, target, headers: UPGRADE, ...(method === "POST" && { body: "x" }) });
      assert.equal(answer.status, 200, `${method} ${target}`);
      assert.deepEqual(origin.requests.map(({ method, url, upgrade }) => [method, url, upgrade]), [[method, target, undefined]]);
    }
  });

  test("TRACE and CONNECT are refused on every route", async () => {
    for (const target of ["/any", "/read", "/own", "/mixed/1"]) {
      const trace = await methods.request({ method: "TRACE", target });
      await assertProblem(trace, { status: 405, code: "method_not_allowed" });
    }
    // The runtime itself has no way to hand CONNECT or a method it does not know to a Worker's fetch handler.
    for (const [method, target] of [
      ["CONNECT", "/any"], ["CONNECT", "127.0.0.1:80"], ["TRACK", "/any"], ["FOO", "/any"], ["get", "/any"],
    ]) {
      const answer = await methods.request({ method, target });
      assert.ok(answer.status >= 400, `${method} ${target}: ${answer.status}`);
    }
    assert.deepEqual(origin.requests, []);
  });
});
