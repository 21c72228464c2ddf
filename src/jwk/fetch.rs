//! Fetching a key set: edge cache → (discovery) → JWKS. Whatever comes back is checked the same way, from wherever it came.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::cache::Source;
use super::{InvalidJwkSet, JwkSet, KeyCache};
use crate::base64url;
use crate::crypto::sha256;
use crate::discovery::DiscoveryError;
#[cfg(any(feature = "gateway", test))]
use crate::discovery::MetadataPermit;
use crate::host::{Host, Level, Spawn};
use crate::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::{Document, Number, Value, quote};
use crate::limits;
use crate::single_flight::later;
use crate::text::{concat, decimal, signed_decimal};

/// Why no key set could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// The JWKS could not be fetched: no answer, or a status other than 200.
    JwksUnreachable,
    /// The JWKS is not a JSON key set.
    JwksInvalid,
    /// The JWKS has no key that can verify a signature.
    JwksNoUsableKey,
    /// The discovery document could not be fetched.
    DiscoveryUnreachable,
    /// The discovery document is not JSON or names no acceptable `jwks_uri`.
    DiscoveryInvalid,
    /// The discovery document is another issuer's.
    DiscoveryIssuerMismatch,
}

impl KeysError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "jwks_unreachable",
            Self::JwksInvalid => "jwks_invalid",
            Self::JwksNoUsableKey => "jwks_no_usable_key",
            Self::DiscoveryUnreachable => "discovery_unreachable",
            Self::DiscoveryInvalid => "discovery_invalid",
            Self::DiscoveryIssuerMismatch => "discovery_issuer_mismatch",
        }
    }
}

impl KeysError {
    /// What is wrong, for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "the issuer's key set cannot be fetched",
            Self::JwksInvalid => "the issuer's key set is not a valid JWKS document",
            Self::JwksNoUsableKey => "the issuer's key set has no usable key",
            Self::DiscoveryUnreachable => "the issuer's discovery document cannot be fetched",
            Self::DiscoveryInvalid => "the issuer's discovery document is not valid",
            Self::DiscoveryIssuerMismatch => "the discovery document names another issuer than the configured one",
        }
    }
}

impl core::fmt::Display for KeysError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for KeysError {}

impl From<DiscoveryError> for KeysError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Unreachable => Self::DiscoveryUnreachable,
            // For keys, a document that names no issuer is none.
            DiscoveryError::Invalid | DiscoveryError::IssuerMissing => Self::DiscoveryInvalid,
            DiscoveryError::IssuerMismatch => Self::DiscoveryIssuerMismatch,
        }
    }
}

/// A piece of work about keys that goes on when the request that began it is gone. Made by the flows only; a host
/// [runs](Self::run) it.
#[derive(Debug)]
pub struct KeyJob(Work);

#[derive(Debug)]
enum Work {
    Load(Permit),
    #[cfg(any(feature = "gateway", test))]
    Discover(MetadataPermit),
    StoreAtEdge(EdgeEntry),
}

/// A host on which keys can be fetched.
pub trait KeyHost: Host + Spawn<KeyJob> {}

impl<H: Host + Spawn<KeyJob>> KeyHost for H {}

impl KeyJob {
    /// Fetches a key set and files the outcome.
    pub(crate) fn load(permit: Permit) -> Self {
        Self(Work::Load(permit))
    }

    /// Fetches a discovery document and files the outcome.
    #[cfg(any(feature = "gateway", test))]
    pub(crate) fn discover(permit: MetadataPermit) -> Self {
        Self(Work::Discover(permit))
    }

    /// Does the work.
    pub async fn run(self, host: &impl KeyHost) {
        match self.0 {
            Work::Load(permit) => permit.run(host).await,
            #[cfg(any(feature = "gateway", test))]
            Work::Discover(permit) => permit.run(host).await,
            Work::StoreAtEdge(entry) => host.edge_put(entry).await,
        }
    }
}

/// The right to fetch a key set once. Only [`KeyCache`] hands them out, and it keeps count; one that is dropped before it is used
/// up is the next request's.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(super) cache: Arc<KeyCache>,
    pub(super) sequence: u64,
    pub(super) reason: Reason,
    /// When the set that the cache holds was fetched.
    pub(super) held_since: Option<UnixTime>,
    /// Whether the provider was asked. Shared with the request that waits for it: this is one of its fetches.
    pub(super) contacted_provider: Arc<AtomicBool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no set, or it is no longer fresh.
    Load,
    /// The set has no key of this id.
    UnknownKid(String),
}

