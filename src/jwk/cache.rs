//! The key cache: one issuer's keys, kept current without a clock, a lock or a connection of its own.
//!
//! A look into the cache answers at once: with a key, or with a permit to fetch, or with the reason why there is neither. Handing
//! out a permit is counted, so a flood of unknown key ids causes one fetch per cooldown, failed ones included, and two requests
//! that need the same keys do not fetch them twice. No promise is shared: a request that does not fetch looks again.
//!
//! | age of the set | answer for a known key |
//! |---|---|
//! | up to 4/5 of its freshness | the key |
//! | up to its freshness | the key, and a permit to refresh in the background |
//! | past it | a permit; if that fetch fails, the key, for up to a day |
//!
//! A key that the newest document no longer lists is gone with the old set.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::fetch::{Fetched, KeysError, Permit, Reason, Validity};
use super::{JwkSet, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::discovery::MetadataCache;
use crate::error::VerifyError;
use crate::io::UnixTime;
use crate::limits;
use crate::shared::Shared;
use crate::single_flight::{SingleFlight, later};
use crate::url::HttpUrl;

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS at this URL.
    Uri(String),
    /// The issuer's discovery document names the URL.
    Discovery,
}

impl KeySource {
    /// Whether keys of `issuer` may come from here: over https, or over http from loopback.
    #[must_use]
    pub fn is_secure(&self, issuer: &str) -> bool {
        let url = match self {
            Self::Uri(uri) => uri,
            Self::Discovery => issuer,
        };
        HttpUrl::parse(url).is_some_and(|url| url.is_secure())
    }
}

/// One issuer's keys. Keys never cross issuers: each has its own cache.
#[derive(Debug)]
pub struct KeyCache {
    pub(super) issuer: String,
    /// `None`: the set is fixed.
    pub(super) source: Option<Source>,
    pub(super) max_modulus_bits: usize,
    state: Shared<State>,
}

/// A [`KeySource`] with what it needs.
#[derive(Debug)]
pub(super) enum Source {
    Uri(String),
    Discovery(Arc<MetadataCache>),
}

/// What changes.
#[derive(Debug)]
struct State {
    held: Option<HeldKeys>,
    flight: SingleFlight,
    last_error: Option<KeysError>,
    unknown_kid_at: Option<UnixTime>,
}

#[derive(Debug)]
struct HeldKeys {
    set: JwkSet,
    validity: Validity,
    /// Of the permit it was fetched with.
    sequence: u64,
    /// Whether it came from the provider, not from the edge cache.
    from_provider: bool,
}

/// Answer of [`KeyCache::find`].
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The key. If there is a permit, use it to refresh the set in the background.
    Key(Arc<VerifyingKey>, Option<Permit>),
    /// Fetch with this permit, and look again.
    Fetch(Permit),
    /// Another request is fetching. Look again in [`limits::FETCH_POLL_MS`].
    Wait,
    /// The set is current and has no such key.
    Refused(VerifyError),
    /// There are no keys to decide with.
    Unavailable(KeysUnavailable),
}

/// The same, with the number and the reason of a permit in its place: what is found while the state is locked.
enum Found {
    Key(Arc<VerifyingKey>, Option<StartedFetch>),
    Fetch(StartedFetch),
    Wait,
    Refused(VerifyError),
    Unavailable(KeysUnavailable),
}

/// A fetch that has begun.
struct StartedFetch {
    sequence: u64,
    reason: Reason,
    held_since: Option<UnixTime>,
}

/// There are no keys to decide with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysUnavailable {
    /// Why.
    pub error: KeysError,
    /// When to try again, in seconds.
    pub retry_after_s: u32,
}

impl core::fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.error.message())
    }
}

impl core::error::Error for KeysUnavailable {}

/// What a cache holds, for diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key ids.
    pub kids: Vec<Option<String>>,
    /// Keys of the document that cannot be used.
    pub skipped: usize,
    /// When the set was fetched.
    pub fetched_at: UnixTime,
    /// Until when it is fresh.
    pub fresh_until: UnixTime,
}

impl KeyCache {
    /// A cache that fetches the keys of `issuer` when they are needed.
    #[must_use]
    pub fn new(issuer: impl Into<String>, source: KeySource) -> Self {
        let issuer = issuer.into();
        let source = match source {
            KeySource::Uri(uri) => Source::Uri(uri),
            KeySource::Discovery => Source::Discovery(Arc::new(MetadataCache::new(issuer.clone()))),
        };
        Self::with(issuer, Some(source), None)
    }

