//! The key cache: one issuer's keys, kept current without a clock or a connection of its own.
//!
//! A lookup returns at once: a key, a permit to fetch, or the reason why there is neither. A set without the key may be outdated: it is
//! fetched again. Permits are counted, so a flood of unknown key ids causes one fetch per cooldown, failed ones included, and two
//! requests that need the same keys fetch them once. No promise is shared: a request that does not fetch polls.
//!
//! | age of the set | result for a key in it |
//! |---|---|
//! | up to 4/5 of its freshness lifetime | the key |
//! | up to its freshness lifetime | the key, and a permit to refresh in the background |
//! | older | a permit; if that fetch fails, the key, for up to a day |
//!
//! A signature that does not match its key causes a fetch, too, if the set is older than the cooldown: the key may have been replaced
//! under its id.
//!
//! What a newer set may change is not refused while a fetch has no outcome: such requests wait for it, and are told to try again if it
//! does not come.
//!
//! A key that the newest document no longer lists is dropped with the old set.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::fetch::{Fetched, KeysError, KeysFailure, Permit, Reason, Validity};
use super::{JwkSet, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::discovery::MetadataCache;
use crate::error::VerifyError;
use crate::io::{UnixTime, is_within};
use crate::limits;
use crate::shared::Shared;
use crate::single_flight::{SingleFlight, later};
use crate::url::HttpUrl;

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS at this URL.
    Uri(String),
    /// The JWKS whose URL the issuer's discovery document names (OpenID Connect Discovery §3).
    Discovery,
}

impl KeySource {
    /// Returns whether this source of `issuer`'s keys is secure: https, or http on loopback.
    #[must_use]
    pub fn is_secure(&self, issuer: &str) -> bool {
        self.is_allowed(issuer, &[])
    }

    /// Returns whether this source of `issuer`'s keys is secure, or on one of these hosts, each a host for any port, or a host and its
    /// port.
    #[must_use]
    pub fn is_allowed(&self, issuer: &str, http_hosts: &[String]) -> bool {
        let url = match self {
            Self::Uri(uri) => uri,
            Self::Discovery => issuer,
        };
        HttpUrl::parse(url).is_some_and(|url| url.is_secure() || url.is_on(http_hosts))
    }
}

/// The keys of one issuer, fetched when needed and kept current. Each issuer has a cache of its own.
///
/// ```
/// use edgeward::jwk::{JwkSet, KeyCache, KeySource};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let published = edgeward::testing::Issuer::new("https://issuer.example.com/").jwks();
///
/// // Fetched from the `jwks_uri` of the issuer's discovery document:
/// let discovered = KeyCache::new("https://issuer.example.com/", KeySource::Discovery);
/// assert!(discovered.status().is_none(), "nothing is fetched before a token needs it");
///
/// // Fixed, never fetched:
/// let fixed = KeyCache::fixed("https://issuer.example.com/", JwkSet::parse(published.as_bytes())?);
/// assert_eq!(fixed.status().map(|status| status.kids.len()), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KeyCache {
    pub(super) issuer: String,
    /// `None` for a fixed set.
    pub(super) source: Option<Source>,
    pub(super) max_modulus_bits: usize,
    state: Shared<State>,
}

/// A [`KeySource`] with its state.
#[derive(Debug)]
pub(super) enum Source {
    Uri(String),
    Discovery(Arc<MetadataCache>),
}

/// The mutable part of a [`KeyCache`].
#[derive(Debug)]
struct State {
    held: Option<HeldKeys>,
    flight: SingleFlight,
    /// The fetches without an outcome.
    open: Vec<OpenFetch>,
    last_failure: Option<KeysFailure>,
    /// When a fetch began because the set did not have a token's key.
    missing_key_at: Option<UnixTime>,
    bad_signature_at: Option<UnixTime>,
}

#[derive(Debug)]
struct HeldKeys {
    set: JwkSet,
    validity: Validity,
    /// The number of the fetch it came from.
    sequence: u64,
    /// Whether the set came from the provider, not from the edge cache.
    from_provider: bool,
}

