//! JSON text from values.

use alloc::string::String;

use super::{Number, Value};
use crate::text::decimal;

/// `text` as a JSON string (RFC 8259 §7): quoted, with escapes only where they are needed.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_quoted(&mut json, text);
    json
}

/// Characters with an escape of their own, and its name.
const NAMED: [(u8, char); 7] =
    [(b'"', '"'), (b'\\', '\\'), (8, 'b'), (12, 'f'), (b'\n', 'n'), (b'\r', 'r'), (b'\t', 't')];

/// Appends `text` as a JSON string.
pub fn push_quoted(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    // Whatever needs an escape is one byte.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, escaped) = rest.split_at_checked(at).unwrap_or_default();
        json.push_str(plain);
        json.push('\\');
        let byte = escaped.bytes().next().unwrap_or_default();
        match NAMED.iter().find(|(named, _)| *named == byte) {
            Some(&(_, name)) => json.push(name),
            None => {
                json.push_str(if byte < 0x10 { "u000" } else { "u001" });
                json.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            }
        }
        rest = escaped.get(1..).unwrap_or_default();
    }
    json.push_str(rest);
    json.push('"');
}

impl Value<'_> {
    /// The value as JSON text, without whitespace; numbers other than integers as they stood.
    #[must_use]
    pub fn to_json(self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    /// Goes as deep as the document is nested, which is limited.
    fn write(self, json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(value) => json.push_str(if value { "true" } else { "false" }),
            Self::Number(Number::Unsigned(value)) => json.push_str(&decimal(value)),
            Self::Number(Number::Signed(value)) => {
                json.push('-');
                json.push_str(&decimal(value.unsigned_abs()));
            }
            Self::Number(Number::Float(text)) => json.push_str(text),
            Self::String(value) => push_quoted(json, value),
            Self::Array(array) => {
                json.push('[');
                for (index, value) in array.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    value.write(json);
                }
                json.push(']');
            }
            Self::Object(object) => {
                json.push('{');
                for (index, (name, value)) in object.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    push_quoted(json, name);
                    json.push(':');
                    value.write(json);
                }
                json.push('}');
            }
        }
    }
}
