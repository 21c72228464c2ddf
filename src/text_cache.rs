//! What whole texts were found to be, kept for the next time one comes.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A bounded store, searched by whole texts: nothing is found by a text that only resembles another.
///
/// Only for texts whose last characters nobody can choose: signatures and seals, once they are verified. Those characters spread
/// the entries.
pub(crate) struct TextCache<T> {
    /// Pairs of slots, the newer entry first.
    slots: Vec<[Option<Entry<T>>; 2]>,
    pairs: usize,
    /// Longer texts are not kept, in bytes.
    longest: usize,
}

struct Entry<T> {
    text: Box<str>,
    value: T,
}

impl<T> TextCache<T> {
    /// A store for about so many texts; 0 keeps none.
    pub(crate) fn new(entries: usize, longest: usize) -> Self {
        Self { slots: Vec::new(), pairs: entries.div_ceil(2), longest }
    }

    pub(crate) fn entries(&self) -> usize {
        2 * self.pairs
    }

    pub(crate) fn find(&self, text: &str) -> Option<&T> {
        let pair = self.slots.get(self.position(text)?)?;
        pair.iter().flatten().find(|entry| *entry.text == *text).map(|entry| &entry.value)
    }

    pub(crate) fn insert(&mut self, text: &str, value: T) {
        if text.len() > self.longest {
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

    /// The pair a text belongs to, from characters near its end.
    fn position(&self, text: &str) -> Option<usize> {
        let sample = text.as_bytes().iter().rev().skip(2).take(12);
        let mixed = sample.fold(0u64, |mixed, &byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from(mixed >> 32).ok()?.checked_rem(self.pairs)
    }
}
