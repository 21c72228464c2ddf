// A short run of each part of `make soak` (tests/soak). What takes minutes to tell is not judged here: slopes of memory, and ratios of
// latencies on a busy machine.

import assert from "node:assert/strict";
import { test } from "node:test";
import { flood } from "../soak/flood.mjs";
import { identity } from "../soak/identity.mjs";
import { memory } from "../soak/memory.mjs";
import { random } from "../soak/random.mjs";
import { refresh } from "../soak/refresh.mjs";
import { schedule } from "../soak/schedule.mjs";
import { drift, slope } from "../soak/statistics.mjs";

/** One after another: they share a processor. */
async function holds(t, part) {
  const { failures, prose, ...figures } = await part;
  t.diagnostic(prose);
  assert.deepEqual(failures, []);
  return figures;
}

test("users of one isolate: each answer is that of its own user and request", async (t) => {
  const { answers, refreshes } = await holds(t, identity({ seed: 1, count: 2000, users: 80, lanes: 64, life: 4 }));
  assert.ok(answers >= 2000 && refreshes > 0);
});

test("a flood of unknown key ids beside good traffic causes few fetches of the key set", async (t) => {
  const { fetches } = await holds(t, flood({ seed: 1, rounds: 2, blockMs: 500, users: 20 }));
  assert.ok(fetches === 1 || fetches === 2, `${fetches}`);
});

test("each of many sessions is refreshed once for 50 requests at once, and none is lost", async (t) => {
  const { refreshes } = await holds(t, refresh({ sessions: 10 }));
  assert.equal(refreshes, 10);
});

test("a random schedule of faults: no access without a valid credential, and no valid one refused", (t) =>
  holds(t, schedule({ seed: 1, seconds: 6 })));

test("the memory of the runtime can be read", async (t) => {
  const { samples, wasm, heap, resident, control } = await holds(t, memory({ seed: 1, seconds: 3, rate: 60, users: 32, judged: false }));
  assert.ok(samples > 3 && wasm.last > 0 && Number.isFinite(heap.slope));
  for (const fit of [resident, control]) assert.ok(process.platform !== "linux" || Number.isFinite(fit.slope));
});

test("the slope of a line is told from that of noise", () => {
  const times = Array.from({ length: 40 }, (_, at) => at);
  const noise = (at) => (((at * 7919) % 13) - 6) / 6;
  const flat = slope(times, times.map(noise));
  assert.ok(flat.low < 0 && flat.high > 0, JSON.stringify(flat));
  const rising = slope(times, times.map((at) => at / 10 + noise(at)));
  assert.ok(rising.low > 0 && Math.abs(rising.slope - 0.1) < 0.05, JSON.stringify(rising));
});

test("the drift of what moves in steps is told from the steps, and a line is not", () => {
  const times = Array.from({ length: 20 }, (_, at) => at);
  const rng = random(1, 0);
  // In KiB, about as a process does it: a step up or down now and then, and some noise.
  const steps = () => {
    let level = 0;
    return times.map(() => (level += rng.chance(10) ? rng.below(1400) - 700 : 0) + rng.below(200));
  };
  const grows = (estimate, leak) => Array.from({ length: 500 }, () => estimate(times, steps().map((value, at) => value + leak * at)).low > 0).filter(Boolean).length;
  assert.ok(grows(drift, 0) <= 25, "at most one in twenty of the runs without a leak is a failure");
  assert.ok(grows(slope, 0) > 50, "which a line would be far more often");
  assert.ok(grows(drift, 200) > 450, "a leak is found");
});
