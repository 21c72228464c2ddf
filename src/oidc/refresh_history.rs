//! What isolates keep in common of a session: what came of its last refreshes, and whether it has ended.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::RefreshMark;
use crate::base64url;
use crate::io::UnixTime;
use crate::limits;
use crate::session::Session;

/// Outcomes of a session's last refreshes, the newest last, as text to be stored between two turns; or that it has ended.
#[derive(Default)]
pub(crate) struct RefreshHistory {
    outcomes: Vec<(String, String)>,
    end: Option<SessionEnd>,
}

/// That somebody logged out, or logged in anew in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// Until when it must be known, in seconds since 1970: as long as any cookie of the session could open.
    pub(crate) until_s: i64,
    /// Whether tokens that come for it all the same are revoked. After a new login they are not: providers that revoke the
    /// whole grant would end the new session, too.
    pub(crate) revokes: bool,
}

/// What came of a session's refresh token.
#[derive(Debug)]
pub(crate) enum RecordedRefresh {
    /// Nothing yet: it is the session to refresh. It may be a newer one than the one that was asked about.
    Due(Box<Session>),
    /// This session, with an access token that is still good.
    Done(String),
    /// The session has ended.
    Ended,
}

/// In place of a sealed session: the provider ended it. Not base64url of anything that was sealed.
const ENDED: &str = "-";

/// In place of a refresh token's mark: the session was ended. Until when follows.
const END_REVOKING: &str = "logout";
const END_REPLACED: &str = "replaced";

