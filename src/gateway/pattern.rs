//! Path patterns and which of two is more specific.

use alloc::string::String;
use alloc::vec::Vec;

use super::lookalike::could_pass_for;
use super::path::{CanonicalPath, InvalidPath};

/// A path with parameters: `/items/{id}`, `/files/{*rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    /// Matches any further segments, none included.
    has_rest: bool,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidPattern {
    Path(InvalidPath),
    /// `{*rest}` before the last segment.
    RestNotLast,
    /// A brace that is not around a whole segment, or without a name.
    Braces,
    /// Two parameters of one name.
    DuplicateParameter,
}

/// How a pattern matches, most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Exact,
    Parameters,
    Rest,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let inner = text.strip_prefix('/').ok_or(InvalidPattern::Path(InvalidPath::NotAbsolute))?;
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let mut pattern = Self { segments: Vec::new(), has_rest: false, text: text.into() };
        let mut names: Vec<&str> = Vec::new();
        for segment in inner.split('/').filter(|_| !inner.is_empty()) {
            if pattern.has_rest {
                return Err(InvalidPattern::RestNotLast);
            }
            let braced = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let name = braced.or_else(|| segment.strip_prefix(':'));
            match (segment, name) {
                ("*" | "{.+}" | "{*}", _) => pattern.has_rest = true,
                (_, Some(name)) => {
                    let rest = name.strip_prefix('*').filter(|_| braced.is_some());
                    let name = rest.unwrap_or(name);
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if name.is_empty() || !name.chars().all(is_name) {
                        return Err(InvalidPattern::Braces);
                    }
                    if names.contains(&name) {
                        return Err(InvalidPattern::DuplicateParameter);
                    }
                    names.push(name);
                    match rest {
                        Some(_) => pattern.has_rest = true,
                        None => pattern.segments.push(Segment::Parameter(name.into())),
                    }
                }
                (_, None) if segment.contains(['{', '}', '*']) => return Err(InvalidPattern::Braces),
                (_, None) => {
                    let literal = alloc::format!("/{segment}");
                    let path = CanonicalPath::parse(&literal).map_err(InvalidPattern::Path)?;
                    let Some(literal) = path.segments.into_iter().next() else {
                        return Err(InvalidPattern::Path(InvalidPath::EmptySegment));
                    };
                    pattern.segments.push(Segment::Literal(literal));
                }
            }
        }
        Ok(pattern)
    }

    /// Goes by this text in messages.
    pub(super) fn shown_as(mut self, text: &str) -> Self {
        self.text = text.into();
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The one path that it matches, in canonical form; `None` if there are several.
    pub(super) fn path(&self) -> Option<String> {
        if self.kind() != Kind::Exact {
            return None;
        }
        let literals = self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(literal) => Some(literal.as_str()),
            Segment::Parameter(_) => None,
        });
        Some(CanonicalPath::of(literals).as_str().into())
    }

    /// Whether the path matches. A trailing slash makes no difference: servers commonly ignore it, so policy must too.
    pub(super) fn matches(&self, path: &CanonicalPath, reading: Reading) -> bool {
        let enough = if self.has_rest {
            path.segments.len() >= self.segments.len()
        } else {
            path.segments.len() == self.segments.len()
        };
        enough
            && self.segments.iter().zip(&path.segments).all(|(segment, actual)| match (segment, reading) {
                (Segment::Parameter(_), _) => true,
                (Segment::Literal(literal), Reading::Exact) => literal == actual,
                (Segment::Literal(literal), Reading::Lenient) => could_pass_for(actual, literal),
            })
    }

    pub(super) fn kind(&self) -> Kind {
        if self.has_rest {
            Kind::Rest
        } else if self.segments.iter().any(|segment| matches!(segment, Segment::Parameter(_))) {
            Kind::Parameters
        } else {
            Kind::Exact
        }
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let lengths_fit = match (self.has_rest, other.has_rest) {
            (true, true) => true,
            (true, false) => other.segments.len() >= self.segments.len(),
            (false, true) => self.segments.len() >= other.segments.len(),
            (false, false) => self.segments.len() == other.segments.len(),
        };
        lengths_fit
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                _ => true,
            })
    }

    /// Whether every path that matches this also matches `other`.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let long_enough = if other.has_rest {
            self.segments.len() >= other.segments.len()
        } else {
            !self.has_rest && self.segments.len() == other.segments.len()
        };
        long_enough
            && other.segments.iter().zip(&self.segments).all(|pair| match pair {
                (Segment::Parameter(_), _) => true,
                (Segment::Literal(theirs), Segment::Literal(ours)) => theirs == ours,
                (Segment::Literal(_), Segment::Parameter(_)) => false,
            })
    }

    /// Whether this one wins on paths that match both. Exact beats parameters beats rest; within a kind, the narrower wins.
    pub(super) fn beats(&self, other: &Self) -> bool {
        match self.kind().cmp(&other.kind()) {
            core::cmp::Ordering::Less => true,
            core::cmp::Ordering::Greater => false,
            core::cmp::Ordering::Equal => self.is_within(other) && !other.is_within(self),
        }
    }
}

