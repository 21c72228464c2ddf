//! A pending login, sealed in a cookie of the browser until the callback.
//!
//! Each login has its own cookie, so that logins in several tabs do not interfere.

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

/// The prefix of login cookie names; the first characters of `state` follow.
pub const LOGIN_COOKIE_PREFIX: &str = "__Host-edgeward-login-";

/// The parameters of a pending login.
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

    /// Whether the login is still pending.
    pub(super) fn is_open(&self, now: UnixTime) -> bool {
        let age_ms = now.millis().saturating_sub(self.issued_ms);
        (-1000 * i64::from(limits::MAX_CLOCK_SKEW_S)..1000 * limits::LOGIN_LIFETIME_S).contains(&age_ms)
    }

    /// Returns `Set-Cookie` values that store the login, and that clear the oldest logins if there are too many.
    pub(super) fn to_cookies(
        &self,
        sealer: &Sealer,
        host: &str,
        cookies: &Cookies<'_>,
        nonce: &[u8; SEAL_NONCE_BYTES],
        now: UnixTime,
    ) -> Option<Vec<String>> {
        let sealed = sealer.seal(Purpose::Login, host, self.to_json().as_bytes(), nonce)?;
        let mut set = cookie_for(&self.state).write(&sealed, limits::LOGIN_LIFETIME_S, &Cookies::default())?;
        // Clears cookies that do not open, have expired, or exceed the limit per browser.
        let mut open: Vec<(i64, &str)> = Vec::new();
        for (name, _) in cookies.iter().filter(|(name, _)| is_login_cookie(name)).take(limits::MAX_LOGIN_COOKIES_READ) {
            match Self::open_cookie(sealer, host, cookies, &cookie_named(name)).filter(|other| other.is_open(now)) {
                Some(other) => open.push((other.issued_ms, name)),
                None => set.extend(cookie_named(name).clear(&Cookies::default())),
            }
        }
        while open.len() >= limits::MAX_OPEN_LOGINS
            && let Some(oldest) = open.iter().copied().min()
        {
            open.retain(|login| *login != oldest);
            set.extend(cookie_named(oldest.1).clear(&Cookies::default()));
        }
        Some(set)
    }

    /// Finds the login with this `state`, if this browser began it.
    pub(super) fn find(sealer: &Sealer, host: &str, cookies: &Cookies<'_>, state: &str) -> Option<Self> {
        let found = Self::open_cookie(sealer, host, cookies, &cookie_for(state))?;
        crate::crypto::equal_in_constant_time(found.state.as_bytes(), state.as_bytes()).then_some(found)
    }

    fn open_cookie(sealer: &Sealer, host: &str, cookies: &Cookies<'_>, shape: &CookieShape) -> Option<Self> {
        // With the `__Host-` prefix, a browser sends at most one cookie of a name.
        Self::from_json(sealer.open(Purpose::Login, host, shape.read(cookies).first()?)?)
    }

    /// Returns `Set-Cookie` values that clear the login's cookie.
    pub(super) fn clear(state: &str) -> Vec<String> {
        cookie_for(state).clear(&Cookies::default())
    }
}

/// Whether [`cookie_for`] could have created the name. Other names with the prefix are never echoed in a response.
fn is_login_cookie(name: &str) -> bool {
    name.strip_prefix(LOGIN_COOKIE_PREFIX).is_some_and(|tail| {
        tail.len() <= limits::LOGIN_COOKIE_NAME_CHARS && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn cookie_for(state: &str) -> CookieShape {
    let tail: String =
        state.chars().filter(char::is_ascii_alphanumeric).take(limits::LOGIN_COOKIE_NAME_CHARS).collect();
    cookie_named(&format!("{LOGIN_COOKIE_PREFIX}{tail}"))
}

/// `Lax`, because the provider returns the browser with a cross-site navigation.
fn cookie_named(name: &str) -> CookieShape {
    CookieShape { name: name.into(), same_site: "Lax", domain: None }
}

/// The `state` values already used, to refuse replays. Bounded: the oldest are evicted.
#[derive(Debug, Default)]
pub(crate) struct ReplayGuard(VecDeque<[u8; 32]>);

impl ReplayGuard {
    /// Marks `state` as used. Returns false if it already was.
    pub(crate) fn claim(&mut self, state: &str) -> bool {
        let hash = sha256(state.as_bytes());
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() >= limits::MAX_REMEMBERED_STATES {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::ReplayGuard;

    #[test]
    fn the_number_of_remembered_states_is_bounded() {
        let mut used = ReplayGuard::default();
        assert!(used.claim("first"));
        for index in 0..4095 {
            assert!(used.claim(&index.to_string()));
        }
        assert!(!used.claim("first") && !used.claim("4094"));
        assert!(used.claim("one more"));
        assert!(used.claim("first"), "the oldest is evicted");
    }
}
