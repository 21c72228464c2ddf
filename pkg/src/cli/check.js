// `edgeward check`: what the Worker would report of a configuration, with line and column, and what its providers tell.

import { core } from "./core.js";
import { readDocument } from "./document.js";
import { located, placesOf } from "./positions.js";
import { inLine, json as asJson, UsageError } from "./terminal.js";
import { hinted, secretsInAddresses, variables, VARIABLES_HELP, VARIABLES_OPTIONS } from "./variables.js";

export const help = `Reports every problem of configurations, as the Worker would. Unless --offline is given, it then asks their providers: discovery, the
spelling of the issuer, keys, the redirect address of the login, the clock.

Usage: edgeward check [--offline] [--json | --sarif] [--vars FILE] [--env NAME]
                      [--wrangler-env NAME] [FILE ...]

Without FILE, it checks edgeward.json.

  --offline         no network
  --json            print the problems as JSON
  --sarif           print the problems as SARIF 2.1.0, for code scanning
  --vars FILE       read variables from this file, with lines NAME=value; may be repeated; --env-file is the same
  --env NAME        let the configuration use this variable of the environment; may be repeated
  --wrangler-env NAME
                    read the variables of this environment of wrangler's configuration

${VARIABLES_HELP}

Examples:
  edgeward check
  edgeward check --offline --vars .env.production config/edgeward.json
  edgeward check --offline --sarif > edgeward.sarif

Exit codes: 0 no error (there may be warnings), 1 errors, 2 the command line is wrong.
`;

export const options = {
  "offline": { type: "boolean" },
  "json": { type: "boolean" },
  "sarif": { type: "boolean" },
  ...VARIABLES_OPTIONS,
};
export const maxArguments = Infinity;

export async function run({ offline = false, json = false, sarif = false, ...values }, files, terminal) {
  if (json && sarif) throw new UsageError("--json and --sarif exclude each other");
  const reports = [];
  for (const file of files.length === 0 ? ["edgeward.json"] : files) {
    const report = { file, ...(await terminal.during(`checking ${file}`, () => check(file, values, offline))) };
    reports.push(report);
    if (!json && !sarif) print(report, offline, terminal);
  }
  const problems = reports.flatMap((report) => report.problems.map((problem) => ({ file: report.file, ...problem })));
  const errors = problems.filter(({ isError }) => isError).length;
  const warnings = problems.length - errors;
  if (json) {
    const listed = problems.map(({ file, path, message, isError, source, line, column }) => ({ file, line, column, severity: isError ? "error" : "warning", source, path, message }));
    const facts = reports.flatMap((report) => report.facts.map((text) => ({ file: report.file, text })));
    terminal.print(asJson({ errors, warnings, problems: listed, facts }));
  } else if (sarif) {
    const { sarifOf } = await import("./sarif.js");
    terminal.print(asJson(sarifOf(problems)));
  } else if (problems.length > 0) {
    const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
    terminal.print(`${plural(errors, "error")}, ${plural(warnings, "warning")}\n`);
  }
  return errors > 0 ? 1 : 0;
}

function print({ file, problems, facts }, isOffline, terminal) {
  for (const { path, message, isError, line, column } of problems) {
    const where = line === null ? inLine(file) : `${inLine(file)}:${line}:${column}`;
    const kind = isError ? terminal.style("red", "error") : terminal.style("yellow", "warning");
    terminal.print(`${terminal.style("bold", where)}: ${kind}: ${path === "" ? "" : `${inLine(path)}: `}${inLine(message)}\n`);
  }
  for (const fact of facts) terminal.print(`${terminal.style("dim", inLine(fact))}\n`);
  if (problems.length === 0) terminal.print(`${inLine(file)}: ${terminal.style("green", "no problems")}${isOffline ? "; the providers were not asked" : ""}\n`);
}

/** Checks a file; `values` are the options of its variables. The problems of the document come first, those of the providers only if it has no error. */
export async function check(file, values, isOffline) {
  const { text, problem } = await readDocument(file, core().maxConfigBytes());
  if (problem !== undefined) return { problems: [{ path: "", message: problem, isError: true, source: "configuration", line: 1, column: 1 }], facts: [] };
  const { lookUp, withheld } = variables(values, file);
  const configuration = new (core().Configuration)(text, lookUp);
  const found = hinted(JSON.parse(configuration.problems()), withheld);
  // Without network, nothing is fetched.
  if (!isOffline && !found.some(({ isError }) => isError)) found.push(...secretsInAddresses(text, values));
  const own = found.map((problem) => ({ ...problem, source: "configuration" }));
  const hasErrors = own.some(({ isError }) => isError);
  const places = own.length > 0 || !isOffline ? placesOf(text, own) : new Map();
  let asked = { problems: [], facts: [] };
  if (!hasErrors && !isOffline) {
    const { checkProviders } = await import("./live.js");
    asked = await checkProviders(configuration, places);
  }
  const problems = [...own, ...asked.problems.map((problem) => ({ ...problem, source: "provider" }))];
  return { problems: located(problems, places, text), facts: asked.facts };
}
