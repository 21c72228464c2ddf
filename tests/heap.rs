//! Proves that memory stays bounded: verifications and refusals leave the heap as it was, and what a hostile token can make the
//! verifier hold at once is a small multiple of the token.
//!
//! One test in a binary of its own, because it counts every allocation of the process.

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

use edgeward::base64url;
use edgeward::io::UnixTime;
use edgeward::jwk::KeyCache;
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{VerificationError, Verifier, limits};
use peak_alloc::PeakAlloc;
use support::fixed_host::{FixedHost, at_once};
use support::{AUDIENCE, ISSUER, Mint, NOW, access_policy, key_a, key_e3, now, set};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Tolerance for the test harness, which may allocate a little at any time. A leak of one byte per call still shows.
const SLACK_BYTES: usize = 4096;

/// Runs `work` `times` times, after once to warm up, and fails if the live heap grew.
fn assert_flat(what: &str, times: usize, mut work: impl FnMut(usize)) {
    (0..times / 10).for_each(&mut work);
    let before = HEAP.current_usage();
    (0..times).for_each(&mut work);
    let grown = HEAP.current_usage().saturating_sub(before);
    println!("{what}: {times} times, {grown} bytes grown");
    assert!(grown <= SLACK_BYTES, "{what}: {grown} bytes");
}

/// The peak of what `work` allocated.
fn peak_of(work: impl FnOnce()) -> usize {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    work();
    HEAP.peak_usage().saturating_sub(before)
}

fn accept(verifier: &Verifier, text: &str) {
    assert!(at_once(verifier.verify(text, &FixedHost(now()))).is_ok());
}

fn refuse(verifier: &Verifier, text: &str) {
    match at_once(verifier.verify(text, &FixedHost(now()))) {
        Err(VerificationError::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Tokens of maximal size whose parsing takes the most memory.
fn hostile_tokens() -> Vec<(&'static str, String)> {
    let payload = |bytes: usize| base64url::encode(&vec![b'x'; bytes]);
    let filled = |open: &str, unit: &str, close: &str, len: usize| {
        let units = (len - open.len() - close.len()) / unit.len();
        format!("{open}{}{close}", unit.repeat(units))
    };
    let head = r#"{"alg":"RS256","kid":"rsa2048-a","x":"#;
    let token = |header: String| {
        let header = base64url::encode(header.as_bytes());
        let rest = limits::MAX_TOKEN_BYTES - header.len() - 2 - 342;
        format!("{header}.{}.{}", payload(rest * 3 / 4), "A".repeat(342))
    };
    let with_claims = |claims: String| {
        let header = base64url::encode(br#"{"alg":"RS256","kid":"rsa2048-a"}"#);
        format!("{header}.{}.{}", base64url::encode(claims.as_bytes()), "A".repeat(342))
    };
    let header_len = limits::MAX_HEADER_BYTES;
    let claims_len = (limits::MAX_TOKEN_BYTES - 342 - 48) * 3 / 4;
    vec![
        ("numbers in the header", token(filled(&format!("{head}["), "0,", "0]}", header_len))),
        ("empty arrays in the header", token(filled(&format!("{head}["), "[],", "0]}", header_len))),
        ("escapes in the header", token(filled(&format!("{head}\""), r"\n", "\"}", header_len))),
        ("empty texts in the header", token(filled(&format!("{head}["), r#""","#, "0]}", header_len))),
        ("an open header", token(filled(&format!("{head}["), "0,", "", header_len))),
        (
            "numbers in the claims",
            with_claims(filled(&format!(r#"{{"iss":"{ISSUER}","x":["#), "0,", "0]}", claims_len)),
        ),
        (
            "empty texts in the claims",
            with_claims(filled(&format!(r#"{{"iss":"{ISSUER}","x":["#), r#""","#, "0]}", claims_len)),
        ),
        (
            "escapes in the claims",
            with_claims(filled(&format!(r#"{{"iss":"{ISSUER}","x":""#), r"\n", "\"}", claims_len)),
        ),
        ("a signature of 16 KiB", format!("e30.e30.{}", "A".repeat(limits::MAX_TOKEN_BYTES - 8))),
        ("dots", ".".repeat(limits::MAX_TOKEN_BYTES)),
        ("a million dots", ".".repeat(1_000_000)),
    ]
}

#[test]
fn memory_is_bounded() {
    let keys = set([key_a().jwk(), key_e3().jwk()]);
    let fixed = || KeyCache::fixed(ISSUER, keys.clone());
    let verifier = Verifier::new(access_policy(), fixed());

    let tokens: Vec<String> = (0..8).map(|n| Mint::access(key_e3()).claim("sub", format!("user-{n}")).text()).collect();
    assert_flat("known tokens", 1_000_000, |n| accept(&verifier, &tokens[n % tokens.len()]));

    let without_cache = Verifier::new(access_policy(), fixed()).cache_entries(0);
    assert_flat("verified anew", 10_000, |n| accept(&without_cache, &tokens[n % tokens.len()]));

    // More tokens than the cache holds, and all of them expired in turn.
    let small = Verifier::new(access_policy(), fixed()).cache_entries(4);
    assert_flat("known tokens that push each other out", 10_000, |n| {
        let clock = UnixTime::from_secs(if n % 100 < 50 { NOW } else { NOW + 1000 });
        match at_once(small.verify(&tokens[n % tokens.len()], &FixedHost(clock))) {
            Ok(_) | Err(VerificationError::Refused(_)) => {}
            other => panic!("{other:?}"),
        }
    });

    let refused: Vec<String> = vec![
        String::new(),
        "..".into(),
        tokens[0].replacen('.', "..", 1),
        format!("{}=", tokens[0]),
        Mint::access(key_a()).header("alg", "none").with_signature(&[]),
        Mint::access(key_a()).header("crit", "x").with_signature(&[1; 256]),
        Mint::access(key_a()).header("kid", "unknown").with_signature(&[1; 256]),
        Mint::access(key_a()).splice_header(r#""alg":"RS256""#).with_signature(&[1; 256]),
        Mint::access(key_a()).raw_header("{".repeat(1000)).with_signature(&[]),
        ".".repeat(limits::MAX_TOKEN_BYTES),
    ];
    assert_flat("refusals before a signature", 500_000, |n| refuse(&verifier, &refused[n % refused.len()]));
    let forged: Vec<String> = tokens.iter().map(|text| format!("{}{}", &text[..text.len() - 4], "AAAA")).collect();
    assert_flat("refusals for the signature", 10_000, |n| refuse(&verifier, &forged[n % forged.len()]));

    let other = Policy::access_token("https://other.example.com/", [AUDIENCE], &Algorithm::ALL).unwrap();
    let of_two_issuers = Verifier::new(access_policy(), fixed())
        .and_issuer(other, KeyCache::fixed("https://other.example.com/", keys.clone()));
    for (what, text) in hostile_tokens() {
        for (issuers, verifier) in [("one issuer", &verifier), ("two issuers", &of_two_issuers)] {
            let peak = peak_of(|| refuse(verifier, &text));
            println!("{what}, {issuers}: {} bytes of text, at most {peak} bytes of heap", text.len());
            let bound = 4 * text.len().min(limits::MAX_TOKEN_BYTES);
            assert!(peak <= bound, "{what}, {issuers}: {peak} bytes for a token of {}", text.len());
        }
    }
}
