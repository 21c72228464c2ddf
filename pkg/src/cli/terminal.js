// What the commands print: colours on terminals only, progress of what takes longer than a second, and errors without a stack.

/** A reason why a command cannot do its work: exit code 1. */
export class Failure extends Error {}

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {}

const PATIENCE_MS = 1_000;
const STYLES = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 };

/** Text from files and providers, fit for a terminal. */
export const printable = (text) => String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** The same in one line. No regular expression: one for the white space around line breaks takes quadratic time. */
export function inLine(text) {
  const lines = String(text).split("\n");
  const last = lines.length - 1;
  const trimmed = lines.map((line, index) => (index === 0 ? line : line.trimStart())).map((line, index) => (index === last ? line : line.trimEnd()));
  return printable(trimmed.filter((line, index) => line !== "" || index === 0 || index === last).join(" "));
}

/** JSON for the standard output: what could steer a terminal or reorder its text is escaped. `JSON.stringify` escapes U+0000–001F only. */
export const json = (value) => `${JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;

export class Terminal {
  #timer;
  #hasProgress = false;

  /** Whether colours are used: on a terminal, unless `NO_COLOR` is set. */
  static hasColours(stream) {
    return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  }

  print(text) {
    this.done();
    process.stdout.write(text);
  }

  /** Says on the standard error what a result that is printed lacks. */
  warn(text) {
    this.done();
    process.stderr.write(`edgeward: warning: ${text}\n`);
  }

  style(name, text) {
    return Terminal.hasColours(process.stdout) ? `\u001b[${STYLES[name]}m${text}\u001b[0m` : text;
  }

  /** Runs work, and says what it is about if it takes longer than a second. */
  async during(what, work) {
    this.done();
    this.#timer = setTimeout(() => {
      this.#hasProgress = true;
      process.stderr.write(process.stderr.isTTY ? `${inLine(what)} …` : `${inLine(what)} …\n`);
    }, PATIENCE_MS);
    try {
      return await work();
    } finally {
      this.done();
    }
  }

  /** Removes the progress. */
  done() {
    clearTimeout(this.#timer);
    if (this.#hasProgress && process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    this.#hasProgress = false;
  }
}
