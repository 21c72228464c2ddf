//! HTTP methods, of routes and of CORS.

use alloc::string::String;
use alloc::vec::Vec;

use super::declare::Form;
use super::forms::Texts;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use super::suggestion::unknown;
use crate::gateway::route::Methods;
use crate::http::is_token;
use crate::json::Value;

/// The methods of HTTP itself (RFC 9110 §9.3, RFC 5789) that a gateway can forward. `CONNECT` and `TRACE` are not among them:
/// neither is a request for a resource of the origin.
const USUAL: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The other methods of IANA's registry, and `PURGE`, which caches use.
const REGISTERED: &[&str] = &[
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

const NOT_FORWARDED: &str = "must hold HTTP methods other than CONNECT and TRACE";

/// A method, a list of methods, or `ANY`.
pub(super) struct MethodsForm;

/// A list of methods.
pub(super) struct MethodNames;

impl Form for MethodsForm {
    type Value = Methods;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Methods> {
        let names = read_names(reader, field, &["ANY"], NOT_FORWARDED)?;
        if names.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        let is_any = names.iter().any(|name| name == "ANY");
        Some(if is_any { Methods::Any } else { Methods::Only(names) })
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

impl Form for MethodNames {
    type Value = Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
        // For requests without credentials, `*` stands for every method (Fetch standard §3.2.3).
        read_names(reader, field, &["*"], "must hold names only")
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }

    #[cfg(test)]
    fn shown(value: &Vec<String>) -> String {
        Texts::shown(value)
    }
}

/// Method names in upper case.
fn read_names(reader: &mut Reader<'_>, field: &Field<'_>, also: &[&str], not_a_name: &str) -> Option<Vec<String>> {
    let written = Texts::read(reader, field)?;
    let mut names = Vec::with_capacity(written.len());
    for (index, name) in written.iter().enumerate() {
        let upper = name.to_ascii_uppercase();
        if [also, USUAL, REGISTERED].iter().any(|list| list.contains(&upper.as_str())) {
            names.push(upper);
            continue;
        }
        if matches!(upper.as_str(), "CONNECT" | "TRACE" | "TRACK") {
            reader.error(&field.place, NOT_FORWARDED);
        } else if !is_token(name) {
            reader.error(&field.place, not_a_name);
        } else {
            // A placeholder may stand for a secret: only what is written is shown.
            let written = match field.value.as_array() {
                Some(array) => array.iter().nth(index).and_then(Value::as_str).unwrap_or_default(),
                None => field.written(),
            };
            reader.error(&field.place, unknown("method", written, &[also, USUAL].concat()));
        }
        return None;
    }
    Some(names)
}
