#!/usr/bin/env node
// The command `edgeward`. A command's module is imported when it runs, so that the start stays quick.

import { parseArgs } from "node:util";
import { Failure, Terminal, UsageError, printable } from "./terminal.js";

const COMMANDS = {
  "init": { summary: "write a project with the gateway", load: () => import("./init.js") },
  "check": { summary: "report what is wrong with a configuration, and with its providers", load: () => import("./check.js") },
  "explain": { summary: "tell why a request would pass the gateway or not", load: () => import("./explain.js") },
  "keys": { summary: "list the keys of an issuer, and which of them can be used", load: () => import("./keys.js") },
  "verify": { summary: "verify a token against an issuer", load: () => import("./verify.js") },
  "dev-idp": { summary: "run an identity provider for development", load: () => import("./dev-idp.js") },
  "token": { summary: "get a token of that provider", load: () => import("./token.js") },
};

const HELP = `Edgeward: an OAuth and OpenID Connect gateway at the edge.

Usage: edgeward COMMAND [OPTION ...] [ARGUMENT ...]

Commands:
${Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(9)}${summary}`).join("\n")}

"edgeward COMMAND --help" shows the options of a command, with examples. "edgeward --version" prints the version.

Exit codes: 0 no problem, 1 problems found, 2 the command line is wrong.
`;

const terminal = new Terminal();

async function main([name, ...rest]) {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    terminal.print(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-v") {
    terminal.print(`${EDGEWARD_VERSION}\n`);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command ${JSON.stringify(printable(name))}; the commands are ${Object.keys(COMMANDS).join(", ")}`);
  const { help, options, maxArguments, run } = await command.load();
  let parsed;
  try {
    parsed = parseArgs({ args: rest, options: { ...options, help: { type: "boolean", short: "h" } }, allowPositionals: true, strict: true });
  } catch (error) {
    const [what] = error.message.split(/\. To specify|\.?\n/);
    const [, option] = /^Option '(--[\w-]+)' argument is ambiguous/.exec(what) ?? [];
    const message = option === undefined ? what : `${option}: write ${option}=VALUE for a value that begins with a dash`;
    throw new UsageError(`${message}; see "edgeward ${name} --help"`);
  }
  if (parsed.values.help) {
    terminal.print(help);
    return 0;
  }
  if (parsed.positionals.length > maxArguments) throw new UsageError(`there are too many arguments; see "edgeward ${name} --help"`);
  return run(parsed.values, parsed.positionals, terminal);
}

/** Exits once everything is written: what is still open, such as an idle connection, does not delay the end. */
function exit(code) {
  process.exitCode = code;
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

// A reader that has seen enough, such as `head`.
process.stdout.on("error", () => process.exit(0));

main(process.argv.slice(2)).then(exit, (error) => {
  terminal.done();
  const isExpected = error instanceof Failure || error instanceof UsageError;
  const message = isExpected ? error.message : `internal error: ${error?.message ?? error}`;
  process.stderr.write(`edgeward: ${printable(message)}\n`);
  exit(error instanceof UsageError ? 2 : 1);
});
