//! The rules that tokens are verified by.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::token::without_application;
use super::{Algorithm, Requirements, Tenants, UntrustedToken, VerifiedToken};
use crate::error::VerifyError;
use crate::io::UnixTime;
use crate::jwk::JwkSet;
use crate::limits;
use crate::url::tenant_in;

/// The rules for tokens of one kind: [`Access`] tokens or [`Id`] tokens. Issuer, audience and algorithms are mandatory.
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::jwk::JwkSet;
/// use edgeward::jwt::{Algorithm, Policy};
///
/// # use edgeward::testing::Issuer;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (issuer, now) = (Issuer::new("https://tenant.us.auth0.com/"), UnixTime::from_secs(1_800_000_000));
/// # let (jwks, token) = (issuer.jwks(), issuer.access_token("https://api.example.com", now).sign());
/// let policy = Policy::access_token(issuer.url(), ["https://api.example.com"], &[Algorithm::Rs256])?
///     .max_age_s(3600)
///     .require_claim("client_id");
///
/// let verified = policy.verify(&token, &JwkSet::parse(jwks.as_bytes())?, now)?;
/// assert_eq!(verified.claims().subject(), Some("user-1"));
/// # Ok(())
/// # }
/// ```
pub struct Policy<K> {
    /// Boxed: policies are built step by step, and each step moves them.
    pub(crate) rules: Box<Rules>,
    kind: PhantomData<fn() -> K>,
}

/// The kind of OAuth 2.0 access tokens in JWT form (RFC 9068, and earlier profiles).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {}

/// The kind of OpenID Connect ID tokens (OpenID Connect Core §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {}

/// Either kind, chosen at run time: for bindings to languages without such types. It cannot be converted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Any {}

/// The rules of a policy of either kind. Not generic, so that verification is compiled once.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(super) kind: Kind,
    pub(super) issuer: String,
    /// The accepted tenants, if the issuer holds `{tenantid}`.
    pub(super) tenants: Option<Tenants>,
    /// Empty for access tokens that must have no audience.
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    /// Accepted values of the header's `typ` besides those of the kind.
    pub(super) types: Vec<String>,
    pub(super) clock_skew_s: u32,
    pub(super) max_age_s: Option<u32>,
    pub(super) required: Vec<(String, Option<String>)>,
    pub(super) requirements: Requirements,
}

/// The kind of token, with the rules for that kind only.
#[derive(Clone)]
pub(super) enum Kind {
    Access(AccessRules),
    Id(IdRules),
}

#[derive(Clone, Default)]
pub(super) struct AccessRules {
    pub(super) profile: Profile,
    /// The login client, to recognise its ID tokens and report them as such.
    pub(super) login_client: Option<String>,
    /// The clients whose tokens are accepted; all if empty.
    pub(super) clients: Vec<String>,
}

#[derive(Clone)]
pub(super) struct IdRules {
    pub(super) client_id: String,
    /// Accepted values of `azp` besides the client.
    pub(super) clients: Vec<String>,
    pub(super) nonce: Option<String>,
    /// The access token that `at_hash` must match, if the token has one.
    pub(super) at_hash: Option<AtHash>,
    /// The statement of the provider that these are the rules of.
    pub(super) statement: Statement,
}

/// A signed statement of the provider to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    IdToken,
    /// A userinfo response (OpenID Connect Core §5.3.2).
    Userinfo,
    /// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
    Logout,
    /// A signed answer of an introspection (RFC 9701 §5).
    Introspection,
}

/// The access token that `at_hash` must match.
#[derive(Clone)]
pub(super) struct AtHash(pub(super) String);

/// The profile of access tokens to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Both [`Auth0`](Self::Auth0) and [`Rfc9068`](Self::Rfc9068).
    #[default]
    Auto,
    /// Auth0's profile: `typ` is `JWT` or absent.
    Auth0,
    /// RFC 9068: `typ` is `at+jwt`; `sub`, `client_id`, `iat` and `jti` are required.
    Rfc9068,
}

