// A route that only observes: in the runtime, what reaches the origin and the client.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { assertProblem, bearer, openSocket, proxy, read } from "./support/gateway.mjs";
import { COOKIE, loginConfig, startSite } from "./support/login.mjs";

const headers = { "X-User": "$claims.sub", "X-Token": "$token", "X-Tenant": "gold" };
const config = (provider, origin) => loginConfig(provider, origin, {
  paths: [
    proxy("/seen/{*rest}", origin, { observe: true, headers, strip_authorization: false }),
    proxy("/seen-admin/{*rest}", origin, { observe: true, scopes: ["admin"], headers, strip_authorization: false, on_unauthenticated: "login" }),
  ],
});
const site = await startSite({ config });
const { worker } = site;
after(() => site.stop());

const OBSERVED = "x-edgeward-observed";

test("a refused request reaches the origin as an anonymous one, and the answer says why it would have been refused", async () => {
  const session = await site.loggedIn();
  const cookie = `own=1; ${session.cookieHeader()}`;
  for (const [path, sent, code] of [
    ["/seen/x", {}, "token_missing"],
    ["/seen/x", { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html" }, "token_missing"],
    ["/seen/x", bearer("opaque"), "token_malformed"],
    ["/seen/x", { cookie: `own=1; ${COOKIE}=1.abc` }, "token_missing"],
    ["/seen-admin/x", { cookie }, "insufficient_scope"],
  ]) {
    const answer = await read(worker.request({ target: path, headers: { Host: "app.example.com", ...sent, "x-user": "forged", "x-token": "forged" } }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.header(OBSERVED), code, path);
    assert.match(answer.header("cache-control"), /private|no-store/);
    const seen = answer.json();
    for (const name of ["authorization", "x-user", "x-token"]) assert.equal(seen.headers[name], undefined, `${path} ${name}`);
    assert.equal(seen.headers["x-tenant"], "gold");
    assert.equal(seen.headers.cookie, sent.cookie && "own=1");
    await worker.waitForLog(`observed: ${code} (`);
  }
  assert.match(await worker.written(), /config: warning at paths\[0\]\.observe: is true/);
});

test("a caller with all rights has an identity, and no header about a refusal", async () => {
  const session = await site.loggedIn();
  const answer = await session.send("/seen/x");
  assert.equal(answer.json().headers["x-user"], "alice");
  assert.equal(answer.header(OBSERVED), null);
});

test("a WebSocket that would have been refused opens, and says so", async () => {
  const { status, headers: answered, socket } = await openSocket(worker, "/seen/ws");
  socket?.close();
  assert.deepEqual([status, answered[OBSERVED]], [101, "token_missing"]);
});

test("paths that are ambiguous or dotted, and forged requests, stay refused", async () => {
  for (const target of ["/seen/../x", "/seen/%2e%2e/x", "/seen%2F..%2Fx", "/seen/\\x"]) {
    const answer = await worker.request({ target });
    assert.deepEqual([answer.status, answer.header(OBSERVED)], [400, null], target);
  }
  const session = await site.loggedIn();
  const forged = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
  await assertProblem(await session.send("/seen/x", { method: "POST", headers: forged }), { status: 403, code: "cross_site_request" });
});
