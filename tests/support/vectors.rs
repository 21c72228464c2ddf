//! Published vectors as data: the files that `tests/vectors/README.md` describes. They are compiled in, so that a test without
//! its vectors does not build.

use serde_json::{Map, Value};

/// The head of a data file, and its cases with what each shares with those before it. Panics unless all of them are there.
pub(crate) fn parse(file: &str) -> (Map<String, Value>, Vec<Value>) {
    let mut lines = file.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    let head = lines.next().unwrap();
    let (mut shared, mut cases) = (Map::new(), Vec::new());
    for line in lines {
        if line.contains_key("id") {
            let mut case = shared.clone();
            case.extend(line);
            cases.push(Value::Object(case));
        } else {
            shared = line;
        }
    }
    assert_eq!(head["cases"].as_u64(), Some(cases.len() as u64), "{head:?}");
    (head, cases)
}

/// The cases of a data file.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    parse(file).1
}

/// The text of a member that must be one.
pub(crate) fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("{member} in {case}"))
}

/// The octets that a member gives in hexadecimal.
pub(crate) fn octets(case: &Value, member: &str) -> Vec<u8> {
    let pairs = text(case, member).as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Whether the source calls the case valid. What it finds acceptable is not: a strict verifier has no use for leniency.
pub(crate) fn is_valid(case: &Value) -> bool {
    match text(case, "verdict") {
        "valid" => true,
        "invalid" | "acceptable" => false,
        other => panic!("{other} in {case}"),
    }
}
