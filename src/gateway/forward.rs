//! Forwarding: the changes to a request for an origin and to the origin's response. The host passes the bodies.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::caching::{TARGETED_CACHE_CONTROL, is_kept_private, never_stored};
use super::cors::{CORS_HEADERS, CorsHeaders};
use super::route::ForwardOptions;
use super::sender::{NONCE, PROOF};
use super::upstream::OwnProof;
use super::{Answer, Gateway};
use crate::http::{PRIVATE, Reply, RequestHead};
use crate::io::{UnixTime, is_within};
use crate::limits;
use crate::oidc::{LoginHost, RelyingParty};
use crate::session::Session;
use crate::text::concat;

/// A request to forward. The host sends its method and body, its headers except the [dropped](Self::drops) ones, and those to
/// [set](Self::set). It then [settles](Self::settle) the session, and applies [`response_edits`](Self::response_edits) to the response.
pub struct Forward<'g> {
    /// The destination.
    pub destination: Destination<'g>,
    /// Headers to set.
    pub set: Vec<(String, String)>,
    /// Whether `Cookie` is forwarded as it came: it has none of the gateway's cookies.
    pub(super) keeps_cookies: bool,
    /// The path pattern of the route, for the log.
    pub(super) route: &'g str,
    /// Whether the response may depend on the caller, so that no shared cache may store it.
    pub is_private: bool,
    gateway: &'g Gateway,
    /// Length of the request's target at the end of the destination's URL.
    target_bytes: usize,
    options: &'g ForwardOptions,
    cors: CorsHeaders,
    /// Whether no cache may store the response, whatever the origin states. Then it is private, too.
    is_never_stored: bool,
    /// The session of the request.
    session: Option<Box<SessionContext>>,
    /// The refusal that the route only observes.
    observed: Option<Box<Observed>>,
    /// The outcome of the request's proof of possession, if it came with a token for it.
    proof: Option<Box<Proof>>,
    /// The gateway's own proof of possession, of a token that it sends to the origin.
    pub(super) own_proof: Option<Box<OwnProof<'g>>>,
}

/// A proof of possession.
struct Proof {
    /// Whether the gateway has accepted it: it is of no use to another server.
    is_used: bool,
    /// The nonce for the client's next proof.
    next_nonce: Option<String>,
}

/// A refusal that the route only observes.
struct Observed {
    code: &'static str,
    /// Whether the request has a token, which the origin must not get.
    has_token: bool,
    /// Those of the refusal, which clear cookies that open no session.
    cookies: Vec<String>,
    /// When these were found.
    at: UnixTime,
}

/// The session of a request, with the cookies to set.
pub(super) struct SessionContext {
    party: Arc<RelyingParty>,
    session: Arc<Session>,
    /// The cookies of a changed session.
    cookies: Vec<String>,
    /// Why they are set.
    change: SessionChange,
    /// When the session was last known to be the newest and live.
    at: UnixTime,
}

/// Why a response sets the cookies of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionChange {
    /// Only to extend its idle expiry, or to store verified rights: the next response can do it as well.
    Rewritten,
    /// It has new tokens.
    Refreshed,
    /// The provider has ended it: the cookies are cleared.
    Ended,
}

/// Whether a response is so late that the browser may have logged in or out meanwhile.
fn is_late(at: UnixTime, host: &impl LoginHost) -> bool {
    !is_within(limits::SESSION_CHECK_AFTER_MS, at.millis(), host.now().millis())
}

impl SessionContext {
    /// Creates the context of a session that has changed in this way, or not at all, and was the newest and live at this time.
    pub(super) fn new(
        head: &RequestHead<'_>,
        party: &Arc<RelyingParty>,
        session: Arc<Session>,
        change: Option<SessionChange>,
        at: UnixTime,
        host: &impl LoginHost,
    ) -> Self {
        let cookies = match change {
            None => Vec::new(),
            Some(SessionChange::Ended) => party.cleared_after_end(head, &session),
            Some(_) => party.changed_cookies(head, &session, host),
        };
        Self { party: Arc::clone(party), session, cookies, change: change.unwrap_or(SessionChange::Rewritten), at }
    }

