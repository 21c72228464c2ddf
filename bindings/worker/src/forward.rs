//! Forwarding: sends a new request with the client's permitted headers; bodies stream in both directions.

use edgeward::gateway::{Answered, Destination, Forward, HeaderEdit};
use edgeward::host::{Host as _, Level};
use edgeward::http::RequestHead;
use js_sys::futures::JsFuture;
use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::WorkerHost;
use crate::record::Response;
use crate::request::Inbound;
use crate::response;

#[wasm_bindgen(module = "/src/message.js")]
extern "C" {
    /// Returns the names of a request's headers, one per line.
    #[wasm_bindgen(js_name = headerNames)]
    fn header_names(request: &JsValue) -> String;
    /// Forwards a request. Returns a promise of the response, its status and its `Cache-Control`; of nothing after the timeout.
    #[wasm_bindgen(catch)]
    fn forward(
        request: &JsValue,
        url: &str,
        service: &JsValue,
        removed: Vec<String>,
        set: Vec<String>,
        is_private: bool,
        upstream_length: usize,
        prefix: &str,
        timeout: u32,
    ) -> Result<Promise, JsValue>;
    /// Returns the `DPoP-Nonce` of what `forward` returned.
    #[wasm_bindgen(js_name = nonceOf)]
    fn nonce_of(answered: &Array) -> Option<String>;
    /// Drops what `forward` returned.
    fn discard(answered: &Array);
    /// Returns the response without the headers `removed`, separated by commas, and with edited ones; each edit is three strings. The
    /// first argument is what `forward` returned.
    #[wasm_bindgen(catch)]
    fn edited(answered: &Array, removed: &str, edits: Vec<String>) -> Result<JsValue, JsValue>;
}

pub(crate) async fn to_origin(
    inbound: &Inbound,
    head: &RequestHead<'_>,
    forward: Forward<'_>,
    host: &WorkerHost,
) -> Result<Response, JsValue> {
    let mut forward = forward;
    let service = match &forward.destination {
        Destination::Url(_) => JsValue::UNDEFINED,
        Destination::Service { binding, .. } => host.binding(binding),
    };
    if let Destination::Service { binding, .. } = &forward.destination
        && !Reflect::get(&service, &"fetch".into()).is_ok_and(|fetch| fetch.is_function())
    {
        host.log(Level::Error, &format_args!("config_invalid: there is no service binding {binding}"));
        return response::of_reply(&forward.without_service(head));
    }
    match send(inbound, &service, &mut forward, host).await {
        Ok(Some((raw, status))) => {
            Ok(Response { raw, answered: Answered { status, code: "", is_forwarded: true }, bytes: None })
        }
        Ok(None) => {
            host.log(Level::Error, &format_args!("origin_timeout: {} in time", forward.described()));
            response::of_reply(&forward.timed_out(head))
        }
        Err(_) => {
            host.log(Level::Error, &format_args!("origin_unreachable: {}", forward.described()));
            response::of_reply(&forward.unreachable(head))
        }
    }
}

/// Returns the response and its status; `None` after the timeout.
async fn send(
    inbound: &Inbound,
    service: &JsValue,
    plan: &mut Forward<'_>,
    host: &WorkerHost,
) -> Result<Option<(JsValue, u16)>, JsValue> {
    let raw = &inbound.raw;
    let (answered, status) = loop {
        let (Destination::Url(url) | Destination::Service { url, .. }) = &plan.destination;
        let names = header_names(raw);
        let removed = names.lines().filter(|name| plan.drops(name)).map(String::from).collect();
        let set = plan.set.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        let (upstream, timeout) = (plan.upstream().len(), plan.timeout_ms().unwrap_or_default());
        let sent = forward(raw, url, service, removed, set, plan.is_private, upstream, plan.prefix(), timeout)?;
        let answered = Array::from(&JsFuture::from(sent).await?);
        if answered.length() == 0 {
            return Ok(None);
        }
        let status = answered.get(1).as_f64().unwrap_or_default() as u16;
        if !plan.has_own_proof() {
            break (answered, status);
        }
        let has_body = !Reflect::get(raw, &"body".into()).is_ok_and(|body| body.is_null());
        if !plan.renew_proof(status, nonce_of(&answered).as_deref(), has_body, host).await {
            break (answered, status);
        }
        discard(&answered);
    };
    let edits = plan.response_edits(status, answered.get(2).as_string().as_deref());
    // No header is set before it is removed.
    let (mut removed, mut others) = (String::new(), Vec::new());
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => {
                removed.push_str(name);
                removed.push(',');
            }
            HeaderEdit::Set(name, value) => others.extend(["set".to_string(), name.into(), value]),
            HeaderEdit::Append(name, value) => others.extend(["append".to_string(), name.into(), value]),
        }
    }
    edited(&answered, &removed, others).map(|raw| Some((raw, status)))
}
