/**
 * The prebuilt gateway, a Cloudflare Worker: configured, not programmed.
 *
 * ```js
 * import { gateway } from "edgeward/gateway";
 * import config from "./edgeward.json";
 *
 * export default gateway(config);
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

/** The gateway that reads its configuration from the variable `EDGEWARD`. */
declare const worker: GatewayWorker;
export default worker;
