//! Revocation: sessions and bearer tokens that end before they expire, in all instances.
//!
//! A revocation is a shared record of a user, a session of the provider, a token or a client: what began before it has ended. Instances
//! look the records up, each about once per [`limits::REVOCATION_FRESH_MS`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use super::host::random;
use super::{LoginHost, raise_record, read_record, shared_object};
use crate::host::Level;
use crate::io::{UnixTime, Unreachable, is_within};
use crate::json::Value;
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
    /// A client: `client_id`, else `azp`; without either `cid` (Okta), else `appid` (Microsoft Entra ID, version 1). A claim that names no
    /// client matches no record, and a record only refuses.
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
            Self::Client => {
                let other = |name| claims.get(name).and_then(Value::as_str);
                claims.client_id().or_else(|| other("cid")).or_else(|| other("appid"))
            }
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
    /// Which of the objects of a client this instance reads.
    shard: Option<u8>,
}

/// The latest answer about a record, and the newest request that is under way.
#[derive(Clone, Copy, Default)]
struct Slot {
    answer: Option<Answer>,
    /// When that request asked, in milliseconds.
    asking_ms: Option<i64>,
}

#[derive(Clone, Copy)]
struct Answer {
    /// When the record was asked for, in milliseconds.
    asked_ms: i64,
    /// When it was there, or failed to be: a failure counts from then on, because it may have taken longer than it counts.
    ended_ms: i64,
    record: Result<Option<i64>, Unreachable>,
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
            shard: None,
        }
    }
}

impl Revocations {
    pub(crate) fn new(fails_open: bool, checks_tokens: bool, token_lifetime_s: i64) -> Self {
        Self { fails_open, checks_tokens, token_lifetime_s, cache: Shared::new(Cache::new()) }
    }

    /// Whether bearer tokens are looked up, besides sessions.
    pub(crate) const fn checks_tokens(&self) -> bool {
        self.checks_tokens
    }

    /// Returns whether the session was revoked.
    pub(crate) async fn ends_session(
        &self,
        session: &Session,
        host: &impl LoginHost,
    ) -> Result<bool, RevocationUnavailable> {
        let kinds = &[Revoked::Subject, Revoked::Session];
        self.ends(session.id(), session.claims(), kinds, SESSIONS, session.login_s(), host).await
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
            Some(Value::Number(iat)) => iat.as_f64() as i64,
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
            let shard = if kind == Revoked::Client { self.shard(host) } else { 0 };
            let object = object(kind, issuer, value, shard);
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

    fn shard(&self, host: &impl LoginHost) -> u8 {
        if let Some(shard) = self.cache.with(|cache| cache.shard) {
            return shard;
        }
        let [drawn] = random::<1>(host);
        let shard = drawn % limits::CLIENT_RECORD_OBJECTS;
        self.cache.with(|cache| *cache.shard.insert(shard))
    }

    /// Returns a record and when it was asked for: less than a second ago, or since this call. One request reads it for all, unless it
    /// takes longer than its lease. While the object does not respond, one request at a time tries it, and no other waits.
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
        let started_ms = host.now().millis();
        for _ in 0..limits::MAX_POLLS {
            let now_ms = host.now().millis();
            let turn = self.cache.with(|cache| {
                let slot = cache.records.find(&key).copied().unwrap_or_default();
                // One that is slower than a second still answers the requests that have waited for it.
                let is_under_way = |period_ms| slot.asking_ms.is_some_and(|at_ms| is_within(period_ms, at_ms, now_ms));
                let counts = |answer: &Answer| {
                    (started_ms..=now_ms).contains(&answer.asked_ms)
                        || match answer.record {
                            Ok(_) => is_fresh(answer.asked_ms, now_ms),
                            Err(_) => {
                                is_fresh(answer.ended_ms, now_ms) || is_under_way(limits::REVOCATION_TIMEOUT_MS.into())
                            }
                        }
                };
                if let Some(answer) = slot.answer.filter(counts) {
                    return Turn::Answered(answer);
                }
                if is_under_way(limits::REVOCATION_LEASE_MS) {
                    return Turn::Wait;
                }
                cache.records.insert(&key, Slot { asking_ms: Some(now_ms), ..slot });
                Turn::Ask
            });
            match turn {
                Turn::Answered(Answer { asked_ms, record, .. }) => return Ok((asked_ms, record?)),
                Turn::Wait => host.sleep(limits::FETCH_POLL_MS).await,
                Turn::Ask => {
                    let record = read_record(object, id, limits::REVOCATION_TIMEOUT_MS, host).await;
                    // It may have changed since it was asked for.
                    let answer = Answer { asked_ms: now_ms, ended_ms: host.now().millis(), record };
                    self.cache.with(|cache| {
                        let slot = cache.records.find(&key).copied().unwrap_or_default();
                        let newer = slot.answer.filter(|other| other.asked_ms > now_ms);
                        let asking_ms = slot.asking_ms.filter(|at_ms| *at_ms != now_ms);
                        cache.records.insert(&key, Slot { answer: newer.or(Some(answer)), asking_ms });
                    });
                    return Ok((now_ms, record?));
                }
            }
        }
        Err(Unreachable::GivenUp)
    }

