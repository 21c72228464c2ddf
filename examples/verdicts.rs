//! Prints the verdict on each token of a list: `ok`, or the error code.
//!
//! ```text
//! cargo run --example verdicts -- corpus.json
//! ```
//!
//! The file is `{ "now", "policies": { name: options }, "corpus": [{ "policy", "token" }] }`, the options being those of
//! the npm package. Its tests compare the verdicts of every JavaScript runtime with these.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "stops at the first surprise"
)]

#[path = "../tests/support/fixed_host.rs"]
mod fixed_host;
#[path = "../tests/support/verdicts.rs"]
mod verdicts;

use std::collections::BTreeMap;

use edgeward::io::UnixTime;
use fixed_host::FixedHost;
use serde_json::Value;
use verdicts::{VerdictFn, verdict_fn};

fn main() {
    let path = std::env::args().nth(1).expect("the corpus, a JSON file");
    let input: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let now = UnixTime::from_secs(input["now"].as_i64().unwrap());
    let policies = input["policies"].as_object().unwrap().iter();
    let verifiers: BTreeMap<&str, VerdictFn> =
        policies.map(|(name, options)| (name.as_str(), verdict_fn(options, FixedHost(now)))).collect();
    for case in input["corpus"].as_array().unwrap() {
        let verdict = &verifiers[case["policy"].as_str().unwrap()];
        println!("{}", verdict(case["token"].as_str().unwrap()));
    }
}
