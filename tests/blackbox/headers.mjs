// The header matrix: header lines of every kind, well-formed or not, in every kind of request, before its credentials and after them; judged
// at an origin that records every byte. The identity at the origin is always that of a valid credential, a protected route is reached only
// with one, no answer is 5xx, and harmless headers change nothing.

import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { connect } from "node:net";
import { Browser, SITE } from "../node/support/browser.mjs";
import { bearer, proxy, respond } from "../node/support/gateway.mjs";
import { startHostileProvider } from "../node/support/hostile.mjs";
import { COOKIE, loginConfig } from "../node/support/login.mjs";
import { base64url, makeToken, nowSeconds, publicJwk } from "../node/support/tokens.mjs";
import { parse } from "./client.mjs";
import { startRecorder } from "./recorder.mjs";
import { each, random, sample, startGateways, Tally } from "./support.mjs";

const HOST = "app.example.com";
const SPOOFED = "spoofed-by-the-client";
const TOKEN_HEADER = "Cf-Access-Jwt-Assertion";
const TOKEN_COOKIE = "CF_Authorization";
const IDENTITY_TOKEN = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
const IDENTITY = { "X-User-Id": "$claims.sub", "X-Tenant": "gold" };

/** The user of each credential. */
const BEARER = "alice";
const OTHER_BEARER = "bob";
const SESSION = "carol";

/** How long to wait for answers, in milliseconds; less if there may be none, because the request's length may be wrong. */
const HANGING_MS = 2_000;
/** Cases with lines that are changed at random. */
const CHANGED = 10_000;
const ANSWERING_MS = 20_000;

/** Runs a share of the cases. */
export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const [origin, provider] = await Promise.all([startRecorder(), startHostileProvider()]);
  provider.behave = { accessClaims: { sub: SESSION }, idToken: { claims: { sub: SESSION, name: "Carol" } } };
  const config = loginConfig(provider, origin, {
    authorizer: { scope: "openid", dpop: "allowed", token_from: [{ header: "Authorization" }, { header: TOKEN_HEADER }, { cookie: TOKEN_COOKIE }] },
    paths: [
      proxy("/public/{*rest}", origin, { auth: "none" }),
      proxy("/optional/{*rest}", origin, { auth: "optional", headers: IDENTITY }),
      proxy("/api/{*rest}", origin, { headers: IDENTITY }),
      proxy("/scoped/{*rest}", origin, { scopes: ["admin:read"], headers: IDENTITY }),
      proxy("/login-only/{*rest}", origin, { credentials: "session", headers: IDENTITY }),
      proxy("/observed/{*rest}", origin, { observe: true, headers: IDENTITY }),
      proxy("/claims/{*rest}", origin, { headers: { ...IDENTITY, "X-Roles": "$claims.scope", "X-Token": "$token", Authorization: "Bearer $token" } }),
      proxy("/kept/{*rest}", origin, { headers: IDENTITY, strip_authorization: false }),
      { method: "ANY", path: "/unforwarded/{*rest}", integration: { type: "http_proxy", url: origin.url, forwarded: false, headers: IDENTITY } },
      respond("/sentinel", { headers: { "X-Sentinel": "here" }, body: "here" }),
    ],
    identity_token: { issuer: SITE, audience: "origins", private_key: IDENTITY_TOKEN },
    cors: { allow_origins: ["https://www.example.com"], allow_credentials: true, allow_methods: ["GET", "PUT"], allow_headers: ["*"] },
  });
  const gateways = await startGateways({ only: config });
  try {
    const browser = new Browser(gateways.worker);
    await browser.open("/login?return_to=/app/x");
    const session = browser.cookies().get(COOKIE);
    if (session === undefined) throw new Error(`no login:\n${gateways.worker.logText}`);
    const token = (sub, more) => provider.tokens.token({ claims: { sub, ...more } });
    const holder = newHolder((cnf) => token(BEARER, { cnf }));
    const credentials = { token: token(BEARER), bound: holder.token, other: token(OTHER_BEARER), expired: token(BEARER, { exp: nowSeconds() - 600 }), session };
    const rows = rowsWith(credentials);
    const contexts = contextsWith(credentials, holder);
    const cases = rows.flatMap((row) => contexts.flatMap((context) => ["before", "after"].map((order) => ({ row, context, order }))));
    const port = gateways.worker.port;
    const judge = (one, index) => judged(tally, { ...one, index, port, origin, credentials });
    await each(contexts.map((context) => ({ row: { name: "nothing", lines: [] }, context, order: "after" })), (one, index) => judge(one, `b${index}`));
    await each(sample(cases, { seed, share }), judge, { atOnce: 64 });
    const next = random(seed);
    const changed = Array.from({ length: CHANGED * share }, () => {
      const row = changedRow(pick(next, rows), credentials, next);
      // An empty line ends the head: credentials after it would be none.
      const orders = /(?:^|[\r\n])\r?\n|[\r\n]$/.test(row.lines[0]) ? ["after"] : ["before", "after"];
      return { row, context: pick(next, contexts), order: pick(next, orders) };
    });
    await each(changed, (one, index) => judge(one, `r${index}`), { atOnce: 64 });
    for (const problem of origin.problems) tally.fail(`at the origin: ${problem}`);
    for (const target of origin.targets) tally.check(!target.includes("smuggled"), () => `at the origin: ${target}`);
    tally.count("rows", rows.length);
    tally.count("contexts", contexts.length);
  } finally {
    await Promise.all([gateways.stop(), origin.stop(), provider.stop()]);
  }
  return tally;
}

