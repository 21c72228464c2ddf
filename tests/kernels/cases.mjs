// Runs cases of the RSA operation on a module of tests/kernels. The form of a case is described in tests/support/cases.rs.
// Without anything of Node's: it runs in workerd, too.

/** What the module imports: the table that its tool chain sets up and nothing here uses. */
const IMPORTS = { "./kernels_bg.js": { __wbindgen_init_externref_table() {} } };
const KERNELS = ["none", "fma", "integer"];

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** What ran: cases by kernel, and verdicts. `wrong` describes a case that came out wrong; then nothing more is run. */
export class Runner {
  kernels = {};
  accepted = 0;
  refused = 0;
  wrong;

  #wasm;
  #integer;
  #pointer = 0;
  #room = 0;
  #key = { n: new Uint8Array(0), e: new Uint8Array(0), kernel: "none" };
  #rest = new Uint8Array(0);

  /** `integer` demands that kernel. */
  constructor(module, { integer = false } = {}) {
    this.#wasm = new WebAssembly.Instance(module, IMPORTS).exports;
    this.#integer = integer;
  }

  /** Takes the next bytes, which may end within a case. */
  push(bytes) {
    let input = bytes;
    if (this.#rest.length > 0) {
      input = new Uint8Array(this.#rest.length + bytes.length);
      input.set(this.#rest);
      input.set(bytes, this.#rest.length);
    }
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    let start = 0;
    for (;;) {
      let at = start + 1;
      const strings = [];
      while (strings.length < 4 && at + 4 <= input.length) {
        const length = view.getUint32(at, true);
        if (at + 4 + length > input.length) break;
        strings.push(input.subarray(at + 4, at + 4 + length));
        at += 4 + length;
      }
      if (strings.length < 4) break;
      if (this.wrong === undefined) this.#run(input[start], strings);
      start = at;
    }
    this.#rest = input.slice(start);
  }

  /** What ran, as plain data. All bytes must have been whole cases. */
  report() {
    if (this.#rest.length > 0) throw new Error("the cases end within one");
    const { kernels, accepted, refused, wrong } = this;
    return { kernels, accepted, refused, wrong };
  }

  #write(...strings) {
    const length = strings.reduce((sum, string) => sum + string.length, 0);
    if (this.#room < length) this.#room = 2 * length;
    this.#pointer = this.#wasm.buffer(this.#room) >>> 0;
    const buffer = new Uint8Array(this.#wasm.memory.buffer, this.#pointer, this.#room);
    let at = 0;
    for (const string of strings) {
      buffer.set(string, at);
      at += string.length;
    }
  }

  #run(kind, [n, e, third, fourth]) {
    if (!equal(n, this.#key.n) || !equal(e, this.#key.e)) {
      this.#write(n, e);
      const kernel = KERNELS[this.#wasm.key(n.length, e.length, this.#integer)];
      this.#key = { n: n.slice(), e: e.slice(), kernel };
    }
    const { kernel } = this.#key;
    const input = `kernel ${kernel}: n ${hex(n)} e ${hex(e)}`;
    if (kind === 0) {
      this.#write(third);
      const done = this.#wasm.power(third.length);
      const out = new Uint8Array(this.#wasm.memory.buffer, this.#wasm.buffer(0) >>> 0, third.length);
      if (!done || !equal(out, fourth)) {
        this.wrong = `MISMATCH, ${input} s ${hex(third)}: ${done ? hex(out) : "refused"}, right is ${hex(fourth)}`;
      }
    } else {
      const scheme = (kind - 1) >> 1;
      const right = (kind - 1) % 2 === 1;
      this.#write(third, fourth);
      const accepted = this.#wasm.verify(scheme, third.length, fourth.length) === 1;
      if (accepted !== right) {
        this.wrong = `MISMATCH, ${input} scheme ${scheme} message ${hex(third)} signature ${hex(fourth)}: accepted is ${accepted}`;
      }
      this[accepted ? "accepted" : "refused"] += 1;
    }
    this.kernels[kernel] = (this.kernels[kernel] ?? 0) + 1;
  }
}
