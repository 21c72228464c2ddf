//! Proves that no input panics, and that nothing is accepted but a valid token, byte by byte.
//!
//! Inputs are random bytes, random texts of the right alphabet, and mutations of valid ones, from a fixed seed: every run sees
//! the same ones. A panic anywhere fails the test that met it.

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
use edgeward::io::{Incoming, UnixTime};
use edgeward::json::{Document, Value};
use edgeward::jwk::{JwkSet, KeyCache, KeySource};
use edgeward::jwt::UntrustedToken;
use edgeward::{VerificationError, Verifier, limits};
use support::fixed_host::{FixedHost, at_once};
use support::host::VirtualHost;
use support::{AUDIENCE, ISSUER, Mint, NOW, Rng, access_policy, key_a, key_b, key_e3, now, set, set_text};

/// Fragments that are hard to parse.
const PIECES: [&[u8]; 40] = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"null",
    b"true",
    b"-",
    b"1e400",
    b"18446744073709551616",
    b"1.7976931348623157e308",
    b"-0",
    b"0",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\xc0\xaf",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b".",
    b"..",
    b"=",
    b"+",
    b"/",
    b"\n",
    b" ",
    b"\"alg\":\"none\"",
    b"\"iss\":[]",
    b"\"aud\":{}",
    b"\"exp\":-1",
    b"\"kid\":null",
    b"\"kty\":\"RSA\"",
    b"[[[[[[[[[[[[[[[[",
];

/// One to four changes to `text`: bits, bytes, pieces inserted, cut out, repeated or moved.
fn mutated(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(text.len() + 1);
        let end = (at + rng.below(12)).min(text.len());
        match rng.below(8) {
            0 if at < text.len() => text[at] ^= 1 << rng.below(8),
            1 if at < text.len() => text[at] = rng.bytes(1)[0],
            2 => drop(text.splice(at..at, PIECES[rng.below(PIECES.len())].iter().copied())),
            3 => drop(text.drain(at..end)),
            4 => {
                let copied = text[at..end].to_vec();
                let to = rng.below(text.len() + 1);
                drop(text.splice(to..to, copied));
            }
            5 => text.truncate(at),
            6 if at < text.len() => {
                text[at] = *rng.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
            }
            _ => drop(text.splice(at..end, PIECES[rng.below(PIECES.len())].iter().copied())),
        }
    }
    text
}

/// A text of letters that tokens are made of, or of any bytes.
fn random(rng: &mut Rng) -> Vec<u8> {
    let len = rng.below(200);
    match rng.below(3) {
        0 => rng.bytes(len),
        1 => (0..len)
            .map(|_| *rng.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_..."))
            .collect(),
        _ => (0..len / 4).flat_map(|_| PIECES[rng.below(PIECES.len())].to_vec()).collect(),
    }
}

#[test]
fn token_texts_parse_or_fail_and_what_parses_is_canonical() {
    let valid = [Mint::access(key_a()).text(), Mint::id(key_a()).text(), Mint::at_jwt(key_a()).text()];
    let mut rng = Rng(21);
    let mut parsed = 0;
    for round in 0..100_000 {
        let bytes = if round % 5 == 0 { random(&mut rng) } else { mutated(&mut rng, valid[round % 3].as_bytes()) };
        let text = String::from_utf8_lossy(&bytes);
        let Ok(token) = UntrustedToken::parse(&text) else { continue };
        parsed += 1;
        let header = base64url::encode(token.header().as_json().as_bytes());
        assert_eq!(text.split('.').next(), Some(header.as_str()), "one text for one header");
        assert!(token.header().kid().is_none_or(|kid| kid.len() <= limits::MAX_KID_BYTES));
    }
    println!("tokens: {parsed} of 100000 parsed");
    assert!(parsed > 1000);
}

#[test]
fn header_and_claims_texts_parse_or_fail_and_what_parses_prints_and_parses_the_same() {
    let seeds: Vec<Vec<u8>> = vec![
        Mint::access(key_a()).claims_bytes(),
        Mint::access(key_a()).header_bytes(),
        Mint::logout(key_a()).claims_bytes(),
        br#"{"a":[1,-2,1.5e3,{"b":null,"c":[true,false]}],"d\u00e9":"\ud83d\ude00\n","e":{"f":{"g":[[],{}]}}}"#
            .to_vec(),
    ];
    let mut rng = Rng(22);
    let mut parsed = 0;
    for round in 0..100_000 {
        let bytes = if round % 5 == 0 { random(&mut rng) } else { mutated(&mut rng, &seeds[round % 4]) };
        let depth = 1 + rng.below(limits::MAX_CLAIMS_DEPTH);
        let Ok(document) = Document::parse(bytes.clone(), depth) else { continue };
        parsed += 1;
        let printed = Value::Object(document.root()).to_json();
        let again = Document::parse(printed.clone().into(), depth).unwrap();
        assert_eq!(Value::Object(again.root()).to_json(), printed);
        // An independent reading of the same text agrees.
        let other: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), other);
        assert_eq!(document.root().iter().count(), other.as_object().unwrap().len(), "no name twice");
    }
    println!("documents: {parsed} of 100000 parsed");
    assert!(parsed > 5000);
}

