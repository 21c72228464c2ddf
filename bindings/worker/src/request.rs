//! The request as the runtime hands it over.

use core::cell::OnceCell;
use core::str;
use std::cell::RefCell;

use edgeward::limits;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host;

#[wasm_bindgen(module = "/src/host.js")]
extern "C" {
    /// One crossing for method, URL and `Authorization`.
    #[wasm_bindgen(js_name = readHead)]
    fn read_head(request: &web_sys::Request, into: &mut [u8]) -> usize;
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; limits::REQUEST_HEAD_BYTES]);
}

/// An inbound request; its text parts are read once.
pub(crate) struct Inbound {
    pub(crate) raw: web_sys::Request,
    pub(crate) headers: web_sys::Headers,
    pub(crate) method: String,
    pub(crate) url: String,
    authorization: Option<String>,
    id: OnceCell<String>,
}

/// Cloudflare's name for a request.
const REQUEST_ID: &str = "cf-ray";

impl Inbound {
    pub(crate) fn new(raw: web_sys::Request) -> Self {
        let headers = raw.headers();
        let head = BUFFER.with_borrow_mut(|buffer| {
            let written = read_head(&raw, buffer);
            let mut lines = str::from_utf8(buffer.get(..written)?).ok()?.splitn(3, '\n').map(String::from);
            lines.next().zip(lines.next()).map(|(method, url)| (method, url, lines.next()))
        });
        let (method, url, authorization) = head.unwrap_or_else(|| {
            // Larger than the buffer.
            (raw.method(), raw.url(), headers.get("authorization").ok().flatten())
        });
        Self { raw, headers, method, url, authorization, id: OnceCell::new() }
    }

    /// A header; several of one name are joined with `, `.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        if name == "authorization" {
            return self.authorization.clone();
        }
        // Throws only for names that are not names, and ours are.
        let value = self.headers.get(name).ok().flatten();
        if name == REQUEST_ID { value.or_else(|| Some(self.own_id())) } else { value }
    }

    /// Where the platform has no name for the request, as on a developer's machine, it gets one when it is asked for.
    fn own_id(&self) -> String {
        let random = || {
            let mut bytes = [0; 9];
            host::entropy(&mut bytes);
            edgeward::base64url::encode(&bytes).replace('_', "-")
        };
        self.id.get_or_init(random).clone()
    }
}
