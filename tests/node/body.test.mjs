// The bodies that the gateway itself reads: bounded in length and time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf } from "../../bindings/worker/src/host.js";

const post = (body) => new Request("https://app.example.com/revoke", { method: "POST", body, duplex: "half" });

test("a body is read up to a length", async () => {
  assert.deepEqual(await bodyOf(post("0123456789"), 10), new TextEncoder().encode("0123456789"));
  assert.equal((await bodyOf(new Request("https://app.example.com/"), 10)).length, 0);
  await assert.rejects(bodyOf(post("0123456789"), 9), (reason) => reason === 1);
});

test("a body that does not end is given up after ten seconds", { timeout: 5000 }, async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const endless = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
  let outcome;
  const read = bodyOf(post(endless), 10).then(() => (outcome = "read"), (reason) => (outcome = reason));
  context.mock.timers.tick(9999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(outcome, undefined);
  context.mock.timers.tick(1);
  await read;
  assert.equal(outcome, 1);
});
