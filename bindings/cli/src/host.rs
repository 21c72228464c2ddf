//! The host: the operations that JavaScript passes in.

use core::fmt::Display;
use core::future::Future;
use core::pin::Pin;
use std::rc::Rc;

use edgeward::host::{
    DecryptError, DecryptRequest, Host, Level, SignError, SignRequest, SignatureCheck, SignatureVerdict, Spawn,
};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;
use edgeward::oidc::{
    CoordinatorMessage, CoordinatorResponse, LoginHost, SessionJob, SharedAction, SharedMessage, SharedResponse,
};
use js_sys::futures::{JsFuture, future_to_promise};
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Boxed, so that the code that converts futures to promises exists only once.
type Work<T = ()> = Pin<Box<dyn Future<Output = T>>>;

/// Returns a promise of the output of `work`, which starts with the next microtask.
pub(crate) fn promise(work: Work<Result<JsValue, JsValue>>) -> Promise {
    future_to_promise(work)
}

#[wasm_bindgen]
extern "C" {
    /// An object with the operations of `pkg/src/cli/host.js`.
    pub type JsHost;
    /// Returns the time in milliseconds of the Unix epoch.
    #[wasm_bindgen(method)]
    fn now(this: &JsHost) -> f64;
    /// Returns a promise of the response's status, four headers and body, or of whether the network failed.
    #[wasm_bindgen(method)]
    fn send(
        this: &JsHost,
        method: &str,
        url: &str,
        headers: Vec<String>,
        body: Option<String>,
        millis: u32,
        limit: usize,
    ) -> Promise;
    #[wasm_bindgen(method)]
    fn sleep(this: &JsHost, millis: u32) -> Promise;
    /// Returns a promise of a verdict's number.
    #[wasm_bindgen(method, js_name = verifySignature)]
    fn verify_signature(this: &JsHost, algorithm: &str, key: Vec<u8>, message: &str, signature: Vec<u8>) -> Promise;
    /// Returns a promise of the content of a token, or of the number of the failure.
    #[wasm_bindgen(method)]
    fn decrypt(
        this: &JsHost,
        algorithm: &str,
        encryption: &str,
        key: &str,
        encrypted_key: Vec<u8>,
        content: Vec<u8>,
        aad: &str,
    ) -> Promise;
    /// Returns a promise of a signature, or of the number of the failure.
    #[wasm_bindgen(method)]
    fn sign(this: &JsHost, algorithm: &str, key: &str, message: &str) -> Promise;
    #[wasm_bindgen(method)]
    fn log(this: &JsHost, line: &str);
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buffer: &Uint8Array);
}

/// The numbers in place of a result (`bindings/worker/src/web_crypto.js`): the content cannot be decrypted, the key is refused.
const NOT_DECRYPTED: f64 = 0.0;
const KEY_REFUSED: f64 = 2.0;

/// The host of one command. It has no edge cache, no coordinator of sessions, and its shared records are empty: nothing was revoked.
#[derive(Clone)]
pub(crate) struct CommandHost(Rc<JsHost>);

impl CommandHost {
    pub(crate) fn new(host: JsHost) -> Self {
        Self(Rc::new(host))
    }
}

/// Starts work that continues without its caller.
fn begin(work: Work) -> impl Future<Output = ()> {
    let done = promise(Box::pin(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    }));
    async move { drop(JsFuture::from(done).await) }
}

impl Host for CommandHost {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.now() as i64)
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        let Outgoing { method, url, headers, body, timeout_ms, max_body_bytes } = request;
        let headers = headers.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect();
        let response = JsFuture::from(self.0.send(method, &url, headers, body, timeout_ms, max_body_bytes)).await;
        let response = response.map_err(|_| Unreachable::Network)?;
        if let Some(is_network) = response.as_bool() {
            return Err(if is_network { Unreachable::Network } else { Unreachable::GivenUp });
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

    async fn sleep(&self, millis: u32) {
        drop(JsFuture::from(self.0.sleep(millis)).await);
    }

    async fn edge_get(&self, _: String) -> Option<Vec<u8>> {
        None
    }

    async fn edge_put(&self, _: EdgeEntry) {}

    async fn verify_signature(&self, check: SignatureCheck) -> SignatureVerdict {
        let SignatureCheck { algorithm, key, message, signature } = check;
        let verdict = JsFuture::from(self.0.verify_signature(algorithm.name(), key, &message, signature)).await;
        match verdict.ok().and_then(|verdict| verdict.as_f64()) {
            Some(1.0) => SignatureVerdict::Valid,
            Some(0.0) => SignatureVerdict::Invalid,
            Some(KEY_REFUSED) => SignatureVerdict::KeyRefused,
            _ => SignatureVerdict::Unsupported,
        }
    }

    async fn decrypt(&self, request: DecryptRequest) -> Result<Vec<u8>, DecryptError> {
        let DecryptRequest { algorithm, encryption, key, encrypted_key, content, aad } = request;
        let content = JsFuture::from(self.0.decrypt(algorithm, encryption, &key, encrypted_key, content, &aad)).await;
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
        let signature = JsFuture::from(self.0.sign(algorithm.name(), &key, &message)).await;
        let signature = signature.map_err(|_| SignError::Unsupported)?;
        match signature.as_f64() {
            None => Ok(Uint8Array::from(signature).to_vec()),
            Some(KEY_REFUSED) => Err(SignError::KeyRefused),
            Some(_) => Err(SignError::Unsupported),
        }
    }

    fn log(&self, level: Level, line: &dyn Display) {
        if level != Level::Information {
            self.0.log(&line.to_string());
        }
    }
}

impl Spawn<KeyJob> for CommandHost {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let host = self.clone();
        begin(Box::pin(async move { job.run(&host).await }))
    }
}

impl Spawn<SessionJob> for CommandHost {
    fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
        let host = self.clone();
        begin(Box::pin(async move { job.run(&host).await }))
    }
}

impl LoginHost for CommandHost {
    fn entropy(&self, out: &mut [u8]) {
        let buffer = Uint8Array::new_with_length(out.len() as u32);
        get_random_values(&buffer);
        buffer.copy_to(out);
    }

    fn has_coordinator(&self) -> bool {
        false
    }

    async fn coordinate(&self, _: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        Err(Unreachable::Network)
    }

    fn has_shared_records(&self) -> bool {
        true
    }

    /// There is no record of anything, and none is written.
    async fn share(&self, message: SharedMessage) -> Result<SharedResponse, Unreachable> {
        match message.action {
            SharedAction::Record => Err(Unreachable::Network),
            SharedAction::Once | SharedAction::Read => Ok(SharedResponse { status: 200, text: String::new() }),
        }
    }
}
