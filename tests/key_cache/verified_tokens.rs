//! The cache of verified tokens: found by the whole text only, bound to its key, bounded.

use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Access, Requirements, VerifiedToken};
use edgeward::{Verifier, limits};
use serde_json::json;
use support::fixed_host::{FixedHost, at_once};
use support::host::Jobs;
use support::{ISSUER, Mint, NOW, access_policy, key_a, key_b, key_e3, set_text};

use crate::{JWKS_URI, Verdict, World};

/// The token that the verifier returns.
fn verified(world: &World, text: &str) -> VerifiedToken<Access> {
    world.result(text).unwrap()
}

/// Whether both are one token in memory, which only the cache can cause while both are alive.
fn is_same(one: &VerifiedToken<Access>, other: &VerifiedToken<Access>) -> bool {
    std::ptr::eq(one.claims(), other.claims())
}

fn is_cached(world: &World, text: &str) -> bool {
    let first = verified(world, text);
    is_same(&first, &verified(world, text))
}

#[test]
fn a_token_is_verified_once_and_then_cached() {
    let world = World::publishing([key_a()]);
    assert!(is_cached(&world, &Mint::access(key_a()).text()));
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    let world = World::with(Verifier::new(access_policy(), keys).cache_entries(0));
    world.publish([key_a()]);
    assert!(!is_cached(&world, &Mint::access(key_a()).text()), "0 entries keep nothing");
}

#[test]
fn a_token_survives_a_refresh_that_keeps_its_key() {
    let world = World::publishing([key_a()]);
    let text = Mint::access(key_a()).claim("exp", NOW + 86_400).text();
    let before = verified(&world, &text);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    world.publish([key_b(), key_a()]);
    assert!(is_same(&before, &verified(&world, &text)));
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_token_is_dropped_with_its_key() {
    let world = World::publishing([key_a()]);
    let text = Mint::access(key_a()).claim("exp", NOW + 86_400).text();
    verified(&world, &text);
    world.publish([key_b()]);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&text), Verdict::Refused("key_not_found"));
    world.publish([key_a()]);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&text), Verdict::Accepted, "and lives again if its key is published again");
}

#[test]
fn an_expired_token_leaves_the_cache() {
    let world = World::publishing([key_a()]);
    let text = Mint::access(key_a()).claim("exp", NOW + 100).text();
    assert!(!world.verifier.has_cached(&text));
    verified(&world, &text);
    assert!(world.verifier.has_cached(&text));
    world.sleep_s(200);
    assert_eq!(world.request(&text), Verdict::Refused("token_expired"));
    assert!(!world.verifier.has_cached(&text));
}

#[test]
fn the_capacity_of_the_cache_is_about_what_was_asked_for() {
    let of = |entries| {
        let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
        Verifier::new(access_policy(), keys).cache_entries(entries).cache_capacity()
    };
    assert_eq!(of(0), 0);
    assert!((1000..=2000).contains(&of(1000)), "{}", of(1000));
    assert!(World::new().verifier.cache_capacity() >= limits::TOKEN_CACHE_ENTRIES);
}

#[test]
fn a_key_that_changes_its_algorithm_or_use_invalidates_its_tokens() {
    for (member, value) in [("alg", "PS256"), ("use", "enc")] {
        let world = World::publishing([key_a()]);
        let text = Mint::access(key_a()).claim("exp", NOW + 86_400).text();
        verified(&world, &text);
        let mut jwk = key_a().jwk();
        jwk[member] = value.into();
        world.answer(JWKS_URI, crate::json(&support::set_text([jwk, key_b().jwk()])));
        world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
        assert!(matches!(world.request(&text), Verdict::Refused(_)), "{member}");
    }
}

