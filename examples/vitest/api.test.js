import { createVerifier } from "edgeward";
import { createIssuer } from "edgeward/testing";
import { beforeEach, expect, test } from "vitest";
import { api } from "./api.js";

const AUDIENCE = "https://api.example.com";

let issuer;
let handler;

beforeEach(async () => {
  issuer = await createIssuer();
  handler = api(createVerifier(issuer.verifierOptions({ audience: AUDIENCE })));
});

async function call(token) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await handler(new Request("https://api.example.com/items", { headers }));
  return { status: response.status, ...(await response.json()) };
}

const mint = (claims) => issuer.mint({ claims: { aud: AUDIENCE, scope: "read:items", ...claims } });

test("a valid token opens the API", async () => {
  expect(await call(await mint({ sub: "alice" }))).toEqual({ status: 200, user: "alice" });
});

test("requests without a token, or without the right, are refused", async () => {
  expect(await call()).toMatchObject({ status: 401, code: "token_missing" });
  expect(await call(await mint({ scope: "read:others" }))).toMatchObject({ status: 403, code: "insufficient_scope" });
  expect(await call(await mint({ aud: "https://other.example.com" }))).toMatchObject({ status: 401, code: "audience_mismatch" });
});

test("a token expires", async () => {
  const token = await mint();
  issuer.shift(3600);
  expect(await call(token)).toMatchObject({ status: 401, code: "token_expired" });
});

test("new keys of the provider are fetched", async () => {
  await call(await mint());
  await issuer.rotate();
  // Keys are fetched for unknown ones once in thirty seconds.
  issuer.shift(31);
  expect(await call(await mint())).toMatchObject({ status: 200 });
});

test("while the provider is down, known keys are used, and a new instance answers 503", async () => {
  await call(await mint());
  issuer.down();
  expect(await call(await mint())).toMatchObject({ status: 200 });
  handler = api(createVerifier(issuer.verifierOptions({ audience: AUDIENCE })));
  expect(await call(await mint())).toMatchObject({ status: 503 });
});
