//! A token that passed.

use super::{Claims, Header};

/// A token whose signature and claims were verified. Only [`Policy::verify`](super::Policy::verify) makes one.
pub struct VerifiedToken {
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

impl VerifiedToken {
    /// The header, authenticated.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// `exp`, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> f64 {
        self.times.exp
    }

    /// When it stops being good, in seconds since 1970: at `exp`, or at the greatest age that the policy allows.
    #[cfg(feature = "gateway")]
    pub(crate) fn good_until_s(&self) -> i64 {
        self.times.until as i64
    }
}

impl core::fmt::Debug for VerifiedToken {
    /// Shows no claim: they are personal data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifiedToken").field("algorithm", &self.header.algorithm()).finish_non_exhaustive()
    }
}
