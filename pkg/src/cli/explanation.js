// The explanation of a decision, for the command and for the page in docs/site/explain.

import { inLine, UsageError } from "./terminal.js";

/** The integrations that ask the provider, or send the browser to it. */
const ASKING = new Set(["login", "callback", "logout", "userinfo", "refresh"]);
const WOULD_ASK = { forwarded: false, asksProvider: true, headers: [] };

/**
 * Explains the decision of a configuration without errors about a request. Returns the explanation, with `request` and `verdict`. The host
 * must be read-only: codes and refresh tokens are good for one use.
 */
export async function explain(configuration, { method, url, headers }, host) {
  const find = (name) => headers.get(name);
  const explanation = JSON.parse(await configuration.explain(method, url, find, host));
  const failed = explanation.checks.find(({ passed }) => passed === false);
  const result = (verdict) => ({ request: { method, url }, ...explanation, verdict });
  const isLeft = explanation.checks.some(({ undecided }) => undecided === "provider");
  if (isLeft || (failed === undefined && ASKING.has(explanation.route?.integration))) return result(WOULD_ASK);
  const answer = JSON.parse(await configuration.handle(method, url, [...headers.keys()], find, host));
  // A session that is due: the host has refused to refresh it, so that what follows is not what the Worker would answer.
  return result(host.wouldAsk ? WOULD_ASK : verdictOf(answer, headers, failed?.code, host.warnings));
}

/** Whether the gateway forwards the request, serves it, or would ask the provider. */
export function passes({ checks, verdict }) {
  const hasPassed = verdict.forwarded || verdict.asksProvider || verdict.status < 400;
  // A route that only observes lets pass what fails a check.
  const isRefused = verdict.observed === undefined && !verdict.asksProvider && checks.some(({ passed }) => passed === false);
  return hasPassed && !isRefused;
}

export function checkMethod(method) {
  if (!/^[A-Za-z!#$%&'*+.^_`|~-]+$/.test(method)) throw new UsageError(`${JSON.stringify(inLine(method))} is not a method`);
}

/** Returns the headers of lines `Name: value`, by name in lower case, joined as HTTP/1.1 has them. */
export function parseHeaders(lines) {
  const headers = new Map();
  for (const [index, line] of lines.entries()) {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) throw new UsageError(`header ${index + 1}: write "Name: value"`);
    const key = name.toLowerCase();
    headers.set(key, headers.has(key) ? `${headers.get(key)}${key === "cookie" ? "; " : ", "}${value}` : value);
  }
  return headers;
}

/** Returns a token without the white space and the scheme that were copied with it. */
export const bareToken = (text) => text.trim().replace(/^Bearer +/i, "");

/** Returns the URL of the request. Nothing in it is normalized. */
export function absolute(target, configuration, headers) {
  if (/^https?:\/\/[^/?#]/i.test(target)) return target;
  if (!target.startsWith("/")) throw new UsageError(`${JSON.stringify(inLine(target))} is neither an http or https URL nor a path`);
  const { redirectUri } = JSON.parse(configuration.authorizers()).find((one) => one.redirectUri !== null) ?? {};
  const origin = redirectUri === undefined ? "https://localhost" : new URL(redirectUri).origin;
  return headers.has("host") ? `${origin.split("://")[0]}://${headers.get("host")}${target}` : `${origin}${target}`;
}

/** `failed`: the code of the check that failed, which pages for browsers have in their text only. */
function verdictOf({ status, headers, body, url, binding, set, dropped }, given, failed, warnings) {
  if (url !== undefined) {
    const setNames = set.map(([name]) => name.toLowerCase());
    const kept = [...given].filter(([name]) => !dropped.includes(name) && !setNames.includes(name));
    return { forwarded: true, url, ...(binding === null ? {} : { binding }), ...observedOf([], warnings), headers: [...kept, ...set], dropped };
  }
  const type = headers.find(([name]) => name.toLowerCase() === "content-type")?.[1].split(";")[0].trim().toLowerCase();
  const { code = failed, detail } = type === "application/problem+json" ? problemOf(body) : { code: type === "text/html" && status >= 400 ? failed ?? /<code>([a-z0-9_]+)<\/code>/.exec(body)?.[1] : failed };
  const observed = observedOf(headers, warnings);
  // The response is that of the route; the code is that of the refusal which it did not make.
  return { forwarded: false, status, ...(code === undefined || observed.observed !== undefined ? {} : { code }), ...(detail === undefined ? {} : { detail }), ...observed, headers };
}

/** The code of the refusal that a route which only observes did not make. */
function observedOf(headers, warnings) {
  const ofHeader = headers.find(([name]) => name.toLowerCase() === "x-edgeward-observed")?.[1];
  // A forwarded request gets the header with its response only; the log tells it now.
  const observed = ofHeader ?? warnings.map((line) => /^observed: (\w+) \(/.exec(line)?.[1]).find(Boolean);
  return observed === undefined ? {} : { observed };
}

/** Returns the code and the detail of a problem (RFC 9457). */
function problemOf(body) {
  try {
    const { code, detail } = JSON.parse(body);
    return Object.fromEntries(Object.entries({ code, detail }).filter(([, value]) => typeof value === "string"));
  } catch {
    return {};
  }
}
