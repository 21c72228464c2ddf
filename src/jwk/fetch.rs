//! Fetching a key set: edge cache → (discovery) → JWKS. Every response passes the same checks, wherever it came from.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::cache::Source;
use super::{InvalidJwkSet, JwkSet, KeyCache};
use crate::algorithm::Algorithm;
use crate::crypto::sha256;
use crate::discovery::DiscoveryError;
#[cfg(any(feature = "gateway", test))]
use crate::discovery::MetadataPermit;
use crate::host::{Host, Level, Spawn, get_json};
use crate::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable, described, retry_after_s, status_of};
use crate::json::{Document, Number, Value, quote};
use crate::limits;
use crate::single_flight::later;
use crate::text::{concat, decimal, hex, signed_decimal};

/// Why an issuer's keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// The JWKS could not be fetched: no response, or a status other than 200.
    JwksUnreachable,
    /// The JWKS is not a JSON key set.
    JwksInvalid,
    /// The JWKS has no key that can verify a signature.
    JwksNoUsableKey,
    /// The discovery document could not be fetched.
    DiscoveryUnreachable,
    /// The discovery document is not JSON or names no acceptable `jwks_uri`.
    DiscoveryInvalid,
    /// The discovery document names another issuer.
    DiscoveryIssuerMismatch,
    /// The host cannot verify signatures of the token's algorithm.
    AlgorithmUnsupported,
}

impl KeysError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "jwks_unreachable",
            Self::JwksInvalid => "jwks_invalid",
            Self::JwksNoUsableKey => "jwks_no_usable_key",
            Self::DiscoveryUnreachable => DiscoveryError::Unreachable.code(),
            Self::DiscoveryInvalid => DiscoveryError::Invalid.code(),
            Self::DiscoveryIssuerMismatch => DiscoveryError::IssuerMismatch.code(),
            Self::AlgorithmUnsupported => "algorithm_unsupported",
        }
    }

    /// Returns the error message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "the issuer's key set cannot be fetched",
            Self::JwksInvalid => "the issuer's key set is not a valid JWKS document",
            Self::JwksNoUsableKey => "the issuer's key set has no usable key",
            Self::DiscoveryUnreachable => DiscoveryError::Unreachable.message(),
            Self::DiscoveryInvalid => DiscoveryError::Invalid.message(),
            Self::DiscoveryIssuerMismatch => DiscoveryError::IssuerMismatch.message(),
            Self::AlgorithmUnsupported => "the platform cannot verify signatures of the token's algorithm",
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
            // For keys, a document without an issuer is invalid.
            DiscoveryError::Invalid | DiscoveryError::IssuerMissing => Self::DiscoveryInvalid,
            DiscoveryError::IssuerMismatch => Self::DiscoveryIssuerMismatch,
        }
    }
}

/// Background work on keys, which outlives the request that started it. Only the flows create jobs; a host [runs](Self::run) them.
#[derive(Debug)]
pub struct KeyJob(Work);

#[derive(Debug)]
enum Work {
    Load(Permit),
    #[cfg(any(feature = "gateway", test))]
    Discover(MetadataPermit),
    StoreAtEdge(EdgeEntry),
}

/// A [`Host`] that can also run [`KeyJob`]s.
///
/// Implemented for every type that implements both traits; a job is [run](KeyJob::run) on the host that it was spawned on.
pub trait KeyHost: Host + Spawn<KeyJob> {}

impl<H: Host + Spawn<KeyJob>> KeyHost for H {}

impl KeyJob {
    /// A job that fetches a key set and stores the outcome.
    pub(crate) fn load(permit: Permit) -> Self {
        Self(Work::Load(permit))
    }

    /// A job that fetches a discovery document and stores the outcome.
    #[cfg(any(feature = "gateway", test))]
    pub(crate) fn discover(permit: MetadataPermit) -> Self {
        Self(Work::Discover(permit))
    }

    /// Runs the job to its end.
    pub async fn run(self, host: &impl KeyHost) {
        match self.0 {
            Work::Load(permit) => permit.run(host).await,
            #[cfg(any(feature = "gateway", test))]
            Work::Discover(permit) => permit.run(host).await,
            Work::StoreAtEdge(entry) => host.edge_put(entry).await,
        }
    }
}

