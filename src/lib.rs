//! A guard at the edge: verifies RSA, ECDSA and EdDSA tokens against an issuer's keys, and runs the OAuth/OpenID Connect flows of a gateway.
//!
//! The core makes every decision and has no I/O, no clock, no randomness and no `unsafe`; no input makes it panic. It is `no_std` with
//! `alloc`. A [`host::Host`] provides what it needs from its environment.
//!
//! ```
//! use edgeward::jwk::JwkSet;
//! use edgeward::jwt::{Algorithm, Policy};
//! # use edgeward::{io::UnixTime, testing::Issuer};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (provider, now) = (Issuer::new("https://tenant.us.auth0.com/"), UnixTime::from_secs(1_800_000_000));
//! # let (jwks, token) = (provider.jwks(), provider.access_token("https://api.example.com", now).sign());
//!
//! let issuer = "https://tenant.us.auth0.com/";
//! let policy = Policy::access_token(issuer, ["https://api.example.com"], &[Algorithm::Rs256])?;
//! let keys = JwkSet::parse(jwks.as_bytes())?;
//! let verified = policy.verify(&token, &keys, now)?;
//! assert_eq!(verified.claims().subject(), Some("user-1"));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start
//!
//! 1. [`jwt::Policy::verify`] parses a token, selects the key, checks signature and claims, and returns a [`jwt::VerifiedToken`].
//! 2. [`Verifier`] does so for one issuer or several, with a token cache and with keys that it fetches through a [`host::Host`].
#![cfg_attr(
    feature = "gateway",
    doc = "3. [`gateway::Gateway`] turns a request into a response, by configuration: logins, sessions, routes, forwarding."
)]
//!
//! # Modules
//!
//! | module | content |
//! |---|---|
//! | [`jwt`] | tokens: policy, order of checks, claims, requirements |
//! | [`jwk`] | keys: JWK, JWK Set, the key cache |
//! | [`rsa`] | RSA signatures (RFC 8017) |
//! | [`dpop`] | proofs of possession, for tokens that are bound to a key (RFC 9449) |
//! | [`http`] | requests and replies as plain data; bearer tokens and challenges |
//! | `oidc`, `session`, `gateway` | logins, sealed sessions, the configured gateway (feature `gateway`) |
//! | [`host`], [`io`] | the environment: the trait to implement, and its data |
//! | [`error`], [`limits`] | every reason to refuse a token; every limit |
//! | [`json`], [`base64url`], [`text`] | strict parsers, and text without formatting machinery |
//! | `testing` | an issuer and a host for your own tests (feature `testing`) |
//!
//! # Features
//!
//! - `gateway` (default): logins, sessions and the gateway.
//! - `unicode` (default): the Unicode tables that the gateway needs for paths, where the platform provides none.
//! - `rsa`: public keys of the crate `rsa`, and from PEM and DER files.
//! - `testing`: an issuer with signing keys and a host without a network, for tests of code that verifies tokens, and of gateways.
//!
//! # Stability
//!
//! Semantic versioning covers the public API of this crate, error codes, log codes and configuration keys. It does not cover messages,
//! the contents of cookies and sealed sessions, items hidden from the documentation, or the values in [`limits`]. A token that should
//! never have been accepted may be refused by any release.

#![cfg_attr(not(test), no_std)]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_core, clippy::std_instead_of_alloc)]

extern crate alloc;
// The tests' shared code is written as for an external crate.
#[cfg(test)]
extern crate self as edgeward;

mod algorithm;
pub mod base64url;
mod crypto;
mod discovery;
pub mod dpop;
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
pub use edgeward_rsa as rsa;
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

pub use verifier::{VerificationError, Verifier};
