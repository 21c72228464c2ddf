//! `authorizer`: who issues the tokens, what they must satisfy, and the login client.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::client_keys::{self, AuthorizationDetails, JarConfig, PrivateKeys};
use super::declare::{Declared, Form, Setting, section};
use super::decryption_keys::{self, DecryptionKeyConfig};
use super::fapi::{self, FapiProfile};
use super::forms::{
    Check, Checked, Choice, ClaimPathForm, Flag, List, NOT_SECURE, OneOf, Text, Texts, Url, Whole, Words, is_identifier,
};
use super::hosts::Tenant;
use super::introspection::IntrospectionConfig;
use super::login::LoginConfig;
use super::paths::ClaimRules;
use super::presets::{NEEDS_ORIGIN, restricts_origin, serves_everyone};
use super::reader::{Field, Reader, Section};
use super::redirects;
#[cfg(test)]
use super::reference;
use super::resource::ResourceConfig;
use super::session::SessionConfig;
use super::token_from::{self, TokenSourceConfig};
use crate::discovery::MetadataCache;
use crate::dpop::Acceptance;
use crate::gateway::route::{Auth, Integration, Route};
use crate::gateway::token_source::TokenSource;
use crate::json::Value;
use crate::jwk::{JwkSet, KeyCache, KeySource};
use crate::jwt::{Access, Algorithm, ClaimPath, ClaimRule, Policy, Profile, Requirements, Tenants};
use crate::limits;
use crate::oidc::{
    AUTH0_LOGOUT_PARAMETER, Client, Discovered, EndpointGate, Endpoints, Introspection, IntrospectionCache, LoginState,
    OWN_PARAMETERS, Provider, ProviderKind, RelyingParty, ReturnTo, STANDARD_LOGOUT_PARAMETER, SubjectMatch,
    UpstreamClient, is_about_user,
};
use crate::session::{LoginBinding, Sealer};
use crate::shared::Shared;
use crate::text::{concat, sorted};
use crate::url::{HttpUrl, is_host, is_loopback, is_within_domain, split_port};
use crate::verifier::Verifier;

section! {
    /// Who issues the tokens, what they must satisfy, and the client that logs users in.
    pub(super) struct AuthorizerConfig {
        /// `auth0`: the issuer is `https://{domain}/`, with Auth0's endpoint paths. `oidc`: the issuer's URL, endpoints and keys by discovery. Any other: `oidc` with the keys that [docs/providers.md](providers.md) lists.
        kind as "type": Choice<Type>, required "\"auth0\", \"oidc\" or a provider such as \"okta\"";
        /// The provider's domain, a bare host name, for the types that make the issuer from it. That of Auth0 may have a port on loopback, where http is used.
        domain: Text, env ["AUTH0_DOMAIN"];
        /// The provider's issuer URL, compared exactly. `{tenantid}` in it stands for the token's `tid`, one of `tenants`. Any text, with `jwks` or `jwks_uri` and without `client_id`: then nothing is fetched from it.
        issuer: Text, env ["AUTH0_ISSUER", "AUTH0_ISSUER_BASE_URL"];
        /// The tenants that `{tenantid}` in an issuer may stand for: ids, or `any`. With a single one, the issuer is that tenant's, and so are its endpoints; else they are those of `common`.
        tenants: TenantsForm;
        /// Rules on claims for every access token: claim names, each with the text that the claim must be, or with a rule; or a list of rules. Those of GitHub Actions and gitlab.com need one on the repository or its owner, here or on every route.
        claims: ClaimRules;
        /// Further issuers, each bound to its own keys.
        issuers: List<IssuerConfig>;
        /// Identifier of the API. One of several must be in `aud`, compared exactly. Without it: `protected_resource.resource`, or else no bearer token is accepted, and sessions alone open routes. `false`: tokens have no `aud`, and those that have one are refused; only together with `clients`.
        audience: AudienceForm, env ["AUTH0_AUDIENCE"];
        /// Accepted signature algorithms: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA` (with Ed25519; `Ed25519` is the same). Without it: `RS256`; with `fapi`, `PS256`, `ES256` and `EdDSA`.
        algorithms: Algorithms;
        /// A static key set, as an object or as JSON text. It is never fetched: rotating keys means deploying again.
        jwks: Jwks;
        /// URL of the key set. Without it: Auth0's path, or what discovery says.
        jwks_uri: Text;
        /// Hosts that may be http: for the issuer, its keys, and the endpoints that it names. A host, or a host with its port.
        allow_http: HttpHosts;
        /// Larger RSA keys are skipped; in bits.
        max_key_bits: Whole<{ limits::MIN_MODULUS_BITS as u32 }, { limits::MAX_MODULUS_BITS as u32 }> = limits::GATEWAY_MAX_MODULUS_BITS as u32;
        /// Tolerated difference between the clocks, in seconds.
        clock_skew_s: Whole<0, { limits::MAX_CLOCK_SKEW_S }> = limits::DEFAULT_CLOCK_SKEW_S;
        /// Accepted form of access tokens: that of Auth0, that of RFC 9068, or both.
        token_profile: Choice<Profile> = Profile::Auto;
        /// Further values of the header `typ` that are accepted, besides those of the profile.
        types: Texts;
        /// Largest age of a token since `iat`, in seconds.
        max_token_age_s: Whole<1, { u32::MAX }>;
        /// One of these must be the token's `org_id`, or its `org_name` in any letter case; logins request it if it is the only one. `false`: tokens and users of an organization are refused.
        organizations: OrganizationsForm;
        /// Only tokens of these clients are accepted (`client_id`, else `azp`). In ID tokens, `azp` may be one of them, or `client_id`.
        clients: OneOf;
        /// Audiences that ID tokens may name besides `client_id`.
        trusted_audiences: Texts;
        /// The claim that lists roles: a name, for example `https://yourapp.com/roles`, or a path such as `["realm_access", "roles"]`. Of an object, the names count.
        roles_claim: ClaimPathForm;
        /// The login client.
        client_id: Text, env ["AUTH0_CLIENT_ID"];
        /// Its secret. Of a list the first is used, and the next is tried once when the provider answers `invalid_client`.
        client_secret: Texts, env ["AUTH0_CLIENT_SECRET"];
        /// How the client authenticates at the provider: with a secret, with signed assertions (`private_key`), or with a certificate (`mtls_binding`); `none` is for public clients.
        client_auth: Choice<ClientAuthMethod> = ClientAuthMethod::Post;
        /// The gateway's callback, exactly as registered at the provider. Without it: the callback route on the origin in `APP_BASE_URL` or `AUTH0_BASE_URL`.
        redirect_uri: Url;
        /// Where the browser goes after a login. Without it: back to the page that asked for the login.
        callback_uri: Url;
        /// Where the browser goes after a logout, registered at the provider. Without it: the root of the site.
        post_logout_uri: Url;
        /// The parameter of the provider's logout that carries the URL to return to. Without it: `returnTo` with the type `auth0`, at Auth0's own logout; else `post_logout_redirect_uri`, the standard one, with which the ID token is sent, too.
        logout_parameter: Choice<LogoutParameter>;
        /// Scopes requested at login, `openid` among them. With `offline_access` sessions are refreshed; some providers refresh them without it.
        scope: Checked<LoginScope> = "openid profile email";
        /// How the login requests an access token for the audience: by this parameter, or not at all. Without it: `audience` with the type `auth0`, else `resource` (RFC 8707).
        audience_parameter: Choice<AudienceParameter>;
        /// Further parameters of every login, by name. Links to the login route cannot override them.
        authorization_params: Parameters;
        /// Whether sessions also get the claims that only the provider's userinfo has, such as `name` and `email`. Claims of the ID token prevail. A signed response (`application/jwt`) is verified like an ID token. A login fails without userinfo.
        userinfo_at_login: Flag = false;
        /// Whether the user's address is sent to the token endpoint (`auth0-forwarded-for`).
        forward_client_ip: Flag = false;
        /// Where bearer tokens are read. Without it: in the header `Authorization`. All these headers and cookies are removed before a request is forwarded.
        token_from: List<TokenSourceConfig>;
        /// The claims that must be equal before the rights of an access token count for the user of an ID token.
        subject_match: SubjectMatchConfig;
        /// Tokens that are bound to a key of their client (DPoP, RFC 9449), which come with the scheme `DPoP` and a proof: accepted beside bearer tokens (`allowed`), or alone (`required`). A bound token without its proof is refused in any case. See [docs/bound-tokens.md](bound-tokens.md).
        dpop: Choice<Acceptance> = Acceptance::Off;
        /// Secrets of at least 32 characters each. With them, a proof needs a nonce that the gateway has given out. The first makes nonces, all are recognized.
        dpop_nonce_secret: Texts;
        /// Tokens that are bound to a client certificate (mutual TLS, RFC 8705), which the client must have presented to Cloudflare: `allowed` or `required`, likewise.
        mtls: Choice<Acceptance> = Acceptance::Off;
        /// Accepts opaque access tokens of the issuer, about which the provider is asked. Without it, they are refused.
        introspection: IntrospectionConfig;
        /// The private keys of `"client_auth": "private_key_jwt"`, in PKCS#8 (PEM) or as JWK, from secrets: RSA, P-256, P-384 or Ed25519 (as JWK). The `kid` is that of the JWK, or the key's thumbprint (RFC 7638). Of a list the first signs, and the next is tried once when the provider answers `invalid_client`.
        private_key: PrivateKeys;
        /// The algorithm of the assertions: one that the keys fit. Without it: the `alg` of the JWK; else `RS256`, or `PS256` with `fapi`, of an RSA key.
        private_key_alg: Choice<Algorithm>;
        /// The name of an `mtls_certificate` binding of the Worker. The client's requests to the provider are sent with its certificate, to `mtls_endpoint_aliases` of the metadata where there are some (RFC 8705).
        mtls_binding: Text;
        /// Whether authorization requests are pushed (RFC 9126), so that the browser carries a reference only. Without it: if the provider's metadata requires that.
        par: Flag;
        /// The signature of authorization requests (RFC 9101).
        jar: JarConfig;
        /// What a login requests beyond scopes (RFC 9396): objects, each with a `type` that the provider knows.
        authorization_details: AuthorizationDetails;
        /// `fapi2_sp`: sets and checks what the FAPI 2.0 Security Profile requires; see [docs/fapi.md](fapi.md).
        fapi: Choice<FapiProfile>;
        /// The private keys that the tokens of the gateway's own client are bound to (DPoP, RFC 9449), in PKCS#8 (PEM) or as JWK, from secrets: with them, the gateway makes a proof for each request to the provider and to an upstream that carries such a token. New tokens are bound to the first. See [docs/bound-tokens.md](bound-tokens.md#tokens-of-the-gateway-itself).
        dpop_key: PrivateKeys;
        /// Private keys that decrypt access tokens, which are signed inside. Without it, encrypted ones are refused.
        decryption_keys: List<DecryptionKeyConfig>;
    }
}