// ---- the judgement ----------------------------------------------------------------------------------------------------------

const canonical = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

async function judged(tally, { row, context, order, index, port, origin, credentials }) {
  tally.cases += 1;
  const target = `${context.path}/case-${index}`;
  const own = typeof context.lines === "function" ? context.lines(`http://${HOST}${target}`) : [...context.lines];
  if (context.body !== undefined && row.body === undefined) own.push(`Content-Length: ${context.body.length}`);
  const lines = [`Host: ${HOST}`, ...(order === "before" ? [...row.lines, ...own] : [...own, ...row.lines])];
  const body = (row.body ?? context.body ?? "").replaceAll("INDEX", String(index));
  const bytes = `${context.method} ${target} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
  const [first, ...others] = await converse(port, bytes, { isHead: context.method === "HEAD", timeout: row.mayHang ? HANGING_MS : ANSWERING_MS });
  const status = first?.status ?? 0;
  const where = () => `${row.name}, ${order} the credentials of: ${context.name}`;

  // The answers.
  const isUsual = status === context.status;
  const lent = [row.lends ?? []].flat();
  const isRefused = (row.also ?? []).includes(status) || (row.isChanged && (status === 0 || (status >= 300 && status < 500))) || (lent.length > 0 && [200, 101, 204].includes(status));
  tally.check(isUsual || isRefused, () => `${where()}: answered ${status}, usually ${context.status}: ${first?.text.slice(0, 200)}`);
  // 501: the rest of a request begins with a method that the runtime does not know.
  for (const other of others) tally.check((other.status >= 400 && other.status < 500) || other.status === 501, () => `${where()}: a further answer, ${other.status}`);
  tally.count(isUsual ? "as without the header" : `otherwise: ${status || "no answer"}`);

  // Requests at the origin.
  const reached = origin.of(target);
  // Beside others, a credential may be ignored, but not on a protected route.
  const users = [context.user, ...lent, ...((row.also || row.isChanged) && !context.isProtected ? [undefined] : [])];
  const [least, most] = [context.reaches && isUsual ? 1 : 0, context.reaches || lent.length > 0 ? 1 : 0];
  tally.check(reached.length >= least && reached.length <= most, () => `${where()}: reached the origin ${reached.length} times`);
  for (const { method, headers, text, body: received } of reached) {
    tally.check(method === context.method, () => `${where()}: arrived as ${method}`);
    const values = (name) => headers.filter(([given]) => canonical(given) === name).map(([, value]) => value);
    const found = values("x-user-id");
    tally.check(found.length <= 1 && users.includes(found[0]), () => `${where()}: the user is ${JSON.stringify(found)}, not ${users}`);
    tally.check(!context.isProtected || found.length === 1, () => `${where()}: no user at a protected route`);
    const subjects = values("x-identity-token").map((signed) => JSON.parse(Buffer.from(signed.split(".")[1] ?? "", "base64url").toString() || "{}").sub);
    tally.check(JSON.stringify(subjects) === JSON.stringify(found), () => `${where()}: identity tokens of ${JSON.stringify(subjects)}`);
    tally.check(JSON.stringify(values("x-tenant")) === JSON.stringify(context.isPublic ? [] : ["gold"]), () => `${where()}: the tenant is ${values("x-tenant")}`);
    tally.check(!isUsual || row.isChanged || row.body !== undefined || received === (context.body ?? ""), () => `${where()}: the body is ${JSON.stringify(received)}`);
    const isSpoofed = row.isChanged ? headers.some(([name, value]) => OWN.includes(canonical(name)) && value.includes(SPOOFED)) : (text + received).includes(SPOOFED);
    tally.check(row.carries || !isSpoofed, () => `${where()}: spoofed: ${text}`);
    tally.check(JSON.stringify(values("x-forwarded-host")) === JSON.stringify(context.isUnforwarded ? [] : [HOST]), () => `${where()}: the host is ${values("x-forwarded-host")}`);
      for (const [name, secret] of Object.entries(credentials)) {
      const isGiven = (context.passes && name !== "session") || row.passes === name || (row.isChanged && row.lines.join("").includes(secret.slice(-60)));
      tally.check(isGiven || !text.includes(secret.slice(-60)), () => `${where()}: the origin has the ${name}`);
    }
    for (const [name, value] of row.arrives ?? []) {
      tally.check(values(canonical(name)).includes(value), () => `${where()}: ${name} arrived as ${JSON.stringify(values(canonical(name)))}`);
    }
  }
}

/** Sends the bytes and one more request after them, and returns all answers but the last request's. */
function converse(port, bytes, { isHead, timeout }) {
  return new Promise((resolve) => {
    const answers = [];
    let received = Buffer.alloc(0);
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(Buffer.from(`${bytes}GET /sentinel HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, "latin1"));
    });
    const end = () => {
      clearTimeout(timer);
      read(true);
      socket.destroy();
      resolve(answers);
    };
    const timer = setTimeout(end, timeout);
    const read = (isClosed) => {
      for (;;) {
        const { answer, length } = parse(received, { hasBody: !isHead || answers.length > 0, isClosed }) ?? {};
        if (!answer) return false;
        received = received.subarray(length);
        if (answer.header("x-sentinel") !== null) return true;
        if (answer.status >= 100 && answer.status < 200 && answer.status !== 101) continue;
        answers.push(answer);
        if (answer.status === 101) return true;
      }
    };
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (read(false)) end();
    });
    socket.on("end", end);
    socket.on("error", end);
  });
}

