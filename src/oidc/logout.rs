//! Logging out at the provider (OpenID Connect RP-Initiated Logout 1.0, Auth0's `/v2/logout`) and revoking (RFC 7009).

use alloc::string::String;

use super::{Client, Provider, form};
use crate::io::Outgoing;
use crate::session::{Session, Tokens};

/// Where the browser goes to end the provider's session; `None` if the provider has no such place.
#[must_use]
pub fn logout_url(client: &Client, provider: &Provider, session: Option<&Session>, return_uri: &str) -> Option<String> {
    if let Some(endpoint) = &provider.auth0_logout {
        let mut url = form::with_query(endpoint);
        form::push(&mut url, "client_id", &client.id);
        form::push(&mut url, "returnTo", return_uri);
        return Some(url);
    }
    let mut url = form::with_query(provider.end_session_endpoint.as_ref()?);
    form::push(&mut url, "client_id", &client.id);
    if let Some(id_token) = session.and_then(|session| session.tokens().id.as_ref()) {
        form::push(&mut url, "id_token_hint", id_token);
    }
    form::push(&mut url, "post_logout_redirect_uri", return_uri);
    Some(url)
}

/// The request that revokes the refresh token, with the client secret of this attempt; `None` if there is no refresh token, no
/// such secret, or the provider does not offer it.
#[must_use]
pub fn revocation(client: &Client, provider: &Provider, tokens: &Tokens, attempt: usize) -> Option<Outgoing> {
    let token = tokens.refresh.as_deref().filter(|_| client.has_secret(attempt))?;
    let parameters = [("token", token), ("token_type_hint", "refresh_token")];
    Some(client.request(provider.revocation_endpoint.as_ref()?, &parameters, attempt, None))
}
