// A short run of `make differential`: what differs between this library and another on mutated tokens is explained.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compare } from "./differential.mjs";

test("every difference to another library on mutated tokens is explained", async () => {
  const { accepted, refused, unexplained } = await compare(5000, 1);
  assert.deepEqual(unexplained.map(({ name, mine, other, token }) => `${name}: ${mine}, ${other}: ${token}`), []);
  assert.ok(accepted > 300 && refused > 2000, `${accepted} accepted, ${refused} refused`);
});