/// When a set was fetched and until when it is fresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) fetched_at: UnixTime,
    pub(super) fresh_until: UnixTime,
}

/// The outcome of a fetch.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The set to use from now on.
    pub(super) outcome: Result<(JwkSet, Validity), KeysError>,
    /// Why the provider gave no keys, also when an older set serves instead.
    pub(super) failure: Option<ProviderFailure>,
    /// Whether the set comes from the provider, not from the edge cache.
    pub(super) from_provider: bool,
    /// For the edge cache, so that other instances need not fetch.
    pub(super) edge: Option<EdgeEntry>,
}

/// Why the provider gave no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProviderFailure {
    pub(super) error: KeysError,
    pub(super) retry_after_s: Option<i64>,
}

impl From<KeysError> for ProviderFailure {
    fn from(error: KeysError) -> Self {
        Self { error, retry_after_s: None }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cache.release(self.sequence, &self.reason, self.contacted_provider.load(Ordering::Relaxed));
    }
}

impl Permit {
    /// Fetches the set, files the outcome, and leaves a set of the provider's at the edge.
    pub(crate) async fn run(self, host: &impl KeyHost) {
        let mut fetched = self.fetch(host).await;
        let edge = fetched.edge.take();
        if let Err(error) = self.store(fetched, host.now()) {
            let look = "check that jwks_uri or the issuer answers with JSON";
            host.log(Level::Warning, &format_args!("{}: {error}; {look}", error.code()));
        }
        if let Some(entry) = edge {
            // Nobody waits for the edge cache.
            drop(host.spawn(KeyJob(Work::StoreAtEdge(entry))));
        }
    }

    /// Files the outcome.
    ///
    /// # Errors
    /// Why the fetch failed; the cache has noted it.
    pub(crate) fn store(self, fetched: Fetched, now: UnixTime) -> Result<(), KeysError> {
        self.cache.store(self.sequence, fetched, now)
    }