/// The result of [`KeyCache::find`].
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The key. A permit, if any, is to be used to refresh the set in the background.
    Key(Arc<VerifyingKey>, Option<Permit>),
    /// Fetch with this permit, then look up again.
    Fetch(Permit),
    /// Another request is fetching. Look up again after [`limits::FETCH_POLL_MS`].
    Wait,
    /// The set is current and has no such key.
    Refused(VerifyError),
    /// There are no keys to verify with.
    Unavailable(KeysUnavailable),
}

/// A [`Lookup`] made while the state is locked: with a started fetch in place of a permit.
enum Found {
    Key(Arc<VerifyingKey>, Option<StartedFetch>),
    Fetch(StartedFetch),
    Wait,
    Refused(VerifyError),
    Unavailable(KeysUnavailable),
}

/// A fetch that was started.
struct StartedFetch {
    sequence: u64,
    reason: Reason,
    held_since: Option<UnixTime>,
}

/// A fetch that has no outcome yet, or never has one.
#[derive(Debug)]
struct OpenFetch {
    sequence: u64,
    began_ms: i64,
    /// Whether it was broken off after the provider was contacted: what the provider would have answered is unknown.
    is_lost: bool,
}

/// The error when an issuer's keys are unavailable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysUnavailable {
    /// The error.
    pub error: KeysError,
    /// What is wrong with the key set, or with each of its keys.
    pub reason: Option<Arc<str>>,
    /// Seconds until it makes sense to retry.
    pub retry_after_s: u32,
}

impl core::fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.error.message())
    }
}

impl core::error::Error for KeysUnavailable {}

/// The content of a key cache, for diagnostics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The `kid` of each key.
    pub kids: Vec<Option<String>>,
    /// The number of keys in the document that cannot be used.
    pub skipped: usize,
    /// The time the set was fetched.
    pub fetched_at: UnixTime,
    /// The time until which the set is fresh.
    pub fresh_until: UnixTime,
}

/// A key in an issuer's document, for diagnostics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its `kid`.
    pub kid: Option<String>,
    /// The only algorithm that it is published for, if any.
    pub algorithm: Option<Algorithm>,
    /// Why it is not used; `None` for a usable key.
    pub unusable: Option<Cow<'static, str>>,
}

impl KeyCache {
    /// Creates a cache that fetches the keys of `issuer` when they are needed.
    #[must_use]
    pub fn new(issuer: impl Into<String>, source: KeySource) -> Self {
        let issuer = issuer.into();
        let source = match source {
            KeySource::Uri(uri) => Source::Uri(uri),
            KeySource::Discovery => Source::Discovery(Arc::new(MetadataCache::new(issuer.clone()))),
        };
        Self::with(issuer, Some(source), None)
    }

    /// Creates a cache of fixed keys, which are never fetched: to rotate them, create another cache.
    #[must_use]
    pub fn fixed(issuer: impl Into<String>, set: JwkSet) -> Self {
        let always = Validity { fetched_at: UnixTime::from_millis(0), fresh_until: UnixTime::from_millis(i64::MAX) };
        let held = HeldKeys { set, validity: always, sequence: 0, from_provider: true };
        Self::with(issuer.into(), None, Some(held))
    }

    fn with(issuer: String, source: Option<Source>, held: Option<HeldKeys>) -> Self {
        let flight = SingleFlight::new(limits::FETCH_LEASE_MS);
        let state =
            State { held, flight, open: Vec::new(), last_failure: None, missing_key_at: None, bad_signature_at: None };
        Self { issuer, source, max_modulus_bits: limits::MAX_MODULUS_BITS, state: Shared::new(state) }
    }

    /// Skips keys with a modulus of more than `bits`.
    #[must_use]
    pub fn max_modulus_bits(mut self, bits: usize) -> Self {
        self.max_modulus_bits = bits;
        self
    }

