// Headers by which servers learn of another host, scheme, path, method or client: none of them changes a decision of the gateway, an
// address that it sends a browser to, or what the origin learns of the caller. Each request is sent with and without them, and the
// answers compared. Of `Host` and absolute targets, the answer is that of the one host or of the other, or a refusal.

import { NAVIGATION, SITE } from "../node/support/browser.mjs";
import { bearer, proxy, respond } from "../node/support/gateway.mjs";
import { startHostileProvider } from "../node/support/hostile.mjs";
import { loginConfig } from "../node/support/login.mjs";
import { startOrigin } from "../node/support/origin.mjs";
import { each, sample, sessionOf, startGateways, Tally } from "./support.mjs";

const OTHER = "https://other.example.com";

const HOSTS = ["evil.example", "evil.example:443", "app.example.com.evil.example", "localhost", "127.0.0.1", "other.example.com", "app.example.com, evil.example", "evil.example/admin", ""];
const ADDRESSES = ["127.0.0.1", "::1", "10.0.0.1, 127.0.0.1", "unknown", "evil.example", "\"[::1]:80\"", ""];
const PATHS = ["/", "/open/x", "/healthz", "/login", "/app/y", "/auth/callback", "http://evil.example/open/x", "//evil.example", "/.well-known/edgeward/health", ""];
const METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "CONNECT", ""];
const SCHEMES = ["http", "https", "https,http", "on", "off", "wss", ""];

/** Names, and what a client may say under them. */
const CLAIMS = [
  [["X-Forwarded-Host", "X-Forwarded-Server", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "X-Forwarded-Authority", "X-Envoy-Original-Host", "Proxy-Host", "X-Backend-Host", "X-Rewrite-Host", "X_Forwarded_Host", "x-forwarded.host"], HOSTS],
  [["X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Url-Scheme", "Front-End-Https", "X-Scheme", "CloudFront-Forwarded-Proto", "X_Forwarded_Proto", "X-Forwarded-Port"], SCHEMES],
  [["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-ProxyUser-Ip", "X-Custom-IP-Authorization", "X-Original-Forwarded-For", "Fastly-Client-IP", "X-Forwarded", "Forwarded-For", "X_Real_IP"], ADDRESSES],
  [["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Override-URL", "Request-Uri", "Base-Url", "X-Envoy-Original-Path", "X-Script-Name", "Destination", "X_Original_URL", "X-Accel-Redirect", "X-Sendfile", "Content-Location", "Location", "Refresh"], PATHS],
  [["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method", "X-Forwarded-Method", "X_HTTP_Method_Override", "Access-Control-Request-Method"], METHODS],
  [["Forwarded"], ["host=evil.example", "for=127.0.0.1;host=evil.example;proto=http", "for=127.0.0.1, for=10.0.0.1", "host=\"evil.example\";proto=https", "by=_x;path=/open/x", ""]],
  [["X-Middleware-Subrequest"], ["middleware", "src/middleware:src/middleware:src/middleware:src/middleware:src/middleware"]],
  [["User-Agent"], ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "Edgeward"]],
  [["CF-Visitor", "CF-Worker", "CF-EW-Via", "CDN-Loop", "Via", "X-Edgeward", "X-Edgeward-User", "X-User-Id", "X-User-Name", "X-Auth-Request-User", "Remote-User", "X-Remote-User", "X-WebAuth-User", "X-Authenticated-User"], ['{"scheme":"http"}', "1.1 evil.example", "admin", "true", ""]],
];

/** Each claim alone; then all names of a group at once, and the same name twice. */
const claims = () => [
  ...CLAIMS.flatMap(([names, values]) => names.flatMap((name) => values.map((value) => [[name, value]]))),
  ...CLAIMS.flatMap(([names, values]) => values.map((value) => names.map((name) => [name, value]))),
  ...CLAIMS.flatMap(([names, values]) => names.map((name) => [[name, values[0]], [name.toUpperCase(), values.at(-2)]])),
  CLAIMS.flatMap(([names, values]) => names.map((name) => [name, values[0]])),
];

/** What the origin learns from the gateway, which no client may say. */
const TRUSTED = /^(?:host|authorization|cookie|x-user-(?:id|name|scope)|x-forwarded-(?:host|proto|for|prefix)|x-real-ip|forwarded|upgrade)$/;

