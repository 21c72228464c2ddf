/** The gateway's configuration document. */
export type GatewayConfig = Record<string, unknown>;
