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
