//! Sessions that ended before their time, remembered where that happened.

use alloc::collections::VecDeque;

use crate::crypto::sha256;
use crate::limits;

/// Names of ended sessions. Bounded: it forgets the oldest.
#[derive(Debug, Default)]
pub struct LoggedOutSessions(VecDeque<([u8; 32], bool)>);

impl LoggedOutSessions {
    /// Ends a session that was logged out of: its cookie, should somebody have kept it, opens nothing here any more.
    pub fn end(&mut self, id: &str) {
        self.push(id, true);
    }

    /// Ends a session that a new login took the place of.
    pub fn replace(&mut self, id: &str) {
        self.push(id, false);
    }

    fn push(&mut self, id: &str, revokes: bool) {
        if self.0.len() >= limits::MAX_LOGGED_OUT_SESSIONS {
            self.0.pop_front();
        }
        self.0.push_back((sha256(id.as_bytes()), revokes));
    }

    /// Whether it was ended here.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.revokes(id).is_some()
    }

    /// Whether tokens that come for it all the same are revoked: after a logout they are, after a new login not, for some
    /// providers would end that one with them. `None` if it was not ended here.
    #[must_use]
    pub fn revokes(&self, id: &str) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let id = sha256(id.as_bytes());
        self.0.iter().filter(|(one, _)| *one == id).map(|(_, revokes)| *revokes).max()
    }
}
