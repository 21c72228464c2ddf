//! What logins ask of their host beyond keys: randomness, work that outlives a request, and one place per session.

use alloc::string::String;

use super::session_job::SessionJob;
use crate::host::Spawn;
use crate::io::Unreachable;
use crate::jwk::KeyHost;

/// A host on which people log in.
pub trait LoginHost: KeyHost + Spawn<SessionJob> {
    /// Fills `out` with random bytes that nobody can predict.
    fn entropy(&self, out: &mut [u8]);

    /// Whether instances of this program share a coordinator for each session; see [`coordinate`](Self::coordinate).
    fn has_coordinator(&self) -> bool;

    /// Hands a message to the coordinator of its session: one place for all instances, which answers it with
    /// [`RelyingParty::coordinate`](super::RelyingParty::coordinate). Never called without a coordinator.
    fn coordinate(&self, message: CoordinatorMessage) -> impl Future<Output = Result<CoordinatorResponse, Unreachable>>;
}

/// A message for a session's coordinator.
pub struct CoordinatorMessage {
    /// Which session's: does not tell the session's own name.
    pub session: String,
    /// What is asked.
    pub act: SessionAction,
    /// The session, sealed.
    pub sealed: String,
    /// Time until the answer must be there, in milliseconds.
    pub timeout_ms: u32,
}

/// What the coordinator answers, as an HTTP status and a text.
#[derive(Clone, PartialEq, Eq)]
pub struct CoordinatorResponse {
    /// 200: a sealed session follows, or nothing if none is newer than the one that was sent. 410: the act that ended it follows,
    /// or nothing if the provider did. 503: nothing is known.
    pub status: u16,
    /// See `status`.
    pub text: String,
}

/// What becomes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAction {
    /// Its tokens are refreshed.
    Refresh,
    /// Its user logs out.
    Logout,
    /// A new login takes its place.
    Replace,
}

impl SessionAction {
    /// The act of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Refresh, Self::Logout, Self::Replace].into_iter().find(|act| act.name() == name)
    }

    /// Its name, for a URL or a log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::Replace => "replaced",
        }
    }
}

impl core::fmt::Debug for CoordinatorMessage {
    /// Shows neither the session nor its name.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CoordinatorMessage").field("act", &self.act).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for CoordinatorResponse {
    /// Shows no session.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CoordinatorResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>(host: &impl LoginHost) -> [u8; N] {
    let mut bytes = [0; N];
    host.entropy(&mut bytes);
    bytes
}
