// The statistics of the long runs.

/** The quantile `q` of these numbers, by the nearest rank. */
export function quantile(numbers, q) {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}

export const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/**
 * The 95 % interval of a statistic of several lists of blocks, by resampling the rounds: `rounds` is a list of tuples of lists of
 * numbers, one list for each kind, and `statistic` gets the pooled lists.
 */
export function bootstrap(rounds, statistic, rng, times = 200) {
  const pooled = (chosen) => rounds[0].map((_, kind) => chosen.flatMap((round) => round[kind]));
  const values = Array.from({ length: times }, () => statistic(...pooled(rounds.map(() => rng.pick(rounds)))));
  return [quantile(values, 0.025), quantile(values, 0.975)];
}

/**
 * The least-squares slope of `values` over `times`, with its 95 % interval. Neighbouring samples of a process resemble each other, which
 * makes the usual interval too narrow: it is widened by their correlation.
 */
export function slope(times, values) {
  const count = times.length;
  const [midTime, midValue] = [mean(times), mean(values)];
  const spread = times.reduce((sum, time) => sum + (time - midTime) ** 2, 0);
  const slope = times.reduce((sum, time, at) => sum + (time - midTime) * (values[at] - midValue), 0) / spread;
  const residuals = values.map((value, at) => value - midValue - slope * (times[at] - midTime));
  const squares = residuals.reduce((sum, one) => sum + one ** 2, 0);
  const products = residuals.slice(1).reduce((sum, one, at) => sum + one * residuals[at], 0);
  const correlation = squares > 0 ? Math.min(0.9, Math.max(0, products / squares)) : 0;
  const widening = Math.sqrt((1 + correlation) / (1 - correlation));
  const half = studentT(count - 2) * Math.sqrt(squares / (count - 2) / spread) * widening;
  return { slope, low: slope - half, high: slope + half, correlation };
}

/**
 * The mean slope of `values`, with the 95 % interval of the mean of their differences. For what moves in steps and stays there, as an allocator
 * which takes memory from the system: a line through steps without any trend has a slope that differs from zero far more often than its
 * interval says.
 */
export function drift(times, values) {
  const slopes = values.slice(1).map((value, at) => (value - values[at]) / (times[at + 1] - times[at]));
  const slope = mean(slopes);
  const squares = slopes.reduce((sum, one) => sum + (one - slope) ** 2, 0);
  const half = studentT(slopes.length - 1) * Math.sqrt(squares / (slopes.length - 1) / slopes.length);
  return { slope, low: slope - half, high: slope + half };
}

/** The 97.5 % quantile of Student's distribution (Cornish and Fisher's expansion). */
function studentT(freedom) {
  const z = 1.959964;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2)
    + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3);
}
