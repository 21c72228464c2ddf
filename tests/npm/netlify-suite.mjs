// The tests of `edgeward/netlify`, for Node (functions) and Deno (edge functions). Web standards only.

/**
 * @param {{ EdgewardError: Function, createVerifier: Function, withAuth0: Function }} edgeward
 * @param {{ audience: string, jwks: object, tokens: Record<string, string> }} fixtures
 * @param {(name: string, value?: string) => void} setVariable of the platform; without a value, removes it
 * @returns {Promise<string[]>} the failures
 */
export async function suite({ EdgewardError, createVerifier, withAuth0 }, { audience, jwks, tokens }, setVariable) {
  const failures = [];
  let tests = 0;
  const test = async (name, body) => {
    tests += 1;
    try {
      await body();
    } catch (error) {
      failures.push(`${name}: ${error?.stack ?? error}`);
    }
  };

  const CLAIM = "https://yourapp.com/roles";
  const issuer = "https://tenant.example.com/";
  const fetched = [];
  globalThis.fetch = async (url) => {
    fetched.push(String(url));
    if (String(url) === `${issuer}.well-known/openid-configuration`) return Response.json({ issuer, jwks_uri: `${issuer}jwks` });
    if (String(url) === `${issuer}jwks`) return Response.json(jwks);
    return new Response("", { status: 404 });
  };
  const configure = (variables) => {
    for (const name of ["AUTH0_ISSUER", "AUTH0_AUDIENCE"]) setVariable(name, variables[name]);
  };
  const VARIABLES = { AUTH0_ISSUER: issuer, AUTH0_AUDIENCE: audience };

  const context = { site: "context" };
  const web = (headers = {}, path = "/") => new Request(`https://site.example.com${path}`, { headers });
  const event = (headers = {}, more = {}) => ({
    httpMethod: "GET", path: "/", rawUrl: "https://site.example.com/", headers, multiValueHeaders: {}, queryStringParameters: {}, ...more,
  });
  const bearer = (token) => ({ authorization: `Bearer ${token}` });

  /** Both forms of functions, each of which answers with the token's subject. */
  const forms = {
    event: {
      wrap: (options) => withAuth0(async (_, given, token) => ({ statusCode: 200, body: `${token?.payload.sub} ${given.site}` }), options),
      call: async (handler, token) => {
        const { statusCode, headers, body } = await handler(event(token === undefined ? {} : bearer(token)), context);
        return statusCode === 200 ? body : `${statusCode} ${JSON.parse(body).code}${headers["www-authenticate"] ? " challenged" : ""}`;
      },
    },
    web: {
      wrap: (options) => withAuth0((_, given, token) => new Response(`${token?.payload.sub} ${given.site}`), options),
      call: async (handler, token) => {
        const response = await handler(web(token === undefined ? {} : bearer(token)), context);
        if (response.status === 200) return response.text();
        return `${response.status} ${(await response.json()).code}${response.headers.has("www-authenticate") ? " challenged" : ""}`;
      },
    },
  };

  configure(VARIABLES);
  for (const [form, { wrap, call }] of Object.entries(forms)) {
    const answers = async (name, options, expected) => {
      const handler = wrap(options);
      for (const [kind, answer] of Object.entries(expected)) {
        await test(`${form}: ${name}: ${kind}`, async () => equal(await call(handler, kind === "none" ? undefined : tokens[kind]), answer));
      }
    };
    const challenged = (answers) => Object.fromEntries(Object.entries(answers).map(([kind, answer]) => [kind, `${answer} challenged`]));
    const none = challenged({ none: "401 token_missing" });
    const refused = challenged({
      expired: "401 token_expired", forged: "401 signature_invalid", otherAudience: "401 audience_mismatch", idToken: "401 token_kind_mismatch",
    });
    const good = { good: "user-1 context" };
    await answers("without options", undefined, { none: "undefined context", ...good, ...refused });
    await answers("required: false", { auth0: { required: false } }, { none: "undefined context", ...good, ...refused });
    await answers("required", { auth0: { required: true } }, { ...none, ...good, ...refused });
    const withoutRole = challenged({ good: "403 roles_claim_missing", editor: "403 insufficient_role", otherClaim: "403 roles_claim_missing" });
    const roles = { ...none, ...withoutRole, admin: "user-1 context", ...refused };
    await answers("a role", { auth0: { roles: "admin", rolesClaim: CLAIM } }, roles);
    await answers("a list of roles", { auth0: { required: true, roles: ["admin", "owner"], rolesClaim: CLAIM } }, roles);
    await answers("all of a list of roles", { auth0: { roles: ["admin", "editor"], rolesClaim: CLAIM } }, { ...roles, ...challenged({ admin: "403 insufficient_role" }) });
    await answers("any role", { auth0: { roles: { claim: CLAIM, any: ["editor", "owner"] } } }, { ...roles, editor: "user-1 context" });
    await answers("a scope", { auth0: { scopes: "read:items" } }, { ...none, ...good, ...challenged({ admin: "403 insufficient_scope" }) });
    await answers("a rule on a claim", { auth0: { claims: { sub: { prefix: "user-" }, scope: "read:items" } } }, { ...none, ...good, ...challenged({ admin: "403 claim_not_allowed" }) });
    const verifier = createVerifier({ issuer, audience: "https://other.example.com", algorithms: ["RS256"], jwks });
    const swapped = { otherAudience: "user-1 context", ...challenged({ good: "401 audience_mismatch" }) };
    await answers("a verifier of its own", { auth0: { verifier, required: true } }, swapped);
    await answers("beside another wrapper", { auth0: { required: true }, planetscale: {} }, none);
  }

  for (const [name, AUTH0_ISSUER] of Object.entries({ domain: "tenant.example.com", "no slash": "https://tenant.example.com", slash: issuer })) {
    await test(`the issuer as ${name}`, async () => {
      configure({ ...VARIABLES, AUTH0_ISSUER });
      equal(await forms.web.call(forms.web.wrap({ auth0: { required: true } }), tokens.good), "user-1 context");
    });
  }
  await test("the audience is compared exactly", async () => {
    configure({ ...VARIABLES, AUTH0_AUDIENCE: `${audience}/` });
    equal(await forms.web.call(forms.web.wrap({ auth0: { required: true } }), tokens.good), "401 audience_mismatch challenged");
  });
  for (const missing of Object.keys(VARIABLES)) {
    for (const value of [undefined, ""]) {
      await test(`${missing} ${value === undefined ? "missing" : "empty"}`, async () => {
        configure({ ...VARIABLES, [missing]: value });
        const handler = forms.event.wrap(undefined);
        for (const request of [event(), event(bearer(tokens.good)), web()]) {
          const error = await handler(request, context).then(() => undefined, (error) => error);
          equal(`${error?.code}: ${error?.message}`, `options_invalid: the environment variable ${missing} is not set`);
        }
        configure(VARIABLES);
        equal(await forms.event.call(handler, tokens.good), "user-1 context", "set later");
      });
    }
  }
  configure(VARIABLES);

  const guarded = withAuth0(async (_, __, token) => ({ statusCode: 200, body: token.payload.sub }), { auth0: { required: true } });
  const { good, admin } = tokens;
  const events = {
    "capitals in the name": [event({ Authorization: `Bearer ${good}` }), 200],
    "in multiValueHeaders only": [event({}, { multiValueHeaders: { Authorization: [`Bearer ${good}`] } }), 200],
    "in both": [event(bearer(good), { multiValueHeaders: { authorization: [`Bearer ${good}`] } }), 200],
    "no multiValueHeaders": [{ headers: bearer(good) }, 200],
    "two headers in two letter cases": [event({ authorization: `Bearer ${good}`, Authorization: `Bearer ${admin}` }), 400],
    "two values": [event(bearer(good), { multiValueHeaders: { authorization: [`Bearer ${good}`, `Bearer ${admin}`] } }), 400],
    "an undefined value": [event({ authorization: undefined }), 401],
    "no headers": [{}, 401],
    "another scheme": [event({ authorization: `Basic ${good}` }), 401],
    "a token in the parameters": [event(bearer(good), { queryStringParameters: { access_token: good } }), 400],
    "a token in the lists of parameters": [event(bearer(good), { multiValueQueryStringParameters: { access_token: [good] } }), 400],
    "a token in the URL": [event(bearer(good), { rawUrl: `https://site.example.com/?access_token=${good}` }), 400],
    "no parameters": [event(bearer(good), { queryStringParameters: null }), 200],
    "a header named get": [event({ ...bearer(good), get: "x" }), 200],
  };
  for (const [name, [request, status]] of Object.entries(events)) {
    await test(`event: ${name}`, async () => equal((await guarded(request, context)).statusCode, status));
  }
  await test("a request with the token in the query", async () =>
    equal((await guarded(web(bearer(good), `/?access_token=${good}`), context)).status, 400));

  await test("errors of the handler", async () => {
    for (const error of [new Error("broken"), new EdgewardError("internal_error", "thrown", { status: 500, headers: {}, body: "" })]) {
      const failing = withAuth0(() => { throw error; });
      equal(await failing(event(), context).then(() => "answered", (thrown) => thrown), error);
    }
  });

  const wrong = {
    "auth0.requird is not an option": { auth0: { requird: true } },
    "auth0.issuer is not an option": { auth0: { issuer } },
    "auth0.required must not be undefined": { auth0: { required: undefined } },
    "auth0.roles must not be undefined": { auth0: { roles: undefined } },
    "required must be true or false": { auth0: { required: "true" } },
    "auth0.rolesClaim is missing": { auth0: { roles: ["admin"] } },
    "auth0.rolesClaim is used with auth0.roles only": { auth0: { rolesClaim: CLAIM } },
    "auth0.rolesClaim is for a list": { auth0: { rolesClaim: CLAIM, roles: { claim: CLAIM, any: "admin" } } },
    "roles.all must not be empty": { auth0: { rolesClaim: CLAIM, roles: [] } },
    "roles must have all or any": { auth0: { roles: { claim: CLAIM } } },
    "auth0.roles requires a token": { auth0: { required: false, rolesClaim: CLAIM, roles: ["admin"] } },
    "auth0.scopes requires a token": { auth0: { required: false, scopes: ["a"] } },
    "auth0.claims requires a token": { auth0: { required: false, claims: { sub: "a" } } },
    "verifier must be": { auth0: { verifier: {} } },
    "auth0 must be a plain object": { auth: { required: true } },
  };
  for (const [message, options] of Object.entries(wrong)) {
    await test(`options: ${message}`, () => {
      let error;
      try {
        withAuth0(() => new Response(""), options);
      } catch (thrown) {
        error = thrown;
      }
      equal(error?.code, "options_invalid");
      if (!error.message.startsWith(message)) throw new Error(error.message);
      equal(error.toResponse().status, 500);
    });
  }
  for (const name of ["required", "roles", "rolesClaim", "scopes", "permissions", "claims", "organizations", "verifier"]) {
    for (const value of [null, NaN, 0, ""]) {
      await test(`options: ${name} is ${value}`, () => {
        let error;
        try {
          withAuth0(() => new Response(""), { auth0: { [name]: value } });
        } catch (thrown) {
          error = thrown;
        }
        equal(error?.code, "options_invalid");
      });
    }
  }
  await test("a handler that is no function", () => {
    let error;
    try {
      withAuth0({}, {});
    } catch (thrown) {
      error = thrown;
    }
    equal(error?.message, "handler must be a function");
  });

  await test("only the issuer was asked", () => equal(fetched.every((url) => url.startsWith(issuer)), true));
  if (tests < 90) failures.push(`${tests} tests`);
  return failures;
}

function equal(found, expected, name = "") {
  if (!Object.is(found, expected)) throw new Error(`${name}: ${String(found)} instead of ${String(expected)}`);
}
