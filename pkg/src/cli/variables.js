// The variables of a configuration: `$env.NAME`, `$secrets.NAME`, and those that stand in for keys.

import { closeSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseEnv } from "./env-file.js";
import { Failure, inLine, UsageError } from "./terminal.js";

/** The options of the commands that read a configuration. Node reads the file of `--env-file` before a script starts, and ends if there is none. */
export const VARIABLES_OPTIONS = {
  "vars": { type: "string", multiple: true }, "env-file": { type: "string", multiple: true }, "env": { type: "string", multiple: true }, "wrangler-env": { type: "string" },
};

/** The variables that stand in for keys (src/gateway/config), which the environment may give without being asked. */
const STAND_INS = [
  "APP_BASE_URL", "AUTH0_AUDIENCE", "AUTH0_BASE_URL", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_DOMAIN", "AUTH0_ISSUER", "AUTH0_ISSUER_BASE_URL", "AUTH0_SECRET",
];
/** Names of what is secret, whether a configuration calls it `$secrets` or `$env`. */
const SECRET_NAME = /SECRET|PASSWORD|CREDENTIAL|(^|_)(TOKEN|(API)?KEY)S?(_|$)/i;
/** Where an authorizer has what is sent in no address: keys, with `[]` for the elements of a list. */
const SECRET_PLACES = new Set([
  ["client_secret"], ["private_key"], ["jar", "private_key"], ["dpop_key"], ["dpop_nonce_secret"], ["decryption_keys", "[]", "key"], ["jwks"], ["issuers", "[]", "jwks"],
].map((place) => JSON.stringify(place)));
const MAX_FILE_BYTES = 1 << 20;

export const VARIABLES_HELP = `Variables come from the first of these that has them: the files of --vars, of which a later one precedes; the environment; .dev.vars
and the [vars] of wrangler.toml, wrangler.json or wrangler.jsonc beside FILE; with --wrangler-env NAME, those of its environment, and
.dev.vars.NAME if there is one. Of the environment, only names count that one
of these files or .dev.vars.example has, that stand in for keys, such as AUTH0_DOMAIN, or that --env gives. No secret is sent in an address.`;

/**
 * Returns a function that returns a variable by its name, or undefined; and the names it was asked for that the environment has, but may
 * not give: a configuration of someone else could send any of them to an address of its choice.
 */
export function variables({ vars = [], "env-file": envFiles = [], env = [], "wrangler-env": wranglerEnv }, configuration) {
  if (wranglerEnv !== undefined && !/^[\w-]+$/.test(wranglerEnv)) throw new UsageError(`--wrangler-env: ${JSON.stringify(inLine(wranglerEnv))} is not the name of an environment`);
  for (const name of env) {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw new UsageError(`--env: ${JSON.stringify(inLine(name))} is not the name of a variable`);
  }
  const beside = (name) => readIfPresent(join(dirname(configuration), name));
  const named = [...envFiles, ...vars].map((file) => {
    const text = readIfPresent(file);
    if (text === undefined) throw new Failure(`${file} cannot be read`);
    return parseEnv(text);
  });
  named.reverse();
  // As wrangler does: an environment inherits no variables.
  const development = (wranglerEnv === undefined ? undefined : beside(`.dev.vars.${wranglerEnv}`)) ?? beside(".dev.vars") ?? "";
  const local = [parseEnv(development), wranglerVariables(beside, wranglerEnv)];
  const declared = [...named, ...local, parseEnv(beside(".dev.vars.example") ?? "")].flatMap((source) => [...source.keys()]);
  const allowed = new Set([...declared, ...STAND_INS, ...env]);
  const environment = new Map(Object.entries(process.env).filter(([name]) => allowed.has(name)));
  const sources = [...named, environment, ...local];
  const withheld = new Set();
  const lookUp = (name) => {
    if (!allowed.has(name) && Object.hasOwn(process.env, name)) withheld.add(name);
    return sources.find((source) => source.has(name))?.get(name);
  };
  return { lookUp, withheld };
}

/** Adds to problems of variables that are not set how the environment may set them. */
export const hinted = (problems, withheld) => problems.map((problem) => {
  const [, name] = / (\S+) is not set$/.exec(problem.message) ?? [];
  return withheld.has(name) ? { ...problem, message: `${problem.message}; the environment has it: allow it with --env ${name}` } : problem;
});

/**
 * Returns a problem for each secret in a part of an authorizer that may be sent in an address: issuers, and what a login is begun with.
 * Addresses are logged by servers on their way.
 */
