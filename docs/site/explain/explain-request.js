// The explanation of what the form has, by the core of the command.

import { Configuration, maxConfigBytes, unusableKeys } from "../../../pkg/wasm-cli/edgeward.js";
import { parseEnv } from "../../../pkg/src/cli/env-file.js";
import { absolute, bareToken, explain, parseHeaders, passes } from "../../../pkg/src/cli/explanation.js";
import { located, placesOf } from "../../../pkg/src/cli/positions.js";
import { UsageError } from "../../../pkg/src/cli/terminal.js";
import { OfflineHost } from "./offline-host.js";

/**
 * Returns the `problems` of the configuration; if it has no error, the `result`, equal to that of `edgeward explain --reveal --json`; `passes`;
 * `missing`, the addresses of keys without which the result ends early; `keys`, those that cannot be used; `hasUsedKeys`; and the `token`,
 * decoded. Throws a `UsageError` for a form that is not filled in correctly.
 */
export async function explainRequest({ config, variables, method, url: target, token, headers: lines, keys: keySet, clock: time }) {
  const bytes = new TextEncoder().encode(config).length;
  if (bytes > maxConfigBytes()) throw new UsageError("the configuration is too large");
  const set = parseEnv(variables);
  const configuration = new Configuration(config, (name) => set.get(name));
  try {
    const found = JSON.parse(configuration.problems());
    const problems = located(found, placesOf(config, found), config);
    if (problems.some(({ isError }) => isError)) return { problems };
    const headers = parseHeaders(lines.split("\n").filter((line) => line.trim() !== ""));
    const bare = bareToken(token);
    if (bare !== "") {
      if (headers.has("authorization")) throw new UsageError("a token and a header Authorization exclude each other");
      headers.set("authorization", `Bearer ${bare}`);
    }
    if (target.trim() === "") throw new UsageError("the URL is empty");
    const url = absolute(target.trim(), configuration, headers);
    const issuers = JSON.parse(configuration.authorizers()).flatMap(({ issuers }) => issuers);
    const clock = instant(time);
    const host = new OfflineHost({ issuers, keySet: keySet.trim() === "" ? undefined : keySet, clock });
    const result = await explain(configuration, { method, url, headers }, host);
    const isUndecided = host.missing.size > 0 && result.checks.some(({ name, passed }) => name === "keys" && passed === false);
    return {
      problems,
      result: isUndecided ? undecided(result) : result,
      passes: passes(result),
      missing: isUndecided ? [...host.missing] : [],
      hasUsedKeys: host.hasUsedKeys,
      keys: host.hasUsedKeys ? unusable(keySet) : [],
      token: bare === "" ? undefined : decoded(bare),
      now: clock ?? Date.now(),
    };
  } finally {
    configuration.free();
  }
}

/** Nothing is told of what would follow the check of the signature. */
const undecided = ({ checks, ...more }) => ({ ...more, checks: checks.filter(({ name }) => name !== "keys"), verdict: { forwarded: false, undecided: true, headers: [] } });

/** Reads the clock: Unix seconds, or a date and time of ISO 8601; undefined if empty. */
function instant(text) {
  const given = text.trim();
  if (given === "") return undefined;
  const millis = /^\d+$/.test(given) ? Number(given) * 1_000 : Date.parse(given);
  if (Number.isNaN(new Date(millis).getTime())) throw new UsageError("the time is neither Unix seconds nor a date such as 2030-01-01T12:00:00Z");
  return millis;
}

/** Returns the keys of the set that cannot be used: `{ kid, reason }`. */
function unusable(keySet) {
  const reasons = JSON.parse(unusableKeys(keySet) ?? "[]");
  if (reasons.every((reason) => reason === null)) return [];
  const { keys } = JSON.parse(keySet.replace(/^\ufeff/, ""));
  return reasons.flatMap((reason, index) => (reason === null ? [] : [{ kid: keys[index]?.kid, reason }]));
}

/** Returns header and claims of a token, as it states them; undefined for what is no JWT. */
function decoded(token) {
  try {
    const [header, claims] = token.split(".").slice(0, 2).map((part) => JSON.parse(utf8(part)));
    return { header, claims };
  } catch {
    return undefined;
  }
}

function utf8(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}