const sha256 = (text) => base64url(createHash("sha256").update(text).digest());

/** A client with a key, and its token, which is bound to the key (RFC 9449). */
function newHolder(issue) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { crv, kty, x, y } = publicJwk(privateKey);
  const token = issue({ jkt: sha256(JSON.stringify({ crv, kty, x, y })) });
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { crv, kty, x, y } };
  const proof = (htu) => makeToken({ header, payload: { htm: "GET", htu, iat: nowSeconds(), jti: randomUUID(), ath: sha256(token) }, key: privateKey });
  return { token, proof };
}

// ---- the contexts -----------------------------------------------------------------------------------------------------------

const NAVIGATION = ["Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none"];
const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];

function contextsWith({ token, expired, session }, { token: bound, proof }) {
  const asBearer = [`Authorization: ${bearer(token).authorization}`];
  const asSession = [`Cookie: theme=dark; ${COOKIE}=${session}`];
  const forged = token.replace(/[^.]{40}$/, "A".repeat(40));
  const tampered = `${session.slice(0, 200)}${session[200] === "A" ? "B" : "A"}${session.slice(201)}`;
  const context = (name, path, lines = [], { method = "GET", status = 200, user, body, ...more } = {}) => ({
    name, path, lines, method, status, user, body, reaches: status < 300 && more.reaches !== false, isPublic: path === "/public", isProtected: ["/api", "/scoped", "/login-only", "/claims", "/kept", "/unforwarded"].includes(path), ...more,
  });
  const socket = { status: 101, reaches: true };
  return [
    context("public", "/public"),
    context("public, HEAD", "/public", [], { method: "HEAD" }),
    context("public, POST", "/public", [], { method: "POST", body: "a=b" }),
    context("public, OPTIONS", "/public", [], { method: "OPTIONS" }),
    context("public, with a token", "/public", asBearer),
    context("public, with a session", "/public", asSession),
    context("optional", "/optional"),
    context("optional, with a token", "/optional", asBearer, { user: BEARER }),
    context("optional, with a session", "/optional", asSession, { user: SESSION }),
    context("protected, without credentials", "/api", [], { status: 401 }),
    context("protected, a navigation", "/api", NAVIGATION, { status: 302 }),
    context("protected, POST without credentials", "/api", [], { status: 401, method: "POST", body: "a=b" }),
    context("protected, HEAD without credentials", "/api", [], { status: 401, method: "HEAD" }),
    context("protected, OPTIONS without credentials", "/api", [], { status: 401, method: "OPTIONS" }),
    context("protected, with a forged token", "/api", [`Authorization: Bearer ${forged}`], { status: 401 }),
    context("protected, with an expired token", "/api", [`Authorization: Bearer ${expired}`], { status: 401 }),
    context("protected, with a changed session", "/api", [`Cookie: ${COOKIE}=${tampered}`], { status: 401 }),
    context("protected, with a token", "/api", asBearer, { user: BEARER }),
    context("protected, HEAD with a token", "/api", asBearer, { user: BEARER, method: "HEAD" }),
    context("protected, POST with a token", "/api", asBearer, { user: BEARER, method: "POST", body: "a=b" }),
    context("protected, DELETE with a token", "/api", asBearer, { user: BEARER, method: "DELETE" }),
    context("protected, OPTIONS with a token", "/api", asBearer, { user: BEARER, method: "OPTIONS" }),
    context("protected, with a session", "/api", asSession, { user: SESSION }),
    context("protected, HEAD with a session", "/api", asSession, { user: SESSION, method: "HEAD" }),
    context("protected, POST with a session", "/api", [...asSession, `Origin: ${SITE}`], { user: SESSION, method: "POST", body: "a=b" }),
    context("protected, with a token in a header", "/api", [`${TOKEN_HEADER}: ${token}`], { user: BEARER }),
    context("protected, with a token in a cookie", "/api", [`Cookie: ${TOKEN_COOKIE}=${token}`], { user: BEARER }),
    context("protected, with a bound token and its proof", "/api", (url) => [`Authorization: DPoP ${bound}`, `DPoP: ${proof(url)}`], { user: BEARER }),
    context("protected, with a bound token and another's proof", "/api", (url) => [`Authorization: DPoP ${bound}`, `DPoP: ${proof(`${url}/x`)}`], { status: 401 }),
    context("protected, with a bound token alone", "/api", [`Authorization: Bearer ${bound}`], { status: 401 }),
    context("protected by a scope, with a token", "/scoped", asBearer, { status: 403 }),
    context("protected by a scope, with a session", "/scoped", asSession, { status: 403 }),
    context("for logins, with a token", "/login-only", asBearer, { status: 401 }),
    context("for logins, with a session", "/login-only", asSession, { user: SESSION }),
    context("observed, without credentials", "/observed"),
    context("observed, with a token", "/observed", asBearer, { user: BEARER }),
    context("observed, with a forged token", "/observed", [`Authorization: Bearer ${forged}`]),
    context("claims in headers", "/claims", asBearer, { user: BEARER, passes: true }),
    context("Authorization kept", "/kept", asBearer, { user: BEARER, passes: true }),
    context("without X-Forwarded-*", "/unforwarded", asBearer, { user: BEARER, isUnforwarded: true }),
    context("a preflight", "/api", ["Origin: https://www.example.com", "Access-Control-Request-Method: PUT"], { method: "OPTIONS", status: 204, reaches: false }),
    context("a public WebSocket", "/public", UPGRADE, socket),
    context("a WebSocket without credentials", "/api", UPGRADE, { status: 401 }),
    context("a WebSocket with a token", "/api", [...UPGRADE, ...asBearer], { ...socket, user: BEARER }),
    context("a WebSocket with a session", "/api", [...UPGRADE, ...asSession, `Origin: ${SITE}`], { ...socket, user: SESSION }),
  ];
}

