//! Which texts a lenient server might take for one another.

use alloc::vec::Vec;

/// Whether a server could take the path segment `actual` for `literal`: one that ignores case, brings Unicode into
/// compatibility form (NFKC), or trims blanks and closing dots.
///
/// Errs on the side of yes: a compatibility form counts as any text that could come of it.
pub(super) fn could_pass_for(actual: &str, literal: &str) -> bool {
    let literal = folded(literal);
    // Nobody configures such a path; if somebody does, whatever is not plain could pass for it.
    if literal.iter().any(|&character| is_compatibility_form(character)) {
        return true;
    }
    // Whether the characters so far could stand for so much of `literal`.
    let mut reached: Vec<bool> = (0..=literal.len()).map(|length| length == 0).collect();
    for character in folded(actual.trim().trim_end_matches('.')) {
        let stands_for = |end: usize, reached: &[bool]| {
            let starts_at = |start: usize| reached.get(start).copied().unwrap_or_default();
            if is_compatibility_form(character) {
                (1..=LONGEST_COMPATIBILITY_FORM.min(end)).any(|length| starts_at(end - length))
            } else {
                end > 0 && literal.get(end - 1) == Some(&character) && starts_at(end - 1)
            }
        };
        reached = (0..=literal.len()).map(|end| stands_for(end, &reached)).collect();
    }
    reached.last().copied().unwrap_or_default()
}

/// Stands for any letter that has cases and is not ASCII: which of them belong together would take tables larger than the rest
/// of the gateway's data.
const SOME_LETTER: char = '\u{fffd}';

/// A text as servers that ignore case and compose accents may see it: ASCII in lower case, every other letter that has
/// cases, or is composed of one and an accent, as [`SOME_LETTER`].
fn folded(text: &str) -> Vec<char> {
    let mut seen = Vec::new();
    for character in text.chars() {
        match character {
            // The dot of a Turkish i, and what comes apart from n and a in upper case.
            '\u{307}' | 'ʼ' | 'ʾ' => {}
            '\u{300}'..='\u{344}' | '\u{346}'..='\u{36f}' => {
                if let Some(letter) = seen.last_mut().filter(|letter: &&mut char| letter.is_ascii_alphabetic()) {
                    *letter = SOME_LETTER;
                }
            }
            // The ohm, angstrom and kelvin signs.
            '\u{2126}' | '\u{212b}' => seen.push(SOME_LETTER),
            '\u{212a}' => seen.push('k'),
            'ı' | 'İ' => seen.push('i'),
            'ſ' => seen.push('s'),
            'ß' | 'ẞ' => seen.extend(['s', 's']),
            'ŉ' => seen.push('n'),
            'ẚ' => seen.push('a'),
            // One letter in lower case, two in upper case: Armenian ech yiwn, Greek with iota subscript.
            'և'
            | '\u{1f80}'..='\u{1faf}'
            | '\u{1fb2}'..='\u{1fb4}'
            | '\u{1fb7}'
            | '\u{1fbc}'
            | '\u{1fc2}'..='\u{1fc4}'
            | '\u{1fc7}'
            | '\u{1fcc}'
            | '\u{1ff2}'..='\u{1ff4}'
            | '\u{1ff7}'
            | '\u{1ffc}' => {
                seen.extend([SOME_LETTER, SOME_LETTER]);
            }
            _ if has_cases(character) && !is_compatibility_form(character) => seen.push(SOME_LETTER),
            _ => seen.push(character.to_ascii_lowercase()),
        }
    }
    seen
}

