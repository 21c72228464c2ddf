// Code that must compile and, where marked, must not.
import {
  createVerifier, decodeUnverified, EdgewardError, guard, protect,
  type EdgewardErrorCode, type Guard, type IdTokenPayload, type JSONWebKeySet, type VerifiedToken, type Verifier, type VerifierOptions,
} from "edgeward";
import { bearer as express } from "edgeward/express";
import bare, { gateway, sessions, type GatewayConfig } from "edgeward/gateway";
import { bearer as hono } from "edgeward/hono";
import { createVerifier as inlined } from "edgeward/inline";
import { withAuth0, type NetlifyEvent } from "edgeward/netlify";
import { createTokenSource, type TokenSource, TokenSourceError } from "edgeward/token-source";
import { cloudflareAccess, cognito, entra, githubActions, google, okta, workos } from "edgeward/providers";
import { createVerifier as slim, init, initSync } from "edgeward/slim";
import { createIssuer, type TestIssuer } from "edgeward/testing";
import expressFramework from "express";
import { Hono } from "hono";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import document from "./edgeward.json" with { type: "json" };

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

declare const jwks: JSONWebKeySet;
declare const maybe: AbortSignal | undefined;
const issuer = "https://tenant.example.com/";
const audience = "https://api.example.com";
const base = { issuer, audience, algorithms: ["RS256"] } as const;

// --- options ---
const verifier = createVerifier(base);
createVerifier({ ...base, jwks, clockSkew: 5, maxTokenAge: 60, profile: "rfc9068", scopes: ["a"], cacheSize: 0, now: () => 1, timeout: 5 });
createVerifier({ ...base, jwksUri: "https://a.example/jwks", fetch: (url, init) => fetch(url, init) });
createVerifier({ ...base, fetch });
createVerifier({ ...base, tenants: "any" });
createVerifier({ ...base, decryptionKeys: [{ key: "PEM", kid: "a", alg: "RSA-OAEP-256" }, { key: { kty: "RSA" } }] });

// --- testing ---
const testIssuer: TestIssuer = await createIssuer({ issuer, algorithms: ["PS256", "EdDSA"] });
createVerifier(testIssuer.verifierOptions({ audience })) satisfies Verifier;
createVerifier(testIssuer.verifierOptions({ audience, algorithms: ["RS256"], now: () => 1 }));
createVerifier(testIssuer.verifierOptions({ kind: "id", clientId: "client" })) satisfies Verifier<IdTokenPayload>;
testIssuer.mint({ kind: "id", claims: { sub: undefined, nonce: "n" }, header: { alg: "none" } }) satisfies Promise<string>;
// @ts-expect-error: the algorithm's name in tokens is EdDSA.
createIssuer({ algorithms: ["Ed25519"] });

// --- providers ---
createVerifier(okta({ domain: "example.okta.com", audience }));
createVerifier(entra({ tenants: ["8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80"], audience, roles: { claim: "roles", any: ["a"] } }));
createVerifier(cognito({ issuer, clients: ["client"] }));
createVerifier(google({ clientId: "client" })) satisfies Verifier<IdTokenPayload>;
createVerifier(workos({ clientId: "client", audience }));
createVerifier(cloudflareAccess({ domain: "team.cloudflareaccess.com", audience }));
createVerifier(githubActions({ audience, claims: { repository: "octo-org/app" } }));
// @ts-expect-error the audience is missing
createVerifier(okta({ domain: "example.okta.com" }));
// @ts-expect-error the domain is not a string
okta({ domain: 1 });
// @ts-expect-error no URL of Google's is made from a domain
google({ domain: "example.com", clientId: "client" });
// @ts-expect-error nor of these
entra({ domain: "example.com", audience, tenants: "any" });
google({ clientId: "client", claims: { hd: "example.com" } });
okta({ issuer, audience });
createVerifier({ ...base, roles: { claim: "https://a.example/roles", any: ["admin"] }, clients: ["c"], clientId: "c" });
createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"], nonce: "n" });
createVerifier({ issuers: [{ issuer, jwks }, { issuer: "https://b.example/" }], audience, algorithms: ["RS256"] });
createVerifier({ issuers: [{ issuer, audience }, { issuer: "https://b.example/", audience: ["b"] }], algorithms: ["RS256"] });
const stored: VerifierOptions = base;
createVerifier(stored);
createVerifier({ ...base, algorithms: "RS256", clients: "c", requiredClaims: "sub", roles: { claim: "roles", any: "admin" } });

