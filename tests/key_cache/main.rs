//! Proves the key cache and the verifier around it, with a virtual clock and a provider and an edge cache in memory.
//!
//! Every request is driven to its end within a bounded number of rounds; every request to the provider is counted. Tests of internals,
//! such as permits, are in `src/verifier_tests.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

mod discovery;
mod edge;
mod fetching;
mod reasons;
mod retry;
mod rotation;
mod sharing;
mod time;
mod verified_tokens;

use support::world::{JWKS_URI, Verdict, World, json, kids, status, token, token_with_kid, unavailable};
