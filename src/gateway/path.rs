//! The path contract: one canonical path, on which policy is decided and which is forwarded, byte for byte.
//!
//! Whatever a server behind us might read as another path is refused: empty, `.` and `..` segments, encoded or plain
//! backslashes, encoded slashes, `;` parameters, control characters, invalid or double percent-encoding.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::lookalike::is_compatibility_form;

/// A request path that has one reading only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalPath {
    /// Percent-decoded segments, without a trailing empty one.
    pub(super) segments: Vec<String>,
    text: String,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidPath {
    /// It does not start with a slash.
    NotAbsolute,
    /// Two slashes in a row.
    EmptySegment,
    /// A `.` or `..` segment.
    DotSegment,
    /// A slash or backslash, plain or encoded, inside a segment.
    Separator,
    /// A `;`.
    Parameter,
    /// A control character.
    Control,
    /// Invalid percent-encoding, or one that does not decode to UTF-8.
    Encoding,
    /// Percent-encoding inside percent-encoding.
    DoubleEncoding,
}

impl InvalidPath {
    /// What is wrong, for the problem document.
    #[must_use]
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::NotAbsolute => "The path does not start with a slash.",
            Self::EmptySegment => "The path has two slashes in a row.",
            Self::DotSegment => "The path has a . or .. segment.",
            Self::Separator => "The path has a backslash, or a percent-encoded slash or backslash.",
            Self::Parameter => "The path has a semicolon.",
            Self::Control => "The path has a control character.",
            Self::Encoding => "The path has invalid percent-encoding.",
            Self::DoubleEncoding => "The path is percent-encoded twice.",
        }
    }
}

impl CanonicalPath {
    /// Reads the path of a request as it was received; an empty one is `/`.
    ///
    /// # Errors
    /// See [`InvalidPath`].
    pub(crate) fn parse(path: &str) -> Result<Self, InvalidPath> {
        let path = if path.is_empty() { "/" } else { path };
        let inner = path.strip_prefix('/').ok_or(InvalidPath::NotAbsolute)?;
        let mut segments = Vec::new();
        let mut text = String::with_capacity(path.len());
        let mut rest = inner.split('/').peekable();
        while let Some(segment) = rest.next() {
            text.push('/');
            if segment.is_empty() {
                // Only the last may be empty: the trailing slash, or the root.
                if rest.peek().is_some() {
                    return Err(InvalidPath::EmptySegment);
                }
                break;
            }
            let decoded = decode(segment)?;
            encode_into(&decoded, &mut text);
            segments.push(decoded);
        }
        Ok(Self { segments, text })
    }

    /// The path of these decoded segments.
    pub(super) fn of<'s>(segments: impl Iterator<Item = &'s str>) -> Self {
        let mut path = Self { segments: segments.map(Into::into).collect(), text: String::new() };
        for segment in &path.segments {
            path.text.push('/');
            encode_into(segment, &mut path.text);
        }
        if path.text.is_empty() {
            path.text.push('/');
        }
        path
    }

    /// The path up to an encoded `?` or `#`, as a server reads it that decodes before it looks for them.
    pub(super) fn cut(&self) -> Self {
        let mut cut = Self { segments: Vec::new(), text: String::new() };
        for segment in &self.segments {
            let kept = segment.split(['?', '#']).next().unwrap_or_default();
            if !kept.is_empty() {
                cut.text.push('/');
                encode_into(kept, &mut cut.text);
                cut.segments.push(kept.into());
            }
            if kept.len() < segment.len() {
                break;
            }
        }
        cut
    }

    /// Whether it consists of lower-case letters, digits, dashes and underscores, so that everybody reads it alike.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        self.segments.iter().all(|segment| segment.bytes().all(is_plain))
    }

    /// The canonical text.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn decode(segment: &str) -> Result<String, InvalidPath> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(InvalidPath::Encoding)?;
        bytes.push(hex(digits).ok_or(InvalidPath::Encoding)?);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| InvalidPath::Encoding)?;
    match text.as_str() {
        "." | ".." => return Err(InvalidPath::DotSegment),
        _ => {}
    }
    for character in text.chars() {
        match character {
            '/' | '\\' => return Err(InvalidPath::Separator),
            ';' => return Err(InvalidPath::Parameter),
            // Compatibility forms that Unicode normalisation (NFKC) turns into path syntax; "℀" becomes "a/c".
            '\u{ff0f}' | '\u{ff3c}' | '\u{fe68}' | '℀' | '℁' | '℅' | '℆' => return Err(InvalidPath::Separator),
            '\u{ff0e}' | '\u{fe30}' | '\u{fe52}' | '\u{2024}' | '\u{2025}' => return Err(InvalidPath::DotSegment),
            '\u{ff1b}' | '\u{fe14}' | '\u{fe54}' | '\u{37e}' => return Err(InvalidPath::Parameter),
            '\u{ff05}' | '\u{fe6a}' => return Err(InvalidPath::DoubleEncoding),
            c if c.is_control() => return Err(InvalidPath::Control),
            _ => {}
        }
    }
    // What is left may not be percent-encoding again, however its digits were written.
    let is_digit = |c: char| c.is_ascii_hexdigit() || is_compatibility_form(c);
    if text.split('%').skip(1).any(|rest| rest.chars().take(2).filter(|&c| is_digit(c)).count() == 2) {
        return Err(InvalidPath::DoubleEncoding);
    }
    // Servers that strip blanks around segments would read ". ." or " .. " as dots.
    let visible = text.trim_matches(|c: char| c.is_whitespace());
    if matches!(visible, "." | ".." | "") {
        return Err(InvalidPath::DotSegment);
    }
    Ok(text)
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let [high, low] = *digits;
    Some(digit(high)? << 4 | digit(low)?)
}

