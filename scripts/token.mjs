// Prints a fresh access token of the provider that `make dev` runs. SCOPE: its scopes, separated by spaces.

import { pathToFileURL } from "node:url";

export const PROVIDER_PORT = 9400;

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();

async function main() {
  const { AUDIENCE, CLIENT_SECRET, clientFor } = await import("../tests/node/support/provider.mjs");
  const url = `http://127.0.0.1:${process.env.EDGEWARD_PROVIDER_PORT || PROVIDER_PORT}/token`;
  const form = { grant_type: "client_credentials", client_id: clientFor("RS256"), client_secret: CLIENT_SECRET, resource: AUDIENCE };
  const body = new URLSearchParams({ ...form, ...(process.env.SCOPE && { scope: process.env.SCOPE }) });
  const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  if (!answer) fail(`no provider at ${url}: run make dev in another terminal; with another port, pass the same EDGEWARD_PROVIDER_PORT`);
  const { access_token: token, error, error_description: description } = await answer.json().catch(() => ({}));
  if (!answer.ok || !token) fail(`the provider answered ${answer.status} ${error ?? ""}: ${description ?? ""}`);
  console.log(token);
}

function fail(message) {
  console.error(`token: ${message}`);
  process.exit(1);
}
