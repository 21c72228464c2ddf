// A share of the callbacks; `make blackbox PART=callback` runs all of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./callback.mjs";

test("a callback leads to a session only with the state, cookie, issuer and code of its login, once", async () => {
  const { cases, failures } = await run({ seed: 1, share: 0.02 });
  assert.deepEqual(failures, []);
  assert.ok(cases > 400, `${cases} cases`);
});