section! {
    /// A further issuer.
    pub(super) struct IssuerConfig {
        /// Its Auth0 domain, with the type `auth0`.
        domain: Text;
        /// Its issuer URL.
        issuer: Text;
        /// Its static key set.
        jwks: Jwks;
        /// URL of its key set.
        jwks_uri: Text;
        /// What its tokens must have in `aud`, as in `authorizer`, which must have an audience, too. Without it: that of `authorizer`.
        audience: AudienceForm;
        /// Its signature algorithms. Without it: those of `authorizer`.
        algorithms: Algorithms;
        /// The clients whose tokens are accepted. Without it: those of `authorizer`.
        clients: OneOf;
        /// The claim that lists roles in its tokens. Without it: that of `authorizer`, which must have one, too.
        roles_claim: ClaimPathForm;
        /// Rules on claims of its tokens, in place of `authorizer.claims`.
        claims: ClaimRules;
    }
}

section! {
    /// The claims that name the same user: okta `uid` and `sub`, entra `oid` and `oid`.
    pub(super) struct SubjectMatchConfig {
        /// Of the access token.
        access_token: Checked<UserClaim> = "sub";
        /// Of the ID token.
        id_token: Checked<UserClaim> = "sub";
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Auth0,
    Oidc,
    /// `oidc`, with the keys of a provider.
    Preset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuthMethod {
    Post,
    Basic,
    PrivateKeyJwt,
    Tls,
    None,
}

impl Words for ClientAuthMethod {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client_secret_post", Self::Post),
        ("client_secret_basic", Self::Basic),
        ("private_key_jwt", Self::PrivateKeyJwt),
        ("tls_client_auth", Self::Tls),
        ("self_signed_tls_client_auth", Self::Tls),
        ("none", Self::None),
    ];
}

impl AuthorizerConfig {
    fn is_fapi(&self) -> bool {
        self.fapi().value.is_some()
    }

    /// The accepted algorithms of tokens.
    fn accepted_algorithms(&self) -> Vec<Algorithm> {
        let default = if self.is_fapi() { fapi::ALGORITHMS.as_slice() } else { &[Algorithm::Rs256] };
        self.algorithms().value.map_or(default, Vec::as_slice).to_vec()
    }
}

/// The parameter of the authorization request that names the audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AudienceParameter {
    Audience,
    Resource,
    None,
}

impl Words for AudienceParameter {
    const WORDS: &'static [(&'static str, Self)] =
        &[("audience", Self::Audience), ("resource", Self::Resource), ("none", Self::None)];
}

/// The parameter of the logout that carries the URL to return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogoutParameter(&'static str);

impl Words for LogoutParameter {
    const WORDS: &'static [(&'static str, Self)] = &[
        (STANDARD_LOGOUT_PARAMETER, Self(STANDARD_LOGOUT_PARAMETER)),
        ("logout_uri", Self("logout_uri")),
        (AUTH0_LOGOUT_PARAMETER, Self(AUTH0_LOGOUT_PARAMETER)),
    ];
}