    /// Lets the discovery document name http URLs on these hosts, each a host for any port, or a host and its port.
    #[must_use]
    pub fn allow_http(mut self, hosts: &[String]) -> Self {
        if let Some(Source::Discovery(metadata)) = &mut self.source {
            *metadata = Arc::new(MetadataCache::new(self.issuer.clone()).allow_http(hosts));
        }
        self
    }

    /// Returns the issuer whose keys these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the current content; `None` before the first fetch.
    #[must_use]
    pub fn status(&self) -> Option<KeyStatus> {
        self.state.with(|state| {
            state.held.as_ref().map(|held| KeyStatus {
                kids: held.set.keys().map(|key| key.kid().map(Into::into)).collect(),
                skipped: held.set.skipped().len(),
                fetched_at: held.validity.fetched_at,
                fresh_until: held.validity.fresh_until,
            })
        })
    }

    /// Returns the keys of the document, and which of them can verify a token of one of these algorithms; empty before the first fetch.
    #[must_use]
    pub fn published(&self, algorithms: &[Algorithm]) -> Vec<PublishedKey> {
        self.state.with(|state| {
            let Some(held) = &state.held else { return Vec::new() };
            let of = |key: &VerifyingKey| PublishedKey {
                kid: key.kid().map(Into::into),
                algorithm: key.algorithm(),
                unusable: if key.is_refused() {
                    Some("the platform refuses the key: it is not on its curve".into())
                } else if algorithms.iter().any(|algorithm| key.fits(*algorithm)) {
                    None
                } else {
                    Some("no accepted algorithm fits the key".into())
                },
            };
            let skipped = held.set.skipped_kids().iter().zip(held.set.skipped());
            let skipped = skipped.map(|(kid, reason)| PublishedKey {
                kid: kid.clone(),
                algorithm: None,
                unusable: Some(reason.message()),
            });
            held.set.keys().map(of).chain(skipped).collect()
        })
    }

    /// Returns why the last fetch failed; `None` if it did not.
    #[must_use]
    pub fn last_failure(&self) -> Option<KeysFailure> {
        self.state.with(|state| state.last_failure.clone())
    }

    /// Returns the issuer's metadata cache, if the keys are discovered.
    #[cfg(any(feature = "gateway", test))]
    pub(crate) fn metadata(&self) -> Option<&Arc<MetadataCache>> {
        match &self.source {
            Some(Source::Discovery(metadata)) => Some(metadata),
            _ => None,
        }
    }

