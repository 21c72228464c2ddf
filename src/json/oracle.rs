//! Compares the strict layer with `serde_json::Value` on well-formed and on mutated texts: it accepts nothing more, refuses more only
//! for a reason of its own, and its index holds the same values.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::{Document, JsonError, Member, Number, Value, read_member};

/// Converts a value to `serde_json`'s.
fn converted(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Number(Number::Unsigned(value)) => value.into(),
        Value::Number(Number::Signed(value)) => value.into(),
        Value::Number(number @ Number::Float(_)) => number.as_f64().into(),
        Value::String(text) => text.into(),
        Value::Array(array) => array.iter().map(converted).collect::<Vec<_>>().into(),
        Value::Object(object) => {
            serde_json::Value::Object(object.iter().map(|(name, value)| (name.into(), converted(value))).collect())
        }
    }
}

fn compare(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    let ours = Document::parse(text.to_vec(), 64);
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    match (&ours, &theirs) {
        (Ok(document), Ok(theirs)) => {
            assert_eq!(converted(Value::Object(document.root())), *theirs, "{shown}");
            let again = Document::parse(Value::Object(document.root()).to_json().into_bytes(), 64).unwrap();
            assert_eq!(converted(Value::Object(again.root())), *theirs, "{shown}");
        }
        (Err(JsonError::DuplicateName | JsonError::TooDeep | JsonError::TooManyMembers), _) => {}
        (Err(JsonError::NotAnObject), Ok(theirs)) => assert!(!theirs.is_object(), "{shown}"),
        (Err(JsonError::Syntax | JsonError::NotUtf8), Err(_)) => {}
        _ => panic!("{shown}: {ours:?}, {theirs:?}"),
    }
    // Of JSON objects, `read_member` refuses only those that have the name twice.
    if let Ok(document) = &ours {
        let expected = match document.root().get("a") {
            None => Member::Absent,
            Some(Value::String(text)) => Member::String(text.into()),
            Some(_) => Member::NotAString,
        };
        assert_eq!(read_member(text, "a"), Ok(expected), "{shown}");
    }
}

const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "12345678901234567890",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551619.5",
    "-9223372036854775808",
    "-9223372036854775809",
    "1.5",
    "-0.0",
    "1e3",
    "1E+3",
    "25e-1",
    "1e308",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "1e309",
    "-1e400",
    "5e-324",
    "1e-400",
    "0e99999999999",
    "1e-99999999999",
    "1e99999999999",
    "123456789012345678901234567890",
    "0.1234567890123456789012345",
    "01",
    "1.",
    ".5",
    "1e",
    "+1",
    "-",
    "\"\"",
    "\"a\"",
    "\"\\u0061\"",
    "\"\\n\\\"\\\\\\/\\b\\f\\r\\t\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\\u12g4\"",
    "\"\\x\"",
    "\"é😀\"",
    "\"\u{7f}\"",
    "\"\t\"",
    "[]",
    "{}",
    "[1,]",
    "[,]",
];

fn value(random: &mut StdRng, depth: usize) -> String {
    let space = |random: &mut StdRng| ["", "", "", " ", "\n\t\r"].choose(random).copied().unwrap();
    let count = random.gen_range(0..4);
    match random.gen_range(0..10) {
        0..3 if depth > 0 => {
            let items: Vec<String> =
                (0..count).map(|_| format!("{}{}", space(random), value(random, depth - 1))).collect();
            format!("[{}{}]", items.join(","), space(random))
        }
        3..7 if depth > 0 => object(random, depth - 1),
        // The first ones are right and the rest mostly wrong: one in ten from all of them.
        _ if random.gen_ratio(1, 10) => (*WORDS.choose(random).unwrap()).into(),
        _ => (*WORDS[..14].choose(random).unwrap()).into(),
    }
}

fn object(random: &mut StdRng, depth: usize) -> String {
    let names = ["a", "b", "\\u0061", "é", "", "\\\\", "c"];
    let count = random.gen_range(0..4);
    let members: Vec<String> =
        (0..count).map(|_| format!("\"{}\" : {}", names.choose(random).unwrap(), value(random, depth))).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn nothing_but_strictness_tells_a_document_from_a_value() {
    let mut random = StdRng::seed_from_u64(8259);
    for _ in 0..20_000 {
        let text = object(&mut random, 4).into_bytes();
        compare(&text);
        for _ in 0..3 {
            let mut changed = text.clone();
            let at = random.gen_range(0..changed.len());
            match random.gen_range(0..4) {
                0 => {
                    changed.remove(at);
                }
                1 => changed.truncate(at),
                2 => changed[at] = *b"{}[]\",:\\0e-.\x00\xff\xc3 u".choose(&mut random).unwrap(),
                _ => changed.insert(at, *b"{}[]\",:\\0e-.\x00\xff\xc3 u".choose(&mut random).unwrap()),
            }
            compare(&changed);
        }
    }
}

#[test]
fn every_number_keeps_its_text_and_is_the_one_that_serde_json_makes_of_it() {
    let mut random = StdRng::seed_from_u64(754);
    let digits = |random: &mut StdRng, most: usize| -> String {
        (0..random.gen_range(1..=most)).map(|_| char::from(b'0' + random.gen_range(0..10))).collect()
    };
    for word in WORDS {
        compare(format!("{{\"a\":{word}}}").as_bytes());
    }
    for _ in 0..200_000 {
        let mut text = String::from(if random.gen_bool(0.5) { "-" } else { "" });
        text.push_str(&digits(&mut random, 24));
        if random.gen_bool(0.5) {
            text.push('.');
            text.push_str(&digits(&mut random, 24));
        }
        if random.gen_bool(0.7) {
            text.push_str(["e", "E", "e+", "e-"].choose(&mut random).unwrap());
            text.push_str(&random.gen_range(0..400).to_string());
        }
        let others = ["", "7,-0,", "\"\\u0031\\\\\\\"2.5\",", "1.5,[{\"3\":-4}],\"-5e5\",true,", "null,{},1E5,"];
        let json = format!("{{\"\\u0061\":[{}{text} ,6.0]}}", others.choose(&mut random).unwrap());
        compare(json.as_bytes());
        if let Ok(document) = Document::parse(json.clone().into_bytes(), 64) {
            let items: Vec<_> = document.root().get("a").and_then(Value::as_array).unwrap().iter().collect();
            assert!(matches!(items.last(), Some(Value::Number(Number::Float("6.0")))), "{json}");
            assert_eq!(items[items.len() - 2].to_json(), text, "{json}");
        }
    }
}