    /// Decides on the cookies once more when the response is sent: meanwhile the session may have been logged out, and must not be
    /// restored, in place of the next user's least of all; or another request may have refreshed it, whose newer refresh token must not be
    /// lost. Cookies that clear a session are not sent late, because the browser may have logged in again.
    async fn settle(&mut self, head: &RequestHead<'_>, host: &impl LoginHost) {
        if self.cookies.is_empty() {
            return;
        }
        let is_late = is_late(self.at, host);
        let is_remembered = is_within(limits::REFRESH_REMEMBERED_MS, self.at.millis(), host.now().millis());
        let newest = match self.change {
            SessionChange::Ended if is_late => None,
            SessionChange::Ended => return,
            // The instance may have forgotten a refresh.
            SessionChange::Rewritten if !is_remembered && !host.has_coordinator() => None,
            _ => self.party.newest_session(&self.session, is_late, host).await,
        };
        match newest {
            Some(newest) if Arc::ptr_eq(&newest, &self.session) => {}
            Some(newest) => self.cookies = self.party.changed_cookies(head, &newest, host),
            None => self.cookies.clear(),
        }
    }

    /// Returns the cookies to set, as of now: while the origin responded, the session may have been logged out, and must not be
    /// restored.
    fn cookies(&self) -> Vec<String> {
        if self.party.has_ended(&self.session) { Vec::new() } else { self.cookies.clone() }
    }
}

/// The destination of a forwarded request. Path and query are unchanged, but for a prefix that the route removes.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination<'g> {
    /// A URL.
    Url(String),
    /// A service binding.
    Service {
        /// The binding's name.
        binding: &'g str,
        /// The URL of the request.
        url: String,
    },
}