impl Words for Profile {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("auth0", Self::Auth0), ("rfc9068", Self::Rfc9068)];
}

section! {
    /// What is configured by variables alone.
    struct EnvironmentConfig {
        /// The site's own origin, which `redirect_uri` is built with.
        base_url as "APP_BASE_URL": Origin, env ["APP_BASE_URL", "AUTH0_BASE_URL"];
    }
}

/// The `authorizer` section, valid as far as it goes.
pub(super) struct Authorizer<'c> {
    config: &'c AuthorizerConfig,
    issuers: Vec<Issuer<'c>>,
    environment: EnvironmentConfig,
    /// The page to return to after a login that names none.
    default_return_to: Option<ReturnTo>,
    /// The protected resource, the audience where none is configured.
    resource: Option<String>,
    /// The audience or the protected resource is configured, but wrong.
    has_invalid_audience: bool,
    /// The host that it is for, if that has an organization.
    tenant: Option<&'c Tenant>,
    /// The organizations whose tokens and users are accepted.
    organizations: Vec<String>,
}

/// The key that says where logins end.
const AFTER_LOGIN: &str = "authorizer.callback_uri";

/// The destination of a login or a logout on the gateway's own origin.
pub(super) struct Destination {
    /// The key that configures it.
    pub(super) place: &'static str,
    pub(super) path: String,
}

struct Issuer<'c> {
    /// As configured, possibly with `{tenantid}`.
    template: String,
    /// The issuer whose metadata and keys are used.
    issuer: String,
    keys: Keys,
    /// The rules on claims of its tokens.
    claims: &'c [ClaimRule],
    claims_place: String,
    own: OwnRules,
}

/// The rules of one issuer that differ from those of the authorizer.
#[derive(Default)]
struct OwnRules {
    audience: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    clients: Option<Vec<String>>,
    roles_claim: Option<ClaimPath>,
}

enum Keys {
    Fixed(JwkSet),
    Fetched(KeySource),
}

impl<'c> Authorizer<'c> {
    /// Checks the section by itself.
    pub(super) fn check(
        reader: &mut Reader<'_>,
        config: &'c AuthorizerConfig,
        login: &Setting<'_, LoginConfig>,
        resource: &Setting<'_, ResourceConfig>,
        tenant: Option<&'c Tenant>,
    ) -> Self {
        let clients = config.clients();
        if config.audience().value.is_some_and(Vec::is_empty) && clients.items().is_empty() && !clients.is_invalid {
            reader.error(
                &config.audience().place(),
                "is false: then authorizer.clients must list the clients whose tokens are accepted",
            );
        }
        let default_return_to = login.value.and_then(|login| {
            let setting = login.default_return_to();
            if setting.value.is_some() && !config.callback_uri().is_absent() {
                reader.error(&setting.place(), "has no effect beside authorizer.callback_uri, where every login ends");
            }
            setting.cloned()
        });
        let has_invalid_audience = config.audience().is_invalid
            || resource.is_invalid
            || resource.value.is_some_and(|one| one.resource().is_invalid);
        let resource = resource.value.and_then(|resource| resource.resource().cloned());
        let issuers = read_issuers(reader, config);
        let environment = EnvironmentConfig::read_section(reader, &Section::new(String::new(), None));
        fapi::check(reader, config);
        let organizations = match tenant {
            Some(tenant) => Vec::from([tenant.organization.clone()]),
            None => config.organizations().items().to_vec(),
        };
        let authorizer = Self {
            config,
            issuers,
            environment,
            default_return_to,
            resource,
            has_invalid_audience,
            tenant,
            organizations,
        };
        authorizer.check_issuers(reader);
        authorizer
    }

    /// Checks the rules of further issuers against those of the authorizer.
    fn check_issuers(&self, reader: &mut Reader<'_>) {
        let clients = self.config.clients();
        for (_, further) in self.config.issuers().value.map_or(&[][..], |list| &list.valid) {
            let (audience, own) = (further.audience(), further.clients());
            let accepts_no_audience = match audience.value {
                Some(audience) => audience.is_empty(),
                None => !audience.is_invalid && !own.is_absent() && self.expects_no_audience(),
            };
            let accepted = if own.is_absent() { &clients } else { &own };
            if accepts_no_audience && accepted.items().is_empty() && !accepted.is_invalid {
                let setting = if audience.is_absent() { own.place() } else { audience.place() };
                reader.error(
                    &setting,
                    "allows tokens without an audience: then clients must list the clients whose tokens are accepted",
                );
            }
            if audience.value.is_some() && self.lacks_audience() {
                reader.error(&audience.place(), "needs authorizer.audience, too");
            }
            let roles = further.roles_claim();
            if roles.value.is_some() && self.lacks_roles_claim() {
                reader.error(&roles.place(), "needs authorizer.roles_claim, too");
            }
        }
    }

    pub(super) fn config(&self) -> &AuthorizerConfig {
        self.config
    }

    pub(super) fn scope(&self) -> String {
        self.config.scope()
    }

    pub(super) fn organizations(&self) -> &[String] {
        &self.organizations
    }

    /// Whether every login has this parameter, which links cannot override.
    pub(super) fn fixes_parameter(&self, name: &str) -> bool {
        self.config.authorization_params().items().iter().any(|(one, _)| one == name)
    }

    pub(super) fn roles_claim(&self) -> Option<ClaimPath> {
        self.config.roles_claim().cloned()
    }

    /// The names of the claims with roles, and of those with rules of routes.
    fn required_claims(&self, routes: &[Route]) -> Vec<String> {
        let of_tokens = self.issuers.first().map_or(&[][..], |login| login.claims);
        let rules = routes.iter().flat_map(|route| &route.requirements.claims).chain(of_tokens).map(|rule| &rule.claim);
        let paths = self.config.roles_claim().value.into_iter().chain(rules);
        sorted(paths.map(ClaimPath::claim)).into_iter().map(Into::into).collect()
    }

    /// Whether the provider is Auth0.
    pub(super) fn is_auth0(&self) -> bool {
        self.config.kind().value == Some(&Type::Auth0)
    }

    /// Whether the tokens of the client are bound to a key of its own.
    pub(super) fn binds_tokens(&self) -> bool {
        !self.config.dpop_key().is_absent()
    }

    /// Whether no claim lists roles.
    pub(super) fn lacks_roles_claim(&self) -> bool {
        self.config.roles_claim().is_absent()
    }

    /// The issuers at which clients can request tokens; `None` if these are those of every tenant.
    pub(super) fn authorization_servers(&self) -> Option<Vec<String>> {
        let tenants = self.config.tenants().value;
        let servers = self.issuers.iter().map(|one| match tenants {
            Some(tenants) => tenants.issuers(&one.template),
            None => Some(Vec::from([one.template.clone()])),
        });
        servers.collect::<Option<Vec<_>>>().map(|servers| servers.concat())
    }

