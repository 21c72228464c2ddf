// The header contract: identity headers at an origin come from the gateway only, in whatever spelling a client sends its own; and
// responses of origins arrive unchanged.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { assertBadRequest, authorizer, bearer, openSocket, proxy, read } from "./support/gateway.mjs";
import { serve } from "./support/http.mjs";
import { startOrigin } from "./support/origin.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { startWorker } from "./support/worker.mjs";

const ROLES = "https://yourapp.com/roles";
const SPOOFED = "spoofed-by-the-client";

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
/** Answers with the status and headers that the query names: `?status=201&h=name:value&h=…`. */
const answering = await serve((req, res) => {
  const query = new URL(req.url, "http://localhost").searchParams;
  const headers = query.getAll("h").flatMap((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]);
  res.writeHead(Number(query.get("status") ?? 200), headers);
  res.end(query.get("body") ?? "as it was");
});

const identity = { "X-User-Id": "$claims.sub", "X-Tenant": "gold" };
const worker = await startWorker({
  config: {
    authorizer: authorizer(issuer),
    paths: [
      proxy("/public/{*rest}", origin, { auth: "none" }),
      proxy("/optional/{*rest}", origin, { auth: "optional", headers: identity }),
      proxy("/api/{*rest}", origin, { headers: identity }),
      proxy("/claims", origin, {
        headers: {
          "X-Sub": "$claims.sub",
          "X-Scope": "$claims.scope",
          "X-Roles": `$claims["${ROLES}"]`,
          "X-Tier": "$claims['https://yourapp.com/tier']",
          "X-Name": "$claims.name",
          "X-Level": "$claims.level",
          "X-Active": "$claims.active",
          "X-Address": "$claims.address",
          "X-Nothing": "$claims.nothing",
          "X-Audience": "$claims.aud",
          "X-Literal": "gold plated",
        },
      }),
      proxy("/token", origin, { headers: { "X-Token": "$token" } }),
      proxy("/kept", origin, { strip_authorization: false }),
      proxy("/kept-public", origin, { auth: "none", strip_authorization: false }),
      proxy("/answer/public", answering, { auth: "none" }),
      proxy("/answer/optional", answering, { auth: "optional" }),
      proxy("/answer/private", answering),
      proxy("/origin/{*rest}", origin, { auth: "none" }),
    ],
  },
});

after(() => Promise.all([worker, origin, answering, issuer].map((part) => ("stop" in part ? part.stop() : part.close()))));
beforeEach(() => origin.reset());

/** What reached the origin: `[name, value]` pairs as they stood on the wire. */
function received() {
  assert.equal(origin.requests.length, 1);
  const { rawHeaders } = origin.requests[0];
  return Array.from({ length: rawHeaders.length / 2 }, (_, index) => [rawHeaders[2 * index], rawHeaders[2 * index + 1]]);
}

const valuesOf = (name) => received().filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

/** Names by which an origin might learn who is there, or by which way it was reached. */
const NAMES = [
  // one of the gateway's own, in every spelling that HTTP allows
  "X-User-Id", "x-user-id", "X-USER-ID", "X_User_Id", "x_user_id", "X.User.Id", "x-user_id", "X-User.Id", "X~User~Id", "X!User!Id",
  "X+User+Id", "X*User*Id", "X^User^Id", "X`User`Id", "X|User|Id", "X'User'Id", "X#User#Id", "X$User$Id", "X%User%Id", "X&User&Id",
  // set by this configuration on other routes
  "X-Tenant", "x_tenant", "X.Tenant", "X-Roles", "X_ROLES", "X-Token",
  // commonly used ones
  "X-User-Sub", "X-User-Email", "X-User-Anything", "X-Auth-Request-User", "X-Auth-Request-Email", "X_Auth_User", "X-Authenticated-User",
  "X-Authenticated-Userid", "Remote-User", "REMOTE_USER", "X-Remote-User", "X-Remote-Groups", "X-WebAuth-User", "X-Forwarded-User",
  "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Userinfo", "X-Id-Token",
  "X-Access-Token", "X-Jwt-Claims", "X-Claim-Sub", "X-Claims-Roles", "X-Edgeward-Sub", "X_Edgeward_Sub",
  // how it was reached
  "X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix",
  "X-Forwarded-Uri",
  "X-Forwarded-Anything", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Host", "X-Middleware-Subrequest",
];

