//! One fetch for all who need its outcome: whose turn it is to fetch, and how long to pause after a failure.
//!
//! Nothing is shared but these few numbers. Whoever may not fetch looks again a moment later; a fetch that never comes back
//! holds the others up for one lease.

use crate::io::UnixTime;
use crate::limits;

#[derive(Debug)]
pub(crate) struct SingleFlight {
    lease_ms: i64,
    /// Number of the newest fetch.
    newest: u64,
    /// The newest fetch is under way, and others rely on it until then.
    lease_until: Option<UnixTime>,
    failures: u32,
    retry_at: UnixTime,
}

impl SingleFlight {
    pub(crate) const fn new(lease_ms: i64) -> Self {
        Self { lease_ms, newest: 0, lease_until: None, failures: 0, retry_at: UnixTime::from_millis(i64::MIN) }
    }

    /// Whether a fetch is under way that others rely on.
    pub(crate) fn is_leased(&self, now: UnixTime) -> bool {
        self.lease_until.is_some_and(|until| is_ahead(until, now, self.lease_ms))
    }

    /// Whether a fetch may begin: not while another is under way, and not during the pause after a failed one.
    pub(crate) fn may_begin(&self, now: UnixTime) -> bool {
        let is_pausing = self.is_failing() && is_ahead(self.retry_at, now, limits::RETRY_AFTER_MAX_S * 1000);
        !self.is_leased(now) && !is_pausing
    }

    /// Begins a fetch. Returns its number.
    pub(crate) fn begin(&mut self, now: UnixTime) -> u64 {
        self.newest += 1;
        self.extend(self.newest, now);
        self.newest
    }

    /// A fetch begins anew: the others rely on it for another lease.
    pub(crate) fn extend(&mut self, number: u64, now: UnixTime) {
        if number == self.newest {
            self.lease_until = Some(UnixTime::from_millis(now.millis().saturating_add(self.lease_ms)));
        }
    }

    /// A fetch is over, or will not happen. Only the newest has a lease to end. Returns whether it had one until now: a fetch ends
    /// once.
    pub(crate) fn release(&mut self, number: u64) -> bool {
        number == self.newest && self.lease_until.take().is_some()
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Pauses: longer with each failure in a row, and as long as the provider asks for.
    pub(crate) fn failed(&mut self, retry_after_s: Option<i64>, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        let doubled = limits::FETCH_BACKOFF_MIN_S << (self.failures - 1).min(10);
        let asked = retry_after_s.unwrap_or(0).min(limits::RETRY_AFTER_MAX_S);
        self.retry_at = later(now, doubled.min(limits::FETCH_BACKOFF_MAX_S).max(asked));
    }

    /// Whether the last fetch failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// When the pause ends.
    pub(crate) fn retry_at(&self) -> UnixTime {
        self.retry_at
    }
}

/// Whether `time` is yet to come, by no more than `at_most_ms`: further ahead, the clock went back since it was set.
fn is_ahead(time: UnixTime, now: UnixTime, at_most_ms: i64) -> bool {
    (1..=at_most_ms).contains(&time.millis().saturating_sub(now.millis()))
}

pub(crate) fn later(time: UnixTime, secs: i64) -> UnixTime {
    UnixTime::from_millis(time.millis().saturating_add(secs.saturating_mul(1000)))
}
