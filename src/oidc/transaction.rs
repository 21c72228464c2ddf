//! A pending login, sealed in a cookie of the browser until the callback.
//!
//! Each login has its own cookie, so that logins in several tabs do not interfere. The cookie is sealed under a nonce derived from
//! `state`, and `nonce` and the PKCE verifier are derived from the sealed text: it stores none of the three, and opens only with the
//! `state` of its login.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{LoginError, ReturnTo, ShortThumbprint, StepUp, form};
use crate::base64url;
use crate::crypto::sha256;
use crate::io::UnixTime;
use crate::jwt::Claims;
use crate::limits;
use crate::session::{CookieShape, Cookies, Purpose, SEAL_NONCE_BYTES, Sealer, Session};
use crate::shared::Shared;
use crate::text::concat;

/// The prefix of login cookie names; the first characters of `state` follow.
pub const LOGIN_COOKIE_PREFIX: &str = "__Host-edgeward-login-";

/// A request for a login.
pub(crate) struct LoginRequest {
    /// The page to go to after the login.
    pub(super) return_to: ReturnTo,
    /// The parameters that are passed on to the provider, as a query.
    pub(super) parameters: String,
    /// Whether an earlier attempt failed at the provider: then no further one begins by itself.
    pub(super) is_restart: bool,
}

impl LoginRequest {
    /// Requests a login that returns to a page.
    pub(crate) fn to(return_to: ReturnTo) -> Self {
        Self { return_to, parameters: String::new(), is_restart: false }
    }

    /// Requests a login as the route requires it.
    pub(crate) fn with_step_up(mut self, step_up: &StepUp) -> Self {
        for (name, value) in step_up.parameters() {
            form::push(&mut self.parameters, name, &value);
        }
        self
    }

    /// Returns the same request, to be made again; `None` for a second attempt.
    pub(super) fn again(&self) -> Option<Self> {
        let Self { return_to, parameters, is_restart } = self;
        (!is_restart).then(|| Self { return_to: return_to.clone(), parameters: parameters.clone(), is_restart: true })
    }

    /// Returns the organization that the request names.
    pub(super) fn organization(&self) -> Option<String> {
        form::once(&form::parse(&self.parameters), "organization").ok().flatten().map(String::from)
    }

    /// Returns the request to make if the provider refused this one in its callback because it was asked not to interact with the user
    /// (OpenID Connect Core §3.1.2.6), or because its own login page had expired, as Keycloak puts it. `None` for other errors, and for a
    /// second attempt.
    pub(super) fn restarted(&self, callback: &[(String, String)]) -> Option<Self> {
        let parameter = |name| form::once(callback, name).ok().flatten();
        // `prompt` is the first parameter.
        let without_prompt = self.parameters.strip_prefix("prompt=none");
        let may_restart = match parameter("error")? {
            "temporarily_unavailable" => parameter("error_description") == Some("authentication_expired"),
            "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
                without_prompt.is_some()
            }
            _ => false,
        };
        (may_restart && !self.is_restart).then(|| Self {
            return_to: self.return_to.clone(),
            parameters: without_prompt.unwrap_or(&self.parameters).trim_start_matches('&').into(),
            is_restart: true,
        })
    }
}

/// The parameters of a pending login.
pub(super) struct Transaction {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) request: LoginRequest,
    /// The key that the code is bound to, if the client has keys (RFC 9449 §10).
    pub(super) key: Option<ShortThumbprint>,
    issued_ms: i64,
}

/// The bits of the first byte of a sealed login.
const IS_RESTART: u8 = 1;
const HAS_KEY: u8 = 2;

impl Transaction {
    /// Creates a login that begins now, and its sealed form. `state` must be random.
    pub(super) fn begin(
        request: LoginRequest,
        key: Option<ShortThumbprint>,
        state: &[u8; 32],
        sealer: &Sealer,
        host: &str,
        now: UnixTime,
    ) -> Option<(Self, String)> {
        let state = base64url::encode(state);
        let is_restart = if request.is_restart { IS_RESTART } else { 0 };
        let mut content = Vec::from([is_restart | if key.is_some() { HAS_KEY } else { 0 }]);
        content.extend(now.millis().to_be_bytes());
        content.extend(key.iter().flatten());
        content.extend(request.return_to.as_str().as_bytes());
        if !request.parameters.is_empty() {
            content.push(b'\n');
            content.extend(request.parameters.as_bytes());
        }
        let sealed = sealer.encrypt(Purpose::Login, host, &content, &seal_nonce(&state)?)?;
        let sealed = base64url::encode(&sealed);
        Some((Self::new(state, &sealed, request, key, now.millis()), sealed))
    }

