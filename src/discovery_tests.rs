//! The endpoints of a provider, with a virtual clock and a provider in memory: of many logins at once one fetches, failures pause,
//! and the last good document serves.

#![cfg(feature = "gateway")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    reason = "test code: a panic is a failure"
)]

use edgeward::io::{Incoming, UnixTime, Unreachable};
use edgeward::limits;
use edgeward::oidc::{Provider, ProviderCache, ProviderError, ProviderLookup, ProviderPermit};

const ISSUER: &str = "https://id.example.com";
const START_MS: i64 = 1_800_000_000_000;

type Reply = Result<Incoming, Unreachable>;

struct World {
    cache: ProviderCache,
    now_ms: i64,
    reply: Reply,
    /// When the provider was asked.
    asked_ms: Vec<i64>,
}

fn document() -> Incoming {
    let at = |path: &str| format!("\"{ISSUER}{path}\"");
    let body = format!(
        r#"{{"issuer":"{ISSUER}","authorization_endpoint":{},"token_endpoint":{}}}"#,
        at("/authorize"),
        at("/token")
    );
    Incoming { status: 200, content_type: Some("application/json".into()), body: body.into(), ..Incoming::default() }
}

fn status(status: u16) -> Incoming {
    Incoming { status, ..document() }
}

impl World {
    fn new(reply: Reply) -> Self {
        let cache = ProviderCache::discovering(ISSUER.into());
        Self { cache, now_ms: START_MS, reply, asked_ms: Vec::new() }
    }

    fn find(&mut self) -> ProviderLookup {
        self.cache.find(UnixTime::from_millis(self.now_ms), true)
    }

    fn permit(&mut self) -> ProviderPermit {
        let ProviderLookup::Fetch(permit) = self.find() else { panic!("there is no permit") };
        permit
    }

    fn store(&mut self, permit: ProviderPermit, reply: Reply) -> Option<ProviderPermit> {
        self.cache.store(permit, reply, UnixTime::from_millis(self.now_ms))
    }

    /// One login, driven as a shell does; its fetch takes no time.
    fn login(&mut self) -> Result<(), ProviderError> {
        let mut may_fetch = true;
        for _ in 0..2 + limits::DISCOVERY_LEASE_MS / i64::from(limits::FETCH_POLL_MS) {
            match self.cache.find(UnixTime::from_millis(self.now_ms), may_fetch) {
                ProviderLookup::Known(provider) => {
                    assert_eq!(provider.token_endpoint, "https://id.example.com/token");
                    return Ok(());
                }
                ProviderLookup::Unavailable(error) => return Err(error),
                ProviderLookup::Wait => self.now_ms += i64::from(limits::FETCH_POLL_MS),
                ProviderLookup::Fetch(permit) => {
                    let mut next = Some(permit);
                    while let Some(permit) = next {
                        assert_eq!(permit.request().url, "https://id.example.com/.well-known/openid-configuration");
                        self.asked_ms.push(self.now_ms - START_MS);
                        let reply = self.reply.clone();
                        next = self.store(permit, reply);
                    }
                    may_fetch = false;
                }
            }
        }
        panic!("a login of more rounds than a lease has");
    }
}

#[test]
fn of_a_hundred_cold_logins_one_fetches_and_all_go_on() {
    let mut world = World::new(Ok(document()));
    let permit = world.permit();
    for _ in 0..99 {
        assert!(matches!(world.find(), ProviderLookup::Wait));
        world.now_ms += 10;
    }
    assert!(world.store(permit, Ok(document())).is_none());
    for _ in 0..100 {
        assert_eq!(world.login(), Ok(()));
    }
    assert_eq!(world.asked_ms, []);
}

#[test]
fn a_fetch_that_never_comes_back_delays_others_by_one_lease() {
    let mut world = World::new(Ok(document()));
    drop(world.permit());
    world.now_ms += limits::DISCOVERY_LEASE_MS - 1;
    assert!(matches!(world.find(), ProviderLookup::Wait));
    world.now_ms += 1;
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.asked_ms, [limits::DISCOVERY_LEASE_MS]);
    assert!(limits::DISCOVERY_LEASE_MS < i64::from(limits::FETCH_TIMEOUT_MS), "before a hung connection is given up");
}

#[test]
fn a_failure_that_comes_late_does_not_end_the_wait_for_the_newer_fetch() {
    let mut world = World::new(Ok(document()));
    let hung = world.permit();
    world.now_ms += limits::DISCOVERY_LEASE_MS;
    let second = world.permit();
    world.now_ms += 100;
    assert!(world.store(hung, Err(Unreachable::GivenUp)).is_none());
    assert!(matches!(world.find(), ProviderLookup::Wait));
    assert!(world.store(second, Ok(document())).is_none());
    assert_eq!(world.login(), Ok(()));
}

