//! Sessions in sealed cookies: the user's claims, the time of login and the tokens. The server stores nothing.

mod logged_out;
mod opened;
mod rights;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use self::logged_out::LoggedOutSessions;
pub use self::opened::OpenedSessions;
pub(crate) use self::rights::Rights;
pub use crate::crypto::{LoginBinding, Purpose, SEAL_NONCE_BYTES, Sealer};
pub use crate::http::{CookieShape, Cookies};
use crate::io::UnixTime;
use crate::json::{Document, Number, Value, quote};
use crate::jwt::{Claims, unverified_claims};
use crate::limits;

/// The session of a logged-in user.
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::jwt::Claims;
/// use edgeward::session::{Session, Tokens};
///
/// /// Creates a session for a verified ID token.
/// fn log_in(id: &Claims, access_token: String, now: UnixTime) -> Session {
///     let tokens = Tokens { access: access_token, access_expires_s: now.secs() + 3600, ..Tokens::default() };
///     Session::new("random id".into(), id.clone(), tokens, now)
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    id: String,
    created_s: i64,
    /// When its login began, before the user was sent to the provider.
    login_s: i64,
    seen_s: i64,
    /// The `nonce` of the login, which refreshed ID tokens may repeat.
    nonce: String,
    claims: Claims,
    rights: Option<Rights>,
    unverified: Option<UnverifiedAccessToken>,
    tokens: Tokens,
    /// `aud` and `azp` of an ID token that is too long to store.
    parties: Option<Claims>,
}

/// An access token that could not be verified yet because its key was unavailable.
#[derive(Clone)]
struct UnverifiedAccessToken {
    /// The scope of the token response.
    scope: Option<String>,
}

/// The tokens of a session.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// When the gateway received the access token, in seconds since 1970.
    pub access_obtained_s: i64,
    /// When the access token expires, in seconds since 1970.
    pub access_expires_s: i64,
    /// The refresh token.
    pub refresh: Option<String>,
    /// The ID token, sent to the provider at logout as a hint. Of one that is longer than [`limits::MAX_ID_TOKEN_HINT_BYTES`], a session
    /// stores `aud` and `azp` only.
    pub id: Option<String>,
    /// The thumbprint of the key that the access token is bound to (RFC 9449 §6.1); `None` for a bearer token.
    pub jkt: Option<String>,
}

/// The session configuration: how sessions are sealed, and how long they last.
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::session::{CookieShape, Cookies, LoginBinding, Sealer, Sessions};
///
/// let binding = LoginBinding { issuer: "https://tenant.us.auth0.com/", client_id: "client", audience: &[] };
/// let sessions = Sessions {
///     sealer: Sealer::new(&["a secret of at least 32 characters"], binding),
///     cookie: CookieShape { name: "__Host-edgeward".into(), same_site: "Lax", domain: None },
///     idle_s: 86_400,
///     absolute_s: 259_200,
/// };
///
/// // Only a cookie that these sessions have sealed opens.
/// let cookies = Cookies::new("theme=dark; __Host-edgeward=1.forged");
/// assert!(sessions.open(&cookies, "app.example.com", UnixTime::from_secs(1_800_000_000)).is_none());
/// ```
#[derive(Debug)]
pub struct Sessions {
    /// Seals and opens sessions.
    pub sealer: Sealer,
    /// The session cookie.
    pub cookie: CookieShape,
    /// Seconds without use after which a session expires.
    pub idle_s: i64,
    /// Seconds after login at which a session expires in any case.
    pub absolute_s: i64,
}

/// The sessions known to one instance.
#[derive(Debug, Default)]
pub struct SessionCache {
    /// Opened sessions, by their sealed text.
    pub opened: OpenedSessions,
    /// Sessions ended by a logout or a new login.
    pub ended: LoggedOutSessions,
}

/// The version of the sealed format. Incompatible changes increase it.
const FORMAT: u64 = 2;

