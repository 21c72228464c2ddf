/** The end of a signature that distinguishes tokens, in characters; the whole text is compared as well. */
const TAIL = 24;

/**
 * A cache of verified tokens by their text. The core says how long a verdict holds with the same keys; when the keys change, the cache is
 * cleared. Only accepted tokens are inserted, so that an attacker cannot choose the place of an entry.
 */
export class VerdictCache {
  #entries = new Map();
  #capacity;

  /** `capacity`: the maximum number of tokens. */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** Returns the claims of a token whose verdict holds at `now` (milliseconds since 1970). */
  find(form, text, now) {
    const entry = this.#entries.get(text.slice(-TAIL));
    if (entry === undefined || entry.text !== text || entry.form !== form) return undefined;
    return now >= entry.from && now < entry.until ? entry.claims : undefined;
  }

  insert(form, text, { from, until }, claims) {
    if (this.#capacity === 0) return;
    const entries = this.#entries;
    // A copy: a slice would keep the larger text that it was cut from.
    const copy = ` ${text}`.slice(1);
    const tail = copy.slice(-TAIL);
    if (entries.size >= this.#capacity && !entries.has(tail)) entries.delete(entries.keys().next().value);
    entries.set(tail, { form, text: copy, from, until, claims });
  }

  clear() {
    this.#entries.clear();
  }
}
