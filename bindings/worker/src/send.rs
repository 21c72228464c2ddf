//! The core's requests, sent: no redirects, no cache, a deadline, and a limit on the body.

use edgeward::io::{Incoming, Outgoing, Unreachable};
use js_sys::futures::JsFuture;
use js_sys::{Error, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AbortSignal, Headers, ReadableStream, ReadableStreamDefaultReader, Request, RequestCache, RequestInit,
    RequestRedirect, Response,
};

use crate::background::{Work, promise};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn global_fetch(request: &Request) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: u32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// `fetch`, awaited.
pub(crate) async fn fetch(request: &Request) -> Result<Response, JsValue> {
    JsFuture::from(global_fetch(request)?).await?.dyn_into()
}

/// Waits so long.
pub(crate) async fn sleep(millis: u32) {
    let elapsed = Promise::new(&mut |resolve, _| drop(set_timeout(&resolve, millis)));
    // A timer does not fail.
    let _: Result<JsValue, JsValue> = JsFuture::from(elapsed).await;
}

/// Sends `outgoing` and reads the answer whole.
pub(crate) async fn send(outgoing: &Outgoing) -> Result<Incoming, Unreachable> {
    exchange(outgoing).await.map_err(|reason| match reason.dyn_ref::<Error>() {
        Some(error) if error.name() != "TimeoutError" => Unreachable::Network,
        // The deadline of the head, or what ends an exchange in this file, which is no error object.
        _ => Unreachable::GivenUp,
    })
}

async fn exchange(outgoing: &Outgoing) -> Result<Incoming, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &outgoing.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(outgoing.method);
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(outgoing.timeout_ms)));
    if let Some(body) = &outgoing.body {
        init.set_body(&body.as_str().into());
    }
    let request = Request::new_with_str_and_init(&outgoing.url, &init)?;
    let response = fetch(&request).await?;
    // The signal ends the wait for the head; a body that drips in is ended by a deadline of its own.
    let (stream, limit) = (response.body(), outgoing.max_body_bytes);
    let body = before_deadline(
        outgoing.timeout_ms,
        Box::pin(async move { read_body(stream, limit).await.map(|bytes| Uint8Array::from(bytes.as_slice()).into()) }),
    )
    .await?;
    let headers = response.headers();
    Ok(Incoming {
        status: response.status(),
        content_type: headers.get("content-type")?,
        cache_control: headers.get("cache-control")?,
        age: headers.get("age")?,
        retry_after: headers.get("retry-after")?,
        body: body.dyn_into::<Uint8Array>()?.to_vec(),
    })
}

/// What `work` resolves to, or an error once the time is up.
async fn before_deadline(millis: u32, work: Work<Result<JsValue, JsValue>>) -> Result<JsValue, JsValue> {
    let mut timer = JsValue::UNDEFINED;
    let deadline = Promise::new(&mut |_, reject| timer = set_timeout(&reject, millis));
    let outcome = JsFuture::from(Promise::race(&js_sys::Array::of2(&promise(work), &deadline))).await;
    clear_timeout(&timer);
    outcome
}

/// Reads a body of at most `limit` bytes; past them the rest is refused unread.
pub(crate) async fn read_body(stream: Option<ReadableStream>, limit: usize) -> Result<Vec<u8>, JsValue> {
    let Some(stream) = stream else { return Ok(Vec::new()) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().dyn_into()?;
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await?;
        if Reflect::get(&chunk, &"done".into())?.is_truthy() {
            return Ok(bytes);
        }
        let chunk: Uint8Array = Reflect::get(&chunk, &"value".into())?.dyn_into()?;
        if bytes.len() + chunk.length() as usize > limit {
            // Nobody waits for the cancellation.
            drop(reader.cancel());
            return Err("body too large".into());
        }
        bytes.extend(chunk.to_vec());
    }
}
