// The shared records of a Durable Object, on a storage in memory. src/oidc/shared_records.rs has the same table for those in Rust.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isSharedAction, SharedRecords } from "../../bindings/worker/shared_records.js";

/** A storage whose writes can be made to fail. */
function storage() {
  const stored = new Map();
  let alarm = null;
  const write = async (change) => {
    if (one.fails) throw new Error("the storage failed");
    change();
  };
  const one = {
    fails: false, stored, lists: 0,
    get alarm() { return alarm; },
    async list() {
      one.lists += 1;
      if (one.cannotList) throw new Error("the storage failed");
      return new Map(stored);
    },
    async getAlarm() { return alarm; },
    setAlarm: (at) => write(() => (alarm = at)),
    put: (key, value) => write(() => stored.set(key, value)),
    delete: (key) => write(() => stored.delete(key)),
    deleteAll: () => write(() => {
      stored.clear();
      alarm = null;
    }),
  };
  return one;
}

const at = (context, now) => context.mock.timers.setTime(now);
const clock = (context) => context.mock.timers.enable({ apis: ["Date"], now: 0 });

test("an id is used once until it expires, and values only grow", async (context) => {
  clock(context);
  const records = new SharedRecords(storage());
  for (const [now, action, message, status, text] of [
    [0, "read", "0 0 a", 200, ""], [0, "once", "5000 1 a", 200, ""], [0, "once", "5000 1 a", 200, "1"], [0, "once", "5000 1 b", 200, ""],
    [4999, "once", "9000 1 a", 200, "1"], [5000, "read", "0 0 a", 200, ""], [5000, "once", "9000 1 a", 200, ""],
    [5000, "record", "9000 7 r", 200, ""], [5000, "record", "8000 3 r", 200, "7"], [5000, "record", "7000 9 r", 200, "7"],
    [8999, "read", "0 0 r", 200, "9"], [9000, "read", "0 0 r", 200, ""], [9000, "record", "9999 -2 r", 200, ""], [9000, "read", "0 0 r", 200, "-2"],
    [9000, "once", "", 400, ""], [9000, "once", "x 1 a", 400, ""], [9000, "once", "1 1", 400, ""], [9000, "read", "1 x a", 400, ""],
  ]) {
    at(context, now);
    assert.deepEqual(await records.handle(action, message), [status, text], `${now} ${action} ${message}`);
  }
});

test("an alarm deletes what has expired, and everything in the end", async (context) => {
  clock(context);
  const one = storage();
  const records = new SharedRecords(one);
  await records.handle("read", "0 0 a");
  assert.equal(one.alarm, null, "reading stores nothing");
  await records.handle("once", "5000 1 a");
  await records.handle("once", "100000 1 b");
  await records.handle("once", "200000 1 c");
  assert.equal(one.alarm, 5000);
  at(context, 5000);
  await records.deleteExpired();
  assert.deepEqual([...one.stored.keys()], ["b", "c"]);
  assert.equal(one.alarm, 100_000);
  at(context, 150_000);
  await records.deleteExpired();
  assert.equal(one.alarm, 210_000, "at most once per minute");
  at(context, 210_000);
  await records.deleteExpired();
  assert.equal(one.stored.size, 0);
  await records.handle("once", "300000 1 d");
  assert.deepEqual([one.alarm, one.lists], [300_000, 1]);
});

test("another instance reads what is stored", async (context) => {
  clock(context);
  const one = storage();
  await new SharedRecords(one).handle("record", "5000 7 a");
  const second = new SharedRecords(one);
  assert.deepEqual(await second.handle("once", "5000 1 a"), [200, "7"]);
});

test("a full object refuses new ids, not known ones, until some expire", async (context) => {
  clock(context);
  const records = new SharedRecords(storage());
  for (let number = 0; number < 10_000; number += 1) await records.handle("once", `${number === 0 ? 5000 : 9000} 1 ${number}`);
  assert.deepEqual(await records.handle("once", "9000 1 new"), [507, ""]);
  assert.deepEqual(await records.handle("once", "9000 1 1"), [200, "1"]);
  assert.deepEqual(await records.handle("record", "9000 2 1"), [200, "1"]);
  at(context, 5000);
  assert.deepEqual(await records.handle("once", "9000 1 new"), [200, ""]);
  assert.deepEqual(await records.handle("once", "9000 1 newer"), [507, ""]);
});

test("nothing is confirmed that could not be written", async (context) => {
  clock(context);
  const one = storage();
  one.fails = true;
  await assert.rejects(new SharedRecords(one).handle("once", "5000 1 a"));
  one.fails = false;
  assert.deepEqual(await new SharedRecords(one).handle("once", "5000 1 a"), [200, ""]);
});

