//! `revocation`: sessions and tokens that end before they expire.

use alloc::format;
use alloc::string::String;

use super::declare::{Setting, section};
use super::forms::{Choice, Flag, Whole, Words};
use super::paths::PathConfig;
use super::reader::Reader;
use crate::gateway::route::{Auth, Integration, Methods, Route};
use crate::jwt::Requirements;
use crate::limits;
use crate::oidc::Revocations;

section! {
    /// Sessions and bearer tokens that end before they expire, by the provider's back-channel logout or the integration `revoke`. It needs the Durable Object `EDGEWARD_SESSIONS`.
    pub(super) struct RevocationConfig {
        /// What requests with a session or a token get while the Durable Object does not respond. `closed`: 503. `open`: they pass.
        fail: Choice<Failure> = Failure::Closed;
        /// Whether bearer tokens are looked up, besides sessions. Without it: if a route has the integration `revoke`.
        tokens: Flag;
        /// Longest lifetime of the issuers' access tokens, in seconds: how long the revocation of a token is remembered.
        token_lifetime_s: Whole<{ limits::MIN_SESSION_S }, { limits::MAX_TOKEN_LIFETIME_S }> = limits::ACCESS_TOKEN_MAX_S as u32;
    }
}

/// What happens in an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Closed,
    Open,
}

impl Words for Failure {
    const WORDS: &'static [(&'static str, Self)] = &[("closed", Self::Closed), ("open", Self::Open)];
}

/// The revocations that requests to these routes look up; `None` if nothing can revoke.
pub(super) fn compile(
    reader: &mut Reader<'_>,
    setting: &Setting<'_, RevocationConfig>,
    routes: &[Route],
) -> Option<Revocations> {
    let has = |wanted: &Integration| routes.iter().any(|route| route.integration == *wanted);
    let has_revoke = has(&Integration::Revoke);
    if setting.is_absent() && !has_revoke && !has(&Integration::BackchannelLogout) {
        return None;
    }
    let config = setting.value;
    let tokens = config.and_then(|config| config.tokens().cloned());
    if has_revoke && tokens == Some(false) {
        reader.error("revocation.tokens", "is false, but a route revokes bearer tokens");
    }
    Some(Revocations::new(
        config.is_some_and(|config| config.fail() == Failure::Open),
        tokens.unwrap_or(has_revoke),
        config.map_or(limits::ACCESS_TOKEN_MAX_S, |config| config.token_lifetime_s().into()),
    ))
}

/// Checks a route by which something is revoked.
pub(super) fn check_route(
    reader: &mut Reader<'_>,
    place: &str,
    integration: &Integration,
    config: &PathConfig,
    (auth, requirements): (Auth, &Requirements),
) {
    let at = |key| format!("{place}.{key}");
    let is_revoke = *integration == Integration::Revoke;
    if !is_revoke && *integration != Integration::BackchannelLogout {
        return;
    }
    if config.method().value.is_some_and(|methods| *methods != Methods::Only([String::from("POST")].into())) {
        reader.error(&at("method"), "must be POST: nothing else revokes");
    }
    let is_restricted = !requirements.scopes.is_empty()
        || !requirements.any_scope.is_empty()
        || !requirements.permissions.is_empty()
        || !requirements.any_permission.is_empty()
        || requirements.roles.is_some();
    if is_revoke && (auth != Auth::Required || !is_restricted) {
        reader.error(
            &at("integration"),
            "is \"revoke\", which needs \"auth\": \"required\" and a scope, permission or role",
        );
    }
    if !is_revoke && auth != Auth::None {
        reader.error(&at("auth"), "must be \"none\": the provider authenticates with the logout token");
    }
}