const routes = [
  ["a public route", "/public/a", undefined, {}],
  ["an optional route, anonymous", "/optional/a", undefined, { "x-tenant": "gold" }],
  ["an optional route, with a token", "/optional/a", "alice", { "x-user-id": "alice", "x-tenant": "gold" }],
  ["a protected route", "/api/a", "alice", { "x-user-id": "alice", "x-tenant": "gold" }],
];

for (const [route, path, sub, own] of routes) {
  describe(`a client's identity headers on ${route}`, () => {
    const authorization = () => (sub ? [["Authorization", `Bearer ${issuer.token({ claims: { sub } })}`]] : []);

    function assertOnlyOwn() {
      for (const [name, value] of received()) assert.ok(!value.includes(SPOOFED), `${name}: ${value}`);
      for (const name of ["x-user-id", "x-tenant"]) assert.deepEqual(valuesOf(name), own[name] ? [own[name]] : [], name);
      assert.deepEqual(valuesOf("x-forwarded-host"), [`127.0.0.1:${worker.port}`]);
      assert.deepEqual(valuesOf("x-forwarded-proto"), ["http"]);
    }

    for (const name of NAMES) {
      test(`${name} does not reach the origin`, async () => {
        const answer = await worker.request({ target: path, headers: [...authorization(), [name, SPOOFED], ["X-Other", "kept"]] });
        assert.equal(answer.status, 200, answer.text);
        assertOnlyOwn();
        assert.deepEqual(valuesOf("x-other"), ["kept"]);
      });
    }

    test("none of them, twice and all at once, with values empty and long", async () => {
      const all = NAMES.flatMap((name) => [[name, SPOOFED], [name, ""], [name, `${SPOOFED}, ${"x".repeat(20)}`]]);
      const answer = await worker.request({ target: path, headers: [...all, ...authorization()] });
      assert.equal(answer.status, 200, answer.text);
      assertOnlyOwn();
    });

    test("an empty value takes none of the gateway's own headers away", async () => {
      const answer = await worker.request({ target: path, headers: [...authorization(), ["X-User-Id", ""], ["x_user_id", ""]] });
      assert.equal(answer.status, 200);
      assertOnlyOwn();
    });

    test("naming a header in Connection takes none of the gateway's own headers away", async () => {
      for (const value of ["x-user-id", "close, X-User-Id, x-tenant, x-forwarded-host", "keep-alive, x-user-id"]) {
        origin.reset();
        const answer = await worker.request({ target: path, headers: [...authorization(), ["Connection", value], ["X-User-Id", SPOOFED]] });
        assert.equal(answer.status, 200);
        assertOnlyOwn();
      }
    });

    test("headers that concern one connection only stay behind", async () => {
      const hops = [
        ["Proxy-Authorization", SPOOFED], ["Proxy-Connection", SPOOFED], ["Keep-Alive", SPOOFED], ["TE", SPOOFED],
        ["Trailer", SPOOFED],
      ];
      const answer = await worker.request({ target: path, headers: [...authorization(), ...hops] });
      assert.equal(answer.status, 200);
      assertOnlyOwn();
      for (const [name] of hops) assert.deepEqual(valuesOf(name), [], name);
    });

    test("nor on a WebSocket upgrade", async () => {
      const spoofed = Object.fromEntries(NAMES.map((name) => [name, name === name.toLowerCase() ? [SPOOFED, SPOOFED] : SPOOFED]));
      const headers = { ...spoofed, ...Object.fromEntries(authorization()) };
      const { status, socket, text } = await openSocket(worker, path, { headers });
      assert.equal(status, 101, text);
      socket.terminate();
      assert.equal(origin.requests[0].upgrade, true);
      assertOnlyOwn();
    });
  });
}

