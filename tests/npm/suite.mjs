// The suite that every runtime runs: the installed package against the fixtures. It uses web standards only, and a runtime's own
// inspection where there is one.

/**
 * @param {typeof import("edgeward")} edgeward
 * @param {Awaited<ReturnType<typeof import("./fixtures.mjs").makeFixtures>>} fixtures
 * @returns {Promise<{ passed: number, failures: string[], verdicts: string[] }>}
 */
export async function suite(edgeward, fixtures) {
  const { createVerifier, decodeUnverified, EdgewardError, guard, protect } = edgeward;
  const { issuer, audience, jwks, good, now } = fixtures;
  const seconds = () => now;
  const base = { issuer, audience, algorithms: ["RS256"], now: seconds };
  const fixed = { ...base, jwks };

  let passed = 0;
  const failures = [];
  const test = async (name, body) => {
    try {
      await body();
      passed += 1;
    } catch (error) {
      failures.push(`${name}: ${error?.stack ?? error}`);
    }
  };

  // --- verdicts ---------------------------------------------------------------------------------------------------

  const verdicts = [];
  const verifiers = new Map(Object.entries(fixtures.policies).map(([name, options]) => [name, createVerifier({ ...options, now: seconds })]));
  for (const { name, policy, expect, token } of fixtures.corpus) {
    const verifier = verifiers.get(policy);
    const verdict = await codeOf(() => verifier.verify(token));
    verdicts.push(verdict);
    await test(`${policy}: ${name}`, async () => {
      if (expect !== undefined) equal(verdict, expect);
      equal(await codeOf(async () => verifier.verifySync(token)), verdict, "verifySync");
      equal(await codeOf(() => verifier.verify(token)), verdict, "the second time");
    });
  }

  // --- the published corpus ---------------------------------------------------------------------------------------

  await test("every case of the corpus has its verdict and code", async () => {
    const { now, keys, policies, cases } = fixtures.published;
    const fetch = async (url) => new Response(keys[new URL(url).pathname.slice(1)]);
    const source = (name) => ({ jwksUri: `https://keys.example.com/${name}` });
    const made = new Map();
    const verifierOf = (policy, keys) => {
      const { keys: own, issuers, ...options } = policies[policy];
      const sources = issuers === undefined ? source(keys ?? own) : { issuers: issuers.map(({ issuer, keys }) => ({ issuer, ...source(keys) })) };
      return createVerifier({ ...options, ...sources, fetch, now: () => now });
    };
    const wrong = [];
    for (const { id, code, policy, keys, token, platform } of cases) {
      const name = `${policy} ${keys}`;
      if (!made.has(name)) {
        made.set(name, verifierOf(policy, keys));
        await made.get(name).load();
      }
      const verifier = made.get(name);
      const got = [await codeOf(() => verifier.verify(token)), await codeOf(() => verifier.verify(token))];
      if (platform === undefined) got.push(await codeOf(async () => verifier.verifySync(token)));
      if (got.some((one) => one !== code)) wrong.push(`${id}: ${got} instead of ${code}`);
    }
    equal(cases.length >= 1800, true, `${cases.length} cases`);
    equal(wrong.join("\n"), "");
  });

  // --- the platform's algorithms ----------------------------------------------------------------------------------

  const curves = { ...base, algorithms: fixtures.curves.algorithms, jwks: fixtures.curves.jwks };
  const elliptic = createVerifier(curves);
  for (const { name, expect, token } of fixtures.curves.cases) {
    await test(`curves: ${name}`, async () => {
      equal(await codeOf(() => elliptic.verify(token)), expect);
      equal(await codeOf(() => elliptic.verify(token)), expect, "the second time");
    });
  }

  // Most vectors sign a text that is not claims: being refused for the claims means that the signature passed.
  const isGenuine = async ({ keys, token }) => {
    let verifier;
    try {
      verifier = createVerifier({ ...curves, jwks: { keys } });
    } catch {
      return false;
    }
    const { code, message } = await errorOf(() => verifier.verify(token));
    return ["claim_missing", "claim_malformed", "issuer_mismatch", "typ_not_allowed"].includes(code) || (code === "token_malformed" && message.includes("claims"));
  };
  await test("the published vectors of ECDSA and EdDSA have the published verdicts", async () => {
    let genuine = 0;
    for (const vector of fixtures.vectors) {
      equal(await isGenuine(vector), vector.isGenuine, vector.id);
      genuine += Number(vector.isGenuine);
    }
    equal(`${genuine} of ${fixtures.vectors.length}`, "5 of 100");
  });

  await test("verifySync says that it cannot verify what the platform does, except from the cache", async () => {
    const { token } = fixtures.curves.cases[0];
    const verifier = createVerifier(curves);
    const error = await errorOf(async () => verifier.verifySync(token));
    equal(`${error.code} ${error.status}`, "async_required 500");
    equal(error.message, "verifySync cannot verify ES256, ES384 or EdDSA, nor decrypt: the platform does so asynchronously; await verify() instead");
    const forged = `${token.split(".").slice(0, 2).join(".")}.AAAA`;
    equal(await codeOf(async () => verifier.verifySync(forged)), "signature_invalid", "as far as it can tell");
    equal((await verifier.verify(token)).header.alg, "ES256");
    equal(verifier.verifySync(token).payload.sub, "user-1");
    equal(await codeOf(async () => createVerifier({ ...curves, cacheSize: 0 }).verifySync(token)), "async_required");
    equal(await codeOf(async () => createVerifier({ ...curves, algorithms: "RS256" }).verifySync(token)), "alg_not_allowed");
  });

  await test("several tokens of a cold verifier fetch the keys once", async () => {
    let fetches = 0;
    const fetch = async () => {
      fetches += 1;
      return new Response(JSON.stringify(fixtures.curves.jwks));
    };
    const { jwks: _, ...options } = curves;
    const verifier = createVerifier({ ...options, jwksUri: `${issuer}keys`, fetch });
    const codes = await Promise.all(fixtures.curves.cases.map(({ token }) => codeOf(() => verifier.verify(token))));
    for (const [index, { name, expect }] of fixtures.curves.cases.entries()) {
      // Of the key that the platform refuses, a newer one could have been published: the set is fetched once more.
      equal(codes[index], expect, name);
    }
    equal(fetches <= 2, true, `${fetches} fetches`);
  });

  await test("a platform without Web Crypto cannot decide", async () => {
    const { token } = fixtures.curves.cases[0];
    const subtle = Object.getOwnPropertyDescriptor(globalThis, "crypto");
    if (subtle?.configurable !== true) return;
    Object.defineProperty(globalThis, "crypto", { configurable: true, value: {} });
    const error = await errorOf(() => createVerifier(curves).verify(token)).finally(() => Object.defineProperty(globalThis, "crypto", subtle));
    equal(`${error.code} ${error.status}`, "algorithm_unsupported 503");
  });

  // --- encrypted tokens -------------------------------------------------------------------------------------------

  const { keys: decryptionKeys, good: sealed, cases: sealedCases } = fixtures.encrypted;
  const decrypting = createVerifier({ ...fixed, decryptionKeys });
  for (const { name, expect, token } of sealedCases) {
    await test(`encrypted: ${name}`, async () => {
      const cold = createVerifier({ ...fixed, decryptionKeys });
      const isEncrypted = token.split(".").length === 5;
      equal(await codeOf(async () => cold.verifySync(token)), isEncrypted ? "async_required" : expect, "verifySync");
      equal(await codeOf(() => decrypting.verify(token)), expect);
      equal(await codeOf(() => decrypting.verify(token)), expect, "the second time");
      equal(await codeOf(async () => decrypting.verifySync(token)), expect === "ok" ? "ok" : "async_required", "verifySync, then");
    });
  }

  await test("an encrypted token counts as it came, with the header and claims of the token inside", async () => {
    const token = await decrypting.verify(sealed);
    equal(token.token, sealed);
    equal(`${token.header.alg} ${token.header.kid} ${token.payload.sub}`, "RS256 first user-1");
    equal((await decrypting.authenticate({ headers: { authorization: `Bearer ${sealed}` } })).payload.sub, "user-1");
    equal(await codeOf(() => decrypting.verify(sealed, { scopes: "missing" })), "insufficient_scope");
    equal(await codeOf(() => createVerifier(fixed).verify(sealed)), "token_encrypted");
    equal(await codeOf(async () => createVerifier(fixed).verifySync(sealed)), "token_encrypted");
  });

  await test("without a cache, an encrypted token is decrypted each time", async () => {
    const verifier = createVerifier({ ...fixed, decryptionKeys, cacheSize: 0 });
    equal(await codeOf(() => verifier.verify(sealed)), "ok");
    equal(await codeOf(async () => verifier.verifySync(sealed)), "async_required");
    equal(await codeOf(() => verifier.verify(sealed)), "ok");
  });

  await test("an encrypted token of a cold verifier waits for the keys", async () => {
    const fetch = async () => new Response(JSON.stringify(jwks));
    const verifier = createVerifier({ ...base, jwksUri: `${issuer}keys`, fetch, decryptionKeys });
    equal((await Promise.all([1, 2, 3].map(() => codeOf(() => verifier.verify(sealed))))).join(), "ok,ok,ok");
  });

  await test("a platform that cannot decrypt is the cause of the refusal", async () => {
    const subtle = Object.getOwnPropertyDescriptor(globalThis, "crypto");
    if (subtle?.configurable !== true) return;
    Object.defineProperty(globalThis, "crypto", { configurable: true, value: {} });
    const error = await errorOf(() => createVerifier({ ...fixed, decryptionKeys }).verify(sealed)).finally(() => Object.defineProperty(globalThis, "crypto", subtle));
    equal(`${error.code} ${error.status} ${error.cause?.message}`, "algorithm_unsupported 503 Web Crypto cannot decrypt here");
    equal((await errorOf(() => decrypting.verify(sealedCases.find(({ name }) => name === "another recipient").token))).cause, undefined);
  });

  // --- tokens -----------------------------------------------------------------------------------------------------

  await test("a verified token has header, claims, scopes and permissions", async () => {
    const token = await createVerifier(fixed).verify(fixtures.withRights);
    equal(token.payload.sub, "user-1");
    equal(token.header.kid, "first");
    equal(token.protectedHeader, token.header);
    equal(token.scopes.join(), "read:things,write:things");
    equal(token.permissions.join(), "read,write");
    equal(token.payload, token.payload, "parsed once");
    equal(createVerifier(fixed).verifySync(good).permissions.length, 0);
  });

  await test("a token serializes and prints as key and claims, without its text", () => {
    const token = createVerifier(fixed).verifySync(good);
    equal(token.constructor.name, "VerifiedToken");
    const expected = { header: { alg: "RS256", kid: "first" }, payload: token.payload };
    equal(JSON.stringify(token), JSON.stringify(expected));
    const printed = inspect?.({ token }) ?? "VerifiedToken RS256 first user-1 read:things";
    for (const part of ["VerifiedToken", "RS256", "first", "user-1", "read:things"]) equal(printed.includes(part), true, printed);
    for (const part of good.split(".")) equal(`${JSON.stringify(token)}${printed}`.includes(part.slice(0, 20)), false, printed);
  });

  await test("the functions of a verifier and a guard work destructured", async () => {
    const created = createVerifier(fixed);
    equal(created.constructor.name, "Verifier");
    const { verify, verifySync, authenticate, load, keys } = created;
    equal((await verify(good)).payload.sub, "user-1");
    equal(verifySync(good).payload.sub, "user-1");
    equal((await authenticate({ headers: { authorization: `Bearer ${good}` } })).payload.sub, "user-1");
    equal((await load())[0].loaded, true);
    equal(keys()[0].loaded, true);
    const [check, handler] = [guard, protect].map((make) => (make === guard ? make({ verifier: created }) : make(() => new Response("ok"), { verifier: created })));
    equal((await check({ headers: { authorization: `Bearer ${good}` } })).payload.sub, "user-1");
    equal(await (await handler(new Request("https://api.example.com/", { headers: { authorization: `Bearer ${good}` } }))).text(), "ok");
  });

  await test("characters beyond ASCII are decoded correctly", async () => {
    const token = createVerifier(fixed).verifySync(fixtures.nonAscii);
    equal(token.payload.name, "Zoë 🌍");
    equal(token.header.alg, "RS256");
  });

  await test("a claim called __proto__ is an ordinary claim", () => {
    const { token } = fixtures.corpus.find(({ name }) => name === "a member called __proto__");
    const { payload } = createVerifier(fixed).verifySync(token);
    equal(payload.admin, undefined);
    equal(Object.hasOwn(payload, "__proto__"), true);
  });

  await test("changing the token of one call does not change that of the next", () => {
    const verifier = createVerifier(fixed);
    verifier.verifySync(good).payload.sub = "root";
    equal(verifier.verifySync(good).payload.sub, "user-1");
  });

  await test("each call returns objects of its own, all equal", async () => {
    const names = new Set();
    for (const { name, policy, expect, token } of fixtures.corpus) {
      if (expect !== undefined && expect !== "ok") continue;
      const verifier = createVerifier({ ...fixtures.policies[policy], now: seconds });
      if ((await codeOf(() => verifier.verify(token))) !== "ok") continue;
      names.add(name);
      let first;
      for (let i = 0; i < 4; i += 1) {
        const { header, payload } = verifier.verifySync(token);
        const text = JSON.stringify([header, payload]);
        first ??= text;
        equal(text, first, name);
        equal(Object.getPrototypeOf(payload), Object.prototype, name);
        spoil(header);
        spoil(payload);
      }
    }
    equal(names.size > 20, true, `${names.size} tokens`);
  });

  await test("a cached token passes exactly when it would pass without the cache", async () => {
    let time = now;
    let passes = 0;
    for (const [policy, options] of Object.entries(fixtures.policies)) {
      const all = { ...options, now: () => time };
      const [cached, uncached] = [createVerifier(all), createVerifier({ ...all, cacheSize: 0 })];
      for (const { name, token } of fixtures.corpus.filter((one) => one.policy === policy)) {
        time = now;
        if ((await codeOf(() => cached.verify(token))) !== "ok") continue;
        passes += 1;
        for (const offset of [0, -1, -4.5, -5, -5.001, -54.9, -60, -61, -65, -65.001, -66, 1, 239.9, 240, 240.5, 245, 599.999, 600, 604.999, 605, 606, 86_400, 0, 0.5]) {
          time = now + offset;
          equal(await codeOf(async () => cached.verifySync(token)), await codeOf(async () => uncached.verifySync(token)), `${policy}: ${name}: ${offset}`);
        }
      }
    }
    equal(passes > 20, true, `${passes} tokens`);
  });

  await test("a cached token is found in the form in which it was verified", async () => {
    const verifier = createVerifier(fixed);
    const header = `Bearer ${good}`;
    const asHeader = (authorization) => codeOf(() => verifier.authenticate({ headers: { authorization } }));
    for (let i = 0; i < 2; i += 1) {
      equal(await asHeader(header), "ok");
      equal(await codeOf(async () => verifier.verifySync(header)), "token_malformed");
      equal(await codeOf(async () => verifier.verifySync(good)), "ok");
      equal(await asHeader(good), "token_missing");
      equal(await asHeader(` ${header}`), await codeOf(() => createVerifier(fixed).authenticate({ headers: { authorization: ` ${header}` } })));
      for (const near of [`${good} `, ` ${good}`, `x${good}`, good.slice(1), `e${good.slice(2)}`]) {
        equal((await codeOf(async () => verifier.verifySync(near))) === "ok", false, near.slice(0, 20));
      }
    }
  });

  await test("a cached token must meet the requirements of each call", async () => {
    const verifier = createVerifier(fixed);
    for (let i = 0; i < 3; i += 1) {
      equal(await codeOf(async () => verifier.verifySync(good)), "ok");
      equal(await codeOf(async () => verifier.verifySync(good, { scopes: ["admin"] })), "insufficient_scope");
    }
  });

  await test("small caches work, and so does none", async () => {
    for (const cacheSize of [0, 1, 2, 3]) {
      const verifier = createVerifier({ ...fixed, cacheSize });
      for (let i = 0; i < 3; i += 1) {
        for (const token of [good, fixtures.withRights, fixtures.nonAscii]) {
          const { payload } = verifier.verifySync(token);
          equal(JSON.stringify(payload), JSON.stringify(decodeUnverified(token).payload));
        }
      }
    }
  });

  await test("a token stays valid after the next call", () => {
    const verifier = createVerifier(fixed);
    const token = verifier.verifySync(fixtures.withRights);
    verifier.verifySync(good);
    equal(token.payload.org_id, "org_1");
  });

  await test("a value that is not a string is not a token", async () => {
    const verifier = createVerifier(fixed);
    for (const value of [undefined, null]) equal(await codeOf(() => verifier.verify(value)), "token_missing");
    for (const value of [0, true, {}, [], [good], Symbol("x"), 10n, new String(good), () => good]) {
      equal(await codeOf(() => verifier.verify(value)), "token_malformed");
      equal(await codeOf(async () => verifier.verifySync(value)), "token_malformed");
    }
  });

  await test("huge strings are refused", async () => {
    const verifier = createVerifier(fixed);
    for (const text of ["x".repeat(8_000_000), ".".repeat(1_000_000), "\ud800".repeat(20_000), "é".repeat(16_000)]) {
      equal(await codeOf(() => verifier.verify(text)), "token_too_large");
      equal(await codeOf(() => verifier.verify(text, { scopes: ["read:things"] })), "token_too_large");
    }
    equal(verifier.verifySync(good).payload.sub, "user-1");
  });

  await test("decodeUnverified decodes and checks nothing", async () => {
    const forged = `${good.slice(0, good.lastIndexOf("."))}.AAAA`;
    equal(decodeUnverified(forged).payload.sub, "user-1");
    equal(decodeUnverified(fixtures.nonAscii).payload.name, "Zoë 🌍");
    for (const text of ["", "a.b", "a.b.c.d", "!.!.!", "bnVsbA.bnVsbA.x", undefined, null, 5, {}]) {
      equal(await codeOf(async () => decodeUnverified(text)), "token_malformed");
    }
  });

  // --- errors -----------------------------------------------------------------------------------------------------

  await test("an error has code, status, challenge and response, and never the token", async () => {
    const verifier = createVerifier(fixed);
    const error = await errorOf(() => verifier.verify(`${good.slice(0, -8)}AAAAAAAA`));
    equal(error instanceof EdgewardError && error instanceof Error, true);
    equal(error.name, "EdgewardError");
    equal(`${error.code} ${error.status}`, "signature_invalid 401");
    equal(error.wwwAuthenticate, 'Bearer realm="edgeward", error="invalid_token", error_description="Signature is invalid."');
    const response = error.toResponse();
    equal(response.status, 401);
    equal(response.headers.get("www-authenticate"), error.wwwAuthenticate);
    equal(response.headers.get("cache-control"), "no-store");
    equal((await response.json()).code, "signature_invalid");
    for (const text of [error.message, error.stack, error.body, JSON.stringify(error)]) equal(text.includes(good.slice(0, 20)), false);
  });

  await test("an error serializes and prints as name, code, status and message", async () => {
    const secret = new TypeError("a secret of the network");
    const fetch = () => { throw secret; };
    const error = await errorOf(() => createVerifier({ ...base, jwksUri: `${issuer}jwks`, fetch }).verify(good));
    equal(error.constructor.name, "EdgewardError");
    equal(error.constructor, EdgewardError);
    equal(error.cause, secret);
    const { message } = error;
    equal(JSON.stringify(error), JSON.stringify({ name: "EdgewardError", code: "jwks_unreachable", status: 503, message }));
    equal(JSON.stringify(error).includes(secret.message), false);
    equal(String(error), `EdgewardError: ${message}`);
    const printed = inspect?.(error) ?? `EdgewardError: ${message} jwks_unreachable 503`;
    for (const part of [`EdgewardError: ${message}`, "jwks_unreachable", "503"]) equal(printed.includes(part), true, printed);
  });

  await test("a missing right gets 403 with the requirement", async () => {
    const verifier = createVerifier(fixed);
    const error = await errorOf(() => verifier.verify(fixtures.missingScope, { scopes: ["read:things"] }));
    equal(`${error.code} ${error.status}`, "insufficient_scope 403");
    equal(error.wwwAuthenticate, 'Bearer realm="edgeward", error="insufficient_scope", scope="read:things"');
    equal(JSON.parse(error.body).required, "read:things");
    const own = await errorOf(() => createVerifier({ ...fixed, scopes: ["admin"] }).verify(good));
    equal(own.wwwAuthenticate.endsWith('scope="admin"'), true);
  });

  await test("errors name the claim, and what was expected and found", async () => {
    const facts = ({ code, claim, expected, found }) => JSON.stringify([code, claim, expected, found]);
    const error = await errorOf(() => createVerifier({ ...fixed, audience: ["a", "b"] }).verify(good));
    equal(facts(error), JSON.stringify(["audience_mismatch", "aud", ["a", "b"], [fixed.audience]]));
    const algorithm = await errorOf(() => createVerifier({ ...fixed, algorithms: ["PS256"] }).verify(good));
    equal(facts(algorithm), JSON.stringify(["alg_not_allowed", undefined, ["PS256"], ["RS256"]]));
    equal(algorithm.message, "algorithm RS256 is not one of the accepted algorithms: PS256");
    const missing = await errorOf(() => createVerifier({ ...fixed, requiredClaims: ["tenant"] }).verify(good));
    equal(facts(missing), JSON.stringify(["claim_missing", "tenant", undefined, undefined]));
    const rule = await errorOf(() => createVerifier(fixed).verify(good, { claims: [{ claim: ["a", "b"], any: "c" }] }));
    equal(rule.claim, "a/b");
    // Found values may be personal data: no log shows them.
    const printed = JSON.stringify(error) + (inspect?.(error) ?? "") + error.body + error.wwwAuthenticate;
    equal(printed.includes(fixed.audience), false, printed);
  });

  await test("a token with its scheme, quotes or spaces gets a hint", async () => {
    const { verify } = createVerifier(fixed);
    for (const [text, hint] of [
      [`Bearer ${good}`, "without the scheme"], [`"${good}"`, "quotes"], [`'${good}'`, "quotes"], [`${good}\n`, "line breaks"], [` ${good}`, "spaces"],
    ]) {
      const error = await errorOf(() => verify(text));
      equal(error.code, "token_malformed");
      equal(error.message.includes(hint), true, error.message);
    }
    equal((await errorOf(() => verify("opaque"))).message, "token is malformed: not three parts separated by dots");
  });

  await test("a verified token has its text, which is not shown", async () => {
    const verifier = createVerifier(fixed);
    for (const token of [await verifier.verify(good), verifier.verifySync(good), await verifier.authenticate({ headers: { authorization: `bearer   ${good}` } })]) {
      equal(token.token, good);
      equal(((inspect?.(token) ?? "") + JSON.stringify(token)).includes(good.split(".")[2]), false);
    }
  });

  await test("onError makes the response to a refused request", async () => {
    const onError = (error, request, context) => Response.json({ code: error.code, url: request.url, context }, { status: error.status });
    const handler = protect(() => new Response("passed"), { ...fixed, onError });
    const response = await handler(new Request("https://api.example.com/a"), "context");
    equal(response.status, 401);
    equal(JSON.stringify(await response.json()), JSON.stringify({ code: "token_missing", url: "https://api.example.com/a", context: "context" }));
    equal(await (await handler(new Request("https://api.example.com/a", { headers: { authorization: `Bearer ${good}` } }))).text(), "passed");
    const error = await errorOf(() => protect(() => new Response(), { ...fixed, onError: "log" }));
    equal(error.message.startsWith("onError must be a function"), true, error.message);
  });

  await test("requirements of one call", async () => {
    const verifier = createVerifier(fixed);
    const code = (requirements) => codeOf(() => verifier.verify(fixtures.withRights, requirements));
    equal(await code({ scopes: "read:things", permissions: ["read"], organizations: "org_1" }), "ok");
    equal(await code({ roles: { claim: "https://example.com/roles", all: ["editor"] } }), "ok");
    equal(await code({ roles: { claim: "https://example.com/roles", all: ["editor", "admin"] } }), "insufficient_role");
    equal(await code({ permissions: ["delete"] }), "insufficient_permissions");
    equal(await code({ organizations: ["org_2"] }), "organization_not_allowed");
    equal(await code({ audience: ["https://b.example.com"] }), "audience_not_allowed");
    equal(await code({}), "ok");
    equal(await code({ scopes: { any: ["x", "read:things"] }, permissions: { any: ["read"], all: ["write"] } }), "ok");
    equal(await code({ scopes: { any: ["x", "read"] } }), "insufficient_scope");
    equal(await code({ permissions: { any: ["delete"] } }), "insufficient_permissions");
    equal(await code({ claims: { org_id: "org_1", sub: { prefix: "user-" }, permissions: { any: ["read"], not: ["admin"] } } }), "ok");
    equal(await code({ claims: [{ claim: ["org_id"], equals: "org_1" }] }), "ok");
    for (const [expected, verdict] of [[true, "ok"], [false, "claim_not_allowed"], ["true", "claim_not_allowed"]]) {
      equal(await code({ claims: { email_verified: expected } }), verdict);
      equal(await code({ claims: { email_verified: { equals: expected } } }), verdict);
    }
    for (const claims of [{ org_id: "org_2" }, { org_id: { not: "org_1" } }, { none: { not: ["a"] } }, [{ claim: ["org_id", "x"], any: ["a"] }]]) {
      equal(await code({ claims }), "claim_not_allowed");
    }
    for (const wrong of [
      { claims: {} }, { claims: { a: {} } }, { claims: { a: 1 } }, { claims: [{ any: ["a"] }] }, { scopes: {} }, { scopes: { any: [] } },
      { scopes: undefined }, { scopes: [] }, { scopes: [""] }, { scopes: "a b" }, { scopes: [1] }, { scope: "a" }, { roles: { any: ["a"] } },
      { roles: { claim: "a" } }, { nonce: "x" }, { accessToken: "x" }, { permissions: null }, { waitUntil: 1 }, { signal: 1 }, null, "read",
    ]) {
      equal(await code(wrong), "options_invalid", JSON.stringify(wrong));
    }
  });

  await test("an ID token's nonce and access token are checked per call", async () => {
    const verifier = createVerifier({ ...without(fixed, "audience"), kind: "id", clientId: fixtures.client });
    const code = (login) => codeOf(() => verifier.verify(fixtures.idToken, login));
    equal(await code({ nonce: "login-7", accessToken: fixtures.accessToken }), "ok");
    equal(await code({ nonce: "login-8" }), "nonce_mismatch");
    equal(await code({ nonce: "login-7", accessToken: "another" }), "at_hash_mismatch");
    equal(await code({ nonce: undefined }), "options_invalid");
    equal(await codeOf(() => verifier.verify(good)), "audience_mismatch");
  });

  // --- options ----------------------------------------------------------------------------------------------------

  await test("createVerifier throws on wrong options and names the option", async () => {
    const cases = [
      [undefined, "options"], [null, "options"], ["x", "options"], [{}, "issuer"],
      [{ ...fixed, issuer: undefined }, "issuer"], [{ ...fixed, issuer: "" }, "issuer"], [{ ...fixed, issuer: 5 }, "issuer"],
      [{ ...fixed, issuer: /x/ }, "issuer"], [without(fixed, "audience"), "audience"], [{ ...fixed, audience: undefined }, "audience"],
      [{ ...fixed, audience: "" }, "audience"], [{ ...fixed, audience: [] }, "audience"], [{ ...fixed, audience: [""] }, "audience"],
      [{ ...fixed, audience: [undefined] }, "audience"], [without(fixed, "algorithms"), "algorithms"], [{ ...fixed, algorithms: [] }, "algorithms"],
      [{ ...fixed, algorithms: ["HS256"] }, "algorithms"], [{ ...fixed, algorithms: ["none"] }, "algorithms"], [{ ...fixed, algorithms: ["rs256"] }, "algorithms"],
      [{ ...fixed, jwksUri: "https://a.example/" }, "jwks"], [{ ...fixed, jwks: null }, "jwks"], [{ ...fixed, jwks: {} }, "jwks"], [{ ...fixed, jwks: { keys: [] } }, "jwks"],
      [{ ...base, jwksUri: "http://a.example/jwks" }, "jwksUri"], [{ ...base, jwksUri: "file:///jwks" }, "jwksUri"], [{ ...base, jwksUri: undefined }, "jwksUri"],
      [{ ...base, issuer: "http://a.example/" }, "issuer"], [{ ...base, issuer: "tenant.example.com" }, "issuer"],
      [{ ...fixed, clockSkew: 61 }, "clockSkew"], [{ ...fixed, clockSkew: -1 }, "clockSkew"], [{ ...fixed, clockSkew: NaN }, "clockSkew"], [{ ...fixed, clockSkew: "5" }, "clockSkew"],
      [{ ...fixed, maxTokenAge: 1.5 }, "maxTokenAge"], [{ ...fixed, maxTokenAge: Infinity }, "maxTokenAge"], [{ ...fixed, kind: "refresh" }, "kind"],
      [{ ...fixed, profile: "okta" }, "profile"], [{ ...fixed, nonce: "x" }, "nonce"], [{ ...fixed, scopes: [] }, "scopes"], [{ ...fixed, scopes: undefined }, "scopes"],
      [{ ...fixed, roles: { claim: "x" } }, "roles"], [{ ...fixed, roles: { claim: "x", some: ["y"] } }, "roles.some"], [{ ...fixed, cacheSize: 1e9 }, "cacheSize"],
      [{ ...fixed, audiance: "x" }, "audiance"], [{ ...fixed, fetch: 5 }, "fetch"], [{ ...fixed, now: undefined }, "now"], [{ ...fixed, timeout: 0 }, "timeout"],
      [{ ...fixed, timeout: Infinity }, "timeout"], [{ ...fixed, issuer: "\ud800" }, "issuer"], [{ ...fixed, scopes: [10n] }, "scopes"],
      [{ ...without(fixed, "audience"), kind: "id" }, "clientId"],
      [{ ...fixed, issuers: [] }, "issuer"], [{ audience, algorithms: ["RS256"], issuers: [] }, "issuers"], [{ audience, algorithms: ["RS256"], issuers: [1] }, "issuers[0]"],
      [{ audience, algorithms: ["RS256"], issuers: [{ issuer, jwks }, { issuer, jwks }] }, "issuers[1].issuer"],
      [{ algorithms: ["RS256"], issuers: [{ issuer, jwks }] }, "issuers[0].audience"],
      [{ audience, algorithms: ["RS256"], issuers: [{ issuer, jwks }, { issuer: `${issuer}b`, jwks: {} }] }, "issuers[1].jwks"],
    ];
    for (const [options, option] of cases) {
      const error = await errorOf(async () => createVerifier(options));
      equal(error?.code, "options_invalid", option);
      equal(error.message.startsWith(option) || (option === "options" && error.message.includes("options")), true, `${option}: ${error.message}`);
      equal(error.status, 500);
    }
    const circular = { ...fixed };
    circular.scopes = circular;
    equal(await codeOf(async () => createVerifier(circular)), "options_invalid");
  });

  await test("http is allowed on loopback", () => {
    createVerifier({ ...base, issuer: "http://127.0.0.1:9400" });
    createVerifier({ ...base, jwksUri: "http://localhost:9400/jwks" });
    createVerifier({ ...base, jwksUri: "http://[::1]/jwks" });
  });

  await test("a clock without a valid time lets nothing pass", async () => {
    for (const value of [NaN, undefined, 0, -1, Infinity, "x"]) {
      const verifier = createVerifier({ ...fixed, now: () => value });
      equal(await codeOf(() => verifier.verify(good)), "options_invalid", String(value));
      equal(await codeOf(async () => verifier.verifySync(good)), "options_invalid", String(value));
    }
    equal(await codeOf(() => createVerifier({ ...fixed, now: () => now + 605 }).verify(good)), "token_expired");
    equal(await codeOf(() => createVerifier({ ...fixed, now: () => now + 604.9 }).verify(good)), "ok");
  });

  // --- keys -------------------------------------------------------------------------------------------------------

  /** A provider as a `fetch`: `answers` by path, each a function or a JSON value. */
  const provider = (answers) => {
    const asked = [];
    const fetch = async (url, init) => {
      asked.push({ url, init });
      const path = new URL(url).pathname;
      const answer = answers[path] ?? (() => new Response("", { status: 404 }));
      return typeof answer === "function" ? answer(url, init) : Response.json(answer);
    };
    return { fetch, asked };
  };
  const jwksUri = `${issuer}jwks`;
  const discovery = { issuer, jwks_uri: jwksUri };

  await test("keys from a URL are fetched once", async () => {
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch });
    equal(verifier.keys()[0].loaded, false);
    for (let i = 0; i < 3; i += 1) equal((await verifier.verify(good)).payload.sub, "user-1");
    equal(asked.length, 1);
    equal(asked[0].url, jwksUri);
    equal(asked[0].init.redirect, "manual");
    equal(asked[0].init.method, "GET");
    const [status] = verifier.keys();
    equal(`${status.issuer} ${status.loaded} ${status.kids.join()} ${status.skipped}`, `${issuer} true first,second 4`);
    const shown = status.keys.map(({ kid, usable, reason }) => `${kid}: ${usable ? "usable" : reason}`).join("; ");
    equal(shown, "first: usable; second: usable; pss: no accepted algorithm fits the key; elliptic: no accepted algorithm fits the key; " +
      "weak: RSA modulus has 1024 bits, fewer than supported; encryption: key is not for signatures");
    equal(`${status.fetchedAt} ${status.freshUntil}`, `${now} ${now + 600}`);
    equal(verifier.verifySync(good).payload.sub, "user-1");
  });

  await test("keys by discovery", async () => {
    const { fetch, asked } = provider({ "/.well-known/openid-configuration": discovery, "/jwks": jwks });
    equal((await createVerifier({ ...base, fetch }).verify(good)).payload.sub, "user-1");
    equal(asked.map(({ url }) => url).join(), `${issuer}.well-known/openid-configuration,${jwksUri}`);
  });

  await test("concurrent calls fetch once", async () => {
    const { fetch, asked } = provider({ "/jwks": async () => (await pause(30), Response.json(jwks)) });
    const start = Date.now();
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => now + (Date.now() - start) / 1000 });
    const tokens = await Promise.all(Array.from({ length: 20 }, () => verifier.verify(good)));
    equal(tokens.length, 20);
    equal(asked.length, 1);
  });

  await test("an unknown key id causes one fetch", async () => {
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch });
    await verifier.verify(good);
    for (let i = 0; i < 5; i += 1) equal(await codeOf(() => verifier.verify(fixtures.unknownKid)), "key_not_found");
    equal(asked.length, 2);
  });

  await test("a new key is found, and a withdrawn one is no longer accepted", async () => {
    let published = { keys: [] };
    let time = now;
    const { fetch } = provider({ "/jwks": () => Response.json(published) });
    published = { keys: jwks.keys.filter(({ kid }) => kid !== "first") };
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => time });
    equal(await codeOf(() => verifier.verify(good)), "key_not_found");
    published = jwks;
    time += 31;
    equal(await codeOf(() => verifier.verify(good)), "ok");
    published = { keys: jwks.keys.filter(({ kid }) => kid !== "first") };
    time += 601;
    equal(await codeOf(() => verifier.verify(good)), "key_not_found");
    equal(verifier.keys()[0].kids.join(), "second");
  });

  await test("a cached token is refused once its key is withdrawn, whichever call fetched the keys", async () => {
    let published = jwks;
    const { fetch } = provider({ "/jwks": () => Response.json(published) });
    const verifier = createVerifier({ ...base, jwksUri, fetch });
    for (let i = 0; i < 3; i += 1) equal(await codeOf(() => verifier.verify(good)), "ok");
    published = { keys: jwks.keys.filter(({ kid }) => kid !== "first") };
    equal(await codeOf(() => verifier.verify(fixtures.unknownKid)), "key_not_found");
    equal(await codeOf(async () => verifier.verifySync(good)), "key_not_found");
    equal(await codeOf(() => verifier.verify(good)), "key_not_found");
  });

  await test("cached tokens do not delay the refresh of the keys", async () => {
    let time = now;
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => time });
    for (const [seconds, fetches] of [[0, 1], [479, 1], [480, 2], [481, 2]]) {
      time = now + seconds;
      for (let i = 0; i < 3; i += 1) equal(await codeOf(() => verifier.verify(good)), "ok");
      await pause(5);
      equal(asked.length, fetches, String(seconds));
    }
  });

  await test("verifySync throws keys_not_loaded before the first load, then returns the verdict", async () => {
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch });
    const error = await errorOf(async () => verifier.verifySync(good));
    equal(`${error.code} ${error.status} ${error.retryAfter}`, "keys_not_loaded 503 1");
    equal(await codeOf(async () => verifier.verifySync("x")), "token_malformed");
    await pause(50);
    equal(verifier.verifySync(good).payload.sub, "user-1");
    equal(asked.length, 1);
  });

  await test("load fetches the keys of every issuer", async () => {
    const { fetch, asked } = provider({ "/jwks": jwks, "/other": fixtures.otherJwks });
    const issuers = [{ issuer, jwksUri }, { issuer: fixtures.otherIssuer, jwksUri: `${fixtures.otherIssuer}other` }];
    const verifier = createVerifier({ audience, algorithms: ["RS256"], issuers, fetch, now: seconds });
    const keys = await verifier.load();
    equal(keys.every(({ loaded }) => loaded), true);
    await verifier.load();
    equal(asked.length, 2);
    equal(verifier.verifySync(good).payload.iss, issuer);
    equal(verifier.verifySync(fixtures.other).payload.iss, fixtures.otherIssuer);
    equal((await createVerifier(fixed).load())[0].loaded, true);
    equal(await codeOf(() => verifier.load({ scopes: ["a"] })), "options_invalid");
  });

  const brokenProviders = {
    jwks_unreachable: {
      "fetch throws": () => { throw new TypeError("connection refused"); },
      "fetch rejects with nothing": () => Promise.reject(),
      "fetch answers with nothing": () => undefined,
      "fetch answers with another object": () => ({ status: 200, json: () => jwks }),
      "an error status": () => new Response("{}", { status: 500, headers: json }),
      "a redirect": () => new Response(null, { status: 302, headers: { location: "https://evil.example/" } }),
      "too much": () => new Response(new Blob([new Uint8Array(600_000)]), { headers: json }),
      "a body that breaks": () => new Response(new ReadableStream({ start: (c) => c.error(new Error("reset")) }), { headers: json }),
    },
    jwks_invalid: {
      "HTML": () => new Response("<!doctype html><title>Log in</title>", { headers: { "content-type": "text/html" } }),
      "HTML that says it is JSON": () => new Response("<!doctype html>", { headers: json }),
      "no keys": {}, "an array": [], "keys as an object": { keys: {} },
      "a duplicate": () => new Response('{"keys":[],"keys":[]}', { headers: json }),
      "not UTF-8": () => new Response(new Uint8Array([0x7b, 0xff, 0x7d]), { headers: json }),
      "nothing": () => new Response(null, { headers: json }),
    },
    jwks_no_usable_key: { "an empty set": { keys: [] }, "another kind of key": { keys: [{ kty: "EC" }, 1, null] } },
  };
  // A network error is retried once, at once; a response is not, even if it is too large.
  const repeated = ["fetch throws", "fetch rejects with nothing", "fetch answers with nothing", "fetch answers with another object", "a body that breaks"];
  for (const [code, cases] of Object.entries(brokenProviders)) {
    for (const [name, answer] of Object.entries(cases)) {
      await test(`keys: ${name} is ${code}`, async () => {
        const { fetch, asked } = provider({ "/jwks": answer });
        const verifier = createVerifier({ ...base, jwksUri, fetch });
        const error = await errorOf(() => verifier.verify(good));
        equal(`${error?.code} ${error?.status} ${error?.wwwAuthenticate}`, `${code} 503 undefined`);
        equal(error.retryAfter >= 1, true);
        const loading = await errorOf(() => createVerifier({ ...base, jwksUri, fetch }).load());
        equal(loading.code, code);
        equal(asked.length, repeated.includes(name) ? 4 : 2, "two fetches");
        equal(await codeOf(async () => verifier.verifySync(good)), code);
      });
    }
  }

  await test("the reasons why a document and its keys are refused are the cause, and in keys()", async () => {
    const short = jwks.keys.find((key) => key.kid === "weak");
    for (const [document, code, reason] of [
      [{ keys: [short, { kty: "oct" }] }, "jwks_no_usable_key", '"weak": RSA modulus has 1024 bits, fewer than supported; without kid: key type is not supported'],
      [{ keys: {} }, "jwks_invalid", 'key set has no array "keys"'],
    ]) {
      const verifier = createVerifier({ ...base, jwksUri, fetch: provider({ "/jwks": document }).fetch });
      for (const call of [() => verifier.load(), () => verifier.verify(good)]) {
        const error = await errorOf(call);
        equal(`${error.code}: ${error.cause.message}`, `${code}: ${reason}`);
      }
      const [{ loaded, failure, keys }] = verifier.keys();
      equal(`${loaded} ${failure.code} ${failure.reason} ${keys.length}`, `false ${code} ${reason} 0`);
    }
    const verifier = createVerifier({ ...base, jwksUri, fetch: provider({ "/jwks": jwks }).fetch });
    await verifier.load();
    equal(verifier.keys()[0].failure, undefined, "skipped keys are no failure");
  });

  await test("the reason why a document is refused is the cause, never the content type of what was read as JSON", async () => {
    const named = (value, headers = json) => () => new Response(typeof value === "string" ? value : JSON.stringify(value), { headers });
    const [text, html] = [{ "content-type": "text/plain" }, { "content-type": "text/html" }];
    const openid = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const other = { issuer: "https://evil.example/", jwks_uri: jwksUri };
    for (const [answer, code, reasons] of [
      [named(other), "discovery_issuer_mismatch", ['document names the issuer "https://evil.example/"']],
      [named(other, text), "discovery_issuer_mismatch", ['document names the issuer "https://evil.example/"']],
      [named(` \n${JSON.stringify({ issuer })}`, html), "discovery_invalid", ['document names no acceptable "jwks_uri"']],
      [named({ issuer, jwks_uri: "http://evil.example/" }), "discovery_invalid", ['document names no acceptable "jwks_uri"']],
      [named({}), "discovery_invalid", ["document names no issuer"]],
      [named(`\ufeff{"issuer":"a","issuer":"a"}`), "discovery_invalid", ["document is not a strict JSON object"]],
      [named("<html>", html), "discovery_invalid", ["document is not a strict JSON object", `${openid} answered with the content type text/html`]],
      [named("", html), "discovery_invalid", ["document is not a strict JSON object", `${openid} answered with nothing`]],
      [() => new Response("", { status: 500 }), "discovery_unreachable", [`${openid} answered 500`]],
    ]) {
      const { fetch } = provider({ "/.well-known/openid-configuration": answer, "/jwks": jwks });
      const error = await errorOf(() => createVerifier({ ...base, fetch }).verify(good));
      const causes = [];
      for (let one = error.cause; one !== undefined; one = one.cause) causes.push(one.message);
      equal(`${error.code}: ${causes.join(" < ")}`, `${code}: ${reasons.join(" < ")}`);
    }
    for (const headers of [json, text]) {
      const { fetch } = provider({ "/jwks": named({ keys: {} }, headers) });
      const error = await errorOf(() => createVerifier({ ...base, jwksUri, fetch }).verify(good));
      equal(`${error.cause.message} ${"cause" in error.cause}`, 'key set has no array "keys" false');
    }
  });

  await test("the error that fetch threw is the cause", async () => {
    const thrown = new TypeError("connection refused");
    const { fetch } = provider({ "/jwks": () => { throw thrown; } });
    equal((await errorOf(() => createVerifier({ ...base, jwksUri, fetch }).verify(good))).cause, thrown);
  });

  await test("one network error at a cold start does not fail any call", async () => {
    const discovery = { issuer, jwks_uri: jwksUri };
    for (const [broken, requests] of [["/.well-known/openid-configuration", 3], ["/jwks", 3], ["both", 4]]) {
      const failed = new Set();
      const once = (path, value) => () => {
        if ((broken !== path && broken !== "both") || failed.has(path)) return Response.json(value);
        failed.add(path);
        throw new TypeError("connection reset");
      };
      const documents = { "/.well-known/openid-configuration": discovery, "/jwks": jwks };
      const { fetch, asked } = provider(Object.fromEntries(Object.entries(documents).map(([path, value]) => [path, once(path, value)])));
      const verifier = createVerifier({ ...base, fetch });
      const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(() => verifier.verify(good))));
      equal(new Set(codes).size === 1 && codes[0], "ok", broken);
      equal(asked.length, requests, broken);
    }
  });

  await test("the second network error is the cause", async () => {
    const thrown = [new TypeError("second"), new TypeError("first")];
    const { fetch } = provider({ "/jwks": () => { throw thrown.pop(); } });
    equal((await errorOf(() => createVerifier({ ...base, jwksUri, fetch }).verify(good))).cause.message, "second");
  });

  await test("a token refused for its requirements starts no refresh of the keys", async () => {
    let time = now;
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => time });
    await verifier.verify(good);
    time += 500;
    for (let i = 0; i < 3; i += 1) {
      equal(await codeOf(() => verifier.verify(good, { scopes: ["of:none"] })), "insufficient_scope");
      equal(await codeOf(async () => verifier.verifySync(good, { scopes: ["of:none"] })), "insufficient_scope");
    }
    equal(asked.length, 1);
    await verifier.verify(good);
    await pause(5);
    equal(asked.length, 2);
  });

  await test("wrong and missing discovery documents are refused", async () => {
    const code = (document) => {
      const { fetch } = provider({ "/.well-known/openid-configuration": document, "/jwks": jwks });
      return codeOf(() => createVerifier({ ...base, fetch }).verify(good));
    };
    equal(await code({ issuer: "https://evil.example/", jwks_uri: jwksUri }), "discovery_issuer_mismatch");
    equal(await code({ issuer, jwks_uri: "http://evil.example/" }), "discovery_invalid");
    equal(await code(() => new Response("<html>", { headers: { "content-type": "text/html" } })), "discovery_invalid");
    equal(await code(() => new Response("", { status: 500 })), "discovery_unreachable");
  });

  await test("a hanging fetch ends with the timeout, even if it ignores the signal", async () => {
    for (const hang of [
      () => new Promise(() => {}),
      (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      () => new Response(new ReadableStream({}), { headers: json }),
    ]) {
      const { fetch, asked } = provider({ "/jwks": hang });
      const error = await errorOf(() => createVerifier({ ...base, jwksUri, fetch, timeout: 40 }).verify(good));
      equal(error.code, "jwks_unreachable");
      equal(asked.length, 1, "a timeout is not retried");
      equal(String(error.cause).includes("40 ms"), true, String(error.cause));
    }
  });

  await test("an aborted signal ends the wait but not the fetch", async () => {
    const { fetch, asked } = provider({ "/jwks": async () => (await pause(40), Response.json(jwks)) });
    const verifier = createVerifier({ ...base, jwksUri, fetch });
    const controller = new AbortController();
    const refused = errorOf(() => verifier.verify(good, { signal: controller.signal }));
    controller.abort(new Error("the client left"));
    const error = await refused;
    equal(`${error.code} ${error.status} ${error.cause.message}`, "aborted 503 the client left");
    equal(await codeOf(() => verifier.verify(good, { signal: controller.signal })), "aborted");
    await pause(80);
    equal(verifier.verifySync(good).payload.sub, "user-1");
    equal(asked.length, 1);
  });

  await test("loaded keys are used while the provider is down", async () => {
    let time = now;
    let up = true;
    const { fetch } = provider({ "/jwks": () => (up ? Response.json(jwks) : new Response("", { status: 500 })) });
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => time, clockSkew: 60 });
    await verifier.verify(good);
    up = false;
    time += 601;
    equal(await codeOf(() => verifier.verify(good)), "ok");
    equal(await codeOf(() => verifier.verify(fixtures.unknownKid)), "jwks_unreachable", "the key may be new");
  });

  await test("waitUntil receives the background work", async () => {
    let time = now;
    const { fetch, asked } = provider({ "/jwks": jwks });
    const verifier = createVerifier({ ...base, jwksUri, fetch, now: () => time });
    const works = [];
    await verifier.verify(good, { waitUntil: (work) => works.push(work) });
    equal(works.length, 1, "a fetch that other calls may wait for");
    await works.pop();
    time += 500;
    await verifier.verify(good, { waitUntil: (work) => works.push(work) });
    equal(works.length, 1);
    await works[0];
    equal(asked.length, 2);
    equal(verifier.keys()[0].fetchedAt, now + 500);
  });

  if (fixtures.live !== undefined) {
    await test("over the network, with the runtime's own fetch", async () => {
      const live = createVerifier({ issuer: fixtures.live.issuer, audience, algorithms: ["RS256"], now: seconds });
      equal((await live.verify(fixtures.live.token)).payload.sub, "live");
      const gone = createVerifier({ ...base, jwksUri: fixtures.live.redirect });
      equal(await codeOf(() => gone.verify(good)), "jwks_unreachable", "redirects are not followed");
    });
  }

  // --- several verifiers, freeing, traps --------------------------------------------------------------------------

  await test("verifiers share neither keys nor policies", async () => {
    const first = createVerifier(fixed);
    const second = createVerifier({ ...fixed, jwks: fixtures.otherJwks });
    equal(await codeOf(() => first.verify(good)), "ok");
    equal(await codeOf(() => second.verify(good)), "signature_invalid");
    equal(await codeOf(() => createVerifier({ ...fixed, audience: "x" }).verify(good)), "audience_mismatch");
  });

  await test("a disposed verifier lets nothing pass", async () => {
    const verifier = createVerifier(fixed);
    const kept = createVerifier(fixed);
    verifier[Symbol.dispose ?? Symbol.for("Symbol.dispose")]();
    equal(await codeOf(() => verifier.verify(good)), "internal_error");
    equal(await codeOf(async () => verifier.verifySync(good)), "internal_error");
    equal(await codeOf(() => kept.verify(good)), "ok");
    createVerifier({ ...fixed, audience: "x" });
    equal(await codeOf(() => verifier.verify(good)), "internal_error");
    equal(await codeOf(() => kept.verify(good)), "ok");
  });

  // --- protect ----------------------------------------------------------------------------------------------------

  const request = (headers = {}, url = "https://api.example.com/things") => new Request(url, { headers });
  const bearer = (token) => ({ authorization: `Bearer ${token}` });

  await test("protect passes a genuine token to the handler", async () => {
    const handler = protect((req, token, env, ctx) => Response.json([new URL(req.url).pathname, token.payload.sub, env, typeof ctx.waitUntil]), fixed);
    const response = await handler(request(bearer(good)), "env", { waitUntil() {} });
    equal(JSON.stringify(await response.json()), '["/things","user-1","env","function"]');
  });

  await test("protect answers all other requests", async () => {
    const handler = protect(() => { throw new Error("must not run"); }, { ...fixed, scopes: ["admin"] });
    const cases = [
      [{}, 401, "token_missing"], [{ authorization: "Basic abc" }, 401, "token_missing"], [bearer("x"), 401, "token_malformed"],
      [{ authorization: "Bearer" }, 400, "invalid_request"], [{ authorization: `Bearer ${good}, Bearer ${good}` }, 400, "invalid_request"],
      [{ authorization: `Bearer  ${good}` }, 403, "insufficient_scope"], [{ authorization: `Bearer\t${good}` }, 400, "invalid_request"], [bearer(good), 403, "insufficient_scope"], [bearer(`${good}x`), 401, undefined],
    ];
    for (const [headers, status, code] of cases) {
      const response = await handler(request(headers));
      equal(response.status, status, JSON.stringify(headers));
      if (code !== undefined) equal((await response.json()).code, code);
      equal(response.headers.get("www-authenticate").startsWith('Bearer realm="edgeward"'), true);
      equal(response.headers.get("content-type"), "application/problem+json");
    }
    const bare = await handler(request());
    equal(bare.headers.get("www-authenticate"), 'Bearer realm="edgeward"');
    for (const query of ["?access_token=x", "?a=b&access%5Ftoken=x"]) {
      equal((await handler(request(bearer(good), `https://api.example.com/${query}`))).status, 400);
    }
  });

  await test("protect with required: false lets requests without a token pass, but no invalid token", async () => {
    const verifier = createVerifier(fixed);
    const handler = protect((_, token) => Response.json(token?.payload.sub ?? null), { verifier, required: false });
    equal(await (await handler(request())).json(), null);
    equal(await (await handler(request(bearer(good)))).json(), "user-1");
    equal((await handler(request(bearer(`${good}x`)))).status, 401);
    equal((await handler(request({ authorization: "Bearer" }))).status, 400);
  });

  await test("protect answers 503 while there are no keys", async () => {
    const { fetch } = provider({});
    const response = await protect(() => new Response(""), { ...base, jwksUri, fetch })(request(bearer(good)));
    equal(`${response.status} ${response.headers.get("www-authenticate")}`, "503 null");
    equal(Number(response.headers.get("retry-after")) >= 1, true);
  });

  await test("routes with one verifier have requirements of their own", async () => {
    const verifier = createVerifier(fixed);
    const read = protect(() => new Response("read"), { verifier, scopes: ["read:things"] });
    const admin = protect(() => new Response("admin"), { verifier, permissions: ["admin"] });
    equal((await read(request(bearer(good)))).status, 200);
    equal((await admin(request(bearer(good)))).status, 403);
    equal((await (await admin(request(bearer(good)))).json()).code, "permissions_claim_missing");
    equal((await read(request(bearer(fixtures.missingScope)))).status, 403);
  });

  await test("protect throws on wrong options", async () => {
    const verifier = createVerifier(fixed);
    const handler = () => new Response("");
    for (const options of [
      undefined, {}, { verifier: undefined }, { verifier: {} }, { verifier: null }, { verifier, scopes: [] }, { verifier, scopes: undefined }, { verifier, issuer },
      { verifier, scope: "a" }, { verifier, nonce: "x" }, { verifier, required: "no" }, { ...fixed, required: 0 },
    ]) {
      equal(await codeOf(async () => protect(handler, options)), "options_invalid", JSON.stringify(options));
    }
    equal(await codeOf(async () => protect(undefined, fixed)), "options_invalid");
  });

  await test("errors of the handler are not caught", async () => {
    const handler = protect(() => { throw new RangeError("mine"); }, fixed);
    equal((await errorOf(() => handler(request(bearer(good))))).message, "mine");
  });

  await test("guard and authenticate read web requests and Node's", async () => {
    const check = guard({ verifier: createVerifier(fixed) });
    const code = (one) => codeOf(() => check(one));
    equal(await code(request(bearer(good))), "ok");
    equal(await code({ headers: bearer(good), url: "/things" }), "ok");
    equal(await code({ headers: bearer(good), headersDistinct: { authorization: [`Bearer ${good}`] } }), "ok");
    equal(await code({ headers: bearer(good), headersDistinct: { authorization: [`Bearer ${good}`, "Bearer x"] } }), "invalid_request");
    equal(await code({ headers: bearer(good), rawHeaders: ["authorization", `Bearer ${good}`] }), "ok");
    equal(await code({ headers: bearer(good), rawHeaders: ["authorization", `Bearer ${good}`, "Authorization", "Bearer x"] }), "invalid_request");
    equal(await code({ headers: {} }), "token_missing");
    equal(await code({ headers: bearer(good), url: "/things?access_token=x" }), "invalid_request");
    equal(await codeOf(() => createVerifier(fixed).authenticate({ headers: bearer(good) }, { scopes: ["admin"] })), "insufficient_scope");
  });

  return { passed, failures, verdicts };
}

const json = { "content-type": "application/json" };

/** What `console.log` prints, where the runtime has a function for it. */
// Next's edge runtime throws where Node's modules are asked for.
const nodeUtil = globalThis.EdgeRuntime === undefined ? globalThis.process?.getBuiltinModule?.("node:util") : undefined;
const inspect = globalThis.Deno?.inspect ?? globalThis.Bun?.inspect ?? nodeUtil?.inspect;

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Changes every member of a value. */
function spoil(value) {
  for (const name of Object.keys(value)) {
    if (typeof value[name] === "object" && value[name] !== null) spoil(value[name]);
    delete value[name];
  }
  value.spoiled = true;
}

const without = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));

async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Returns `ok` or the error's code; without a code, the error. */
async function codeOf(call) {
  const error = await errorOf(call);
  return error === undefined ? "ok" : (error?.code ?? error);
}

function equal(actual, expected, about = "") {
  if (!Object.is(actual, expected)) {
    throw new Error(`${about ? `${about}: ` : ""}expected ${String(expected)}, got ${actual?.stack ?? String(actual)}`);
  }
}
