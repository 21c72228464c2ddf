// Hands edgeward.json to the built Worker, unless the variable EDGEWARD holds a configuration.
import config from "./edgeward.json";
import gateway from "./build/index.js";
let known;
export default { fetch: (request, env, ctx) => gateway.fetch(request, (known ??= { EDGEWARD: config, ...env }), ctx) };