/// How literals are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Exact,
    /// As some server might.
    Lenient,
}

#[cfg(test)]
mod tests {
    use super::{InvalidPattern, Pattern, Reading};
    use crate::gateway::path::CanonicalPath;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (text, path, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/", true),
            ("/a", "/ab", false),
            ("/a", "/A", false),
            ("/", "/", true),
            ("/", "/a", false),
            ("/items/{id}", "/items/7", true),
            ("/items/:id", "/items/7", true),
            ("/items/{id}", "/items", false),
            ("/items/{id}", "/items/7/x", false),
            ("/f/{*rest}", "/f/a/b", true),
            ("/f/*", "/f/a", true),
            ("/f/{.+}", "/f/a", true),
            ("/f/{*rest}", "/f", true),
            ("/f/{*rest}", "/fa", false),
            ("/{*rest}", "/", true),
            ("/a b", "/a%20b", true),
        ] {
            let path = CanonicalPath::parse(path).unwrap();
            assert_eq!(pattern(text).matches(&path, Reading::Exact), expected, "{text} {path:?}");
        }
        assert!(pattern("/admin").matches(&CanonicalPath::parse("/ADMIN").unwrap(), Reading::Lenient));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["a", "/a//b", "/{}", "/{a", "/x{a}", "/{*a}/b", "/*/b", "/{a}/{a}", "/a/../b", "/a;b", "/{a b}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(Pattern::parse("/{*a}/b"), Err(InvalidPattern::RestNotLast));
    }

    #[test]
    fn exact_beats_parameters_beats_rest_and_narrower_beats_wider() {
        for (winner, loser) in [
            ("/a/b", "/a/{x}"),
            ("/a/{x}", "/a/{*rest}"),
            ("/{x}/b", "/a/{*rest}"),
            ("/a/{*rest}", "/{*rest}"),
            ("/a/b/{*rest}", "/a/{*rest}"),
            ("/a/{x}", "/{y}/{x}"),
        ] {
            let (winner, loser) = (pattern(winner), pattern(loser));
            assert!(winner.overlaps(&loser) && winner.beats(&loser) && !loser.beats(&winner), "{winner:?} {loser:?}");
        }
        for (one, two) in [("/a/{x}", "/a/{y}"), ("/{x}/b", "/a/{y}"), ("/{x}/b/{*r}", "/a/{*r}")] {
            let (one, two) = (pattern(one), pattern(two));
            assert!(one.overlaps(&two) && !one.beats(&two) && !two.beats(&one), "{one:?} {two:?}");
        }
        assert!(!pattern("/a/{x}").overlaps(&pattern("/b/{x}")));
    }
}
