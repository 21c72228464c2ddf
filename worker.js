// Hands edgeward.json to the built Worker, unless the variable EDGEWARD holds a configuration.
import config from "./edgeward.json";
import Gateway from "./build/index.js";
export default { fetch: (request, env, ctx) => new Gateway(ctx, { EDGEWARD: config, ...env }).fetch(request) };
