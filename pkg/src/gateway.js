import worker from "./gateway/index.js";

/** The gateway with this configuration; the variable EDGEWARD wins over it when it is set. */
export function gateway(config) {
  let known;
  return { fetch: (request, env, ctx) => worker.fetch(request, (known ??= { EDGEWARD: config, ...env }), ctx) };
}

export default worker;
