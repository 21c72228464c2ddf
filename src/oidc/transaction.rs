//! A login under way: what the gateway must remember until the browser comes back, sealed in a cookie of that browser.
//!
//! Each login has a cookie of its own, so several tabs do not disturb each other.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ReturnTo;
use crate::crypto::sha256;
use crate::io::UnixTime;
use crate::json::{Document, Number, Value, quote};
use crate::limits;
use crate::session::{CookieShape, Cookies, Purpose, SEAL_NONCE_BYTES, Sealer};

/// Prefix of the cookies' names; the first characters of `state` follow.
pub const LOGIN_COOKIE_PREFIX: &str = "__Host-edgeward-login-";

/// What a login began with.
#[derive(Clone)]
pub(super) struct Transaction {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) return_to: ReturnTo,
    pub(super) organization: Option<String>,
    pub(super) issued_ms: i64,
}

impl Transaction {
    fn to_json(&self) -> String {
        format!(
            r#"{{"v":1,"s":{},"n":{},"p":{},"r":{},"o":{},"t":{}}}"#,
            quote(&self.state),
            quote(&self.nonce),
            quote(&self.verifier),
            quote(self.return_to.as_str()),
            self.organization.as_deref().map_or("null".into(), quote),
            self.issued_ms,
        )
    }

    fn from_json(json: Vec<u8>) -> Option<Self> {
        let document = Document::parse(json, 2).ok()?;
        let root = document.root();
        let number = |name| match root.get(name) {
            Some(Value::Number(Number::Unsigned(value))) => i64::try_from(value).ok(),
            _ => None,
        };
        let text = |name| root.get(name).and_then(Value::as_str).map(String::from);
        if number("v") != Some(1) {
            return None;
        }
        Some(Self {
            state: text("s")?,
            nonce: text("n")?,
            verifier: text("p")?,
            return_to: ReturnTo::parse(&text("r")?)?,
            organization: text("o"),
            issued_ms: number("t")?,
        })
    }

    /// Whether it is still open.
    pub(super) fn is_open(&self, now: UnixTime) -> bool {
        let age_ms = now.millis().saturating_sub(self.issued_ms);
        (-1000 * i64::from(limits::MAX_CLOCK_SKEW_S)..1000 * limits::LOGIN_LIFETIME_S).contains(&age_ms)
    }

    /// `Set-Cookie` values that keep it, and that close the oldest logins if there are too many.
    pub(super) fn to_cookies(
        &self,
        sealer: &Sealer,
        host: &str,
        cookies: &Cookies<'_>,
        nonce: &[u8; SEAL_NONCE_BYTES],
        now: UnixTime,
    ) -> Option<Vec<String>> {
        let sealed = sealer.seal(Purpose::Login, host, self.to_json().as_bytes(), nonce)?;
        let mut set = shape(&self.state).write(&sealed, limits::LOGIN_LIFETIME_S, &Cookies::default())?;
        // Those that do not open, are over, or are beyond what one browser may have open.
        let mut open: Vec<(i64, &str)> = Vec::new();
        for (name, _) in cookies.iter().filter(|(name, _)| is_login_cookie(name)).take(limits::MAX_LOGIN_COOKIES_READ) {
            match Self::open_cookie(sealer, host, cookies, &named(name)).filter(|other| other.is_open(now)) {
                Some(other) => open.push((other.issued_ms, name)),
                None => set.extend(named(name).clear(&Cookies::default())),
            }
        }
        while open.len() >= limits::MAX_OPEN_LOGINS
            && let Some(oldest) = open.iter().copied().min()
        {
            open.retain(|login| *login != oldest);
            set.extend(named(oldest.1).clear(&Cookies::default()));
        }
        Some(set)
    }

    /// The login that `state` names, if this browser began it.
    pub(super) fn find(sealer: &Sealer, host: &str, cookies: &Cookies<'_>, state: &str) -> Option<Self> {
        let found = Self::open_cookie(sealer, host, cookies, &shape(state))?;
        crate::crypto::equal_in_constant_time(found.state.as_bytes(), state.as_bytes()).then_some(found)
    }

    fn open_cookie(sealer: &Sealer, host: &str, cookies: &Cookies<'_>, shape: &CookieShape) -> Option<Self> {
        // The name has the prefix that makes it unique.
        Self::from_json(sealer.open(Purpose::Login, host, shape.read(cookies).first()?)?)
    }

    /// `Set-Cookie` values that end it.
    pub(super) fn close(state: &str) -> Vec<String> {
        shape(state).clear(&Cookies::default())
    }
}

/// Whether it is a name that [`shape`] gives. Others that begin like it are never repeated in an answer.
fn is_login_cookie(name: &str) -> bool {
    name.strip_prefix(LOGIN_COOKIE_PREFIX).is_some_and(|tail| {
        tail.len() <= limits::LOGIN_COOKIE_NAME_CHARS && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn shape(state: &str) -> CookieShape {
    let tail: String =
        state.chars().filter(char::is_ascii_alphanumeric).take(limits::LOGIN_COOKIE_NAME_CHARS).collect();
    named(&format!("{LOGIN_COOKIE_PREFIX}{tail}"))
}

/// Lax: the provider sends the browser back with a cross-site navigation.
fn named(name: &str) -> CookieShape {
    CookieShape { name: name.into(), same_site: "Lax", domain: None }
}

/// States that were used, for as long as a login can be open. Bounded: it forgets the oldest.
#[derive(Debug, Default)]
pub(crate) struct ReplayGuard(VecDeque<[u8; 32]>);

impl ReplayGuard {
    /// Marks `state` as used; false if it was already.
    pub(crate) fn claim(&mut self, state: &str) -> bool {
        let mark = sha256(state.as_bytes());
        if self.0.contains(&mark) {
            return false;
        }
        if self.0.len() >= limits::MAX_REMEMBERED_STATES {
            self.0.pop_front();
        }
        self.0.push_back(mark);
        true
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::ReplayGuard;

    #[test]
    fn the_states_that_are_remembered_are_bounded() {
        let mut used = ReplayGuard::default();
        assert!(used.claim("first"));
        for index in 0..4095 {
            assert!(used.claim(&index.to_string()));
        }
        assert!(!used.claim("first") && !used.claim("4094"));
        assert!(used.claim("one more"));
        assert!(used.claim("first"), "the oldest gives way");
    }
}
