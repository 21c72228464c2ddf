// The origin's addresses become the site's, and never anything else's: published redirect payloads, in every place of a reference.

import assert from "node:assert/strict";
import { test } from "node:test";
import { siteAddresses } from "../../bindings/worker/src/message.js";
import { cases } from "./support/vectors.mjs";

const SITE = "https://app.example.com";
const ORIGIN = "https://origin.example";

/** [upstream, prefix]: the path of `integration.url`, and `strip_prefix`. */
const MOUNTS = [["", ""], ["/base", ""], ["", "/api"], ["/base", "/api"], ["/api", "/api"], ["/a/b", "/c/d"]];

/** What becomes of a reference in the answer to a request for `rest` below the mount; undefined leaves it as it is. */
function mapped(reference, [base, prefix], { rest = "/x/y", name = "location", site = SITE, origin = ORIGIN, method = "GET", cookie = false } = {}) {
  const headers = { get: (asked) => (asked === name ? reference : null), has: (asked) => cookie && asked === "set-cookie" };
  const edits = siteAddresses(headers, origin + base, `${origin}${base}${rest}`, prefix, { method, url: `${site}${prefix}${rest}` });
  if (edits.length === 0) return undefined;
  assert.deepEqual(edits.slice(0, 2), ["set", name]);
  assert.equal(edits.length, 3);
  return edits[2];
}

const RANDOM = (() => {
  let state = 42;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
})();

