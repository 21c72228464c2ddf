//! The issuer's metadata: its discovery document (OpenID Connect Discovery §4, RFC 8414), fetched once and shared.
//!
//! Keys and logins use the same document and cache. Of concurrent requests that need the document, one fetches it; a failure is
//! followed by a pause; the last good document is used for up to a day while the issuer is unreachable.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use crate::host::{Host, Level, get_json};
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable, described, retry_after_s, status_of};
use crate::json::{Document, Object, Value, quote, without_byte_order_mark};
use crate::limits;
use crate::shared::Shared;
use crate::single_flight::SingleFlight;
use crate::text::concat;
use crate::url::{self, split_tenant};

/// Why an issuer's metadata is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The document could not be fetched.
    Unreachable,
    /// The document is not JSON, or lacks an acceptable URL.
    Invalid,
    /// The document names another issuer.
    IssuerMismatch,
    /// The document names no issuer.
    IssuerMissing,
}

impl DiscoveryError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "discovery_unreachable",
            Self::Invalid => "discovery_invalid",
            Self::IssuerMismatch | Self::IssuerMissing => "discovery_issuer_mismatch",
        }
    }

    /// Returns the error message.
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

/// A discovery document that names the issuer it was requested for.
#[derive(Debug)]
pub(crate) struct Metadata {
    issuer: String,
    http_hosts: Arc<[String]>,
    document: Document,
}

/// Why there is no metadata, and what is wrong with the document, if there is one.
type Refused = (DiscoveryError, Option<Arc<str>>);

impl Metadata {
    fn read(cache: &MetadataCache, response: Result<Incoming, Unreachable>) -> Result<Self, Refused> {
        let issuer = &cache.issuer;
        let refused = |error, reason: &str| (error, Some(reason.into()));
        let response =
            response.ok().filter(|response| response.status == 200).ok_or((DiscoveryError::Unreachable, None))?;
        if response.body.len() > limits::MAX_KEY_SET_BYTES {
            return Err(refused(DiscoveryError::Invalid, "document is too large"));
        }
        let text = without_byte_order_mark(&response.body).to_vec();
        let document = Document::parse(text, limits::MAX_CLAIMS_DEPTH)
            .map_err(|_| refused(DiscoveryError::Invalid, "document is not a strict JSON object"))?;
        // OpenID Connect Discovery §4.3, RFC 8414 §3.3: exactly the issuer that it was requested for.
        match document.root().get("issuer") {
            Some(Value::String(named)) if named == issuer => {
                Ok(Self { issuer: issuer.clone(), http_hosts: Arc::clone(&cache.http_hosts), document })
            }
            Some(Value::String(named)) => {
                // Quoted: it may hold anything.
                let named: String = named.chars().take(limits::MAX_SHOWN_VALUE_BYTES).collect();
                Err(refused(DiscoveryError::IssuerMismatch, &concat(&["document names the issuer ", &quote(&named)])))
            }
            _ => Err(refused(DiscoveryError::IssuerMissing, "document names no issuer")),
        }
    }

    /// Returns the document's members.
    #[cfg(feature = "gateway")]
    pub(crate) fn root(&self) -> Object<'_> {
        self.document.root()
    }

    /// Returns the member `name` if it is a URL that may serve keys and receive codes, secrets and tokens: https, or http on loopback
    /// if the issuer is there, too, or on a host that the configuration allows.
    pub(crate) fn url(&self, name: &str) -> Option<&str> {
        let root: Object<'_> = self.document.root();
        root.get(name).and_then(Value::as_str).filter(|uri| url::may_serve_keys(uri, &self.issuer, &self.http_hosts))
    }

    /// Returns the URL of an endpoint for clients with a certificate (RFC 8705 §5), if it has one of its own.
    #[cfg(feature = "gateway")]
    pub(crate) fn mtls_url(&self, name: &str) -> Option<&str> {
        let aliases = self.document.root().get("mtls_endpoint_aliases")?.as_object()?;
        let uri = aliases.get(name).and_then(Value::as_str);
        uri.filter(|uri| url::may_serve_keys(uri, &self.issuer, &self.http_hosts))
    }
}

/// One issuer's metadata, fetched when needed and kept current.
#[derive(Debug)]
pub(crate) struct MetadataCache {
    issuer: String,
    /// Hosts that the document may name with http.
    http_hosts: Arc<[String]>,
    state: Shared<State>,
}

#[derive(Debug)]
struct State {
    held: Option<(Arc<Metadata>, UnixTime)>,
    /// Whether a URL in it has failed: a newer document may name another one.
    is_outdated: bool,
    /// Whether a login could not use it: until one can, pauses between fetches grow as they do after failures.
    is_rejected: bool,
    flight: SingleFlight,
    last_error: Refused,
}

/// The result of [`MetadataCache::find`].
#[derive(Debug)]
pub(crate) enum MetadataLookup {
    Cached(Arc<Metadata>),
    /// Run this, then look up again.
    Fetch(MetadataPermit),
    /// Another request is fetching. Look up again after [`limits::FETCH_POLL_MS`].
    Wait,
    /// There is no document, and it is too early to fetch again.
    Unavailable(DiscoveryError),
}

