//! Proves every branch of the verification flows on a virtual host: fetching and waiting, cancelled requests, killed jobs, late
//! responses, clocks that jump during an await, and log lines.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::host::{Host as _, Level};
use edgeward::io::{UnixTime, Unreachable};
use edgeward::jwk::{KeyCache, KeySource, KeysError};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{VerificationError, Verifier, limits};
use serde_json::json as value;
use support::host::{Delay, Jobs, Tasks, VirtualHost};
use support::world::{JWKS_URI, Verdict, World, json, kids, status, token, token_with_kid, unavailable};
use support::{AUDIENCE, ISSUER, Mint, NOW, Rng, access_policy, id_policy, key_a, key_b, key_e3, set_text};

const OPENID: &str = "https://tenant.example.com/.well-known/openid-configuration";
const OTHER: &str = "https://other.example.com/";
const OTHER_JWKS: &str = "https://other.example.com/jwks";
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// A world whose verifier discovers where its keys are.
fn discovering() -> World {
    let world = World::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery)));
    world.answer(OPENID, json(&value!({"issuer": ISSUER, "jwks_uri": JWKS_URI}).to_string()));
    world.publish([key_a()]);
    world
}

fn load(world: &World) -> Result<(), KeysError> {
    world.run(world.verifier.load(&world.host)).map_err(|why| why.error)
}

/// A verifier of two issuers: key a is the first one's, key b the other's.
fn two_issuers() -> World {
    let policy = |issuer: &str| Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap();
    let keys = |issuer: &str, uri: &str| KeyCache::new(issuer, KeySource::Uri(uri.into()));
    let first = Verifier::new(policy(ISSUER), keys(ISSUER, JWKS_URI));
    let world = World::with(first.and_issuer(policy(OTHER), keys(OTHER, OTHER_JWKS)));
    world.publish([key_a()]);
    world.answer(OTHER_JWKS, json(&set_text([key_b().jwk()])));
    world
}

/// A verifier of `count` issuers, none of which has keys in advance.
fn many_issuers(count: usize) -> World {
    let issuer = |n: usize| format!("https://tenant-{n}.example.com/");
    let policy = |n| Policy::access_token(issuer(n), [AUDIENCE], &Algorithm::ALL).unwrap();
    let keys = |n| KeyCache::new(issuer(n), KeySource::Uri(format!("{}jwks", issuer(n))));
    let first = Verifier::new(policy(0), keys(0));
    World::with((1..count).fold(first, |verifier, n| verifier.and_issuer(policy(n), keys(n))))
}

#[test]
fn of_a_thousand_issuers_each_verifies_its_own_tokens_and_an_unknown_one_fetches_nothing() {
    let world = many_issuers(1000);
    let issuer = |n: usize| format!("https://tenant-{n}.example.com/");
    let token = |issuer: &str| Mint::access(key_a()).claim("iss", issuer).text();
    for unknown in
        ["https://tenant-1000.example.com/", "https://tenant-7.example.com", "", "https://TENANT-7.example.com/"]
    {
        assert_eq!(world.request(&token(unknown)), Verdict::Refused("issuer_mismatch"), "{unknown}");
    }
    assert_eq!(world.asked(), 0);
    for n in [0, 7, 70, 700, 999] {
        let uri = format!("{}jwks", issuer(n));
        world.answer(&uri, json(&set_text([if n == 7 { key_b() } else { key_a() }.jwk()])));
        let asked = world.asked();
        let expected = if n == 7 { Verdict::Refused("key_not_found") } else { Verdict::Accepted };
        assert_eq!(world.request(&token(&issuer(n))), expected, "{n}");
        assert!(world.urls()[asked..].iter().all(|url| *url == uri), "{n}: {:?}", world.urls());
    }
    let error = world.result(&token("https://unknown.example.com/")).unwrap_err();
    let VerificationError::Refused(VerifyError::IssuerMismatch(mismatch)) = error else { panic!("{error}") };
    assert_eq!(mismatch.expected.len(), limits::MAX_EXPECTED_ISSUERS);
}

