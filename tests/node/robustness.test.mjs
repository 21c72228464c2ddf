// Internal failures and concurrency: the next request is served, every response belongs to its own user, and no log line contains a
// secret.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { after, beforeEach, describe, test } from "node:test";
import {
  assertNothingLeaked, assertRefused, assertTokenMissing, authorizer, bearer, many, openSocket, proxy, read, respond,
} from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { wasmMemory, withMemory } from "./support/memory.mjs";
import { startOrigin } from "./support/origin.mjs";
import { AUDIENCE, CLIENT_SECRET, startProvider } from "./support/provider.mjs";
import { startIssuer } from "./support/tokens.mjs";
import { trappable } from "./support/trap.mjs";
import { startWorker } from "./support/worker.mjs";

const [origin, issuer] = await Promise.all([startOrigin(), startIssuer()]);
const configuration = (from) => ({
  authorizer: authorizer(from, { client_secret: "$secrets.CLIENT_SECRET", algorithms: ["RS256", "PS256"] }),
  session: { secrets: "$secrets.SESSION_SECRET" },
  paths: [
    proxy("/api/{*rest}", origin, { headers: { "X-User-Id": "$claims.sub", "X-Key": "$secrets.UPSTREAM_KEY" } }),
    proxy("/admin/{*rest}", origin, { scopes: ["admin:read"] }),
    proxy("/optional", origin, { auth: "optional", headers: { "X-User-Id": "$claims.sub" } }),
    proxy("/public/{*rest}", origin, { auth: "none" }),
    proxy("/gone", "http://127.0.0.1:1", { headers: { "X-Token": "$token" } }),
    respond("/me", { auth: "required", headers: { "X-Sub": "$claims.sub" }, body: "yours" }),
  ],
});
const secrets = { CLIENT_SECRET, SESSION_SECRET: randomBytes(32).toString("hex"), UPSTREAM_KEY: randomBytes(32).toString("hex") };

// Stopped here: a suite of which no test is selected runs no hooks.
const started = [origin, issuer];
after(() => Promise.all(started.map((part) => part.stop())));
beforeEach(() => origin.reset());

describe("after a trap in the wasm module", async () => {
  const worker = await startWorker({ config: configuration(issuer), env: secrets, source: await trappable() });
  started.push(worker);

  const token = issuer.token({ claims: { sub: "alice" } });
  const subject = async () => (await read(worker.fetch("/me", { headers: bearer(token) }))).header("x-sub");
  /** A request whose verification traps: the runtime answers for it. */
  async function trap() {
    const answer = await read(worker.fetch("/me", { headers: { ...bearer(token), "x-test-trap": "1" } }));
    assert.equal(answer.status, 500);
    assert.equal(answer.header("x-sub"), null);
  }

  test("the next request is served, and so is every one after it", async () => {
    assert.equal(await subject(), "alice");
    for (let round = 0; round < 5; round += 1) {
      await trap();
      assert.equal(await subject(), "alice");
      await assertTokenMissing(worker.fetch("/api/items"));
      assert.equal((await worker.fetch("/public/a")).status, 200);
      await assertRefused(worker.fetch("/me", { headers: bearer(issuer.token({ signature: Buffer.alloc(256) })) }), "signature_invalid");
    }
    await worker.waitForLog("unreachable");
  });

  test("a browser navigation gets a page, and an API client a problem document", async () => {
    const ask = (headers) => read(worker.request({ target: "/me", headers: { ...bearer(token), "x-test-trap": "1", ...headers } }));
    for (const [headers, isPage] of [
      [{ "sec-fetch-mode": "navigate", accept: "text/html" }, true], [{ accept: "text/html,*/*;q=0.8" }, true], [{}, false], [{ accept: "application/json" }, false],
      [{ "sec-fetch-mode": "cors", accept: "text/html" }, false], [{ accept: "text/html", "x-requested-with": "XMLHttpRequest" }, false],
    ]) {
      const answer = await ask(headers);
      assert.deepEqual([answer.status, answer.header("content-type"), answer.header("cache-control")], [500, isPage ? "text/html; charset=utf-8" : "application/problem+json", "no-store"], JSON.stringify(headers));
      if (isPage) {
        assert.match(answer.text, /^<!doctype html>\n<html lang="en">[\s\S]*<h1>This page is not available right now<\/h1>[\s\S]*<code>internal_error<\/code>/);
        assert.match(answer.header("content-security-policy"), /^default-src 'none';/);
      } else {
        assert.equal(answer.json().code, "internal_error");
      }
      assert.equal(await subject(), "alice");
    }
  });

  test("a first request that traps spoils nothing either", async () => {
    await worker.restart();
    await trap();
    assert.equal(await subject(), "alice");
  });

  test("requests in flight get a response or an error, never another user's", { timeout: 30_000 }, async () => {
    const names = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    const slow = names.map(async (sub) => {
      const answer = await read(worker.fetch(
        "/api/slow/150", { headers: bearer(issuer.token({ claims: { sub } })), signal: AbortSignal.timeout(10_000) },
      ));
      if (answer.status !== 200) return answer.status;
      assert.equal(answer.json().headers["x-user-id"], sub);
      return 200;
    });
    // Any one of the requests that verify a token meanwhile traps.
    const trapping = Promise.allSettled([1, 2, 3].map(() => worker.fetch("/me", { headers: { ...bearer(token), "x-test-trap": "1" } })));
    const statuses = await Promise.all(slow);
    assert.ok(statuses.every((status) => status === 200 || status === 500), String(statuses));
    await trapping;
    // A trap may still be armed: this request triggers the last one.
    await read(worker.fetch("/me", { headers: bearer(token) }));
    for (let index = 0; index < 20; index += 1) assert.equal(await subject(), "alice");
  });

  test("the log says what happened, and nothing of the token", async () => {
    await trap();
    await worker.waitForLog("unreachable");
    await subject();
    assertNothingLeaked([token, ...Object.values(secrets)], [await worker.written()]);
  });
});

