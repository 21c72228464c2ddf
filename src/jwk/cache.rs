//! The key cache: one issuer's keys, kept current without a clock, a lock or a connection of its own.
//!
//! [`KeyCache::find`] answers at once: with a key, or with a [`Permit`] to fetch, or with the reason why there is neither.
//! Handing out a permit is counted, so a flood of unknown key ids causes one fetch per cooldown, failed ones included, and
//! two requests that need the same keys do not fetch them twice. No promise is shared: whoever does not fetch looks again.
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

use super::fetch::{Fetched, KeysError, Permit, Reason, Stage, Validity};
use super::{JwkSet, VerifyingKey};
use crate::error::VerifyError;
use crate::io::UnixTime;
use crate::jwt::Algorithm;
use crate::limits;
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
    /// Whether keys of `issuer` may come from here: over https, or over http from this machine.
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
    issuer: String,
    /// `None`: the set is fixed.
    source: Option<KeySource>,
    max_modulus_bits: usize,
    held: Option<Held>,
    discovered: Option<(String, UnixTime)>,
    flight: SingleFlight,
    last_error: Option<KeysError>,
    unknown_kid_at: Option<UnixTime>,
}

#[derive(Debug)]
struct Held {
    set: JwkSet,
    validity: Validity,
    /// Of the permit it was fetched with.
    sequence: u64,
    /// Whether it came from the provider, not from the edge cache.
    from_provider: bool,
}

