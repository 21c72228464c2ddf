//! A guard at the edge: verifies RS256/PS256 tokens against an issuer's keys and decides who may pass.
//!
//! No I/O, no clock, no randomness, no `unsafe`, and no panic on any input. `no_std` with `alloc`.
//!
//! The main path:
//!
//! 1. [`jwt::Policy::verify`] takes a token apart, chooses the key, checks signature and claims, and makes a
//!    [`jwt::VerifiedToken`].
//! 2. [`Verifier`] does that for one issuer or several, with keys that it fetches through a [`host::Host`], and a cache.
//! 3. [`gateway::Gateway`] turns a request into an answer by configuration: logins, sessions, routes, forwarding.
//!
//! ```
//! use edgeward::io::UnixTime;
//! use edgeward::jwk::JwkSet;
//! use edgeward::jwt::{Algorithm, Policy};
//!
//! # fn verify(jwks: &[u8], token: &str, now: UnixTime) -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::access_token("https://tenant.us.auth0.com/", ["https://api.example.com"], &[Algorithm::Rs256])?;
//! let verified = policy.verify(token, &JwkSet::parse(jwks)?, now)?;
//! println!("{}", verified.claims().subject().unwrap_or("nobody"));
//! # Ok(())
//! # }
//! ```
//!
//! Features: `gateway` is the configured gateway and `unicode` its tables for paths, both on by default; `rsa` takes keys of the crate
//! `rsa` and from PEM and DER files; `testing` is an issuer for your own tests.

#![cfg_attr(not(test), no_std)]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_core, clippy::std_instead_of_alloc)]

extern crate alloc;
#[cfg(edgeward_emulate_fma)]
extern crate std;
// What the tests share is written as for any other crate.
#[cfg(test)]
extern crate self as edgeward;

mod algorithm;
pub mod base64url;
mod crypto;
mod discovery;
pub mod error;
#[cfg(feature = "gateway")]
pub mod gateway;
pub mod host;
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
mod shared;
mod single_flight;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
mod text_cache;
mod url;
mod verifier;

/// The Rust in README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod discovery_tests;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
#[cfg(test)]
mod verifier_tests;

pub use verifier::{Unverified, Verifier};
