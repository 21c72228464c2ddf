//! Which texts a lenient server might take for one another.

use alloc::vec::Vec;

/// Whether a server could take the path segment `actual` for `literal`: one that ignores case, brings Unicode into
/// compatibility form (NFKC), or trims blanks and closing dots.
///
/// Errs on the side of yes: a compatibility form counts as any text that could come of it.
pub(super) fn could_pass_for(actual: &str, literal: &str) -> bool {
    let literal: Vec<char> = literal.chars().flat_map(folded).collect();
    // How much of `literal` the characters so far could stand for.
    let mut lengths = Vec::from([0]);
    for character in actual.trim().trim_end_matches('.').chars() {
        let mut next = Vec::new();
        for length in lengths {
            if is_compatibility_form(character) {
                next.extend((length + 1..=literal.len()).take(LONGEST_COMPATIBILITY_FORM));
            } else {
                let form: Vec<char> = folded(character).collect();
                if literal.get(length..).is_some_and(|rest| rest.starts_with(&form)) {
                    next.push(length + form.len());
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return false;
        }
        lengths = next;
    }
    lengths.contains(&literal.len())
}

/// Upper and lower case as one, so that dotless and long forms of letters meet the plain ones.
fn folded(character: char) -> impl Iterator<Item = char> {
    const DOT_ABOVE: char = '\u{307}';
    character.to_uppercase().flat_map(char::to_lowercase).filter(|&c| c != DOT_ABOVE)
}

/// Characters that NFKC makes of one, where all are ASCII: "㎉" becomes "kcal".
const LONGEST_COMPATIBILITY_FORM: usize = 4;

/// Whether NFKC turns the character into ASCII letters, digits or marks; whole blocks, so some more than that.
pub(super) fn is_compatibility_form(character: char) -> bool {
    matches!(character,
        '\u{aa}' | '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{ba}' | '\u{132}' | '\u{133}' | '\u{1c7}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}'
        // Modifier letters, superscripts and subscripts, letter-like symbols, Roman numerals, circled letters.
        | '\u{2b0}'..='\u{2b8}' | '\u{2e1}'..='\u{2e3}' | '\u{1d2c}'..='\u{1dbb}' | '\u{2070}'..='\u{209c}' | '\u{20a8}'
        | '\u{2100}'..='\u{217f}' | '\u{2460}'..='\u{24ea}' | '\u{2c7c}' | '\u{2c7d}'
        // Square words, ligatures, small and full-width forms.
        | '\u{3250}'..='\u{33ff}' | '\u{a7f1}'..='\u{a7f4}' | '\u{fb00}'..='\u{fb06}' | '\u{fe33}'..='\u{fe66}' | '\u{ff01}'..='\u{ff5e}'
        // Mathematical alphabets, enclosed letters, segmented digits.
        | '\u{107a5}' | '\u{1ccd6}'..='\u{1ccf9}' | '\u{1d400}'..='\u{1d7ff}' | '\u{1f100}'..='\u{1f190}' | '\u{1fbf0}'..='\u{1fbf9}')
}

#[cfg(test)]
mod tests {
    use super::could_pass_for;

    #[test]
    fn other_spellings_could_pass_for_a_name_and_other_names_could_not() {
        for actual in
            ["admin", "ADMIN", "admın", "admİn", "ａｄｍｉｎ", "𝐚dmin", "a㏇in", " admin", "admin.", "admin\u{a0}"]
        {
            assert!(could_pass_for(actual, "admin"), "{actual}");
        }
        for actual in ["", "admi", "administrator", "ädmin", "аdmin", "日本", "ａ", "ａｄｍｉｎｓ", "admin x", ".admin"]
        {
            assert!(!could_pass_for(actual, "admin"), "{actual}");
        }
        assert!(could_pass_for("STRASSE", "straße") && could_pass_for("ÉTÉ", "été"));
    }
}
