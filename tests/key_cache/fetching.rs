//! When keys are fetched, and what happens when that fails.

use edgeward::io::{Incoming, UnixTime};
use edgeward::jwk::{JwkSet, KeyCache, KeySource};
use edgeward::{Verifier, limits};
use support::host::{Delay, Jobs};
use support::{ISSUER, Mint, NOW, Rng, access_policy, key_1024, key_a, key_b, key_c, set, set_text};

use crate::{JWKS_URI, Verdict, World, json, status, token, token_with_kid, unavailable};

#[test]
fn keys_are_fetched_once_and_when_first_needed() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.asked(), 0);
    for _ in 0..10 {
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    }
    assert_eq!(world.asked(), 1);
}

#[test]
fn a_token_that_is_refused_without_a_key_causes_no_fetch() {
    let world = World::publishing([key_a()]);
    let (input, _) =
        token(key_a()).rsplit_once('.').map(|(input, signature)| (input.to_owned(), signature.to_owned())).unwrap();
    assert_eq!(world.request("a.b"), Verdict::Refused("token_malformed"));
    assert_eq!(world.request(&input), Verdict::Refused("token_malformed"));
    let none = support::Mint::access(key_a()).header("alg", "none").with_signature(&[]);
    assert_eq!(world.request(&none), Verdict::Refused("alg_not_allowed"));
    let crit = support::Mint::access(key_a()).header("crit", "x").text();
    assert_eq!(world.request(&crit), Verdict::Refused("crit_not_supported"));
    assert_eq!(world.asked(), 0);
}

#[test]
fn a_new_key_costs_exactly_one_fetch_and_no_valid_token_is_refused() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    for (round, keys) in
        [[key_a(), key_b()], [key_b(), key_c()], [key_c(), key_a()]].into_iter().cycle().take(30).enumerate()
    {
        world.sleep_s(31);
        world.publish(keys);
        let before = world.asked();
        for key in keys.iter().rev() {
            for _ in 0..3 {
                assert_eq!(world.request(&token(key)), Verdict::Accepted, "round {round}");
            }
        }
        assert_eq!(world.asked(), before + 1, "round {round}");
    }
}

#[test]
fn a_flood_of_unknown_keys_causes_one_fetch_per_cooldown() {
    let world = World::publishing([key_a()]);
    let mut rng = Rng(7);
    world.request(&token(key_a()));
    for period in 0..10 {
        let before = world.asked();
        for _ in 0..1000 {
            let kid = format!("{:016x}", rng.next());
            assert_eq!(world.request(&token_with_kid(kid)), Verdict::Refused("key_not_found"));
            world.sleep_ms(29);
        }
        assert_eq!(world.asked(), before + 1, "period {period}");
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        world.sleep_s(1);
    }
}

#[test]
fn failed_fetches_count_in_a_flood_too() {
    for failure in [Ok(status(500)), Ok(status(429)), Ok(json("<html>")), Err(edgeward::io::Unreachable::Network)] {
        let world = World::publishing([key_a()]);
        world.request(&token(key_a()));
        world.reply(JWKS_URI, failure);
        let before = world.asked();
        for n in 0..1000 {
            // While the provider is unreachable, a new key cannot be told from an invented one.
            let verdict = world.request(&token_with_kid(n.to_string()));
            assert!(matches!(verdict, Verdict::Unavailable { .. }), "{verdict:?}");
            assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
            world.sleep_ms(90);
        }
        assert_eq!(world.asked(), before + 3, "one at 0 s, one at 30 s, one at 60 s");
    }
}

#[test]
fn the_cooldown_ends_after_thirty_seconds_to_the_millisecond() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    assert_eq!(world.request(&token_with_kid("x")), Verdict::Refused("key_not_found"));
    world.publish([key_a(), key_b()]);
    world.sleep_ms(limits::UNKNOWN_KID_COOLDOWN_S * 1000 - 1);
    assert_eq!(world.request(&token(key_b())), Verdict::Refused("key_not_found"));
    world.sleep_ms(1);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.asked(), 3);
}

