/**
 * The options of providers, for `createVerifier` and the functions that accept its options. Options that are given take precedence.
 *
 * ```js
 * import { createVerifier } from "edgeward";
 * import { okta } from "edgeward/providers";
 *
 * const verifier = createVerifier(okta({ domain: "example.okta.com", audience: "api://default" }));
 * ```
 *
 * @module
 */

/** The options that a provider's function returns: its own, replaced by those that were given. */
export type ProviderOptions<Own, Given> = Omit<Own, keyof Given> & Omit<Given, "domain">;

interface Own {
  readonly algorithms: readonly ["RS256"];
  readonly issuer: string;
}
interface OwnKeys extends Own {
  readonly jwksUri: string;
}
interface WithoutAudience extends Own {
  readonly audience: false;
}
// `object`, because none of the members is needed: the compiler refuses objects without any that a type of optional members has.
type OfDomain = object & {
  /** The provider's host name, for example `example.okta.com`. The issuer is made from it, unless `issuer` is given. */
  readonly domain?: string;
};
/** No URL is made from a domain: to restrict users to one, write a rule in `claims`. */
type WithoutDomain = object & { readonly domain?: never };

/** Okta's authorization server `default`; for another one, give its `issuer`. */
export function okta<const Given extends OfDomain>(options: Given): ProviderOptions<Own, Given>;

/** Microsoft Entra ID, version 2.0: give `tenants`, or the `issuer` of a tenant. */
export function entra<const Given extends WithoutDomain>(options: Given): ProviderOptions<Own, Given>;

/** Access tokens of an Amazon Cognito user pool: give its `issuer` and the `clients`. */
export function cognito<const Given extends WithoutDomain>(options: Given): ProviderOptions<Omit<WithoutAudience, "issuer">, Given>;

/** A Keycloak realm: give its `issuer`. */
export function keycloak<const Given extends WithoutDomain>(options: Given): ProviderOptions<Omit<Own, "issuer">, Given>;

/** Google's ID tokens: give `clientId`. For those of one Workspace domain, `claims: { hd: "example.com" }`. */
export function google<const Given extends WithoutDomain>(
  options: Given,
): ProviderOptions<{ readonly algorithms: readonly ["RS256"]; readonly kind: "id"; readonly issuers: readonly { readonly issuer: string; readonly jwksUri: string }[] }, Given>;

/** Supabase Auth: `domain` is that of the project. */
export function supabase<const Given extends OfDomain>(options: Given): ProviderOptions<{ readonly algorithms: readonly ["RS256", "ES256"]; readonly issuer: string; readonly audience: "authenticated" }, Given>;

/** Clerk's session tokens: `domain` is that of the Frontend API, `clients` the origins of the application. */
export function clerk<const Given extends OfDomain>(options: Given): ProviderOptions<WithoutAudience, Given>;

/** WorkOS AuthKit: give `clientId`, and the `audience` of the JWT template. */
export function workos<const Given extends WithoutDomain>(options: Given): ProviderOptions<OwnKeys, Given>;

/** A ZITADEL instance. */
export function zitadel<const Given extends OfDomain>(options: Given): ProviderOptions<Own, Given>;

/** ID tokens of Firebase Authentication: `audience` is the project's id. */
export function firebase<const Given extends WithoutDomain>(options: Given): ProviderOptions<OwnKeys, Given>;

/** Cloudflare Access: `domain` is that of the team, `audience` the tag of the application. */
export function cloudflareAccess<const Given extends OfDomain>(options: Given): ProviderOptions<OwnKeys, Given>;

/** GitHub Actions: give `audience`, and `claims` with a rule on the repository. */
export function githubActions<const Given extends WithoutDomain>(options: Given): ProviderOptions<Own, Given>;