// @ts-expect-error the audience is missing
createVerifier({ issuer, algorithms: ["RS256"] });
// @ts-expect-error the issuer is missing
createVerifier({ audience, algorithms: ["RS256"] });
// @ts-expect-error the algorithms are missing
createVerifier({ issuer, audience });
// @ts-expect-error HMAC is not supported
createVerifier({ ...base, algorithms: ["HS256"] });
// @ts-expect-error both sources of keys
createVerifier({ ...base, jwks, jwksUri: "https://a.example/jwks" });
// @ts-expect-error ID tokens need a client
createVerifier({ kind: "id", issuer, audience, algorithms: ["RS256"] });
// @ts-expect-error a nonce is for ID tokens
createVerifier({ ...base, nonce: "n" });
// @ts-expect-error encrypted ID tokens are refused
createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"], decryptionKeys: [{ key: "PEM" }] });
// @ts-expect-error a profile is for access tokens
createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"], profile: "auth0" });
// @ts-expect-error misspelt
createVerifier({ ...base, clockTolerance: 5 });
// @ts-expect-error several issuers need an audience, shared or of their own
createVerifier({ issuers: [{ issuer }, { issuer: "https://b.example/", audience }], algorithms: ["RS256"] });
// @ts-expect-error one issuer or several
createVerifier({ ...base, issuers: [{ issuer }] });

