//! A token that passed.

use alloc::sync::Arc;
use core::marker::PhantomData;

use super::{Claims, Header};

/// A token whose signature and claims were verified, as one of the kind `K`: [`Access`](super::Access) or
/// [`Id`](super::Id). Only a [`Policy`](super::Policy) makes one. Cheap to clone.
pub struct VerifiedToken<K> {
    pub(crate) token: Arc<Verified>,
    kind: PhantomData<fn() -> K>,
}

/// What a verified token of either kind holds.
pub(crate) struct Verified {
    pub(super) header: Header,
    pub(super) claims: Claims,
    pub(super) times: Times,
}

/// The instants of a token, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) exp: f64,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    /// When it ends for the policy: at `exp`, or when it is too old, whichever comes first.
    pub(super) until: f64,
}

impl Verified {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }
}

impl core::fmt::Debug for Verified {
    /// Shows no claim: they are personal data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifiedToken").field("algorithm", &self.header.algorithm()).finish_non_exhaustive()
    }
}

impl<K> VerifiedToken<K> {
    /// A token that a policy of this kind has just accepted.
    pub(super) fn new(token: Verified) -> Self {
        Self::shared(Arc::new(token))
    }

    /// The same for one that the policy accepted before.
    pub(crate) fn shared(token: Arc<Verified>) -> Self {
        Self { token, kind: PhantomData }
    }

    /// The header, authenticated.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.token.header
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.token.claims
    }

    /// `exp`, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> f64 {
        self.token.times.exp
    }

    /// When it stops being good, in seconds since 1970: at `exp`, or at the greatest age that the policy allows.
    #[cfg(feature = "gateway")]
    pub(crate) fn valid_until_s(&self) -> i64 {
        self.token.times.until as i64
    }
}

impl<K> Clone for VerifiedToken<K> {
    fn clone(&self) -> Self {
        Self { token: Arc::clone(&self.token), kind: PhantomData }
    }
}

impl<K> core::fmt::Debug for VerifiedToken<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.token.fmt(f)
    }
}
