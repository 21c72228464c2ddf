// An API that requires a token. Its verifier is passed in, so that tests can pass one of theirs.
import { protect } from "edgeward";

export const api = (verifier) =>
  protect((request, token) => Response.json({ user: token.payload.sub }), { verifier, scopes: ["read:items"] });
