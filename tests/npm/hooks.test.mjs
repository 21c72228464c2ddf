// Hooks of the caller that misbehave: `waitUntil` and `signal` decide about no token, and leave no rejection unhandled.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { createVerifier, guard, initSync, protect } from "../../pkg/src/entry/slim.js";
import { createIssuer } from "../../pkg/src/testing.js";
import { createTokenSource } from "../../pkg/src/token-source.js";

initSync(readFileSync(new URL("../../pkg/wasm/edgeward_bg.wasm", import.meta.url)));

const unhandled = [];
const note = (reason) => unhandled.push(reason);
before(() => process.on("unhandledRejection", note));
after(() => process.off("unhandledRejection", note));
/** Rejections count as unhandled after a turn. */
const turns = () => new Promise((resolve) => setTimeout(resolve, 20));

const request = (token) => new Request("https://api.example.com/", { headers: { authorization: `Bearer ${token}` } });

const hooks = {
  "throws": () => { throw new TypeError("too late"); },
  "throws nothing": () => { throw undefined; },
  "rejects": async () => { throw new TypeError("too late"); },
  "never ends": () => new Promise(() => {}),
  "returns something that throws": () => ({ then() { throw new TypeError("then"); } }),
  "returns something": () => 5,
};

for (const algorithm of ["RS256", "ES256"]) {
  describe(`a waitUntil, with ${algorithm}, that`, () => {
    for (const [name, waitUntil] of Object.entries(hooks)) {
      it(name, async () => {
        const issuer = await createIssuer({ algorithms: [algorithm] });
        const options = issuer.verifierOptions({ audience: "api" });
        const token = () => issuer.mint({ claims: { aud: "api", scope: "read" } });
        const context = { waitUntil };
        const calls = {
          verify: async (verifier) => (await verifier.verify(await token(), { waitUntil })).payload.sub,
          authenticate: async (verifier) => (await verifier.authenticate(request(await token()), { waitUntil })).payload.sub,
          load: async (verifier) => (await verifier.load({ waitUntil }))[0].loaded && "user-1",
          guard: async (verifier) => (await guard({ verifier })(request(await token()), waitUntil)).payload.sub,
          protect: async (verifier) => (await protect((_, token) => new Response(token.payload.sub), { verifier })(request(await token()), {}, context)).text(),
        };
        for (const [kind, call] of Object.entries(calls)) {
          const verifier = createVerifier(options);
          assert.equal(await call(verifier), "user-1", `${kind}, cold`);
          // Due for a refresh in the background.
          issuer.shift(500);
          assert.equal(await call(verifier), "user-1", `${kind}, warm`);
          await turns();
          // `load` waits for what it fetches, and keys that are still fresh need no fetch.
          if (kind !== "load") assert.equal(verifier.keys()[0].fetchedAt >= issuer.now() - 5, true, `${kind}: the work goes on`);
          if (algorithm === "RS256") {
            issuer.shift(500);
            assert.equal(verifier.verifySync(await token(), { waitUntil }).payload.sub, "user-1");
          }
          // A refusal stays what it is.
          issuer.shift(500);
          await assert.rejects(verifier.verify(await token(), { waitUntil, scopes: "admin" }), { code: "insufficient_scope" });
        }
        await turns();
        assert.deepEqual(unhandled, []);
      });
    }
  });
}

describe("a token source, with a waitUntil that", () => {
  for (const [name, waitUntil] of Object.entries(hooks)) {
    it(name, async () => {
      const fetch = async () => Response.json({ access_token: "a-token", token_type: "Bearer" });
      const source = createTokenSource({ tokenEndpoint: "https://a.example/token", clientId: "c", clientSecret: "s", fetch });
      assert.equal(await source.getToken({ waitUntil }), "a-token");
      await turns();
      assert.deepEqual(unhandled, []);
    });
  }
});

describe("a signal", () => {
  const nothing = () => {};
  const broken = () => { throw new TypeError("broken"); };
  const source = (fetch) => createTokenSource({ tokenEndpoint: "https://a.example/token", clientId: "c", clientSecret: "s", fetch });

  it("needs both functions of an AbortSignal", async () => {
    const issuer = await createIssuer();
    const verifier = createVerifier(issuer.verifierOptions({ audience: "api" }));
    const token = await issuer.mint({ claims: { aud: "api" } });
    for (const signal of [null, 1, {}, { addEventListener: nothing }, { removeEventListener: nothing }, { addEventListener: nothing, removeEventListener: 1 }]) {
      for (const call of [() => verifier.verify(token, { signal }), () => verifier.load({ signal }), () => verifier.authenticate(request(token), { signal })]) {
        await assert.rejects(call(), { code: "options_invalid", message: "signal must be an AbortSignal" });
      }
      if (signal !== null) await assert.rejects(source(nothing).getToken({ signal }), { code: "options_invalid", message: "signal must be an AbortSignal" });
    }
    await assert.rejects(source(nothing).getToken({ waitUntil: 1 }), { code: "options_invalid", message: "waitUntil must be a function" });
    await assert.rejects(source(nothing).getToken(Promise.resolve({})), { code: "options_invalid", message: "the options must be a plain object" });
    await verifier.verify(token, { signal: { addEventListener: nothing, removeEventListener: nothing } });
    await turns();
    assert.deepEqual(unhandled, []);
  });

  it("that fails leaves no rejection unhandled, whatever becomes of the token", async () => {
    const issuer = await createIssuer();
    const token = await issuer.mint({ claims: { aud: "api" } });
    for (const isUp of [true, false]) {
      issuer[isUp ? "up" : "down"]();
      for (const signal of [{ addEventListener: nothing, removeEventListener: broken }, { addEventListener: broken, removeEventListener: nothing }, { addEventListener: broken, removeEventListener: broken }]) {
        const verifier = createVerifier(issuer.verifierOptions({ audience: "api" }));
        const outcome = await verifier.verify(token, { signal }).then(() => "passed", ({ code, message }) => code ?? message);
        assert.equal(outcome, signal.addEventListener === broken ? "broken" : isUp ? "passed" : "discovery_unreachable");
        await turns();
        assert.deepEqual(unhandled, []);
      }
    }
  });
});
