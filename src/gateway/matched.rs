//! A request that has a route: who asks, and whether they may.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{self, Break, Continue};

use super::Gateway;
use super::headers::HeaderValue;
use super::intent::cross_site_request;
use super::route::{Auth, Integration, OnForbidden, OnUnauthenticated, Route};
use crate::error::{Forbidden, VerifyError};
use crate::http::{
    Bearer, MALFORMED_AUTHORIZATION, Page, Reply, RequestHead, TOKEN_IN_QUERY, bad_request, bearer_token, can_navigate,
    forbidden, is_cross_site, is_navigation, is_prefetch, missing_token, refused,
};
use crate::io::UnixTime;
use crate::jwt::Claims;
use crate::limits;
use crate::oidc::{RelyingParty, ReturnTo, has_parameter, login_url};
use crate::session::{Cookies, Session};

/// A request that has a route.
#[derive(Debug)]
pub(crate) struct MatchedRequest<'g> {
    pub(super) gateway: &'g Gateway,
    pub(super) route: &'g Route,
    /// As it came.
    pub(super) path: String,
}

/// What a request proves itself with.
#[derive(Debug)]
pub(crate) enum Credentials<'g> {
    /// Nothing, and nothing is needed.
    Anonymous,
    /// This token, to be verified.
    Bearer(Token),
    /// This session: somebody who is logged in.
    Session(&'g Arc<RelyingParty>, Arc<Session>),
}

/// A token as received. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whoever asks, verified.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'c> {
    /// The claims about them.
    pub(crate) claims: &'c Claims,
    /// Their access token.
    pub(crate) token: &'c str,
}

/// Where a step of a request leads: on, or to its answer.
pub(super) type Step<T> = ControlFlow<Reply, T>;

impl<'g> MatchedRequest<'g> {
    pub(super) fn new(gateway: &'g Gateway, route: &'g Route, path: String) -> Self {
        Self { gateway, route, path }
    }

    /// The path, as it came.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the route itself gets the session new tokens, so that nothing does so before it.
    pub(crate) fn is_refresh(&self) -> bool {
        self.route.integration == Integration::Refresh
    }

    /// Reads what the request proves itself with. Answers with a challenge where credentials are needed and missing, with 400 for
    /// malformed or misplaced ones, with 403 for what another site made the browser send.
    pub(crate) fn credentials(&self, head: &RequestHead<'_>, now: UnixTime) -> Step<Credentials<'g>> {
        let is_for_callers = matches!(self.route.integration, Integration::Userinfo | Integration::Refresh);
        if self.route.auth == Auth::None {
            // These two speak about a session, on whatever route they are.
            if !is_for_callers {
                return Continue(Credentials::Anonymous);
            }
            return match self.session(head, now) {
                Some((party, session)) => self.accept_session(head, party, session),
                None => Break(self.challenge_clearing(head, now)),
            };
        }
        if has_parameter(head.url_parts().query.unwrap_or_default(), "access_token") {
            return Break(bad_request(TOKEN_IN_QUERY));
        }
        match bearer_token((head.header)("authorization").as_deref()) {
            Bearer::Token(token) => return Continue(Credentials::Bearer(Token(token.into()))),
            Bearer::Malformed => return Break(bad_request(MALFORMED_AUTHORIZATION)),
            Bearer::Absent => {}
        }
        match self.session(head, now) {
            Some((party, session)) if session.can_refresh() || self.is_valid_for_route(&session, now) => {
                self.accept_session(head, party, session)
            }
            _ if self.is_optional() => Continue(Credentials::Anonymous),
            Some((_, session)) => Break(self.require_login(head, &session, now)),
            None => Break(self.challenge_clearing(head, now)),
        }
    }

    /// The session of the request, if it has a live one; the newest of several.
    fn session(&self, head: &RequestHead<'_>, now: UnixTime) -> Option<(&'g Arc<RelyingParty>, Arc<Session>)> {
        let party = self.gateway.login.as_ref()?;
        Some((party, party.session_of(head, now)?))
    }

    /// Whether who is not logged in may pass too.
    pub(crate) fn is_optional(&self) -> bool {
        self.route.auth == Auth::Optional
    }

    /// Whether the session does for this route. What an access token grants ends with it, whether it can be replaced or not; the
    /// login itself goes on.
    pub(crate) fn is_valid_for_route(&self, session: &Session, now: UnixTime) -> bool {
        !session.has_expired_access_token(now)
            || !self.needs_access_token() && self.route.requirements.check(session.claims_at(now)).is_ok()
    }

    /// The answer to a session that [does not do](Self::is_valid_for_route): a new login brings a new access token. Unless this
    /// one has just begun, for then the next will bring another that has expired.
    pub(crate) fn require_login(&self, head: &RequestHead<'_>, session: &Session, now: UnixTime) -> Reply {
        if session.age_s(now) >= limits::FRESH_LOGIN_S {
            return self.challenge(head);
        }
        let error = VerifyError::TokenExpired { exp: session.tokens().access_expires_s, now: now.secs() };
        if !is_navigation(head) {
            return refused(&error);
        }
        let login = self.gateway.login().and_then(|login| login.login_path.as_deref());
        let again = login.map(|path| login_url(path, &self.return_to(head)));
        Page {
            status: 403,
            title: "You cannot see this page",
            message: "You are logged in, but the access token that came with the login has expired already.",
            code: error.code(),
            action: again.as_deref().map(|address| ("Log in again", address)),
        }
        .reply(head.request_id().as_deref())
    }

    fn needs_access_token(&self) -> bool {
        let hands_it_on = |(_, value): &(_, HeaderValue)| value.is_token();
        self.route.requirements.needs_access_token()
            || self.route.integration.headers().is_some_and(|headers| headers.iter().any(hands_it_on))
    }

    /// Cookies go along with requests that other sites cause. Only those that merely read may pass: what they read, the
    /// other site does not see.
    fn accept_session(
        &self,
        head: &RequestHead<'_>,
        party: &'g Arc<RelyingParty>,
        session: Arc<Session>,
    ) -> Step<Credentials<'g>> {
        let is_read = matches!(head.method, "GET" | "HEAD" | "OPTIONS")
            && (head.header)("upgrade").is_none()
            && !self.is_refresh();
        if !is_read && self.is_foreign(head) {
            return Break(cross_site_request());
        }
        Continue(Credentials::Session(party, session))
    }

