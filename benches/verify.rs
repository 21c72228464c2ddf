//! How long the core takes, natively: whole verifications, and refusals that cost no RSA.
//!
//! `scripts/bench.sh` makes the tokens, runs this beside the wasm build and other libraries, and prints the ratios.
//! Reads a JSON file: `{ "issuer", "audience", "jwks", "now", "cases": [{ "name", "token" }] }`; writes a line of JSON
//! for each case: the best time of one call over several rounds, in microseconds.

// A benchmark is a program: it stops at the first surprise and reports on standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::indexing_slicing, clippy::panic)]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Algorithm, Policy, UntrustedToken};
use edgeward::{Check, Verifier};
use serde_json::Value;

const ROUNDS: u32 = 7;
const ROUND: Duration = Duration::from_millis(150);

fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    // `cargo test --benches` and the like run every benchmark without arguments: there is nothing to do then.
    let Some(path) = path else { return };
    let input: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let issuer = input["issuer"].as_str().unwrap();
    let audience = input["audience"].as_str().unwrap();
    let jwks = input["jwks"].to_string();
    let now = UnixTime::from_secs(input["now"].as_i64().unwrap());

    let policy = || Policy::access_token(issuer, [audience], &[Algorithm::Rs256, Algorithm::Ps256]).unwrap();
    let one = policy();
    let keys = JwkSet::parse(jwks.as_bytes()).unwrap();
    let verify = |text: &str| {
        let token = UntrustedToken::parse(text)?;
        let algorithm = one.check_header(token.header())?;
        let key = keys.select(token.header().kid(), algorithm)?;
        one.verify(token, key, now)
    };
    let mut cached = Verifier::new(policy(), KeyCache::fixed(issuer, JwkSet::parse(jwks.as_bytes()).unwrap()));

    for case in input["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let text = case["token"].as_str().unwrap();
        let verdict = match verify(text) {
            Ok(_) => "verified",
            Err(error) => error.code(),
        };
        report(name, verdict, || {
            black_box(verify(black_box(text)).is_ok());
        });
        if verdict == "verified" {
            report(&format!("{name}, seen before"), verdict, || {
                let check = cached.check(black_box(text), now, 0);
                assert!(matches!(check, Check::Verified(..)), "{check:?}");
            });
        }
    }
}

/// Times `call`: the mean of each round, the best of the rounds.
fn report(name: &str, verdict: &str, mut call: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut calls = 0_u32;
        while start.elapsed() < ROUND {
            for _ in 0..16 {
                call();
            }
            calls += 16;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    println!("{}", serde_json::json!({ "name": name, "verdict": verdict, "us": best }));
}