    /// Looks up the key for a token. `fetches` is the number of fetches that this request has already caused.
    pub(crate) fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
        fetches: u8,
    ) -> Lookup {
        let can_fetch = self.source.is_some();
        match self.state.with(|state| state.find(can_fetch, kid, algorithm, now, fetches)) {
            Found::Key(key, refresh) => Lookup::Key(key, refresh.map(|started| self.permit(started))),
            Found::Fetch(started) => Lookup::Fetch(self.permit(started)),
            Found::Wait => Lookup::Wait,
            Found::Refused(error) => Lookup::Refused(error),
            Found::Unavailable(error) => Lookup::Unavailable(error),
        }
    }

    /// Looks up what to do about a signature that does not match its key in the set: fetch it again, wait for another request's fetch, tell
    /// the client to try again, or (`None`) refuse the token.
    pub(crate) fn find_replaced(self: &Arc<Self>, now: UnixTime, fetches: u8) -> Option<Lookup> {
        self.source.as_ref()?;
        match self.state.with(|state| state.find_replaced(now, fetches))? {
            Found::Fetch(started) => Some(Lookup::Fetch(self.permit(started))),
            Found::Unavailable(error) => Some(Lookup::Unavailable(error)),
            _ => Some(Lookup::Wait),
        }
    }

    /// Returns the key for a token with the period around `now` in which [`find`](Self::find) returns that key and no permit, unless
    /// new keys are stored meanwhile. `None` if there is no such period.
    pub(crate) fn stable_period(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Option<(Arc<VerifyingKey>, Range<UnixTime>)> {
        self.state.with(|state| {
            let held = state.held.as_ref()?;
            let period = held.validity.fetched_at..held.ageing_from();
            let key = held.set.select(kid, algorithm).ok()?;
            period.contains(&now).then(|| (Arc::clone(key), period))
        })
    }

    /// Returns a permit to load the set before a token needs it, unless the set is fresh or fetching is paused.
    pub(crate) fn preload_permit(self: &Arc<Self>, now: UnixTime) -> Option<Permit> {
        self.source.as_ref()?;
        let started = self.state.with(|state| {
            let is_fresh = state.held.as_ref().is_some_and(|held| held.is_fresh(now));
            (!is_fresh && state.flight.may_begin(now)).then(|| state.begin(Reason::Load, now))
        });
        started.map(|started| self.permit(started))
    }

    /// Returns why the last fetch failed; `None` if it did not, or if another is under way.
    pub(crate) fn failure(&self, now: UnixTime) -> Option<KeysFailure> {
        self.state.with(|state| if state.flight.is_leased(now) { None } else { state.last_failure.clone() })
    }

    /// Returns whether there is a usable set.
    pub(crate) fn is_loaded(&self, now: UnixTime) -> bool {
        self.source.is_none() || self.state.with(|state| state.held.as_ref().is_some_and(|held| held.is_usable(now)))
    }

    fn permit(self: &Arc<Self>, started: StartedFetch) -> Permit {
        let StartedFetch { sequence, reason, held_since } = started;
        Permit { cache: Arc::clone(self), sequence, reason, held_since, contacted_provider: Arc::default() }
    }

    /// Stores the outcome of a fetch. Returns why keys are skipped, if others are than before.
    pub(super) fn store(&self, sequence: u64, fetched: Fetched, now: UnixTime) -> Result<Option<String>, KeysError> {
        self.state.with(|state| state.store(sequence, fetched, now))
    }

    /// Ends the fetch of a dropped permit. If the provider was not contacted, the fetch does not count.
    pub(super) fn release(&self, sequence: u64, reason: &Reason, contacted_provider: bool) {
        self.state.with(|state| {
            state.open.retain(|fetch| fetch.sequence != sequence || contacted_provider);
            if let Some(fetch) = state.open.iter_mut().find(|fetch| fetch.sequence == sequence) {
                fetch.is_lost = true;
            }
            // The provider was not asked, so no cooldown applies.
            if state.flight.release(sequence) && !contacted_provider {
                match reason {
                    Reason::Load => {}
                    Reason::MissingKey(..) => state.missing_key_at = None,
                    Reason::BadSignature => state.bad_signature_at = None,
                }
            }
        });
    }
}

impl State {
    fn find(&mut self, can_fetch: bool, kid: Option<&str>, algorithm: Algorithm, now: UnixTime, fetches: u8) -> Found {
        let fetches = if can_fetch { fetches } else { limits::MAX_FETCHES_PER_REQUEST };
        let Some(held) = self.held.as_ref().filter(|held| held.is_usable(now)) else {
            return self.without_keys(now, fetches);
        };
        let is_fresh = held.is_fresh(now);
        match held.set.select(kid, algorithm).map(Arc::clone) {
            Ok(key) if is_fresh => {
                let is_due = can_fetch && held.is_ageing(now) && self.flight.may_begin(now);
                Found::Key(key, is_due.then(|| self.begin(Reason::Load, now)))
            }
            Ok(key) => match self.refresh(now, fetches) {
                // Soon after a failure no request waits for another attempt: a slow provider would make it slow.
                Some(started) if self.flight.has_failed_lately(now) => Found::Key(key, Some(started)),
                Some(started) => Found::Fetch(started),
                // Fetching failed or is under way: the last good set is used.
                None => Found::Key(key, None),
            },
            Err(refusal) => self.missing_key(refusal, (kid, algorithm), now, fetches, is_fresh),
        }
    }

