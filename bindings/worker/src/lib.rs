//! The Cloudflare Worker around the core: it reads the clock, sends what the core asks for, and passes bodies through.
//!
//! Every decision is the core's; what happens to a request is told in [`edgeward::gateway`]. Nothing of one request's I/O
//! is kept for another: what requests share is plain data.

#![forbid(unsafe_code)]

mod edge_cache;
mod forward;
mod request;
mod response;
mod send;
mod site;
mod verify;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as Task, Poll, Waker};
use std::rc::Rc;

use edgeward::gateway::{Action, Credentials, HEALTH_PATH};
use edgeward::http::Reply;
use js_sys::futures::future_to_promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env};

use self::request::Inbound;
use self::site::Site;

/// The Worker's `fetch`: a `Response`, or a promise of one.
///
/// Most requests are decided without waiting for anything. Their answer is there after the first poll, and neither a promise
/// nor a task is made for them.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, ctx: worker::worker_sys::Context) -> Result<JsValue, JsValue> {
    let mut handling: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>> = Box::pin(async move {
        let response = handle(Inbound::new(request), &env, &Context::new(ctx)).await;
        response.map(JsValue::from).map_err(JsValue::from)
    });
    match handling.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // Polled again at once, with the waker of its task.
        Poll::Pending => Ok(future_to_promise(handling).into()),
    }
}

async fn handle(inbound: Inbound, env: &Env, ctx: &Context) -> worker::Result<web_sys::Response> {
    let Some(site) = Site::of(env) else {
        return response::from_reply(&Reply::problem(
            503,
            "config_invalid",
            "The gateway's configuration is invalid. Its log lists every problem.",
        ));
    };
    if inbound.with_head(|head| head.url_parts().path == HEALTH_PATH) {
        return response::from_reply(&site::health());
    }
    let answer = match answer(&site, &inbound, env, ctx).await {
        Ok(response) => response::from_origin(response, &site.gateway)?,
        Err(reply) => response::from_reply(&reply)?,
    };
    response::with_cors(answer, &site.gateway, &inbound)
}

/// Answers a request: with the origin's response, or with what the core says instead.
async fn answer(site: &Rc<Site>, inbound: &Inbound, env: &Env, ctx: &Context) -> Result<web_sys::Response, Reply> {
    let header = |name: &str| inbound.header(name);
    let head = edgeward::http::RequestHead { method: inbound.method(), url: inbound.url(), header: &header };
    let entered = site.gateway.enter(&head)?;
    let token = match entered.credentials(&head)? {
        Credentials::Anonymous => None,
        Credentials::Bearer(token) => {
            let verified = verify::verify(site, &token, ctx).await.map_err(|refusal| refusal.reply(&entered))?;
            entered.authorize(&verified)?;
            Some((verified, token))
        }
    };
    let known = token.as_ref().map(|(verified, token)| (verified.as_ref(), token.as_str()));
    match entered.action(&head, known) {
        Action::Respond(reply) => Err(reply),
        Action::Proxy(url, plan) => forward::to_origin(site, inbound, &url, &plan).await,
        Action::Service(binding, plan) => forward::to_service(site, inbound, env, binding, &plan).await,
    }
}
