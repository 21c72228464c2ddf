//! RSA signatures: ring's text vectors, for what Wycheproof lacks: large exponents, odd modulus sizes, signature lengths.

use std::collections::BTreeMap;

use edgeward::limits;
use edgeward::rsa::{Hash, InvalidKey, PublicKey, Scheme};
use rsa::BigUint;
use serde_json::Value;
use support::left_pad;
use support::vectors::{self, is_valid, octets, text};

use crate::cases::Cases;

fn hash(row: &Value) -> Hash {
    match text(row, "hash") {
        "SHA-256" => Hash::Sha256,
        "SHA-384" => Hash::Sha384,
        "SHA-512" => Hash::Sha512,
        other => panic!("{other}"),
    }
}

/// The results of rows with a key and a signature.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: usize,
    refused: usize,
    /// Refused although their result is a pass: RFC 7518 §3.3 requires 2048 bits.
    modulus_too_small: usize,
}

fn run(file: &str, scheme: fn(Hash) -> Scheme, mut cases: Cases) -> Counts {
    let mut counts = Counts::default();
    for row in vectors::cases(file) {
        let hash = hash(&row);
        let (n, e) = (octets(&row, "n"), octets(&row, "e"));
        let key = PublicKey::new(&n, &e);
        let (message, signature) = (octets(&row, "message"), octets(&row, "signature"));
        let accepted = key.as_ref().is_ok_and(|key| key.verify(scheme(hash), &message, &signature).is_ok());
        cases.verdict(scheme(hash), accepted, [&n, &e], &message, &signature);
        let passes = is_valid(&row);
        if passes && matches!(key, Err(InvalidKey::ModulusTooSmall { .. })) {
            counts.modulus_too_small += 1;
            continue;
        }
        assert_eq!(accepted, passes, "{row}");
        *if accepted { &mut counts.accepted } else { &mut counts.refused } += 1;
    }
    cases.end();
    counts
}

#[test]
fn ring_pkcs1_v1_5_verification() {
    let counts = run(include_str!("data/ring-pkcs1.jsonl"), Scheme::Pkcs1v15, Cases::begin("ring-pkcs1"));
    println!("ring PKCS#1 v1.5: {counts:?}");
    assert_eq!(counts, Counts { accepted: 26, refused: 130, modulus_too_small: 7 });
}

#[test]
fn ring_pss_verification() {
    let counts = run(include_str!("data/ring-pss.jsonl"), Scheme::Pss, Cases::begin("ring-pss"));
    println!("ring PSS: {counts:?}");
    assert_eq!(counts, Counts { accepted: 9, refused: 45, modulus_too_small: 0 });
}

/// ring refuses numbers with leading zeros; here they are accepted: RFC 7518 §2 leaves that to the reader of the JWK.
const PRIMITIVE_EXCEPTIONS: [(&str, &str); 2] = [
    ("n", "a modulus with leading zeros is the same modulus"),
    ("e", "an exponent with leading zeros is the same exponent"),
];

#[test]
fn ring_rsa_primitive() {
    let (mut passed, mut refused, mut exceptions) = (0, 0, Vec::new());
    let (mut cases, scheme) = (Cases::begin("ring-primitive"), Scheme::Pkcs1v15(Hash::Sha256));
    for row in vectors::cases(include_str!("data/ring-primitive.jsonl")) {
        let (n, e) = (octets(&row, "n"), octets(&row, "e"));
        let (message, signature) = (octets(&row, "message"), octets(&row, "signature"));
        let accepted = PublicKey::new(&n, &e).is_ok_and(|key| key.verify(scheme, &message, &signature).is_ok());
        cases.verdict(scheme, accepted, [&n, &e], &message, &signature);
        let padded = if n[0] == 0 { Some("n") } else { (e[0] == 0).then_some("e") };
        match padded {
            Some(member) if accepted => exceptions.push(member),
            _ => assert_eq!(accepted, is_valid(&row), "{row}"),
        }
        *if accepted { &mut passed } else { &mut refused } += 1;
    }
    cases.end();
    for (member, reason) in PRIMITIVE_EXCEPTIONS {
        println!("exception: left zero-padded {member}: {reason}");
    }
    println!("ring RSA primitive: {passed} accepted, {refused} refused");
    assert_eq!(exceptions, PRIMITIVE_EXCEPTIONS.map(|(member, _)| member));
    assert_eq!((passed, refused), (4, 5));
}

/// A key of `bits` bits with e = 3 and a signature s such that s³ mod n is `encoded`: with s³ just above 2^bits, n = s³ − encoded
/// divides s³ − encoded. No such modulus is safe to sign with, but a verifier cannot tell.
fn key_and_signature_for(encoded: &BigUint, bits: usize) -> Option<(PublicKey, Vec<u8>)> {
    let cube = |s: &BigUint| s * s * s;
    // Below 2^bits, and above half of it.
    let limit = (BigUint::from(1u8) << bits) + encoded - 1u8;
    let mut s = BigUint::from(0u8);
    for bit in (0..=bits / 3 + 1).rev() {
        let larger = &s + (BigUint::from(1u8) << bit);
        if cube(&larger) <= limit {
            s = larger;
        }
    }
    let mut n = cube(&s) - encoded;
    if n.to_bytes_le()[0].is_multiple_of(2) {
        s -= 1u8;
        n = cube(&s) - encoded;
    }
    let key = PublicKey::new(&n.to_bytes_be(), &[3]).ok().filter(|key| key.bits() == bits && *encoded < n)?;
    let signature = left_pad(&s.to_bytes_be(), key.size());
    Some((key, signature))
}

#[test]
fn ring_pss_padding_with_moduli_made_to_fit() {
    let (mut passed, mut refused, mut skipped) = (0, 0, BTreeMap::<&str, usize>::new());
    let mut cases = Cases::begin("ring-padding");
    for row in vectors::cases(include_str!("data/ring-pss-padding.jsonl")) {
        let (hash, encoded) = (hash(&row), octets(&row, "encoded"));
        let bits = usize::try_from(row["bits"].as_u64().unwrap()).unwrap();
        if bits < limits::MIN_MODULUS_BITS {
            *skipped.entry("modulus below the limit").or_default() += 1;
            continue;
        }
        if encoded.len() != bits.div_ceil(8) {
            *skipped.entry("an encoded message of another length than any RSA operation gives").or_default() += 1;
            continue;
        }
        let encoded = BigUint::from_bytes_be(&encoded);
        if encoded.bits() > bits {
            *skipped.entry("a number above every modulus of its size").or_default() += 1;
            continue;
        }
        let (key, signature) = key_and_signature_for(&encoded, bits).unwrap();
        let message = octets(&row, "message");
        let accepted = key.verify(Scheme::Pss(hash), &message, &signature).is_ok();
        cases.verdict(Scheme::Pss(hash), accepted, [key.n(), &key.e().to_be_bytes()], &message, &signature);
        assert_eq!(accepted, is_valid(&row), "{row}");
        *if accepted { &mut passed } else { &mut refused } += 1;
    }
    cases.end();
    println!("ring PSS padding: {passed} accepted, {refused} refused; skipped: {skipped:?}");
    assert_eq!((passed, refused, skipped.values().sum::<usize>()), (60, 41, 4));
}
