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
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

pub use self::reader::{Environment, Problem};
use self::reader::{Reader, Section};
use super::route::{Auth, Route};
use super::{Gateway, Unicode};
use crate::host::Level;
use crate::json::Document;
use crate::limits;

/// A configuration that serves.
#[derive(Debug)]
pub struct Compiled {
    /// The gateway.
    pub gateway: Gateway,
    /// What should be looked at all the same.
    pub warnings: Vec<Problem>,
}

/// What a configuration is compiled with, besides the document and its variables.
#[derive(Debug, Clone, Copy)]
pub struct Platform<'p> {
    /// Unicode's tables.
    pub unicode: Unicode,
    /// Seals sessions where no secret is configured; random, so that sessions end when it is forgotten. Without one, no login
    /// succeeds then.
    pub random_secret: Option<&'p str>,
}

/// [`compile_with`] Unicode's tables in this crate.
///
/// # Errors
/// All problems found.
#[cfg(feature = "unicode")]
pub fn compile(text: &str, env: &Environment<'_>) -> Result<Compiled, Vec<Problem>> {
    compile_with(text, env, Platform { unicode: Unicode::TABLES, random_secret: None })
}

/// Compiles a configuration document. It fails closed: one error, and nothing is served.
///
/// # Errors
/// All problems found, warnings included, in reading order.
pub fn compile_with(text: &str, env: &Environment<'_>, platform: Platform<'_>) -> Result<Compiled, Vec<Problem>> {
    let mut reader = Reader::new(env, platform);
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
    let verifier = authorizer.as_ref().and_then(|authorizer| authorizer.verifier(&mut reader, routes)).map(Arc::new);
    let login = authorizer
        .as_ref()
        .filter(|_| routes.iter().any(|route| route.integration.needs_login()))
        .and_then(|authorizer| authorizer.login(&mut reader, routes, session, verifier.clone()));
    if reader.has_errors() {
        return Err(reader.into_problems());
    }
    let gateway = Gateway::new(compiled, platform.unicode, cors, verifier, login.map(Arc::new));
    Ok(Compiled { gateway, warnings: reader.into_problems() })
}

/// [`compile_with`], with every problem in the log. `None` if the configuration is invalid: every request is answered with 503 then.
pub fn load(
    text: Option<&str>,
    env: &Environment<'_>,
    platform: Platform<'_>,
    log: &dyn Fn(Level, &dyn fmt::Display),
) -> Option<Gateway> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        log(Level::Error, &"config_invalid: neither edgeward.json nor the variable EDGEWARD gives a configuration");
        return None;
    };
    let (gateway, problems) = match compile_with(text, env, platform) {
        Ok(Compiled { gateway, warnings }) => (Some(gateway), warnings),
        Err(problems) => (None, problems),
    };
    if gateway.is_none() {
        let errors = problems.iter().filter(|problem| problem.is_error).count();
        let outlook = "every request is answered with 503 until they are mended";
        log(Level::Error, &format_args!("config_invalid: {errors} error(s); {outlook}"));
    }
    for problem in &problems {
        let level = if problem.is_error { Level::Error } else { Level::Warning };
        log(level, &format_args!("config: {problem}"));
    }
    gateway
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
        && !routes.iter().filter(|route| route.auth != Auth::None).all(|route| !route.requirements.audience.is_empty())
    {
        reader.error(
            "authorizer.audience",
            "is missing, and there are protected routes: set it to the identifier of your API, or set AUTH0_AUDIENCE",
        );
    }
}
