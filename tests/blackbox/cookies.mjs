// Cookies bit by bit: single-bit changes, truncations, deletions and insertions of cookies that the gateway has issued, and their chunks
// reordered, doubled, dropped and mixed. A second implementation of docs/session-format.md computes which session a `Cookie` header opens:
// the gateway must open exactly that one, so that no changed cookie opens anything, and no harmless spelling is refused.

import { Browser, NAVIGATION, SITE } from "../node/support/browser.mjs";
import { respond } from "../node/support/gateway.mjs";
import { COOKIE, LOGIN_COOKIE, loginConfig } from "../node/support/login.mjs";
import { startProvider } from "../node/support/provider.mjs";
import { RawClient } from "./client.mjs";
import { each, random, sample, startGateways, Tally } from "./support.mjs";

const HOST = "app.example.com";
const TOKEN_COOKIE = "CF_Authorization";
const SHARED = "__Secure-edgeward";

/** Sessions of one cookie, and of several. */
const SHORT = ["alice", "bob"];
const LONG = ["dora", "eve"];
const named = (account) => ({ name: account[0].repeat(6000), org_id: "org_1", permissions: [] });
const ACCOUNTS = { alice: { name: "Alice" }, bob: { name: "Bob" }, ...Object.fromEntries(LONG.map((account) => [account, named(account)])) };

const CHUNKS = 8;
const CHUNK_BYTES = 3500;

/** Runs a share of the cases. */
export async function run({ seed = 1, share = 1 } = {}) {
  const tally = new Tally();
  const provider = await startProvider({ gateways: [SITE], accounts: ACCOUNTS });
  const routes = [
    respond("/who", { auth: "optional", headers: { "X-Sub": "$claims.sub" } }),
    respond("/mine", { auth: "required", headers: { "X-Sub": "$claims.sub" } }),
  ];
  const configure = (changes) => loginConfig(provider, { url: "http://127.0.0.1:1" }, { paths: routes, ...changes });
  const gateways = await startGateways({
    sessions: configure({}),
    shared: configure({ session: { cookie: SHARED, domain: "example.com" } }),
    tokens: configure({ authorizer: { token_from: [{ cookie: TOKEN_COOKIE }] } }),
  });
  const { worker, clients } = gateways;
  const fragile = Object.keys(clients).map((_, index) => new RawClient(worker.ports[index], { connections: 8, depth: 1 }));
  const at = (index) => ({
    client: Object.values(clients)[index],
    fragile: fragile[index],
    browser: () => new Browser({ request: (request) => worker.request({ ...request, port: worker.ports[index] }) }),
  });
  try {
    const [sessions, shared, tokens] = [at(0), at(1), at(2)];
    const next = random(seed);
    await testSessions(tally, sessions, { next, seed, share });
    await testShared(tally, shared, { next, seed, share });
    await testTokens(tally, tokens, await provider.tokenFor({ claims: { sub: "alice" } }), { next, seed, share });
    await testLogins(tally, sessions, provider, { next, seed, share });
  } finally {
    for (const client of fragile) client.close();
    await Promise.all([gateways.stop(), provider.stop()]);
  }
  return tally;
}

// ---- the session format -----------------------------------------------------------------------------------------------------

/** Names and values, as user agents write them (RFC 6265 §5.4). */
function pairsOf(header) {
  const trimmed = header.split(";").map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ""));
  return trimmed.filter((pair) => pair.includes("=")).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
}

/** Every sealed text that the cookies of this name make up. */
function sealedTexts(header, name) {
  const pairs = pairsOf(header);
  const all = (one) => pairs.filter(([given]) => given === one).map(([, value]) => value);
  const heads = all(name);
  if (name.startsWith("__Host-") && heads.length > 1) return [];
  return heads.flatMap((head) => {
    const [, digit, first] = /^([1-8])\.(.*)$/s.exec(head) ?? [];
    if (digit === undefined) return [];
    let texts = [first];
    for (let index = 1; index < Number(digit); index += 1) {
      const chunks = all(`${name}.${index}`);
      if (name.startsWith("__Host-") && chunks.length > 1) return [];
      texts = texts.flatMap((text) => chunks.map((chunk) => text + chunk));
    }
    return texts.filter((text) => text.length <= (digit === "1" ? CHUNK_BYTES : CHUNKS * CHUNK_BYTES));
  });
}

