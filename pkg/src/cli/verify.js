// `edgeward verify`: a token against an issuer, by the verifier of the package.

import { createVerifier } from "edgeward";
import { standardInput } from "./document.js";
import { describe } from "./host.js";
import { inLine, json as asJson, UsageError } from "./terminal.js";

const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

export const help = `Verifies a token against the keys of an issuer, and shows its claims, or the check that failed.

Usage: edgeward verify --issuer URL --audience AUDIENCE [OPTION ...] [TOKEN]
       edgeward verify --id-token --issuer URL --client-id ID [OPTION ...] [TOKEN]

Without TOKEN it is read from the standard input, where no list of processes shows it.

  --issuer URL          the issuer, exactly as in the token
  --audience AUDIENCE   the API that the token must be for; may be repeated
  --id-token            the token is an ID token
  --client-id ID        the client that the ID token must be for
  --jwks-uri URL        the address of the keys, instead of discovery
  --algorithm NAME      an accepted algorithm; may be repeated; by default, all that are supported
  --scope SCOPE         a scope that the token must have; may be repeated
  --claim NAME=VALUE    a claim that the token must have; may be repeated
  --json                print the result as JSON; "valid" is true, false, or null for a token that cannot be verified

Examples:
  edgeward verify --issuer https://tenant.us.auth0.com/ --audience https://api.example.com < token.txt
  edgeward token | edgeward verify --issuer http://127.0.0.1:9400 --audience https://api.example.com

Exit codes: 0 the token is valid, 1 it is not, or cannot be verified, 2 the command line is wrong.
`;

export const options = {
  "issuer": { type: "string" },
  "audience": { type: "string", multiple: true },
  "id-token": { type: "boolean" },
  "client-id": { type: "string" },
  "jwks-uri": { type: "string" },
  "algorithm": { type: "string", multiple: true },
  "scope": { type: "string", multiple: true },
  "claim": { type: "string", multiple: true },
  "json": { type: "boolean" },
};
export const maxArguments = 1;

export async function run(values, [given], terminal) {
  const verifier = makeVerifier(values);
  const text = (given === undefined || given === "-" ? await standardInput() : given).trim();
  const { scope: scopes } = values;
  let token;
  try {
    token = await terminal.during(`verifying against ${values.issuer}`, () => verifier.verify(text, scopes === undefined ? undefined : { scopes }));
  } catch (error) {
    if (error.code === "options_invalid") throw new UsageError(error.message);
    refused(error, values.json, terminal);
    return 1;
  }
  const { header, payload } = token;
  if (values.json) {
    terminal.print(asJson({ valid: true, header, payload }));
  } else {
    terminal.print(`${terminal.style("green", "valid")}: signed by ${inLine(header.kid === undefined ? "a key without kid" : JSON.stringify(header.kid))} with ${inLine(header.alg)}\n`);
    for (const [name, value] of Object.entries(payload)) terminal.print(`  ${inLine(name)}: ${inLine(shown(name, value))}\n`);
  }
  return 0;
}

function makeVerifier({ issuer, audience, "id-token": isIdToken = false, "client-id": clientId, "jwks-uri": jwksUri, algorithm: algorithms = ALGORITHMS, scope, claim = [] }) {
  if (issuer === undefined) throw new UsageError("--issuer is required: a token is trusted only if it comes from an issuer that you name");
  if (isIdToken && clientId === undefined) throw new UsageError("--client-id is required for ID tokens: the client that they are for");
  if (isIdToken && (audience !== undefined || scope !== undefined)) throw new UsageError("--audience and --scope are for access tokens");
  if (!isIdToken && audience === undefined) throw new UsageError("--audience is required: the API that the token is for");
  const claims = claim.map((rule) => /^([^=]+)=(.*)$/s.exec(rule)?.slice(1) ?? rule);
  if (!claims.every(Array.isArray)) throw new UsageError("--claim: must be NAME=VALUE");
  const kind = isIdToken ? { kind: "id", clientId } : { audience };
  try {
    return createVerifier({ issuer, algorithms, ...kind, ...(jwksUri === undefined ? {} : { jwksUri }), ...(claims.length > 0 ? { claims: Object.fromEntries(claims) } : {}) });
  } catch (error) {
    throw new UsageError(inLine(error.message));
  }
}

function refused(error, json, terminal) {
  const { code, message, status, claim, expected, found, cause } = error;
  // Without keys, or without support for the algorithm, nothing is known of the token.
  const isJudged = status < 500;
  const reason = reasonOf(cause);
  if (json) {
    terminal.print(asJson({ valid: isJudged ? false : null, code, message, claim, expected, found, reason }));
    return;
  }
  terminal.print(`${isJudged ? terminal.style("red", "not valid") : terminal.style("yellow", "cannot be verified")}: ${inLine(code)}: ${inLine(message)}\n`);
  if (claim !== undefined) terminal.print(`  claim: ${inLine(claim)}\n`);
  if (expected !== undefined) terminal.print(`  expected: ${inLine(list(expected))}\n`);
  if (found !== undefined) terminal.print(`  found: ${inLine(list(found))}\n`);
  if (reason !== undefined) terminal.print(`  reason: ${inLine(reason)}\n`);
}

/** Why keys cannot be had. */
function reasonOf(cause) {
  if (!(cause instanceof Error)) return undefined;
  return cause.cause?.code !== undefined || cause.name === "TimeoutError" ? describe(cause, 5_000) : cause.message;
}

const list = (values) => (values.length === 0 ? "nothing" : values.join(", "));

const TIMES = ["exp", "iat", "nbf", "auth_time"];

function shown(name, value) {
  const time = TIMES.includes(name) && Number.isFinite(value) ? new Date(value * 1000) : undefined;
  return time !== undefined && !Number.isNaN(time.getTime()) ? `${value} (${time.toISOString()})` : JSON.stringify(value);
}
