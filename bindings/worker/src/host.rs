//! The host: the runtime's clock, randomness, `fetch`, edge cache, log and background jobs.

use core::fmt::Display;
use core::future::Future;
use core::pin::Pin;
use std::cell::RefCell;
use std::rc::Rc;

use edgeward::host::{
    DecryptError, DecryptRequest, Host, Level, RecentLines, SignError, SignRequest, SignatureCheck, SignatureVerdict,
    Spawn,
};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;
use edgeward::limits;
use edgeward::oidc::{
    CoordinatorMessage, CoordinatorResponse, LoginHost, SessionJob, SharedMessage, SharedResponse, StatusReport,
};
use js_sys::futures::{JsFuture, future_to_promise};
use js_sys::{Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::worker_sys::Context;
use worker::{Env, console_error, console_log, console_warn};

use crate::STATUS;

/// Boxed, so that the code that converts futures to promises exists only once.
pub(crate) type Work<T = ()> = Pin<Box<dyn Future<Output = T>>>;

/// Returns a promise of the output of `work`, which starts with the next microtask.
pub(crate) fn promise(work: Work<Result<JsValue, JsValue>>) -> Promise {
    future_to_promise(work)
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buffer: &Uint8Array);
}

#[wasm_bindgen(module = "/src/host.js")]
extern "C" {
    /// Returns a promise of the response's status, four headers, body, nonce and challenge, or of the number of the failure.
    /// `fetcher` is a binding that sends the request in place of the runtime, or `undefined`.
    fn send(
        method: &str,
        url: &str,
        headers: Vec<String>,
        body: Option<String>,
        millis: u32,
        limit: usize,
        fetcher: &JsValue,
    ) -> Promise;
    fn sleep(millis: u32) -> Promise;
    fn wake(slept: &Promise);
    /// Returns a promise of the body of a request.
    #[wasm_bindgen(js_name = bodyOf)]
    fn body_of(request: &JsValue, limit: usize) -> Promise;
    /// Returns a promise of an entry of the data center's cache, or of `undefined`.
    #[wasm_bindgen(js_name = edgeGet)]
    fn edge_get(key: &str, limit: usize) -> Promise;
    #[wasm_bindgen(js_name = edgePut)]
    fn edge_put(key: &str, value: &str, max_age_s: f64) -> Promise;
    /// Returns a promise of the status and text of a Durable Object's response.
    #[wasm_bindgen(catch, js_name = askCoordinator)]
    fn ask_coordinator(env: &JsValue, name: &str, action: &str, text: &str, millis: u32) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/web_crypto.js")]
extern "C" {
    /// Returns a promise of a verdict's number.
    #[wasm_bindgen(js_name = verifySignature)]
    fn verify_signature(algorithm: &str, key: Vec<u8>, message: &str, signature: Vec<u8>) -> Promise;
    /// Returns a promise of the content of a token, or of the number of the failure.
    fn decrypt(
        algorithm: &str,
        encryption: &str,
        key: &str,
        encrypted_key: Vec<u8>,
        content: Vec<u8>,
        aad: &str,
    ) -> Promise;
    /// Returns a promise of a signature, or of the number of the failure.
    fn sign(algorithm: &str, key: &str, message: &str) -> Promise;
}

/// The number that `send` of `host.js` returns for a network failure.
const NETWORK_FAILED: f64 = 0.0;

/// The number that the functions of `web_crypto.js` return if the key is refused.
const KEY_REFUSED: f64 = 2.0;

/// The number that `decrypt` of `web_crypto.js` returns if the content cannot be decrypted.
const NOT_DECRYPTED: f64 = 0.0;

thread_local! {
    static RECENT_LINES: RefCell<RecentLines> = RefCell::default();
}

/// The host of one request, or of one message to a Durable Object, which has no context.
#[derive(Clone)]
pub(crate) struct WorkerHost {
    env: Env,
    ctx: Option<Rc<Context>>,
    /// The request that is handled; `undefined` for a message.
    request: JsValue,
}

impl WorkerHost {
    pub(crate) fn new(env: Env, ctx: Option<Context>, request: JsValue) -> Self {
        Self { env, ctx: ctx.map(Rc::new), request }
    }

    /// Returns a binding of the Worker.
    pub(crate) fn binding(&self, name: &str) -> JsValue {
        Reflect::get(self.env.as_ref(), &name.into()).unwrap_or_default()
    }

    /// Sends a message to a Durable Object, and returns the status and text of its response.
    async fn ask_object(
        &self,
        name: &str,
        action: &str,
        text: &str,
        timeout_ms: u32,
    ) -> Result<(u16, String), Unreachable> {
        let sent = ask_coordinator(self.env.as_ref(), name, action, text, timeout_ms);
        let response = JsFuture::from(sent.map_err(|_| Unreachable::Network)?).await;
        let response = Array::from(&response.map_err(|_| Unreachable::Network)?);
        let status = response.get(0).as_f64().unwrap_or_default() as u16;
        Ok((status, response.get(1).as_string().unwrap_or_default()))
    }

    /// Starts work that continues if the client disconnects.
    fn begin(&self, work: Work) -> impl Future<Output = ()> + use<> {
        let done = promise(Box::pin(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        }));
        if let Some(ctx) = &self.ctx {
            // It throws only after the response was sent; the work has started all the same.
            drop(ctx.wait_until(&done));
        }
        async move { drop(JsFuture::from(done).await) }
    }

    /// Reports the counts for the status route, after the response.
    pub(crate) fn report_in_background(&self, report: StatusReport) {
        let host = self.clone();
        drop(self.begin(Box::pin(async move { drop(host.report_status(report).await) })));
    }
}