#[test]
fn tokens_that_share_all_but_their_end_never_share_an_entry() {
    let world = World::publishing([key_e3()]);
    let filler = "x".repeat(1500);
    let mint = |user: &str| Mint::access(key_e3()).claim("a", filler.as_str()).claim("sub", user);
    let (one, two) = (mint("user-1").text(), mint("user-2").text());
    assert_eq!(one[..1000], two[..1000]);
    for _ in 0..3 {
        assert_eq!(verified(&world, &one).claims().subject(), Some("user-1"));
        assert_eq!(verified(&world, &two).claims().subject(), Some("user-2"));
    }
    // A cached token with any other signature, or another token's, is another token.
    let (input, signature) = one.rsplit_once('.').unwrap();
    let (_, other_signature) = two.rsplit_once('.').unwrap();
    assert_eq!(world.request(&format!("{input}.{other_signature}")), Verdict::Refused("signature_invalid"));
    assert!(matches!(world.request(&format!("{input}.{}", &signature[..signature.len() - 4])), Verdict::Refused(_)));
    let (header, _) = input.split_once('.').unwrap();
    let (_, other_claims) = two.rsplit_once('.').unwrap().0.split_once('.').unwrap();
    assert_eq!(world.request(&format!("{header}.{other_claims}.{signature}")), Verdict::Refused("signature_invalid"));
}

#[test]
fn a_cached_token_with_anything_around_it_is_not_found() {
    let world = World::publishing([key_a()]);
    let text = Mint::access(key_a()).text();
    verified(&world, &text);
    for near in [
        format!("{text} "),
        format!(" {text}"),
        format!("{text}="),
        format!("{text}."),
        text[1..].into(),
        text.to_lowercase(),
    ] {
        assert!(matches!(world.request(&near), Verdict::Refused(_)), "{near}");
    }
}

#[test]
fn long_tokens_are_verified_each_time() {
    let world = World::publishing([key_e3()]);
    let of_length = |len: usize| {
        let grown = |filler: usize| Mint::access(key_e3()).claim("x", "x".repeat(filler)).text();
        (0..len).rev().map(grown).find(|text| text.len() <= len).unwrap()
    };
    let limit = of_length(limits::TOKEN_CACHE_MAX_TOKEN_BYTES);
    assert!(limit.len() + 2 > limits::TOKEN_CACHE_MAX_TOKEN_BYTES);
    assert!(is_cached(&world, &limit));
    let longer = of_length(limits::TOKEN_CACHE_MAX_TOKEN_BYTES + 8);
    assert!(longer.len() > limits::TOKEN_CACHE_MAX_TOKEN_BYTES);
    assert!(!is_cached(&world, &longer));
}

#[test]
fn the_cache_keeps_no_more_than_it_should() {
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    let world = World::with(Verifier::new(access_policy(), keys).cache_entries(4));
    world.publish([key_e3()]);
    let tokens: Vec<String> =
        (0..40).map(|n| Mint::access(key_e3()).claim("sub", format!("user-{n}")).text()).collect();
    tokens.iter().for_each(|text| drop(verified(&world, text)));
    let kept = tokens.iter().filter(|text| world.verifier.stable_period(text, world.now()).is_some()).count();
    assert!((1..=4).contains(&kept), "{kept}");
}

#[test]
fn verifiers_with_other_policies_share_nothing() {
    let keys = || KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    let mut requirements = Requirements::default();
    requirements.scopes.push("admin".into());
    let reading = World::with(Verifier::new(access_policy(), keys()));
    let admin = World::with(Verifier::new(access_policy().require(requirements), keys()));
    let text = Mint::access(key_a()).text();
    for world in [&reading, &admin] {
        world.publish([key_a()]);
    }
    for _ in 0..3 {
        assert_eq!(reading.request(&text), Verdict::Accepted);
        assert_eq!(admin.request(&text), Verdict::Refused("insufficient_scope"));
    }
}

