//! A guard at the edge: verifies RS256/PS256 tokens against an issuer's keys and decides who may pass.
//!
//! No I/O, no clock, no randomness, no `unsafe`, and no panic on any input. `no_std` with `alloc`.
//!
//! The main path:
//!
//! 1. [`jwt::UntrustedToken::parse`] takes a token apart.
//! 2. [`jwk::JwkSet::select`], or [`jwk::KeyCache::find`], finds the one key for it.
//! 3. [`jwt::Policy::verify`] checks signature and claims and makes a [`jwt::VerifiedToken`].
//! 4. [`Verifier`] does all three, for one issuer or several, with a cache.
//! 5. [`gateway::Gateway`] turns a request into a decision by configuration.
//!
//! ```
//! use edgeward::io::UnixTime;
//! use edgeward::jwk::JwkSet;
//! use edgeward::jwt::{Algorithm, Policy, UntrustedToken};
//!
//! # fn verify(jwks: &[u8], text: &str, now: UnixTime) -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::access_token("https://tenant.us.auth0.com/", ["https://api.example.com"], &[Algorithm::Rs256])?;
//! let keys = JwkSet::parse(jwks)?;
//!
//! let token = UntrustedToken::parse(text)?;
//! let algorithm = policy.check_header(token.header())?;
//! let key = keys.select(token.header().kid(), algorithm)?;
//! let verified = policy.verify(token, key, now)?;
//! println!("{}", verified.claims().subject().unwrap_or("nobody"));
//! # Ok(())
//! # }
//! ```
//!
//! Features: `gateway` is the configured gateway and `unicode` its tables for paths, both on by default; `rsa` takes keys of the crate
//! `rsa` and from PEM and DER files; `testing` is an issuer for your own tests.

#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_core, clippy::std_instead_of_alloc)]

extern crate alloc;
#[cfg(any(test, edgeward_emulate_fma))]
extern crate std;

pub mod base64url;
mod crypto;
pub mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
#[cfg(feature = "gateway")]
pub mod http;
pub mod io;
pub mod json;
pub mod jwk;
pub mod jwt;
pub mod limits;
#[cfg(feature = "gateway")]
pub mod oidc;
pub mod rsa;
#[cfg(feature = "gateway")]
pub mod session;
mod single_flight;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod text_cache;
mod url;
mod verifier;

pub use verifier::{Check, Refresh, Verifier};
