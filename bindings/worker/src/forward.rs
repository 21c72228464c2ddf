//! Forwarding: the request is made anew from what of the client's may go on; bodies stream both ways.

use edgeward::gateway::{Destination, Forward};
use edgeward::host::{Host as _, Level};
use js_sys::futures::JsFuture;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, Request, RequestCache, RequestInit, RequestRedirect, Response};

use crate::host::WorkerHost;
use crate::request::Inbound;
use crate::response;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn global_fetch(request: &Request) -> Result<Promise, JsValue>;
}

pub(crate) async fn to_origin(inbound: &Inbound, forward: Forward<'_>, host: &WorkerHost) -> Result<Response, JsValue> {
    let answered = match &forward.destination {
        Destination::Url(url) => match request(inbound, url, &forward) {
            Ok(request) => answer_of(global_fetch(&request)).await,
            Err(error) => Err(error),
        },
        Destination::Service { binding, url } => {
            let service = host.binding(binding);
            let fetch =
                Reflect::get(&service, &"fetch".into()).ok().and_then(|fetch| fetch.dyn_into::<Function>().ok());
            let Some(fetch) = fetch else {
                host.log(Level::Error, &format_args!("config_invalid: there is no service binding {binding}"));
                return response::from_reply(&forward.without_service());
            };
            match request(inbound, url, &forward) {
                Ok(request) => answer_of(fetch.call1(&service, &request).map(Promise::from)).await,
                Err(error) => Err(error),
            }
        }
    };
    match answered.and_then(|answered| response::edited(answered, &forward)) {
        Ok(response) => Ok(response),
        Err(_) => {
            host.log(Level::Error, &"origin_unreachable: the request could not be forwarded");
            response::from_reply(&forward.unreachable())
        }
    }
}

async fn answer_of(fetched: Result<Promise, JsValue>) -> Result<Response, JsValue> {
    JsFuture::from(fetched?).await?.dyn_into()
}

fn request(inbound: &Inbound, url: &str, forward: &Forward<'_>) -> Result<Request, JsValue> {
    let headers = Headers::new_with_headers(&inbound.headers)?;
    for name in inbound.headers.keys() {
        let Some(name) = name?.as_string() else { continue };
        if forward.leaves_out(&name) {
            headers.delete(&name)?;
        }
    }
    for (name, value) in &forward.set {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    if forward.is_private {
        // Cloudflare caches some answers by the path's extension alone; nobody else may get this one.
        init.set_cache(RequestCache::NoStore);
    }
    // A request serves as `RequestInit`, too. That way its method and body come along, even a body that came with GET,
    // which could not be set by itself.
    let addressed = Request::new_with_str_and_init(url, inbound.raw.unchecked_ref())?;
    Request::new_with_request_and_init(&addressed, &init)
}
