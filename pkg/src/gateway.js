import worker, { EdgewardSessions } from "./gateway/index.js";
import { plain } from "./plain.js";

/** Members that an object inherits or hides have no place in JSON: lost unnoticed, they could be a requirement. */
function member(_, value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const members = plain(value);
  if (members === undefined) throw new TypeError("a configuration consists of plain objects");
  return members;
}

/** Copies the document as it is now: later changes of the object must not reach the gateway. */
function snapshot(config) {
  try {
    return typeof config === "string" ? config : JSON.stringify(config, member);
  } catch {
    // No document: every request gets 503, and the log has the reason.
    return undefined;
  }
}

/** Returns the gateway with this configuration. */
export function gateway(config) {
  const document = snapshot(config);
  return { fetch: (request, env, ctx) => worker.fetch(request, env, ctx, document) };
}

/** Returns the Durable Object class for this configuration, through which isolates coordinate the refresh of sessions. */
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
