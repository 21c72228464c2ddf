//! The edge cache: it saves requests to the provider, and is trusted no more than the network.

use std::collections::BTreeMap;

use edgeward::Verifier;
use edgeward::io::UnixTime;
use edgeward::jwk::{KeyCache, KeySource};
use edgeward::limits;
use serde_json::{Value, json as value};
use support::host::Delay;
use support::{ISSUER, Mint, NOW, access_policy, key_a, key_b, key_c, set_text};

use crate::{JWKS_URI, Verdict, World, json, kids, status, token, token_with_kid, unavailable};

/// The edge cache's only entry after an isolate fetched key a at [`NOW`]: its key and value.
fn left_by_another_isolate() -> (String, Value) {
    let other = World::publishing([key_a()]);
    other.request(&token(key_a()));
    assert_eq!(other.edge().len(), 1);
    let (key, value) = other.edge().pop_first().unwrap();
    (key, serde_json::from_slice(&value).unwrap())
}

/// A cold isolate that finds `value` in the edge cache; the provider has key b only.
fn cold_world_with(value: impl Into<Vec<u8>>) -> World {
    let world = World::publishing([key_b()]);
    world.edge().insert(left_by_another_isolate().0, value.into());
    world
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (_, mut value) = left_by_another_isolate();
    change(&mut value);
    value.to_string().into()
}

#[test]
fn keys_that_another_isolate_fetched_are_not_fetched_again() {
    let world = cold_world_with(changed(|_| {}));
    world.run_background(false);
    world.sleep_s(599);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), 0);
    let held = world.verifier.keys().next().unwrap().status().unwrap();
    assert_eq!(held.fetched_at, UnixTime::from_secs(NOW), "its age counts from its fetch");
    assert_eq!(held.fresh_until, UnixTime::from_secs(NOW + 600));
}

#[test]
fn its_key_is_a_url_that_no_request_can_address_and_each_issuer_and_source_has_its_own() {
    let key_for = |issuer: &str, source: KeySource| {
        let world = World::with(Verifier::new(access_policy(), KeyCache::new(issuer, source)));
        assert!(world.run(world.verifier.load(&world.host)).is_err());
        let seen = world.seen();
        let [key] = seen.edge_asked.as_slice() else { panic!("{seen:?}") };
        key.clone()
    };
    let keys = [
        key_for("https://a.example/", KeySource::Discovery),
        key_for("https://a.example", KeySource::Discovery),
        key_for("https://a.example/", KeySource::Uri("https://a.example/jwks".into())),
        key_for("https://a.example/https://a.example/jwks", KeySource::Discovery),
        key_for("https://b.example/", KeySource::Uri("https://a.example/jwks".into())),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(key.starts_with("https://keys.edgeward.invalid/v1/"), "{key}");
        assert!(!keys[..at].contains(key));
    }
}

