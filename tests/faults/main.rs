//! Single faults of what the gateway depends on, by their numbers in docs/faults.md, in an instance that has just started and in one
//! that has been at work: what a request with a bearer token, one with a session, and a login get; what the provider is asked; and that
//! everything works once the fault has ended.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

mod keys;
mod platform;
mod provider;
mod site;
