//! An issuer's metadata, with a virtual clock and a provider in memory: of concurrent logins one fetches, failures are followed by
//! pauses, and the last good document is used.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use crate::discovery::{DiscoveryError, MetadataCache, MetadataLookup, MetadataPermit};
use crate::host::{Host as _, Spawn as _};
use crate::io::{Incoming, UnixTime, Unreachable};
use crate::jwk::{KeyCache, KeyJob, KeySource, KeysError};
use crate::limits;
use crate::support::host::{Delay, Reply, VirtualHost};
use crate::support::world::json;
use crate::support::{key_a, set_text};

const ISSUER: &str = "https://id.example.com";
const OPENID: &str = "https://id.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://id.example.com/.well-known/oauth-authorization-server";

struct World {
    cache: Arc<MetadataCache>,
    host: VirtualHost,
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
        let host = VirtualHost::default();
        host.reply(OPENID, reply);
        Self { cache: Arc::new(MetadataCache::new(ISSUER.into())), host }
    }

    fn find(&self) -> MetadataLookup {
        self.cache.find(self.host.now(), true)
    }

    fn permit(&self) -> MetadataPermit {
        let MetadataLookup::Fetch(permit) = self.find() else { panic!("there is no permit") };
        permit
    }

    /// Uses a permit; the provider sends this reply.
    fn fetch(&self, permit: MetadataPermit, reply: Reply) {
        self.host.reply_next(OPENID, [reply]);
        self.host.run(permit.run(&self.host));
    }

    /// One login; its fetch takes no time.
    fn login(&self) -> Result<(), DiscoveryError> {
        let before_ms = self.host.elapsed_ms();
        let found = self.host.run(self.cache.get(&self.host, |permit| permit.run(&self.host)));
        assert!(self.host.elapsed_ms() - before_ms <= limits::DISCOVERY_LEASE_MS, "longer than a lease");
        let found = found?;
        assert_eq!(found.url("token_endpoint"), Some("https://id.example.com/token"));
        Ok(())
    }

    /// When the provider was contacted, in milliseconds from the start.
    fn asked_ms(&self) -> Vec<i64> {
        let start = VirtualHost::default().now().millis();
        self.host.seen().sent.iter().map(|sent| sent.at.millis() - start).collect()
    }
}

#[test]
fn of_a_hundred_cold_logins_one_fetches_and_all_proceed() {
    let world = World::new(Ok(document()));
    let permit = world.permit();
    for _ in 0..99 {
        assert!(matches!(world.find(), MetadataLookup::Wait));
        world.host.sleep_ms(10);
    }
    world.fetch(permit, Ok(document()));
    for _ in 0..100 {
        assert_eq!(world.login(), Ok(()));
    }
    assert_eq!(world.asked_ms(), [990]);
}

#[test]
fn a_fetch_that_never_comes_back_delays_others_by_one_lease() {
    let world = World::new(Ok(document()));
    mem::forget(world.permit());
    world.host.sleep_ms(limits::DISCOVERY_LEASE_MS - 1);
    assert!(matches!(world.find(), MetadataLookup::Wait));
    world.host.sleep_ms(1);
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.asked_ms(), [limits::DISCOVERY_LEASE_MS]);
    assert!(limits::DISCOVERY_LEASE_MS < i64::from(limits::FETCH_TIMEOUT_MS), "before a hung connection times out");
}

#[test]
fn a_late_failure_does_not_end_the_wait_for_the_newer_fetch() {
    let world = World::new(Ok(document()));
    let hung = world.permit();
    world.host.sleep_ms(limits::DISCOVERY_LEASE_MS);
    let second = world.permit();
    world.host.sleep_ms(100);
    world.fetch(hung, Err(Unreachable::GivenUp));
    assert!(matches!(world.find(), MetadataLookup::Wait));
    world.fetch(second, Ok(document()));
    assert_eq!(world.login(), Ok(()));
}

