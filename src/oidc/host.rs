//! The host functions that logins need besides keys: randomness, jobs that outlive a request, and a coordinator per session.

use alloc::string::String;
use alloc::vec::Vec;

use super::session_job::SessionJob;
use super::shared_records::{SharedMessage, SharedResponse};
use crate::host::Spawn;
use crate::io::{Incoming, Outgoing, Unreachable};
use crate::jwk::KeyHost;

/// A [`Host`](crate::host::Host) that supports logins.
pub trait LoginHost: KeyHost + Spawn<SessionJob> {
    /// Fills `out` with cryptographically secure random bytes.
    fn entropy(&self, out: &mut [u8]);

    /// Sends a request as [`Host::send`](crate::host::Host::send) does; with the client certificate of the binding with this name, if there is
    /// one. By default, there are no such bindings, and no request is sent without the certificate.
    fn send_by(&self, binding: Option<&str>, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>> {
        async move { if binding.is_none() { self.send(request).await } else { Err(Unreachable::Network) } }
    }

    /// Whether all instances share a coordinator for each session; see [`coordinate`](Self::coordinate).
    fn has_coordinator(&self) -> bool;

    /// Sends a message to its session's coordinator, which is shared by all instances and handles it with
    /// [`RelyingParty::coordinate`](super::RelyingParty::coordinate). Only called if there is a coordinator.
    fn coordinate(&self, message: CoordinatorMessage)
    -> impl Future<Output = Result<CoordinatorResponse, Unreachable>>;

    /// Reads the body of the request that is handled; `None` if it is longer than `max_bytes`, or cannot be read. By default, it cannot.
    fn read_body(&self, max_bytes: usize) -> impl Future<Output = Option<Vec<u8>>> {
        let _ = max_bytes;
        core::future::ready(None)
    }

    /// Whether all instances share small records; see [`share`](Self::share). By default, those with coordinators do.
    fn has_shared_records(&self) -> bool {
        self.has_coordinator()
    }

    /// Sends a message to an object with shared records, which handles it as [`SharedRecords`](super::SharedRecords) does: messages to one
    /// object one after another, and what is stored is durable before the response. By default, there are no shared records.
    fn share(&self, message: SharedMessage) -> impl Future<Output = Result<SharedResponse, Unreachable>> {
        drop(message);
        core::future::ready(Err(Unreachable::Network))
    }

    /// Asks the object with this name, which all instances share, for an upstream token. It handles the message with
    /// [`UpstreamTokens::coordinate`](super::UpstreamTokens::coordinate). Only called if there is a coordinator. By default, there is no
    /// such object, and each instance requests a token of its own.
    fn coordinate_upstream(
        &self,
        name: String,
        timeout_ms: u32,
    ) -> impl Future<Output = Result<CoordinatorResponse, Unreachable>> {
        drop(name);
        let _ = timeout_ms;
        core::future::ready(Err(Unreachable::Network))
    }

    /// Adds the counts of this instance to those of all others, and returns their sum:
    /// [`merged_counts`](crate::gateway::merged_counts) of the stored text and the report. `None` if there is no store for it or it
    /// does not respond, which is the default. Only called if there is a coordinator and a status route.
    fn report_status(&self, report: StatusReport) -> impl Future<Output = Option<String>> {
        drop(report);
        core::future::ready(None)
    }
}

/// The counts of an instance since its last report, for the status route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The name of the sum: each configuration and version has its own.
    pub name: String,
    /// The counts.
    pub counts: String,
    /// The time limit for the response, in milliseconds.
    pub timeout_ms: u32,
}

/// A message to a session's coordinator.
pub struct CoordinatorMessage {
    /// The coordinator's name: a hash of the session's id, so it does not reveal the id.
    pub session: String,
    /// The requested action.
    pub action: SessionAction,
    /// The sealed session.
    pub sealed: String,
    /// The time limit for the response, in milliseconds.
    pub timeout_ms: u32,
}

/// A coordinator's response: an HTTP status and a text.
#[derive(Clone, PartialEq, Eq)]
pub struct CoordinatorResponse {
    /// 200: `text` is a sealed session, or empty if none is newer than the one sent. 206: the same, with a new refresh token alone. 410: `text` names the action that ended
    /// the session, or is empty if the provider ended it. 503: the outcome is unknown.
    pub status: u16,
    /// See `status`.
    pub text: String,
}

/// An action on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAction {
    /// Refreshes its tokens.
    Refresh,
    /// Ends it because the user logs out.
    Logout,
    /// Ends it because a new login replaces it.
    Replace,
    /// Asks whether it has ended, and for its newest tokens. Changes nothing.
    Check,
}

impl SessionAction {
    /// Returns the action with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Refresh, Self::Logout, Self::Replace, Self::Check].into_iter().find(|action| action.name() == name)
    }

    /// Returns its name, for URLs and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::Replace => "replaced",
            Self::Check => "check",
        }
    }
}

impl core::fmt::Debug for CoordinatorMessage {
    /// Redacts the session and its id.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CoordinatorMessage").field("action", &self.action).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for CoordinatorResponse {
    /// Redacts the session.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CoordinatorResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Returns random bytes.
pub(crate) fn random<const N: usize>(host: &impl LoginHost) -> [u8; N] {
    let mut bytes = [0; N];
    host.entropy(&mut bytes);
    bytes
}
