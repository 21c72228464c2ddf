//! JSON syntax: JSONTestSuite, each text as a member of a header, as a member of claims, and alone.
//!
//! `y_` texts must parse, `n_` texts must be refused, `i_` texts are left to the parser: what this one does with each is
//! written down here. The transforms show what a parser makes of numbers, duplicate names and broken strings.

use std::collections::BTreeSet;
use std::path::Path;

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use edgeward::json::{Document, JsonError, Value};
use edgeward::jwt::UntrustedToken;
use edgeward::limits;

use crate::folder;
use crate::support::{Mint, access_policy, key_a, verify};

/// Valid JSON that is refused.
const STRICTER: [(&str, &str); 2] = [
    (
        "y_object_duplicated_key.json",
        "two members of the same name: readers disagree on which one counts (RFC 7515 §4)",
    ),
    ("y_object_duplicated_key_and_value.json", "two members of the same name, even with the same value"),
];

/// Texts left to the parser that are accepted. All others of them are refused.
const LEFT_TO_US_AND_ACCEPTED: [(&str, &str); 5] = [
    ("i_number_double_huge_neg_exp.json", "rounds to zero"),
    ("i_number_real_underflow.json", "rounds to zero"),
    ("i_number_too_big_neg_int.json", "rounds to the nearest double"),
    ("i_number_too_big_pos_int.json", "rounds to the nearest double"),
    ("i_number_very_big_negative_int.json", "rounds to the nearest double"),
];

/// The transforms that are accepted: numbers, names in two Unicode forms, and an escaped NUL. The others have two members of
/// the same name or broken strings.
const TRANSFORMS_ACCEPTED: [&str; 13] = [
    "number_-9223372036854775808.json",
    "number_-9223372036854775809.json",
    "number_1.0.json",
    "number_1.000000000000000005.json",
    "number_1000000000000000.json",
    "number_10000000000000000999.json",
    "number_1e-999.json",
    "number_1e6.json",
    "number_9223372036854775807.json",
    "number_9223372036854775808.json",
    "object_key_nfc_nfd.json",
    "object_key_nfd_nfc.json",
    "string_with_escaped_NULL.json",
];

/// How a text fared in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Accepted,
    Refused,
}

/// What became of `text` as a member of a header, as a member of claims, and alone; the same in all three.
fn fate(name: &str, text: &[u8]) -> Fate {
    let fates = [as_header_member(text), as_claims_member(text), alone(text)];
    assert!(fates.iter().all(|fate| *fate == fates[0]), "{name}: header, claims, alone: {fates:?}");
    fates[0]
}

