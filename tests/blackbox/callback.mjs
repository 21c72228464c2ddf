// Callbacks: every combination of right, missing, repeated, foreign and hostile parameters; every kind of request and of cookies; every bit
// of `state`; and several at once. The expected outcome is computed by a second implementation of the rules. Each code is redeemed at most
// once, by the login for which it was issued; no other callback leads to a session; nothing of the query is in the answer.

import { randomBytes } from "node:crypto";
import { respond } from "../node/support/gateway.mjs";
import { startHostileProvider } from "../node/support/hostile.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig } from "../node/support/login.mjs";
import { each, sample, startGateways, Tally } from "./support.mjs";

const HOST = "app.example.com";
const MARKUP = "\"'><img src=x onerror=alert(1)>\r\nX-Injected: yes\r\n\r\n{{7*7}}";
const LONG = "x".repeat(16_384);

/** Runs a share of the cases. */
export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const provider = await startHostileProvider();
  // Each login is one of a user of its own.
  const userOf = (state) => `user-${state.slice(0, 12)}`;
  provider.behave.idToken = (good, { asked }) => provider.tokens.token({ ...good, claims: { ...good.claims, sub: userOf(asked.get("state")) } });
  const config = loginConfig(provider, { url: "http://127.0.0.1:1" }, { paths: [respond("/who", { auth: "optional", headers: { "X-Sub": "$claims.sub" } })] });
  config.paths.find(({ path }) => path === "/auth/callback").method = "ANY";
  const gateways = await startGateways({ only: config });
  try {
    const site = new Site(tally, gateways.clients.only, provider, userOf);
    await testParameters(site, { seed, share });
    await testRequests(site, { seed, share });
    await testState(site, { seed, share });
    await testTogether(site, share < 1 ? 2 : 40);
    tally.check(!(await gateways.worker.written()).includes("<img"), "markup in the log");
  } finally {
    await Promise.all([gateways.stop(), provider.stop()]);
  }
  return tally;
}

// ---- logins -----------------------------------------------------------------------------------------------------------------