    fn new(state: String, sealed: &str, request: LoginRequest, key: Option<ShortThumbprint>, issued_ms: i64) -> Self {
        // Without the secret, the sealed text cannot be predicted.
        let derived = |label| base64url::encode(&sha256(concat(&[label, sealed]).as_bytes()));
        Self { state, nonce: derived("nonce "), verifier: derived("verifier "), request, key, issued_ms }
    }

    /// Finds the login with this `state`, if this browser began it. It may have expired.
    pub(super) fn find(sealer: &Sealer, host: &str, cookies: &Cookies<'_>, state: &str) -> Option<Self> {
        let values = cookie_for(state).read(cookies);
        // With the `__Host-` prefix, a browser sends at most one cookie of a name.
        let sealed = values.first()?;
        let bytes = base64url::decode(sealed.as_bytes()).ok()?;
        let content = sealer.decrypt(Purpose::Login, host, &bytes, &seal_nonce(state)?)?;
        let (&[bits], rest) = content.split_first_chunk::<1>()?;
        let (issued_ms, rest) = rest.split_first_chunk::<8>()?;
        let (key, rest) = match rest.split_first_chunk() {
            _ if bits & HAS_KEY == 0 => (None, rest),
            found => found.map(|(key, rest)| (Some(*key), rest))?,
        };
        let text = str::from_utf8(rest).ok()?;
        let (return_to, parameters) = text.split_once('\n').unwrap_or((text, ""));
        let request = LoginRequest {
            return_to: ReturnTo::of_request(return_to)?,
            parameters: parameters.into(),
            is_restart: bits & IS_RESTART != 0,
        };
        Some(Self::new(state.into(), sealed, request, key, i64::from_be_bytes(*issued_ms)))
    }

    /// Whether the user has logged in as the request asked (OpenID Connect Core §3.1.3.7, 12 and 13), as of when it was sent: the
    /// time that the user takes to come back does not count. `configured`: the parameters of every login. Their `acr_values` are a
    /// wish, which some providers read as something else; `auth_time` is never optional after `max_age`.
    pub(super) fn is_met_by(&self, id: &Claims, configured: &[(String, String)], now: UnixTime) -> bool {
        let mut requested = StepUp::requested(&self.request.parameters);
        if let Some((_, seconds)) = configured.iter().find(|(name, _)| name == "max_age") {
            requested.max_age_s = seconds.parse().ok();
        }
        requested.is_met(id, self.begun(), now)
    }

    /// Returns when the login began.
    pub(super) const fn begun(&self) -> UnixTime {
        UnixTime::from_millis(self.issued_ms)
    }

    /// Returns how long ago the login began, in milliseconds.
    pub(super) const fn age_ms(&self, now: UnixTime) -> i64 {
        now.millis().saturating_sub(self.issued_ms)
    }

    /// Whether the login is still pending.
    pub(super) fn is_open(&self, now: UnixTime) -> bool {
        let age_ms = self.age_ms(now);
        (-1000 * i64::from(limits::MAX_CLOCK_SKEW_S)..1000 * limits::LOGIN_LIFETIME_S).contains(&age_ms)
    }

    /// Returns `Set-Cookie` values that store the sealed login, and that clear the oldest logins if there are too many.
    pub(super) fn to_cookies(&self, sealed: &str, cookies: &Cookies<'_>) -> Option<Vec<String>> {
        let lifetime_s = if sealed.len() > limits::MAX_COOKIE_CHUNK_BYTES {
            limits::LONG_LOGIN_COOKIE_LIFETIME_S
        } else {
            limits::LOGIN_COOKIE_LIFETIME_S
        };
        let mut set = cookie_for(&self.state).write(sealed, lifetime_s, &Cookies::default())?;
        let names = set.len() * (LOGIN_COOKIE_PREFIX.len() + limits::LOGIN_COOKIE_NAME_CHARS + "=.0; ".len());
        let bytes = sealed.len() + names;
        if bytes > limits::MAX_LOGIN_COOKIES_BYTES {
            return None;
        }
        set.extend(cleared_for(cookies, bytes));
        Some(set)
    }

    /// Returns `Set-Cookie` values that clear the login's cookies.
    pub(super) fn clear(state: &str, cookies: &Cookies<'_>) -> Vec<String> {
        cookie_for(state).clear(cookies)
    }
}

/// Returns the nonce under which a login is sealed. It is used once, because `state` is random and a login is sealed once.
fn seal_nonce(state: &str) -> Option<[u8; SEAL_NONCE_BYTES]> {
    sha256(state.as_bytes()).first_chunk().copied()
}

