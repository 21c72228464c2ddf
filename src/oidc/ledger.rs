//! What isolates keep in common of a session's last refreshes: which refresh tokens were used, and what came of each.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::RefreshMark;
use crate::base64url;

/// Outcomes of a session's last refreshes, the newest last, as text to be stored between two turns.
#[derive(Default)]
pub struct RefreshLedger(Vec<(String, String)>);

/// Refreshes remembered: requests that are on their way may carry a cookie from before the last few.
const MOST: usize = 4;

/// In place of a sealed session: the provider ended it. Not base64url of anything that was sealed.
const ENDED: &str = "-";

impl RefreshLedger {
    /// Reads what [`write`](Self::write) wrote.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let entry = |line: &str| line.split_once(' ').map(|(mark, outcome)| (mark.to_string(), outcome.to_string()));
        Self(text.lines().filter_map(entry).collect())
    }

    /// What came of this refresh token: a sealed session, or `None` inside if that was the end; nothing if it was not used.
    #[must_use]
    pub fn find(&self, mark: RefreshMark) -> Option<Option<&str>> {
        let mark = base64url::encode(&mark.0);
        let (_, outcome) = self.0.iter().find(|(one, _)| *one == mark)?;
        Some(Some(outcome.as_str()).filter(|outcome| *outcome != ENDED))
    }

    /// Notes what came of it.
    pub fn note(&mut self, mark: RefreshMark, sealed: Option<&str>) {
        self.0.push((base64url::encode(&mark.0), sealed.unwrap_or(ENDED).to_string()));
        let excess = self.0.len().saturating_sub(MOST);
        self.0.drain(..excess);
    }

    /// The text to store.
    #[must_use]
    pub fn write(&self) -> String {
        self.0.iter().map(|(mark, outcome)| alloc::format!("{mark} {outcome}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, RefreshLedger};
    use crate::oidc::RefreshMark;

    #[test]
    fn outcomes_are_found_by_the_refresh_token_until_newer_ones_push_them_out() {
        let mut ledger = RefreshLedger::default();
        ledger.note(RefreshMark([0; 32]), Some("sealed"));
        ledger.note(RefreshMark([1; 32]), None);
        let mut ledger = RefreshLedger::read(&ledger.write());
        assert_eq!(ledger.find(RefreshMark([0; 32])), Some(Some("sealed")));
        assert_eq!(ledger.find(RefreshMark([1; 32])), Some(None));
        assert_eq!(ledger.find(RefreshMark([2; 32])), None);
        for used in 2..=u8::try_from(MOST).unwrap() {
            ledger.note(RefreshMark([used; 32]), Some("other"));
        }
        assert_eq!(RefreshLedger::read(&ledger.write()).find(RefreshMark([0; 32])), None);
    }

    #[test]
    fn any_stored_text_is_read() {
        for text in ["", "\n", "a", " ", "a \nb", "\u{0}"] {
            assert_eq!(RefreshLedger::read(text).find(RefreshMark([0; 32])), None);
        }
    }
}