/** Names in which other gateways, proxies and platforms tell an application who is there and where from. */
const FOREIGN = [
  // who it is
  "Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name", "X-Remote-User", "X-Remote-Group", "X-Remote-Extra-Scopes", "X-User", "X-User-Name",
  "X-Auth", "X-Authenticated", "X-Claim", "X-Claims", "X-JWT", "X-Remote", "X-SSO", "X-TLS-Client", "X-Oidc-Sub", "X-Original-Method",
  "X-Amzn-Request-Context",
  "X-UserId", "X-Username", "X-UserInfo", "X-Role", "X-Roles", "X-Group", "X-Groups", "X-Email", "X-Auth-Request-User",
  "X-Auth-Request-Groups", "X-Auth-Request-Access-Token", "X-Auth-Username", "X-Authenticated-User", "X-Authenticated-Scope", "X-WebAuth-User",
  "X-WebAuth-Groups", "X-SSO-User", "X-Jwt-Assertion", "X-Jwt-Payload", "X-Claims-Sub", "X-Claim-Email", "X-Id-Token", "X-Access-Token",
  // by product
  "Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "Cf-Access-Client-Id", "X-MS-Client-Principal", "X-MS-Client-Principal-Id",
  "X-MS-Client-Principal-Name", "X-MS-Client-Principal-Idp", "X-MS-Token-Aad-Access-Token", "X-MS-Token-Google-Id-Token",
  "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Goog-Iap-Jwt-Assertion", "X-Apigateway-Api-Userinfo",
  "X-Endpoint-Api-Userinfo", "X-Appengine-User-Email", "X-Appengine-Inbound-Appid", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity",
  "X-Amzn-Oidc-Accesstoken", "Tailscale-User-Login", "Tailscale-User-Name", "X-Authentik-Username", "X-Authentik-Groups", "X-Pomerium-Claim-Email",
  "X-Pomerium-Jwt-Assertion", "X-Consumer-Id", "X-Consumer-Username", "X-Consumer-Custom-Id", "X-Credential-Identifier", "X-Anonymous-Consumer",
  "X-Vouch-User", "X-Vouch-IdP-Claims-Groups", "X-Token-Subject", "X-Token-User-Roles", "X-Hasura-Role", "X-Hasura-User-Id", "X-Envoy-Original-Path",
  "X-Envoy-External-Address", "X-Envoy-Internal", "Oidc-Claim-Sub", "OIDC_CLAIM_email", "OIDC_access_token", "Shib-Identity-Provider", "SM_USER",
  "SM_UNIVERSALID", "OAM_REMOTE_USER", "iv-user", "iv-groups", "iv-creds", "Teleport-Jwt-Assertion",
  // its certificate
  "X-Client-Cert", "X-Client-Cert-Chain", "X-Client-Certificate", "X-Client-DN", "X-Client-CN", "X-Client-Verify", "SSL-Client-Cert",
  "SSL-Client-Verify", "SSL-Client-Subject-DN", "SSL_CLIENT_S_DN", "X-SSL-Client-Cert", "X-SSL-Client-CN", "X-SSL-Client-Verify", "Client-Cert",
  "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert", "WL-Proxy-Client-Cert",
  "Cf-Cert-Verified", "Cf-Client-Cert-Der-Base64", "X-TLS-Client-CN",
  // its address
  "X-Real-IP", "True-Client-IP", "X-Client-IP", "X-ClientIP", "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Originating-IP", "X-Remote-IP",
  "X-Remote-Addr", "X-ProxyUser-Ip", "WL-Proxy-Client-IP", "Proxy-Client-IP", "Client-IP", "Fly-Client-IP", "Incap-Client-IP", "X-Azure-ClientIP",
  "X-Azure-SocketIP", "X-Nf-Client-Connection-Ip", "X-Appengine-User-IP", "X-Appengine-Remote-Addr", "CF-Connecting-IPv6", "CF-Pseudo-IPv4",
  "CloudFront-Viewer-Address", "DO-Connecting-IP", "X-Vercel-Forwarded-For", "X-Sucuri-ClientIP", "Ali-CDN-Real-IP", "X-Original-Forwarded-For",
  "X-Forwarded", "Forwarded-For", "X-Forwarded-For-Original",
];

