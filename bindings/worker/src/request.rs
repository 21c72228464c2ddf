//! The request as the runtime hands it over.

use core::cell::OnceCell;

use edgeward::http::RequestHead;

use crate::entropy;

/// An inbound request; its text parts are read once.
pub(crate) struct Inbound {
    raw: web_sys::Request,
    headers: web_sys::Headers,
    method: String,
    url: String,
    id: OnceCell<String>,
}

/// Cloudflare's name for a request.
const REQUEST_ID: &str = "cf-ray";

impl Inbound {
    pub(crate) fn new(raw: web_sys::Request) -> Self {
        Self { headers: raw.headers(), method: raw.method(), url: raw.url(), id: OnceCell::new(), raw }
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
        let value = self.headers.get(name).ok().flatten();
        if name == REQUEST_ID { value.or_else(|| Some(self.own_id())) } else { value }
    }

    /// Where the platform has no name for the request, as on a developer's machine, it gets one when it is asked for.
    fn own_id(&self) -> String {
        self.id.get_or_init(|| edgeward::base64url::encode(&entropy::random::<9>()).replace('_', "-")).clone()
    }

    /// Lends the head of the request to the core.
    pub(crate) fn with_head<T>(&self, read: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        read(&RequestHead { method: &self.method, url: &self.url, header: &|name| self.header(name) })
    }
}
