//! New tokens for a session (RFC 6749 §6, OpenID Connect Core §12.2).

use super::callback::{CallbackError, Reply, identity};
use super::{Client, Provider};
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::jwt::VerifiedToken;
use crate::session::Session;

/// Why a session was not refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshError {
    /// The provider ended it: the refresh token is used, revoked or over. The session is over too.
    Ended,
    /// The client's credentials were refused: try the next secret, if there is one.
    ClientRefused,
    /// The provider cannot be reached or answers nonsense: the session goes on with what it has.
    Unavailable,
}

/// The request for new tokens; `None` if the session cannot be refreshed.
#[must_use]
pub fn begin_refresh(
    client: &Client,
    provider: &Provider,
    session: &Session,
    attempt: usize,
    user_ip: Option<&str>,
) -> Option<Outgoing> {
    let token = session.tokens().refresh.as_deref()?;
    // Without `scope`: the provider keeps what was granted.
    let parameters = [("grant_type", "refresh_token"), ("refresh_token", token)];
    Some(client.request(&provider.token_endpoint, &parameters, attempt, user_ip))
}

/// Reads the answer.
///
/// # Errors
/// See [`RefreshError`].
pub fn finish_refresh(answer: Result<Incoming, Unreachable>) -> Result<Reply, RefreshError> {
    let status = answer.as_ref().map(|answer| answer.status).unwrap_or_default();
    Reply::read(answer).map_err(|error| match error {
        CallbackError::ExchangeRefused(code) if code == "invalid_client" => RefreshError::ClientRefused,
        CallbackError::ExchangeRefused(code)
            if (400..500).contains(&status) && status != 429 && code != "temporarily_unavailable" =>
        {
            RefreshError::Ended
        }
        _ => RefreshError::Unavailable,
    })
}

impl Reply {
    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// A new ID token, to be verified before it counts.
    #[must_use]
    pub fn id_token(&self) -> Option<&str> {
        self.id_token.as_deref()
    }

    /// The session with its new tokens. `id` and `access` are the new tokens, verified; without a new ID token the user's
    /// claims stay.
    ///
    /// # Errors
    /// [`RefreshError::Ended`] if the ID token is another user's (OpenID Connect Core §12.2).
    pub fn refresh(
        self,
        session: Session,
        client: &Client,
        id: Option<&VerifiedToken>,
        access: Option<&VerifiedToken>,
        now: UnixTime,
    ) -> Result<Session, RefreshError> {
        let same = |token: &VerifiedToken| {
            token.claims().subject() == session.claims().subject()
                && token.claims().issuer() == session.claims().issuer()
        };
        if !id.is_none_or(same) {
            return Err(RefreshError::Ended);
        }
        // Rights of another subject are not this user's.
        let access = access.filter(|access| same(access));
        let about = id.map_or(session.claims(), VerifiedToken::claims);
        let scope = self.scope.clone().or_else(|| session.claims().get("scope")?.as_str().map(Into::into));
        let claims = identity(client, about, access.map(VerifiedToken::claims), scope.as_deref());
        let claims = claims.ok_or(RefreshError::Unavailable)?;
        let tokens = self.into_tokens(Some(session.tokens()), now);
        Ok(session.refreshed(claims, tokens))
    }
}
