// What a developer writes with Hono and jose to protect routes: issuer, audience, algorithm and scope are demanded.
import { Hono } from "hono";
import { createLocalJWKSet, jwtVerify } from "jose";

const app = new Hono();
let keys;

const refuse = (c, status, error) => {
  c.header("www-authenticate", `Bearer error="${error}"`);
  c.header("cache-control", "no-store");
  return c.json({ status, error }, status);
};

const protect = (scope) => async (c, next) => {
  const [scheme, token] = (c.req.header("authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer" || !token) return refuse(c, 401, "invalid_token");
  keys ??= createLocalJWKSet(c.env.SITE.jwks);
  const { issuer, audience } = c.env.SITE;
  let claims;
  try {
    claims = (await jwtVerify(token, keys, { issuer, audience, algorithms: ["RS256"] })).payload;
  } catch {
    return refuse(c, 401, "invalid_token");
  }
  if (!String(claims.scope ?? "").split(" ").includes(scope)) return refuse(c, 403, "insufficient_scope");
  c.set("claims", claims);
  await next();
};

app.get("/health", (c) => c.json({ status: "ok" }));
app.get("/api/items", protect("read:items"), (c) => {
  c.header("cache-control", "private, no-store");
  return c.json({ items: [] });
});
app.get("/api/items/:id", protect("read:items"), (c) => c.json({ id: c.req.param("id") }));
app.post("/api/items", protect("write:items"), (c) => c.json({ created: true }, 201));
app.all("/api/admin/*", protect("admin:read"), (c) => c.json({ admin: true }));

export default app;
