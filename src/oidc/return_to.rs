//! Where the browser goes after login: a path of this site, and nothing that any parser takes for anything else.

use alloc::string::String;

use crate::gateway::CanonicalPath;
use crate::limits;

/// A path with an optional query on the gateway's own origin, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Takes `text` if it is a canonical path of this site, possibly with a query.
    ///
    /// A canonical path starts with one slash, has no backslash, no empty or dot segment and no control character, so as a
    /// `Location` it cannot name another origin. A fragment is not accepted: the server would never have seen it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > limits::MAX_RETURN_TO_BYTES {
            return None;
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let canonical = CanonicalPath::parse(path).ok().filter(|_| path.starts_with('/') && !path.contains('#'))?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}#".contains(&byte);
        if query.is_some_and(|query| !query.bytes().all(is_plain)) {
            return None;
        }
        let mut location = String::from(canonical.as_str());
        if let Some(query) = query {
            location.push('?');
            location.push_str(query);
        }
        Some(Self(location))
    }

    /// The path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
    fn paths_of_this_site_are_taken() {
        for (text, location) in
            [("/", "/"), ("/a/b?c=d&e=%2f", "/a/b?c=d&e=%2f"), ("/%61", "/a"), ("/a b", "/a%20b"), ("/a?", "/a?")]
        {
            assert_eq!(ReturnTo::parse(text).as_ref().map(ReturnTo::as_str), Some(location), "{text}");
        }
    }

    #[test]
    fn nothing_that_could_lead_elsewhere_is_taken() {
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
            "///evil",
            "/a#b",
            "/a?\\\\evil",
            "/a?<script>",
            "/a;//evil",
            " /a",
            "/\u{ff0f}evil.example",
            "?a=b",
        ] {
            assert_eq!(ReturnTo::parse(text), None, "{text:?}");
        }
    }
}
