//! Revocation: sessions and bearer tokens that end before they expire, in all instances.
//!
//! A revocation is a shared record of a user, a session of the provider, a token or a client: what began before it has ended. Instances
//! look the records up, each at most once per second.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use super::{LoginHost, raise_record, read_record, shared_object};
use crate::host::Level;
use crate::io::{UnixTime, Unreachable};
use crate::jwt::Claims;
use crate::limits;
use crate::session::Session;
use crate::shared::Shared;
use crate::text::concat;
use crate::text_cache::TextCache;

/// The revocations that a gateway looks up.
#[derive(Debug)]
pub(crate) struct Revocations {
    /// Whether sessions and tokens pass while the records cannot be read.
    fails_open: bool,
    /// Whether bearer tokens are looked up, besides sessions.
    checks_tokens: bool,
    /// The longest lifetime of a bearer token, in seconds.
    token_lifetime_s: i64,
    /// The longest lifetime of a session, in seconds.
    session_lifetime_s: i64,
    /// The records known to this instance.
    cache: Shared<Cache>,
}

/// What a revocation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// A user: `sub`.
    Subject,
    /// A session of the provider: `sid`.
    Session,
    /// A token: `jti`.
    Token,
    /// A client: `client_id`, else `azp`.
    Client,
}

impl Revoked {
    pub(crate) const ALL: [Self; 4] = [Self::Subject, Self::Session, Self::Token, Self::Client];

    /// Returns its name in a request to the `revoke` route.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Subject => "sub",
            Self::Session => "sid",
            Self::Token => "jti",
            Self::Client => "client_id",
        }
    }

    fn of(self, claims: &Claims) -> Option<&str> {
        match self {
            Self::Client => claims.client_id(),
            _ => claims.get(self.name())?.as_str(),
        }
    }
}

/// The records cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevocationUnavailable;

/// The records of an object: of sessions, which back-channel logouts end, and of bearer tokens, which they do not.
const SESSIONS: &str = "sessions";
const TOKENS: &str = "tokens";

struct Cache {
    /// When credentials were looked up that had not been revoked, in milliseconds.
    passed: TextCache<i64>,
    records: TextCache<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// When the record was asked for, in milliseconds.
    asked_ms: i64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// A request is reading it.
    Busy,
    Read(Option<i64>),
    Failed,
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    fn new() -> Self {
        Self {
            passed: TextCache::new(limits::TOKEN_CACHE_ENTRIES, limits::TOKEN_CACHE_MAX_TOKEN_BYTES),
            records: TextCache::new(limits::REVOCATION_CACHE_ENTRIES, usize::MAX),
        }
    }
}

impl Revocations {
    pub(crate) fn new(fails_open: bool, checks_tokens: bool, token_lifetime_s: i64, session_lifetime_s: i64) -> Self {
        let cache = Shared::new(Cache::new());
        Self { fails_open, checks_tokens, token_lifetime_s, session_lifetime_s, cache }
    }

    /// Returns whether the session was revoked.
    pub(crate) async fn ends_session(
        &self,
        session: &Session,
        host: &impl LoginHost,
    ) -> Result<bool, RevocationUnavailable> {
        let kinds = &[Revoked::Subject, Revoked::Session];
        self.ends(session.id(), session.claims(), kinds, SESSIONS, session.created_s(), host).await
    }

    /// Returns whether the bearer token `text` was revoked, whose claims are verified. Without `iat`, it counts as an old one.
    pub(crate) async fn ends_token(
        &self,
        text: &str,
        claims: &Claims,
        host: &impl LoginHost,
    ) -> Result<bool, RevocationUnavailable> {
        if !self.checks_tokens {
            return Ok(false);
        }
        let issued_s = match claims.get("iat") {
            Some(crate::json::Value::Number(iat)) => iat.as_f64() as i64,
            _ => i64::MIN,
        };
        self.ends(text, claims, &Revoked::ALL, TOKENS, issued_s, host).await
    }

