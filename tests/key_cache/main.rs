//! Proves the key cache and the verifier around it, with a virtual clock and a provider and an edge cache in memory.
//!
//! Every request is driven as a shell drives it, with a bound on its rounds; every question to the provider is counted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

mod discovery;
mod edge;
mod fetching;
mod permits;
mod retry;
mod sharing;
#[path = "../support/mod.rs"]
mod support;
mod time;
mod verified_tokens;

use std::collections::BTreeMap;
use std::sync::Mutex;

use edgeward::io::{Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::{Answer, Ask, Fetched, KeyCache, KeySource, Permit, Progress};
use edgeward::limits;
use edgeward::{Check, Refresh, Verifier};
use serde_json::Value;
use support::{ISSUER, Mint, NOW, TestKey, access_policy, set_text};

const JWKS_URI: &str = "https://tenant.example.com/jwks";

/// As many rounds as any request may take: a look before each of two fetches from the edge or the provider, the verdict, and
/// looks at another request's fetch until its lease ends.
const MOST_ROUNDS: i64 = 5 + limits::FETCH_LEASE_MS / limits::FETCH_POLL_MS as i64;

/// What one request got.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused(&'static str),
    Unavailable { code: &'static str, retry_after_s: u32 },
}

/// Whether a provider answered, and how.
type Reply = Result<Incoming, Unreachable>;

/// The verifier under test, and the world as it sees it.
struct World {
    verifier: Verifier,
    now: UnixTime,
    /// What the provider answers, by URL; 404 for the rest.
    provider: BTreeMap<String, Reply>,
    /// The next requests, by URL, meet these instead of the provider, the last one first.
    faults: BTreeMap<String, Vec<Unreachable>>,
    /// The URLs asked for, and when; not those that are asked for once more, at once, after a network error.
    requests: Vec<(String, UnixTime)>,
    /// Every URL asked for.
    sent: Vec<String>,
    /// What was asked for last, and when, if a network error came of it at the first try.
    broken_off: Option<(String, UnixTime)>,
    edge: BTreeMap<String, Vec<u8>>,
    /// Whether what the verifier wants done after the answer is done.
    runs_background: bool,
}

impl World {
    /// A verifier of one issuer whose keys are at [`JWKS_URI`].
    fn new() -> Self {
        Self::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()))))
    }

    fn with(verifier: Verifier) -> Self {
        Self {
            verifier,
            now: UnixTime::from_secs(NOW),
            provider: BTreeMap::new(),
            faults: BTreeMap::new(),
            requests: Vec::new(),
            sent: Vec::new(),
            broken_off: None,
            edge: BTreeMap::new(),
            runs_background: true,
        }
    }

    /// A world whose provider publishes these keys.
    fn publishing<const N: usize>(keys: [&'static TestKey; N]) -> Self {
        let mut world = Self::new();
        world.publish(keys);
        world
    }

    fn publish<const N: usize>(&mut self, keys: [&'static TestKey; N]) {
        self.answer(JWKS_URI, json(&set_text(keys.map(TestKey::jwk))));
    }

    fn answer(&mut self, url: &str, incoming: Incoming) {
        self.provider.insert(url.into(), Ok(incoming));
    }

    fn take_down(&mut self) {
        self.provider.values_mut().for_each(|reply| *reply = Err(Unreachable::Network));
        self.provider.entry(JWKS_URI.into()).or_insert(Err(Unreachable::Network));
    }

    fn sleep_s(&mut self, seconds: i64) {
        self.sleep_ms(seconds * 1000);
    }

    fn sleep_ms(&mut self, millis: i64) {
        self.now = UnixTime::from_millis(self.now.millis() + millis);
    }

    fn send(&mut self, request: &Outgoing) -> Reply {
        assert_eq!((request.method, &request.body), ("GET", &None));
        assert_eq!(request.headers, [("accept", "application/json".to_owned())]);
        assert_eq!(request.timeout_ms, limits::FETCH_TIMEOUT_MS);
        assert_eq!(request.max_body_bytes, limits::MAX_PROVIDER_BODY_BYTES);
        let not_found = Ok(Incoming { status: 404, ..Incoming::default() });
        let fault = self.faults.get_mut(&request.url).and_then(Vec::pop);
        let reply = fault.map_or_else(|| self.provider.get(&request.url).cloned().unwrap_or(not_found), Err);
        self.sent.push(request.url.clone());
        let asked = (request.url.clone(), self.now);
        if self.broken_off.take().as_ref() != Some(&asked) {
            self.broken_off = matches!(reply, Err(Unreachable::Network)).then(|| asked.clone());
            self.requests.push(asked);
        }
        reply
    }

    /// Does what a permit asks for, to the end.
    fn fetch(&mut self, mut permit: Permit) -> Fetched {
        // Edge cache, two discovery documents, key set; the last three twice, where the network fails once.
        for _ in 0..7 {
            let answer = match permit.ask() {
                Ask::Edge { key } => Answer::Edge(self.edge.get(&key).cloned()),
                Ask::Http(request) => Answer::Http(self.send(&request)),
            };
            match permit.answer(answer, self.now) {
                Progress::Again(next) => permit = next,
                Progress::Finished(fetched) => return fetched,
            }
        }
        panic!("a fetch of more than seven steps");
    }

    /// Runs a refresh and stores its outcome; whether the provider was asked.
    fn refresh(&mut self, refresh: Refresh) -> bool {
        let issuer = refresh.issuer();
        let fetched = self.fetch(refresh.permit);
        if let Some(entry) = &fetched.edge {
            assert_eq!(entry.max_age_s, limits::JWKS_STALE_ON_ERROR_S);
            self.edge.insert(entry.key.clone(), entry.value.clone().into());
        }
        let asked = fetched.asked_provider();
        // The verifier notes a failure; the shell only logs it.
        let _ = self.verifier.store(issuer, fetched, self.now);
        asked
    }

    /// One request, driven as a shell does.
    fn request(&mut self, token: &str) -> Verdict {
        let mut fetches = 0;
        for _ in 0..MOST_ROUNDS {
            match self.verifier.check(token, self.now, fetches) {
                Check::Verified(_, refresh) => {
                    if let Some(refresh) = refresh.filter(|_| self.runs_background) {
                        self.refresh(refresh);
                    }
                    return Verdict::Accepted;
                }
                Check::Refused(error) => return Verdict::Refused(error.code()),
                Check::Fetch(refresh) => fetches += u8::from(self.refresh(refresh)),
                Check::Unavailable { error, retry_after_s } => {
                    return Verdict::Unavailable { code: error.code(), retry_after_s };
                }
                Check::Wait => self.sleep_ms(limits::FETCH_POLL_MS.into()),
            }
            assert!(fetches <= limits::MAX_FETCHES_PER_REQUEST);
        }
        panic!("a request of more than {MOST_ROUNDS} rounds");
    }

    /// The questions to the provider so far.
    fn asked(&self) -> usize {
        self.requests.len()
    }
}

/// A `200` with JSON.
fn json(body: &str) -> Incoming {
    Incoming {
        status: 200,
        content_type: Some("application/json".into()),
        body: body.as_bytes().to_vec(),
        ..Incoming::default()
    }
}

fn status(status: u16) -> Incoming {
    Incoming { status, ..json("{}") }
}

/// A token that outlives every test here, signed once.
fn token(key: &'static TestKey) -> String {
    static SIGNED: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let sign = || Mint::access(key).claim("exp", NOW + 100 * 24 * 3600).text();
    SIGNED.lock().unwrap().entry(key.kid).or_insert_with(sign).clone()
}

/// A token that names a key of this id, and that nobody signed.
fn token_with_kid(kid: impl Into<Value>) -> String {
    Mint::access(support::key_a()).header("kid", kid).with_signature(&[1; 256])
}

/// The names of the keys that the first issuer's cache holds.
fn kids(world: &World) -> Vec<String> {
    let held = world.verifier.keys().next().unwrap().status().unwrap();
    held.kids.into_iter().flatten().collect()
}

fn unavailable(code: &'static str, retry_after_s: u32) -> Verdict {
    Verdict::Unavailable { code, retry_after_s }
}
