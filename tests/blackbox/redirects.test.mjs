import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./redirects.mjs";

test("whatever address a request carries, and wherever, no answer leads a browser to another site", async () => {
  const tally = await run({ seed: 1, share: 0.03 });
  assert.deepEqual(tally.failures, []);
  assert.ok(tally.cases > 1_100, String(tally.cases));
  assert.ok(tally.counts["whole logins, and logouts after them"] > 20 && tally.counts["references to the site"] > 300, JSON.stringify(tally.counts));
});
