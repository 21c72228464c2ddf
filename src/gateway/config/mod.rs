//! The configuration document, compiled into a gateway or refused with all that is wrong with it.

mod authorizer;
mod cors;
mod overlaps;
mod paths;
mod reader;
mod redirects;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod redirects_tests;
mod session;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use self::reader::{Environment, Problem};
use self::reader::{Reader, Section};
use super::route::{Auth, Route};
use super::{Gateway, LoginState, Unicode};
use crate::json::Document;
use crate::limits;
use crate::verifier::Verifier;

/// A configuration that serves.
#[derive(Debug)]
pub struct Compiled {
    /// Routes and contracts.
    pub gateway: Gateway,
    /// Issuers and their keys; `None` if no route needs them.
    pub verifier: Option<Verifier>,
    /// What changes while people log in and out; `None` if no route does that.
    pub login: Option<LoginState>,
    /// What should be looked at all the same.
    pub warnings: Vec<Problem>,
}

/// [`compile_with`] Unicode's tables in this crate.
///
/// # Errors
/// All problems found.
#[cfg(feature = "unicode")]
pub fn compile(text: &str, env: &Environment<'_>) -> Result<Compiled, Vec<Problem>> {
    compile_with(text, env, Unicode::TABLES)
}

/// Compiles a configuration document. It fails closed: one error, and nothing is served.
///
/// # Errors
/// All problems found, warnings included, in reading order.
pub fn compile_with(text: &str, env: &Environment<'_>, unicode: Unicode) -> Result<Compiled, Vec<Problem>> {
    let mut reader = Reader::new(env, unicode);
    let parsed = if text.len() > limits::MAX_CONFIG_BYTES {
        Err("is too large".to_string())
    } else {
        Document::parse(text.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH).map_err(|reason| syntax(text, reason))
    };
    let document = match parsed {
        Ok(document) => document,
        Err(message) => {
            reader.error("", message);
            return Err(reader.into_problems());
        }
    };
    let root = Section::root(document.root());
    reader.refuse_unknown(&root, &["$schema", "authorizer", "session", "cors", "paths"]);
    let authorizer = authorizer::read(&mut reader, &root);
    let session = session::read(&mut reader, &root);
    let cors = cors::read(&mut reader, &root);
    let compiled = paths::read(&mut reader, &root, authorizer.as_ref());
    let routes = &compiled.routes;
    check_protection(&mut reader, &root, authorizer.as_ref(), routes);
    let mut verifier = authorizer.as_ref().and_then(|authorizer| authorizer.verifier(&mut reader, routes));
    let mut login = None;
    if let Some(authorizer) = &authorizer
        && routes.iter().any(|route| route.integration.needs_login())
        && let Some((fixed, state, id_tokens)) = authorizer.login(&mut reader, routes, session, verifier.is_some())
    {
        verifier.get_or_insert(id_tokens);
        login = Some((fixed, state));
    }
    if reader.has_errors() {
        return Err(reader.into_problems());
    }
    let (fixed, state) = login.unzip();
    Ok(Compiled {
        gateway: Gateway::new(compiled, unicode, cors, fixed),
        verifier,
        login: state,
        warnings: reader.into_problems(),
    })
}

impl Compiled {
    /// Seals sessions with this random secret if none was configured.
    pub fn seal_with(&mut self, secret: &str) {
        if let Some(login) = self.gateway.login.as_mut().filter(|login| login.lacks_secret()) {
            login.seal_with(secret);
        }
    }
}

fn syntax(text: &str, reason: crate::json::JsonError) -> String {
    use crate::json::JsonError;
    match reason {
        JsonError::Syntax => {
            let (line, column) = crate::json::error_position(text);
            alloc::format!("is not JSON: line {line}, column {column}")
        }
        JsonError::DuplicateName => "has an object with two keys of the same name".to_string(),
        JsonError::NotAnObject => "must be a JSON object".to_string(),
        JsonError::TooDeep => "is nested too deeply".to_string(),
        JsonError::TooManyMembers => "has an object with too many keys".to_string(),
        JsonError::NotUtf8 => "is not UTF-8".to_string(),
    }
}

fn check_protection(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    authorizer: Option<&authorizer::Authorizer>,
    routes: &[Route],
) {
    let is_protected = routes.iter().any(|route| route.auth != Auth::None);
    if !is_protected {
        return;
    }
    if root.get("authorizer").is_none() {
        reader.error(
            "authorizer",
            "is missing, and there are routes that need it; set \"auth\": \"none\" on public ones",
        );
    } else if authorizer.is_some_and(|authorizer| authorizer.audience.is_empty())
        && !routes.iter().filter(|route| route.auth != Auth::None).all(|route| !route.demands.audience.is_empty())
    {
        reader.error(
            "authorizer.audience",
            "is missing, and there are protected routes: set it to the identifier of your API, or set AUTH0_AUDIENCE",
        );
    }
}
