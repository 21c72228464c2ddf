//! Sessions that the gateway ended before they expired, as known in this instance.

use alloc::collections::VecDeque;

use crate::crypto::sha256;
use crate::limits;

/// The ids of ended sessions, hashed. Bounded: the oldest are evicted.
#[derive(Debug, Default)]
pub struct LoggedOutSessions(VecDeque<([u8; 32], bool)>);

impl LoggedOutSessions {
    /// Records a logout: a copy of the session's cookie is no longer accepted in this instance.
    pub fn end(&mut self, id: &str) {
        self.push(id, true);
    }

    /// Records that a new login replaced the session.
    pub fn replace(&mut self, id: &str) {
        self.push(id, false);
    }

    fn push(&mut self, id: &str, revokes: bool) {
        if self.0.len() >= limits::MAX_LOGGED_OUT_SESSIONS {
            self.0.pop_front();
        }
        self.0.push_back((sha256(id.as_bytes()), revokes));
    }

    /// Returns whether the session was ended here.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.revokes_tokens(id).is_some()
    }

    /// Returns whether tokens issued to the session afterwards must be revoked: after a logout, but not after a new login, which
    /// some providers would end with them. `None` if the session was not ended here.
    #[must_use]
    pub fn revokes_tokens(&self, id: &str) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let id = sha256(id.as_bytes());
        self.0.iter().filter(|(one, _)| *one == id).map(|(_, revokes)| *revokes).max()
    }
}
