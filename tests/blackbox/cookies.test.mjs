// A share of the black-box suite of cookies; `make blackbox PART=cookies` runs all of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./cookies.mjs";

test("changed cookies open nothing, and an unchanged session opens in every spelling", async () => {
  const { cases, failures } = await run({ seed: 1, share: 0.006 });
  assert.deepEqual(failures, []);
  assert.ok(cases > 1_500, `${cases} cases`);
});
