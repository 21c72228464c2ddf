//! One refresh for all requests of a session that arrive together: with rotating refresh tokens a second one would end it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::crypto::sha256;
use crate::io::UnixTime;
use crate::limits;
use crate::session::Session;

/// Remembers which refresh tokens are being used or were used, and what came of it. Bounded.
#[derive(Debug, Default)]
pub(crate) struct RefreshCoordinator(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    mark: RefreshMark,
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

/// Names a refresh token without holding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshMark(pub(super) [u8; 32]);

impl RefreshMark {
    /// That of the session's refresh token.
    pub(crate) fn of(session: &Session) -> Self {
        Self(sha256(session.tokens().refresh.as_deref().unwrap_or_default().as_bytes()))
    }
}

/// Answer of [`RefreshCoordinator::ask`].
#[derive(Debug)]
pub(crate) enum RefreshTurn {
    /// Refresh, and [`close`](RefreshCoordinator::close) with this mark.
    Go(RefreshMark),
    /// Another request is at it: look again in [`crate::limits::FETCH_POLL_MS`].
    Wait,
    /// It was refreshed just now: this is the session.
    Done(Box<Session>),
    /// The provider ended the session.
    Ended,
    /// It did not work just now: go on with the tokens that there are.
    Failed,
}

/// What came of a refresh.
#[derive(Debug)]
pub(crate) enum RefreshOutcome {
    /// The session with new tokens.
    Refreshed(Box<Session>),
    /// The session has ended.
    Ended,
    /// Nothing is known: it may be tried again later.
    Failed,
}

impl RefreshCoordinator {
    /// Whether this request refreshes the session, waits, or finds it done.
    pub(crate) fn ask(&mut self, session: &Session, now: UnixTime) -> RefreshTurn {
        let mark = RefreshMark::of(session);
        self.0.retain(|entry| {
            let age_ms = now.millis().saturating_sub(entry.since.millis());
            let kept_ms = match entry.state {
                State::Busy => limits::REFRESH_LEASE_MS,
                State::Failed => limits::REFRESH_FAILURE_REMEMBERED_MS,
                State::Done(_) | State::Ended => limits::REFRESH_REMEMBERED_MS,
            };
            (0..kept_ms).contains(&age_ms)
        });
        match self.0.iter().find(|entry| entry.mark == mark).map(|entry| &entry.state) {
            Some(State::Busy) => RefreshTurn::Wait,
            // Without rotation what came of it has the same refresh token, and is now to be refreshed in its turn.
            Some(State::Done(next)) if next.tokens() == session.tokens() => {
                self.forget(session);
                self.ask(session, now)
            }
            Some(State::Done(next)) => RefreshTurn::Done(next.clone()),
            Some(State::Ended) => RefreshTurn::Ended,
            Some(State::Failed) => RefreshTurn::Failed,
            None => {
                if self.0.len() >= limits::MAX_REFRESHES {
                    // Never one that is under way: a second exchange would end its session.
                    let Some(over) = self.0.iter().position(|entry| !matches!(entry.state, State::Busy)) else {
                        return RefreshTurn::Failed;
                    };
                    self.0.remove(over);
                }
                self.0.push_back(Entry { mark, since: now, state: State::Busy });
                RefreshTurn::Go(mark)
            }
        }
    }

    /// Forgets what came of a session's refresh, so that it is asked for anew.
    pub(crate) fn forget(&mut self, session: &Session) {
        let mark = RefreshMark::of(session);
        self.0.retain(|entry| entry.mark != mark || matches!(entry.state, State::Busy));
    }

    /// The newest session that came of this one here, if it was refreshed.
    pub(crate) fn newest(&self, session: &Session) -> Option<&Session> {
        let mut newest = None;
        let mut mark = RefreshMark::of(session);
        // A provider that does not rotate gives the same refresh token again: each entry is used once.
        for _ in 0..self.0.len() {
            let found = self.0.iter().find(|entry| entry.mark == mark);
            let Some(Entry { state: State::Done(session), .. }) = found else { break };
            (newest, mark) = (Some(session.as_ref()), RefreshMark::of(session));
        }
        newest
    }

    /// Notes the outcome.
    pub(crate) fn close(&mut self, mark: RefreshMark, outcome: RefreshOutcome, now: UnixTime) {
        let is_done = |entry: &Entry| entry.mark == mark && matches!(entry.state, State::Done(_));
        if !matches!(outcome, RefreshOutcome::Refreshed(_)) && self.0.iter().any(is_done) {
            // A second exchange with the same token, which the provider refused: what the first one brought counts.
            return;
        }
        self.0.retain(|entry| entry.mark != mark);
        let state = match outcome {
            RefreshOutcome::Refreshed(session) => State::Done(session),
            RefreshOutcome::Ended => State::Ended,
            RefreshOutcome::Failed => State::Failed,
        };
        self.0.push_back(Entry { mark, since: now, state });
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
    fn one_request_refreshes_and_the_others_get_what_came_of_it() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        let RefreshTurn::Go(mark) = coordinator.ask(&session("one"), now) else { panic!("the first goes") };
        assert!(matches!(coordinator.ask(&session("one"), now), RefreshTurn::Wait));
        assert!(matches!(coordinator.ask(&session("two"), now), RefreshTurn::Go(_)), "another session is not held up");
        coordinator.close(mark, refreshed(session("next")), now);
        assert!(matches!(coordinator.ask(&session("one"), now), RefreshTurn::Done(_)));
        assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(1061)), RefreshTurn::Go(_)), "forgotten");
    }

    #[test]
    fn a_refresh_token_that_is_not_rotated_is_used_again_by_who_has_what_came_of_it() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        let later = |expires| Tokens { refresh: Some("same".into()), access_expires_s: expires, ..Tokens::default() };
        let next = |expires| session("same").refreshed(session("same").claims().clone(), later(expires));
        let RefreshTurn::Go(mark) = coordinator.ask(&session("same"), now) else { panic!("it goes") };
        coordinator.close(mark, refreshed(next(5000)), now);
        assert!(matches!(coordinator.ask(&session("same"), now), RefreshTurn::Done(_)));
        assert!(matches!(coordinator.ask(&next(5000), now), RefreshTurn::Go(_)));
        coordinator.forget(&session("same"));
        assert!(
            matches!(coordinator.ask(&session("same"), now), RefreshTurn::Wait),
            "what is under way is not forgotten"
        );
        coordinator.close(mark, refreshed(next(5000)), now);
        coordinator.forget(&session("same"));
        assert!(matches!(coordinator.ask(&session("same"), now), RefreshTurn::Go(_)));
    }

    #[test]
    fn the_newest_session_is_found_by_any_earlier_one() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        for (earlier, later) in [("one", "two"), ("two", "three"), ("same", "same")] {
            let RefreshTurn::Go(mark) = coordinator.ask(&session(earlier), now) else { panic!("it goes") };
            assert!(coordinator.newest(&session(earlier)).is_none());
            coordinator.close(mark, refreshed(session(later)), now);
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
        let RefreshTurn::Go(mark) = coordinator.ask(&session("one"), now) else { panic!("the first goes") };
        coordinator.close(mark, RefreshOutcome::Failed, now);
        assert!(matches!(coordinator.ask(&session("one"), now), RefreshTurn::Failed));
        let now = UnixTime::from_secs(1005);
        let RefreshTurn::Go(mark) = coordinator.ask(&session("one"), now) else { panic!("it may be tried again") };
        coordinator.close(mark, RefreshOutcome::Ended, now);
        assert!(matches!(coordinator.ask(&session("one"), now), RefreshTurn::Ended));
    }

    #[test]
    fn a_full_coordinator_forgets_no_refresh_that_is_under_way() {
        let mut coordinator = RefreshCoordinator::default();
        let now = UnixTime::from_secs(1000);
        for index in 0..crate::limits::MAX_REFRESHES {
            assert!(matches!(coordinator.ask(&session(&alloc::format!("{index}")), now), RefreshTurn::Go(_)));
        }
        assert!(matches!(coordinator.ask(&session("one more"), now), RefreshTurn::Failed));
        assert!(matches!(coordinator.ask(&session("0"), now), RefreshTurn::Wait));
    }

    #[test]
    fn a_refresh_that_never_comes_back_is_given_up() {
        let mut coordinator = RefreshCoordinator::default();
        assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(0)), RefreshTurn::Go(_)));
        assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(59)), RefreshTurn::Wait));
        assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(60)), RefreshTurn::Go(_)));
    }

    #[test]
    fn a_second_exchange_takes_nothing_away_that_the_first_one_brought() {
        let mut coordinator = RefreshCoordinator::default();
        let RefreshTurn::Go(mark) = coordinator.ask(&session("one"), UnixTime::from_secs(0)) else { panic!("it goes") };
        assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(60)), RefreshTurn::Go(_)));
        coordinator.close(mark, refreshed(session("next")), UnixTime::from_secs(61));
        for late in [RefreshOutcome::Ended, RefreshOutcome::Failed] {
            coordinator.close(mark, late, UnixTime::from_secs(62));
            assert!(matches!(coordinator.ask(&session("one"), UnixTime::from_secs(62)), RefreshTurn::Done(_)));
        }
    }
}
