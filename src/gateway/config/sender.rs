//! `authorizer.dpop` and `authorizer.mtls`: tokens that are bound to their sender.

use alloc::string::{String, ToString};

use super::authorizer::AuthorizerConfig;
use super::forms::Words;
use super::reader::Reader;
use super::session::is_long_enough;
use crate::dpop::Acceptance;
use crate::gateway::cors::Cors;
use crate::gateway::route::{Auth, Route};
use crate::gateway::sender::{NONCE, PROOF, SenderRules};

impl Words for Acceptance {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("allowed", Self::Allowed), ("required", Self::Required)];
}

/// Checks the keys of one authorizer; without one, no token is accepted at all.
pub(super) fn check(reader: &mut Reader<'_>, config: Option<&AuthorizerConfig>, routes: &[Route]) -> SenderRules {
    let Some(config) = config else { return SenderRules::new(Acceptance::Off, Acceptance::Off, &[]) };
    let (dpop, secrets) = (config.dpop(), config.dpop_nonce_secret());
    if secrets.value.is_some_and(|secrets| secrets.is_empty() || !secrets.iter().all(|secret| is_long_enough(secret))) {
        reader.error(&secrets.place(), "must have at least 32 characters; make one with: openssl rand -hex 32");
    } else if secrets.value.is_some() && dpop == Acceptance::Off {
        reader.error(&secrets.place(), "has no effect: authorizer.dpop is off");
    }
    let rules = SenderRules::new(dpop, config.mtls(), secrets.items());
    if config.fapi().value.is_none() {
        return rules;
    }
    let accepts_bearer = routes.iter().any(|route| route.auth != Auth::None && route.accepts_bearer());
    if accepts_bearer && dpop == Acceptance::Off && config.mtls() == Acceptance::Off {
        reader.error(
            "authorizer.fapi",
            "needs sender-constrained bearer tokens: set authorizer.dpop or authorizer.mtls to \"allowed\" or \"required\", or \
             \"credentials\": \"session\" on the routes",
        );
    }
    rules.with_required_binding()
}

/// Lets scripts of other origins send proofs and read the nonce for the next, where they may send tokens.
pub(super) fn with_headers(mut cors: Cors, config: Option<&AuthorizerConfig>) -> Cors {
    let Some(config) = config.filter(|config| config.dpop() != Acceptance::Off) else { return cors };
    let names = |list: &[String], name: &str| list.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name));
    if names(&cors.allow_headers, "authorization") && !names(&cors.allow_headers, PROOF) {
        cors.allow_headers.push(PROOF.to_string());
    }
    for name in ["www-authenticate", NONCE] {
        if config.dpop_nonce_secret().value.is_some() && !names(&cors.expose_headers, name) {
            cors.expose_headers.push(name.to_string());
        }
    }
    cors
}