// ---- rows changed at random -------------------------------------------------------------------------------------------------

/** Names that no client can send to an origin. */
const OWN = ["x-user-id", "x-tenant", "x-identity-token", "x-roles", "x-token", "x-forwarded-host", "x-forwarded-for", "x-forwarded-user", "x-real-ip", "x-user", "x-edgeward-sub", "remote-user"];
const PIECES = [
  " ", "\t", ":", ": ", ";", ",", "-", "_", ".", "=", '"', "%", "%0d%0a", "\0", "\r", "\n", "\r\n", "\r\n ", "\r\n\r\n", "\n\n", "\x0b", "\x7f", "\x80", "\xa0", "\xc3\xa9", "\xef\xbb\xbf", "X-User-Id", "Bearer ", "Authorization: ", "Cookie: ",
  `\r\nX-User-Id: ${SPOOFED}`, `\nX-User-Id: ${SPOOFED}`, `\rX-User-Id: ${SPOOFED}`, "\r\nConnection: X-User-Id, Authorization", "\r\nTransfer-Encoding: chunked", "\r\nContent-Length: 0",
];

const pick = (next, list) => list[Math.floor(next() * list.length)];

/** A row with one to three changes in its lines. What it then means is not known: it may be refused, but opens nothing else. */
function changedRow(row, { token, other, session }, next) {
  let text = row.lines.join("\r\n");
  for (let count = 1 + Math.floor(next() * 3); count > 0; count -= 1) {
    // Mostly where names and schemes are.
    const at = Math.floor(next() * (next() < 0.7 ? Math.min(text.length, 40) : text.length));
    const end = at + Math.floor(next() * 4);
    const replaced = [
      () => pick(next, PIECES), () => "", () => text.slice(at, end).toUpperCase(), () => text.slice(at, end) + text.slice(at, end), () => String.fromCharCode(text.charCodeAt(at) ^ (1 << Math.floor(next() * 8))),
    ];
    text = text.slice(0, at) + pick(next, replaced)() + text.slice(end);
  }
  const lends = [[token, BEARER], [other, OTHER_BEARER], [session, SESSION]].filter(([secret]) => text.includes(secret)).map(([, user]) => user);
  return { name: `${row.name}, changed to ${JSON.stringify(text.slice(0, 200))}`, lines: [text], isChanged: true, also: row.also, lends, mayHang: true, body: row.body };
}

