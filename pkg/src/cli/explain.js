// `edgeward explain`: why a request would pass the gateway or not, by the gateway itself.

import { core } from "./core.js";
import { readDocument, standardInput } from "./document.js";
import { absolute, bareToken, checkMethod, explain, parseHeaders, passes } from "./explanation.js";
import { Host } from "./host.js";
import { Failure, inLine, json as asJson, UsageError } from "./terminal.js";
import { hinted, secretsInAddresses, variables, VARIABLES_HELP, VARIABLES_OPTIONS } from "./variables.js";

export const help = `Tells why a request would pass the gateway or not: the readings of its path and their routes, each check with what is expected and
what was found, the verdict, and the headers that would be sent on. Nothing is forwarded and no login step is made; keys are fetched.

Usage: edgeward explain [--config FILE] [-H "NAME: VALUE" ...] [OPTION ...] METHOD URL

URL may be a path, which is taken literally, with the origin of the configuration's redirect_uri, or https://localhost.

  --config FILE            the configuration, edgeward.json by default
  -H, --header HEADER      a header of the request; may be repeated
  --token-file FILE        send the token in this file as the bearer token; - is the standard input
  --reveal                 show values that may be personal or secret: claims, and the headers that would be sent
  --json                   print the explanation as JSON
  --vars FILE              read variables from this file, with lines NAME=value; may be repeated; --env-file is the same
  --env NAME               let the configuration use this variable of the environment; may be repeated
  --wrangler-env NAME      read the variables of this environment of wrangler's configuration

${VARIABLES_HELP.replace("FILE", "the configuration")}

Examples:
  edgeward explain GET /api/items
  edgeward explain --token-file token.txt GET /api/items
  edgeward explain --config edgeward.json -H "Accept: text/html" -H "Sec-Fetch-Mode: navigate" GET https://app.example.com/account

Where the gateway would ask the provider, as for a login step, userinfo, an opaque token, a token for an upstream or a session that is due, the
explanation ends. Of revocations, none is assumed.

Exit codes: 0 the gateway forwards the request, serves it or would ask the provider, 1 it refuses it, or the configuration is invalid, 2 the
command line is wrong.
`;

export const options = {
  "config": { type: "string" },
  "header": { type: "string", short: "H", multiple: true },
  "token-file": { type: "string" },
  "reveal": { type: "boolean" },
  "json": { type: "boolean" },
  ...VARIABLES_OPTIONS,
};
export const maxArguments = 2;

/** The checks whose values are of a token's form and rights. Those of others are claims, which may be personal. */
const PUBLIC_CHECKS = new Set(["signature", "iss", "aud", "exp", "nbf", "iat", "alg", "typ", "scopes", "permissions", "roles", "audience", "credentials", "token", "revocation", "upstream_auth"]);
/** The headers that tell nothing about the caller. */
const PUBLIC_HEADERS = new Set(["x-forwarded-host", "x-forwarded-proto", "content-type", "cache-control", "www-authenticate", "x-edgeward-observed", "allow", "vary", "retry-after", "referrer-policy"]);
const HIDDEN = "(hidden)";
const MAX_TOKEN_FILE_BYTES = 1 << 20;

export async function run({ config: file = "edgeward.json", header = [], "token-file": tokenFile, reveal = false, json = false, ...values }, [method, target], terminal) {
  if (target === undefined) throw new UsageError('give a method and a URL; see "edgeward explain --help"');
  checkMethod(method);
  const headers = parseHeaders(header);
  if (tokenFile !== undefined) {
    if (headers.has("authorization")) throw new UsageError("--token-file and a header Authorization exclude each other");
    headers.set("authorization", `Bearer ${await readToken(tokenFile)}`);
  }
  const { text, problem } = await readDocument(file, core().maxConfigBytes());
  if (problem !== undefined) throw new Failure(`${file}: ${problem}`);
  const { lookUp, withheld } = variables(values, file);
  const configuration = new (core().Configuration)(text, lookUp);
  const errors = hinted(JSON.parse(configuration.problems()), withheld).filter(({ isError }) => isError);
  if (errors.length > 0) throw new Failure(`${file} has ${errors.length} error${errors.length === 1 ? "" : "s"}, and every request is answered 503: see "edgeward check ${inLine(file)}"${errors.filter(({ message }) => message.includes("; the environment has it: ")).map(({ message }) => `; ${inLine(message)}`).join("")}`);
  const [unsafe] = secretsInAddresses(text, values);
  if (unsafe !== undefined) throw new Failure(`${file}: ${unsafe.path}: ${unsafe.message}`);
  const url = absolute(target, configuration, headers);
  const host = new Host({ isReadOnly: true });
  const result = await terminal.during("fetching keys", () => explain(configuration, { method, url, headers }, host));
  const shown = reveal ? result : redacted(result);
  if (json) terminal.print(asJson(shown));
  else print(shown, host, terminal);
  return passes(result) ? 0 : 1;
}

