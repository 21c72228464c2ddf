//! A cache of what was found out about whole texts.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A bounded map whose keys are compared whole.
///
/// Entries are distributed by the last characters of their text, so it is only for texts whose end an attacker cannot choose: verified
/// signatures, seals and hashes.
pub(crate) struct TextCache<T> {
    /// Pairs of slots, the newer entry first.
    slots: Vec<[Option<Entry<T>>; 2]>,
    pairs: usize,
    /// Longer texts are not cached, in bytes.
    max_bytes: usize,
}

struct Entry<T> {
    text: Box<str>,
    value: T,
}

impl<T> TextCache<T> {
    /// Creates a cache for about `entries` texts; 0 disables it.
    pub(crate) fn new(entries: usize, max_bytes: usize) -> Self {
        Self { slots: Vec::new(), pairs: entries.div_ceil(2), max_bytes }
    }

    pub(crate) fn capacity(&self) -> usize {
        2 * self.pairs
    }

    pub(crate) fn find(&self, text: &str) -> Option<&T> {
        let pair = self.slots.get(self.position(text)?)?;
        pair.iter().flatten().find(|entry| *entry.text == *text).map(|entry| &entry.value)
    }

    pub(crate) fn insert(&mut self, text: &str, value: T) {
        if text.len() > self.max_bytes {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(self.pairs, || [None, None]);
        }
        let Some(pair) = self.position(text).and_then(|position| self.slots.get_mut(position)) else { return };
        let entry = Entry { text: text.into(), value };
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

    /// Returns the index of the pair of slots for a text, from characters near its end.
    fn position(&self, text: &str) -> Option<usize> {
        let sample = text.as_bytes().iter().rev().skip(2).take(12);
        let mixed = sample.fold(0u64, |mixed, &byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from(mixed >> 32).ok()?.checked_rem(self.pairs)
    }
}
