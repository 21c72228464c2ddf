//! Coordinates concurrent refreshes of a session: with rotating refresh tokens, a second exchange would end the session.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::crypto::sha256;
use crate::io::UnixTime;
use crate::limits;
use crate::session::Session;

/// The refresh tokens in use or recently used, with the outcomes. Bounded.
#[derive(Debug, Default)]
pub(crate) struct RefreshCoordinator(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    token: RefreshTokenHash,
    since: UnixTime,
    state: State,
}

#[derive(Debug)]
enum State {
    Busy,
    Done(Box<Session>),
    Ended,
    Failed,
}

/// The SHA-256 hash of a refresh token, which identifies it without revealing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshTokenHash(pub(super) [u8; 32]);

impl RefreshTokenHash {
    /// Hashes the session's refresh token.
    pub(crate) fn of(session: &Session) -> Self {
        Self(sha256(session.tokens().refresh.as_deref().unwrap_or_default().as_bytes()))
    }
}

/// The result of [`RefreshCoordinator::join`].
#[derive(Debug)]
pub(crate) enum RefreshTurn {
    /// Start a refresh, then call [`complete`](RefreshCoordinator::complete) with this hash.
    Start(RefreshTokenHash),
    /// Another request is refreshing it: try again after [`crate::limits::FETCH_POLL_MS`].
    Wait,
    /// It was refreshed recently; this is the refreshed session.
    Done(Box<Session>),
    /// The session has ended, by a logout or by the provider.
    Ended,
    /// A recent refresh failed: continue with the current tokens.
    Failed,
}

/// The outcome of a refresh.
#[derive(Debug)]
pub(crate) enum RefreshOutcome {
    /// The session with new tokens.
    Refreshed(Box<Session>),
    /// The session with a new refresh token, but its former access token. Another refresh may be tried later.
    Continued(Box<Session>),
    /// The session has ended.
    Ended,
    /// The refresh failed and may be retried later.
    Failed,
}

impl RefreshCoordinator {
    /// Joins a refresh of the session: this request starts it, waits for it, or gets its outcome.
    pub(crate) fn join(&mut self, session: &Session, now: UnixTime) -> RefreshTurn {
        let token = RefreshTokenHash::of(session);
        self.0.retain_mut(|entry| {
            // If the clock went back, the refresh is as young as can be: it must not be repeated.
            entry.since = entry.since.min(now);
            let age_ms = now.millis().saturating_sub(entry.since.millis());
            let retention_ms = match entry.state {
                State::Busy => limits::REFRESH_LEASE_MS,
                State::Failed => limits::REFRESH_FAILURE_REMEMBERED_MS,
                State::Done(_) | State::Ended => limits::REFRESH_REMEMBERED_MS,
            };
            age_ms < retention_ms
        });
        match self.0.iter().find(|entry| entry.token == token).map(|entry| &entry.state) {
            Some(State::Busy) => RefreshTurn::Wait,
            // Without rotation, the refreshed session has the same refresh token, and is now due for refresh itself.
            Some(State::Done(next)) if next.tokens() == session.tokens() => {
                self.forget(session);
                self.join(session, now)
            }
            Some(State::Done(next)) => RefreshTurn::Done(next.clone()),
            Some(State::Ended) => RefreshTurn::Ended,
            Some(State::Failed) => RefreshTurn::Failed,
            None => {
                if self.0.len() >= limits::MAX_REFRESHES {
                    // A refresh in progress is never evicted: a second exchange would end its session.
                    let Some(oldest) = self.0.iter().position(|entry| !matches!(entry.state, State::Busy)) else {
                        return RefreshTurn::Failed;
                    };
                    self.0.remove(oldest);
                }
                self.0.push_back(Entry { token, since: now, state: State::Busy });
                RefreshTurn::Start(token)
            }
        }
    }

    /// Forgets the outcome of a session's refresh, so that the next request starts a new one.
    pub(crate) fn forget(&mut self, session: &Session) {
        let token = RefreshTokenHash::of(session);
        self.0.retain(|entry| entry.token != token || matches!(entry.state, State::Busy));
    }

    /// Returns the newest session that this one was refreshed to in this instance.
    pub(crate) fn newest(&self, session: &Session) -> Option<&Session> {
        let mut newest = None;
        let mut token = RefreshTokenHash::of(session);
        // Without rotation, an entry leads to itself; the number of steps is bounded.
        for _ in 0..self.0.len() {
            let found = self.0.iter().find(|entry| entry.token == token);
            let Some(Entry { state: State::Done(session), .. }) = found else { break };
            (newest, token) = (Some(session.as_ref()), RefreshTokenHash::of(session));
        }
        newest
    }