    /// Ends the sessions of a user, session, token or client that begin until `until_s`, and the bearer tokens that are issued until
    /// `tokens_until_s`, if there is one.
    pub(crate) async fn revoke(
        &self,
        kind: Revoked,
        (issuer, value): (&str, &str),
        until_s: i64,
        tokens_until_s: Option<i64>,
        host: &impl LoginHost,
    ) -> Result<(), RevocationUnavailable> {
        if !host.has_shared_records() {
            return Err(RevocationUnavailable);
        }
        let shards = if kind == Revoked::Client { limits::CLIENT_RECORD_OBJECTS } else { 1 };
        let ends_sessions = matches!(kind, Revoked::Subject | Revoked::Session);
        let records = [
            (SESSIONS, SESSION_RECORD_S, ends_sessions.then_some(until_s)),
            (TOKENS, self.token_lifetime_s.saturating_add(limits::MAX_CLOCK_SKEW_S.into()), tokens_until_s),
        ];
        for (id, lifetime_s, until_s) in records {
            let Some(until_s) = until_s else { continue };
            // It expires with what it ends, whose clock may be ahead.
            let record = (until_s, UnixTime::from_secs(host.now().secs().saturating_add(lifetime_s)));
            let writes = (0..shards).map(|shard| {
                let object = object(kind, issuer, value, shard);
                let write: Pin<Box<dyn Future<Output = _> + '_>> =
                    Box::pin(raise_record(object, id, record, limits::REVOCATION_TIMEOUT_MS, host));
                write
            });
            if all(writes.collect()).await.iter().any(Result::is_err) {
                return Err(RevocationUnavailable);
            }
        }
        // Here it takes effect at once.
        self.cache.with(|cache| *cache = Cache::new());
        Ok(())
    }
}

/// What a look-up does next.
enum Turn {
    Answered(Answer),
    Wait,
    Ask,
}

/// How long a revocation of sessions is stored, in seconds: longer than any session that it ends, however the deployments are configured
/// that read it.
const SESSION_RECORD_S: i64 = limits::LOGIN_LIFETIME_S + limits::MAX_SESSION_S as i64 + limits::MAX_CLOCK_SKEW_S as i64;

fn is_fresh(at_ms: i64, now_ms: i64) -> bool {
    is_within(limits::REVOCATION_FRESH_MS, at_ms, now_ms)
}

/// Returns the name of the object with the records of a user, session, token or client, which has several. Each issuer names its own.
fn object(kind: Revoked, issuer: &str, value: &str, shard: u8) -> String {
    let shard = char::from(b'a' + shard);
    shared_object("revoked", &concat(&[kind.name(), "\n", issuer, "\n", value, "\n", shard.encode_utf8(&mut [0; 4])]))
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
