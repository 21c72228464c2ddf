//! The site as a relying party of an OpenID provider: what is configured, and what changes while people log in and out.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::provider::Endpoints;
use super::{Client, LoginHost, RefreshCoordinator, ReplayGuard};
use crate::http::{RequestHead, is_prefetch};
use crate::io::UnixTime;
use crate::jwk::KeyCache;
use crate::jwt::{Id, Policy};
use crate::session::{Cookies, Session, SessionCache, Sessions};
use crate::shared::Shared;
use crate::verifier::Verifier;

/// A site where people log in. Requests share it.
#[derive(Debug)]
pub struct RelyingParty {
    /// The gateway as a client of the provider.
    pub(crate) client: Client,
    /// How sessions are kept.
    pub(crate) sessions: Sessions,
    /// What every ID token must satisfy; each login adds its nonce.
    pub(crate) id_policy: Policy<Id>,
    /// The keys of the issuer that logs people in.
    pub(crate) keys: Arc<KeyCache>,
    /// Where the provider does what.
    pub(crate) endpoints: Endpoints,
    /// Verifies access tokens; `None` if they are not for an API of this gateway, so that they say nothing about rights.
    pub(crate) access: Option<Arc<Verifier>>,
    /// The path of the login route, if it has a fixed one.
    pub(crate) login_path: Option<String>,
    /// Where the browser goes after logging out at the provider; registered there.
    pub(crate) after_logout: String,
    /// What changes.
    pub(crate) state: Shared<LoginState>,
}

/// What changes while people log in and out.
#[derive(Debug, Default)]
pub(crate) struct LoginState {
    /// States of logins that were finished.
    pub(crate) replay_guard: ReplayGuard,
    /// Refreshes under way.
    pub(crate) refreshes: RefreshCoordinator,
    /// Sessions that were opened and those that were ended.
    pub(crate) sessions: SessionCache,
}

impl RelyingParty {
    /// All live sessions of a request, the newest first. It has several where cookies of one name were set for several domains.
    pub(crate) fn sessions_of(&self, head: &RequestHead<'_>, now: UnixTime) -> Vec<Arc<Session>> {
        let Some(header) = (head.header)("cookie") else { return Vec::new() };
        let (cookies, host) = (Cookies::new(&header), self.client.host());
        let opened = self.state.with(|state| self.sessions.open_cached(&cookies, host, now, &mut state.sessions));
        // The organizations may have been configured since it began.
        opened.into_iter().filter(|session| self.client.admits(session.claims())).collect()
    }

    /// The newest live session of a request.
    pub(crate) fn session_of(&self, head: &RequestHead<'_>, now: UnixTime) -> Option<Arc<Session>> {
        self.sessions_of(head, now).into_iter().next()
    }

    /// `Set-Cookie` values that remove the session's cookies.
    pub(crate) fn cleared(&self, head: &RequestHead<'_>) -> Vec<String> {
        let header = (head.header)("cookie").unwrap_or_default();
        self.sessions.clear(&Cookies::new(&header))
    }

    /// Whether the gateway itself has ended the session, as far as this instance knows.
    pub(crate) fn has_ended(&self, session: &Session) -> bool {
        self.state.with(|state| state.sessions.ended.contains(session.id()))
    }

    /// `Set-Cookie` values for a session whose content changed. A session that was logged out meanwhile must not be restored.
    pub(crate) fn changed_cookies(
        &self,
        head: &RequestHead<'_>,
        session: &Session,
        host: &impl LoginHost,
    ) -> Vec<String> {
        if self.has_ended(session) {
            return Vec::new();
        }
        // Too large for cookies now: the old one stays until it expires.
        self.to_cookies(head, session, host).unwrap_or_default()
    }

    /// `Set-Cookie` values that remove the cookies of a session of which a refresh found that it has ended. Nothing for a session
    /// that was logged out or replaced: by the time this answer arrives, the browser may hold the cookie of a new login under the
    /// same name. Nothing for requests that change nothing, either.
    pub(crate) fn cleared_after_end(&self, head: &RequestHead<'_>, session: &Session) -> Vec<String> {
        let is_ours = self.has_ended(session);
        if is_ours || head.method == "HEAD" || is_prefetch(head) { Vec::new() } else { self.cleared(head) }
    }
}