    /// Returns whether the session, or the newest one that it was refreshed to in this instance, has ended.
    pub(crate) fn has_ended(&self, session: &Session) -> bool {
        let token = RefreshTokenHash::of(self.newest(session).unwrap_or(session));
        self.0.iter().any(|entry| entry.token == token && matches!(entry.state, State::Ended))
    }

    /// Returns whether a refresh of this session has just failed.
    pub(crate) fn has_failed(&self, session: &Session) -> bool {
        let token = RefreshTokenHash::of(session);
        self.0.iter().any(|entry| entry.token == token && matches!(entry.state, State::Failed))
    }

    /// Records the outcome of a refresh.
    pub(crate) fn complete(&mut self, token: RefreshTokenHash, outcome: RefreshOutcome, now: UnixTime) {
        let is_done = |entry: &Entry| entry.token == token && matches!(entry.state, State::Done(_));
        if matches!(outcome, RefreshOutcome::Ended | RefreshOutcome::Failed) && self.0.iter().any(is_done) {
            // The provider refused a second exchange with the same token: the first one counts.
            return;
        }
        self.0.retain(|entry| entry.token != token);
        let state = match outcome {
            RefreshOutcome::Refreshed(session) => State::Done(session),
            RefreshOutcome::Continued(session) => {
                let token = RefreshTokenHash::of(&session);
                self.0.push_back(Entry { token, since: now, state: State::Failed });
                State::Done(session)
            }
            RefreshOutcome::Ended => State::Ended,
            RefreshOutcome::Failed => State::Failed,
        };
        self.0.push_back(Entry { token, since: now, state });
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::{RefreshCoordinator, RefreshOutcome, RefreshTurn};
    use crate::io::UnixTime;
    use crate::jwt::Claims;
    use crate::session::{Session, Tokens};

    fn session(refresh: &str) -> Session {
        let claims = Claims::from_json(br#"{"sub":"a"}"#.to_vec()).unwrap();
        let tokens = Tokens { refresh: Some(refresh.into()), ..Tokens::default() };
        Session::new("id".into(), claims, tokens, UnixTime::from_secs(0))
    }

    fn refreshed(session: Session) -> RefreshOutcome {
        RefreshOutcome::Refreshed(Box::new(session))
    }

    #[test]
    fn one_request_refreshes_and_the_others_get_the_outcome() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        let RefreshTurn::Start(token) = coordinator.join(&session("one"), now) else { panic!("the first one starts") };
        assert!(matches!(coordinator.join(&session("one"), now), RefreshTurn::Wait));
        assert!(
            matches!(coordinator.join(&session("two"), now), RefreshTurn::Start(_)),
            "another session is not held up"
        );
        coordinator.complete(token, refreshed(session("next")), now);
        assert!(matches!(coordinator.join(&session("one"), now), RefreshTurn::Done(_)));
        assert!(
            matches!(coordinator.join(&session("one"), UnixTime::from_secs(1061)), RefreshTurn::Start(_)),
            "forgotten"
        );
    }

    #[test]
    fn without_rotation_the_refreshed_session_uses_the_same_token_again() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        let later = |expires| Tokens { refresh: Some("same".into()), access_expires_s: expires, ..Tokens::default() };
        let next = |expires| session("same").refreshed(session("same").claims().clone(), later(expires));
        let RefreshTurn::Start(token) = coordinator.join(&session("same"), now) else { panic!("it starts") };
        coordinator.complete(token, refreshed(next(5000)), now);
        assert!(matches!(coordinator.join(&session("same"), now), RefreshTurn::Done(_)));
        assert!(matches!(coordinator.join(&next(5000), now), RefreshTurn::Start(_)));
        coordinator.forget(&session("same"));
        assert!(
            matches!(coordinator.join(&session("same"), now), RefreshTurn::Wait),
            "one in progress is not forgotten"
        );
        coordinator.complete(token, refreshed(next(5000)), now);
        coordinator.forget(&session("same"));
        assert!(matches!(coordinator.join(&session("same"), now), RefreshTurn::Start(_)));
    }

