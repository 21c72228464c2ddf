//! The upstream tokens of an instance: for each caller, one token, one request under way, and pauses after failures.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::endpoint_gate::{Attempt, EndpointGate};
use super::upstream::{TokenFailure, UpstreamToken};
use crate::io::UnixTime;
use crate::limits;
use crate::single_flight::SingleFlight;

/// Whom a token is for: a hash of the caller's token, or zeros for the gateway itself.
pub(super) type CallerKey = [u8; 32];

/// The tokens of all callers, by key. Bounded.
#[derive(Debug, Default)]
pub(super) struct TokenSlots(Vec<(CallerKey, Slot)>);

#[derive(Debug)]
struct Slot {
    token: Option<UpstreamToken>,
    flight: SingleFlight,
    failure: Option<TokenFailure>,
}

/// The result of [`TokenSlots::join`].
pub(super) enum Turn {
    /// A token that may be used.
    Token(Arc<str>),
    /// Request a token, then call [`complete`](TokenSlots::complete) with this.
    Start(Started),
    /// Another request is under way: try again after [`limits::FETCH_POLL_MS`].
    Wait,
    /// No token may be requested yet.
    Paused(TokenFailure),
}

/// A request for a token that has started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    key: CallerKey,
    number: u64,
    /// The number at the gate of the one request that tries whether the endpoint has recovered.
    probe: Option<u64>,
}

impl TokenSlots {
    /// Returns a caller's token, or joins a request for it.
    pub(super) fn join(&mut self, key: CallerKey, gate: &mut EndpointGate, now: UnixTime) -> Turn {
        let Some(slot) = self.slot(key, now) else { return Turn::Paused(TokenFailure::unavailable(None, now)) };
        if let Some(token) = slot.token.as_ref().filter(|token| token.is_fresh(now)) {
            return Turn::Token(Arc::clone(&token.text));
        }
        if slot.flight.is_leased(now) {
            return Turn::Wait;
        }
        if !slot.flight.may_begin(now) {
            return Turn::Paused(TokenFailure::until(slot.failure.as_ref(), slot.flight.retry_at()));
        }
        if gate.is_tried(now) {
            return Turn::Wait;
        }
        let Ok(probe) = gate.begin(now) else { return Turn::Paused(TokenFailure::until(None, gate.retry_at())) };
        Turn::Start(Started { key, number: slot.flight.begin(now), probe })
    }

    /// Records the outcome of a request.
    pub(super) fn complete(
        &mut self,
        started: &Started,
        outcome: Result<UpstreamToken, TokenFailure>,
        gate: &mut EndpointGate,
        now: UnixTime,
    ) {
        let slot = self.position(&started.key).ok().and_then(|at| self.0.get_mut(at)).map(|(_, slot)| slot);
        let attempt = match &outcome {
            Err(failure) if failure.is_of_endpoint => Attempt::Failed { retry_after_s: failure.retry_after_s(now) },
            _ => Attempt::Answered,
        };
        gate.end(started.probe, attempt, now);
        let Some(slot) = slot else { return };
        slot.flight.release(started.number);
        match outcome {
            Ok(token) => {
                slot.flight.succeeded();
                slot.token = Some(token);
            }
            Err(failure) if failure.is_of_endpoint => {}
            Err(failure) => {
                slot.flight.failed(failure.retry_after_s(now), now);
                slot.failure = Some(failure);
            }
        }
    }

    /// Ends the lease of a request that will not complete, unless it has ended already.
    pub(super) fn release(&mut self, started: &Started, gate: &mut EndpointGate) {
        if let Some((_, slot)) = self.position(&started.key).ok().and_then(|at| self.0.get_mut(at)) {
            slot.flight.release(started.number);
        }
        gate.release(started.probe);
    }

    fn position(&self, key: &CallerKey) -> Result<usize, usize> {
        self.0.binary_search_by(|(one, _)| one.cmp(key))
    }

