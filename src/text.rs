//! Text from parts and numbers, without the standard library's formatting, which would be larger than most of its users.

use alloc::string::String;
#[cfg(feature = "gateway")]
use alloc::vec::Vec;

/// Concatenates the parts.
#[must_use]
pub fn concat(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

/// Joins the words with spaces.
#[must_use]
pub fn words(words: &[String]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Formats `number` in decimal.
#[must_use]
pub fn decimal(mut number: u64) -> String {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default().iter().copied().map(char::from).collect()
}

/// Formats bytes in hexadecimal.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit })).collect()
}

/// Reads bytes in hexadecimal.
#[cfg(feature = "gateway")]
#[must_use]
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = pair { Some(digit(high)? << 4 | digit(low)?) } else { None }).collect()
}

/// Formats `number` in decimal, with a sign if it is negative.
#[must_use]
pub fn signed_decimal(number: i64) -> String {
    let digits = decimal(number.unsigned_abs());
    if number < 0 { concat(&["-", &digits]) } else { digits }
}

/// Sorts the texts and removes duplicates, by insertion: for few texts, in little code.
#[cfg(feature = "gateway")]
pub(crate) fn sorted<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut sorted: Vec<&str> = Vec::new();
    for text in texts {
        if let Err(at) = sorted.binary_search(&text) {
            sorted.insert(at, text);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{decimal, hex, signed_decimal};

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(signed_decimal(number), number.to_string());
        }
        assert_eq!(hex(&[0, 9, 10, 0x5c, 0xff]), "00090a5cff");
    }
}