    /// The audience of all routes: as configured, or the protected resource.
    fn audience(&self) -> &[String] {
        let configured = self.config.audience().items();
        if configured.is_empty() && !self.expects_no_audience() { self.resource.as_slice() } else { configured }
    }

    /// Whether no audience is configured for all routes.
    pub(super) fn lacks_audience(&self) -> bool {
        self.audience().is_empty() && !self.has_invalid_audience && !self.expects_no_audience()
    }

    /// Whether only tokens without an audience are accepted.
    pub(super) fn expects_no_audience(&self) -> bool {
        self.config.audience().value.is_some_and(Vec::is_empty)
    }

    /// Whether neither the callback's URL nor the site's origin is configured.
    pub(super) fn lacks_redirect_uri(&self) -> bool {
        self.config.redirect_uri().is_absent() && self.environment.base_url().is_absent()
    }

    /// Whether some tokens are refused whatever the route requires: those of other clients, or without required claims.
    pub(super) fn restricts_tokens(&self) -> bool {
        let is_restricted = |one: &Issuer<'_>| {
            !one.claims.is_empty() || one.own.clients.as_ref().is_some_and(|clients| !clients.is_empty())
        };
        !self.config.clients().items().is_empty() || self.issuers.iter().any(is_restricted)
    }

    /// Whether callers may come from several issuers, or tenants.
    pub(super) fn has_several_issuers(&self) -> bool {
        // The first is the cheap one: there may be a thousand, and this is asked for every route.
        self.issuers.len() > 1 || self.authorization_servers().is_none_or(|issuers| issuers.len() > 1)
    }

    /// Where bearer tokens are read.
    pub(super) fn token_sources(
        &self,
        reader: &mut Reader<'_>,
        session: &SessionConfig,
        routes: &[Route],
    ) -> Vec<TokenSource> {
        let sources = token_from::check(reader, &self.config.token_from(), &session.cookie(), routes);
        if !sources.is_empty() && !sources.iter().any(TokenSource::is_authorization) {
            if self.resource.is_some() {
                reader.error(
                    "authorizer.token_from",
                    "must have { \"header\": \"Authorization\" } for protected_resource, whose clients send tokens there",
                );
            } else if self.config.dpop() != Acceptance::Off {
                reader.error(
                    "authorizer.token_from",
                    "must have { \"header\": \"Authorization\" } for authorizer.dpop, whose tokens are sent there",
                );
            }
        }
        sources
    }

    /// The claims with roles, sorted by issuer; none if no issuer has its own.
    pub(super) fn roles_claims(&self) -> Vec<(String, ClaimPath)> {
        let mut claims: Vec<(String, ClaimPath)> = Vec::new();
        let has_own = self.issuers.iter().any(|one| one.own.roles_claim.is_some());
        for one in self.issuers.iter().filter(|_| has_own) {
            if let Some(claim) = one.own.roles_claim.as_ref().or(self.config.roles_claim().value) {
                let at = claims.partition_point(|(other, _)| *other < one.template);
                claims.insert(at, (one.template.clone(), claim.clone()));
            }
        }
        claims
    }

    /// The destination of a login that names no page, if it is on the gateway's own origin.
    pub(super) fn after_login(&self) -> Option<Destination> {
        if let Some(page) = &self.default_return_to {
            let path = page.as_str().split('?').next().unwrap_or_default();
            return Some(Destination { place: "login.default_return_to", path: path.into() });
        }
        self.own_path(AFTER_LOGIN, &self.config.callback_uri())
    }

    /// The destination of a logout, likewise.
    pub(super) fn after_logout(&self) -> Option<Destination> {
        let place = "authorizer.post_logout_uri";
        let (callback_uri, post_logout_uri) = (self.config.callback_uri(), self.config.post_logout_uri());
        if post_logout_uri.is_absent() && !callback_uri.is_absent() {
            // The root of the origin where logins end.
            return self.own_path(place, &callback_uri).map(|_| Destination { place, path: "/".into() });
        }
        self.own_path(place, &post_logout_uri)
    }

    fn own_path(&self, place: &'static str, setting: &Setting<'_, String>) -> Option<Destination> {
        if setting.is_absent() {
            return Some(Destination { place, path: "/".into() });
        }
        let url = HttpUrl::parse(setting.value?)?;
        let own = self.config.redirect_uri().value.or(self.environment.base_url().value)?;
        let is_own = HttpUrl::parse(own).is_some_and(|own| own.authority.eq_ignore_ascii_case(url.authority));
        is_own.then(|| Destination { place, path: url.path().into() })
    }

    /// The gateway's own callback: as configured, or the callback route on the site's own origin.
    pub(super) fn redirect_uri(&self, callback_path: Option<&str>) -> Option<String> {
        let from_base = || Some(format!("{}{}", self.environment.base_url().value?, callback_path?));
        let uri = self.config.redirect_uri().cloned().or_else(from_base)?;
        // The callback of a host with an organization is on that host, where the cookies of its logins are.
        self.at_tenant(uri)
    }

    /// Returns a URL as it is on the host of the organization, if there is one.
    fn at_tenant(&self, uri: String) -> Option<String> {
        let Some(tenant) = self.tenant else { return Some(uri) };
        let parts = HttpUrl::parse(&uri)?;
        let scheme = if uri.starts_with("http:") { "http://" } else { "https://" };
        Some(concat(&[scheme, &tenant.host, parts.path_and_query]))
    }

    /// Returns where the browser goes after a login or logout: a page on the host of the callback moves with it.
    fn destination(&self, setting: &Setting<'_, String>) -> Option<String> {
        let uri = setting.cloned()?;
        if self.own_path("", setting).is_some() { self.at_tenant(uri) } else { Some(uri) }
    }

    /// The audiences that access tokens may have.
    fn accepted_audience(&self, routes: &[Route]) -> Vec<String> {
        let protected = routes.iter().filter(|route| route.auth != Auth::None);
        let mut audience = self.audience().to_vec();
        if audience.is_empty() && !self.expects_no_audience() {
            // Every protected route requires an audience of its own then.
            audience.extend(protected.flat_map(|route| route.requirements.audience.iter().cloned()));
        }
        audience
    }

    /// The verifier for the bearer tokens of all routes; `None` if no route asks for a token.
    pub(super) fn verifier(&self, reader: &mut Reader<'_>, routes: &[Route]) -> Option<Verifier> {
        let audience = self.accepted_audience(routes);
        // Without an audience no token is accepted, unless tokens have none.
        if audience.is_empty() && (!self.expects_no_audience() || self.config.clients().items().is_empty()) {
            return None;
        }
        let mut verifier: Option<Verifier> = None;
        for one in &self.issuers {
            let clients = one.own.clients.as_deref().unwrap_or(self.config.clients().items());
            let is_restricted = |route: &Route| restricts_origin(&one.issuer, &route.requirements.claims);
            let mut open = routes.iter().filter(|route| route.auth != Auth::None && route.accepts_bearer());
            if serves_everyone(&one.issuer)
                && clients.is_empty()
                && !restricts_origin(&one.issuer, one.claims)
                && !open.all(is_restricted)
            {
                reader.error(&one.claims_place, NEEDS_ORIGIN);
            }
            if clients.is_empty() && one.own.audience.as_ref().unwrap_or(&audience).is_empty() {
                // That tokens without an audience need clients has been reported.
                return None;
            }
            let policy = match self.policy(one, &audience) {
                Ok(policy) => policy,
                Err(reason) => {
                    reader.error("authorizer", reason);
                    return None;
                }
            };
            let keys = self.keys_of(one);
            verifier = Some(match verifier {
                None => Verifier::new(policy, keys),
                Some(verifier) => verifier.and_issuer(policy, keys),
            });
        }
        match decryption_keys::keys(reader, &self.config.decryption_keys()) {
            keys if keys.is_empty() => verifier,
            keys => verifier.map(|verifier| verifier.decrypt_with(keys)),
        }
    }

    /// How the provider is asked about opaque tokens, if it is. `verifier` has the policy of the issuer's tokens.
    pub(super) fn introspection(
        &self,
        reader: &mut Reader<'_>,
        verifier: Option<&Arc<Verifier>>,
    ) -> Option<Introspection> {
        let (config, setting) = (self.config, self.config.introspection());
        let (section, issuer) = (setting.value?, self.issuers.first()?);
        let lacks_secret = match config.client_auth() {
            ClientAuthMethod::Post | ClientAuthMethod::Basic => config.client_secret().is_absent(),
            ClientAuthMethod::PrivateKeyJwt | ClientAuthMethod::Tls => false,
            ClientAuthMethod::None => true,
        };
        if config.client_id().is_absent() || lacks_secret {
            reader.error(
                &setting.place(),
                "needs authorizer.client_id and client_secret: the endpoint authenticates the client",
            );
            return None;
        }
        let auth = client_keys::client_auth(reader, config, config.is_fapi());
        if self.is_auth0() && section.endpoint().is_absent() {
            reader.error(&setting.place(), "needs an endpoint: Auth0 has none of its own");
            return None;
        }
        if self.lacks_audience() {
            reader.error(&setting.place(), "needs authorizer.audience: without it no access token is accepted");
            return None;
        }
        let (id, verifier) = (config.client_id().cloned()?, verifier?);
        let keys = verifier.keys().next().cloned()?;
        let metadata = keys.metadata().cloned().unwrap_or_else(|| {
            Arc::new(MetadataCache::new(issuer.issuer.clone()).allow_http(config.allow_http().items()))
        });
        let answers = Policy::id_token(&issuer.template, &id, &config.accepted_algorithms())
            .map(|policy| config.tenants().cloned().into_iter().fold(policy, Policy::tenants))
            .and_then(|policy| policy.clock_skew_s(config.clock_skew_s()))
            .map(|policy| self.audience().iter().cloned().fold(policy, Policy::trust_audience).for_introspection())
            .map_err(|reason| reader.error("authorizer", reason))
            .ok()?;
        Some(Introspection {
            client: Client::without_login(id, auth, config.mtls_binding().cloned()),
            endpoint: section.endpoint().cloned(),
            metadata,
            keys,
            answers,
            is_signed: section.signed(),
            tokens: Arc::clone(verifier),
            cache_ms: i64::from(section.cache_s()) * 1000,
            cache: IntrospectionCache::default(),
        })
    }

    fn keys_of(&self, one: &Issuer) -> KeyCache {
        match &one.keys {
            Keys::Fixed(set) => KeyCache::fixed(one.issuer.clone(), set.clone()),
            Keys::Fetched(source) => KeyCache::new(one.issuer.clone(), source.clone())
                .allow_http(self.config.allow_http().items())
                .max_modulus_bits(self.config.max_key_bits() as usize),
        }
    }

    /// The login client, of the first issuer. `access` verifies access tokens where a route needs them.
    pub(super) fn login(
        &self,
        reader: &mut Reader<'_>,
        routes: &[Route],
        session: &SessionConfig,
        access: Option<Arc<Verifier>>,
    ) -> Option<RelyingParty> {
        let config = self.config;
        let issuer = self.issuers.first()?;
        let (kind, auth) = (*config.kind().value?, config.client_auth());
        if config.client_id().is_absent() {
            reader.error("authorizer.client_id", "is missing, and there are login routes; or set AUTH0_CLIENT_ID");
            return None;
        }
        if config.client_secret().is_absent() && matches!(auth, ClientAuthMethod::Post | ClientAuthMethod::Basic) {
            reader.error(
                "authorizer.client_secret",
                "is missing: set it, or AUTH0_CLIENT_SECRET, or \"client_auth\": \"none\" for a public client",
            );
        }
        let id = config.client_id().cloned()?;
        let secrets = config.client_secret().items();
        let path_of = |wanted: &Integration| routes.iter().find(|route| route.integration == *wanted)?.pattern.path();
        // That it is missing has been reported.
        let redirect_uri = self.redirect_uri(path_of(&Integration::Callback).as_deref())?;
        let mut session_claims = session.claims().cloned();
        if let Some(claims) = &mut session_claims {
            // What routes use is stored, whatever is listed.
            let headers = routes.iter().filter_map(|route| route.integration.headers()).flatten();
            claims.extend(headers.filter_map(|(_, value)| value.claim()).map(String::from));
            if routes.iter().any(|route| !route.step_up.is_empty()) {
                claims.extend(["acr", "auth_time"].map(String::from));
            }
        }
        let clients = config.clients().items();
        if !clients.is_empty() && !clients.contains(&id) {
            reader.warn("authorizer.clients", "does not list client_id: no access token of a login grants anything");
        }
        let audience = self.accepted_audience(routes);
        let binding = LoginBinding { issuer: &issuer.issuer, client_id: &id, audience: &audience };
        let sessions = session.sessions(reader, secrets, binding);
        if let Some(domain) = &sessions.cookie.domain
            && !HttpUrl::parse(&redirect_uri).is_some_and(|url| is_within_domain(url.host, domain))
            && !reader.has_error_at("session.domain")
        {
            reader.error(
                "session.domain",
                "must be the host of authorizer.redirect_uri or a parent of it: browsers accept no cookie for another domain",
            );
        }
        let auth = client_keys::client_auth(reader, config, config.is_fapi());
        let tenants = config.tenants().cloned();
        let id_policy = Policy::id_token(&issuer.template, &id, &config.accepted_algorithms())
            .map(|policy| tenants.into_iter().fold(policy, Policy::tenants))
            .and_then(|policy| policy.clock_skew_s(config.clock_skew_s()))
            .map(|policy| policy.types(config.types().items().iter().cloned()))
            .map(|policy| policy.authorized_parties(clients.iter().cloned()))
            .map(|policy| config.trusted_audiences().items().iter().cloned().fold(policy, Policy::trust_audience))
            .map_err(|reason| reader.error("authorizer", reason))
            .ok()?;
        let subject_match = config.subject_match().value.map_or_else(SubjectMatch::default, |both| SubjectMatch {
            access_token: both.access_token(),
            id_token: both.id_token(),
        });
        let audience_parameter = config.audience_parameter().cloned().unwrap_or(match kind {
            Type::Auth0 => AudienceParameter::Audience,
            Type::Oidc | Type::Preset => AudienceParameter::Resource,
        });
        let client = Client {
            id,
            auth,
            redirect_uri,
            callback_uri: self.destination(&config.callback_uri()),
            default_return_to: self.default_return_to.clone().unwrap_or_default(),
            scope: config.scope(),
            audience: self.audience().first().filter(|_| audience_parameter != AudienceParameter::None).cloned(),
            audience_parameter: if audience_parameter == AudienceParameter::Audience { "audience" } else { "resource" },
            logout_parameter: config.logout_parameter().cloned().map_or(
                if kind == Type::Auth0 { AUTH0_LOGOUT_PARAMETER } else { STANDARD_LOGOUT_PARAMETER },
                |LogoutParameter(name)| name,
            ),
            authorization_params: config.authorization_params().items().to_vec(),
            organizations: self.organizations.clone(),
            required_claims: self.required_claims(routes),
            claim_rules: issuer.claims.to_vec(),
            subject_match,
            session_claims,
            userinfo_at_login: config.userinfo_at_login(),
            forwards_ip: config.forward_client_ip(),
            options: client_keys::request_options(reader, config, config.is_fapi()),
        };
        let keys = access.as_ref().and_then(|verifier| verifier.keys().next().cloned());
        let keys = keys.unwrap_or_else(|| Arc::new(self.keys_of(issuer)));
        let endpoints = self.endpoints(&issuer.issuer, &keys, true);
        Some(RelyingParty {
            after_logout: self.destination(&config.post_logout_uri()).unwrap_or_else(|| format!("{}/", client.home())),
            login_path: redirects::login_page(routes),
            client,
            sessions,
            id_policy,
            keys,
            endpoints,
            access,
            state: Shared::new(LoginState::default()),
        })
    }

    /// The provider's endpoints. `keys`: those of its issuer. `has_login`: whether users log in there.
    fn endpoints(&self, issuer: &str, keys: &KeyCache, has_login: bool) -> Endpoints {
        let (config, is_auth0) = (self.config, self.is_auth0());
        let has_certificate = config.mtls_binding().value.is_some();
        let kind = ProviderKind { has_certificate, is_auth0, has_no_login: !has_login };
        match keys.metadata() {
            // Whether there are endpoints for certificates, and what FAPI requires, only the metadata says.
            _ if is_auth0 && !kind.has_certificate && !config.is_fapi() => {
                Endpoints::Fixed(Arc::new(Provider::auth0(issuer)))
            }
            Some(metadata) => Endpoints::Discovered(Discovered::new(Arc::clone(metadata), kind)),
            None => {
                let metadata = MetadataCache::new(issuer.into()).allow_http(config.allow_http().items());
                Endpoints::Discovered(Discovered::new(Arc::new(metadata), kind))
            }
        }
    }

    /// The client that obtains tokens for upstreams, at the first issuer. `keys`: those of that issuer, if they are used already.
    pub(super) fn upstream_client(
        &self,
        reader: &mut Reader<'_>,
        session: &SessionConfig,
        keys: Option<&KeyCache>,
    ) -> Option<UpstreamClient> {
        let config = self.config;
        let issuer = self.issuers.first()?;
        let (client_id, client_secret) = (config.client_id(), config.client_secret());
        if client_id.is_absent() && !reader.has_error_at("authorizer.client_id") {
            reader.error(
                "authorizer.client_id",
                "is missing, and there are routes with upstream_auth; or set AUTH0_CLIENT_ID",
            );
        }
        if config.client_auth() == ClientAuthMethod::None {
            reader.error(
                "authorizer.client_auth",
                "is \"none\", and there are routes with upstream_auth: only a client with a secret obtains tokens for them",
            );
        } else if matches!(config.client_auth(), ClientAuthMethod::Post | ClientAuthMethod::Basic)
            && client_secret.is_absent()
            && !reader.has_error_at("authorizer.client_secret")
        {
            reader.error(
                "authorizer.client_secret",
                "is missing, and there are routes with upstream_auth: set it, or AUTH0_CLIENT_SECRET",
            );
        }
        let id = client_id.cloned()?;
        let of_client = match (config.audience_parameter().value, config.kind().value) {
            (Some(AudienceParameter::Audience), _) | (None | Some(AudienceParameter::None), Some(Type::Auth0)) => {
                "audience"
            }
            _ => "resource",
        };
        let of_exchange = if config.audience_parameter().value == Some(&AudienceParameter::Resource) {
            "resource"
        } else {
            "audience"
        };
        let own_keys;
        let keys = match keys {
            Some(keys) => keys,
            None => {
                own_keys = self.keys_of(issuer);
                &own_keys
            }
        };
        let binding = LoginBinding { issuer: &issuer.issuer, client_id: &id, audience: &[] };
        let sealer = Sealer::new(session.secrets().items(), binding);
        let auth = client_keys::client_auth(reader, config, config.is_fapi());
        let mut client = Client::without_login(id, auth, config.mtls_binding().cloned());
        client.options.proof_keys = client_keys::proof_keys(reader, config, config.is_fapi());
        Some(UpstreamClient {
            sealer,
            endpoints: self.endpoints(&issuer.issuer, keys, false),
            client,
            issuer: issuer.issuer.clone(),
            token_issuer: issuer.template.clone(),
            audience_parameters: [of_client, of_exchange],
            gate: Shared::new(EndpointGate::new(limits::UPSTREAM_TOKEN_LEASE_MS)),
        })
    }

    /// The policy of an issuer's tokens. `audience`: unless it has its own; none if tokens must have none.
    fn policy(&self, one: &Issuer<'_>, audience: &[String]) -> Result<Policy<Access>, crate::jwt::InvalidPolicy> {
        let (config, issuer, own) = (self.config, one.template.as_str(), &one.own);
        let clients = own.clients.as_deref().unwrap_or(config.clients().items()).iter().cloned();
        let algorithms = own.algorithms.clone().unwrap_or_else(|| config.accepted_algorithms());
        let audience = own.audience.as_deref().unwrap_or(audience);
        let policy = if audience.is_empty() {
            Policy::access_token_without_audience(issuer, clients, &algorithms)?
        } else {
            Policy::access_token(issuer, audience.iter().cloned(), &algorithms)?.clients(clients)
        };
        let mut policy = policy
            .clock_skew_s(config.clock_skew_s())?
            .profile(config.token_profile())
            .types(config.types().items().iter().cloned())
            .require(Requirements {
                organizations: self.organizations().to_vec(),
                claims: one.claims.to_vec(),
                ..Requirements::default()
            });
        if let Some(tenants) = config.tenants().cloned() {
            policy = policy.tenants(tenants);
        }
        if let Some(&seconds) = config.max_token_age_s().value {
            policy = policy.max_age_s(seconds);
        }
        if let Some(client_id) = config.client_id().cloned() {
            policy = policy.login_client(client_id);
        }
        Ok(policy)
    }
}

