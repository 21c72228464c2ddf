// Storms of requests with sessions that are due for refresh, on two isolates: each session is refreshed once, and none is lost. The
// issuer rotates refresh tokens without overlap; one that is used twice ends the session.

import { Connection } from "./client.mjs";
import { delay } from "../node/support/http.mjs";
import { many } from "../node/support/gateway.mjs";
import { HOST, inLanes, startSoakSite } from "./site.mjs";

/** Seconds an access token of a login lasts; it is due after half of it. */
const LIFE_S = 4;

/**
 * @param {object} options
 * @param {number} options.sessions
 * @param {number} [options.requests] of each session, at once
 * @param {number} [options.atOnce]   sessions
 */
export async function refresh({ sessions: count, requests = 50, atOnce = 4 }) {
  const site = await startSoakSite({ worker: { sessions: true, isolates: 2 } });
  const failures = [];
  const { lean, worker } = site;
  try {
    lean.life = LIFE_S;
    const users = Array.from({ length: count }, (_, index) => site.user(`user-${index}`));
    await inLanes(site, count, 16, (index, connection) => site.logIn(users[index], connection));
    await delay((LIFE_S / 2) * 1000 + 100);
    // The refreshed tokens are not due before the end.
    lean.life = 3600;
    const began = Date.now();
    let answers = 0;
    const connections = Array.from({ length: atOnce }, () =>
      Array.from({ length: requests }, (_, index) => new Connection(worker.ports[index % worker.ports.length])));
    const idle = [...connections];
    await many(count, async (index) => {
      const own = idle.pop();
      const user = users[index];
      const headers = user.withSession;
      const got = await Promise.all(own.map((connection) => connection.request({ target: "/token/x", headers })));
      answers += got.length;
      for (const answer of got) {
        const [sub, , ofToken] = answer.text.split("\n");
        if (answer.status !== 200 || sub !== user.id || ofToken !== user.id) failures.push(`${user.id}: ${answer.status} ${answer.text.slice(0, 200)}`);
      }
      if (new Set(got.map((answer) => answer.setCookies.length > 0)).has(false)) failures.push(`${user.id}: an answer without the new session`);
      user.receive(got.at(-1));
      idle.push(own);
    }, { atOnce });
    connections.flat().forEach((connection) => connection.close());
    const seconds = (Date.now() - began) / 1000;
    const { refreshes } = lean.counts;
    if (refreshes > 1.1 * count) failures.push(`${refreshes} refreshes of ${count} sessions`);

    // The session that came of it is good for another refresh.
    let lost = 0;
    await inLanes(site, count, 16, async (index, connection) => {
      const answer = await connection.request({ method: "POST", target: "/refresh", headers: { ...users[index].withSession, host: HOST }, body: "" });
      if (answer.status === 200) return;
      lost += 1;
      failures.push(`${users[index].id}: lost: ${answer.status} ${answer.text.slice(0, 200)}`);
    });
    if (lean.counts.reused > 0) failures.push(`${lean.counts.reused} refresh tokens were used twice`);
    return {
      sessions: count, requests: answers, isolates: 2, seconds: Math.round(seconds), refreshes, lost, failures,
      prose: `${requests} requests at once with each of ${count} sessions, on two isolates: ${refreshes} refreshes, ${lost} sessions lost`,
    };
  } finally {
    await site.stop();
  }
}