/// Characters of a path segment that stand for themselves (RFC 3986 §3.3), less the semicolon.
fn encode_into(segment: &str, text: &mut String) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CanonicalPath, InvalidPath};

    #[test]
    fn equivalent_spellings_become_one() {
        for (path, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/a%2Db", "/a-b"),
            ("/%7Euser", "/~user"),
            ("/u%40x", "/u@x"),
            ("/a%20b", "/a%20b"),
            ("/a b", "/a%20b"),
            ("/%c3%a9", "/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/a%3Fb%23c", "/a%3Fb%23c"),
            ("/100%25", "/100%25"),
            ("/...", "/..."),
            ("/a..b/.c", "/a..b/.c"),
        ] {
            assert_eq!(CanonicalPath::parse(path).as_ref().map(CanonicalPath::as_str), Ok(canonical), "{path}");
        }
    }

    #[test]
    fn what_could_be_read_as_another_path_is_refused() {
        for (path, reason) in [
            ("a", InvalidPath::NotAbsolute),
            ("\\admin", InvalidPath::NotAbsolute),
            ("//admin", InvalidPath::EmptySegment),
            ("/a//b", InvalidPath::EmptySegment),
            ("/a//", InvalidPath::EmptySegment),
            ("/.", InvalidPath::DotSegment),
            ("/a/../b", InvalidPath::DotSegment),
            ("/a/..", InvalidPath::DotSegment),
            ("/%2e%2e/b", InvalidPath::DotSegment),
            ("/a/.%2E/b", InvalidPath::DotSegment),
            ("/a/..%20/b", InvalidPath::DotSegment),
            ("/a/%20/b", InvalidPath::DotSegment),
            ("/public/..%2fadmin", InvalidPath::Separator),
            ("/a%2Fb", InvalidPath::Separator),
            ("/a%5cb", InvalidPath::Separator),
            ("/a\\b", InvalidPath::Separator),
            ("/a/%ef%bc%8fb", InvalidPath::Separator),
            ("/a/%ef%bc%8e%ef%bc%8e/b", InvalidPath::DotSegment),
            ("/a/\u{fe30}/b", InvalidPath::DotSegment),
            ("/admin;x", InvalidPath::Parameter),
            ("/admin%3bx", InvalidPath::Parameter),
            ("/public/..;/admin", InvalidPath::Parameter),
            ("/a%00", InvalidPath::Control),
            ("/a%0a", InvalidPath::Control),
            ("/a\u{7f}", InvalidPath::Control),
            ("/a%c2%85", InvalidPath::Control),
            ("/%", InvalidPath::Encoding),
            ("/%4", InvalidPath::Encoding),
            ("/%zz", InvalidPath::Encoding),
            ("/%u002f", InvalidPath::Encoding),
            ("/%c0%ae%c0%ae/", InvalidPath::Encoding),
            ("/%ff", InvalidPath::Encoding),
            ("/%252e%252e/admin", InvalidPath::DoubleEncoding),
            ("/%2561dmin", InvalidPath::DoubleEncoding),
            ("/%25%36%31dmin", InvalidPath::DoubleEncoding),
            ("/%256%31dmin", InvalidPath::DoubleEncoding),
            ("/%25\u{ff16}\u{ff11}dmin", InvalidPath::DoubleEncoding),
        ] {
            assert_eq!(CanonicalPath::parse(path), Err(reason), "{path}");
        }
    }

    #[test]
    fn a_canonical_path_is_its_own_canonical_form() {
        for path in ["/", "/a b/é%3F/", "/u@x/~!$&'()*+,=:", "/100%25"] {
            let once = CanonicalPath::parse(path).unwrap();
            assert_eq!(CanonicalPath::parse(once.as_str()), Ok(once));
        }
    }
}
