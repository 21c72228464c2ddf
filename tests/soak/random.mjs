// Seeded randomness: a seed gives the same choices in every run.

/** A generator (SplitMix64 for the seed's streams, xorshift128 for the numbers). `stream` makes independent ones from one seed. */
export function random(seed, stream = 0) {
  let mix = BigInt(seed) * 0x2545f4914f6cdd1dn + BigInt(stream);
  const word = () => {
    mix = BigInt.asUintN(64, mix + 0x9e3779b97f4a7c15n);
    let mixed = mix;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number(mixed & 0xffff_ffffn);
  };
  let [a, b, c, d] = [word() | 1, word(), word(), word()];
  const next = () => {
    const t = a ^ (a << 11);
    [a, b, c] = [b, c, d];
    d = d ^ (d >>> 19) ^ t ^ (t >>> 8);
    return d >>> 0;
  };
  const below = (bound) => next() % bound;
  return {
    below,
    pick: (list) => list[below(list.length)],
    /** True in `percent` of a hundred cases. */
    chance: (percent) => below(10_000) < percent * 100,
    /** The list in a random order. */
    shuffled(list) {
      const result = [...list];
      for (let at = result.length - 1; at > 0; at -= 1) {
        const other = below(at + 1);
        [result[at], result[other]] = [result[other], result[at]];
      }
      return result;
    },
  };
}
