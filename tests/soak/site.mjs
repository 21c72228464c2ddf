// What the long runs are made against: the built Worker in workerd, an issuer that rotates refresh tokens without overlap, and an
// origin that tells for whom it got a request. Both are leaner than those of the tests: a run has a million requests.

import { randomBytes } from "node:crypto";
import { serve, readBody, delay } from "../node/support/http.mjs";
import { NAVIGATION, SITE } from "../node/support/browser.mjs";
import { base64url, startIssuer } from "../node/support/tokens.mjs";
import { startWorker } from "../node/support/worker.mjs";
import { Connection } from "./client.mjs";

export { NAVIGATION };
export const HOST = new URL(SITE).host;
export const COOKIE = "__Host-edgeward";
const CLIENT_SECRET = "client-secret-of-the-long-runs-0123456789";

/** The claim that names a user beside `sub`. */
export const nameOf = (id) => `Name of ${id}`;

/** Runs `task` for each number below `count`, in so many lanes, each with a connection of its own. */
export async function inLanes(site, count, lanes, task) {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, async (_, lane) => {
    const connection = site.connect();
    try {
      while (next < count) await task(next++, connection, lane);
    } finally {
      connection.close();
    }
  }));
}

/** An issuer whose users need no login page: a code says who logs in. */
async function startLeanIssuer() {
  const issuer = await startIssuer({ audience: "https://api.example.com" });
  /** Refresh tokens by login: `{ user, newest, ended }`. */
  const logins = new Map();
  const counts = { logins: 0, refreshes: 0, reused: 0 };
  const state = { issuer, logins, counts, life: 3600 };
  const tokens = (user, login) => {
    const access_token = issuer.token({ claims: { sub: user, name: nameOf(user), exp: Math.floor(Date.now() / 1000) + state.life } });
    login.newest = `${login.id}.${randomBytes(12).toString("base64url")}`;
    return { access_token, token_type: "Bearer", expires_in: state.life, refresh_token: login.newest };
  };
  issuer.routes = {
    "/token": {
      endpoint: "token",
      async answer(req, res) {
        const form = new URLSearchParams((await readBody(req)).toString());
        const send = (status, value) => res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
        if (form.get("grant_type") === "authorization_code") {
          const { user, nonce } = JSON.parse(Buffer.from(form.get("code"), "base64url"));
          const login = { id: randomBytes(9).toString("base64url"), user };
          logins.set(login.id, login);
          counts.logins += 1;
          const claims = { sub: user, name: nameOf(user), aud: "soak", nonce, client_id: undefined, scope: undefined };
          send(200, { ...tokens(user, login), id_token: issuer.token({ header: { typ: "JWT" }, claims }) });
          return;
        }
        counts.refreshes += 1;
        const given = form.get("refresh_token") ?? "";
        const login = logins.get(given.split(".")[0]);
        if (login && !login.ended && login.newest === given) {
          send(200, tokens(login.user, login));
          return;
        }
        // A token that is used again ends the login (RFC 9700 §4.14).
        if (login) {
          counts.reused += 1;
          login.ended = true;
        }
        send(400, { error: "invalid_grant" });
      },
    },
  };
  return state;
}

/**
 * Answers with the user that the gateway named, the subject of the token it was sent, and the path and body of the request. `?wait=20` is a
 * late answer, `?cut` a lost one. `onRequest` gets the path of each request.
 */
export function startEcho({ onRequest = () => {} } = {}) {
  return serve(async (req, res) => {
    const url = new URL(req.url, "http://origin");
    onRequest(url.pathname);
    const body = req.method === "POST" ? (await readBody(req)).toString() : "";
    const wait = Number(url.searchParams.get("wait") ?? 0);
    if (wait > 0) await delay(wait);
    if (url.searchParams.has("cut")) {
      req.socket.destroy();
      return;
    }
    const token = /^Bearer [^.]+\.([^.]+)\./.exec(req.headers.authorization ?? "")?.[1];
    const user = req.headers["x-user-id"] ?? "";
    const sub = token ? JSON.parse(Buffer.from(token, "base64url")).sub : "";
    const text = [user, req.headers["x-user-name"] ?? "", sub, url.pathname, body].join("\n");
    res.writeHead(200, { "content-type": "text/plain", "content-length": Buffer.byteLength(text), "set-cookie": `origin-user=${user}; Path=/` }).end(text);
  });
}