/** Names that differ from these and yet are one of them for servers that fold names into variables. */
const spellings = (name) => [
  name, name.toLowerCase(), name.toUpperCase(), ...["_", ".", "--", "__"].map((separator) => name.replaceAll(/[-_]/g, separator)),
  name.replace(/[-_]/, "_"), name.toLowerCase().replace(/[-_](?=[^-_]*$)/, "."),
];
const canonical = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

/** What honest clients, browsers, SDKs and tracing send, in whatever way it resembles the names above. */
const HONEST = [
  "Accept", "Accept-Language", "User-Agent", "Referer", "Origin", "Cache-Control", "Pragma", "If-None-Match", "If-Modified-Since", "If-Match",
  "Range", "DNT", "Sec-GPC", "Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest",
  "Sec-Fetch-User", "Upgrade-Insecure-Requests", "Priority", "Save-Data", "Downlink", "ECT", "RTT", "Device-Memory", "Max-Forwards", "Via", "From",
  "X-Requested-With", "X-Request-Id", "X-Correlation-Id", "X-Trace-Id", "Traceparent", "Tracestate", "Baggage", "B3", "X-B3-TraceId", "X-B3-Sampled",
  "X-Cloud-Trace-Context", "X-Amzn-Trace-Id", "Idempotency-Key", "X-Idempotency-Key", "X-User-Agent", "X-Client-Version", "X-Client-Data",
  "X-Client-Info", "X-Client-Id", "X-Client-Name", "X-Client-Request-Id", "X-MS-Client-Request-Id", "X-MS-Version", "X-MS-Date", "X-MS-Blob-Type", "X-ZUMO-Auth",
  "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-Target", "X-Amz-User-Agent", "X-Goog-Api-Key", "X-Goog-Api-Client",
  "X-Goog-User-Project", "X-Goog-Upload-Protocol", "X-Goog-FieldMask", "X-Api-Key", "Api-Key", "ApiKey", "X-Api-Version", "X-App-Version", "X-CSRF-Token",
  "X-XSRF-Token", "X-Tenant-Id", "X-Org-Id", "X-Organization", "X-Token", "X-Session-Id", "X-Device-Id", "X-GitHub-Event", "X-Hub-Signature-256",
  "X-GitHub-Api-Version", "Stripe-Signature", "Stripe-Version", "X-Shopify-Access-Token", "X-Slack-Signature", "X-Twilio-Signature", "X-Grpc-Web",
  "Grpc-Timeout", "Connect-Protocol-Version", "HX-Request", "HX-Current-URL", "Turbo-Frame", "X-Inertia", "X-Inertia-Version", "RSC", "Next-Url", "Prefer",
  "OData-Version", "Depth", "Destination", "Overwrite", "Lock-Token", "Tus-Resumable", "Upload-Length", "X-Upload-Content-Type",
  "Content-Disposition", "X-Emailer", "X-Rolesystem", "X-Usergroup", "Remote", "Tailscale", "X-Real", "X-Groupings", "X-Authority", "Oidc", "Ssl",
  "X-Consumer", "Mcp-Session-Id", "Mcp-Protocol-Version", "Anthropic-Version", "OpenAI-Organization", "CF-IPCountry", "CF-Ray", "CDN-Loop",
];

