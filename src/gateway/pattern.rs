//! Path patterns and their specificity.

use alloc::string::String;
use alloc::vec::Vec;

use crate::http::path::{InvalidPath, RequestPath};
use crate::http::{Unicode, percent};

/// A path pattern with parameters, such as `/items/{id}` or `/files/{*rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    /// Whether it matches any number of further segments.
    has_rest: bool,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Decoded.
    Literal(String),
    Parameter,
}

impl Segment {
    pub(super) fn is_parameter(&self) -> bool {
        *self == Self::Parameter
    }
}

/// Why a text is not a valid pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidPattern {
    Path(InvalidPath),
    /// Two slashes in a row.
    EmptySegment,
    /// A `;`, plain or encoded.
    Parameter,
    /// An encoded slash or backslash, or a character that some servers treat as one.
    Separator,
    /// An encoded `?` or `#`.
    Query,
    /// Percent-encoding inside percent-encoding.
    DoubleEncoding,
    /// `{*rest}` before the last segment.
    RestNotLast,
    /// Braces that do not enclose a whole segment, or have no name; a parameter as other tools write it.
    Braces,
    /// Two parameters with the same name.
    DuplicateParameter,
}

/// The kind of a pattern, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Exact,
    Parameters,
    Rest,
}

/// Whether a segment is a parameter of other tools, `<name>` or `[name]`: taken literally, it would protect no path that a client requests.
fn is_foreign_parameter(segment: &str) -> bool {
    segment.starts_with('<') && segment.ends_with('>') || segment.starts_with('[') && segment.ends_with(']')
}

impl Pattern {
    pub(super) fn parse(text: &str, unicode: Unicode) -> Result<Self, InvalidPattern> {
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
                        None => pattern.segments.push(Segment::Parameter),
                    }
                }
                (_, None) if segment.contains(['{', '}', '*']) || is_foreign_parameter(segment) => {
                    return Err(InvalidPattern::Braces);
                }
                (_, None) => pattern.segments.push(Segment::Literal(literal(segment, unicode)?)),
            }
        }
        Ok(pattern)
    }

    /// Sets the text to show in messages.
    pub(super) fn shown_as(mut self, text: &str) -> Self {
        self.text = text.into();
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// Returns the only path that the pattern matches; `None` if it matches several.
    pub(super) fn path(&self) -> Option<String> {
        if self.kind() != Kind::Exact {
            return None;
        }
        let mut path = String::new();
        for segment in &self.segments {
            if let Segment::Literal(literal) = segment {
                path.push('/');
                percent::push_segment(&mut path, literal);
            }
        }
        Some(if path.is_empty() { "/".into() } else { path })
    }

    /// Whether every path that matches begins with this prefix: segments of unreserved characters (RFC 3986 §2.3), or nothing.
    pub(super) fn begins_with(&self, prefix: &str) -> bool {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let mut segments = self.segments.iter();
        let mut is_next = |name: &str| matches!(segments.next(), Some(Segment::Literal(literal)) if literal == name);
        prefix.is_empty()
            || prefix.strip_prefix('/').is_some_and(|names| names.split('/').all(&mut is_next))
                && prefix.bytes().all(|byte| byte == b'/' || is_unreserved(byte))
    }

    /// Whether a path with these decoded segments matches.
    pub(super) fn matches(&self, mut path: impl Iterator<Item = impl AsRef<str>>) -> bool {
        let has_prefix = self.segments.iter().all(|segment| match (segment, path.next()) {
            (Segment::Literal(literal), Some(actual)) => literal == actual.as_ref(),
            (Segment::Parameter, Some(_)) => true,
            (_, None) => false,
        });
        has_prefix && (self.has_rest || path.next().is_none())
    }

    pub(super) fn kind(&self) -> Kind {
        if self.has_rest {
            Kind::Rest
        } else if self.segments.iter().any(Segment::is_parameter) {
            Kind::Parameters
        } else {
            Kind::Exact
        }
    }
}

/// Decodes a literal segment, which must be a single segment in every reading; otherwise no request could match it.
fn literal(segment: &str, unicode: Unicode) -> Result<String, InvalidPattern> {
    let path = RequestPath::parse(&alloc::format!("/{segment}"), unicode).map_err(InvalidPattern::Path)?;
    let literal: String = path.main().segments().collect();
    if literal.is_empty() {
        Err(InvalidPattern::EmptySegment)
    } else if literal.contains(';') {
        Err(InvalidPattern::Parameter)
    } else if literal.contains(['?', '#']) {
        Err(InvalidPattern::Query)
    } else if !path.has_one_structure() {
        Err(InvalidPattern::Separator)
    } else if percent::decode(&literal) != literal.as_bytes() {
        Err(InvalidPattern::DoubleEncoding)
    } else {
        Ok(literal)
    }
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use super::{InvalidPattern, Kind, Pattern};
    use crate::http::Unicode;

    fn parse(text: &str) -> Result<Pattern, InvalidPattern> {
        Pattern::parse(text, Unicode::TABLES)
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (text, path, expected) in [
            ("/a", &["a"][..], true),
            ("/a", &["ab"], false),
            ("/a", &["A"], false),
            ("/", &[], true),
            ("/", &["a"], false),
            ("/items/{id}", &["items", "7"], true),
            ("/items/:id", &["items", "7"], true),
            ("/items/{id}", &["items"], false),
            ("/items/{id}", &["items", "7", "x"], false),
            ("/f/{*rest}", &["f", "a", "b"], true),
            ("/f/*", &["f", "a"], true),
            ("/f/{.+}", &["f", "a"], true),
            ("/f/{*rest}", &["f"], true),
            ("/f/{*rest}", &["fa"], false),
            ("/{*rest}", &[], true),
            ("/a b", &["a b"], true),
            ("/a%20b", &["a b"], true),
        ] {
            assert_eq!(parse(text).unwrap().matches(path.iter()), expected, "{text} {path:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["a", "/a//b", "/{}", "/{a", "/x{a}", "/{*a}/b", "/*/b", "/{a}/{a}", "/a/../b", "/a;b", "/{a b}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (text, reason) in [
            ("/a//b", InvalidPattern::EmptySegment),
            ("/a;b", InvalidPattern::Parameter),
            ("/a%3Bb", InvalidPattern::Parameter),
            ("/a%2Fb", InvalidPattern::Separator),
            ("/a%5Cb", InvalidPattern::Separator),
            ("/℀", InvalidPattern::Separator),
            ("/a%3Fb", InvalidPattern::Query),
            ("/a%23", InvalidPattern::Query),
            ("/a%2541", InvalidPattern::DoubleEncoding),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
        assert_eq!(parse("/{*a}/b"), Err(InvalidPattern::RestNotLast));
    }

    #[test]
    fn a_pattern_without_parameters_is_one_path() {
        for (text, path) in
            [("/", "/"), ("/a/b/", "/a/b"), ("/a b/é", "/a%20b/%C3%A9"), ("/@me", "/@me"), ("/100%25", "/100%25")]
        {
            let pattern = parse(text).unwrap();
            assert_eq!((pattern.kind(), pattern.path().as_deref()), (Kind::Exact, Some(path)), "{text}");
        }
        assert_eq!(parse("/{a}").unwrap().path(), None);
        assert_eq!(parse("/a/{*rest}").unwrap().path(), None);
    }
}
