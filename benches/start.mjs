// The first verification of a fresh process: `node benches/start.mjs WHO ENTRY FILE`. Prints milliseconds of its phases.

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";

const [who, entry, file] = process.argv.slice(2);
const { issuer, audience, jwks, token, wasm } = JSON.parse(readFileSync(file, "utf8"));
const started = performance.now();

/** Each loads its library, calls `loaded`, and verifies. */
const contenders = {
  async edgeward(loaded) {
    const { createVerifier } = await import(entry);
    loaded();
    return createVerifier({ issuer, audience, algorithms: ["RS256"], jwks }).verifySync(token).payload;
  },
  /** The wasm module from its bytes: compile, instantiate, verify. */
  async instance(loaded) {
    const bytes = readFileSync(wasm);
    const { createVerifier, initSync } = await import(entry);
    loaded();
    initSync(bytes);
    return createVerifier({ issuer, audience, algorithms: ["RS256"], jwks }).verifySync(token).payload;
  },
  async jose(loaded) {
    const { createLocalJWKSet, jwtVerify } = await import("jose");
    loaded();
    return (await jwtVerify(token, createLocalJWKSet(jwks), { issuer, audience, algorithms: ["RS256"] })).payload;
  },
  async fast_jwt(loaded) {
    const { createVerifier } = await import("fast-jwt");
    loaded();
    const key = createPublicKey({ key: jwks.keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
    return createVerifier({ key, algorithms: ["RS256"], allowedIss: issuer, allowedAud: audience })(token);
  },
};

let ready;
const claims = await contenders[who](() => {
  ready = performance.now();
});
const verified = performance.now();
if (claims.iss !== issuer) throw new Error(`${who} gave a wrong verdict: nothing was measured`);
process.stdout.write(JSON.stringify({ load: ready - started, first: verified - ready }));