fn as_header_member(text: &[u8]) -> Fate {
    let header = [br#"{"alg":"RS256","x":"#, text, b"}"].concat();
    let token = format!("{}.e30.AA", base64url::encode(&header));
    match UntrustedToken::parse(&token) {
        Ok(token) => {
            assert_eq!(token.header().as_json().as_bytes(), header);
            Fate::Accepted
        }
        Err(VerifyError::TokenMalformed(Malformed::Header)) => Fate::Refused,
        Err(VerifyError::TokenMalformed(Malformed::HeaderTooLarge)) if text.len() > limits::MAX_HEADER_BYTES / 2 => {
            Fate::Refused
        }
        Err(VerifyError::TokenTooLarge { .. }) if text.len() > limits::MAX_TOKEN_BYTES / 2 => Fate::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

fn as_claims_member(text: &[u8]) -> Fate {
    let valid = Mint::access(key_a());
    let claims = valid.claims_bytes();
    let open = claims.strip_suffix(b"}").unwrap();
    let token = valid.raw_claims([open, br#","x":"#, text, b"}"].concat()).text();
    match verify(&access_policy(), &key_a().set(), &token) {
        Ok(_) => Fate::Accepted,
        Err(VerifyError::TokenMalformed(Malformed::Claims)) => Fate::Refused,
        Err(VerifyError::TokenTooLarge { .. }) if text.len() > limits::MAX_TOKEN_BYTES / 2 => Fate::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

fn alone(text: &[u8]) -> Fate {
    match Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH) {
        // What is not an object is never acceptable alone; it was found to be JSON all the same.
        Ok(_) | Err(JsonError::NotAnObject) => Fate::Accepted,
        Err(_) => Fate::Refused,
    }
}

fn texts(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().into(), std::fs::read(&path).unwrap()))
        .collect();
    texts.sort();
    texts
}

#[test]
fn json_test_suite_parsing() {
    let Some(folder) = folder("jsontestsuite") else { return };
    let (mut must_parse, mut must_not, mut left_to_us) = (0, 0, 0);
    let (mut stricter, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    for (name, text) in texts(&folder.join("test_parsing")) {
        let fate = fate(&name, &text);
        match &name[..2] {
            "y_" => {
                must_parse += 1;
                if fate == Fate::Refused {
                    stricter.insert(name);
                }
            }
            "n_" => {
                must_not += 1;
                assert_eq!(fate, Fate::Refused, "{name}");
            }
            "i_" => {
                left_to_us += 1;
                println!("left to the parser: {fate:?}: {name}");
                if fate == Fate::Accepted {
                    accepted.insert(name);
                }
            }
            _ => panic!("{name}"),
        }
    }
    for (name, reason) in STRICTER {
        println!("exception: {name}: {reason}");
    }
    println!("JSONTestSuite: {must_parse} y_, {must_not} n_, {left_to_us} i_, in header, claims and alone");
    assert_eq!(stricter, STRICTER.iter().map(|(name, _)| (*name).to_owned()).collect());
    assert_eq!(accepted, LEFT_TO_US_AND_ACCEPTED.iter().map(|(name, _)| (*name).to_owned()).collect());
    assert_eq!((must_parse, must_not, left_to_us), (95, 188, 35));
}

#[test]
fn json_test_suite_transforms() {
    let Some(folder) = folder("jsontestsuite") else { return };
    let texts = texts(&folder.join("test_transform"));
    let accepted: BTreeSet<&str> =
        texts.iter().filter(|(name, text)| fate(name, text) == Fate::Accepted).map(|(name, _)| name.as_str()).collect();
    println!("JSONTestSuite transforms: {} accepted, {} refused", accepted.len(), texts.len() - accepted.len());
    assert_eq!(accepted, BTreeSet::from(TRANSFORMS_ACCEPTED));
    assert_eq!(texts.len(), 22);
}

#[test]
fn a_refused_text_is_refused_for_the_right_reason() {
    let Some(folder) = folder("jsontestsuite") else { return };
    let reason = |name: &str| {
        let text = std::fs::read(folder.join(name)).unwrap();
        Document::parse(text, limits::MAX_CLAIMS_DEPTH).map(|_| ()).unwrap_err()
    };
    for name in ["different_values", "same_value", "unclear_values"] {
        assert_eq!(reason(&format!("test_transform/object_same_key_{name}.json")), JsonError::DuplicateName, "{name}");
    }
    assert_eq!(reason("test_transform/string_1_invalid_codepoint.json"), JsonError::NotUtf8);
    assert_eq!(reason("test_transform/string_1_escaped_invalid_codepoint.json"), JsonError::Syntax);
    assert_eq!(reason("test_parsing/i_string_UTF-16LE_with_BOM.json"), JsonError::NotUtf8);
    assert_eq!(reason("test_parsing/i_structure_UTF-8_BOM_empty_object.json"), JsonError::Syntax);
    assert_eq!(reason("test_parsing/i_structure_500_nested_arrays.json"), JsonError::TooDeep);
    assert_eq!(reason("test_parsing/n_structure_100000_opening_arrays.json"), JsonError::TooDeep);
}

#[test]
fn names_in_two_unicode_normal_forms_are_two_names() {
    let Some(folder) = folder("jsontestsuite") else { return };
    let text = std::fs::read(folder.join("test_transform/object_key_nfc_nfd.json")).unwrap();
    let document = Document::parse(text, limits::MAX_CLAIMS_DEPTH).unwrap();
    assert_eq!(document.root().get("\u{e9}").and_then(Value::as_str), Some("NFC"));
    assert_eq!(document.root().get("e\u{301}").and_then(Value::as_str), Some("NFD"));
}
