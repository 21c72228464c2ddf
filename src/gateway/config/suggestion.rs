//! "Did you mean": the nearest of the names that are allowed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The message for a name that is not among those allowed.
pub(super) fn unknown(what: &str, name: &str, allowed: &[&str]) -> String {
    match nearest(name, allowed) {
        Some((_, near)) => format!("unknown {what} \"{}\"; did you mean \"{near}\"?", shown(name)),
        None => format!("unknown {what} \"{}\"", shown(name)),
    }
}

/// The nearest name and its distance, if it is near enough for a spelling mistake.
pub(super) fn nearest<'n>(name: &str, allowed: &[&'n str]) -> Option<(usize, &'n str)> {
    let nearest = allowed.iter().map(|one| (distance(name, one), *one)).min();
    nearest.filter(|(changes, near)| *changes <= 2.max(near.len() / 3))
}

/// A name from the document, fit for a log line.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(40).filter(|c| !c.is_control()).collect()
}

/// The Levenshtein distance, ignoring ASCII case.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::from([left]);
        for (b, above) in two.iter().zip(row.iter().skip(1)) {
            let same = usize::from(!a.eq_ignore_ascii_case(b));
            left = (diagonal + same).min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{distance, unknown};

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("autorizer", "authorizer"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Paths", "paths"), 0);
    }

    #[test]
    fn the_nearest_allowed_name_is_suggested() {
        assert_eq!(
            unknown("key", "autorizer", &["authorizer", "paths"]),
            "unknown key \"autorizer\"; did you mean \"authorizer\"?"
        );
        assert_eq!(unknown("key", "xyzzy", &["authorizer", "paths"]), "unknown key \"xyzzy\"");
    }
}
