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

/** The gateway with this configuration; the variable `EDGEWARD` wins over it when it is set. */
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
 * The Durable Object class through which isolates share the refreshes and the end of a session, with the gateway's configuration. Bind it as
 * `EDGEWARD_SESSIONS`, as a SQLite-backed class.
 */
export function sessions(config: object): SessionDeskClass;

/** The same for a gateway that reads its configuration from the variable `EDGEWARD`. */
export const EdgewardSessions: SessionDeskClass;

/** The gateway that reads its configuration from the variable `EDGEWARD`. */
declare const worker: GatewayWorker;
export default worker;
