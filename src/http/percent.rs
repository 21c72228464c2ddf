//! Percent-encoding (RFC 3986 §2.1) as it is found in request paths.

use alloc::string::String;
use alloc::vec::Vec;

/// Whether two hexadecimal digits follow every `%`.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| value(rest.as_bytes()).is_some())
}

/// The bytes that the text stands for; a `%` without two digits stands for itself.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match value(after).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// The same with every encoded byte as the Latin-1 character.
pub(crate) fn decode_latin1(text: &str) -> String {
    replaced(text, |byte| Some(byte.into()))
}

/// The value of the two hexadecimal digits at the start.
fn value(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (&[high, low], _) = digits.split_first_chunk::<2>()?;
    Some(digit(high)? << 4 | digit(low)?)
}

/// The text with every `%2F` and `%5C` replaced; `None` if there is none.
pub(crate) fn with_encoded_separators_as(text: &str, separator: char) -> Option<String> {
    let replaced = replaced(text, |byte| matches!(byte, b'/' | b'\\').then_some(separator));
    (replaced.len() < text.len()).then_some(replaced)
}

/// The text with a character in place of each encoded byte for which there is one; the others, and a `%` without two digits,
/// stay.
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

/// Whether `text` is an encoding of `decoded` in which nothing unreserved is encoded: no letter, digit, `-`, `.`, `_` or `~`
/// (RFC 3986 §2.3). Nobody encodes those without a purpose.
pub(crate) fn is_conventional_encoding_of(text: &str, decoded: &str) -> bool {
    let encodes_unreserved =
        |rest: &str| value(rest.as_bytes()).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    decode(text) == decoded.as_bytes() && !text.split('%').skip(1).any(encodes_unreserved)
}

/// Appends a path segment, encoding what does not stand for itself there (RFC 3986 §3.3), and semicolons.
pub(crate) fn push_segment(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            path.push(byte.into());
        } else {
            push_byte(path, byte);
        }
    }
}

/// Appends a byte, encoded.
pub(crate) fn push_byte(text: &mut String, byte: u8) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied();
    text.push('%');
    text.extend([digit(byte >> 4), digit(byte & 15)].into_iter().flatten());
}

/// Whether some character is written in more bytes than it needs: lenient decoders read `C0 AE` as a dot.
pub(crate) fn has_overlong_utf8(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| {
        matches!(
            pair,
            [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xf8..=0xfd, 0x80..=0xbf]
        )
    })
}

/// UTF-8 as such, and every byte that is not part of it as the Latin-1 character.
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
        decode, decode_latin1, has_overlong_utf8, is_conventional_encoding_of, is_well_formed, utf8_or_latin1,
        with_encoded_separators_as,
    };

    #[test]
    fn what_is_encoded_is_decoded_once() {
        assert_eq!(decode("a%20b%2525%zz%"), b"a b%25%zz%");
        assert!(is_well_formed("a%20%2F") && !is_well_formed("%") && !is_well_formed("%2") && !is_well_formed("a%%20"));
        assert_eq!(with_encoded_separators_as("a%20%2fb%5Cc%", '|').as_deref(), Some("a%20|b|c%"));
        assert_eq!(with_encoded_separators_as("a%20", '|'), None);
    }

    #[test]
    fn the_usual_encodings_of_a_text_leave_letters_alone() {
        for text in ["@me", "%40me"] {
            assert!(is_conventional_encoding_of(text, "@me"), "{text}");
        }
        for text in ["%6de", "%40m%65", "@m", "%2540me"] {
            assert!(!is_conventional_encoding_of(text, "@me"), "{text}");
        }
        assert!(is_conventional_encoding_of("caf%C3%A9", "café") && is_conventional_encoding_of("caf%c3%a9", "café"));
    }

    #[test]
    fn overlong_forms_are_told_from_latin_1() {
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
}
