//! A request matched to a route: its credentials and their authorization.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{self, Break, Continue};

use super::Gateway;
use super::headers::HeaderValue;
use super::intent::cross_site_request;
use super::route::{AcceptedCredentials, Auth, Integration, OnForbidden, OnUnauthenticated, Route};
use super::token_source::{self, Token, TokenSource};
use crate::error::{Forbidden, VerifyError};
use crate::http::{
    PRIVATE, Reply, RequestHead, TOKEN_IN_QUERY, bad_request, can_navigate, forbidden, insufficient_authentication,
    is_cross_origin, is_embedded, is_navigation, is_prefetch, missing_session, missing_token, missing_token_in,
    refused, token_not_accepted,
};
use crate::io::UnixTime;
use crate::jwt::{Claims, check_rules};
use crate::limits;
use crate::oidc::{LoginError, RelyingParty, ReturnTo, has_parameter, login_url, open_in_window, step_up_url};
use crate::session::{Cookies, Session};
use crate::text::concat;

/// A request matched to a route.
#[derive(Debug)]
pub(crate) struct MatchedRequest<'g> {
    pub(super) gateway: &'g Gateway,
    pub(super) route: &'g Route,
    /// The path, exactly as received.
    pub(super) path: String,
}

/// The credentials of a request.
#[derive(Debug)]
pub(crate) enum Credentials<'g> {
    /// None, and none are required.
    Anonymous,
    /// A bearer token, not verified yet.
    Bearer(Token),
    /// A session.
    Session(&'g Arc<RelyingParty>, Arc<Session>),
}

/// The authenticated caller.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'c> {
    /// The verified claims.
    pub(crate) claims: &'c Claims,
    /// The access token.
    pub(crate) token: &'c str,
}

/// The status of an internal reply: the login begins with this very request, because the URL of the login route cannot carry the
/// destination.
pub(super) const BEGIN_LOGIN: u16 = 0;

/// The outcome of a check: continue, or break with a response.
pub(super) type Outcome<T> = ControlFlow<Reply, T>;

impl<'g> MatchedRequest<'g> {
    pub(super) fn new(gateway: &'g Gateway, route: &'g Route, path: String) -> Self {
        Self { gateway, route, path }
    }

    /// Returns the path, exactly as received.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether this is the refresh route, which refreshes the session itself.
    pub(crate) fn is_refresh(&self) -> bool {
        self.route.integration == Integration::Refresh
    }

