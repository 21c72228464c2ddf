//! The core's answers as the runtime's responses.

use edgeward::gateway::Gateway;
use edgeward::http::Reply;
use js_sys::Reflect;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Response, ResponseInit};

use crate::request::Inbound;

const SWITCHING_PROTOCOLS: u16 = 101;

const PRIVATE: &str = "private, no-store";

/// Answers of an origin give way to the gateway's where it has a CORS policy.
const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

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

/// An origin's response without its own CORS headers, if the gateway has a CORS policy.
pub(crate) fn from_origin(response: Response, gateway: &Gateway) -> Result<Response, JsValue> {
    if gateway.has_cors() && response.status() != SWITCHING_PROTOCOLS {
        for name in CORS_HEADERS {
            response.headers().delete(name)?;
        }
    }
    Ok(response)
}

/// Adds the CORS headers that this request's answer must carry.
pub(crate) fn with_cors(response: Response, gateway: &Gateway, inbound: &Inbound) -> Result<Response, JsValue> {
    if response.status() == SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    for (name, value) in inbound.with_head(|head| gateway.cors_headers(head)) {
        if name == "vary" {
            response.headers().append(&name, &value)?;
        } else {
            response.headers().set(&name, &value)?;
        }
    }
    Ok(response)
}

/// An origin's answer to somebody who is logged in: kept by no cache, with the cookies of a session that changed.
pub(crate) fn of_session(response: Response, cookies: &[String]) -> Result<Response, JsValue> {
    let response = if response.status() != SWITCHING_PROTOCOLS {
        response.headers().set("cache-control", PRIVATE)?;
        response
    } else if cookies.is_empty() {
        return Ok(response);
    } else {
        changeable_switch(&response)?
    };
    for cookie in cookies {
        response.headers().append("set-cookie", cookie)?;
    }
    Ok(response)
}

/// An opened WebSocket with headers that can be changed: the tokens of a session that it renewed must reach the browser.
fn changeable_switch(response: &Response) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(SWITCHING_PROTOCOLS);
    init.set_headers(&response.headers());
    let socket = "webSocket".into();
    Reflect::set(&init, &socket, &Reflect::get(response, &socket)?)?;
    Response::new_with_opt_str_and_init(None, &init)
}

/// The answer where an origin's response cannot be passed on.
pub(crate) fn broken() -> Reply {
    Reply::problem(502, "origin_unreachable", "The origin did not answer.")
}

/// An origin's response with headers that can be changed; its body goes through untouched.
pub(crate) fn changeable(response: Response) -> Result<Response, JsValue> {
    if response.status() == SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    // A response serves as its own `ResponseInit`: status, status text and headers have the same names.
    let init: &ResponseInit = response.unchecked_ref();
    Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), init)
}
