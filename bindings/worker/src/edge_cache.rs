//! The edge cache tier: the Cache API of the data centre. Every failure is a miss.

use edgeward::jwk::EdgeEntry;
use edgeward::limits;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, Response, ResponseInit};

use crate::send;

/// The largest entry: a JWKS as a JSON string inside JSON.
const MAX_ENTRY_BYTES: usize = 2 * limits::MAX_PROVIDER_BODY_BYTES + 4096;

pub(crate) async fn get(key: &str) -> Option<Vec<u8>> {
    let response: Response = call("match", &[key.into()]).await?.dyn_into().ok()?;
    send::read_body(response.body(), MAX_ENTRY_BYTES).await.ok()
}

pub(crate) async fn put(entry: &EdgeEntry) {
    let store = || -> Result<Response, JsValue> {
        let headers = Headers::new()?;
        headers.set("cache-control", &format!("max-age={}", entry.max_age_s))?;
        headers.set("content-type", "application/json")?;
        let init = ResponseInit::new();
        init.set_headers(&headers);
        Response::new_with_opt_str_and_init(Some(&entry.value), &init)
    };
    if let Ok(response) = store() {
        call("put", &[entry.key.as_str().into(), response.into()]).await;
    }
}

/// `caches.default[method](...arguments)`, awaited.
async fn call(method: &str, arguments: &[JsValue]) -> Option<JsValue> {
    let get = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let cache = get(&get(&js_sys::global(), "caches")?, "default")?;
    let function: Function = get(&cache, method)?.dyn_into().ok()?;
    let promise: Promise = function.apply(&cache, &arguments.iter().collect()).ok()?.dyn_into().ok()?;
    js_sys::futures::JsFuture::from(promise).await.ok()
}
