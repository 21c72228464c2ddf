//! Writing values as JSON text.

use alloc::string::String;

use super::{Number, Value};
use crate::text::{decimal, signed_decimal};

/// Returns `text` as a JSON string (RFC 8259 §7), with escapes only where necessary.
#[must_use]
pub fn quote(text: &str) -> String {
    // Cannot fail: every string has a JSON form, and it is written to memory.
    serde_json::to_string(text).unwrap_or_default()
}

/// Appends `text` as a JSON string.
pub fn push_quoted(json: &mut String, text: &str) {
    json.push_str(&quote(text));
}

impl Value<'_> {
    /// Returns the value as JSON text without whitespace; numbers other than integers stay as written.
    #[must_use]
    pub fn to_json(self) -> String {
        self.to_json_without(&[])
    }

    /// Returns the same without the members of these names, at any depth.
    pub(crate) fn to_json_without(self, names: &[&str]) -> String {
        let mut json = String::new();
        self.write(names, &mut json);
        json
    }

    /// Appends the value. Not done with `Serialize`, which cannot write a number as it was written: it would print another text for a
    /// double, and the claims in a session would change a little each time.
    ///
    /// Recursive; the nesting of documents is limited.
    fn write(self, omitted: &[&str], json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(value) => json.push_str(if value { "true" } else { "false" }),
            Self::Number(Number::Unsigned(value)) => json.push_str(&decimal(value)),
            Self::Number(Number::Signed(value)) => json.push_str(&signed_decimal(value)),
            Self::Number(Number::Float(text)) => json.push_str(text),
            Self::String(value) => push_quoted(json, value),
            Self::Array(array) => {
                json.push('[');
                for (index, value) in array.iter().enumerate() {
                    json.push_str(if index > 0 { "," } else { "" });
                    value.write(omitted, json);
                }
                json.push(']');
            }
            Self::Object(object) => {
                json.push('{');
                let members = object.iter().filter(|(name, _)| !omitted.contains(name));
                for (index, (name, value)) in members.enumerate() {
                    json.push_str(if index > 0 { "," } else { "" });
                    push_quoted(json, name);
                    json.push(':');
                    value.write(omitted, json);
                }
                json.push('}');
            }
        }
    }
}