/// Answer of [`KeyCache::find`].
#[derive(Debug)]
pub enum Lookup {
    /// The key. If there is a permit, use it to refresh the set in the background.
    Key(Arc<VerifyingKey>, Option<Permit>),
    /// Fetch with this permit, store, and look again.
    Fetch(Permit),
    /// Another request is fetching. Look again in [`limits::FETCH_POLL_MS`].
    Wait,
    /// The set is current and has no such key.
    Refused(VerifyError),
    /// There are no keys to decide with.
    Unavailable {
        /// Why.
        error: KeysError,
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
}

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
        Self {
            issuer: issuer.into(),
            source: Some(source),
            max_modulus_bits: limits::MAX_MODULUS_BITS,
            held: None,
            discovered: None,
            flight: SingleFlight::new(limits::FETCH_LEASE_MS),
            last_error: None,
            unknown_kid_at: None,
        }
    }

    /// A cache of fixed keys. It never fetches: rotating the keys means making another one.
    #[must_use]
    pub fn fixed(issuer: impl Into<String>, set: JwkSet) -> Self {
        let always = Validity { fetched_at: UnixTime::from_millis(0), fresh_until: UnixTime::from_millis(i64::MAX) };
        Self {
            source: None,
            held: Some(Held { set, validity: always, sequence: 0, from_provider: true }),
            ..Self::new(issuer, KeySource::Discovery)
        }
    }

    /// Skips keys with larger moduli.
    #[must_use]
    pub fn max_modulus_bits(mut self, bits: usize) -> Self {
        self.max_modulus_bits = bits;
        self
    }

    /// The key for a token, or how to come by it. `fetches` counts the permits that this request has used already.
    pub fn find(&mut self, kid: Option<&str>, algorithm: Algorithm, now: UnixTime, fetches: u8) -> Lookup {
        let Some(held) = self.held.as_ref().filter(|held| held.is_usable(now)) else {
            return self.without_keys(now, fetches);
        };
        let is_fresh = held.is_fresh(now);
        match held.set.select(kid, algorithm).map(Arc::clone) {
            Ok(key) if is_fresh => {
                let refresh =
                    (held.is_ageing(now) && self.flight.may_begin(now)).then(|| self.permit(Reason::Load, now));
                Lookup::Key(key, refresh.flatten())
            }
            Ok(key) => match self.refresh(now, fetches) {
                Some(permit) => Lookup::Fetch(permit),
                // Fetching failed, or is under way: the last good set serves.
                None => Lookup::Key(key, None),
            },
            Err(VerifyError::KeyNotFound) => self.unknown_kid(kid.unwrap_or_default(), now, fetches, is_fresh),
            Err(refusal) if is_fresh => Lookup::Refused(refusal),
            Err(refusal) => self.refresh(now, fetches).map_or(Lookup::Refused(refusal), Lookup::Fetch),
        }
    }

    /// The key for a token with the time, around `now`, in which [`find`](Self::find) answers with it and with no permit, as
    /// long as nothing is stored. None if there is no such time.
    pub(crate) fn settled(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Option<(&Arc<VerifyingKey>, Range<UnixTime>)> {
        let held = self.held.as_ref()?;
        let period = held.validity.fetched_at..held.ageing_from();
        let key = held.set.select(kid, algorithm).ok()?;
        period.contains(&now).then_some((key, period))
    }

    /// Takes the outcome of a fetch. Returns whether keys came of it.
    ///
    /// # Errors
    /// Why the fetch failed; the cache has noted it.
    pub fn store(&mut self, fetched: Fetched, now: UnixTime) -> Result<(), KeysError> {
        self.flight.release(fetched.sequence);
        match fetched.failure {
            None => {
                self.flight.succeeded();
                self.last_error = None;
            }
            Some(error) => self.note_failure(error, fetched.retry_after_s, now),
        }
        let (mut set, validity) = fetched.outcome?;
        if let Some(uri) = fetched.discovered {
            self.discovered = Some((uri, now));
        }
        // An older reply never replaces a newer one. Of two from the provider, the one asked for later is newer; between that and
        // an edge entry the clock decides, unless it went back behind what is held.
        let from_provider = fetched.from_network && fetched.failure.is_none();
        let outdated = self.held.as_ref().is_some_and(|held| {
            if held.from_provider && from_provider {
                held.sequence > fetched.sequence
            } else {
                validity.fetched_at < held.validity.fetched_at && held.validity.fetched_at <= now
            }
        });
        if !outdated {
            if let Some(held) = &self.held {
                set.keep_identities(&held.set);
            }
            self.held = Some(Held { set, validity, sequence: fetched.sequence, from_provider });
        }
        Ok(())
    }

    /// Takes back a permit that will not be used, so that the next request gets one.
    pub(crate) fn take_back(&mut self, permit: Option<Permit>) {
        let Some(permit) = permit else { return };
        // Nobody was asked about the unknown key, so that there is nothing to wait for.
        if self.flight.release(permit.sequence) && permit.reason != Reason::Load {
            self.unknown_kid_at = None;
        }
    }

    /// A permit to load the set before anything needs it, unless it is there and fresh, or fetching has to pause.
    pub fn warm_up(&mut self, now: UnixTime) -> Option<Permit> {
        let is_fresh = self.held.as_ref().is_some_and(|held| held.is_fresh(now));
        if is_fresh || !self.flight.may_begin(now) { None } else { self.permit(Reason::Load, now) }
    }

    /// What is held.
    #[must_use]
    pub fn status(&self) -> Option<KeyStatus> {
        self.held.as_ref().map(|held| KeyStatus {
            kids: held.set.keys().map(|key| key.kid().map(Into::into)).collect(),
            skipped: held.set.skipped().len(),
            fetched_at: held.validity.fetched_at,
            fresh_until: held.validity.fresh_until,
        })
    }

    /// The issuer whose keys these are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    fn note_failure(&mut self, error: KeysError, retry_after_s: Option<i64>, now: UnixTime) {
        self.flight.failed(retry_after_s, now);
        self.last_error = Some(error);
        // Where the document moved to, only discovery knows.
        self.discovered = None;
    }

    fn without_keys(&mut self, now: UnixTime, fetches: u8) -> Lookup {
        if self.flight.is_leased(now) {
            return Lookup::Wait;
        }
        match self.refresh(now, fetches) {
            Some(permit) => Lookup::Fetch(permit),
            None => self.unavailable(now),
        }
    }

    fn unknown_kid(&mut self, kid: &str, now: UnixTime, fetches: u8, is_fresh: bool) -> Lookup {
        if self.source.is_none() {
            return Lookup::Refused(VerifyError::KeyNotFound);
        }
        if self.flight.is_leased(now) {
            return Lookup::Wait;
        }
        // A set that this request itself has just had fetched is as new as can be.
        if fetches == 0 {
            let cooled_down =
                self.unknown_kid_at.is_none_or(|at| now < at || now >= later(at, limits::UNKNOWN_KID_COOLDOWN_S));
            if self.flight.may_begin(now) && (cooled_down || !is_fresh) {
                self.unknown_kid_at = Some(now);
                if let Some(permit) = self.permit(Reason::UnknownKid(kid.into()), now) {
                    return Lookup::Fetch(permit);
                }
            }
        }
        // While the provider cannot be asked, nobody knows whether the key is new or made up.
        if !self.flight.is_failing() {
            return Lookup::Refused(VerifyError::KeyNotFound);
        }
        let cooled_down = self.unknown_kid_at.map_or(now, |at| later(at, limits::UNKNOWN_KID_COOLDOWN_S));
        self.unavailable_until(self.flight.retry_at().max(cooled_down), now)
    }

    fn refresh(&mut self, now: UnixTime, fetches: u8) -> Option<Permit> {
        if fetches < limits::MAX_FETCHES_PER_REQUEST && self.flight.may_begin(now) {
            self.permit(Reason::Load, now)
        } else {
            None
        }
    }

    fn unavailable(&self, now: UnixTime) -> Lookup {
        self.unavailable_until(self.flight.retry_at(), now)
    }

    fn unavailable_until(&self, time: UnixTime, now: UnixTime) -> Lookup {
        let wait = time.secs().saturating_sub(now.secs()).clamp(1, limits::RETRY_AFTER_MAX_S);
        Lookup::Unavailable {
            error: self.last_error.unwrap_or(KeysError::JwksUnreachable),
            retry_after_s: u32::try_from(wait).unwrap_or(1),
        }
    }

    fn permit(&mut self, reason: Reason, now: UnixTime) -> Option<Permit> {
        let source = self.source.clone()?;
        let is_recent = |&(_, at): &(_, UnixTime)| at <= now && now < later(at, limits::DISCOVERY_FRESH_S);
        Some(Permit {
            sequence: self.flight.begin(now),
            issuer: self.issuer.clone(),
            source,
            known_uri: self.discovered.clone().filter(|found| is_recent(found)).map(|(uri, _)| uri),
            max_modulus_bits: self.max_modulus_bits,
            reason,
            held_since: self.held.as_ref().map(|held| held.validity.fetched_at),
            stage: Stage::Edge,
            is_repeated: false,
            fallback: None,
        })
    }
}

impl Held {
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
