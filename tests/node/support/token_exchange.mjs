// Token exchange (RFC 8693) as a grant of `oidc-provider`, which has none of its own.

import { calculateJwkThumbprint, createLocalJWKSet, EmbeddedJWK, jwtVerify } from "jose";
import { errors } from "oidc-provider";

export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const PARAMETERS = ["subject_token", "subject_token_type", "requested_token_type", "audience", "scope"];

/**
 * Registers the grant: an access token of this provider, for a user and any resource, is exchanged for one of another resource. `keys` are the
 * provider's, `resourceServer` describes a resource.
 */
export function registerTokenExchange(oidc, { keys, resourceServer }) {
  const published = createLocalJWKSet({ keys: keys.map(({ kty, kid, alg, n, e, crv, x, y }) => ({ kty, kid, alg, n, e, crv, x, y })) });
  const handler = async (ctx) => {
    const { client, params } = ctx.oidc;
    if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest("unknown subject_token_type");
    const verified = await jwtVerify(params.subject_token ?? "", published, { issuer: oidc.issuer }).catch(() => undefined);
    if (!verified) throw new errors.InvalidRequest("the subject token is invalid");
    const token = new oidc.AccessToken({ accountId: verified.payload.sub, client, gty: "token_exchange", scope: params.scope });
    token.resourceServer = new oidc.ResourceServer(params.audience, await resourceServer(ctx, params.audience, client));
    const jkt = await keyOfProof(ctx);
    // RFC 9449 §5: so is the new token. The subject token is bound to the same client.
    if (verified.payload.cnf && verified.payload.cnf.jkt !== jkt) throw new errors.InvalidRequest("the subject token is bound to another key");
    if (jkt) token.setThumbprint("jkt", jkt);
    ctx.oidc.entity("AccessToken", token);
    ctx.body = {
      access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: token.tokenType, expires_in: token.expiration, scope: token.scope,
    };
  };
  oidc.registerGrantType(TOKEN_EXCHANGE, handler, PARAMETERS);
}

/** The thumbprint of the key of a proof of possession, if the request has one. */
async function keyOfProof(ctx) {
  const proof = ctx.get("dpop");
  if (!proof) return undefined;
  const { protectedHeader, payload } = await jwtVerify(proof, EmbeddedJWK, { typ: "dpop+jwt" }).catch(() => ({ payload: {} }));
  if (payload.htm !== "POST" || payload.htu !== ctx.oidc.urlFor("token")) throw new errors.InvalidDpopProof("the proof is for another request");
  return calculateJwkThumbprint(protectedHeader.jwk);
}