#[test]
fn key_sets_parse_or_fail_and_what_is_usable_is_within_the_limits() {
    let mut odd = key_b().jwk();
    odd["key_ops"] = serde_json::json!(["verify"]);
    odd["use"] = "sig".into();
    odd["alg"] = "PS256".into();
    let valid = set_text([key_a().jwk(), odd, serde_json::json!({"kty": "AKP"})]);
    let mut rng = Rng(23);
    let mut parsed = 0;
    for round in 0..30_000 {
        let bytes = if round % 10 == 0 { random(&mut rng) } else { mutated(&mut rng, valid.as_bytes()) };
        let Ok(set) = JwkSet::parse(&bytes) else { continue };
        parsed += 1;
        assert!(set.keys().len() > 0);
        for key in set.keys() {
            assert!((limits::MIN_MODULUS_BITS..=limits::MAX_MODULUS_BITS).contains(&key.bits()));
        }
    }
    println!("key sets: {parsed} of 30000 parsed");
    assert!(parsed > 1000);
}

#[test]
fn nothing_passes_but_the_valid_tokens_themselves() {
    let keys = set([key_e3().jwk(), key_b().jwk()]);
    let valid = [
        Mint::access(key_e3()).text(),
        Mint::at_jwt(key_e3()).algorithm(edgeward::jwt::Algorithm::Ps256).text(),
        Mint::access(key_b()).text(),
    ];
    let verifier = Verifier::new(access_policy(), KeyCache::fixed(ISSUER, keys));
    let mut rng = Rng(24);
    let (mut accepted, mut refused, mut reached_the_signature) = (0, 0, 0);
    for round in 0..25_000 {
        let bytes = match round % 10 {
            0 => random(&mut rng),
            1 => valid[round / 10 % 3].clone().into(),
            // Parts of different tokens.
            2 => {
                let parts = [0, 1, 2].map(|at| rng.pick(&valid).split('.').nth(at).unwrap().to_owned());
                parts.join(".").into()
            }
            _ => mutated(&mut rng, valid[round % 3].as_bytes()),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match at_once(verifier.verify(&text, &FixedHost(now()))) {
            Ok(token) => {
                accepted += 1;
                assert!(valid.contains(&text), "accepted: {text}");
                assert_eq!(token.claims().issuer(), Some(ISSUER));
            }
            Err(VerificationError::Refused(error)) => {
                refused += 1;
                reached_the_signature += usize::from(error.code() == "signature_invalid");
                assert!(!valid.contains(&text), "refused: {error}");
            }
            other => panic!("{other:?}"),
        }
    }
    println!(
        "verifications: {accepted} accepted, {refused} refused, {reached_the_signature} of them for the signature"
    );
    assert!(accepted >= 2500 && reached_the_signature > 1000);
}

#[test]
fn signed_nonsense_passes_only_if_an_independent_reading_agrees() {
    let keys = key_e3().set();
    let valid = Mint::access(key_e3());
    let verifier = Verifier::new(access_policy(), KeyCache::fixed(ISSUER, keys));
    let mut rng = Rng(25);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..3000 {
        let claims = mutated(&mut rng, &valid.claims_bytes());
        let text = valid.clone().raw_claims(claims.clone()).text();
        match at_once(verifier.verify(&text, &FixedHost(now()))) {
            Ok(token) => {
                accepted += 1;
                assert_eq!(token.claims().as_json().as_bytes(), claims);
                let read: serde_json::Value = serde_json::from_slice(&claims).unwrap();
                assert_eq!(read["iss"], ISSUER);
                assert!(read["aud"] == AUDIENCE || read["aud"].as_array().unwrap().iter().any(|one| *one == AUDIENCE));
                assert!(read["exp"].as_f64().unwrap() > (NOW - 5) as f64);
                for claim in ["nbf", "iat"] {
                    assert!(read.get(claim).is_none_or(|time| time.as_f64().unwrap() <= (NOW + 5) as f64), "{read}");
                }
            }
            Err(VerificationError::Refused(_)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("signed nonsense: {accepted} accepted, {refused} refused");
    assert!(accepted > 100 && refused > 1000);
}

#[test]
fn providers_and_edge_caches_may_answer_anything() {
    let discovery = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://keys.example.com/jwks"}}"#);
    let jwks = set_text([key_a().jwk()]);
    let entry = serde_json::json!({"issuer": ISSUER, "fetched_at": NOW * 1000, "fresh_until": NOW * 1000 + 600_000, "jwks": jwks});
    let entry = entry.to_string();
    let mut rng = Rng(26);
    let (mut loaded, mut failed) = (0, 0);
    for round in 0..10_000 {
        let keys = KeyCache::new(ISSUER, KeySource::Discovery);
        let verifier = Verifier::new(access_policy(), keys);
        let host = VirtualHost::default();
        let clock = UnixTime::from_millis(NOW * 1000 + i64::try_from(rng.below(100_000_000)).unwrap() - 1_000_000);
        host.set_clock(clock);
        if round % 2 == 0 {
            let value = mutated(&mut rng, entry.as_bytes());
            host.serve_edge(move |_| Some(value.clone()));
        }
        for (url, seed) in [(OPENID, &discovery), (OAUTH, &discovery), ("https://keys.example.com/jwks", &jwks)] {
            let seed = seed.clone();
            let mut rng = Rng(rng.next());
            host.serve(url, move |_| Ok(any_answer(&mut rng, &seed)));
        }
        // A set in the edge cache is not requested from the provider.
        match host.run(verifier.load(&host)) {
            Ok(()) => loaded += 1,
            Err(_) => failed += 1,
        }
        assert!(host.seen().sent.len() <= 3);
        if let Some(held) = verifier.keys().next().unwrap().status() {
            assert!(held.fetched_at <= clock);
            let fresh_s = (held.fresh_until.millis() - held.fetched_at.millis()) / 1000;
            assert!(fresh_s <= limits::JWKS_FRESH_MAX_S, "{fresh_s}");
        }
    }
    println!("fetches: {loaded} loaded, {failed} failed");
    assert!(loaded > 1000 && failed > 1000);
}

const OPENID: &str = "https://tenant.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://tenant.example.com/.well-known/oauth-authorization-server";

/// An answer with `body` and the usual headers, most of the time.
fn any_answer(rng: &mut Rng, body: &str) -> Incoming {
    let body = if rng.below(3) > 0 { body.into() } else { mutated(rng, body.as_bytes()) };
    let text = |rng: &mut Rng, text: &str| {
        let text = if rng.below(12) == 0 { mutated(rng, text.as_bytes()) } else { text.into() };
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let status = if rng.below(16) < 11 { 200 } else { *rng.pick(&[404, 500, 302, 0, u16::MAX]) };
    Incoming {
        status,
        content_type: text(rng, "application/json; charset=utf-8"),
        cache_control: text(rng, "public, max-age=300"),
        age: text(rng, "10"),
        retry_after: text(rng, "120"),
        dpop_nonce: text(rng, "nonce-1"),
        www_authenticate: text(rng, "DPoP error=\"use_dpop_nonce\""),
        body,
    }
}
