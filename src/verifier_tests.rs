//! Internals: permits are never lost. Dropping one returns it, and the next request that needs one gets it. The public behaviour of the
//! key cache is tested in `tests/key_cache`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use crate::error::VerifyError;
use crate::io::{Incoming, Unreachable};
use crate::jwk::{KeyCache, KeySource, Lookup, Permit};
use crate::jwt::{Access, Algorithm, Policy};
use crate::support::host::Delay;
use crate::support::world::{JWKS_URI, Verdict, World, json, token, token_with_kid};
use crate::support::{AUDIENCE, ISSUER, Mint, NOW, Rng, access_policy, key_a, key_b, now, set_text};
use crate::verifier::{Check, Verifier};
use crate::{limits, support};

/// A policy that the tokens of [`World`] satisfy, or one that they do not.
fn policy(is_met: bool) -> Policy<Access> {
    let audience = if is_met { AUDIENCE } else { "https://elsewhere.example.com" };
    Policy::access_token(ISSUER, [audience], &Algorithm::ALL).unwrap()
}

fn check(world: &World, text: &str) -> Check {
    world.verifier.check(text, world.now(), 0)
}

/// Checks with another policy and without the token cache.
fn check_as(world: &World, policy: &Policy<Access>, text: &str) -> Check {
    world.verifier.keys().next().unwrap().check(&policy.rules, text, world.now(), 0, None)
}

/// Uses a permit and stores the outcome.
fn fetch(world: &World, permit: Permit) {
    world.run(permit.run(&world.host));
}

/// A world whose set is due for a refresh in the background.
fn ageing() -> World {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_s(500);
    world
}

fn permit_of(check: Check) -> Option<Permit> {
    match check {
        Check::Verified(_, permit) => permit,
        Check::Fetch(permit) => Some(permit),
        Check::Refused(_) | Check::Wait(_) | Check::Unavailable(_) | Check::Signature(_) => None,
    }
}

#[test]
fn every_refusal_returns_its_permit() {
    let known = Mint::access(key_a()).claim("exp", NOW + 100).text();
    let forged = format!("{}.{}", token(key_a()).rsplit_once('.').unwrap().0, "A".repeat(342));
    let good = token(key_a());
    // The token, the policy of its login if there is one, and whether the token is cached.
    let refusals = [
        ("another policy", &good, Some(policy(false)), false),
        ("a forged one", &forged, None, false),
        ("a forged one, of a login", &forged, Some(policy(true)), false),
        ("one that was cached and expired", &known, None, true),
        ("an expired one", &known, None, false),
        ("an expired one, of a login", &known, Some(policy(true)), true),
    ];
    for (what, text, policy_of_login, is_known) in &refusals {
        let world = World::publishing([key_a()]);
        assert_eq!(world.request(if *is_known { &known } else { &good }), Verdict::Accepted);
        world.sleep_s(500);
        let check = match policy_of_login {
            Some(policy) => check_as(&world, policy, text),
            None => check(&world, text),
        };
        match check {
            Check::Refused(_) => {}
            // The key may have been replaced under its id.
            Check::Fetch(permit) if **text == forged => drop(permit),
            other => panic!("{what}: {other:?}"),
        }
        let check = check_as(&world, &policy(true), &token(key_a()));
        assert!(matches!(check, Check::Verified(_, Some(_))), "{what}");
    }
}

#[test]
fn a_returned_permit_goes_to_the_next_request() {
    let world = ageing();
    for _ in 0..10 {
        let permit = permit_of(check(&world, &token(key_a()))).unwrap();
        assert!(permit_of(check(&world, &token(key_a()))).is_none(), "one at a time");
        drop(permit);
    }

    // At a cold start.
    let world = World::publishing([key_a()]);
    let permit = permit_of(check(&world, &token(key_a()))).unwrap();
    drop(permit);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);

    // For a new key: no cooldown applies, because the provider was not asked.
    world.publish([key_a(), key_b()]);
    let permit = permit_of(check(&world, &token_with_kid("x"))).unwrap();
    drop(permit);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
}

