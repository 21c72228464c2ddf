//! The action for an authorized request: forward it, respond, or run a login step.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::caching::kept_private;
use super::forward::{Destination, Forward};
use super::headers::HeaderTemplates;
use super::route::{Auth, ForwardOptions, Integration, LoginStep};
use super::status::Status;
use super::{Answer, Caller, MatchedRequest, bad_path};
use crate::http::path::{Reading, RequestPath};
use crate::http::{Reply, RequestHead};
use crate::oidc::RelyingParty;
use crate::text::concat;

/// The action for an authorized request.
pub(super) enum Action<'g> {
    /// Return this answer.
    Answer(Answer<'g>),
    /// Return the status page.
    Status(&'g Status),
    /// Run this login step.
    Login(LoginStep, &'g Arc<RelyingParty>),
    /// Revoke what the body names.
    Revoke,
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
        if let (Integration::Status, Some(status)) = (&self.route.integration, &self.gateway.status) {
            return Action::Status(status);
        }
        Action::Answer(match &self.route.integration {
            Integration::Respond { status, headers, body, is_json } => {
                Answer::Reply(self.respond(*status, headers, body, *is_json, caller))
            }
            Integration::Proxy { url, headers, options } => {
                self.forward(head, |target| Destination::Url(concat(&[url, target])), headers, options, caller)
            }
            Integration::Service { binding, headers, options } => {
                let scheme = head.url.split(':').next().unwrap_or_default();
                let url = |target: &str| concat(&[scheme, "://", head.url_parts().authority, target]);
                let destination = |target: &str| Destination::Service { binding, url: url(target) };
                self.forward(head, destination, headers, options, caller)
            }
            Integration::Revoke => return Action::Revoke,
            Integration::CustomerEdge { url, edge, options } => match edge.headers(head) {
                Ok(headers) => {
                    let destination = |target: &str| Destination::Url(concat(&[url, target]));
                    let mut answer = self.forward(head, destination, &HeaderTemplates::new(), options, None);
                    if let Answer::Forward(forward) = &mut answer {
                        forward.set.extend(headers);
                    }
                    // Tokens and personal data.
                    answer.not_stored()
                }
                Err(reply) => Answer::Reply(reply),
            },
            Integration::Jwks => Answer::Reply(self.gateway.published_keys(self.route.auth == Auth::None)),
            // Unreachable: a configuration with such a route and no login is refused.
            Integration::Login
            | Integration::Callback
            | Integration::Logout
            | Integration::Userinfo
            | Integration::Claims
            | Integration::Refresh
            | Integration::BackchannelLogout
            | Integration::Status => Answer::Reply(Reply::problem(503, "config_invalid", "Login is not configured.")),
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
        if self.route.auth == Auth::None { reply } else { kept_private(reply) }
    }

    fn forward(
        &self,
        head: &RequestHead<'_>,
        destination: impl FnOnce(&str) -> Destination<'g>,
        headers: &HeaderTemplates,
        options: &'g ForwardOptions,
        caller: Option<Caller<'_>>,
    ) -> Answer<'g> {
        let url = head.url_parts();
        let Some(path) = self.without_prefix(&options.prefix) else {
            let detail = "Servers may interpret this path differently without its prefix.";
            return Answer::Reply(bad_path("path_ambiguous", detail));
        };
        let mut target = String::from(path);
        if let Some(query) = url.query {
            target.push('?');
            target.push_str(query);
        }
        let mut set = Vec::new();
        if options.sets_forwarded {
            set.push(("x-forwarded-host".to_string(), url.authority.to_string()));
            let scheme = if head.url.starts_with("https:") { "https" } else { "http" };
            set.push(("x-forwarded-proto".to_string(), scheme.to_string()));
            if let Some(address) = head.client_address() {
                set.push(("x-forwarded-for".to_string(), address));
            }
            if !options.prefix.is_empty() {
                set.push(("x-forwarded-prefix".to_string(), options.prefix.clone()));
            }
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
        let mut forward = Forward::new(self.gateway, destination(&target), target.len(), set, options, is_private);
        forward.keeps_cookies = keeps_cookies;
        forward.route = self.route.pattern.as_str();
        Answer::Forward(forward)
    }

    /// Returns the path after the prefix, which every reading of the path has as the route spells it; `None` otherwise. What follows
    /// must not begin with two slashes in any reading: servers read such a path alone in other ways than behind the prefix.
    fn without_prefix(&self, prefix: &str) -> Option<&str> {
        let path = self.path.strip_prefix(prefix)?;
        if prefix.is_empty() || path.is_empty() {
            return Some(path);
        }
        let begins_twice = |reading: &Reading| reading.segments().count() > 1 && reading.segments().next() == Some("");
        let parsed = RequestPath::parse(path, self.gateway.unicode).ok()?;
        (!parsed.readings().iter().any(begins_twice)).then_some(path)
    }
}

fn render<'t>(headers: &'t HeaderTemplates, caller: Option<Caller<'t>>) -> impl Iterator<Item = (&'t str, String)> {
    headers.iter().filter_map(move |(name, value)| {
        let value = value.render(caller)?;
        Some((name.as_str(), value))
    })
}
