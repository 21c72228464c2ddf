//! The history of a session that its coordinator stores: the outcomes of its last refreshes, and its end.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::RefreshTokenHash;
use crate::base64url;
use crate::io::UnixTime;
use crate::limits;
use crate::session::Session;

/// The outcomes of a session's last refreshes, the newest last, or its end. Stored as text.
#[derive(Default)]
pub(crate) struct RefreshHistory {
    outcomes: Vec<(String, String)>,
    end: Option<SessionEnd>,
}

/// The end of a session, by logout or by a new login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// Until when to store it, in seconds since 1970: no cookie of the session is valid after that.
    pub(crate) until_s: i64,
    /// Whether tokens issued to it afterwards are revoked. After a new login they are not, because providers that revoke the whole
    /// grant would end the new session, too.
    pub(crate) revokes: bool,
}

/// The recorded outcome for a session's refresh token.
#[derive(Debug)]
pub(crate) enum RecordedRefresh {
    /// None yet: refresh this session, which may be newer than the requested one.
    Due(Box<Session>),
    /// This sealed session, whose access token is not due for refresh.
    Done(String),
    /// The session has ended.
    Ended,
}

/// Stored in place of a sealed session if the provider ended it. Never the base64url text of a sealed session.
const ENDED: &str = "-";

/// Stored in place of a refresh token's hash if the gateway ended the session. The expiry follows.
const END_REVOKING: &str = "logout";
const END_REPLACED: &str = "replaced";

impl RefreshHistory {
    /// Parses the text of [`write`](Self::write).
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

    /// Looks up a session that is due for refresh. `open_message` opens recorded sessions.
    pub(crate) fn find(
        &self,
        session: Session,
        open_message: impl Fn(&str) -> Option<Session>,
        now: UnixTime,
    ) -> RecordedRefresh {
        let mut newest = session;
        // Only later outcomes are searched: without rotation, a refresh token occurs again.
        let mut later = self.outcomes.as_slice();
        while self.end.is_none() {
            let token = base64url::encode(&RefreshTokenHash::of(&newest).0);
            let Some(position) = later.iter().position(|(one, _)| *one == token) else {
                return RecordedRefresh::Due(newest.into());
            };
            let Some((_, outcome)) = later.get(position) else { break };
            let Some(next) = open_message(outcome) else { break };
            // A request that already has these tokens wants newer ones.
            if !next.needs_refresh(now) && next.tokens() != newest.tokens() {
                return RecordedRefresh::Done(outcome.clone());
            }
            newest = next;
            later = later.get(position + 1..).unwrap_or_default();
        }
        RecordedRefresh::Ended
    }

