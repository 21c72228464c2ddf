//! A cache of verified tokens, for requests that present the same token again.

use alloc::sync::Arc;

use super::Verified;
use crate::jwk::VerifyingKey;
use crate::limits;
use crate::text_cache::TextCache;

/// A bounded cache of verified tokens, looked up by their whole text.
///
/// It never changes a verdict: an entry holds the key it was verified with, and the verifier checks each time that this is still the
/// issuer's key and that the token has not expired. Each verifier has its own cache, so policies never share entries.
pub struct TokenCache(TextCache<Entry>);

/// A verified token with the issuer and the key it was verified with.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Index of the issuer in the verifier.
    pub(crate) issuer: usize,
    pub(crate) key: Arc<VerifyingKey>,
    pub(crate) token: Arc<Verified>,
}

impl TokenCache {
    /// Creates a cache for about `entries` tokens; 0 disables it.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self(TextCache::new(entries, limits::TOKEN_CACHE_MAX_TOKEN_BYTES))
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
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
        f.debug_struct("TokenCache").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
