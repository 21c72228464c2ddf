//! Time: however the clock jumps, a token passes exactly while it is valid, with and without the token cache.

use edgeward::Verifier;
use edgeward::io::{UnixTime, Unreachable};
use edgeward::jwk::{KeyCache, KeySource};
use edgeward::limits;
use support::world::unavailable;
use support::{ISSUER, Mint, NOW, Rng, TestKey, access_policy, key_a, key_b, key_e3, set_text};

use crate::{JWKS_URI, Verdict, World, json, status};

const YEAR_S: i64 = 365 * 24 * 3600;
const SKEW_S: i64 = 5;

/// Steps of the walk for each of the two caches.
const STEPS: usize = 100_000;

fn world(cache_entries: usize) -> World {
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    World::with(Verifier::new(access_policy(), keys).cache_entries(cache_entries))
}

#[test]
fn however_the_clock_jumps_a_token_passes_exactly_in_its_time() {
    let windows =
        [(-YEAR_S, YEAR_S), (-60, 600), (0, 1), (-YEAR_S, -YEAR_S / 2), (1000, 2000), (YEAR_S / 2, 2 * YEAR_S)];
    let tokens = windows.map(|(from, until)| {
        let mint = Mint::access(key_e3()).without("iat").claim("nbf", NOW + from).claim("exp", NOW + until);
        (NOW + from, NOW + until, mint.text())
    });
    for cache_entries in [0, 512] {
        let world = world(cache_entries);
        world.publish([key_e3()]);
        let mut rng = Rng(11);
        let (mut accepted, mut refused) = (0, 0);
        for step in 0..STEPS {
            let jump_ms = match rng.below(100) {
                0..70 => i64::try_from(rng.below(2_000)).unwrap(),
                70..80 => -i64::try_from(rng.below(10_000)).unwrap(),
                80..95 => i64::try_from(rng.below(1_200_000)).unwrap(),
                95..98 => -i64::try_from(rng.below(86_400_000)).unwrap(),
                // To the edge of some token's time.
                98 => {
                    let (nbf, exp, _) = *rng.pick(&tokens.each_ref().map(|(nbf, exp, text)| (*nbf, *exp, text)));
                    let edge = *rng.pick(&[nbf - SKEW_S, exp + SKEW_S]);
                    edge * 1000 - world.now().millis() + *rng.pick(&[-1001, -1, 0, 1, 999])
                }
                _ => (i64::try_from(rng.below(2)).unwrap() * 2 - 1) * YEAR_S * 1000,
            };
            world.sleep_ms(jump_ms);
            if (world.now().secs() - NOW).abs() > 3 * YEAR_S {
                world.set_clock(UnixTime::from_secs(NOW));
            }
            let (nbf, exp, text) = rng.pick(&tokens);
            let now = world.now().secs();
            let expected = if now >= exp + SKEW_S {
                refused += 1;
                Verdict::Refused("token_expired")
            } else if now < nbf - SKEW_S {
                refused += 1;
                Verdict::Refused("token_not_yet_valid")
            } else {
                accepted += 1;
                Verdict::Accepted
            };
            assert_eq!(world.request(text), expected, "step {step}, {now}, cache of {cache_entries}");
        }
        println!("clock walk, cache of {cache_entries}: {accepted} accepted, {refused} refused");
        assert!(accepted > STEPS / 10 && refused > STEPS / 10);
    }
}

#[test]
fn after_the_clock_went_back_a_year_and_forth_everything_works() {
    for first in [-YEAR_S, YEAR_S] {
        for provider_fails in [false, true] {
            let world = world(512);
            world.publish([key_a()]);
            let text = Mint::access(key_a()).without("nbf").without("iat").claim("exp", NOW + 10 * YEAR_S).text();
            assert_eq!(world.request(&text), Verdict::Accepted);
            world.sleep_s(first);
            if provider_fails {
                world.take_down();
                world.request(&text);
                world.publish([key_a()]);
                world.sleep_s(1);
            }
            assert_eq!(world.request(&text), Verdict::Accepted, "{first} {provider_fails}");
            world.sleep_s(-first);
            assert_eq!(world.request(&text), Verdict::Accepted, "{first} {provider_fails}");
        }
    }
}

#[test]
fn while_the_provider_is_down_the_keys_survive_a_clock_that_went_back_a_little() {
    let skew_s = i64::from(limits::MAX_CLOCK_SKEW_S);
    for (back_s, expected) in
        [(1, Verdict::Accepted), (skew_s, Verdict::Accepted), (skew_s + 1, unavailable("jwks_unreachable", 1))]
    {
        let world = world(0);
        world.publish([key_a()]);
        let text = Mint::access(key_a()).without("nbf").without("iat").text();
        assert_eq!(world.request(&text), Verdict::Accepted);
        world.take_down();
        world.sleep_s(-back_s);
        assert_eq!(world.request(&text), expected, "{back_s} s");
    }
}

#[test]
fn an_older_set_of_the_edge_cache_replaces_no_newer_one_after_the_clock_went_back_a_little() {
    let (first, second) = (world(0), world(0));
    first.publish([key_b()]);
    assert_eq!(first.request(&Mint::access(key_b()).text()), Verdict::Accepted);
    second.sleep_s(10);
    second.publish([key_a()]);
    let text = Mint::access(key_a()).text();
    assert_eq!(second.request(&text), Verdict::Accepted);
    *second.edge() = first.edge().clone();
    second.take_down();
    second.sleep_s(-1);
    assert_eq!(second.request(&text), Verdict::Accepted);
    second.sleep_s(2);
    assert_eq!(second.request(&text), Verdict::Accepted);
}

