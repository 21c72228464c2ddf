// The Worker of `make dev`: the gateway with the demo's configuration, as text (see wrangler.toml).
import config from "./edgeward.json";
import gateway, { EdgewardSessions as Sessions } from "../../build/index.js";

export default { fetch: (request, env, ctx) => gateway.fetch(request, env, ctx, config) };

export class EdgewardSessions extends Sessions {
  constructor(ctx, env) {
    super(ctx, env, config);
  }
}
