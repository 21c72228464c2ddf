//! Verified tokens, kept for the next request that brings the same one.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::VerifiedToken;
use crate::jwk::VerifyingKey;
use crate::limits;

/// A bounded store of verified tokens, found again only by their whole text.
///
/// It never changes a verdict: an entry holds the key it was verified with, and its user asks anew whether that key still
/// stands and whether the time is right. A cache belongs to one verifier, so entries of different policies never meet.
pub struct TokenCache {
    /// Pairs of slots, the newer entry first.
    slots: Vec<[Option<Entry>; 2]>,
    pairs: usize,
}

/// A verified token with what its verdict rests on.
#[derive(Clone)]
pub(crate) struct Entry {
    text: Box<str>,
    /// Index of the issuer in the verifier.
    pub(crate) issuer: usize,
    pub(crate) key: Arc<VerifyingKey>,
    pub(crate) token: Arc<VerifiedToken>,
}

impl TokenCache {
    /// A cache for about so many tokens; 0 keeps none.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self { slots: Vec::new(), pairs: entries.div_ceil(2) }
    }

    pub(crate) fn entries(&self) -> usize {
        2 * self.pairs
    }

    pub(crate) fn find(&self, text: &str) -> Option<&Entry> {
        let pair = self.slots.get(self.position(text)?)?;
        pair.iter().flatten().find(|entry| *entry.text == *text)
    }

    pub(crate) fn insert(&mut self, text: &str, issuer: usize, key: Arc<VerifyingKey>, token: Arc<VerifiedToken>) {
        if text.len() > limits::TOKEN_CACHE_MAX_TOKEN_BYTES {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(self.pairs, || [None, None]);
        }
        let Some(pair) = self.position(text).and_then(|position| self.slots.get_mut(position)) else { return };
        let entry = Entry { text: text.into(), issuer, key, token };
        let [newer, older] = pair;
        if newer.as_ref().is_some_and(|newer| newer.text != entry.text) {
            *older = newer.take();
        }
        *newer = Some(entry);
    }

    pub(crate) fn remove(&mut self, text: &str) {
        if let Some(pair) = self.position(text).and_then(|position| self.slots.get_mut(position)) {
            for slot in pair {
                if slot.as_ref().is_some_and(|entry| *entry.text == *text) {
                    *slot = None;
                }
            }
        }
    }

    /// The pair a token belongs to, from characters near the end of its signature: those of genuine tokens are as good as
    /// random, and only genuine tokens get in.
    fn position(&self, text: &str) -> Option<usize> {
        let sample = text.as_bytes().iter().rev().skip(2).take(12);
        let mixed = sample.fold(0u64, |mixed, &byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from(mixed >> 32).ok()?.checked_rem(self.pairs)
    }
}

impl core::fmt::Debug for TokenCache {
    /// Shows no token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TokenCache").field("pairs", &self.pairs).finish_non_exhaustive()
    }
}
