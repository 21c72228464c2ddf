/**
 * The prebuilt gateway, a Cloudflare Worker: configured, not programmed.
 *
 * ```js
 * import { gateway, sessions } from "edgeward/gateway";
 * import config from "./edgeward.json" with { type: "json" };
 *
 * export default gateway(config);
 * export const EdgewardSessions = sessions(config); // optional: isolates coordinate the refresh and logout of sessions
 * ```
 *
 * @module
 */
import type { GatewayConfig } from "./config.js";

export type { GatewayConfig };

/**
 * A configuration as `import config from "./edgeward.json"` types it, with `string` in the place of every literal. For a configuration written in
 * TypeScript, `satisfies GatewayConfig` checks the values, too.
 */
export type ImportedGatewayConfig = Imported<GatewayConfig>;

type Imported<T> = T extends string
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Imported<Item>[]
    : T extends object
      ? { readonly [Name in keyof T]: Imported<T[Name]> | undefined }
      : T;

/** A module Worker. */
export interface GatewayWorker {
  fetch(request: Request, env: object, ctx: object): Promise<Response>;
}

/**
 * Returns the gateway with this configuration document, a plain object or its JSON text. The document is copied: later changes have no effect. One with
 * inherited or hidden members is none, and every request is answered with 503.
 * The variable `EDGEWARD`, where it is set, takes precedence.
 *
 * A Worker may have several gateways. Each serves its own configuration and shares nothing with the others, unless document and
 * variables are equal. `env` need not be the Worker's own: the configuration reads its variables from the object passed here.
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
export function gateway(config: GatewayConfig | ImportedGatewayConfig | string): GatewayWorker;

/** A Durable Object that coordinates sessions. */
export interface SessionCoordinator {
  fetch(request: Request): Promise<Response>;
  alarm(): Promise<void>;
}

/** The class of a Durable Object that coordinates sessions. */
export interface SessionCoordinatorClass {
  new (ctx: object, env: object): SessionCoordinator;
}

/**
 * Returns the Durable Object class through which isolates coordinate the refresh and logout of sessions, and share tokens for upstreams, with the gateway's configuration.
 * Bind it as `EDGEWARD_SESSIONS`, as a SQLite-backed class. Each of several gateways with sessions needs a class and a binding of its own,
 * passed to it under this name.
 */
export function sessions(config: GatewayConfig | ImportedGatewayConfig | string): SessionCoordinatorClass;

/** The same class for a gateway that reads its configuration from the variable `EDGEWARD`. */
export const EdgewardSessions: SessionCoordinatorClass;

/** The gateway that reads its configuration from the variable `EDGEWARD`. */
declare const worker: GatewayWorker;
export default worker;
