//! HTTP as plain data: what the core reads of a request and what it answers.

mod bearer;
mod challenge;
#[cfg(feature = "gateway")]
mod cookie;
#[cfg(feature = "gateway")]
mod header;
mod navigation;
mod page;
#[cfg(feature = "gateway")]
pub(crate) mod path;
#[cfg(feature = "gateway")]
pub(crate) mod percent;
mod reply;
#[cfg(feature = "gateway")]
pub(crate) mod spelling;

pub use bearer::{Bearer, bearer_token};
pub use challenge::{bad_request, forbidden, missing_token, refused, unavailable};
#[cfg(feature = "gateway")]
pub use cookie::{CookieShape, Cookies, cookies_without};
#[cfg(feature = "gateway")]
pub(crate) use header::{HOP_BY_HOP, canonical_name};
#[cfg(feature = "gateway")]
pub use header::{is_token, percent_encoded_value};
pub use navigation::{can_navigate, is_cross_site, is_embedded, is_navigation, is_prefetch, is_script};
pub use page::Page;
#[cfg(feature = "gateway")]
pub(crate) use reply::PRIVATE;
pub use reply::Reply;
#[cfg(feature = "gateway")]
pub use spelling::Unicode;

use alloc::string::String;

/// The head of a request, as the host sees it.
pub struct RequestHead<'r> {
    /// The method, exactly as received.
    pub method: &'r str,
    /// The absolute URL, exactly as received.
    pub url: &'r str,
    /// Looks a header up by its lower-case name; several of one name are joined with `, `.
    pub header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> RequestHead<'r> {
    /// Host and port, then path, then query, as they stand in the URL. A user name or password in it is left out.
    #[must_use]
    pub fn url_parts(&self) -> UrlParts<'r> {
        let rest = self.url.find("://").and_then(|scheme| self.url.get(scheme + 3..)).unwrap_or_default();
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let authority_to = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(authority_to).unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        UrlParts { authority, path, query }
    }
}

impl RequestHead<'_> {
    /// What the platform calls this request, for people to quote and operators to find in the log.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        let is_name =
            |id: &String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (self.header)("cf-ray").filter(is_name)
    }

    /// Returns the client's address, as stated by the platform.
    #[must_use]
    pub fn client_address(&self) -> Option<String> {
        (self.header)(CLIENT_ADDRESS)
    }
}

/// The header in which Cloudflare states the client's address.
pub(crate) const CLIENT_ADDRESS: &str = "cf-connecting-ip";

/// The parts of a request's URL, not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlParts<'r> {
    /// Host and port.
    pub authority: &'r str,
    /// Path; empty or starting with a slash.
    pub path: &'r str,
    /// Query, without the question mark.
    pub query: Option<&'r str>,
}

#[cfg(test)]
mod tests {
    use super::{RequestHead, UrlParts};

    #[test]
    fn the_parts_of_a_url_are_taken_as_they_stand() {
        for (url, authority, path, query) in [
            ("https://a.example:1/b/../c?d=e?f", "a.example:1", "/b/../c", Some("d=e?f")),
            ("https://a.example//admin", "a.example", "//admin", None),
            ("https://a.example", "a.example", "", None),
            ("https://u:p@a.example:1/@b", "a.example:1", "/@b", None),
            ("https://a.example?x", "a.example", "", Some("x")),
            ("https://a.example\\admin", "a.example", "\\admin", None),
            ("https://a.example/a#/public?x", "a.example", "/a", None),
        ] {
            let head = RequestHead { method: "GET", url, header: &|_| None };
            assert_eq!(head.url_parts(), UrlParts { authority, path, query }, "{url}");
        }
    }
}
