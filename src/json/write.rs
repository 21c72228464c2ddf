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

/// Appends `text` as a JSON string.
pub fn push_quoted(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        let escape = match character {
            '"' => '"',
            '\\' => '\\',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\0'..' ' => {
                json.push_str("\\u00");
                json.push(if character < '\u{10}' { '0' } else { '1' });
                json.extend(char::from_digit(u32::from(character) & 15, 16));
                continue;
            }
            plain => {
                json.push(plain);
                continue;
            }
        };
        json.push('\\');
        json.push(escape);
    }
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