export function secretsInAddresses(text, { env = [] } = {}) {
  const problems = [];
  const look = (value, path, place) => {
    if (SECRET_PLACES.has(JSON.stringify(place))) return;
    if (typeof value === "string") {
      for (const [placeholder, kind, name] of value.matchAll(/\$(env|secrets?)\.(\w+)/g)) {
        const isSecret = kind !== "env" || (SECRET_NAME.test(name) && !env.includes(name));
        if (isSecret) problems.push({ path, message: `${placeholder} would be sent in an address: secrets belong in client_secret and the keys that sign or decrypt; for what is not secret, ${kind === "env" ? `use --env ${name}` : "write $env"}`, isError: true });
      }
    } else if (Array.isArray(value)) {
      value.forEach((one, index) => look(one, `${path}[${index}]`, [...place, "[]"]));
    } else if (typeof value === "object" && value !== null) {
      for (const [key, one] of Object.entries(value)) look(one, `${path}.${key}`, [...place, key]);
    }
  };
  const { authorizer, authorizers } = JSON.parse(text.replace(/^\ufeff/, ""));
  look(authorizer, "authorizer", []);
  for (const [name, one] of Object.entries(authorizers ?? {})) look(one, `authorizers.${name}`, []);
  return problems;
}

/** Reads a text file; a huge one, or a device without end, is refused. */
function readIfPresent(file) {
  const bytes = Buffer.alloc(MAX_FILE_BYTES + 1);
  let length = 0;
  try {
    const descriptor = openSync(file, "r");
    try {
      for (let read = 1; read > 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
  if (length > MAX_FILE_BYTES) throw new Failure(`${file} is too large`);
  return bytes.toString("utf8", 0, length);
}

/** Returns the variables of wrangler's configuration. */
function wranglerVariables(beside, environment) {
  const toml = beside("wrangler.toml");
  if (toml !== undefined) {
    if (environment !== undefined && !hasTomlEnvironment(toml, environment)) throw noEnvironment("wrangler.toml", environment);
    return parseTomlVariables(toml, environment);
  }
  for (const name of ["wrangler.json", "wrangler.jsonc"]) {
    const text = beside(name);
    if (text === undefined) continue;
    const document = parseJsonc(text, name);
    if (environment === undefined) return strings(document?.vars);
    if (!Object.hasOwn(document?.env ?? {}, environment)) throw noEnvironment(name, environment);
    return strings(document.env[environment]?.vars);
  }
  if (environment !== undefined) throw new Failure("--wrangler-env: there is no wrangler.toml, wrangler.json or wrangler.jsonc beside the configuration");
  return new Map();
}

const noEnvironment = (name, environment) => new Failure(`${name} has no environment ${JSON.stringify(environment)}`);

const strings = (object) => new Map(Object.entries(object ?? {}).filter(([, value]) => typeof value === "string"));

/** The name of a table or key, without the quotes and blanks of its parts. */
const plainName = (name) => name.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2")).join(".");

/** Whether a TOML document has an environment: a table of it, or a key with its name. */
function hasTomlEnvironment(text, environment) {
  const name = `env.${environment}`;
  return text.split("\n").some((line) => {
    const [, table, key] = /^\s*(?:\[\[?([^\]]*)\]|(env[^=]*)=)/.exec(line) ?? [];
    const found = table ?? key;
    return found !== undefined && (plainName(found) === name || plainName(found).startsWith(`${name}.`));
  });
}

/** Returns the strings of the table `vars` of a TOML document, or of an environment in it. */
export function parseTomlVariables(text, environment) {
  const parent = environment === undefined ? "" : `env.${environment}`;
  const within = parent === "" ? "vars" : `${parent}.vars`;
  const found = new Map();
  let inside = "";
  for (const untrimmed of text.split("\n")) {
    const line = untrimmed.trim();
    const table = /^\[\[?([^\]]*)\]/.exec(line);
    if (table !== null) inside = plainName(table[1]);
    const [, prefix, name, quoted] = /^((?:[\w."' -]+\.)?)\s*["']?([\w-]+)["']?\s*=\s*("(?:\\.|[^"\\])*"|'[^']*')\s*(?:#.*)?$/.exec(line) ?? [];
    if (name === undefined || [inside, plainName(prefix.replace(/\.$/, ""))].filter(Boolean).join(".") !== within) continue;
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
  // A string or comment without an end takes the rest: trying again at each of its characters would take quadratic time.
  const strict = text.replace(/("(?:\\[\s\S]|[^"\\])*(?:"|\\?$))|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g, (_, string) => string ?? " ").replace(/("(?:\\[\s\S]|[^"\\])*(?:"|\\?$))|,(?=\s*[}\]])/g, (_, string) => string ?? "");
  try {
    return JSON.parse(strict);
  } catch (error) {
    throw new Failure(`${name} is not JSON: ${inLine(error.message)}`);
  }
}
