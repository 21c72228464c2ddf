//! The request as the runtime hands it over.

use edgeward::http::RequestHead;

/// An inbound request; its text parts are read once.
pub(crate) struct Inbound {
    raw: web_sys::Request,
    headers: web_sys::Headers,
    method: String,
    url: String,
}

impl Inbound {
    pub(crate) fn new(raw: web_sys::Request) -> Self {
        Self { headers: raw.headers(), method: raw.method(), url: raw.url(), raw }
    }

    pub(crate) fn raw(&self) -> &web_sys::Request {
        &self.raw
    }

    pub(crate) fn headers(&self) -> &web_sys::Headers {
        &self.headers
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A header; several of one name are joined with `, `.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        // Throws only for names that are not names, and ours are.
        self.headers.get(name).ok().flatten()
    }

    /// Lends the head of the request to the core.
    pub(crate) fn with_head<T>(&self, read: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        read(&RequestHead { method: &self.method, url: &self.url, header: &|name| self.header(name) })
    }
}