#[test]
fn keys_from_the_edge_cache_do_not_outlive_a_clock_that_went_back() {
    let first = world(512);
    first.publish([key_a()]);
    let text = Mint::access(key_a()).without("nbf").without("iat").claim("exp", NOW + 10 * YEAR_S).text();
    assert_eq!(first.request(&text), Verdict::Accepted);
    let second = world(512);
    *second.edge() = first.edge().clone();
    second.publish([key_a()]);
    assert_eq!(second.request(&text), Verdict::Accepted);
    assert_eq!(second.asked(), 0);
    second.edge().clear();
    for _ in 0..2 {
        second.sleep_s(-YEAR_S);
        assert_eq!(second.request(&text), Verdict::Accepted, "the provider's answer replaces keys of the future");
    }
    assert_eq!(second.asked(), 2);
}

#[test]
fn a_warm_cache_does_not_outlive_exp_even_without_iat() {
    let world = world(512);
    world.publish([key_a()]);
    let text = Mint::access(key_a()).without("iat").without("nbf").text();
    let exp = NOW + 600;
    for now in [NOW, exp + SKEW_S - 1] {
        world.set_clock(UnixTime::from_secs(now));
        assert_eq!(world.request(&text), Verdict::Accepted);
    }
    world.set_clock(UnixTime::from_secs(exp + SKEW_S));
    assert_eq!(world.request(&text), Verdict::Refused("token_expired"));
    world.set_clock(UnixTime::from_secs(NOW));
    assert_eq!(world.request(&text), Verdict::Accepted, "a refusal for the time is not remembered either");
}

#[test]
fn the_maximum_age_holds_for_cached_tokens() {
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    let world = World::with(Verifier::new(access_policy().max_age_s(120), keys));
    world.publish([key_a()]);
    let text = Mint::access(key_a()).text();
    assert_eq!(world.request(&text), Verdict::Accepted);
    world.sleep_s(60 + SKEW_S - 1);
    assert_eq!(world.request(&text), Verdict::Accepted);
    world.sleep_s(1);
    assert_eq!(world.request(&text), Verdict::Refused("token_too_old"));
}

#[test]
fn the_token_cache_never_changes_a_verdict() {
    let key_sets: [&[&'static TestKey]; 5] =
        [&[key_e3()], &[key_e3(), key_a()], &[key_a()], &[key_b()], &[key_a(), key_b()]];
    let mut tokens = Vec::new();
    for key in [key_e3(), key_e3(), key_a(), key_b()] {
        for (from, until) in [(-60, 3_000_000), (-60, 86_400), (-60, 900), (1000, 500_000), (-60, -30)] {
            let mint = Mint::access(key).claim("sub", format!("user-{}", tokens.len()));
            let mint = mint.claim("nbf", NOW + from).claim("exp", NOW + until);
            tokens.push(mint.text());
            tokens.push(mint.clone().claim("aud", "https://other.example.com").text());
            tokens.push(mint.with_signature(&[7; 256]));
        }
    }
    // The same name for keys of another kind.
    tokens.push(Mint::access(key_e3()).signed_by(key_a()).text());
    tokens.push(Mint::access(key_e3()).without_header("kid").text());

    for seed in 0..4 {
        // No cache, one so small that entries evict each other, and the default one.
        let worlds = [world(0), world(2), world(512)];
        for world in &worlds {
            world.publish([key_e3()]);
        }
        let mut rng = Rng(seed);
        let (mut accepted, mut refused, mut unavailable) = (0, 0, 0);
        for step in 0..15_000 {
            match rng.below(1000) {
                0..10 => {
                    let keys = set_text(rng.pick(&key_sets).iter().map(|key| key.jwk()));
                    for world in &worlds {
                        world.answer(JWKS_URI, json(&keys));
                    }
                }
                10..14 => {
                    let reply = rng
                        .pick(&[Err(Unreachable::Network), Err(Unreachable::GivenUp), Ok(status(500)), Ok(json("{}"))])
                        .clone();
                    for world in &worlds {
                        world.reply(JWKS_URI, reply.clone());
                    }
                }
                14..18 => worlds.iter().for_each(|world| world.edge().clear()),
                18..22 => {
                    let runs_background = rng.below(2) == 0;
                    worlds.iter().for_each(|world| world.run_background(runs_background));
                }
                _ => {}
            }
            let jump_ms = match rng.below(1000) {
                0..900 => i64::try_from(rng.below(500)).unwrap(),
                900..990 => i64::try_from(rng.below(60_000)).unwrap(),
                990..996 => i64::try_from(rng.below(1_000_000)).unwrap(),
                _ => NOW * 1000 - worlds[0].now().millis(),
            };
            // Every third one has nothing wrong but its time; most requests present such a token.
            let any = rng.below(tokens.len());
            let token = &tokens[if rng.below(4) > 0 { any / 3 * 3 } else { any }];
            let verdicts = worlds.each_ref().map(|world| {
                world.sleep_ms(jump_ms);
                world.request(token)
            });
            assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "seed {seed}, step {step}: {verdicts:?}");
            assert!(worlds.iter().all(|world| world.now() == worlds[0].now()), "nor how long it takes");
            match verdicts[0] {
                Verdict::Accepted => accepted += 1,
                Verdict::Refused(_) => refused += 1,
                Verdict::Unavailable { .. } => unavailable += 1,
            }
        }
        println!("differential, seed {seed}: {accepted} accepted, {refused} refused, {unavailable} unavailable");
        assert!(accepted > 500 && refused > 500 && unavailable > 10);
        assert!(worlds.iter().all(|world| world.asked() == worlds[0].asked()), "nor what is fetched");
    }
}
