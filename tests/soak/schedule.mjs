// A random schedule of faults in workerd, with a real provider: key rotations, outages, restarts, lost and late answers, logins, logouts,
// refreshes and cancelled requests, judged by a model: no access without a currently valid credential; no valid credential refused while
// its key is known; no session lost. tests/simulation has the same with more faults, under a virtual clock.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cancelled, Connection } from "./client.mjs";
import { random } from "./random.mjs";
import { COOKIE, HOST, NAVIGATION, startEcho, User } from "./site.mjs";
import { Browser, SITE } from "../node/support/browser.mjs";
import { delay } from "../node/support/http.mjs";
import { loginConfig, WITH_REFRESH } from "../node/support/login.mjs";
import { OTHER_AUDIENCE, startProvider } from "../node/support/provider.mjs";
import { startWorker } from "../node/support/worker.mjs";

/** Seconds. Sessions are due for refresh after half of it. */
const LIFE_S = 20;
/** Clocks may differ by so many seconds, with a margin for the request itself. */
const SKEW_S = 5 + 1;
/** How long after it was published, and after the last fault, a key is known at the latest: tests/simulation/keys.rs. */
const COOLDOWN_MS = 65_000;
const RECOVERY_MS = 70_000;
/** How long a set of keys is fresh, by the header of the provider, with a margin. */
const FRESH_S = 60;
const FRESH_MS = (FRESH_S + 5) * 1000;
/** Until jobs in the background have ended: the timeout of the token endpoint, and more. */
const JOB_MS = 16_000;
const BROKEN = Infinity;
const MAX_FAILURES = 5;
const JSON_OF_KEYS = { "cache-control": `max-age=${FRESH_S}` };
const html = { status: 200, headers: { "content-type": "text/html" }, body: "<!doctype html><p>Maintenance" };