impl RefreshHistory {
    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(text: &str) -> Self {
        let mut history = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match (name, value.parse()) {
                (END_REVOKING | END_REPLACED, Ok(until_s)) => {
                    history.end = Some(SessionEnd { until_s, revokes: name == END_REVOKING });
                }
                _ => history.outcomes.push((name.to_string(), value.to_string())),
            }
        }
        history
    }

    /// What is known of a session that is to be refreshed. `unpack` opens what was noted.
    pub(crate) fn find(
        &self,
        session: Session,
        unpack: impl Fn(&str) -> Option<Session>,
        now: UnixTime,
    ) -> RecordedRefresh {
        let mut newest = session;
        // Each step leads to a later one; a provider that does not rotate gives the same refresh token again.
        let mut later = self.outcomes.as_slice();
        while self.end.is_none() {
            let mark = base64url::encode(&RefreshMark::of(&newest).0);
            let Some(position) = later.iter().position(|(one, _)| *one == mark) else {
                return RecordedRefresh::Due(newest.into());
            };
            let Some((_, outcome)) = later.get(position) else { break };
            let Some(next) = unpack(outcome) else { break };
            // Who has it already wants another.
            if !next.needs_refresh(now) && next.tokens() != newest.tokens() {
                return RecordedRefresh::Done(outcome.clone());
            }
            newest = next;
            later = later.get(position + 1..).unwrap_or_default();
        }
        RecordedRefresh::Ended
    }

    /// The newest session that is known, if it was ever refreshed: what the last outcome is.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.outcomes.last().map(|(_, outcome)| outcome.as_str()).filter(|outcome| *outcome != ENDED)
    }

    /// Whether the session was ended, and how.
    pub(crate) fn end(&self) -> Option<SessionEnd> {
        self.end
    }

    /// Notes what came of a refresh token: a sealed session, or that the provider ended it.
    pub(crate) fn note(&mut self, mark: RefreshMark, sealed: Option<&str>) {
        let mark = base64url::encode(&mark.0);
        self.outcomes.retain(|(one, _)| *one != mark);
        self.outcomes.push((mark, sealed.unwrap_or(ENDED).to_string()));
        let excess = self.outcomes.len().saturating_sub(limits::MAX_REFRESH_OUTCOMES);
        self.outcomes.drain(..excess);
    }

    /// Ends the session. From now on it has no outcome but this.
    pub(crate) fn end_session(&mut self, end: SessionEnd) {
        self.outcomes.clear();
        // The later of two ends holds, and the one that revokes.
        let earlier = self.end.unwrap_or(end);
        self.end =
            Some(SessionEnd { until_s: earlier.until_s.max(end.until_s), revokes: earlier.revokes || end.revokes });
    }

    /// The text to store.
    pub(crate) fn write(&self) -> String {
        let end = self.end.map(|end| {
            let name = if end.revokes { END_REVOKING } else { END_REPLACED };
            alloc::format!("{name} {}\n", end.until_s)
        });
        let outcomes = self.outcomes.iter().map(|(mark, outcome)| alloc::format!("{mark} {outcome}\n"));
        end.into_iter().chain(outcomes).collect()
    }

    /// Until when the text is to be stored, in milliseconds since 1970. Nothing is stored for longer.
    pub(crate) fn expires_at_ms(&self, now: UnixTime) -> i64 {
        let outcomes_s = now.secs().saturating_add(limits::REFRESH_OUTCOME_TTL_S);
        self.end.map_or(outcomes_s, |end| end.until_s).saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::{RecordedRefresh, RefreshHistory, SessionEnd};
    use crate::io::UnixTime;
    use crate::jwt::Claims;
    use crate::oidc::RefreshMark;
    use crate::session::{Session, Tokens};

    const NOW: UnixTime = UnixTime::from_secs(1000);

    /// As it is sealed in these tests: its refresh token, and when its access token expires.
    fn session(text: &str) -> Option<Session> {
        let (refresh, expires) = text.split_once(':')?;
        let tokens =
            Tokens { refresh: Some(refresh.into()), access_expires_s: expires.parse().ok()?, ..Tokens::default() };
        let claims = Claims::from_json(br#"{"sub":"a"}"#.to_vec())?;
        Some(Session::new("id".into(), claims, tokens, UnixTime::from_secs(0)))
    }

    fn mark(text: &str) -> RefreshMark {
        RefreshMark::of(&session(text).unwrap())
    }

    /// What is known, after being stored.
    fn find(history: &RefreshHistory, text: &str) -> String {
        match RefreshHistory::read(&history.write()).find(session(text).unwrap(), session, NOW) {
            RecordedRefresh::Due(session) => "due ".to_string() + session.tokens().refresh.as_deref().unwrap(),
            RecordedRefresh::Done(sealed) => sealed,
            RecordedRefresh::Ended => "ended".into(),
        }
    }

    #[test]
    fn outcomes_are_found_by_the_refresh_token_until_newer_ones_push_them_out() {
        let mut history = RefreshHistory::default();
        assert_eq!(history.newest(), None);
        history.note(mark("r0:0"), Some("r1:5000"));
        history.note(mark("x:0"), None);
        assert_eq!(find(&history, "r0:0"), "r1:5000");
        assert_eq!(find(&history, "x:0"), "ended");
        assert_eq!(find(&history, "other:0"), "due other");
        for index in 0..crate::limits::MAX_REFRESH_OUTCOMES {
            history.note(mark(&alloc::format!("y{index}:0")), Some("z:5000"));
        }
        assert_eq!(find(&history, "r0:0"), "due r0");
        assert_eq!(history.newest(), Some("z:5000"));
    }

    #[test]
    fn an_older_cookie_leads_to_the_newest_session_and_to_its_end() {
        let mut history = RefreshHistory::default();
        history.note(mark("r0:0"), Some("r1:900"));
        assert_eq!(find(&history, "r0:0"), "due r1", "its access token has expired again: the newest is refreshed");
        history.note(mark("r1:0"), Some("r2:5000"));
        assert_eq!(find(&history, "r0:0"), "r2:5000");
        assert_eq!(history.newest(), Some("r2:5000"));
        history.note(mark("r2:0"), None);
        assert_eq!(find(&history, "r2:0"), "ended");
        assert_eq!(history.newest(), None);
    }

    #[test]
    fn a_refresh_token_that_is_not_rotated_is_used_again_once_its_access_token_is_due() {
        let mut history = RefreshHistory::default();
        history.note(mark("same:0"), Some("same:900"));
        assert_eq!(find(&history, "same:0"), "due same");
        history.note(mark("same:0"), Some("same:5000"));
        assert_eq!(find(&history, "same:0"), "same:5000");
        assert_eq!(find(&history, "same:5000"), "due same", "asked for by the refresh route");
        assert_eq!(history.write().lines().count(), 1);
    }

    #[test]
    fn after_its_end_a_session_has_no_other_outcome_and_nothing_of_it_is_stored() {
        let mut history = RefreshHistory::default();
        history.note(mark("r0:0"), Some("r1:5000"));
        assert_eq!(history.expires_at_ms(NOW), 4_600_000, "an hour");
        history.end_session(SessionEnd { until_s: 260_000, revokes: true });
        for text in ["r0:0", "r1:5000", "other:0"] {
            assert_eq!(find(&history, text), "ended");
        }
        assert!(!history.write().contains("r1"));
        let stored = RefreshHistory::read(&history.write());
        assert_eq!(stored.end(), Some(SessionEnd { until_s: 260_000, revokes: true }));
        assert_eq!(stored.expires_at_ms(NOW), 260_000_000, "as long as a cookie could open");
    }

    #[test]
    fn a_second_end_takes_nothing_back() {
        let mut history = RefreshHistory::default();
        history.end_session(SessionEnd { until_s: 2000, revokes: true });
        history.end_session(SessionEnd { until_s: 1000, revokes: false });
        assert_eq!(RefreshHistory::read(&history.write()).end(), Some(SessionEnd { until_s: 2000, revokes: true }));
        let mut history = RefreshHistory::default();
        history.end_session(SessionEnd { until_s: 1000, revokes: false });
        assert_eq!(RefreshHistory::read(&history.write()).end(), Some(SessionEnd { until_s: 1000, revokes: false }));
    }

    #[test]
    fn any_stored_text_is_read() {
        for text in ["", "\n", "a", " ", "a \nb", "\u{0}", "logout", "logout x", "replaced -", "- -"] {
            let history = RefreshHistory::read(text);
            assert!(matches!(history.find(session("r:0").unwrap(), session, NOW), RecordedRefresh::Due(_)), "{text}");
            assert_eq!(history.end(), None, "{text}");
        }
    }
}