#[test]
fn pauses_after_failures_double_up_to_thirty_seconds() {
    let world = World::new();
    world.take_down();
    for _ in 0..1300 {
        assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { .. }));
        world.sleep_ms(100);
    }
    assert_eq!(world.asked_s(), [0, 1, 3, 7, 15, 31, 61, 91, 121]);
}

#[test]
fn a_success_ends_the_pauses() {
    let world = World::new();
    world.take_down();
    for _ in 0..400 {
        world.request(&token(key_a()));
        world.sleep_ms(100);
    }
    world.publish([key_a()]);
    world.sleep_s(30);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.take_down();
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    let before = world.asked();
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), before + 1);
    world.sleep_s(1);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), before + 2, "the first pause is a second again");
}

#[test]
fn a_cold_start_without_the_provider_is_unavailable_and_recovers() {
    let world = World::new();
    world.take_down();
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1));
    assert_eq!(world.asked(), 1);
    world.publish([key_a()]);
    assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1), "the pause holds");
    assert_eq!(world.asked(), 1);
    world.sleep_s(1);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
}

#[test]
fn retry_after_is_honoured_up_to_five_minutes() {
    for (header, pause_s) in [
        ("120", 120),
        ("300", 300),
        ("301", 300),
        ("86400", 300),
        ("4294967295", 300),
        ("0", 1),
        ("-5", 1),
        ("soon", 1),
        ("Fri, 20 Nov 2026 20:00:00 GMT", 1),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Fri, 15 Jan 2027 09:00:00 GMT", 300),
        ("Fri, 15 Jan 2027 08:02:00", 1),
        ("1.5", 1),
        ("", 1),
    ] {
        for code in [503, 429] {
            let world = World::new();
            world.answer(JWKS_URI, Incoming { retry_after: Some(header.into()), ..status(code) });
            assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", pause_s), "{header}");
            world.publish([key_a()]);
            world.sleep_ms(i64::from(pause_s) * 1000 - 1);
            assert_eq!(world.request(&token(key_a())), unavailable("jwks_unreachable", 1), "{header}");
            assert_eq!(world.asked(), 1);
            world.sleep_ms(1);
            assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "{header}");
        }
    }
}

#[test]
fn cached_keys_are_used_for_a_day_without_the_provider_and_not_a_millisecond_longer() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.take_down();
    let start = world.now().millis();
    let day = limits::JWKS_STALE_ON_ERROR_S * 1000;
    for minutes in 0..24 * 60 {
        world.set_clock(UnixTime::from_millis(start + minutes * 60_000));
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "after {minutes} minutes");
    }
    world.set_clock(UnixTime::from_millis(start + day - 1));
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.set_clock(UnixTime::from_millis(start + day));
    assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { code: "jwks_unreachable", .. }));
    world.publish([key_a()]);
    world.sleep_s(limits::FETCH_BACKOFF_MAX_S);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
}

#[test]
fn a_revoked_key_dies_within_the_fresh_time() {
    for runs_background in [true, false] {
        let world = World::publishing([key_a(), key_b()]);
        world.run_background(runs_background);
        assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
        world.publish([key_a()]);
        let mut died_after = None;
        for second in 0..=limits::JWKS_FRESH_DEFAULT_S {
            world.set_clock(UnixTime::from_secs(NOW + second));
            match world.request(&token(key_b())) {
                Verdict::Accepted => assert_eq!(died_after, None, "a dead key stays dead"),
                refused => {
                    assert_eq!(refused, Verdict::Refused("key_not_found"));
                    died_after.get_or_insert(second);
                }
            }
            assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        }
        let last_fifth = limits::JWKS_FRESH_DEFAULT_S / 5 * 4;
        let expected = if runs_background { last_fifth } else { limits::JWKS_FRESH_DEFAULT_S };
        // A background refresh is done after the answer of the request that started it.
        assert!((expected..=expected + 1).contains(&died_after.unwrap()), "{died_after:?}");
    }
}

