//! Rotations while the provider is slow: no token is refused while a fetch that may bring its key has no outcome.

use edgeward::limits;
use support::host::Delay;
use support::{Mint, NOW, key_a, key_b, key_c, set_text};

use crate::{JWKS_URI, Verdict, World, json, token, token_with_kid, unavailable};

/// How an issuer begins to sign with another key.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rotation {
    /// It publishes key b, too.
    Added,
    /// Key b replaces key a under its id.
    Replaced,
}

/// An instance with the keys of before the rotation. They are older than the cooldown. A cold one has them from the edge cache.
fn rotated(rotation: Rotation, is_cold: bool) -> (World, String) {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    let world = if is_cold {
        let cold = World::new();
        cold.edge().clone_from(&world.edge());
        cold
    } else {
        world
    };
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    if rotation == Rotation::Added {
        world.publish([key_a(), key_b()]);
        return (world, token(key_b()));
    }
    let mut twin = key_b().jwk();
    twin["kid"] = key_a().kid.into();
    world.answer(JWKS_URI, json(&set_text([twin])));
    (world, Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text())
}

fn rotations() -> impl Iterator<Item = (Rotation, bool)> {
    [Rotation::Added, Rotation::Replaced].into_iter().flat_map(|rotation| [(rotation, false), (rotation, true)])
}

#[test]
fn every_request_with_the_new_key_waits_for_a_slow_provider() {
    let slow_ms = [0, 100, 700, 1500, i64::from(limits::FETCH_TIMEOUT_MS)];
    for ((rotation, is_cold), answer_ms) in rotations().flat_map(|one| slow_ms.map(|answer_ms| (one, answer_ms))) {
        let what = format!("{rotation:?}, cold: {is_cold}, {answer_ms} ms");
        let (world, text) = rotated(rotation, is_cold);
        world.delay_next(JWKS_URI, Delay::Millis(answer_ms as u32));
        let asked = world.asked();
        let mut tasks = world.tasks();
        // One every 50 ms, before and after the end of the lease.
        let count = answer_ms / 50 + 2;
        for _ in 0..count {
            tasks.start(world.verdict(&text));
            tasks.elapse_ms(50);
        }
        tasks.finish();
        assert_eq!(tasks.outputs(), vec![Verdict::Accepted; count as usize], "{what}");
        assert_eq!(world.asked(), asked + 1, "{what}: one request to the provider for all");
    }
}

#[test]
fn a_provider_that_does_not_answer_is_unavailable_and_refuses_no_new_key() {
    for is_cold in [false, true] {
        let (world, text) = rotated(Rotation::Added, is_cold);
        world.delay_next(JWKS_URI, Delay::Millis(limits::FETCH_TIMEOUT_MS + 1));
        let asked = world.asked();
        let mut tasks = world.tasks();
        for _ in 0..10 {
            tasks.start(world.verdict(&text));
            tasks.elapse_ms(450);
        }
        tasks.finish();
        let verdicts = tasks.outputs();
        let is_expected = |verdict: &Verdict| matches!(verdict, Verdict::Unavailable { code: "jwks_unreachable", .. });
        assert!(verdicts.iter().all(is_expected), "{verdicts:?}");
        assert_eq!(world.asked(), asked + 1, "the cooldown for unknown keys holds");
    }
}

/// The request that fetches was cancelled, or its instance is frozen.
#[test]
fn a_fetch_whose_outcome_never_comes_delays_and_refuses_nothing_for_longer_than_its_bound() {
    for (rotation, is_cold) in rotations() {
        let (world, text) = rotated(rotation, is_cold);
        world.delay_next(JWKS_URI, Delay::Forever);
        let asked = world.asked();
        let mut tasks = world.tasks();
        let hung = tasks.start(world.verdict(&text));
        tasks.elapse_ms(100);
        tasks.cancel(hung);
        let waiting = tasks.start(world.verdict(&text));
        tasks.elapse_ms(limits::FETCH_WAIT_MS - 100 - 1);
        assert!(tasks.is_open(waiting), "{rotation:?}");
        tasks.elapse_ms(1 + i64::from(limits::FETCH_POLL_MS));
        assert_eq!(tasks.output(waiting), Some(&unavailable("jwks_unreachable", 1)), "{rotation:?}");
        for _ in 0..20 {
            let late = tasks.start(world.verdict(&text));
            assert!(tasks.poll(late), "{rotation:?}: it does not wait again");
            assert_eq!(tasks.output(late), Some(&unavailable("jwks_unreachable", 1)), "{rotation:?}");
            tasks.elapse_ms(1000);
        }
        assert_eq!(world.asked(), asked + 1, "{rotation:?}: the cooldown holds");
        tasks.elapse_ms(limits::UNKNOWN_KID_COOLDOWN_S * 1000 - limits::FETCH_WAIT_MS - 20_000);
        assert_eq!(world.request(&text), Verdict::Accepted, "{rotation:?}");
        assert_eq!(world.asked(), asked + 2, "{rotation:?}");
    }
}

