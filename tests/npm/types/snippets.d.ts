// What the snippets of the documentation use without defining it.
import type { RequestHandler } from "express";
import type { GatewayConfig } from "edgeward/gateway";
import type { Verifier, VerifierOptions } from "edgeward";

declare global {
  const issuer: string;
  const audience: string;
  const jwt: string;
  const idToken: string;
  const nonce: string;
  const accessToken: string;
  const options: VerifierOptions;
  const verifier: Verifier;
  const request: Request;
  const handler: RequestHandler;
  const siteConfig: GatewayConfig;
  const apiConfig: GatewayConfig;
  const redis: { set(key: string, value: string, options: object): Promise<string | null> };
}
