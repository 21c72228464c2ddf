//! The compiled configuration: one per isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use edgeward::Verifier;
use edgeward::gateway::{Compiled, Gateway, LoginState, Problem, compile_with};
use edgeward::http::Reply;
use js_sys::{JSON, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use worker::{Env, console_error, console_warn};

use crate::{entropy, unicode};

/// What requests of one isolate share: plain data, nothing of any request's I/O.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    verifier: Option<RefCell<Verifier>>,
    login: Option<RefCell<LoginState>>,
}

thread_local! {
    static SITE: OnceCell<Option<Rc<Site>>> = const { OnceCell::new() };
}

impl Site {
    /// The site, compiled at the first call; `None` if the configuration is invalid, which that call has logged.
    pub(crate) fn of(env: &Env) -> Option<Rc<Self>> {
        SITE.with(|site| site.get_or_init(|| load(env)).clone())
    }

    /// Lends the verifier for one call, so that nothing is borrowed while something is awaited. `None` if there is none.
    pub(crate) fn with_verifier<T>(&self, call: impl FnOnce(&mut Verifier) -> T) -> Option<T> {
        Some(call(&mut *self.verifier.as_ref()?.try_borrow_mut().ok()?))
    }

    /// The same for what changes while people log in and out.
    pub(crate) fn with_login<T>(&self, call: impl FnOnce(&mut LoginState) -> T) -> Option<T> {
        Some(call(&mut *self.login.as_ref()?.try_borrow_mut().ok()?))
    }
}

/// Ready to serve: says so, and which version.
pub(crate) fn health() -> Reply {
    Reply {
        body: concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#).into(),
        ..Reply::new(200)
    }
    .with("content-type", "application/json")
    .with("cache-control", "no-store")
}

fn load(env: &Env) -> Option<Rc<Site>> {
    let env: &JsValue = env.as_ref();
    let Some(text) = document(env) else {
        console_error!(
            "edgeward: config_invalid: neither edgeward.json nor the variable EDGEWARD gives a configuration"
        );
        return None;
    };
    let variable = |name: &str| Reflect::get(env, &name.into()).ok().and_then(|value| value.as_string());
    match compile_with(&text, &variable, unicode::FROM_ENGINE) {
        Ok(mut compiled) => {
            let random: [u8; 32] = entropy::random();
            compiled.seal_with(&edgeward::base64url::encode(&random));
            let Compiled { gateway, verifier, login, warnings } = compiled;
            warnings.iter().for_each(|warning| console_warn!("edgeward: config: {warning}"));
            Some(Rc::new(Site { gateway, verifier: verifier.map(RefCell::new), login: login.map(RefCell::new) }))
        }
        Err(problems) => {
            report(&problems);
            None
        }
    }
}

fn report(problems: &[Problem]) {
    let errors = problems.iter().filter(|problem| problem.is_error).count();
    console_error!(
        "edgeward: config_invalid: {errors} error(s); every request is answered with 503 until they are mended"
    );
    for problem in problems {
        if problem.is_error {
            console_error!("edgeward: config: {problem}");
        } else {
            console_warn!("edgeward: config: {problem}");
        }
    }
}

/// `EDGEWARD`, a JSON string or an object.
fn document(env: &JsValue) -> Option<String> {
    let value = Reflect::get(env, &"EDGEWARD".into()).ok().filter(JsValue::is_truthy)?;
    if let Some(text) = value.as_string() {
        return Some(text);
    }
    let text = JSON::stringify(value.dyn_ref::<js_sys::Object>()?).ok()?;
    text.as_string()
}
