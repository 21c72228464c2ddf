// What only the providers can tell: whether they are reachable, how they spell their issuer, which keys they publish, whether they
// accept the login; and whether the local clock agrees with theirs.

import { Host } from "./host.js";
import { discover, isHttpUrl, shown } from "./provider.js";
import { inLine } from "./terminal.js";

/** Browsers accept cookies of up to this size, name and attributes included (RFC 6265 §6.1). */
const MAX_COOKIE_BYTES = 4096;
/** A clock that differs by less is as good as another. */
const MAX_SKEW_MS = 30_000;

/** Checks the providers of a valid configuration. Returns problems and facts. */
export async function checkProviders(configuration, places) {
  // Someone else's configuration may name any address: no credentials are sent.
  const host = new Host({ isReadOnly: true });
  const authorizers = JSON.parse(configuration.authorizers());
  const keysLoaded = configuration.loadKeys(host).then(JSON.parse);
  const found = await Promise.all(authorizers.map((authorizer, index) => checkAuthorizer(authorizer, index, { configuration, host, keysLoaded, places })));
  const problems = found.flatMap((one) => one.problems);
  const facts = found.flatMap((one) => one.facts);
  problems.push(...clock(host));
  for (const warning of host.warnings.filter((line) => line.startsWith("algorithms_differ: "))) {
    problems.push({ path: "authorizer.algorithms", message: warning.replace(/^\w+: /, ""), isError: false });
  }
  return { problems, facts };
}

async function checkAuthorizer({ issuers, loginIssuer, loginUrl, redirectUri }, index, context) {
  const { host, keysLoaded, places } = context;
  const base = authorizerPlace(places, index);
  const problems = [];
  const facts = [];
  const all = [...new Set([...issuers, ...(loginIssuer === null ? [] : [loginIssuer])])];
  const discovered = new Map(await Promise.all(all.filter((issuer) => isHttpUrl(issuer) && !issuer.includes("{")).map(async (issuer) => [issuer, await discover(issuer, host)])));
  const caches = (await keysLoaded)[index];
  for (const [number, issuer] of all.entries()) {
    const place = issuerPlace(places, base, number);
    const { problem, found, status } = discovered.get(issuer) ?? {};
    const cache = caches.find((one) => one.issuer === issuer);
    const needsDiscovery = cache?.code?.startsWith("discovery_") || (cache === undefined && problem !== undefined);
    if (found !== undefined) {
      const isSpelling = simplified(found) === simplified(issuer);
      const advice = isSpelling ? `: write ${shown(found)}, or its tokens are refused` : "";
      problems.push({ path: place, message: problem + advice, isError: isSpelling || needsDiscovery });
    } else if (problem !== undefined && (needsDiscovery || status === undefined)) {
      problems.push({ path: place, message: problem, isError: needsDiscovery });
    }
    if (cache === undefined) continue;
    const usable = cache.keys.filter((key) => key.unusable === null);
    if (cache.code !== null && !(needsDiscovery && problem !== undefined)) {
      const last = host.exchanges.findLast(({ url, failure, status }) => !url.endsWith("/openid-configuration") && isSameSite(url, issuer) && (failure !== undefined || status !== 200));
      const detail = cache.reason ?? (last === undefined ? undefined : `${last.url}: ${last.failure ?? `status ${last.status}`}`);
      problems.push({ path: place, message: detail === undefined ? cache.message : `${cache.message}: ${detail}`, isError: true });
    } else if (cache.code === null && usable.length === 0) {
      const reasons = cache.keys.map((key) => `${key.kid === null ? "without kid" : shown(key.kid)}: ${key.unusable}`);
      problems.push({ path: place, message: `none of the issuer's keys can be used: ${reasons.join("; ")}`, isError: true });
    } else if (cache.code === null) {
      facts.push(`issuer ${inLine(issuer)}: ${usable.length} of ${cache.keys.length} keys can be used`);
    }
  }
  const isReachable = !problems.some(({ isError }) => isError);
  if (loginUrl !== null && isReachable) await checkLogin(loginUrl, redirectUri, base, context, problems, facts);
  return { problems, facts };
}