#[test]
fn a_cold_start_discovers_once_for_two_hundred_requests() {
    let world = discovering();
    world.delay_answers(OPENID, Delay::Millis(120));
    world.delay_answers(JWKS_URI, Delay::Millis(150));
    world.delay_edge(Delay::Millis(20));
    let text = token(key_a());
    assert_eq!(world.run_all((0..200).map(|_| world.verdict(&text))), vec![Verdict::Accepted; 200]);
    assert_eq!(world.urls(), [OPENID, JWKS_URI]);
    // Edge cache, document and key set one after the other, and a check of the result.
    assert!((290..=290 + i64::from(limits::FETCH_POLL_MS)).contains(&world.elapsed_ms()), "{}", world.elapsed_ms());
}

#[test]
fn a_request_with_keys_at_hand_is_ready_at_its_first_poll() {
    let world = World::publishing([key_a()]);
    let (good, forged) = (token(key_a()), format!("{}AAAA", &token(key_a())[..token(key_a()).len() - 4]));
    world.request(&good);
    // Fresh; in the last fifth, with a refresh in the background that takes its time.
    world.delay_answers(JWKS_URI, Delay::Forever);
    for seconds in [0, 500] {
        world.set_clock(UnixTime::from_secs(NOW + seconds));
        let mut tasks = world.tasks();
        let both = [(&good, Verdict::Accepted), (&forged, Verdict::Refused("signature_invalid"))];
        // With an older set, a bad signature waits for the fetch: its key may have been replaced.
        for (text, expected) in both.into_iter().take(if seconds == 0 { 2 } else { 1 }) {
            let number = tasks.start(world.verdict(text));
            assert!(tasks.poll(number), "it waits");
            assert_eq!(tasks.output(number), Some(&expected));
        }
    }
    assert_eq!(world.open_jobs(), 1);
}

#[test]
fn a_request_cancelled_at_any_await_affects_no_other() {
    // Counts the rounds of a whole fetch first, then cancels in each of them.
    let text = token(key_a());
    let mut rounds = 0;
    loop {
        let world = discovering();
        world.hesitate();
        let mut tasks = world.tasks();
        let cancelled = tasks.start(world.verdict(&text));
        let others = [(); 10].map(|()| tasks.start(world.verdict(&text)));
        for _ in 0..rounds {
            tasks.round();
        }
        let was_done = tasks.output(cancelled).is_some();
        tasks.cancel(cancelled);
        tasks.finish();
        for other in others {
            assert_eq!(tasks.output(other), Some(&Verdict::Accepted), "cancelled after {rounds} rounds");
        }
        assert_eq!(world.urls(), [OPENID, JWKS_URI], "the fetch continues, and no other is started");
        assert!(world.elapsed_ms() <= limits::FETCH_POLL_MS.into(), "nor does anybody wait for a lease");
        rounds += 1;
        if was_done {
            break;
        }
    }
    assert!(rounds > 4, "{rounds} rounds");
}

#[test]
fn a_fetch_continues_when_no_request_waits_for_it_any_more() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(300));
    let text = token(key_a());
    let mut tasks = world.tasks();
    let only = tasks.start(world.verdict(&text));
    tasks.elapse_ms(100);
    tasks.cancel(only);
    tasks.elapse_ms(200);
    assert_eq!(kids(&world), [key_a().kid]);
    assert_eq!(world.edge().len(), 1, "and other isolates have it, too");
}

#[test]
fn a_job_killed_at_any_await_returns_its_lease_and_fails_no_request() {
    let text = token(key_a());
    let mut rounds = 1;
    loop {
        let world = discovering();
        world.hesitate();
        let mut tasks = world.tasks();
        let numbers = [(); 10].map(|()| tasks.start(world.verdict(&text)));
        for _ in 0..rounds {
            tasks.round();
        }
        let was_over = world.open_jobs() == 0;
        world.kill_jobs();
        tasks.finish();
        for number in numbers {
            assert_eq!(tasks.output(number), Some(&Verdict::Accepted), "killed after {rounds} rounds");
        }
        assert!(world.seen().urls().iter().filter(|url| *url == JWKS_URI).count() <= 2);
        assert!(world.elapsed_ms() <= 2 * i64::from(limits::FETCH_POLL_MS), "no request waits for its lease to end");
        rounds += 1;
        if was_over {
            break;
        }
    }
    assert!(rounds > 4, "{rounds} rounds");
}