/// A change to the headers of a response.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Removes a header.
    Remove(&'static str),
    /// Sets a header, replacing existing ones.
    Set(Cow<'static, str>, String),
    /// Adds a header to existing ones with the same name.
    Append(Cow<'static, str>, String),
}

/// The header with the code of a refusal that the route only observes.
const OBSERVED: &str = "x-edgeward-observed";

const SWITCHING_PROTOCOLS: u16 = 101;

impl<'g> Forward<'g> {
    pub(super) fn new(
        gateway: &'g Gateway,
        destination: Destination<'g>,
        target_bytes: usize,
        set: Vec<(String, String)>,
        options: &'g ForwardOptions,
        is_private: bool,
    ) -> Self {
        Self {
            destination,
            set,
            keeps_cookies: false,
            route: "",
            is_private,
            gateway,
            target_bytes,
            options,
            cors: Vec::new(),
            is_never_stored: false,
            session: None,
            observed: None,
            proof: None,
            own_proof: None,
        }
    }

    fn never_stored(self) -> Self {
        Self { is_private: true, is_never_stored: true, ..self }
    }

    /// Sets a header, in place of one that the route sets.
    pub(super) fn with_header(mut self, header: Option<(String, String)>) -> Self {
        if let Some((name, value)) = header {
            self.set.retain(|(one, _)| !one.eq_ignore_ascii_case(&name));
            self.set.push((name, value));
        }
        self
    }

    /// Returns whether a client's header with this name, in any spelling, is dropped.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        let is_authorization = name.eq_ignore_ascii_case("authorization");
        !(is_authorization && self.options.is_customer_edge) && self.gateway.drops(name)
            // Cookies that remain are among the headers to set.
            || !self.keeps_cookies && name.eq_ignore_ascii_case("cookie")
            || self.proof.as_ref().is_some_and(|proof| proof.is_used) && name.eq_ignore_ascii_case(PROOF)
            || (self.options.strip_authorization || self.observed.as_ref().is_some_and(|observed| observed.has_token))
                && is_authorization
    }

    /// Returns the URL under which the origin knows the site, without a slash at its end. If the origin's `Location`, `Content-Location` or
    /// `Refresh` points there, the host replaces it with the site's origin and [prefix](Self::prefix).
    #[must_use]
    pub fn upstream(&self) -> &str {
        let (Destination::Url(url) | Destination::Service { url, .. }) = &self.destination;
        url.get(..url.len().saturating_sub(self.target_bytes)).unwrap_or_default()
    }

    /// Returns the beginning of the path that was removed; may be empty.
    #[must_use]
    pub fn prefix(&self) -> &'g str {
        &self.options.prefix
    }

    /// Returns how long to wait for the response's headers, in milliseconds, before [`timed_out`](Self::timed_out) is the response. What
    /// follows the headers may take any time.
    #[must_use]
    pub fn timeout_ms(&self) -> Option<u32> {
        self.options.timeout_ms
    }

    /// Decides on the cookies of the session, which may have ended or changed while the origin responded. The host calls it when the
    /// response's headers have arrived, or when there is no response: before [`response_edits`](Self::response_edits) or a reply.
    pub async fn settle(&mut self, head: &RequestHead<'_>, host: &impl LoginHost) {
        if let Some(observed) = self.observed.as_deref_mut().filter(|observed| is_late(observed.at, host)) {
            observed.cookies.clear();
        }
        if let Some(session) = &mut self.session {
            session.settle(head, host).await;
        }
    }

    /// Returns the changes to the origin's response with this status and `Cache-Control`.
    #[must_use]
    pub fn response_edits(&self, status: u16, cache_control: Option<&str>) -> Vec<HeaderEdit> {
        let mut edits = Vec::new();
        let cookies = self.session.as_deref().map(SessionContext::cookies).unwrap_or_default();
        if let Some(nonce) = self.proof.as_ref().and_then(|proof| proof.next_nonce.as_ref()) {
            edits.push(HeaderEdit::Set(NONCE.into(), nonce.clone()));
        } else if self.own_proof.is_some() {
            // It is for the gateway.
            edits.push(HeaderEdit::Remove(NONCE));
        }
        if let Some(observed) = &self.observed {
            edits.push(HeaderEdit::Set(OBSERVED.into(), observed.code.into()));
        }
        let stale = self.observed.iter().flat_map(|observed| observed.cookies.iter().cloned());
        let set_cookies = stale.chain(cookies).map(|cookie| HeaderEdit::Append("set-cookie".into(), cookie));
        if status == SWITCHING_PROTOCOLS {
            // The cookies of a refreshed session must reach the browser; nothing else of an upgraded connection changes.
            edits.extend(set_cookies);
            return edits;
        }
        if self.is_private {
            edits.extend(TARGETED_CACHE_CONTROL.map(HeaderEdit::Remove));
        }
        if self.is_never_stored || self.is_private && !is_kept_private(cache_control) {
            edits.push(HeaderEdit::Set("cache-control".into(), PRIVATE.into()));
        }
        edits.extend(set_cookies);
        if self.gateway.has_cors() {
            // The gateway's CORS headers replace the origin's.
            edits.extend(CORS_HEADERS.map(HeaderEdit::Remove));
        }
        edits.extend(self.cors.iter().cloned().map(|(name, value)| {
            if name == "vary" { HeaderEdit::Append(name, value) } else { HeaderEdit::Set(name, value) }
        }));
        edits
    }

    /// Describes the origin and the route, for the log.
    #[must_use]
    pub fn described(&self) -> String {
        let origin = match &self.destination {
            Destination::Url(url) => {
                let host = url.find("://").map_or(0, |at| at + 3);
                let len = url.get(host..).and_then(|rest| rest.find(['/', '?']));
                url.get(..len.map_or(url.len(), |len| host + len)).unwrap_or_default()
            }
            Destination::Service { binding, .. } => binding,
        };
        concat(&[origin, " did not respond to the route ", self.route])
    }

    /// Returns the response to this request if the origin is unreachable or its response cannot be passed on.
    #[must_use]
    pub fn unreachable(self, head: &RequestHead<'_>) -> Reply {
        self.failed(head, Reply::problem(502, "origin_unreachable", "The origin did not respond."))
    }

    /// Returns the response to this request if the origin's headers did not arrive within [`timeout_ms`](Self::timeout_ms).
    #[must_use]
    pub fn timed_out(self, head: &RequestHead<'_>) -> Reply {
        self.failed(head, Reply::problem(504, "origin_timeout", "The origin did not respond in time."))
    }

    /// Returns the response to this request if the service binding does not exist.
    #[must_use]
    pub fn without_service(self, head: &RequestHead<'_>) -> Reply {
        self.failed(head, Reply::problem(503, "config_invalid", "The service binding of this route is missing."))
    }

    /// Returns the response to this request if the client has to repeat it: [`ProofOutcome::BodyUsed`](super::ProofOutcome::BodyUsed).
    #[must_use]
    pub fn to_repeat(self, head: &RequestHead<'_>) -> Reply {
        let detail =
            "The upstream wants another proof, and the body of this request cannot be sent again. Repeat the request.";
        self.failed(head, Reply::problem(503, "upstream_token_unavailable", detail).with("retry-after", "1"))
    }

    fn failed(self, head: &RequestHead<'_>, reply: Reply) -> Reply {
        let reply = match self.observed {
            Some(observed) => reply.with(OBSERVED, observed.code).with_cookies(observed.cookies),
            None => reply,
        };
        let reply = match self.session {
            Some(session) => with_session(reply, session.cookies()),
            None => reply,
        };
        self.gateway.rendered(with_cors(reply, self.cors), head)
    }
}