/** Begins a login as a browser does, and asks the provider whether it accepts the client and the redirect address. */
async function checkLogin(loginUrl, redirectUri, base, { configuration, host: { exchanges, warnings } }, problems, facts) {
  const host = Object.assign(new Host({ isReadOnly: true }), { exchanges, warnings });
  const headers = { "accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none" };
  const answer = JSON.parse(await configuration.handle("GET", loginUrl, Object.keys(headers), (name) => headers[name], host));
  const header = (name) => (answer.headers ?? []).filter(([one]) => one === name).map(([, value]) => value);
  const [location] = header("location");
  if (host.wouldAsk) {
    facts.push(`login ${inLine(loginUrl)}: not tried, because the provider gets its parameters with credentials, in a pushed request`);
    return;
  }
  if (answer.status !== 302 || location === undefined) {
    const [, reason] = host.warnings.at(-1)?.match(/^(?:\w+: )?(.*)$/s) ?? [];
    problems.push({ path: base, message: `a login cannot begin: ${reason ?? `the gateway answers ${answer.status}`}`, isError: true });
    return;
  }
  const longest = Math.max(0, ...header("set-cookie").map((cookie) => Buffer.byteLength(cookie)));
  if (longest > MAX_COOKIE_BYTES) {
    problems.push({ path: base, message: `the cookie of a login has ${longest} bytes; browsers accept ${MAX_COOKIE_BYTES}`, isError: true });
  } else facts.push(`login ${inLine(loginUrl)}: its cookie has ${longest} of ${MAX_COOKIE_BYTES} bytes`);
  const { failure, status, headers: sent } = await host.get(location, headers);
  const place = `${base}.redirect_uri`;
  const { origin } = new URL(location);
  if (failure !== undefined) {
    problems.push({ path: base, message: `the authorization endpoint at ${origin} cannot be reached: ${failure}`, isError: true });
    return;
  }
  if (status >= 400) {
    const message = `the provider answers ${status} to a login with this client and the redirect address ${shown(redirectUri)}: is it registered there?`;
    problems.push({ path: place, message, isError: status < 500 });
    return;
  }
  const next = sent.get("location");
  const parameters = next === null || !URL.canParse(next, location) ? new URLSearchParams() : new URL(next, location).searchParams;
  if (parameters.has("error")) {
    const parts = ["error", "error_description"].map((name) => parameters.get(name)).filter(Boolean);
    problems.push({ path: place, message: `the provider refuses a login: ${parts.map((part) => inLine(part).slice(0, 300)).join(": ")}`, isError: true });
  } else facts.push(`login ${inLine(loginUrl)}: the provider accepts the client and ${shown(redirectUri)}`);
}

/** Compares the local clock with that of each provider (RFC 9110 §6.6.1). */
function clock({ exchanges }) {
  const wrong = exchanges.filter(({ skewMs }) => Math.abs(skewMs) > MAX_SKEW_MS);
  return [...new Map(wrong.map(({ url, skewMs }) => [new URL(url).origin, skewMs]))].map(([origin, skewMs]) => {
    const seconds = Math.round(Math.abs(skewMs) / 1000);
    const message = `the local clock is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} that of ${origin}: one of the two is wrong, and tokens may be refused`;
    return { path: "", message, isError: false };
  });
}

/** The place of an authorizer, by its number. */
function authorizerPlace(places, index) {
  if (places.has("authorizer") || !places.has("authorizers")) return "authorizer";
  const from = places.get("authorizers");
  const members = [...places].filter(([place]) => /^authorizers\.[^.[]+$/.test(place)).sort(([, one], [, two]) => one - two);
  return members[index]?.[0] ?? (from === undefined ? "authorizer" : "authorizers");
}

/** The place of an issuer: the first one is the authorizer's, the others are listed. */
function issuerPlace(places, base, number) {
  const candidates = number === 0 ? [`${base}.issuer`, `${base}.domain`, `${base}.type`] : [`${base}.issuers[${number - 1}].issuer`, `${base}.issuers`];
  return candidates.find((place) => places.has(place)) ?? base;
}

/** An issuer without what is often misspelt. */
const simplified = (issuer) => issuer.toLowerCase().replace(/^http:/, "https:").replace(/\/+$/, "");

const isSameSite = (url, issuer) => isHttpUrl(issuer) && new URL(url).hostname.split(".").slice(-2).join(".") === new URL(issuer).hostname.split(".").slice(-2).join(".");
