// An API with Hono, here on Node; the same app runs on Workers, Deno and Bun. `npm start` runs it; without ISSUER it
// uses a demo issuer and prints a token to try.
import { serve } from "@hono/node-server";
import { createVerifier } from "edgeward";
import { bearer } from "edgeward/hono";
import { Hono } from "hono";
import { demoIssuer } from "./demo.mjs";

const { ISSUER, AUDIENCE = "https://api.example.com", PORT = "3000" } = process.env;
const demo = ISSUER ? undefined : await demoIssuer(AUDIENCE);

const verifier = createVerifier({
  audience: AUDIENCE,
  algorithms: ["RS256"],
  // The keys of a real issuer are found by discovery; those of the demo are static.
  ...(demo ? { issuer: demo.issuer, jwks: demo.jwks } : { issuer: ISSUER }),
});

const app = new Hono();
app.get("/", (c) => c.json({ hello: "everyone" }));
app.get("/me", bearer({ verifier }), (c) => c.json({ user: c.get("token").payload.sub, scopes: c.get("token").scopes }));
app.delete("/items", bearer({ verifier, scopes: ["delete:items"] }), (c) => c.json({ deleted: true }));

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(PORT) }, ({ port }) => {
  const url = `http://127.0.0.1:${port}`;
  console.log(`Listening on ${url}`);
  if (demo) console.log(`\nTry:\n  curl ${url}/me\n  curl ${url}/me -H 'Authorization: Bearer ${demo.token}'`);
});