#[test]
fn an_invalid_entry_is_ignored() {
    let millis = NOW * 1000;
    let unusable = [
        ("garbage", b"\xff\xfe garbage".to_vec()),
        ("nothing", Vec::new()),
        ("HTML", b"<html>".to_vec()),
        ("a bare key set", set_text([key_a().jwk()]).into()),
        ("another issuer's", changed(|entry| entry["issuer"] = "https://attacker.example/".into())),
        ("an issuer without its slash", changed(|entry| entry["issuer"] = ISSUER.trim_end_matches('/').into())),
        ("no issuer", changed(|entry| drop(entry.as_object_mut().unwrap().remove("issuer")))),
        ("issuer in an array", changed(|entry| entry["issuer"] = value!([ISSUER]))),
        ("from the future", changed(|entry| entry["fetched_at"] = (millis + 1).into())),
        ("far from the future", changed(|entry| entry["fetched_at"] = u64::MAX.into())),
        ("before 1970", changed(|entry| entry["fetched_at"] = (-1).into())),
        ("no time", changed(|entry| entry["fetched_at"] = Value::Null)),
        ("time as text", changed(|entry| entry["fetched_at"] = millis.to_string().into())),
        ("time with a fraction", changed(|entry| entry["fetched_at"] = (millis as f64 + 0.5).into())),
        ("a day old", changed(|entry| entry["fetched_at"] = (millis - limits::JWKS_STALE_ON_ERROR_S * 1000).into())),
        ("no end", changed(|entry| drop(entry.as_object_mut().unwrap().remove("fresh_until")))),
        ("keys not as text", changed(|entry| entry["jwks"] = value!({"keys": [key_a().jwk()]}))),
        ("no usable key", changed(|entry| entry["jwks"] = r#"{"keys":[]}"#.into())),
        ("broken keys", changed(|entry| entry["jwks"] = r#"{"keys":["#.into())),
        ("too large", changed(|entry| entry["x"] = "x".repeat(limits::MAX_EDGE_ENTRY_BYTES).into())),
        (
            "keys too large",
            changed(|entry| {
                let padded = format!("{}{}", set_text([key_a().jwk()]), " ".repeat(limits::MAX_KEY_SET_BYTES));
                entry["jwks"] = padded.into();
            }),
        ),
        ("a name twice", {
            let text = String::from_utf8(changed(|_| {})).unwrap();
            text.replacen('{', &format!(r#"{{"issuer":"{ISSUER}","#), 1).into()
        }),
    ];
    for (what, value) in unusable {
        let world = cold_world_with(value);
        // First the token that the entry's key would accept.
        assert_eq!(world.request(&token(key_a())), Verdict::Refused("key_not_found"), "{what}");
        assert_eq!(world.request(&token(key_b())), Verdict::Accepted, "{what}");
        assert_eq!(world.asked(), 1, "{what}");
    }
}

#[test]
fn an_entry_that_claims_to_be_fresh_for_long_is_fresh_for_an_hour() {
    for claimed in [value!(u64::MAX), value!(i64::MAX), value!(NOW * 1000 + 1_000_000_000)] {
        let value = changed(|entry| entry["fresh_until"] = claimed);
        let world = cold_world_with(value);
        world.run_background(false);
        match world.request(&token(key_a())) {
            // A number that fits no instant makes the entry unreadable.
            Verdict::Refused("key_not_found") => assert_eq!(world.asked(), 1),
            verdict => {
                assert_eq!(verdict, Verdict::Accepted);
                let held = world.verifier.keys().next().unwrap().status().unwrap();
                assert_eq!(held.fresh_until, UnixTime::from_secs(NOW + limits::JWKS_FRESH_MAX_S));
            }
        }
    }
}

#[test]
fn an_entry_past_its_freshness_serves_only_when_the_provider_is_down() {
    let world = cold_world_with(changed(|_| {}));
    world.sleep_s(600);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted, "the provider's word is newer");
    assert_eq!(world.asked(), 1);

    let world = cold_world_with(changed(|_| {}));
    world.take_down();
    world.sleep_s(600);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), 1);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), 1, "the failure counts: there is no other request during the pause");
    assert!(matches!(world.request(&token_with_kid("x")), Verdict::Unavailable { .. }));
}

#[test]
fn an_entry_serves_without_the_provider_for_a_day_from_its_fetch() {
    let day = limits::JWKS_STALE_ON_ERROR_S * 1000;
    for (age_ms, serves) in [(day - 1, true), (day, false)] {
        let world = cold_world_with(changed(|_| {}));
        world.take_down();
        world.sleep_ms(age_ms);
        let expected = if serves { Verdict::Accepted } else { unavailable("jwks_unreachable", 1) };
        assert_eq!(world.request(&token(key_a())), expected);
    }
    let world = cold_world_with(changed(|_| {}));
    world.take_down();
    world.sleep_ms(day / 2);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_ms(day / 2);
    let verdict = world.request(&token(key_a()));
    assert!(matches!(verdict, Verdict::Unavailable { .. }), "being loaded late does not make it younger: {verdict:?}");
}

#[test]
fn a_newer_entry_wins_over_an_older_set_in_memory() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    // Another isolate sees the new keys first.
    let other = World::publishing([key_a(), key_b()]);
    other.sleep_s(100);
    other.request(&token(key_b()));
    *world.edge() = other.edge().clone();
    world.sleep_s(200);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.asked(), 1, "the new key came from the edge");
}

#[test]
fn an_older_entry_never_replaces_a_newer_set_in_memory() {
    let (key, old) = left_by_another_isolate();
    let world = World::new();
    world.sleep_s(300);
    world.publish([key_b()]);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    for seconds in [31, 300, 600, 3600] {
        world.edge().insert(key.clone(), old.to_string().into());
        world.sleep_s(seconds);
        assert_ne!(world.request(&token(key_a())), Verdict::Accepted, "key a is of the older set");
        assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    }
    world.take_down();
    world.edge().insert(key, old.to_string().into());
    world.sleep_s(3600);
    assert_ne!(world.request(&token(key_a())), Verdict::Accepted, "nor when the provider is down");
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
}

