// Shared caches: whatever an origin says about its answers, and however a path looks, nothing that depends on the caller may be stored. The
// answers pass a cache that stores what its headers allow, what static-looking paths suggest, and disregards `Vary`, `Set-Cookie` and the
// credentials of requests; and the gateway's own use of the platform's caches is recorded.

import { NAVIGATION, SITE } from "../node/support/browser.mjs";
import { bearer, proxy, respond } from "../node/support/gateway.mjs";
import { startHostileProvider } from "../node/support/hostile.mjs";
import { serve } from "../node/support/http.mjs";
import { COOKIE, loginConfig } from "../node/support/login.mjs";
import { nowSeconds } from "../node/support/tokens.mjs";
import { wrappedBuild } from "../node/support/worker.mjs";
import { each, sample, sessionOf, startGateways, Tally } from "./support.mjs";

const EXTENSIONS = [".css", ".js", ".png", ".jpg", ".ico", ".svg", ".woff2", ".pdf", ".json", ".xml", ".txt", ".map", ".webp", ".mp4", ".zip", ".html", ".CSS", ".csv", ".swf", ".jar"];
const DELIMITERS = ["/x", "", ";x", "%3bx", "?x", "?", "%3fx", "%23x", "!x", "~x", ",x", "@x", ":x", "$x", "*x", "%20x", "%0ax", "%00x", "%2fx", "%5cx", "\\x", "//x", "/./x", "/..%2fx", "/%2e%2e/static/x", "/static/../me/x", "%252fx", "&x"];
const suffixes = () => ["", "/", ...EXTENSIONS.map((extension) => `/x${extension}`), ...DELIMITERS.map((delimiter) => `${delimiter}.css`), "/.css", "/x.css/", "/x.css%00", "/robots.txt", "/favicon.ico", "/.well-known/x", "/static/x.js?v=1", "/assets/x"];

/** Paths that answer with what they know of the caller, and others. */
const BASES = ["/app/me", "/token/me", "/maybe/me", "/hello/me", "/claims", "/userinfo", "/editors", "/login", "/logout", "/auth/callback", "/refresh", "/open/me", "/fixed", "/nothing", "/"];

/** Headers that caches read instead of `Cache-Control`. */
const TARGETED = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "akamai-cache-control", "edge-control", "netlify-cdn-cache-control", "vercel-cdn-cache-control", "x-litespeed-cache-control"];

/** What an origin may say. */
const SAID = [
  {},
  { "cache-control": "public, max-age=31536000, immutable" },
  { "cache-control": "s-maxage=3600" },
  { "cache-control": "max-age=60, must-revalidate", vary: "Accept-Encoding" },
  { "cache-control": 'private="set-cookie", max-age=3600' },
  { "cache-control": 'no-cache="set-cookie", public, s-maxage=3600' },
  { "cache-control": 'community="a, private, b", public, max-age=3600' },
  { "cache-control": "PUBLIC, Max-Age=3600" },
  { "cache-control": "not-private, no-storefront, max-age=3600" },
  { "cache-control": "private" },
  { "cache-control": "no-store" },
  { expires: "Fri, 01 Jan 2100 00:00:00 GMT", "last-modified": "Fri, 01 Jan 2021 00:00:00 GMT", etag: '"a"' },
  { pragma: "public", age: "1" },
  ...TARGETED.map((name) => ({ [name]: "public, max-age=3600", "cache-control": "private" })),
  { "x-accel-expires": "3600", "cache-control": "no-store" },
];

