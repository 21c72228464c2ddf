import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./framing.mjs";

test("no request hidden in or behind another one reaches a protected handler without a token", async () => {
  const tally = await run({ seed: 1, share: 0.15 });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.cases > 200, String(tally.cases));
});
