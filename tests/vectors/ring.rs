//! RSA signatures: ring's text vectors, for what Wycheproof lacks: large exponents, odd modulus sizes, signature lengths.

use std::collections::BTreeMap;

use edgeward::limits;
use edgeward::rsa::{Hash, InvalidKey, PublicKey, Scheme};
use rsa::BigUint;

use crate::cases::Cases;
use crate::support::left_pad;
use crate::{folder, read};

/// One vector: what stands between two empty lines.
type Row = BTreeMap<String, String>;

fn rows(text: &str) -> Vec<Row> {
    text.split("\n\n")
        .map(|block| {
            let lines = block.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.trim().into(), v.trim().into())).collect()
        })
        .filter(|row: &Row| !row.is_empty())
        .collect()
}

/// Bytes in hexadecimal, or a text in quotes.
fn bytes(value: &str) -> Vec<u8> {
    if let Some(text) = value.strip_prefix('"') {
        return text.trim_end_matches('"').into();
    }
    let digits = if value.len().is_multiple_of(2) { value.to_owned() } else { format!("0{value}") };
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hash(row: &Row) -> Option<Hash> {
    match row["Digest"].as_str() {
        "SHA256" => Some(Hash::Sha256),
        "SHA384" => Some(Hash::Sha384),
        "SHA512" => Some(Hash::Sha512),
        "SHA1" => None,
        other => panic!("{other}"),
    }
}

/// One DER element: its content and what follows it.
fn der(tag: u8, bytes: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!(bytes[0], tag);
    let (len, from) = match bytes[1] {
        len @ 0..0x80 => (usize::from(len), 2),
        long => {
            let from = 2 + usize::from(long & 0x7f);
            (bytes[2..from].iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), from)
        }
    };
    (&bytes[from..from + len], &bytes[from + len..])
}

/// The numbers of `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn numbers(key: &[u8]) -> [&[u8]; 2] {
    let (n, rest) = der(0x02, der(0x30, key).0);
    [n, der(0x02, rest).0]
}

/// What became of rows with a key and a signature.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: usize,
    refused: usize,
    /// Refused although their result is a pass: RFC 7518 §3.3 demands 2048 bits.
    modulus_too_small: usize,
    sha1: usize,
}

fn run(rows: &[Row], scheme: fn(Hash) -> Scheme, mut cases: Cases) -> Counts {
    let mut counts = Counts::default();
    for row in rows {
        let Some(hash) = hash(row) else {
            counts.sha1 += 1;
            continue;
        };
        let key = bytes(&row["Key"]);
        let [n, e] = numbers(&key);
        let key = PublicKey::new(n, e);
        let (message, signature) = (bytes(&row["Msg"]), bytes(&row["Sig"]));
        let accepted = key.as_ref().is_ok_and(|key| key.verify(scheme(hash), &message, &signature).is_ok());
        cases.verdict(scheme(hash), accepted, [n, e], &message, &signature);
        let passes = row["Result"].starts_with('P');
        if passes && matches!(key, Err(InvalidKey::ModulusTooSmall { .. })) {
            counts.modulus_too_small += 1;
            continue;
        }
        assert_eq!(accepted, passes, "{row:?}");
        *if accepted { &mut counts.accepted } else { &mut counts.refused } += 1;
    }
    cases.end();
    counts
}

#[test]
fn ring_pkcs1_v1_5_verification() {
    let Some(folder) = folder("ring") else { return };
    let counts = run(&rows(&read(&folder, "rsa_pkcs1_verify_tests.txt")), Scheme::Pkcs1v15, Cases::begin("ring-pkcs1"));
    println!("ring PKCS#1 v1.5: {counts:?}");
    assert_eq!(counts, Counts { accepted: 26, refused: 130, modulus_too_small: 7, sha1: 54 });
}

#[test]
fn ring_pss_verification() {
    let Some(folder) = folder("ring") else { return };
    let counts = run(&rows(&read(&folder, "rsa_pss_verify_tests.txt")), Scheme::Pss, Cases::begin("ring-pss"));
    println!("ring PSS: {counts:?}");
    assert_eq!(counts, Counts { accepted: 9, refused: 45, ..Counts::default() });
}

/// ring refuses numbers with leading zeros; here they are what they are: RFC 7518 §2 leaves that to the reader of the JWK.
const PRIMITIVE_EXCEPTIONS: [(&str, &str); 2] = [
    ("n", "a modulus with leading zeros is the same modulus"),
    ("e", "an exponent with leading zeros is the same exponent"),
];

#[test]
fn ring_rsa_primitive() {
    let Some(folder) = folder("ring") else { return };
    let rows = rows(&read(&folder, "rsa_primitive_verify_tests.txt"));
    let (mut passed, mut refused, mut exceptions) = (0, 0, Vec::new());
    let (mut cases, scheme) = (Cases::begin("ring-primitive"), Scheme::Pkcs1v15(Hash::Sha256));
    for row in &rows {
        let (n, e) = (bytes(&row["n"]), bytes(&row["e"]));
        let (message, signature) = (bytes(&row["Msg"]), bytes(&row["Sig"]));
        let accepted = PublicKey::new(&n, &e).is_ok_and(|key| key.verify(scheme, &message, &signature).is_ok());
        cases.verdict(scheme, accepted, [&n, &e], &message, &signature);
        let padded = if n[0] == 0 { Some("n") } else { (e[0] == 0).then_some("e") };
        match padded {
            Some(member) if accepted => exceptions.push(member),
            _ => assert_eq!(accepted, row["Result"] == "Pass", "{row:?}"),
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
/// divides s³ − encoded. No such modulus is safe to sign with, but that is not the verifier's business.
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
    let Some(folder) = folder("ring") else { return };
    let (mut passed, mut refused, mut skipped) = (0, 0, BTreeMap::<&str, usize>::new());
    let mut cases = Cases::begin("ring-padding");
    for row in rows(&read(&folder, "rsa_pss_padding_tests.txt")) {
        let (hash, encoded, bits) = (hash(&row).unwrap(), bytes(&row["EM"]), row["Len"].parse::<usize>().unwrap());
        assert_eq!(bytes(&row["Salt"]).len(), hash.len());
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
        let message = bytes(&row["Msg"]);
        let accepted = key.verify(Scheme::Pss(hash), &message, &signature).is_ok();
        cases.verdict(Scheme::Pss(hash), accepted, [key.n(), &key.e().to_be_bytes()], &message, &signature);
        assert_eq!(accepted, row["Result"].starts_with('P'), "{row:?}");
        *if accepted { &mut passed } else { &mut refused } += 1;
    }
    cases.end();
    println!("ring PSS padding: {passed} accepted, {refused} refused; skipped: {skipped:?}");
    assert_eq!((passed, refused, skipped.values().sum::<usize>()), (60, 41, 4));
}