/** The cookies of one browser under a name and its chunks, in order. */
const cookiesNamed = (browser, name) => [...browser.cookies()].filter(([one]) => one === name || one.startsWith(`${name}.`));
const headerOf = (pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("; ");
const sealedIn = (pairs) => sealedTexts(headerOf(pairs), pairs[0][0])[0];

// ---- changes ----------------------------------------------------------------------------------------------------------------

/** Inserted at each place: blanks, separators, quotes, characters of base64 and others, controls, and bytes beyond ASCII. */
const INSERTED = [
  " ", "\t", ";", "; ", ",", ", ", "=", "==", '"', "'", "\\", "%", "%20", "%00", ".", "1.", "A", "a", "0", "-", "_", "+", "/", "\x01", "\x0b", "\x7f", "\x80", "\xa0", "\xc2\xa0",
  "\xe2\x80\x8b", "\xff", "\0", "\r", "\n", "\r\n", "\r\n ", "\r\nX: ", `; ${COOKIE}=`, `; ${COOKIE}=1.`, "; a=", "; a=b; ",
];

/** All changes of one bit of a header, and a share of the others and of the insertions, as pairs of a class and a function that makes it. */
function changes(header, next, { bits = 1, others = 1, insertions = 0.2 } = {}) {
  const cases = [];
  const addShare = (share, kind, make) => {
    if (share >= 1 || next() < share) cases.push([kind, make]);
  };
  const add = (kind, make) => addShare(others, kind, make);
  const put = (from, text, to = from) => header.slice(0, from) + text + header.slice(to);
  for (let index = 0; index < header.length; index += 1) {
    for (let bit = 0; bit < 8; bit += 1) addShare(bits, "a bit changed", () => put(index, String.fromCharCode(header.charCodeAt(index) ^ (1 << bit)), index + 1));
    add("cut behind", () => header.slice(0, index));
    add("cut before", () => header.slice(index + 1));
    add("a character removed", () => put(index, "", index + 1));
    add("a character doubled", () => put(index, header[index]));
    if (index > 0) add("two characters swapped", () => put(index - 1, header[index] + header[index - 1], index + 1));
    if (header[index] === "-") add("written in standard base64", () => put(index, "+", index + 1));
    if (header[index] === "_") add("written in standard base64", () => put(index, "/", index + 1));
    add("a character percent-encoded", () => put(index, `%${header.charCodeAt(index).toString(16).padStart(2, "0")}`, index + 1));
    const length = 2 + Math.floor(next() * 40);
    add("a piece removed", () => put(index, "", index + length));
    add("a piece repeated", () => put(index, header.slice(index, index + length)));
  }
  for (const text of INSERTED) {
    for (let index = 0; index <= header.length; index += 1) addShare(insertions, "inserted", () => put(index, text));
  }
  return cases;
}

/** Chunks of sessions, whole but out of place: reordered, dropped, doubled, renamed, emptied, counted wrongly, joined and split. */
function arrangements(mine, theirs) {
  const cases = [];
  const add = (kind, ...pairs) => cases.push([kind, () => headerOf(pairs)]);
  const all = [...mine, ["theme", "dark"]];
  for (const order of permutations(all)) add("reordered", ...order);
  for (let kept = 0; kept < 2 ** mine.length; kept += 1) add("dropped", ...mine.filter((_, index) => kept & (1 << index)));
  for (let taken = 0; taken < 2 ** mine.length; taken += 1) {
    const mixed = mine.map((pair, index) => (taken & (1 << index) ? theirs[index] : pair));
    add("mixed with another session's", ...mixed);
    add("mixed with another session's", ...mixed.toReversed());
  }
  for (const [index, [name, value]] of mine.entries()) {
    const others = [...mine.keys()].filter((one) => one !== index);
    const replaced = (pair) => mine.map((one, place) => (place === index ? pair : one));
    for (let place = 0; place <= mine.length; place += 1) {
      add("doubled", ...mine.toSpliced(place, 0, [name, value]));
      add("doubled", ...mine.toSpliced(place, 0, [name, ""]));
      add("doubled", ...mine.toSpliced(place, 0, [name, theirs[index][1]]));
      add("doubled", ...mine.toSpliced(place, 0, [name.toUpperCase(), value]));
    }
    for (const other of others) {
      add("swapped", ...mine.map((one, place) => (place === index ? [name, mine[other][1]] : place === other ? [one[0], value] : one)));
      add("swapped", ...replaced([name, mine[other][1]]));
    }
    const spelled = [
      name.toLowerCase(), name.toUpperCase(), ` ${name}`, `${name} `, `\t${name}\t`, `"${name}"`, `$${name}`, `${name}.0`, `${name}.`, `${name}.01`, `${name}.1`, `${name}.8`, `${name}[0]`,
      name.replace("__Host-", ""), name.replace("__Host-", "__Secure-"), name.replace("__Host-", "__host-"), name.replaceAll("_", "%5F"), encodeURIComponent(name), `\xa0${name}`, `\ufeff${name}`,
    ];
    for (const one of spelled) add("renamed", ...replaced([Buffer.from(one).toString("latin1"), value]));
    const values = ["", '""', `"${value}"`, `${value} `, ` ${value}`, `${value}=`, `${value}==`, `${value};`, value.toLowerCase(), encodeURIComponent(value), Buffer.from(value).toString("base64url"), "deleted", "undefined", "null"];
    for (const one of values) add("another value", ...replaced([name, one]));
  }
  const [[name, head], ...tail] = mine;
  for (const count of ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "00", "01", "10", "+1", "-1", " 1", "1 ", "１", "¹", "a", ""]) {
    const text = Buffer.from(head.replace(/^[1-8]/, count)).toString("latin1");
    add("counted otherwise", [name, text], ...tail);
  }
  const whole = sealedIn(mine);
  for (let parts = 1; parts <= 9; parts += 1) {
    const size = Math.ceil(whole.length / parts);
    const split = Array.from({ length: parts }, (_, index) => whole.slice(index * size, (index + 1) * size));
    add("split otherwise", ...split.map((part, index) => (index ? [`${name}.${index}`, part] : [name, `${parts}.${part}`])));
  }
  for (const separator of [";", ";;", ";  ;", " ; ", ",", ", ", "&", " ", "\t;\t"]) {
    cases.push(["joined otherwise", () => mine.map(([one, value]) => `${one}=${value}`).join(separator)]);
    cases.push(["joined otherwise", () => [...mine, ["theme", "dark"]].map(([one, value]) => `${one}=${value}`).join(separator)]);
  }
  return cases;
}

