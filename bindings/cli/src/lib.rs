//! The core for the command `edgeward`: compiles a configuration, and runs the flows of its gateway. The command in `pkg/src/cli` reads
//! files, sends requests and prints.

#![forbid(unsafe_code)]

mod host;
mod output;

use std::rc::Rc;

use edgeward::gateway::{Compiled, Gateway, Platform, Problem, Unicode, compile_with};
use edgeward::http::RequestHead;
use edgeward::json::{Document, Value};
use edgeward::jwk::JwkSet;
use edgeward::limits;
use js_sys::{Function, JsString, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use self::host::{CommandHost, JsHost, promise};

/// A compiled configuration, or the problems that refuse it.
#[wasm_bindgen]
pub struct Configuration {
    gateway: Option<Rc<Gateway>>,
    problems: Vec<Problem>,
}

#[wasm_bindgen]
impl Configuration {
    /// Compiles a document as the Worker does. `variable` returns a variable's value by its name, or `undefined`.
    #[wasm_bindgen(constructor)]
    pub fn new(document: &str, variable: &Function) -> Self {
        let environment =
            |name: &str| variable.call1(&JsValue::UNDEFINED, &name.into()).ok().and_then(|value| value.as_string());
        let unicode = Unicode { nfkc, fold_case };
        // Only its presence counts here: no session outlives the command.
        let platform = Platform { unicode, random_secret: Some(PLACEHOLDER_SECRET) };
        match compile_with(document, &environment, platform) {
            Ok(Compiled { gateway, warnings }) => Self { gateway: Some(Rc::new(gateway)), problems: warnings },
            Err(problems) => Self { gateway: None, problems },
        }
    }

    /// Returns the problems, as JSON.
    pub fn problems(&self) -> String {
        output::problems(&self.problems)
    }

    /// Returns the issuer and the login of each authorizer, as JSON; empty for an invalid configuration.
    pub fn authorizers(&self) -> String {
        self.gateway.as_deref().map_or_else(|| "[]".into(), output::authorizers)
    }

    /// Fetches the keys of every issuer, and returns a promise of the outcome as JSON.
    #[wasm_bindgen(js_name = loadKeys)]
    pub fn load_keys(&self, host: JsHost) -> Promise {
        let gateway = self.gateway.clone();
        promise(Box::pin(async move {
            let host = CommandHost::new(host);
            let Some(gateway) = gateway else { return Ok("[]".into()) };
            for one in gateway.authorizers() {
                if let Some(verifier) = one.verifier {
                    // Each cache tells its own failure.
                    drop(verifier.load(&host).await);
                }
            }
            Ok(output::keys(&gateway).into())
        }))
    }

    /// Handles a request as the Worker does, and returns a promise of the answer as JSON. `header` returns a header by its name in lower
    /// case, or `undefined`; `names` are the names of all headers.
    pub fn handle(&self, method: String, url: String, names: Vec<String>, header: Function, host: JsHost) -> Promise {
        let gateway = self.gateway.clone();
        promise(Box::pin(async move {
            let header = |name: &str| header_of(&header, name);
            let head = RequestHead { method: &method, url: &url, header: &header };
            let Some(gateway) = gateway else { return Ok(JsValue::UNDEFINED) };
            let answer = gateway.handle(&head, &CommandHost::new(host)).await;
            Ok(output::answer(&answer, &names).into())
        }))
    }

    /// Explains the decision about a request, and returns a promise of its steps as JSON.
    pub fn explain(&self, method: String, url: String, header: Function, host: JsHost) -> Promise {
        let gateway = self.gateway.clone();
        promise(Box::pin(async move {
            let header = |name: &str| header_of(&header, name);
            let head = RequestHead { method: &method, url: &url, header: &header };
            let Some(gateway) = gateway else { return Ok(JsValue::UNDEFINED) };
            Ok(output::explanation(&gateway.explain(&head, &CommandHost::new(host)).await).into())
        }))
    }
}

/// Looks up a header in a function of JavaScript.
fn header_of(header: &Function, name: &str) -> Option<String> {
    header.call1(&JsValue::UNDEFINED, &name.into()).ok()?.as_string()
}

/// Returns why each key of a key set cannot be used, or null, as a JSON array in the order of the document; undefined for a text that
/// is no key set.
#[wasm_bindgen(js_name = unusableKeys)]
pub fn unusable_keys(text: &str) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}');
    let document = Document::parse(text.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH).ok()?;
    let entries = document.root().get("keys").and_then(Value::as_array)?;
    let reasons = entries.iter().map(|entry| {
        let set =
            JwkSet::read(format!(r#"{{"keys":[{}]}}"#, entry.to_json()).as_bytes(), limits::MAX_MODULUS_BITS).ok();
        set.and_then(|set| set.skipped().first().map(|reason| reason.message()))
    });
    Some(output::reasons(reasons))
}

/// Returns the size limit of a configuration in bytes.
#[wasm_bindgen(js_name = maxConfigBytes)]
pub fn max_config_bytes() -> usize {
    limits::MAX_CONFIG_BYTES
}

const PLACEHOLDER_SECRET: &str = "not-a-secret-no-session-outlives-the-command";

fn nfkc(text: &str) -> String {
    JsString::from(text).normalize("NFKC").into()
}

fn fold_case(text: &str) -> String {
    JsString::from(text).to_upper_case().to_lower_case().into()
}
