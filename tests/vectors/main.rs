//! Proves the core against vectors that others published: Wycheproof's JOSE files, RFC 7520, JSONTestSuite and ring's RSA files.
//!
//! They are data files of one form: `README.md` beside this file describes it and says where each is from.
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

use std::collections::BTreeSet;
use std::path::Path;

use support::vectors;

/// What a file of vectors must say of itself. That its cases are all there, `vectors::parse` checks; that they are the right
/// ones, their runner.
#[test]
fn every_data_file_says_where_it_is_from_and_under_which_licence() {
    let licences = include_str!("data/LICENSES.md");
    // The package of tests/features runs this, too.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = ["vectors/data", "../vectors/data"].map(|folder| package.join(folder));
    let folder = folder.into_iter().find(|folder| folder.is_dir()).unwrap();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (head, _) = vectors::parse(&std::fs::read_to_string(&path).unwrap());
        let (source, licence) = (head["source"].as_str().unwrap(), head["licence"].as_str().unwrap());
        assert!(licences.contains(&format!("\n## {source}: {licence}\n")), "{name}: {source}: {licence}");
        assert_eq!(head["sha256"].as_str().unwrap().len(), 64, "{name}");
        names.insert(name);
    }
    println!("data files: {names:?}");
    assert_eq!(names.len(), 11);
}