impl Session {
    /// Creates a session without rights. `claims` describe the user.
    #[must_use]
    pub fn new(id: String, claims: Claims, tokens: Tokens, now: UnixTime) -> Self {
        let (nonce, created_s) = (String::new(), now.secs());
        let empty = Tokens::default();
        Self {
            id,
            created_s,
            login_s: created_s,
            seen_s: created_s,
            nonce,
            claims,
            rights: None,
            unverified: None,
            tokens: empty,
            parties: None,
        }
        .with_tokens(tokens)
    }

    /// Sets the tokens. Without an ID token, the former one's parties stay.
    fn with_tokens(mut self, mut tokens: Tokens) -> Self {
        if let Some(id) = &tokens.id {
            self.parties = None;
            if id.len() > limits::MAX_ID_TOKEN_HINT_BYTES {
                // A refreshed one must be for the same parties (OpenID Connect Core §12.2).
                let claims = unverified_claims(id);
                let members =
                    claims.iter().flat_map(Claims::members).filter(|(name, _)| matches!(*name, "aud" | "azp"));
                self.parties = Claims::from_members(&mut members.map(|(name, value)| (name, value.to_json())));
                tokens.id = None;
            }
        }
        Self { tokens, ..self }
    }

    /// Returns the claims of the ID token, `aud` and `azp` among them; `None` if there was none.
    pub(crate) fn id_token_claims(&self) -> Option<Claims> {
        self.parties.clone().or_else(|| unverified_claims(self.tokens.id.as_deref()?))
    }

    /// Replaces the refresh token: nothing else of the response that it came with is used.
    pub(crate) fn with_refresh_token(mut self, token: String) -> Self {
        self.tokens.refresh = Some(token);
        self
    }

    /// Sets when the login began, and its nonce.
    #[must_use]
    pub(crate) fn with_login(self, begun: UnixTime, nonce: String) -> Self {
        Self { nonce, login_s: begun.secs(), ..self }
    }

    /// Replaces the rights.
    #[must_use]
    pub(crate) fn with_rights(self, rights: Option<Rights>) -> Self {
        Self { rights, ..self }
    }

    /// Marks the access token as not verified yet.
    #[must_use]
    pub(crate) fn with_unverified_access_token(self, scope: Option<String>) -> Self {
        Self { unverified: Some(UnverifiedAccessToken { scope }), ..self }
    }

    /// Limits the expiry of the access token.
    #[must_use]
    pub(crate) fn with_access_expiry_at_most(mut self, until_s: i64) -> Self {
        self.tokens.access_expires_s = self.tokens.access_expires_s.min(until_s);
        self
    }

    /// Returns the random session id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name of the session's coordinator, which does not reveal the session id.
    #[must_use]
    pub fn coordinator_id(&self) -> String {
        crate::base64url::encode(&crate::crypto::sha256(self.id.as_bytes()))
    }

    /// Returns the claims about the user, without rights; see [`claims_at`](Self::claims_at).
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns the claims about the user and their rights as of `now`. Rights expire with the access token.
    #[must_use]
    pub fn claims_at(&self, now: UnixTime) -> &Claims {
        self.rights.as_ref().and_then(|rights| rights.claims_at(now.secs())).unwrap_or(&self.claims)
    }

    /// Returns until when the rights in [`claims_at`](Self::claims_at) are granted, in seconds since 1970; `None` if it has none.
    pub(crate) fn rights_until_s(&self, now: UnixTime) -> Option<i64> {
        self.rights.as_ref().map(Rights::until_s).filter(|until_s| now.secs() < *until_s)
    }

    /// Returns the rights, even if expired.
    pub(crate) fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// Returns whether the access token could not be verified yet, so that its rights are unknown.
    #[must_use]
    pub fn has_unverified_access_token(&self) -> bool {
        self.unverified.is_some()
    }

    /// Returns the scope stated for an unverified access token.
    pub(crate) fn unverified_scope(&self) -> Option<&str> {
        self.unverified.as_ref()?.scope.as_deref()
    }

    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Returns the tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Replaces claims and tokens, and removes the rights of the previous access token.
    #[must_use]
    pub fn refreshed(self, claims: Claims, tokens: Tokens) -> Self {
        Self { claims, rights: None, unverified: None, ..self }.with_tokens(tokens)
    }