function* permutations(items) {
  if (items.length <= 1) yield items;
  for (const [index, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest];
  }
}

// ---- sessions ---------------------------------------------------------------------------------------------------------------

/** Whether the runtime may refuse the header, or read several lines. */
const breaksFraming = (header) => /[\0\r\n]/.test(header);

/** Sends a header to a public or a private route, and counts a failure unless the gateway sees the `expected` user, undefined for none. */
async function compare(tally, { client, fragile }, what, kind, header, expected, { refusals = [] } = {}) {
  const target = tally.cases % 2 === 0 ? "/who" : "/mine";
  tally.cases += 1;
  const isBroken = breaksFraming(header);
  // A line break may end the request early.
  const close = isBroken ? "Connection: close\r\n" : "";
  const answer = await (isBroken ? fragile : client).raw(`GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\n${close}Cookie: ${header}\r\n\r\n`);
  const [status, found] = [answer.status, answer.header("x-sub") ?? undefined];
  const means = () => `${what}: ${kind}: ${target} answered ${status} as ${found}, not as ${expected}: ${JSON.stringify(header.slice(0, 80))} (${header.length})`;
  if (isBroken) {
    tally.check([0, 200, 400, 401].includes(status) && (found === undefined || found === expected), means);
  } else {
    const statuses = expected === undefined ? [...refusals, target === "/who" ? 200 : 401] : [200];
    tally.check(statuses.includes(status) && found === expected, means);
  }
  const isCleared = answer.values("set-cookie").every((line) => /^[^=]+=; .*Max-Age=0/.test(line));
  tally.check(isCleared, () => `${means()}: sets cookies`);
  const isRefused = status === 0 || status === 400;
  tally.count(`${what}: ${found !== undefined ? "the same user" : isRefused ? "no request" : "no user"}`);
  tally.count(kind);
}