#[test]
fn a_network_error_is_retried_once_at_once() {
    let world = World::new(Ok(document()));
    let permit = world.permit();
    world.host.reply_next(OPENID, [Err(Unreachable::Network)]);
    let almost_ms = limits::DISCOVERY_LEASE_MS - 1;
    world.host.delay_answers(OPENID, Delay::Millis(u32::try_from(almost_ms).unwrap()));
    let mut tasks = world.host.tasks();
    let fetch = tasks.start(permit.run(&world.host));
    tasks.elapse_ms(almost_ms);
    assert_eq!(world.asked_ms(), [0, almost_ms]);
    tasks.elapse_ms(almost_ms - 1);
    assert!(matches!(world.find(), MetadataLookup::Wait), "the retry has a lease of its own");
    tasks.elapse_ms(1);
    assert!(tasks.output(fetch).is_some());
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.host.seen().urls(), [OPENID, OPENID]);

    let world = World::new(Err(Unreachable::Network));
    assert_eq!(world.login(), Err(DiscoveryError::Unreachable));
    assert_eq!(world.asked_ms(), [0, 0]);
    for reply in [Err(Unreachable::GivenUp), Ok(status(500)), Ok(status(302))] {
        let world = World::new(reply);
        assert_eq!(world.login(), Err(DiscoveryError::Unreachable));
        assert_eq!(world.asked_ms(), [0], "nothing else is");
    }
    let world = World::new(Ok(status(404)));
    assert_eq!(world.login(), Err(DiscoveryError::Unreachable));
    assert_eq!(world.host.seen().urls(), [OPENID, OAUTH], "RFC 8414 has another place for it, which is asked once");
}

#[test]
fn pauses_after_failures_double_up_to_thirty_seconds() {
    let world = World::new(Ok(status(500)));
    for _ in 0..1300 {
        assert_eq!(world.login(), Err(DiscoveryError::Unreachable));
        world.host.sleep_ms(100);
    }
    assert_eq!(world.asked_ms(), [0, 1, 3, 7, 15, 31, 61, 91, 121].map(|second| second * 1000));
    world.host.reply(OPENID, Ok(document()));
    world.host.sleep_ms(limits::FETCH_BACKOFF_MAX_S * 1000);
    assert_eq!(world.login(), Ok(()));
}

#[test]
fn a_pause_that_the_provider_asks_for_is_honoured_up_to_five_minutes() {
    for (said, pause_s) in [("120", 120), ("86400", 300), ("soon", 1)] {
        let world = World::new(Ok(Incoming { retry_after: Some(said.into()), ..status(503) }));
        assert!(world.login().is_err());
        world.host.reply(OPENID, Ok(document()));
        world.host.sleep_ms(pause_s * 1000 - 1);
        assert!(world.login().is_err(), "{said}");
        world.host.sleep_ms(1);
        assert_eq!(world.login(), Ok(()), "{said}");
    }
}

#[test]
fn while_one_login_refreshes_a_stale_document_the_others_use_it() {
    let world = World::new(Ok(document()));
    assert_eq!(world.login(), Ok(()));
    world.host.sleep_ms(limits::DISCOVERY_FRESH_S * 1000 - 1);
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.asked_ms(), [0]);
    world.host.sleep_ms(1);
    let permit = world.permit();
    for _ in 0..100 {
        assert!(matches!(world.find(), MetadataLookup::Cached(_)));
    }
    // If that fails, all of them use it, for up to a day.
    world.fetch(permit, Ok(status(500)));
    world.host.reply(OPENID, Ok(status(500)));
    for _ in 0..100 {
        assert_eq!(world.login(), Ok(()));
    }
    assert_eq!(world.asked_ms(), [0, limits::DISCOVERY_FRESH_S * 1000]);
    world.host.set_clock(UnixTime::from_secs(crate::support::NOW + limits::JWKS_STALE_ON_ERROR_S));
    assert_eq!(world.login(), Err(DiscoveryError::Unreachable));
}

#[test]
fn a_clock_that_goes_back_delays_no_login() {
    const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;
    for reply in [Ok(document()), Ok(status(500)), Err(Unreachable::Network)] {
        // A lease, a pause and a document of the future.
        let world = World::new(reply.clone());
        mem::forget(world.permit());
        world.host.sleep_ms(-YEAR_MS);
        world.host.reply(OPENID, Ok(document()));
        assert_eq!(world.login(), Ok(()));

        let world = World::new(reply);
        let _ = world.login();
        world.host.sleep_ms(-YEAR_MS);
        world.host.reply(OPENID, Ok(document()));
        assert_eq!(world.login(), Ok(()));
        world.host.sleep_ms(YEAR_MS);
        assert_eq!(world.login(), Ok(()));
    }
}

