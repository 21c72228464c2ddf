//! A cache of opened sessions, for the next request with the same cookie.

use alloc::sync::Arc;

use super::Session;
use crate::limits;
use crate::text_cache::TextCache;

/// A bounded cache of opened sessions, keyed by the whole sealed text.
///
/// It never changes a verdict: the same text always opens to the same session, and each request checks again whether the session
/// is live. A cache belongs to one gateway, so it never mixes entries of different secrets.
pub struct OpenedSessions(TextCache<Arc<Session>>);

impl Default for OpenedSessions {
    fn default() -> Self {
        Self(TextCache::new(limits::SESSION_CACHE_ENTRIES, limits::SESSION_CACHE_MAX_BYTES))
    }
}

impl OpenedSessions {
    pub(super) fn find(&self, sealed: &str) -> Option<&Arc<Session>> {
        self.0.find(sealed)
    }

    pub(super) fn insert(&mut self, sealed: &str, session: Arc<Session>) {
        self.0.insert(sealed, session);
    }
}

impl core::fmt::Debug for OpenedSessions {
    /// Redacts the cookies.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenedSessions").finish_non_exhaustive()
    }
}
