// `make soak`: long runs of the built Worker in workerd. PART is one of the parts below, or all of them; each prints one line of JSON, and
// one of prose. MINUTES or COUNT say how long, RATE the requests in a second of `memory` or the tokens of `flood`; SEED repeats the choices
// of a run, but not its timing.

import { flood } from "./flood.mjs";
import { identity } from "./identity.mjs";
import { memory } from "./memory.mjs";
import { refresh } from "./refresh.mjs";
import { schedule } from "./schedule.mjs";

/** What the environment says; `fallback` if it says nothing. */
const number = (name, fallback) => {
  const given = process.env[name];
  if (!given) return fallback;
  if (!(Number(given) > 0)) throw new Error(`${name} is a positive number, not ${given}`);
  return Number(given);
};
const seed = number("SEED", 1);
/** Milliseconds of a block of the flood. */
const BLOCK_MS = 2000;

const parts = {
  identity: () => identity({ seed, count: number("COUNT", 1_000_000) }),
  // MINUTES of the flood with unknown key ids, RATE tokens of it in a second; the other blocks take twice as long.
  flood: () => flood({ seed, rounds: Math.ceil((number("MINUTES", 5) * 60_000) / BLOCK_MS), blockMs: BLOCK_MS, flood: number("RATE", 150), mostRatio: 1.3 }),
  schedule: () => schedule({ seed, seconds: number("MINUTES", 30) * 60 }),
  memory: () => memory({ seed, seconds: number("MINUTES", 60) * 60, rate: number("RATE", 400), progress: (line) => console.error(`soak: memory: ${line}`) }),
  refresh: () => refresh({ sessions: number("COUNT", 1000) }),
};

// An exit ends the runtimes, too; of itself, a signal would leave them.
process.once("SIGTERM", () => process.exit(143));

const chosen = process.env.PART ? process.env.PART.split(/[ ,]+/) : Object.keys(parts);
for (const part of chosen) {
  if (!Object.hasOwn(parts, part)) {
    console.error(`soak: there is no part ${part}; the parts are: ${Object.keys(parts).join(", ")}`);
    process.exit(2);
  }
}
for (const part of chosen) {
  const { prose, failures, ...figures } = await parts[part]();
  console.log(JSON.stringify({ part, seed, ...figures, failures: failures.length }));
  console.log(`soak: ${part}: ${failures.length === 0 ? "ok" : "FAILED"}: ${prose}`);
  for (const failure of failures) console.error(`soak: ${part}: ${failure}`);
  if (failures.length > 0) {
    const extent = ["MINUTES", "COUNT", "RATE"].filter((name) => process.env[name]).map((name) => ` ${name}=${process.env[name]}`).join("");
    console.error(`soak: repeat it with make soak PART=${part} SEED=${seed}${extent}`);
    process.exitCode = 1;
  }
}
