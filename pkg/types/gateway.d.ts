/**
 * The prebuilt gateway, a Cloudflare Worker: configured, not programmed.
 *
 * ```js
 * import { gateway, sessions } from "edgeward/gateway";
 * import config from "./edgeward.json";
 *
 * export default gateway(config);
 * export const EdgewardSessions = sessions(config); // optional: isolates share the refreshes and the end of a session
 * ```
 *
 * @module
 */

/** A module Worker. */
export interface GatewayWorker {
  fetch(request: Request, env: object, ctx: object): Promise<Response>;
}

/**
 * The gateway with this configuration, as it is now: changes of the object come too late. The variable `EDGEWARD` wins over it when
 * it is set.
 *
 * A Worker may have several gateways. Each serves by its own configuration and shares nothing with the others, unless document and
 * variables are the same. `env` need not be the Worker's own: what is handed over here is what the configuration reads.
 *
 * ```js
 * const site = gateway(siteConfig);
 * const api = gateway(apiConfig);
 *
 * export const SiteSessions = sessions(siteConfig); // bound as SITE_SESSIONS
 *
 * export default {
 *   fetch(request, env, ctx) {
 *     if (new URL(request.url).hostname === "api.example.com") return api.fetch(request, env, ctx);
 *     return site.fetch(request, { ...env, EDGEWARD_SESSIONS: env.SITE_SESSIONS }, ctx);
 *   },
 * };
 * ```
 */
export function gateway(config: object): GatewayWorker;

/** A Durable Object. */
export interface SessionDesk {
  fetch(request: Request): Promise<Response>;
  alarm(): Promise<void>;
}

/** A Durable Object class. */
export interface SessionDeskClass {
  new (ctx: object, env: object): SessionDesk;
}

/**
 * The Durable Object class through which isolates share the refreshes and the end of a session, with the gateway's configuration. Bind
 * it as `EDGEWARD_SESSIONS`, as a SQLite-backed class. Of several gateways with sessions each needs a class and a binding of its own, and
 * is given that binding under this name.
 */
export function sessions(config: object): SessionDeskClass;

/** The same for a gateway that reads its configuration from the variable `EDGEWARD`. */
export const EdgewardSessions: SessionDeskClass;

/** The gateway that reads its configuration from the variable `EDGEWARD`. */
declare const worker: GatewayWorker;
export default worker;
