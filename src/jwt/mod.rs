//! From the text of a token to a decision about it.
//!
//! The order of checks, each refusing the token before the next looks at it:
//!
//! 1. Form: size, exactly three parts, canonical base64url, header one JSON object ([`UntrustedToken::parse`]).
//! 2. Header: `alg` is one that the policy allows; `crit` and `b64` are refused.
//! 3. Key: exactly one, published for this algorithm ([`JwkSet::select`](crate::jwk::JwkSet::select)).
//! 4. Signature, then claims parsed from the very bytes that were signed: `typ`, `iss`, `aud`, `exp`, `nbf`, `iat`, and what else
//!    the policy demands.
//!
//! [`Policy::verify`] is all of them, and the only way to a [`VerifiedToken`]. Access tokens and ID tokens have a policy and a
//! type of their own, so that neither can be taken for the other.

mod audience;
mod cache;
mod claims;
mod policy;
mod requirements;
mod token;
mod verified;
mod verify;

pub use crate::algorithm::Algorithm;
pub use audience::Audience;
pub use cache::TokenCache;
pub use claims::Claims;
pub(crate) use policy::Rules;
pub use policy::{Access, Any, Id, InvalidPolicy, Policy, Profile};
#[cfg(feature = "gateway")]
pub(crate) use requirements::is_organization;
pub use requirements::{Requirements, Roles};
#[cfg(feature = "gateway")]
pub(crate) use token::unverified_claims;
pub use token::{Header, UntrustedToken};
pub(crate) use verified::Verified;
pub use verified::VerifiedToken;
