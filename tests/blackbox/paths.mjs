// Spellings of protected paths, by every method, as requests and as WebSocket upgrades, without a token: no origin may serve one of them
// with a protected handler, as that origin reads it. With a token, what is spelled as it should be reaches the handler that it names.

import { authorizer, bearer, proxy } from "../node/support/gateway.mjs";
import { encoded, targets } from "../node/support/paths.mjs";
import { startIssuer } from "../node/support/tokens.mjs";
import { RawClient } from "./client.mjs";
import { CASE, PROTECTED, PUBLIC, startOrigins } from "./origins.mjs";
import { each, random, sample, startGateways, Tally } from "./support.mjs";

/** Methods of requests, and of upgrades, for which only GET is right. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "get", "FOO"];
const UPGRADES = ["GET", "HEAD", "POST", "PUT"];
const WAYS = [...METHODS.map((method) => ({ method, upgrade: false })), ...UPGRADES.map((method) => ({ method, upgrade: true }))];
const BASES = ["/admin", "/admin/users", "/team/7/secret", "/api/v1/items/42"];

const PREFIXES = [
  "/", "//", "/.", "/./.", "/%2e", "/x/..", "/x/%2e%2e", "/x/.%2e", "/x/..;", "/x/..;a=b", "/;", "/;a=b", "/.;", "/%2f", "/%2F", "/%5c", "/%5C",
  "/\\", "/%252f", "/%00", "/%20", "/%09", "/public/..", "/public/%2e%2e", "/public/%252e%252e", "/public/..%2f", "/public/..%5c",
  "/public/..%252f", "/public/..%255c", "/public/.%00.", "/public/%c0%ae%c0%ae", "/public/%e0%80%ae%e0%80%ae", "/public/%u002e%u002e", "/public/..%c0%af",
  "/public%2f..", "/public%2f%2e%2e", "/public;/..", "/public/..%20", "/public/%20..", "/public/%2e%2e%3b", "/public/x/../..", "/public\\..",
  "http://127.0.0.1", "HTTP://other.example:1", "http://a:b@127.0.0.1", "https://other.example", "http://other.example/", "http://other.example/public/..",
  "http://other.example\\", "ws://127.0.0.1", "/http://127.0.0.1", "//127.0.0.1",
];

const SUFFIXES = [
  "/", "//", "/.", "/./", "/%2e", "/..;/", "/x/..", "/x/%2e%2e", "/x/..%2f", "/%2f", "?", "?x", "?/../public", "#", "#/../public", "%3f", "%3fx", "%23", "%23x", "%253f",
  "%20", "%09", "%0a", "%0d%0a", "%00", "%00.css", "%2500", "%c0%80", "%ff", ".", "..", "...", "%2e", ";", ";x", ";x=y", ";.css", ";/public", "%3b", "%3bx", "%253b", "\\", "%5c", "%255c",
  "%2f", "%252f", "*", "~", "::$DATA", ":", ",", "%u0020", "&", "\t", "%c2%a0", "%e2%80%8b", "%7f", "%", "%2", "%zz",
];

const SEPARATORS = [
  "//", "///", "/./", "/%2e/", "/x/../", "/x/%2e%2e/", "/;/", ";/", ";a=b/", "/%20", "%20/", "./", "/.;/", "/%00/", "%2f", "%2F", "%252f", "%25252f", "%5c", "%5C", "%255c", "\\", "/\\", "\\/",
  "%c0%af", "%e0%80%af", "%c1%9c", "%u002f", "%u005c", "%u2215", encoded("／"), encoded("＼"), encoded("∕"), "%09/", "%0a/", "?/", "#/",
];

const HOSTS = [
  "localhost/public", "localhost/public/", "localhost/public?", "localhost/public#", "localhost/public/..", "localhost/public/x/../..", "localhost/public/%2e%2e", "localhost/public;", "localhost/", "localhost//", "localhost/.",
  "localhost\\", "localhost\\..", "localhost:80/public", "a@localhost/public?", "localhost?", "localhost#", "localhost/%", "localhost/public%2f..", "/public?", "?", "#", "http://localhost/public?", "localhost /public",
];

const percent = (text) => encoded(text);
/** A character in two and in three bytes, where UTF-8 has one. */
const overlongOf = (character, size) => {
  const code = character.charCodeAt(0);
  const bytes = size === 2 ? [0xc0 | (code >> 6), 0x80 | (code & 63)] : [0xe0, 0x80 | (code >> 6), 0x80 | (code & 63)];
  return bytes.map((byte) => `%${byte.toString(16)}`).join("");
};
const wide = (character) => String.fromCodePoint(character.codePointAt(0) + 0xfee0);