    /// A cache of fixed keys. It never fetches: rotating the keys means making another one.
    #[must_use]
    pub fn fixed(issuer: impl Into<String>, set: JwkSet) -> Self {
        let always = Validity { fetched_at: UnixTime::from_millis(0), fresh_until: UnixTime::from_millis(i64::MAX) };
        let held = HeldKeys { set, validity: always, sequence: 0, from_provider: true };
        Self::with(issuer.into(), None, Some(held))
    }

    fn with(issuer: String, source: Option<Source>, held: Option<HeldKeys>) -> Self {
        let flight = SingleFlight::new(limits::FETCH_LEASE_MS);
        let state = State { held, flight, last_error: None, unknown_kid_at: None };
        Self { issuer, source, max_modulus_bits: limits::MAX_MODULUS_BITS, state: Shared::new(state) }
    }

    /// Skips keys with larger moduli.
    #[must_use]
    pub fn max_modulus_bits(mut self, bits: usize) -> Self {
        self.max_modulus_bits = bits;
        self
    }

    /// The issuer whose keys these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What is held.
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

    /// The issuer's metadata, where discovery finds it.
    #[cfg(any(feature = "gateway", test))]
    pub(crate) fn metadata(&self) -> Option<&Arc<MetadataCache>> {
        match &self.source {
            Some(Source::Discovery(metadata)) => Some(metadata),
            _ => None,
        }
    }

