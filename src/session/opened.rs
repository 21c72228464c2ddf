//! Sessions that were opened, kept for the next request with the same cookie.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use crate::limits;

/// A bounded store of opened sessions, found again only by the whole sealed text.
///
/// It never changes a verdict: the same text opens to the same session, and its user asks anew whether the session is live. A
/// store belongs to one gateway, so entries of different secrets never meet.
#[derive(Default)]
pub struct OpenedSessions {
    /// Pairs of slots, the newer entry first.
    slots: Vec<[Option<Entry>; 2]>,
}

struct Entry {
    sealed: Box<str>,
    session: Arc<Session>,
}

impl OpenedSessions {
    const PAIRS: usize = limits::SESSION_CACHE_ENTRIES / 2;

    pub(super) fn find(&self, sealed: &str) -> Option<&Arc<Session>> {
        let pair = self.slots.get(position(sealed)?)?;
        pair.iter().flatten().find(|entry| *entry.sealed == *sealed).map(|entry| &entry.session)
    }

    pub(super) fn insert(&mut self, sealed: &str, session: Arc<Session>) {
        if sealed.len() > limits::SESSION_CACHE_MAX_BYTES {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(Self::PAIRS, || [None, None]);
        }
        let Some([newer, older]) = position(sealed).and_then(|position| self.slots.get_mut(position)) else { return };
        *older = newer.replace(Entry { sealed: sealed.into(), session });
    }
}

/// The pair a text belongs to, from characters near its end: those of the seal's tag, which is as good as random, and only what
/// was sealed here gets in.
fn position(sealed: &str) -> Option<usize> {
    let sample = sealed.as_bytes().iter().rev().skip(2).take(12);
    let mixed = sample.fold(0u64, |mixed, &byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(mixed >> 32).ok()?.checked_rem(OpenedSessions::PAIRS)
}

impl core::fmt::Debug for OpenedSessions {
    /// Shows no cookie.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenedSessions").finish_non_exhaustive()
    }
}