#[test]
fn a_network_error_is_answered_by_asking_once_more_at_once() {
    let mut world = World::new(Ok(document()));
    let permit = world.permit();
    world.now_ms += limits::DISCOVERY_LEASE_MS - 1;
    let again = world.store(permit, Err(Unreachable::Network)).unwrap();
    assert_eq!(again.request().url, "https://id.example.com/.well-known/openid-configuration");
    world.now_ms += limits::DISCOVERY_LEASE_MS - 1;
    assert!(matches!(world.find(), ProviderLookup::Wait), "the second try has a lease of its own");
    assert!(world.store(again, Ok(document())).is_none());
    assert_eq!(world.login(), Ok(()));

    let mut world = World::new(Err(Unreachable::Network));
    assert_eq!(world.login(), Err(ProviderError::Unreachable));
    assert_eq!(world.asked_ms, [0, 0]);
    for reply in [Err(Unreachable::GivenUp), Ok(status(500)), Ok(status(404)), Ok(status(302))] {
        let mut world = World::new(reply);
        assert_eq!(world.login(), Err(ProviderError::Unreachable));
        assert_eq!(world.asked_ms, [0], "nothing else is");
    }
}

#[test]
fn pauses_after_failures_double_up_to_thirty_seconds() {
    let mut world = World::new(Ok(status(500)));
    for _ in 0..1300 {
        assert_eq!(world.login(), Err(ProviderError::Unreachable));
        world.now_ms += 100;
    }
    assert_eq!(world.asked_ms, [0, 1, 3, 7, 15, 31, 61, 91, 121].map(|second| second * 1000));
    world.reply = Ok(document());
    world.now_ms += limits::FETCH_BACKOFF_MAX_S * 1000;
    assert_eq!(world.login(), Ok(()));
}

#[test]
fn a_pause_that_the_provider_asks_for_is_kept_up_to_five_minutes() {
    for (said, pause_s) in [("120", 120), ("86400", 300), ("soon", 1)] {
        let mut world = World::new(Ok(Incoming { retry_after: Some(said.into()), ..status(503) }));
        assert!(world.login().is_err());
        world.reply = Ok(document());
        world.now_ms += pause_s * 1000 - 1;
        assert!(world.login().is_err(), "{said}");
        world.now_ms += 1;
        assert_eq!(world.login(), Ok(()), "{said}");
    }
}

#[test]
fn while_one_login_refreshes_a_stale_document_the_others_use_it() {
    let mut world = World::new(Ok(document()));
    assert_eq!(world.login(), Ok(()));
    world.now_ms += limits::DISCOVERY_FRESH_S * 1000 - 1;
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.asked_ms, [0]);
    world.now_ms += 1;
    let permit = world.permit();
    for _ in 0..100 {
        assert!(matches!(world.find(), ProviderLookup::Known(_)));
    }
    // If that fails, it serves them all, for up to a day.
    assert!(world.store(permit, Ok(status(500))).is_none());
    world.reply = Ok(status(500));
    for _ in 0..100 {
        assert_eq!(world.login(), Ok(()));
    }
    assert_eq!(world.asked_ms, [0]);
    world.now_ms = START_MS + limits::JWKS_STALE_ON_ERROR_S * 1000;
    assert_eq!(world.login(), Err(ProviderError::Unreachable));
}

#[test]
fn a_clock_that_goes_back_holds_nobody_up() {
    const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;
    for reply in [Ok(document()), Ok(status(500)), Err(Unreachable::Network)] {
        // A lease, a pause and a document of the future.
        let mut world = World::new(reply.clone());
        drop(world.permit());
        world.now_ms -= YEAR_MS;
        world.reply = Ok(document());
        assert_eq!(world.login(), Ok(()));

        let mut world = World::new(reply);
        let _ = world.login();
        world.now_ms -= YEAR_MS;
        world.reply = Ok(document());
        assert_eq!(world.login(), Ok(()));
        world.now_ms += YEAR_MS;
        assert_eq!(world.login(), Ok(()));
    }
}

#[test]
fn one_login_fetches_once_whatever_the_clock_does() {
    let mut world = World::new(Ok(status(500)));
    let permit = world.permit();
    assert!(world.store(permit, Ok(status(500))).is_none());
    world.now_ms += 1_000_000;
    let found = world.cache.find(UnixTime::from_millis(world.now_ms), false);
    assert!(matches!(found, ProviderLookup::Unavailable(ProviderError::Unreachable)));
}

#[test]
fn fixed_endpoints_are_never_fetched() {
    let mut cache = ProviderCache::fixed(Provider::auth0("https://tenant.us.auth0.com/"));
    for now_ms in [0, START_MS, i64::MAX, i64::MIN] {
        assert!(matches!(cache.find(UnixTime::from_millis(now_ms), true), ProviderLookup::Known(_)));
    }
}