    /// Returns a caller's slot. `None` if all are in use by requests under way, which are never evicted: each would be made again.
    fn slot(&mut self, key: CallerKey, now: UnixTime) -> Option<&mut Slot> {
        let at = match self.position(&key) {
            Ok(at) => at,
            Err(at) if self.0.len() < limits::MAX_EXCHANGED_TOKENS => {
                self.0.insert(at, (key, Slot::new()));
                at
            }
            Err(_) => {
                let idle = self.0.iter().enumerate().filter(|(_, (_, slot))| !slot.flight.is_leased(now));
                let (evicted, _) = idle.min_by_key(|(_, (_, slot))| slot.until())?;
                self.0.remove(evicted);
                let at = self.position(&key).err()?;
                self.0.insert(at, (key, Slot::new()));
                at
            }
        };
        self.0.get_mut(at).map(|(_, slot)| slot)
    }
}

impl Slot {
    const fn new() -> Self {
        Self { token: None, flight: SingleFlight::new(limits::UPSTREAM_TOKEN_LEASE_MS), failure: None }
    }

    /// Returns until when the slot is of use.
    fn until(&self) -> UnixTime {
        self.token.as_ref().map_or_else(|| self.flight.retry_at(), |token| token.until)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{EndpointGate, Started, TokenSlots, Turn};
    use crate::io::UnixTime;
    use crate::limits;
    use crate::oidc::upstream::{TokenFailure, UpstreamToken};

    fn key(number: usize) -> [u8; 32] {
        crate::crypto::sha256(&number.to_be_bytes())
    }

    fn started(slots: &mut TokenSlots, gate: &mut EndpointGate, number: usize, now: UnixTime) -> Started {
        match slots.join(key(number), gate, now) {
            Turn::Start(started) => started,
            _ => panic!("it starts"),
        }
    }

    #[test]
    fn the_token_that_expires_first_is_evicted_and_no_request_under_way() {
        let (mut slots, mut gate, now) = (TokenSlots::default(), EndpointGate::default(), UnixTime::from_secs(1000));
        for number in 0..limits::MAX_EXCHANGED_TOKENS {
            let started = started(&mut slots, &mut gate, number, now);
            if number > 0 {
                let token = UpstreamToken::new("token", now, 60 + number as i64);
                slots.complete(&started, Ok(token), &mut gate, now);
            }
        }
        let further = limits::MAX_EXCHANGED_TOKENS;
        started(&mut slots, &mut gate, further, now);
        assert_eq!(slots.0.len(), limits::MAX_EXCHANGED_TOKENS);
        assert!(matches!(slots.join(key(0), &mut gate, now), Turn::Wait));
        assert!(matches!(slots.join(key(2), &mut gate, now), Turn::Token(_)));
        started(&mut slots, &mut gate, 1, now);
        assert!(matches!(slots.join(key(3), &mut gate, now), Turn::Token(_)), "that of 2 expired before");
    }

    #[test]
    fn a_further_caller_is_refused_while_all_requests_are_under_way() {
        let (mut slots, mut gate, now) = (TokenSlots::default(), EndpointGate::default(), UnixTime::from_secs(1000));
        for number in 0..limits::MAX_EXCHANGED_TOKENS {
            started(&mut slots, &mut gate, number, now);
        }
        assert!(matches!(slots.join(key(usize::MAX), &mut gate, now), Turn::Paused(_)));
        assert!(matches!(slots.join(key(7), &mut gate, now), Turn::Wait));
    }

    #[test]
    fn failures_at_the_same_time_count_once_and_the_longest_pause_counts() {
        let (mut slots, mut gate, now) = (TokenSlots::default(), EndpointGate::default(), UnixTime::from_secs(1000));
        let all: Vec<Started> = (0..8).map(|number| started(&mut slots, &mut gate, number, now)).collect();
        for one in &all[..7] {
            slots.complete(one, Err(TokenFailure::unavailable(None, now)), &mut gate, now);
        }
        let paused_s = |slots: &mut TokenSlots, gate: &mut EndpointGate| match slots.join(key(9), gate, now) {
            Turn::Paused(failure) => failure.retry_after_s(now),
            _ => panic!("a pause"),
        };
        assert_eq!(paused_s(&mut slots, &mut gate), Some(1));
        slots.complete(&all[7], Err(TokenFailure::unavailable(Some(90), now)), &mut gate, now);
        assert_eq!(paused_s(&mut slots, &mut gate), Some(90));
    }
}
