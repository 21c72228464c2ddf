//! The life of a request, from its head to an answer.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use super::action::Action;
use super::forward::{Forward, SessionContext};
use super::matched::{Caller, Credentials, MatchedRequest};
use super::route::LoginStep;
use super::{Gateway, HEALTH_PATH};
use crate::host::Level;
use crate::http::{Reply, RequestHead, missing_token, unavailable};
use crate::oidc::{AccessTokenVerdict, LoginHost, Refreshed, RelyingParty};
use crate::session::Session;
use crate::verifier::VerificationError;

/// What a request gets.
#[derive(Debug)]
pub enum Answer<'g> {
    /// An answer of the gateway's own.
    Reply(Reply),
    /// What an origin says.
    Forward(Forward<'g>),
}

impl Gateway {
    /// Answers a request.
    ///
    /// 1. The route that every reading of the path meets, or 400, 404, 405; a CORS preflight is answered.
    /// 2. What the request proves itself with: a bearer token, a session, nothing; or a refusal.
    /// 3. A token is verified; a session was when it began, and is refreshed if it is time.
    /// 4. The rights that the route demands, or 403.
    /// 5. What the route does: forward, answer, log in or out.
    pub async fn handle(&self, head: &RequestHead<'_>, host: &impl LoginHost) -> Answer<'_> {
        if head.url_parts().path == HEALTH_PATH {
            return Answer::Reply(health());
        }
        self.answer(head, host).await.with_cors(self.cors_headers(head))
    }

    async fn answer(&self, head: &RequestHead<'_>, host: &impl LoginHost) -> Answer<'_> {
        let request = match self.enter(head) {
            Continue(request) => request,
            Break(reply) => return Answer::Reply(reply),
        };
        match request.credentials(head, host.now()) {
            Continue(Credentials::Anonymous) => request.act(head, None, None, host).await,
            Continue(Credentials::Bearer(token)) => request.answer_bearer(head, token.as_str(), host).await,
            Continue(Credentials::Session(party, session)) => request.answer_session(head, party, session, host).await,
            Break(reply) => {
                if reply.header("set-cookie").is_some() {
                    host.log(
                        Level::Warning,
                        &"session_unsealable: a session cookie has expired, is foreign, or was sealed with a secret that is not \
                          among session.secrets any more; it is cleared",
                    );
                }
                Answer::Reply(reply)
            }
        }
    }
}

impl<'g> MatchedRequest<'g> {
    /// Answers an API client.
    async fn answer_bearer(&self, head: &RequestHead<'_>, token: &str, host: &impl LoginHost) -> Answer<'g> {
        let Some(verifier) = &self.gateway.verifier else {
            return Answer::Reply(Reply::problem(503, "config_invalid", "No issuer is configured."));
        };
        let verified = match verifier.verify(token, host).await {
            Ok(verified) => verified,
            Err(VerificationError::Refused(error)) => return Answer::Reply(self.refuse(head, &error)),
            Err(VerificationError::Unavailable(why)) => {
                return Answer::Reply(unavailable(why.error, why.retry_after_s));
            }
        };
        if let Break(reply) = self.authorize(head, verified.claims()) {
            return Answer::Reply(reply);
        }
        self.act(head, Some(Caller { claims: verified.claims(), token }), None, host).await
    }

    /// Answers somebody who is logged in. Whatever the answer, no cache may keep it.
    async fn answer_session(
        &self,
        head: &RequestHead<'_>,
        party: &Arc<RelyingParty>,
        mut session: Arc<Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let mut is_changed = party.sessions.is_ageing(&session, host.now());
        if session.needs_refresh(host.now()) && !self.is_refresh() {
            match party.refresh(&session, (head.header)("cf-connecting-ip"), host).await {
                Refreshed::Session(refreshed) => (session, is_changed) = (Arc::from(refreshed), true),
                Refreshed::Unchanged => {}
                Refreshed::Ended => {
                    let cookies = party.cleared_after_end(head, &session);
                    let answer = self.answer_ended(head, host).await;
                    return answer.with_session(SessionContext { party: Arc::clone(party), session, cookies });
                }
            }
        }
        let mut reading = None;
        if session.is_unread() {
            let (read, news) = party.verify_again(&session, host).await;
            reading = Some(read);
            if let Some(news) = news {
                (session, is_changed) = (Arc::new(news), true);
            }
        }
        let answer = self.answer_for_session(head, &session, reading.as_ref(), host).await;
        let cookies = if is_changed { party.changed_cookies(head, &session, host) } else { Vec::new() };
        answer.with_session(SessionContext { party: Arc::clone(party), session, cookies })
    }

    async fn answer_for_session(
        &self,
        head: &RequestHead<'_>,
        session: &Session,
        reading: Option<&AccessTokenVerdict>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let now = host.now();
        if !self.is_valid_for_route(session, now) {
            return if self.is_optional() {
                self.act(head, None, None, host).await
            } else {
                Answer::Reply(self.require_login(head, session, now))
            };
        }
        let caller = Caller { claims: session.claims_at(now), token: &session.tokens().access };
        match (self.authorize(head, caller.claims), reading) {
            (Continue(()), _) => self.act(head, Some(caller), Some(session), host).await,
            // Nobody knows what the token grants: that is no reason to say that it does not.
            (Break(_), Some(AccessTokenVerdict::KeysUnavailable(why))) => {
                Answer::Reply(unavailable(why.error, why.retry_after_s))
            }
            (Break(reply), _) => Answer::Reply(reply),
        }
    }

    /// Answers a request whose session has ended: it is anonymous.
    async fn answer_ended(&self, head: &RequestHead<'_>, host: &impl LoginHost) -> Answer<'g> {
        if self.is_optional() { self.act(head, None, None, host).await } else { Answer::Reply(self.challenge(head)) }
    }

    /// Does what the route does.
    async fn act(
        &self,
        head: &RequestHead<'_>,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let (step, party) = match self.action(head, caller) {
            Action::Answer(answer) => return answer,
            Action::Login(step, party) => (step, party),
        };
        let outcome = match step {
            LoginStep::Begin => party.begin(head, self.path(), host).await,
            LoginStep::Callback => party.callback(head, |location| self.landing(location), host).await,
            LoginStep::Inspect => party.inspect_callback(head, host).await,
            LoginStep::Logout => Ok(party.logout(head, host).await),
            LoginStep::Refresh => Ok(party.refresh_route(head, session, host).await),
            LoginStep::Userinfo => Ok(match caller {
                Some(caller) => party.userinfo(caller.claims, caller.token, session.is_some(), host).await,
                None => missing_token(None),
            }),
        };
        Answer::Reply(outcome.unwrap_or_else(|error| {
            let request_id = head.request_id().unwrap_or_default();
            host.log(Level::Warning, &format_args!("{error} (request {request_id})"));
            error.reply(head, party.login_path.as_deref())
        }))
    }
}

/// Ready to serve: says so, and which version.
fn health() -> Reply {
    let body = concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#).into();
    Reply { body, ..Reply::new(200) }.with("content-type", "application/json").with("cache-control", "no-store")
}

/// The answer to every request while the configuration is invalid.
#[must_use]
pub fn config_invalid() -> Reply {
    let detail = "The gateway's configuration is invalid. Its log lists every problem.";
    Reply::problem(503, "config_invalid", detail)
}
