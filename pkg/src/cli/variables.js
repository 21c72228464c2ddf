// The variables of a configuration: `$env.NAME`, `$secrets.NAME`, and those that stand in for keys.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure, inLine } from "./terminal.js";

/** The options of the commands that read a configuration. Node reads the file of `--env-file` before a script starts, and ends if there is none. */
export const VARIABLES_OPTIONS = { "vars": { type: "string", multiple: true }, "env-file": { type: "string", multiple: true } };

export const filesOf = ({ vars = [], "env-file": envFiles = [] }) => [...envFiles, ...vars];

export const VARIABLES_HELP = `Variables come from the first of these that has them: the files of --vars, of which a later one precedes; the environment; .dev.vars
and the [vars] of wrangler.toml, wrangler.json or wrangler.jsonc beside FILE. Their values are never printed.`;

/** Returns a function that returns a variable by its name, or undefined. */
export function variables(files, configuration) {
  const beside = (name) => readIfPresent(join(dirname(configuration), name));
  const named = files.map((file) => {
    const text = readIfPresent(file);
    if (text === undefined) throw new Failure(`${file} cannot be read`);
    return parseEnv(text);
  });
  const sources = [...named.reverse(), new Map(Object.entries(process.env)), parseEnv(beside(".dev.vars") ?? ""), wranglerVariables(beside)];
  return (name) => sources.find((source) => source.has(name))?.get(name);
}

function readIfPresent(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Reads lines `NAME=value`. A value in quotes may hold line breaks; in double quotes, `\n` is one. */
export function parseEnv(text) {
  const found = new Map();
  const line = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/gm;
  for (let match = line.exec(text); match !== null; match = line.exec(text)) {
    const quote = /["'`]/.test(text[line.lastIndex] ?? "") ? text[line.lastIndex] : undefined;
    const end = quote === undefined ? -1 : text.indexOf(quote, line.lastIndex + 1);
    if (end >= 0) {
      const value = text.slice(line.lastIndex + 1, end);
      found.set(match[1], quote === '"' ? value.replaceAll("\\n", "\n") : value);
      line.lastIndex = end + 1;
    } else {
      const rest = /.*/.exec(text.slice(line.lastIndex))[0];
      found.set(match[1], rest.replace(/(^|\s)#.*/, "").trim());
      line.lastIndex += rest.length;
    }
  }
  return found;
}

/** Returns the variables of wrangler's configuration. */
function wranglerVariables(beside) {
  const toml = beside("wrangler.toml");
  if (toml !== undefined) return parseTomlVariables(toml);
  for (const name of ["wrangler.json", "wrangler.jsonc"]) {
    const text = beside(name);
    if (text !== undefined) return strings(parseJsonc(text, name)?.vars);
  }
  return new Map();
}

const strings = (object) => new Map(Object.entries(object ?? {}).filter(([, value]) => typeof value === "string"));

/** Returns the strings of the table `vars` of a TOML document. */
export function parseTomlVariables(text) {
  const found = new Map();
  let isInside = false;
  for (const line of text.split(/\r?\n/)) {
    const table = /^\s*\[\[?\s*([^\]]*?)\s*\]/.exec(line);
    if (table !== null) isInside = table[1] === "vars";
    const [, prefix, name, quoted] = /^\s*(vars\s*\.\s*)?["']?([\w-]+)["']?\s*=\s*("(?:\\.|[^"\\])*"|'[^']*')\s*(?:#.*)?$/.exec(line) ?? [];
    if (name === undefined || !(isInside || prefix !== undefined)) continue;
    found.set(name, quoted[0] === "'" ? quoted.slice(1, -1) : unquote(quoted));
  }
  return found;
}

function unquote(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(1, -1);
  }
}

/** Reads JSON with comments and trailing commas. */
export function parseJsonc(text, name) {
  const strict = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string) => string ?? " ").replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, (_, string) => string ?? "");
  try {
    return JSON.parse(strict);
  } catch (error) {
    throw new Failure(`${name} is not JSON: ${inLine(error.message)}`);
  }
}
