import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./hosts.mjs";

test("no header about another host, scheme, path, method or client changes an answer, a redirect or the caller's identity", async () => {
  const tally = await run({ seed: 1, share: 0.03 });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.cases > 700, String(tally.cases));
});
