// A share of the header matrix; `make blackbox PART=headers` runs all of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./headers.mjs";

test("no header lends an identity or opens a protected route, and harmless headers change nothing", async () => {
  const { cases, failures } = await run({ seed: 1, share: 0.03 });
  assert.deepEqual(failures, []);
  assert.ok(cases > 600, `${cases} cases`);
});
