//! Spellings of a path segment that a lenient server treats as equal.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use crate::limits;

/// The Unicode functions that the gateway needs. Their tables are larger than the rest of its code, and platforms have them: a Worker uses
/// the JavaScript engine's, native code a crate.
#[derive(Debug, Clone, Copy)]
pub struct Unicode {
    /// Returns Normalization Form KC (Unicode Standard Annex 15).
    pub nfkc: fn(&str) -> String,
    /// Converts to upper case, then to lower case.
    pub fold_case: fn(&str) -> String,
}

impl Unicode {
    /// The functions of the Rust standard library and of the crate `unicode-normalization`.
    #[cfg(feature = "unicode")]
    pub const TABLES: Self = Self {
        nfkc: |text| unicode_normalization::UnicodeNormalization::nfkc(text).collect(),
        fold_case: |text| text.to_uppercase().to_lowercase(),
    };
}

/// What servers may do to a segment before they compare it. A combination of these transformations is the sum of their bits.
const FOLD_CASE: u8 = 1;
/// Replaces compatibility forms (NFKC): `ａ` becomes `a`.
const NFKC: u8 = 2;
/// Drops ignorable characters, such as the soft hyphen.
const DROP_IGNORABLE: u8 = 4;
/// Trims blanks on both sides, and dots at the end.
const TRIM: u8 = 8;

/// The number of combinations of transformations; number 0 changes nothing.
pub(crate) const COMBINATIONS: u8 = 16;

/// A set of combinations: bit `n` stands for combination `n`.
pub(crate) type Combinations = u16;

/// Every combination.
pub(crate) const EVERY: Combinations = u16::MAX;

impl Unicode {
    /// Applies a combination of transformations, until nothing changes.
    fn transformed(self, text: &str, combination: u8) -> String {
        let has = |transformation| combination & transformation != 0;
        let mut text = text.to_string();
        for _ in 0..limits::MAX_NORMALIZATION_ROUNDS {
            let mut next = text.clone();
            if has(DROP_IGNORABLE) {
                next = without_ignorable(&next);
            }
            if has(NFKC) && !next.is_ascii() {
                next = (self.nfkc)(&next);
            }
            if has(FOLD_CASE) {
                next = self.folded(&next);
            }
            if has(TRIM) {
                next = trimmed(&next).to_string();
            }
            if next == text {
                break;
            }
            text = next;
        }
        text
    }

    fn folded(self, text: &str) -> String {
        if text.is_ascii() {
            return text.to_ascii_lowercase();
        }
        // In Turkish, the lower case of `İ` is a plain `i`.
        let mut before = ' ';
        let is_kept = |character: &char| core::mem::replace(&mut before, *character) != 'i' || *character != '\u{307}';
        (self.fold_case)(text).chars().filter(is_kept).collect()
    }

    /// Returns the text after every transformation: equal for all texts that some combination makes equal.
    pub(crate) fn key(self, text: &str) -> Cow<'_, str> {
        if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(self.transformed(text, COMBINATIONS - 1)) }
    }

    /// Returns the combinations that make the two texts equal.
    pub(crate) fn matching_combinations(self, text: &str, literal: &str) -> Combinations {
        if text == literal {
            return EVERY;
        }
        (0..COMBINATIONS)
            .filter(|&combination| self.transformed(text, combination) == self.transformed(literal, combination))
            .fold(0, |set, combination| set | 1 << combination)
    }
}

/// Returns whether no transformation changes the text: lower-case letters, digits, `-`, `_`, `~`, and dots except at the end.
pub(crate) fn is_plain(segment: &str) -> bool {
    !segment.ends_with('.')
        && segment.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.'))
}

/// Trims blanks on both sides and dots at the end; from a text of nothing else, blanks only.
pub(crate) fn trimmed(text: &str) -> &str {
    let inner = text.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if inner.is_empty() { text.trim() } else { inner }
}

/// Removes the characters that are ignored in rendering if unsupported.
pub(crate) fn without_ignorable(text: &str) -> String {
    text.chars().filter(|&character| !is_ignorable(character)).collect()
}

/// Returns whether the character is a `Default_Ignorable_Code_Point` (Unicode 17, DerivedCoreProperties).
fn is_ignorable(character: char) -> bool {
    !character.is_ascii()
        && matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use alloc::string::{String, ToString};

    use super::{EVERY, Unicode, is_ignorable};

    const UNICODE: Unicode = Unicode::TABLES;

    fn could_be(text: &str, literal: &str) -> bool {
        UNICODE.matching_combinations(text, literal) != 0
    }

    #[test]
    fn other_spellings_agree_under_some_combination_and_other_names_under_none() {
        for text in [
            "ADMIN",
            "admın",
            "admİn",
            "ａｄｍｉｎ",
            "𝐚dmin",
            "ᴬdmin",
            "admin.",
            "admin .",
            "admin. .",
            "admin\u{a0}",
            " admin",
            "ad\u{ad}min",
            "admin\u{200b}",
            "\u{feff}admin",
            "ＡＤ\u{2060}ＭＩＮ. ",
        ] {
            assert!(could_be(text, "admin"), "{text}");
            assert!(could_be("admin", text), "{text}");
            assert_ne!(UNICODE.matching_combinations(text, "admin"), EVERY, "{text}");
        }
        for text in ["", "admi", "administrator", "ädmin", "аdmin", "日本", "ａ", "admin x", ".admin", "ad.min"] {
            assert!(!could_be(text, "admin"), "{text}");
        }
        assert!(could_be("STRASSE", "straße") && could_be("ÉTÉ", "été") && could_be("e\u{301}te\u{301}", "ÉTÉ"));
    }

    #[test]
    fn a_spelling_agrees_under_the_combinations_that_undo_it() {
        for (text, combinations) in [
            ("admin", EVERY),
            ("ADMIN", 0xaaaa),
            ("ａdmin", 0xcccc),
            ("ad\u{ad}min", 0xf0f0),
            ("admin.", 0xff00),
            ("ADMIN.", 0xaa00),
            ("ａd\u{ad}min", 0xc0c0),
            ("AD\u{ad}MIN\u{a0}", 0xa000),
            ("other", 0),
        ] {
            let found = UNICODE.matching_combinations(text, "admin");
            assert_eq!(found, combinations, "{text}: {found:x}");
        }
    }

    /// A character's upper case, lower case and compatibility form are spellings of it, alone and one after the other.
    #[test]
    fn the_key_of_a_character_is_that_of_all_its_forms() {
        for character in (0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| !c.is_control()) {
            let text = character.to_string();
            let key = UNICODE.key(&text).into_owned();
            let nfkc = (UNICODE.nfkc)(&text);
            let forms: [String; 5] = [
                character.to_uppercase().collect(),
                character.to_lowercase().collect(),
                nfkc.clone(),
                nfkc.to_uppercase().to_lowercase(),
                (UNICODE.nfkc)(&text.to_uppercase()),
            ];
            for form in forms {
                assert_eq!(UNICODE.key(&form), key, "{form} of {text}: {:x}", u32::from(character));
            }
        }
    }

    #[test]
    fn blanks_alone_stay_apart_from_names() {
        for text in [".", "..", "...", " ", ""] {
            assert!(!could_be(text, "admin"), "{text}");
            assert!(UNICODE.key(text).is_empty() == text.trim().is_empty());
        }
    }

    #[test]
    fn letters_and_marks_are_not_ignorable() {
        for character in ['a', '-', 'é', '\u{301}', '日', ' ', '\u{2044}'] {
            assert!(!is_ignorable(character), "{character}");
        }
    }
}