// --- tokens ---
interface MyClaims { readonly "https://a.example/plan": "free" | "paid" }
const typed = createVerifier<MyClaims>(base);
async function tokens(): Promise<void> {
  const token = await typed.verify("jwt", { scopes: ["a"], signal: AbortSignal.timeout(5) });
  same<typeof token.payload["https://a.example/plan"], "free" | "paid">(true);
  same<typeof token.payload.iss, string>(true);
  same<typeof token.payload.exp, number>(true);
  same<typeof token.payload.sub, string | undefined>(true);
  same<typeof token.scopes, string[]>(true);
  same<typeof token.protectedHeader, typeof token.header>(true);
  same<ReturnType<typeof token.toJSON>["header"]["kid"], string | undefined>(true);
  same<typeof token.header.alg, "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "EdDSA" | "Ed25519">(true);
  const plain = verifier.verifySync("jwt");
  same<typeof plain.payload["anything"], unknown>(true);
  const id = await createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"] }).verify("jwt", { nonce: "n", accessToken: "t" });
  same<typeof id.payload.sub, string>(true);
  const both = await createVerifier<MyClaims, "id">({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"] }).verify("jwt");
  same<typeof both.payload.sub, string>(true);
  same<typeof both.payload["https://a.example/plan"], "free" | "paid">(true);
  const one: VerifiedToken<MyClaims> = await createVerifier<MyClaims>({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"] }).verify("jwt");
  const idVerifier: Verifier<IdTokenPayload> = createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"] });
  const { verify, verifySync, authenticate, load, keys } = verifier;
  void [one, idVerifier, verify("jwt"), verifySync("jwt"), authenticate({ headers: {} }), load(), keys()];
  await verifier.verify("jwt", { signal: maybe });
  // @ts-expect-error verified claims are read-only
  plain.payload.sub = "root";
  // @ts-expect-error a token is a string
  await verifier.verify(5);
  // @ts-expect-error verifySync does not wait
  verifier.verifySync("jwt", { signal: AbortSignal.timeout(5) });
  const [status] = await verifier.load();
  same<NonNullable<typeof status>["kids"], readonly (string | null)[]>(true);
  verifier.keys();
  const unverified: Readonly<Record<string, unknown>> = decodeUnverified("jwt").payload;
  // @ts-expect-error a decoded token is not a verified one
  const wrong: VerifiedToken = decodeUnverified("jwt");
  void [unverified, wrong];
}

// --- errors ---
function onError(error: unknown): string {
  if (!(error instanceof EdgewardError)) throw error;
  same<typeof error.code, EdgewardErrorCode>(true);
  same<typeof error.wwwAuthenticate, string | undefined>(true);
  switch (error.code) {
    case "token_expired":
      return "log in again";
    case "insufficient_scope":
      return "ask for more";
    // @ts-expect-error there is no such code
    case "token_outdated":
      return "";
    default:
      return `${error.status} ${error.message}`;
  }
}

// --- protect, guard, adapters ---
const handler = protect((request: Request, token, env: { a: string }) => new Response(token.payload.sub ?? env.a + request.url), { verifier });
const answer: Promise<Response> = handler(new Request(issuer), { a: "" });
protect((_: Request, token) => new Response(token.payload["https://a.example/plan"]), { verifier: typed });
protect((_: Request, token) => new Response(token?.payload.sub ?? ""), { verifier, required: false });
// @ts-expect-error the token may be absent
protect((_: Request, token) => new Response(token.payload.sub ?? ""), { verifier, required: false });
protect((_: Request, token) => new Response(token.payload.sub ?? ""), { ...base, scopes: ["a"] });
// @ts-expect-error the audience is missing
protect(() => new Response(""), { issuer, algorithms: ["RS256"] });
const check = guard({ verifier: typed, scopes: ["a"] });
async function guarded(request: Request): Promise<void> {
  const token = await check(request, (work) => void work);
  same<typeof token.payload["https://a.example/plan"], "free" | "paid">(true);
  same<typeof token.payload.sub, string | undefined>(true);
  const optional = await guard({ verifier, required: false })(request);
  same<typeof optional, VerifiedToken | undefined>(true);
  // @ts-expect-error the token may be absent
  optional.payload;
  // @ts-expect-error a guard needs a request
  await check("jwt");
  const own: Guard = guard({ ...base, required: true });
  same<Awaited<ReturnType<typeof own>>, VerifiedToken | undefined>(true);
}
createServer((req, res) => void check(req).then((token) => res.end(token.payload.sub)));
createHttp2Server((req, res) => void check(req).then((token) => res.end(String(token.payload.sub))));
createHttp2Server((req, res) => express({ verifier })(req, res, () => res.end()));

const app = new Hono();
app.get("/me", hono({ verifier: typed }), (c) => c.text(c.get("token").payload["https://a.example/plan"]));
app.get("/all", hono({ verifier, required: false }), (c) => c.text(c.get("token")?.payload.sub ?? ""));

expressFramework().get("/me", express({ verifier, scopes: ["a"] }), (req, res) => void res.json({ user: req.auth?.payload.sub }));

expressFramework().use((req, _res, next) => void check(req).then(() => next(), next));
app.use(async (c, next) => {
  await check(c.req.raw);
  await next();
});

// --- Netlify ---
export const edgeFunction: (request: Request, context: { site: string }) => Promise<Response> = withAuth0(
  (request: Request, context: { site: string }, token) => {
    same<typeof token, VerifiedToken | undefined>(true);
    return new Response(`${request.url} ${context.site}`);
  },
);
export const lambda = withAuth0(
  async (event: NetlifyEvent & { readonly path: string }, _context: object, token) => {
    same<typeof token, VerifiedToken>(true);
    return { statusCode: 200, body: `${event.path} ${token.payload.sub}` };
  },
  { auth0: { required: true, roles: ["admin"], rolesClaim: "https://a.example/roles" } },
);
void lambda({ headers: {}, path: "/" }, {}).then(({ statusCode, body }) => [statusCode.toFixed(), body.length]);
withAuth0((_request, _context, token) => new Response(token.payload.sub), { auth0: { scopes: "read:items" } });
withAuth0((_request, _context, token) => new Response(token.payload.sub), { auth0: { claims: { sub: { prefix: "user-" } } } });
withAuth0((_request, _context, token) => new Response(token.payload["https://a.example/plan"]), { auth0: { verifier: typed, required: true }, planetscale: {} });
// @ts-expect-error the token may be absent
withAuth0((_request, _context, token) => new Response(token.payload.sub), { auth0: { required: false } });
// @ts-expect-error misspelt
withAuth0(() => new Response(""), { auth0: { requird: true } });
// @ts-expect-error without auth0, nothing is required
withAuth0(() => new Response(""), { auth: { required: true } });

function onConfig(config: GatewayConfig): unknown {
  // @ts-expect-error a configuration is an object
  gateway(5);
  // @ts-expect-error it has paths
  gateway({});
  // @ts-expect-error misspelt
  gateway({ path: [], paths: [] });
  // @ts-expect-error not a value of auth
  const wrong = { paths: [{ path: "/", auth: "sometimes", integration: { type: "health" } }] } satisfies GatewayConfig;
  return [gateway(config), gateway(document), wrong, gateway(JSON.stringify(config)), new (sessions(config))({}, {})];
}

const worker: { fetch(request: Request, env: object, ctx: object): Promise<Response> } = gateway({ paths: [] });
initSync(new Uint8Array());
void init(fetch("verifier.wasm"));
const other: Verifier = slim(base) satisfies ReturnType<typeof inlined>;
void [tokens, onError, guarded, onConfig, answer, worker, other, bare satisfies typeof worker];

const endpoint = { tokenEndpoint: "https://a.example/token" };
export const orders: TokenSource = createTokenSource({ ...endpoint, clientId: "a", clientSecret: ["b", "c"], scope: "read:orders" });
export const text: string = await orders.getToken({ signal: AbortSignal.timeout(1000), waitUntil: (promise) => void promise });
export const items: Response = await orders.fetch(new URL("https://a.example/items"), { method: "POST" });
export const retryAfter = (error: unknown): number | undefined =>
  error instanceof TokenSourceError && error.code === "upstream_token_unavailable" ? error.retryAfter : undefined;
// @ts-expect-error Either an issuer or a token endpoint.
createTokenSource({ ...endpoint, issuer: "https://a.example/", clientId: "a", clientSecret: "b" });
// @ts-expect-error There is no client without a secret.
createTokenSource({ ...endpoint, clientId: "a" });
