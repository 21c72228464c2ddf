//! The provider's keys, and since when instances must and must not know each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::toy::{ToyKey, toy_jwk};

/// How long an instance may use a set, in milliseconds: its freshness lifetime.
const FRESH_MS: i64 = 600_000;
/// How long after it was published, at most, an instance learns of a key, in milliseconds: the set of the edge cache may be as old as the
/// cooldown, and the instance fetches again after another one.
const COOLDOWN_MS: i64 = 65_000;
/// How long after the last fault, at most, an instance fetches again, in milliseconds: the longest pause, and the cooldown.
const RECOVERY_MS: i64 = 70_000;
/// How long instances use keys of a provider that is down, in milliseconds, with a margin.
const STALE_MS: i64 = 23 * 3_600_000;

/// How far clocks may go back before a set, or a session, is one from the future, in milliseconds, with a margin.
pub(crate) const MAX_SET_BACK_MS: i64 = 55_000;

#[derive(Debug, Clone)]
struct Published {
    kid: String,
    since_ms: i64,
    /// When it was withdrawn or replaced.
    until_ms: Option<i64>,
}

/// The keys by number. Times are in elapsed milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    all: BTreeMap<ToyKey, Published>,
    next: ToyKey,
    /// Since when the provider has been answering without faults.
    pub(crate) healthy_ms: i64,
    /// Until when sets from before the clock went back may look newer than they are.
    settled_ms: i64,
}

/// What an instance has seen of the keys.
#[derive(Debug, Default, Clone)]
pub(crate) struct Knowledge {
    /// The keys whose tokens it has accepted since its start.
    known: BTreeSet<ToyKey>,
    /// When it last handled a token while the provider answered: its set is no older than that and the freshness lifetime.
    current_ms: Option<i64>,
    /// How far the clock was set back since.
    set_back_ms: i64,
}

impl Keys {
    /// Publishes a key under this `kid`; one that has it is replaced.
    pub(crate) fn publish(&mut self, kid: String, now_ms: i64) {
        for published in self.all.values_mut().filter(|one| one.kid == kid) {
            published.until_ms.get_or_insert(now_ms);
        }
        self.next += 1;
        self.all.insert(self.next, Published { kid, since_ms: now_ms, until_ms: None });
    }

    pub(crate) fn withdraw(&mut self, key: ToyKey, now_ms: i64) {
        if let Some(published) = self.all.get_mut(&key) {
            published.until_ms.get_or_insert(now_ms);
        }
    }

    /// Returns the published keys, oldest first.
    pub(crate) fn published(&self) -> Vec<(ToyKey, &str)> {
        self.all.iter().filter(|(_, one)| one.until_ms.is_none()).map(|(key, one)| (*key, one.kid.as_str())).collect()
    }

    /// Returns a key, with its `kid`, that was published once.
    pub(crate) fn any(&self, choice: usize) -> (ToyKey, String) {
        let (key, published) = self.all.iter().nth(choice % self.all.len()).unwrap();
        (*key, published.kid.clone())
    }

    pub(crate) fn jwks(&self) -> Vec<Value> {
        self.published().into_iter().map(|(key, kid)| toy_jwk(key, kid)).collect()
    }

    /// Returns whether an instance must accept tokens of this key.
    pub(crate) fn must_be_known(&self, key: ToyKey, by: &Knowledge, now_ms: i64) -> bool {
        let Some(published) = self.all.get(&key).filter(|one| one.until_ms.is_none()) else { return false };
        let is_remembered = by.known.contains(&key) && by.current_ms.is_some_and(|at| now_ms - at < STALE_MS);
        let can_be_fetched =
            now_ms - published.since_ms.max(self.healthy_ms) > COOLDOWN_MS && now_ms - self.healthy_ms > RECOVERY_MS;
        now_ms > self.settled_ms && (is_remembered || can_be_fetched)
    }

    /// Returns whether no instance with this knowledge may accept tokens of this key any more.
    pub(crate) fn must_be_unknown(&self, key: ToyKey, by: &Knowledge) -> bool {
        let Some(published) = self.all.get(&key) else { return true };
        let Some(until_ms) = published.until_ms else { return false };
        by.current_ms.is_some_and(|at| at > until_ms + FRESH_MS)
    }

    pub(crate) fn is_remembered(&self, key: ToyKey) -> bool {
        self.all.contains_key(&key)
    }

    /// Forgets keys that were withdrawn long ago.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        if self.all.len() > 24 {
            self.all.retain(|_, one| one.until_ms.is_none_or(|until| until > before_ms));
        }
    }

    /// Accounts for a jump of the wall clock: what was withdrawn may be used for longer.
    pub(crate) fn clock_jumped(&mut self, by_ms: i64, now_ms: i64) {
        for published in self.all.values_mut() {
            published.until_ms = published.until_ms.map(|_| now_ms + by_ms.abs());
            published.since_ms = published.since_ms.max(now_ms + by_ms.abs());
        }
        self.healthy_ms = self.healthy_ms.max(now_ms + by_ms.abs());
        if by_ms < 0 {
            // A set from the future counts as fetched when that time has come, and is fresh then. One from just before the jump looks newer
            // than those of the time that is repeated: an instance may take it from the edge cache, and keep it until it fetches again.
            let settling_ms = if -by_ms > MAX_SET_BACK_MS { FRESH_MS } else { COOLDOWN_MS };
            self.settled_ms = self.settled_ms.max(now_ms - by_ms + settling_ms);
        }
    }
}

impl Knowledge {
    /// Records that a token of this key was accepted.
    pub(crate) fn accepted(&mut self, key: ToyKey) {
        self.known.insert(key);
    }

    /// Records that a token was handled to the end while the provider answered.
    pub(crate) fn is_current(&mut self, at_ms: i64) {
        self.current_ms = Some(at_ms);
        self.set_back_ms = 0;
    }

    pub(crate) fn clock_jumped(&mut self, by_ms: i64) {
        self.set_back_ms += by_ms.min(0).abs();
        // A set from the future is not used.
        self.current_ms = self.current_ms.filter(|_| self.set_back_ms < MAX_SET_BACK_MS).map(|at| at - by_ms.abs());
    }
}
