//! Many requests, several issuers: fetches are shared without promises, keys are never shared.

use edgeward::jwk::{KeyCache, KeySource};
use edgeward::jwt::{Access, Algorithm, Policy};
use edgeward::{Verifier, limits};
use support::host::{Delay, Jobs};
use support::{AUDIENCE, ISSUER, Mint, NOW, TestKey, key_a, key_b, key_c, set_text};

use crate::{JWKS_URI, Verdict, World, json, kids, token, token_with_kid};

const OTHER: &str = "https://other.example.com/";
const OTHER_JWKS: &str = "https://other.example.com/jwks";

#[test]
fn of_200_requests_in_a_cold_isolate_one_fetches_and_all_succeed() {
    for answer_ms in [0, 400] {
        let world = World::publishing([key_a()]);
        world.delay_answers(JWKS_URI, Delay::Millis(answer_ms));
        let text = token(key_a());
        let mut tasks = world.tasks();
        // One after the other, while the first one fetches.
        for _ in 0..200 {
            tasks.start(world.verdict(&text));
            tasks.elapse_ms(2);
        }
        tasks.finish();
        assert_eq!(tasks.outputs(), vec![Verdict::Accepted; 200]);
        assert_eq!(world.asked(), 1);
        // And all at once.
        let world = World::publishing([key_a()]);
        world.delay_answers(JWKS_URI, Delay::Millis(answer_ms));
        assert_eq!(world.run_all((0..200).map(|_| world.verdict(&text))), vec![Verdict::Accepted; 200]);
        assert_eq!(world.asked(), 1);
        assert!(world.elapsed_ms() <= i64::from(answer_ms + limits::FETCH_POLL_MS), "no request waits longer");
    }
}

#[test]
fn a_request_that_waits_longer_than_the_lease_fetches_itself() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    world.delay_answers(JWKS_URI, Delay::Millis(2000));
    let mut tasks = world.tasks();
    let first = tasks.start(world.verdict(&text));
    tasks.settle();
    world.delay_answers(JWKS_URI, Delay::Millis(100));
    let others: Vec<usize> = (0..10).map(|_| tasks.start(world.verdict(&text))).collect();
    tasks.elapse_ms(limits::FETCH_LEASE_MS - 1);
    assert_eq!(world.asked(), 1);
    tasks.elapse_ms(1);
    assert_eq!(world.asked(), 2, "one of them, and the others wait for that one: it has a lease of its own");
    tasks.elapse_ms(100 + i64::from(limits::FETCH_POLL_MS));
    assert!(others.iter().all(|other| tasks.output(*other) == Some(&Verdict::Accepted)));
    assert_eq!(tasks.output(first), None);
    tasks.finish();
    assert_eq!(tasks.output(first), Some(&Verdict::Accepted));
    assert_eq!(world.request(&text), Verdict::Accepted);
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_fetch_that_never_comes_back_delays_others_by_one_lease() {
    // The provider does not respond, or the instance that fetches is frozen.
    for is_frozen in [false, true] {
        let world = World::publishing([key_a()]);
        let text = token(key_a());
        if is_frozen {
            world.jobs(Jobs::Lose);
        } else {
            world.delay_answers(JWKS_URI, Delay::Forever);
        }
        let mut tasks = world.tasks();
        let hung = tasks.start(world.verdict(&text));
        tasks.settle();
        world.jobs(Jobs::Run);
        world.delay_answers(JWKS_URI, Delay::Millis(0));
        let others: Vec<usize> = (0..10).map(|_| tasks.start(world.verdict(&text))).collect();
        tasks.elapse_ms(limits::FETCH_LEASE_MS - 1);
        assert!(others.iter().all(|other| tasks.output(*other).is_none()));
        tasks.elapse_ms(1 + i64::from(limits::FETCH_POLL_MS));
        assert!(others.iter().all(|other| tasks.output(*other) == Some(&Verdict::Accepted)));
        assert_eq!(tasks.output(hung), None);
    }
}

#[test]
fn while_one_request_refreshes_a_stale_set_the_others_use_it() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    world.request(&text);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    world.delay_answers(JWKS_URI, Delay::Millis(300));
    let mut tasks = world.tasks();
    let refreshing = tasks.start(world.verdict(&text));
    let others: Vec<usize> = (0..100).map(|_| tasks.start(world.verdict(&text))).collect();
    assert!(!tasks.poll(refreshing));
    for other in others {
        assert!(tasks.poll(other), "it waits");
        assert_eq!(tasks.output(other), Some(&Verdict::Accepted));
    }
    tasks.finish();
    assert_eq!(tasks.output(refreshing), Some(&Verdict::Accepted));
    assert_eq!(world.asked(), 2);
}