fn read_issuers<'c>(reader: &mut Reader<'_>, config: &'c AuthorizerConfig) -> Vec<Issuer<'c>> {
    let Some(&kind) = config.kind().value else { return Vec::new() };
    let max_key_bits = config.max_key_bits() as usize;
    let http_hosts = config.allow_http().items();
    let preset = (kind == Type::Preset).then_some(config);
    let first = IssuerSettings {
        preset,
        has_client: !config.client_id().is_absent(),
        tenants: config.tenants(),
        claims: config.claims(),
        http_hosts,
        domain: config.domain(),
        issuer: config.issuer(),
        jwks: config.jwks(),
        jwks_uri: config.jwks_uri(),
    };
    let mut issuers: Vec<Issuer<'c>> = first.read(reader, kind, max_key_bits).into_iter().collect();
    let mut names: Vec<String> = issuers.iter().map(|one| one.issuer.clone()).collect();
    for (place, further) in config.issuers().value.map_or(&[][..], |list| &list.valid) {
        let own = OwnRules {
            audience: further.audience().cloned(),
            algorithms: further.algorithms().cloned(),
            clients: further.clients().cloned(),
            roles_claim: further.roles_claim().cloned(),
        };
        let claims = if further.claims().is_absent() { config.claims() } else { further.claims() };
        let further = IssuerSettings {
            preset: None,
            has_client: false,
            tenants: config.tenants(),
            claims,
            http_hosts,
            domain: further.domain(),
            issuer: further.issuer(),
            jwks: further.jwks(),
            jwks_uri: further.jwks_uri(),
        };
        let Some(issuer) = further.read(reader, kind, max_key_bits) else { continue };
        match names.binary_search(&issuer.issuer) {
            Ok(_) => reader.error(place, "names the same issuer as another entry"),
            Err(at) => {
                names.insert(at, issuer.issuer.clone());
                issuers.push(Issuer { own, ..issuer });
            }
        }
    }
    let has_template = issuers.iter().any(|one| Tenants::has_template(&one.template));
    if !config.tenants().is_absent() && !issuers.is_empty() && !has_template {
        reader.error(&config.tenants().place(), "has no effect: no issuer has {tenantid} in it");
    }
    issuers
}

