import worker, { EdgewardSessions } from "./gateway/index.js";

/** `env` with this configuration; the variable EDGEWARD wins over it when it is set. */
const configure = (config) => {
  let known;
  return (env) => (known ??= { EDGEWARD: config, ...env });
};

/** The gateway with this configuration. */
export function gateway(config) {
  const configured = configure(config);
  return { fetch: (request, env, ctx) => worker.fetch(request, configured(env), ctx) };
}

/** The Durable Object class for the same configuration, through which isolates share the refresh of a session. */
export function sessions(config) {
  const configured = configure(config);
  return class extends EdgewardSessions {
    constructor(ctx, env) {
      super(ctx, configured(env));
    }
  };
}

export { EdgewardSessions };
export default worker;