#[test]
fn another_key_under_the_same_name_replaces_the_old_one() {
    let named = |key: &support::TestKey| {
        let mut jwk = key.jwk();
        jwk["kid"] = "current".into();
        set_text([jwk])
    };
    let signed = |key| support::Mint::access(key).header("kid", "current").claim("exp", NOW + 86_400).text();
    let world = World::new();
    world.answer(JWKS_URI, json(&named(key_a())));
    assert_eq!(world.request(&signed(key_a())), Verdict::Accepted);
    assert_eq!(world.request(&signed(key_b())), Verdict::Refused("signature_invalid"));
    world.answer(JWKS_URI, json(&named(key_b())));
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&signed(key_b())), Verdict::Accepted);
    assert_eq!(world.request(&signed(key_a())), Verdict::Refused("signature_invalid"), "also from the token cache");
}

#[test]
fn in_the_last_fifth_of_its_freshness_a_set_is_refreshed_in_the_background() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.sleep_ms(480_000 - 1);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), 1);
    world.sleep_ms(1);
    for _ in 0..10 {
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    }
    assert_eq!(world.asked(), 2, "refreshed once, and fresh again");
}

#[test]
fn a_refresh_that_fails_in_the_background_is_tried_again_after_the_pause() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.take_down();
    world.sleep_s(480);
    for _ in 0..40 {
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        world.sleep_ms(100);
    }
    assert_eq!(world.asked_s(), [0, 480, 481, 483]);
}

#[test]
fn only_one_of_many_requests_refreshes_in_the_background() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.sleep_s(500);
    let text = token(key_a());
    world.jobs(Jobs::Hold);
    let before = world.seen().jobs.len();
    let verdicts = world.run_all((0..100).map(|_| world.verdict(&text)));
    assert_eq!(verdicts, vec![Verdict::Accepted; 100]);
    assert_eq!(world.seen().jobs.len(), before + 1);
    assert_eq!(world.elapsed_ms(), 500_000, "no request waits for it");
    world.release_jobs();
    world.sleep_ms(0);
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_refused_token_does_not_lose_the_refresh() {
    let world = World::publishing([key_a()]);
    let valid = token(key_a());
    let expiring = support::Mint::access(key_a()).claim("exp", NOW + 100).text();
    assert_eq!(world.request(&expiring), Verdict::Accepted);
    assert_eq!(world.request(&valid), Verdict::Accepted);
    world.sleep_s(500);
    assert_eq!(world.request(&expiring), Verdict::Refused("token_expired"));
    assert_eq!(world.asked(), 1);
    assert_eq!(world.request(&valid), Verdict::Accepted);
    assert_eq!(world.asked(), 2, "the next token that passes brings the refresh");
}

#[test]
fn the_providers_word_on_freshness_counts_between_a_minute_and_an_hour() {
    for (cache_control, age, fresh_s) in [
        (None, None, 600),
        (Some("max-age=300"), None, 300),
        (Some("public, max-age=300, must-revalidate"), None, 300),
        (Some("max-age=300"), Some("100"), 200),
        (Some("max-age=300"), Some("299"), 60),
        (Some("max-age=300"), Some("99999"), 60),
        (Some("max-age=60"), None, 60),
        (Some("max-age=59"), None, 60),
        (Some("max-age=0"), None, 60),
        (Some("no-store"), None, 60),
        (Some("no-cache"), None, 60),
        (Some("max-age=3600"), None, 3600),
        (Some("max-age=3601"), None, 3600),
        (Some("max-age=31536000, immutable"), None, 3600),
        (Some("max-age=4294967296"), None, 600),
        (Some("max-age=-1"), None, 600),
        (Some("s-maxage=5"), None, 600),
        (Some("nonsense"), None, 600),
    ] {
        let world = World::new();
        let reply = Incoming {
            cache_control: cache_control.map(Into::into),
            age: age.map(Into::into),
            ..json(&set_text([key_a().jwk()]))
        };
        world.answer(JWKS_URI, reply);
        world.run_background(false);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        let held = world.verifier.keys().next().unwrap().status().unwrap();
        assert_eq!(held.fresh_until.millis() - held.fetched_at.millis(), fresh_s * 1000, "{cache_control:?} {age:?}");
        world.set_clock(UnixTime::from_millis(held.fresh_until.millis() - limits::FETCH_LEASE_MS));
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        assert_eq!(world.asked(), 1);
        world.set_clock(held.fresh_until);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        assert_eq!(world.asked(), 2, "{cache_control:?}");
    }
}