describe("what other gateways tell an application", () => {
  const seenByService = [];
  const routes = (headers) => [
    proxy("/public/{*rest}", origin, { auth: "none", headers }),
    proxy("/optional/{*rest}", origin, { auth: "optional", headers }),
    proxy("/api/{*rest}", origin, { headers }),
    ...["none", "required"].map((auth) => ({
      method: "ANY", path: `/service-${auth}`, auth, integration: { type: "service", binding: "BACKEND", ...(headers && { headers }) },
    })),
  ];
  const authorized = () => [["Authorization", `Bearer ${issuer.token()}`]];
  const branches = [
    ["a public route", "/public/a", []], ["an optional route, anonymous", "/optional/a", []],
    ["an optional route, with a token", "/optional/a", authorized()], ["a protected route", "/api/a", authorized()],
    ["a public service", "/service-none", []], ["a protected service", "/service-required", authorized()],
    ["a public WebSocket", "/public/ws", [], "upgrade"], ["a protected WebSocket", "/api/ws", authorized(), "upgrade"],
  ];
  let plain;
  let owning;
  before(async () => {
    const serviceBindings = {
      BACKEND: (request) => {
        seenByService.push([...request.headers]);
        return new Response("from the service");
      },
    };
    const own = Object.fromEntries([...new Map(FOREIGN.map((name) => [canonical(name), name])).values()].map((name) => [name, "the gateway's own"]));
    [plain, owning] = await Promise.all([undefined, own].map((headers) =>
      startWorker({ config: { authorizer: authorizer(issuer), paths: routes(headers) }, serviceBindings })));
  });
  after(() => Promise.all([plain.stop(), owning.stop()]));

  /** Sends these headers and returns what arrives behind the gateway. */
  async function arriving(gateway, [, path, authorization, upgrade], headers) {
    origin.reset();
    seenByService.length = 0;
    if (upgrade) {
      const { status, socket, text } = await openSocket(gateway, path, { headers: Object.fromEntries([...headers, ...authorization]) });
      assert.equal(status, 101, text);
      socket.terminate();
    } else {
      const answer = await gateway.request({ target: path, headers: [...authorization, ...headers] });
      assert.equal(answer.status, 200, answer.text);
    }
    return path.startsWith("/service") ? seenByService[0] : received();
  }

  for (const branch of branches) {
    test(`never arrives from a client on ${branch[0]}, in any spelling`, async () => {
      // Names that differ in case alone would be one header.
      const names = [...new Map(FOREIGN.flatMap(spellings).map((name) => [name.toLowerCase(), name])).values(), ...FOREIGN];
      for (let from = 0; from < names.length; from += 120) {
        const headers = names.slice(from, from + 120).map((name) => [name, SPOOFED]);
        for (const [name, value] of await arriving(plain, branch, [...headers, ["X-Other", "kept"]])) {
          assert.ok(!value.includes(SPOOFED), `${name}: ${value}`);
        }
      }
    });

    test(`arrives as a route sets it on ${branch[0]}, whatever a client says`, async () => {
      const names = FOREIGN.map((name) => name.toLowerCase());
      for (const sent of [names, names.map((name) => name.replaceAll("-", "_"))]) {
        const arrived = await arriving(owning, branch, sent.map((name) => [name, SPOOFED]));
        for (const [name, value] of arrived) assert.ok(!value.includes(SPOOFED), `${name}: ${value}`);
        for (const name of new Set(FOREIGN.map(canonical))) {
          const values = arrived.filter(([given]) => canonical(given) === name).map(([, value]) => value);
          assert.deepEqual(values, ["the gateway's own"], name);
        }
      }
    });

    test(`honest headers arrive untouched on ${branch[0]}`, async () => {
      assert.ok(HONEST.length >= 60);
      const headers = HONEST.map((name, index) => [name, `value ${index}; q="${name}", second`]);
      const arrived = await arriving(plain, branch, headers);
      for (const [name, value] of headers) {
        const values = arrived.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, given]) => given);
        assert.deepEqual(values, [value], name);
      }
    });

    test(`on ${branch[0]}, the address that the platform saw arrives, and no other spelling of its name`, async () => {
      const spoofed = ["CF_Connecting_IP", "cf.connecting.ip", "Cf--Connecting-Ip", "cf-connecting_ip"].map((name) => [name, SPOOFED]);
      const arrived = await arriving(plain, branch, [["CF-Connecting-IP", "192.0.2.7"], ...spoofed]);
      const values = (name) => arrived.filter(([given]) => canonical(given) === name).map(([, value]) => value);
      // What goes out over the network gets that header from the runtime.
      const own = branch[1].startsWith("/service") ? ["192.0.2.7"] : [];
      assert.deepEqual([values("cf-connecting-ip"), values("x-forwarded-for")], [own, ["192.0.2.7"]]);
    });
  }
});

