//! The reference of the configuration, made from its declarations: the JSON Schema, the TypeScript types, and the tables of
//! `docs/configuration.md`. The tests compare them with the files; `EDGEWARD_WRITE_REFERENCE=1 cargo test --lib reference` writes them.

extern crate std;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::{env, fs};

use serde_json::{Map, Value, json};

use super::GatewayConfig;
use super::declare::Declared;
use crate::http::page_texts;
use crate::limits;

/// A section, described.
#[derive(Clone)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) doc: String,
    pub(super) keys: Vec<Key>,
}

/// A key, described.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: String,
    pub(super) form: Form,
    pub(super) variables: &'static [&'static str],
    pub(super) is_required: bool,
    /// As JSON.
    pub(super) default: Option<String>,
}

/// A section of [`Form::Variants`] for one value of its tag.
#[derive(Clone)]
pub(super) struct Variant {
    pub(super) words: &'static [&'static str],
    pub(super) doc: String,
    pub(super) section: Section,
}

/// The form of a value.
#[derive(Clone)]
pub(super) enum Form {
    Text,
    Texts,
    Whole {
        min: u32,
        max: u32,
    },
    Flag,
    Words(Vec<&'static str>),
    /// One of some words, or a list of them.
    ListOf(Vec<&'static str>),
    /// A number as JSON.
    Literal(&'static str),
    AnyOf(Vec<Form>),
    Section(Section),
    List(Box<Form>),
    Variants {
        name: &'static str,
        doc: String,
        tag: &'static str,
        variants: Vec<Variant>,
    },
    /// An object whose members have names of the user's choice.
    Named(Box<Form>),
    Headers,
    Body,
    Jwks,
    PrivateKeys,
    Details,
}

/// The sections and variants of the document, each once, in the order in which they are met.
#[derive(Default)]
struct Parts {
    /// Place in the document, and the section.
    sections: Vec<(String, Section)>,
    variants: Vec<(String, Form)>,
}

impl Parts {
    fn of_document() -> Self {
        let mut parts = Self::default();
        parts.add("", &Form::Section(GatewayConfig::reference()));
        parts
    }

    fn add(&mut self, place: &str, form: &Form) {
        match form {
            Form::Section(section) if self.sections.iter().all(|(_, earlier)| earlier.name != section.name) => {
                self.sections.push((place.to_owned(), section.clone()));
                for key in &section.keys {
                    let separator = if place.is_empty() { "" } else { "." };
                    self.add(&format!("{place}{separator}{}", key.name), &key.form);
                }
            }
            Form::List(element) => self.add(&format!("{place}[]"), element),
            Form::Named(element) => self.add(&format!("{place}.*"), element),
            Form::AnyOf(forms) => forms.iter().for_each(|form| self.add(place, form)),
            Form::Variants { tag, variants, .. } => {
                self.variants.push((place.to_owned(), form.clone()));
                for Variant { words, section, .. } in variants.iter().filter(|one| !one.section.keys.is_empty()) {
                    self.add(&format!("{place}` with `\"{tag}\": \"{}\"", words[0]), &Form::Section(section.clone()));
                }
            }
            _ => {}
        }
    }
}

impl Key {
    /// The meaning, with default and variables.
    fn meaning(&self) -> String {
        let mut meaning = self.doc.clone();
        if let Some(default) = &self.default {
            meaning += &format!(" Default: `{default}`.");
        }
        match self.variables {
            [] => {}
            [one] => meaning += &format!(" Variable: `{one}`."),
            several => meaning += &format!(" Variables: `{}`.", several.join("`, `")),
        }
        meaning
    }
}

// --- JSON Schema

const PLACEHOLDER: &str = r"\$(env|secrets?)\.[A-Za-z0-9_]+";

fn schema() -> String {
    let Parts { sections, variants } = Parts::of_document();
    let mut definitions = Map::new();
    for (_, section) in sections.iter().skip(1) {
        definitions.insert(section.name.into(), section_schema(section, &[]));
    }
    for (_, form) in &variants {
        if let Form::Variants { name, doc, tag, variants } = form {
            definitions.insert((*name).into(), variants_schema(doc, tag, variants));
        }
    }
    let mut schema = section_schema(&sections[0].1, &[]);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Edgeward gateway configuration".into();
    schema["$defs"] = definitions.into();
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

/// `tag`: a key that is described elsewhere.
fn section_schema(section: &Section, tag: &[&str]) -> Value {
    let required: Vec<&str> = section.keys.iter().filter(|key| key.is_required).map(|key| key.name).collect();
    let mut properties = Map::new();
    properties.extend(tag.iter().map(|tag| ((*tag).to_owned(), Value::Bool(true))));
    for key in &section.keys {
        let mut schema = form_schema(&key.form);
        schema["description"] = key.meaning().into();
        if let Some(default) = &key.default {
            schema["default"] = serde_json::from_str(default).unwrap();
        }
        properties.insert(key.name.into(), schema);
    }
    json!({
        "type": "object", "description": section.doc, "properties": properties, "required": required,
        "additionalProperties": false
    })
}

fn variants_schema(doc: &str, tag: &str, variants: &[Variant]) -> Value {
    let words: Vec<&str> = variants.iter().flat_map(|variant| variant.words).copied().collect();
    let all: Vec<Value> = variants
        .iter()
        .map(|Variant { words, section, .. }| {
            json!({
                "if": { "properties": { tag: { "enum": words } }, "required": [tag] },
                "then": section_schema(section, &[tag])
            })
        })
        .collect();
    let described: Vec<String> = variants.iter().map(|one| format!("{}: {}", one.words[0], one.doc)).collect();
    json!({
        "type": "object", "description": doc, "required": [tag], "allOf": all,
        "properties": { tag: { "enum": words, "description": described.join(" ") } }
    })
}

fn form_schema(form: &Form) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let placeholder = json!({ "type": "string", "pattern": PLACEHOLDER });
    match form {
        Form::Text => text,
        Form::Texts => json!({ "anyOf": [text, { "type": "array", "items": text }] }),
        Form::Whole { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "pattern": format!("^([0-9]+|{PLACEHOLDER})$") }
        ] }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Words(words) => json!({ "anyOf": [{ "enum": words }, placeholder] }),
        Form::ListOf(words) => {
            let word = json!({ "anyOf": [{ "enum": words }, placeholder] });
            json!({ "anyOf": [word, { "type": "array", "minItems": 1, "items": word }] })
        }
        Form::Literal(number) => json!({ "const": serde_json::from_str::<Value>(number).unwrap() }),
        Form::AnyOf(forms) => json!({ "anyOf": forms.iter().map(form_schema).collect::<Vec<_>>() }),
        Form::Section(Section { name, .. }) | Form::Variants { name, .. } => {
            json!({ "$ref": format!("#/$defs/{name}") })
        }
        Form::List(element) => json!({ "type": "array", "items": form_schema(element) }),
        Form::Named(element) => json!({ "type": "object", "additionalProperties": form_schema(element) }),
        Form::Headers => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Form::Body => json!({ "type": ["string", "object", "array"] }),
        Form::PrivateKeys => {
            let key = [json!({ "type": "string", "minLength": 1 }), json!({ "type": "object", "required": ["kty"] })];
            let list = json!({ "type": "array", "minItems": 1, "items": { "anyOf": key } });
            json!({ "anyOf": [key[0], key[1], list] })
        }
        Form::Details => json!({
            "type": "array", "minItems": 1, "maxItems": limits::MAX_AUTHORIZATION_DETAILS,
            "items": { "type": "object", "required": ["type"], "properties": { "type": { "type": "string", "minLength": 1 } } }
        }),
        Form::Jwks => json!({ "anyOf": [
            { "type": "object", "required": ["keys"], "properties": { "keys": { "type": "array" } } }, text
        ] }),
    }
}

// --- TypeScript

fn typescript() -> String {
    let Parts { sections, variants } = Parts::of_document();
    let mut out = String::from(
        "// Made from the declarations in src/gateway/config.\n\n\
         /** The value of a Worker's variable or secret. It may stand inside a longer string, too. */\n\
         export type Placeholder = `$env.${string}` | `$secrets.${string}`;\n",
    );
    for (_, section) in &sections {
        out += &format!("\n/** {} */\nexport interface {} {{\n", section.doc, section.name);
        for key in &section.keys {
            let optional = if key.is_required { "" } else { "?" };
            out += &format!("  /** {} */\n  {}{optional}: {};\n", key.meaning(), key.name, form_type(&key.form));
        }
        out += "}\n";
    }
    for (_, form) in &variants {
        let Form::Variants { name, doc, tag, variants } = form else { continue };
        out += &format!("\n/** {doc} */\nexport type {name} =");
        for Variant { words, doc, section } in variants {
            let rest = if section.keys.is_empty() { String::new() } else { format!(" & {}", section.name) };
            out += &format!("\n  /** {doc} */\n  | ({{ {tag}: {} }}{rest})", words_type(words));
        }
        out += ";\n";
    }
    out
}

fn words_type(words: &[&str]) -> String {
    format!("\"{}\"", words.join("\" | \""))
}

fn form_type(form: &Form) -> String {
    match form {
        Form::Text => "string".into(),
        Form::Texts => "string | readonly string[]".into(),
        Form::Whole { .. } => "number | `${number}` | Placeholder".into(),
        Form::Flag => "boolean".into(),
        Form::Words(words) => format!("{} | Placeholder", words_type(words)),
        Form::ListOf(words) => {
            let word = format!("{} | Placeholder", words_type(words));
            format!("{word} | readonly ({word})[]")
        }
        Form::Literal(number) => (*number).into(),
        Form::AnyOf(forms) => forms.iter().map(form_type).collect::<Vec<_>>().join(" | "),
        Form::Section(Section { name, .. }) | Form::Variants { name, .. } => (*name).into(),
        Form::List(element) => format!("readonly {}[]", form_type(element)),
        Form::Named(element) => format!("Readonly<Record<string, {}>>", form_type(element)),
        Form::Headers => "Readonly<Record<string, string>>".into(),
        Form::Body => "string | object".into(),
        Form::Jwks => "string | { readonly keys: readonly object[] }".into(),
        Form::PrivateKeys => "string | object | readonly (string | object)[]".into(),
        Form::Details => "readonly { readonly type: string; readonly [property: string]: unknown }[]".into(),
    }
}

// --- Markdown

fn tables() -> String {
    let Parts { sections, variants } = Parts::of_document();
    let mut out = String::new();
    for (place, section) in &sections {
        let title = match place.split_once("` with `").and_then(|(at, rest)| Some((at, rest.split_once("\".")?.1))) {
            // A section inside a variant.
            Some((at, rest)) => format!("`{at}.{rest}`"),
            None if place.is_empty() => "The document".into(),
            None => format!("`{place}`"),
        };
        out += &format!("\n### {title}\n\n{}\n", section.doc);
        for (_, form) in variants.iter().filter(|(at, _)| place.starts_with(&format!("{at}` with "))) {
            let Form::Variants { variants, .. } = form else { continue };
            let is_this = |variant: &&Variant| variant.section.name == section.name;
            // A section inside a variant is none itself.
            let Some(variant) = variants.iter().find(is_this) else { continue };
            if let [_, aliases @ ..] = variant.words
                && !aliases.is_empty()
            {
                out += &format!("\nThe type may also be written {}.\n", names(aliases));
            }
        }
        out += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
        for key in &section.keys {
            let default = match (&key.default, key.is_required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "required".into(),
                (None, false) => String::from("–"),
            };
            let meaning = Key { default: None, ..key.clone() }.meaning();
            out += &format!(
                "| `{}` | {} | {default} | {meaning} |\n",
                key.name,
                form_words(&key.form).replace('|', "\\|")
            );
        }
        for (place, form) in variants.iter().filter(|(at, _)| is_member(at, place)) {
            let Form::Variants { doc, tag, variants, .. } = form else { continue };
            out += &format!("\n### `{place}`\n\n{doc}\n\n| `{tag}` | meaning |\n|---|---|\n");
            for variant in variants {
                out += &format!("| {} | {} |\n", names(variant.words), variant.doc);
            }
        }
    }
    out
}

fn is_member(place: &str, section: &str) -> bool {
    place.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')).is_some_and(|key| !key.contains('.'))
}

fn names(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn form_words(form: &Form) -> String {
    match form {
        Form::Text => "string".into(),
        Form::Texts => "string or list".into(),
        Form::Whole { min, max: u32::MAX } => format!("number from {min}"),
        Form::Whole { min, max } => format!("number, {min} to {max}"),
        Form::Flag => "`true`, `false`".into(),
        Form::Words(words) => names(words),
        Form::ListOf(_) => "string or list".into(),
        Form::Literal(number) => format!("`{number}`"),
        Form::AnyOf(forms) => {
            let mut all: Vec<String> = forms.iter().map(form_words).collect();
            // 401 may be text or number.
            if all.iter().any(|one| one.ends_with(", `401`")) {
                all.retain(|one| one != "`401`");
            }
            all.join(", ")
        }
        Form::Section(_) | Form::Variants { .. } => "object, see below".into(),
        Form::List(element) => match **element {
            Form::Section(_) => "list of objects, see below".into(),
            ref element => format!("list of {}", form_words(element)),
        },
        Form::Named(element) => format!("object: name, and {}", form_words(element)),
        Form::Headers => "object: name and value".into(),
        Form::Body => "string, or JSON".into(),
        Form::Jwks => "object or JSON text".into(),
        Form::PrivateKeys => "PEM, JWK or list".into(),
        Form::Details => "list of objects".into(),
    }
}

// --- The files

const BEGIN: &str = "<!-- keys: made from the declarations in src/gateway/config -->\n";
const END: &str = "\n<!-- /keys -->";

fn compare(path: &str, made: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("EDGEWARD_WRITE_REFERENCE").is_some() {
        fs::write(&path, made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == made,
        "{path} differs from the declarations; write it with EDGEWARD_WRITE_REFERENCE=1 cargo test --lib reference"
    );
}

#[test]
fn the_schema_is_made_from_the_declarations() {
    compare("edgeward.schema.json", &schema());
}

#[test]
fn the_typescript_types_are_made_from_the_declarations() {
    compare("pkg/types/config.d.ts", &typescript());
}

/// Compares the part of a page between two comments.
fn compare_part(path: &str, [begin, end]: [&str; 2], made: &str) {
    let page = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (before, rest) = page.split_once(begin).expect("the page has a place for the tables");
    let (_, after) = rest.split_once(end).expect("that ends");
    compare(path, &format!("{before}{begin}{made}{end}{after}"));
}

#[test]
fn the_tables_are_made_from_the_declarations() {
    compare_part("docs/configuration.md", [BEGIN, END], &tables());
}

#[test]
fn the_table_of_page_texts_is_made_from_the_texts() {
    let mut table = String::from("\n| name | English | German |\n|---|---|---|\n");
    for (number, name) in page_texts::names().iter().enumerate() {
        table += &format!("| `{name}` | {} | {} |\n", page_texts::text(number, 0), page_texts::text(number, 1));
    }
    compare_part("docs/pages.md", ["<!-- texts: made from src/http/page_texts.rs -->\n", "\n<!-- /texts -->"], &table);
}

#[test]
fn every_key_and_section_is_described() {
    for (place, section) in Parts::of_document().sections {
        assert!(section.doc.ends_with('.'), "{place}");
        for key in section.keys {
            assert!(key.doc.ends_with('.'), "{place}.{}", key.name);
            assert!(!key.doc.contains('|'), "{place}.{} would break its table", key.name);
        }
    }
}
