//! One fetch at a time, shared by the requests that need its outcome, and pauses after failures.
//!
//! Nothing is shared but these few numbers. A request that may not fetch polls; a fetch that never ends delays the others by one lease.

use crate::io::UnixTime;
use crate::limits;

/// Decides which request fetches, and when.
#[derive(Debug)]
pub(crate) struct SingleFlight {
    lease_ms: i64,
    /// Number of the newest fetch.
    newest: u64,
    /// While the newest fetch is under way: how long others wait for it.
    lease_until: Option<UnixTime>,
    failures: u32,
    retry_at: UnixTime,
}

impl SingleFlight {
    pub(crate) const fn new(lease_ms: i64) -> Self {
        Self { lease_ms, newest: 0, lease_until: None, failures: 0, retry_at: UnixTime::from_millis(i64::MIN) }
    }

    /// Returns whether a fetch is under way that other requests wait for.
    pub(crate) fn is_leased(&self, now: UnixTime) -> bool {
        self.lease_until.is_some_and(|until| is_ahead(until, now, self.lease_ms))
    }

    /// Returns whether a fetch may begin: not while another is under way, nor during the pause after a failure.
    pub(crate) fn may_begin(&self, now: UnixTime) -> bool {
        let is_pausing = self.is_failing() && is_ahead(self.retry_at, now, limits::RETRY_AFTER_MAX_S * 1000);
        !self.is_leased(now) && !is_pausing
    }

    /// Begins a fetch and returns its number.
    pub(crate) fn begin(&mut self, now: UnixTime) -> u64 {
        self.newest += 1;
        self.extend(self.newest, now);
        self.newest
    }

    /// Gives a fetch that is retried another lease.
    pub(crate) fn extend(&mut self, number: u64, now: UnixTime) {
        if number == self.newest {
            self.lease_until = Some(UnixTime::from_millis(now.millis().saturating_add(self.lease_ms)));
        }
    }

    /// Ends the lease of a fetch that has ended or will not happen. Returns whether it had one: only the newest fetch does, and only
    /// until it first ends.
    pub(crate) fn release(&mut self, number: u64) -> bool {
        number == self.newest && self.lease_until.take().is_some()
    }

    /// Ends the pauses.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Starts a pause: longer with each consecutive failure, and at least as long as the provider asks for.
    pub(crate) fn failed(&mut self, retry_after_s: Option<i64>, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        let doubled = limits::FETCH_BACKOFF_MIN_S << (self.failures - 1).min(10);
        let requested = retry_after_s.unwrap_or(0).min(limits::RETRY_AFTER_MAX_S);
        self.retry_at = later(now, doubled.min(limits::FETCH_BACKOFF_MAX_S).max(requested));
    }

    /// Makes a pause as long as the provider asks for, if that is longer.
    #[cfg(feature = "gateway")]
    pub(crate) fn postpone(&mut self, retry_after_s: i64, now: UnixTime) {
        self.retry_at = self.retry_at.max(later(now, retry_after_s.min(limits::RETRY_AFTER_MAX_S)));
    }

    /// Returns whether the last fetch failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether the last fetch failed and the pause has not ended for long.
    pub(crate) fn has_failed_lately(&self, now: UnixTime) -> bool {
        let until = later(self.retry_at, limits::FETCH_BACKOFF_MAX_S);
        self.is_failing() && is_ahead(until, now, (limits::RETRY_AFTER_MAX_S + limits::FETCH_BACKOFF_MAX_S) * 1000)
    }

    /// Returns the end of the pause.
    pub(crate) fn retry_at(&self) -> UnixTime {
        self.retry_at
    }
}

/// Returns whether `time` is ahead by at most `at_most_ms`: if it is further ahead, the clock went back since it was set.
fn is_ahead(time: UnixTime, now: UnixTime, at_most_ms: i64) -> bool {
    (1..=at_most_ms).contains(&time.millis().saturating_sub(now.millis()))
}

/// Returns `time` plus `secs`.
pub(crate) fn later(time: UnixTime, secs: i64) -> UnixTime {
    UnixTime::from_millis(time.millis().saturating_add(secs.saturating_mul(1000)))
}