/**
 * Starts it. `site.user(id)` is a user with a bearer token; `site.logIn(user, connection)` gives them a session.
 *
 * @param {object} [options]
 * @param {object} [options.config] members set over the configuration
 * @param {object} [options.worker] options of `start`
 * @param {typeof startWorker} [options.start] starts the Worker
 */
export async function startSoakSite({ config, worker: workerOptions, start = startWorker } = {}) {
  const [lean, origin] = await Promise.all([startLeanIssuer(), startEcho()]);
  const { issuer } = lean;
  const headers = { "X-User-Id": "$claims.sub", "X-User-Name": "$claims.name" };
  const route = (path, integration, more) => ({ method: "ANY", path, ...more, integration });
  const worker = await start({
    config: {
      authorizer: {
        type: "oidc", issuer: issuer.issuer, audience: issuer.audience, client_id: "soak", client_secret: CLIENT_SECRET,
        redirect_uri: `${SITE}/auth/callback`, scope: "openid offline_access",
      },
      session: { secrets: "a-session-secret-of-the-long-runs-0123456789abcdef" },
      paths: [
        route("/login", { type: "login" }, { method: "GET" }),
        route("/auth/callback", { type: "callback" }, { method: "GET" }),
        route("/logout", { type: "logout" }, { method: ["GET", "POST"] }),
        route("/refresh", { type: "refresh" }, { method: ["GET", "POST"] }),
        route("/userinfo", { type: "userinfo" }, { method: "GET" }),
        route("/app/{*rest}", { type: "http_proxy", url: origin.url, headers }),
        route("/token/{*rest}", { type: "http_proxy", url: origin.url, headers: { ...headers, Authorization: "Bearer $token" } }),
        route("/me", { type: "respond", headers: { "X-Sub": "$claims.sub" }, body: "me" }),
      ],
      ...config,
    },
    ...workerOptions,
  });

  const site = {
    lean, issuer, origin, worker,
    connect: () => new Connection(worker.port),
    user: (id) => new User(id, issuer.token({ claims: { sub: id, name: nameOf(id), exp: Math.floor(Date.now() / 1000) + 86_400 } })),
    async logIn(user, connection) {
      user.cookies.clear();
      const navigation = { host: HOST, ...NAVIGATION };
      const begun = await connection.request({ target: "/login?return_to=/me", headers: navigation });
      user.receive(begun);
      const query = new URL(begun.header("location") ?? "/", SITE).searchParams;
      if (begun.status !== 302 || !query.has("nonce")) throw new Error(`no login: ${begun.status} ${begun.text}\n${worker.logText}`);
      const code = base64url(JSON.stringify({ user: user.id, nonce: query.get("nonce") }));
      const target = `/auth/callback?code=${code}&state=${query.get("state")}`;
      const headers = { ...navigation, "sec-fetch-site": "cross-site", cookie: user.cookieHeader };
      const ended = await connection.request({ target, headers });
      user.receive(ended);
      if (ended.status !== 302 || !user.cookies.has(COOKIE)) throw new Error(`no session: ${ended.status} ${ended.text}\n${worker.logText}`);
    },
    stop: () => Promise.all([worker, issuer].map((part) => part.stop()).concat(origin.close())),
  };
  // The logs of a long run would fill the memory of this process.
  const logs = setInterval(() => worker.logs.splice(0, worker.logs.length - 200), 1000);
  logs.unref();
  return site;
}

/** A user with a bearer token, and a browser's cookies. */
export class User {
  cookies = new Map();
  cookieHeader = "";
  #authorization;

  constructor(id, token) {
    this.id = id;
    this.#authorization = `Bearer ${token}`;
  }

  get withBearer() {
    return { host: HOST, authorization: this.#authorization };
  }

  get withSession() {
    return { host: HOST, cookie: this.cookieHeader };
  }

  /** Stores the cookies of an answer, as a browser does. Returns whether there were any of the gateway's. */
  receive(answer) {
    let changed = false;
    for (const line of answer.setCookies) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (!name.startsWith(COOKIE)) continue;
      if (/; *max-age=0\b/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
      changed = true;
    }
    if (changed) this.cookieHeader = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    return changed;
  }
}
