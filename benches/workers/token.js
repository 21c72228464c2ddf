// Whole tokens in workerd: `?who=…&times=…` does so many verifications and answers when they are done.
import { createVerifier } from "edgeward";
import { createLocalJWKSet, jwtVerify } from "jose";

let state;

function prepare({ issuer, audience, jwks }) {
  const ours = (cacheSize) => createVerifier({ issuer, audience, algorithms: ["RS256"], jwks, cacheSize });
  return { uncached: ours(0), cached: ours(1_000), set: createLocalJWKSet(jwks), options: { issuer, audience, algorithms: ["RS256"] } };
}

export default {
  async fetch(request, env) {
    const query = new URL(request.url).searchParams;
    const times = Number(query.get("times"));
    state ??= prepare(env.INPUT);
    const values = env.INPUT.values;
    let good = 0;
    if (query.get("who") === "jose") {
      for (let i = 0; i < times; i += 1) {
        const { payload } = await jwtVerify(values[i % values.length].slice("Bearer ".length), state.set, state.options);
        good += payload.sub !== undefined;
      }
    } else {
      const verifier = query.get("who") === "edgeward" ? state.uncached : state.cached;
      for (let i = 0; i < times; i += 1) {
        good += verifier.verifySync(values[i % values.length].slice("Bearer ".length)).payload.sub !== undefined;
      }
    }
    return new Response(String(good));
  },
};
