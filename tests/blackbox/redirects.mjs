// Addresses that lead elsewhere, wherever a request can carry one: every `Location`, `Refresh`, link, form and image of the gateway's answers
// leads to the site, or to the provider's endpoints, as a browser resolves it.

import { NAVIGATION, SITE } from "../node/support/browser.mjs";
import { startHostileProvider } from "../node/support/hostile.mjs";
import { serve } from "../node/support/http.mjs";
import { COOKIE, loginConfig } from "../node/support/login.mjs";
import { leavesSite, payloads } from "../node/support/redirects.mjs";
import { cookiesOf, each, logIn, random, sample, sessionOf, startGateways, Tally } from "./support.mjs";

const SCHEMES = [
  "", "", "", "", "https:", "http:", "HTTPS:", "hTtP:", "ht\ttps:", " https:", "\u0001https:", "%68ttps:", "https%3a", "https%253a", "javascript:", "JaVaScRiPt:", "java\nscript:", "data:text/html,",
  "ftp:", "file:", "blob:https:", "view-source:", "ws:", "x:", "//", "/", "?", "#", "a", "app.example.com", SITE,
];
const SLASHES = [
  "", "/", "//", "///", "////", "\\", "\\\\", "/\\", "\\/", "/\\/", "/\t/", "/\n/", "/\r/", "\t//", "/\0/", "/ /", " //", "/%09/", "/%0a/", "/%0d%0a/", "/%00/", "/%20/", "/%2f", "%2f%2f", "/%2F/", "%252f%252f", "/%5c", "%5c%5c",
  "/%255c", "/./", "//./", "/.//", "/..//", "/../", "/%2e/", "/%2e%2e//", "/%2e%2e%2f", "/a/..//", "/a/../\\", "/;/", "/;//", "/.;/", "/?/", "/#/", "/\u00a0/", "／／", "∕∕", "⁄⁄", "＼＼", "/／", "/\u2028/",
  "%ef%bc%8f%ef%bc%8f", "%c0%af%c0%af", "/%u002f", "/\u200b/", "/\u00ad/", "//\u200d", "/\ufeff/", "/:", "/@", "//@", "//:@", "//;@", "/\\\t/",
];
const HOSTS = [
  "evil.example", "EVIL.EXAMPLE", "evil.example.", "evil.example:8443", "evil.example/%2f..", "evil.example?", "evil.example#", "app.example.com.evil.example", "app.example.com@evil.example", "app.example.com:443@evil.example",
  "app.example.com%40evil.example", "app.example.com\\@evil.example", "app.example.com%5c@evil.example", "evil.example\\@app.example.com", "evil.example#@app.example.com", "evil.example?@app.example.com", "evil.example%23@app.example.com",
  "evil.example;@app.example.com", "user:pass@evil.example", "evil。example", "evil．example", "evil%E3%80%82example", "ⓔvil.example", "еvil.example", "xn--vil-nod.example", "evil\u00ad.example", "evil%2eexample", "%65vil.example",
  "[::1]", "[::ffff:1.2.3.4]", "[fe80::1%25eth0]", "1.2.3.4", "0x7f.1", "2130706433", "017700000001", "127.1", "localhost", "app.example.com", "app.example.com:8443", "app.example.com.", "app.example.co", "xapp.example.com", "alert(1)", "", ".", "..", "%",
];

/** Random combinations of a scheme, slashes and a host. */
function combinations(seed, count) {
  const next = random(seed);
  const pick = (list) => list[Math.floor(next() * list.length)];
  return Array.from({ length: count }, () => pick(SCHEMES) + pick(SLASHES) + pick(HOSTS) + (next() < 0.3 ? pick(SLASHES) + pick(HOSTS) : ""));
}

