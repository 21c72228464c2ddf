//! The gateway as a relying party of an OpenID provider: its configuration and its shared state.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::endpoint_gate::EndpointGate;
use super::provider::Endpoints;
use super::{Client, LoginHost, RecentCallbacks, RefreshCoordinator, ReplayGuard};
use crate::http::{RequestHead, is_prefetch};
use crate::io::UnixTime;
use crate::jwk::KeyCache;
use crate::jwt::{Claims, Id, Policy};
use crate::session::{Cookies, Session, SessionCache, Sessions};
use crate::shared::Shared;
use crate::verifier::Verifier;

/// A relying party of an OpenID provider, shared by all requests.
///
/// A compiled [`Gateway`](crate::gateway::Gateway) with a login route has one. Hosts use it to run the coordinator of a session:
///
/// ```
/// use std::sync::Arc;
///
/// use edgeward::io::Unreachable;
/// use edgeward::oidc::{CoordinatorResponse, CoordinatorStore, LoginHost, RelyingParty, SessionAction};
///
/// async fn serve(
///     party: &Arc<RelyingParty>,
///     action: SessionAction,
///     sealed: &str,
///     store: &impl CoordinatorStore,
///     host: &impl LoginHost,
/// ) -> Result<CoordinatorResponse, Unreachable> {
///     let outcome = party.coordinate(action, sealed, store, host).await?;
///     if let Some(stored) = outcome.store {
///         // Write `stored.text` before responding; delete it at `stored.until_ms`.
///     }
///     Ok(outcome.response)
/// }
/// ```
#[derive(Debug)]
pub struct RelyingParty {
    /// The client registered at the provider.
    pub(crate) client: Client,
    /// The session configuration.
    pub(crate) sessions: Sessions,
    /// The policy of ID tokens; each login adds its nonce.
    pub(crate) id_policy: Policy<Id>,
    /// The keys of the login issuer.
    pub(crate) keys: Arc<KeyCache>,
    /// The provider's endpoints.
    pub(crate) endpoints: Endpoints,
    /// Verifies access tokens; `None` if they are not for an API of this gateway and so grant nothing.
    pub(crate) access: Option<Arc<Verifier>>,
    /// The path of the login route, if it is fixed.
    pub(crate) login_path: Option<String>,
    /// The URL to return to after logout at the provider, registered there.
    pub(crate) after_logout: String,
    /// The shared mutable state.
    pub(crate) state: Shared<LoginState>,
}

/// The mutable state of logins in this instance.
#[derive(Debug, Default)]
pub(crate) struct LoginState {
    /// The `state` values of completed logins.
    pub(crate) replay_guard: ReplayGuard,
    /// Callbacks in progress and their recent outcomes.
    pub(crate) callbacks: RecentCallbacks,
    /// Refreshes in progress and their recent outcomes.
    pub(crate) refreshes: RefreshCoordinator,
    /// Opened and ended sessions.
    pub(crate) sessions: SessionCache,
    /// The pauses of pushed requests.
    pub(crate) pushes: EndpointGate,
}

impl RelyingParty {
    /// Returns whether users of this issuer can log in.
    pub(crate) fn names_issuer(&self, issuer: &str) -> bool {
        self.id_policy.names_issuer(issuer)
    }

    /// Returns the live sessions of a request, the newest first. There are several if cookies with one name were set for several
    /// domains.
    pub(crate) fn sessions_of(&self, head: &RequestHead<'_>, now: UnixTime) -> Vec<Arc<Session>> {
        let Some(header) = (head.header)("cookie") else { return Vec::new() };
        let (cookies, host) = (Cookies::new(&header), self.client.host());
        let opened = self.state.with(|state| self.sessions.open_cached(&cookies, host, now, &mut state.sessions));
        // The configured organizations and tenants may have changed since the login.
        let is_admitted = |claims: &Claims| self.client.admits(claims) && self.id_policy.admits_tenant(claims);
        opened.into_iter().filter(|session| is_admitted(session.claims())).collect()
    }

    /// Returns the newest live session of a request.
    pub(crate) fn session_of(&self, head: &RequestHead<'_>, now: UnixTime) -> Option<Arc<Session>> {
        self.sessions_of(head, now).into_iter().next()
    }

    /// Returns `Set-Cookie` values that clear the session's cookies.
    pub(crate) fn cleared(&self, head: &RequestHead<'_>) -> Vec<String> {
        let header = (head.header)("cookie").unwrap_or_default();
        self.sessions.clear(&Cookies::new(&header))
    }

    /// Returns whether the gateway ended the session, as far as this instance knows.
    pub(crate) fn has_ended(&self, session: &Session) -> bool {
        self.state.with(|state| state.sessions.ended.contains(session.id()))
    }

    /// Returns `Set-Cookie` values for a changed session; none if it was logged out meanwhile, because it must not be restored.
    pub(crate) fn changed_cookies(
        &self,
        head: &RequestHead<'_>,
        session: &Session,
        host: &impl LoginHost,
    ) -> Vec<String> {
        if self.has_ended(session) {
            return Vec::new();
        }
        // If it no longer fits into cookies, the old cookie stays until it expires.
        self.to_cookies(head, session, host).unwrap_or_default()
    }

    /// Returns `Set-Cookie` values that clear the cookies of a session that a refresh found ended. None for a session that was logged
    /// out or replaced, because by the time the response arrives the browser may hold the cookie of a new login under the same name;
    /// and none for `HEAD` and prefetches, which change nothing.
    pub(crate) fn cleared_after_end(&self, head: &RequestHead<'_>, session: &Session) -> Vec<String> {
        let ended_here = self.has_ended(session);
        if ended_here || head.method == "HEAD" || is_prefetch(head) { Vec::new() } else { self.cleared(head) }
    }
}