#[test]
fn a_flood_during_a_slow_fetch_causes_no_other_and_delays_no_known_key() {
    let (world, text) = rotated(Rotation::Added, false);
    world.delay_next(JWKS_URI, Delay::Millis(2500));
    let (known, asked) = (token(key_a()), world.asked());
    let texts: Vec<String> = (0..200).map(|number| token_with_kid(number.to_string())).collect();
    let mut tasks = world.tasks();
    let first = tasks.start(world.verdict(&text));
    tasks.settle();
    let mut unknown = Vec::new();
    for text in &texts {
        unknown.push(tasks.start(world.verdict(text)));
        let at_once = tasks.start(world.verdict(&known));
        assert!(tasks.poll(at_once), "a known key waits");
        assert_eq!(tasks.output(at_once), Some(&Verdict::Accepted));
        tasks.elapse_ms(10);
    }
    assert!(unknown.iter().all(|number| tasks.is_open(*number)));
    tasks.finish();
    assert_eq!(tasks.output(first), Some(&Verdict::Accepted));
    assert!(unknown.iter().all(|number| tasks.output(*number) == Some(&Verdict::Refused("key_not_found"))));
    // The set is new, so nothing is waited for.
    let begun_ms = world.elapsed_ms();
    assert_eq!(world.request(&token_with_kid("another")), Verdict::Refused("key_not_found"));
    assert_eq!((world.asked(), world.elapsed_ms()), (asked + 1, begun_ms));
}

#[test]
fn an_answer_decides_for_the_fetches_before_it_and_for_none_after_it() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    let forged = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    let (unknown, new) = (token_with_kid("x"), token(key_c()));
    let sets = [set_text([key_a().jwk()]), set_text([key_a().jwk(), key_c().jwk()])];
    world.reply_next(JWKS_URI, sets.map(|set| Ok(json(&set))));
    let mut tasks = world.tasks();
    world.delay_next(JWKS_URI, Delay::Millis(1000));
    tasks.start(world.verdict(&unknown));
    tasks.elapse_ms(limits::FETCH_LEASE_MS);
    world.delay_next(JWKS_URI, Delay::Millis(3000));
    tasks.start(world.verdict(&forged));
    tasks.elapse_ms(600);
    let waiting = tasks.start(world.verdict(&new));
    tasks.finish();
    assert_eq!(world.asked(), 3);
    assert_eq!(tasks.output(waiting), Some(&Verdict::Accepted), "the second answer has its key");
    drop(tasks);

    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    world.publish([key_a()]);
    let mut tasks = world.tasks();
    world.delay_next(JWKS_URI, Delay::Forever);
    let lost = tasks.start(world.verdict(&unknown));
    tasks.elapse_ms(100);
    tasks.cancel(lost);
    tasks.elapse_ms(limits::FETCH_LEASE_MS);
    assert_eq!(world.request(&forged), Verdict::Refused("signature_invalid"));
    assert_eq!(world.asked(), 5);
    assert_eq!(world.request(&unknown), Verdict::Refused("key_not_found"), "the provider has answered since");
}

/// A refresh that began after the fetch for the key may end before it.
#[test]
fn a_fetch_that_fails_does_not_decide_for_one_that_is_still_under_way() {
    let (world, text) = rotated(Rotation::Replaced, false);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S / 5 * 4);
    world.delay_next(JWKS_URI, Delay::Millis(1500));
    let old = token(key_a());
    let mut tasks = world.tasks();
    let first = tasks.start(world.verdict(&text));
    tasks.elapse_ms(limits::FETCH_LEASE_MS);
    // The set is ageing: this begins the refresh, which fails at once.
    world.reply_next(JWKS_URI, [Err(edgeward::io::Unreachable::GivenUp)]);
    let known = tasks.start(world.verdict(&old));
    tasks.settle();
    assert_eq!(tasks.output(known), Some(&Verdict::Accepted));
    let second = tasks.start(world.verdict(&text));
    tasks.finish();
    assert_eq!([tasks.output(first), tasks.output(second)], [Some(&Verdict::Accepted); 2]);
}

#[test]
fn a_set_that_leaves_the_key_open_refuses_nothing_while_it_is_fetched_again() {
    let text = Mint::access(key_a()).without_header("kid").claim("exp", NOW + 86_400).text();
    for (answer_ms, passes) in [(700, true), (limits::FETCH_TIMEOUT_MS + 1, false)] {
        let world = World::publishing([key_a(), key_b()]);
        assert_eq!(world.request(&text), Verdict::Refused("key_ambiguous"));
        world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
        world.publish([key_a()]);
        world.delay_answers(JWKS_URI, Delay::Millis(answer_ms));
        let mut tasks = world.tasks();
        for _ in 0..4 {
            tasks.start(world.verdict(&text));
            tasks.elapse_ms(100);
        }
        tasks.finish();
        let verdicts = tasks.outputs();
        let is_expected = |verdict: &Verdict| match verdict {
            Verdict::Accepted => passes,
            Verdict::Unavailable { code, .. } => !passes && *code == "jwks_unreachable",
            Verdict::Refused(_) => false,
        };
        assert!(verdicts.iter().all(is_expected), "{answer_ms} ms: {verdicts:?}");
    }
}
