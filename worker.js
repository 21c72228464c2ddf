// The Worker with edgeward.json as its configuration; the variable EDGEWARD replaces it when set.
import config from "./edgeward.json";
import gateway, { EdgewardSessions as Sessions } from "./build/index.js";

export default { fetch: (request, env, ctx) => gateway.fetch(request, env, ctx, config) };

export class EdgewardSessions extends Sessions {
  constructor(ctx, env) {
    super(ctx, env, config);
  }
}
