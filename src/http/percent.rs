//! Percent-encoding (RFC 3986 §2.1) of paths, queries, forms and header values.

use alloc::string::String;
use alloc::vec::Vec;

/// Returns whether two hexadecimal digits follow every `%`.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| value(rest.as_bytes()).is_some())
}

/// Decodes to bytes; a `%` without two digits stands for itself.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut pieces = text.as_bytes().split(|&byte| byte == b'%');
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (byte, rest) = match value(piece) {
            Some(decoded) => (decoded, piece.get(2..).unwrap_or_default()),
            None => (b'%', piece),
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest);
    }
    bytes
}

/// Decodes every encoded byte as a Latin-1 character.
pub(crate) fn decode_latin1(text: &str) -> String {
    replaced(text, |byte| Some(byte.into()))
}

/// Returns the value of the two leading hexadecimal digits.
fn value(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (&[high, low], _) = digits.split_first_chunk::<2>()?;
    Some(digit(high)? << 4 | digit(low)?)
}

/// Replaces every `%2F` and `%5C`; returns `None` if there is none.
pub(crate) fn with_encoded_separators_as(text: &str, separator: char) -> Option<String> {
    let replaced = replaced(text, |byte| matches!(byte, b'/' | b'\\').then_some(separator));
    (replaced.len() < text.len()).then_some(replaced)
}

/// Replaces each encoded byte for which `character_of` returns a character; other bytes, and a `%` without two digits, stay.
fn replaced(text: &str, character_of: impl Fn(u8) -> Option<char>) -> String {
    let mut pieces = text.split('%');
    let mut replaced = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        match value(piece.as_bytes()).and_then(&character_of) {
            Some(character) => {
                replaced.push(character);
                replaced.push_str(piece.get(2..).unwrap_or_default());
            }
            None => {
                replaced.push('%');
                replaced.push_str(piece);
            }
        }
    }
    replaced
}

/// Returns whether `text` is an encoding of `decoded` in which no unreserved character is encoded (RFC 3986 §2.3): only an attempt at
/// evasion would encode those.
pub(crate) fn is_conventional_encoding_of(text: &str, decoded: &str) -> bool {
    let encodes_unreserved = |rest: &str| value(rest.as_bytes()).is_some_and(is_unreserved);
    decode(text) == decoded.as_bytes() && !text.split('%').skip(1).any(encodes_unreserved)
}

/// Appends `text`, percent-encoding every byte that is not `literal`.
pub(crate) fn push_encoded(out: &mut String, text: &str, literal: fn(u8) -> bool) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied();
    for byte in text.bytes() {
        if literal(byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.extend([digit(byte >> 4), digit(byte & 15)].into_iter().flatten());
        }
    }
}

/// Appends a component of a query or form: everything but unreserved characters is encoded.
pub(crate) fn push_component(out: &mut String, text: &str) {
    push_encoded(out, text, is_unreserved);
}

/// Appends a path segment (RFC 3986 §3.3), with semicolons encoded, too.
pub(crate) fn push_segment(path: &mut String, segment: &str) {
    push_encoded(path, segment, |byte| is_unreserved(byte) || b"!$&'()*+,=:@".contains(&byte));
}

/// Encodes `text` as a header value: visible ASCII and inner spaces stay, everything else, and `%`, is percent-encoded as UTF-8.
/// Different texts have different values, and none can end the header.
#[must_use]
pub fn encode_header_value(text: &str) -> String {
    const SPACE: &str = "%20";
    // Recipients trim spaces around a value.
    let (start, text) = text.strip_prefix(' ').map_or(("", text), |rest| (SPACE, rest));
    let (text, end) = text.strip_suffix(' ').map_or((text, ""), |rest| (rest, SPACE));
    let mut value = String::from(start);
    push_encoded(&mut value, text, |byte| byte != b'%' && matches!(byte, b' '..=b'~'));
    value.push_str(end);
    value
}

/// Returns whether the character stands for itself everywhere in a URL (RFC 3986 §2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns whether there is an overlong UTF-8 sequence: lenient decoders read `C0 AE` as a dot.
pub(crate) fn has_overlong_utf8(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xf8..=0xfd, 0x80..=0xbf]
        )
    })
}

/// Decodes UTF-8, and every invalid byte as a Latin-1 character.
pub(crate) fn utf8_or_latin1(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        decode, decode_latin1, encode_header_value, has_overlong_utf8, is_conventional_encoding_of, is_well_formed,
        utf8_or_latin1, with_encoded_separators_as,
    };

    #[test]
    fn text_is_decoded_once() {
        assert_eq!(decode("a%20b%2525%zz%"), b"a b%25%zz%");
        assert!(is_well_formed("a%20%2F") && !is_well_formed("%") && !is_well_formed("%2") && !is_well_formed("a%%20"));
        assert_eq!(with_encoded_separators_as("a%20%2fb%5Cc%", '|').as_deref(), Some("a%20|b|c%"));
        assert_eq!(with_encoded_separators_as("a%20", '|'), None);
    }

    #[test]
    fn conventional_encodings_leave_unreserved_characters_alone() {
        for text in ["@me", "%40me"] {
            assert!(is_conventional_encoding_of(text, "@me"), "{text}");
        }
        for text in ["%6de", "%40m%65", "@m", "%2540me"] {
            assert!(!is_conventional_encoding_of(text, "@me"), "{text}");
        }
        assert!(is_conventional_encoding_of("caf%C3%A9", "café") && is_conventional_encoding_of("caf%c3%a9", "café"));
    }

    #[test]
    fn overlong_forms_are_not_latin_1() {
        for bytes in [&[0xc0, 0xae][..], &[0xe0, 0x81, 0xa1], &[b'a', 0xf0, 0x80, 0x80, 0xae], &[0xfc, 0x80]] {
            assert!(has_overlong_utf8(bytes), "{bytes:x?}");
        }
        for text in ["é", "日本", "𝐚", "caf"] {
            assert!(!has_overlong_utf8(text.as_bytes()), "{text}");
        }
        assert!(!has_overlong_utf8(b"caf\xe9") && !has_overlong_utf8(b"\xff"));
        assert_eq!(utf8_or_latin1(b"\xc3\xa9 \xe9"), "é é");
        assert_eq!(decode_latin1("日%C3%A9%%zz%E9"), "日Ã©%%zzé");
    }

    #[test]
    fn values_cannot_end_a_header_and_stay_distinct() {
        for (text, value) in [
            ("auth0|123", "auth0|123"),
            ("Ann Lee", "Ann Lee"),
            (" a ", "%20a%20"),
            ("a\r\nx: y", "a%0D%0Ax: y"),
            ("é", "%C3%A9"),
            ("%C3%A9", "%25C3%25A9"),
            ("", ""),
        ] {
            assert_eq!(encode_header_value(text), value);
        }
    }
}
