//! Forwarding: sends a new request with the client's permitted headers; bodies stream in both directions.

use edgeward::gateway::{Answered, Destination, Forward, HeaderEdit, ProofOutcome};
use edgeward::host::{Host as _, Level};
use edgeward::http::RequestHead;
use edgeward::limits;
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
    /// Returns a header of what `forward` returned.
    #[wasm_bindgen(js_name = headerOf)]
    fn header_of(answered: &Array, name: &str) -> Option<String>;
    /// Returns a promise of a request that can be forwarded more than once, as copies; of `undefined` if this one cannot.
    fn repeatable(request: &JsValue, limit: usize) -> Promise;
    #[wasm_bindgen(catch, js_name = copyOf)]
    fn copy_of(request: &JsValue) -> Result<JsValue, JsValue>;
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
    let sent = send(inbound, &service, &mut forward, host).await;
    forward.settle(head, host).await;
    let edited = match sent {
        Ok(Some((_, 0))) => return response::of_reply(&forward.to_repeat(head)),
        Ok(Some((answered, status))) => with_edits(&answered, status, &forward).map(|raw| Some((raw, status))),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match edited {
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

/// Returns what `forward` returned, and the response's status, which is 0 if the client has to repeat the request; `None` after the timeout.
async fn send(
    inbound: &Inbound,
    service: &JsValue,
    plan: &mut Forward<'_>,
    host: &WorkerHost,
) -> Result<Option<(Array, u16)>, JsValue> {
    let mut raw = inbound.raw.clone();
    let mut is_repeatable = false;
    if plan.has_own_proof() {
        let whole = JsFuture::from(repeatable(&raw, limits::MAX_REPEATABLE_BODY_BYTES)).await?;
        is_repeatable = !whole.is_undefined();
        if is_repeatable {
            raw = whole;
        }
    }
    loop {
        let (Destination::Url(url) | Destination::Service { url, .. }) = &plan.destination;
        let names = header_names(&raw);
        let removed = names.lines().filter(|name| plan.drops(name)).map(String::from).collect();
        let set = plan.set.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        let (upstream, timeout) = (plan.upstream().len(), plan.timeout_ms().unwrap_or_default());
        let request = if is_repeatable { copy_of(&raw)? } else { raw.clone() };
        let sent = forward(&request, url, service, removed, set, plan.is_private, upstream, plan.prefix(), timeout)?;
        let answered = Array::from(&JsFuture::from(sent).await?);
        if answered.length() == 0 {
            return Ok(None);
        }
        let status = answered.get(1).as_f64().unwrap_or_default() as u16;
        if !plan.has_own_proof() {
            return Ok(Some((answered, status)));
        }
        let (nonce, challenge) = (header_of(&answered, "dpop-nonce"), header_of(&answered, "www-authenticate"));
        let outcome = plan.renew_proof(status, (nonce.as_deref(), challenge.as_deref()), is_repeatable, host).await;
        if outcome == ProofOutcome::Done {
            return Ok(Some((answered, status)));
        }
        discard(&answered);
        if outcome == ProofOutcome::BodyUsed {
            return Ok(Some((answered, 0)));
        }
    }
}

/// Returns the response with the edits of the gateway.
fn with_edits(answered: &Array, status: u16, plan: &Forward<'_>) -> Result<JsValue, JsValue> {
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
    edited(answered, &removed, others)
}
