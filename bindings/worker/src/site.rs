//! The compiled configurations: one site for each document and the variables that it reads, whatever hands them over.

use std::cell::RefCell;
use std::rc::Rc;

use edgeward::Verifier;
use edgeward::gateway::{Compiled, Gateway, LoginState, Problem, compile_with};
use edgeward::http::Reply;
use edgeward::limits;
use js_sys::Map;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, console_error, console_warn};

use crate::{entropy, unicode};

/// What requests with one configuration share: plain data, nothing of any request's I/O.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    verifier: Option<RefCell<Verifier>>,
    login: Option<RefCell<LoginState>>,
}

thread_local! {
    /// By the numbers of `site.js`. `None`: an invalid configuration.
    static SITES: RefCell<Vec<Option<Rc<Site>>>> = const { RefCell::new(Vec::new()) };
}

#[wasm_bindgen(module = "/src/site.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = findSite)]
    fn find_site(env: &JsValue, config: &JsValue) -> Result<i32, JsValue>;
    #[wasm_bindgen(catch, js_name = keepSite)]
    fn keep_site(env: &JsValue, config: &JsValue, variables: &Map, most: u32) -> Result<u32, JsValue>;
    #[wasm_bindgen(catch, js_name = documentOf)]
    fn document_of(env: &JsValue, config: &JsValue) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(catch, js_name = variableOf)]
    fn variable_of(env: &JsValue, name: &str) -> Result<JsValue, JsValue>;
}

impl Site {
    /// The site for this environment; `config` is the document if the variable EDGEWARD gives none. The first call of a kind
    /// compiles it. `None` if the configuration is invalid, which that call has logged.
    pub(crate) fn of(env: &Env, config: &JsValue) -> Option<Rc<Self>> {
        let env: &JsValue = env.as_ref();
        let found = find_site(env, config).ok().and_then(|number| usize::try_from(number).ok());
        if let Some(site) = found.and_then(|number| SITES.with_borrow(|sites| sites.get(number).cloned())) {
            return site;
        }
        let variables = Map::new();
        let site = load(env, config, &variables).map(Rc::new);
        // A document that cannot be read at all has no place among the sites.
        if let Ok(number) = keep_site(env, config, &variables, limits::MAX_SITES) {
            SITES.with_borrow_mut(|sites| match sites.get_mut(number as usize) {
                Some(place) => *place = site.clone(),
                None => sites.push(site.clone()),
            });
        }
        site
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

/// Compiles the configuration and notes in `variables` what it reads.
fn load(env: &JsValue, config: &JsValue, variables: &Map) -> Option<Site> {
    let Some(text) = document_of(env, config).ok().flatten().filter(|text| !text.is_empty()) else {
        console_error!(
            "edgeward: config_invalid: neither edgeward.json nor the variable EDGEWARD gives a configuration"
        );
        return None;
    };
    let variable = |name: &str| {
        let value = variable_of(env, name).unwrap_or_default();
        variables.set(&name.into(), &value);
        value.as_string()
    };
    match compile_with(&text, &variable, unicode::FROM_ENGINE) {
        Ok(mut compiled) => {
            let random: [u8; 32] = entropy::random();
            compiled.seal_with(&edgeward::base64url::encode(&random));
            let Compiled { gateway, verifier, login, warnings } = compiled;
            warnings.iter().for_each(|warning| console_warn!("edgeward: config: {warning}"));
            Some(Site { gateway, verifier: verifier.map(RefCell::new), login: login.map(RefCell::new) })
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
