//! Forwarding: the origin sees the canonical path and the identity that the core vouches for; bodies stream both ways.

use edgeward::gateway::Forward;
use edgeward::http::Reply;
use js_sys::futures::JsFuture;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, Request, RequestCache, RequestInit, RequestRedirect, Response};
use worker::{Env, console_error};

use crate::request::Inbound;
use crate::site::Site;
use crate::{response, send};

const SWITCHING_PROTOCOLS: u16 = 101;

pub(crate) async fn to_origin(site: &Site, inbound: &Inbound, url: &str, plan: &Forward) -> Result<Response, Reply> {
    let response = match request(site, inbound, url, plan) {
        Ok(request) => send::fetch(&request).await,
        Err(error) => Err(error),
    };
    finish(response, plan)
}

pub(crate) async fn to_service(
    site: &Site,
    inbound: &Inbound,
    env: &Env,
    binding: &str,
    plan: &Forward,
) -> Result<Response, Reply> {
    let env: &JsValue = env.as_ref();
    let service = Reflect::get(env, &binding.into()).unwrap_or_default();
    let fetch = Reflect::get(&service, &"fetch".into()).ok().and_then(|fetch| fetch.dyn_into::<Function>().ok());
    let Some(fetch) = fetch else {
        console_error!("edgeward: config_invalid: there is no service binding {binding}");
        return Err(Reply::problem(503, "config_invalid", "A service binding that this route needs is missing."));
    };
    let scheme = inbound.url().split(':').next().unwrap_or_default();
    let authority = inbound.with_head(|head| head.url_parts().authority.to_string());
    let call = async {
        let request = request(site, inbound, &format!("{scheme}://{authority}{}", plan.target), plan)?;
        let promise: Promise = fetch.call1(&service, &request)?.dyn_into()?;
        JsFuture::from(promise).await?.dyn_into()
    };
    finish(call.await, plan)
}

/// The request for the origin, made anew from what of the client's may go on.
fn request(site: &Site, inbound: &Inbound, url: &str, plan: &Forward) -> Result<Request, JsValue> {
    let headers = Headers::new_with_headers(inbound.headers())?;
    for name in inbound.headers().keys() {
        let Some(name) = name?.as_string() else { continue };
        if site.gateway.drops(&name) {
            headers.delete(&name)?;
        }
    }
    if !plan.keeps_authorization {
        headers.delete("authorization")?;
    }
    if let Some(cookie) = inbound.header("cookie") {
        match site.gateway.forwarded_cookies(&cookie) {
            Some(cookie) => headers.set("cookie", &cookie)?,
            None => headers.delete("cookie")?,
        }
    }
    for (name, value) in &plan.set {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    if plan.is_private {
        // Cloudflare caches some answers by the path's extension alone; nobody else may get this one.
        init.set_cache(RequestCache::NoStore);
    }
    // A request serves as `RequestInit`, too. That way its method and body come along, even a body that came with GET,
    // which could not be set by itself.
    let addressed = Request::new_with_str_and_init(url, inbound.raw().unchecked_ref())?;
    Request::new_with_request_and_init(&addressed, &init)
}

fn finish(response: Result<Response, JsValue>, plan: &Forward) -> Result<Response, Reply> {
    let unreachable = || Reply::problem(502, "origin_unreachable", "The origin did not answer.");
    let response = response.map_err(|_| {
        console_error!("edgeward: origin_unreachable: the request could not be forwarded");
        unreachable()
    })?;
    let response = response::changeable(response).map_err(|_| unreachable())?;
    if plan.is_private && response.status() != SWITCHING_PROTOCOLS {
        keep_private(&response.headers()).map_err(|_| unreachable())?;
    }
    Ok(response)
}

/// What some shared caches heed in place of `Cache-Control` (RFC 9213).
const TARGETED_CACHE_CONTROL: [&str; 4] =
    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"];

/// Makes sure that no shared cache keeps what depends on who asked.
fn keep_private(headers: &Headers) -> Result<(), JsValue> {
    for name in TARGETED_CACHE_CONTROL {
        headers.delete(name)?;
    }
    let said = headers.get("cache-control")?.unwrap_or_default().to_ascii_lowercase();
    let is_private = said.split(',').any(|directive| matches!(directive.trim(), "private" | "no-store"));
    if !is_private {
        headers.set("cache-control", "private, no-store")?;
    }
    Ok(())
}