/// Two requests of a cold isolate fetch at once. The first gets key b from the provider, after two seconds; the second, begun
/// later, has only the older entry with key a, which is still fresh or, with the provider gone, better than nothing.
#[test]
fn an_older_entry_never_replaces_keys_that_another_request_has_fetched_meanwhile() {
    for (entry_age_s, entry_first) in [(300, true), (300, false), (700, true), (700, false)] {
        let world = World::publishing([key_b()]);
        world.sleep_s(entry_age_s);
        let text = token(key_a());
        world.delay_answers(JWKS_URI, Delay::Millis(2000));
        let mut tasks = world.tasks();
        let first = tasks.start(world.verdict(&text));
        tasks.elapse_ms(limits::FETCH_LEASE_MS);
        let (key, entry) = left_by_another_isolate();
        world.edge().insert(key, entry.to_string().into());
        world.take_down();
        world.delay_answers(JWKS_URI, Delay::Millis(0));
        world.delay_edge(Delay::Millis(if entry_first { 100 } else { 2500 }));
        let second = tasks.start(world.verdict(&text));
        tasks.elapse_ms(200);
        // The newest set is used as soon as it arrives.
        assert_eq!(tasks.output(second), entry_first.then_some(&Verdict::Accepted));
        tasks.finish();
        assert_ne!(tasks.output(first), Some(&Verdict::Accepted), "key a is of the older set");
        assert_eq!(kids(&world), [key_b().kid], "an entry of {entry_age_s} s, stored first: {entry_first}");
    }
}

#[test]
fn an_unknown_key_is_looked_up_at_the_provider_unless_the_entry_is_recent() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.sleep_s(100);
    // Another isolate has just asked the provider, which had no such key.
    let other = World::publishing([key_a()]);
    other.sleep_s(99);
    other.request(&token(key_a()));
    *world.edge() = other.edge().clone();
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    assert_eq!(world.asked(), 1, "one data centre asks once per cooldown");
    world.sleep_s(30);
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    assert_eq!(world.asked(), 2);
}

#[test]
fn an_entry_with_keys_over_the_maximum_is_checked_like_an_answer() {
    let world = World::publishing([support::key_3072(), key_a()]);
    world.request(&token(key_a()));
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into())).max_modulus_bits(2048);
    let stricter = World::with(Verifier::new(access_policy(), keys));
    *stricter.edge() = world.edge().clone();
    stricter.publish([key_c()]);
    assert_eq!(stricter.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(stricter.asked(), 0);
    assert_ne!(stricter.request(&token(support::key_3072())), Verdict::Accepted);
}

#[test]
fn an_entry_is_recent_for_thirty_seconds_to_the_millisecond() {
    let cooldown_ms = limits::UNKNOWN_KID_COOLDOWN_S * 1000;
    for (age_ms, asked) in [(cooldown_ms - 1, 1), (cooldown_ms, 2)] {
        let world = World::publishing([key_a()]);
        world.request(&token(key_a()));
        let other = World::publishing([key_a()]);
        other.sleep_s(100);
        other.request(&token(key_a()));
        *world.edge() = other.edge().clone();
        world.sleep_ms(100_000 + age_ms);
        assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
        assert_eq!(world.asked(), asked, "{age_ms} ms");
        assert_eq!(world.seen().edge_asked.len(), 2, "{age_ms} ms: the entry is read once, and once at the start");
    }
}

#[test]
fn a_cold_isolate_with_an_entry_looks_a_new_key_up_in_the_same_request() {
    let (key, entry) = left_by_another_isolate();
    let world = World::publishing([key_a(), key_b()]);
    world.edge().insert(key, entry.to_string().into());
    world.sleep_s(100);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted, "what the edge cache has is no fetch of the request");
    assert_eq!(world.asked(), 1);
}

