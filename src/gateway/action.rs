//! The action for an authorized request: forward it, respond, or run a login step.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::forward::{Destination, Forward};
use super::headers::HeaderTemplates;
use super::route::{Auth, Integration, LoginStep};
use super::{Answer, Caller, MatchedRequest};
use crate::http::{PRIVATE, Reply, RequestHead};
use crate::oidc::RelyingParty;

/// The action for an authorized request.
pub(super) enum Action<'g> {
    /// Return this answer.
    Answer(Answer<'g>),
    /// Run this login step.
    Login(LoginStep, &'g Arc<RelyingParty>),
}

impl<'g> MatchedRequest<'g> {
    /// Returns the action for this request, which must be authorized.
    pub(super) fn action(&self, head: &RequestHead<'_>, caller: Option<Caller<'_>>) -> Action<'g> {
        if let Some((step, party)) = &self.route.login_step {
            return match self.check_intent(head, *step) {
                Ok(step) => Action::Login(step, party),
                Err(reply) => Action::Answer(Answer::Reply(reply)),
            };
        }
        Action::Answer(match &self.route.integration {
            Integration::Respond { status, headers, body, is_json } => {
                Answer::Reply(self.respond(*status, headers, body, *is_json, caller))
            }
            Integration::Proxy { url, headers, strip_authorization } => self.forward(
                head,
                |target| Destination::Url(alloc::format!("{url}{target}")),
                headers,
                *strip_authorization,
                caller,
            ),
            Integration::Service { binding, headers, strip_authorization } => {
                let scheme = head.url.split(':').next().unwrap_or_default();
                let url = |target: &str| alloc::format!("{scheme}://{}{target}", head.url_parts().authority);
                let destination = |target: &str| Destination::Service { binding, url: url(target) };
                self.forward(head, destination, headers, *strip_authorization, caller)
            }
            // Unreachable: a configuration with such a route and no login is refused.
            Integration::Login
            | Integration::Callback
            | Integration::Logout
            | Integration::Userinfo
            | Integration::Claims
            | Integration::Refresh => Answer::Reply(Reply::problem(503, "config_invalid", "Login is not configured.")),
        })
    }

    fn respond(
        &self,
        status: u16,
        headers: &HeaderTemplates,
        body: &str,
        is_json: bool,
        caller: Option<Caller<'_>>,
    ) -> Reply {
        let mut reply = Reply { body: body.into(), ..Reply::new(status) };
        for (name, value) in render(headers, caller) {
            reply.headers.push((Cow::Owned(name.to_ascii_lowercase()), value));
        }
        if !body.is_empty() && reply.header("content-type").is_none() {
            let media_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
            reply = reply.with("content-type", media_type);
        }
        if self.route.auth != Auth::None && reply.header("cache-control").is_none() {
            reply = reply.with("cache-control", PRIVATE);
        }
        reply
    }

    fn forward(
        &self,
        head: &RequestHead<'_>,
        destination: impl FnOnce(&str) -> Destination<'g>,
        headers: &HeaderTemplates,
        strip_authorization: bool,
        caller: Option<Caller<'_>>,
    ) -> Answer<'g> {
        let url = head.url_parts();
        let mut target = self.path.clone();
        if let Some(query) = url.query {
            target.push('?');
            target.push_str(query);
        }
        let mut set = Vec::new();
        set.push(("x-forwarded-host".to_string(), url.authority.to_string()));
        let scheme = if head.url.starts_with("https:") { "https" } else { "http" };
        set.push(("x-forwarded-proto".to_string(), scheme.to_string()));
        if let Some(address) = head.client_address() {
            set.push(("x-forwarded-for".to_string(), address));
        }
        let cookie = (head.header)("cookie");
        let cookie = cookie.as_deref().and_then(|cookie| self.gateway.forwarded_cookies(cookie));
        // What nothing was removed from stays as it came, byte for byte.
        let keeps_cookies = matches!(cookie, Some(Cow::Borrowed(_)));
        if let Some(Cow::Owned(cookie)) = cookie {
            set.push(("cookie".to_string(), cookie));
        }
        set.extend(render(headers, caller).map(|(name, value)| (name.to_string(), value)));
        let is_private = self.route.auth != Auth::None;
        let mut forward = Forward::new(self.gateway, destination(&target), set, !strip_authorization, is_private);
        forward.keeps_cookies = keeps_cookies;
        forward.route = self.route.pattern.as_str();
        Answer::Forward(forward)
    }
}

fn render<'t>(headers: &'t HeaderTemplates, caller: Option<Caller<'t>>) -> impl Iterator<Item = (&'t str, String)> {
    headers.iter().filter_map(move |(name, value)| {
        let value = value.render(caller)?;
        Some((name.as_str(), value))
    })
}
