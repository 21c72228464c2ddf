// `edgeward keys`: the keys that an issuer publishes, and which of them can be used.

import { core } from "./core.js";
import { Host } from "./host.js";
import { discover, isHttpUrl } from "./provider.js";
import { Failure, inLine, json as asJson, UsageError } from "./terminal.js";

export const help = `Lists the keys that an issuer publishes: which of them can verify signatures, and why not the others.

Usage: edgeward keys [--json] ISSUER
       edgeward keys [--json] --jwks-uri URL

  --jwks-uri URL    the address of the key set, where the issuer has no discovery document
  --json            print the keys as JSON

Examples:
  edgeward keys https://tenant.us.auth0.com/
  edgeward keys --jwks-uri https://www.googleapis.com/oauth2/v3/certs

Exit codes: 0 there is a usable key, 1 there is none, 2 the command line is wrong.
`;

export const options = { "jwks-uri": { type: "string" }, "json": { type: "boolean" } };
export const maxArguments = 1;

export async function run({ "jwks-uri": jwksUri, json = false }, [issuer], terminal) {
  if ((issuer === undefined) === (jwksUri === undefined)) throw new UsageError('give either an issuer or --jwks-uri; see "edgeward keys --help"');
  if (!isHttpUrl(issuer ?? jwksUri)) throw new UsageError(`${inLine(issuer ?? jwksUri)} is not an http or https URL`);
  const keys = await terminal.during(`fetching the keys of ${issuer ?? jwksUri}`, () => fetchKeys(issuer, jwksUri));
  const usable = keys.filter((key) => key.unusable === null).length;
  if (json) {
    terminal.print(asJson({ usable, keys }));
  } else {
    const rows = keys.map(({ kid, kty, alg, use, size, unusable }) => [kid, kty, alg, use, size, unusable === null ? "usable" : `not usable: ${unusable}`].map((cell) => inLine(cell ?? "–")));
    terminal.print(table([["kid", "kty", "alg", "use", "size", ""], ...rows], terminal));
    terminal.print(`${usable} of ${keys.length} keys can be used\n`);
  }
  return usable > 0 ? 0 : 1;
}

async function fetchKeys(issuer, jwksUri) {
  const host = new Host();
  let url = jwksUri;
  if (url === undefined) {
    const { metadata, problem } = await discover(issuer, host);
    if (problem !== undefined) throw new Failure(problem);
    url = metadata.jwks_uri;
    if (typeof url !== "string" || !isHttpUrl(url)) throw new Failure("the discovery document names no jwks_uri");
  }
  const { failure, status, text } = await host.get(url);
  if (failure !== undefined || status !== 200) throw new Failure(`${inLine(url)} cannot be fetched: ${failure ?? `status ${status}`}`);
  const reasons = core().unusableKeys(text);
  if (reasons === undefined) throw new Failure(`${inLine(url)} is not a key set`);
  const { keys } = JSON.parse(text.replace(/^\ufeff/, ""));
  return JSON.parse(reasons).map((unusable, index) => ({ ...described(keys[index]), unusable }));
}

/** What is told of a key. Nothing else of it is printed: it may have private members. */
function described(jwk) {
  const { kid, kty, alg, use, crv, n } = typeof jwk === "object" && jwk !== null ? jwk : {};
  const text = (value) => (typeof value === "string" ? value.slice(0, 100) : null);
  return { kid: text(kid), kty: text(kty), alg: text(alg), use: text(use), size: kty === "RSA" ? bits(n) : text(crv) };
}

/** The bits of a modulus. */
function bits(modulus) {
  if (typeof modulus !== "string") return null;
  const bytes = Buffer.from(modulus, "base64");
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? null : (bytes.length - first) * 8 - Math.clz32(bytes[first]) + 24;
}

function table(rows, terminal) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
  return `${terminal.style("bold", lines[0])}\n${lines.slice(1).map((line) => `${line}\n`).join("")}`;
}
