//! An answer made by the gateway itself.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::json::push_quoted;
use crate::text::{concat, decimal};

/// `Cache-Control` of what depends on who asks.
#[cfg(feature = "gateway")]
pub(crate) const PRIVATE: &str = "private, no-store";

/// Status, headers and body of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// An RFC 9457 problem: `title`, `status`, a stable `code` and a `detail` for people. Never cached.
    #[must_use]
    pub fn problem(status: u16, code: &str, detail: &str) -> Self {
        Self::problem_with(status, code, detail, &[])
    }

    /// A problem with further members.
    #[must_use]
    pub fn problem_with(status: u16, code: &str, detail: &str, more: &[(&str, &str)]) -> Self {
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
        Self { body, ..Self::new(status) }
            .with("content-type", "application/problem+json")
            .with("cache-control", "no-store")
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// A redirect of this gateway's own: kept by no cache, and it tells the next page nothing of this one.
    #[cfg(feature = "gateway")]
    pub(crate) fn redirect(location: String) -> Self {
        Self::new(302).with("location", location).with("cache-control", PRIVATE).with("referrer-policy", "no-referrer")
    }

    /// JSON about the caller.
    #[cfg(feature = "gateway")]
    pub(crate) fn json(body: String) -> Self {
        Self { body, ..Self::new(200) }.with("content-type", "application/json").with("cache-control", PRIVATE)
    }

    /// Sets cookies.
    #[cfg(feature = "gateway")]
    pub(crate) fn with_cookies(self, cookies: Vec<String>) -> Self {
        cookies.into_iter().fold(self, |reply, cookie| reply.with("set-cookie", cookie))
    }

    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

impl core::fmt::Debug for Reply {
    /// Leaves out headers and body: they may hold cookies and tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reply({})", self.status)
    }
}

/// The registered reason phrase (RFC 9110 §15).
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