/// Responses that are no key set, and their codes.
fn bad_answers() -> Vec<(&'static str, Incoming, &'static str)> {
    let good = set_text([key_a().jwk()]);
    let huge = format!("{good}{}", " ".repeat(limits::MAX_KEY_SET_BYTES));
    vec![
        ("redirect 301", Incoming { status: 301, ..json(&good) }, "jwks_unreachable"),
        ("redirect 302", Incoming { status: 302, ..json(&good) }, "jwks_unreachable"),
        ("redirect 307", Incoming { status: 307, ..json(&good) }, "jwks_unreachable"),
        ("redirect 308", Incoming { status: 308, ..json(&good) }, "jwks_unreachable"),
        ("an opaque redirect", Incoming { status: 0, ..json(&good) }, "jwks_unreachable"),
        ("created", Incoming { status: 201, ..json(&good) }, "jwks_unreachable"),
        ("no content", Incoming { status: 204, ..json(&good) }, "jwks_unreachable"),
        ("not modified", Incoming { status: 304, ..json(&good) }, "jwks_unreachable"),
        ("unauthorised", Incoming { status: 401, ..json(&good) }, "jwks_unreachable"),
        ("not found", Incoming { status: 404, ..json(&good) }, "jwks_unreachable"),
        ("server error", Incoming { status: 500, ..json(&good) }, "jwks_unreachable"),
        ("HTML", json("<!doctype html><title>Sign in</title>"), "jwks_invalid"),
        ("nothing", json(""), "jwks_invalid"),
        ("cut off", json(&good[..good.len() - 1]), "jwks_invalid"),
        ("an array", json("[]"), "jwks_invalid"),
        ("an empty object", json("{}"), "jwks_invalid"),
        ("keys of another type", json(r#"{"keys":"x"}"#), "jwks_invalid"),
        ("too large", json(&huge), "jwks_invalid"),
        ("no keys", json(r#"{"keys":[]}"#), "jwks_no_usable_key"),
        ("weak keys only", json(&set_text([key_1024().jwk()])), "jwks_no_usable_key"),
    ]
}

#[test]
fn an_answer_that_is_no_key_set_never_yields_keys() {
    for (what, answer, code) in bad_answers() {
        let world = World::new();
        world.answer(JWKS_URI, answer);
        assert_eq!(world.request(&token(key_a())), unavailable(code, 1), "{what}");
        assert_eq!(world.asked(), 1, "{what}: a failed attempt is not repeated in the same request");
        assert!(world.edge().is_empty(), "{what} is not kept for others");
    }
}

#[test]
fn an_answer_that_is_no_key_set_never_replaces_keys() {
    for (what, answer, code) in bad_answers() {
        let world = World::publishing([key_a()]);
        world.request(&token(key_a()));
        world.answer(JWKS_URI, answer);
        world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "{what}");
        assert_eq!(world.asked(), 2, "{what}");
        assert_eq!(world.request(&token_with_kid("x")), unavailable(code, 1), "{what}");
        world.sleep_s(limits::JWKS_STALE_ON_ERROR_S);
        assert!(matches!(world.request(&token(key_a())), Verdict::Unavailable { .. }), "{what}");
    }
}

#[test]
fn any_content_type_is_accepted_and_a_byte_order_mark() {
    let types = ["application/json", "application/jwk-set+json", "text/plain", "text/html", "application/octet-stream"];
    for content_type in types.into_iter().map(Some).chain([None]) {
        for mark in ["", "\u{feff}"] {
            let world = World::new();
            let body = json(&format!("{mark}{}", set_text([key_a().jwk()])));
            world.answer(JWKS_URI, Incoming { content_type: content_type.map(Into::into), ..body });
            assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "{content_type:?}");
        }
    }
}

#[test]
fn a_key_replaced_under_its_id_is_fetched_once_per_cooldown() {
    let world = World::publishing([key_a()]);
    let replaced = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    let mut twin = key_b().jwk();
    twin["kid"] = key_a().kid.into();
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.request(&replaced), Verdict::Refused("signature_invalid"));
    assert_eq!(world.asked(), 1, "the set is new");
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    for _ in 0..3 {
        assert_eq!(world.request(&replaced), Verdict::Refused("signature_invalid"));
    }
    assert_eq!(world.asked(), 2, "a flood of bad signatures causes one fetch");
    world.answer(JWKS_URI, json(&set_text([twin])));
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S - 1);
    assert_eq!(world.request(&replaced), Verdict::Refused("signature_invalid"));
    world.sleep_s(1);
    assert_eq!(world.request(&replaced), Verdict::Accepted);
    assert_eq!(world.asked(), 3);
    assert_eq!(world.request(&token(key_a())), Verdict::Refused("signature_invalid"), "the old key is gone");
}