/// Whether the character is of a script with upper and lower case, other than ASCII; whole blocks.
fn has_cases(character: char) -> bool {
    matches!(character,
        'µ' | '\u{345}' | '\u{c0}'..='\u{587}' | '\u{10a0}'..='\u{10ff}' | '\u{13a0}'..='\u{13ff}' | '\u{1c80}'..='\u{1cbf}' | '\u{1d00}'..='\u{1fff}'
        | '\u{2c00}'..='\u{2dff}' | '\u{a640}'..='\u{a7ff}' | '\u{ab30}'..='\u{abbf}' | '\u{10400}'..='\u{104ff}'
        | '\u{10570}'..='\u{105bf}' | '\u{10c80}'..='\u{10cff}' | '\u{10d50}'..='\u{10d8f}' | '\u{118a0}'..='\u{118df}'
        | '\u{16e40}'..='\u{16eff}' | '\u{1e900}'..='\u{1e943}')
}

/// Characters that NFKC makes of one, where all are ASCII: "㎉" becomes "kcal".
const LONGEST_COMPATIBILITY_FORM: usize = 4;

/// Whether NFKC turns the character into ASCII letters, digits or marks; whole blocks, so some more than that.
pub(super) fn is_compatibility_form(character: char) -> bool {
    matches!(character,
        '\u{aa}' | '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{ba}' | '\u{132}' | '\u{133}' | '\u{1c7}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}'
        // Modifier letters, superscripts and subscripts, letter-like symbols, Roman numerals, circled letters.
        | '\u{2b0}'..='\u{2b8}' | '\u{2e1}'..='\u{2e3}' | '\u{1d2c}'..='\u{1dbb}' | '\u{2070}'..='\u{209c}' | '\u{20a8}'
        | '\u{2100}'..='\u{218b}' | '\u{2460}'..='\u{24ea}' | '\u{2c7c}' | '\u{2c7d}'
        // Square words, ligatures, small and full-width forms.
        | '\u{3250}'..='\u{33ff}' | '\u{a7f1}'..='\u{a7f4}' | '\u{fb00}'..='\u{fb17}' | '\u{fe33}'..='\u{fe66}' | '\u{ff01}'..='\u{ff5e}'
        // Mathematical alphabets, enclosed letters, segmented digits.
        | '\u{107a5}' | '\u{1ccd6}'..='\u{1ccf9}' | '\u{1d400}'..='\u{1d7ff}' | '\u{1f100}'..='\u{1f190}' | '\u{1fbf0}'..='\u{1fbf9}')
}

#[cfg(test)]
mod tests {
    use super::could_pass_for;

    #[test]
    fn other_spellings_could_pass_for_a_name_and_other_names_could_not() {
        for actual in [
            "admin",
            "ADMIN",
            "admın",
            "admİn",
            "ａｄｍｉｎ",
            "𝐚dmin",
            "ᴬdmin",
            "a㏇in",
            " admin",
            "admin.",
            "admin\u{a0}",
        ] {
            assert!(could_pass_for(actual, "admin"), "{actual}");
        }
        for actual in ["", "admi", "administrator", "ädmin", "аdmin", "日本", "ａ", "ａｄｍｉｎｓ", "admin x", ".admin"]
        {
            assert!(!could_pass_for(actual, "admin"), "{actual}");
        }
        assert!(
            could_pass_for("STRASSE", "straße")
                && could_pass_for("ÉTÉ", "été")
                && could_pass_for("été", "E\u{301}te\u{301}")
        );
        assert!(!could_pass_for("製品", "管理") && could_pass_for("管理", "管理"));
    }

    /// Every character is a lookalike of its own upper and lower case, as the full tables have them.
    #[test]
    fn no_case_of_any_character_is_overlooked() {
        use alloc::string::{String, ToString};
        for character in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let literal = character.to_string();
            for other in [character.to_uppercase().collect::<String>(), character.to_lowercase().collect()] {
                if other != literal && !other.trim().is_empty() {
                    assert!(could_pass_for(&other, &literal), "{other} for {literal}: {:x}", u32::from(character));
                    assert!(could_pass_for(&literal, &other), "{literal} for {other}: {:x}", u32::from(character));
                }
            }
        }
    }
}