/// The right to fetch the document once. If dropped unused, it is available to the next request.
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
            last_error: (DiscoveryError::Unreachable, None),
        };
        Self { issuer, http_hosts: Arc::default(), state: Shared::new(state) }
    }

    /// Accepts http URLs on these hosts, each a host for any port, or a host and its port.
    pub(crate) fn allow_http(mut self, hosts: &[String]) -> Self {
        self.http_hosts = hosts.into();
        self
    }

    /// Returns the metadata, fetched with `fetch` if necessary: a job runs the permit, a request spawns a job. Of concurrent callers,
    /// one fetches and the others poll until the document is there.
    pub(crate) async fn get<F: Future<Output = ()>>(
        self: &Arc<Self>,
        host: &impl Host,
        fetch: impl Fn(MetadataPermit) -> F,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        let mut may_fetch = true;
        for _ in 0..limits::MAX_POLLS {
            match self.find(host.now(), may_fetch) {
                MetadataLookup::Cached(metadata) => return Ok(metadata),
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

    /// Looks up the metadata. `may_fetch` is false once this request has fetched.
    pub(crate) fn find(self: &Arc<Self>, now: UnixTime, may_fetch: bool) -> MetadataLookup {
        let number = self.state.with(|state| {
            let held = state.held.as_ref().filter(|(_, at)| may_serve_stale(*at, now));
            let is_fresh =
                !state.is_outdated && held.is_some_and(|(_, at)| age_s(*at, now) < limits::DISCOVERY_FRESH_S);
            let may_fetch = may_fetch && state.flight.may_begin(now);
            match held {
                // Fetching failed or is under way: the last good document is used.
                Some((metadata, _)) if is_fresh || !may_fetch => Err(MetadataLookup::Cached(Arc::clone(metadata))),
                _ if may_fetch => Ok(state.flight.begin(now)),
                _ if state.flight.is_leased(now) => Err(MetadataLookup::Wait),
                _ => Err(MetadataLookup::Unavailable(state.last_error.0)),
            }
        });
        match number {
            Ok(number) => MetadataLookup::Fetch(MetadataPermit { cache: Arc::clone(self), number }),
            Err(lookup) => lookup,
        }
    }

    /// Returns what was wrong with the last document that was refused.
    pub(crate) fn last_reason(&self) -> Option<Arc<str>> {
        self.state.with(|state| state.last_error.1.clone())
    }

    /// Records that a URL in the document has failed: the document is fetched again when it is next needed.
    pub(crate) fn mark_outdated(&self) {
        self.state.with(|state| state.is_outdated = true);
    }

    /// Records that a login cannot use the document: it is fetched again after a pause.
    #[cfg(feature = "gateway")]
    pub(crate) fn reject(&self, now: UnixTime) {
        self.state.with(|state| {
            if !state.is_outdated {
                (state.is_outdated, state.is_rejected) = (true, true);
                state.flight.failed(None, now);
            }
        });
    }

    /// Returns for how long the document is not requested after a failure, in seconds.
    pub(crate) fn pause_s(&self, now: UnixTime) -> i64 {
        self.state.with(|state| state.flight.retry_at().secs().saturating_sub(now.secs()))
    }

    /// Records that a login can use the document.
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

fn discovery_request(url: String) -> Outgoing {
    Outgoing { max_body_bytes: limits::MAX_KEY_SET_BYTES, ..Outgoing::get(url) }
}

impl MetadataPermit {
    /// Fetches the document and stores the outcome.
    pub(crate) async fn run(self, host: &impl Host) {
        let issuer = common_issuer(&self.cache.issuer);
        let openid = [issuer.trim_end_matches('/'), "/.well-known/openid-configuration"];
        // The other requests wait for a second attempt for another lease.
        let extend_lease = || {
            let now = host.now();
            self.cache.state.with(|state| state.flight.extend(self.number, now));
        };
        let mut url = concat(&openid);
        let mut response = get_json(host, discovery_request(url.clone()), extend_lease).await;
        if status_of(&response) == 404 {
            url = oauth_metadata_url(&issuer);
            response = get_json(host, discovery_request(url.clone()), extend_lease).await;
        }
        let outcome = described(&url, status_of(&response));
        let retry_after_s = retry_after_s(&response, host.now());
        let read = Metadata::read(&self.cache, response).map(Arc::new);
        if let Err((error, reason)) = &read {
            // As requests for keys report it.
            let code = if *error == DiscoveryError::IssuerMissing { DiscoveryError::Invalid } else { *error }.code();
            let reason = reason.as_deref().unwrap_or(error.message());
            host.log(Level::Warning, &concat(&[code, ": ", &outcome, "; ", reason]));
        }
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
}

fn age_s(since: UnixTime, now: UnixTime) -> i64 {
    now.secs().saturating_sub(since.secs())
}

/// Returns whether data from `since` may be used while nothing newer is available: for a day, and not if the clock went back.
pub(crate) fn may_serve_stale(since: UnixTime, now: UnixTime) -> bool {
    (0..limits::JWKS_STALE_ON_ERROR_S).contains(&age_s(since, now))
}

/// Returns the issuer at whose URL the metadata is: of all tenants together, under `common`. That document names `{tenantid}` in its
/// issuer.
fn common_issuer(issuer: &str) -> String {
    split_tenant(issuer).map_or_else(|| issuer.into(), |(before, after)| concat(&[before, "common", after]))
}

/// Returns the URL of RFC 8414 §3.1: the well-known path goes between the issuer's host and path.
fn oauth_metadata_url(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    // The third slash ends the host.
    let slashes = issuer.bytes().enumerate().filter(|&(_, byte)| byte == b'/');
    let path_from = slashes.map(|(at, _)| at).nth(2).unwrap_or(issuer.len());
    let (origin, path) = issuer.split_at_checked(path_from).unwrap_or((issuer, ""));
    concat(&[origin, "/.well-known/oauth-authorization-server", path])
}