#[test]
fn one_login_fetches_once_whatever_the_clock_does() {
    let world = World::new(Ok(status(500)));
    let permit = world.permit();
    world.fetch(permit, Ok(status(500)));
    world.host.sleep_ms(1_000_000);
    let found = world.cache.find(world.host.now(), false);
    assert!(matches!(found, MetadataLookup::Unavailable(DiscoveryError::Unreachable)));
}

#[test]
fn a_dropped_permit_goes_to_the_next_login() {
    let world = World::new(Ok(document()));
    for _ in 0..10 {
        let permit = world.permit();
        assert!(matches!(world.find(), MetadataLookup::Wait), "one at a time");
        drop(permit);
    }
    // One that is dropped late does not end the lease of another.
    let first = world.permit();
    world.host.sleep_ms(limits::DISCOVERY_LEASE_MS);
    let second = world.permit();
    drop(first);
    assert!(matches!(world.find(), MetadataLookup::Wait));
    drop(second);
    assert_eq!(world.login(), Ok(()));
}

#[test]
fn a_document_with_a_failed_url_is_fetched_again_and_used_until_then() {
    let world = World::new(Ok(document()));
    assert_eq!(world.login(), Ok(()));
    world.cache.mark_outdated();
    let permit = world.permit();
    assert!(matches!(world.find(), MetadataLookup::Cached(_)), "the others use it meanwhile");
    assert!(matches!(world.cache.find(world.host.now(), false), MetadataLookup::Cached(_)));
    world.fetch(permit, Ok(status(500)));
    assert!(matches!(world.find(), MetadataLookup::Cached(_)), "also while it cannot be fetched");
    world.host.sleep_s(1);
    assert_eq!(world.login(), Ok(()));
    assert!(matches!(world.find(), MetadataLookup::Cached(_)));
    assert_eq!(world.asked_ms(), [0, 0, 1000]);
}

const JWKS: &str = "https://id.example.com/jwks";

/// The keys of an issuer, its metadata, and a host on which the document names the keys.
fn keys_and_metadata() -> (Arc<KeyCache>, Arc<MetadataCache>, VirtualHost) {
    let keys = Arc::new(KeyCache::new(ISSUER, KeySource::Discovery));
    let metadata = Arc::clone(keys.metadata().unwrap());
    let host = VirtualHost::default();
    host.answer(OPENID, with_keys(JWKS));
    host.answer(JWKS, json(&set_text([key_a().jwk()])));
    (keys, metadata, host)
}