#[test]
fn where_no_job_ever_runs_a_request_ends_and_blames_the_keys() {
    let world = World::publishing([key_a()]);
    world.jobs(Jobs::Kill);
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1));
    assert_eq!(load(&world), Err(KeysError::JwksUnreachable));
    assert_eq!(world.asked(), 0);
    world.jobs(Jobs::Run);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "nothing of it is left");
}

#[test]
fn a_provider_that_takes_too_long_is_given_up_and_asked_again_after_the_pause() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(limits::FETCH_TIMEOUT_MS + 1));
    let text = token(key_a());
    assert_eq!(world.run(world.verdict(&text)), unavailable("jwks_unreachable", 1));
    assert_eq!((world.asked(), world.elapsed_ms()), (1, limits::FETCH_TIMEOUT_MS.into()));
    world.delay_answers(JWKS_URI, Delay::Millis(limits::FETCH_TIMEOUT_MS));
    assert_eq!(world.run(world.verdict(&text)), unavailable("jwks_unreachable", 1), "the pause holds");
    world.sleep_s(1);
    assert_eq!(world.run(world.verdict(&text)), Verdict::Accepted, "just in time");
    assert_eq!(world.asked(), 2);
}

#[test]
fn while_one_request_waits_for_a_slow_provider_the_others_ask_once_per_lease() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(2900));
    let text = token(key_a());
    assert_eq!(world.run_all((0..50).map(|_| world.verdict(&text))), vec![Verdict::Accepted; 50]);
    let leases = 2900 / limits::FETCH_LEASE_MS;
    assert!(world.asked() <= 1 + usize::try_from(leases).unwrap(), "{}", world.asked());
    assert!(world.elapsed_ms() <= 2900 + 2900, "{}", world.elapsed_ms());
}

#[test]
fn no_request_waits_for_the_edge_cache_to_store() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(100));
    let text = token(key_a());
    let mut tasks = world.tasks();
    let request = tasks.start(world.verdict(&text));
    tasks.elapse_ms(50);
    world.delay_edge(Delay::Forever);
    tasks.elapse_ms(50);
    assert_eq!(tasks.output(request), Some(&Verdict::Accepted));
    assert_eq!(world.open_jobs(), 1, "the entry is still on its way");
}

#[test]
fn an_edge_entry_spares_a_cold_isolate_the_provider_for_all_its_requests() {
    let warm = World::publishing([key_a()]);
    warm.request(&token(key_a()));
    let cold = World::new();
    *cold.edge() = warm.edge().clone();
    cold.delay_edge(Delay::Millis(30));
    let text = token(key_a());
    assert_eq!(cold.run_all((0..100).map(|_| cold.verdict(&text))), vec![Verdict::Accepted; 100]);
    assert_eq!((cold.asked(), cold.seen().edge_asked.len()), (0, 1));
    assert!(cold.seen().edge_stored.is_empty(), "it is there already");
}

#[test]
fn an_answer_of_the_edge_cache_about_an_unknown_key_counts_for_the_cooldown() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    // Another isolate has just fetched the same keys.
    let other = World::publishing([key_a()]);
    other.sleep_s(99);
    other.request(&token(key_a()));
    *world.edge() = other.edge().clone();
    world.sleep_s(100);
    let before = world.seen().edge_asked.len();
    for n in 0..100 {
        assert_eq!(world.request(&token_with_kid(format!("made-up-{n}"))), Verdict::Refused("key_not_found"));
    }
    assert_eq!((world.asked(), world.seen().edge_asked.len()), (1, before + 1));
}