test("requests whose clients disconnect leave nothing in the memory of the module", async () => {
  const worker = await startWorker({ config: configuration(issuer), env: secrets, source: await withMemory() });
  started.push(worker);
  const token = issuer.token();
  /** Requests an answer that takes 200 ms, and does not wait for it. */
  const disconnect = async () => {
    const socket = connect(worker.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`GET /api/slow/200 HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await delay(50);
    socket.destroy();
  };
  const memoryAfter = async (count) => {
    origin.reset();
    await many(count, disconnect, { atOnce: 20 });
    await delay(1000);
    assert.ok(origin.requests.length > count / 2, `${origin.requests.length} of ${count} reached the origin`);
    return wasmMemory(worker);
  };
  assert.equal((await worker.fetch("/api/echo", { headers: bearer(token) })).status, 200);
  const before = await memoryAfter(1000);
  const grown = (await memoryAfter(4000)) - before;
  // A task has about a kilobyte.
  assert.ok(grown < 1_000_000, `${grown} bytes more`);
});

describe("many at once", async () => {
  const provider = await startProvider();
  const worker = await startWorker({ config: configuration(provider), env: secrets });
  started.push(worker, provider);

  const people = Array.from({ length: 50 }, (_, index) => `user-${index}`);
  const tokens = await Promise.all(
    people.map((sub, index) => provider.tokenFor({
      alg: index % 2 ? "PS256" : "RS256", scope: index % 3 ? "read:items" : "admin:read", claims: { sub },
    })),
  );
  const stranger = issuer.token({ claims: { iss: provider.issuer } });
  const sent = new Set([...tokens, stranger]);
  const answers = [];

  /** What a request of person `index` may be, and what must come of it. */
  const kinds = [
    async (index, headers) => {
      const answer = await read(worker.fetch(`/api/echo/${index}`, { headers: { ...headers, "x-user-id": people[(index + 1) % 50] } }));
      answers.push(answer.text.replaceAll(secrets.UPSTREAM_KEY, ""));
      const { url, headers: seen } = answer.json();
      assert.deepEqual(
        [answer.status, url, seen["x-user-id"], seen["x-key"]], [200, `/api/echo/${index}`, people[index], secrets.UPSTREAM_KEY],
      );
    },
    async (index, headers) => {
      const answer = await read(worker.fetch("/me", { headers }));
      assert.deepEqual([answer.status, answer.header("x-sub"), answer.text], [200, people[index], "yours"]);
    },
    async (index, headers) => {
      const body = `${people[index]} `.repeat(500);
      const answer = await read(worker.fetch(`/api/upload/${index}`, { method: "POST", headers, body }));
      assert.deepEqual([answer.json().bytes, answer.json().headers["x-user-id"]], [body.length, people[index]]);
    },
    async (index, headers) => {
      const answer = await read(worker.fetch("/optional", { headers }));
      assert.equal(answer.json().headers["x-user-id"], people[index]);
    },
    async () => {
      const answer = await read(worker.fetch("/optional"));
      assert.deepEqual([answer.status, answer.json().headers["x-user-id"]], [200, undefined]);
    },
    async (index, headers) => {
      const answer = await read(worker.fetch(`/admin/${index}`, { headers }));
      answers.push(answer.text);
      assert.equal(answer.status, index % 3 ? 403 : 200);
    },
    async (index, headers) => {
      const answer = await read(worker.fetch("/public/a", { headers }));
      assert.deepEqual([answer.status, answer.json().headers["x-user-id"]], [200, undefined]);
    },
    async (index) => {
      const forged = tokens[index].replace(/\.[^.]+$/, stranger.slice(stranger.lastIndexOf(".")));
      sent.add(forged);
      const { text } = await assertRefused(worker.fetch(`/api/${index}`, { headers: bearer(forged) }), "signature_invalid");
      answers.push(text);
    },
    async () => {
      const { text } = await assertRefused(worker.fetch("/me", { headers: bearer(stranger) }), "key_not_found");
      answers.push(text);
    },
    async () => void (await assertTokenMissing(worker.fetch("/me"))),
    async (index, headers) => {
      const answer = await read(worker.fetch(`/api/slow/${index}`, { headers }));
      assert.equal(answer.json().headers["x-user-id"], people[index]);
    },
    async (index, headers) => {
      const answer = await read(worker.fetch("/gone?code=a-code-that-nobody-may-see", { headers }));
      answers.push(answer.text);
      assert.equal(answer.status, 502);
    },
  ];

  test("1,000 mixed requests of 50 users: each gets its own identity", async () => {
    const one = (number) => {
      const person = Math.floor(number / kinds.length) % people.length;
      return kinds[number % kinds.length](person, bearer(tokens[person]));
    };
    await many(1_000, one, { atOnce: 100 });
    assert.doesNotMatch(await worker.written(), /different request|Critical|exception|hung|panick/i);
  });

  test("50 WebSockets of 50 users: each has its own identity", async () => {
    await many(50, async (index) => {
      const { status, socket } = await openSocket(worker, `/api/websocket/${index}`, { headers: bearer(tokens[index]) });
      assert.equal(status, 101);
      socket.terminate();
    });
    const seen = origin.requests.filter(({ upgrade }) => upgrade);
    assert.equal(seen.length, 50);
    for (const { url, headers } of seen) assert.equal(headers["x-user-id"], people[url.split("/").at(-1)]);
  });

  test("a login's tokens and 50 refused requests leave nothing in the log either", async () => {
    const { access_token, id_token } = await provider.login({ account: "alice", audience: AUDIENCE, scope: "openid read:items" });
    for (const token of [access_token, id_token]) sent.add(token);
    await many(50, async (index) => {
      const headers = index % 2 ? bearer(id_token) : { ...bearer(access_token), cookie: `__Host-edgeward=${access_token}` };
      answers.push((await read(worker.fetch(index % 2 ? "/me" : `/admin/x?access_token=${access_token}`, { headers }))).text);
    });
  });

  test("no answer of the gateway's and no log line of the whole run holds a secret or a part of a token", async () => {
    await worker.waitForLog("origin_unreachable");
    assert.ok(answers.length > 300 && sent.size > 90);
    assertNothingLeaked([...sent, ...Object.values(secrets), "a-code-that-nobody-may-see"], [...answers, await worker.written()]);
  });

  test("the log of that run has a line for what went wrong, and none for what went right", async () => {
    await worker.flush();
    for (const { level, message } of worker.logs) assert.match(`${level} ${message}`, /^error edgeward: origin_unreachable: /);
  });
});
