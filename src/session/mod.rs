//! A login kept in a sealed cookie: who it is, since when, and the tokens to act for them. The server keeps nothing.

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
use crate::jwt::Claims;
use crate::limits;

/// A logged-in user.
#[derive(Clone)]
pub struct Session {
    id: String,
    created_s: i64,
    seen_s: i64,
    /// The `nonce` of its login, which refreshed ID tokens may repeat.
    nonce: String,
    claims: Claims,
    rights: Option<Rights>,
    unread: Option<UnverifiedAccessToken>,
    tokens: Tokens,
}

/// An access token that could not be verified yet, for want of keys.
#[derive(Clone)]
struct UnverifiedAccessToken {
    /// The scope that the token endpoint said it has.
    scope: Option<String>,
}

/// The tokens of a session.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// For APIs.
    pub access: String,
    /// When it was issued to the gateway, in seconds since 1970.
    pub access_obtained_s: i64,
    /// When it expires, in seconds since 1970.
    pub access_expires_s: i64,
    /// To get others.
    pub refresh: Option<String>,
    /// Tells the provider at logout whose session ends.
    pub id: Option<String>,
}

/// How sessions are kept.
#[derive(Debug)]
pub struct Sessions {
    /// Seals and opens them.
    pub sealer: Sealer,
    /// Their cookie.
    pub cookie: CookieShape,
    /// A session ends when it was not used for so many seconds …
    pub idle_s: i64,
    /// … and so many seconds after login in any case.
    pub absolute_s: i64,
}

/// What one isolate remembers of sessions.
#[derive(Debug, Default)]
pub struct SessionCache {
    /// Those that were opened.
    pub opened: OpenedSessions,
    /// Those that were logged out of.
    pub ended: LoggedOutSessions,
}

/// Format of the sealed content. A change that older content does not survive changes it.
const FORMAT: u64 = 2;

impl Session {
    /// A new session, without rights: `claims` tell about the user.
    #[must_use]
    pub fn new(id: String, claims: Claims, tokens: Tokens, now: UnixTime) -> Self {
        let nonce = String::new();
        Self { id, created_s: now.secs(), seen_s: now.secs(), nonce, claims, rights: None, unread: None, tokens }
    }

    /// Remembers the nonce of its login.
    #[must_use]
    pub(crate) fn with_nonce(self, nonce: String) -> Self {
        Self { nonce, ..self }
    }

    /// The same with these rights in place of its own.
    #[must_use]
    pub(crate) fn with_rights(self, rights: Option<Rights>) -> Self {
        Self { rights, ..self }
    }

    /// The same with an access token that is still to be verified.
    #[must_use]
    pub(crate) fn with_unverified_access_token(self, scope: Option<String>) -> Self {
        Self { unread: Some(UnverifiedAccessToken { scope }), ..self }
    }

    /// The same with an access token that ends earlier.
    #[must_use]
    pub(crate) fn with_access_expiry_at_most(mut self, until_s: i64) -> Self {
        self.tokens.access_expires_s = self.tokens.access_expires_s.min(until_s);
        self
    }

    /// Its random name, under which it is ended.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where isolates meet to refresh it; does not tell its name.
    #[must_use]
    pub fn coordinator_id(&self) -> String {
        crate::base64url::encode(&crate::crypto::sha256(self.id.as_bytes()))
    }

    /// Who it is. Says nothing of what they may do: see [`claims_at`](Self::claims_at).
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Who it is, and what they may do as of `now`: the rights of an access token end with it.
    #[must_use]
    pub fn claims_at(&self, now: UnixTime) -> &Claims {
        self.rights.as_ref().and_then(|rights| rights.at(now.secs())).unwrap_or(&self.claims)
    }

    /// The rights, whether they still stand or not.
    pub(crate) fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// Whether the access token is still to be verified, so that nobody knows yet what it grants.
    #[must_use]
    pub fn has_unverified_access_token(&self) -> bool {
        self.unread.is_some()
    }

    /// The scope that came with an unread access token.
    pub(crate) fn unverified_scope(&self) -> Option<&str> {
        self.unread.as_ref()?.scope.as_deref()
    }

    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The same session with other tokens and without rights: those of the former access token are over.
    #[must_use]
    pub fn refreshed(self, claims: Claims, tokens: Tokens) -> Self {
        Self { claims, tokens, rights: None, unread: None, ..self }
    }