#[test]
fn however_the_clock_jumps_during_an_await_every_request_gets_a_verdict() {
    let text = Mint::access(key_a()).without("nbf").without("iat").claim("exp", NOW + 10 * YEAR_MS / 1000).text();
    let jumps = [1, 499, 500, 501, 60_000, 600_000, 3_600_000, YEAR_MS];
    for jump_ms in jumps.into_iter().flat_map(|jump| [jump, -jump]) {
        for is_stale in [false, true] {
            let world = World::publishing([key_a()]);
            if is_stale {
                assert_eq!(world.request(&text), Verdict::Accepted);
                world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
            }
            let asked = world.asked();
            world.delay_answers(JWKS_URI, Delay::Millis(300));
            let mut tasks = world.tasks();
            let start = |tasks: &mut Tasks<_>| tasks.start(world.verdict(&text));
            let mut numbers = vec![start(&mut tasks), start(&mut tasks)];
            tasks.elapse_ms(100);
            world.set_clock(UnixTime::from_millis(world.now().millis() + jump_ms));
            numbers.extend([start(&mut tasks), start(&mut tasks)]);
            tasks.elapse_ms(100);
            numbers.push(start(&mut tasks));
            tasks.finish();
            for number in numbers {
                assert_eq!(tasks.output(number), Some(&Verdict::Accepted), "{jump_ms} ms, stale: {is_stale}");
            }
            assert!(world.asked() - asked <= 2, "{jump_ms} ms, stale: {is_stale}");
            // And back.
            world.delay_answers(JWKS_URI, Delay::Millis(0));
            world.set_clock(UnixTime::from_millis(world.now().millis() - jump_ms));
            assert_eq!(world.request(&text), Verdict::Accepted, "{jump_ms} ms and back, stale: {is_stale}");
        }
    }
}

#[test]
fn a_refresh_in_the_background_brings_new_keys_and_delays_no_request() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.publish([key_a(), key_b()]);
    world.delay_answers(JWKS_URI, Delay::Millis(200));
    world.sleep_s(500);
    let before_ms = world.elapsed_ms();
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.elapsed_ms(), before_ms);
    assert_eq!(kids(&world), [key_a().kid]);
    world.sleep_ms(200);
    assert_eq!(kids(&world), [key_a().kid, key_b().kid]);
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_lost_refresh_is_restarted_after_its_lease_and_a_killed_one_at_once() {
    let text = token(key_a());
    for (mode, wait_ms) in [(Jobs::Lose, limits::FETCH_LEASE_MS), (Jobs::Kill, 0), (Jobs::RunAwaited, 0)] {
        let world = World::publishing([key_a()]);
        world.request(&text);
        world.sleep_s(500);
        world.jobs(mode);
        assert_eq!(world.request(&text), Verdict::Accepted);
        world.jobs(Jobs::Run);
        if wait_ms > 0 {
            world.sleep_ms(wait_ms - 1);
            assert_eq!(world.request(&text), Verdict::Accepted);
            assert_eq!(world.asked(), 1, "{mode:?}: others rely on it");
            world.sleep_ms(1);
        }
        assert_eq!(world.request(&text), Verdict::Accepted);
        assert_eq!(world.asked(), 2, "{mode:?}");
    }
}

#[test]
fn a_verdict_without_waiting_is_none_until_there_are_keys() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(300));
    let text = token(key_a());
    for _ in 0..100 {
        assert_eq!(world.request_now(&text), None);
    }
    assert_eq!(world.seen().jobs.len(), 1, "the first one begins the fetch");
    assert_eq!(world.elapsed_ms(), 0);
    world.sleep_ms(300);
    assert_eq!(world.request_now(&text), Some(Verdict::Accepted));
    assert_eq!(world.request_now(&format!("{text}AAAA")), Some(Verdict::Refused("signature_invalid")));
    assert_eq!(world.asked(), 1);
}

#[test]
fn a_verdict_without_waiting_needs_no_keys_for_what_is_no_token() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request_now("a.b"), Some(Verdict::Refused("token_malformed")));
    let unsigned = Mint::access(key_a()).header("alg", "none").with_signature(&[]);
    assert_eq!(world.request_now(&unsigned), Some(Verdict::Refused("alg_not_allowed")));
    assert!(world.seen().jobs.is_empty());
}

