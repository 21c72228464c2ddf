//! Proves the flows of logins, sessions and logouts, branch by branch: a gateway and a provider in memory, where anything may fail,
//! come late or happen at the same time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

#[path = "../support/mod.rs"]
mod support;

mod begin;
