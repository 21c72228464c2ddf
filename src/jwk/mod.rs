//! The issuer's public keys: one JWK, a set of them (RFC 7517), and the cache that keeps a set current.

mod cache;
mod fetch;
mod key;
mod set;
mod thumbprint;

pub use cache::{KeyCache, KeySource, KeyStatus, Lookup};
pub use fetch::{Answer, Ask, EdgeEntry, Fetched, KeysError, Permit, Progress};
pub use key::{InvalidJwk, VerifyingKey};
pub use set::{InvalidJwkSet, JwkSet};
