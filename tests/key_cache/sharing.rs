//! Many requests, several issuers: fetches are shared without promises, keys are never shared.

use edgeward::io::UnixTime;
use edgeward::jwk::{KeyCache, KeySource, KeysError, Lookup};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{Check, Verifier, limits};

use crate::support::{AUDIENCE, ISSUER, Mint, NOW, TestKey, key_a, key_b, key_c, set_text};
use crate::{JWKS_URI, Verdict, World, json, kids, token};

const OTHER: &str = "https://other.example.com/";
const OTHER_JWKS: &str = "https://other.example.com/jwks";

#[test]
fn of_200_requests_in_a_cold_isolate_one_fetches_and_all_succeed() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    let mut refresh = None;
    for request in 0..200 {
        match world.verifier.check(&text, world.now, 0) {
            Check::Fetch(permit) => assert!(refresh.replace(permit).is_none(), "request {request} fetches too"),
            Check::Wait => {}
            other => panic!("request {request}: {other:?}"),
        }
        world.sleep_ms(2);
    }
    assert!(world.refresh(refresh.unwrap()));
    for _ in 0..200 {
        assert_eq!(world.request(&text), Verdict::Accepted);
    }
    assert_eq!(world.asked(), 1);
}

#[test]
fn who_waits_longer_than_the_lease_fetches_itself() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    let Check::Fetch(first) = world.verifier.check(&text, world.now, 0) else { panic!() };
    world.sleep_ms(limits::FETCH_LEASE_MS - 1);
    assert!(matches!(world.verifier.check(&text, world.now, 0), Check::Wait));
    world.sleep_ms(1);
    let Check::Fetch(second) = world.verifier.check(&text, world.now, 0) else { panic!() };
    assert!(matches!(world.verifier.check(&text, world.now, 0), Check::Wait), "the second has a lease of its own");
    world.refresh(second);
    assert_eq!(world.request(&text), Verdict::Accepted);
    world.refresh(first);
    assert_eq!(world.request(&text), Verdict::Accepted);
}

#[test]
fn a_fetch_that_never_comes_back_delays_others_by_one_lease() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    let Check::Fetch(dropped) = world.verifier.check(&text, world.now, 0) else { panic!() };
    drop(dropped);
    world.sleep_ms(limits::FETCH_LEASE_MS);
    assert_eq!(world.request(&text), Verdict::Accepted);
}

#[test]
fn while_one_request_refreshes_a_stale_set_the_others_use_it() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    world.request(&text);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    let Check::Fetch(_refresh) = world.verifier.check(&text, world.now, 0) else { panic!() };
    for _ in 0..100 {
        assert!(matches!(world.verifier.check(&text, world.now, 0), Check::Verified(_, None)));
    }
}

#[test]
fn an_unknown_key_waits_for_the_fetch_that_may_bring_it() {
    let mut world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.publish([key_a(), key_b()]);
    let Check::Fetch(refresh) = world.verifier.check(&token(key_b()), world.now, 0) else { panic!() };
    assert!(matches!(world.verifier.check(&token(key_b()), world.now, 0), Check::Wait));
    assert!(
        matches!(world.verifier.check(&token(key_a()), world.now, 0), Check::Verified(_, None)),
        "known keys do not"
    );
    world.refresh(refresh);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
}

#[test]
fn an_older_answer_never_replaces_a_newer_one() {
    for newer_first in [true, false] {
        let mut world = World::publishing([key_a()]);
        let text = token(key_a());
        let Check::Fetch(first) = world.verifier.check(&text, world.now, 0) else { panic!() };
        let older = world.fetch(first.permit);
        world.sleep_ms(limits::FETCH_LEASE_MS);
        world.edge.clear();
        world.publish([key_b()]);
        let Check::Fetch(second) = world.verifier.check(&text, world.now, 0) else { panic!() };
        let newer = world.fetch(second.permit);
        let order = if newer_first { [newer, older] } else { [older, newer] };
        for fetched in order {
            world.verifier.store(0, fetched, world.now).unwrap();
        }
        assert_eq!(kids(&world), [key_b().kid], "newer first: {newer_first}");
    }
}

#[test]
fn a_failure_that_comes_late_takes_nothing_away() {
    let mut world = World::publishing([key_a()]);
    let text = token(key_a());
    let Check::Fetch(first) = world.verifier.check(&text, world.now, 0) else { panic!() };
    world.sleep_ms(limits::FETCH_LEASE_MS);
    let Check::Fetch(second) = world.verifier.check(&text, world.now, 0) else { panic!() };
    world.refresh(second);
    assert_eq!(world.verifier.store(0, first.permit.abandon(), world.now), Err(KeysError::JwksUnreachable));
    assert_eq!(world.request(&text), Verdict::Accepted);
}

