//! `edgeward-glue MODULE NAME FOLDER`: writes `FOLDER/NAME.js`, the JavaScript side of a module built with wasm-bindgen, and
//! `FOLDER/NAME_bg.wasm`, the module that it loads. For every runtime: the script exports a function that is given the module.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, name, folder] = arguments.as_slice() else {
        return Err("usage: edgeward-glue MODULE NAME FOLDER".into());
    };
    let mut glue = Bindgen::new();
    glue.input_path(module).out_name(name).omit_default_module_path(true).web(true)?;
    Ok(glue.generate(folder)?)
}
