// The cache of verified tokens, by itself.

import assert from "node:assert/strict";
import { it } from "node:test";
import { VerdictCache } from "../../pkg/src/verdict-cache.js";

const ALWAYS = { from: 0, until: Infinity };
const text = (i) => `header.claims.signature-${String(i).padStart(40, "0")}`;

it("holds the newest entries, up to its capacity", () => {
  const cache = new VerdictCache(8);
  for (let i = 0; i < 10_000; i += 1) cache.insert(0, text(i), ALWAYS, i);
  const held = Array.from({ length: 10_000 }, (_, i) => cache.find(0, text(i), 1)).filter((claims) => claims !== undefined);
  assert.deepEqual(held, [9_992, 9_993, 9_994, 9_995, 9_996, 9_997, 9_998, 9_999]);
  cache.clear();
  assert.equal(cache.find(0, text(9_999), 1), undefined);
});

it("holds nothing at a capacity of zero", () => {
  const cache = new VerdictCache(0);
  cache.insert(0, text(1), ALWAYS, 1);
  assert.equal(cache.find(0, text(1), 1), undefined);
});

it("finds an entry by the whole text, the form and the time", () => {
  const cache = new VerdictCache(8);
  cache.insert(0, text(1), { from: 1_000, until: 2_000 }, "claims");
  for (const now of [1_000, 1_999.9]) assert.equal(cache.find(0, text(1), now), "claims");
  for (const now of [0, 999.9, 2_000, 3_000, NaN]) assert.equal(cache.find(0, text(1), now), undefined);
  assert.equal(cache.find(1, text(1), 1_500), undefined);
  for (const near of [text(2), `x${text(1)}`, text(1).slice(1), text(1).slice(-24), `X${text(1).slice(1)}`, ""]) {
    assert.equal(cache.find(0, near, 1_500), undefined, near);
  }
});

it("replaces an entry whose text has the same end, and never returns it for the other text", () => {
  const cache = new VerdictCache(8);
  cache.insert(0, `one.${text(1)}`, ALWAYS, "one");
  cache.insert(0, `two.${text(1)}`, ALWAYS, "two");
  assert.equal(cache.find(0, `one.${text(1)}`, 1), undefined);
  assert.equal(cache.find(0, `two.${text(1)}`, 1), "two");
});