/** Ways to write one letter. */
const LETTERS = [
  percent, (one) => percent(one).toUpperCase(), (one) => percent(percent(one)), (one) => percent(one).replace("%", "%25"), (one) => percent(one).replace("%", "%2525"),
  (one) => `%u00${one.charCodeAt(0).toString(16)}`, (one) => overlongOf(one, 2), (one) => overlongOf(one, 3), (one) => one.toUpperCase(), (one) => percent(one.toUpperCase()),
  (one) => encoded(wide(one)), (one) => encoded(wide(one)).replaceAll("%", "%25"), (one) => `${one}${encoded("\u00ad")}`, (one) => `${one}${encoded("\u200d")}`,
  (one) => ({ i: encoded("ı"), s: encoded("ſ") })[one] ?? one, (one) => `${one}%00`, (one) => `%${one}`,
];

/** Every spelling of a path, one change at a time. */
function spellings(path) {
  const found = [...PREFIXES.map((prefix) => (prefix.endsWith("/") || /%(?:2f|5c|af|00|20|09)$/i.test(prefix) ? prefix + path.slice(1) : prefix + path)), ...SUFFIXES.map((suffix) => path + suffix)];
  const places = [...path].flatMap((one, index) => (/[a-z]/.test(one) ? [index] : []));
  for (const write of LETTERS) {
    for (const at of [places[0], places[3], places.at(-1)]) found.push(path.slice(0, at) + write(path[at]) + path.slice(at + 1));
    found.push(path.replace(/[a-z]/g, write));
  }
  for (const separator of SEPARATORS) {
    found.push(path.replace(/(?<!^)\//g, separator), path.replace("/", separator), path.replace(/\//g, separator));
    const last = path.lastIndexOf("/");
    if (last > 0) found.push(path.slice(0, last) + separator + path.slice(last + 1));
  }
  return found;
}

/** What the gateway does not refuse by itself: it depends on the routes. */
const MILD = {
  prefixes: ["", "/", "/;", "/;a=b", "/%2f", "/%5c", "/%20", "//"],
  suffixes: ["", "", "/", "//", "%20", ".", "..", ";", ";x=y", "%3f", "%3fx", "%23", "%2f", "%3bx", "%253b", "~", ".css", "%c2%a0", "?x", "/x/y"],
  separators: ["/", "//", "%2f", "%2F", "%252f", "%5c", "%255c", ";/", ";a=b/", "%20/", "./", "/;/", "/%20x/", encoded("／"), encoded("＼")],
  letters: [
    percent, (one) => percent(percent(one)), (one) => percent(one).replace("%", "%25"), (one) => one.toUpperCase(), (one) => percent(one.toUpperCase()),
    (one) => encoded(wide(one)), (one) => `${one}${encoded("\u00ad")}`, (one) => ({ i: encoded("ı"), s: encoded("ſ") })[one] ?? one,
  ],
};
const ANY = { prefixes: PREFIXES, suffixes: SUFFIXES, separators: SEPARATORS, letters: LETTERS };

/** Random paths: changes to several parts of a protected path, or pieces of paths in any order. */
function randomPaths(seed, count) {
  const next = random(seed);
  const pick = (list) => list[Math.floor(next() * list.length)];
  const words = [...BASES, "/public", "admin", "team", "secret", "api", "v1", "items", "7", "42", "/", "/", "/"];
  return Array.from({ length: count }, () => {
    const { prefixes, suffixes, separators, letters } = next() < 0.7 ? MILD : ANY;
    if (next() < 0.3) {
      const pieces = [...prefixes.filter((one) => one.startsWith("/")), ...suffixes, ...separators, ...words, ...words];
      return `/${Array.from({ length: 1 + Math.floor(next() * 6) }, () => pick(pieces)).join("")}`;
    }
    const changed = pick(BASES).replace(/[a-z]/g, (one) => (next() < 0.1 ? pick(letters)(one) : one)).replace(/(?<!^)\//g, () => (next() < 0.4 ? pick(separators) : "/"));
    return (next() < 0.4 ? pick(prefixes) : "") + changed + (next() < 0.4 ? pick(suffixes) : "");
  });
}

const tooLong = (target) => target.length > 4_000;

/** All targets: those of the table of the path contract, each spelling of each protected path, and random ones. */
const targetsOf = (seed) => [
  ...new Set([...targets.map(([target]) => target).filter((target) => !tooLong(target)), ...BASES.flatMap(spellings), ...randomPaths(seed, 300)]),
];

const guarded = (url) => [proxy("/admin", url), proxy("/admin/{*rest}", url), proxy("/team/{id}/secret", url), proxy("/api/v1/items/{*rest}", url)];

/** Gateways by what is public in front of the protected routes, and what an origin may then not have done without a token. */
const POLICIES = {
  wide: {
    paths: (url) => [...guarded(url), proxy("/{*rest}", url, { auth: "none" })],
    isWrong: ({ handler }) => handler === PROTECTED,
  },
  narrow: {
    paths: (url) => [...guarded(url), ...["/public/{*rest}", "/team/{id}", "/api/v1/health"].map((path) => proxy(path, url, { auth: "none" }))],
    isWrong: ({ handler }) => handler === PROTECTED,
  },
  // The gateway removes the beginning of the path.
  prefix: {
    paths: (url) =>
      [...guarded(url), proxy("/{*rest}", url, { auth: "none" })].map((route) => ({
        ...route, path: `/app${route.path}`, integration: { ...route.integration, strip_prefix: "/app" },
      })),
    isWrong: ({ handler }) => handler === PROTECTED,
    spelled: (target) => (target.startsWith("/") ? `/app${target}` : target),
  },
  // One path, of which only some methods are public.
  methods: {
    paths: (url) => [proxy("/{*rest}", url, { method: ["POST", "PUT"], auth: "none" }), proxy("/{*rest}", url, { method: ["GET", "DELETE", "PATCH", "PROPFIND"] })],
    isWrong: ({ method }) => !["POST", "PUT"].includes(method),
    targets: ["/admin", "/public/a", "/", "/a/b?c=d", "//x", "/x%2fy", "*", "http://other.example/x"],
  },
};

/** What is spelled as it should be, and the handler that it names. */
const HONEST = [
  ["/admin", PROTECTED], ["/admin/", PROTECTED], ["/admin/users", PROTECTED], ["/admin/users?x=/../y&z=%2e%2e", PROTECTED], ["/admin/a%20b/%C3%A9", PROTECTED], ["/admin/a;b/c", PROTECTED],
  ["/team/7/secret", PROTECTED], ["/api/v1/items/42", PROTECTED], ["/api/v1/items/a/b?c", PROTECTED],
  ["/public/a", PUBLIC], ["/public/", PUBLIC], ["/public/a%20b?c=%2F", PUBLIC], ["/public/administrator", PUBLIC], ["/team/7", PUBLIC], ["/api/v1/health", PUBLIC], ["/public/~a/b.css", PUBLIC],
];
const HONEST_WAYS = WAYS.filter(({ method }) => !["TRACE", "get", "FOO"].includes(method));

export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const [origins, issuer] = await Promise.all([startOrigins(), startIssuer()]);
  const configs = Object.fromEntries(
    Object.entries(POLICIES).flatMap(([policy, { paths }]) =>
      Object.entries(origins.urls).map(([origin, url]) => [`${policy} ${origin}`, { authorizer: authorizer(issuer), paths: paths(url) }])),
  );
  const gateways = await startGateways(configs, { client: { connections: 2, depth: 6 } });
  let next = 0;

  async function send(client, { method, target, upgrade, host, token }) {
    next += 1;
    const headers = [[CASE, String(next)], ...(token ? Object.entries(bearer(token)) : [])];
    const body = ["POST", "PUT", "PATCH", "PROPFIND"].includes(method) && !upgrade ? "x" : undefined;
    const id = next;
    const answer = await client.send({ method, target, upgrade, headers, body, ...(host && { host }) });
    return { answer, served: origins.served(id) };
  }

  try {
    const all = targetsOf(seed);
    await countReadings(tally, origins, sample(all, { seed, share }));

    const cases = [];
    for (const [policy, { targets: own = all, spelled = (target) => target }] of Object.entries(POLICIES)) {
      for (const origin of Object.keys(origins.urls)) {
        for (const target of own) for (const way of WAYS) cases.push({ policy, origin, target: spelled(target), ...way });
      }
    }
    // More random paths, in front of every origin, by one method each.
    for (const [index, target] of randomPaths(seed + 1, 20_000).entries()) {
      const [policy, { spelled = (one) => one }] = Object.entries(POLICIES)[index % 3];
      for (const origin of Object.keys(origins.urls)) cases.push({ policy, origin, target: spelled(target), ...WAYS[Math.floor(index / 3) % 4] });
    }
    // A host with more than a name: the runtime writes it before the path.
    for (const policy of ["wide", "narrow"]) {
      for (const origin of Object.keys(origins.urls)) {
        for (const host of HOSTS) for (const target of BASES) for (const way of WAYS) cases.push({ policy, origin, target, host, ...way });
      }
    }
    await each(sample(cases, { seed, share }), async (one) => {
      const { answer, served } = await send(gateways.clients[`${one.policy} ${one.origin}`], one);
      const what = () => `${one.policy}, ${one.origin}: ${one.upgrade ? "upgrade by " : ""}${one.method} ${JSON.stringify(one.target)}${one.host ? ` at ${JSON.stringify(one.host)}` : ""}: ${answer.status}`;
      tally.cases += 1;
      for (const entry of served) {
        tally.check(!POLICIES[one.policy].isWrong(entry), () => `${what()}, served as ${entry.method} ${entry.target} by the ${entry.handler} handler`);
      }
      tally.check(answer.header("x-handler") !== PROTECTED || !POLICIES[one.policy].isWrong({ handler: PROTECTED, method: one.method }), () => `${what()}, with an answer of the protected handler`);
      tally.check(answer.status > 0 && answer.status !== 500, what);
      tally.count(`without a token: ${served.length > 0 ? "reached a public handler" : `refused with ${answer.status}`}`);
    });

    // Made now: it is not valid for as long as all of this may take.
    const token = issuer.token();
    const honest = [];
    for (const policy of ["wide", "narrow"]) {
      for (const origin of Object.keys(origins.urls)) {
        for (const [target, handler] of HONEST) for (const way of HONEST_WAYS) honest.push({ policy, origin, target, handler, ...way, token });
      }
    }
    await each(sample(honest, { seed, share }), async (one) => {
      const { answer, served } = await send(gateways.clients[`${one.policy} ${one.origin}`], one);
      const isSwitched = one.upgrade && one.method === "GET";
      tally.cases += 1;
      tally.check(
        answer.status === (isSwitched ? 101 : 200) && served.length === 1 && served[0].handler === one.handler && served[0].method === one.method && served[0].target === one.target,
        () => `with a token: ${one.policy}, ${one.origin}: ${one.upgrade ? "upgrade by " : ""}${one.method} ${one.target}: ${answer.status}, served ${JSON.stringify(served)}`,
      );
      tally.count("with a token: reached the handler of its path");
    });
  } finally {
    await gateways.stop();
    await Promise.all([origins.stop(), issuer.stop()]);
  }
  return tally;
}

/** How many of the targets each origin, asked directly, serves with a protected handler: the ones that a gateway can be wrong about. */
async function countReadings(tally, origins, paths) {
  for (const [name, url] of Object.entries(origins.urls)) {
    const client = new RawClient(Number(new URL(url).port), { connections: 4, depth: 1, timeout: 2_000 });
    await each(paths, async (target) => {
      const answer = await client.send({ target, headers: [[CASE, "direct"]] });
      if (answer.header("x-handler") === PROTECTED) tally.count(`targets that ${name} reads as protected`);
    }, { atOnce: 16 });
    client.close();
  }
  origins.reset();
}
