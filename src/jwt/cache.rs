//! Verified tokens, kept for the next request that brings the same one.

use alloc::sync::Arc;

use super::Verified;
use crate::jwk::VerifyingKey;
use crate::limits;
use crate::text_cache::TextCache;

/// A bounded store of verified tokens, found again only by their whole text.
///
/// It never changes a verdict: an entry holds the key it was verified with, and its user asks anew whether that key still
/// stands and whether the time is right. A cache belongs to one verifier, so entries of different policies never meet.
pub struct TokenCache(TextCache<Entry>);

/// A verified token with what its verdict rests on.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Index of the issuer in the verifier.
    pub(crate) issuer: usize,
    pub(crate) key: Arc<VerifyingKey>,
    pub(crate) token: Arc<Verified>,
}

impl TokenCache {
    /// A cache for about so many tokens; 0 keeps none.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self(TextCache::new(entries, limits::TOKEN_CACHE_MAX_TOKEN_BYTES))
    }

    pub(crate) fn entries(&self) -> usize {
        self.0.entries()
    }

    pub(crate) fn find(&self, text: &str) -> Option<&Entry> {
        self.0.find(text)
    }

    pub(crate) fn insert(&mut self, text: &str, issuer: usize, key: Arc<VerifyingKey>, token: Arc<Verified>) {
        self.0.insert(text, Entry { issuer, key, token });
    }

    pub(crate) fn remove(&mut self, text: &str) {
        self.0.remove(text);
    }
}

impl core::fmt::Debug for TokenCache {
    /// Shows no token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.entries()).finish_non_exhaustive()
    }
}