/// The cookies of another login.
struct OtherLogin<'h> {
    /// The end of its name, without the number of a chunk.
    tail: &'h str,
    bytes: usize,
    is_cleared: bool,
}

/// Returns `Set-Cookie` values that clear malformed login cookies, and the oldest ones until there is room for a login of this size.
/// Browsers send cookies in the order in which they were set (RFC 6265 §5.4). Whether a login has expired is unknown: its cookie opens
/// only with its `state`.
fn cleared_for(cookies: &Cookies<'_>, bytes: usize) -> Vec<String> {
    let mut logins: Vec<OtherLogin<'_>> = Vec::new();
    let (mut total, mut count) = (bytes, 0);
    for (name, value) in cookies.iter() {
        let Some(tail) = tail_of(name) else { continue };
        let bytes = name.len() + value.len() + "=; ".len();
        total += bytes;
        if let Some(login) = logins.iter_mut().find(|login| login.tail == tail) {
            login.bytes += bytes;
            continue;
        }
        let is_cleared = name.ends_with(tail) && value.len() < limits::MIN_LOGIN_COOKIE_BYTES;
        count += usize::from(!is_cleared);
        logins.push(OtherLogin { tail, bytes, is_cleared });
        if logins.len() == limits::MAX_LOGIN_COOKIES_READ {
            break;
        }
    }
    for login in &mut logins {
        if !login.is_cleared && (count >= limits::MAX_OPEN_LOGINS || total > limits::MAX_LOGIN_COOKIES_BYTES) {
            login.is_cleared = true;
            count -= 1;
            total -= login.bytes;
        }
    }
    let mut cleared = Vec::new();
    for (name, _) in cookies.iter() {
        let Some(tail) = tail_of(name) else { continue };
        if cleared.len() < limits::MAX_LOGIN_COOKIES_CLEARED
            && logins.iter().any(|login| login.is_cleared && login.tail == tail)
        {
            cleared.extend(cookie_named(name).clear(&Cookies::default()));
        }
    }
    cleared
}

/// Returns the characters of `state` in the name of a login cookie, or of one of its chunks. `None` for a name that [`cookie_for`] cannot
/// have created, which is never echoed in a response.
fn tail_of(name: &str) -> Option<&str> {
    let tail = name.strip_prefix(LOGIN_COOKIE_PREFIX)?;
    let (tail, chunk) = tail.split_once('.').unwrap_or((tail, "1"));
    let is_tail = !tail.is_empty()
        && tail.len() <= limits::LOGIN_COOKIE_NAME_CHARS
        && tail.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_tail && matches!(chunk.as_bytes(), [b'1'..=b'7'])).then_some(tail)
}

fn cookie_for(state: &str) -> CookieShape {
    let tail: String =
        state.chars().filter(char::is_ascii_alphanumeric).take(limits::LOGIN_COOKIE_NAME_CHARS).collect();
    cookie_named(&concat(&[LOGIN_COOKIE_PREFIX, &tail]))
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

/// The callbacks that are being completed, and their outcomes, for a browser that sends one again before it has the response. Bounded:
/// the oldest are evicted.
#[derive(Default)]
pub(crate) struct RecentCallbacks(Vec<RecentCallback>);

struct RecentCallback {
    id: CallbackId,
    until_ms: i64,
    outcome: PendingOutcome,
}

/// A hash of `state` and code.
pub(super) type CallbackId = [u8; 32];

/// The session of a login, or why there is none.
pub(super) type CallbackOutcome = Result<Arc<Session>, LoginError>;

/// An outcome, once there is one.
pub(super) type PendingOutcome = Arc<Shared<Option<CallbackOutcome>>>;

impl RecentCallbacks {
    /// Records that a callback is being completed, and returns where its outcome will be.
    pub(super) fn begin(&mut self, id: CallbackId, now: UnixTime) -> PendingOutcome {
        if self.0.len() >= limits::MAX_CALLBACKS {
            self.0.remove(0);
        }
        let until_ms = now.millis().saturating_add(limits::CALLBACK_REMEMBERED_MS);
        let outcome = Arc::new(Shared::new(None));
        self.0.push(RecentCallback { id, until_ms, outcome: Arc::clone(&outcome) });
        outcome
    }

    /// Returns where the outcome of a recent callback is or will be.
    pub(super) fn find(&self, id: &CallbackId, now: UnixTime) -> Option<PendingOutcome> {
        let callback = self.0.iter().find(|callback| callback.id == *id)?;
        (now.millis() < callback.until_ms).then(|| Arc::clone(&callback.outcome))
    }
}

impl core::fmt::Debug for RecentCallbacks {
    /// Omits the sessions.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RecentCallbacks")
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
