//! Sessions that were logged out of, remembered where the logout happened.

use alloc::collections::VecDeque;

use crate::rsa::hash::sha256;

/// Names of ended sessions. Bounded: it forgets the oldest.
#[derive(Debug, Default)]
pub struct EndedSessions(VecDeque<[u8; 32]>);

impl EndedSessions {
    const MOST: usize = 4096;

    /// Ends a session: its cookie, should somebody have kept it, opens nothing here any more.
    pub fn end(&mut self, id: &str) {
        if self.0.len() >= Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(sha256(id.as_bytes()));
    }

    /// Whether it was ended here.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&sha256(id.as_bytes()))
    }
}