const KEY_FAULTS = [
  ["500", { status: 500 }], ["cut", { reset: true }], ["hangs", { hang: true }], ["HTML", html], ["truncated", { truncate: 20 }],
  ["late", { delay: 1500, headers: JSON_OF_KEYS }], ["too late", { delay: 4000, headers: JSON_OF_KEYS }],
  ["drips", { drip: { bytes: 16, every: 100 }, headers: JSON_OF_KEYS }],
  ["wrong issuer", { body: (text) => text.replace(/"issuer":"[^"]*"/, '"issuer":"https://other.example.com"'), headers: JSON_OF_KEYS }],
];
/** `true`: the provider has done what was asked, and the answer is lost. */
const TOKEN_FAULTS = [
  ["500", { status: 500, body: "{}" }], ["cut", { reset: true }], ["late", { delay: 2000 }], ["HTML", html],
  ["429", { status: 429, headers: { "content-type": "application/json" }, body: '{"error":"slow_down"}' }],
  ["lost", { truncate: 20 }, true], ["garbled", { body: (text) => text.slice(1) }, true],
];

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.seconds
 * @param {number} [options.userCount]
 */
export async function schedule(options) {
  const run = new Schedule(options);
  await run.start();
  try {
    return await run.run();
  } finally {
    await run.stop();
  }
}

class Schedule {
  #options;
  #world;
  #folder = mkdtempSync(join(tmpdir(), "edgeward-soak-"));
  #provider;
  #origin;
  #worker;
  /** Counts isolates. */
  #generation = 0;
  #accepted = new Set();
  #currentAt = -1;
  /** `kid` to when it was published and withdrawn. */
  #keys = new Map();
  #signer;
  #rotatedAt;
  /** Since when each part has answered without faults. */
  #healthy = { keys: 0, tokens: 0, origin: 0 };
  #isDown = false;
  /** A fault that loses answers of the token endpoint, and how many it has had. */
  #lossy;
  #mayLose = 0;
  #lostSessions = 0;
  #tokens = [];
  #users = [];
  #ended = [];
  /** The latest expiry of each user's access tokens, in seconds. */
  #issued = new Map();
  #reached = new Set();
  #logins = 0;
  #number = 0;
  #running = new Set();
  #isPaused = false;
  #isOver = false;
  #trace = [];
  #failures = [];
  #counts = {};
  #began;

  constructor({ seed, seconds, userCount = 12, lanes = 8 }) {
    this.#options = { seed, seconds, userCount, lanes };
    this.#world = random(seed, 1000);
  }

  async start() {
    this.#provider = await startProvider({
      gateways: [SITE], ttl: { accessToken: LIFE_S },
      oidc: {
        extraTokenClaims: (_ctx, token) => {
          if (token.accountId !== undefined) this.#issued.set(token.accountId, Math.floor(Date.now() / 1000) + LIFE_S);
          return {};
        },
      },
    });
    this.#origin = await startEcho({ onRequest: (path) => this.#reached.add(path) });
    const proxy = { type: "http_proxy", url: this.#origin.url, headers: { "X-User-Id": "$claims.sub", "X-User-Name": "$claims.name" } };
    const config = loginConfig(this.#provider, this.#origin, {
      authorizer: WITH_REFRESH,
      paths: [
        { method: "GET", path: "/things/{*rest}", scopes: ["read:items"], integration: proxy },
        { method: "GET", path: "/api/{*rest}", integration: proxy },
      ],
    });
    this.#worker = await startWorker({ config, sessions: true, runtime: { resourcePersistencePath: this.#folder } });
    this.#began = Date.now();
    for (const part of Object.keys(this.#healthy)) this.#healthy[part] = this.#began - RECOVERY_MS;
    for (const { kid, alg } of this.#provider.keys) if (alg === "RS256") this.#publish(kid, this.#began - COOLDOWN_MS);
    this.#signer = [...this.#keys.keys()][0];
    this.#rotatedAt = this.#began - COOLDOWN_MS;
    this.#provider.setFault("jwks", { headers: JSON_OF_KEYS });
    this.#users = Array.from({ length: this.#options.userCount }, () => ({ isIn: false }));
    await Promise.all(this.#users.map((user) => this.#logIn(user)));
  }

  async stop() {
    await Promise.all([this.#worker?.stop(), this.#provider?.stop(), this.#origin?.close()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async run() {
    const { seed, seconds, lanes } = this.#options;
    const end = this.#began + seconds * 1000;
    const requests = Array.from({ length: lanes }, (_, lane) => this.#lane(random(seed, lane)));
    try {
      await this.#events(end);
    } finally {
      this.#isOver = true;
      await Promise.all(requests);
    }
    await this.#finish(seconds >= 300);
    const { bearer = {}, session = {}, ended = {} } = this.#counts;
    const figures = { seconds: Math.round((Date.now() - this.#began) / 1000), ...this.#counts, mayLose: this.#mayLose, lostSessions: this.#lostSessions };
    const total = (of) => Object.values(of).reduce((sum, count) => sum + count, 0);
    return {
      ...figures, failures: this.#failures,
      prose: `${total(bearer)} bearer requests (${bearer.pass ?? 0} had to pass, ${bearer.fail ?? 0} had to be refused), ${total(session)} of sessions (${session.pass ?? 0} had to pass), ${total(ended)} of ended ones; ${total(this.#counts.event ?? {})} events; ${this.#lostSessions} sessions lost, of ${this.#mayLose} that answers were lost of`,
    };
  }

  // ---- events -------------------------------------------------------------------------------------------------

  /** Storms, in which everything fails, alternate with calm, in which nothing but keys, users and isolates change. */
  async #events(end) {
    const { seconds } = this.#options;
    for (let phase = 0; Date.now() < end && this.#failures.length < MAX_FAILURES; phase += 1) {
      const isStorm = phase % 2 === 0;
      const length = isStorm ? 40_000 + this.#world.below(60_000) : RECOVERY_MS + 30_000 + this.#world.below(20_000);
      const until = Math.min(end, Date.now() + Math.min(length, seconds * 400));
      if (!isStorm) {
        await this.#recover();
        // Sessions that may be lost prove nothing.
        for (const user of this.#users) if (!user.isIn || user.mayBeLost) await this.#replaceUser(user);
      }
      while (Date.now() < until && this.#failures.length < MAX_FAILURES) {
        await delay(300 + this.#world.below(isStorm ? 2500 : 5000));
        await this.#event(isStorm);
      }
    }
    await this.#recover();
  }

  async #event(isStorm) {
    const choice = this.#world.below(isStorm ? 100 : 36);
    if (choice < 8) await this.#rotate();
    else if (choice < 12) this.#withdraw();
    else if (choice < 18) await this.#replaceUser();
    else if (choice < 22) await this.#replaceUser(this.#users.find((user) => user.mayBeLost || !user.isIn));
    else if (choice < 27) await this.#restart(true);
    else if (choice < 30) await this.#restart(false);
    else if (choice < 36) await this.#replaceUser(this.#users.find((user) => user.mayBeLost || !user.isIn));
    else if (choice < 50) this.#breakKeys();
    else if (choice < 65) this.#breakTokens();
    else if (choice < 70) await this.#breakProvider();
    else if (choice < 74) await this.#breakOrigin();
    else if (choice < 78) await this.#lag();
    else await this.#recover();
  }

  #happened(kind, detail = "") {
    const counts = (this.#counts.event ??= {});
    counts[kind] = (counts[kind] ?? 0) + 1;
    this.#note(`${kind} ${detail}`);
  }

  #note(text) {
    this.#trace.push(`${((Date.now() - this.#began) / 1000).toFixed(2)} s: ${text}`);
    if (this.#trace.length > 60) this.#trace.shift();
  }

  #fail(text) {
    if (this.#failures.length >= MAX_FAILURES) return;
    this.#failures.push(`${text}\n  ${this.#trace.slice(-25).join("\n  ")}\n  ${this.#worker.logText.split("\n").slice(-6).join("\n  ")}`);
  }

  #publish(kid, since = Date.now()) {
    this.#keys.set(kid, { since, until: undefined });
  }

  async #rotate() {
    if (this.#published().length > 4) return;
    this.#rotatedAt = Date.now();
    this.#signer = await this.#provider.rotate();
    this.#publish(this.#signer);
    this.#rotatedAt = Date.now();
    this.#happened("rotation", this.#signer);
  }

  #published() {
    return [...this.#keys].filter(([, { since, until }]) => since !== BROKEN && until === undefined).map(([kid]) => kid);
  }

  #withdraw() {
    const others = this.#published().filter((kid) => kid !== this.#signer);
    if (others.length === 0) return;
    const kid = this.#world.pick(others);
    this.#keys.get(kid).until = Date.now();
    this.#provider.revokeKey(kid);
    this.#happened("withdrawal", kid);
  }

  /** The provider signs with a key that it has not published yet. */
  async #lag() {
    this.#healthy.keys = BROKEN;
    const kid = await this.#provider.rotate({ publish: false });
    this.#rotatedAt = Date.now();
    this.#signer = kid;
    this.#keys.set(kid, { since: BROKEN, until: undefined });
    this.#happened("unpublished key", kid);
  }

  #breakKeys() {
    const [name, fault] = this.#world.pick(KEY_FAULTS);
    const endpoints = this.#world.pick([["jwks"], ["discovery"], ["jwks", "discovery"]]);
    this.#healthy.keys = BROKEN;
    for (const endpoint of endpoints) this.#provider.setFault(endpoint, fault);
    this.#happened("fault of keys", `${endpoints} ${name}`);
  }

  #breakTokens() {
    const [name, fault, isLossy = false] = this.#world.pick(TOKEN_FAULTS);
    this.#endLossy();
    this.#healthy.tokens = BROKEN;
    const record = this.#provider.setFault("token", fault);
    if (isLossy) {
      this.#lossy = record;
      for (const user of this.#users) this.#markIfActive(user);
    }
    this.#happened("fault of tokens", name);
  }

  /** The session may be lost if it has a request under way, or a job that a cancelled request has left. */
  #markIfActive(user) {
    if (user.isIn && (user.active > 0 || Date.now() - user.cancelledAt < JOB_MS)) user.mayBeLost = true;
  }

  #endLossy() {
    if (!this.#lossy) return;
    this.#mayLose += this.#lossy.served;
    this.#lossy = undefined;
  }

  async #breakProvider() {
    if (this.#isDown) return;
    this.#healthy.keys = this.#healthy.tokens = BROKEN;
    // Connections are cut: answers of refreshes under way are lost.
    this.#mayLose += this.#users.filter((user) => user.isIn && user.active > 0).length;
    for (const user of this.#users) this.#markIfActive(user);
    this.#isDown = true;
    await this.#provider.stop();
    this.#happened("provider down");
  }

  async #breakOrigin() {
    this.#healthy.origin = BROKEN;
    await this.#origin.close();
    this.#happened("origin down");
    await delay(this.#world.below(2000));
    await this.#origin.listen();
    this.#healthy.origin = Date.now();
  }

  async #recover() {
    if (this.#isDown) await this.#provider.start();
    this.#isDown = false;
    this.#provider.clearFaults();
    this.#provider.setFault("jwks", { headers: JSON_OF_KEYS });
    if (this.#lossy) {
      // One that is under way has the fault yet.
      await delay(100);
      this.#endLossy();
    }
    for (const [kid, key] of this.#keys) {
      if (key.since !== BROKEN) continue;
      this.#provider.publish(kid);
      key.since = Date.now();
    }
    for (const part of ["keys", "tokens"]) if (this.#healthy[part] === BROKEN) this.#healthy[part] = Date.now();
    this.#happened("recovery");
  }

  /** A new isolate, with an empty cache; the Durable Objects have their storage. `isCalm`: no request is under way. */
  async #restart(isCalm) {
    if (isCalm && this.#healthy.tokens === BROKEN) return;
    this.#isPaused = true;
    if (isCalm) {
      while (this.#running.size > 0) await delay(20);
      while (this.#users.some((user) => Date.now() - user.cancelledAt < JOB_MS && user.isIn)) await delay(200);
    }
    for (const user of this.#users) {
      if (!user.isIn || (user.active === 0 && isCalm)) continue;
      if (user.active > 0 || Date.now() - user.cancelledAt < JOB_MS) {
        user.mayBeLost = true;
        this.#mayLose += 1;
      }
    }
    this.#generation += 1;
    await this.#worker.restart();
    this.#generation += 1;
    this.#accepted.clear();
    this.#currentAt = -1;
    this.#isPaused = false;
    this.#happened(isCalm ? "restart" : "restart under load");
  }

  async #replaceUser(user = this.#world.pick(this.#users)) {
    if (user.isBusy) return;
    user.isBusy = true;
    try {
      if (user.isIn) await this.#logOut(user);
      await this.#logIn(user);
    } finally {
      user.isBusy = false;
    }
  }

  async #logOut(user) {
    while (user.active > 0) await delay(10);
    const generation = this.#generation;
    const cookie = user.jar.cookieHeader;
    const headers = { host: HOST, cookie, ...NAVIGATION, "sec-fetch-site": "same-origin" };
    user.isIn = false;
    const connection = new Connection(this.#worker.port);
    const answer = await connection.request({ target: "/logout", headers }).catch((error) => error);
    connection.close();
    if (!answer.status) {
      if (generation === this.#generation) this.#fail(`logout: ${answer.message}`);
      return;
    }
    if (answer.status >= 400) this.#fail(`logout: ${answer.status} ${answer.text}`);
    this.#happened("logout", user.id);
    this.#ended.push({ cookie, generation, at: Date.now(), id: user.id });
    if (this.#ended.length > 40) this.#ended.shift();
  }

  async #logIn(user) {
    this.#logins += 1;
    const id = `person-${this.#logins}`;
    const mustPass = () => this.#isRecovered("tokens") && this.#isRecovered("keys") && Date.now() - this.#rotatedAt > COOLDOWN_MS;
    const [before, generation] = [mustPass(), this.#generation];
    const isLossy = this.#lossy !== undefined;
    const browser = new Browser(this.#worker);
    const answer = await browser.open("/login?prompt=consent", { account: id }).catch((error) => ({ status: 0, text: error.message }));
    const isIn = browser.cookies().has(COOKIE);
    this.#happened(isIn ? "login" : "login without session", id);
    if (!isIn) {
      if (answer.status === 500 || (before && mustPass() && generation === this.#generation)) this.#fail(`login of ${id}: ${answer.status} ${answer.text}`);
      user.isIn = false;
      return;
    }
    const jar = new User(id, "");
    for (const [name, value] of browser.cookies()) jar.cookies.set(name, value);
    jar.receive({ setCookies: [`${COOKIE}=${browser.cookies().get(COOKIE)}`] });
    Object.assign(user, { id, jar, isIn: true, mayBeLost: isLossy, lost: 0, active: 0, cancelledAt: -Infinity });
  }

  // ---- requests -----------------------------------------------------------------------------------------------

  async #lane(rng) {
    let [connection, generation] = [undefined, -1];
    while (!this.#isOver) {
      await delay(rng.below(30));
      if (this.#isPaused) continue;
      if (generation !== this.#generation) {
        connection?.close();
        [connection, generation] = [new Connection(this.#worker.port), this.#generation];
      }
      const credential = await this.#credential(rng);
      // The isolate may have been replaced while a token was made.
      if (!credential || this.#isPaused || generation !== this.#generation) continue;
      await this.#request(rng, connection, credential);
    }
    connection?.close();
  }

  async #credential(rng) {
    const choice = rng.below(20);
    if (choice < 8) return { kind: "bearer", token: await this.#token(rng) };
    if (choice < 16) return { kind: "session", user: rng.pick(this.#users) };
    if (choice < 18) return this.#ended.length > 0 ? { kind: "ended", ended: rng.pick(this.#ended) } : undefined;
    return { kind: rng.pick(["anonymous", "tampered"]), user: rng.pick(this.#users) };
  }

  async #token(rng) {
    const canMint = this.#healthy.tokens !== BROKEN && !this.#isDown;
    if (this.#tokens.length > 0 && (!canMint || (this.#tokens.length >= 16 && rng.chance(85)))) return rng.pick(this.#tokens);
    const sub = `caller-${rng.below(1e6)}`;
    const ttl = rng.pick([2, 10, 60, 300, 3600]);
    const flaw = rng.chance(25) ? rng.pick(["forged", "audience", "issuer", "kid", "kind", "malformed"]) : undefined;
    const header = flaw === "kid" ? { kid: `unknown-${rng.below(1e9)}` } : undefined;
    const claims = { sub, ...(flaw === "issuer" && { iss: "https://other.example.com" }), ...(flaw === "kind" && { token_use: "id" }) };
    const audience = flaw === "audience" ? OTHER_AUDIENCE : undefined;
    let text;
    try {
      text = await this.#provider.tokenFor({ clientId: "edgeward-service", scope: "read:items", ttl, claims, header, audience });
    } catch (error) {
      if (canMint && this.#healthy.tokens !== BROKEN && !this.#isDown) this.#note(`no token: ${error.message}`);
      return this.#tokens.length > 0 ? rng.pick(this.#tokens) : { text: "none", flaw: "malformed" };
    }
    const part = (index) => JSON.parse(Buffer.from(text.split(".")[index], "base64url"));
    const token = { text, sub, flaw, kid: part(0).kid, exp: part(1).exp };
    if (flaw === "malformed") token.text += "A";
    if (flaw === "forged") token.text = `${text.slice(0, text.lastIndexOf("."))}.${Buffer.alloc(256, 7).toString("base64url")}`;
    if (this.#tokens.length < 16) this.#tokens.push(token);
    else this.#tokens[rng.below(16)] = token;
    return token;
  }

  async #request(rng, connection, credential) {
    const { kind, user } = credential;
    if ((kind === "session" || kind === "tampered") && (!user.isIn || user.isBusy)) return;
    const target = kind !== "tampered" && rng.chance(25) ? "things" : "api";
    this.#number += 1;
    const path = `/${target}/${this.#number}`;
    const [isCut, isLate] = [rng.chance(1), rng.chance(5)];
    const query = isCut ? "?cut" : isLate ? `?wait=${rng.below(1500)}` : "";
    const mayCancel = kind !== "session" || user.lost < 2;
    const cancelAfter = mayCancel && rng.chance(3) ? rng.below(30) : undefined;
    const headers = { host: HOST };
    if (kind === "bearer") headers.authorization = `Bearer ${credential.token.text}`;
    if (kind === "session") headers.cookie = user.jar.cookieHeader;
    if (kind === "ended") headers.cookie = credential.ended.cookie;
    if (kind === "tampered") headers.cookie = tampered(rng, user.jar.cookieHeader);

    const generation = this.#generation;
    const began = Date.now();
    const { id } = user ?? {};
    const before = this.#verdict(credential, target, id);
    const running = {};
    this.#running.add(running);
    if (kind === "session") {
      user.active += 1;
      if (this.#lossy) user.mayBeLost = true;
    }
    let answer;
    let error;
    try {
      answer = await connection.request({ target: path + query, headers }, { cancelAfter });
    } catch (thrown) {
      error = thrown;
    }
    this.#running.delete(running);
    const isSame = user?.id === id;
    if (kind === "session" && isSame) {
      user.active -= 1;
      if (this.#lossy) user.mayBeLost = true;
    }
    const hasReached = this.#reached.delete(path);
    const count = (verdict) => {
      const counts = (this.#counts[kind] ??= {});
      counts[verdict] = (counts[verdict] ?? 0) + 1;
    };
    if (error) {
      if (error instanceof Cancelled || generation !== this.#generation) {
        count("cancelled");
        if (kind === "session" && isSame) {
          user.lost += 1;
          user.cancelledAt = Date.now();
        }
      } else {
        this.#fail(`${kind} ${path}: ${error.message}`);
      }
      return;
    }
    const after = this.#verdict(credential, target, id);
    const must = before === after && generation === this.#generation ? before : "either";
    count(must);
    this.#check({ credential, target, path, must, answer, hasReached, began, isCut, isSame });
  }

  #check({ credential, target, path, must, answer, hasReached, began, isCut, isSame }) {
    const { kind, user, token } = credential;
    const { status } = answer;
    const seen = `${kind} ${path} ${token ? `${token.flaw ?? "good"} key ${token.kid} expires ${token.exp}` : (user?.id ?? credential.ended?.id ?? "")}: ${status} ${answer.text.slice(0, 300)}`;
    const isOfOrigin = status === 200 || hasReached;
    const originFails = isCut || began < this.#healthy.origin || this.#healthy.origin === BROKEN;
    const allowed = [200, 401, 403, 503, ...(originFails ? [502, 504] : [])];
    if (!allowed.includes(status)) this.#fail(`unexpected: ${seen}`);
    if (answer.surplus) this.#fail(`two answers: ${seen}`);
    if (must === "fail" && isOfOrigin) this.#fail(`passed, and must not: ${seen}`);
    if (must === "pass" && !isOfOrigin && !(originFails && [502, 504].includes(status))) this.#fail(`refused, and must pass: ${seen}`);
    if (status === 200) {
      const expected = token?.sub ?? (isSame ? user?.id : undefined);
      if (expected !== undefined && answer.text.split("\n")[0] !== expected) this.#fail(`another user: ${seen}`);
    }
    if (kind === "bearer" && !token.flaw) {
      if (isOfOrigin) this.#accepted.add(token.kid);
      const isLive = Date.now() / 1000 < token.exp;
      if (isLive && this.#healthy.keys + RECOVERY_MS < began) this.#currentAt = Math.max(began, this.#currentAt);
    }
    if (kind !== "session" || !isSame || !user.isIn) return;
    if (isOfOrigin && target === "things" && began / 1000 > (this.#issued.get(user.id) ?? 0) + SKEW_S) this.#fail(`rights of an access token that has expired: ${seen}`);
    // The other route is closed while the access token has expired.
    if (status === 401 && target === "api") {
      this.#lostSessions += 1;
      this.#note(`lost ${user.id}`);
      user.isIn = false;
      if (this.#lostSessions > this.#mayLose + (this.#lossy?.served ?? 0)) this.#fail(`more sessions were lost than answers: ${seen}`);
      return;
    }
    if (user.jar.receive(answer)) user.lost = 0;
  }

  // ---- the model ----------------------------------------------------------------------------------------------

  #isRecovered(part) {
    return this.#healthy[part] !== BROKEN && Date.now() - this.#healthy[part] > RECOVERY_MS;
  }

  /** Whether the credential must pass, must fail, or either is right. */
  #verdict({ kind, token, user, ended }, target, id) {
    const now = Date.now();
    switch (kind) {
      case "bearer": {
        const key = this.#keys.get(token.kid);
        if (token.flaw || now / 1000 > token.exp + SKEW_S) return "fail";
        if (key.since === BROKEN) return "fail";
        if (key.until !== undefined) return this.#currentAt > key.until + FRESH_MS ? "fail" : "either";
        const canBeFetched = this.#isRecovered("keys") && now - key.since > COOLDOWN_MS;
        return now / 1000 < token.exp - 1 && (this.#accepted.has(token.kid) || canBeFetched) ? "pass" : "either";
      }
      case "session": {
        if (!user.isIn || user.id !== id || user.mayBeLost) return "either";
        if (target === "api") return "pass";
        // Rights are those of the access token, which is verified, and may have expired in an outage.
        const isVerified = this.#isRecovered("tokens") && this.#isRecovered("keys") && now - this.#rotatedAt > COOLDOWN_MS + LIFE_S * 1000;
        return isVerified ? "pass" : "either";
      }
      case "ended": {
        const isDue = now - ended.at > (LIFE_S + SKEW_S) * 1000 && this.#isRecovered("tokens");
        return ended.generation === this.#generation || isDue ? "fail" : "either";
      }
      default:
        return "fail";
    }
  }

  /** All faults have ended: every session that was not allowed to be lost is there. */
  async #finish(waits) {
    if (this.#failures.length > 0) return;
    if (waits) await delay(RECOVERY_MS + 2000);
    const connection = new Connection(this.#worker.port);
    for (const user of this.#users) {
      if (!user.isIn) continue;
      for (const target of ["api", "things"]) {
        const rng = { chance: () => false, below: () => 0, pick: ([first]) => first };
        const choose = target === "things" ? { ...rng, chance: (percent) => percent === 25 } : rng;
        await this.#request(choose, connection, { kind: "session", user });
      }
    }
    connection.close();
  }
}

/** One character of the session's cookie is another. */
function tampered(rng, cookie) {
  const at = cookie.indexOf("=") + 3 + rng.below(Math.max(1, cookie.length - cookie.indexOf("=") - 4));
  return cookie.slice(0, at) + (cookie[at] === "A" ? "B" : "A") + cookie.slice(at + 1);
}
