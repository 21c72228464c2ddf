//! `paths[].integration.upstream_auth`: the token that the gateway sends to an upstream.

use super::declare::{Declared, Form, section};
use super::forms::Text;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::oidc::{UpstreamAuth, UpstreamGrant};

section! {
    /// The token that the gateway sends to the upstream: one of its own, or one for the caller's.
    pub(super) struct UpstreamAuthConfig {
        /// A token of the gateway itself, by client credentials (RFC 6749 §4.4).
        m2m: MachineTokenConfig;
        /// A token for another audience in exchange for the caller's token (RFC 8693): the bearer token, or the session's access token. Anonymous requests are forwarded without one.
        exchange: ExchangeConfig;
    }
}

section! {
    /// A token by client credentials.
    pub(super) struct MachineTokenConfig {
        /// The API that the token is for, sent as `authorizer.audience_parameter` says: `audience` with the type `auth0`, else `resource`. Without it, the provider decides.
        audience: Text;
        /// The scopes to request, separated by spaces.
        scope: Text;
        /// The organization on whose behalf the gateway calls, at Auth0.
        organization: Text;
    }
}

section! {
    /// A token in exchange for the caller's.
    pub(super) struct ExchangeConfig {
        /// The API that the token is for, sent as `audience`, or as `resource` if `authorizer.audience_parameter` says so.
        audience: Text, required "the API that the token is for";
        /// The scopes to request, separated by spaces.
        scope: Text;
    }
}

/// One of the two.
pub(super) struct UpstreamAuthForm;

impl Form for UpstreamAuthForm {
    type Value = UpstreamAuth;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<UpstreamAuth> {
        let section = reader.object(field)?;
        let config = UpstreamAuthConfig::read_section(reader, &section);
        let (m2m, exchange) = (config.m2m(), config.exchange());
        if m2m.is_absent() == exchange.is_absent() {
            // A misspelt name has been reported.
            if !reader.has_error_inside(&field.place) {
                reader.error(&field.place, "must have either m2m or exchange");
            }
            return None;
        }
        if let Some(exchange) = exchange.value {
            return Some(UpstreamAuth {
                grant: UpstreamGrant::Exchange,
                audience: Some(exchange.audience().cloned()?),
                scope: exchange.scope().cloned(),
                organization: None,
            });
        }
        let m2m = m2m.value?;
        Some(UpstreamAuth {
            grant: UpstreamGrant::ClientCredentials,
            audience: m2m.audience().cloned(),
            scope: m2m.scope().cloned(),
            organization: m2m.organization().cloned(),
        })
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        UpstreamAuthConfig::form()
    }
}