    /// Reads the credentials of the request. Breaks with a challenge if required ones are missing, with 400 if they are malformed or
    /// misplaced, and with 403 for a cross-site request.
    pub(crate) fn credentials(&self, head: &RequestHead<'_>, now: UnixTime) -> Outcome<Credentials<'g>> {
        let needs_session =
            matches!(self.route.integration, Integration::Userinfo | Integration::Claims | Integration::Refresh);
        if self.route.auth == Auth::None {
            // These require a session even without `auth`.
            if !needs_session {
                return Continue(Credentials::Anonymous);
            }
            return match self.session(head, now) {
                Some((party, session)) => self.accept_session(head, party, session),
                None => Break(self.challenge_clearing_cookies(head, now)),
            };
        }
        if has_parameter(head.url_parts().query.unwrap_or_default(), "access_token") {
            return Break(bad_request(TOKEN_IN_QUERY));
        }
        match self.token(head) {
            Ok(Some(token)) => return self.accept_bearer(head, token),
            Ok(None) => {}
            Err(detail) => return Break(bad_request(detail)),
        }
        let session = if self.route.accepts_session() { self.session(head, now) } else { None };
        match session {
            Some((party, session)) if session.can_refresh() || self.is_valid_for_route(&session, now) => {
                self.accept_session(head, party, session)
            }
            _ if self.is_optional() => Continue(Credentials::Anonymous),
            Some((_, session)) => Break(self.require_login(head, &session, now)),
            None => Break(self.challenge_clearing_cookies(head, now)),
        }
    }

    /// Whether the request has a bearer token, or something in its place.
    pub(super) fn has_token(&self, head: &RequestHead<'_>) -> bool {
        self.token(head) != Ok(None)
    }

    /// Returns the token of the request. Where bearer tokens do not count, what comes by itself, in cookies and headers of proxies, is not read: it
    /// is no attempt to use it, and other hosts of the site may have set it.
    fn token(&self, head: &RequestHead<'_>) -> Result<Option<Token>, &'static str> {
        let counts = |source: &&TokenSource| source.is_authorization() || self.route.accepts_bearer();
        token_source::read(self.gateway.token_sources.iter().filter(counts), self.gateway.sender.reads_dpop(), head)
    }

    /// Accepts a bearer token where the route accepts one, and an audience is configured that it can be for; one that a browser may have
    /// sent unasked, as a session is accepted.
    fn accept_bearer(&self, head: &RequestHead<'_>, token: Token) -> Outcome<Credentials<'g>> {
        if self.route.credentials == AcceptedCredentials::Session {
            return Break(token_not_accepted(
                "bearer_not_accepted",
                "This needs a login. An access token is not accepted.",
            ));
        }
        if self.route.lacks_audience {
            let detail = "An access token is not accepted: the gateway is configured without an audience.";
            return Break(token_not_accepted("audience_not_configured", detail));
        }
        if token.is_ambient() && self.is_forgeable(head) {
            return Break(cross_site_request());
        }
        Continue(Credentials::Bearer(token))
    }

    /// Returns the newest live session of the request.
    fn session(&self, head: &RequestHead<'_>, now: UnixTime) -> Option<(&'g Arc<RelyingParty>, Arc<Session>)> {
        let party = self.gateway.login.as_ref()?;
        Some((party, party.session_of(head, now)?))
    }

    /// Whether the route also accepts anonymous requests.
    pub(crate) fn is_optional(&self) -> bool {
        self.route.auth == Auth::Optional
    }

    /// Whether the session is sufficient for this route without a refresh. Rights expire with the access token, while the login
    /// itself stays valid.
    pub(crate) fn is_valid_for_route(&self, session: &Session, now: UnixTime) -> bool {
        !session.has_expired_access_token(now)
            || !self.needs_access_token() && self.check_session(session.claims_at(now)).is_ok()
    }

    /// Returns the response to a session that is [not valid for the route](Self::is_valid_for_route): a new login, which brings a new
    /// access token. A session that has just begun gets 403 instead, because another login would bring an expired token, too.
    pub(crate) fn require_login(&self, head: &RequestHead<'_>, session: &Session, now: UnixTime) -> Reply {
        if session.age_s(now) >= limits::FRESH_LOGIN_S {
            return self.challenge(head);
        }
        let error = VerifyError::TokenExpired { exp: session.tokens().access_expires_s, now: now.secs() };
        let reply = refused(&error);
        if is_navigation(head) { Reply { status: 403, ..reply } } else { reply }
    }

    fn needs_access_token(&self) -> bool {
        let is_token = |(_, value): &(_, HeaderValue)| value.is_token();
        self.route.requirements.needs_access_token()
            || self.route.upstream_tokens.as_ref().is_some_and(|tokens| tokens.is_exchange())
            || self.route.integration.headers().is_some_and(|headers| headers.iter().any(is_token))
    }

    /// Accepts a session unless another origin may have made the browser send it.
    fn accept_session(
        &self,
        head: &RequestHead<'_>,
        party: &'g Arc<RelyingParty>,
        session: Arc<Session>,
    ) -> Outcome<Credentials<'g>> {
        if self.is_forgeable(head) {
            return Break(cross_site_request());
        }
        Continue(Credentials::Session(party, session))
    }

    /// Whether another origin made the browser send a state-changing request, with the credentials that it adds by itself. Reads are
    /// harmless: the other origin cannot see the response.
    pub(super) fn is_forgeable(&self, head: &RequestHead<'_>) -> bool {
        let is_read = matches!(head.method, "GET" | "HEAD" | "OPTIONS")
            && (head.header)("upgrade").is_none()
            && !self.is_refresh();
        !is_read && self.is_untrusted_cross_origin(head)
    }

    /// Whether another origin made the browser send this request, and CORS does not trust that origin with credentials.
    pub(super) fn is_untrusted_cross_origin(&self, head: &RequestHead<'_>) -> bool {
        let is_trusted = |origin: &str| {
            self.gateway.login().is_some_and(|login| login.client.origin() == origin)
                || self.gateway.cors.as_ref().is_some_and(|cors| cors.trusts(origin))
        };
        is_cross_origin(head) && !(head.header)("origin").is_some_and(|origin| is_trusted(&origin))
    }

    /// Returns the response to an unauthenticated request: a redirect to the login for browser navigations, 401 for API clients.
    pub(crate) fn challenge(&self, head: &RequestHead<'_>) -> Reply {
        match self.login_path() {
            Some((login, path)) if self.sends_to_login(head) => {
                login.returned_from_logout(head, &self.path).unwrap_or_else(|| self.send_to_login(head, login, path))
            }
            path if self.route.accepts_bearer() => self.missing_token(path.map(|(_, path)| path)),
            path => missing_session(path.map(|(_, path)| path)),
        }
    }

    /// Returns the path of the login, if a login opens the route.
    fn login_path(&self) -> Option<(&'g RelyingParty, &'g str)> {
        let login = self.gateway.login().filter(|_| self.route.accepts_session())?;
        Some((login, login.login_path.as_deref()?))
    }

    fn sends_to_login(&self, head: &RequestHead<'_>) -> bool {
        match self.route.on_unauthenticated {
            // An observed refusal needs its code.
            _ if self.route.only_observes => false,
            OnUnauthenticated::Auto => is_navigation(head),
            OnUnauthenticated::Login => can_navigate(head),
            OnUnauthenticated::Status401 => false,
        }
    }

    /// Checks the login behind a token or session, as its verified claims describe it. Breaks with a redirect to another login for browser
    /// navigations with a session, and with 401 for API clients.
    pub(crate) fn check_login(
        &self,
        head: &RequestHead<'_>,
        claims: &Claims,
        has_session: bool,
        now: UnixTime,
    ) -> Outcome<()> {
        let step_up = &self.route.step_up;
        if step_up.is_met(claims, now, now) {
            return Continue(());
        }
        let login = self.login_path().filter(|_| has_session);
        Break(match login {
            Some((login, path)) if self.sends_to_login(head) => self.send_to_login(head, login, path),
            _ => {
                let here = self.return_to(head).filter(|here| is_navigation(head) && here.is_linkable());
                let url = login.map(|(_, path)| here.map_or_else(|| path.into(), |here| login_url(path, &here)));
                let url = url.map(|url: String| step_up_url(&url, step_up));
                insufficient_authentication(&step_up.parameters(), url.as_deref())
            }
        })
    }

    /// Redirects the browser to the login route, with the destination. Where its URL cannot carry it, the login begins at once, or is
    /// refused if the callback would not receive the login's cookie.
    fn send_to_login(&self, head: &RequestHead<'_>, login: &RelyingParty, path: &str) -> Reply {
        let default = &login.client.default_return_to;
        let is_fixed = login.client.callback_uri.is_some();
        let destination = if is_fixed { Some(default.clone()) } else { self.return_to(head) };
        let destination = match destination {
            Some(long) if !is_fixed && !long.is_linkable() => {
                if is_embedded(head) {
                    return open_in_window();
                } else if head.method == "HEAD" {
                    // Only a GET begins a login.
                    Some(default.clone())
                } else if head.url_parts().authority.eq_ignore_ascii_case(login.client.host()) {
                    return Reply::new(BEGIN_LOGIN);
                } else {
                    None
                }
            }
            destination => destination,
        };
        let Some(destination) = destination else {
            return LoginError::DestinationTooLong.reply(head, Some(path), None);
        };
        // The login must use the gateway's own origin, whose cookies the callback receives.
        let location = login_url(&concat(&[login.client.origin(), path]), &destination);
        let location = step_up_url(&location, &self.route.step_up);
        Reply::new(302).with("location", location).with("cache-control", PRIVATE)
    }

    fn missing_token(&self, login: Option<&str>) -> Reply {
        let sources = &self.gateway.token_sources;
        match sources.first() {
            _ if self.gateway.sender.requires_dpop() => missing_token_in(
                "Authorization header, bound to a key: Authorization: DPoP <token>, and a proof in the DPoP header",
                login,
            ),
            Some(source) if !sources.iter().any(TokenSource::is_authorization) => {
                let (kind, name) = source.parts();
                missing_token_in(&concat(&[kind, name]), login)
            }
            _ => missing_token(login),
        }
    }

    /// Returns a challenge that clears stale session cookies, except on a route that ignores sessions, and for `HEAD` and
    /// prefetches, which change nothing.
    fn challenge_clearing_cookies(&self, head: &RequestHead<'_>, now: UnixTime) -> Reply {
        if head.method == "HEAD" || is_prefetch(head) || !self.route.accepts_session() {
            return self.challenge(head);
        }
        let stale = self.stale_cookies(head, now);
        stale.into_iter().fold(self.challenge(head), |reply, cookie| reply.with("set-cookie", cookie))
    }

    /// Returns `Set-Cookie` values that clear cookies which open no session. The cookie of a session from the future stays: the clock may be
    /// wrong for a moment. So does that of a session that was ended or is not valid for this route: by the time the response arrives, the browser may hold the cookie of a new login under the same name.
    fn stale_cookies(&self, head: &RequestHead<'_>, now: UnixTime) -> Vec<String> {
        let (Some(login), Some(header)) = (self.gateway.login(), (head.header)("cookie")) else { return Vec::new() };
        let cookies = Cookies::new(&header);
        let is_stale = login.sessions.are_stale(&cookies, login.client.host(), now);
        if is_stale { login.sessions.clear(&cookies) } else { Vec::new() }
    }

    /// Returns the page to return to after login: the path with its query, or the default page where no `Location` can name the path.
    /// `None` if it is too long.
    pub(super) fn return_to(&self, head: &RequestHead<'_>) -> Option<ReturnTo> {
        let (mark, query) = head.url_parts().query.map_or(("", ""), |query| ("?", query));
        let target = concat(&[&self.path, mark, query]);
        let default = || self.gateway.login().map(|login| login.client.default_return_to.clone());
        ReturnTo::of_request(&target)
            .or_else(|| default().filter(|_| target.len() <= limits::MAX_LINKED_RETURN_TO_BYTES))
    }

    /// Returns the destination after a login for `location`: the location itself, unless it is a login, callback or logout route,
    /// which a link on another site may have specified.
    pub(crate) fn login_destination(&self, location: String) -> String {
        let path = location.split('?').next().unwrap_or_default();
        let route = self.gateway.route_at(path, "GET");
        if route.is_some_and(|route| route.integration.is_login_flow()) { self.default_page() } else { location }
    }

    /// Returns the page to go to after a login that names none.
    fn default_page(&self) -> String {
        self.gateway.login().map_or("/", |login| login.client.default_return_to.as_str()).into()
    }

    /// Checks the rights that the route requires. Breaks with 403, or the redirect configured for the route.
    pub(crate) fn authorize(&self, claims: &Claims) -> Outcome<()> {
        self.break_if_forbidden(self.check(claims))
    }

    /// Checks the rights that the route requires, with roles in the claim of the token's issuer.
    fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        let requirements = &self.route.requirements;
        let roles_claim = requirements.roles.as_ref().and_then(|_| self.gateway.roles_claim_of(claims.issuer()?));
        requirements.check_with_roles_in(roles_claim, claims)
    }

    /// Checks the rights that the route requires of a session, and the rules on claims of every token.
    fn check_session(&self, claims: &Claims) -> Result<(), Forbidden> {
        self.gateway.login.as_ref().map_or(Ok(()), |login| check_rules(&login.client.claim_rules, claims))?;
        self.check(claims)
    }

    /// Checks the rights of a session. Breaks like [`authorize`](Self::authorize).
    pub(crate) fn authorize_session(&self, claims: &Claims) -> Outcome<()> {
        self.break_if_forbidden(self.check_session(claims))
    }

    fn break_if_forbidden(&self, verdict: Result<(), Forbidden>) -> Outcome<()> {
        match verdict {
            Ok(()) => Continue(()),
            Err(reason) => Break(self.forbid(&reason)),
        }
    }

    /// Returns the response to an invalid token.
    pub(crate) fn refuse(&self, error: &VerifyError) -> Reply {
        match error {
            VerifyError::Forbidden(reason) => self.forbid(reason),
            VerifyError::ClientNotAllowed(_) => self.redirect_forbidden().unwrap_or_else(|| refused(error)),
            error => refused(error),
        }
    }

    fn forbid(&self, reason: &Forbidden) -> Reply {
        if let Some(redirect) = self.redirect_forbidden() {
            return redirect;
        }
        forbidden(reason, &self.route.requirements)
    }

    fn redirect_forbidden(&self) -> Option<Reply> {
        match &self.route.on_forbidden {
            OnForbidden::Redirect(_) if self.route.only_observes => None,
            OnForbidden::Problem => None,
            OnForbidden::Redirect(path) => {
                Some(Reply::new(302).with("location", path.clone()).with("cache-control", PRIVATE))
            }
        }
    }
}
