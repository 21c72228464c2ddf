import worker, { EdgewardSessions } from "./gateway/index.js";

/** The document as it is now: an object that changes later, or becomes the next gateway's, changes nothing here. */
function snapshot(config) {
  try {
    return typeof config === "string" ? config : JSON.stringify(config);
  } catch {
    // No document at all: every request is answered with 503, and the log says so.
    return undefined;
  }
}

/** The gateway with this configuration. */
export function gateway(config) {
  const document = snapshot(config);
  return { fetch: (request, env, ctx) => worker.fetch(request, env, ctx, document) };
}

/** The Durable Object class for the same configuration, through which isolates share the refresh of a session. */
export function sessions(config) {
  const document = snapshot(config);
  return class extends EdgewardSessions {
    constructor(ctx, env) {
      super(ctx, env, document);
    }
  };
}

export { EdgewardSessions };
export default worker;
