// An API with Express. `npm start` runs it; without ISSUER it uses a demo issuer and prints a token to try.
import { createVerifier } from "edgeward";
import { bearer } from "edgeward/express";
import express from "express";
import { demoIssuer } from "./demo.mjs";

const { ISSUER, AUDIENCE = "https://api.example.com", PORT = "3000" } = process.env;
const demo = ISSUER ? undefined : await demoIssuer(AUDIENCE);

const verifier = createVerifier({
  audience: AUDIENCE,
  algorithms: ["RS256"],
  // The keys of a real issuer are found by discovery; those of the demo are static.
  ...(demo ? { issuer: demo.issuer, jwks: demo.jwks } : { issuer: ISSUER }),
});

const app = express();
app.get("/", (req, res) => res.json({ hello: "everyone" }));
app.get("/me", bearer({ verifier }), (req, res) => res.json({ user: req.auth.payload.sub, scopes: req.auth.scopes }));
app.delete("/items", bearer({ verifier, scopes: ["delete:items"] }), (req, res) => res.json({ deleted: true }));

const server = app.listen(Number(PORT), "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  console.log(`Listening on ${url}`);
  if (demo) console.log(`\nTry:\n  curl ${url}/me\n  curl ${url}/me -H 'Authorization: Bearer ${demo.token}'`);
});
