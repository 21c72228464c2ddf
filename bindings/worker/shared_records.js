// The shared records of a Durable Object: identifiers that may be used once, and values that only grow. The same in Rust, in memory:
// src/oidc/shared_records.rs.

/** As in src/limits.rs. */
const MAX_SHARED_RECORDS = 10_000;
/** Pause between two deletions of expired records, in milliseconds. */
const DELETION_PAUSE_MS = 60_000;

const ACTIONS = ["once", "record", "read"];
export const isSharedAction = (action) => ACTIONS.includes(action);

export class SharedRecords {
  #storage;
  /** What is stored, read once, and again after an error: `records`, as `[value, until]` by id, and `hasAlarm`. */
  #loaded;

  constructor(storage) {
    this.#storage = storage;
  }

  async #read() {
    const [records, alarm] = await Promise.all([this.#storage.list(), this.#storage.getAlarm()]);
    return { records, hasAlarm: alarm !== null };
  }

  /** Performs an operation on what is stored. One that fails ends those that wait: what they have read may not be what is stored. */
  async #perform(operation) {
    const loaded = (this.#loaded ??= this.#read());
    try {
      const state = await loaded;
      if (this.#loaded !== loaded) throw new Error("the storage failed meanwhile");
      return await operation(state);
    } catch (error) {
      if (this.#loaded === loaded) this.#loaded = undefined;
      throw error;
    }
  }

  /** Returns the status and the former value. The runtime sends no response before all that was written is durable. */
  async handle(action, message) {
    const [, until, value, id] = /^(-?\d+) (-?\d+) (\S+)$/.exec(message) ?? [];
    if (id === undefined) return [400, ""];
    const answer = await this.#perform((state) => this.#change(state, action, id, Number(until), Number(value)));
    if (answer !== undefined) return answer;
    const left = await this.deleteExpired();
    return left < MAX_SHARED_RECORDS ? this.handle(action, message) : [507, ""];
  }

  /** Returns nothing if the object is full. */
  async #change(state, action, id, until, value) {
    const { records } = state;
    // Until everything is written, nothing is awaited: no other message comes between.
    const found = records.get(id);
    const former = found !== undefined && Date.now() < found[1] ? found : undefined;
    const text = former === undefined ? "" : String(former[0]);
    if (action === "read" || (action === "once" && former !== undefined)) return [200, text];
    if (found === undefined && records.size >= MAX_SHARED_RECORDS) return undefined;
    const record = [Math.max(value, former?.[0] ?? -Infinity), Math.max(until, former?.[1] ?? -Infinity)];
    records.set(id, record);
    const writes = [this.#storage.put(id, record)];
    if (!state.hasAlarm) {
      state.hasAlarm = true;
      writes.push(this.#storage.setAlarm(record[1]));
    }
    await Promise.all(writes);
    return [200, text];
  }

  /** Deletes what has expired, and sets the next alarm. Returns how many records are left. */
  deleteExpired() {
    return this.#perform((state) => this.#deleteExpired(state));
  }

  async #deleteExpired(state) {
    const { records } = state;
    const now = Date.now();
    const expired = [...records].filter(([, [, until]]) => until <= now).map(([id]) => id);
    for (const id of expired) records.delete(id);
    const writes = expired.map((id) => this.#storage.delete(id));
    state.hasAlarm = records.size > 0;
    const next = Math.max(now + DELETION_PAUSE_MS, Math.min(...[...records.values()].map(([, until]) => until)));
    writes.push(state.hasAlarm ? this.#storage.setAlarm(next) : this.#storage.deleteAll());
    await Promise.all(writes);
    return records.size;
  }
}
