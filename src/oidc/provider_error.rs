//! Errors that the provider reports (RFC 6749 §4.1.2.1, §5.2).

use alloc::string::String;
use core::fmt;

use crate::limits;

/// An error code of the provider, and its description.
///
/// Displays both, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    code: String,
    description: String,
}

impl ProviderError {
    /// Creates an error from what the provider sent, neither of which need be well-formed.
    #[must_use]
    pub fn new(code: &str, description: Option<&str>) -> Self {
        // It appears in pages and responses.
        let is_code = !code.is_empty()
            && code.len() <= limits::MAX_ERROR_CODE_BYTES
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let code = if is_code { code } else { "unknown_error" };
        Self { code: code.into(), description: description.map(shown).unwrap_or_default() }
    }

    /// Returns the code: lower-case letters and `_`, or `unknown_error`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if self.description.is_empty() { Ok(()) } else { write!(f, " ({})", self.description) }
    }
}

/// Returns a text of the provider as a log line may show it: printable ASCII, of limited length, and with every word that could be a code,
/// a token or a secret replaced: some providers quote what they refuse.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut word = 0;
    for byte in text.bytes() {
        let is_of_word = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=' | b'~');
        word = if is_of_word { word + 1 } else { 0 };
        if word > limits::MIN_SECRET_WORD_BYTES {
            continue;
        }
        if word == limits::MIN_SECRET_WORD_BYTES {
            // The word is too long: only its beginning is here, which goes, too.
            shown.truncate(shown.len() + 1 - limits::MIN_SECRET_WORD_BYTES);
            shown.push_str("...");
        } else if shown.len() >= limits::MAX_SHOWN_VALUE_BYTES {
            // Nor may a part of a long word be left.
            shown.truncate(shown.len() - word.saturating_sub(1));
            break;
        } else {
            shown.push(printable_byte(byte));
        }
    }
    shown
}

/// Returns a byte as a log line may show it. Logs are shown in HTML, too.
fn printable_byte(byte: u8) -> char {
    let is_shown = matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\\');
    if is_shown { char::from(byte) } else { '?' }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{ProviderError, shown};
    use crate::limits;

    #[test]
    fn a_description_is_one_line_of_printable_characters() {
        assert_eq!(
            shown("The redirect_uri https://app.example.com/cb is not registered."),
            "The redirect_uri https://app.example.com/cb is not registered."
        );
        assert_eq!(shown("a\nb\r\u{1b}[31mc\u{202e}"), "a?b??[31mc???");
        assert_eq!(shown("<img src=\"x\">&\\"), "?img src=?x????");
        assert_eq!(shown(&"a ".repeat(500)).len(), limits::MAX_SHOWN_VALUE_BYTES);
    }

    #[test]
    fn codes_tokens_and_secrets_in_a_description_are_not_shown() {
        for (text, expected) in [
            ("code 7Jx2kQ9vYb3LmN8pRt5wZc1d is expired", "code ... is expired"),
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0aaa.c2lnbmF0dXJlLXNpZ25hdHVyZQ", "..........."),
            ("0c5e8f6a-4c0b-4b7e-9a4e-1d2c3b4a5f60", "..."),
            ("nineteen_characters", "nineteen_characters"),
            ("twenty_characters_xx", "..."),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        // Cut at the limit, no part of a long word is left either.
        let text = ["a ".repeat(95), "S".repeat(40)].concat();
        assert!(!shown(&text).contains('S'), "{}", shown(&text));
    }

    #[test]
    fn a_malformed_code_is_not_repeated() {
        let error = ProviderError::new("<script>", None);
        assert_eq!((error.code(), error.to_string()), ("unknown_error", "unknown_error".to_string()));
        let error = ProviderError::new("access_denied", Some("User said no"));
        assert_eq!(error.to_string(), "access_denied (User said no)");
    }
}
