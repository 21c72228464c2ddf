//! The Cloudflare Worker: converts requests and responses, implements the host, and passes bodies through. The core makes every
//! decision: see [`edgeward::gateway::Gateway::handle`].
//!
//! Requests share plain data only, no I/O objects.

#![forbid(unsafe_code)]

mod forward;
mod host;
mod record;
mod request;
mod response;
mod runtime;

use core::task::{Context as Task, Poll, Waker};

use edgeward::gateway::{Answer, RequestEvent, config_invalid, merged_counts};
use edgeward::host::Host as _;
use edgeward::http::RequestHead;
use edgeward::io::Unreachable;
use edgeward::oidc::{CoordinatorOutcome, CoordinatorStore, SessionAction};
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::worker_sys::Context;

use self::host::{UPSTREAM_TOKEN, Work, WorkerHost, promise};
use self::record::Recorder;
use self::request::Inbound;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Handles the Worker's `fetch`: returns a `Response` or a promise of one. `config` is the configuration unless the variable
/// EDGEWARD is set.
///
/// Most requests need not wait for anything. Their response is ready at the first poll, without a promise or a task.
#[wasm_bindgen]
pub fn fetch(request: JsValue, env: Env, ctx: Context, config: JsValue) -> Result<JsValue, JsValue> {
    let mut handling: Work<Result<JsValue, JsValue>> =
        Box::pin(async move { handle(Inbound::new(request), env, ctx, config).await });
    match handling.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // The task polls it again at once, with its own waker.
        Poll::Pending => Ok(promise(handling).into()),
    }
}

async fn handle(inbound: Inbound, env: Env, ctx: Context, config: JsValue) -> Result<JsValue, JsValue> {
    let header = |name: &str| inbound.header(name);
    let head = RequestHead { method: &inbound.method, url: &inbound.url, header: &header };
    let Some(gateway) = runtime::gateway(&env, &config).await else {
        let is_local = head.is_local() && !inbound.has_platform_id();
        let problems = if is_local { runtime::problems_for_developers(&env, &config) } else { Vec::new() };
        return response::from_reply(&config_invalid(&head, &problems));
    };
    let host = WorkerHost::new(env, Some(ctx), inbound.raw.clone());
    let recorder = Recorder::new(&gateway, &head, &host);
    let mut event = recorder.as_ref().map(|_| RequestEvent::default());
    let response = match gateway.handle_with_event(&head, &host, &mut event).await {
        Answer::Reply(reply) => response::of_reply(&reply)?,
        Answer::Forward(forward) => forward::to_origin(&inbound, &head, forward, &host).await?,
    };
    Ok(match recorder.zip(event) {
        Some((recorder, event)) => recorder.record(&gateway, &inbound, &head, response, &event, &host),
        None => response.raw,
    })
}

/// Handles a message to a Durable Object: that of a session, of a token for upstreams, or of the counts for the status route. Returns a
/// promise of the response's status and text, and of the text to store and its expiry if that has changed. `read` returns a promise of the
/// stored text.
#[wasm_bindgen]
pub fn coordinate(action: String, message: String, read: Function, env: Env, config: JsValue) -> Promise {
    promise(Box::pin(async move {
        let (store, host) = (Store(read), WorkerHost::new(env.clone(), None, JsValue::UNDEFINED));
        let outcome = if action == STATUS {
            store.read().await.map(|stored| merged_counts(&stored, &message, host.now()))
        } else {
            let gateway = runtime::gateway(&env, &config).await;
            let tokens = gateway.as_ref().filter(|_| action == UPSTREAM_TOKEN);
            let tokens = tokens.and_then(|gateway| gateway.upstream_tokens(&message).cloned());
            let party = gateway.and_then(|gateway| gateway.login_of_message(&message).cloned());
            match (tokens, party, SessionAction::from_name(&action)) {
                (Some(tokens), ..) => tokens.coordinate(&store, &host).await,
                (None, Some(party), Some(action)) => party.coordinate(action, &message, &store, &host).await,
                _ => Ok(CoordinatorOutcome::unavailable()),
            }
        };
        let outcome = outcome.map_err(|_| JsValue::from("the storage of the Durable Object cannot be read"))?;
        let stored = outcome.store.map_or((JsValue::UNDEFINED, 0), |store| (store.text.into(), store.until_ms));
        let (text, until) = (outcome.response.text, stored.1 as f64);
        Ok(Array::of4(&outcome.response.status.into(), &text.into(), &stored.0, &until.into()).into())
    }))
}

/// The action on the counts for the status route.
const STATUS: &str = "status";

/// The storage of a Durable Object.
struct Store(Function);

impl CoordinatorStore for Store {
    async fn read(&self) -> Result<String, Unreachable> {
        let read = self.0.call0(&JsValue::UNDEFINED).map_err(|_| Unreachable::GivenUp)?;
        let text = JsFuture::from(Promise::from(read)).await.map_err(|_| Unreachable::GivenUp)?;
        Ok(text.as_string().unwrap_or_default())
    }
}