impl Answer<'_> {
    /// Marks the answer to a request with a session: no cache may store it.
    pub(super) async fn with_session(
        self,
        mut session: SessionContext,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
    ) -> Self {
        match self {
            Self::Reply(reply) => {
                session.settle(head, host).await;
                Self::Reply(with_session(reply, session.cookies))
            }
            Self::Forward(forward) => {
                Self::Forward(Forward { session: Some(Box::new(session)), ..forward.never_stored() })
            }
        }
    }

    /// Marks the answer to a request with a token that the browser adds by itself: no cache may store it.
    pub(super) fn not_stored(self) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(never_stored(reply)),
            Self::Forward(forward) => Self::Forward(forward.never_stored()),
        }
    }

    /// Completes the answer to a request with a proof of possession: `is_used` if it was accepted. `next_nonce` is for the next proof.
    pub(super) fn after_proof(self, is_used: bool, next_nonce: Option<String>) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(match next_nonce {
                Some(nonce) => reply.with(NONCE, nonce),
                None => reply,
            }),
            Self::Forward(forward) => {
                Self::Forward(Forward { proof: Some(Box::new(Proof { is_used, next_nonce })), ..forward })
            }
        }
    }

    /// Marks the answer to a request that the route would have refused at this time, with these cookies.
    pub(super) fn observed(self, code: &'static str, has_token: bool, cookies: Vec<String>, at: UnixTime) -> Self {
        match self {
            Self::Reply(mut reply) => {
                reply.headers.retain(|(name, _)| name != OBSERVED);
                Self::Reply(reply.with(OBSERVED, code).with_cookies(cookies))
            }
            Self::Forward(forward) => Self::Forward(Forward {
                observed: Some(Box::new(Observed { code, has_token, cookies, at })),
                ..forward
            }),
        }
    }

    /// Adds the CORS headers.
    pub(super) fn with_cors(self, cors: CorsHeaders) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(with_cors(reply, cors)),
            Self::Forward(forward) => Self::Forward(Forward { cors, ..forward }),
        }
    }
}

/// Makes a reply of the gateway itself private, and sets the session's cookies.
fn with_session(reply: Reply, cookies: Vec<String>) -> Reply {
    // A login step may have written the session cookie itself; that one wins.
    let name_of = |cookie: &str| cookie.split('=').next().map(String::from);
    let name = cookies.first().and_then(|cookie| name_of(cookie));
    let has_written = reply.headers.iter().any(|(header, cookie)| header == "set-cookie" && name_of(cookie) == name);
    let reply = never_stored(reply);
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
    /// Omits the query and headers.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Forward").field("is_private", &self.is_private).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for HeaderEdit {
    /// Omits the values, which may be cookies.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Remove(name) => f.debug_tuple("Remove").field(name).finish(),
            Self::Set(name, _) => f.debug_tuple("Set").field(name).finish(),
            Self::Append(name, _) => f.debug_tuple("Append").field(name).finish(),
        }
    }
}