    /// The key for a token, or how to come by it. `fetches` counts those that this request has caused already.
    pub(crate) fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
        fetches: u8,
    ) -> Lookup {
        let can_fetch = self.source.is_some();
        match self.state.with(|state| state.find(can_fetch, kid, algorithm, now, fetches)) {
            Found::Key(key, refresh) => Lookup::Key(key, refresh.map(|begun| self.permit(begun))),
            Found::Fetch(begun) => Lookup::Fetch(self.permit(begun)),
            Found::Wait => Lookup::Wait,
            Found::Refused(error) => Lookup::Refused(error),
            Found::Unavailable(why) => Lookup::Unavailable(why),
        }
    }

    /// The key for a token with the time, around `now`, in which [`find`](Self::find) answers with it and with no permit, as
    /// long as nothing is stored. None if there is no such time.
    pub(crate) fn settled(
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

    /// A permit to load the set before anything needs it, unless it is there and fresh, or fetching has to pause.
    pub(crate) fn preload_permit(self: &Arc<Self>, now: UnixTime) -> Option<Permit> {
        self.source.as_ref()?;
        let begun = self.state.with(|state| {
            let is_fresh = state.held.as_ref().is_some_and(|held| held.is_fresh(now));
            (!is_fresh && state.flight.may_begin(now)).then(|| state.begin(Reason::Load, now))
        });
        begun.map(|begun| self.permit(begun))
    }

    /// Why fetching the keys failed; `None` if it did not, or another fetch is under way.
    pub(crate) fn failure(&self, now: UnixTime) -> Option<KeysError> {
        self.state.with(|state| if state.flight.is_leased(now) { None } else { state.last_error })
    }

    /// Whether there is a set that may serve.
    pub(crate) fn is_loaded(&self, now: UnixTime) -> bool {
        self.source.is_none() || self.state.with(|state| state.held.as_ref().is_some_and(|held| held.is_usable(now)))
    }

    fn permit(self: &Arc<Self>, begun: StartedFetch) -> Permit {
        let StartedFetch { sequence, reason, held_since } = begun;
        Permit { cache: Arc::clone(self), sequence, reason, held_since, contacted_provider: Arc::default() }
    }

    /// Files the outcome of a fetch.
    pub(super) fn store(&self, sequence: u64, fetched: Fetched, now: UnixTime) -> Result<(), KeysError> {
        self.state.with(|state| state.store(sequence, fetched, now))
    }

    /// Ends the fetch of a permit that is dropped. Unless the provider was asked, it is as if it had not begun.
    pub(super) fn release(&self, sequence: u64, reason: &Reason, contacted_provider: bool) {
        self.state.with(|state| {
            // Nobody was asked about the unknown key, so that there is nothing to wait for.
            if state.flight.release(sequence) && !contacted_provider && *reason != Reason::Load {
                state.unknown_kid_at = None;
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
                Some(begun) => Found::Fetch(begun),
                // Fetching failed, or is under way: the last good set serves.
                None => Found::Key(key, None),
            },
            Err(VerifyError::KeyNotFound) if !can_fetch => Found::Refused(VerifyError::KeyNotFound),
            Err(VerifyError::KeyNotFound) => self.unknown_kid(kid.unwrap_or_default(), now, fetches, is_fresh),
            Err(refusal) if is_fresh => Found::Refused(refusal),
            Err(refusal) => self.refresh(now, fetches).map_or(Found::Refused(refusal), Found::Fetch),
        }
    }

    fn store(&mut self, sequence: u64, fetched: Fetched, now: UnixTime) -> Result<(), KeysError> {
        self.flight.release(sequence);
        match fetched.failure {
            None => {
                self.flight.succeeded();
                self.last_error = None;
            }
            Some(failure) => {
                self.flight.failed(failure.retry_after_s, now);
                self.last_error = Some(failure.error);
            }
        }
        let (mut set, validity) = fetched.outcome?;
        // An older reply never replaces a newer one. Of two from the provider, the one asked for later is newer; between that and
        // an edge entry the clock decides, unless it went back behind what is held.
        let from_provider = fetched.from_provider;
        let outdated = self.held.as_ref().is_some_and(|held| {
            if held.from_provider && from_provider {
                held.sequence > sequence
            } else {
                validity.fetched_at < held.validity.fetched_at && held.validity.fetched_at <= now
            }
        });
        if !outdated {
            if let Some(held) = &self.held {
                set.reuse_keys(&held.set);
            }
            self.held = Some(HeldKeys { set, validity, sequence, from_provider });
        }
        Ok(())
    }

    fn without_keys(&mut self, now: UnixTime, fetches: u8) -> Found {
        if self.flight.is_leased(now) {
            return Found::Wait;
        }
        match self.refresh(now, fetches) {
            Some(begun) => Found::Fetch(begun),
            None => self.unavailable_until(self.flight.retry_at(), now),
        }
    }

    fn unknown_kid(&mut self, kid: &str, now: UnixTime, fetches: u8, is_fresh: bool) -> Found {
        if self.flight.is_leased(now) {
            return Found::Wait;
        }
        // A set that this request itself has just had fetched is as new as can be.
        if fetches == 0 {
            let cooled_down =
                self.unknown_kid_at.is_none_or(|at| now < at || now >= later(at, limits::UNKNOWN_KID_COOLDOWN_S));
            if self.flight.may_begin(now) && (cooled_down || !is_fresh) {
                self.unknown_kid_at = Some(now);
                return Found::Fetch(self.begin(Reason::UnknownKid(kid.into()), now));
            }
        }
        // While the provider cannot be asked, nobody knows whether the key is new or made up.
        if !self.flight.is_failing() {
            return Found::Refused(VerifyError::KeyNotFound);
        }
        let cooled_down = self.unknown_kid_at.map_or(now, |at| later(at, limits::UNKNOWN_KID_COOLDOWN_S));
        self.unavailable_until(self.flight.retry_at().max(cooled_down), now)
    }

    fn refresh(&mut self, now: UnixTime, fetches: u8) -> Option<StartedFetch> {
        let may_fetch = fetches < limits::MAX_FETCHES_PER_REQUEST && self.flight.may_begin(now);
        may_fetch.then(|| self.begin(Reason::Load, now))
    }

    fn begin(&mut self, reason: Reason, now: UnixTime) -> StartedFetch {
        let held_since = self.held.as_ref().map(|held| held.validity.fetched_at);
        StartedFetch { sequence: self.flight.begin(now), reason, held_since }
    }

    fn unavailable_until(&self, time: UnixTime, now: UnixTime) -> Found {
        let wait = time.secs().saturating_sub(now.secs()).clamp(1, limits::RETRY_AFTER_MAX_S);
        Found::Unavailable(KeysUnavailable {
            error: self.last_error.unwrap_or(KeysError::JwksUnreachable),
            retry_after_s: u32::try_from(wait).unwrap_or(1),
        })
    }
}

impl HeldKeys {
    /// Whether the set may serve at all. A clock that went back makes it unusable rather than eternal.
    fn is_usable(&self, now: UnixTime) -> bool {
        self.is_fresh(now)
            || self.validity.fetched_at <= now && now < later(self.validity.fetched_at, limits::JWKS_STALE_ON_ERROR_S)
    }

    fn is_fresh(&self, now: UnixTime) -> bool {
        self.validity.fetched_at <= now && now < self.validity.fresh_until
    }

    /// In the last fifth of its freshness.
    fn is_ageing(&self, now: UnixTime) -> bool {
        now >= self.ageing_from()
    }

    /// When the last fifth of its freshness begins; a fixed set has none.
    fn ageing_from(&self) -> UnixTime {
        let Validity { fetched_at, fresh_until } = self.validity;
        if fresh_until == UnixTime::from_millis(i64::MAX) {
            return fresh_until;
        }
        let lifetime = fresh_until.millis().saturating_sub(fetched_at.millis());
        UnixTime::from_millis(fresh_until.millis().saturating_sub(lifetime / 5))
    }
}