    /// Whether the access token can be replaced.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.tokens.refresh.is_some()
    }

    /// Whether the access token should be replaced before it is used, and can be.
    #[must_use]
    pub fn needs_refresh(&self, now: UnixTime) -> bool {
        let Tokens { access_obtained_s, access_expires_s, .. } = self.tokens;
        let life_s = access_expires_s.saturating_sub(access_obtained_s).max(0);
        let ahead_s = limits::REFRESH_AHEAD_S.min(life_s - life_s / 2);
        self.can_refresh() && now.secs() >= access_expires_s.saturating_sub(ahead_s)
    }

    /// Whether the access token has expired.
    #[must_use]
    pub fn has_expired_access_token(&self, now: UnixTime) -> bool {
        now.secs() >= self.tokens.access_expires_s
    }

    /// Seconds since login.
    #[must_use]
    pub fn age_s(&self, now: UnixTime) -> i64 {
        now.secs().saturating_sub(self.created_s)
    }

    /// Grows with each login, and with each time that the cookie is written.
    fn recency(&self) -> (i64, i64) {
        (self.created_s, self.seen_s)
    }

    fn to_json(&self) -> String {
        let optional = |value: &Option<String>| value.as_deref().map_or("null".into(), quote);
        format!(
            concat!(
                r#"{{"v":{},"id":{},"iat":{},"seen":{},"nonce":{},"claims":{},"rights":{},"unread":{},"#,
                r#""at":{},"at_iat":{},"at_exp":{},"rt":{},"idt":{}}}"#
            ),
            FORMAT,
            quote(&self.id),
            self.created_s,
            self.seen_s,
            quote(&self.nonce),
            self.claims.as_json(),
            self.rights.as_ref().map_or("null", Rights::as_json),
            self.unread.as_ref().map_or("null".into(), |unread| format!(r#"{{"scope":{}}}"#, optional(&unread.scope))),
            quote(&self.tokens.access),
            self.tokens.access_obtained_s,
            self.tokens.access_expires_s,
            optional(&self.tokens.refresh),
            optional(&self.tokens.id),
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
        let unread = match root.get("unread")? {
            Value::Null => None,
            unread => {
                let scope = unread.as_object()?.get("scope").and_then(Value::as_str).map(String::from);
                Some(UnverifiedAccessToken { scope })
            }
        };
        Some(Self {
            id: text("id")?,
            created_s: seconds("iat")?,
            seen_s: seconds("seen")?,
            nonce: text("nonce")?,
            claims,
            rights,
            unread,
            tokens: Tokens {
                access: text("at")?,
                access_obtained_s: seconds("at_iat")?,
                access_expires_s: seconds("at_exp")?,
                refresh: text("rt"),
                id: text("idt"),
            },
        })
    }
}

impl core::fmt::Debug for Session {
    /// Shows neither claims nor tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("created_s", &self.created_s).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Tokens {
    /// Shows no token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tokens").field("access_expires_s", &self.access_expires_s).finish_non_exhaustive()
    }
}

impl Sessions {
    /// The session of a request, the newest if it has several. Whatever is wrong with its cookies, the answer is that there
    /// is none.
    #[must_use]
    pub fn open(&self, cookies: &Cookies<'_>, host: &str, now: UnixTime) -> Option<Session> {
        let opened = self.cookie.read(cookies).into_iter().filter_map(|sealed| self.unseal(&sealed, host));
        opened.filter(|session| self.is_live(session, now)).max_by_key(Session::recency)
    }

    /// All sessions of a request, the newest of them first, with what this isolate remembers.
    #[must_use]
    pub fn open_cached(
        &self,
        cookies: &Cookies<'_>,
        host: &str,
        now: UnixTime,
        memory: &mut SessionCache,
    ) -> Vec<Arc<Session>> {
        let mut sessions: Vec<Arc<Session>> = Vec::new();
        for sealed in self.cookie.read(cookies) {
            let session = match memory.opened.find(&sealed) {
                Some(session) => Arc::clone(session),
                None => {
                    let Some(session) = self.unseal(&sealed, host).map(Arc::new) else { continue };
                    memory.opened.insert(&sealed, Arc::clone(&session));
                    session
                }
            };
            if self.is_live(&session, now) && !memory.ended.contains(session.id()) {
                sessions.push(session);
            }
        }
        let newest = (0..sessions.len()).max_by_key(|&index| sessions.get(index).map(|session| session.recency()));
        if let Some(newest) = newest {
            sessions.swap(0, newest);
        }
        sessions
    }

    fn unseal(&self, sealed: &str, host: &str) -> Option<Session> {
        Session::from_json(self.sealer.open(Purpose::Session, self.seal_host(host), sealed)?)
    }

    fn is_live(&self, session: &Session, now: UnixTime) -> bool {
        let now_s = now.secs();
        let started = session.created_s <= session.seen_s
            && session.seen_s <= now_s.saturating_add(limits::MAX_CLOCK_SKEW_S.into());
        let idle = now_s >= session.seen_s.saturating_add(self.idle_s);
        let over = now_s >= session.created_s.saturating_add(self.absolute_s);
        started && !idle && !over
    }

    /// When no cookie of the session opens any more, in seconds since 1970, by any clock that is as good as ours.
    #[must_use]
    pub fn expires_s(&self, session: &Session) -> i64 {
        session.created_s.saturating_add(self.absolute_s).saturating_add(limits::MAX_CLOCK_SKEW_S.into())
    }

    /// `Set-Cookie` values that keep the session; `None` if it does not fit into cookies.
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

    /// The session, sealed for another isolate of this gateway.
    #[must_use]
    pub fn to_sealed(&self, session: &Session, host: &str, nonce: &[u8; SEAL_NONCE_BYTES]) -> Option<String> {
        self.sealer.seal(Purpose::Refresh, self.seal_host(host), session.to_json().as_bytes(), nonce)
    }

    /// What another isolate sealed.
    #[must_use]
    pub fn from_sealed(&self, sealed: &str, host: &str) -> Option<Session> {
        Session::from_json(self.sealer.open(Purpose::Refresh, self.seal_host(host), sealed)?)
    }

    /// `Set-Cookie` values that end it.
    #[must_use]
    pub fn clear(&self, cookies: &Cookies<'_>) -> Vec<String> {
        self.cookie.clear(cookies)
    }

    /// Whether the cookie should be written anew to show that the session is in use.
    #[must_use]
    pub fn should_rewrite_cookie(&self, session: &Session, now: UnixTime) -> bool {
        now.secs() >= session.seen_s.saturating_add(self.idle_s / 10)
    }

    /// A session shared between subdomains is bound to their domain, any other to its host.
    fn seal_host<'h>(&'h self, host: &'h str) -> &'h str {
        self.cookie.domain.as_deref().unwrap_or(host)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{CookieShape, Cookies, LoginBinding, Rights, Sealer, Session, SessionCache, Sessions, Tokens};
    use crate::io::UnixTime;
    use crate::jwt::Claims;

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

    /// Tokens with an access token for so many seconds.
    fn tokens(life_s: i64) -> Tokens {
        let refresh = Some("rt".into());
        Tokens { access: "at".into(), access_obtained_s: START, access_expires_s: START + life_s, refresh, id: None }
    }

    fn header(cookies: &[String]) -> String {
        let pairs: Vec<&str> = cookies.iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        pairs.join("; ")
    }

    fn at(offset: i64) -> UnixTime {
        UnixTime::from_secs(START + offset)
    }

    #[test]
    fn a_session_comes_back_until_it_is_idle_too_long_or_too_old() {
        let sessions = sessions();
        let kept = sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap();
        let kept = header(&kept);
        let opened = sessions.open(&Cookies::new(&kept), "a", at(99)).unwrap();
        assert_eq!(opened.claims().subject(), Some("auth0|1"));
        assert_eq!(opened.tokens().refresh.as_deref(), Some("rt"));
        assert!(sessions.open(&Cookies::new(&kept), "a", at(100)).is_none());
        assert!(sessions.open(&Cookies::new(&kept), "b", at(0)).is_none(), "another host");
        assert!(sessions.open(&Cookies::new(&kept), "a", at(-61)).is_none(), "from the future");

        let used = sessions.to_cookies(&opened, &Cookies::default(), "a", &[2; 24], at(200)).unwrap();
        let used = header(&used);
        assert!(sessions.open(&Cookies::new(&used), "a", at(249)).is_some());
        assert!(sessions.open(&Cookies::new(&used), "a", at(250)).is_none(), "absolute expiry is not extended");
    }

    #[test]
    fn what_is_remembered_changes_no_verdict() {
        let sessions = sessions();
        let mut memory = SessionCache::default();
        let kept = sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap();
        let kept = header(&kept);
        let mut open = |text: &str, offset| {
            let opened = sessions.open_cached(&Cookies::new(text), "a", at(offset), &mut memory).len() == 1;
            assert_eq!(opened, sessions.open(&Cookies::new(text), "a", at(offset)).is_some(), "{offset}");
            opened
        };
        assert!(open(&kept, 0) && open(&kept, 99));
        assert!(!open(&kept, 100) && !open(&kept, -61));
        assert!(!open(&kept[..kept.len() - 1], 0) && !open(&alloc::format!("{kept}A"), 0));
        memory.ended.end("id");
        assert!(sessions.open_cached(&Cookies::new(&kept), "a", at(0), &mut memory).is_empty());
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
    fn rights_end_and_the_login_goes_on() {
        let sessions = sessions();
        let kept = header(&sessions.to_cookies(&session(), &Cookies::default(), "a", &[1; 24], at(0)).unwrap());
        let opened = sessions.open(&Cookies::new(&kept), "a", at(39)).unwrap();
        assert!(opened.claims_at(at(39)).scopes().eq(["read:items"]));
        for claims in [opened.claims_at(at(40)), opened.claims()] {
            assert_eq!((claims.subject(), claims.scopes().count()), (Some("auth0|1"), 0));
        }
        assert!(opened.claims_at(at(39)).get("exp").is_none(), "claims about the protocol are not shown");
        let refreshed = session().refreshed(session().claims().clone(), tokens(100));
        assert_eq!(refreshed.claims_at(at(0)).scopes().count(), 0, "nothing is granted by a token nobody read");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = alloc::format!("{:?} {:?} {:?}", session(), session().tokens(), sessions());
        for secret in ["auth0|1", "rt", "secret of"] {
            assert!(!shown.contains(&alloc::format!("\"{secret}")), "{shown}");
        }
    }
}