const pairsOf = (lines) => lines.map((line) => /^([^=]+)=([^;]*)/.exec(line).slice(1)).filter(([, value]) => value !== "");
const headerOf = (pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("; ");

/** The gateway and its logins. */
class Site {
  #pending = [];
  #read = 0;
  #exchanges = new Map();

  constructor(tally, client, provider, userOf) {
    Object.assign(this, { tally, client, provider, userOf });
  }

  /** A login that waits for its callback: one that a former case has not used, or a new one. */
  async pending() {
    return this.#pending.pop() ?? this.begin();
  }

  async begin(cookies = []) {
    const answer = await this.client.send({ target: "/login?return_to=/app/here", host: HOST, headers: [["Cookie", headerOf(cookies)]] });
    const authorization = answer.header("location");
    if (!authorization) throw new Error(`no login: ${answer.status} ${answer.text}`);
    const location = (await fetch(authorization, { redirect: "manual" })).headers.get("location");
    const query = new URL(location).searchParams;
    return { state: query.get("state"), code: query.get("code"), iss: query.get("iss"), cookies: pairsOf(answer.values("set-cookie")) };
  }

  /** Returns a login that no callback has used. */
  release(login) {
    this.#pending.push(login);
  }

  /** How often a code was sent to the token endpoint. */
  exchangesOf(code) {
    for (; this.#read < this.provider.exchanges.length; this.#read += 1) {
      const sent = this.provider.exchanges[this.#read].get("code");
      this.#exchanges.set(sent, (this.#exchanges.get(sent) ?? 0) + 1);
    }
    return this.#exchanges.get(code) ?? 0;
  }

  /** Sends a callback. */
  callback(query, cookies, { method = "GET", headers = [], body } = {}) {
    const cookie = headerOf(cookies);
    return this.client.send({ method, target: `/auth/callback${query && `?${query}`}`, host: HOST, headers: [...headers, ...(cookie ? [["Cookie", cookie]] : [])], body });
  }

  /** The user whose session these cookies open. */
  async user(cookies) {
    return (await this.client.send({ target: "/who", host: HOST, headers: [["Cookie", headerOf(cookies)]] })).header("x-sub") ?? undefined;
  }

  /** Judges the answer to a callback: `expected` is the code of an error, or undefined for a login. */
  async judge(what, answer, login, expected, { status } = {}) {
    const { tally } = this;
    const where = () => `${what}: ${answer.status}, not ${expected ?? "a login"}: ${answer.text.slice(0, 300)}`;
    const session = pairsOf(answer.values("set-cookie")).filter(([name]) => name === COOKIE || name.startsWith(`${COOKIE}.`));
    const text = `${answer.text}\n${answer.headers.map((pair) => pair.join(": ")).join("\n")}`;
    tally.check(!/<img|\{\{7\*7\}\}|onerror=alert/.test(text) && answer.header("x-injected") === null, () => `${what}: repeats the query: ${text}`);
    tally.check(/\bno-store\b/.test(answer.header("cache-control") ?? ""), () => `${what}: may be stored: ${answer.header("cache-control")}`);
    if (expected === undefined) {
      tally.check(answer.status === 302 && answer.header("location") === "/app/here", where);
      tally.check(session.length > 0 && (await this.user(session)) === this.userOf(login.state), () => `${what}: no session of the login's user`);
    } else {
      tally.check(answer.status === (status ?? (expected === "token_exchange_failed" ? 502 : 400)) && answer.text.includes(expected), where);
      tally.check(session.length === 0 && answer.header("location") === null, () => `${what}: a session, or on to ${answer.header("location")}`);
    }
    tally.count(expected === undefined ? "a login" : expected || "nothing");
    return session;
  }
}

// ---- parameters -------------------------------------------------------------------------------------------------------------

const encode = encodeURIComponent;
/** Every character percent-encoded: the same value. */
const percent = (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

/** The ways to write a parameter: texts of the query by their description. `right` is its value in this login. */
const STATES = {
  "right": ({ state }) => `state=${state}`,
  "percent-encoded": ({ state }) => `st%61te=${percent(state)}`,
  "missing": () => "",
  "empty": () => "state=",
  "without a value": () => "state",
  "twice": ({ state }) => `state=${state}&state=${state}`,
  "twice, once encoded": ({ state }) => `state=${state}&%73tate=x`,
  "another login's": (_, { state }) => `state=${state}`,
  "invented": () => `state=${randomBytes(32).toString("base64url")}`,
  "padded": ({ state }) => `state=${state}=`,
  "behind a blank": ({ state }) => `state=+${state}`,
  "with a NUL": ({ state }) => `state=${state}%00`,
  "long": () => `state=${LONG}`,
  "markup": () => `state=${encode(MARKUP)}`,
  "in capitals": ({ state }) => `STATE=${state}`,
  "in brackets": ({ state }) => `state[]=${state}`,
};
const CODES = {
  "right": ({ code }) => `code=${code}`,
  "percent-encoded": ({ code }) => `c%6fde=${percent(code)}`,
  "missing": () => "",
  "empty": () => "code=",
  "twice": ({ code }) => `code=${code}&code=${code}`,
  "another login's": (_, { code }) => `code=${code}`,
  "invented": () => `code=${randomBytes(12).toString("hex")}`,
  "long": () => `code=${LONG}`,
  "markup": () => `code=${encode(MARKUP)}`,
};
const ISSUERS = {
  "right": ({ iss }) => `iss=${encode(iss)}`,
  "percent-encoded": ({ iss }) => `iss=${percent(iss)}`,
  "missing": () => "",
  "empty": () => "iss=",
  "with a slash": ({ iss }) => `iss=${encode(`${iss}/`)}`,
  "another": () => "iss=https://evil.example",
  "twice": ({ iss }) => `iss=${encode(iss)}&iss=${encode(iss)}`,
  "markup": () => `iss=${encode(MARKUP)}`,
};
const ERRORS = {
  "none": () => "",
  "denied": () => "error=access_denied&error_description=no&error_description=twice",
  "to be asked": () => "error=login_required",
  "empty": () => "error=",
  "twice": () => "error=a&error=b",
  "markup": () => `error=${encode(MARKUP)}&error_description=${encode(MARKUP)}&error_uri=javascript:alert(1)`,
};
const OTHERS = {
  "nothing": () => "",
  "a signed response": ({ state, code }) => `response=${encode(`eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ state, code })).toString("base64url")}.`)}`,
  "tokens": () => `access_token=a&id_token=b&token_type=Bearer&session_state=c&return_to=${encode("https://evil.example")}&${encode(MARKUP)}=${encode(MARKUP)}`,
};

