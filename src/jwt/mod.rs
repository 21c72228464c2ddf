//! Verification of tokens: from text to a [`VerifiedToken`].
//!
//! The checks, in this order; the first that fails refuses the token:
//!
//! 1. Form: size, exactly three parts, canonical base64url, header one JSON object ([`UntrustedToken::parse`]).
//! 2. Header: `alg` is allowed by the policy; `crit` and `b64` are refused.
//! 3. Key: exactly one, fit for this algorithm ([`JwkSet::select`](crate::jwk::JwkSet::select)).
//! 4. Signature, then the claims, parsed from the very bytes that were signed: `typ`, `iss`, `aud`, `exp`, `nbf`, `iat`, and the
//!    policy's other requirements.
//!
//! [`Policy::verify`] makes all of them. Access tokens and ID tokens have separate policies and types, so that neither is accepted in
//! place of the other (RFC 8725 §3.12).

mod audience;
mod binding;
mod cache;
mod claim_path;
mod claims;
mod decrypt;
mod policy;
mod requirements;
mod sign;
mod tenants;
mod token;
mod verified;
mod verify;

pub use crate::algorithm::Algorithm;
pub use audience::Audience;
pub use binding::Binding;
pub use cache::TokenCache;
pub use claim_path::ClaimPath;
pub use claims::Claims;
pub(crate) use decrypt::{Decryption, DecryptionFailure, is_encrypted};
pub(crate) use policy::Rules;
pub use policy::{Access, Any, Id, InvalidPolicy, Policy, Profile};
pub use requirements::{ClaimRule, ClaimValue, Requirements, Roles};
#[cfg(feature = "gateway")]
pub(crate) use requirements::{check_rules, is_organization};
pub use sign::sign_jwt;
#[cfg(feature = "gateway")]
pub(crate) use sign::sign_with_header;
pub use tenants::Tenants;
pub(crate) use token::parse_claims;
#[cfg(feature = "gateway")]
pub(crate) use token::unverified_claims;
pub use token::{Header, UntrustedToken};
pub(crate) use verified::Verified;
pub use verified::{UnconfirmedToken, VerifiedToken};
