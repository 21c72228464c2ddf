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
/// assert_eq!(ReturnTo::parse("//evil.example"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Parses a path that the gateway can serve, with an optional query.
    ///
    /// In every reading, such a path has no two slashes in a row, no backslash, no dot segment and no control character, so as a
    /// `Location` it cannot name another origin. A fragment is refused, because browsers never send one. Percent-encoding is
    /// preserved; characters other than visible ASCII are encoded.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > limits::MAX_RETURN_TO_BYTES || text.contains('#') || !text.starts_with('/') {
            return None;
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        RequestPath::parse(path, SYNTAX_FORMS).ok().filter(|path| !path.has_empty_segment())?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}#".contains(&byte);
        if query.is_some_and(|query| !query.bytes().all(is_plain)) {
            return None;
        }
        let mut location = String::with_capacity(text.len());
        percent::push_encoded(&mut location, path, is_plain);
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        Some(Self(location))
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
    use super::ReturnTo;

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
        ] {
            assert_eq!(ReturnTo::parse(text).as_ref().map(ReturnTo::as_str), Some(text));
        }
        for (text, location) in [("/a b", "/a%20b"), ("/é", "/%C3%A9"), ("/{a}|b", "/%7Ba%7D%7Cb")] {
            assert_eq!(ReturnTo::parse(text).as_ref().map(ReturnTo::as_str), Some(location), "{text}");
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
            "/a#b",
            "/a?\\\\evil",
            "/a?<script>",
            " /a",
            "/\u{ff0f}evil.example",
            "/\u{ff3c}evil.example",
            "/\u{ff0e}\u{ff0e}/evil.example",
            "?a=b",
        ] {
            assert_eq!(ReturnTo::parse(text), None, "{text:?}");
        }
    }
}