/** The expected outcome of a query: the code of an error, undefined for a login; and whether the login is used then. */
function expectedOf(query, login) {
  const parameters = new URLSearchParams(query);
  const all = (name) => parameters.getAll(name);
  if (["state", "iss", "error", "code"].some((name) => all(name).length > 1)) return { expected: "callback_invalid" };
  const [[state], [iss], [error], [code]] = ["state", "iss", "error", "code"].map(all);
  if (state === undefined) return { expected: "callback_invalid" };
  if (state !== login.state) return { expected: "state_invalid" };
  const isUsed = true;
  // The provider says that it sends `iss`.
  if (iss !== login.iss) return { expected: "callback_issuer_mismatch", isUsed };
  if (error !== undefined) return { expected: "login_denied", isUsed };
  if (!code) return { expected: "callback_invalid", isUsed };
  return { expected: code === login.code ? undefined : "token_exchange_failed", isUsed, code };
}

async function testParameters(site, { seed, share }) {
  const cases = [];
  for (const state of Object.keys(STATES)) {
    for (const code of Object.keys(CODES)) {
      for (const iss of Object.keys(ISSUERS)) {
        for (const error of Object.keys(ERRORS)) for (const more of Object.keys(OTHERS)) cases.push({ state, code, iss, error, more });
      }
    }
  }
  await each(sample(cases, { seed, share }), async ({ state, code, iss, error, more }, index) => {
    const { tally } = site;
    tally.cases += 1;
    const [login, other] = [await site.pending(), await site.pending()];
    const parts = [STATES[state], CODES[code], ISSUERS[iss], ERRORS[error], OTHERS[more]].map((write) => write(login, other)).filter(Boolean);
    // The order of the parameters means nothing.
    const query = (index % 2 === 0 ? parts : parts.toReversed()).join("&");
    const what = `state ${state}, code ${code}, iss ${iss}, error ${error}, beside ${more}`;
    const { expected, isUsed, code: sent } = expectedOf(query, login);
    const before = sent === undefined ? 0 : site.exchangesOf(sent);
    const answer = await site.callback(query, login.cookies);
    const session = await site.judge(what, answer, login, expected);
    const isRedeemed = expected === undefined;
    tally.check(site.exchangesOf(login.code) === Number(isRedeemed), () => `${what}: the code was sent ${site.exchangesOf(login.code)} times`);
    if (sent !== undefined && !isRedeemed && !["long", "markup"].includes(code)) tally.check(site.exchangesOf(sent) === before + 1, () => `${what}: the wrong code was sent ${site.exchangesOf(sent) - before} times`);
    tally.check(sent === other.code || site.exchangesOf(other.code) === 0, () => `${what}: another login's code was sent`);
    if (sent !== other.code) site.release(other);
    if (!isUsed) {
      site.release(login);
      return;
    }
    // The right callback, too late: it leads on if it was redeemed before.
    const right = new URLSearchParams({ code: login.code, state: login.state, iss: login.iss });
    const late = await site.callback(right, login.cookies);
    await site.judge(`${what}, and again`, late, login, isRedeemed ? undefined : "state_invalid");
    const stranger = await site.callback(right, session);
    tally.check(!pairsOf(stranger.values("set-cookie")).some(([name]) => name === COOKIE), () => `${what}, and again without the login's cookie: a session`);
    tally.check(site.exchangesOf(login.code) === Number(isRedeemed), () => `${what}, and again: the code was sent ${site.exchangesOf(login.code)} times`);
  }, { atOnce: 32 });
}