    /// Returns whether the session has a refresh token.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.tokens.refresh.is_some()
    }

    /// Returns whether the access token is due for refresh, and can be refreshed.
    #[must_use]
    pub fn needs_refresh(&self, now: UnixTime) -> bool {
        let Tokens { access_obtained_s, access_expires_s, .. } = self.tokens;
        let life_s = access_expires_s.saturating_sub(access_obtained_s).max(0);
        let ahead_s = limits::REFRESH_AHEAD_S.min(life_s - life_s / 2);
        self.can_refresh() && now.secs() >= access_expires_s.saturating_sub(ahead_s)
    }

    /// Returns whether the access token has expired.
    #[must_use]
    pub fn has_expired_access_token(&self, now: UnixTime) -> bool {
        now.secs() >= self.tokens.access_expires_s
    }

    /// Returns when its login began, in seconds since 1970.
    pub(crate) const fn login_s(&self) -> i64 {
        self.login_s
    }

    /// Returns the seconds since login.
    #[must_use]
    pub fn age_s(&self, now: UnixTime) -> i64 {
        now.secs().saturating_sub(self.created_s)
    }

    /// Returns whether its tokens are newer than those of another session with the same id, to which this instance or the coordinator
    /// refreshed it. Without rotation, the refresh token is the same.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        let (tokens, others) = (&self.tokens, &other.tokens);
        tokens.refresh != others.refresh || tokens.access_obtained_s > others.access_obtained_s
    }

    /// Orders sessions by login, then by the last write of the cookie.
    fn recency(&self) -> (i64, i64) {
        (self.created_s, self.seen_s)
    }

    fn to_json(&self) -> String {
        let optional = |value: &Option<String>| value.as_deref().map_or("null".into(), quote);
        format!(
            concat!(
                r#"{{"v":{},"id":{},"iat":{},"login":{},"seen":{},"nonce":{},"claims":{},"rights":{},"unread":{},"#,
                r#""at":{},"at_iat":{},"at_exp":{},"rt":{},"idt":{}{}}}"#
            ),
            FORMAT,
            quote(&self.id),
            self.created_s,
            self.login_s,
            self.seen_s,
            quote(&self.nonce),
            self.claims.as_json(),
            self.rights.as_ref().map_or("null", Rights::as_json),
            self.unverified
                .as_ref()
                .map_or("null".into(), |token| format!(r#"{{"scope":{}}}"#, optional(&token.scope))),
            quote(&self.tokens.access),
            self.tokens.access_obtained_s,
            self.tokens.access_expires_s,
            optional(&self.tokens.refresh),
            self.parties.as_ref().map_or_else(|| optional(&self.tokens.id), |parties| parties.as_json().into()),
            self.tokens.jkt.as_deref().map_or(String::new(), |jkt| format!(r#","jkt":{}"#, quote(jkt))),
        )
    }

    fn from_json(json: Vec<u8>) -> Option<Self> {
        let document = Document::parse(json, limits::MAX_CLAIMS_DEPTH + 1).ok()?;
        let root = document.root();
        if !matches!(root.get("v"), Some(Value::Number(Number::Unsigned(FORMAT)))) {
            return None;
        }
        let text = |name| root.get(name).and_then(Value::as_str).map(String::from);
        let seconds = |name| match root.get(name) {
            Some(Value::Number(Number::Unsigned(seconds))) => i64::try_from(seconds).ok(),
            _ => None,
        };
        let claims = Claims::from_object(root.get("claims")?.as_object()?)?;
        let rights = match root.get("rights")? {
            Value::Null => None,
            rights => Some(Rights::new(&claims, Claims::from_object(rights.as_object()?)?)?),
        };
        let unverified = match root.get("unread")? {
            Value::Null => None,
            token => {
                let scope = token.as_object()?.get("scope").and_then(Value::as_str).map(String::from);
                Some(UnverifiedAccessToken { scope })
            }
        };
        Some(Self {
            id: text("id")?,
            created_s: seconds("iat")?,
            // It may be absent.
            login_s: seconds(if root.get("login").is_some() { "login" } else { "iat" })?,
            seen_s: seconds("seen")?,
            nonce: text("nonce")?,
            claims,
            rights,
            unverified,
            tokens: Tokens {
                access: text("at")?,
                access_obtained_s: seconds("at_iat")?,
                access_expires_s: seconds("at_exp")?,
                refresh: text("rt"),
                id: text("idt"),
                jkt: text("jkt"),
            },
            parties: match root.get("idt").and_then(Value::as_object) {
                Some(parties) => Some(Claims::from_object(parties)?),
                None => None,
            },
        })
    }
}

impl core::fmt::Debug for Session {
    /// Redacts claims and tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("created_s", &self.created_s).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Tokens {
    /// Redacts the tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tokens").field("access_expires_s", &self.access_expires_s).finish_non_exhaustive()
    }
}

/// Moves the newest session to the front.
fn newest_first(mut sessions: Vec<Arc<Session>>) -> Vec<Arc<Session>> {
    let newest = (0..sessions.len()).max_by_key(|&index| sessions.get(index).map(|session| session.recency()));
    if let Some(newest) = newest {
        sessions.swap(0, newest);
    }
    sessions
}

impl Sessions {
    /// Opens the newest session of a request. Invalid cookies count as absent.
    #[must_use]
    pub fn open(&self, cookies: &Cookies<'_>, host: &str, now: UnixTime) -> Option<Session> {
        let opened = self.cookie.read(cookies).into_iter().filter_map(|sealed| self.unseal(&sealed, host));
        opened.filter(|session| self.is_live(session, now)).max_by_key(Session::recency)
    }

    /// Opens the live sessions of a request, the newest first, using the sessions known to this instance.
    #[must_use]
    pub fn open_cached(
        &self,
        cookies: &Cookies<'_>,
        host: &str,
        now: UnixTime,
        cache: &mut SessionCache,
    ) -> Vec<Arc<Session>> {
        let mut sessions = self.open_all(cookies, host, cache);
        sessions.retain(|session| self.is_live(session, now) && !cache.ended.contains(session.id()));
        newest_first(sessions)
    }

    /// Opens the sessions of a request that have, or may yet have, a live cookie: also those that this cookie has left idle for too long,
    /// and those that a clock which was ahead has begun. A logout must end them. Live ones come first.
    #[must_use]
    pub fn open_to_end(
        &self,
        cookies: &Cookies<'_>,
        host: &str,
        now: UnixTime,
        cache: &mut SessionCache,
    ) -> Vec<Arc<Session>> {
        let mut sessions = self.open_all(cookies, host, cache);
        sessions.retain(|session| now.secs() < self.expires_s(session) && !cache.ended.contains(session.id()));
        let (live, others) = sessions.into_iter().partition(|session| self.is_live(session, now));
        let mut sessions = newest_first(live);
        sessions.extend::<Vec<Arc<Session>>>(newest_first(others));
        sessions
    }

    fn open_all(&self, cookies: &Cookies<'_>, host: &str, cache: &mut SessionCache) -> Vec<Arc<Session>> {
        let mut sessions: Vec<Arc<Session>> = Vec::new();
        for sealed in self.cookie.read(cookies) {
            let session = match cache.opened.find(&sealed) {
                Some(session) => Arc::clone(session),
                None => {
                    let Some(session) = self.unseal(&sealed, host).map(Arc::new) else { continue };
                    cache.opened.insert(&sealed, Arc::clone(&session));
                    session
                }
            };
            sessions.push(session);
        }
        sessions
    }

    fn unseal(&self, sealed: &str, host: &str) -> Option<Session> {
        Session::from_json(self.sealer.open(Purpose::Session, self.seal_host(host), sealed)?)
    }

    fn is_live(&self, session: &Session, now: UnixTime) -> bool {
        // A cookie that was written while the clock was ahead stays valid: its idle time begins later.
        let latest_s = now.secs().saturating_add(limits::MAX_CLOCK_SKEW_S.into());
        let has_begun = session.created_s <= session.seen_s.min(latest_s);
        has_begun && !self.is_over(session, now)
    }

    /// Whether the cookie will not be valid any more, whatever the clock was when it was written.
    fn is_over(&self, session: &Session, now: UnixTime) -> bool {
        let end_s = session.created_s.saturating_add(self.absolute_s).min(session.seen_s.saturating_add(self.idle_s));
        now.secs() >= end_s
    }

    /// Returns whether the request's session cookies are of no use: none opens a session that is live, or will be once a clock that is wrong
    /// is right again.
    #[must_use]
    pub fn are_stale(&self, cookies: &Cookies<'_>, host: &str, now: UnixTime) -> bool {
        let mut opened = self.cookie.read(cookies).into_iter().filter_map(|sealed| self.unseal(&sealed, host));
        cookies.has(&self.cookie.name) && opened.all(|session| self.is_over(&session, now))
    }

    /// Returns when every cookie of the session has expired, in seconds since 1970, allowing for clock skew.
    #[must_use]
    pub fn expires_s(&self, session: &Session) -> i64 {
        session.created_s.saturating_add(self.absolute_s).saturating_add(limits::MAX_CLOCK_SKEW_S.into())
    }

    /// Returns the `Set-Cookie` values of the session; `None` if it does not fit into cookies.
    #[must_use]
    pub fn to_cookies(
        &self,
        session: &Session,
        cookies: &Cookies<'_>,
        host: &str,
        nonce: &[u8; SEAL_NONCE_BYTES],
        now: UnixTime,
    ) -> Option<Vec<String>> {
        let seen = Session { seen_s: now.secs().max(session.created_s), ..session.clone() };
        let sealed = self.sealer.seal(Purpose::Session, self.seal_host(host), seen.to_json().as_bytes(), nonce)?;
        let left_s = session.created_s.saturating_add(self.absolute_s).saturating_sub(now.secs());
        self.cookie.write(&sealed, left_s.min(self.idle_s).max(0), cookies)
    }

    /// Returns whether the session fits into cookies.
    pub(crate) fn fits(&self, session: &Session) -> bool {
        let sealed = Sealer::sealed_bytes(session.to_json().len());
        sealed <= limits::MAX_COOKIE_CHUNKS * limits::MAX_COOKIE_CHUNK_BYTES
    }

    /// Seals the session as a message between instances and the coordinator.
    #[must_use]
    pub fn seal_message(&self, session: &Session, host: &str, nonce: &[u8; SEAL_NONCE_BYTES]) -> Option<String> {
        self.sealer.seal(Purpose::Refresh, self.seal_host(host), session.to_json().as_bytes(), nonce)
    }

    /// Opens a session sealed with [`seal_message`](Self::seal_message).
    #[must_use]
    pub fn open_message(&self, sealed: &str, host: &str) -> Option<Session> {
        Session::from_json(self.sealer.open(Purpose::Refresh, self.seal_host(host), sealed)?)
    }

    /// Returns `Set-Cookie` values that clear the session's cookies.
    #[must_use]
    pub fn clear(&self, cookies: &Cookies<'_>) -> Vec<String> {
        self.cookie.clear(cookies)
    }

    /// Returns whether to write the cookie again, to extend the idle expiry of a session in use; or to correct it, if the clock was ahead.
    #[must_use]
    pub fn should_rewrite_cookie(&self, session: &Session, now: UnixTime) -> bool {
        let unused_s = now.secs().saturating_sub(session.seen_s);
        unused_s >= self.idle_s / 10 || unused_s < -i64::from(limits::MAX_CLOCK_SKEW_S)
    }

    /// Returns the name that the seal is bound to: the cookie's domain if it has one, else the host.
    fn seal_host<'h>(&'h self, host: &'h str) -> &'h str {
        self.cookie.domain.as_deref().unwrap_or(host)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use super::{CookieShape, Cookies, LoginBinding, Rights, Sealer, Session, SessionCache, Sessions, Tokens};
    use crate::io::UnixTime;
    use crate::jwt::Claims;
    use crate::limits;

    const START: i64 = 1_700_000_000;

    fn sessions() -> Sessions {
        Sessions {
            sealer: Sealer::new(
                &["a secret of at least 32 characters!!"],
                LoginBinding { issuer: "i", client_id: "c", audience: &[] },
            ),
            cookie: CookieShape { name: "__Host-edgeward".into(), same_site: "Lax", domain: None },
            idle_s: 100,
            absolute_s: 250,
        }
    }

    fn session() -> Session {
        let claims = Claims::from_json(r#"{"sub":"auth0|1"}"#.into()).unwrap();
        let granted = Claims::from_json(r#"{"exp":1700000040,"scope":"read:items"}"#.into()).unwrap();
        let rights = Rights::new(&claims, granted);
        Session::new("id".into(), claims, tokens(100), UnixTime::from_secs(START)).with_rights(rights)
    }

    /// Returns tokens whose access token is valid for `life_s` seconds.
    fn tokens(life_s: i64) -> Tokens {
        let refresh = Some("rt".into());
        Tokens {
            access: "at".into(),
            access_obtained_s: START,
            access_expires_s: START + life_s,
            refresh,
            ..Tokens::default()
        }
    }

    fn header(cookies: &[String]) -> String {
        let pairs: Vec<&str> = cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        pairs.join("; ")
    }

    fn at(offset: i64) -> UnixTime {
        UnixTime::from_secs(START + offset)
    }

    #[test]
    fn a_session_opens_until_its_idle_or_absolute_expiry() {
        let sessions = sessions();
        let cookie = sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap();
        let cookie = header(&cookie);
        let opened = sessions.open(&Cookies::new(&cookie), "a", at(99)).unwrap();
        assert_eq!(opened.claims().subject(), Some("auth0|1"));
        assert_eq!(opened.tokens().refresh.as_deref(), Some("rt"));
        assert!(sessions.open(&Cookies::new(&cookie), "a", at(100)).is_none());
        assert!(sessions.open(&Cookies::new(&cookie), "b", at(0)).is_none(), "another host");
        assert!(sessions.open(&Cookies::new(&cookie), "a", at(-61)).is_none(), "from the future");

        let used = sessions.to_cookies(&opened, &Cookies::default(), "a", &[2; 24], at(200)).unwrap();
        let used = header(&used);
        assert!(sessions.open(&Cookies::new(&used), "a", at(249)).is_some());
        assert!(sessions.open(&Cookies::new(&used), "a", at(250)).is_none(), "absolute expiry is not extended");
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_invalidates_no_session() {
        let sessions = sessions();
        let cookie_at = |session: &Session, offset| {
            header(&sessions.to_cookies(session, &Cookies::default(), "a", &[1; 24], at(offset)).unwrap())
        };
        let opens = |cookie: &str, offset| sessions.open(&Cookies::new(cookie), "a", at(offset));
        let is_stale = |cookie: &str, offset| sessions.are_stale(&Cookies::new(cookie), "a", at(offset));
        // What is checked: the offset, whether the cookie opens, and whether it never will.
        let cookie = cookie_at(&session(), 0);
        for (offset, is_live, never) in
            [(-1_000_000, false, false), (-61, false, false), (-60, true, false), (99, true, false), (100, false, true)]
        {
            assert_eq!((opens(&cookie, offset).is_some(), is_stale(&cookie, offset)), (is_live, never), "{offset}");
        }
        // Written while the clock was ahead: it is valid when the clock is right again, and corrected.
        let ahead = cookie_at(&session(), 90);
        for (offset, is_live, never) in [(-61, false, false), (0, true, false), (189, true, false), (190, false, true)]
        {
            assert_eq!((opens(&ahead, offset).is_some(), is_stale(&ahead, offset)), (is_live, never), "{offset}");
        }
        for (offset, expected) in [(0, true), (29, true), (30, false), (99, false), (100, true)] {
            assert_eq!(
                sessions.should_rewrite_cookie(&opens(&ahead, offset).unwrap(), at(offset)),
                expected,
                "{offset}"
            );
        }
        // Never longer than the session.
        let last = cookie_at(&session(), 249);
        for (offset, is_live, never) in [(0, true, false), (249, true, false), (250, false, true)] {
            assert_eq!((opens(&last, offset).is_some(), is_stale(&last, offset)), (is_live, never), "{offset}");
        }
        for (cookies, expected) in [("", false), ("other=1", false), ("__Host-edgeward=1.forged", true)] {
            assert_eq!(is_stale(cookies, 0), expected, "{cookies}");
        }
    }

    #[test]
    fn the_cache_changes_no_verdict() {
        let sessions = sessions();
        let mut cache = SessionCache::default();
        let cookie = sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap();
        let cookie = header(&cookie);
        let mut cached = || sessions.open_cached(&Cookies::new(&cookie), "a", at(0), &mut cache).remove(0);
        assert!(Arc::ptr_eq(&cached(), &cached()), "it is opened once");
        let mut open = |text: &str, offset| {
            let opened = sessions.open_cached(&Cookies::new(text), "a", at(offset), &mut cache).len() == 1;
            assert_eq!(opened, sessions.open(&Cookies::new(text), "a", at(offset)).is_some(), "{offset}");
            opened
        };
        assert!(open(&cookie, 0) && open(&cookie, 99));
        assert!(!open(&cookie, 100) && !open(&cookie, -61));
        assert!(!open(&cookie[..cookie.len() - 1], 0) && !open(&alloc::format!("{cookie}A"), 0));
        cache.ended.end("id");
        assert!(sessions.open_cached(&Cookies::new(&cookie), "a", at(0), &mut cache).is_empty());
    }

    #[test]
    fn the_access_token_is_refreshed_ahead_of_its_expiry_but_not_with_every_request() {
        for (life_s, due_s) in [(3600, 3570), (100, 70), (60, 30), (59, 29), (25, 12), (2, 1), (1, 0), (0, 0), (-9, -9)]
        {
            let session = session().refreshed(session().claims().clone(), tokens(life_s));
            assert!(!session.needs_refresh(at(due_s - 1)), "{life_s}");
            assert!(session.needs_refresh(at(due_s)), "{life_s}");
        }
    }

    #[test]
    fn rights_expire_and_the_session_continues() {
        let sessions = sessions();
        let cookie = header(&sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap());
        let opened = sessions.open(&Cookies::new(&cookie), "a", at(39)).unwrap();
        assert!(opened.claims_at(at(39)).scopes().eq(["read:items"]));
        for claims in [opened.claims_at(at(40)), opened.claims()] {
            assert_eq!((claims.subject(), claims.scopes().count()), (Some("auth0|1"), 0));
        }
        assert!(opened.claims_at(at(39)).get("exp").is_none(), "protocol claims are not included");
        let refreshed = session().refreshed(session().claims().clone(), tokens(100));
        assert_eq!(refreshed.claims_at(at(0)).scopes().count(), 0, "an unverified token grants nothing");
    }

    #[test]
    fn it_is_known_until_when_rights_are_granted_and_which_scope_was_stated_for_an_unverified_token() {
        let session = session();
        assert_eq!(session.rights_until_s(at(39)), Some(START + 40));
        assert_eq!((session.rights_until_s(at(40)), session.unverified_scope()), (None, None));
        let unverified = session.clone().refreshed(session.claims().clone(), tokens(100));
        assert_eq!(unverified.rights_until_s(at(0)), None);
        let unverified = unverified.with_unverified_access_token(Some("read:items".into()));
        assert_eq!(unverified.unverified_scope(), Some("read:items"));
        assert_eq!(unverified.with_unverified_access_token(None).unverified_scope(), None);
    }

    #[test]
    fn an_expired_token_does_not_bring_back_the_values_that_it_replaced() {
        let claims = |json: &str| Claims::from_json(json.into()).unwrap();
        let user = claims(r#"{"sub":"a","acr":"high","email":"a@example.com","groups":["a","b"]}"#);
        let granted = claims(r#"{"exp":1700000040,"acr":"low","email":"a@example.com","groups":["a"],"tier":"1"}"#);
        let session = session().refreshed(user.clone(), tokens(100)).with_rights(Rights::new(&user, granted));
        let sessions = sessions();
        let cookie = header(&sessions.to_cookies(&session, &Cookies::default(), "a", &[1; 24], at(0)).unwrap());
        let opened = sessions.open(&Cookies::new(&cookie), "a", at(39)).unwrap();
        for session in [&session, &opened] {
            let shown = |at_s| session.claims_at(at(at_s)).as_json().to_string();
            assert!(shown(39).contains(r#""acr":"low""#) && shown(39).contains(r#""groups":["a"]"#), "{}", shown(39));
            assert_eq!(shown(40), r#"{"sub":"a","email":"a@example.com"}"#, "what both tokens state stays");
        }
    }

    #[test]
    fn of_a_long_id_token_the_parties_are_stored() {
        let of_bytes = |bytes: usize| {
            let encoded = |json: &str| crate::base64url::encode(json.as_bytes());
            let with = |user: usize, signature: &str| {
                let claims = alloc::format!(r#"{{"aud":"c","azp":"p","sub":"{}"}}"#, "u".repeat(user));
                alloc::format!("{}.{}.{signature}", encoded(r#"{"alg":"RS256"}"#), encoded(&claims))
            };
            let mut texts =
                (0..bytes).rev().flat_map(|user| ["AA", "AAA", "AAAA"].map(|signature| with(user, signature)));
            let token = texts.find(|token| token.len() == bytes).unwrap();
            let tokens = Tokens { id: Some(token.clone()), ..tokens(100) };
            (token, Session::new("id".into(), session().claims().clone(), tokens, at(0)))
        };
        let (token, session) = of_bytes(limits::MAX_ID_TOKEN_HINT_BYTES);
        assert_eq!(session.tokens().id.as_ref(), Some(&token));
        let (_, session) = of_bytes(limits::MAX_ID_TOKEN_HINT_BYTES + 1);
        assert_eq!(session.tokens().id, None);
        let parties = session.id_token_claims().unwrap();
        assert_eq!(parties.as_json(), r#"{"aud":"c","azp":"p"}"#);
    }

    #[test]
    fn a_logout_finds_the_sessions_that_may_still_have_a_live_cookie() {
        let sessions = sessions();
        let cookie = header(&sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap());
        let mut cache = SessionCache::default();
        let end_s = 250 + i64::from(limits::MAX_CLOCK_SKEW_S);
        assert_eq!(sessions.expires_s(&session()), START + end_s);
        let mut found = |offset| sessions.open_to_end(&Cookies::new(&cookie), "a", at(offset), &mut cache).len();
        let counts = [-61, 0, 99, 100, end_s - 1, end_s, end_s + 1].map(&mut found);
        assert_eq!(counts, [1, 1, 1, 1, 1, 0, 0]);
        cache.ended.end("id");
        assert!(sessions.open_to_end(&Cookies::new(&cookie), "a", at(0), &mut cache).is_empty(), "it has ended");
    }

    #[test]
    fn the_deepest_claims_of_a_token_fit_into_a_session() {
        let nested = |depth: usize| {
            let text = alloc::format!(r#"{{"sub":"u","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            Claims::from_json(text.into())
        };
        let deepest = (1..100).rev().find_map(nested).unwrap();
        let sessions = sessions();
        let session = session().refreshed(deepest.clone(), tokens(100));
        let cookie = header(&sessions.to_cookies(&session, &Cookies::default(), "a", &[1; 24], at(0)).unwrap());
        let opened = sessions.open(&Cookies::new(&cookie), "a", at(0)).unwrap();
        assert_eq!(opened.claims().as_json(), deepest.as_json());
    }

    #[test]
    fn a_session_fits_if_it_has_cookies() {
        let sessions = sessions();
        for bytes in [0, 3000, 4000, 6000, 8000, 100_000] {
            let tokens = Tokens { access: "a".repeat(bytes), ..tokens(100) };
            let session = session().refreshed(session().claims().clone(), tokens);
            let cookies = sessions.to_cookies(&session, &Cookies::default(), "a", &[1; 24], at(0));
            assert_eq!(sessions.fits(&session), cookies.is_some(), "{bytes}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = alloc::format!("{:?} {:?} {:?}", session(), session().tokens(), sessions());
        for secret in ["auth0|1", "rt", "secret of"] {
            assert!(!shown.contains(&alloc::format!("\"{secret}")), "{shown}");
        }
    }
}
