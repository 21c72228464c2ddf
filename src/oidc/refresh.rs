//! Refresh of a session's tokens, shared by concurrent requests (RFC 6749 §6, OpenID Connect Core §12.2).
//!
//! Within an instance, requests share an exchange through the [`RefreshCoordinator`](super::RefreshCoordinator). Instances share
//! exchanges and the end of a session through the session's coordinator; without one, the provider's overlap period must cover
//! exchanges by several instances.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use super::session_job::SessionJob;
use super::token_response::{REFRESH_GRANT, TokenError, TokenResponse};
use super::{
    AccessTokenVerdict, Client, LoginHost, RefreshOutcome, RefreshTokenHash, RefreshTurn, RelyingParty, SessionAction,
    UserinfoError,
};
use crate::error::VerifyError;
use crate::host::Level;
use crate::http::{Reply, RequestHead, bad_request};
use crate::io::UnixTime;
use crate::json::{Document, Value};
use crate::jwt::{Claims, Id, VerifiedToken};
use crate::limits;
use crate::session::Session;
use crate::verifier::VerificationError;

/// The result of a refresh.
pub(crate) enum Refreshed {
    /// The session with new tokens.
    Session(Box<Session>),
    /// The provider is unavailable: the session continues with its current tokens.
    Unchanged,
    /// The session has ended.
    Ended,
}