async function logIn({ browser }, account, name, path = "/login") {
  const visitor = browser();
  const { status, text } = await visitor.open(path, { account });
  const pairs = cookiesNamed(visitor, name);
  if (pairs.length === 0) throw new Error(`no login: ${status} ${text}`);
  return pairs;
}

async function testSessions(tally, gateway, { next, seed, share }) {
  const users = new Map();
  const known = {};
  for (const account of [...SHORT, ...LONG]) {
    known[account] = await logIn(gateway, account, COOKIE);
    users.set(sealedIn(known[account]), account);
  }
  tally.check(known.alice.length === 1 && known.dora.length >= 3 && known.eve.length === known.dora.length, "sessions of one cookie and of several");
  const expected = (header) => {
    // After a line break, another header line begins.
    const texts = sealedTexts(header.split(/[\r\n]/)[0], COOKIE);
    return texts.map((text) => users.get(text)).find((user) => user !== undefined);
  };
  const of = (what, cases) => cases.map(([kind, make]) => [what, kind, make]);
  const cases = [
    ...of("one cookie", changes(headerOf(known.alice), next)),
    ...of("an empty cookie", changes(`theme=dark; ${COOKIE}=`, next)),
    ...of("several cookies", changes(headerOf(known.dora), next, { others: 0.25, insertions: 0.05 })),
  ];
  const arranged = [
    ...of("one cookie", arrangements(known.alice, known.bob)),
    ...of("several cookies", arrangements(known.dora, known.eve)),
  ];
  const chosen = [...sample(arranged, { seed, share: share * 10 }), ...sample(cases, { seed, share })];
  await each(chosen, async ([what, kind, make]) => {
    const header = make();
    await compare(tally, gateway, what, kind, header, expected(header));
  });
  for (const account of [...SHORT, ...LONG, ...SHORT]) await compare(tally, gateway, "whole", "unchanged", headerOf(known[account]), account);
}

/** With a name that other hosts of the domain can set: the newest session that opens counts. */
async function testShared(tally, gateway, { next, seed, share }) {
  const alice = await logIn(gateway, "alice", SHARED);
  // Logins are told apart by the second.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const bob = await logIn(gateway, "bob", SHARED);
  const users = new Map([[sealedIn(alice), "alice"], [sealedIn(bob), "bob"]]);
  const expected = (header) => {
    const found = sealedTexts(header.split(/[\r\n]/)[0], SHARED).map((text) => users.get(text));
    return found.includes("bob") ? "bob" : found.includes("alice") ? "alice" : undefined;
  };
  const cases = changes(headerOf([...alice, ...bob]), next, { others: 0.25, insertions: 0.05 });
  await each(sample(cases, { seed, share }), async ([kind, make]) => {
    const header = make();
    await compare(tally, gateway, "two sessions under one name", kind, header, expected(header));
  });
  for (const pairs of [[alice, bob], [bob, alice]]) {
    for (const [kind, make] of [...arrangements(alice, bob), ...arrangements(bob, alice), ["both", () => headerOf(pairs.flat())]]) {
      const header = make();
      await compare(tally, gateway, "two sessions under one name", kind, header, expected(header));
    }
  }
}