/** An answer without what is random in it, and without what an origin got as the client said it. */
function outcome(answer, { hasHost = true } = {}) {
  const masked = (text) => text.replace(/[\w-]{20,}/g, "*").replace(/request <code>[\w-]+/, "");
  const headers = answer.headers.filter(([name]) => !/^(?:date|content-length)$/i.test(name)).map(([name, value]) => `${name.toLowerCase()}: ${masked(value)}`).sort();
  let body = answer.text;
  if (/^application\/json/.test(answer.header("content-type") ?? "") && body.includes('"rawHeaders"')) {
    const { method, url, headers: got } = answer.json();
    body = JSON.stringify({ method, url, got: Object.entries(got).filter(([name]) => TRUSTED.test(name) && (hasHost || name !== "x-forwarded-host")).sort() });
  }
  return JSON.stringify([answer.status, headers, masked(body)]);
}

/** Where two texts begin to differ. */
function difference(got, expected) {
  const at = [...got].findIndex((one, index) => one !== expected[index]);
  const around = (text) => JSON.stringify(text.slice(Math.max(0, at - 40), at + 80));
  return `${around(got)} instead of ${around(expected)}`;
}

export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const [provider, second, origin] = await Promise.all([startHostileProvider(), startHostileProvider(), startOrigin()]);
  const paths = [
    respond("/healthz", { body: "ok" }),
    proxy("/open/{*rest}", origin, { auth: "none" }),
    proxy("/maybe/{*rest}", origin, { auth: "optional", headers: { "X-User-Id": "$claims.sub" } }),
    proxy("/post/{*rest}", origin, { method: "POST", auth: "none" }),
    proxy("/post/{*rest}", origin, { method: ["GET", "DELETE"] }),
    proxy("/scoped/{*rest}", origin, { scopes: ["write:nothing"] }),
  ];
  const single = loginConfig(provider, origin, { paths });
  const hosted = {
    ...single, authorizer: undefined,
    authorizers: { first: single.authorizer, second: { ...single.authorizer, issuer: second.issuer, redirect_uri: `${OTHER}/auth/callback` } },
    hosts: { "app.example.com": { authorizer: "first" }, "other.example.com": { authorizer: "second" } },
  };
  const gateways = await startGateways({ single, hosted: JSON.parse(JSON.stringify(hosted)) }, { client: { connections: 4, depth: 4 } });

  const navigation = Object.entries(NAVIGATION);
  const api = [["Accept", "application/json"]];
  const token = Object.entries(bearer(provider.tokens.token({ claims: { client_id: "edgeward-web" } })));
  const send = (name, request, more = []) =>
    gateways.clients[name].send({ host: "app.example.com", ...request, headers: [...(request.headers ?? api), ...more] });

  try {
    const cookie = [["Cookie", await sessionOf(gateways.clients.single)]];
    const contexts = {
      "a public page": { target: "/open/x?y" },
      "a fixed answer": { target: "/healthz" },
      "a page for all, anonymous": { target: "/maybe/x" },
      "a page for all, with a session": { target: "/maybe/x", headers: [...api, ...cookie] },
      "a protected page, API client": { target: "/app/x" },
      "a protected page, browser": { target: "/app/x?y=z", headers: navigation },
      "a protected page, with a session": { target: "/app/x", headers: [...api, ...cookie] },
      "a protected page, with a token": { target: "/app/x", headers: [...api, ...token] },
      "a protected page, with a token without the right": { target: "/scoped/x", headers: [...api, ...token] },
      "a protected page, with a broken token": { target: "/app/x", headers: [["Authorization", `${token[0][1]}x`]] },
      "a method that is public": { method: "POST", target: "/post/x", body: "x" },
      "a method that is not": { method: "DELETE", target: "/post/x" },
      "a method without a route": { method: "PUT", target: "/post/x", body: "x" },
      "a form of the site": { method: "POST", target: "/app/x", body: "x", headers: [...api, ...cookie, ["Origin", SITE], ["Sec-Fetch-Site", "same-origin"]] },
      "a form of another site": { method: "POST", target: "/app/x", body: "x", headers: [...api, ...cookie, ["Origin", "https://evil.example"], ["Sec-Fetch-Site", "cross-site"]] },
      "an upgrade without a token": { target: "/app/x", upgrade: true },
      "an upgrade with a session of another site": { target: "/app/x", upgrade: true, headers: [...cookie, ["Origin", "https://evil.example"]] },
      "the login": { target: "/login?return_to=/app/x", headers: navigation },
      "a callback without a login": { target: "/auth/callback?state=a&code=b", headers: navigation },
      "a callback with a session": { target: "/auth/callback?state=a&code=b", headers: [...navigation, ...cookie] },
      "a logout without a session": { target: "/logout", headers: navigation },
      "userinfo without a session": { target: "/userinfo" },
      "no route": { target: "/app" },
      "a path with two readings": { target: "/open/../app/x" },
    };
    for (const [name, request] of Object.entries(contexts)) {
      const expected = outcome(await send("single", request));
      // Some say what is said of themselves: a repetition is the same.
      tally.check(outcome(await send("single", request)) === expected, () => `${name} is not the same twice`);
      await each(sample(claims(), { seed, share }), async (more) => {
        const answer = await send("single", request, more);
        tally.cases += 1;
        tally.count(`${name}: ${answer.status}`);
        tally.check(outcome(answer) === expected, () => `${name} with ${JSON.stringify(more).slice(0, 200)}: ${difference(outcome(answer), expected)}`);
      }, { atOnce: 16 });
    }

    // Hosts. Addresses that a browser is sent to are the configured ones, whatever the host.
    // The login of another spelling of a host begins at the configured one.
    const names = ["app.example.com", "other.example.com", "app.example.com:8443"];
    const answers = async (name, request) => Promise.all(names.map(async (host) => outcome(await send(name, { ...request, host }), { hasHost: false })));
    for (const [context, request] of Object.entries(contexts).filter(([, { upgrade }]) => !upgrade)) {
      for (const name of ["single", "hosted"]) {
        const known = await answers(name, request);
        const absolute = (host, scheme = "http") => `${scheme}://${host}${request.target}`;
        const variants = [
          ...["evil.example", "app.example.com.evil.example", "app.example.com:8443", "APP.example.com", "app.example.com.", "127.0.0.1", "[::1]", "localhost", "app.example.com@evil.example", "evil.example#app.example.com", "app.example.com/x", "app.example.com, evil.example", "app.example.com evil.example", "", " app.example.com ", "xn--app-example"].map((host) => ({ host })),
          { host: null },
          ...[["app.example.com", "evil.example"], ["evil.example", "app.example.com"], ["app.example.com", "other.example.com"], ["other.example.com", "app.example.com"], ["app.example.com", "app.example.com"]].map(([host, again]) => ({ host, more: [["Host", again]] })),
          ...[["Host ", "evil.example"], ["hOST", "evil.example"], ["X", "y\r\n Host: evil.example"], [" Host", "evil.example"], ["Host\t", "evil.example"]].map((pair) => ({ more: [pair] })),
          ...["evil.example", "other.example.com", "app.example.com:8443", "app.example.com@evil.example", "evil.example@app.example.com", "app.example.com\\@evil.example"].flatMap((host) => [{ target: absolute(host) }, { target: absolute(host, "https") }, { target: absolute(host, "HTTP"), host }]),
          { target: absolute("app.example.com"), host: "evil.example" }, { target: absolute("app.example.com"), host: "other.example.com" }, { target: `//evil.example${request.target}` },
        ];
        await each(sample(variants, { seed, share: Math.max(share, 0.25) }), async ({ host = "app.example.com", target = request.target, more = [] }) => {
          const answer = await send(name, { ...request, host, target }, more);
          const what = () => `${name}: ${context} at ${target}, host ${JSON.stringify(host)} ${JSON.stringify(more)}: ${answer.status}`;
          tally.cases += 1;
          for (const location of answer.values("location")) {
            const { origin: place } = new URL(location, SITE);
            const sites = name === "single" ? [SITE, provider.url] : [SITE, OTHER, provider.url, second.url];
            tally.check(sites.includes(place), () => `${what()}: leads to ${location}`);
          }
          const got = outcome(answer, { hasHost: false });
          // A gateway without `hosts` serves any of them alike.
          if (known.includes(got)) tally.count(`a host, ${name}: the answer of a known one`);
          else if (tally.check(answer.status >= 400, () => `${what()}: ${difference(got, known[0])}`)) tally.count(`a host, ${name}: refused with ${answer.status}`);
        }, { atOnce: 16 });
      }
    }
  } finally {
    await gateways.stop();
    await Promise.all([provider, second, origin].map((part) => part.stop()));
  }
  return tally;
}