const percent = (text) => encodeURIComponent(text.toWellFormed());
/** In a query as it is, where a request line can have it. */
const raw = (text) => Buffer.from(text.toWellFormed()).toString("latin1").replace(/[\0-\x20\x7f#&]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
const twice = (text) => percent(percent(text));

/** Where a request can carry an address. */
const PLACES = {
  "return_to": (text) => `/login?return_to=${percent(text)}`,
  "return_to, as it is": (text) => `/login?return_to=${raw(text)}`,
  "return_to, encoded twice": (text) => `/login?return_to=${twice(text)}`,
  "returnTo": (text) => `/login?returnTo=${percent(text)}`,
  "two of return_to": (text) => `/login?return_to=%2F&return_to=${percent(text)}&returnTo=${percent(text)}`,
  "every parameter of the login": (text) => `/login?${["redirect_uri", "next", "url", "target_link_uri", "iss", "login_hint", "state", "return_to"].map((name) => `${name}=${percent(text)}`).join("&")}`,
  "a protected path": (text) => `/app/${raw(text).replace("?", "%3f")}`,
  "the beginning of the path": (text) => (/^\//.test(text) ? raw(text) : `/${raw(text)}`),
  "the path, encoded": (text) => `/app/${percent(text)}`,
  "the query of a protected path": (text) => `/app/x?${raw(text)}`,
  "the target": (text) => raw(text).replace(/^\s+/, "") || "/",
  "every parameter of the callback": (text) => `/auth/callback?${["state", "code", "iss", "return_to", "redirect_uri"].map((name) => `${name}=${percent(text)}`).join("&")}`,
  "an error at the callback": (text) => `/auth/callback?${["error", "error_description", "error_uri", "state", "return_to"].map((name) => `${name}=${percent(text)}`).join("&")}`,
  "every parameter of the logout": (text) => `/logout?${["returnTo", "return_to", "post_logout_redirect_uri", "redirect_uri", "state", "id_token_hint", "client_id"].map((name) => `${name}=${percent(text)}`).join("&")}`,
};

const HOST = "app.example.com";
const navigation = Object.entries(NAVIGATION);

/** The references of an answer: of its headers, and of its page. */
function referencesOf(answer) {
  const unescaped = (text) => text.replace(/&#(x?)([0-9a-f]+);/gi, (_, hex, digits) => String.fromCodePoint(Number.parseInt(digits, hex ? 16 : 10))).replace(/&quot;/g, '"').replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const found = ["location", "content-location"].flatMap((name) => answer.values(name));
  for (const refresh of answer.values("refresh")) found.push(refresh.replace(/^\s*[\d.]+[\s;,]*(?:url\s*=\s*)?/i, ""));
  if (/text\/html/.test(answer.header("content-type") ?? "")) {
    for (const [, , double, single, bare] of answer.text.matchAll(/\s(href|src|action|formaction)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))/gi)) found.push(unescaped(double ?? single ?? bare));
    for (const [, content] of answer.text.matchAll(/<meta[^>]*http-equiv="?refresh"?[^>]*content="([^"]*)"/gi)) found.push(unescaped(content).replace(/^\s*[\d.]+[\s;,]*(?:url\s*=\s*)?/i, ""));
  }
  return found;
}

export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const provider = await startHostileProvider();
  let location = "/";
  const origin = await serve((_req, res) => res.writeHead(302, { location }).end());
  const gateways = await startGateways({
    lax: loginConfig(provider, origin),
    strict: loginConfig(provider, origin, { session: { same_site: "Strict" } }),
    settled: loginConfig(provider, origin, { login: { default_return_to: "/app/home" } }),
  }, { client: { connections: 4, depth: 4 } });

  /** Judges every reference of an answer; the endpoints of the provider are the only ones elsewhere. */
  const endpoints = ["/authorize", "/session/end"].map((path) => provider.url + path);
  const judge = (answer, what) => {
    for (const reference of referencesOf(answer)) {
      const isEndpoint = endpoints.includes(reference.split("?")[0]);
      const why = isEndpoint ? undefined : leavesSite(reference, SITE);
      tally.check(why === undefined, () => `${what()}: ${JSON.stringify(reference)} ${why}`);
      tally.check(/^[\x21-\x7e]*$/.test(reference), () => `${what()}: ${JSON.stringify(reference)} is not visible ASCII`);
      tally.count(isEndpoint ? "references to the provider" : "references to the site");
      // The destination that a link to the login carries, as it is before the login parses it.
      const inner = !isEndpoint && why === undefined && new URL(reference, SITE).searchParams.get("return_to");
      if (inner) tally.check(leavesSite(inner, SITE) === undefined, () => `${what()}: return_to ${JSON.stringify(inner)} ${leavesSite(inner, SITE)}`);
    }
    tally.check(answer.status > 0 && answer.status !== 500, () => `${what()}: ${answer.status}`);
  };
  const open = (client, target, { cookies = "", site = "none" } = {}) => {
    const headers = navigation.filter(([name]) => name !== "sec-fetch-site");
    return client.send({ target, host: HOST, headers: [...headers, ["sec-fetch-site", site], ...(cookies ? [["Cookie", cookies]] : [])] });
  };

  try {
    const session = await sessionOf(gateways.clients.lax);

    const own = payloads(SITE).filter((text) => text.length < 3_000);
    const all = [...new Set([...own, ...combinations(seed, 3_000)])];
    const cases = sample(Object.keys(PLACES).flatMap((place) => all.map((text) => ({ place, text }))), { seed, share });
    await each(cases, async ({ place, text }, index) => {
      const target = PLACES[place](text);
      const name = Object.keys(gateways.clients)[index % 3];
      // Every other request has a session, but for those that end it.
      const hasSession = index % 2 === 1 && name === "lax" && !target.includes("logout");
      const answer = await open(gateways.clients[name], target, { cookies: hasSession ? session : "" });
      judge(answer, () => `${place}: ${JSON.stringify(text)}`);
      tally.cases += 1;
    }, { atOnce: 64 });

    // Through the whole login, and the logout after it.
    const texts = sample(combinations(seed + 1, 2_000), { seed, share });
    await each(texts, async (text, index) => {
      const place = ["return_to", "return_to, as it is", "a protected path", "the query of a protected path"][index % 4];
      const name = Object.keys(gateways.clients)[index % 3];
      const { begun, done: last } = await logIn(gateways.clients[name], PLACES[place](text));
      judge(begun, () => `login, ${place}: ${JSON.stringify(text)}`);
      tally.cases += 1;
      if (!last) {
        tally.count("logins that did not begin at once");
        return;
      }
      tally.check(cookiesOf(last).includes(COOKIE), () => `login, ${place}: ${JSON.stringify(text)}: ${last.status} without a session`);
      tally.check(referencesOf(last).length > 0, () => `login, ${place}: ${JSON.stringify(text)}: leads nowhere`);
      judge(last, () => `after login, ${place}: ${JSON.stringify(text)}`);
      const out = await open(gateways.clients[name], PLACES["every parameter of the logout"](text), { cookies: cookiesOf(last) });
      judge(out, () => `after logout: ${JSON.stringify(text)}`);
      tally.count("whole logins, and logouts after them");
    }, { atOnce: 32 });

    // What an origin says: as it is, or an absolute URL of the site.
    const said = sample([...own, ...combinations(seed + 2, 500)].filter((text) => /^[\x21-\x7e]+$/.test(text)), { seed, share });
    for (const text of said) {
      for (const reference of [text, `http://127.0.0.1:${origin.port}${text}`, `//127.0.0.1:${origin.port}${text}`]) {
        location = reference;
        const answer = await gateways.clients.lax.send({ target: "/app/x/y", host: HOST, headers: [["Cookie", session]] });
        const got = answer.header("location");
        const host = got !== null && URL.canParse(got) ? new URL(got).host : undefined;
        tally.check(answer.status === 302 && (got === reference || host === HOST), () => `the origin's Location ${reference}: ${answer.status} ${got}`);
        tally.cases += 1;
        tally.count(got === reference ? "the origin's Location as it was" : "the origin's Location, mapped to the site");
      }
    }
  } finally {
    await gateways.stop();
    await Promise.all([provider.stop(), origin.close()]);
  }
  return tally;
}