#[test]
fn a_verdict_without_waiting_uses_stale_keys_while_they_are_fetched() {
    let world = World::publishing([key_a()]);
    let text = token(key_a());
    world.request(&text);
    for seconds in [500, limits::JWKS_FRESH_DEFAULT_S, limits::JWKS_STALE_ON_ERROR_S - 1] {
        world.set_clock(UnixTime::from_secs(NOW + seconds));
        world.jobs(Jobs::Hold);
        for _ in 0..10 {
            assert_eq!(world.request_now(&text), Some(Verdict::Accepted), "after {seconds} s");
        }
        assert_eq!(world.open_jobs(), 1, "after {seconds} s");
        world.kill_jobs();
    }
    // Even if no job ever runs.
    world.jobs(Jobs::Kill);
    assert_eq!(world.request_now(&text), Some(Verdict::Accepted));
    world.jobs(Jobs::Hold);
    // After a day, they are no longer used.
    world.set_clock(UnixTime::from_secs(NOW + limits::JWKS_STALE_ON_ERROR_S));
    assert_eq!(world.request_now(&text), None);
    world.jobs(Jobs::Run);
    world.release_jobs();
    world.sleep_ms(0);
    assert_eq!(world.request_now(&text), Some(Verdict::Accepted));
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_verdict_without_waiting_says_when_the_provider_cannot_be_reached() {
    let world = World::new();
    world.take_down();
    let text = token(key_a());
    assert_eq!(world.request_now(&text), None);
    world.sleep_ms(0);
    assert_eq!(world.request_now(&text), Some(unavailable("jwks_unreachable", 1)));
    world.publish([key_a()]);
    world.sleep_s(1);
    assert_eq!(world.request_now(&text), None);
    world.sleep_ms(0);
    assert_eq!(world.request_now(&text), Some(Verdict::Accepted));
}

#[test]
fn a_verdict_without_waiting_on_an_unknown_key_follows_the_fetch_for_it() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.publish([key_a(), key_b()]);
    assert_eq!(world.request_now(&token(key_b())), None);
    assert_eq!(world.request_now(&token_with_kid("x")), None, "the fetch under way may bring it");
    assert_eq!(world.request_now(&token(key_a())), Some(Verdict::Accepted));
    world.sleep_ms(0);
    assert_eq!(world.request_now(&token(key_b())), Some(Verdict::Accepted));
    assert_eq!(world.request_now(&token_with_kid("x")), Some(Verdict::Refused("key_not_found")));
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_verdict_without_waiting_on_a_bad_signature_is_by_the_keys_at_hand() {
    let world = World::publishing([key_a()]);
    let replaced = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    world.request(&token(key_a()));
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    world.jobs(Jobs::Hold);
    for _ in 0..3 {
        assert_eq!(world.request_now(&replaced), Some(Verdict::Refused("signature_invalid")));
    }
    assert_eq!(world.open_jobs(), 1, "the first one begins a fetch");
}

#[test]
fn keys_of_several_issuers_are_loaded_at_once() {
    let world = two_issuers();
    world.delay_answers(JWKS_URI, Delay::Millis(400));
    world.delay_answers(OTHER_JWKS, Delay::Millis(300));
    let mut tasks = world.tasks();
    let loads = [(); 5].map(|()| tasks.start(world.verifier.load(&world.host)));
    tasks.finish();
    for load in loads {
        assert_eq!(tasks.output(load), Some(&Ok(())));
    }
    assert_eq!(world.urls(), [JWKS_URI, OTHER_JWKS], "and once, for both callers");
    assert!(world.elapsed_ms() <= 400 + i64::from(limits::FETCH_POLL_MS), "{}", world.elapsed_ms());
}

#[test]
fn a_load_fails_with_the_issuer_that_has_no_keys_and_has_loaded_the_others() {
    for failing in [JWKS_URI, OTHER_JWKS] {
        let world = two_issuers();
        world.answer(failing, json(r#"{"keys":[]}"#));
        assert_eq!(load(&world), Err(KeysError::JwksNoUsableKey));
        let [first, second] = [token(key_a()), Mint::access(key_b()).claim("iss", OTHER).text()];
        let expected = if failing == JWKS_URI { [false, true] } else { [true, false] };
        assert_eq!([world.request(&first), world.request(&second)].map(|got| got == Verdict::Accepted), expected);
        let asked = world.asked();
        assert_eq!(load(&world), Err(KeysError::JwksNoUsableKey), "while fetching pauses");
        assert_eq!(world.asked(), asked);
        world.publish([key_a()]);
        world.answer(OTHER_JWKS, json(&set_text([key_b().jwk()])));
        world.sleep_s(1);
        assert_eq!(load(&world), Ok(()));
    }
}

#[test]
fn a_load_is_content_with_keys_that_still_serve_and_with_no_others() {
    let world = World::publishing([key_a()]);
    assert_eq!(load(&world), Ok(()));
    world.take_down();
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(load(&world), Ok(()), "the last good set serves");
    assert_eq!(world.asked(), 2);
    world.sleep_s(limits::JWKS_STALE_ON_ERROR_S);
    assert_eq!(load(&world), Err(KeysError::JwksUnreachable), "a set of yesterday does not");
    assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { .. }));
}

#[test]
fn a_load_waits_for_a_fetch_under_way_though_the_one_before_failed() {
    let world = World::new();
    world.take_down();
    assert_eq!(load(&world), Err(KeysError::JwksUnreachable));
    world.publish([key_a()]);
    world.sleep_s(1);
    world.delay_answers(JWKS_URI, Delay::Millis(200));
    let mut tasks = world.tasks();
    let loads = [(); 3].map(|()| tasks.start(world.verifier.load(&world.host)));
    tasks.finish();
    assert_eq!(loads.map(|load| tasks.output(load).cloned()), [(); 3].map(|()| Some(Ok(()))));
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_load_ends_though_a_fetch_never_comes_back() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Forever);
    let mut tasks = world.tasks();
    let hung = tasks.start(world.verifier.load(&world.host));
    tasks.settle();
    world.delay_answers(JWKS_URI, Delay::Millis(0));
    let second = tasks.start(world.verifier.load(&world.host));
    tasks.elapse_ms(limits::FETCH_LEASE_MS + i64::from(limits::FETCH_POLL_MS));
    assert_eq!((tasks.output(hung), tasks.output(second)), (None, Some(&Ok(()))));
}

