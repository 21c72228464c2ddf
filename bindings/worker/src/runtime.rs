//! The compiled configurations: one gateway per document and values of the variables that it reads.

use std::cell::RefCell;
use std::rc::Rc;

use edgeward::base64url;
use edgeward::gateway::{Gateway, Platform, Unicode, compile_with, load};
use edgeward::limits;
use js_sys::Promise;
use js_sys::futures::JsFuture;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use crate::host;

thread_local! {
    /// Indexed by the numbers of `runtime.js`. `None` is an invalid configuration.
    static GATEWAYS: RefCell<Vec<Option<Rc<Gateway>>>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen(module = "/src/runtime.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = findGateway)]
    fn find_gateway(env: &JsValue, config: &JsValue) -> Result<i32, JsValue>;
    #[wasm_bindgen(catch, js_name = addGateway)]
    fn add_gateway(env: &JsValue, config: &JsValue, max_gateways: u32) -> Result<u32, JsValue>;
    #[wasm_bindgen(catch, js_name = documentOf)]
    fn document_of(env: &JsValue, config: &JsValue) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(catch, js_name = variableOf)]
    fn variable_of(env: &JsValue, name: &str) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(catch, js_name = valueOf)]
    fn value_of(env: &JsValue, name: &str) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(js_name = lacksVariables)]
    fn lacks_variables(env: &JsValue) -> bool;
    /// Returns a promise if secrets must be read first.
    #[wasm_bindgen(catch, js_name = readSecrets)]
    fn read_secrets(env: &JsValue, config: &JsValue) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(module = "/src/host.js")]
extern "C" {
    #[wasm_bindgen(js_name = plainForms)]
    fn plain_forms(text: &str) -> String;
    #[wasm_bindgen(js_name = foldCase)]
    fn fold_case(text: &str) -> String;
}

/// Returns the gateway for this environment, compiled at the first call. `config` is the document unless the variable EDGEWARD is
/// set. `None` if the configuration is invalid, which the first call logs.
pub(crate) async fn gateway(env: &Env, config: &JsValue) -> Option<Rc<Gateway>> {
    let env: &JsValue = env.as_ref();
    if let Some(gateway) = compiled(env, config) {
        return gateway;
    }
    if let Ok(reading) = read_secrets(env, config).and_then(JsCast::dyn_into::<Promise>) {
        drop(JsFuture::from(reading).await);
        // Another request may have compiled it meanwhile; or the secrets still are not available.
        if let Some(gateway) = compiled(env, config) {
            return gateway;
        }
    }
    let gateway = compile(env, config).filter(|_| !lacks_variables(env)).map(Rc::new);
    // A document that cannot be read is not cached.
    if let Ok(number) = add_gateway(env, config, limits::MAX_GATEWAYS) {
        GATEWAYS.with_borrow_mut(|gateways| match gateways.get_mut(number as usize) {
            Some(slot) => *slot = gateway.clone(),
            None => gateways.push(gateway.clone()),
        });
    }
    gateway
}

/// Returns the gateway that was compiled for this environment.
fn compiled(env: &JsValue, config: &JsValue) -> Option<Option<Rc<Gateway>>> {
    let number = usize::try_from(find_gateway(env, config).ok()?).ok()?;
    GATEWAYS.with_borrow(|gateways| gateways.get(number).cloned())
}

/// The variable of a development environment.
const DEVELOPMENT: &str = "EDGEWARD_DEV";

/// Returns the errors of the configuration if the variable of a development environment is set: a request alone cannot prove that it
/// comes from the developer.
pub(crate) fn problems_for_developers(env: &Env, config: &JsValue) -> Vec<String> {
    let env: &JsValue = env.as_ref();
    let is_development = js_sys::Reflect::get(env, &DEVELOPMENT.into()).is_ok_and(|value| value == "1");
    let document = document_of(env, config).ok().flatten();
    let (true, Some(document)) = (is_development, document) else { return Vec::new() };
    // Not through `variableOf`, which records what the compiled configuration depends on.
    let variable = |name: &str| value_of(env, name).ok().flatten();
    let platform = Platform { unicode: UNICODE, random_secret: None };
    let problems = compile_with(&document, &variable, platform).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

const UNICODE: Unicode = Unicode { nfkc: plain_forms, fold_case };

fn compile(env: &JsValue, config: &JsValue) -> Option<Gateway> {
    let variable = |name: &str| variable_of(env, name).ok().flatten();
    let mut random = [0; 32];
    host::entropy(&mut random);
    let random_secret = base64url::encode(&random);
    let platform = Platform { unicode: UNICODE, random_secret: Some(&random_secret) };
    load(document_of(env, config).ok().flatten().as_deref(), &variable, platform, &host::log)
}