/// The keys that describe an issuer, in `authorizer` and in `authorizer.issuers[]`.
struct IssuerSettings<'c> {
    /// The section whose type stands for the issuer.
    preset: Option<&'c AuthorizerConfig>,
    /// Whether the gateway is a client of it, which uses its endpoints.
    has_client: bool,
    tenants: Setting<'c, Tenants>,
    claims: Setting<'c, Vec<ClaimRule>>,
    http_hosts: &'c [String],
    domain: Setting<'c, String>,
    issuer: Setting<'c, String>,
    jwks: Setting<'c, String>,
    jwks_uri: Setting<'c, String>,
}

impl<'c> IssuerSettings<'c> {
    fn read(&self, reader: &mut Reader<'_>, kind: Type, max_key_bits: usize) -> Option<Issuer<'c>> {
        let Self { preset, has_client, tenants, claims, http_hosts, domain, issuer, jwks, jwks_uri } = self;
        // Without these, the issuer is only compared: any text may be one (RFC 7519 §4.1.1).
        let is_fetched = *has_client || jwks.is_absent() && jwks_uri.is_absent();
        let template = match kind {
            Type::Auth0 if domain.is_absent() && issuer.is_absent() => {
                reader.error_missing(&domain.place(), "your Auth0 domain, or set AUTH0_DOMAIN");
                None
            }
            Type::Auth0 => {
                let given = if domain.is_absent() { issuer } else { domain };
                given.value.and_then(|text| auth0_issuer(reader, &given.place(), text))
            }
            Type::Oidc | Type::Preset if issuer.is_absent() => {
                reader.error_missing(&issuer.place(), "the provider's issuer URL");
                None
            }
            Type::Oidc | Type::Preset => issuer
                .cloned()
                .and_then(|text| filled_in(reader, preset.as_ref().copied(), text))
                .filter(|text| !is_fetched || is_identifier(reader, &issuer.place(), text, http_hosts)),
        };
        let has_template = template.as_deref().is_some_and(Tenants::has_template);
        if has_template && tenants.is_absent() && !reader.has_error_at(&tenants.place()) {
            reader.error_missing(&tenants.place(), "the ids of the tenants that the issuer may stand for, or \"any\"");
        }
        let issuer = template
            .as_ref()
            .map(|template| tenants.value.map_or_else(|| template.clone(), |tenants| tenants.issuer(template)));
        let keys_uri = jwks_uri.cloned().filter(|_| jwks.is_absent());
        let is_uri_absent = keys_uri.is_none();
        let keys_uri = keys_uri.and_then(|text| filled_in(reader, preset.as_ref().copied(), text));
        if keys_uri.is_none() && !is_uri_absent {
            return None;
        }
        let source = keys_uri.map(KeySource::Uri);
        let is_allowed = source.as_ref().is_none_or(|source| source.is_allowed("", http_hosts));
        if !is_allowed {
            reader.error(&jwks_uri.place(), NOT_SECURE);
        }
        let keys = if let Some(text) = jwks.value {
            let set = JwkSet::parse_with(text.as_bytes(), max_key_bits);
            if let Ok(set) = &set
                && !set.skipped().is_empty()
            {
                reader.warn(&jwks.place(), format_args!("has keys that are skipped: {}", set.reasons()));
            }
            set.map(Keys::Fixed).map_err(|reason| reader.error(&jwks.place(), reason)).ok()
        } else if let Some(source) = source {
            is_allowed.then_some(Keys::Fetched(source))
        } else {
            issuer.as_ref().filter(|_| !jwks.is_invalid && !jwks_uri.is_invalid).map(|issuer| {
                Keys::Fetched(match kind {
                    Type::Auth0 => KeySource::Uri(format!("{issuer}.well-known/jwks.json")),
                    Type::Oidc | Type::Preset => KeySource::Discovery,
                })
            })
        };
        let (claims_place, claims) = (claims.place(), claims.items());
        Some(Issuer {
            template: template?,
            issuer: issuer?,
            keys: keys?,
            claims,
            claims_place,
            own: OwnRules::default(),
        })
    }
}

/// Fills in the keys that stand for parts of a preset's URL. `None` if one is missing or cannot be part of it, which is reported.
fn filled_in(reader: &mut Reader<'_>, preset: Option<&AuthorizerConfig>, text: String) -> Option<String> {
    let Some(config) = preset else { return Some(text) };
    let mut parts = text.split('{');
    let mut out: String = parts.next().unwrap_or_default().into();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or(("", part));
        let audience = config.audience();
        let (place, value) = match name {
            "domain" => (config.domain().place(), config.domain().value),
            "client_id" => (config.client_id().place(), config.client_id().value),
            "audience" => (audience.place(), audience.items().first()),
            _ => {
                out.push('{');
                out.push_str(part);
                continue;
            }
        };
        match value {
            None if reader.has_error_at(&place) => return None,
            None => {
                reader.error_missing(&place, "the issuer or the URL of the keys is made from it");
                return None;
            }
            Some(value) if !is_host(value) => {
                reader.error(&place, "must be a bare name: the issuer or the URL of the keys is made from it");
                return None;
            }
            Some(value) => {
                out.push_str(value);
                out.push_str(rest);
            }
        }
    }
    Some(out)
}

