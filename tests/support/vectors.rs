//! Published test vectors: the files described in `tests/vectors/README.md`. They are compiled in, so that a test without its vectors
//! does not build.

use serde_json::{Map, Value};

/// Reads the head of a data file and its cases, with inherited members. Panics if a case is missing.
pub fn parse(file: &str) -> (Map<String, Value>, Vec<Value>) {
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

/// Returns the cases of a data file.
pub fn cases(file: &str) -> Vec<Value> {
    parse(file).1
}

/// Returns a member that must be a string.
pub fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_else(|| panic!("{member} in {case}"))
}

/// Decodes a hexadecimal member.
pub fn octets(case: &Value, member: &str) -> Vec<u8> {
    let pairs = text(case, member).as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Whether the source marks the case as valid. "Acceptable" cases count as invalid, because this verifier is strict.
pub fn is_valid(case: &Value) -> bool {
    match text(case, "verdict") {
        "valid" => true,
        "invalid" | "acceptable" => false,
        other => panic!("{other} in {case}"),
    }
}