describe("a header line that is not one", () => {
  for (const [what, line] of [
    ["a blank before the colon", "X-User-Id : spoofed"], ["a folded line", "X-Other: a\r\n X-User-Id: spoofed"],
    ["a bare line feed", "X-Other: a\nX-User-Id: spoofed"], ["no name", ": spoofed"],
  ]) {
    test(`${what} gives the origin no identity`, async () => {
      const answer = await worker.raw(`GET /public/a HTTP/1.1\r\nHost: 127.0.0.1\r\n${line}\r\nConnection: close\r\n\r\n`);
      if (answer.status === 200) assert.deepEqual(valuesOf("x-user-id"), []);
      else assert.equal(answer.status, 400);
    });
  }
});

describe("claims as headers", () => {
  const withClaims = async (claims) => {
    const answer = await read(worker.fetch("/claims", { headers: { ...bearer(issuer.token({ claims })), "x-nothing": SPOOFED } }));
    assert.equal(answer.status, 200, answer.text);
    return Object.fromEntries(received().map(([name, value]) => [name.toLowerCase(), value]));
  };

  test("strings, lists, namespaced claims, numbers, booleans and objects; what is missing is absent", async () => {
    const headers = await withClaims({
      sub: "auth0|123", scope: "read:items write:items", [ROLES]: ["editor", "viewer"], "https://yourapp.com/tier": "pro", name: "Ann Lee",
      level: 7, active: true, address: { city: "Ulm" },
    });
    assert.equal(headers["x-sub"], "auth0|123");
    assert.equal(headers["x-scope"], "read:items write:items");
    assert.deepEqual(JSON.parse(headers["x-roles"]), ["editor", "viewer"]);
    assert.equal(headers["x-tier"], "pro");
    assert.equal(headers["x-name"], "Ann Lee");
    assert.equal(headers["x-level"], "7");
    assert.equal(headers["x-active"], "true");
    assert.deepEqual(JSON.parse(headers["x-address"]), { city: "Ulm" });
    assert.equal(headers["x-audience"], "https://api.example.com");
    assert.equal(headers["x-literal"], "gold plated");
    assert.equal("x-nothing" in headers, false);
  });

  test("null is as good as missing, and an empty string is an empty header", async () => {
    const headers = await withClaims({
      name: null, [ROLES]: null, "https://yourapp.com/tier": "", level: 0, active: false, scope: undefined,
    });
    for (const name of ["x-name", "x-roles", "x-scope"]) assert.equal(name in headers, false, name);
    assert.deepEqual([headers["x-tier"], headers["x-level"], headers["x-active"]], ["", "0", "false"]);
  });

  test("a line break in a claim cannot start another header", async () => {
    const headers = await withClaims({ name: "a\r\nX-Admin: true", sub: "b\nX-Admin: true", [ROLES]: ["c\r\nX-Admin: true"] });
    assert.equal(headers["x-admin"], undefined);
    assert.equal(headers["x-name"], "a%0D%0AX-Admin: true");
    assert.equal(headers["x-sub"], "b%0AX-Admin: true");
    assert.deepEqual(JSON.parse(headers["x-roles"]), ["c\r\nX-Admin: true"]);
  });

  test("other than ASCII is percent-encoded UTF-8, in JSON escaped, and stays distinct", async () => {
    const headers = await withClaims({
      name: "Zoë 𝄞", sub: "Zo%C3%AB", [ROLES]: ["Zoë 𝄞"], "https://yourapp.com/tier": " pad\u0000\u007f ",
    });
    assert.equal(headers["x-name"], "Zo%C3%AB %F0%9D%84%9E");
    assert.equal(decodeURIComponent(headers["x-name"]), "Zoë 𝄞");
    assert.equal(headers["x-sub"], "Zo%25C3%25AB");
    assert.match(headers["x-roles"], /^[\x20-\x7e]+$/);
    assert.deepEqual(JSON.parse(headers["x-roles"]), ["Zoë 𝄞"]);
    assert.equal(headers["x-tier"], "%20pad%00%7F%20");
  });

  test("large and unusual numbers keep their value", async () => {
    for (const level of [-3, 1.5, 9007199254740991, 1e21]) {
      origin.reset();
      const headers = await withClaims({ level });
      assert.equal(Number(headers["x-level"]), level);
    }
  });
});

