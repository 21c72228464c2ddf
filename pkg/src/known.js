/** So many characters of a signature tell tokens apart; the whole text is compared all the same. */
const TAIL = 24;

/**
 * Verified tokens, for the next call with the same text. The core says how long a verdict stands as long as the keys are the same;
 * when the keys change, `clear` is called. A verdict is found only by the whole text and by how it was given, and a token gets in
 * only after the core accepted it, so that nobody chooses where it is kept.
 */
export class Known {
  #entries = new Map();
  #capacity;

  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** The claims of a token that is known to pass at this time. */
  find(form, text, now) {
    const entry = this.#entries.get(text.slice(-TAIL));
    if (entry === undefined || entry.text !== text || entry.form !== form) return undefined;
    return now >= entry.from && now < entry.until ? entry.claims : undefined;
  }

  keep(form, text, { from, until }, claims) {
    if (this.#capacity === 0) return;
    const entries = this.#entries;
    // A copy of its own: a text that was cut out of a larger one would keep that.
    const copy = ` ${text}`.slice(1);
    const tail = copy.slice(-TAIL);
    if (entries.size >= this.#capacity && !entries.has(tail)) entries.delete(entries.keys().next().value);
    entries.set(tail, { form, text: copy, from, until, claims });
  }

  clear() {
    this.#entries.clear();
  }
}
