//! From the text of a token to a decision about it.
//!
//! The order of checks, each refusing the token before the next looks at it:
//!
//! 1. [`UntrustedToken::parse`]: size, exactly three parts, canonical base64url, header one JSON object.
//! 2. [`Policy::check_header`]: `alg` is one that the policy allows; `crit` and `b64` are refused.
//! 3. [`JwkSet::select`](crate::jwk::JwkSet::select): exactly one key, published for this algorithm.
//! 4. [`Policy::verify`]: signature, then claims parsed from the very bytes that were signed: `typ`, `iss`, `aud`, `exp`,
//!    `nbf`, `iat`, and what else the policy demands.
//!
//! Only step 4 makes a [`VerifiedToken`].

mod algorithm;
mod audience;
mod cache;
mod claims;
mod demands;
mod policy;
mod token;
mod verified;
mod verify;

pub use algorithm::Algorithm;
pub use audience::Audience;
pub use cache::TokenCache;
pub use claims::Claims;
#[cfg(feature = "gateway")]
pub(crate) use demands::is_organization;
pub use demands::{Demands, Roles};
pub use policy::{InvalidPolicy, Policy, Profile};
#[cfg(feature = "gateway")]
pub(crate) use token::unverified_claims;
pub use token::{Header, UntrustedToken};
pub use verified::VerifiedToken;
