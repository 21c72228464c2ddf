//! The issuer's metadata: its discovery document (OpenID Connect Discovery §4, RFC 8414), fetched once for all who need it.
//!
//! One document and one cache serve the keys and the login. Of requests that need the document at once, one fetches it; failures
//! pause; the last good document serves for a day while the issuer cannot be reached.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::host::Host;
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::{Document, Object, Value};
use crate::limits;
use crate::shared::Shared;
use crate::single_flight::SingleFlight;
use crate::text::concat;
use crate::url;

/// Why the metadata is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The document could not be fetched.
    Unreachable,
    /// It is not JSON, or lacks an acceptable URL.
    Invalid,
    /// It is another issuer's.
    IssuerMismatch,
    /// It does not say whose it is.
    IssuerMissing,
}

impl DiscoveryError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "discovery_unreachable",
            Self::Invalid => "discovery_invalid",
            Self::IssuerMismatch | Self::IssuerMissing => "discovery_issuer_mismatch",
        }
    }

    /// What is wrong, for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unreachable => "the issuer's discovery document cannot be fetched",
            Self::Invalid => "the issuer's discovery document is not valid",
            Self::IssuerMismatch => "the discovery document names another issuer than the configured one",
            Self::IssuerMissing => "the discovery document names no issuer",
        }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for DiscoveryError {}

/// A discovery document of the issuer that was asked.
#[derive(Debug)]
pub(crate) struct Metadata {
    issuer: String,
    document: Document,
}

impl Metadata {
    fn read(issuer: &str, answer: Result<Incoming, Unreachable>) -> Result<Self, DiscoveryError> {
        let answer = answer.ok().filter(|answer| answer.status == 200).ok_or(DiscoveryError::Unreachable)?;
        if !answer.is_json() || answer.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(DiscoveryError::Invalid);
        }
        let document = Document::parse(answer.body, limits::MAX_CLAIMS_DEPTH).map_err(|_| DiscoveryError::Invalid)?;
        // OpenID Connect Discovery §4.3, RFC 8414 §3.3: exactly the issuer that was asked.
        match document.root().get("issuer") {
            Some(Value::String(named)) if named == issuer => Ok(Self { issuer: issuer.into(), document }),
            Some(Value::String(_)) => Err(DiscoveryError::IssuerMismatch),
            _ => Err(DiscoveryError::IssuerMissing),
        }
    }

    /// The document's members.
    #[cfg(feature = "gateway")]
    pub(crate) fn root(&self) -> Object<'_> {
        self.document.root()
    }

    /// A URL that keys, codes, secrets and tokens may come from and go to: https, or http where the issuer is on loopback, too.
    pub(crate) fn url(&self, name: &str) -> Option<&str> {
        let root: Object<'_> = self.document.root();
        root.get(name).and_then(Value::as_str).filter(|uri| url::may_serve_keys(uri, &self.issuer))
    }
}

/// One issuer's metadata, kept current.
#[derive(Debug)]
pub(crate) struct MetadataCache {
    issuer: String,
    state: Shared<State>,
}

#[derive(Debug)]
struct State {
    held: Option<(Arc<Metadata>, UnixTime)>,
    /// Whether something that it names has failed: only a newer document tells where that moved to.
    is_outdated: bool,
    /// Whether a login could not use it: until it can, pauses between fetches grow as they do after failures.
    is_rejected: bool,
    flight: SingleFlight,
    last_error: DiscoveryError,
}

/// Answer of [`MetadataCache::find`].
#[derive(Debug)]
pub(crate) enum MetadataLookup {
    Known(Arc<Metadata>),
    /// Run this, and look again.
    Fetch(MetadataPermit),
    /// Another request is fetching. Look again in [`limits::FETCH_POLL_MS`].
    Wait,
    /// Not known, and it is too early to ask again.
    Unavailable(DiscoveryError),
}

/// The right to fetch the document once. Dropped before it is used up, it is the next request's.
#[derive(Debug)]
pub(crate) struct MetadataPermit {
    cache: Arc<MetadataCache>,
    number: u64,
}

impl Drop for MetadataPermit {
    fn drop(&mut self) {
        self.cache.state.with(|state| state.flight.release(self.number));
    }
}

impl MetadataCache {
    pub(crate) fn new(issuer: String) -> Self {
        let flight = SingleFlight::new(limits::DISCOVERY_LEASE_MS);
        let state = State {
            held: None,
            is_outdated: false,
            is_rejected: false,
            flight,
            last_error: DiscoveryError::Unreachable,
        };
        Self { issuer, state: Shared::new(state) }
    }

