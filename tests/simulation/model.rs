//! What must pass and what must not, by what happened before.

use std::collections::BTreeMap;
use std::fmt;

use edgeward::io::UnixTime;
use support::browser::Browser;
use support::toy::ToyKey;

use crate::keys::MAX_SET_BACK_MS;

/// Outcomes, to show that a run met every situation.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, more: &Self) {
        for (what, count) in &more.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Returns what was counted since.
    pub(crate) fn since(&self, before: &Self) -> Vec<&'static str> {
        self.0.iter().filter(|(what, count)| before.0.get(*what) != Some(count)).map(|(what, _)| *what).collect()
    }

    /// Asserts that every situation occurred, in runs that are long enough.
    pub(crate) fn assert_plausible(&self, steps: u64) {
        let situations = [
            "bearer that must pass",
            "bearer that must not",
            "bearer that may pass",
            "session that must pass",
            "session that must not",
            "session that may pass",
            "session from the future",
            "rights in time",
            "anonymous",
            "login",
            "logout",
            "rotation",
            "withdrawal",
            "replacement",
            "outage",
            "clock",
            "restart",
            "lost answer",
            "cancelled",
            "killed jobs",
            "kid flood",
            "slow rotation",
            "slow key that passes",
        ];
        for what in situations {
            let count = self.0.get(what).copied().unwrap_or_default();
            assert!(count > 0 || steps < 20_000, "no {what} in {steps} steps");
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(what, count)| format!("{what}: {count}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The verdict that a credential must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    Pass,
    Fail,
    /// Both are right: it depends on what an instance has seen.
    Either,
}

/// Why a token must never pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Forged,
    OtherAudience,
    OtherIssuer,
    NeverPublished,
    OtherKind,
    Malformed,
}

/// A bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) text: String,
    pub(crate) user: String,
    pub(crate) key: ToyKey,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) flaw: Option<Flaw>,
}

/// A user with a browser.
#[derive(Debug, Default)]
pub(crate) struct User {
    /// Unique for each login.
    pub(crate) name: String,
    pub(crate) browser: Browser,
    pub(crate) is_in: bool,
    /// When the session began and was last used, by the wall clock, in milliseconds. Clock jumps make both earlier.
    pub(crate) began_ms: i64,
    pub(crate) used_ms: i64,
    /// Answers that the browser did not get since it last had the newest refresh token, and when that was, in elapsed milliseconds.
    pub(crate) lost: u32,
    pub(crate) newest_ms: i64,
    /// When the session began, as the clock was then, in milliseconds.
    pub(crate) login_ms: i64,
    /// Whether an event that ends sessions may have happened to it.
    pub(crate) may_be_lost: bool,
}

impl User {
    /// Returns whether the session has begun by this clock: one from the future is not accepted.
    pub(crate) fn has_begun(&self, wall: UnixTime) -> bool {
        wall.millis() >= self.login_ms - MAX_SET_BACK_MS
    }
}

/// A cookie of a session that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) cookie: String,
    /// When its tokens are certainly due for refresh, in elapsed milliseconds.
    pub(crate) due_ms: i64,
}