describe("the Authorization header", () => {
  test("does not reach the origin unless the route says so", async () => {
    const headers = bearer(issuer.token());
    for (const path of ["/api/a", "/optional/a", "/token", "/public/a"]) {
      origin.reset();
      assert.equal((await worker.fetch(path, { headers })).status, 200);
      assert.deepEqual(valuesOf("authorization"), [], path);
    }
    origin.reset();
    assert.equal((await worker.fetch("/public/a", { headers: { authorization: "Basic eDp5" } })).status, 200);
    assert.deepEqual(valuesOf("authorization"), []);
  });

  test("is kept with strip_authorization false", async () => {
    const headers = bearer(issuer.token());
    assert.equal((await worker.fetch("/kept", { headers })).status, 200);
    assert.deepEqual(valuesOf("authorization"), [headers.authorization]);
    origin.reset();
    assert.equal((await worker.fetch("/kept-public", { headers: { authorization: "Basic eDp5" } })).status, 200);
    assert.deepEqual(valuesOf("authorization"), ["Basic eDp5"]);
  });

  test("$token hands the token over in a header of choice", async () => {
    const token = issuer.token();
    assert.equal((await worker.fetch("/token", { headers: bearer(token) })).status, 200);
    assert.deepEqual(valuesOf("x-token"), [token]);
  });

  test("two of them are refused", async () => {
    const headers = [["Authorization", `Bearer ${issuer.token()}`], ["Authorization", "Bearer other"]];
    await assertBadRequest(worker.request({ target: "/kept", headers }));
    assert.deepEqual(origin.requests, []);
  });
});

describe("cookies", () => {
  for (const [cookies, kept] of [
    [["theme=dark; lang=de"], ["theme=dark; lang=de"]],
    [["a=1; __Host-edgeward=secret; b=2"], ["a=1; b=2"]],
    [["__Host-edgeward.0=secret; __Host-edgeward.1=secret"], []],
    [["__host-EDGEWARD=secret;a=1"], ["a=1"]],
    [["a=1;__Host-edgeward-login.x=secret ; b=\"x; y\""], ["a=1; b=\"x; y\""]],
    // The runtime joins several Cookie headers with a comma.
    [["a=1", "__Host-edgeward=secret", "b=2"], ["a=1, b=2"]],
    [["a=1; b=2", "__Host-edgeward=secret; c=3"], ["a=1; b=2; c=3"]],
    [["__Host-edgeward=secret", "a=1,2; b=3, 4"], ["a=1,2; b=3, 4"]],
  ]) {
    test(`of ${JSON.stringify(cookies)} the origin gets ${JSON.stringify(kept)}`, async () => {
      for (const [target, authorization] of [["/public/a", []], ["/api/a", [["Authorization", `Bearer ${issuer.token()}`]]]]) {
        origin.reset();
        const answer = await worker.request({ target, headers: [...authorization, ...cookies.map((cookie) => ["Cookie", cookie])] });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(valuesOf("cookie"), kept);
      }
    });
  }
});