test("after an error, what is stored is read again", async (context) => {
  clock(context);
  const one = storage();
  const records = new SharedRecords(one);
  one.cannotList = true;
  const answers = await Promise.allSettled([records.handle("read", "0 0 a"), records.handle("once", "5000 1 a")]);
  assert.deepEqual(answers.map(({ status }) => status), ["rejected", "rejected"]);
  one.cannotList = false;
  one.fails = true;
  await assert.rejects(records.handle("once", "5000 1 a"));
  one.fails = false;
  assert.deepEqual(await records.handle("read", "0 0 a"), [200, ""]);
  assert.deepEqual(await records.handle("once", "5000 1 a"), [200, ""]);
  assert.deepEqual([one.alarm, [...one.stored.keys()]], [5000, ["a"]]);
});

/** Holds the next call of a method of the storage. Returns how to continue it, with an error or without. */
function hold(one, name) {
  const method = one[name];
  let proceed;
  const held = new Promise((resolve) => (proceed = resolve));
  one[name] = async (...args) => {
    one[name] = method;
    const error = await held;
    if (error !== undefined) throw error;
    return method(...args);
  };
  return proceed;
}

/** Lets everything go on that can. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("of messages around an error, none uses an id a second time, and everything confirmed is stored", async (context) => {
  clock(context);
  for (const name of ["put", "setAlarm"]) {
    const one = storage();
    const records = new SharedRecords(one);
    const proceed = hold(one, name);
    const first = records.handle("once", "5000 1 a");
    const beside = records.handle("once", "5000 1 b");
    await settled();
    proceed(new Error("the storage failed"));
    // These come while the error is on its way.
    const meanwhile = ["a", "b", "c"].map((id) => records.handle("once", `5000 1 ${id}`));
    const outcomes = await Promise.allSettled([first, beside, ...meanwhile]);
    assert.equal(outcomes[0].status, "rejected", name);
    for (const [id, uses] of [["a", [0, 2]], ["b", [1, 3]], ["c", [4]]]) {
      const confirmed = uses.filter((use) => outcomes[use].status === "fulfilled" && outcomes[use].value[1] === "");
      assert.ok(confirmed.length <= 1, `${name} ${id}`);
      if (confirmed.length === 1) assert.ok(one.stored.has(id), `${name} ${id}`);
    }
    // Each is used now, by those or by these.
    for (const id of ["a", "b", "c"]) await records.handle("once", `5000 1 ${id}`);
    for (const id of ["a", "b", "c"]) assert.deepEqual(await records.handle("once", `5000 1 ${id}`), [200, "1"], `${name} ${id}`);
    assert.deepEqual([...one.stored.keys()].sort(), ["a", "b", "c"]);
  }
});

test("a message that has waited for the storage since before an error does not write", async (context) => {
  clock(context);
  const one = storage();
  const records = new SharedRecords(one);
  const proceed = hold(one, "list");
  const old = [records.handle("once", "5000 1 a"), records.handle("once", "5000 1 b")];
  // The first one fails in its write, the second one has the same old records.
  one.fails = true;
  proceed();
  const outcomes = await Promise.allSettled(old);
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
  one.fails = false;
  assert.equal(one.stored.size, 0);
  assert.deepEqual(await records.handle("once", "5000 1 b"), [200, ""]);
  assert.deepEqual(await records.handle("once", "5000 1 b"), [200, "1"]);
});

test("an alarm that fails deletes when it is repeated", async (context) => {
  clock(context);
  const one = storage();
  const records = new SharedRecords(one);
  await records.handle("once", "5000 1 a");
  await records.handle("once", "100000 1 b");
  at(context, 5000);
  one.fails = true;
  await assert.rejects(records.deleteExpired());
  one.fails = false;
  await records.deleteExpired();
  assert.deepEqual([...one.stored.keys()], ["b"]);
  assert.equal(one.alarm, 100_000);
});

test("of two messages at once, one is the first", async (context) => {
  clock(context);
  const records = new SharedRecords(storage());
  const answers = await Promise.all(Array.from({ length: 5 }, () => records.handle("once", "5000 1 a")));
  assert.deepEqual(answers.map(([, text]) => text), ["", "1", "1", "1", "1"]);
});

test("the actions of sessions are others", () => {
  assert.deepEqual(["once", "record", "read"].map(isSharedAction), [true, true, true]);
  assert.deepEqual(["refresh", "logout", "replaced", ""].map(isSharedAction), [false, false, false, false]);
});
