//! Base64url without padding (RFC 4648 §5, RFC 7515 §2), canonical only.
//!
//! Every byte string has exactly one accepted encoding: no padding, no whitespace, no other alphabet, and the unused bits of
//! the last character are zero. Two different token texts therefore never decode to the same token. The engine of the crate
//! `base64` is strict in all of this, which the tests here check.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The error for text that is not canonical base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBase64Url;

impl fmt::Display for InvalidBase64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text is not canonical base64url")
    }
}

impl core::error::Error for InvalidBase64Url {}

/// Decodes canonical, unpadded base64url.
///
/// # Errors
/// On any character outside the alphabet, an impossible length, or unused bits that are not zero.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, InvalidBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidBase64Url)
}

/// Encodes as unpadded base64url.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    // Not `encode`: it would keep the formatting of an error that cannot happen in the module.
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    let len = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or_default();
    text.truncate(len);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{InvalidBase64Url, decode, encode};

    #[test]
    fn rfc_4648_vectors_without_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes.as_bytes()));
        }
        assert_eq!(decode(b"-_-_").as_deref(), Ok(&[0xfb, 0xff, 0xbf][..]));
    }

    #[test]
    fn non_canonical_text_is_refused() {
        for text in
            ["Z", "Zg==", "Zg=", "Zm9vY", "Zh", "Zm9", "Zm 9", "Zm9v\n", " Zm9v", "+/+/", "Zm9v.", "Zm9vé", "Zg\0"]
        {
            assert_eq!(decode(text.as_bytes()), Err(InvalidBase64Url), "{text:?}");
        }
    }

    #[test]
    fn a_refused_text_is_not_repeated() {
        assert_eq!(alloc::format!("{InvalidBase64Url}"), "text is not canonical base64url");
    }

    #[test]
    fn every_last_character_with_unused_bits_set_is_refused() {
        let mut accepted = 0;
        for last in 0u8..=255 {
            accepted += usize::from(decode(&[b'A', last]).is_ok());
            accepted += usize::from(decode(&[b'A', b'A', last]).is_ok());
        }
        assert_eq!(accepted, 4 + 16);
    }

    /// Returns the value of a text without padding whose unused bits are zero; `None` for any other.
    fn reference(text: &[u8]) -> Option<([u8; 3], usize)> {
        let mut bits = 0u32;
        for &character in text {
            let value = match character {
                b'A'..=b'Z' => character - b'A',
                b'a'..=b'z' => character - b'a' + 26,
                b'0'..=b'9' => character - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let (len, unused) = match text.len() {
            2 => (1, 4),
            3 => (2, 2),
            4 => (3, 0),
            _ => return None,
        };
        let [_, bytes @ ..] = (bits << (24 - 6 * text.len())).to_be_bytes();
        (bits & ((1 << unused) - 1) == 0).then_some((bytes, len))
    }

    fn check(text: &[u8]) -> bool {
        let found = decode(text).ok();
        let expected = reference(text);
        assert_eq!(found.as_deref(), expected.as_ref().map(|(bytes, len)| &bytes[..*len]), "{text:?}");
        found.is_some_and(|bytes| {
            assert_eq!(encode(&bytes).as_bytes(), text);
            true
        })
    }

    /// All texts of one to three bytes; of four, all with three free characters from the alphabet and its neighbourhood.
    #[test]
    fn short_texts_decode_like_the_alphabet_says() {
        let mut accepted = [0; 5];
        for a in 0..=255 {
            accepted[1] += usize::from(check(&[a]));
            for b in 0..=255 {
                accepted[2] += usize::from(check(&[a, b]));
                for c in 0..=255 {
                    accepted[3] += usize::from(check(&[a, b, c]));
                }
            }
        }
        let near = b"=+/. \n\0\xc3@[`{,";
        let alphabet: alloc::vec::Vec<u8> =
            (0..=255).filter(|c| reference(&[b'A', b'A', b'A', *c]).is_some()).chain(near.iter().copied()).collect();
        assert_eq!(alphabet.len(), 64 + near.len());
        for &a in &alphabet {
            for &b in &alphabet {
                for &c in &alphabet {
                    // Four positions, three at a time.
                    for text in [[a, b, c, b'Q'], [a, b, b'z', c], [a, b'_', b, c], [b'0', a, b, c]] {
                        accepted[4] += usize::from(check(&text));
                    }
                }
            }
        }
        assert_eq!(accepted, [0, 0, 64 * 4, 64 * 64 * 16, 4 * 64 * 64 * 64]);
    }
}