// ---- requests and cookies ---------------------------------------------------------------------------------------------------

const fetchHeaders = (mode, dest, from) => [["Sec-Fetch-Mode", mode], ["Sec-Fetch-Dest", dest], ["Sec-Fetch-Site", from], ["Accept", "text/html"]];
const FORM = ["Content-Type", "application/x-www-form-urlencoded"];

/** Requests by their description, with the `status` of those that have no effect. */
const REQUESTS = {
  "a navigation": { headers: fetchHeaders("navigate", "document", "none") },
  "a navigation from the provider": { headers: fetchHeaders("navigate", "document", "cross-site") },
  "a client that is no browser": {},
  "one with a body": { headers: [FORM], body: "state=x&code=y" },
  "one with Authorization": { headers: [["Authorization", "Bearer a"]] },
  "a script": { headers: fetchHeaders("cors", "empty", "same-origin"), status: 400 },
  "another site's script": { headers: fetchHeaders("cors", "empty", "cross-site"), status: 400 },
  "an image": { headers: fetchHeaders("no-cors", "image", "cross-site"), status: 400 },
  "a frame": { headers: fetchHeaders("navigate", "iframe", "cross-site"), status: 400 },
  "a prefetch": { headers: [["Sec-Purpose", "prefetch"]], status: 400 },
  "a prerendering": { headers: [["Sec-Purpose", "prefetch;prerender"], ...fetchHeaders("navigate", "document", "none")], status: 400 },
  "an older prefetch": { headers: [["Purpose", "prefetch"]], status: 400 },
  "HEAD": { method: "HEAD", status: 200 },
  "OPTIONS": { method: "OPTIONS", status: 200 },
  "POST": { method: "POST", body: "", status: 400 },
  "POST of another site": { method: "POST", body: "", headers: [["Origin", "https://evil.example"], ...fetchHeaders("navigate", "document", "cross-site")], status: 400 },
  "a form of the provider": { method: "POST", isForm: true, headers: [FORM, ["Origin", "null"], ...fetchHeaders("navigate", "document", "cross-site")], status: 400 },
  "PUT": { method: "PUT", body: "", status: 400 },
  "DELETE": { method: "DELETE", status: 400 },
  "TRACE": { method: "TRACE", status: 400, also: [501, 405] },
  "QUERY": { method: "QUERY", status: 400, also: [501] },
};

/** Cookies by their description: of the login, those of another one, and a session; `isRight` if the login is found in them. */
const COOKIES = {
  "its own": { of: ({ cookies }) => cookies, isRight: true },
  "its own among others": { of: ({ cookies }, other) => [["theme", "dark"], ...other.cookies, ...cookies, ["lang", "de"]], isRight: true },
  "its own, and a session": { of: ({ cookies }, _, session) => [...session, ...cookies], isRight: true, needsSession: true },
  "its own, and garbage for a session": { of: ({ cookies }) => [[COOKIE, "1.garbage"], ...cookies], isRight: true },
  "none": { of: () => [] },
  "another login's": { of: (_, { cookies }) => cookies },
  "another login's, under its name": { of: ({ cookies }, other) => [[cookies[0][0], other.cookies[0][1]]] },
  "its own, under another name": { of: ({ cookies }, other) => [[other.cookies[0][0], cookies[0][1]]] },
  "its own, twice": { of: ({ cookies }) => [...cookies, ...cookies] },
  "its own, and another value": { of: ({ cookies }) => [...cookies, [cookies[0][0], "1.x"]] },
  "its own, changed": { of: ({ cookies }) => [[cookies[0][0], cookies[0][1].replace(/.$/, (last) => (last === "A" ? "B" : "A"))]] },
  "its own, as a session": { of: ({ cookies }) => [[COOKIE, cookies[0][1]]] },
  "a session, as its own": { of: ({ cookies }, _, session) => [[cookies[0][0], session[0][1]]], needsSession: true },
  "its own, in capitals": { of: ({ cookies }) => [[cookies[0][0].toUpperCase(), cookies[0][1]]] },
};