/// The issuer of an Auth0 domain: `https://{domain}/`. The scheme and a trailing slash may be given; a port on loopback only,
/// where http is used.
fn auth0_issuer(reader: &mut Reader<'_>, path: &str, domain: &str) -> Option<String> {
    let bare = domain.strip_prefix("https://").or_else(|| domain.strip_prefix("http://")).unwrap_or(domain);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let valid = split_port(bare).filter(|(host, port)| {
        is_host(host)
            && if is_loopback(host) { port.is_none_or(|port| port.parse::<u16>().is_ok()) } else { port.is_none() }
    });
    let Some((host, _)) = valid else {
        reader.error(path, "must be a bare host name such as tenant.us.auth0.com");
        return None;
    };
    if is_loopback(host) {
        return Some(format!("http://{bare}/"));
    }
    if domain.starts_with("http://") {
        reader.error(path, "must not be http: it is allowed on loopback only");
        return None;
    }
    Some(format!("https://{}/", bare.to_ascii_lowercase()))
}

/// An https origin.
struct Origin;

impl Form for Origin {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        let url = reader.text(field)?;
        let origin = url.strip_suffix('/').unwrap_or(&url);
        let is_origin = HttpUrl::parse(origin).is_some_and(|url| url.is_secure() && url.path_and_query.is_empty());
        if !is_origin {
            reader.error(&field.place, "must be an https origin such as https://app.example.com");
        }
        is_origin.then(|| origin.to_string())
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }
}