#[test]
fn a_stable_verdict_is_the_verdict_at_every_time_of_its_period() {
    let policies = [
        access_policy(),
        access_policy().clock_skew_s(0).unwrap(),
        access_policy().clock_skew_s(60).unwrap().max_age_s(300),
    ];
    let tokens = [
        Mint::access(key_a()),
        Mint::access(key_a()).claim("exp", NOW as f64 + 100.5).claim("nbf", NOW as f64 - 10.25),
        Mint::access(key_a()).claim("exp", 9_000_000_000_i64).claim("nbf", NOW).claim("iat", NOW as f64 - 0.5),
        Mint::access(key_a()).claim("exp", NOW + 1).claim("nbf", 0.5),
    ]
    .map(|mint| mint.text());
    let mut covered = 0;
    for policy in policies {
        let keys = || KeyCache::fixed(ISSUER, JwkSet::parse(set_text([key_a().jwk()]).as_bytes()).unwrap());
        for text in &tokens {
            let kept = Verifier::new(policy.clone(), keys());
            let anew = Verifier::new(policy.clone(), keys()).cache_entries(0);
            let now = UnixTime::from_secs(NOW);
            assert_eq!(kept.stable_period(text, now), None, "nothing is cached yet");
            assert!(at_once(kept.verify(text, &FixedHost(now))).is_ok());
            assert_eq!(anew.stable_period(text, now), None, "caching is disabled");
            let period = kept.stable_period(text, now).unwrap_or(now..now);
            for millis in (-400..400).map(|step| step * 1000).chain((-200..200).map(|step| step * 333)) {
                let time = UnixTime::from_millis(now.millis() + millis);
                let passes = at_once(anew.verify(text, &FixedHost(time))).is_ok();
                if period.contains(&time) {
                    covered += 1;
                    assert!(passes, "{text} {millis}");
                    assert_eq!(kept.stable_period(text, time), Some(period.clone()));
                    continue;
                }
                assert_eq!(kept.stable_period(text, time), None, "{text} {millis}");
                if passes {
                    // The period ends less than a second early.
                    assert!((0..1000).contains(&(time.millis() - period.end.millis())), "{text} {millis} {period:?}");
                }
            }
        }
    }
    assert!(covered > 1000, "{covered}");
}

#[test]
fn a_stable_verdict_ends_when_keys_are_due_for_a_refresh_and_when_they_change() {
    let world = World::publishing([key_a()]);
    let text = Mint::access(key_a()).claim("exp", NOW + 86_400).text();
    verified(&world, &text);
    let period = world.verifier.stable_period(&text, world.now()).unwrap();
    assert_eq!(period.end.secs(), NOW + limits::JWKS_FRESH_DEFAULT_S * 4 / 5);
    assert_eq!(world.verifier.stable_period(&text, period.end), None);
    world.jobs(Jobs::Hold);
    for (at, jobs) in [(period.end.millis() - 1, 0), (period.end.millis(), 1)] {
        world.set_clock(UnixTime::from_millis(at));
        assert_eq!(world.request(&text), Verdict::Accepted);
        assert_eq!(world.open_jobs(), jobs, "a refresh in the background");
    }
    world.kill_jobs();
    world.jobs(Jobs::Run);
    // The key is removed, and its verdicts with it.
    world.publish([key_b()]);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&Mint::access(key_b()).claim("exp", NOW + 86_400).text()), Verdict::Accepted);
    assert_eq!(world.verifier.stable_period(&text, world.now()), None);
}

#[test]
fn a_verdict_on_a_bound_token_is_never_stable() {
    let world = World::publishing([key_a()]);
    let bound =
        Mint::access(key_a()).claim("cnf", json!({ "jkt": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" })).text();
    let verified = world.run(world.verifier.verify_unconfirmed(&bound, &world.host));
    assert!(verified.is_ok());
    assert_eq!(world.verifier.stable_period(&bound, world.now()), None, "it passes with another proof each time");
    assert_eq!(world.request(&bound), Verdict::Refused("token_sender_constrained"));
}