    /// Returns the newest sealed session: the last outcome, unless the provider ended the session.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.outcomes.last().map(|(_, outcome)| outcome.as_str()).filter(|outcome| *outcome != ENDED)
    }

    /// Returns whether nothing is recorded of the session.
    pub(crate) fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.end.is_none()
    }

    /// Returns the end of the session, if the gateway ended it.
    pub(crate) fn end(&self) -> Option<SessionEnd> {
        self.end
    }

    /// Records the outcome for a refresh token: a sealed session, or `None` if the provider ended it.
    pub(crate) fn record(&mut self, token: RefreshTokenHash, sealed: Option<&str>) {
        let token = base64url::encode(&token.0);
        self.outcomes.retain(|(one, _)| *one != token);
        self.outcomes.push((token, sealed.unwrap_or(ENDED).to_string()));
        let excess = self.outcomes.len().saturating_sub(limits::MAX_REFRESH_OUTCOMES);
        self.outcomes.drain(..excess);
    }

    /// Ends the session and discards its outcomes.
    pub(crate) fn end_session(&mut self, end: SessionEnd) {
        self.outcomes.clear();
        // Of two ends, the later expiry and the revocation win.
        let previous = self.end.unwrap_or(end);
        self.end =
            Some(SessionEnd { until_s: previous.until_s.max(end.until_s), revokes: previous.revokes || end.revokes });
    }

    /// Returns the text to store.
    pub(crate) fn write(&self) -> String {
        let end = self.end.map(|end| {
            let name = if end.revokes { END_REVOKING } else { END_REPLACED };
            alloc::format!("{name} {}\n", end.until_s)
        });
        let outcomes = self.outcomes.iter().map(|(token, outcome)| alloc::format!("{token} {outcome}\n"));
        end.into_iter().chain(outcomes).collect()
    }

    /// Returns when to delete the stored text, in milliseconds since 1970.
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
    use crate::oidc::RefreshTokenHash;
    use crate::session::{Session, Tokens};

    const NOW: UnixTime = UnixTime::from_secs(1000);

    /// Opens a session "sealed" as `refresh token:expiry of the access token`.
    fn session(text: &str) -> Option<Session> {
        let (refresh, expires) = text.split_once(':')?;
        let tokens =
            Tokens { refresh: Some(refresh.into()), access_expires_s: expires.parse().ok()?, ..Tokens::default() };
        let claims = Claims::from_json(br#"{"sub":"a"}"#.to_vec())?;
        Some(Session::new("id".into(), claims, tokens, UnixTime::from_secs(0)))
    }

    fn token(text: &str) -> RefreshTokenHash {
        RefreshTokenHash::of(&session(text).unwrap())
    }

    /// Stores the history and looks the session up in the stored text.
    fn find(history: &RefreshHistory, text: &str) -> String {
        match RefreshHistory::read(&history.write()).find(session(text).unwrap(), session, NOW) {
            RecordedRefresh::Due(session) => "due ".to_string() + session.tokens().refresh.as_deref().unwrap(),
            RecordedRefresh::Done(sealed) => sealed,
            RecordedRefresh::Ended => "ended".into(),
        }
    }

    #[test]
    fn outcomes_are_found_by_refresh_token_until_newer_ones_evict_them() {
        let mut history = RefreshHistory::default();
        assert_eq!(history.newest(), None);
        history.record(token("r0:0"), Some("r1:5000"));
        history.record(token("x:0"), None);
        assert_eq!(find(&history, "r0:0"), "r1:5000");
        assert_eq!(find(&history, "x:0"), "ended");
        assert_eq!(find(&history, "other:0"), "due other");
        for index in 0..crate::limits::MAX_REFRESH_OUTCOMES {
            history.record(token(&alloc::format!("y{index}:0")), Some("z:5000"));
        }
        assert_eq!(find(&history, "r0:0"), "due r0");
        assert_eq!(history.newest(), Some("z:5000"));
    }

    #[test]
    fn an_older_cookie_leads_to_the_newest_session_or_its_end() {
        let mut history = RefreshHistory::default();
        history.record(token("r0:0"), Some("r1:900"));
        assert_eq!(find(&history, "r0:0"), "due r1", "its access token has expired, too: the newest is refreshed");
        history.record(token("r1:0"), Some("r2:5000"));
        assert_eq!(find(&history, "r0:0"), "r2:5000");
        assert_eq!(history.newest(), Some("r2:5000"));
        history.record(token("r2:0"), None);
        assert_eq!(find(&history, "r2:0"), "ended");
        assert_eq!(history.newest(), None);
    }

    #[test]
    fn without_rotation_a_refresh_token_is_used_again_once_the_access_token_is_due() {
        let mut history = RefreshHistory::default();
        history.record(token("same:0"), Some("same:900"));
        assert_eq!(find(&history, "same:0"), "due same");
        history.record(token("same:0"), Some("same:5000"));
        assert_eq!(find(&history, "same:0"), "same:5000");
        assert_eq!(find(&history, "same:5000"), "due same", "requested by the refresh route");
        assert_eq!(history.write().lines().count(), 1);
    }

    #[test]
    fn the_end_of_a_session_replaces_its_stored_outcomes() {
        let mut history = RefreshHistory::default();
        history.record(token("r0:0"), Some("r1:5000"));
        assert_eq!(history.expires_at_ms(NOW), 4_600_000, "an hour");
        history.end_session(SessionEnd { until_s: 260_000, revokes: true });
        for text in ["r0:0", "r1:5000", "other:0"] {
            assert_eq!(find(&history, text), "ended");
        }
        assert!(!history.write().contains("r1"));
        let stored = RefreshHistory::read(&history.write());
        assert_eq!(stored.end(), Some(SessionEnd { until_s: 260_000, revokes: true }));
        assert_eq!(stored.expires_at_ms(NOW), 260_000_000, "as long as a cookie is valid");
    }

    #[test]
    fn a_second_end_does_not_weaken_the_first() {
        let mut history = RefreshHistory::default();
        history.end_session(SessionEnd { until_s: 2000, revokes: true });
        history.end_session(SessionEnd { until_s: 1000, revokes: false });
        assert_eq!(RefreshHistory::read(&history.write()).end(), Some(SessionEnd { until_s: 2000, revokes: true }));
        let mut history = RefreshHistory::default();
        history.end_session(SessionEnd { until_s: 1000, revokes: false });
        assert_eq!(RefreshHistory::read(&history.write()).end(), Some(SessionEnd { until_s: 1000, revokes: false }));
    }

    #[test]
    fn any_stored_text_is_accepted() {
        for text in ["", "\n", "a", " ", "a \nb", "\u{0}", "logout", "logout x", "replaced -", "- -"] {
            let history = RefreshHistory::read(text);
            assert!(matches!(history.find(session("r:0").unwrap(), session, NOW), RecordedRefresh::Due(_)), "{text}");
            assert_eq!(history.end(), None, "{text}");
        }
    }
}
