//! The runtime's request.

use core::cell::OnceCell;
use core::str;
use std::cell::RefCell;

use edgeward::{base64url, limits};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host;

#[wasm_bindgen(module = "/src/message.js")]
extern "C" {
    /// Reads method, URL and `Authorization` in one call.
    #[wasm_bindgen(js_name = readHead)]
    fn read_head(request: &JsValue, into: &mut [u8]) -> i32;
    /// The same for a head that is larger than the buffer.
    #[wasm_bindgen(js_name = headOf)]
    fn head_of(request: &JsValue) -> String;
    /// Reads a header.
    #[wasm_bindgen(js_name = readHeader)]
    fn read_header(request: &JsValue, name: &str, into: &mut [u8]) -> i32;
    /// The same for a header that is larger than the buffer.
    #[wasm_bindgen(js_name = header)]
    fn long_header(request: &JsValue, name: &str) -> Option<String>;
}

/// What `readHeader` returns if there is no such header.
const ABSENT: i32 = -1;

fn header(request: &JsValue, name: &str) -> Option<String> {
    BUFFER.with_borrow_mut(|buffer| match read_header(request, name, buffer) {
        ABSENT => None,
        length => written(buffer, length).map(String::from).or_else(|| long_header(request, name)),
    })
}

/// Returns what was written into the buffer; `None` for the negative length of a text that does not fit.
fn written(buffer: &[u8], length: i32) -> Option<&str> {
    let text = buffer.get(..usize::try_from(length).ok()?)?;
    str::from_utf8(text).ok()
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; limits::REQUEST_HEAD_BYTES]);
}

/// An inbound request whose main parts are read once.
pub(crate) struct Inbound {
    pub(crate) raw: JsValue,
    pub(crate) method: String,
    pub(crate) url: String,
    authorization: Option<String>,
    id: OnceCell<String>,
}

/// The header with Cloudflare's request id.
const REQUEST_ID: &str = "cf-ray";

impl Inbound {
    pub(crate) fn new(raw: JsValue) -> Self {
        let [method, url, authorization] = BUFFER.with_borrow_mut(|buffer| {
            let length = read_head(&raw, buffer);
            written(buffer, length).map_or_else(|| lines(&head_of(&raw)), lines)
        });
        let (method, url) = (method.unwrap_or_default(), url.unwrap_or_default());
        Self { raw, method, url, authorization, id: OnceCell::new() }
    }

    /// Returns a header; several with one name are joined with `, `.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        if name == "authorization" {
            return self.authorization.clone();
        }
        let value = header(&self.raw, name);
        if name == REQUEST_ID { value.or_else(|| Some(self.own_id())) } else { value }
    }

    /// Returns whether Cloudflare has given the request an id, as it does for every request to a deployed Worker.
    pub(crate) fn has_platform_id(&self) -> bool {
        header(&self.raw, REQUEST_ID).is_some()
    }

    /// Returns a generated request id, for platforms that provide none, as in local development.
    fn own_id(&self) -> String {
        let random = || {
            let mut bytes = [0; 9];
            host::entropy(&mut bytes);
            base64url::encode(&bytes).replace('_', "-")
        };
        self.id.get_or_init(random).clone()
    }
}

fn lines(head: &str) -> [Option<String>; 3] {
    let mut lines = head.splitn(3, '\n').map(String::from);
    [lines.next(), lines.next(), lines.next()]
}
