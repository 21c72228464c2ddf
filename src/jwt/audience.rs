//! The `aud` claim: one string or an array of strings (RFC 7519 §4.1.3).

use crate::json::{Array, Value};

/// The audiences of a token, compared byte by byte: a trailing slash makes a difference.
#[derive(Clone, Copy, Default)]
pub enum Audience<'a> {
    /// No audience.
    #[default]
    None,
    /// A single string.
    One(&'a str),
    /// An array of strings.
    Many(Array<'a>),
}

impl<'a> Audience<'a> {
    /// Reads the claim; returns `None` if it is neither a string nor an array of strings.
    pub(crate) fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::String(audience) => Some(Self::One(audience)),
            Value::Array(array) => array.strings().is_some().then_some(Self::Many(array)),
            _ => None,
        }
    }

    /// Iterates over the audiences.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(audience) => (Some(audience), None),
            Self::Many(array) => (None, Some(array)),
        };
        one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
    }

    /// Returns whether `audience` is one of them.
    #[must_use]
    pub fn contains(self, audience: &str) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == audience,
            Self::Many(array) => array.iter().any(|one| one.as_str() == Some(audience)),
        }
    }
}