/// The right to fetch a key set once. Only [`KeyCache`] issues permits, and counts them; one that is dropped unused is available to the
/// next request.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(super) cache: Arc<KeyCache>,
    pub(super) sequence: u64,
    pub(super) reason: Reason,
    /// When the set in the cache was fetched.
    pub(super) held_since: Option<UnixTime>,
    /// Whether the provider was contacted. Shared with the waiting request, which counts its fetches.
    pub(super) contacted_provider: Arc<AtomicBool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no set, or it is no longer fresh.
    Load,
    /// The set does not have the one key for a token with this `kid` and algorithm.
    MissingKey(Option<String>, Algorithm),
    /// A signature does not match its key, which may have been replaced under its id.
    BadSignature,
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
    /// The set to use from now on, or why there is none.
    pub(super) outcome: Result<(JwkSet, Validity), KeysError>,
    /// Why the provider gave no keys, even if an older set is used instead.
    pub(super) failure: Option<ProviderFailure>,
    /// Whether the set comes from the provider, not from the edge cache.
    pub(super) from_provider: bool,
    /// The entry for the edge cache, so that other instances need not fetch.
    pub(super) edge: Option<EdgeEntry>,
}

/// Why an issuer's keys could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysFailure {
    /// The error.
    pub error: KeysError,
    /// What is wrong with the document, the key set or the discovery document, or with each of its keys.
    pub reason: Option<Arc<str>>,
}

impl From<KeysError> for KeysFailure {
    fn from(error: KeysError) -> Self {
        Self { error, reason: None }
    }
}

/// Why the provider gave no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProviderFailure {
    pub(super) failure: KeysFailure,
    pub(super) retry_after_s: Option<i64>,
    /// The URL and its response, for the log; empty if what failed has been logged.
    pub(super) outcome: String,
}

impl From<KeysError> for ProviderFailure {
    fn from(error: KeysError) -> Self {
        Self { failure: error.into(), retry_after_s: None, outcome: String::new() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cache.release(self.sequence, &self.reason, self.contacted_provider.load(Ordering::Relaxed));
    }
}

impl Permit {
    /// Fetches the set, stores the outcome, and copies a set from the provider to the edge cache.
    pub(crate) async fn run(self, host: &impl KeyHost) {
        let mut fetched = self.fetch(host).await;
        let edge = fetched.edge.take();
        let failure = fetched.failure.clone();
        match (self.store(fetched, host.now()), failure) {
            (Err(error), Some(ProviderFailure { outcome, failure, .. })) if !outcome.is_empty() => {
                let reason = failure.reason.as_deref().unwrap_or(error.message());
                host.log(Level::Warning, &concat(&[error.code(), ": ", &outcome, "; ", reason]));
            }
            (Ok(Some(skipped)), _) => host.log(Level::Information, &concat(&["keys_skipped: ", &skipped])),
            _ => {}
        }
        if let Some(entry) = edge {
            // No request waits for the edge cache.
            drop(host.spawn(KeyJob(Work::StoreAtEdge(entry))));
        }
    }

    /// Stores the outcome. Returns why keys are skipped, if others are than before.
    ///
    /// # Errors
    /// Why the fetch failed; the cache has recorded it.
    pub(crate) fn store(self, fetched: Fetched, now: UnixTime) -> Result<Option<String>, KeysError> {
        self.cache.store(self.sequence, fetched, now)
    }

    /// Returns whether the provider was contacted, to be read once the permit is used.
    pub(crate) fn contacted_provider(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.contacted_provider)
    }

