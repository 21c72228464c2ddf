//! A network error: the same request is sent once more, at once, and that is still one fetch.

use edgeward::io::{Incoming, UnixTime, Unreachable};
use edgeward::jwk::{KeyCache, KeySource};
use edgeward::{Verifier, limits};
use serde_json::json as value;
use support::{ISSUER, NOW, access_policy, key_a, set_text};

use crate::{JWKS_URI, Verdict, World, json, status, token, token_with_kid, unavailable};

const OPENID: &str = "https://tenant.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://tenant.example.com/.well-known/oauth-authorization-server";

/// A verifier that discovers its keys.
fn discovering() -> World {
    let world = World::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery)));
    world.publish([key_a()]);
    world.answer(OPENID, json(&value!({"issuer": ISSUER, "jwks_uri": JWKS_URI}).to_string()));
    world
}

/// The next requests for `url` get these replies, in this order.
fn fail(world: &World, url: &str, faults: &[Unreachable]) {
    world.reply_next(url, faults.iter().copied().map(Err));
}

#[test]
fn one_broken_connection_at_a_cold_start_fails_no_request() {
    let text = token(key_a());
    for (broken, sent) in [
        (&[OPENID][..], &[OPENID, OPENID, JWKS_URI][..]),
        (&[JWKS_URI], &[OPENID, JWKS_URI, JWKS_URI]),
        (&[OPENID, JWKS_URI], &[OPENID, OPENID, JWKS_URI, JWKS_URI]),
    ] {
        let world = discovering();
        broken.iter().for_each(|url| fail(&world, url, &[Unreachable::Network]));
        let mut tasks = world.tasks();
        let numbers: Vec<usize> = (0..101).map(|_| tasks.start(world.verdict(&text))).collect();
        numbers.iter().for_each(|number| assert!(!tasks.poll(*number)));
        assert_eq!(world.seen().jobs.len(), 1, "one fetches, a hundred wait");
        tasks.settle();
        assert_eq!(tasks.output(0), Some(&Verdict::Accepted));
        assert_eq!(world.now(), UnixTime::from_secs(NOW), "who fetches waits for nothing else");
        tasks.elapse_ms(limits::FETCH_POLL_MS.into());
        assert_eq!(tasks.outputs(), vec![Verdict::Accepted; 101], "the others have it at their next look");
        for _ in 0..101 {
            assert_eq!(world.request(&text), Verdict::Accepted);
        }
        assert_eq!(world.seen().urls(), sent);
    }
}

#[test]
fn the_second_network_error_ends_the_fetch() {
    let two = [Unreachable::Network; 2];
    let world = discovering();
    fail(&world, JWKS_URI, &two);
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1));
    assert_eq!(world.seen().urls(), [OPENID, JWKS_URI, JWKS_URI]);
    world.sleep_ms(999);
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1), "the pause is that of one failure");
    world.sleep_ms(1);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.seen().urls()[3..], [OPENID, JWKS_URI]);

    let world = discovering();
    fail(&world, OPENID, &two);
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 1));
    assert_eq!(world.seen().urls(), [OPENID, OPENID]);
}

#[test]
fn the_outcome_of_the_retry_counts() {
    let world = discovering();
    fail(&world, JWKS_URI, &[Unreachable::Network]);
    world.answer(JWKS_URI, status(500));
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1));
    assert_eq!(world.seen().urls(), [OPENID, JWKS_URI, JWKS_URI]);

    let world = discovering();
    fail(&world, OPENID, &[Unreachable::Network]);
    fail(&world, OAUTH, &[Unreachable::Network]);
    world.answer(OPENID, status(404));
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 1));
    assert_eq!(world.seen().urls(), [OPENID, OPENID, OAUTH, OAUTH]);
}

#[test]
fn only_a_network_error_is_retried() {
    for fault in [Err(Unreachable::GivenUp), Ok(status(500)), Ok(status(503)), Ok(status(429)), Ok(json("<html>"))] {
        for url in [OPENID, JWKS_URI] {
            let world = discovering();
            world.reply(url, fault.clone());
            assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { .. }));
            assert_eq!(world.seen().urls().iter().filter(|sent| *sent == url).count(), 1, "{url} {fault:?}");
        }
    }
}

#[test]
fn a_fetch_in_the_background_and_one_for_an_unknown_key_are_retried_too() {
    let world = discovering();
    world.request(&token(key_a()));
    fail(&world, JWKS_URI, &[Unreachable::Network]);
    world.sleep_s(500);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.seen().urls()[2..], [JWKS_URI, JWKS_URI]);
    world.sleep_s(100);
    fail(&world, JWKS_URI, &[Unreachable::Network]);
    world.edge().clear();
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    assert_eq!(world.seen().urls()[4..], [JWKS_URI, JWKS_URI]);
}

#[test]
fn an_outage_doubles_what_is_sent_and_nothing_else() {
    let world = World::new();
    world.answer(JWKS_URI, json(&set_text([key_a().jwk()])));
    world.take_down();
    for _ in 0..620 {
        assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { .. }));
        world.sleep_ms(100);
    }
    assert_eq!((world.asked(), world.seen().sent.len()), (7, 14), "at 0, 1, 3, 7, 15, 31 and 61 seconds");
    assert_eq!(limits::MAX_FETCHES_PER_REQUEST, 2);
}

#[test]
fn a_pause_that_discovery_asks_for_is_that_of_the_keys() {
    let world = discovering();
    world.answer(OPENID, Incoming { retry_after: Some("120".into()), ..status(503) });
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 120));
    world.sleep_s(119);
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 1));
    assert_eq!(world.asked(), 1);
}
