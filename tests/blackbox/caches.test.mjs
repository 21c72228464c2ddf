import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./caches.mjs";

test("no shared cache stores what depends on the caller, whatever the path looks like and the origin says", async () => {
  const tally = await run({ seed: 1, share: 0.006 });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.counts["answers with the caller's data, which no cache stores"] > 120, JSON.stringify(tally.counts));
});
