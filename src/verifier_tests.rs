//! Permits are never lost: whoever does not use one hands it back, and the next request that needs one has it.

use edgeward::jwk::{KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{Check, Refresh, Verifier, limits};

use crate::support::{AUDIENCE, ISSUER, Mint, NOW, Rng, access_policy, key_a, key_b};
use crate::{JWKS_URI, Verdict, World, token, token_with_kid};

/// A policy that the tokens of [`World`] satisfy, or one that none of them does.
fn policy(is_met: bool) -> Policy {
    let audience = if is_met { AUDIENCE } else { "https://elsewhere.example.com" };
    Policy::access_token(ISSUER, [audience], &Algorithm::ALL).unwrap()
}

/// A world whose set is due for a refresh in the background.
fn ageing() -> World {
    let mut world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_s(500);
    world
}

fn refresh_of(check: Check) -> Option<Refresh> {
    match check {
        Check::Verified(_, refresh) => refresh,
        Check::Fetch(refresh) => Some(refresh),
        Check::Refused(_) | Check::Wait | Check::Unavailable { .. } => None,
    }
}

#[test]
fn every_refusal_hands_its_permit_back() {
    let known = Mint::access(key_a()).claim("exp", NOW + 100).text();
    let forged = format!("{}.{}", token(key_a()).rsplit_once('.').unwrap().0, "A".repeat(342));
    let good = token(key_a());
    // The token, the policy of its login if there is one, and whether the verifier knows the token from before.
    let refusals = [
        ("another policy", &good, Some(policy(false)), false),
        ("a forged one", &forged, None, false),
        ("a forged one, of a login", &forged, Some(policy(true)), false),
        ("one that was known and expired", &known, None, true),
        ("an expired one", &known, None, false),
        ("an expired one, of a login", &known, Some(policy(true)), true),
    ];
    for (what, text, policy_of_login, is_known) in &refusals {
        let mut world = World::publishing([key_a()]);
        assert_eq!(world.request(if *is_known { &known } else { &good }), Verdict::Accepted);
        world.sleep_s(500);
        let check = match policy_of_login {
            Some(policy) => world.verifier.check_as(policy, text, world.now, 0),
            None => world.verifier.check(text, world.now, 0),
        };
        assert!(matches!(check, Check::Refused(_)), "{what}");
        let check = world.verifier.check_as(&policy(true), &token(key_a()), world.now, 0);
        assert!(matches!(check, Check::Verified(_, Some(_))), "{what}");
    }
}

#[test]
fn a_permit_handed_back_is_the_next_ones() {
    let mut world = ageing();
    for _ in 0..10 {
        let refresh = refresh_of(world.verifier.check(&token(key_a()), world.now, 0)).unwrap();
        assert!(refresh_of(world.verifier.check(&token(key_a()), world.now, 0)).is_none(), "one at a time");
        world.verifier.take_back(refresh);
    }

    // At a cold start.
    let mut world = World::publishing([key_a()]);
    let refresh = refresh_of(world.verifier.check(&token(key_a()), world.now, 0)).unwrap();
    world.verifier.take_back(refresh);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);

    // For a new key: it need not wait for the cooldown, because nobody asked about it.
    world.publish([key_a(), key_b()]);
    let refresh = refresh_of(world.verifier.check(&token_with_kid("x"), world.now, 0)).unwrap();
    world.verifier.take_back(refresh);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
}

#[test]
fn a_permit_that_comes_back_late_ends_nobody_elses_lease() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    let first = refresh_of(world.verifier.check(&text, world.now, 0)).unwrap();
    world.sleep_ms(limits::FETCH_LEASE_MS);
    let second = refresh_of(world.verifier.check(&text, world.now, 0)).unwrap();
    world.verifier.take_back(first);
    assert!(matches!(world.verifier.check(&text, world.now, 0), Check::Wait));
    // Neither does the failure of an older fetch.
    world.sleep_ms(limits::FETCH_LEASE_MS);
    let third = refresh_of(world.verifier.check(&text, world.now, 0)).unwrap();
    assert!(world.verifier.store(0, second.permit.abandon(), world.now).is_err());
    assert!(matches!(world.verifier.check(&text, world.now, 0), Check::Wait));
    world.refresh(third);
    assert_eq!(world.request(&text), Verdict::Accepted);
}

#[test]
fn whatever_happened_before_the_next_need_has_a_permit() {
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
        let mut world =
            World::with(Verifier::new(access_policy(), keys).cache_entries(if seed % 2 == 0 { 64 } else { 0 }));
        world.publish([key_a(), key_b()]);
        let mut rng = Rng(seed);
        // Until when a permit that nobody gave back may hold others up.
        let mut held_until = i64::MIN;
        for step in 0..1000 {
            let millis = match rng.below(10) {
                0..5 => rng.below(3),
                5..9 => rng.below(60_000),
                _ => rng.below(700_000),
            };
            world.sleep_ms(i64::try_from(millis).unwrap());
            if rng.below(100) == 0 {
                world.edge.clear();
            }
            let text = rng.pick(&tokens);
            let check = if rng.below(2) == 0 {
                world.verifier.check(text, world.now, 0)
            } else {
                world.verifier.check_as(rng.pick(&policies), text, world.now, 0)
            };
            if let Some(refresh) = refresh_of(check) {
                match rng.below(4) {
                    0 => world.verifier.take_back(refresh),
                    // The request that had it is gone.
                    1 => {
                        lost += 1;
                        held_until = world.now.millis() + limits::FETCH_LEASE_MS;
                    }
                    _ => drop(world.refresh(refresh)),
                }
            }
            // Is there a need? A set that is not there, or ages, for a token that passes.
            let held = world.verifier.keys().next().unwrap().status();
            let is_due = held.is_none_or(|held| {
                let lifetime = held.fresh_until.millis() - held.fetched_at.millis();
                world.now.millis() >= held.fresh_until.millis() - lifetime / 5
            });
            if is_due && world.now.millis() >= held_until {
                let refresh = refresh_of(world.verifier.check(&good, world.now, 0));
                assert!(refresh.is_some(), "seed {seed}, step {step}: the permit is lost");
                world.verifier.take_back(refresh.unwrap());
                probes += 1;
            }
        }
    }
    assert!(probes > 1000 && lost > 100, "{probes} needs, {lost} lost permits");
}