#[test]
fn a_flood_of_unknown_keys_at_once_causes_one_fetch_and_hides_no_new_key() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.publish([key_a(), key_b()]);
    world.delay_answers(JWKS_URI, Delay::Millis(100));
    let texts: Vec<String> = (0..500)
        .map(|n| match n {
            250 => token(key_b()),
            _ => token_with_kid(format!("made-up-{n}")),
        })
        .collect();
    let verdicts = world.run_all(texts.iter().map(|text| world.verdict(text)));
    for (n, verdict) in verdicts.iter().enumerate() {
        let expected = if n == 250 { Verdict::Accepted } else { Verdict::Refused("key_not_found") };
        assert_eq!(*verdict, expected, "{n}");
    }
    assert_eq!(world.asked(), 2);
}

#[test]
fn id_tokens_share_the_keys_and_the_fetches_of_the_verifier() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Millis(100));
    let keys = Arc::clone(world.verifier.keys().next().unwrap());
    let (access, id) = (token(key_a()), Mint::id(key_a()).text());
    let policy = id_policy();
    let mut tasks = world.tasks();
    let verify_id = async |text: &str| {
        let result = keys.verify(&policy, text, &world.host).await;
        result.map(|token| token.claims().subject().map(str::to_owned))
    };
    // An access token is not an ID token, and the cache of access tokens holds no ID token.
    let texts = [&id, &access];
    for text in texts {
        tasks.start(verify_id(text));
    }
    let mut others = world.tasks();
    let numbers = [&access, &id].map(|text| others.start(world.verdict(text)));
    assert!(numbers.iter().all(|number| !others.poll(*number)));
    tasks.finish();
    others.finish();
    let [Ok(subject), Err(VerificationError::Refused(error))] = &tasks.outputs()[..] else { panic!() };
    assert_eq!((subject.as_deref(), error.code()), (Some("user-1"), "audience_mismatch"));
    assert_eq!(others.outputs(), [Verdict::Accepted, Verdict::Refused("audience_mismatch")]);
    assert_eq!(world.asked(), 1);
}