/// A sleep, which ends when it is not waited for any more. `JsFuture` releases its memory when its promise settles, even if it is
/// dropped before, and the runtime settles none after the end of the request.
struct Slept(Promise);

impl Drop for Slept {
    fn drop(&mut self) {
        wake(&self.0);
    }
}

/// Sends a request through a binding, or by the runtime.
async fn fetch_by(fetcher: &JsValue, request: Outgoing) -> Result<Incoming, Unreachable> {
    let Outgoing { method, url, headers, body, timeout_ms, max_body_bytes } = request;
    let headers = headers.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect();
    let response = JsFuture::from(send(method, &url, headers, body, timeout_ms, max_body_bytes, fetcher)).await;
    let response = response.map_err(|_| Unreachable::Network)?;
    if let Some(failure) = response.as_f64() {
        return Err(if failure == NETWORK_FAILED { Unreachable::Network } else { Unreachable::GivenUp });
    }
    let response = Array::from(&response);
    Ok(Incoming {
        status: response.get(0).as_f64().unwrap_or_default() as u16,
        content_type: response.get(1).as_string(),
        cache_control: response.get(2).as_string(),
        age: response.get(3).as_string(),
        retry_after: response.get(4).as_string(),
        body: Uint8Array::from(response.get(5)).to_vec(),
        dpop_nonce: response.get(6).as_string(),
        www_authenticate: response.get(7).as_string(),
    })
}

/// Fills `out` with random bytes.
pub(crate) fn entropy(out: &mut [u8]) {
    let buffer = Uint8Array::new_with_length(out.len() as u32);
    get_random_values(&buffer);
    buffer.copy_to(out);
}

pub(crate) fn log(level: Level, line: &dyn Display) {
    match level {
        Level::Information => console_log!("edgeward: {line}"),
        Level::Warning => console_warn!("edgeward: {line}"),
        Level::Error => console_error!("edgeward: {line}"),
    }
}

