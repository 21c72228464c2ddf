//! Unicode's tables, from the JavaScript engine.

use edgeward::gateway::Unicode;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/unicode.js")]
extern "C" {
    #[wasm_bindgen(js_name = plainForms)]
    fn plain_forms(text: &str) -> String;
    #[wasm_bindgen(js_name = foldCase)]
    fn fold_case(text: &str) -> String;
}

pub(crate) const FROM_ENGINE: Unicode = Unicode { nfkc: plain_forms, fold_case };