#[test]
fn a_refused_id_token_passes_the_refresh_on() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.sleep_s(500);
    let keys = Arc::clone(world.verifier.keys().next().unwrap());
    let wrong = id_policy().nonce("another");
    let refused = world.run(keys.verify(&wrong, &Mint::id(key_a()).text(), &world.host));
    assert!(matches!(refused, Err(VerificationError::Refused(error)) if error.code() == "nonce_mismatch"));
    assert_eq!(world.asked(), 1);
    let id = world.run(keys.verify(&id_policy(), &Mint::id(key_a()).text(), &world.host));
    assert!(id.is_ok());
    assert_eq!(world.asked(), 2);
}

#[test]
fn what_is_logged_is_one_line_for_each_failed_fetch_and_holds_nothing_of_a_token() {
    let failures = [
        (Err(Unreachable::Network), "jwks_unreachable: "),
        (Err(Unreachable::GivenUp), "jwks_unreachable: "),
        (Ok(status(500)), "jwks_unreachable: "),
        (Ok(json("<html>")), "jwks_invalid: "),
        (Ok(json(r#"{"keys":[]}"#)), "jwks_no_usable_key: "),
    ];
    for (reply, code) in failures {
        let world = discovering();
        world.reply(JWKS_URI, reply);
        let texts = [token(key_a()), token_with_kid("secret-kid"), Mint::id(key_a()).text(), "secret.text".into()];
        for _ in 0..40 {
            world.run_all(texts.iter().map(|text| world.verdict(text)));
            world.sleep_ms(500);
        }
        let seen = world.seen();
        let fetches = seen.asked().iter().filter(|(url, _)| url == JWKS_URI).count();
        assert_eq!(seen.lines.len(), fetches, "{:?}", seen.lines);
        for (level, line) in &seen.lines {
            assert_eq!(*level, Level::Warning);
            assert!(line.starts_with(code), "{line}");
            assert!(!line.contains("secret") && !line.contains("user-1"), "{line}");
            for part in texts.iter().flat_map(|text| text.split('.')) {
                assert!(!line.contains(part), "{line}");
            }
        }
    }
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    assert!(world.seen().lines.is_empty(), "a refused token is no event");
}

/// Under any failure of provider, edge cache, runtime and clock, every request ends, no forged token passes and no valid one is refused;
/// and after recovery everything works at once.
#[test]
fn under_any_failures_every_request_ends_with_a_correct_verdict() {
    let good = Mint::access(key_e3()).without("nbf").without("iat").claim("exp", NOW + YEAR_MS / 1000).text();
    let rotating = Mint::access(key_a()).without("nbf").without("iat").claim("exp", NOW + YEAR_MS / 1000).text();
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    let texts = [good.clone(), rotating, forged, token_with_kid("made-up")];
    let mut seen = [0; 3];
    for seed in 0..60 {
        let world = if seed % 2 == 0 { World::new() } else { discovering() };
        let mut rng = Rng(1000 + seed);
        let publish = |has_both: bool| {
            if has_both { world.publish([key_e3(), key_a()]) } else { world.publish([key_e3()]) }
        };
        publish(true);
        let mut tasks = world.tasks();
        let mut started = Vec::new();
        for _ in 0..300 {
            let which = rng.below(texts.len());
            started.push((tasks.start(world.verdict(&texts[which])), which, world.elapsed_ms()));
            match rng.below(40) {
                0 => world.reply(JWKS_URI, Err(*rng.pick(&[Unreachable::Network, Unreachable::GivenUp]))),
                1 => world.reply(JWKS_URI, Ok(status(*rng.pick(&[302, 404, 429, 500])))),
                2..6 => publish(rng.below(2) == 0),
                6 => world.reply_next(JWKS_URI, [Err(Unreachable::Network)]),
                7 => world.delay_answers(JWKS_URI, Delay::Millis(u32::try_from(rng.below(5000)).unwrap())),
                8 => world.delay_answers(OPENID, Delay::Millis(u32::try_from(rng.below(5000)).unwrap())),
                9 => world.delay_answers(JWKS_URI, Delay::Millis(0)),
                10 => world.delay_edge(Delay::Millis(u32::try_from(rng.below(300)).unwrap())),
                11 => world.edge().clear(),
                12 => world.kill_jobs(),
                13 => world.jobs(*rng.pick(&[Jobs::RunAwaited, Jobs::Run])),
                14 => {
                    let jump_ms = i64::try_from(rng.below(1_000_000)).unwrap() - 500_000;
                    world.set_clock(UnixTime::from_millis(world.now().millis() + jump_ms));
                }
                15 => {
                    let (cancelled, ..) = *rng.pick(&started);
                    tasks.cancel(cancelled);
                }
                16 => tasks.elapse_ms(i64::try_from(rng.below(700_000)).unwrap()),
                17..30 => tasks.elapse_ms(i64::try_from(rng.below(1000)).unwrap()),
                _ => {}
            }
            for (number, _, at_ms) in &started {
                let is_open = tasks.is_open(*number);
                // Two fetches of at most six requests, each with its timeout, and a lease before each.
                assert!(!is_open || world.elapsed_ms() - at_ms <= 40_000 + 700_000, "seed {seed}: an endless request");
            }
        }
        tasks.finish();
        for (number, which, _) in started {
            match (tasks.output(number), which) {
                (None, _) => {}
                (Some(Verdict::Accepted), 0 | 1) => seen[0] += 1,
                (Some(Verdict::Refused("key_not_found")), 1 | 3) => seen[1] += 1,
                (Some(Verdict::Refused("signature_invalid")), 2) => seen[1] += 1,
                (Some(Verdict::Unavailable { .. }), _) => seen[2] += 1,
                (other, which) => panic!("seed {seed}: {other:?} for token {which}"),
            }
        }
        world.jobs(Jobs::Run);
        [OPENID, JWKS_URI].iter().for_each(|url| world.delay_answers(url, Delay::Millis(0)));
        world.delay_edge(Delay::Millis(0));
        publish(true);
        world.sleep_s(limits::RETRY_AFTER_MAX_S);
        let verdicts = world.run_all(texts.iter().map(|text| world.verdict(text)));
        assert_eq!(verdicts[0], Verdict::Accepted, "seed {seed}");
        assert_eq!(verdicts[2], Verdict::Refused("signature_invalid"), "seed {seed}");
        assert_eq!(world.open_jobs(), 0, "seed {seed}");
    }
    println!("disorder: {} accepted, {} refused, {} unavailable", seen[0], seen[1], seen[2]);
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}

#[test]
fn the_virtual_hosts_entropy_is_the_same_for_the_same_seed() {
    let drawn = |seed| {
        let host = VirtualHost::default();
        host.seed(seed);
        let mut bytes = [0; 32];
        host.fill(&mut bytes);
        bytes
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn after_the_clock_went_back_a_new_key_is_not_delayed_by_a_pause_from_the_future() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.sleep_s(100);
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    world.sleep_s(-50);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.publish([key_a(), key_b()]);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.asked_s(), [0, 100, 50, 50]);
}

#[test]
#[should_panic(expected = "a request waits forever")]
fn a_test_that_waits_without_end_fails() {
    let world = World::publishing([key_a()]);
    world.delay_answers(JWKS_URI, Delay::Forever);
    world.request(&token(key_a()));
}

#[test]
#[should_panic(expected = "a request waits endlessly")]
fn a_test_that_loops_without_end_fails() {
    let host = VirtualHost::default();
    host.run(async {
        loop {
            host.sleep(1).await;
        }
    });
}