fn with_keys(uri: &str) -> Incoming {
    json(&format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{uri}","token_endpoint":"{ISSUER}/token"}}"#))
}

fn load(keys: &Arc<KeyCache>, host: &VirtualHost) {
    let permit = keys.preload_permit(host.now()).unwrap();
    host.run(host.spawn(KeyJob::load(permit)));
}

#[test]
fn keys_and_logins_share_one_document_in_either_order() {
    // The login.
    let (keys, metadata, host) = keys_and_metadata();
    let MetadataLookup::Fetch(permit) = metadata.find(host.now(), true) else { panic!() };
    host.run(host.spawn(KeyJob::discover(permit)));
    load(&keys, &host);
    assert!(keys.is_loaded(host.now()));
    assert_eq!(host.seen().urls(), [OPENID, JWKS]);

    // The keys.
    let (keys, metadata, host) = keys_and_metadata();
    load(&keys, &host);
    assert!(matches!(metadata.find(host.now(), true), MetadataLookup::Cached(_)));
    assert_eq!(host.seen().urls(), [OPENID, JWKS]);
}

#[test]
fn keys_and_logins_at_once_wait_for_one_document() {
    for login_first in [true, false] {
        let (keys, metadata, host) = keys_and_metadata();
        host.delay_answers(OPENID, Delay::Millis(1000));
        let mut jobs = host.tasks();
        let login = || match metadata.find(host.now(), true) {
            MetadataLookup::Fetch(permit) => KeyJob::discover(permit),
            found => panic!("{found:?}"),
        };
        let job = if login_first { login() } else { KeyJob::load(keys.preload_permit(host.now()).unwrap()) };
        jobs.start(host.spawn(job));
        jobs.settle();
        if login_first {
            jobs.start(host.spawn(KeyJob::load(keys.preload_permit(host.now()).unwrap())));
        }
        jobs.settle();
        assert!(matches!(metadata.find(host.now(), true), MetadataLookup::Wait));
        jobs.finish();
        assert!(keys.is_loaded(host.now()));
        assert!(matches!(metadata.find(host.now(), true), MetadataLookup::Cached(_)));
        assert_eq!(host.seen().urls(), [OPENID, JWKS], "the login first: {login_first}");
        assert!(host.elapsed_ms() <= 1000 + i64::from(limits::FETCH_POLL_MS));
    }
}

#[test]
fn keys_that_cannot_be_fetched_outdate_the_document_for_logins_too() {
    let (keys, metadata, host) = keys_and_metadata();
    host.answer(JWKS, status(404));
    load(&keys, &host);
    assert_eq!(keys.failure(host.now()), Some(KeysError::JwksUnreachable.into()));
    host.answer(OPENID, with_keys("https://id.example.com/new"));
    host.answer("https://id.example.com/new", json(&set_text([key_a().jwk()])));
    // A login brings the new document, and the keys are found by it.
    assert!(
        matches!(metadata.find(host.now(), false), MetadataLookup::Cached(_)),
        "the login itself may use the old one"
    );
    assert_eq!(
        host.run(metadata.get(&host, |permit| permit.run(&host))).unwrap().url("jwks_uri"),
        Some("https://id.example.com/new")
    );
    host.sleep_s(1);
    load(&keys, &host);
    assert!(keys.is_loaded(host.now()));
    assert_eq!(host.seen().urls(), [OPENID, JWKS, OPENID, "https://id.example.com/new"]);
}

#[test]
fn a_document_without_acceptable_keys_is_fetched_again_and_used_by_logins_meanwhile() {
    for uri in ["http://id.example.com/jwks", "", "jwks"] {
        let (keys, metadata, host) = keys_and_metadata();
        host.answer(OPENID, with_keys(uri));
        load(&keys, &host);
        let failure = keys.failure(host.now()).unwrap();
        assert_eq!(failure.error, KeysError::DiscoveryInvalid, "{uri}");
        assert_eq!(failure.reason.as_deref(), Some(r#"document names no acceptable "jwks_uri""#), "{uri}");
        let MetadataLookup::Cached(found) = metadata.find(host.now(), false) else { panic!() };
        assert_eq!(found.url("token_endpoint"), Some("https://id.example.com/token"));
        host.answer(OPENID, with_keys(JWKS));
        host.sleep_s(1);
        load(&keys, &host);
        assert!(keys.is_loaded(host.now()), "{uri}");
        assert_eq!(host.seen().urls(), [OPENID, OPENID, JWKS], "{uri}");
    }
}

#[test]
fn an_error_of_the_document_reads_the_same_for_keys_and_for_logins() {
    for error in [DiscoveryError::Unreachable, DiscoveryError::Invalid, DiscoveryError::IssuerMismatch] {
        let for_keys = KeysError::from(error);
        assert_eq!((error.code(), error.message()), (for_keys.code(), for_keys.message()));
        assert_eq!(format!("{error}"), error.message());
    }
}

#[test]
fn a_document_from_the_future_is_fetched_again() {
    let world = World::new(Ok(document()));
    assert_eq!(world.login(), Ok(()));
    world.host.sleep_ms(-1000);
    assert_eq!(world.login(), Ok(()));
    assert_eq!(world.asked_ms(), [0, -1000]);
}

#[test]
fn one_job_fetches_once_even_if_the_clock_skips_the_pause() {
    let world = World::new(Ok(document()));
    let host = world.host.clone();
    world.host.serve(OPENID, move |_| {
        host.set_clock(UnixTime::from_millis(host.now().millis() + 1_000_000));
        Ok(status(500))
    });
    let found = world.host.run(world.cache.get(&world.host, |permit| permit.run(&world.host)));
    assert_eq!(found.err(), Some(DiscoveryError::Unreachable));
    assert_eq!(world.host.seen().sent.len(), 1);
}
