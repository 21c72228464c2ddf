//! The pauses of an endpoint of the provider that fails.

use crate::io::UnixTime;
use crate::limits;
use crate::single_flight::SingleFlight;

/// Keeps requests from an endpoint that fails: for a pause that grows with each failure, or is as long as the endpoint asks for. After it,
/// one request tries whether the endpoint has recovered. While it works, any number of requests are sent at the same time.
#[derive(Debug)]
pub(crate) struct EndpointGate {
    flight: SingleFlight,
    /// Whether the endpoint asked for the pause.
    is_requested: bool,
}

/// What has become of a request to the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The endpoint has answered.
    Answered,
    /// It has failed, and may have said when it wants to be asked again.
    Failed { retry_after_s: Option<i64> },
}

impl Attempt {
    /// Returns the outcome of a request with a response of this status; 0 if there was none.
    pub(super) const fn of(status: u16, retry_after_s: Option<i64>) -> Self {
        if matches!(status, 0 | 429 | 500..) { Self::Failed { retry_after_s } } else { Self::Answered }
    }
}

impl Default for EndpointGate {
    fn default() -> Self {
        Self::new(limits::ENDPOINT_PROBE_MS)
    }
}

impl EndpointGate {
    /// Creates an open gate. The request that tries is waited for that long, in milliseconds, before another one may.
    pub(crate) const fn new(lease_ms: i64) -> Self {
        Self { flight: SingleFlight::new(lease_ms), is_requested: false }
    }

    /// Begins a request, to be [ended](Self::end) with what this returns: a number if it is the one that tries whether the endpoint has
    /// recovered.
    ///
    /// # Errors
    /// No request may be sent for so many seconds.
    pub(super) fn begin(&mut self, now: UnixTime) -> Result<Option<u64>, i64> {
        match self.closed_s(now) {
            Some(seconds) => Err(seconds),
            None => Ok(self.flight.is_failing().then(|| self.flight.begin(now))),
        }
    }

    /// Returns for how many seconds no request may be sent; `None` if one may.
    pub(super) fn closed_s(&self, now: UnixTime) -> Option<i64> {
        (self.flight.is_failing() && !self.flight.may_begin(now)).then(|| self.pause_s(now))
    }

    /// Returns whether a request tries whether the endpoint has recovered.
    pub(super) fn is_tried(&self, now: UnixTime) -> bool {
        self.flight.is_failing() && self.flight.is_leased(now)
    }

    /// Returns the end of the pause.
    pub(super) fn retry_at(&self) -> UnixTime {
        self.flight.retry_at()
    }

    /// Returns how long no request may be sent, in seconds, rounded up, and at least one.
    pub(super) fn pause_s(&self, now: UnixTime) -> i64 {
        let left_ms = self.retry_at().millis().saturating_sub(now.millis());
        (left_ms.saturating_add(999) / 1000).clamp(1, limits::RETRY_AFTER_MAX_S)
    }

    /// Ends a request that was not sent, or whose outcome is unknown. Returns whether it was the one that tries.
    pub(super) fn release(&mut self, probe: Option<u64>) -> bool {
        probe.is_some_and(|number| self.flight.release(number))
    }

    /// Ends a request with its outcome.
    pub(super) fn end(&mut self, probe: Option<u64>, attempt: Attempt, now: UnixTime) {
        let is_probe = self.release(probe);
        match attempt {
            // A request from before the pause does not end one that the endpoint has asked for.
            Attempt::Answered if is_probe || !self.is_requested => self.flight.succeeded(),
            // Of several failures at the same time, one counts.
            Attempt::Failed { retry_after_s } if is_probe || self.flight.may_begin(now) => {
                self.flight.failed(retry_after_s, now);
                self.is_requested = retry_after_s.is_some();
            }
            // But the endpoint may ask for a longer pause.
            Attempt::Failed { retry_after_s: Some(requested_s) } => {
                self.flight.postpone(requested_s, now);
                self.is_requested = true;
            }
            Attempt::Answered | Attempt::Failed { retry_after_s: None } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, EndpointGate};
    use crate::io::UnixTime;
    use crate::limits;

    const FAILED: Attempt = Attempt::Failed { retry_after_s: None };

    fn at(secs: i64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + secs)
    }

    #[test]
    fn pauses_grow_and_one_request_tries_after_each() {
        let mut gate = EndpointGate::default();
        assert_eq!((gate.begin(at(0)), gate.begin(at(0))), (Ok(None), Ok(None)), "any number at once");
        // Both fail: one failure counts.
        gate.end(None, FAILED, at(0));
        gate.end(None, FAILED, at(0));
        let mut now = 0;
        for pause_s in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(gate.begin(at(now)), Err(pause_s));
            now += pause_s;
            let Ok(Some(probe)) = gate.begin(at(now)) else { panic!("one tries") };
            assert!(gate.is_tried(at(now)) && gate.begin(at(now)) == Err(1), "and no other");
            // It takes ten seconds: the pause begins when it has failed.
            now += 10;
            gate.end(Some(probe), FAILED, at(now));
        }
        let Ok(probe) = gate.begin(at(now + 30)) else { panic!() };
        gate.end(probe, Attempt::Answered, at(now + 30));
        assert_eq!(gate.begin(at(now + 30)), Ok(None));
        gate.end(None, FAILED, at(now + 30));
        assert_eq!(gate.begin(at(now + 30)), Err(1), "the first pause is a second again");
    }

    #[test]
    fn a_pause_that_the_endpoint_asks_for_is_kept() {
        for (requested_s, expected_s) in [(0, 1), (60, 60), (100_000, limits::RETRY_AFTER_MAX_S)] {
            let mut gate = EndpointGate::default();
            gate.end(None, FAILED, at(0));
            for _ in 0..50 {
                gate.end(None, Attempt::Failed { retry_after_s: Some(requested_s) }, at(0));
            }
            assert_eq!(gate.begin(at(0)), Err(expected_s), "failures at the same time do not add up");
            // Neither an answer nor a shorter pause of a request from before ends it.
            gate.end(None, Attempt::Answered, at(0));
            gate.end(None, Attempt::Failed { retry_after_s: Some(0) }, at(0));
            assert_eq!(gate.begin(at(0)), Err(expected_s));
            assert!(matches!(gate.begin(at(expected_s)), Ok(Some(_))));
        }
        // A pause of our own ends with an answer.
        let mut gate = EndpointGate::default();
        gate.end(None, FAILED, at(0));
        gate.end(None, Attempt::Answered, at(0));
        assert_eq!(gate.begin(at(0)), Ok(None));
    }

    #[test]
    fn a_request_that_does_not_end_is_followed_by_another_one() {
        let mut gate = EndpointGate::default();
        gate.end(None, FAILED, at(0));
        let Ok(Some(lost)) = gate.begin(at(1)) else { panic!() };
        let later = UnixTime::from_millis(at(1).millis() + limits::ENDPOINT_PROBE_MS);
        assert_eq!(gate.begin(UnixTime::from_millis(later.millis() - 1)), Err(1));
        let Ok(Some(second)) = gate.begin(later) else { panic!() };
        // Its end is none of the other's.
        assert!(!gate.release(Some(lost)));
        assert!(gate.is_tried(later));
        assert!(gate.release(Some(second)));
        assert!(matches!(gate.begin(later), Ok(Some(_))), "at once after one that was cancelled");
    }
}