const QUERIES = {
  "right": ({ state, code, iss }) => new URLSearchParams({ state, code, iss }),
  "an error": ({ state, iss }) => new URLSearchParams({ state, iss, error: "access_denied" }),
  "another's state": ({ code, iss }, { state }) => new URLSearchParams({ state, code, iss }),
  "nothing": () => "",
};

async function testRequests(site, { seed, share }) {
  const { tally } = site;
  // A session of its own for each case: a login ends the former one.
  const logIn = async () => {
    const visitor = await site.begin();
    return site.judge("a login", await site.callback(QUERIES.right(visitor), visitor.cookies), visitor, undefined);
  };
  const cases = Object.keys(REQUESTS).flatMap((request) => Object.keys(COOKIES).flatMap((cookies) => Object.keys(QUERIES).map((query) => ({ request, cookies, query }))));
  await each(sample(cases, { seed, share: share * 3 }), async (one) => {
    tally.cases += 1;
    const [login, other] = [await site.begin(), await site.begin()];
    const [request, { of, isRight, needsSession }, query] = [REQUESTS[one.request], COOKIES[one.cookies], QUERIES[one.query](login, other)];
    const what = `${one.request}, cookies: ${one.cookies}, query: ${one.query}`;
    const session = needsSession ? await logIn() : [];
    const cookies = of(login, other, session);
    const { isForm, ...sent } = request;
    const answer = await site.callback(isForm ? "" : String(query), cookies, isForm ? { ...sent, body: String(query) } : sent);
    const hasSession = cookies.some(([name, value]) => name === COOKIE && value === session[0]?.[1]);
    const set = pairsOf(answer.values("set-cookie")).filter(([name]) => name.startsWith(COOKIE));
    // With the state of another pending login, it is that login's callback, whose code is another.
    const isOthers = one.query === "another's state" && cookies.some(([name, value]) => other.cookies.some((pair) => pair[0] === name && pair[1] === value));
    const isFound = (isRight && one.query !== "another's state" && one.query !== "nothing") || isOthers;
    let redeemed = 0;
    if (request.status !== undefined) {
      tally.check([request.status, ...(request.also ?? [])].includes(answer.status) && set.length === 0, () => `${what}: ${answer.status}, ${set.length} cookies: ${answer.text.slice(0, 200)}`);
      tally.count("nothing");
    } else if (isFound && one.query !== "an error") {
      redeemed = 1;
      await site.judge(what, answer, login, isOthers ? "token_exchange_failed" : undefined);
    } else if (isFound) {
      await site.judge(what, answer, login, "login_denied");
    } else if (hasSession && answer.status === 302) {
      // A browser with a session goes on to the site.
      tally.check(answer.header("location") === "/" && set.length === 0, () => `${what}: on to ${answer.header("location")}`);
      tally.count("on with the session");
    } else {
      await site.judge(what, answer, login, one.query === "nothing" ? "callback_invalid" : "state_invalid");
    }
    tally.check(site.exchangesOf(login.code) === redeemed, () => `${what}: the code was sent ${site.exchangesOf(login.code)} times, not ${redeemed}`);
    tally.check(site.exchangesOf(other.code) === 0, () => `${what}: the code of another login was sent`);
    // A request without effect has not used the login.
    if (request.status !== undefined && one.query === "right") await site.judge(`${what}, then as it should be`, await site.callback(query, login.cookies), login, undefined);
  }, { atOnce: 32 });
}

// ---- the state, bit by bit --------------------------------------------------------------------------------------------------

