// Many users in one isolate: each answer must be that of its own user and request.

import { random } from "./random.mjs";
import { Cancelled } from "./client.mjs";
import { COOKIE, inLanes, nameOf, startSoakSite } from "./site.mjs";

/** Seconds. Sessions refresh after half of it, while requests run. */
const LIFE_S = 60;

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.count requests that get an answer
 * @param {number} [options.users]
 * @param {number} [options.lanes] requests in flight
 * @param {number} [options.life]  seconds an access token of a session lasts
 */
export async function identity({ seed, count, users: userCount = 1200, lanes = 96, life = LIFE_S }) {
  const site = await startSoakSite();
  const counts = { answers: 0, bearer: 0, session: 0, cancelled: 0, slow: 0, bodies: 0, cookies: 0, mixUps: 0, refused: 0 };
  const failures = [];
  try {
    site.lean.life = life;
    const users = Array.from({ length: userCount }, (_, index) => site.user(`user-${index}`));
    await inLanes(site, userCount, 16, (index, connection) => site.logIn(users[index], connection));
    const began = Date.now();
    await inLanes(site, lanes, lanes, async (lane, connection) => {
      const rng = random(seed, lane);
      while (counts.answers < count && failures.length < 20) {
        const user = rng.pick(users);
        const asked = question(rng, user, `${lane}-${counts.answers}-${rng.below(1e9)}`);
        const cancelAfter = rng.chance(1) ? rng.below(20) : undefined;
        let answer;
        try {
          answer = await connection.request(asked.request, { cancelAfter });
        } catch (error) {
          if (!(error instanceof Cancelled)) failures.push(`${user.id} ${asked.request.target}: ${error.message}`);
          counts.cancelled += 1;
          // The page is loaded again: without the Durable Object, an isolate remembers for a minute what the client did not receive.
          if (asked.kind === "session") user.receive(await connection.request({ target: "/me", headers: user.withSession }));
          continue;
        }
        counts.answers += 1;
        counts[asked.kind] += 1;
        counts.slow += asked.isSlow ? 1 : 0;
        counts.bodies += asked.request.body === undefined ? 0 : 1;
        const wrong = asked.check(answer);
        if (wrong) counts[answer.status === 200 ? "mixUps" : "refused"] += 1;
        if (wrong) failures.push(`${user.id} (${asked.kind}) ${asked.request.target}: ${wrong}: ${answer.status} ${answer.head} ${answer.text.slice(0, 300)}`);
        // With a session of another user, its next answers would be another user's.
        if (user.receive(answer)) counts.cookies += 1;
        if (!user.cookies.has(COOKIE)) failures.push(`${user.id}: the session was lost`);
      }
    });
    const seconds = (Date.now() - began) / 1000;
    const { refreshes, reused } = site.lean.counts;
    if (reused > 0) failures.push(`${reused} refresh tokens were used twice`);
    return {
      users: userCount, inFlight: lanes, seconds: Math.round(seconds), perSecond: Math.round(counts.answers / seconds), ...counts, refreshes,
      failures,
      prose: `${counts.answers} answers to ${userCount} users, ${lanes} in flight in one isolate: ${counts.mixUps} of another user or request, ${counts.refused} refused; ${refreshes} refreshes, ${counts.cancelled} cancelled requests, ${counts.slow} slow answers`,
    };
  } finally {
    await site.stop();
  }
}

/** A request of a user, and what is wrong with an answer. */
function question(rng, user, nonce) {
  const kind = rng.chance(50) ? "bearer" : "session";
  const headers = kind === "bearer" ? user.withBearer : user.withSession;
  const choice = rng.below(20);
  if (choice === 0) {
    const check = (answer) => answer.status !== 200 || answer.surplus || answer.header("x-sub") !== user.id ? "not the user's answer" : undefined;
    return { kind, request: { target: "/me", headers }, check };
  }
  if (choice === 1 && kind === "session") {
    const check = (answer) => answer.status !== 200 || answer.surplus || JSON.parse(answer.text).sub !== user.id ? "not the user's claims" : undefined;
    return { kind, request: { target: "/userinfo", headers }, check };
  }
  const withToken = kind === "session" && rng.chance(30);
  const isSlow = rng.chance(3);
  const path = `/${withToken ? "token" : "app"}/${nonce}`;
  const target = isSlow ? `${path}?wait=${1 + rng.below(200)}` : path;
  const body = rng.chance(15) ? `${user.id} ${nonce} ${"x".repeat(rng.pick([0, 10, 1000, 20_000]))}` : undefined;
  const expected = [user.id, nameOf(user.id), withToken ? user.id : kind === "bearer" ? undefined : "", path, body ?? ""];
  const check = (answer) => {
    if (answer.status !== 200 || answer.surplus) return "no answer of the origin";
    const seen = answer.text.split("\n");
    const isOwn = seen.length === expected.length && expected.every((part, index) => part === undefined || part === seen[index]);
    // What the origin saw of a bearer token is that token, or nothing.
    if (!isOwn || ![user.id, ""].includes(seen[2])) return "another user or request";
    return answer.setCookies.includes(`origin-user=${user.id}; Path=/`) ? undefined : "another cookie of the origin";
  };
  const request = body === undefined ? { target, headers } : { method: "POST", target, headers, body };
  return { kind, request, check, isSlow };
}
