// Wrong options. Each line that ends in a comment is one error, never a list of overloads: it begins at the first word of the comment, or at
// the options as a whole (`{`), and its message contains the rest.
import { createVerifier, guard, protect } from "edgeward";
import { bearer as express } from "edgeward/express";
import { bearer as hono } from "edgeward/hono";

const issuer = "https://tenant.example.com/";
const audience = "https://api.example.com";
const jwks = { keys: [] };
const base = { issuer, audience, algorithms: ["RS256"] } as const;
const verifier = createVerifier(base);
const handler = () => new Response("");

createVerifier({ issuer, algorithms: ["RS256"] }); // { Property 'audience' is missing
createVerifier({ issuer, audience }); // { Property 'algorithms' is missing
createVerifier({ audience, algorithms: ["RS256"] }); // { Property 'issuers' is missing
createVerifier({ kind: "id", issuer, algorithms: ["RS256"] }); // { Property 'clientId' is missing
createVerifier({ issuers: [{ issuer }], algorithms: ["RS256"] }); // { Property 'audience' is missing
createVerifier({ ...base, jwks, jwksUri: "https://a.example/" }); // { Types of property 'jwksUri' are incompatible
createVerifier({ ...base, issuers: [{ issuer }] }); // { Types of property 'issuers' are incompatible
createVerifier({ issuer, audience, algorithms: ["HS256"] }); // "HS256" Type '"HS256"' is not assignable to type 'Algorithm'
createVerifier({ ...base, clockTolerance: 5 }); // clockTolerance 'clockTolerance' does not exist in type
createVerifier({ ...base, clockSkw: 5 }); // clockSkw Did you mean to write 'clockSkew'?
createVerifier({ ...base, clockSkew: "5" }); // clockSkew Type 'string' is not assignable to type 'number'
createVerifier({ ...base, kind: "refresh" }); // kind Type '"refresh"' is not assignable to type '"access" | "id"'
createVerifier({ ...base, profile: "okta" }); // profile Type '"okta"' is not assignable to type
createVerifier({ ...base, nonce: "n" }); // nonce Type 'string' is not assignable to type 'OnlyForIdTokens'
createVerifier({ kind: "id", issuer, clientId: "c", algorithms: ["RS256"], profile: "auth0" }); // profile Type 'string' is not assignable to type 'OnlyForAccessTokens'
createVerifier({ ...base, roles: { clam: "a" } }); // clam Did you mean to write 'claim'?
createVerifier({ issuers: [{ issuer, jwkUri: "https://a.example/" }], audience, algorithms: ["RS256"] }); // jwkUri Did you mean to write 'jwksUri'?
verifier.verifySync("jwt", { scope: "a" }); // scope Did you mean to write 'scopes'?
void verifier.load({ scopes: "a" }); // scopes 'scopes' does not exist in type
protect(handler, { issuer, algorithms: ["RS256"] }); // { Property 'audience' is missing
protect(handler, { verifier, scope: "a" }); // scope Did you mean to write 'scopes'?
protect(handler, { verifier, required: "no" }); // required Type 'string' is not assignable to type 'boolean'
guard({ verifier, scopes: 5 }); // scopes Type 'number' is not assignable to type 'string | readonly string[] | AllOrAny
guard({ ...base, verifier: 5 }); // verifier Type 'number' is not assignable to type
hono({ verifier, scope: "a" }); // scope Did you mean to write 'scopes'?
express({ verifier, scope: "a" }); // scope Did you mean to write 'scopes'?
