//! `authorizer.token_from`: where bearer tokens are read.

use alloc::vec::Vec;

use super::declare::{Setting, section};
use super::forms::{Elements, Text};
use super::reader::Reader;
use crate::gateway::is_own_cookie;
use crate::gateway::route::{Integration, Route};
use crate::gateway::token_source::{AUTHORIZATION, TokenSource, is_reserved_header};
use crate::http::{canonical_name, is_token};

section! {
    /// A place of bearer tokens: either a header or a cookie.
    pub(super) struct TokenSourceConfig {
        /// A header, which holds the token alone; `Authorization` holds it after `Bearer`.
        header: Text;
        /// A cookie, which holds the token alone.
        cookie: Text;
    }
}

/// Checks the places of tokens. `session_cookie`: the name of the session cookie.
pub(super) fn check(
    reader: &mut Reader<'_>,
    list: &Setting<'_, Elements<TokenSourceConfig>>,
    session_cookie: &str,
    routes: &[Route],
) -> Vec<TokenSource> {
    let mut sources: Vec<TokenSource> = Vec::new();
    if list.is_absent() {
        sources.push(TokenSource::Header(AUTHORIZATION.into()));
    }
    let Some(elements) = list.value else { return sources };
    if elements.valid.is_empty() && elements.is_complete {
        reader.error(&list.place(), "must not be empty");
    }
    for (place, config) in &elements.valid {
        let (header, cookie) = (config.header(), config.cookie());
        if header.is_invalid || cookie.is_invalid {
            continue;
        }
        let (source, fault) = match (header.value, cookie.value) {
            (Some(name), None) => (TokenSource::Header(name.to_ascii_lowercase()), header_fault(name, routes)),
            (None, Some(name)) => (TokenSource::Cookie(name.clone()), cookie_fault(name, session_cookie)),
            _ => {
                if !reader.has_error_inside(place) {
                    reader.error(place, "must have either \"header\" or \"cookie\"");
                }
                continue;
            }
        };
        match fault {
            Some(message) => {
                let setting = if cookie.is_absent() { header.place() } else { cookie.place() };
                reader.error(&setting, message);
            }
            None if sources.contains(&source) => reader.error(place, "is the same as another entry"),
            None => {
                let is_settable = matches!(&source, TokenSource::Cookie(name) if !name.starts_with("__Host-"));
                if is_settable && routes.iter().any(|route| route.integration == Integration::Callback) {
                    reader.warn(
                        &cookie.place(),
                        "can be set by other hosts of the site, and its token counts before a session: if its name can be chosen, begin it with __Host-",
                    );
                }
                sources.push(source);
            }
        }
    }
    sources
}

fn header_fault(name: &str, routes: &[Route]) -> Option<&'static str> {
    // What an origin gets in this header must not depend on which route the request takes.
    let is_set_otherwise = |route: &Route| match &route.integration {
        Integration::Proxy { headers, .. } | Integration::Service { headers, .. } => {
            headers.iter().any(|(one, value)| !value.is_token() && canonical_name(one).eq(canonical_name(name)))
        }
        _ => false,
    };
    if !is_token(name) {
        Some("is not a header name")
    } else if is_reserved_header(name) {
        Some("has another meaning to the gateway or to the connection")
    } else if routes.iter().any(is_set_otherwise) {
        Some("is a header that routes set to something else than the token")
    } else {
        None
    }
}

fn cookie_fault(name: &str, session_cookie: &str) -> Option<&'static str> {
    if !is_token(name) {
        Some("is not a cookie name")
    } else if is_own_cookie(name, Some(session_cookie)) {
        Some("is a cookie of the gateway itself")
    } else {
        None
    }
}
