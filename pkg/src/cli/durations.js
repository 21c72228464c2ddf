// Durations such as 30s, 15m, 2h and 2d.

import { inLine, UsageError } from "./terminal.js";

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The longest time that a timer can wait. */
const MAX_MS = 2 ** 31 - 1;

/** Returns the milliseconds of a duration of at most 24 days, which may be negative if it `isShift` of a clock. */
export function milliseconds(option, text, isShift = false) {
  const [, sign, number, unit] = /^([+-]?)(\d{1,9})([smhd])$/.exec(text) ?? [];
  const amount = number * UNITS[unit];
  const isTooLong = !isShift && amount > MAX_MS;
  if (number === undefined || isTooLong || (sign !== "" && !isShift)) {
    throw new UsageError(`${option}: ${JSON.stringify(inLine(text))} is not ${isShift ? "a shift, such as +2d or -90s" : "a duration of at most 24 days, such as 30s, 15m or 2h"}`);
  }
  return sign === "-" ? -amount : amount;
}
