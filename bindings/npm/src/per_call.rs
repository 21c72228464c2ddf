//! A cache of parsed per-call options: a route passes the same text with every request.

use alloc::sync::Arc;
use alloc::vec::Vec;

use edgeward::limits::ROUTE_CACHE_ENTRIES;

use crate::options::PerCall;

/// The last per-call options with the text they were parsed from.
pub(crate) struct PerCallCache {
    entries: Vec<(Vec<u8>, Arc<PerCall>)>,
    /// The index to replace next, once the cache is full.
    next: usize,
}

impl PerCallCache {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), next: 0 }
    }

    /// Parses per-call options; `Some(None)` if `text` is empty, `None` if it cannot be parsed.
    pub(crate) fn parse(&mut self, text: &[u8]) -> Option<Option<Arc<PerCall>>> {
        if text.is_empty() {
            return Some(None);
        }
        if let Some((_, cached)) = self.entries.iter().find(|(cached, _)| cached == text) {
            return Some(Some(Arc::clone(cached)));
        }
        let parsed = Arc::new(PerCall::parse(text)?);
        // The options of a single login are not used again.
        if !parsed.is_for_one_login() {
            let entry = (text.to_vec(), Arc::clone(&parsed));
            match self.entries.get_mut(self.next) {
                Some(oldest) => *oldest = entry,
                None => self.entries.push(entry),
            }
            self.next = (self.next + 1) % ROUTE_CACHE_ENTRIES;
        }
        Some(Some(parsed))
    }
}
