//! A response made by the gateway itself.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::json::push_quoted;
use crate::text::{concat, decimal};

/// `Cache-Control` of responses that depend on the caller.
#[cfg(feature = "gateway")]
pub(crate) const PRIVATE: &str = "private, no-store";

/// A response: status, headers and body.
///
/// ```
/// use edgeward::http::Reply;
///
/// let reply = Reply::problem(404, "route_not_found", "There is no such page.").with("x-request-id", "42");
/// assert_eq!(reply.header("content-type"), Some("application/problem+json"));
/// assert!(reply.body.contains(r#""code":"route_not_found""#));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The header names and values.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: String,
    /// The stable code of a problem document; empty for any other body.
    pub(crate) code: &'static str,
    /// The form in which browser navigations get it.
    pub(crate) rendering: Rendering,
}

/// The form in which browser navigations get a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rendering {
    /// As it is.
    AsIs,
    /// A page; API clients get it as it is.
    PageForNavigations,
    /// A page, for API clients, too.
    #[cfg(feature = "gateway")]
    Page,
}

impl Reply {
    /// Creates a reply without headers or body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), code: "", rendering: Rendering::AsIs }
    }

    /// Creates an RFC 9457 problem document with `title`, `status`, a stable `code` and a readable `detail`. Never cached.
    #[must_use]
    pub fn problem(status: u16, code: &'static str, detail: &str) -> Self {
        Self::problem_with(status, code, detail, &[])
    }

    /// Creates a problem document with further members.
    #[must_use]
    pub fn problem_with(status: u16, code: &'static str, detail: &str, more: &[(&str, &str)]) -> Self {
        let title = title(status);
        let members = [("title", title), ("code", code), ("detail", detail)];
        let mut body = concat(&[r#"{"status":"#, &decimal(status.into())]);
        for (name, value) in members.iter().chain(more) {
            body.push(',');
            push_quoted(&mut body, name);
            body.push(':');
            push_quoted(&mut body, value);
        }
        body.push('}');
        Self { body, code, rendering: Rendering::PageForNavigations, ..Self::new(status) }
            .with("content-type", "application/problem+json")
            .with("cache-control", "no-store")
    }

    /// Creates a page with a stable `code`, for whoever requests it. `links` are the addresses that it leads to.
    #[cfg(feature = "gateway")]
    pub(crate) fn page(status: u16, code: &'static str, links: &[(&str, &str)]) -> Self {
        Self { rendering: Rendering::Page, ..Self::problem_with(status, code, "", links) }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// Creates a redirect that is never cached and sends no referrer.
    #[cfg(feature = "gateway")]
    pub(crate) fn redirect(location: String) -> Self {
        Self::new(302).with("location", location).with("cache-control", PRIVATE).with("referrer-policy", "no-referrer")
    }

    /// Creates a JSON reply about the caller.
    #[cfg(feature = "gateway")]
    pub(crate) fn json(body: String) -> Self {
        Self { body, ..Self::new(200) }.with("content-type", "application/json").with("cache-control", PRIVATE)
    }

    /// Adds `Set-Cookie` headers.
    #[cfg(feature = "gateway")]
    pub(crate) fn with_cookies(self, cookies: Vec<String>) -> Self {
        cookies.into_iter().fold(self, |reply, cookie| reply.with("set-cookie", cookie))
    }

    /// Returns the stable code of a problem document; empty for any other reply.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

impl core::fmt::Debug for Reply {
    /// Omits headers and body: they may contain cookies and tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reply({})", self.status)
    }
}

/// Returns the reason phrase (RFC 9110 §15).
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        421 => "Misdirected Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
