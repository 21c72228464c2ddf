//! Logout: in this instance, in all instances and at the provider (OpenID Connect RP-Initiated Logout 1.0, RFC 7009).

use alloc::string::String;
use alloc::sync::Arc;

use super::login_error::logged_out;
use super::session_job::SessionJob;
use super::token_response::EndpointFailure;
use super::{
    AUTH0_LOGOUT_PARAMETER, Client, LoginHost, Provider, RelyingParty, STANDARD_LOGOUT_PARAMETER, SessionAction, form,
};
use crate::host::Level;
use crate::http::{Reply, RequestHead};
use crate::io::status_of;
use crate::limits;
use crate::session::{Cookies, Session};
use crate::text::{concat, decimal};
use crate::url::HttpUrl;

impl RelyingParty {
    /// Ends the sessions of a request and redirects the browser to the provider's logout.
    pub(crate) async fn logout(self: &Arc<Self>, head: &RequestHead<'_>, host: &impl LoginHost) -> Reply {
        let cleared = self.cleared(head);
        let session = self.end_sessions(head, SessionAction::Logout, host).await;
        // The session ends here even if the provider is unavailable.
        let provider = self.provider(host).await.ok();
        let url =
            provider.and_then(|provider| logout_url(&self.client, &provider, session.as_deref(), &self.after_logout));
        let reply = match url {
            // The page to which the provider returns may be protected.
            Some(url) => Reply::redirect(url).with("set-cookie", logged_out_cookie(limits::LOGGED_OUT_PAGE_S)),
            None => logged_out(self.login_path.as_deref()),
        };
        reply.with_cookies(cleared)
    }

    /// Returns the page for a browser that the provider sends back after a logout to a page that needs a login; `None` for other
    /// requests. A redirect to the login could log the user in without asking, or ask for a login that was just ended.
    pub(crate) fn returned_from_logout(&self, head: &RequestHead<'_>, path: &str) -> Option<Reply> {
        let header = (head.header)("cookie").filter(|header| header.contains(LOGGED_OUT_COOKIE))?;
        let url = HttpUrl::parse(&self.after_logout)?;
        let is_own = url.authority.eq_ignore_ascii_case(self.client.host()) && url.path() == path;
        let is_returned = head.method == "GET" && is_own && Cookies::new(&header).has(LOGGED_OUT_COOKIE);
        is_returned.then(|| logged_out(self.login_path.as_deref()).with("set-cookie", logged_out_cookie(0)))
    }

    /// Ends the sessions of a request and returns the newest live one, or else the newest. Those that are not accepted now are ended too:
    /// another copy of the cookie, or a clock that is corrected, could bring them back.
    ///
    /// This waits for the coordinator: once it returns, no instance refreshes the sessions any more.
    pub(super) async fn end_sessions(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        action: SessionAction,
        host: &impl LoginHost,
    ) -> Option<Arc<Session>> {
        let header = (head.header)("cookie").unwrap_or_default();
        let cookies = Cookies::new(&header);
        let sessions = self
            .state
            .with(|state| self.sessions.open_to_end(&cookies, self.client.host(), host.now(), &mut state.sessions));
        for session in &sessions {
            host.spawn(SessionJob::end(self, session, action)).await;
        }
        sessions.into_iter().next()
    }

    /// Ends a session in this instance and, through the coordinator, in all others. After a logout, the newest refresh token
    /// issued for it is revoked.
    pub(super) async fn end_everywhere(
        self: Arc<Self>,
        session: Session,
        action: SessionAction,
        host: &impl LoginHost,
    ) {
        let newest_here = self.state.with(|state| {
            state.record_end(&session, action);
            state.refreshes.newest(&session).cloned()
        });
        // Instances ask the coordinator when they refresh a session, and when a response with its cookies is late.
        let newest = if host.has_coordinator() {
            match self.ask_coordinator(&session, action, limits::SESSION_END_TIMEOUT_MS, host).await {
                Some(response) if response.is_success() => response.session(&self),
                _ => {
                    host.log(
                        Level::Warning,
                        &"session_end_not_shared: the Durable Object EDGEWARD_SESSIONS did not respond; a copy of the cookie \
                          stays valid in other isolates until its access token is due for refresh",
                    );
                    None
                }
            }
        } else {
            None
        };
        if action == SessionAction::Logout {
            // The response does not wait for the provider.
            let newest = newest.or(newest_here).unwrap_or(session);
            drop(host.spawn(SessionJob::revoke(&self, newest)));
        }
    }

    /// Revokes the refresh token at the provider (RFC 7009). If the provider is unavailable, the token is unusable all the same: it
    /// exists only in sealed cookies of an ended session.
    pub(super) async fn revoke(&self, session: &Session, host: &impl LoginHost) {
        let Some(token) = session.tokens().refresh.as_deref() else { return };
        let Ok(provider) = self.provider(host).await else { return };
        let Some(endpoint) = &provider.revocation_endpoint else { return };
        let parameters = [("token", token), ("token_type_hint", "refresh_token")];
        // RFC 7009 §2.2.1: these statuses refuse the client, so the next secret is tried.
        let refuses_client = |answer: &crate::io::Incoming| matches!(answer.status, 400 | 401);
        let is_basic = provider.revocation_is_basic.unwrap_or(self.client.is_basic());
        let answer = self.client.send(&provider, endpoint, is_basic, &parameters, None, &refuses_client, host).await;
        let status = status_of(&answer);
        if status != 200 {
            let failure = EndpointFailure::new(endpoint, status, "");
            let line = format_args!("revocation_failed: {failure}; the refresh token stays valid at the provider");
            host.log(Level::Warning, &line);
        }
    }
}

/// The cookie of a browser that is at the provider's logout. It grants nothing.
const LOGGED_OUT_COOKIE: &str = "__Host-edgeward-logged-out";

fn logged_out_cookie(max_age_s: u32) -> String {
    let max_age_s = decimal(max_age_s.into());
    concat(&[LOGGED_OUT_COOKIE, "=1; Path=/; Max-Age=", &max_age_s, "; HttpOnly; Secure; SameSite=Lax"])
}

/// Returns the URL that ends the provider's session; `None` if the provider has none.
fn logout_url(client: &Client, provider: &Provider, session: Option<&Session>, return_uri: &str) -> Option<String> {
    let own = provider.auth0_logout.as_ref().filter(|_| client.logout_parameter == AUTH0_LOGOUT_PARAMETER);
    let mut url = form::with_query(own.or(provider.end_session_endpoint.as_ref())?);
    form::push(&mut url, "client_id", &client.id);
    form::push(&mut url, client.logout_parameter, return_uri);
    // Logouts with a parameter of their own know no ID token.
    let is_standard = client.logout_parameter == STANDARD_LOGOUT_PARAMETER;
    if let Some(id_token) = session.filter(|_| is_standard).and_then(|session| session.tokens().id.as_ref()) {
        let without_hint = url.len();
        form::push(&mut url, "id_token_hint", id_token);
        if url.len() > limits::MAX_LOGOUT_URL_BYTES {
            // It is recommended only (OpenID Connect RP-Initiated Logout 1.0 §2): `client_id` names the client as well.
            url.truncate(without_hint);
        }
    }
    Some(url)
}
