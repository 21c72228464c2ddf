//! Public keys of issuers: a JWK, a set of them (RFC 7517), and the cache that keeps a set current; and private keys that sign
//! or decrypt.

mod cache;
mod curve;
mod decryption_key;
mod fetch;
mod key;
mod set;
mod signing_key;
mod thumbprint;

pub(crate) use cache::Lookup;
pub use cache::{KeyCache, KeySource, KeyStatus, KeysUnavailable, PublishedKey};
pub use decryption_key::DecryptionKey;
#[cfg(feature = "gateway")]
pub(crate) use decryption_key::KEY_ALGORITHMS;
pub(crate) use fetch::Permit;
pub use fetch::{KeyHost, KeyJob, KeysError, KeysFailure};
pub use key::{InvalidJwk, VerifyingKey};
pub use set::{InvalidJwkSet, JwkSet};
pub use signing_key::{InvalidSigningKey, SigningKey};