/// Why a policy is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The issuer is empty.
    NoIssuer,
    /// There is no audience, or an empty one.
    NoAudience,
    /// There is no client, or an empty one, where tokens have no audience.
    NoClient,
    /// The list of algorithms is empty.
    NoAlgorithms,
    /// The clock skew exceeds [`limits::MAX_CLOCK_SKEW_S`].
    ClockSkewTooLarge,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIssuer => f.write_str("issuer must not be empty"),
            Self::NoAudience => f.write_str("at least one audience is required, and none may be empty"),
            Self::NoClient => {
                f.write_str("without an audience, at least one client is required, and none may be empty")
            }
            Self::NoAlgorithms => f.write_str("at least one algorithm is required"),
            Self::ClockSkewTooLarge => write!(f, "clock skew must be at most {} s", limits::MAX_CLOCK_SKEW_S),
        }
    }
}

impl core::error::Error for InvalidPolicy {}

impl Policy<Access> {
    /// Creates a policy for access tokens: `iss` equals `issuer`, `aud` contains one of `audience`, `alg` is one of `algorithms`.
    ///
    /// # Errors
    /// If one of them is empty.
    pub fn access_token<A: Into<String>>(
        issuer: impl Into<String>,
        audience: impl IntoIterator<Item = A>,
        algorithms: &[Algorithm],
    ) -> Result<Self, InvalidPolicy> {
        let audience: Vec<String> = audience.into_iter().map(Into::into).collect();
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(InvalidPolicy::NoAudience);
        }
        Self::new(Kind::Access(AccessRules::default()), issuer.into(), audience, algorithms)
    }

    /// Creates a policy for access tokens without an audience, issued to one of `clients` (`client_id`, else `azp`). A token that has an
    /// audience is refused: it is meant for another API.
    ///
    /// # Errors
    /// If an argument is empty.
    pub fn access_token_without_audience<C: Into<String>>(
        issuer: impl Into<String>,
        clients: impl IntoIterator<Item = C>,
        algorithms: &[Algorithm],
    ) -> Result<Self, InvalidPolicy> {
        let clients: Vec<String> = clients.into_iter().map(Into::into).collect();
        if clients.is_empty() || clients.iter().any(String::is_empty) {
            return Err(InvalidPolicy::NoClient);
        }
        let rules = AccessRules { clients, ..AccessRules::default() };
        Self::new(Kind::Access(rules), issuer.into(), Vec::new(), algorithms)
    }

    /// Accepts only tokens of this profile; the default is [`Profile::Auto`].
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        self.with_access_rules(|rules| rules.profile = profile)
    }

    /// Sets the login client, so that its ID tokens are recognised when sent in place of access tokens.
    #[must_use]
    pub fn login_client(self, id: impl Into<String>) -> Self {
        self.with_access_rules(|rules| rules.login_client = Some(id.into()))
    }

    /// Accepts only tokens issued to these clients (`client_id`, else `azp`).
    #[must_use]
    pub fn clients<C: Into<String>>(self, clients: impl IntoIterator<Item = C>) -> Self {
        self.with_access_rules(|rules| rules.clients.extend(clients.into_iter().map(Into::into)))
    }

    fn with_access_rules(mut self, change: impl FnOnce(&mut AccessRules)) -> Self {
        // Always true: `access_token` is the only constructor.
        if let Kind::Access(rules) = &mut self.rules.kind {
            change(rules);
        }
        self
    }
}

impl Policy<Id> {
    /// Creates a policy for ID tokens (OpenID Connect Core §3.1.3.7): `aud` is `client_id`, and nothing else unless
    /// [trusted](Self::trust_audience).
    ///
    /// # Errors
    /// If an argument is empty.
    pub fn id_token(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        algorithms: &[Algorithm],
    ) -> Result<Self, InvalidPolicy> {
        let client_id = client_id.into();
        if client_id.is_empty() {
            return Err(InvalidPolicy::NoAudience);
        }
        let audience = Vec::from([client_id.clone()]);
        let rules =
            IdRules { client_id, clients: Vec::new(), nonce: None, at_hash: None, statement: Statement::IdToken };
        Self::new(Kind::Id(rules), issuer.into(), audience, algorithms)
    }