    /// Whether another site made the browser send this, one that CORS does not trust with credentials.
    pub(super) fn is_foreign(&self, head: &RequestHead<'_>) -> bool {
        let is_trusted = |origin: &str| {
            self.gateway.login().is_some_and(|login| login.client.origin() == origin)
                || self.gateway.cors.as_ref().is_some_and(|cors| cors.trusts(origin))
        };
        is_cross_site(head) && !(head.header)("origin").is_some_and(|origin| is_trusted(&origin))
    }

    /// The answer to somebody who is not logged in: a person opening a page is sent to log in, a program is told.
    pub(crate) fn challenge(&self, head: &RequestHead<'_>) -> Reply {
        let login = self.gateway.login();
        let path = login.and_then(|login| login.login_path.as_deref());
        let sends_to_login = match self.route.on_unauthenticated {
            OnUnauthenticated::Auto => is_navigation(head),
            OnUnauthenticated::Login => can_navigate(head),
            OnUnauthenticated::Status401 => false,
        };
        match (login, path) {
            (Some(login), Some(path)) if sends_to_login => {
                // On the site's own origin, where its cookies are: on another one, logging in would never end.
                let location = login_url(&format!("{}{path}", login.client.origin()), &self.return_to(head));
                Reply::new(302).with("location", location).with("cache-control", "private, no-store")
            }
            _ => missing_token(path),
        }
    }

    /// A challenge that clears cookies which no longer open a session, unless the request is one that changes nothing.
    fn challenge_clearing(&self, head: &RequestHead<'_>, now: UnixTime) -> Reply {
        if head.method == "HEAD" || is_prefetch(head) {
            return self.challenge(head);
        }
        let stale = self.stale_cookies(head, now);
        stale.into_iter().fold(self.challenge(head), |reply, cookie| reply.with("set-cookie", cookie))
    }

    /// A session that is open, but was ended or does not do for this route, keeps its cookie: by the time this answer
    /// arrives, the browser may hold the one of a new login under the same name.
    fn stale_cookies(&self, head: &RequestHead<'_>, now: UnixTime) -> Vec<String> {
        let (Some(login), Some(header)) = (self.gateway.login(), (head.header)("cookie")) else { return Vec::new() };
        let cookies = Cookies::new(&header);
        let is_stale = cookies.has(&login.sessions.cookie.name)
            && login.sessions.open(&cookies, login.client.host(), now).is_none();
        if is_stale { login.sessions.clear(&cookies) } else { Vec::new() }
    }

    /// Where to come back to: the path with its query, if that is one to come back to.
    fn return_to(&self, head: &RequestHead<'_>) -> ReturnTo {
        let path = &self.path;
        let with_query = head.url_parts().query.and_then(|query| ReturnTo::parse(&format!("{path}?{query}")));
        with_query.or_else(|| ReturnTo::parse(path)).unwrap_or_default()
    }

    /// Where a login ends that was begun for `location`: there, unless that is a part of logging in or out itself, which a link
    /// of another site may have named.
    pub(crate) fn landing(&self, location: String) -> String {
        let path = location.split('?').next().unwrap_or_default();
        let route = self.gateway.route_at(path, "GET");
        if route.is_some_and(|route| route.integration.is_login_flow()) { "/".into() } else { location }
    }

    /// Checks the rights that the route demands. Answers with 403, or a redirect where the route says so.
    pub(crate) fn authorize(&self, head: &RequestHead<'_>, claims: &Claims) -> Step<()> {
        match self.route.requirements.check(claims) {
            Ok(()) => Continue(()),
            Err(reason) => Break(self.forbid(head, &reason)),
        }
    }

    /// The answer to a token that was refused.
    pub(crate) fn refuse(&self, head: &RequestHead<'_>, error: &VerifyError) -> Reply {
        match error {
            VerifyError::Forbidden(reason) => self.forbid(head, reason),
            VerifyError::ClientNotAllowed(_) => self.redirect_forbidden().unwrap_or_else(|| refused(error)),
            error => refused(error),
        }
    }

    fn forbid(&self, head: &RequestHead<'_>, reason: &Forbidden) -> Reply {
        if let Some(redirect) = self.redirect_forbidden() {
            return redirect;
        }
        if self.gateway.login().and_then(|login| login.login_path.as_ref()).is_some() && is_navigation(head) {
            return forbidden_page(head, reason);
        }
        forbidden(reason, &self.route.requirements)
    }

    fn redirect_forbidden(&self) -> Option<Reply> {
        match &self.route.on_forbidden {
            OnForbidden::Problem => None,
            OnForbidden::Redirect(path) => {
                Some(Reply::new(302).with("location", path.clone()).with("cache-control", "private, no-store"))
            }
        }
    }
}

/// 403 for a person.
fn forbidden_page(head: &RequestHead<'_>, reason: &Forbidden) -> Reply {
    Page {
        status: 403,
        title: "You cannot see this page",
        message: "You are logged in, but your account does not have the rights that this page needs.",
        code: reason.code(),
        action: Some(("Go to the start page", "/")),
    }
    .reply(head.request_id().as_deref())
}