    /// Whether the provider was asked; to be read once the permit is used up.
    pub(crate) fn contacted_provider(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.contacted_provider)
    }

    /// Fetches the set: from the edge cache if that has one that does, else from the provider.
    pub(crate) async fn fetch(&self, host: &impl Host) -> Fetched {
        let at_edge = match &self.cache.source {
            Some(source) => host.edge_get(self.edge_key(source)).await,
            None => None,
        };
        let now = host.now();
        let at_edge = at_edge.and_then(|value| self.open_edge_entry(value, now));
        // An entry that does not do is still good if the provider turns out to be unreachable.
        let fallback = match at_edge {
            Some((set, validity)) if self.is_satisfied_by(&set, validity, now) => {
                return Fetched { outcome: Ok((set, validity)), failure: None, from_provider: false, edge: None };
            }
            entry => entry,
        };
        match self.fetch_from_provider(host).await {
            Ok((set, validity, entry)) => {
                Fetched { outcome: Ok((set, validity)), failure: None, from_provider: true, edge: Some(entry) }
            }
            Err(failure) => {
                let outcome = match (fallback, self.held_since) {
                    // Better an older set that was good than none; but never instead of a newer one.
                    (Some(older), None) => Ok(older),
                    _ => Err(failure.error),
                };
                Fetched { outcome, failure: Some(failure), from_provider: false, edge: None }
            }
        }
    }

    async fn fetch_from_provider(&self, host: &impl Host) -> Result<(JwkSet, Validity, EdgeEntry), ProviderFailure> {
        self.contacted_provider.store(true, Ordering::Relaxed);
        let source = self.cache.source.as_ref().ok_or(KeysError::JwksUnreachable)?;
        let uri = match source {
            Source::Uri(uri) => uri.clone(),
            Source::Discovery(metadata) => {
                let found = metadata.get(host, |permit| permit.run(host)).await.map_err(KeysError::from)?;
                // A document without keys may be mended: it is asked for again with the next fetch.
                let uri = found.url("jwks_uri").ok_or_else(|| {
                    metadata.mark_outdated();
                    KeysError::DiscoveryInvalid
                })?;
                uri.into()
            }
        };
        let answer = match host.send(Outgoing::get(uri.clone())).await {
            // One reset connection must not refuse everybody for the time of a pause.
            Err(Unreachable::Network) => host.send(Outgoing::get(uri)).await,
            answer => answer,
        };
        let retry_after_s = answer.as_ref().ok().and_then(Incoming::retry_after_s);
        self.read(source, answer, host.now()).map_err(|error| {
            if let Source::Discovery(metadata) = source {
                // Where the keys moved to, only discovery knows.
                metadata.mark_outdated();
            }
            ProviderFailure { error, retry_after_s }
        })
    }

    /// Reads the provider's answer: the set, how long it is fresh, and what to leave at the edge.
    fn read(
        &self,
        source: &Source,
        answer: Result<Incoming, Unreachable>,
        now: UnixTime,
    ) -> Result<(JwkSet, Validity, EdgeEntry), KeysError> {
        let answer = answer.ok().filter(|answer| answer.status == 200).ok_or(KeysError::JwksUnreachable)?;
        if !answer.is_json() {
            return Err(KeysError::JwksInvalid);
        }
        let set = JwkSet::parse_with(&answer.body, self.cache.max_modulus_bits)?;
        let fresh_for = answer
            .fresh_for_s()
            .unwrap_or(limits::JWKS_FRESH_DEFAULT_S)
            .clamp(limits::JWKS_FRESH_MIN_S, limits::JWKS_FRESH_MAX_S);
        let validity = Validity { fetched_at: now, fresh_until: later(now, fresh_for) };
        // `parse_with` accepted it, so it is UTF-8.
        let text = String::from_utf8(answer.body).map_err(|_| KeysError::JwksInvalid)?;
        let entry = self.seal_edge_entry(source, &text, validity);
        Ok((set, validity, entry))
    }

    fn is_satisfied_by(&self, set: &JwkSet, validity: Validity, now: UnixTime) -> bool {
        let newer = self.held_since.is_none_or(|held| validity.fetched_at > held);
        newer
            && now < validity.fresh_until
            && match &self.reason {
                Reason::Load => true,
                Reason::UnknownKid(kid) => {
                    set.keys().any(|key| key.kid() == Some(kid))
                        || now < later(validity.fetched_at, limits::UNKNOWN_KID_COOLDOWN_S)
                }
            }
    }

    /// The edge cache's key for this set: a URL on a host that cannot exist, so that no request can address it.
    fn edge_key(&self, source: &Source) -> String {
        let uri = match source {
            Source::Uri(uri) => uri.as_str(),
            Source::Discovery(_) => "",
        };
        let issuer = &self.cache.issuer;
        let name = concat(&[&decimal(issuer.len() as u64), ":", issuer, uri]);
        concat(&["https://keys.edgeward.invalid/v1/", &base64url::encode(&sha256(name.as_bytes()))])
    }

    fn seal_edge_entry(&self, source: &Source, text: &str, validity: Validity) -> EdgeEntry {
        EdgeEntry {
            key: self.edge_key(source),
            value: concat(&[
                r#"{"issuer":"#,
                &quote(&self.cache.issuer),
                r#","fetched_at":"#,
                &signed_decimal(validity.fetched_at.millis()),
                r#","fresh_until":"#,
                &signed_decimal(validity.fresh_until.millis()),
                r#","jwks":"#,
                &quote(text),
                "}",
            ]),
            max_age_s: limits::JWKS_STALE_ON_ERROR_S,
        }
    }

    /// Reads an edge entry with the checks of a fetched one: what is in the cache is not trusted more than the network.
    fn open_edge_entry(&self, value: Vec<u8>, now: UnixTime) -> Option<(JwkSet, Validity)> {
        if value.len() > limits::MAX_EDGE_ENTRY_BYTES {
            return None;
        }
        let document = Document::parse(value, limits::MAX_CLAIMS_DEPTH).ok()?;
        let root = document.root();
        if root.get("issuer").and_then(Value::as_str) != Some(&self.cache.issuer) {
            return None;
        }
        let instant = |name| match root.get(name) {
            Some(Value::Number(Number::Unsigned(millis))) => i64::try_from(millis).ok().map(UnixTime::from_millis),
            _ => None,
        };
        let fetched_at = instant("fetched_at").filter(|at| *at <= now)?;
        if now >= later(fetched_at, limits::JWKS_STALE_ON_ERROR_S) {
            return None;
        }
        let fresh_until = instant("fresh_until")?.min(later(fetched_at, limits::JWKS_FRESH_MAX_S));
        let text = root.get("jwks").and_then(Value::as_str)?;
        let set = JwkSet::parse_with(text.as_bytes(), self.cache.max_modulus_bits).ok()?;
        Some((set, Validity { fetched_at, fresh_until }))
    }
}

impl From<InvalidJwkSet> for KeysError {
    fn from(reason: InvalidJwkSet) -> Self {
        match reason {
            InvalidJwkSet::NoUsableKey => Self::JwksNoUsableKey,
            _ => Self::JwksInvalid,
        }
    }
}