#[test]
fn an_answer_to_another_question_teaches_nothing() {
    use edgeward::jwk::{Answer, Progress};
    let mut cache = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()));
    let now = UnixTime::from_secs(NOW);
    let permit = cache.warm_up(now).unwrap();
    let jwks = json(&set_text([key_a().jwk()]));
    let Progress::Finished(fetched) = permit.answer(Answer::Http(Ok(jwks)), now) else { panic!() };
    assert_eq!(cache.store(fetched, now), Err(KeysError::JwksUnreachable));
    assert!(matches!(cache.find(Some("x"), Algorithm::Rs256, now, 0), Lookup::Unavailable { .. }));
}

fn policy(issuer: &str) -> Policy {
    Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap()
}

/// Two issuers whose keys have the same name: key a is the first one's, key b the other's.
fn two_issuers() -> World {
    let named = |key: &TestKey| {
        let mut jwk = key.jwk();
        jwk["kid"] = "1".into();
        json(&set_text([jwk]))
    };
    let mut world = World::with(
        Verifier::new(policy(ISSUER), KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into())))
            .and_issuer(policy(OTHER), KeyCache::new(OTHER, KeySource::Uri(OTHER_JWKS.into()))),
    );
    world.answer(JWKS_URI, named(key_a()));
    world.answer(OTHER_JWKS, named(key_b()));
    world
}

fn token_of(issuer: &str, key: &'static TestKey) -> String {
    Mint::access(key).header("kid", "1").claim("iss", issuer).claim("exp", NOW + 86_400).text()
}

#[test]
fn two_issuers_with_keys_of_the_same_name_never_cross() {
    let mut world = two_issuers();
    for _ in 0..3 {
        assert_eq!(world.request(&token_of(ISSUER, key_a())), Verdict::Accepted);
        assert_eq!(world.request(&token_of(OTHER, key_b())), Verdict::Accepted);
        assert_eq!(world.request(&token_of(ISSUER, key_b())), Verdict::Refused("signature_invalid"));
        assert_eq!(world.request(&token_of(OTHER, key_a())), Verdict::Refused("signature_invalid"));
        assert_eq!(world.request(&token_of(ISSUER, key_c())), Verdict::Refused("signature_invalid"));
    }
    assert_eq!(world.asked(), 2, "each issuer's keys once");
}

#[test]
fn an_issuer_that_is_not_configured_causes_no_fetch() {
    let mut world = two_issuers();
    for issuer in ["https://attacker.example/", "https://tenant.example.com", "", "https://other.example.com"] {
        assert_eq!(world.request(&token_of(issuer, key_a())), Verdict::Refused("issuer_mismatch"), "{issuer}");
    }
    let without = Mint::access(key_a()).without("iss").text();
    assert_eq!(world.request(&without), Verdict::Refused("claim_missing"));
    let array = Mint::access(key_a()).claim("iss", serde_json::json!([ISSUER, OTHER])).text();
    assert_eq!(world.request(&array), Verdict::Refused("claim_malformed"));
    let twice = Mint::access(key_a()).splice_claims(r#""iss":"https://other.example.com/""#).text();
    assert_eq!(world.request(&twice), Verdict::Refused("token_malformed"));
    assert_eq!(world.asked(), 0);
}

#[test]
fn one_issuers_outage_is_not_the_others() {
    let mut world = two_issuers();
    world.provider.insert(JWKS_URI.into(), Err(edgeward::io::Unreachable::Network));
    assert!(matches!(world.request(&token_of(ISSUER, key_a())), Verdict::Unavailable { .. }));
    assert_eq!(world.request(&token_of(OTHER, key_b())), Verdict::Accepted);
    assert_eq!(world.verifier.warm_up(world.now).len(), 0, "one is fresh, the other pauses");
}

#[test]
fn a_fetch_is_filed_under_the_issuer_it_was_made_for() {
    let mut world = two_issuers();
    let refreshes = world.verifier.warm_up(world.now);
    assert_eq!(refreshes.iter().map(edgeward::Refresh::issuer).collect::<Vec<_>>(), [0, 1]);
    for refresh in refreshes.into_iter().rev() {
        world.refresh(refresh);
    }
    assert_eq!(world.request(&token_of(ISSUER, key_a())), Verdict::Accepted);
    assert_eq!(world.request(&token_of(OTHER, key_b())), Verdict::Accepted);
    assert_eq!(world.asked(), 2);
    let issuers: Vec<&str> = world.verifier.keys().map(KeyCache::issuer).collect();
    assert_eq!(issuers, [ISSUER, OTHER]);
}

#[test]
fn many_users_at_once_each_get_their_own_claims() {
    let mut world = World::publishing([crate::support::key_e3()]);
    let tokens: Vec<String> = (0..300)
        .map(|user| Mint::access(crate::support::key_e3()).claim("sub", format!("user-{user}")).text())
        .collect();
    world.request(&tokens[0]);
    let mut rng = crate::support::Rng(3);
    for _ in 0..20_000 {
        let user = rng.below(tokens.len());
        match world.verifier.check(&tokens[user], world.now, 0) {
            Check::Verified(token, _) => {
                assert_eq!(token.claims().subject(), Some(format!("user-{user}").as_str()));
            }
            other => panic!("{other:?}"),
        }
    }
}