#[test]
fn an_unknown_key_waits_for_the_fetch_that_may_bring_it() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.publish([key_a(), key_b()]);
    world.delay_answers(JWKS_URI, Delay::Millis(300));
    let (known, new, made_up) = (token(key_a()), token(key_b()), token_with_kid("x"));
    let mut tasks = world.tasks();
    let [first, second, third] = [&new, &new, &made_up].map(|text| tasks.start(world.verdict(text)));
    assert!(!tasks.poll(first) && !tasks.poll(second) && !tasks.poll(third));
    let at_once = tasks.start(world.verdict(&known));
    assert!(tasks.poll(at_once), "known keys do not");
    tasks.finish();
    let verdicts = [Verdict::Accepted, Verdict::Accepted, Verdict::Refused("key_not_found"), Verdict::Accepted];
    assert_eq!(tasks.outputs(), verdicts);
    assert_eq!(world.asked(), 2);
}

#[test]
fn an_older_answer_never_replaces_a_newer_one() {
    for newer_first in [true, false] {
        let world = World::publishing([key_a()]);
        let text = token(key_a());
        // The provider's response is determined when the request arrives.
        world.delay_answers(JWKS_URI, Delay::Millis(1000));
        let mut tasks = world.tasks();
        tasks.start(world.verdict(&text));
        tasks.elapse_ms(limits::FETCH_LEASE_MS);
        world.publish([key_b()]);
        world.delay_answers(JWKS_URI, Delay::Millis(if newer_first { 100 } else { 1500 }));
        tasks.start(world.verdict(&text));
        tasks.finish();
        assert_eq!(kids(&world), [key_b().kid], "newer first: {newer_first}");
    }
}

#[test]
fn a_late_failure_removes_nothing() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    world.delay_answers(JWKS_URI, Delay::Millis(4000));
    let mut tasks = world.tasks();
    let first = tasks.start(world.verdict(&text));
    tasks.settle();
    world.delay_answers(JWKS_URI, Delay::Millis(0));
    tasks.elapse_ms(limits::FETCH_LEASE_MS);
    let second = tasks.start(world.verdict(&text));
    tasks.settle();
    assert_eq!(tasks.output(second), Some(&Verdict::Accepted));
    assert!(world.seen().lines.is_empty());
    tasks.finish();
    assert_eq!(world.elapsed_ms(), i64::from(limits::FETCH_TIMEOUT_MS));
    assert!(world.seen().lines[0].1.starts_with("jwks_unreachable: "), "{:?}", world.seen().lines);
    assert_eq!(tasks.output(first), Some(&Verdict::Accepted), "even whose own fetch failed has the other's keys");
    assert_eq!(world.request(&text), Verdict::Accepted);
}

fn policy(issuer: &str) -> Policy<Access> {
    Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap()
}

/// Two issuers whose keys have the same name: key a is the first one's, key b the other's.
fn two_issuers() -> World {
    let named = |key: &TestKey| {
        let mut jwk = key.jwk();
        jwk["kid"] = "1".into();
        json(&set_text([jwk]))
    };
    let world = World::with(
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
    let world = two_issuers();
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
    let world = two_issuers();
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
fn one_issuers_outage_does_not_affect_the_other() {
    let world = two_issuers();
    world.reply(JWKS_URI, Err(edgeward::io::Unreachable::Network));
    assert!(matches!(world.request(&token_of(ISSUER, key_a())), Verdict::Unavailable { .. }));
    assert_eq!(world.request(&token_of(OTHER, key_b())), Verdict::Accepted);
    let jobs = world.seen().jobs.len();
    assert!(world.run(world.verifier.load(&world.host)).is_err());
    assert_eq!(world.seen().jobs.len(), jobs, "one is fresh, the other pauses");
}

#[test]
fn a_fetched_set_is_stored_under_its_own_issuer() {
    let world = two_issuers();
    // The second one's keys come first.
    world.delay_answers(JWKS_URI, Delay::Millis(100));
    assert_eq!(world.run(world.verifier.load(&world.host)), Ok(()));
    assert_eq!(world.urls(), [JWKS_URI, OTHER_JWKS], "at once");
    assert_eq!(world.elapsed_ms(), 100);
    assert_eq!(world.request(&token_of(ISSUER, key_a())), Verdict::Accepted);
    assert_eq!(world.request(&token_of(OTHER, key_b())), Verdict::Accepted);
    assert_eq!(world.asked(), 2);
    let issuers: Vec<&str> = world.verifier.keys().map(|keys| keys.issuer()).collect();
    assert_eq!(issuers, [ISSUER, OTHER]);
}

#[test]
fn many_users_at_once_each_get_their_own_claims() {
    let world = World::publishing([support::key_e3()]);
    let tokens: Vec<String> =
        (0..300).map(|user| Mint::access(support::key_e3()).claim("sub", format!("user-{user}")).text()).collect();
    world.request(&tokens[0]);
    let mut rng = support::Rng(3);
    for _ in 0..20_000 {
        let user = rng.below(tokens.len());
        let token = world.result(&tokens[user]).unwrap();
        assert_eq!(token.claims().subject(), Some(format!("user-{user}").as_str()));
    }
}
