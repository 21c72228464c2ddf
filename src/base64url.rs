//! Base64url without padding (RFC 4648 §5, RFC 7515 §2), canonical only.
//!
//! Every byte string has exactly one accepted text: no padding, no whitespace, no other alphabet, and the unused bits of
//! the last character are zero. Two different token texts therefore never decode to the same token.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Marks a byte outside the alphabet; no sextet has this bit.
const INVALID: u8 = 0x80;

const SEXTETS: [u8; 256] = sextets();

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time: an index out of range fails the build")]
const fn sextets() -> [u8; 256] {
    let mut table = [INVALID; 256];
    let mut value = 0u8;
    while value < 64 {
        table[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    table
}

/// The text is not canonical base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBase64Url;

/// Decodes canonical, unpadded base64url.
///
/// # Errors
/// On any character outside the alphabet, an impossible length, or unused bits that are not zero.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, InvalidBase64Url> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (quads, tail) = text.as_chunks::<4>();
    let mut seen = 0u8;
    bytes.extend(quads.iter().flat_map(|&[a, b, c, d]| {
        let (a, b, c, d) = (sextet(a), sextet(b), sextet(c), sextet(d));
        seen |= a | b | c | d;
        [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]
    }));
    let unused = match *tail {
        [] => 0,
        [a, b] => {
            let (a, b) = (sextet(a), sextet(b));
            seen |= a | b;
            bytes.push(a << 2 | b >> 4);
            b & 0x0f
        }
        [a, b, c] => {
            let (a, b, c) = (sextet(a), sextet(b), sextet(c));
            seen |= a | b | c;
            bytes.extend([a << 2 | b >> 4, b << 4 | c >> 2]);
            c & 0x03
        }
        _ => return Err(InvalidBase64Url),
    };
    if seen & INVALID != 0 || unused != 0 {
        return Err(InvalidBase64Url);
    }
    Ok(bytes)
}

/// Encodes as unpadded base64url.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let octet = |index| part.get(index).copied().map_or(0, u32::from);
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        // n bytes make n + 1 characters.
        for shift in [18, 12, 6, 0].into_iter().take(part.len() + 1) {
            text.push(letter((bits >> shift) as u8));
        }
    }
    text
}

fn sextet(character: u8) -> u8 {
    SEXTETS.get(usize::from(character)).copied().unwrap_or(INVALID)
}

fn letter(value: u8) -> char {
    ALPHABET.get(usize::from(value & 0x3f)).copied().unwrap_or(b'A').into()
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
    fn anything_not_canonical_is_refused() {
        for text in
            ["Z", "Zg==", "Zg=", "Zm9vY", "Zh", "Zm9", "Zm 9", "Zm9v\n", " Zm9v", "+/+/", "Zm9v.", "Zm9vé", "Zg\0"]
        {
            assert_eq!(decode(text.as_bytes()), Err(InvalidBase64Url), "{text:?}");
        }
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
}
