import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./paths.mjs";

test("no spelling of a path, method or upgrade reaches a protected handler of any origin without a token; with one, each reaches its own", async () => {
  const tally = await run({ seed: 1, share: 0.01 });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.cases > 2_500, String(tally.cases));
  // The origins do read other spellings as protected ones.
  assert.ok(tally.counts["targets that lenient reads as protected"] > 5, JSON.stringify(tally.counts));
});
