// Shared by the Worker's tests: configurations, requests with tokens, and the exact form of every refusal.

import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { delay } from "./http.mjs";
import { AUDIENCE } from "./provider.mjs";

export const REALM = 'Bearer realm="edgeward"';
export const HEALTH = "/.well-known/edgeward/health";

/** A request header with this token. */
export const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** A route that forwards to `origin`. */
export const proxy = (path, origin, { headers, strip_authorization, ...route } = {}) => ({
  method: "ANY",
  path,
  ...route,
  integration: {
    type: "http_proxy", url: origin.url ?? origin, ...(headers && { headers }),
    ...(strip_authorization !== undefined && { strip_authorization }),
  },
});

/** A route that answers by itself. */
export const respond = (path, { status, headers, body, ...route } = {}) => ({
  method: "ANY",
  path,
  auth: "none",
  ...route,
  integration: JSON.parse(JSON.stringify({ type: "respond", status, headers, body })),
});

/** `authorizer` for a provider or a hand-made issuer, by discovery; `changes` are set over it, undefined removes one. */
export const authorizer = (issuer, changes = {}) =>
  JSON.parse(JSON.stringify({ type: "oidc", issuer: issuer.issuer, audience: AUDIENCE, ...changes }));

/** Status, headers and text of an answer, of `fetch` or of `worker.request`. */
export async function read(answer) {
  answer = await answer;
  const text = typeof answer.text === "function" ? await answer.text() : answer.text;
  const header = answer.header ?? ((name) => answer.headers.get(name));
  return { status: answer.status, header, text, json: () => JSON.parse(text) };
}

/**
 * Asserts that an answer is the problem document (RFC 9457) `status` and `code`, with exactly this `WWW-Authenticate`
 * (none unless given) and these further members. Returns the answer with its `body`.
 */
export async function assertProblem(answer, { status, code, challenge = null, ...members }) {
  const got = await read(answer);
  assert.equal(got.status, status, got.text);
  assert.equal(got.header("content-type"), "application/problem+json");
  assert.equal(got.header("cache-control"), "no-store");
  const body = got.json();
  assert.equal(body.code, code, got.text);
  assert.equal(body.status, status);
  assert.equal(typeof body.title, "string");
  assert.match(body.detail, /^[A-Z].*\.$/);
  const expected = typeof challenge === "function" ? challenge(body) : challenge;
  assert.equal(got.header("www-authenticate"), expected);
  for (const [name, value] of Object.entries(members)) {
    if (value instanceof RegExp) assert.match(String(body[name]), value);
    else assert.equal(body[name], value, `${name} in ${got.text}`);
  }
  return { ...got, body };
}

/** 401 without an error: no token was sent. */
export const assertTokenMissing = (answer) =>
  assertProblem(answer, { status: 401, code: "token_missing", challenge: REALM, error: "unauthorized" });

/** 401 `invalid_token`. `hint` is undefined where there must be none. */
export const assertRefused = (answer, code, { hint, ...more } = {}) =>
  assertProblem(answer, { status: 401, code, hint, ...more, error: "invalid_token", challenge: describing("invalid_token") });

/** 403 `insufficient_scope`, naming the required right. `scope`: the scopes in the challenge. */
export const assertForbidden = (answer, code, { required, scope } = {}) =>
  assertProblem(answer, {
    status: 403,
    code,
    required,
    error: "insufficient_scope",
    challenge: `${REALM}, error="insufficient_scope"${scope ? `, scope="${scope}"` : ""}`,
  });

/** 400 `invalid_request`. */
export const assertBadRequest = (answer) =>
  assertProblem(answer, {
    status: 400,
    code: "invalid_request",
    error: "invalid_request",
    challenge: `${REALM}, error="invalid_request"`,
  });

/** 503 because there are no keys to decide with: never 401. */
export async function assertUnavailable(answer, code) {
  const got = await assertProblem(answer, { status: 503, code, error: "temporarily_unavailable" });
  assert.match(got.header("retry-after"), /^[1-9][0-9]*$/);
  return got;
}

/** The challenge that repeats the problem's detail, as a quoted string. */
export const describing = (error) => (body) =>
  `${REALM}, error="${error}", error_description="${body.detail.replace(/["\\]/g, "'")}"`;

/**
 * Opens a WebSocket on a path of the Worker. Resolves to `{ status: 101, headers, socket }`, or to the refusal as `read`
 * gives it.
 */
export function openSocket(worker, path, { headers = {}, protocols = [] } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${worker.port}${path}`, protocols, { headers });
    let head;
    socket.on("upgrade", (answer) => (head = answer.headers));
    socket.on("open", () => resolve({ status: 101, headers: head, socket }));
    socket.on("error", reject);
    socket.on("unexpected-response", async (_request, answer) => {
      const chunks = [];
      for await (const chunk of answer) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      resolve({ status: answer.statusCode, header: (name) => answer.headers[name] ?? null, text, json: () => JSON.parse(text) });
    });
  });
}

/** Tries until `attempt` returns something true, and returns that. */
export async function until(attempt, { timeout = 10_000, every = 50, what = "the condition" } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    if (Date.now() > end) throw new Error(`${what} did not come true within ${timeout} ms`);
    await delay(every);
  }
}

/** Runs `task(0)` … `task(count - 1)`, so many at once, and returns the results in order. */
export async function many(count, task, { atOnce = 50 } = {}) {
  const results = new Array(count);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      results[index] = await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
  return results;
}

/**
 * Asserts that none of these secrets or tokens is in any of the texts; of a token, neither of its parts does. A part
 * shorter than 16 characters says nothing.
 */
export function assertNothingLeaked(secrets, texts) {
  for (const secret of secrets) {
    for (const part of [secret, ...secret.split(".")]) {
      if (part.length < 16) continue;
      for (const text of texts) assert.ok(!text.includes(part), `${part.slice(0, 12)}… stands in: ${text.slice(0, 500)}`);
    }
  }
}