describe("what the client says about how it reached the gateway", () => {
  test("X-Forwarded-For is the address the platform saw, and nothing the client said", async () => {
    const headers = [["X-Forwarded-For", SPOOFED], ["CF-Connecting-IP", "192.0.2.7"]];
    assert.equal((await worker.request({ target: "/public/a", headers })).status, 200);
    assert.deepEqual(valuesOf("x-forwarded-for"), ["192.0.2.7"]);
  });

  test("X-Forwarded-Host is the host that was asked", async () => {
    for (const target of ["/public/a", "http://other.example/public/a", "http://user:pass@other.example/public/a"]) {
      for (const host of ["api.example.com", "api.example.com:8443"]) {
        origin.reset();
        const answer = await worker.request({ target, headers: [["Host", host]] });
        assert.equal(answer.status, 200);
        assert.deepEqual(valuesOf("x-forwarded-host"), [host]);
      }
    }
  });

  test("a Host that is none reaches nothing, or nothing but what it names", async () => {
    for (const host of [
      "", "user:pass@api.example.com", "a b", "api.example.com/public", "api.example.com?x", "[::1", "api.example.com, b",
    ]) {
      origin.reset();
      const answer = await worker.request({ target: "/public/a", headers: [["Host", host]] });
      if (answer.status !== 200) assert.deepEqual(origin.requests, [], host);
      else assert.match(valuesOf("x-forwarded-host")[0], /^[^/?#@\\]*$/, host);
    }
  });

  test("the origin is addressed by its own host", async () => {
    assert.equal((await worker.request({ target: "/public/a", headers: [["Host", "api.example.com"]] })).status, 200);
    assert.deepEqual(valuesOf("host"), [`127.0.0.1:${origin.port}`]);
  });
});

describe("what the origin answers", () => {
  const ask = (path, lines, { status = 200, body = "as it was" } = {}) => {
    const query = new URLSearchParams([["status", status], ["body", body], ...lines.map((line) => ["h", line])]);
    return worker.fetch(`/answer/${path}?${query}`, { headers: bearer(issuer.token()) });
  };

  test("status, headers, body and several cookies pass through", async () => {
    const lines = [
      "content-type:text/x-odd; charset=utf-8", "x-request-id:7", "set-cookie:a=1; Path=/", "set-cookie:b=2; Path=/; HttpOnly",
      "vary:Accept", "etag:\"x\"",
    ];
    for (const path of ["public", "private", "optional"]) {
      const answer = await ask(path, lines, { status: 418 });
      assert.equal(answer.status, 418);
      assert.equal(await answer.text(), "as it was");
      assert.equal(answer.headers.get("content-type"), "text/x-odd; charset=utf-8");
      assert.equal(answer.headers.get("x-request-id"), "7");
      assert.equal(answer.headers.get("vary"), "Accept");
      assert.equal(answer.headers.get("etag"), "\"x\"");
      assert.deepEqual(answer.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/; HttpOnly"]);
    }
  });

  test("a challenge and a Location of the origin's are its own affair", async () => {
    const answer = await ask("private", ["www-authenticate:Basic realm=\"theirs\"", "location:/elsewhere"], { status: 401 });
    assert.deepEqual(
      [answer.status, answer.headers.get("www-authenticate"), answer.headers.get("location")],
      [401, "Basic realm=\"theirs\"", "/elsewhere"],
    );
  });

  test("bytes beyond ASCII in a header stay as they are", async () => {
    const answer = await worker.request({ target: "/origin/headers" });
    assert.equal(Buffer.from(answer.header("x-latin"), "latin1").toString(), "café");
  });

  for (const [said, expected] of [
    [[], "private, no-store"],
    [["cache-control:public, max-age=60"], "private, no-store"],
    [["cache-control:max-age=60"], "private, no-store"],
    [["cache-control:s-maxage=60, not-private-at-all"], "private, no-store"],
    [["cache-control:private, max-age=60"], "private, max-age=60"],
    [["cache-control:No-Store"], "No-Store"],
  ]) {
    test(`Cache-Control on a private route: ${said[0] ?? "nothing said"} becomes ${expected}`, async () => {
      for (const path of ["private", "optional"]) {
        const answer = await ask(path, said);
        assert.equal(answer.headers.get("cache-control"), expected, path);
      }
    });
  }

  test("Cache-Control on a public route is the origin's", async () => {
    assert.equal((await ask("public", ["cache-control:public, max-age=60"])).headers.get("cache-control"), "public, max-age=60");
    assert.equal((await ask("public", [])).headers.get("cache-control"), null);
  });

  test("errors of the origin on a private route are not kept by caches either", async () => {
    const answer = await ask("private", ["cache-control:public, max-age=60"], { status: 500 });
    assert.deepEqual([answer.status, answer.headers.get("cache-control")], [500, "private, no-store"]);
  });
});
