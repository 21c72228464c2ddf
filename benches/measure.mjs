// Timing: rounds of all contenders take turns, so that whatever else the machine does hits each of them alike.

export const quick = Boolean(process.env.BENCH_QUICK);
export const ROUNDS = quick ? 5 : 31;
export const ROUND_MS = quick ? 8 : 25;

/**
 * CPU time of this thread in microseconds; undefined where the runtime does not tell. On a busy machine it is what remains
 * comparable. Linux brings a running thread's count up to date only when the whole process is asked for.
 */
function threadTime() {
  if (process.threadCpuUsage === undefined) return undefined;
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/**
 * Times contenders in turns and prints a line of JSON for each: `{ id, us, cpu }`, microseconds for one call by round, by the
 * clock and of CPU time. Contenders that answer with promises may work in other threads: they have no `cpu`.
 *
 * @param {{ id: string, call: (i: number) => unknown, async?: boolean }[]} contenders
 */
export async function race(contenders, { rounds = ROUNDS, ms = ROUND_MS } = {}) {
  const timed = contenders.map(({ id, call, async = false }) => ({ id, run: async ? manyAsync(call) : many(call), async, us: [], cpu: [] }));
  for (const one of timed) one.calls = await fill(one.run, ms);
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < timed.length; turn += 1) {
      const one = timed[(turn + round) % timed.length];
      const start = performance.now();
      if (one.async) {
        await one.run(one.calls);
      } else {
        const before = threadTime();
        one.run(one.calls);
        const after = threadTime();
        if (after !== undefined) one.cpu.push((after - before) / one.calls);
      }
      one.us.push(((performance.now() - start) * 1_000) / one.calls);
    }
  }
  for (const { id, us, cpu } of timed) emit({ id, us, cpu });
}

export const emit = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** How many calls fill `ms`, found by doing them, which also lets the engine optimise. */
async function fill(run, ms) {
  const until = performance.now() + 6 * ms;
  let calls = 1;
  for (;;) {
    const start = performance.now();
    await run(calls);
    const took = performance.now() - start;
    if (performance.now() > until && took > ms / 4) return Math.max(1, Math.round((calls * ms) / took));
    if (took < ms) calls *= 2;
  }
}

const many = (call) => (calls) => {
  for (let i = 0; i < calls; i += 1) call(i);
};

const manyAsync = (call) => async (calls) => {
  for (let i = 0; i < calls; i += 1) await call(i);
};

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