#[test]
fn a_bad_signature_is_refused_while_the_provider_is_down() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.answer(JWKS_URI, Incoming { status: 500, ..json("") });
    world.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
    let forged = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    for _ in 0..limits::UNKNOWN_KID_COOLDOWN_S {
        assert_eq!(world.request(&forged), Verdict::Refused("signature_invalid"));
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        assert_eq!(world.asked(), 2, "once per cooldown, although the pause after a failure is shorter");
        world.sleep_s(1);
    }
    assert_eq!(world.request(&forged), Verdict::Refused("signature_invalid"));
    assert_eq!(world.asked(), 3);
}

#[test]
fn a_bad_signature_does_not_shorten_the_pause_after_a_failure() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.take_down();
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    let forged = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + 86_400).text();
    assert_eq!(world.request(&forged), Verdict::Refused("signature_invalid"));
    assert_eq!(world.asked(), 2);
}

#[test]
fn soon_after_a_failure_no_request_waits_for_another_attempt() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.take_down();
    world.delay_answers(JWKS_URI, Delay::Millis(2000));
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    let elapsed_ms = || {
        let before = world.elapsed_ms();
        assert_eq!(world.run(world.verdict(&token(key_a()))), Verdict::Accepted);
        world.elapsed_ms() - before
    };
    assert!(elapsed_ms() >= 2000, "the first one waits");
    world.sleep_s(1);
    assert_eq!(elapsed_ms(), 0);
    world.sleep_s(4);
    assert_eq!(world.asked(), 5, "the attempt was made in the background; each sends its request twice");
}

#[test]
fn a_source_is_secure_by_https_or_on_loopback() {
    let hosts = ["idp.internal".to_owned(), "idp.test:8080".to_owned()];
    for (url, is_secure, is_allowed) in [
        ("https://idp.example.com/jwks", true, true),
        ("http://127.0.0.1:9000/jwks", true, true),
        ("http://localhost/jwks", true, true),
        ("http://idp.internal/jwks", false, true),
        ("http://idp.internal:8443/jwks", false, true),
        ("http://idp.test:8080/jwks", false, true),
        ("http://idp.test:8081/jwks", false, false),
        ("http://idp.example.com/jwks", false, false),
        ("ftp://idp.internal/jwks", false, false),
        ("idp.internal", false, false),
        ("", false, false),
    ] {
        for (source, issuer) in
            [(KeySource::Uri(url.into()), "http://issuer.example.com/"), (KeySource::Discovery, url)]
        {
            assert_eq!(source.is_secure(issuer), is_secure, "{source:?} {issuer}");
            assert_eq!(source.is_allowed(issuer, &hosts), is_allowed, "{source:?} {issuer}");
        }
    }
}

#[test]
fn the_cache_skips_moduli_over_its_own_maximum() {
    let keys = KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into())).max_modulus_bits(2048);
    let world = World::with(Verifier::new(access_policy(), keys));
    world.publish([support::key_3072(), key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.request(&token(support::key_3072())), Verdict::Refused("key_not_found"));
    assert_eq!(world.verifier.keys().next().unwrap().status().unwrap().skipped, 1);
}

#[test]
fn fixed_keys_are_never_fetched_and_never_expire() {
    let keys = set([key_a().jwk()]);
    let world = World::with(Verifier::new(access_policy(), KeyCache::fixed(ISSUER, keys)));
    assert_eq!(world.run(world.verifier.load(&world.host)), Ok(()));
    assert!(world.seen().jobs.is_empty());
    for seconds in [0, 600, 86_400, 99 * 86_400] {
        world.set_clock(UnixTime::from_secs(NOW + seconds));
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        assert_eq!(world.request(&token(key_b())), Verdict::Refused("key_not_found"));
    }
    assert_eq!(world.asked(), 0);
}