#[test]
fn a_permit_returned_late_does_not_end_another_lease() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    let first = permit_of(check(&world, &text)).unwrap();
    world.sleep_ms(limits::FETCH_LEASE_MS);
    let second = permit_of(check(&world, &text)).unwrap();
    drop(first);
    assert!(matches!(check(&world, &text), Check::Wait(_)));
    // Neither does the failure of an older fetch.
    world.sleep_ms(limits::FETCH_LEASE_MS);
    let third = permit_of(check(&world, &text)).unwrap();
    world.reply_next(JWKS_URI, [Err(Unreachable::GivenUp)]);
    fetch(&world, second);
    assert!(world.seen().lines[0].1.starts_with("jwks_unreachable: "));
    assert!(matches!(check(&world, &text), Check::Wait(_)));
    fetch(&world, third);
    assert_eq!(world.request(&text), Verdict::Accepted);
}

#[test]
fn after_any_history_a_request_that_needs_a_permit_gets_one() {
    let tokens: Vec<String> = [key_a(), key_b()]
        .iter()
        .flat_map(|key| {
            let mint = Mint::access(key).claim("exp", NOW + 100 * 24 * 3600);
            let forged = mint.with_signature(&[7; 256]);
            let expiring = mint.clone().claim("exp", NOW + 3000).text();
            [mint.text(), expiring, mint.clone().claim("aud", "https://other.example.com").text(), forged]
        })
        .chain([token_with_kid("x")])
        .collect();
    let policies = [policy(true), policy(false)];
    let good = token(key_a());
    let (mut probes, mut lost) = (0, 0);
    for seed in 0..20 {
        let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
        let world = World::with(Verifier::new(access_policy(), keys).cache_entries(if seed % 2 == 0 { 64 } else { 0 }));
        world.publish([key_a(), key_b()]);
        let mut rng = Rng(seed);
        // Until when a lost permit may delay other requests.
        let mut held_until = i64::MIN;
        for step in 0..1000 {
            let millis = match rng.below(10) {
                0..5 => rng.below(3),
                5..9 => rng.below(60_000),
                _ => rng.below(700_000),
            };
            world.sleep_ms(i64::try_from(millis).unwrap());
            if rng.below(100) == 0 {
                world.edge().clear();
            }
            let text = rng.pick(&tokens);
            let looked =
                if rng.below(2) == 0 { check(&world, text) } else { check_as(&world, rng.pick(&policies), text) };
            if let Some(permit) = permit_of(looked) {
                match rng.below(4) {
                    0 => drop(permit),
                    // The instance that had it is frozen.
                    1 => {
                        mem::forget(permit);
                        lost += 1;
                        held_until = world.now().millis() + limits::FETCH_LEASE_MS;
                    }
                    _ => fetch(&world, permit),
                }
            }
            // Is a permit needed? If the set is missing, or due for a refresh, for a token that passes.
            let held = world.verifier.keys().next().unwrap().status();
            let is_due = held.is_none_or(|held| {
                let lifetime = held.fresh_until.millis() - held.fetched_at.millis();
                world.now().millis() >= held.fresh_until.millis() - lifetime / 5
            });
            if is_due && world.now().millis() >= held_until {
                let permit = permit_of(check(&world, &good));
                assert!(permit.is_some(), "seed {seed}, step {step}: the permit is lost");
                drop(permit);
                probes += 1;
            }
        }
    }
    assert!(probes > 1000 && lost > 100, "{probes} needs, {lost} lost permits");
}

#[test]
fn a_request_fetches_at_most_twice() {
    let find = |fetches| {
        let cache = Arc::new(KeyCache::new(ISSUER, KeySource::Discovery));
        matches!(cache.find(Some("x"), Algorithm::Rs256, now(), fetches), Lookup::Fetch(_))
    };
    assert_eq!([find(0), find(1), find(2), find(u8::MAX)], [true, true, false, false]);
    let verifier = Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery));
    assert!(matches!(verifier.check(&Mint::access(key_a()).text(), now(), 2), Check::Unavailable(_)));
}

