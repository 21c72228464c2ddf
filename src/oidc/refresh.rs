//! New tokens for a session, once for all requests that want them, until the session ends (RFC 6749 §6, OpenID Connect Core
//! §12.2).
//!
//! Requests of one instance share an exchange by the [`RefreshCoordinator`](super::RefreshCoordinator). Instances share it, and the end of a
//! session, by the session's coordinator, if there is one; without it, the provider's overlap period has to cover them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use super::session_job::SessionJob;
use super::token_response::{TokenError, TokenResponse};
use super::{
    AccessTokenVerdict, Client, LoginHost, RefreshMark, RefreshOutcome, RefreshTurn, RelyingParty, SessionAct,
};
use crate::error::VerifyError;
use crate::host::Level;
use crate::http::{Reply, RequestHead, bad_request};
use crate::io::UnixTime;
use crate::json::Value;
use crate::jwt::{Claims, Id, VerifiedToken, unverified_claims};
use crate::limits;
use crate::session::Session;
use crate::verifier::Unverified;

/// What became of a session's tokens.
pub(crate) enum Refreshed {
    /// There are new ones.
    Session(Box<Session>),
    /// The provider cannot be asked: the session goes on with what it has.
    Unchanged,
    /// The session has ended.
    Ended,
}

/// Why an answer of the token endpoint makes no session.
enum NotThisSession {
    /// The new ID token does not go on with this login: this claim differs.
    Claim(&'static str),
    /// The new tokens have more claims than a session keeps.
    TooLarge,
}

impl RelyingParty {
    /// The refresh route: new tokens now, whatever the age of the old ones. The tokens themselves stay in the cookie.
    pub(crate) async fn refresh_route(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Reply {
        if super::has_parameter(head.url_parts().query.unwrap_or_default(), "refresh_token") {
            return bad_request("Tokens are never taken from a URL.");
        }
        let Some(session) = session else {
            return Reply::problem(400, "no_session", "Only a session can be refreshed, not a bearer token.");
        };
        if !session.can_refresh() {
            let detail =
                "The provider gave no refresh token: ask for offline_access, and enable refresh token rotation.";
            return Reply::problem(400, "no_refresh_token", detail);
        }
        match self.refresh(session, (head.header)("cf-connecting-ip"), host).await {
            Refreshed::Session(session) => {
                let left_s = session.tokens().access_expires_s.saturating_sub(host.now().secs()).max(0);
                Reply::json(alloc::format!(r#"{{"expires_in":{left_s}}}"#))
                    .with_cookies(self.changed_cookies(head, &session, host))
            }
            Refreshed::Unchanged => {
                Reply::problem(502, "refresh_unavailable", "The provider does not answer. The session goes on.")
            }
            Refreshed::Ended => Reply::problem(401, "session_ended", "The session has ended. Log in again.")
                .with_cookies(self.cleared_after_end(head, session)),
        }
    }

    /// Gets new tokens for a session, together with all requests that want them.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        session: &Session,
        user_ip: Option<String>,
        host: &impl LoginHost,
    ) -> Refreshed {
        for look in 0..limits::SHARED_REFRESH_TIMEOUT_MS / limits::FETCH_POLL_MS {
            let now = host.now();
            match self.state.with(|state| state.refreshes.ask(session, now)) {
                RefreshTurn::Go(mark) => {
                    let job = host.spawn(SessionJob::refresh(self, session, mark, user_ip.clone()));
                    if !within(job, host.sleep(limits::SHARED_REFRESH_TIMEOUT_MS)).await {
                        break;
                    }
                }
                RefreshTurn::Wait => host.sleep(limits::FETCH_POLL_MS).await,
                // What came of an earlier request's refresh may have ended on another instance since: the coordinator knows.
                RefreshTurn::Done(_) if look == 0 && host.has_coordinator() => {
                    self.state.with(|state| state.refreshes.forget(session));
                }
                RefreshTurn::Done(session) => return Refreshed::Session(session),
                RefreshTurn::Ended => return Refreshed::Ended,
                RefreshTurn::Failed => break,
            }
        }
        Refreshed::Unchanged
    }

    /// Refreshes a session and notes the outcome. Its new tokens are nobody's if it has ended meanwhile.
    pub(super) async fn refresh_once(
        self: &Arc<Self>,
        session: &Session,
        mark: RefreshMark,
        user_ip: Option<&str>,
        host: &impl LoginHost,
    ) {
        let outcome = if host.has_coordinator() {
            self.refresh_by_coordinator(session, host).await
        } else {
            self.exchange_refresh_token(session, user_ip, host).await
        };
        let end = self.state.with(|state| state.sessions.ended.revokes(session.id()));
        let outcome = match end {
            None => outcome,
            Some(revokes) => {
                self.discard(outcome, revokes, host).await;
                RefreshOutcome::Ended
            }
        };
        let now = host.now();
        self.state.with(|state| state.refreshes.close(mark, outcome, now));
    }

    async fn refresh_by_coordinator(&self, session: &Session, host: &impl LoginHost) -> RefreshOutcome {
        let timeout_ms = limits::SHARED_REFRESH_TIMEOUT_MS;
        let Some(answer) = self.ask_coordinator(session, SessionAct::Refresh, timeout_ms, host).await else {
            host.log(Level::Warning, &"refresh_unavailable: the Durable Object EDGEWARD_SESSIONS does not answer");
            return RefreshOutcome::Failed;
        };
        if let Some(act) = answer.end() {
            // Ended by the gateway itself, on whatever instance: from now on known here, too.
            self.state.with(|state| state.note_end(session, act));
        }
        answer.outcome(self)
    }

    /// Revokes what came for a session that has ended meanwhile, if its end says so.
    pub(super) async fn discard(self: &Arc<Self>, outcome: RefreshOutcome, revokes: bool, host: &impl LoginHost) {
        if let RefreshOutcome::Refreshed(session) = outcome
            && revokes
        {
            host.spawn(SessionJob::revoke(self, *session)).await;
        }
    }

    /// New tokens from the provider (RFC 6749 §6).
    pub(super) async fn exchange_refresh_token(
        &self,
        session: &Session,
        user_ip: Option<&str>,
        host: &impl LoginHost,
    ) -> RefreshOutcome {
        let Ok(provider) = self.provider(host).await else { return RefreshOutcome::Failed };
        let token = session.tokens().refresh.as_deref().unwrap_or_default();
        // Without `scope`: the provider keeps what was granted.
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let response = match self.client.request_tokens(&provider, &parameters, user_ip, host).await {
            Ok(response) => response,
            Err(error) if error.ends_session() => {
                host.log(
                    Level::Warning,
                    &"session_ended: the provider refused a refresh token; if this is common, check that refresh token \
                      rotation is on and has an overlap period",
                );
                return RefreshOutcome::Ended;
            }
            Err(_) => {
                host.log(
                    Level::Warning,
                    &"refresh_unavailable: the token endpoint gave no new tokens; the session goes on",
                );
                return RefreshOutcome::Failed;
            }
        };
        let id = match self.verify_refreshed_id_token(&response, host).await {
            Ok(id) => id,
            Err(error) => {
                let line = format_args!("id_token_invalid: {}: {error}; the session ends", error.code());
                host.log(Level::Warning, &line);
                return RefreshOutcome::Ended;
            }
        };
        let user = id.as_ref().map_or(session.claims(), VerifiedToken::claims);
        let access = self.check_access_token(user, &response.access_token, host).await;
        match response.refresh(session.clone(), &self.client, id.as_ref(), &access, host.now()) {
            Ok(session) => RefreshOutcome::Refreshed(Box::new(session)),
            Err(NotThisSession::Claim(claim)) => {
                let line =
                    format_args!("id_token_invalid: its claim \"{claim}\" is not that of the login; the session ends");
                host.log(Level::Warning, &line);
                RefreshOutcome::Ended
            }
            Err(NotThisSession::TooLarge) => {
                host.log(
                    Level::Warning,
                    &"session_too_large: the new tokens have more claims than a session keeps; it ends",
                );
                RefreshOutcome::Ended
            }
        }
    }

    /// The ID token of a refresh, if there is one and it can be verified.
    async fn verify_refreshed_id_token(
        &self,
        response: &TokenResponse,
        host: &impl LoginHost,
    ) -> Result<Option<VerifiedToken<Id>>, VerifyError> {
        let Some(token) = response.id_token.as_deref() else { return Ok(None) };
        let policy = self.id_policy.clone().at_hash_of(response.access_token.as_str());
        match self.keys.verify(&policy, token, host).await {
            Ok(id) => Ok(Some(id)),
            // The old refresh token is used up: what is known of the user stays, the new tokens must not be lost.
            Err(Unverified::Unavailable(_) | Unverified::Refused(VerifyError::KeyNotFound)) => Ok(None),
            Err(Unverified::Refused(error)) => Err(error),
        }
    }
}

/// Waits for `work`, but no longer than for `limit`. Whether it has ended.
async fn within(work: impl Future<Output = ()>, limit: impl Future<Output = ()>) -> bool {
    let (mut work, mut limit) = (pin!(work), pin!(limit));
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        limit.as_mut().poll(context).map(|()| false)
    })
    .await
}

impl TokenError {
    /// Whether a refused refresh token has ended the session: it was used, revoked, or has expired.
    fn ends_session(&self) -> bool {
        match self {
            Self::Refused { status, error } => {
                (400..500).contains(status)
                    && *status != 429
                    && !matches!(error.as_str(), "temporarily_unavailable" | "invalid_client")
            }
            Self::Unavailable => false,
        }
    }
}

impl TokenResponse {
    /// The session with its new tokens. `id` is the new ID token, if there is one and it was verified, and `access` what
    /// verification says of the access token. Without a new ID token the user's claims stay.
    fn refresh(
        mut self,
        session: Session,
        client: &Client,
        id: Option<&VerifiedToken<Id>>,
        access: &AccessTokenVerdict,
        now: UnixTime,
    ) -> Result<Session, NotThisSession> {
        let claims = match id {
            Some(id) => {
                check_continues(&session, id.claims())?;
                if !client.admits(id.claims()) {
                    return Err(NotThisSession::Claim("org_id"));
                }
                client.about_user(id.claims()).ok_or(NotThisSession::TooLarge)?
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
        client.grant(session, access, scope.as_deref(), former.as_ref()).ok_or(NotThisSession::TooLarge)
    }
}

/// Whether a refreshed ID token goes on with the login of the session (OpenID Connect Core §12.2). `auth_time` is not compared:
/// providers move it when the user logs in again elsewhere.
fn check_continues(session: &Session, new: &Claims) -> Result<(), NotThisSession> {
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
        Some((claim, _)) => Err(NotThisSession::Claim(claim)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{NotThisSession, check_continues};
    use crate::base64url;
    use crate::io::UnixTime;
    use crate::jwt::Claims;
    use crate::session::{Session, Tokens};

    fn claims(json: &str) -> Claims {
        Claims::from_json(json.into()).unwrap()
    }

    /// A session of a login whose ID token had these claims.
    fn session(json: &str) -> Session {
        let encode = |json: &str| base64url::encode(json.as_bytes());
        let id = format!("{}.{}.AA", encode(r#"{"alg":"RS256"}"#), encode(json));
        let tokens = Tokens { id: Some(id), ..Tokens::default() };
        Session::new("s".into(), claims(json), tokens, UnixTime::from_secs(0)).with_nonce("n".into())
    }

    /// The claim that differs.
    fn differs(session: &Session, new: &str) -> Option<&'static str> {
        match check_continues(session, &claims(new)) {
            Ok(()) => None,
            Err(NotThisSession::Claim(claim)) => Some(claim),
            Err(NotThisSession::TooLarge) => Some(""),
        }
    }

    #[test]
    fn an_id_token_that_any_policy_lets_pass_still_has_to_be_of_the_same_login() {
        let session = session(r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a"}"#);
        for (new, expected) in [
            (r#"{"iss":"i","sub":"u","aud":["b","a"],"azp":"a"}"#, None),
            (r#"{"iss":"i","sub":"u","aud":["b","a"],"azp":"a","nonce":"n","auth_time":7}"#, None),
            (r#"{"iss":"j","sub":"u","aud":["a","b"],"azp":"a"}"#, Some("iss")),
            (r#"{"sub":"u","aud":["a","b"],"azp":"a"}"#, Some("iss")),
            (r#"{"iss":"i","sub":"v","aud":["a","b"],"azp":"a"}"#, Some("sub")),
            (r#"{"iss":"i","sub":"u","aud":"a","azp":"a"}"#, Some("aud")),
            (r#"{"iss":"i","sub":"u","aud":["a","b","c"],"azp":"a"}"#, Some("aud")),
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"b"}"#, Some("azp")),
            (r#"{"iss":"i","sub":"u","aud":["a","b"]}"#, Some("azp")),
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a","nonce":""}"#, Some("nonce")),
        ] {
            assert_eq!(differs(&session, new), expected, "{new}");
        }
        let not_a_text = r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a","nonce":7}"#;
        assert!(Claims::from_json(not_a_text.into()).is_none(), "no token has such claims");
    }
}
