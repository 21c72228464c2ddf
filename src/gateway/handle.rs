//! The handling of a request, from its head to an answer.

use alloc::sync::Arc;
use core::ops::ControlFlow::{Break, Continue};

use super::action::Action;
use super::event::RequestEvent;
use super::forward::{Forward, SessionChange, SessionContext};
use super::hosts::misdirected;
use super::intent::{CROSS_SITE_REQUEST, cross_site_request};
use super::matched::{BEGIN_LOGIN, Caller, Credentials, MatchedRequest};
use super::route::LoginStep;
use super::token_source::Token;
use super::{Gateway, HEALTH_PATH};
use crate::host::{Level, REQUEST};
use crate::http::{Reply, RequestHead, missing_token, token_not_accepted, unavailable, with_resource_metadata};
use crate::io::UnixTime;
use crate::oidc::{
    AccessTokenVerdict, LoginError, LoginHost, LoginRequest, Refreshed, RelyingParty, RevocationUnavailable,
    revocation_unavailable,
};
use crate::session::Session;

/// The answer to a request. See [`Gateway`] for an example.
#[derive(Debug)]
pub enum Answer<'g> {
    /// A response of the gateway itself.
    Reply(Reply),
    /// The request goes to an origin, whose response is returned.
    Forward(Forward<'g>),
}

impl Gateway {
    /// Handles a request.
    ///
    /// 1. With several authorizers, choose that of the host, or return 421.
    /// 2. Find the route on which all readings of the path agree, or return 400, 404 or 405; answer a CORS preflight.
    /// 3. Read the credentials: a bearer token, a session or none; or refuse.
    /// 4. Verify the token; or refresh the session if it is due (it was verified at login).
    /// 5. Check the requirements of the route, or return 403.
    /// 6. Perform the route: forward, respond, log in or log out.
    ///
    /// Where the gateway itself refuses a browser navigation, a page takes the place of the problem document.
    pub async fn handle(&self, head: &RequestHead<'_>, host: &impl LoginHost) -> Answer<'_> {
        self.handle_with_event(head, host, &mut None).await
    }

    /// Handles a request in the same way, and fills in the event if there is one.
    pub async fn handle_with_event<'g>(
        &'g self,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
    ) -> Answer<'g> {
        if head.url_parts().path == HEALTH_PATH {
            return Answer::Reply(health());
        }
        let Some(gateway) = self.of_host(head) else { return Answer::Reply(self.rendered(misdirected(), head)) };
        if let Some(resource) = gateway.resource.as_ref().filter(|resource| resource.serves(head)) {
            return Answer::Reply(gateway.rendered(resource.metadata(head.method), head));
        }
        match gateway.answer(head, host, event).await.with_cors(gateway.cors_headers(head)) {
            Answer::Reply(reply) => Answer::Reply(gateway.rendered(reply, head)),
            forward @ Answer::Forward(_) => forward,
        }
    }

    async fn answer<'g>(
        &'g self,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
    ) -> Answer<'g> {
        let request = match self.match_route(head) {
            Continue(request) => request,
            Break(reply) => return Answer::Reply(reply),
        };
        if let Some(event) = event {
            event.route = request.route.pattern.as_str();
        }
        let answer = match request.credentials(head, host.now()) {
            Continue(Credentials::Anonymous) => request.perform(head, None, None, host).await,
            Continue(Credentials::Bearer(token)) => {
                let mut is_authenticated = false;
                let answer = request.answer_bearer(head, &token, host, event, &mut is_authenticated).await;
                let answer = request.observed(answer, head, host, event).await;
                if token.is_dpop() {
                    answer.after_proof(is_authenticated, self.sender.nonce(host.now()))
                } else {
                    answer
                }
            }
            Continue(Credentials::Session(party, session)) => {
                request.answer_session(head, party, session, host, event).await
            }
            Break(reply) => {
                let name = self.login.as_ref().map(|login| login.sessions.cookie.name.as_str());
                let is_of_session = |cookie: &str| {
                    name.and_then(|name| cookie.strip_prefix(name)).is_some_and(|rest| rest.starts_with(['=', '.']))
                };
                if reply.headers.iter().any(|(name, value)| name == "set-cookie" && is_of_session(value)) {
                    host.log(
                        Level::Warning,
                        &"session_unsealable: a session cookie has expired, belongs to another login, or was sealed with a \
                          secret that is no longer in session.secrets; it is cleared",
                    );
                }
                request.observed(Answer::Reply(reply), head, host, event).await
            }
        };
        let answer = match answer {
            Answer::Reply(reply) if reply.status == BEGIN_LOGIN => {
                Answer::Reply(request.begin_login(head, reply, host).await)
            }
            answer => answer,
        };
        if let (Some(event), Answer::Reply(reply), true) = (&mut *event, &answer, request.is_refresh()) {
            event.is_refreshed = match reply.code {
                "" if reply.status < 300 => Some(true),
                "refresh_unavailable" | "session_ended" => Some(false),
                _ => event.is_refreshed,
            };
        }
        match answer {
            Answer::Reply(reply) if request.route.accepts_bearer() => {
                let reply = match &self.resource {
                    Some(resource) => {
                        with_resource_metadata(reply, resource.metadata_url(), &request.route.requirements)
                    }
                    None => reply,
                };
                Answer::Reply(self.sender.with_challenge(reply, head))
            }
            answer => answer,
        }
    }
}