async function testState(site, { seed, share }) {
  const { tally } = site;
  const login = await site.begin();
  const states = [];
  for (let index = 0; index < login.state.length; index += 1) {
    const put = (text, to = index + 1) => login.state.slice(0, index) + text + login.state.slice(to);
    for (let bit = 0; bit < 8; bit += 1) states.push(put(String.fromCharCode(login.state.charCodeAt(index) ^ (1 << bit))));
    for (const text of ["", "A", "=", "%", "%2", "%00", "+", "-", ".", "/", "\xff"]) states.push(put(text), put(text, index));
    states.push(login.state.slice(0, index), login.state.slice(index + 1), `${login.state}${login.state.slice(0, index)}`);
  }
  const rest = new URLSearchParams({ code: login.code, iss: login.iss });
  await each(sample(states.filter((state) => state !== login.state), { seed, share: share * 10 }), async (state) => {
    tally.cases += 1;
    // As clients write it: other characters are no part of a URL.
    const written = state.replaceAll(/[^\w.~%+&=/-]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
    const query = `state=${written}&${rest}`;
    if (new URLSearchParams(query).get("state") === login.state) return;
    const answer = await site.callback(query, login.cookies);
    await site.judge(`the state ${JSON.stringify(state)} for ${login.state}`, answer, login, new URLSearchParams(query).getAll("code").length > 1 ? "callback_invalid" : "state_invalid");
  });
  tally.check(site.exchangesOf(login.code) === 0, "another state: the code was sent");
  await site.judge("the right state after all", await site.callback(QUERIES.right(login), login.cookies), login, undefined);
}

// ---- several at once --------------------------------------------------------------------------------------------------------

async function testTogether(site, rounds) {
  const { tally } = site;
  for (let round = 0; round < rounds; round += 1) {
    tally.cases += 4;
    // One callback, many times at once, from its browser and from others.
    const login = await site.begin();
    const query = QUERIES.right(login);
    const answers = await Promise.all(Array.from({ length: 16 }, (_, index) => site.callback(query, index % 4 === 3 ? [] : login.cookies)));
    for (const [index, answer] of answers.entries()) await site.judge("a callback sixteen times at once", answer, login, index % 4 === 3 ? "state_invalid" : undefined);
    tally.check(site.exchangesOf(login.code) === 1, () => `a callback sixteen times at once: the code was sent ${site.exchangesOf(login.code)} times`);

    // Two tabs, in either order and at once.
    const first = await site.begin();
    const second = await site.begin(first.cookies);
    const both = [...first.cookies, ...second.cookies];
    const tabs = round % 2 === 0 ? [first, second] : [second, first];
    for (const [index, answer] of (await Promise.all(tabs.map((tab) => site.callback(QUERIES.right(tab), both)))).entries()) await site.judge("two tabs at once", answer, tabs[index], undefined);
    for (const tab of tabs) tally.check(site.exchangesOf(tab.code) === 1, "two tabs at once: a code was not sent once");

    // The code of one tab with the state of the other: PKCE refuses it, and both logins are over.
    const [mine, theirs] = [await site.begin(), await site.begin()];
    const all = [...mine.cookies, ...theirs.cookies];
    await site.judge("two tabs, crossed", await site.callback(new URLSearchParams({ state: mine.state, code: theirs.code, iss: mine.iss }), all), mine, "token_exchange_failed");
    await site.judge("two tabs, crossed, then right", await site.callback(QUERIES.right(theirs), all), theirs, "token_exchange_failed");
    await site.judge("two tabs, crossed, then the first", await site.callback(QUERIES.right(mine), all), mine, "state_invalid");
    tally.check(site.exchangesOf(mine.code) === 0, "two tabs, crossed: the first code was sent");

    // A right and an altered callback at once: whichever is first uses the login, and the code is sent at most once.
    const raced = await site.begin();
    const right = QUERIES.right(raced);
    const wrong = new URLSearchParams({ state: raced.state, code: `wrong-${round}`, iss: raced.iss });
    const outcomes = await Promise.all([right, wrong, right, wrong].map((one) => site.callback(one, raced.cookies)));
    tally.check(outcomes.every(({ status }) => [302, 400, 502].includes(status)), () => `two callbacks of one login: ${outcomes.map(({ status }) => status)}`);
    tally.check(site.exchangesOf(raced.code) + site.exchangesOf(`wrong-${round}`) === 1, "two callbacks of one login: not one code was sent");
    tally.check(outcomes[1].status !== 302 && outcomes[3].status !== 302, "two callbacks of one login: the altered one has a session");
    tally.count("two callbacks of one login");
  }
}
