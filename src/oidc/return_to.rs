//! The destination after login: a path of this site that no URL parser can read as another origin.

use alloc::string::String;

use crate::http::path::RequestPath;
use crate::http::{Unicode, percent};
use crate::limits;

/// A path with an optional query on the gateway's own origin, in visible ASCII.
///
/// ```
/// use edgeward::oidc::ReturnTo;
///
/// assert_eq!(ReturnTo::parse("/items?page=2").unwrap().as_str(), "/items?page=2");
/// assert_eq!(ReturnTo::parse("/items?filter={a}").unwrap().as_str(), "/items?filter=%7Ba%7D");
/// assert_eq!(ReturnTo::parse("//evil.example"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Why a text is no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidReturnTo {
    /// It is not a path of this site, or could be read as another origin.
    Foreign,
    /// It is longer than the limit once it is encoded.
    TooLong,
}

impl ReturnTo {
    /// Parses a path that the gateway can serve, with an optional query.
    ///
    /// In every reading, such a path has no two slashes in a row, no backslash, no dot segment and no control character, so as a
    /// `Location` it cannot name another origin. A fragment is refused, because browsers never send one. Percent-encoding is
    /// preserved; characters that do not belong in a URL are encoded.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::try_parse(text).ok()
    }

    /// Parses like [`parse`](Self::parse), and tells what is wrong.
    pub(super) fn try_parse(text: &str) -> Result<Self, InvalidReturnTo> {
        Self::read(text, true)
    }

    /// Parses the path and query of a request to this site. Two slashes in a row are accepted, except at the beginning.
    pub(crate) fn of_request(text: &str) -> Option<Self> {
        Self::read(text, false).ok()
    }

    fn read(text: &str, is_link: bool) -> Result<Self, InvalidReturnTo> {
        if text.contains('#') || !text.starts_with('/') {
            return Err(InvalidReturnTo::Foreign);
        }
        if text.len() > limits::MAX_RETURN_TO_BYTES {
            return Err(InvalidReturnTo::TooLong);
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let is_own = RequestPath::parse(path, SYNTAX_FORMS).is_ok_and(|path| !path.has_empty_segment(is_link));
        if !is_own {
            return Err(InvalidReturnTo::Foreign);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
        let mut location = String::with_capacity(text.len());
        percent::push_encoded(&mut location, path, is_plain);
        if let Some(query) = query {
            location.push('?');
            percent::push_encoded(&mut location, query, is_plain);
        }
        if location.len() > limits::MAX_RETURN_TO_BYTES { Err(InvalidReturnTo::TooLong) } else { Ok(Self(location)) }
    }

    /// Whether the URL of a login can carry it.
    pub(crate) fn is_linkable(&self) -> bool {
        self.0.len() <= limits::MAX_LINKED_RETURN_TO_BYTES && Self::parse(&self.0).is_some()
    }

    /// Returns the path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path and query.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// The Unicode forms that matter here: look-alikes of slashes, backslashes and dots.
const SYNTAX_FORMS: Unicode = Unicode {
    nfkc: |text| {
        text.replace(['／', '⁄', '∕'], "/")
            .replace(['＼', '﹨'], "\\")
            .replace(['．', '․'], ".")
            .replace(['‥', '︰'], "..")
    },
    fold_case: str::to_ascii_lowercase,
};

impl Default for ReturnTo {
    /// The site's root.
    fn default() -> Self {
        Self("/".into())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{InvalidReturnTo, ReturnTo};
    use crate::limits;

    #[test]
    fn paths_of_this_site_are_preserved() {
        for text in [
            "/",
            "/a/b?c=d&e=%2f",
            "/%61",
            "/a?",
            "/a;v=1",
            "/a%2Fb",
            "/a%2520b",
            "/a%5Cb",
            "/caf%E9",
            "/%EF%BC%A1",
            "/a/%40me?next=//b",
            "/a?%zz&%&%00&%0d%0a&%5C&=,;:@!$()*[]~",
        ] {
            assert_eq!(ReturnTo::parse(text).as_ref().map(ReturnTo::as_str), Some(text));
        }
        for (text, location) in [
            ("/a b", "/a%20b"),
            ("/é", "/%C3%A9"),
            ("/{a}|b", "/%7Ba%7D%7Cb"),
            ("/a?{b}|c^d\\e'f\"<g>`h i", "/a?%7Bb%7D%7Cc%5Ed%5Ce%27f%22%3Cg%3E%60h%20i"),
            ("/a?é\t\r\n\u{0}", "/a?%C3%A9%09%0D%0A%00"),
            ("/a?\\\\evil", "/a?%5C%5Cevil"),
        ] {
            assert_eq!(ReturnTo::parse(text).as_ref().map(ReturnTo::as_str), Some(location), "{text}");
            assert_eq!(ReturnTo::parse(location).as_ref().map(ReturnTo::as_str), Some(location), "encoded once");
        }
    }

    #[test]
    fn nothing_that_could_lead_elsewhere_is_accepted() {
        for text in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil",
            "/%09/evil.example/%0a",
            "/..//evil.example",
            "/.//evil",
            "/a/..//evil",
            "/%2e%2e//evil",
            "/./\\evil",
            "/%5cevil.example",
            "/%2fevil.example",
            "/%252fevil.example",
            "/;//evil.example",
            "/a;//evil",
            "/https://evil.example",
            "///evil",
            "/%C2%AD/evil",
            "/#b",
            "/a#b",
            " /a",
            "/\u{ff0f}evil.example",
            "/\u{ff3c}evil.example",
            "/\u{ff0e}\u{ff0e}/evil.example",
            "?a=b",
        ] {
            assert_eq!(ReturnTo::parse(text), None, "{text:?}");
        }
    }
    #[test]
    fn a_request_may_have_two_slashes_behind_its_first_segment() {
        for text in ["/a//b", "/a;//b", "/a/b//", "/https://a"] {
            assert_eq!(ReturnTo::of_request(text).as_ref().map(ReturnTo::as_str), Some(text));
            assert!(!ReturnTo::of_request(text).unwrap().is_linkable());
        }
        for text in
            ["//a", "/;//a", "/%2fa", "/%252fa", "/%5ca", "/;/a/..", "/a/..//b", "/\u{ff0f}a", "//", "/%09//a", "/ //a"]
        {
            assert_eq!(ReturnTo::of_request(text), None, "{text}");
        }
        assert!(ReturnTo::parse("/a/b?c").unwrap().is_linkable());
        assert!(!ReturnTo::parse(&format!("/{}", "a".repeat(1024))).unwrap().is_linkable());
    }

    #[test]
    fn what_does_not_fit_is_told_from_what_leads_elsewhere() {
        let query = "/app/x?".len();
        let of = |length: usize| format!("/app/x?{}", "a".repeat(length - query));
        assert_eq!(ReturnTo::parse(&of(8192 + query)).unwrap().as_str().len(), 8192 + query);
        assert!(ReturnTo::parse(&of(limits::MAX_RETURN_TO_BYTES)).is_some());
        let error = |text: &str| ReturnTo::try_parse(text).err();
        assert_eq!(error(&of(limits::MAX_RETURN_TO_BYTES + 1)), Some(InvalidReturnTo::TooLong));
        assert_eq!(error(&format!("/a?{}", "{".repeat(4000))), Some(InvalidReturnTo::TooLong), "once it is encoded");
        assert_eq!(error(&format!("//evil{}", "a".repeat(4000))), Some(InvalidReturnTo::Foreign));
        assert_eq!(error(&format!("https://evil.example/{}", "a".repeat(10_000))), Some(InvalidReturnTo::Foreign));
    }
}