    /// Returns whether a record is newer than a session or token, which `text` identifies and whose end an attacker cannot choose.
    async fn ends(
        &self,
        text: &str,
        claims: &Claims,
        kinds: &[Revoked],
        id: &'static str,
        began_s: i64,
        host: &impl LoginHost,
    ) -> Result<bool, RevocationUnavailable> {
        let now_ms = host.now().millis();
        if self.cache.with(|cache| cache.passed.find(text).is_some_and(|at_ms| is_fresh(*at_ms, now_ms))) {
            return Ok(false);
        }
        let issuer = claims.issuer().unwrap_or_default();
        let named = kinds.iter().filter_map(|kind| Some((*kind, kind.of(claims)?)));
        let lookups = named.map(|(kind, value)| {
            let object = object(kind, issuer, value);
            let lookup: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(self.look_up(object, id, host));
            lookup
        });
        let (mut failed, mut asked_ms) = (false, now_ms);
        for found in all(lookups.collect()).await {
            match found {
                Ok((_, Some(until_s))) if began_s <= until_s => return Ok(true),
                Ok((at_ms, _)) => asked_ms = asked_ms.min(at_ms),
                Err(_) => failed = true,
            }
        }
        if !failed {
            self.cache.with(|cache| cache.passed.insert(text, asked_ms));
            return Ok(false);
        }
        host.log(
            Level::Error,
            &if host.has_shared_records() {
                "revocation_unavailable: the Durable Object EDGEWARD_SESSIONS did not respond"
            } else {
                "revocation_unavailable: no Durable Object is bound as EDGEWARD_SESSIONS"
            },
        );
        if self.fails_open { Ok(false) } else { Err(RevocationUnavailable) }
    }

    /// Returns a record and when it was asked for, less than a second ago. One request reads it for all.
    async fn look_up(
        &self,
        object: String,
        id: &'static str,
        host: &impl LoginHost,
    ) -> Result<(i64, Option<i64>), Unreachable> {
        if !host.has_shared_records() {
            return Err(Unreachable::Network);
        }
        let key = concat(&[id, &object]);
        for _ in 0..limits::MAX_POLLS {
            let now_ms = host.now().millis();
            let slot = self.cache.with(|cache| {
                if let Some(slot) = cache.records.find(&key).filter(|slot| slot.is_usable(now_ms)) {
                    return Some(*slot);
                }
                cache.records.insert(&key, Slot { asked_ms: now_ms, state: State::Busy });
                None
            });
            match slot {
                Some(Slot { state: State::Busy, .. }) => host.sleep(limits::FETCH_POLL_MS).await,
                Some(Slot { state: State::Read(record), asked_ms }) => return Ok((asked_ms, record)),
                Some(Slot { state: State::Failed, .. }) => return Err(Unreachable::GivenUp),
                None => {
                    let read = read_record(object, id, limits::REVOCATION_TIMEOUT_MS, host).await;
                    let state = read.map_or(State::Failed, State::Read);
                    // It may have changed since it was asked for.
                    self.cache.with(|cache| cache.records.insert(&key, Slot { asked_ms: now_ms, state }));
                    return Ok((now_ms, read?));
                }
            }
        }
        Err(Unreachable::GivenUp)
    }

    /// Ends the sessions, and with `with_tokens` the bearer tokens, of a user, session, token or client that begin until `until_s`.
    pub(crate) async fn revoke(
        &self,
        kind: Revoked,
        (issuer, value): (&str, &str),
        until_s: i64,
        with_tokens: bool,
        host: &impl LoginHost,
    ) -> Result<(), RevocationUnavailable> {
        if !host.has_shared_records() {
            return Err(RevocationUnavailable);
        }
        let object = object(kind, issuer, value);
        let records = [
            (SESSIONS, self.session_lifetime_s, matches!(kind, Revoked::Subject | Revoked::Session)),
            (TOKENS, self.token_lifetime_s, with_tokens),
        ];
        for (id, lifetime_s, _) in records.into_iter().filter(|(.., is_affected)| *is_affected) {
            // It expires with what it ends, whose clock may be ahead.
            let expiry_s = host.now().secs().saturating_add(lifetime_s).saturating_add(limits::MAX_CLOCK_SKEW_S.into());
            let record = (until_s, UnixTime::from_secs(expiry_s));
            let written = raise_record(object.clone(), id, record, limits::REVOCATION_TIMEOUT_MS, host).await;
            written.map_err(|_| RevocationUnavailable)?;
        }
        // Here it takes effect at once.
        self.cache.with(|cache| *cache = Cache::new());
        Ok(())
    }
}

impl Slot {
    /// Whether its content counts, or is about to be read.
    fn is_usable(&self, now_ms: i64) -> bool {
        match self.state {
            State::Busy => (0..limits::REVOCATION_TIMEOUT_MS.into()).contains(&now_ms.saturating_sub(self.asked_ms)),
            State::Read(_) | State::Failed => is_fresh(self.asked_ms, now_ms),
        }
    }
}

fn is_fresh(at_ms: i64, now_ms: i64) -> bool {
    (0..limits::REVOCATION_FRESH_MS).contains(&now_ms.saturating_sub(at_ms))
}

/// Returns the name of the object with the records of a user, session, token or client. Each issuer names its own.
fn object(kind: Revoked, issuer: &str, value: &str) -> String {
    shared_object("revoked", &concat(&[kind.name(), "\n", issuer, "\n", value]))
}

/// Waits for several futures at once.
async fn all<T: Copy>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