    /// The metadata, fetched with `fetch` if need be: a job runs its permit, a request spawns one. Of callers that need the document
    /// at once, one fetches, and the others look again until it is there.
    pub(crate) async fn get<F: Future<Output = ()>>(
        self: &Arc<Self>,
        host: &impl Host,
        fetch: impl Fn(MetadataPermit) -> F,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        let mut may_fetch = true;
        for _ in 0..limits::MAX_POLLS {
            match self.find(host.now(), may_fetch) {
                MetadataLookup::Known(metadata) => return Ok(metadata),
                MetadataLookup::Unavailable(error) => return Err(error),
                MetadataLookup::Wait => host.sleep(limits::FETCH_POLL_MS).await,
                MetadataLookup::Fetch(permit) => {
                    fetch(permit).await;
                    may_fetch = false;
                }
            }
        }
        Err(DiscoveryError::Unreachable)
    }

    /// The metadata, or how to come by it. `may_fetch` is false once this request has fetched.
    pub(crate) fn find(self: &Arc<Self>, now: UnixTime, may_fetch: bool) -> MetadataLookup {
        let number = self.state.with(|state| {
            let held = state.held.as_ref().filter(|(_, at)| may_serve_stale(*at, now));
            let is_fresh = !state.is_outdated && held.is_some_and(|(_, at)| age_s(*at, now) < limits::DISCOVERY_FRESH_S);
            let may_fetch = may_fetch && state.flight.may_begin(now);
            match held {
                // Fetching failed, or is under way: the last good document serves.
                Some((metadata, _)) if is_fresh || !may_fetch => Err(MetadataLookup::Known(Arc::clone(metadata))),
                _ if may_fetch => Ok(state.flight.begin(now)),
                _ if state.flight.is_leased(now) => Err(MetadataLookup::Wait),
                _ => Err(MetadataLookup::Unavailable(state.last_error)),
            }
        });
        match number {
            Ok(number) => MetadataLookup::Fetch(MetadataPermit { cache: Arc::clone(self), number }),
            Err(known) => known,
        }
    }

    /// Notes that something the document names has failed, so that the document is fetched again when it is next needed.
    pub(crate) fn mark_outdated(&self) {
        self.state.with(|state| state.is_outdated = true);
    }

    /// Notes that a login cannot use the document: it is fetched again after a pause.
    #[cfg(feature = "gateway")]
    pub(crate) fn reject(&self, now: UnixTime) {
        self.state.with(|state| {
            if !state.is_outdated {
                (state.is_outdated, state.is_rejected) = (true, true);
                state.flight.failed(None, now);
            }
        });
    }

    /// Notes that a login can use the document.
    #[cfg(feature = "gateway")]
    pub(crate) fn accept(&self) {
        self.state.with(|state| {
            if state.is_rejected {
                state.is_rejected = false;
                state.flight.succeeded();
            }
        });
    }
}

impl MetadataPermit {
    /// Fetches the document and files the outcome.
    pub(crate) async fn run(self, host: &impl Host) {
        let openid = [self.cache.issuer.trim_end_matches('/'), "/.well-known/openid-configuration"];
        let mut answer = self.get(concat(&openid), host).await;
        if answer.as_ref().is_ok_and(|answer| answer.status == 404) {
            answer = self.get(oauth_metadata_url(&self.cache.issuer), host).await;
        }
        let retry_after_s = answer.as_ref().ok().and_then(Incoming::retry_after_s);
        let read = Metadata::read(&self.cache.issuer, answer).map(Arc::new);
        let now = host.now();
        self.cache.state.with(|state| {
            state.flight.release(self.number);
            match read {
                Ok(metadata) => {
                    if !state.is_rejected {
                        state.flight.succeeded();
                    }
                    state.held = Some((metadata, now));
                    state.is_outdated = false;
                }
                Err(error) => {
                    state.flight.failed(retry_after_s, now);
                    state.last_error = error;
                }
            }
        });
    }

    /// Sends a GET; once more, at once, if the network failed. The others rely on the second try for another lease.
    async fn get(&self, url: String, host: &impl Host) -> Result<Incoming, Unreachable> {
        match host.send(Outgoing::get(url.clone())).await {
            Err(Unreachable::Network) => {
                let now = host.now();
                self.cache.state.with(|state| state.flight.extend(self.number, now));
                host.send(Outgoing::get(url)).await
            }
            answer => answer,
        }
    }
}

fn age_s(since: UnixTime, now: UnixTime) -> i64 {
    now.secs().saturating_sub(since.secs())
}

/// Whether what was good at `since` may serve while nothing newer can be had: for a day, and never if the clock went back.
pub(crate) fn may_serve_stale(since: UnixTime, now: UnixTime) -> bool {
    (0..limits::JWKS_STALE_ON_ERROR_S).contains(&age_s(since, now))
}

/// Where RFC 8414 §3 has the document: between host and path of the issuer.
fn oauth_metadata_url(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    // The third slash ends the host.
    let slashes = issuer.bytes().enumerate().filter(|&(_, byte)| byte == b'/');
    let path_from = slashes.map(|(at, _)| at).nth(2).unwrap_or(issuer.len());
    let (origin, path) = issuer.split_at_checked(path_from).unwrap_or((issuer, ""));
    concat(&[origin, "/.well-known/oauth-authorization-server", path])
}
