//! Proves that JSON is parsed the same whatever features `serde_json` was built with: a user's dependencies may enable any of them.
//! `tests/features` runs this, and the other tests of refusals, with all of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::fmt::Write as _;

use edgeward::json::{Document, JsonError, Number, Value};
use edgeward::limits;
use sha2::{Digest as _, Sha256};
use support::Rng;

fn parse(text: &str) -> Result<Document, JsonError> {
    Document::parse(text.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH)
}

fn only_value(document: &Document) -> Value<'_> {
    document.root().iter().next().unwrap().1
}

#[test]
fn numbers_of_every_form_are_numbers() {
    for (text, double) in [
        ("-0", 0.0),
        ("1.50", 1.5),
        ("1E+3", 1000.0),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ("25e-1", 2.5),
    ] {
        let document = parse(&format!(r#"{{"a":{text}}}"#)).unwrap();
        let Value::Number(number @ Number::Float(as_it_stood)) = only_value(&document) else { panic!("{text}") };
        assert_eq!((as_it_stood, number.as_f64()), (text, double));
    }
    let document = parse(r#"{"a":[18446744073709551615,-9223372036854775808]}"#).unwrap();
    let items: Vec<_> = only_value(&document).as_array().unwrap().iter().collect();
    assert!(matches!(*items, [Value::Number(Number::Unsigned(u64::MAX)), Value::Number(Number::Signed(i64::MIN))]));
    for text in ["1e400", "-1.8e308", "0.1e310", "1e99999999999", "01", "1.", "NaN"] {
        assert_eq!(parse(&format!(r#"{{"a":{text}}}"#)).unwrap_err(), JsonError::Syntax, "{text}");
    }
}

#[test]
fn a_name_that_serde_json_uses_itself_is_a_name_like_any_other() {
    for name in ["$serde_json::private::Number", r"\u0024serde_json::private::Number", "$serde_json::private::RawValue"]
    {
        for value in [r#""1.5""#, r#""x""#, "1.5", "null", "{}"] {
            let text = format!(r#"{{"a":{{"{name}":{value}}}}}"#);
            let document = parse(&text).unwrap();
            let members: Vec<_> = only_value(&document).as_object().unwrap().iter().collect();
            assert_eq!(members.len(), 1, "{text}");
            assert_eq!(members[0].1.to_json(), value, "{text}");
        }
        let twice = format!(r#"{{"a":{{"{name}":"1","$serde_json::private::Number":"1","{name}":"1"}}}}"#);
        assert_eq!(parse(&twice).unwrap_err(), JsonError::DuplicateName);
    }
}

#[test]
fn numbers_do_not_count_as_a_level_and_depth_is_bounded_before_it_is_reached() {
    let nested =
        |levels: usize, inside: &str| format!("{{\"a\":{}{inside}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    for inside in ["1.5", "-0", "1e3", "18446744073709551616"] {
        assert!(parse(&nested(limits::MAX_CLAIMS_DEPTH, inside)).is_ok(), "{inside}");
        assert_eq!(parse(&nested(limits::MAX_CLAIMS_DEPTH + 1, inside)).unwrap_err(), JsonError::TooDeep);
    }
    let unlimited = |text: String| Document::parse(text.into_bytes(), usize::MAX).map(drop);
    assert_eq!(unlimited(nested(limits::MAX_JSON_DEPTH, "{}")), Err(JsonError::TooDeep));
    assert_eq!(unlimited(nested(limits::MAX_JSON_DEPTH, "1.5")), Ok(()));
    for open in ["[", "{\"a\":"] {
        assert_eq!(unlimited(format!("{{\"a\":{}", open.repeat(1_000_000))), Err(JsonError::TooDeep));
    }
}

#[test]
fn members_keep_their_order() {
    let document = parse(r#"{"b":1,"a":{"d":1.0,"c":2},"\u0041":3}"#).unwrap();
    assert_eq!(Value::Object(document.root()).to_json(), r#"{"b":1,"a":{"d":1.0,"c":2},"A":3}"#);
}

/// The complete content of `document`.
fn told(text: &[u8]) -> String {
    match Document::parse(text.to_vec(), 8) {
        Ok(document) => Value::Object(document.root()).to_json(),
        Err(reason) => format!("{reason:?}"),
    }
}

const PIECES: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "{\"a\":",
    "\"b\":",
    "\"\"",
    "\"\\u0061\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e9",
    "1e400",
    "2E-3",
    "18446744073709551616",
    "null",
    "true",
    "false",
    " ",
    "\"$serde_json::private::Number\":",
    "é",
    "\\",
    "\"",
];

fn value(random: &mut Rng, depth: usize, text: &mut String) {
    let count = random.below(4);
    match random.below(8) {
        0 if depth > 0 => {
            text.push('[');
            for index in 0..count {
                text.push_str(if index > 0 { "," } else { "" });
                value(random, depth - 1, text);
            }
            text.push(']');
        }
        1..3 if depth > 0 => object(random, depth - 1, text),
        _ => text.push_str(random.pick::<&str>(&PIECES[8..23])),
    }
}

fn object(random: &mut Rng, depth: usize, text: &mut String) {
    text.push('{');
    for index in 0..random.below(4) {
        text.push_str(if index > 0 { " ," } else { "" });
        text.push_str(random.pick::<&str>(&[
            "\"a\":",
            "\"b\": ",
            "\"\\u0061\":",
            "\"c\":",
            "\"$serde_json::private::Number\":",
        ]));
        value(random, depth, text);
    }
    text.push('}');
}

/// The digest of 100,000 verdicts. It is written down here once; every build must come to it.
#[test]
fn verdicts_are_the_same_in_every_build() {
    let mut random = Rng(8259);
    let mut digest = Sha256::new();
    let mut accepted = 0;
    for _ in 0..100_000 {
        let mut text = String::new();
        object(&mut random, 8, &mut text);
        if random.below(2) == 0 {
            let at = random.below(text.len());
            if text.is_char_boundary(at) {
                text.insert_str(at, random.pick::<&str>(&PIECES));
            }
        }
        let told = told(text.as_bytes());
        accepted += usize::from(told.starts_with('{'));
        digest.update(told);
        digest.update([0]);
    }
    let hex = digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert!((20_000..80_000).contains(&accepted), "{accepted}");
    assert_eq!(hex, "524854bdf59a878fda0ea1b71f4d72e19c2554603cbd79c4fe4a980ff951d517");
}
