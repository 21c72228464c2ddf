//! A host without a network: a clock that the test moves, and an issuer in memory.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use serde_json::json;

use super::{Issuer, SigningKey, sign_on_request, text_of};
use crate::host::{Host, Level, SignError, SignRequest, Spawn};
use crate::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use crate::jwk::KeyJob;
use crate::shared::Shared;
use crate::text::concat;

/// A [`Host`] with a clock that the test moves, whose only network is an [`Issuer`].
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::jwk::{KeyCache, KeySource};
/// use edgeward::jwt::{Algorithm, Policy};
/// use edgeward::testing::{Issuer, TestHost};
/// use edgeward::Verifier;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = TestHost::new(Issuer::new("https://issuer.example.com/"), UnixTime::from_secs(1_800_000_000));
/// let issuer = host.issuer();
/// let policy = Policy::access_token(issuer.url(), ["https://api.example.com"], &[Algorithm::Rs256])?;
/// let verifier = Verifier::new(policy, KeyCache::new(issuer.url(), KeySource::Discovery));
/// let token = issuer.access_token("https://api.example.com", host.time()).sign();
///
/// host.set_down(true);
/// assert!(host.run(verifier.verify(&token, &host)).is_err(), "no keys yet");
/// host.set_down(false);
/// host.advance(60);
/// assert!(host.run(verifier.verify(&token, &host)).is_ok());
/// host.advance(600);
/// assert!(host.run(verifier.verify(&token, &host)).is_err(), "expired");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestHost(pub(super) Shared<State>);

pub(super) struct State {
    pub(super) issuer: Issuer,
    pub(super) now_ms: i64,
    pub(super) is_down: bool,
    requests: Vec<String>,
    log: Vec<String>,
    /// How often random bytes were asked for.
    #[cfg(feature = "gateway")]
    pub(super) drawn: u64,
    #[cfg(feature = "gateway")]
    pub(super) logins: super::sign_in::Logins,
    #[cfg(feature = "gateway")]
    pub(super) records: crate::oidc::SharedRecords,
    /// The body of the next request that is read.
    #[cfg(feature = "gateway")]
    pub(super) body: Option<Vec<u8>>,
}

impl fmt::Debug for State {
    /// Omits requests and logins: they hold codes and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("issuer", &self.issuer).field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

impl TestHost {
    /// Creates a host whose network consists of this issuer.
    #[must_use]
    pub fn new(issuer: Issuer, now: UnixTime) -> Self {
        Self(Shared::new(State {
            issuer,
            now_ms: now.millis(),
            is_down: false,
            requests: Vec::new(),
            log: Vec::new(),
            #[cfg(feature = "gateway")]
            drawn: 0,
            #[cfg(feature = "gateway")]
            logins: super::sign_in::Logins::default(),
            #[cfg(feature = "gateway")]
            records: crate::oidc::SharedRecords::default(),
            #[cfg(feature = "gateway")]
            body: None,
        }))
    }

    /// Returns the issuer as it is now, to sign tokens with.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        self.0.with(|state| state.issuer.clone())
    }

    /// Lets the issuer sign with another key; see [`Issuer::rotate`].
    pub fn rotate(&self, key: SigningKey) {
        self.0.with(|state| state.issuer.rotate(key));
    }

    /// Withdraws the issuer's earlier keys; see [`Issuer::withdraw`].
    pub fn withdraw(&self) {
        self.0.with(|state| state.issuer.withdraw());
    }

    /// Sets whether all requests fail, as in an outage of the network.
    pub fn set_down(&self, is_down: bool) {
        self.0.with(|state| state.is_down = is_down);
    }

    /// Moves the clock, forward or back.
    pub fn advance(&self, secs: i64) {
        self.0.with(|state| state.now_ms = state.now_ms.saturating_add(secs.saturating_mul(1000)));
    }

    /// Returns the time.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.0.with(|state| UnixTime::from_millis(state.now_ms))
    }

    /// Returns the URLs requested so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.0.with(|state| state.requests.clone())
    }

    /// Returns the lines logged so far.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.0.with(|state| state.log.clone())
    }

    /// Runs a flow on this host to its end.
    ///
    /// # Panics
    /// If the flow waits for something other than this host.
    pub fn run<F: Future>(&self, flow: F) -> F::Output {
        let output = match pin!(flow).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        };
        output.expect("a flow that waits for this host only")
    }
}

impl State {
    fn respond(&mut self, request: &Outgoing) -> Incoming {
        let metadata = self.issuer.metadata();
        let endpoint = |name: &str| metadata.get(name).and_then(serde_json::Value::as_str) == Some(&request.url);
        let discovery = concat(&[self.issuer.base(), "/.well-known/openid-configuration"]);
        match request.method {
            "GET" if request.url == discovery => json_response(text_of(&metadata)),
            "GET" if endpoint("jwks_uri") => json_response(self.issuer.jwks()),
            #[cfg(feature = "gateway")]
            "POST" if endpoint("token_endpoint") => self.token(request.body.as_deref().unwrap_or_default()),
            _ => Incoming { status: 404, ..Incoming::default() },
        }
    }
}

impl Issuer {
    /// Returns the URL without its trailing slash.
    fn base(&self) -> &str {
        self.url.strip_suffix('/').unwrap_or(&self.url)
    }

    /// Returns the discovery document (OpenID Connect Discovery §3), with the endpoints of Auth0.
    fn metadata(&self) -> serde_json::Value {
        let at = |path: &str| concat(&[self.base(), path]);
        json!({
            "issuer": self.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/oauth/token"),
            "jwks_uri": at("/.well-known/jwks.json"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}

pub(super) fn json_response(body: String) -> Incoming {
    Incoming {
        status: 200,
        content_type: Some("application/json".into()),
        body: body.into_bytes(),
        ..Incoming::default()
    }
}

impl Host for TestHost {
    fn now(&self) -> UnixTime {
        self.time()
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        self.0.with(|state| {
            state.requests.push(request.url.clone());
            if state.is_down { Err(Unreachable::Network) } else { Ok(state.respond(&request)) }
        })
    }

    async fn sleep(&self, millis: u32) {
        self.0.with(|state| state.now_ms = state.now_ms.saturating_add(millis.into()));
    }

    async fn edge_get(&self, _key: String) -> Option<Vec<u8>> {
        None
    }

    async fn edge_put(&self, _entry: EdgeEntry) {}

    async fn sign(&self, request: SignRequest) -> Result<Vec<u8>, SignError> {
        sign_on_request(&request)
    }

    fn log(&self, _level: Level, line: &dyn fmt::Display) {
        let line = line.to_string();
        self.0.with(|state| state.log.push(line));
    }
}

impl Spawn<KeyJob> for TestHost {
    /// Runs the job to its end: the caller may drop the future.
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        self.run(job.run(self));
        core::future::ready(())
    }
}