impl Host for WorkerHost {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(js_sys::Date::now() as i64)
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        fetch_by(&JsValue::UNDEFINED, request).await
    }

    async fn sleep(&self, millis: u32) {
        let slept = Slept(sleep(millis));
        drop(JsFuture::from(slept.0.clone()).await);
    }

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        let entry = JsFuture::from(edge_get(&key, limits::MAX_EDGE_ENTRY_BYTES)).await.ok()?;
        entry.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        drop(JsFuture::from(edge_put(&entry.key, &entry.value, entry.max_age_s as f64)).await);
    }

    async fn verify_signature(&self, check: SignatureCheck) -> SignatureVerdict {
        let SignatureCheck { algorithm, key, message, signature } = check;
        let verdict = JsFuture::from(verify_signature(algorithm.name(), key, &message, signature)).await;
        match verdict.ok().and_then(|verdict| verdict.as_f64()) {
            Some(1.0) => SignatureVerdict::Valid,
            Some(0.0) => SignatureVerdict::Invalid,
            Some(KEY_REFUSED) => SignatureVerdict::KeyRefused,
            _ => SignatureVerdict::Unsupported,
        }
    }

    async fn decrypt(&self, request: DecryptRequest) -> Result<Vec<u8>, DecryptError> {
        let DecryptRequest { algorithm, encryption, key, encrypted_key, content, aad } = request;
        let content = JsFuture::from(decrypt(algorithm, encryption, &key, encrypted_key, content, &aad)).await;
        let content = content.map_err(|_| DecryptError::Unsupported)?;
        match content.as_f64() {
            None => Ok(Uint8Array::from(content).to_vec()),
            Some(NOT_DECRYPTED) => Err(DecryptError::Failed),
            Some(KEY_REFUSED) => Err(DecryptError::KeyRefused),
            Some(_) => Err(DecryptError::Unsupported),
        }
    }

    async fn sign(&self, request: SignRequest) -> Result<Vec<u8>, SignError> {
        let SignRequest { algorithm, key, message } = request;
        let signature = JsFuture::from(sign(algorithm.name(), &key, &message)).await;
        let signature = signature.map_err(|_| SignError::Unsupported)?;
        match signature.as_f64() {
            None => Ok(Uint8Array::from(signature).to_vec()),
            Some(KEY_REFUSED) => Err(SignError::KeyRefused),
            Some(_) => Err(SignError::Unsupported),
        }
    }

    fn log(&self, level: Level, line: &dyn Display) {
        let line = line.to_string();
        if RECENT_LINES.with_borrow_mut(|recent| recent.admits(&line, self.now())) {
            log(level, &line);
        }
    }
}

impl Spawn<KeyJob> for WorkerHost {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let host = self.clone();
        self.begin(Box::pin(async move { job.run(&host).await }))
    }
}

impl Spawn<SessionJob> for WorkerHost {
    fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
        let host = self.clone();
        self.begin(Box::pin(async move { job.run(&host).await }))
    }
}

impl LoginHost for WorkerHost {
    fn entropy(&self, out: &mut [u8]) {
        entropy(out);
    }

    async fn send_by(&self, binding: Option<&str>, request: Outgoing) -> Result<Incoming, Unreachable> {
        let mut fetcher = JsValue::UNDEFINED;
        if let Some(name) = binding {
            fetcher = self.binding(name);
            if fetcher.is_undefined() {
                self.log(
                    Level::Error,
                    &format_args!("mtls_binding_missing: the Worker has no mtls_certificate {name}"),
                );
                return Err(Unreachable::Network);
            }
        }
        fetch_by(&fetcher, request).await
    }

    fn has_coordinator(&self) -> bool {
        !self.binding("EDGEWARD_SESSIONS").is_undefined()
    }

    async fn coordinate(&self, message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        let CoordinatorMessage { session, action, sealed, timeout_ms } = message;
        let (status, text) = self.ask_object(&session, action.name(), &sealed, timeout_ms).await?;
        Ok(CoordinatorResponse { status, text })
    }

    async fn read_body(&self, max_bytes: usize) -> Option<Vec<u8>> {
        let body = JsFuture::from(body_of(&self.request, max_bytes)).await.ok()?;
        body.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
    }

    async fn share(&self, message: SharedMessage) -> Result<SharedResponse, Unreachable> {
        let SharedMessage { object, action, text, timeout_ms } = message;
        let (status, text) = self.ask_object(&object, action.name(), &text, timeout_ms).await?;
        Ok(SharedResponse { status, text })
    }

    async fn coordinate_upstream(&self, name: String, timeout_ms: u32) -> Result<CoordinatorResponse, Unreachable> {
        let (status, text) = self.ask_object(&name, UPSTREAM_TOKEN, &name, timeout_ms).await?;
        Ok(CoordinatorResponse { status, text })
    }

    async fn report_status(&self, report: StatusReport) -> Option<String> {
        let StatusReport { name, counts, timeout_ms } = report;
        let (status, text) = self.ask_object(&name, STATUS, &counts, timeout_ms).await.ok()?;
        (status == 200).then_some(text)
    }
}

/// The action of a Durable Object that obtains a token for upstreams. The message is the object's name.
pub(crate) const UPSTREAM_TOKEN: &str = "token";
