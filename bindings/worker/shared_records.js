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
  /** The stored records, `[value, until]` by id; read once. */
  #records;
  #hasAlarm = false;

  constructor(storage) {
    this.#storage = storage;
  }

  async #load() {
    this.#records ??= this.#storage.list();
    this.#hasAlarm ||= (await this.#storage.getAlarm()) !== null;
    return this.#records;
  }

  /** Returns the status and the former value. The runtime sends no response before all that was written is durable. */
  async handle(action, message) {
    const [, until, value, id] = /^(-?\d+) (-?\d+) (\S+)$/.exec(message) ?? [];
    if (id === undefined) return [400, ""];
    const records = await this.#load();
    // From here to the writes, nothing is awaited: no other message comes between.
    const found = records.get(id);
    const former = found !== undefined && Date.now() < found[1] ? found : undefined;
    const text = former === undefined ? "" : String(former[0]);
    if (action === "read" || (action === "once" && former !== undefined)) return [200, text];
    if (found === undefined && records.size >= MAX_SHARED_RECORDS) {
      await this.deleteExpired();
      return records.size < MAX_SHARED_RECORDS ? this.handle(action, message) : [507, ""];
    }
    const record = [Math.max(Number(value), former?.[0] ?? -Infinity), Math.max(Number(until), former?.[1] ?? -Infinity)];
    records.set(id, record);
    const writes = [this.#storage.put(id, record)];
    if (!this.#hasAlarm) {
      this.#hasAlarm = true;
      writes.push(this.#storage.setAlarm(record[1]));
    }
    await Promise.all(writes);
    return [200, text];
  }

  /** Deletes what has expired, and sets the next alarm. */
  async deleteExpired() {
    const records = await this.#load();
    const now = Date.now();
    const expired = [...records].filter(([, [, until]]) => until <= now).map(([id]) => id);
    for (const id of expired) records.delete(id);
    const writes = expired.map((id) => this.#storage.delete(id));
    this.#hasAlarm = records.size > 0;
    const next = Math.max(now + DELETION_PAUSE_MS, Math.min(...[...records.values()].map(([, until]) => until)));
    writes.push(this.#hasAlarm ? this.#storage.setAlarm(next) : this.#storage.deleteAll());
    await Promise.all(writes);
  }
}
