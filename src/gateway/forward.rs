//! Forwarding: how a request goes on to an origin, and what becomes of the origin's response. Bodies are the host's.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cors::{CORS_HEADERS, CorsHeaders};
use super::{Answer, Gateway};
use crate::http::{PRIVATE, Reply};
use crate::oidc::RelyingParty;
use crate::session::Session;

/// How a request is forwarded. The host sends its method and body, the headers that are not [left out](Self::drops), and those
/// to [set](Self::set); it changes the response by [`response_edits`](Self::response_edits).
pub struct Forward<'g> {
    /// Where to.
    pub destination: Destination<'g>,
    /// Headers to set.
    pub set: Vec<(String, String)>,
    /// Whether `Authorization` goes along.
    forwards_authorization: bool,
    /// Whether the answer may depend on who asks, so that no shared cache may keep it.
    pub is_private: bool,
    gateway: &'g Gateway,
    cors: CorsHeaders,
    /// The session that the request came with.
    session: Option<SessionContext>,
}

/// The session of a request, and what its answer sets.
pub(super) struct SessionContext {
    pub(super) party: Arc<RelyingParty>,
    pub(super) session: Arc<Session>,
    /// The cookies of a session that changed.
    pub(super) cookies: Vec<String>,
}

impl SessionContext {
    /// The cookies to set, as of now: an origin may take its time, and a session that was logged out meanwhile must not be restored.
    fn cookies(&self) -> Vec<String> {
        if self.party.has_ended(&self.session) { Vec::new() } else { self.cookies.clone() }
    }
}

/// Where a request is forwarded to. Path and query are as they came.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination<'g> {
    /// This URL.
    Url(String),
    /// A service binding, with this URL.
    Service {
        /// The binding's name.
        binding: &'g str,
        /// The URL: that of the request.
        url: String,
    },
}

/// A change to a response's headers.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Removes a header.
    Remove(&'static str),
    /// Sets a header, whatever it was.
    Set(Cow<'static, str>, String),
    /// Adds a header to those of its name.
    Append(Cow<'static, str>, String),
}

const SWITCHING_PROTOCOLS: u16 = 101;

/// What some shared caches heed in place of `Cache-Control` (RFC 9213).
const TARGETED_CACHE_CONTROL: [&str; 4] =
    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "x-accel-expires"];

impl<'g> Forward<'g> {
    pub(super) fn new(
        gateway: &'g Gateway,
        destination: Destination<'g>,
        set: Vec<(String, String)>,
        forwards_authorization: bool,
        is_private: bool,
    ) -> Self {
        Self { destination, set, forwards_authorization, is_private, gateway, cors: Vec::new(), session: None }
    }

    /// Whether a client's header of this name, in any spelling, is left out.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        self.gateway.drops(name)
            // What may go along of it is among those that are set.
            || name.eq_ignore_ascii_case("cookie")
            || !self.forwards_authorization && name.eq_ignore_ascii_case("authorization")
    }

    /// The changes to the origin's response, whose status is `status` and whose `Cache-Control` is `cache_control`.
    #[must_use]
    pub fn response_edits(&self, status: u16, cache_control: Option<&str>) -> Vec<HeaderEdit> {
        let mut edits = Vec::new();
        let cookies = self.session.as_ref().map(SessionContext::cookies).unwrap_or_default();
        let set_cookies = cookies.into_iter().map(|cookie| HeaderEdit::Append("set-cookie".into(), cookie));
        if status == SWITCHING_PROTOCOLS {
            // The tokens of a session that was refreshed must reach the browser; nothing else of an opened connection changes.
            edits.extend(set_cookies);
            return edits;
        }
        if self.is_private {
            edits.extend(TARGETED_CACHE_CONTROL.map(HeaderEdit::Remove));
        }
        let is_kept_private = cache_control.unwrap_or_default().split(',').any(|directive| {
            let directive = directive.trim();
            directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store")
        });
        // No cache keeps what an origin answers to somebody who is logged in, whatever it says.
        if self.session.is_some() || self.is_private && !is_kept_private {
            edits.push(HeaderEdit::Set("cache-control".into(), PRIVATE.into()));
        }
        edits.extend(set_cookies);
        if self.gateway.has_cors() {
            // Those of an origin give way to the gateway's.
            edits.extend(CORS_HEADERS.map(HeaderEdit::Remove));
        }
        edits.extend(self.cors.iter().cloned().map(|(name, value)| {
            if name == "vary" { HeaderEdit::Append(name, value) } else { HeaderEdit::Set(name, value) }
        }));
        edits
    }

    /// The answer where the origin cannot be reached or its response cannot be passed on.
    #[must_use]
    pub fn unreachable(self) -> Reply {
        self.failed(Reply::problem(502, "origin_unreachable", "The origin did not answer."))
    }

    /// The answer where there is no such service binding.
    #[must_use]
    pub fn without_service(self) -> Reply {
        self.failed(Reply::problem(503, "config_invalid", "A service binding that this route needs is missing."))
    }

    fn failed(self, reply: Reply) -> Reply {
        let reply = match self.session {
            Some(session) => with_session(reply, session.cookies()),
            None => reply,
        };
        with_cors(reply, self.cors)
    }
}

impl Answer<'_> {
    /// An answer to a request that came with a session: no cache may keep it.
    pub(super) fn with_session(self, session: SessionContext) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(with_session(reply, session.cookies())),
            Self::Forward(forward) => Self::Forward(Forward { session: Some(session), ..forward }),
        }
    }

    /// The answer with the CORS headers that every answer to this request carries.
    pub(super) fn with_cors(self, cors: CorsHeaders) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(with_cors(reply, cors)),
            Self::Forward(forward) => Self::Forward(Forward { cors, ..forward }),
        }
    }
}

/// An answer of the gateway's own to somebody who is logged in.
fn with_session(mut reply: Reply, cookies: Vec<String>) -> Reply {
    reply.headers.retain(|(name, _)| name != "cache-control");
    // A step that wrote the session itself has the last word.
    let name_of = |cookie: &str| cookie.split('=').next().map(String::from);
    let name = cookies.first().and_then(|cookie| name_of(cookie));
    let has_written = reply.headers.iter().any(|(header, cookie)| header == "set-cookie" && name_of(cookie) == name);
    let reply = reply.with("cache-control", PRIVATE);
    if has_written { reply } else { reply.with_cookies(cookies) }
}

fn with_cors(mut reply: Reply, cors: CorsHeaders) -> Reply {
    for (name, value) in cors {
        if name != "vary" {
            reply.headers.retain(|(one, _)| *one != name);
        }
        reply.headers.push((name, value));
    }
    reply
}

impl core::fmt::Debug for Forward<'_> {
    /// Leaves out query and headers.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Forward").field("is_private", &self.is_private).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for HeaderEdit {
    /// Leaves out values: they may be cookies.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Remove(name) => f.debug_tuple("Remove").field(name).finish(),
            Self::Set(name, _) => f.debug_tuple("Set").field(name).finish(),
            Self::Append(name, _) => f.debug_tuple("Append").field(name).finish(),
        }
    }
}
