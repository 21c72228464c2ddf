//! A verified token.

use alloc::sync::Arc;
use core::marker::PhantomData;

use super::{Claims, Header};

/// A token of the kind `K`, [`Access`](super::Access) or [`Id`](super::Id), whose signature and claims were verified. Only verification
/// creates one. Cheap to clone.
///
/// ```
/// use edgeward::jwt::{Access, Id, VerifiedToken};
///
/// /// Cannot be called with an ID token.
/// fn call_api(token: &VerifiedToken<Access>) -> Option<&str> {
///     token.claims().client_id()
/// }
///
/// fn greet(token: &VerifiedToken<Id>) -> String {
///     format!("Hello, {}", token.claims().subject().unwrap_or_default())
/// }
/// ```
pub struct VerifiedToken<K> {
    pub(crate) token: Arc<Verified>,
    kind: PhantomData<fn() -> K>,
}

/// A verified token of either kind.
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
    /// The end of its validity under the policy: `exp`, or when it exceeds the maximum age, whichever is earlier.
    pub(super) until: f64,
}

impl Verified {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }
}

impl core::fmt::Debug for Verified {
    /// Omits the claims: they are personal data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifiedToken").field("algorithm", &self.header.algorithm()).finish_non_exhaustive()
    }
}

impl<K> VerifiedToken<K> {
    /// Wraps a token that a policy of this kind has just accepted.
    pub(super) fn new(token: Verified) -> Self {
        Self::shared(Arc::new(token))
    }

    /// Wraps a token that a policy of this kind accepted before.
    pub(crate) fn shared(token: Arc<Verified>) -> Self {
        Self { token, kind: PhantomData }
    }

    /// Returns the header, which the signature covers.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.token.header
    }

    /// Returns the claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.token.claims
    }

    /// Returns `exp`, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> f64 {
        self.token.times.exp
    }

    /// Returns the end of its validity, in seconds since 1970: `exp`, or when it exceeds the policy's maximum age.
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
