//! The core's answers as the runtime's responses.

use edgeward::gateway::{Forward, HeaderEdit};
use edgeward::http::Reply;
use js_sys::Reflect;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Response, ResponseInit};

#[wasm_bindgen(module = "/src/respond.js")]
extern "C" {
    /// One crossing for the whole answer; `text` is the headers, a line for each name and value, then the body.
    #[wasm_bindgen(catch)]
    fn respond(status: u16, headers_length: usize, text: &str) -> Result<Response, JsValue>;
}

pub(crate) fn from_reply(reply: &Reply) -> Result<Response, JsValue> {
    let mut text = String::with_capacity(256 + reply.body.len());
    for (name, value) in &reply.headers {
        text.extend([name, "\n", value, "\n"]);
    }
    // Headers are ASCII, so that their length is the same in UTF-8 and in UTF-16.
    let headers_length = text.len();
    let has_no_body = matches!(reply.status, 204 | 205 | 304);
    if !has_no_body {
        text.push_str(&reply.body);
    }
    respond(reply.status, headers_length, &text)
}

/// An origin's response with the changes that the core demands; its body goes through untouched.
pub(crate) fn edited(response: Response, forward: &Forward<'_>) -> Result<Response, JsValue> {
    let cache_control = response.headers().get("cache-control")?;
    let edits = forward.response_edits(response.status(), cache_control.as_deref());
    if edits.is_empty() {
        return Ok(response);
    }
    let response = changeable(&response)?;
    let headers = response.headers();
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => headers.delete(name)?,
            HeaderEdit::Set(name, value) => headers.set(&name, &value)?,
            HeaderEdit::Append(name, value) => headers.append(&name, &value)?,
        }
    }
    Ok(response)
}

/// The same response with headers that can be changed.
fn changeable(response: &Response) -> Result<Response, JsValue> {
    let socket = Reflect::get(response, &"webSocket".into())?;
    if socket.is_null() || socket.is_undefined() {
        // A response serves as its own `ResponseInit`: status, status text and headers have the same names.
        let init: &ResponseInit = response.unchecked_ref();
        return Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), init);
    }
    let init = ResponseInit::new();
    init.set_status(response.status());
    init.set_headers(&response.headers());
    Reflect::set(&init, &"webSocket".into(), &socket)?;
    Response::new_with_opt_str_and_init(None, &init)
}
