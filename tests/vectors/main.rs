//! Proves the core against vectors that others published: Wycheproof's JOSE files, RFC 7520, JSONTestSuite and ring's RSA files.
//!
//! The vectors are not part of this repository. They are read from `../shared/vectors`, or from the folder that the
//! environment variable `EDGEWARD_VECTORS` names; without them these tests say so and pass.
//!
//! `valid` must be accepted, `invalid` and `acceptable` refused. Exceptions are data with a reason; one that no longer applies
//! fails its test. Every runner prints what it ran and asserts the numbers, so that none can run nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure, and a runner prints what it ran"
)]

#[path = "../support/cases.rs"]
#[allow(dead_code, reason = "a part of it is for another program")]
mod cases;
mod jose;
mod json_syntax;
mod ring;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

/// The folder with the vectors of one source, if vectors are there at all.
fn folder(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("EDGEWARD_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let folder = all.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no vectors from {name}; set EDGEWARD_VECTORS to the folder that holds them");
    None
}

fn read(folder: &std::path::Path, name: &str) -> String {
    String::from_utf8(std::fs::read(folder.join(name)).unwrap()).unwrap()
}