/** The directives of `Cache-Control` by name (RFC 9111 §5.2); the value of a directive without one is true. */
function directivesOf(value) {
  const found = {};
  for (const [, name, quoted, plain] of value.matchAll(/([^\s,=]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g)) found[name.toLowerCase()] = quoted ?? plain ?? true;
  return found;
}

/** Whether a careless shared cache stores this answer to this target. */
function stores(answer, target) {
  for (const name of TARGETED) if (/public|max-age/.test(answer.header(name) ?? "")) return true;
  if (Number(answer.header("x-accel-expires") ?? 0) > 0) return true;
  const directives = directivesOf(answer.values("cache-control").join(", "));
  // A list of fields restricts those only.
  if (directives["no-store"] === true || directives.private === true) return false;
  if (directives.public || directives["s-maxage"] || directives["max-age"] || answer.header("expires")) return true;
  // By the path, or by nothing at all.
  return /\.[a-z0-9]{2,5}(?:$|[?#%;/])/i.test(target) || [200, 203, 204, 300, 301, 302, 404, 405, 410, 414, 501].includes(answer.status);
}

const WRAPPER = `
const stored = [], sent = [];
const put = Cache.prototype.put;
Cache.prototype.put = async function (key, response) {
  stored.push([String(key.url ?? key), await response.clone().text()]);
  return put.call(this, key, response);
};
const send = globalThis.fetch;
globalThis.fetch = (input, init) => {
  if (input instanceof Request) sent.push([input.url, input.headers.get("x-said"), input.cf]);
  return send(input, init);
};
export default {
  fetch(request, env, ctx) {
    if (request.headers.has("x-recorded")) return Response.json({ stored, sent: sent.splice(0) });
    return gateway.fetch(request, env, ctx);
  },
};`;

export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const provider = await startHostileProvider();
  const origin = await serve((req, res) => {
    const token = req.headers.authorization?.split(".")[1];
    const user = req.headers["x-user-id"] ?? (token && JSON.parse(Buffer.from(token, "base64url")).sub) ?? "none";
    for (const [name, value] of Object.entries(SAID[Number(req.headers["x-said"] ?? 0)])) res.setHeader(name, value);
    if (user !== "none") res.setHeader("set-cookie", `theirs=marker-${user}`);
    res.end(`marker-${user}`);
  });
  const paths = [
    proxy("/maybe/{*rest}", origin, { auth: "optional", headers: { "X-User-Id": "$claims.sub" } }),
    proxy("/open/{*rest}", origin, { auth: "none" }),
    respond("/hello/{*rest}", { auth: "required", headers: { "X-Hello": "$claims.sub", "Cache-Control": "private, max-age=60" } }),
    respond("/fixed", { body: "fixed", headers: { "Cache-Control": "public, max-age=60" } }),
    { method: "ANY", path: "/claims", integration: { type: "claims" } },
    { method: ["GET", "POST"], path: "/refresh", integration: { type: "refresh" } },
  ];
  const config = loginConfig(provider, origin, { paths });
  const gateways = await startGateways(
    { plain: config, cors: { ...config, cors: { allow_origins: [SITE, "https://page.example"], allow_credentials: true } } },
    { client: { connections: 4, depth: 4 }, source: await wrappedBuild(WRAPPER) },
  );
  const isMarked = (answer) => /marker-(?!none)|\b(?:alice|bob|carol)\b/.test(`${answer.text}\n${answer.headers.join("\n")}`);

  try {
    const sessions = {};
    for (const name of ["alice", "bob"]) {
      const claims = { sub: name, name };
      provider.behave = { idToken: { claims }, accessClaims: { sub: name }, userinfo: () => claims };
      sessions[name] = await sessionOf(gateways.clients.plain);
    }
    const token = provider.tokens.token({ claims: { sub: "carol", client_id: "edgeward-web", exp: nowSeconds() + 7_200 } });
    const CALLERS = {
      "without credentials": [],
      "with the session of alice": [["Cookie", sessions.alice]],
      "with the session of bob": [["Cookie", sessions.bob]],
      "with a token": Object.entries(bearer(token)),
      "with a session that does not open": [["Cookie", `${COOKIE}=1.x`]],
    };
    const WAYS = { "as a browser": Object.entries(NAVIGATION), "as an API client": [["Accept", "application/json"]], "from another page": [["Accept", "*/*"], ["Origin", "https://page.example"]] };

    const cases = sample(BASES.flatMap((base) => suffixes().flatMap((suffix) => SAID.map((_, said) => ({ target: base + suffix, said })))), { seed, share });
    await each(cases, async ({ target, said }, index) => {
      const client = gateways.clients[index % 4 === 0 ? "cors" : "plain"];
      // What a cache would answer everybody with, by caller.
      const storable = new Map();
      const method = index % 5 === 0 ? "HEAD" : "GET";
      for (const [caller, credentials] of Object.entries(CALLERS)) {
        // A logout ends the session.
        if (/logout/.test(target) && /session of/.test(caller)) continue;
        for (const [way, headers] of Object.entries(WAYS)) {
          const answer = await client.send({ method, target, host: "app.example.com", headers: [...headers, ...credentials, ["X-Said", String(said)]] });
          const what = () => `${method} ${target} ${caller} ${way}, ${JSON.stringify(SAID[said])}: ${answer.status} ${JSON.stringify(answer.values("cache-control"))}`;
          tally.cases += 1;
          const isStored = stores(answer, target);
          tally.check(!(isStored && isMarked(answer)), () => `${what()}: a cache stores what belongs to the caller`);
          tally.check(!(isStored && answer.values("set-cookie").some((line) => line.startsWith("__Host-"))), () => `${what()}: a cache stores a cookie of the gateway`);
          tally.check(answer.status > 0 && answer.status !== 500, what);
          if (isStored) storable.set(`${caller} ${way}`, { way, vary: answer.values("vary").join(",").toLowerCase(), text: JSON.stringify([answer.status, answer.headers.filter(([name]) => !/^(?:date|vary)$/i.test(name)), answer.text]) });
          tally.count(isStored ? "answers that a cache stores" : isMarked(answer) ? "answers with the caller's data, which no cache stores" : "other answers that no cache stores");
        }
      }
      // What is stored is the same for every caller; where it differs by how it was asked for, `Vary` says so.
      const all = [...storable.entries()];
      for (const [name, { way, text, vary }] of all) {
        const first = all[0][1];
        const isVaried = way !== first.way && vary.includes("origin");
        tally.check(text === first.text || isVaried, () => `${method} ${target}, ${JSON.stringify(SAID[said])}: a cache answers with ${text} (${name}) in place of ${first.text} (${all[0][0]})`);
      }
    }, { atOnce: 24 });

    for (const client of Object.values(gateways.clients)) {
      const { stored, sent } = (await client.send({ headers: [["X-Recorded", "1"]] })).json();
      for (const [key, text] of stored) {
        tally.check(!/alice|bob|carol|marker|eyJ/.test(key + text), () => `the Cache API stores ${key}: ${text.slice(0, 80)}`);
        tally.check(/"keys"|"issuer"/.test(text), () => `the Cache API stores ${key}: ${text.slice(0, 80)}`);
        tally.count("documents of the provider in the Cache API");
      }
      for (const [url, said, cf] of sent) {
        if (said === null) continue;
        const isPublic = new URL(url).pathname.startsWith("/open/");
        tally.check(isPublic || cf?.cacheTtlByStatus?.["100-599"] < 0, () => `the request ${url} may be stored by the platform: ${JSON.stringify(cf)}`);
        tally.count(isPublic ? "requests that the platform may store" : "requests that the platform does not store");
      }
    }
  } finally {
    await gateways.stop();
    await Promise.all([provider.stop(), origin.close()]);
  }
  return tally;
}
