// Opaque access tokens of a real provider, about which it is asked: in JSON, and as signed JWTs.

import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { assertForbidden, assertProblem, assertRefused, bearer } from "./support/gateway.mjs";
import { delay } from "./support/http.mjs";
import { startSite } from "./support/login.mjs";
import { AUDIENCE, OTHER_AUDIENCE } from "./support/provider.mjs";

const paths = [{ method: "GET", path: "/items", scopes: ["read:items"], integration: { type: "respond", body: "items" } }];
const start = async (introspection) => {
  const site = await startSite({ provider: { opaque: [AUDIENCE, OTHER_AUDIENCE] }, paths, authorizer: { introspection } });
  after(() => site.stop());
  return site;
};
const site = await start({});
const signed = await start({ signed: true });
const brief = await start({ cache_s: 0 });
const refusing = await start();
afterEach(() => [site, signed, brief].forEach(({ provider }) => provider.clearFaults()));

const ask = ({ worker }, token, target = "/items") => worker.request({ target, headers: bearer(token) });
const asked = ({ provider }) => provider.counts.introspection ?? 0;

describe("an opaque token", () => {
  for (const [how, one] of [["in JSON", site], ["as a signed JWT", signed]]) {
    test(`is accepted if the provider says so ${how}, once for many requests`, async () => {
      const token = await one.provider.tokenFor({ scope: "read:items" });
      assert.doesNotMatch(token, /\..*\./, "it is opaque");
      const before = asked(one);
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(one, token)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200], `${answers[0].text}\n${one.worker.logText}`);
      assert.equal(asked(one) - before, 1);
      const { headers } = (await ask(one, token, "/app/x")).json();
      assert.equal(headers["x-user-scope"], "read:items");
      assert.equal(headers.authorization, undefined);
    });
  }

  test("of a user brings the user's claims", async () => {
    const { access_token: token } = await site.provider.login({ account: "bob", scope: "openid read:items", audience: AUDIENCE });
    assert.equal((await ask(site, token, "/app/x")).json().headers["x-user-id"], "bob");
  });

  test("needs the right of the route", async () => {
    const token = await site.provider.tokenFor({ scope: "write:items" });
    await assertForbidden(ask(site, token), "insufficient_scope", { required: "read:items", scope: "read:items" });
  });

  test("that is unknown, for another API, or a refresh token is refused", async () => {
    await assertRefused(ask(site, "unknown-token"), "token_inactive");
    await assertRefused(ask(site, await site.provider.tokenFor({ audience: OTHER_AUDIENCE })), "audience_mismatch", { hint: /audience/ });
    const { refresh_token: refresh } = await site.provider.login({ scope: "openid offline_access read:items", prompt: "consent", audience: AUDIENCE });
    assert.ok(refresh);
    assert.equal((await ask(site, refresh)).status, 401);
  });

  test("is refused once the provider has revoked it, if answers are not cached", async () => {
    const { access_token: token } = await brief.provider.login({ scope: "openid read:items", audience: AUDIENCE });
    assert.equal((await ask(brief, token)).status, 200);
    brief.provider.revoke({ account: "alice" });
    await assertRefused(ask(brief, token), "token_inactive");
  });

  test("gets 503 while the provider cannot be asked, and 200 afterwards", async () => {
    for (const fault of [{ status: 500 }, { reset: true }, { status: 200, headers: { "content-type": "application/json" }, body: "{}" }]) {
      const token = await site.provider.tokenFor({ scope: "read:items" });
      site.provider.setFault("introspection", fault);
      const answer = await ask(site, token);
      await assertProblem(answer, { status: 503, code: "introspection_unavailable" });
      assert.equal(answer.header("retry-after"), "1");
      site.provider.clearFaults();
      await delay(1000);
      assert.equal((await ask(site, token)).status, 200, site.worker.logText);
    }
    assert.doesNotMatch(await site.worker.written(), /client-secret/);
  });

  test("is not asked about while the endpoint wants a pause, whatever the tokens", async () => {
    const paused = await start({});
    const date = new Date(Date.now() + 100_000).toUTCString();
    paused.provider.setFault("introspection", { status: 429, headers: { "content-type": "application/json", "retry-after": date }, body: "{}" });
    const answers = [await ask(paused, "token-0"), ...(await Promise.all(Array.from({ length: 30 }, (_, number) => ask(paused, `token-${number}`))))];
    for (const answer of answers) {
      await assertProblem(answer, { status: 503, code: "introspection_unavailable" });
      const seconds = Number(answer.header("retry-after"));
      assert.ok(seconds > 50 && seconds <= 100, `${seconds}`);
    }
    assert.equal(asked(paused), 1);
  });

  test("is refused without the setting, and no provider is asked", async () => {
    const token = await refusing.provider.tokenFor({ scope: "read:items" });
    assert.equal((await ask(refusing, token)).json().code, "token_malformed");
    assert.equal(asked(refusing), 0);
  });
});

test("an unsigned answer does not replace a signed one", async () => {
  const token = await signed.provider.tokenFor({ scope: "read:items" });
  const body = JSON.stringify({ active: true, iss: signed.provider.issuer, aud: AUDIENCE, scope: "read:items", exp: 4e9 });
  signed.provider.setFault("introspection", { status: 200, headers: { "content-type": "application/json" }, body });
  await assertProblem(ask(signed, token), { status: 503, code: "introspection_unavailable" });
});
