// Hands edgeward.json to the built Worker, unless the variable EDGEWARD holds a configuration.
import config from "./edgeward.json";
import gateway, { EdgewardSessions as Sessions } from "./build/index.js";
let known;
const configured = (env) => (known ??= { EDGEWARD: config, ...env });
export default { fetch: (request, env, ctx) => gateway.fetch(request, configured(env), ctx) };
export class EdgewardSessions extends Sessions {
  constructor(ctx, env) {
    super(ctx, configured(env));
  }
}
