// A Worker with protected routes. `npm start` runs it locally.
import { createVerifier, protect } from "edgeward";

let routes;

function routesFor({ ISSUER, AUDIENCE }) {
  // One verifier per isolate: it holds the keys.
  const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"] });
  return {
    "/me": protect((request, token) => Response.json({ user: token.payload.sub, scopes: token.scopes }), { verifier }),
    "/admin": protect(() => Response.json({ admin: true }), { verifier, permissions: ["admin:read"] }),
    "/greeting": protect((request, token) => new Response(`Hello ${token?.payload.sub ?? "stranger"}\n`), { verifier, required: false }),
  };
}

export default {
  fetch(request, env, ctx) {
    routes ??= routesFor(env);
    const path = new URL(request.url).pathname;
    const route = Object.hasOwn(routes, path) ? routes[path] : () => new Response("Not found\n", { status: 404 });
    return route(request, env, ctx);
  },
};
