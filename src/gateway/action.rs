//! What becomes of a request that may pass.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::headers::HeaderTemplates;
use super::route::{Auth, Integration};
use super::{Caller, Entered, Login};
use crate::http::{Reply, RequestHead};

/// What to do with a request that may pass.
#[derive(Debug)]
pub enum Action<'g> {
    /// Answer this.
    Respond(Reply),
    /// Send it to this URL.
    Proxy(String, Forward),
    /// Send it through this service binding.
    Service(&'g str, Forward),
    /// Log in or out, or speak about a session.
    Login(&'g Login, LoginStep),
}

/// What a login route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStep {
    /// Send the browser to the provider.
    Begin,
    /// Take it back.
    Callback,
    /// Tell a script what is wrong with a callback that it sent; nothing is redeemed and nothing used up.
    Inspect,
    /// End the session, here and at the provider.
    Logout,
    /// Tell what the provider says about the caller.
    Userinfo,
    /// Get new tokens for the session.
    Refresh,
}

/// How a request is forwarded. First [`Gateway::drops`] says which of its headers to leave out.
#[derive(Clone, PartialEq, Eq)]
pub struct Forward {
    /// Path and query for the origin, as they came.
    pub target: String,
    /// Headers to set.
    pub set: Vec<(String, String)>,
    /// Whether `Authorization` goes along.
    pub keeps_authorization: bool,
    /// Whether the answer may depend on who asks, so that no shared cache may keep it.
    pub is_private: bool,
}

impl core::fmt::Debug for Forward {
    /// Leaves out query and headers.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Forward").field("is_private", &self.is_private).finish_non_exhaustive()
    }
}

impl<'g> Entered<'g> {
    /// What to do with the request, now that it may pass.
    #[must_use]
    pub fn action(&self, head: &RequestHead<'_>, caller: Option<Caller<'_>>) -> Action<'g> {
        match &self.route.integration {
            Integration::Respond { status, headers, body, is_json } => {
                Action::Respond(self.respond(*status, headers, body, *is_json, caller))
            }
            Integration::Proxy { url, headers, strip_authorization } => {
                let forward = self.forward(head, headers, *strip_authorization, caller);
                Action::Proxy(format!("{url}{}", forward.target), forward)
            }
            Integration::Service { binding, headers, strip_authorization } => {
                Action::Service(binding, self.forward(head, headers, *strip_authorization, caller))
            }
            Integration::Login => self.step(head, LoginStep::Begin),
            Integration::Callback => self.step(head, LoginStep::Callback),
            Integration::Logout => self.step(head, LoginStep::Logout),
            Integration::Userinfo => self.step(head, LoginStep::Userinfo),
            Integration::Refresh => self.step(head, LoginStep::Refresh),
        }
    }

    fn step(&self, head: &RequestHead<'_>, step: LoginStep) -> Action<'g> {
        let step = match self.intended(head, step) {
            Ok(step) => step,
            Err(reply) => return Action::Respond(reply),
        };
        // The configuration is refused where a step has no login behind it.
        let missing = || Action::Respond(Reply::problem(503, "config_invalid", "Login is not configured."));
        self.gateway.login().map_or_else(missing, |login| Action::Login(login, step))
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
            reply = reply.with("cache-control", "private, no-store");
        }
        reply
    }

    fn forward(
        &self,
        head: &RequestHead<'_>,
        headers: &HeaderTemplates,
        strip_authorization: bool,
        caller: Option<Caller<'_>>,
    ) -> Forward {
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
        if let Some(address) = (head.header)("cf-connecting-ip") {
            set.push(("x-forwarded-for".to_string(), address));
        }
        set.extend(render(headers, caller).map(|(name, value)| (name.to_string(), value)));
        Forward { target, set, keeps_authorization: !strip_authorization, is_private: self.route.auth != Auth::None }
    }
}

fn render<'t>(headers: &'t HeaderTemplates, caller: Option<Caller<'t>>) -> impl Iterator<Item = (&'t str, String)> {
    headers.iter().filter_map(move |(name, value)| {
        let value = value.render(caller)?;
        Some((name.as_str(), value))
    })
}