test("no reference leads from the origin to another site that it did not lead to before", () => {
  const published = cases("open-redirects").map(({ input }) => input);
  assert.ok(published.length > 500);
  const pieces = ["/", "//", "\\", "..", "/../", "%2e%2e", "%2F", "%5C", "\t", "\n", "@", ":", "?", "#", "evil.example", "base", "api", "https:", ORIGIN, "a b", "é", ";", ","];
  const random = Array.from({ length: 3000 }, () => Array.from({ length: 1 + RANDOM(6) }, () => pieces[RANDOM(pieces.length)]).join(""));
  let count = 0;
  for (const mount of MOUNTS) {
    for (const payload of [...published, ...random]) {
      for (const reference of ["", "/", mount[0], `${mount[0]}/`, ORIGIN, `${ORIGIN}/`, ORIGIN + mount[0], `${ORIGIN}${mount[0]}/`, "//origin.example"].map((start) => start + payload)) {
        for (const [name, before] of [["location", ""], ["refresh", "0; url="], ["refresh", '0;URL="'], ["refresh", "0, '"]]) {
          const address = mapped(before + reference, mount, { name });
          if (address === undefined) continue;
          const start = before.replace(/["']$/, "");
          assert.ok(address.startsWith(start), address);
          const url = address.slice(start.length).trimStart();
          // Read by a browser, and by the letter.
          assert.equal(new URL(url, `${SITE}/x`).origin, SITE, `${reference}: ${url}`);
          assert.match(url, /^https:\/\/app\.example\.com(?:[/?#][\x21-\x7e]*)?$/, reference);
          const { pathname } = new URL(url);
          assert.ok(mount[1] === "" || pathname === mount[1] || pathname.startsWith(`${mount[1]}/`), `${reference}: ${url}`);
          count += 1;
        }
      }
    }
  }
  assert.ok(count > 100_000, `${count}`);
});

test("references to the origin", () => {
  for (const [mount, reference, expected, options] of [
    [0, `${ORIGIN}/a/../b?c=d#e`, `${SITE}/b?c=d#e`],
    [0, "HTTPS://Origin.EXAMPLE:443/a", `${SITE}/a`],
    [0, ORIGIN, `${SITE}/`],
    [0, "//origin.example/a", `${SITE}/a`],
    [0, "/a", undefined],
    [0, "a", undefined],
    [0, "", undefined],
    [0, "?a", undefined],
    [0, "#a", undefined],
    [0, `${ORIGIN}:8443/a`, undefined],
    [0, "http://origin.example/a", undefined],
    [0, "https://origin.example.evil/a", undefined],
    [0, "https://origin.example@evil.example/a", undefined],
    [0, "https://user@origin.example/a", undefined],
    [0, "https://evil.example/?https://origin.example", undefined],
    [0, "https://[", undefined],
    [0, `${SITE}/a`, undefined],
    [1, "/base", SITE],
    [1, "/base/", `${SITE}/`],
    [1, "/base?a", `${SITE}?a`],
    [1, "/base#a", `${SITE}#a`],
    [1, "/base//evil.example", `${SITE}//evil.example`],
    [1, "/base/\t/evil.example", `${SITE}//evil.example`],
    [1, "/base\\\\evil.example", `${SITE}//evil.example`],
    [1, "/based", undefined],
    [1, "/", undefined],
    [1, `${ORIGIN}/other`, undefined],
    [1, "y", undefined],
    [1, "../y", undefined],
    [1, "../../y", undefined],
    [1, "/base/../other", undefined],
    [2, "/", `${SITE}/api/`],
    [2, "/y", `${SITE}/api/y`],
    [2, "//evil.example/y", undefined],
    [2, "y", undefined],
    [2, "../../../y", `${SITE}/api/y`],
    [2, "y", `${SITE}/api/y`, { rest: "" }],
    [2, "y?a#b", `${SITE}/api/y?a#b`, { rest: "" }],
    [2, "/api", undefined],
    [2, "/api/y", undefined],
    [2, `${ORIGIN}/api/y`, `${SITE}/api/y`],
    [2, "/apis", `${SITE}/api/apis`],
    [2, `${SITE}/api/y`, undefined],
    [3, "/base/y", `${SITE}/api/y`],
    [3, "/y", undefined],
    [5, "/a/b/c", `${SITE}/c/d/c`],
    // An origin with a folder named like the prefix: what browsers find already.
    [2, "?b", undefined, { rest: "/api/x" }],
    [2, "y", undefined, { rest: "/api/x" }],
    [2, "", undefined, { rest: "/api/x" }],
    // The gateway's own pages.
    [2, "/.well-known/edgeward/login?return_to=%2Fa", undefined],
    [2, `${ORIGIN}/.well-known/edgeward/logout`, `${SITE}/.well-known/edgeward/logout`],
    [2, "/.well-known/edgewards", `${SITE}/api/.well-known/edgewards`],
    // To https, or to another host of the same page: never a loop.
    [0, `${SITE}/x/y`, undefined, { site: "http://app.example.com", origin: SITE }],
    [0, `${ORIGIN}/x/y`, undefined, { site: "http://app.example.com" }],
    [0, `${ORIGIN}/x/y`, undefined, { site: "https://www.origin.example", method: "HEAD" }],
    [0, `${ORIGIN}/x/y`, `${SITE}/x/y`, { method: "POST" }],
    [0, `${ORIGIN}/x/y`, `${SITE}/x/y`, { cookie: true }],
    [0, `${ORIGIN}/x/y`, `${SITE}/x/y`, { name: "content-location" }],
    [0, `${ORIGIN}/x/y?b`, `${SITE}/x/y?b`],
  ]) {
    assert.equal(mapped(reference, MOUNTS[mount], options), expected, `${MOUNTS[mount]}: ${JSON.stringify(reference)}`);
  }
  // A service is asked under the site's own host.
  const own = (reference, prefix) => mapped(reference, ["", prefix], { rest: "/x", origin: SITE });
  for (const [reference, expected] of [[`${SITE}/y`, `${SITE}/api/y`], ["/y", `${SITE}/api/y`], [`${SITE}/api/y`, undefined], ["https://evil.example/", undefined]]) {
    assert.equal(own(reference, "/api"), expected, reference);
    assert.equal(own(reference, ""), undefined, reference);
  }
});

test("Refresh, as browsers read it", () => {
  for (const [value, expected] of [
    ["5; url=https://origin.example/a", `5; url=${SITE}/a`],
    ["5;URL = 'https://origin.example/a'", `5;URL = ${SITE}/a`],
    ['0, "https://origin.example/a" and more', `0, ${SITE}/a`],
    ["0 https://origin.example/a;b=c", `0 ${SITE}/a;b=c`],
    ["1.5;https://origin.example/a", `1.5;${SITE}/a`],
    ["5", undefined],
    ["55", undefined],
    ["5;", undefined],
    ["5; url=", undefined],
    ["5; url=/a", undefined],
    ["5; url=https://elsewhere.example/", undefined],
    ["url=https://origin.example/", undefined],
    ["", undefined],
  ]) {
    assert.equal(mapped(value, MOUNTS[0], { name: "refresh" }), expected, value);
  }
});

test("the three headers at once, each by itself", () => {
  const values = { location: `${ORIGIN}/a`, "content-location": "https://elsewhere.example/", refresh: `1; url=${ORIGIN}/b` };
  const edits = siteAddresses(new Headers(values), ORIGIN, `${ORIGIN}/x`, "", { method: "GET", url: `${SITE}/x` });
  assert.deepEqual(edits, ["set", "location", `${SITE}/a`, "set", "refresh", `1; url=${SITE}/b`]);
});