/** A bearer token in a cookie. */
async function testTokens(tally, gateway, token, { next, seed, share }) {
  const header = `${TOKEN_COOKIE}=${token}`;
  const expected = (changed) => {
    const values = pairsOf(changed.split(/[\r\n]/)[0]).filter(([name, value]) => name === TOKEN_COOKIE && value !== "").map(([, value]) => value);
    return values.length > 0 && values.every((value) => value === token) ? "alice" : undefined;
  };
  const hasToken = (changed) => pairsOf(changed).some(([name, value]) => name === TOKEN_COOKIE && value !== "");
  await each(sample(changes(header, next), { seed, share }), async ([kind, make]) => {
    const changed = make();
    // An invalid token is refused, on optional routes, too.
    const refusals = hasToken(changed) ? [400, 401] : [];
    await compare(tally, gateway, "a token", kind, changed, expected(changed), { refusals });
  });
  for (let time = 0; time < 2; time += 1) await compare(tally, gateway, "whole", "unchanged", header, "alice");
}

// ---- pending logins ---------------------------------------------------------------------------------------------------------

/** Callbacks that are right but for the cookies of the login: none redeems the code; the unchanged one, which comes last, does. */
async function testLogins(tally, gateway, provider, { next, seed, share }) {
  const long = `/mine?${"destination=".padEnd(8000, "x")}`;
  for (const [what, path] of [["a login", "/login?return_to=/mine"], ["a long login", long]]) {
    const browser = gateway.browser();
    const { next: callback } = await browser.open(path, { account: "alice", until: (url) => url.origin === SITE && url.pathname === "/auth/callback" });
    const pairs = [...browser.cookies()].filter(([name]) => name.startsWith(LOGIN_COOKIE));
    const sealed = sealedIn(pairs);
    const redeemed = provider.counts.token ?? 0;
    const opens = (header) => sealedTexts(header.split(/[\r\n]/)[0], pairs[0][0]).includes(sealed);
    const cases = [
      ...sample(changes(headerOf(pairs), next, pairs.length > 1 ? { bits: 0.1, others: 0.02, insertions: 0.005 } : {}), { seed, share }),
      ...sample(arrangements(pairs, pairs.map(([name, value]) => [name, value.replace(/.$/, (last) => (last === "A" ? "B" : "A"))])), { seed, share: share * 10 }),
    ];
    await each(cases, async ([kind, make]) => {
      const header = make();
      // The same cookies in another spelling would redeem the code.
      if (opens(header)) return;
      tally.cases += 1;
      const isBroken = breaksFraming(header);
      const bytes = `GET ${callback.pathname}${callback.search} HTTP/1.1\r\nHost: ${HOST}\r\n${isBroken ? "Connection: close\r\n" : ""}Cookie: ${header}\r\n\r\n`;
      const answer = await (isBroken ? gateway.fragile : gateway.client).raw(bytes);
      const isRight = answer.status === 400 || (isBroken && answer.status === 0);
      tally.check(isRight && (isBroken || answer.text.includes("state_invalid")), () => `${what}: ${kind}: ${answer.status} ${answer.text.slice(0, 200)}`);
      tally.check(!answer.values("set-cookie").some((line) => line.startsWith(`${COOKIE}=1`)), () => `${what}: ${kind}: a session`);
      tally.count(`${what}: refused`);
      tally.count(kind);
    });
    tally.check((provider.counts.token ?? 0) === redeemed, `${what}: a code was redeemed`);
    tally.cases += 1;
    const answer = await browser.send(callback.href, { headers: NAVIGATION });
    tally.check(answer.status === 302 && cookiesNamed(browser, COOKIE).length > 0, () => `${what}: unchanged: ${answer.status} ${answer.text.slice(0, 200)}`);
    tally.check(provider.counts.token === redeemed + 1, `${what}: redeemed ${provider.counts.token - redeemed} times`);
  }
}