/// Audiences; none for `false`.
pub(super) struct AudienceForm;

/// `any`, or the ids of tenants.
pub(super) struct TenantsForm;

/// Hosts, each with or without a port.
pub(super) struct HttpHosts;

/// Signature algorithms.
pub(super) struct Algorithms;

/// Organizations, or `false` for none.
pub(super) struct OrganizationsForm;

/// A key set, as JSON text.
pub(super) struct Jwks;

/// The scopes of a login.
pub(super) struct LoginScope;

/// A claim that identifies the user.
pub(super) struct UserClaim;

/// Parameters of the authorization request.
pub(super) struct Parameters;

impl Form for AudienceForm {
    type Value = Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
        match field.value {
            Value::Bool(false) => return Some(Vec::new()),
            Value::String(_) | Value::Array(_) => {}
            _ => {
                reader.error(&field.place, "must be a string, a list of strings, or false");
                return None;
            }
        }
        let audience = Texts::read(reader, field)?;
        if audience.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        Some(audience)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![reference::Form::Texts, reference::Form::Literal("false")])
    }
}

impl Form for TenantsForm {
    type Value = Tenants;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Tenants> {
        let ids = Texts::read(reader, field)?;
        if ids == ["any"] {
            return Some(Tenants::Any);
        }
        let are_valid = !ids.is_empty() && ids.iter().all(|id| Tenants::is_id(id));
        if !are_valid {
            reader.error(&field.place, "must be \"any\" or the ids of tenants, GUIDs in lower case");
        }
        are_valid.then_some(Tenants::Only(ids))
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

impl Form for HttpHosts {
    type Value = Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
        let hosts = Texts::read(reader, field)?;
        let is_valid = |host: &String| {
            split_port(host).is_some_and(|(host, port)| {
                is_host(host)
                    && port.is_none_or(|port| {
                        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
                    })
            })
        };
        let are_valid = hosts.iter().all(is_valid);
        if !are_valid {
            reader.error(&field.place, "must hold hosts, such as keys.internal or keys.internal:8080");
        }
        are_valid.then_some(hosts)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

impl Form for Algorithms {
    type Value = Vec<Algorithm>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Algorithm>> {
        let names = Texts::read(reader, field)?;
        if names.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        let algorithms: Option<Vec<_>> = names.iter().map(|name| Algorithm::from_name(name)).collect();
        if algorithms.is_none() {
            let supported = Algorithm::ALL.map(Algorithm::name).join(", ");
            reader.error(&field.place, format_args!("has an unsupported algorithm; supported are {supported}"));
        }
        algorithms
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::ListOf([Algorithm::ALL.map(Algorithm::name).as_slice(), &["Ed25519"]].concat())
    }

    #[cfg(test)]
    fn shown(value: &Vec<Algorithm>) -> String {
        format!("{:?}", value.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>())
    }
}

impl Form for Jwks {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        match field.value {
            Value::Object(_) => Some(field.value.to_json()),
            _ => reader.text(field),
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Jwks
    }
}

impl Form for OrganizationsForm {
    type Value = Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
        match field.value {
            Value::Bool(false) => Some(Vec::from([String::new()])),
            _ => OneOf::read(reader, field),
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![reference::Form::Texts, reference::Form::Literal("false")])
    }
}

impl Check for LoginScope {
    type Base = Text;

    const MESSAGE: &'static str = "must have the word \"openid\": without it there is no ID token, and no login";

    fn is_valid(scope: &String) -> bool {
        scope.split(' ').any(|word| word == "openid")
    }
}

impl Form for Parameters {
    type Value = Vec<(String, String)>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        let Some(object) = field.value.as_object() else {
            reader.error(&field.place, "must be an object of parameter names and values");
            return None;
        };
        let mut parameters = Vec::new();
        for (name, value) in object.iter() {
            let at = Field::new(format!("{}.{name}", field.place), value);
            if name == "response_mode" {
                reader.error(
                    &at.place,
                    "must be left out: only \"query\" is supported, the default; the callback reads no form (\"form_post\")",
                );
            } else if OWN_PARAMETERS.contains(&name) {
                reader.error(
                    &at.place,
                    "is set by the gateway: see authorizer.scope, audience, audience_parameter and organizations",
                );
            } else if name.is_empty() {
                reader.error(&at.place, "needs a name");
            } else {
                parameters.extend(reader.text(&at).map(|value| (name.to_string(), value)));
            }
        }
        Some(parameters)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Headers
    }
}

impl Check for UserClaim {
    type Base = Text;

    const MESSAGE: &'static str = "must be a claim that names the user, such as sub";

    fn is_valid(name: &String) -> bool {
        is_about_user(name)
    }
}