    fn store(&mut self, sequence: u64, fetched: Fetched, now: UnixTime) -> Result<Option<String>, KeysError> {
        self.flight.release(sequence);
        // What the provider has just answered is newer than the answers to earlier requests.
        self.open.retain(|fetch| fetch.sequence != sequence && (fetch.sequence > sequence || !fetched.from_provider));
        match fetched.failure {
            None => {
                self.flight.succeeded();
                self.last_failure = None;
            }
            Some(provider) => {
                self.flight.failed(provider.retry_after_s, now);
                self.last_failure = Some(provider.failure);
            }
        }
        let (mut set, validity) = fetched.outcome?;
        // An older response never replaces a newer one. Of two from the provider, the one requested later is newer; against an edge
        // entry the fetch times are compared, unless the clock went back to well before the current set was fetched.
        let from_provider = fetched.from_provider;
        let outdated = self.held.as_ref().is_some_and(|held| {
            if held.from_provider && from_provider {
                held.sequence > sequence
            } else {
                validity.fetched_at < held.validity.fetched_at && held.was_fetched_by(now)
            }
        });
        if outdated {
            return Ok(None);
        }
        let is_told = set.skipped().is_empty() || self.held.as_ref().is_some_and(|held| set.skips_the_same(&held.set));
        let reasons = if is_told { None } else { Some(set.reasons()) };
        if let Some(held) = &self.held {
            set.reuse_keys(&held.set);
        }
        // A cooldown counts from an answer of the provider; an edge entry may be older than one.
        if !from_provider && has_cooled_down(Some(validity.fetched_at), now) {
            self.missing_key_at = None;
            self.bad_signature_at = None;
        }
        self.held = Some(HeldKeys { set, validity, sequence, from_provider });
        Ok(reasons)
    }

    fn without_keys(&mut self, now: UnixTime, fetches: u8) -> Found {
        if self.flight.is_leased(now) {
            return Found::Wait;
        }
        match self.refresh(now, fetches) {
            Some(started) => Found::Fetch(started),
            None => self.unavailable_until(self.flight.retry_at(), now),
        }
    }

    /// Decides about a token for which the set has no key of its `kid`, one for another algorithm, or several.
    fn missing_key(
        &mut self,
        refusal: VerifyError,
        (kid, algorithm): (Option<&str>, Algorithm),
        now: UnixTime,
        fetches: u8,
        is_fresh: bool,
    ) -> Found {
        // A set that was fetched for this very request cannot be outdated.
        if fetches == 0 {
            let cooled_down = has_cooled_down(self.missing_key_at, now);
            if self.flight.may_begin(now) && (cooled_down || !is_fresh) {
                self.missing_key_at = Some(now);
                return Found::Fetch(self.begin(Reason::MissingKey(kid.map(Into::into), algorithm), now));
            }
        }
        // Without the provider's answer, a new key cannot be told from an invented one.
        if self.may_learn_more(now) {
            return Found::Wait;
        }
        if self.flight.is_failing() {
            let cooled_down = self.missing_key_at.map_or(now, |at| later(at, limits::UNKNOWN_KID_COOLDOWN_S));
            return self.unavailable_until(self.flight.retry_at().max(cooled_down), now);
        }
        if self.has_lost_outcome(now) {
            return self.unavailable_until(now, now);
        }
        Found::Refused(refusal)
    }

    fn find_replaced(&mut self, now: UnixTime, fetches: u8) -> Option<Found> {
        let fetched_at = self.held.as_ref()?.validity.fetched_at;
        // A set that was fetched for this very request, or lately, cannot be outdated.
        let may_be_outdated = fetches == 0 && has_cooled_down(Some(fetched_at), now);
        if may_be_outdated && self.flight.may_begin(now) && has_cooled_down(self.bad_signature_at, now) {
            self.bad_signature_at = Some(now);
            return Some(Found::Fetch(self.begin(Reason::BadSignature, now)));
        }
        if self.may_learn_more(now) {
            return Some(Found::Wait);
        }
        (may_be_outdated && self.has_lost_outcome(now)).then(|| self.unavailable_until(now, now))
    }

