//! HTTP as plain data: the head of a request, and replies.

mod bearer;
mod challenge;
#[cfg(feature = "gateway")]
mod cookie;
#[cfg(feature = "gateway")]
mod header;
mod navigation;
#[cfg(feature = "gateway")]
pub(crate) mod page;
#[cfg(feature = "gateway")]
pub(crate) mod page_texts;
#[cfg(feature = "gateway")]
pub(crate) mod path;
#[cfg(feature = "gateway")]
pub(crate) mod percent;
mod reply;
#[cfg(feature = "gateway")]
pub(crate) mod spelling;

#[cfg(feature = "gateway")]
pub(crate) use bearer::is_b64token;
pub use bearer::{Bearer, MALFORMED_AUTHORIZATION, TOKEN_IN_QUERY, bearer_token, dpop_token};
pub use challenge::{bad_request, forbidden, missing_token, refused, unavailable, with_dpop_challenge};
#[cfg(feature = "gateway")]
pub(crate) use challenge::{
    insufficient_authentication, missing_session, missing_token_in, token_not_accepted, with_resource_metadata,
};
#[cfg(feature = "gateway")]
pub use cookie::{CookieShape, Cookies, cookies_without};
#[cfg(feature = "gateway")]
pub use header::is_token;
#[cfg(feature = "gateway")]
pub(crate) use header::{HOP_BY_HOP, canonical_name};
pub use navigation::{can_navigate, is_cross_origin, is_embedded, is_navigation, is_prefetch, is_script};
#[cfg(feature = "gateway")]
pub(crate) use navigation::{prefers_json, wants_page};
#[cfg(feature = "gateway")]
pub use percent::encode_header_value;
pub use reply::Reply;
#[cfg(feature = "gateway")]
pub(crate) use reply::{PRIVATE, Rendering};
#[cfg(feature = "gateway")]
pub use spelling::Unicode;

use alloc::string::String;

#[cfg(feature = "gateway")]
use crate::error::CertificateError;
use crate::limits;
#[cfg(feature = "gateway")]
use crate::text::unhex;
#[cfg(feature = "gateway")]
use crate::url::is_loopback;

/// The head of a request, as the host received it.
///
/// ```
/// use edgeward::http::{RequestHead, is_navigation};
///
/// let header = |name: &str| (name == "sec-fetch-mode").then(|| String::from("navigate"));
/// let head = RequestHead { method: "GET", url: "https://app.example.com/a?b=c", header: &header };
/// assert_eq!(head.url_parts().path, "/a");
/// assert!(is_navigation(&head));
/// ```
pub struct RequestHead<'r> {
    /// The method, exactly as received.
    pub method: &'r str,
    /// The absolute URL, exactly as received.
    pub url: &'r str,
    /// Looks up a header by its lower-case name; several with one name are joined with `, `.
    pub header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> RequestHead<'r> {
    /// Splits the URL, without decoding anything. A user name or password is omitted.
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
    /// Returns the platform's id of the request, which users can quote and operators can find in the log.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        let is_id = |id: &String| {
            id.len() <= limits::MAX_REQUEST_ID_BYTES
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (self.header)("cf-ray").filter(is_id)
    }

    /// Returns whether everything in the request says that it comes from loopback. Outside of Cloudflare a client can forge all of
    /// it: this is one condition among others.
    ///
    /// In requests to a deployed Worker, Cloudflare sets the client's address, and routes by the name of the host.
    #[cfg(feature = "gateway")]
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_host = crate::url::split_port(self.url_parts().authority).is_some_and(|(host, _)| is_loopback(host));
        let is_client = self.client_address().is_some_and(|address| address == "::1" || is_loopback(&address));
        is_host && is_client && (self.header)("x-forwarded-for").is_none()
    }

    /// Returns the SHA-256 thumbprint of the verified certificate of the connection's client, as stated by the platform.
    ///
    /// # Errors
    /// If there is none, or it was not verified, or is revoked.
    #[cfg(feature = "gateway")]
    pub(crate) fn client_certificate(&self) -> Result<[u8; 32], CertificateError> {
        let stated = (self.header)(CLIENT_CERTIFICATE).ok_or(CertificateError::Missing)?;
        let mut parts = stated.splitn(4, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let (presented, revoked, verified, fingerprint) = (next(), next(), next(), next());
        if presented != "1" {
            return Err(CertificateError::Missing);
        }
        let thumbprint = unhex(fingerprint).filter(|_| verified == "SUCCESS" && revoked != "1");
        thumbprint.and_then(|thumbprint| thumbprint.try_into().ok()).ok_or(CertificateError::NotVerified)
    }

    /// Returns the client's address, as stated by the platform.
    #[must_use]
    pub fn client_address(&self) -> Option<String> {
        (self.header)(CLIENT_ADDRESS)
    }
}

/// The name under which [`RequestHead::header`] returns what the platform states about the client's certificate, which is no header: in lines
/// `certPresented`, `certRevoked`, `certVerified` and `certFingerprintSHA256` of Cloudflare's `tlsClientAuth`. No client can send a header with
/// this name.
pub const CLIENT_CERTIFICATE: &str = ":client-certificate";

/// The header in which Cloudflare states the client's address.
pub(crate) const CLIENT_ADDRESS: &str = "cf-connecting-ip";

/// The parts of a request's URL, not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlParts<'r> {
    /// Host and port.
    pub authority: &'r str,
    /// The path: empty, or starting with a slash.
    pub path: &'r str,
    /// The query, without the question mark.
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
