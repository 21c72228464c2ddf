//! What became of a request, for logs and metrics.

use alloc::string::String;
use alloc::sync::Arc;

use crate::jwt::{Access, VerifiedToken};
use crate::session::Session;

/// What became of a request. It has no token, cookie, code or query, and of the claims only the issuer.
#[derive(Debug, Clone, Default)]
pub struct RequestEvent<'g> {
    /// The path pattern of the route; empty without a route.
    pub route: &'g str,
    /// The code of the refusal that the route only observes; else empty.
    pub observed: &'static str,
    /// Whether the bearer token was found in the cache of verified tokens.
    pub is_cached: bool,
    /// Whether the session, which was due, was refreshed; `None` if it was not due.
    pub is_refreshed: Option<bool>,
    pub(super) token: Option<VerifiedToken<Access>>,
    pub(super) session: Option<Arc<Session>>,
}

impl RequestEvent<'_> {
    /// Returns the form of verified credentials: `bearer` or `session`; empty without any.
    #[must_use]
    pub fn credentials(&self) -> &'static str {
        match (&self.token, &self.session) {
            (Some(_), _) => "bearer",
            (None, Some(_)) => "session",
            (None, None) => "",
        }
    }

    /// Returns the issuer of verified credentials.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.token {
            Some(token) => token.claims().issuer(),
            None => self.session.as_ref()?.claims().issuer(),
        }
    }

    /// Returns the `kid` of the key that verified the bearer token.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.token.as_ref()?.header().kid()
    }
}

impl RequestEvent<'_> {
    /// Returns what became of the request, and the code of its refusal or failure; empty for neither.
    #[must_use]
    pub fn outcome(&self, answered: Answered) -> (RequestOutcome, &'static str) {
        let Answered { status, code, is_forwarded } = answered;
        match status {
            500.. if !code.is_empty() => (RequestOutcome::Failed, code),
            _ if !self.observed.is_empty() => (RequestOutcome::Observed, self.observed),
            400.. if !code.is_empty() => (RequestOutcome::Refused, code),
            _ if is_forwarded => (RequestOutcome::Forwarded, code),
            300..400 => (RequestOutcome::Redirected, code),
            _ => (RequestOutcome::Answered, code),
        }
    }
}

/// The answer to a request, for its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// The [code](crate::http::Reply::code) of the gateway's own reply; empty for any other.
    pub code: &'static str,
    /// Whether it is the response of an origin.
    pub is_forwarded: bool,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// An origin answered.
    Forwarded,
    /// The gateway answered.
    Answered,
    /// The gateway redirected the client.
    Redirected,
    /// The route only observed what it would have refused.
    Observed,
    /// The gateway refused the request.
    Refused,
    /// The gateway could not answer.
    Failed,
}

impl RequestOutcome {
    pub(super) const NAMES: [&str; 6] = ["forwarded", "answered", "redirected", "observed", "refused", "failed"];

    /// Returns its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// Returns its level in the log, for a response of this status.
    #[must_use]
    pub const fn level(self, status: u16) -> RequestLevel {
        match self {
            _ if status >= 500 => RequestLevel::Error,
            Self::Observed | Self::Refused => RequestLevel::Warning,
            _ => RequestLevel::Info,
        }
    }
}

/// Which requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLog {
    /// The lowest level.
    pub level: RequestLevel,
    /// Of the requests at level `info`, one in so many is logged.
    pub sample: u32,
}

/// The level of a request in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestLevel {
    /// Every request.
    Info,
    /// Refused requests, and those whose refusal a route only observes.
    Warning,
    /// Requests that failed.
    Error,
}

/// What is recorded of requests.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) log: Option<RequestLog>,
    /// The binding for metrics.
    pub(super) binding: String,
    /// The secret of clients that see `Server-Timing`.
    pub(super) timing_secret: Option<String>,
}

/// The header with that secret.
pub(super) const TIMING: &str = "x-edgeward-timing";

impl core::fmt::Debug for Recording {
    /// Omits the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recording").field("log", &self.log).field("binding", &self.binding).finish_non_exhaustive()
    }
}