    /// Requires this `nonce`.
    #[must_use]
    pub fn nonce(self, sent: impl Into<String>) -> Self {
        self.with_id_rules(|rules| rules.nonce = Some(sent.into()))
    }

    /// Requires that `at_hash`, if present, matches this access token.
    #[must_use]
    pub fn at_hash_of(self, access_token: impl Into<String>) -> Self {
        self.with_id_rules(|rules| rules.at_hash = Some(AtHash(access_token.into())))
    }

    /// Returns the policy for signed userinfo responses to the same client: `iss`, `aud` and `exp` may be absent, and the caller compares
    /// `sub` (OpenID Connect Core §5.3.2).
    #[cfg(feature = "gateway")]
    pub(crate) fn for_userinfo(self) -> Self {
        self.with_id_rules(|rules| rules.statement = Statement::Userinfo)
    }

    /// Returns the policy for logout tokens to the same client: what they say is checked by the caller (OpenID Connect Back-Channel
    /// Logout 1.0 §2.6).
    #[cfg(feature = "gateway")]
    pub(crate) fn for_logout(self) -> Self {
        self.with_id_rules(|rules| rules.statement = Statement::Logout).types(["logout+jwt"])
    }

    /// Returns the policy for signed answers of introspections, of which one audience must be accepted; the token's claims are checked by the
    /// caller (RFC 9701 §5).
    #[cfg(feature = "gateway")]
    pub(crate) fn for_introspection(self) -> Self {
        self.with_id_rules(|rules| rules.statement = Statement::Introspection)
    }

    /// Allows one more audience besides the client.
    #[must_use]
    pub fn trust_audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audience.push(audience.into());
        self
    }

    /// Accepts tokens whose `azp` is one of these, besides the client itself: at some providers, the app that a user logs in with.
    #[must_use]
    pub fn authorized_parties<C: Into<String>>(self, clients: impl IntoIterator<Item = C>) -> Self {
        self.with_id_rules(|rules| rules.clients.extend(clients.into_iter().map(Into::into)))
    }

    fn with_id_rules(mut self, change: impl FnOnce(&mut IdRules)) -> Self {
        // Always true: `id_token` is the only constructor.
        if let Kind::Id(rules) = &mut self.rules.kind {
            change(rules);
        }
        self
    }
}

impl From<Policy<Access>> for Policy<Any> {
    fn from(policy: Policy<Access>) -> Self {
        Self { rules: policy.rules, kind: PhantomData }
    }
}

impl From<Policy<Id>> for Policy<Any> {
    fn from(policy: Policy<Id>) -> Self {
        Self { rules: policy.rules, kind: PhantomData }
    }
}

impl<K> Policy<K> {
    fn new(kind: Kind, issuer: String, audience: Vec<String>, algorithms: &[Algorithm]) -> Result<Self, InvalidPolicy> {
        if issuer.is_empty() {
            return Err(InvalidPolicy::NoIssuer);
        }
        if algorithms.is_empty() {
            return Err(InvalidPolicy::NoAlgorithms);
        }
        let rules = Rules {
            kind,
            issuer,
            tenants: None,
            audience,
            algorithms: algorithms.to_vec(),
            types: Vec::new(),
            clock_skew_s: limits::DEFAULT_CLOCK_SKEW_S,
            max_age_s: None,
            required: Vec::new(),
            requirements: Requirements::default(),
        };
        Ok(Self { rules: Box::new(rules), kind: PhantomData })
    }

    /// Returns the issuer whose tokens are accepted.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// Returns whether the claims of a session are of an accepted tenant, or there are no tenants.
    #[cfg(feature = "gateway")]
    pub(crate) fn admits_tenant(&self, claims: &super::Claims) -> bool {
        let Rules { tenants, issuer, .. } = &*self.rules;
        let Some(tenants) = tenants else { return true };
        match tenants.single() {
            Some(_) => claims.issuer() == Some(issuer),
            None => claims
                .issuer()
                .and_then(|named| tenant_in(issuer, named))
                .is_some_and(|tenant| tenants.contains(tenant)),
        }
    }