    /// Fetches the set: from the edge cache if its entry is good enough, else from the provider.
    pub(crate) async fn fetch(&self, host: &impl Host) -> Fetched {
        let at_edge = match &self.cache.source {
            Some(source) => host.edge_get(self.edge_key(source)).await,
            None => None,
        };
        let now = host.now();
        let at_edge = at_edge.and_then(|value| self.open_edge_entry(value, now));
        // An entry that is not good enough is a fallback in case the provider is unreachable.
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
                    // An older set is better than none, but never replaces a newer one.
                    (Some(older), None) => Ok(older),
                    _ => Err(failure.failure.error),
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
                let found = metadata.get(host, |permit| permit.run(host)).await.map_err(|error| {
                    let failure = KeysFailure { error: error.into(), reason: metadata.last_reason() };
                    let retry_after_s = Some(metadata.pause_s(host.now()));
                    ProviderFailure { failure, retry_after_s, outcome: String::new() }
                })?;
                // The document may be corrected: it is fetched again with the next key set.
                let uri = found.url("jwks_uri").ok_or_else(|| {
                    metadata.mark_outdated();
                    let reason = Some("document names no acceptable \"jwks_uri\"".into());
                    let failure = KeysFailure { error: KeysError::DiscoveryInvalid, reason };
                    let outcome = concat(&["the discovery of ", &self.cache.issuer]);
                    ProviderFailure { failure, retry_after_s: None, outcome }
                })?;
                uri.into()
            }
        };
        let request = Outgoing { max_body_bytes: limits::MAX_KEY_SET_BYTES, ..Outgoing::get(uri.clone()) };
        let response = get_json(host, request, || ()).await;
        let outcome = described(&uri, status_of(&response));
        let retry_after_s = retry_after_s(&response, host.now());
        self.read(source, response, host.now()).map_err(|failure| {
            if let Source::Discovery(metadata) = source {
                // If the keys have moved, only a newer document says where.
                metadata.mark_outdated();
            }
            ProviderFailure { failure, retry_after_s, outcome }
        })
    }

    /// Reads the provider's response: the set, its freshness, and the entry for the edge cache.
    fn read(
        &self,
        source: &Source,
        response: Result<Incoming, Unreachable>,
        now: UnixTime,
    ) -> Result<(JwkSet, Validity, EdgeEntry), KeysFailure> {
        let response = response.ok().filter(|response| response.status == 200).ok_or(KeysError::JwksUnreachable)?;
        let refused =
            |error: InvalidJwkSet, reason: &str| KeysFailure { error: error.into(), reason: Some(reason.into()) };
        let set = JwkSet::read(&response.body, self.cache.max_modulus_bits)
            .map_err(|error| refused(error, error.message()))?;
        if set.keys.is_empty() {
            return Err(refused(InvalidJwkSet::NoUsableKey, &set.reasons()));
        }
        let fresh_for = response
            .fresh_for_s()
            .unwrap_or(limits::JWKS_FRESH_DEFAULT_S)
            .clamp(limits::JWKS_FRESH_MIN_S, limits::JWKS_FRESH_MAX_S);
        let validity = Validity { fetched_at: now, fresh_until: later(now, fresh_for) };
        // Cannot fail: `parse_with` accepted it, so it is UTF-8.
        let text = String::from_utf8(response.body).map_err(|_| KeysError::JwksInvalid)?;
        let entry = self.seal_edge_entry(source, &text, validity);
        Ok((set, validity, entry))
    }

    /// Returns whether an edge entry makes a request to the provider unnecessary.
    fn is_satisfied_by(&self, set: &JwkSet, validity: Validity, now: UnixTime) -> bool {
        let newer = self.held_since.is_none_or(|held| validity.fetched_at > held);
        newer
            && now < validity.fresh_until
            && match &self.reason {
                Reason::Load => true,
                Reason::BadSignature => now < later(validity.fetched_at, limits::UNKNOWN_KID_COOLDOWN_S),
                Reason::MissingKey(kid, algorithm) => {
                    set.select(kid.as_deref(), *algorithm).is_ok()
                        || now < later(validity.fetched_at, limits::UNKNOWN_KID_COOLDOWN_S)
                }
            }
    }

    /// Returns the edge cache's key for this set: a URL on a host that cannot exist (RFC 6761 §6.4), so that no request can address it.
    fn edge_key(&self, source: &Source) -> String {
        let uri = match source {
            Source::Uri(uri) => uri.as_str(),
            Source::Discovery(_) => "",
        };
        let issuer = &self.cache.issuer;
        let name = concat(&[&decimal(issuer.len() as u64), ":", issuer, uri]);
        concat(&["https://keys.edgeward.invalid/v1/", &hex(&sha256(name.as_bytes()))])
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

    /// Reads an edge entry with the checks of a fetched set: the cache is trusted no more than the network.
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
