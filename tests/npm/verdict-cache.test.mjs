// The package's store of verified tokens, by itself.

import assert from "node:assert/strict";
import { it } from "node:test";
import { Known } from "../../pkg/src/known.js";

const ALWAYS = { from: 0, until: Infinity };
const text = (i) => `header.claims.signature-${String(i).padStart(40, "0")}`;

it("holds no more than it may, and the newest", () => {
  const known = new Known(8);
  for (let i = 0; i < 10_000; i += 1) known.keep(0, text(i), ALWAYS, i);
  const held = Array.from({ length: 10_000 }, (_, i) => known.find(0, text(i), 1)).filter((claims) => claims !== undefined);
  assert.deepEqual(held, [9_992, 9_993, 9_994, 9_995, 9_996, 9_997, 9_998, 9_999]);
  known.clear();
  assert.equal(known.find(0, text(9_999), 1), undefined);
});

it("holds nothing if it may hold nothing", () => {
  const known = new Known(0);
  known.keep(0, text(1), ALWAYS, 1);
  assert.equal(known.find(0, text(1), 1), undefined);
});

it("finds by the whole text, the form and the time", () => {
  const known = new Known(8);
  known.keep(0, text(1), { from: 1_000, until: 2_000 }, "claims");
  for (const now of [1_000, 1_999.9]) assert.equal(known.find(0, text(1), now), "claims");
  for (const now of [0, 999.9, 2_000, 3_000, NaN]) assert.equal(known.find(0, text(1), now), undefined);
  assert.equal(known.find(1, text(1), 1_500), undefined);
  for (const near of [text(2), `x${text(1)}`, text(1).slice(1), text(1).slice(-24), `X${text(1).slice(1)}`, ""]) {
    assert.equal(known.find(0, near, 1_500), undefined, near);
  }
});

it("texts with the same end take each other's place and are never taken for each other", () => {
  const known = new Known(8);
  known.keep(0, `one.${text(1)}`, ALWAYS, "one");
  known.keep(0, `two.${text(1)}`, ALWAYS, "two");
  assert.equal(known.find(0, `one.${text(1)}`, 1), undefined);
  assert.equal(known.find(0, `two.${text(1)}`, 1), "two");
});