/// Why a response of the token endpoint cannot continue a session.
enum RefreshRejected {
    /// The new ID token is not for the same login: this claim differs.
    Claim(&'static str),
    /// The new tokens have more claims than a session can store.
    TooLarge,
}

impl RelyingParty {
    /// Handles the refresh route: refreshes the tokens at once, whatever their age. The tokens stay in the cookie.
    pub(crate) async fn refresh_route(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Reply {
        if super::has_parameter(head.url_parts().query.unwrap_or_default(), "refresh_token") {
            return bad_request("Tokens are not accepted in a URL.");
        }
        let Some(session) = session else {
            return Reply::problem(400, "no_session", "Only a session can be refreshed, not a bearer token.");
        };
        if !session.can_refresh() {
            let detail = "The provider issued no refresh token: request the scope offline_access, if the provider knows it, and enable \
                          refresh tokens for this client.";
            return Reply::problem(400, "no_refresh_token", detail);
        }
        let unavailable = || {
            Reply::problem(502, "refresh_unavailable", "The provider returned no new tokens. The session continues.")
        };
        match self.refresh(session, head.client_address(), host).await {
            Refreshed::Session(next) => {
                let left_s = next.tokens().access_expires_s.saturating_sub(host.now().secs()).max(0);
                let reply = if self.state.with(|state| state.refreshes.has_failed(&next)) {
                    unavailable()
                } else {
                    Reply::json(format!(r#"{{"expires_in":{left_s}}}"#))
                };
                reply.with_cookies(self.changed_cookies(head, &next, host))
            }
            Refreshed::Unchanged => unavailable(),
            Refreshed::Ended => Reply::problem(401, "session_ended", "The session has ended. Log in again.")
                .with_cookies(self.cleared_after_end(head, session)),
        }
    }

    /// Refreshes a session's tokens. Concurrent requests share one exchange.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        session: &Session,
        user_ip: Option<String>,
        host: &impl LoginHost,
    ) -> Refreshed {
        // The outcome of an earlier refresh whose access token is due again.
        let mut newest: Option<Box<Session>> = None;
        // An outcome of this instance, if the coordinator cannot be asked whether it still counts.
        let mut recorded: Option<Box<Session>> = None;
        let mut has_waited = false;
        for attempt in 0..limits::SHARED_REFRESH_TIMEOUT_MS / limits::FETCH_POLL_MS {
            let now = host.now();
            let session = newest.as_deref().unwrap_or(session);
            match self.state.with(|state| state.refreshes.join(session, now)) {
                RefreshTurn::Start(token) => {
                    has_waited = true;
                    let job = host.spawn(SessionJob::refresh(self, session, token, user_ip.clone()));
                    if !completes_within(job, host.sleep(limits::SHARED_REFRESH_TIMEOUT_MS)).await {
                        break;
                    }
                }
                RefreshTurn::Wait => {
                    has_waited = true;
                    host.sleep(limits::FETCH_POLL_MS).await;
                }
                // The refreshed session may have ended in another instance since: ask the coordinator.
                RefreshTurn::Done(next) if attempt == 0 && host.has_coordinator() => {
                    self.state.with(|state| state.refreshes.forget(session));
                    recorded = Some(next);
                }
                // A request with an older cookie: its client did not receive the outcome. One refresh in a request, however short the
                // lifetime of its tokens is.
                RefreshTurn::Done(next) if !has_waited && next.needs_refresh(now) => newest = Some(next),
                RefreshTurn::Done(session) => return Refreshed::Session(session),
                RefreshTurn::Ended => return Refreshed::Ended,
                RefreshTurn::Failed => break,
            }
        }
        // The refresh token of an older cookie has been used.
        newest.or(recorded).map_or(Refreshed::Unchanged, Refreshed::Session)
    }

    /// Refreshes a session and records the outcome. If the session has ended meanwhile, its new tokens are discarded.
    pub(super) async fn refresh_once(
        self: &Arc<Self>,
        session: &Session,
        token: RefreshTokenHash,
        user_ip: Option<&str>,
        host: &impl LoginHost,
    ) {
        let outcome = if host.has_coordinator() {
            self.refresh_by_coordinator(session, host).await
        } else {
            self.exchange_refresh_token(session, user_ip, host).await
        };
        let revokes = self.state.with(|state| state.sessions.ended.revokes_tokens(session.id()));
        let outcome = match revokes {
            None => outcome,
            Some(revokes) => {
                self.discard(outcome, revokes, host).await;
                RefreshOutcome::Ended
            }
        };
        let now = host.now();
        self.state.with(|state| state.refreshes.complete(token, outcome, now));
    }

    async fn refresh_by_coordinator(&self, session: &Session, host: &impl LoginHost) -> RefreshOutcome {
        let timeout_ms = limits::SHARED_REFRESH_TIMEOUT_MS;
        let Some(response) = self.ask_coordinator(session, SessionAction::Refresh, timeout_ms, host).await else {
            host.log(Level::Warning, &"refresh_unavailable: the Durable Object EDGEWARD_SESSIONS did not respond");
            return RefreshOutcome::Failed;
        };
        if let Some(action) = response.end_action() {
            // The gateway ended it, in any instance: record that here, too.
            self.state.with(|state| state.record_end(session, action));
        }
        response.outcome(self)
    }

    /// Drops the new tokens of a session that has ended meanwhile, and revokes them if `revokes` is set.
    pub(super) async fn discard(self: &Arc<Self>, outcome: RefreshOutcome, revokes: bool, host: &impl LoginHost) {
        if let RefreshOutcome::Refreshed(session) | RefreshOutcome::Continued(session) = outcome
            && revokes
        {
            host.spawn(SessionJob::revoke(self, *session)).await;
        }
    }

    /// Exchanges the refresh token at the provider (RFC 6749 §6).
    ///
    /// A new refresh token has replaced the old one, whatever came with it: it is stored if the session continues, and revoked if it ends.
    pub(super) async fn exchange_refresh_token(
        self: &Arc<Self>,
        session: &Session,
        user_ip: Option<&str>,
        host: &impl LoginHost,
    ) -> RefreshOutcome {
        let Ok(provider) = self.provider(host).await else { return RefreshOutcome::Failed };
        let token = session.tokens().refresh.as_deref().unwrap_or_default();
        let former = self.client.key_of(session);
        // Without `scope`, the granted scope stays the same.
        let parameters = [REFRESH_GRANT, ("refresh_token", token)];
        // The session with the new refresh token alone.
        let continued = |refresh_token: Option<String>| match refresh_token {
            Some(token) => RefreshOutcome::Continued(Box::new(session.clone().with_refresh_token(token))),
            None => RefreshOutcome::Failed,
        };
        let response = match self.client.request_tokens(&provider, &parameters, user_ip, former, host).await {
            Ok(response) => response,
            Err(error) => {
                let line = match &error {
                    TokenError::Refused(error, failure) => format!("{failure}, {error}"),
                    TokenError::Unavailable { failure, .. } => failure.to_string(),
                };
                if error.ends_session() {
                    host.log(
                        Level::Warning,
                        &format_args!(
                            "session_ended: the provider refused a refresh token: {line}; if this is common, check that \
                             refresh token rotation is enabled and has an overlap period"
                        ),
                    );
                    return RefreshOutcome::Ended;
                }
                host.log(Level::Warning, &format_args!("refresh_unavailable: {line}; the session continues"));
                return match error {
                    TokenError::Refused(..) => RefreshOutcome::Failed,
                    TokenError::Unavailable { refresh_token, .. } => continued(refresh_token),
                };
            }
        };
        let refresh_token = response.refresh_token.clone();
        let id = match self.verify_refreshed_id_token(&response, host).await {
            Ok(id) => id,
            Err(error) => {
                let line = format_args!("id_token_invalid: {}: {error}; the new tokens are not used", error.code());
                host.log(Level::Warning, &line);
                return continued(refresh_token);
            }
        };
        let user = id.as_ref().map_or(session.claims(), VerifiedToken::claims);
        let access = self.check_access_token(user, &response.access_token, host).await;
        let userinfo = match &id {
            Some(id) => self.userinfo_of_session(id.claims(), &response, host).await,
            None => Ok(None),
        };
        let mut ends = false;
        if let Err(error) = &userinfo {
            ends = *error == UserinfoError::SubjectMismatch;
            let outcome = if ends { "the session ends" } else { "the user's claims stay as they are" };
            host.log(Level::Warning, &format_args!("{}: {}; {outcome}", error.code(), error.hint()));
        }
        if !ends {
            match response.refresh(session.clone(), &self.client, id.as_ref(), userinfo, &access, host.now()) {
                Ok(next) if self.sessions.fits(&next) => return RefreshOutcome::Refreshed(Box::new(next)),
                Ok(_) | Err(RefreshRejected::TooLarge) => {
                    host.log(
                        Level::Warning,
                        &"session_too_large: the new tokens are larger than a session can store, so they are not used",
                    );
                    return continued(refresh_token);
                }
                Err(RefreshRejected::Claim(claim)) => {
                    let line = format_args!(
                        "id_token_invalid: its claim \"{claim}\" is not that of the login; the session ends"
                    );
                    host.log(Level::Warning, &line);
                }
            }
        }
        if let Some(token) = refresh_token {
            host.spawn(SessionJob::revoke(self, session.clone().with_refresh_token(token))).await;
        }
        RefreshOutcome::Ended
    }

    /// Verifies the ID token of a refresh. Returns `None` if there is none or its key is unavailable.
    async fn verify_refreshed_id_token(
        &self,
        response: &TokenResponse,
        host: &impl LoginHost,
    ) -> Result<Option<VerifiedToken<Id>>, VerifyError> {
        let Some(token) = response.id_token.as_deref() else { return Ok(None) };
        let policy = self.id_policy.clone().at_hash_of(response.access_token.as_str());
        match self.keys.verify(&policy, token, host).await {
            Ok(id) => Ok(Some(id)),
            // The old refresh token is already used, so the new tokens must not be lost: the user's claims stay as they are.
            Err(VerificationError::Unavailable(_) | VerificationError::Refused(VerifyError::KeyNotFound)) => Ok(None),
            Err(VerificationError::Refused(error)) => Err(error),
        }
    }
}

/// Waits for `work`, at most until `limit` is ready. Returns whether `work` has completed.
pub(super) async fn completes_within(work: impl Future<Output = ()>, limit: impl Future<Output = ()>) -> bool {
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
    /// Whether the error ends the session: the refresh token was used or revoked, or has expired, or the user must log in again (RFC 6749
    /// §5.2, OpenID Connect Core §3.1.2.6). Anything else says nothing about the refresh token: an error of the client, of the request or
    /// of the server, or a document of something in front of the provider, which may have a member `error`, too.
    fn ends_session(&self) -> bool {
        match self {
            Self::Refused(error, failure) => {
                // 400 is standard; Auth0 refuses refresh tokens with 403.
                matches!(failure.status(), 400 | 401 | 403)
                    && matches!(
                        error.code(),
                        "invalid_grant" | "interaction_required" | "login_required" | "consent_required"
                    )
            }
            Self::Unavailable { .. } => false,
        }
    }
}

impl TokenResponse {
    /// Returns the session with its new tokens. `id` is the new ID token, if there is one and it was verified; without it, or if
    /// `userinfo` failed, the user's claims stay. `access` is the verdict on the access token.
    fn refresh(
        mut self,
        session: Session,
        client: &Client,
        id: Option<&VerifiedToken<Id>>,
        userinfo: Result<Option<Document>, UserinfoError>,
        access: &AccessTokenVerdict,
        now: UnixTime,
    ) -> Result<Session, RefreshRejected> {
        let claims = match id {
            Some(id) => {
                check_same_login(&session, id.claims())?;
                if !client.admits(id.claims()) {
                    return Err(RefreshRejected::Claim("org_id"));
                }
                match userinfo {
                    Ok(userinfo) => {
                        client.user_claims(id.claims(), userinfo.as_ref()).ok_or(RefreshRejected::TooLarge)?
                    }
                    // Claims that only userinfo has would be lost.
                    Err(_) => session.claims().clone(),
                }
            }
            None => session.claims().clone(),
        };
        let claims = with_sid_of(session.claims(), claims).ok_or(RefreshRejected::TooLarge)?;
        let (previous, rights) = (session.tokens().clone(), session.rights().cloned());
        // The scope stated for an unverified token stays valid, too.
        let scope = self.scope.take().or_else(|| session.unverified_scope().map(Into::into));
        let mut tokens = self.into_tokens(access, now);
        tokens.refresh = tokens.refresh.or(previous.refresh);
        // An unverified ID token is not stored.
        tokens.id = tokens.id.filter(|_| id.is_some()).or(previous.id);
        let session = session.refreshed(claims, tokens);
        client.apply_rights(session, access, scope.as_deref(), rights.as_ref()).ok_or(RefreshRejected::TooLarge)
    }
}

/// Returns the claims with the `sid` of the login, if it had one: a back-channel logout names it, and providers omit it in refreshes.
fn with_sid_of(login: &Claims, claims: Claims) -> Option<Claims> {
    let Some(sid) = login.get("sid") else { return Some(claims) };
    let members = claims.members().filter(|(name, _)| *name != "sid").chain([("sid", sid)]);
    Claims::from_members(&mut members.map(|(name, value)| (name, value.to_json())))
}

/// Checks that a refreshed ID token is for the login of the session (OpenID Connect Core §12.2). `auth_time` is not compared,
/// because providers update it when the user logs in again elsewhere.
fn check_same_login(session: &Session, new: &Claims) -> Result<(), RefreshRejected> {
    let user = session.claims();
    let previous = session.id_token_claims();
    let same = |name| {
        let text = |claims: &Claims| claims.get(name).and_then(Value::as_str).map(ToString::to_string);
        previous.as_ref().is_none_or(|previous| text(previous) == text(new))
    };
    let same_audience = |previous: &Claims| {
        let (one, two) = (previous.audience(), new.audience());
        one.iter().all(|audience| two.contains(audience)) && two.iter().all(|audience| one.contains(audience))
    };
    // Null is absent.
    let nonce = new.get("nonce").filter(|nonce| !matches!(nonce, Value::Null)).map(Value::as_str);
    let rules = [
        ("iss", new.issuer() == user.issuer()),
        ("sub", new.subject() == user.subject()),
        ("aud", previous.as_ref().is_none_or(same_audience)),
        ("azp", same("azp")),
        ("nonce", nonce.is_none_or(|nonce| nonce == Some(session.nonce()))),
    ];
    match rules.into_iter().find(|(_, holds)| !holds) {
        Some((claim, _)) => Err(RefreshRejected::Claim(claim)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{RefreshRejected, check_same_login};
    use crate::base64url;
    use crate::io::UnixTime;
    use crate::jwt::Claims;
    use crate::session::{Session, Tokens};

    fn claims(json: &str) -> Claims {
        Claims::from_json(json.into()).unwrap()
    }

    /// Returns a session whose ID token has these claims.
    fn session(json: &str) -> Session {
        let encode = |json: &str| base64url::encode(json.as_bytes());
        let id = format!("{}.{}.AA", encode(r#"{"alg":"RS256"}"#), encode(json));
        let tokens = Tokens { id: Some(id), ..Tokens::default() };
        Session::new("s".into(), claims(json), tokens, UnixTime::from_secs(0))
            .with_login(UnixTime::from_secs(0), "n".into())
    }

    /// Returns the claim that differs.
    fn differs(session: &Session, new: &str) -> Option<&'static str> {
        match check_same_login(session, &claims(new)) {
            Ok(()) => None,
            Err(RefreshRejected::Claim(claim)) => Some(claim),
            Err(RefreshRejected::TooLarge) => Some(""),
        }
    }

    #[test]
    fn a_valid_id_token_of_another_login_is_refused() {
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
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a","nonce":null,"auth_time":null}"#, None),
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a","nonce":""}"#, Some("nonce")),
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":"a","nonce":7}"#, Some("nonce")),
            (r#"{"iss":"i","sub":"u","aud":["a","b"],"azp":7}"#, Some("azp")),
        ] {
            assert_eq!(differs(&session, new), expected, "{new}");
        }
    }
}
