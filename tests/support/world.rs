//! A verifier on a virtual host. Every request is recorded and bounded.

// The core's unit tests include this file, and the core has no prelude of std.
use std::string::String;
use std::vec::Vec;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Mutex;

use edgeward::host::Host as _;
use edgeward::io::{Incoming, UnixTime};
use edgeward::jwk::{KeyCache, KeySource};
use edgeward::jwt::{Access, VerifiedToken};
use edgeward::{VerificationError, Verifier, limits};
use serde_json::Value;

use super::host::{Jobs, VirtualHost};
use super::{ISSUER, Mint, NOW, TestKey, access_policy, key_a, set_text};

pub const JWKS_URI: &str = "https://tenant.example.com/jwks";

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused(&'static str),
    Unavailable { code: &'static str, retry_after_s: u32 },
}

impl From<&Result<VerifiedToken<Access>, VerificationError>> for Verdict {
    fn from(result: &Result<VerifiedToken<Access>, VerificationError>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(VerificationError::Refused(error)) => Self::Refused(error.code()),
            Err(VerificationError::Unavailable(why)) => unavailable(why.error.code(), why.retry_after_s),
        }
    }
}

pub fn unavailable(code: &'static str, retry_after_s: u32) -> Verdict {
    Verdict::Unavailable { code, retry_after_s }
}

/// A verifier on its own host.
pub struct World {
    pub verifier: Verifier,
    pub host: VirtualHost,
}

impl Deref for World {
    type Target = VirtualHost;

    fn deref(&self) -> &VirtualHost {
        &self.host
    }
}

impl World {
    /// Creates a verifier for one issuer with keys at [`JWKS_URI`].
    pub fn new() -> Self {
        Self::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()))))
    }

    pub fn with(verifier: Verifier) -> Self {
        Self { verifier, host: VirtualHost::default() }
    }

    /// Creates a verifier whose issuer publishes these keys.
    pub fn publishing<const N: usize>(keys: [&'static TestKey; N]) -> Self {
        let world = Self::new();
        world.publish(keys);
        world
    }

    pub fn publish<const N: usize>(&self, keys: [&'static TestKey; N]) {
        self.answer(JWKS_URI, json(&set_text(keys.map(TestKey::jwk))));
    }

    pub fn take_down(&self) {
        self.host.take_down(JWKS_URI);
    }

    pub fn now(&self) -> UnixTime {
        self.host.now()
    }

    /// Sets whether a refresh that is not awaited runs or is dropped.
    pub fn run_background(&self, runs: bool) {
        self.jobs(if runs { Jobs::Run } else { Jobs::RunAwaited });
    }

    /// What a request gets, and what it causes.
    pub fn result(&self, token: &str) -> Result<VerifiedToken<Access>, VerificationError> {
        let (sent, stored, elapsed_ms) = (self.seen().sent.len(), self.seen().edge_stored.len(), self.elapsed_ms());
        let result = self.host.run(self.verifier.verify(token, &self.host));
        let seen = self.seen();
        for sent in &seen.sent[sent..] {
            let request = &sent.request;
            assert_eq!((request.method, &request.body), ("GET", &None));
            let accept = "application/json, application/jwk-set+json";
            let [("accept", accepted), ("user-agent", user_agent)] = request.headers.as_slice() else { panic!() };
            // The version is that of the core, not of the tests' package.
            assert!(accepted == accept && user_agent.starts_with("edgeward/0."), "{accepted}, {user_agent}");
            assert_eq!(request.timeout_ms, limits::FETCH_TIMEOUT_MS);
            assert_eq!(request.max_body_bytes, limits::MAX_KEY_SET_BYTES, "{}", request.url);
        }
        // A fetch asks for two discovery documents and a key set at most, each once.
        let asked = seen.sent[sent..].iter().filter(|sent| !sent.is_repeated).count();
        assert!(asked <= 3 * usize::from(limits::MAX_FETCHES_PER_REQUEST), "{asked} questions");
        for entry in &seen.edge_stored[stored..] {
            assert_eq!(entry.max_age_s, limits::JWKS_STALE_ON_ERROR_S);
        }
        // If replies take no time, no request waits longer than the lease of another.
        assert!(self.elapsed_ms() - elapsed_ms <= limits::FETCH_LEASE_MS);
        result
    }

    pub fn request(&self, token: &str) -> Verdict {
        (&self.result(token)).into()
    }

    /// A request that may take its time.
    pub async fn verdict(&self, token: &str) -> Verdict {
        (&self.verifier.verify(token, &self.host).await).into()
    }

    /// Verifies a token without waiting.
    pub fn request_now(&self, token: &str) -> Option<Verdict> {
        self.verifier.verify_now(token, &self.host).map(|result| (&result).into())
    }

    /// Returns the number of requests to the provider so far.
    pub fn asked(&self) -> usize {
        self.seen().asked().len()
    }

    /// Returns the URLs requested so far.
    pub fn urls(&self) -> Vec<String> {
        self.seen().asked().into_iter().map(|(url, _)| url).collect()
    }

    /// Returns the times of the requests to the provider, in seconds since the start.
    pub fn asked_s(&self) -> Vec<i64> {
        self.seen().asked().iter().map(|(_, at)| at.secs() - NOW).collect()
    }
}

/// Returns a `200` with JSON.
pub fn json(body: &str) -> Incoming {
    Incoming {
        status: 200,
        content_type: Some("application/json".into()),
        body: body.as_bytes().to_vec(),
        ..Incoming::default()
    }
}

pub fn status(status: u16) -> Incoming {
    Incoming { status, ..json("{}") }
}

/// Returns a token that is valid throughout every test, signed once.
pub fn token(key: &'static TestKey) -> String {
    static SIGNED: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let sign = || Mint::access(key).claim("exp", NOW + 100 * 24 * 3600).text();
    SIGNED.lock().unwrap().entry(key.kid).or_insert_with(sign).clone()
}

/// Returns a token with this key id and an invalid signature.
pub fn token_with_kid(kid: impl Into<Value>) -> String {
    Mint::access(key_a()).header("kid", kid).with_signature(&[1; 256])
}

/// Returns the key ids in the first issuer's cache.
pub fn kids(world: &World) -> Vec<String> {
    let held = world.verifier.keys().next().unwrap().status().unwrap();
    held.kids.into_iter().flatten().collect()
}
