//! New tokens for a session (RFC 6749 §6, OpenID Connect Core §12.2).

use alloc::string::ToString;

use super::callback::{CallbackError, Reply};
use super::{AccessReading, Client, Provider};
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::Value;
use crate::jwt::{Claims, VerifiedToken, unverified_claims};
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
    /// The new ID token does not go on with this login. The session is over.
    NotThisLogin {
        /// The claim that differs.
        claim: &'static str,
    },
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

    /// The session with its new tokens. `id` is the new ID token, if there is one and it was verified, and `access` what
    /// verification says of the access token. Without a new ID token the user's claims stay.
    ///
    /// # Errors
    /// [`RefreshError::NotThisLogin`] if the ID token is not one of this login (OpenID Connect Core §12.2), or names a user who
    /// may not log in any more.
    pub fn refresh(
        mut self,
        session: Session,
        client: &Client,
        id: Option<&VerifiedToken>,
        access: &AccessReading,
        now: UnixTime,
    ) -> Result<Session, RefreshError> {
        let claims = match id {
            Some(id) => {
                check_continues(&session, id.claims())?;
                if !client.admits(id.claims()) {
                    return Err(RefreshError::NotThisLogin { claim: "org_id" });
                }
                client.about_user(id.claims()).ok_or(RefreshError::Unavailable)?
            }
            None => session.claims().clone(),
        };
        let (earlier, former) = (session.tokens().clone(), session.rights().cloned());
        // What was stated for a token that nobody could read stands, too.
        let scope = self.scope.take().or_else(|| session.unread_scope().map(Into::into));
        let mut tokens = self.into_tokens(access, now);
        tokens.refresh = tokens.refresh.or(earlier.refresh);
        // An ID token that was not verified tells nobody anything.
        tokens.id = tokens.id.filter(|_| id.is_some()).or(earlier.id);
        let session = session.refreshed(claims, tokens);
        client.grant(session, access, scope.as_deref(), former.as_ref()).ok_or(RefreshError::Unavailable)
    }
}

/// Whether a refreshed ID token goes on with the login of the session (OpenID Connect Core §12.2). `auth_time` is not compared:
/// providers move it when the user logs in again elsewhere.
fn check_continues(session: &Session, new: &Claims) -> Result<(), RefreshError> {
    let user = session.claims();
    let former = session.tokens().id.as_deref().and_then(unverified_claims);
    let same = |name| {
        let of = |claims: &Claims| claims.get(name).and_then(Value::as_str).map(ToString::to_string);
        former.as_ref().is_none_or(|former| of(former) == of(new))
    };
    let same_audience = |former: &Claims| {
        let (one, two) = (former.audience(), new.audience());
        one.iter().all(|audience| two.contains(audience)) && two.iter().all(|audience| one.contains(audience))
    };
    let nonce = new.get("nonce").map(Value::as_str);
    let rules = [
        ("iss", new.issuer() == user.issuer()),
        ("sub", new.subject() == user.subject()),
        ("aud", former.as_ref().is_none_or(same_audience)),
        ("azp", same("azp")),
        ("nonce", nonce.is_none_or(|nonce| nonce == Some(session.nonce()))),
    ];
    match rules.into_iter().find(|(_, holds)| !holds) {
        Some((claim, _)) => Err(RefreshError::NotThisLogin { claim }),
        None => Ok(()),
    }
}