async function readToken(file) {
  const { text, problem } = file === "-" ? { text: await standardInput() } : await readDocument(file, MAX_TOKEN_FILE_BYTES);
  if (problem !== undefined) throw new Failure(`${file}: ${problem}`);
  return bareToken(text);
}

/** Leaves out what may be secret or personal. */
function redacted({ request, checks, verdict, ...more }) {
  const hidden = (value) => (value === "" ? value : HIDDEN);
  const value = (name, text) => {
    if (PUBLIC_HEADERS.has(name.toLowerCase())) return text;
    return name === "location" ? withoutQuery(text) : HIDDEN;
  };
  return {
    request: { ...request, url: withoutQuery(request.url) },
    ...more,
    checks: checks.map((check) => (PUBLIC_CHECKS.has(check.name) ? check : { ...check, found: hidden(check.found) })),
    verdict: {
      ...verdict,
      ...(verdict.url === undefined ? {} : { url: withoutQuery(verdict.url) }),
      headers: verdict.headers.map(([name, text]) => [name, value(name, text)]),
    },
  };
}

/** A query may hold codes and states. */
const withoutQuery = (url) => url.replace(/[?#].*$/s, (query) => `${query[0]}${HIDDEN}`);

function print({ request, readings, route, checks, verdict }, host, terminal) {
  const say = (text) => terminal.print(`${text}\n`);
  say(`${terminal.style("bold", inLine(request.method))} ${inLine(request.url)}`);
  for (const { path, isMain, routes } of readings) {
    const matched = routes.length === 0 ? "no single route" : routes.map((one) => one ?? "no route").join(" or ");
    say(`  read as   ${inLine(path)} → ${inLine(matched)}${isMain && readings.length > 1 ? " (decides)" : ""}`);
  }
  if (route !== undefined) say(`  route     ${inLine(route.path)}: auth ${inLine(route.auth)}, credentials ${inLine(route.credentials)}, ${inLine(route.integration)}${route.observe ? ", only observes" : ""}`);
  for (const { name, passed, undecided, expected, found, code, message } of checks) {
    const mark = undecided ? terminal.style("yellow", "open  ") : passed ? terminal.style("green", "ok    ") : terminal.style("red", "failed");
    const compared = [expected && `expected ${inLine(expected)}`, found && `found ${inLine(found)}`].filter(Boolean).join("; ");
    const reason = passed !== false ? "" : `${inLine(code)}: ${inLine(message)}`;
    say(`  ${mark}    ${inLine(name)}${compared || reason ? ": " : ""}${[reason, compared].filter(Boolean).join("; ")}`);
  }
  const failed = host.exchanges.filter(({ failure, status }) => failure !== undefined || status !== 200).map(({ url, failure, status }) => `${inLine(url)}: ${inLine(failure ?? `status ${status}`)}`);
  for (const one of new Set(failed)) say(`  fetched   ${one}`);
  if (verdict.observed !== undefined) say(`  observed  ${terminal.style("yellow", `${inLine(verdict.observed)} would have been refused`)}`);
  if (verdict.asksProvider) say("  verdict   would ask the provider");
  else if (verdict.forwarded) {
    say(`  verdict   ${terminal.style("green", "forwarded")} to ${verdict.binding === undefined ? "" : `the service ${inLine(verdict.binding)}, `}${inLine(verdict.url)}`);
    if (verdict.dropped.length > 0) say(`  dropped   ${inLine(verdict.dropped.join(", "))}`);
  } else {
    const result = `${verdict.status}${verdict.code === undefined ? "" : ` ${inLine(verdict.code)}`}`;
    say(`  verdict   ${terminal.style(verdict.status < 400 ? "green" : "red", result)}${verdict.detail === undefined ? "" : `: ${inLine(verdict.detail)}`}`);
  }
  for (const [name, value] of verdict.headers) say(`  header    ${inLine(name)}: ${inLine(value)}`);
}