impl<'g> MatchedRequest<'g> {
    /// Answers a request with a bearer token. No cache may store the answer if the browser adds the token by itself: the next user of the
    /// browser may have another. Sets `is_authenticated` once the token has passed, with its proof if it needs one.
    async fn answer_bearer(
        &self,
        head: &RequestHead<'_>,
        token: &Token,
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
        is_authenticated: &mut bool,
    ) -> Answer<'g> {
        let Some(verifier) = &self.gateway.verifier else {
            return Answer::Reply(Reply::problem(503, "config_invalid", "No issuer is configured."));
        };
        let text = token.as_str();
        if let Some(event) = event {
            event.is_cached = verifier.has_cached(text);
        }
        let verified = match self.authenticate(verifier, head, token, host).await {
            Ok(verified) => verified,
            Err(reply) => return Answer::Reply(reply),
        };
        *is_authenticated = true;
        if let Some(event) = event {
            event.token = Some(verified.clone());
        }
        if let Some(revocations) = &self.gateway.revocations {
            match revocations.ends_token(text, verified.claims(), host).await {
                Ok(false) => {}
                Ok(true) => return Answer::Reply(token_not_accepted("token_revoked", "The token was revoked.")),
                Err(RevocationUnavailable) => return Answer::Reply(revocation_unavailable()),
            }
        }
        if let Break(reply) = self.authorize(verified.claims()) {
            return Answer::Reply(reply);
        }
        if let Break(reply) = self.check_login(head, verified.claims(), false, host.now()) {
            return Answer::Reply(reply);
        }
        let answer = self.perform(head, Some(Caller { claims: verified.claims(), token: text }), None, host).await;
        if token.is_ambient() { answer.not_stored() } else { answer }
    }

    /// Answers a request with a session. No cache may store the answer.
    async fn answer_session(
        &self,
        head: &RequestHead<'_>,
        party: &Arc<RelyingParty>,
        mut session: Arc<Session>,
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
    ) -> Answer<'g> {
        if let Some(answer) = self.answer_revoked(head, party, &session, (None, host.now()), host, event).await {
            return answer;
        }
        let mut has_waited = false;
        let mut at = host.now();
        let mut change = party.sessions.should_rewrite_cookie(&session, at).then_some(SessionChange::Rewritten);
        let is_due = session.needs_refresh(host.now()) || session.can_refresh() && party.client.lacks_key_of(&session);
        if is_due && !self.is_refresh() {
            has_waited = true;
            let refreshed = party.refresh(&session, head.client_address(), host).await;
            if let Some(event) = event {
                event.is_refreshed = Some(matches!(refreshed, Refreshed::Session(_)));
            }
            match refreshed {
                Refreshed::Session(refreshed) => {
                    (session, change, at) = (Arc::from(refreshed), Some(SessionChange::Refreshed), host.now());
                }
                Refreshed::Unchanged => {}
                Refreshed::Ended => {
                    let context =
                        SessionContext::new(head, party, session, Some(SessionChange::Ended), host.now(), host);
                    let answer = self.answer_anonymous(head, None, host).await;
                    let answer = self.observed(answer, head, host, event).await;
                    return answer.with_session(context, head, host).await;
                }
            }
        }
        let mut verdict = None;
        if session.has_unverified_access_token() {
            has_waited = true;
            let (verified, updated) = party.reverify_access_token(&session, host).await;
            verdict = Some(verified);
            if let Some(updated) = updated {
                (session, change) = (Arc::new(updated), change.or(Some(SessionChange::Rewritten)));
            }
        }
        // It may have been revoked meanwhile.
        if has_waited && let Some(answer) = self.answer_revoked(head, party, &session, (change, at), host, event).await
        {
            return answer;
        }
        if let Some(event) = event {
            event.session = Some(Arc::clone(&session));
        }
        let answer = self.answer_for_session(head, &session, verdict.as_ref(), host).await;
        let answer = self.observed(answer, head, host, event).await;
        answer.with_session(SessionContext::new(head, party, session, change, at, host), head, host).await
    }

    /// Answers a request whose session was revoked, or may have been; `None` if it counts.
    async fn answer_revoked(
        &self,
        head: &RequestHead<'_>,
        party: &Arc<RelyingParty>,
        session: &Arc<Session>,
        (change, at): (Option<SessionChange>, UnixTime),
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
    ) -> Option<Answer<'g>> {
        let (answer, change) = match self.gateway.revocations.as_ref()?.ends_session(session, host).await {
            Ok(false) => return None,
            Ok(true) => {
                // Its cookie stays: by the time the response arrives, the browser may hold that of a new login under the same name.
                let answer = self.answer_anonymous(head, None, host).await;
                (self.observed(answer, head, host, event).await, None)
            }
            // The former refresh token may be used up.
            Err(RevocationUnavailable) => (Answer::Reply(revocation_unavailable()), change),
        };
        let context = SessionContext::new(head, party, Arc::clone(session), change, at, host);
        Some(answer.with_session(context, head, host).await)
    }

    async fn answer_for_session(
        &self,
        head: &RequestHead<'_>,
        session: &Session,
        verdict: Option<&AccessTokenVerdict>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let now = host.now();
        if !self.is_valid_for_route(session, now) {
            return self.answer_anonymous(head, Some(session), host).await;
        }
        let caller = Caller { claims: session.claims_at(now), token: &session.tokens().access };
        match (self.authorize_session(caller.claims), verdict) {
            // The ID token describes the login.
            (Continue(()), _) => match self.check_login(head, session.claims(), true, now) {
                Continue(()) => self.perform(head, Some(caller), Some(session), host).await,
                Break(reply) => Answer::Reply(reply),
            },
            // The rights of the token are unknown, so 403 could be wrong.
            (Break(_), Some(AccessTokenVerdict::KeysUnavailable(why))) => {
                Answer::Reply(unavailable(why.error, why.retry_after_s))
            }
            (Break(reply), _) => Answer::Reply(reply),
        }
    }

    /// Answers a request without a usable session: anonymously on an optional route, else with a refusal. `session` is one that is
    /// not valid for the route.
    async fn answer_anonymous(
        &self,
        head: &RequestHead<'_>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        if self.is_optional() {
            return self.perform(head, None, None, host).await;
        }
        Answer::Reply(match session {
            Some(session) => self.require_login(head, session, host.now()),
            None => self.challenge(head),
        })
    }

    /// Lets a refused request pass as an anonymous one if the route only observes, and logs the refusal. What another site made the
    /// browser send stays refused, and so does everything that is no matter of credentials and rights.
    async fn observed(
        &self,
        answer: Answer<'g>,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
        event: &mut Option<RequestEvent<'g>>,
    ) -> Answer<'g> {
        let refusal = match answer {
            Answer::Reply(reply) if matches!(reply.status, 401 | 403) => reply,
            other => return other,
        };
        let Reply { status, code, .. } = refusal;
        if !self.route.only_observes || matches!(code, "" | CROSS_SITE_REQUEST) {
            return Answer::Reply(refusal);
        }
        // With the cookies of the origin, which the gateway does not know.
        if self.is_forgeable(head) && (head.header)("cookie").is_some() {
            return Answer::Reply(cross_site_request());
        }
        let Action::Answer(passed) = self.action(head, None) else { return Answer::Reply(refusal) };
        if matches!(&passed, Answer::Reply(reply) if !reply.code.is_empty()) {
            return passed;
        }
        let (route, request_id) = (self.route.pattern.as_str(), head.request_id().unwrap_or_default());
        let line =
            format_args!("observed: {code} ({status}) on the route {route}, which lets it pass{REQUEST}{request_id})");
        host.log(Level::Warning, &line);
        if let Some(event) = event {
            event.observed = code;
        }
        // Without a token of `upstream_auth`: nothing that the gateway is entitled to is for a refused request.
        let cookies = refusal.headers.into_iter().filter(|(name, _)| name == "set-cookie").map(|(_, cookie)| cookie);
        passed.observed(code, self.has_token(head), cookies.collect(), host.now())
    }

    /// Performs the route's integration.
    async fn perform(
        &self,
        head: &RequestHead<'_>,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let (step, party) = match self.action(head, caller) {
            Action::Answer(Answer::Forward(forward)) => {
                return match self.gateway.identity_header(caller, session, host).await {
                    Ok(header) => {
                        let forward = forward.with_header(header);
                        self.with_upstream_token(head.method, forward, caller, session, host).await
                    }
                    Err(reply) => Answer::Reply(reply),
                };
            }
            Action::Answer(answer) => return answer,
            Action::Login(step, party) => (step, party),
            Action::Revoke => {
                return Answer::Reply(self.gateway.revoke(head, caller, &self.route.requirements, host).await);
            }
            Action::Status(status) => return Answer::Reply(status.reply(head, &self.gateway.pages, host).await),
        };
        let outcome = match step {
            LoginStep::Begin => party.begin(head, self.path(), host).await,
            LoginStep::Callback => party.callback(head, |location| self.login_destination(location), host).await,
            LoginStep::Inspect => party.inspect_callback(head, host).await,
            LoginStep::Logout => Ok(party.logout(head, host).await),
            LoginStep::Refresh => Ok(party.refresh_route(head, session, host).await),
            LoginStep::Userinfo => Ok(match caller {
                Some(caller) => party.userinfo(caller.claims, caller.token, session, host).await,
                None => missing_token(None),
            }),
            LoginStep::BackchannelLogout => Ok(match &self.gateway.revocations {
                Some(revocations) => party.backchannel_logout(head, revocations, host).await,
                None => revocation_unavailable(),
            }),
            LoginStep::Claims => {
                Ok(caller.map_or_else(|| missing_token(None), |caller| Reply::json(caller.claims.as_json().into())))
            }
        };
        Answer::Reply(outcome.unwrap_or_else(|error| {
            let destination = match step {
                LoginStep::Callback => party.callback_destination(head).map(|to| self.login_destination(to)),
                _ => None,
            };
            login_failed(&error, head, party, destination.as_deref(), host)
        }))
    }

    /// Begins a login with this very request, which comes back to its URL. `challenge` has further headers.
    async fn begin_login(&self, head: &RequestHead<'_>, challenge: Reply, host: &impl LoginHost) -> Reply {
        let (Some(party), Some(destination)) = (&self.gateway.login, self.return_to(head)) else {
            return Reply::problem(503, "config_invalid", "Login is not configured.");
        };
        let request = LoginRequest::to(destination.clone()).with_step_up(&self.route.step_up);
        let begun = party.start(head, request, host).await;
        let mut reply =
            begun.unwrap_or_else(|error| login_failed(&error, head, party, Some(destination.as_str()), host));
        reply.headers.extend(challenge.headers);
        reply
    }
}

/// Logs the error of a login, and returns the response.
fn login_failed(
    error: &LoginError,
    head: &RequestHead<'_>,
    party: &RelyingParty,
    destination: Option<&str>,
    host: &impl LoginHost,
) -> Reply {
    // What anyone can state is behind the mark, where it makes no line of its own: such lines are limited like others.
    let (request_id, stated) = (head.request_id().unwrap_or_default(), error.unverified(head, party.keys.issuer()));
    host.log(Level::Warning, &format_args!("{error}{REQUEST}{request_id}{stated})"));
    error.reply(head, party.login_path.as_deref(), destination)
}

/// Returns the health check's response, with the version.
fn health() -> Reply {
    let body = concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#).into();
    Reply { body, ..Reply::new(200) }.with("content-type", "application/json").with("cache-control", "no-store")
}