    /// Returns whether tokens of this issuer may be accepted.
    #[cfg(feature = "gateway")]
    pub(crate) fn names_issuer(&self, issuer: &str) -> bool {
        self.rules.names_issuer(issuer)
    }

    /// Returns the accepted algorithms.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.rules.algorithms
    }

    /// Verifies `token` as of `now`: its form, its signature with the key of `keys` that it names, then its claims (RFC 7519 §7.2).
    ///
    /// A token with an algorithm that the policy does not list is refused before any key is used. The result contains nothing from
    /// unverified bytes.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify(&self, token: &str, keys: &JwkSet, now: UnixTime) -> Result<VerifiedToken<K>, VerifyError> {
        let token = UntrustedToken::parse(token)?;
        let algorithm = self.rules.check_header(token.header())?;
        let key = keys.select(token.header().kid(), algorithm)?;
        self.rules.verify(token, key, now).and_then(|token| VerifiedToken::unbound(Arc::new(token)))
    }

    /// Sets the tolerated clock skew; the default is [`limits::DEFAULT_CLOCK_SKEW_S`].
    ///
    /// # Errors
    /// If it exceeds [`limits::MAX_CLOCK_SKEW_S`].
    pub fn clock_skew_s(mut self, seconds: u32) -> Result<Self, InvalidPolicy> {
        if seconds > limits::MAX_CLOCK_SKEW_S {
            return Err(InvalidPolicy::ClockSkewTooLarge);
        }
        self.rules.clock_skew_s = seconds;
        Ok(self)
    }

    /// Requires `iat`, and refuses tokens issued longer ago than this.
    #[must_use]
    pub fn max_age_s(mut self, seconds: u32) -> Self {
        self.rules.max_age_s = Some(seconds);
        self
    }

    /// Accepts the tokens of these tenants, if the issuer holds `{tenantid}`: `iss` has the tenant of the claim `tid` in its place. With a
    /// single tenant, the issuer is that tenant's. Has no effect on other issuers; without it, `{tenantid}` is matched by no token.
    #[must_use]
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        if Tenants::has_template(&self.rules.issuer) {
            self.rules.issuer = tenants.issuer(&self.rules.issuer);
            self.rules.tenants = Some(tenants);
        }
        self
    }

    /// Accepts tokens of these types, too: values of the header's `typ`, with or without `application/`.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.rules.types.extend(types.into_iter().map(|typ| without_application(&typ.into()).into()));
        self
    }

    /// Requires a claim, with any value.
    #[must_use]
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.rules.required.push((name.into(), None));
        self
    }

    /// Requires a claim with exactly this string as its value.
    #[must_use]
    pub fn require_claim_value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.rules.required.push((name.into(), Some(value.into())));
        self
    }

    /// Requires these rights of every token.
    #[must_use]
    pub fn require(mut self, requirements: Requirements) -> Self {
        self.rules.requirements = requirements;
        self
    }
}

impl Rules {
    /// Returns the issuer whose tokens are accepted.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the accepted audiences; empty for tokens without one.
    #[cfg(feature = "gateway")]
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audience
    }

    /// Returns the accepted algorithms.
    pub(crate) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns the tolerated difference of the clocks, in seconds.
    #[cfg(feature = "gateway")]
    pub(crate) const fn clock_skew_s(&self) -> u32 {
        self.clock_skew_s
    }

    /// Returns whether the issuer is a template of those of tenants.
    pub(crate) fn has_tenants(&self) -> bool {
        self.tenants.is_some()
    }

    /// Returns whether tokens of this issuer may be accepted: it is the configured one, or that of a tenant.
    pub(crate) fn names_issuer(&self, issuer: &str) -> bool {
        self.issuer == issuer || self.tenants.is_some() && tenant_in(&self.issuer, issuer).is_some()
    }
}

impl<K> Clone for Policy<K> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Policy<K> {
    /// Omits nonce and access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("issuer", &self.rules.issuer)
            .field("audience", &self.rules.audience)
            .field("algorithms", &self.rules.algorithms)
            .finish_non_exhaustive()
    }
}
