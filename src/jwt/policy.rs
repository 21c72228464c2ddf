//! What a verifier demands of every token.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Algorithm, Demands};
use crate::limits;

/// Everything a token must satisfy. Issuer, audience and algorithms have no defaults: there is no policy without them.
#[derive(Clone)]
pub struct Policy {
    pub(super) kind: Kind,
    pub(super) issuer: String,
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) clock_skew_s: u32,
    pub(super) max_age_s: Option<u32>,
    pub(super) clients: Vec<String>,
    pub(super) required: Vec<(String, Option<String>)>,
    pub(super) demands: Demands,
}

/// Which kind of token, and what only that kind demands.
#[derive(Clone)]
pub(super) enum Kind {
    Access {
        profile: Profile,
        /// The login client, to recognise its ID tokens and say so.
        client_id: Option<String>,
    },
    Id {
        client_id: String,
        nonce: Option<String>,
        /// What `at_hash` must be, if the token has one.
        at_hash: Option<AtHash>,
    },
}

/// The access token that `at_hash` must match.
#[derive(Clone)]
pub(super) struct AtHash(pub(super) String);

/// The form of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Both of the others.
    #[default]
    Auto,
    /// Auth0's own: `typ` is `JWT` or absent.
    Auth0,
    /// RFC 9068: `typ` is `at+jwt`; `sub`, `client_id`, `iat` and `jti` are required.
    Rfc9068,
}

/// Why a policy cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The issuer is empty.
    NoIssuer,
    /// There is no audience, or an empty one.
    NoAudience,
    /// The list of algorithms is empty.
    NoAlgorithms,
    /// The clock skew exceeds [`limits::MAX_CLOCK_SKEW_S`].
    ClockSkewTooLarge,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIssuer => f.write_str("issuer must not be empty"),
            Self::NoAudience => f.write_str("at least one audience is needed, none of them empty"),
            Self::NoAlgorithms => f.write_str("at least one algorithm is needed"),
            Self::ClockSkewTooLarge => write!(f, "clock skew must be at most {} s", limits::MAX_CLOCK_SKEW_S),
        }
    }
}

impl core::error::Error for InvalidPolicy {}

impl Policy {
    /// A policy for access tokens: `iss` equals `issuer`, `aud` contains one of `audience`, `alg` is one of `algorithms`.
    ///
    /// # Errors
    /// If one of them is empty.
    pub fn access_token<A: Into<String>>(
        issuer: impl Into<String>,
        audience: impl IntoIterator<Item = A>,
        algorithms: &[Algorithm],
    ) -> Result<Self, InvalidPolicy> {
        let kind = Kind::Access { profile: Profile::Auto, client_id: None };
        Self::new(kind, issuer.into(), audience.into_iter().map(Into::into).collect(), algorithms)
    }

    /// A policy for ID tokens (OpenID Connect Core §3.1.3.7): `aud` is `client_id`, and nothing else unless
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
        let audience = Vec::from([client_id.clone()]);
        Self::new(Kind::Id { client_id, nonce: None, at_hash: None }, issuer.into(), audience, algorithms)
    }

    fn new(kind: Kind, issuer: String, audience: Vec<String>, algorithms: &[Algorithm]) -> Result<Self, InvalidPolicy> {
        if issuer.is_empty() {
            return Err(InvalidPolicy::NoIssuer);
        }
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(InvalidPolicy::NoAudience);
        }
        if algorithms.is_empty() {
            return Err(InvalidPolicy::NoAlgorithms);
        }
        Ok(Self {
            kind,
            issuer,
            audience,
            algorithms: algorithms.to_vec(),
            clock_skew_s: limits::DEFAULT_CLOCK_SKEW_S,
            max_age_s: None,
            clients: Vec::new(),
            required: Vec::new(),
            demands: Demands::default(),
        })
    }

    /// The issuer whose tokens this accepts.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Tolerates clocks that differ by so many seconds; 5 unless set.
    ///
    /// # Errors
    /// Above [`limits::MAX_CLOCK_SKEW_S`].
    pub fn clock_skew_s(mut self, seconds: u32) -> Result<Self, InvalidPolicy> {
        if seconds > limits::MAX_CLOCK_SKEW_S {
            return Err(InvalidPolicy::ClockSkewTooLarge);
        }
        self.clock_skew_s = seconds;
        Ok(self)
    }

    /// Demands `iat`, at most so many seconds ago.
    #[must_use]
    pub fn max_age_s(mut self, seconds: u32) -> Self {
        self.max_age_s = Some(seconds);
        self
    }

    /// Accepts tokens of these clients only (`client_id`, else `azp`).
    #[must_use]
    pub fn clients<C: Into<String>>(mut self, clients: impl IntoIterator<Item = C>) -> Self {
        self.clients.extend(clients.into_iter().map(Into::into));
        self
    }

    /// Demands that the claim is there.
    #[must_use]
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.required.push((name.into(), None));
        self
    }

    /// Demands that the claim is there and is exactly this string.
    #[must_use]
    pub fn require_claim_value(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.required.push((name.into(), Some(value.into())));
        self
    }

    /// Demands these rights of every token.
    #[must_use]
    pub fn demand(mut self, demands: Demands) -> Self {
        self.demands = demands;
        self
    }

    /// Accepts access tokens of this form only. Without effect on ID tokens.
    #[must_use]
    pub fn profile(mut self, wanted: Profile) -> Self {
        if let Kind::Access { profile, .. } = &mut self.kind {
            *profile = wanted;
        }
        self
    }

    /// Names the login client, so that its ID tokens are recognised when they are sent instead of access tokens.
    #[must_use]
    pub fn login_client(mut self, id: impl Into<String>) -> Self {
        if let Kind::Access { client_id, .. } = &mut self.kind {
            *client_id = Some(id.into());
        }
        self
    }

    /// Demands this `nonce`. Without effect on access tokens.
    #[must_use]
    pub fn nonce(mut self, sent: impl Into<String>) -> Self {
        if let Kind::Id { nonce, .. } = &mut self.kind {
            *nonce = Some(sent.into());
        }
        self
    }

    /// Demands that `at_hash`, if there, matches this access token. Without effect on access tokens.
    #[must_use]
    pub fn at_hash_of(mut self, access_token: impl Into<String>) -> Self {
        if let Kind::Id { at_hash, .. } = &mut self.kind {
            *at_hash = Some(AtHash(access_token.into()));
        }
        self
    }

    /// Tolerates one more audience in ID tokens; for access tokens, accepts one more.
    #[must_use]
    pub fn trust_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.push(audience.into());
        self
    }
}

impl fmt::Debug for Policy {
    /// Leaves out nonce and access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}