// ---- the rows ---------------------------------------------------------------------------------------------------------------

/**
 * Rows: `lines` as they go on the wire, without the line break at their end. `also`: statuses that are right, too, 0 for no answer; `arrives`:
 * what the origin must get; `carries`: the marker may reach it, as another header's value; `passes`: a credential that may; `lends`: a
 * further user whose valid credential it is; `body`: replaces that of the request; `mayHang`: its length may be wrong.
 */
function rowsWith({ token, other, expired, session }) {
  const owned = (name, ...lines) => ({ name, lines });
  const harmless = (name, value, more = {}) => ({ name: `${name}: ${value.slice(0, 60)}`, lines: [`${name}: ${value}`], arrives: [[name, value]], ...more });
  const broken = (name, ...lines) => ({ name, lines, also: [0, 400], carries: false });
  const credential = (name, lines, more = {}) => ({ name, lines, also: [302, 400, 401], ...more });
  const framing = (name, lines, body, more = {}) => ({ name, lines, body, also: [0, 400, 413], mayHang: true, ...more });
  const smuggled = `GET /api/smuggled-INDEX HTTP/1.1\r\nHost: ${HOST}\r\nX-User-Id: ${SPOOFED}\r\nX-Ignored: `;

  return [
    // Names that the gateway sets or removes, in spellings that servers may treat as equal.
    ...[
      "X-User-Id", "x-user-id", "X-USER-ID", "X_User_Id", "X-User_Id", "X.User.Id", "X--User--Id", "X~User~Id", "X!User!Id", "X+User+Id", "X*User*Id", "X^User^Id",
      "X`User`Id", "X|User|Id", "X'User'Id", "X#User#Id", "X$User$Id", "X%User%Id", "X&User&Id", "X-Tenant", "x_tenant", "X-Roles", "X-User-Role", "X-Identity-Token", "x_identity_token", "X-Token-Claim-Sub", "X-Forwarded-User",
      "X-Auth-Request-Email", "X-Forwarded-Access-Token", "Remote-User", "REMOTE_USER", "X-Remote-User", "X-WebAuth-User", "X-Edgeward-Sub", "X_Edgeward_Observed", "X-Id-Token",
      "Ssl-Client-S-Dn", "X-Forwarded-Client-Cert", "X-Ms-Client-Principal", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Identity", "Oidc_claim_sub", "X-Forwarded-Host", "X_Forwarded_Proto",
      "X-Forwarded-For", "X-Forwarded-Prefix", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "True-Client-IP", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
      "X-Middleware-Subrequest", "Cf-Access-Authenticated-User-Email",
    ].map((name) => owned(name, `${name}: ${SPOOFED}`)),
    owned("X-User-Id twice", `X-User-Id: ${SPOOFED}`, `X-User-Id: ${SPOOFED}-2`),
    owned("X-User-Id empty, then not", "X-User-Id:", `X-User-Id: ${SPOOFED}`),
    owned("X-User-Id as a list", `X-User-Id: ${BEARER}, ${SPOOFED}`),
    owned("X-User-Id in three spellings", `X-User-Id: ${SPOOFED}`, `x_user_id: ${SPOOFED}`, `X.USER.ID: ${SPOOFED}`),
    owned("X-User-Id without a blank", `X-User-Id:${SPOOFED}`),
    owned("X-User-Id behind a tab", `X-User-Id:\t${SPOOFED}`),
    owned("X-User-Id in bytes beyond ASCII", `X-User-Id: \xc3\xa9${SPOOFED}`),
    owned("X-User-Id behind a vertical tab", `X-User-Id: \x0b${SPOOFED}`),
    owned("X-User-Id of 4 KiB", `X-User-Id: ${SPOOFED.padEnd(4096, "x")}`),
    owned("X-User-Id that is empty", "X-User-Id: "),
    owned("X-User-Id with the user of the token", `X-User-Id: ${BEARER}`, `X_User_Id: ${SESSION}`),
    // Malformed lines.
    broken("a blank before the colon", `X-User-Id : ${SPOOFED}`),
    broken("a tab before the colon", `X-User-Id\t: ${SPOOFED}`),
    broken("a blank before the name", ` X-User-Id: ${SPOOFED}`),
    broken("a tab before the name", `\tX-User-Id: ${SPOOFED}`),
    broken("a folded line", `X-Other: a\r\n X-User-Id: ${SPOOFED}`),
    broken("a line folded with a tab", `X-Other: a\r\n\tX-User-Id: ${SPOOFED}`),
    broken("an empty folded line", `X-Other: a\r\n \r\nX-User-Id: ${SPOOFED}`),
    broken("a bare line feed", `X-Other: a\nX-User-Id: ${SPOOFED}`),
    broken("a bare carriage return", `X-Other: a\rX-User-Id: ${SPOOFED}`),
    broken("two carriage returns", `X-Other: a\r\r\nX-User-Id: ${SPOOFED}`),
    broken("a line feed and a carriage return", `X-Other: a\n\rX-User-Id: ${SPOOFED}`),
    broken("a NUL in the name", `X-User-Id\0: ${SPOOFED}`),
    broken("a NUL in the value", `X-Other: a\0X-User-Id: ${SPOOFED}`),
    broken("a NUL alone", "X-User-Id: \0"),
    broken("a name beyond ASCII", `X-User-Id\xa0: ${SPOOFED}`),
    broken("a name with a byte order mark", `\xef\xbb\xbfX-User-Id: ${SPOOFED}`),
    broken("a name in quotes", `"X-User-Id": ${SPOOFED}`),
    broken("a name in brackets", `X-User-Id[]: ${SPOOFED}`),
    broken("a name with a slash", `X/User/Id: ${SPOOFED}`),
    broken("no name", `: ${SPOOFED}`),
    broken("a colon before the name", `:X-User-Id: ${SPOOFED}`),
    broken("no colon", `X-User-Id ${SPOOFED}`),
    broken("an equals sign for the colon", `X-User-Id=${SPOOFED}`),
    broken("a second request line", `GET /api/smuggled HTTP/1.1`),
    // Headers of the connection.
    owned("Connection: X-User-Id", "Connection: X-User-Id"),
    owned("Connection with the gateway's names", "Connection: keep-alive, X-User-Id, X-Tenant, X-Forwarded-Host"),
    owned("Connection: X-User-Id, with the header", "Connection: X-User-Id", `X-User-Id: ${SPOOFED}`),
    owned("Connection: Authorization, Cookie", "Connection: Authorization, Cookie"),
    owned("Connection: Host", "Connection: Host"),
    owned("Connection: Content-Length", "Connection: Content-Length"),
    owned("Connection: Sec-Fetch-Site, Origin", "Connection: Sec-Fetch-Site, Origin"),
    owned("Connection that is no list", 'Connection: ,,"x",;'),
    owned("Proxy-Connection", `Proxy-Connection: ${SPOOFED}`),
    owned("Keep-Alive", `Keep-Alive: ${SPOOFED}`),
    owned("TE", `TE: trailers, ${SPOOFED}`),
    owned("Trailer", `Trailer: X-User-Id, ${SPOOFED}`),
    owned("Proxy-Authorization", `Proxy-Authorization: Bearer ${token}`, `Proxy-Authorization: ${SPOOFED}`),
    { name: "Upgrade: h2c", lines: ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"], also: [0, 200, 400, 426] },
    { name: "Upgrade: TLS/1.3", lines: ["Connection: Upgrade", "Upgrade: TLS/1.3"], also: [0, 200, 400, 426] },
    { name: "Upgrade: websocket without a key", lines: ["Connection: Upgrade", "Upgrade: websocket"], also: [0, 101, 200, 400, 426] },
    { name: "another version of WebSockets", lines: ["Sec-WebSocket-Version: 777"], also: [0, 400, 426] },
    // Further credentials.
    credential("a second Authorization: garbage", ["Authorization: Bearer garbage"]),
    credential("a second Authorization: another user's", [`Authorization: Bearer ${other}`], { lends: OTHER_BEARER }),
    credential("a second Authorization: the same", [`Authorization: Bearer ${token}`], { lends: BEARER }),
    credential("a second Authorization: expired", [`Authorization: Bearer ${expired}`]),
    credential("Authorization: Basic", ["Authorization: Basic dXNlcjpwYXNz"]),
    credential("Authorization: Basic and Bearer in a list", [`Authorization: Basic dXNlcjpwYXNz, Bearer ${other}`]),
    credential("Authorization: Bearer and Basic in a list", [`Authorization: Bearer ${other}, Basic dXNlcjpwYXNz`]),
    credential("Authorization: two Bearer in a list", [`Authorization: Bearer ${other}, Bearer ${other}`]),
    credential("Authorization: Bearer without a token", ["Authorization: Bearer"]),
    credential("Authorization: Bearer and a tab", [`Authorization: Bearer\t${other}`]),
    credential("Authorization: Bearer in quotes", [`Authorization: Bearer "${other}"`]),
    credential("Authorization: Bearer with a comma", [`Authorization: Bearer ${other},`]),
    credential("Authorization: Bearer with a no-break space", [`Authorization: Bearer\xa0${other}`]),
    credential("Authorization: no scheme", [`Authorization: ${other}`]),
    credential("Authorization: DPoP", [`Authorization: DPoP ${other}`]),
    credential("Authorization: Negotiate", ["Authorization: Negotiate YII="]),
    credential("Authorization: empty", ["Authorization:"]),
    credential("Authorization in small letters", [`authorization: bearer ${other}`], { lends: OTHER_BEARER }),
    credential("Authorization, folded", [`Authorization:\r\n Bearer ${other}`], { also: [0, 302, 400, 401] }),
    credential("Authorization with an underscore", [`Authorization_: Bearer ${other}`, `_Authorization: Bearer ${other}`], { also: [], carries: true, passes: "other" }),
    credential("X-Authorization", [`X-Authorization: Bearer ${other}`], { also: [], passes: "other" }),
    credential("a blank before the colon of Authorization", [`Authorization : Bearer ${other}`], { also: [0, 302, 400, 401] }),
    credential("DPoP", ["DPoP: eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.AA"]),
    credential("a token in a header: garbage", [`${TOKEN_HEADER}: garbage`]),
    credential("a token in a header: another user's", [`${TOKEN_HEADER}: ${other}`], { lends: OTHER_BEARER }),
    credential("a token in a header: another user's, with an underscore", [`Cf_Access_Jwt_Assertion: ${other}`], { also: [] }),
    credential("a token in a header: twice", [`${TOKEN_HEADER}: ${other}`, `${TOKEN_HEADER}: ${other}`]),
    credential("a token in a header: with a scheme", [`${TOKEN_HEADER}: Bearer ${other}`]),
    credential("a token in a cookie: garbage", [`Cookie: ${TOKEN_COOKIE}=garbage`]),
    credential("a token in a cookie: another user's", [`Cookie: ${TOKEN_COOKIE}=${other}`], { lends: OTHER_BEARER }),
    credential("a token in a cookie: another spelling", [`Cookie: cf_authorization=${other}; CF-Authorization=${other}`], { passes: "other" }),
    credential("a session beside", [`Cookie: ${COOKIE}=${session}`], { lends: SESSION }),
    credential("a session twice", [`Cookie: ${COOKIE}=${session}; ${COOKIE}=${session}`]),
    credential("a session that is garbage", [`Cookie: ${COOKIE}=1.garbage`]),
    credential("a session under other names", [`Cookie: ${COOKIE.toLowerCase()}=${session}; edgeward=1.x; __Secure-edgeward=1.x`]),
    credential("a session in Cookie2", [`Cookie2: ${COOKIE}=1.x; $Version=1`]),
    credential("a session in Set-Cookie", [`Set-Cookie: ${COOKIE}=1.x`]),
    credential("Cookie: another one", ["Cookie: lang=de"]),
    credential("Cookie: empty", ["Cookie:"]),
    credential("Cookie: separators only", ["Cookie: ;;; , ;=;"]),
    credential("Cookie: quoted", ['Cookie: a="b; c"; d="e']),
    credential("Cookie: $Version", ["Cookie: $Version=1; a=b; $Path=/"]),
    credential("Cookie: in bytes beyond ASCII", ["Cookie: a=\xe9\xff"]),
    credential("Cookie: 200 of them", [`Cookie: ${Array.from({ length: 200 }, (_, index) => `c${index}=${index}`).join("; ")}`]),
    // Bodies, with requests in them and after them; framing.mjs has more.
    framing("Content-Length and Transfer-Encoding", ["Content-Length: 4", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`),
    framing("Transfer-Encoding and Content-Length", ["Transfer-Encoding: chunked", "Content-Length: 4"], `0\r\n\r\n${smuggled}`),
    framing("Content-Length of less than the body", ["Content-Length: 3"], `a=b${smuggled}`),
    framing("Content-Length of more than the body", ["Content-Length: 100000"], "a=b"),
    framing("Transfer-Encoding: chunked", ["Transfer-Encoding: chunked"], "3\r\na=b\r\n0\r\n\r\n", { also: [] }),
    framing("trailers", ["Transfer-Encoding: chunked", "Trailer: X-User-Id"], `3\r\na=b\r\n0\r\nX-User-Id: ${SPOOFED}\r\nAuthorization: Bearer ${other}\r\nContent-Length: 100\r\n\r\n`),
    { name: "Expect: 100-continue", lines: ["Expect: 100-continue"] },
    { name: "Expect: anything else", lines: [`Expect: ${SPOOFED}`], also: [400, 417], carries: true },
    // A browser's description of the request.
    ...["cross-site", "same-site", "none", "Same-Origin", "same-origin, cross-site", "", "?1"].map((value) => ({ name: `Sec-Fetch-Site: ${value}`, lines: [`Sec-Fetch-Site: ${value}`], also: [403] })),
    ...["navigate", "no-cors", "websocket", "nested-navigate", ""].map((value) => ({ name: `Sec-Fetch-Mode: ${value}`, lines: [`Sec-Fetch-Mode: ${value}`], also: [302, 401, 403] })),
    ...["iframe", "image", "empty", "document"].map((value) => ({ name: `Sec-Fetch-Dest: ${value}`, lines: [`Sec-Fetch-Dest: ${value}`], also: [302, 400, 401] })),
    ...["https://evil.example", "null", `${SITE}.evil.example`, `${SITE}:8443`, "", "file://", `${SITE}, https://evil.example`].map((value) => ({ name: `Origin: ${value}`, lines: [`Origin: ${value}`], also: [403] })),
    { name: "Origin: a trusted one", lines: ["Origin: https://www.example.com"], also: [403] },
    ...["Sec-Purpose: prefetch", "Purpose: prefetch", "X-Moz: prefetch", "X-Purpose: preview", "Next-Router-Prefetch: 1", "X-Sec-Purpose: prefetch;prerender"].map((line) => ({ name: line, lines: [line], also: [302, 401] })),
    ...["text/html", "text/html, */*;q=0.1", "", "*/*", "image/png", "text/html;q=0", "a".repeat(4000), ",,,;q=", "text/html\xff"].map((value) => ({ name: `Accept: ${value.slice(0, 40)}`, lines: [`Accept: ${value}`], also: [302, 401] })),
    { name: "X-Requested-With", lines: ["X-Requested-With: XMLHttpRequest"], also: [302, 401] },
    // Headers of preflights on other requests.
    { name: "Access-Control-Request-Method", lines: ["Access-Control-Request-Method: DELETE"], also: [204] },
    { name: "Access-Control-Request-Headers", lines: [`Access-Control-Request-Headers: x-user-id, authorization, ${SPOOFED}`], also: [204], carries: true },
    { name: "a preflight of another origin", lines: ["Origin: https://evil.example", "Access-Control-Request-Method: DELETE"], also: [204, 403] },
    // Sizes.
    { name: "a value of 8 KiB", lines: [`X-Long: ${"a".repeat(8192)}`], also: [0, 400, 431] },
    { name: "a value of 100 KiB", lines: [`X-Long: ${"a".repeat(102_400)}`], also: [0, 400, 431] },
    { name: "a value of 1 MiB", lines: [`X-Long: ${"a".repeat(1_048_576)}`], also: [0, 400, 431] },
    { name: "a name of 8 KiB", lines: [`X-${"a".repeat(8192)}: a`], also: [0, 400, 431] },
    { name: "100 headers", lines: Array.from({ length: 100 }, (_, index) => `X-H${index}: ${index}`) },
    { name: "1,000 headers", lines: Array.from({ length: 1000 }, (_, index) => `X-H${index}: ${index}`), also: [0, 400, 431] },
    { name: "100 times one header", lines: Array.from({ length: 100 }, () => `X-User-Id: ${SPOOFED}`) },
    { name: "Authorization of 100 KiB", lines: [`Authorization: Bearer ${"a".repeat(102_400)}`], also: [0, 302, 400, 401, 431] },
    // Headers between clients and origins.
    harmless("X-User-Agent", "grpc-web-javascript/0.1"), harmless("X-Request-Id", "7"), harmless("X-Tenants", "a"), harmless("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    harmless("Range", "bytes=0-1"), harmless("If-None-Match", 'W/"a", "b"'), harmless("If-Modified-Since", "not a date"), harmless("Cache-Control", "no-cache, max-age=0"), harmless("Pragma", "no-cache"),
    harmless("Accept-Language", "de;q=0.5, *"), harmless("Referer", "https://evil.example/?x=%00"), harmless("User-Agent", "() { :;}; echo"), harmless("X-Csrf-Token", "a"), harmless("Idempotency-Key", '"8e03978e"'),
    harmless("Content-Type", "text/plain; charset=\"x\""), harmless("Content-Language", "x"), harmless("Priority", "u=1, i"), harmless("Via", "1.1 a, 1.0 b"), harmless("Sec-CH-UA", '"a";v="1"'), harmless("X-Empty", ""),
    harmless("X-Latin", "caf\xe9"), harmless("X-Utf8", "caf\xc3\xa9"), harmless("X-Quoted", '"a, b", c'), harmless("X-Control", "a\x01b"), harmless("X-Percent", "%0d%0aX-User-Id:%20a"), harmless("Sec-WebSocket-Protocol", "chat", { also: [0] }),
  ];
}
