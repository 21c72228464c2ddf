//! Conversion of the core's replies to the runtime's responses.

use edgeward::gateway::Answered;
use edgeward::http::Reply;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::record::Response;

#[wasm_bindgen(module = "/src/respond.js")]
extern "C" {
    /// Creates the response in one call; `text` is the headers, one line per name and value, then the body.
    #[wasm_bindgen(catch)]
    fn respond(status: u16, headers_length: usize, text: &str) -> Result<JsValue, JsValue>;
}

/// Returns the response to a request, for its record.
pub(crate) fn of_reply(reply: &Reply) -> Result<Response, JsValue> {
    let raw = from_reply(reply)?;
    let answered = Answered { status: reply.status, code: reply.code(), is_forwarded: false };
    Ok(Response { raw, answered, bytes: Some(reply.body.len()) })
}

pub(crate) fn from_reply(reply: &Reply) -> Result<JsValue, JsValue> {
    let mut text = String::with_capacity(256 + reply.body.len());
    for (name, value) in &reply.headers {
        text.extend([name, "\n", value, "\n"]);
    }
    // Headers are ASCII, so their length is the same in UTF-8 and UTF-16.
    let headers_length = text.len();
    let has_no_body = matches!(reply.status, 204 | 205 | 304);
    if !has_no_body {
        text.push_str(&reply.body);
    }
    respond(reply.status, headers_length, &text)
}
