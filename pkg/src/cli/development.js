// What `dev-idp`, `token` and `init` agree on.

import { inLine, UsageError } from "./terminal.js";

export const DEVELOPMENT_PORT = 9400;
export const DEVELOPMENT_ISSUER = `http://127.0.0.1:${DEVELOPMENT_PORT}`;
/** The secret protects nothing: it is the same everywhere, and the provider is on loopback. */
export const DEVELOPMENT_CLIENT = { id: "edgeward-web", secret: "local-client-secret-of-no-value-0123456789" };
/** Where `wrangler dev` serves. */
export const DEVELOPMENT_GATEWAY = "http://localhost:8787";

/** Returns the origin that an option `--gateway` names. */
export function gatewayOrigin(text) {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) throw new UsageError(`--gateway: ${JSON.stringify(inLine(text))} is not an origin, such as ${DEVELOPMENT_GATEWAY}`);
  return url.origin;
}
