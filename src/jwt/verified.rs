//! A verified token.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::marker::PhantomData;

use super::{Binding, Claims, Header};
use crate::error::VerifyError;

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
    /// The binding of an access token to its sender.
    pub(super) binding: Option<Box<Binding>>,
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

#[cfg(feature = "gateway")]
impl Verified {
    pub(crate) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns `exp`, in seconds since 1970.
    pub(crate) const fn expires_at(&self) -> f64 {
        self.times.exp
    }
}

impl Verified {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.binding.is_some()
    }
}

impl core::fmt::Debug for Verified {
    /// Omits the claims: they are personal data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifiedToken").field("algorithm", &self.header.algorithm()).finish_non_exhaustive()
    }
}

impl<K> VerifiedToken<K> {
    /// Wraps a token that a policy of this kind has accepted.
    ///
    /// # Errors
    /// `token_sender_constrained` if it is bound to its sender: without proof, whoever stole it could use it.
    pub(crate) fn unbound(token: Arc<Verified>) -> Result<Self, VerifyError> {
        UnconfirmedToken::new(token).confirm(None, None)
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

/// A token whose signature and claims were verified, which may be bound to its sender. [`confirm`](Self::confirm) makes it a
/// [`VerifiedToken`].
pub struct UnconfirmedToken<K> {
    token: Arc<Verified>,
    kind: PhantomData<fn() -> K>,
}

impl<K> UnconfirmedToken<K> {
    /// Wraps a token that a policy of this kind has accepted.
    pub(crate) fn new(token: Arc<Verified>) -> Self {
        Self { token, kind: PhantomData }
    }

    #[cfg(feature = "gateway")]
    pub(crate) fn verified(&self) -> &Verified {
        &self.token
    }

    /// Returns the binding to the sender, if the token has one.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.token.binding.as_deref()
    }

    /// Confirms that the sender has the key and the certificate with these thumbprints. `key` must be that of a verified proof for this very
    /// token and request, `certificate` that of the connection's client.
    ///
    /// # Errors
    /// `token_sender_constrained` if the token is bound to anything else.
    pub fn confirm(
        self,
        key: Option<&[u8; 32]>,
        certificate: Option<&[u8; 32]>,
    ) -> Result<VerifiedToken<K>, VerifyError> {
        let is_confirmed = self.binding().is_none_or(|binding| {
            !binding.is_unknown
                && binding.key.as_ref().is_none_or(|bound| key == Some(bound))
                && binding.certificate.as_ref().is_none_or(|bound| certificate == Some(bound))
        });
        if is_confirmed {
            Ok(VerifiedToken { token: self.token, kind: PhantomData })
        } else {
            Err(VerifyError::TokenSenderConstrained)
        }
    }
}

impl<K> Clone for UnconfirmedToken<K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.token))
    }
}

impl<K> core::fmt::Debug for UnconfirmedToken<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.token.fmt(f)
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
