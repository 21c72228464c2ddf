//! The Cloudflare Worker around the core: it converts requests and responses, implements the verbs of a host, and passes bodies
//! through. Every decision is the core's: see [`edgeward::gateway::Gateway::handle`].
//!
//! Nothing of one request's I/O is kept for another: what requests share is plain data.

#![forbid(unsafe_code)]

mod forward;
mod host;
mod request;
mod response;
mod runtime;

use core::task::{Context as Task, Poll, Waker};

use edgeward::gateway::{Answer, config_invalid};
use edgeward::http::RequestHead;
use edgeward::io::Unreachable;
use edgeward::oidc::{CoordinatorStore, CoordinatorOutcome, SessionAction};
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::worker_sys::Context;

use self::host::{Work, WorkerHost, promise};
use self::request::Inbound;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// The Worker's `fetch`: a `Response`, or a promise of one. `config` is the configuration unless the variable EDGEWARD is set.
///
/// Most requests are decided without waiting for anything. Their answer is there after the first poll, and neither a promise
/// nor a task is made for them.
#[wasm_bindgen]
pub fn fetch(request: JsValue, env: Env, ctx: Context, config: JsValue) -> Result<JsValue, JsValue> {
    let mut handling: Work<Result<JsValue, JsValue>> =
        Box::pin(async move { handle(Inbound::new(request), env, ctx, config).await });
    match handling.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // Polled again at once, with the waker of its task.
        Poll::Pending => Ok(promise(handling).into()),
    }
}

async fn handle(inbound: Inbound, env: Env, ctx: Context, config: JsValue) -> Result<JsValue, JsValue> {
    let Some(gateway) = runtime::gateway(&env, &config) else { return response::from_reply(&config_invalid()) };
    let host = WorkerHost::new(env, Some(ctx));
    let header = |name: &str| inbound.header(name);
    let head = RequestHead { method: &inbound.method, url: &inbound.url, header: &header };
    match gateway.handle(&head, &host).await {
        Answer::Reply(reply) => response::from_reply(&reply),
        Answer::Forward(forward) => forward::to_origin(&inbound, forward, &host).await,
    }
}

/// What the Durable Object does for one session: a promise of status and text of its answer and, if that has changed, what it
/// stores and until when. `read` gives what it has stored, by a promise.
#[wasm_bindgen]
pub fn coordinate(act: String, sealed: String, read: Function, env: Env, config: JsValue) -> Promise {
    promise(Box::pin(async move {
        let party = runtime::gateway(&env, &config).and_then(|gateway| gateway.login().cloned());
        let turn = match (party, SessionAction::from_name(&act)) {
            (Some(party), Some(act)) => {
                let turn = party.coordinate(act, &sealed, &Store(read), &WorkerHost::new(env, None)).await;
                turn.map_err(|_| JsValue::from("the storage of the Durable Object cannot be read"))?
            }
            _ => CoordinatorOutcome::unknown(),
        };
        let stored = turn.store.map_or((JsValue::UNDEFINED, 0), |store| (store.text.into(), store.until_ms));
        let (text, until) = (turn.answer.text, stored.1 as f64);
        Ok(Array::of4(&turn.answer.status.into(), &text.into(), &stored.0, &until.into()).into())
    }))
}

/// The storage of a Durable Object.
struct Store(Function);

impl CoordinatorStore for Store {
    async fn read(&self) -> Result<String, Unreachable> {
        let read = self.0.call0(&JsValue::UNDEFINED).map_err(|_| Unreachable::GivenUp)?;
        let text = JsFuture::from(Promise::from(read)).await.map_err(|_| Unreachable::GivenUp)?;
        Ok(text.as_string().unwrap_or_default())
    }
}
