//! JSON syntax: JSONTestSuite, each text as a member of a header, as a member of claims, and alone.
//!
//! `y_` texts must parse, `n_` texts must be refused, `i_` texts are left to the parser: what this one does with each is
//! written down here. The transforms show what a parser makes of numbers, duplicate names and broken strings.

use std::collections::BTreeSet;

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use edgeward::json::{Document, JsonError, Value};
use edgeward::jwt::UntrustedToken;
use edgeward::limits;
use support::vectors::{cases, octets, text};
use support::{Mint, access_policy, key_a, verify};

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

/// The result for a text in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Accepted,
    Refused,
}

/// The result for `text` as a member of a header, as a member of claims, and alone; the same in all three.
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

/// A text, its name, and whether it is valid; `None` if that is left to the parser.
struct Text {
    name: String,
    bytes: Vec<u8>,
    is_valid: Option<bool>,
}

/// The texts of a set: `test_parsing` or `test_transform`.
fn texts(set: &str) -> Vec<Text> {
    let mut texts = Vec::new();
    for case in cases(include_str!("data/json-test-suite.jsonl")) {
        let Some((_, name)) = text(&case, "id").split_once('/').filter(|(folder, _)| *folder == set) else { continue };
        let mut bytes = Vec::new();
        if let Some(repeated) = case.get("repeated") {
            let times = usize::try_from(repeated[1].as_u64().unwrap()).unwrap();
            bytes = repeated[0].as_str().unwrap().repeat(times).into_bytes();
        }
        let rest = case.get("text").and_then(|text| text.as_str());
        bytes.extend(rest.map_or_else(|| octets(&case, "hex"), |text| text.into()));
        let is_valid = match text(&case, "verdict") {
            "valid" => Some(true),
            "invalid" => Some(false),
            "either" => None,
            other => panic!("{name}: {other}"),
        };
        texts.push(Text { name: name.into(), bytes, is_valid });
    }
    texts
}

fn bytes_of(set: &str, name: &str) -> Vec<u8> {
    texts(set).into_iter().find(|text| text.name == name).unwrap_or_else(|| panic!("{name}")).bytes
}

#[test]
fn json_test_suite_parsing() {
    let (mut must_parse, mut must_not, mut left_to_us) = (0, 0, 0);
    let (mut stricter, mut accepted) = (BTreeSet::new(), BTreeSet::new());
    for Text { name, bytes, is_valid } in texts("test_parsing") {
        let fate = fate(&name, &bytes);
        match is_valid {
            Some(true) => {
                must_parse += 1;
                if fate == Fate::Refused {
                    stricter.insert(name);
                }
            }
            Some(false) => {
                must_not += 1;
                assert_eq!(fate, Fate::Refused, "{name}");
            }
            None => {
                left_to_us += 1;
                println!("left to the parser: {fate:?}: {name}");
                if fate == Fate::Accepted {
                    accepted.insert(name);
                }
            }
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
    let texts = texts("test_transform");
    let accepted = texts.iter().filter(|text| fate(&text.name, &text.bytes) == Fate::Accepted);
    let accepted: BTreeSet<&str> = accepted.map(|text| text.name.as_str()).collect();
    println!("JSONTestSuite transforms: {} accepted, {} refused", accepted.len(), texts.len() - accepted.len());
    assert_eq!(accepted, BTreeSet::from(TRANSFORMS_ACCEPTED));
    assert_eq!(texts.len(), 22);
}

#[test]
fn a_refused_text_is_refused_for_the_right_reason() {
    let reason = |id: &str| {
        let (set, name) = id.split_once('/').unwrap();
        Document::parse(bytes_of(set, name), limits::MAX_CLAIMS_DEPTH).map(|_| ()).unwrap_err()
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
    let text = bytes_of("test_transform", "object_key_nfc_nfd.json");
    let document = Document::parse(text, limits::MAX_CLAIMS_DEPTH).unwrap();
    assert_eq!(document.root().get("\u{e9}").and_then(Value::as_str), Some("NFC"));
    assert_eq!(document.root().get("e\u{301}").and_then(Value::as_str), Some("NFD"));
}