/// A set is fresh up to, and not at, the end of its freshness: the provider has moved to another key.
#[test]
fn an_entry_is_fresh_for_its_lifetime_to_the_millisecond() {
    for (age_ms, expected, asked) in [(599_999, Verdict::Accepted, 0), (600_000, Verdict::Refused("key_not_found"), 1)]
    {
        let world = cold_world_with(changed(|_| {}));
        world.run_background(false);
        world.sleep_ms(age_ms);
        assert_eq!(world.request(&token(key_a())), expected, "{age_ms} ms");
        assert_eq!(world.asked(), asked, "{age_ms} ms");
        assert_eq!(
            world.seen().edge_asked.len(),
            1,
            "{age_ms} ms: a stale entry is not stored, only to be fetched again"
        );
    }
}

#[test]
fn a_key_replaced_under_its_id_is_read_from_a_recent_entry() {
    let replacement = || {
        let mut twin = key_b().jwk();
        twin["kid"] = key_a().kid.into();
        json(&set_text([twin]))
    };
    let signed = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    let cooldown_ms = limits::UNKNOWN_KID_COOLDOWN_S * 1000;
    for (age_ms, asked) in [(0, 1), (cooldown_ms - 1, 1), (cooldown_ms, 2), (cooldown_ms + 1, 2)] {
        let world = World::publishing([key_a()]);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        // Another isolate fetches the new key.
        let other = World::new();
        other.answer(JWKS_URI, replacement());
        other.sleep_s(100);
        assert_eq!(other.request(&signed), Verdict::Accepted);
        *world.edge() = other.edge().clone();
        world.answer(JWKS_URI, replacement());
        world.sleep_ms(100_000 + age_ms);
        assert_eq!(world.request(&signed), Verdict::Accepted, "{age_ms} ms");
        assert_eq!(world.asked(), asked, "{age_ms} ms");
    }
}

#[test]
fn an_entry_is_read_up_to_the_limit_of_its_size() {
    let of_size = |size: usize| {
        let padded = |len: usize| changed(|entry| entry["x"] = "x".repeat(len).into());
        padded(size - padded(0).len())
    };
    for (size, expected) in [
        (limits::MAX_EDGE_ENTRY_BYTES, Verdict::Accepted),
        (limits::MAX_EDGE_ENTRY_BYTES + 1, Verdict::Refused("key_not_found")),
    ] {
        let world = cold_world_with(of_size(size));
        assert_eq!(world.request(&token(key_a())), expected, "{size} bytes");
    }
}

/// The edge cache after another isolate fetched this set `age_s` seconds after [`NOW`].
fn edge_entry_of(set: &str, age_s: i64) -> BTreeMap<String, Vec<u8>> {
    let other = World::new();
    other.answer(JWKS_URI, json(set));
    other.sleep_s(age_s);
    other.request(&token(key_a()));
    let entries = other.edge().clone();
    assert_eq!(entries.len(), 1);
    entries
}

#[test]
fn no_cooldown_begins_with_a_key_that_an_old_entry_has() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    *world.edge() = edge_entry_of(&set_text([key_a().jwk(), key_b().jwk()]), 10);
    world.sleep_s(400);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.asked(), 1, "the entry has the key");
    world.publish([key_a(), key_b(), key_c()]);
    assert_eq!(world.request(&token(key_c())), Verdict::Accepted, "published within the last 390 s");
    assert_eq!(world.asked(), 2);
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    assert_eq!(world.asked(), 2, "the provider has just been asked");
}

#[test]
fn the_cooldown_of_a_failed_fetch_ends_with_an_old_entry() {
    let replaced = {
        let mut twin = key_b().jwk();
        twin["kid"] = key_a().kid.into();
        set_text([twin])
    };
    let signed_by_twin = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    for (failing, valid, published) in [
        (token_with_kid("x"), token(key_c()), set_text([key_a().jwk(), key_c().jwk()])),
        (signed_by_twin.clone(), signed_by_twin.clone(), replaced),
    ] {
        let world = World::publishing([key_a()]);
        world.request(&token(key_a()));
        world.sleep_s(590);
        world.reply(JWKS_URI, Ok(status(500)));
        assert_ne!(world.request(&failing), Verdict::Accepted);
        assert_eq!(world.asked(), 2);
        *world.edge() = edge_entry_of(&set_text([key_a().jwk()]), 200);
        world.sleep_s(11);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        assert_eq!(world.asked(), 2, "the entry is fresh");
        world.answer(JWKS_URI, json(&published));
        assert_eq!(world.request(&valid), Verdict::Accepted, "published within the last 400 s");
    }
}