    /// Returns whether a fetch is under way whose outcome is waited for before a token is refused, even if another one may begin.
    fn may_learn_more(&self, now: UnixTime) -> bool {
        let is_awaited =
            |fetch: &OpenFetch| !fetch.is_lost && is_within(limits::FETCH_WAIT_MS, fetch.began_ms, now.millis());
        self.open.iter().any(is_awaited)
    }

    /// Returns whether a fetch of late has no outcome.
    fn has_lost_outcome(&self, now: UnixTime) -> bool {
        self.open.iter().any(|fetch| fetch.is_recent(now))
    }

    fn refresh(&mut self, now: UnixTime, fetches: u8) -> Option<StartedFetch> {
        let may_fetch = fetches < limits::MAX_FETCHES_PER_REQUEST && self.flight.may_begin(now);
        may_fetch.then(|| self.begin(Reason::Load, now))
    }

    fn begin(&mut self, reason: Reason, now: UnixTime) -> StartedFetch {
        let held_since = self.held.as_ref().map(|held| held.validity.fetched_at);
        let sequence = self.flight.begin(now);
        self.open.retain(|fetch| fetch.is_recent(now));
        self.open.push(OpenFetch { sequence, began_ms: now.millis(), is_lost: false });
        StartedFetch { sequence, reason, held_since }
    }

    fn unavailable_until(&self, time: UnixTime, now: UnixTime) -> Found {
        let wait = time.secs().saturating_sub(now.secs()).clamp(1, limits::RETRY_AFTER_MAX_S);
        let failure = self.last_failure.clone().unwrap_or_else(|| KeysError::JwksUnreachable.into());
        let KeysFailure { error, reason } = failure;
        Found::Unavailable(KeysUnavailable { error, reason, retry_after_s: u32::try_from(wait).unwrap_or(1) })
    }
}

impl OpenFetch {
    /// Returns whether it began within the cooldown: after that, another one may begin for the same reason.
    fn is_recent(&self, now: UnixTime) -> bool {
        is_within(limits::UNKNOWN_KID_COOLDOWN_S * 1000, self.began_ms, now.millis())
    }
}

/// Returns whether the cooldown since an instant is over, or the clock went back.
fn has_cooled_down(since: Option<UnixTime>, now: UnixTime) -> bool {
    since.is_none_or(|at| now < at || now >= later(at, limits::UNKNOWN_KID_COOLDOWN_S))
}

impl HeldKeys {
    /// Returns whether the set may be used at all. If the clock went back by more than clocks differ it may not, lest it never expire.
    fn is_usable(&self, now: UnixTime) -> bool {
        self.is_fresh(now)
            || self.was_fetched_by(now) && now < later(self.validity.fetched_at, limits::JWKS_STALE_ON_ERROR_S)
    }

    /// Returns whether the set was fetched before now, as far as clocks agree.
    fn was_fetched_by(&self, now: UnixTime) -> bool {
        self.validity.fetched_at <= later(now, limits::MAX_CLOCK_SKEW_S.into())
    }

    fn is_fresh(&self, now: UnixTime) -> bool {
        self.validity.fetched_at <= now && now < self.validity.fresh_until
    }

    /// Returns whether the set is in the last fifth of its freshness lifetime.
    fn is_ageing(&self, now: UnixTime) -> bool {
        now >= self.ageing_from()
    }

    /// Returns the start of the last fifth of the freshness lifetime; a fixed set never gets there.
    fn ageing_from(&self) -> UnixTime {
        let Validity { fetched_at, fresh_until } = self.validity;
        if fresh_until == UnixTime::from_millis(i64::MAX) {
            return fresh_until;
        }
        let lifetime = fresh_until.millis().saturating_sub(fetched_at.millis());
        UnixTime::from_millis(fresh_until.millis().saturating_sub(lifetime / 5))
    }
}