#[test]
fn later_requests_wait_exactly_as_long_as_the_lease() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    let frozen = permit_of(check(&world, &text)).unwrap();
    for millis in [0, limits::FETCH_LEASE_MS - 1] {
        world.sleep_ms(millis);
        assert!(matches!(check(&world, &text), Check::Wait(_)));
    }
    world.sleep_ms(1);
    let second = permit_of(check(&world, &text)).unwrap();
    // The lease began with its own check, not with the frozen one's.
    world.sleep_ms(limits::FETCH_LEASE_MS - 1);
    assert!(matches!(check(&world, &text), Check::Wait(_)));
    world.sleep_ms(1);
    assert!(permit_of(check(&world, &text)).is_some());
    drop((frozen, second));
}

#[test]
fn a_lease_from_the_future_delays_no_request() {
    for back_ms in [1, 1000, 365 * 24 * 3_600_000] {
        let world = World::publishing([key_a()]);
        let text = token(key_a());
        let first = permit_of(check(&world, &text)).unwrap();
        world.sleep_ms(-back_ms);
        assert!(permit_of(check(&world, &text)).is_some(), "{back_ms}: it would last longer than any lease");
        drop(first);
    }
}

#[test]
fn a_set_of_two_issuers_gives_each_its_permit() {
    let other = "https://other.example.com/";
    let rules = |issuer: &str| Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap();
    let keys = |issuer: &str| KeyCache::new(issuer, KeySource::Discovery);
    let verifier = Verifier::new(rules(ISSUER), keys(ISSUER)).and_issuer(rules(other), keys(other));
    let of = |issuer: &str| Mint::access(key_a()).claim("iss", issuer).text();
    let first = permit_of(verifier.check(&of(ISSUER), now(), 0));
    let second = permit_of(verifier.check(&of(other), now(), 0));
    assert!(first.is_some() && second.is_some(), "one issuer's fetch does not delay the other's");
    match verifier.check(&of("https://third.example.com/"), now(), 0) {
        Check::Refused(error) => {
            let expected = support::mismatch(&[ISSUER, other], &["https://third.example.com/"]);
            assert_eq!(error, VerifyError::IssuerMismatch(expected));
        }
        check => panic!("{check:?}"),
    }
}

#[test]
fn a_permit_shows_no_more_than_there_is_to_fetch() {
    let world = World::publishing([key_a()]);
    let secret = Mint::access(key_a()).claim("email", "user@example.com").text();
    assert_eq!(world.request(&secret), Verdict::Accepted);
    world.sleep_s(500);
    let check = check(&world, &secret);
    let shown = format!("{check:?} {:?}", world.verifier);
    assert!(!shown.contains("user@example.com") && !shown.contains(secret.split('.').nth(1).unwrap()), "{shown}");
    assert!(matches!(check, Check::Verified(_, Some(_))));
}

#[test]
fn a_fetch_that_ends_after_the_provider_was_asked_keeps_the_pause_for_unknown_keys() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.delay_answers(JWKS_URI, Delay::Forever);
    let permit = permit_of(check(&world, &token_with_kid("x"))).unwrap();
    let mut tasks = world.tasks();
    let fetch = tasks.start(permit.run(&world.host));
    tasks.settle();
    tasks.cancel(fetch);
    assert_eq!(world.asked(), 2);
    // The provider's answer is unknown, so the token cannot be refused by it.
    let assert_paused = || match check(&world, &token_with_kid("y")) {
        Check::Unavailable(why) => assert_eq!(why.retry_after_s, 1),
        check => panic!("{check:?}"),
    };
    assert_paused();
    world.sleep_ms(limits::UNKNOWN_KID_COOLDOWN_S * 1000 - 1);
    assert_paused();
    world.sleep_ms(1);
    assert!(permit_of(check(&world, &token_with_kid("y"))).is_some());
}

#[test]
fn a_returned_refresh_keeps_the_pause_for_unknown_keys() {
    let world = World::new();
    let keys = Incoming { cache_control: Some("max-age=60".into()), ..json(&set_text([key_a().jwk()])) };
    world.answer(JWKS_URI, keys);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_s(40);
    world.take_down();
    assert!(matches!(world.request(&token_with_kid("x")), Verdict::Unavailable { .. }));
    // The set is due for a refresh, which does not happen.
    world.sleep_s(10);
    let Check::Verified(_, Some(refresh)) = check(&world, &token(key_a())) else { panic!() };
    drop(refresh);
    assert!(matches!(check(&world, &token_with_kid("y")), Check::Unavailable(_)));
    assert_eq!(world.asked(), 2);
}