    #[test]
    fn the_newest_session_is_found_by_any_earlier_one() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        for (earlier, later) in [("one", "two"), ("two", "three"), ("same", "same")] {
            let RefreshTurn::Start(token) = coordinator.join(&session(earlier), now) else { panic!("it starts") };
            assert!(coordinator.newest(&session(earlier)).is_none());
            coordinator.complete(token, refreshed(session(later)), now);
        }
        for (asked, newest) in [("one", "three"), ("two", "three"), ("same", "same")] {
            assert_eq!(coordinator.newest(&session(asked)).unwrap().tokens().refresh.as_deref(), Some(newest));
        }
        assert!(coordinator.newest(&session("three")).is_none());
    }

    #[test]
    fn an_end_is_final_and_a_failure_is_not() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        let RefreshTurn::Start(token) = coordinator.join(&session("one"), now) else { panic!("the first one starts") };
        coordinator.complete(token, RefreshOutcome::Failed, now);
        assert!(matches!(coordinator.join(&session("one"), now), RefreshTurn::Failed));
        let now = UnixTime::from_secs(1005);
        let RefreshTurn::Start(token) = coordinator.join(&session("one"), now) else { panic!("it may be retried") };
        coordinator.complete(token, RefreshOutcome::Ended, now);
        assert!(matches!(coordinator.join(&session("one"), now), RefreshTurn::Ended));
    }

    #[test]
    fn a_full_coordinator_evicts_no_refresh_in_progress() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        for index in 0..crate::limits::MAX_REFRESHES {
            assert!(matches!(coordinator.join(&session(&alloc::format!("{index}")), now), RefreshTurn::Start(_)));
        }
        assert!(matches!(coordinator.join(&session("one more"), now), RefreshTurn::Failed));
        assert!(matches!(coordinator.join(&session("0"), now), RefreshTurn::Wait));
    }

    #[test]
    fn a_refresh_that_never_completes_is_abandoned() {
        let mut coordinator = RefreshCoordinator::default();
        assert!(matches!(coordinator.join(&session("one"), UnixTime::from_secs(0)), RefreshTurn::Start(_)));
        assert!(matches!(coordinator.join(&session("one"), UnixTime::from_secs(59)), RefreshTurn::Wait));
        assert!(matches!(coordinator.join(&session("one"), UnixTime::from_secs(60)), RefreshTurn::Start(_)));
    }

    #[test]
    fn a_clock_that_goes_back_repeats_no_refresh_and_delays_no_retry() {
        let start = UnixTime::from_secs(100_000);
        for back_ms in [1, 3_000, 60_000, 7_200_000] {
            let back = UnixTime::from_millis(start.millis() - back_ms);
            let after = |millis| UnixTime::from_millis(back.millis() + millis);
            let mut coordinator = RefreshCoordinator::default();
            let RefreshTurn::Start(token) = coordinator.join(&session("one"), start) else { panic!("it starts") };
            assert!(matches!(coordinator.join(&session("one"), back), RefreshTurn::Wait), "{back_ms}");
            assert!(matches!(coordinator.join(&session("one"), after(59_999)), RefreshTurn::Wait), "{back_ms}");
            coordinator.complete(token, refreshed(session("next")), after(59_999));
            assert!(matches!(coordinator.join(&session("one"), back), RefreshTurn::Done(_)), "{back_ms}");
            assert!(matches!(coordinator.join(&session("one"), after(59_999)), RefreshTurn::Done(_)), "{back_ms}");
            assert!(matches!(coordinator.join(&session("one"), after(60_000)), RefreshTurn::Start(_)), "{back_ms}");

            let mut coordinator = RefreshCoordinator::default();
            let RefreshTurn::Start(token) = coordinator.join(&session("one"), start) else { panic!("it starts") };
            coordinator.complete(token, RefreshOutcome::Failed, start);
            assert!(matches!(coordinator.join(&session("one"), back), RefreshTurn::Failed), "{back_ms}");
            assert!(matches!(coordinator.join(&session("one"), after(5_000)), RefreshTurn::Start(_)), "{back_ms}");
        }
    }

    #[test]
    fn a_second_exchange_does_not_discard_the_outcome_of_the_first() {
        let mut coordinator = RefreshCoordinator::default();
        let RefreshTurn::Start(token) = coordinator.join(&session("one"), UnixTime::from_secs(0)) else {
            panic!("it starts")
        };
        assert!(matches!(coordinator.join(&session("one"), UnixTime::from_secs(60)), RefreshTurn::Start(_)));
        coordinator.complete(token, refreshed(session("next")), UnixTime::from_secs(61));
        for late in [RefreshOutcome::Ended, RefreshOutcome::Failed] {
            coordinator.complete(token, late, UnixTime::from_secs(62));
            assert!(matches!(coordinator.join(&session("one"), UnixTime::from_secs(62)), RefreshTurn::Done(_)));
        }
    }
}