#[test]
fn warming_up_fetches_once_and_only_what_is_not_fresh() {
    let world = World::publishing([key_a()]);
    assert_eq!(world.run(world.verifier.load(&world.host)), Ok(()));
    let jobs = world.seen().jobs.len();
    assert_eq!(world.run(world.verifier.load(&world.host)), Ok(()));
    assert_eq!(world.seen().jobs.len(), jobs, "what is fresh is not loaded again");
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(world.asked(), 1);
    world.sleep_s(600);
    assert_eq!(world.run(world.verifier.load(&world.host)), Ok(()));
    assert_eq!(world.asked(), 2);
}

#[test]
fn a_post_quantum_key_joining_the_set_changes_nothing_for_the_others() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    let pq = serde_json::json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA"});
    world.answer(JWKS_URI, json(&set_text([pq, key_a().jwk(), key_b().jwk()])));
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(JwkSet::parse(&json(&set_text([key_a().jwk()])).body).unwrap().keys().len(), 1);
}

#[test]
fn while_the_provider_is_down_an_unknown_key_gets_the_time_of_the_next_fetch() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.sleep_s(300);
    world.take_down();
    let text = token(key_b());
    assert_eq!(
        world.request(&text),
        unavailable("jwks_unreachable", 30),
        "its own pause is longer than that of a failure"
    );
    world.publish([key_a(), key_b()]);
    world.sleep_s(20);
    assert_eq!(world.request(&text), unavailable("jwks_unreachable", 10));
    world.sleep_s(10);
    assert_eq!(world.request(&text), Verdict::Accepted);
    assert_eq!(world.asked_s(), [0, 300, 330]);
}

#[test]
fn a_set_that_is_no_longer_fresh_is_fetched_for_an_unknown_key_within_its_pause_too() {
    let world = World::publishing([key_a()]);
    world.request(&token(key_a()));
    world.run_background(false);
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S - 5);
    world.take_down();
    assert_eq!(world.request(&token_with_kid("x")), unavailable("jwks_unreachable", 30));
    world.publish([key_a(), key_b()]);
    world.sleep_s(4);
    assert_eq!(world.request(&token(key_b())), unavailable("jwks_unreachable", 26));
    world.sleep_s(1);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(world.asked_s(), [0, 595, 600]);
}

/// A set without the one key for a token may be outdated, whatever it lacks: the key id, the algorithm for it, or that no other key fits.
/// It is fetched again once per cooldown, even while it is fresh: until now, only for an unknown key id.
#[test]
fn a_set_without_the_one_key_is_fetched_again_once_per_cooldown() {
    let published_for = |algorithm: &str| {
        let mut key = key_a().jwk();
        key["alg"] = algorithm.into();
        set_text([key])
    };
    let lasting = || Mint::access(key_a()).claim("exp", NOW + 86_400);
    let both = set_text([key_a().jwk(), key_b().jwk()]);
    for (before, after, text, code) in [
        (both.clone(), set_text([key_a().jwk()]), lasting().without_header("kid").text(), "key_ambiguous"),
        (published_for("PS256"), published_for("RS256"), lasting().text(), "key_alg_mismatch"),
        (set_text([key_b().jwk()]), both, lasting().text(), "key_not_found"),
    ] {
        let world = World::new();
        world.answer(JWKS_URI, json(&before));
        assert_eq!(world.request(&text), Verdict::Refused(code), "fetched for this request");
        assert_eq!(world.asked(), 1);
        for _ in 0..10 {
            assert_eq!(world.request(&text), Verdict::Refused(code));
        }
        assert_eq!(world.asked(), 2, "{code}");
        world.answer(JWKS_URI, json(&after));
        world.sleep_ms(limits::UNKNOWN_KID_COOLDOWN_S * 1000 - 1);
        assert_eq!(world.request(&text), Verdict::Refused(code));
        assert_eq!(world.asked(), 2, "{code}");
        world.sleep_ms(1);
        assert_eq!(world.request(&text), Verdict::Accepted, "{code}");
        assert_eq!(world.asked(), 3, "{code}");
    }
}
