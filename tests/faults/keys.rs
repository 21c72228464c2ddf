//! F08 to F13, F18, F28 to F30: the provider's keys change, or a set is not all that it should be.

use std::rc::Rc;

use edgeward::io::UnixTime;
use edgeward::limits;
use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment};
use support::host::Delay;
use support::provider::{Endpoint, Fault};
use support::world::{Verdict, World, token, token_with_kid};
use support::{Mint, NOW, key_a, key_b};

use crate::site::{Site, assert_user, bearer, session};

const DAYS: i64 = 100 * 24 * 3600;

/// Publishes these keys.
fn publish(site: &Site, keys: impl IntoIterator<Item = Value>) {
    site.provider.set().published = keys.into_iter().collect();
}

fn logs_in(instance: &Deployment) -> bool {
    instance.log_in(&mut Browser::default()).sets(COOKIE) == Some(true)
}

fn outcome(instance: &Deployment, token: &str) -> (u16, String) {
    bearer(instance, token).outcome()
}

fn refused(code: &str) -> (u16, String) {
    (401, code.into())
}

#[test]
fn f08_a_new_key_when_an_instance_starts() {
    let site = Site::new();
    publish(&site, [key_a().jwk(), key_b().jwk()]);
    site.provider.set().key = key_b();
    let instance = site.cold();
    for (text, asked) in [(token(key_b()), [1, 1, 0]), (token(key_a()), [0; 3]), (token(key_b()), [0; 3])] {
        let (response, requests) = site.counted(|| bearer(&instance, &text));
        assert_eq!((response.status, requests), (200, asked));
    }
    assert!(logs_in(&site.cold()), "with the new key");
    assert_user(&session(&site.cold(), &site.due), true, "a refresh, with the new key");
}

#[test]
fn f08_a_new_key_while_an_instance_is_at_work() {
    let site = Site::new();
    publish(&site, [key_a().jwk(), key_b().jwk()]);
    site.provider.set().key = key_b();
    let (response, asked) = site.counted(|| bearer(&site, &token(key_b())));
    assert_eq!((response.status, asked), (200, [0, 1, 0]), "one request, by the first token that has it");
    let (response, asked) = site.counted(|| bearer(&site, &token(key_a())));
    assert_eq!((response.status, asked), (200, [0; 3]));
    let before = site.seen().sent.len();
    assert_user(&session(&site, &site.due), true, "a refresh, with the new key");
    assert!(logs_in(&site));
    assert_eq!(site.seen().sent.len(), before + 2, "the exchanges only");

    // The first to have it may be an ID token.
    let site = Site::new();
    publish(&site, [key_a().jwk(), key_b().jwk()]);
    site.provider.set().key = key_b();
    assert!(logs_in(&site));
    assert_eq!(outcome(&site, &token(key_b())).0, 200);
}

/// The instance has the keys of before, at the start from the edge cache.
#[test]
fn f08_f11_a_slow_provider_during_a_rotation() {
    for (is_cold, is_replaced) in [(false, false), (false, true), (true, false), (true, true)] {
        let site = Site::new();
        let cold = site.instance();
        let instance = if is_cold { &cold } else { &site.deployment };
        let mut added = key_b().jwk();
        if is_replaced {
            added["kid"] = key_a().kid.into();
            publish(&site, [added]);
        } else {
            publish(&site, [key_a().jwk(), added]);
        }
        let kid = if is_replaced { key_a().kid } else { key_b().kid };
        let signed = move |mint: Mint| mint.signed_by(key_b()).header("kid", kid);
        site.provider.set().id = Rc::new(signed);
        let text = signed(Mint::access(key_a()).claim("exp", NOW + DAYS)).text();
        site.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
        site.delay_next(&site.provider.url(Endpoint::Keys), Delay::Millis(900));
        let callback = |browser: &mut Browser| {
            let begun = instance.send(browser, Request::get("/login").page());
            Request::get(&site.provider.authorize(begun.location())).page()
        };
        let mut browsers = [Browser::default(), Browser::default(), Browser::default()];
        let callbacks = browsers.each_mut().map(callback);
        let asked = site.seen().sent.len();
        let mut tasks = site.tasks();
        for (browser, request) in browsers.iter().zip(callbacks) {
            let login = request.cookie(&browser.header(site.now()));
            tasks.start(instance.answer(login));
            tasks.start(instance.answer(Request::get("/app").bearer(&text)));
            tasks.elapse_ms(300);
        }
        tasks.finish();
        for (number, response) in tasks.outputs().into_iter().enumerate() {
            let expected = if number % 2 == 0 { 302 } else { 200 };
            assert_eq!(
                response.status, expected,
                "{number}, cold {is_cold}, replaced {is_replaced}: {}",
                response.body
            );
            assert!(number % 2 == 1 || response.sets(COOKIE) == Some(true), "{number}");
        }
        let keys = site.provider.url(Endpoint::Keys);
        assert_eq!(site.seen().urls().split_off(asked).iter().filter(|url| **url == keys).count(), 1);
    }
}

#[test]
fn f09_a_withdrawn_key_when_an_instance_starts() {
    let site = Site::new();
    publish(&site, [key_b().jwk()]);
    let instance = site.cold();
    assert_eq!(outcome(&instance, &token(key_a())), refused("key_not_found"));
    assert_eq!(site.counted(|| bearer(&instance, &token(key_a()))).1, [0, 1, 0], "looked up once more");
    assert_eq!(site.counted(|| bearer(&instance, &token(key_a()))).1, [0; 3]);
    assert_user(&session(&instance, &site.browser), false, "a session lasts");
    assert_eq!(instance.log_in(&mut Browser::default()).status, 400);
    assert!(site.has_logged("id_token_invalid: key_not_found"), "{:?}", site.lines());
    site.provider.set().key = key_b();
    assert!(logs_in(&instance));
}

#[test]
fn f09_a_withdrawn_key_while_an_instance_is_at_work() {
    let site = Site::new();
    publish(&site, [key_b().jwk()]);
    assert_eq!(outcome(&site, &token(key_a())).0, 200, "until the set is read again");
    // It was fetched 40 s ago. In the last fifth of its freshness it is read again in the background.
    site.sleep_s(560);
    assert_eq!(outcome(&site, &token(key_a())), refused("key_not_found"), "from the cache of verified tokens, too");
    assert_user(&session(&site, &site.browser), false, "a session lasts");
    site.provider.set().key = key_b();
    assert!(logs_in(&site));
}

/// The set is outdated, and the request that found the provider down has waited for it.
fn outdated() -> World {
    let world = World::publishing([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.take_down();
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    world.publish([key_b()]);
    world.sleep_s(limits::FETCH_BACKOFF_MIN_S);
    world
}

#[test]
fn f09_a_key_that_is_withdrawn_during_an_outage() {
    let world = outdated();
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "the next attempt is not awaited");
    assert_eq!(world.request(&token(key_a())), Verdict::Refused("key_not_found"), "and its outcome counts");

    // Where nothing runs in the background, it is awaited after a while.
    let world = outdated();
    world.run_background(false);
    for _ in 0..limits::FETCH_BACKOFF_MAX_S {
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        world.sleep_s(1);
    }
    assert_eq!(world.request(&token(key_a())), Verdict::Refused("key_not_found"));
}

#[test]
fn f10_a_flood_of_unknown_keys() {
    for is_cold in [true, false] {
        let site = Site::new();
        let good = token(key_a());
        let cold = site.cold();
        let instance = if is_cold { &cold } else { &site.deployment };
        let before = site.seen().sent.len();
        let elapsed_ms = site.elapsed_ms();
        for number in 0..1_000 {
            assert_eq!(outcome(instance, &token_with_kid(format!("made up {number}"))), refused("key_not_found"));
            if number % 50 == 0 {
                assert_eq!(outcome(instance, &good).0, 200);
                assert_user(&session(instance, &site.browser), false, "beside it");
            }
        }
        // A cold instance reads the document and the set, and one of the next tokens asks whether there is a newer one.
        assert_eq!(site.seen().sent.len() - before, if is_cold { 3 } else { 1 });
        assert_eq!(site.elapsed_ms(), elapsed_ms, "no request waits");
        assert!(logs_in(instance));
        site.sleep_s(30);
        assert_eq!(site.counted(|| bearer(instance, &token_with_kid("x"))).1, [0, 1, 0], "one request in 30 s");
    }
}

#[test]
fn f11_another_key_under_the_same_name() {
    let replaced = || {
        key_b().jwk().as_object().cloned().map(|mut jwk| {
            jwk["kid"] = key_a().kid.into();
            Value::Object(jwk)
        })
    };
    let new = Mint::access(key_b()).header("kid", key_a().kid).claim("exp", NOW + DAYS).text();
    for is_cold in [true, false] {
        let site = Site::new();
        publish(&site, replaced());
        let cold = site.cold();
        let instance = if is_cold { &cold } else { &site.deployment };
        let (response, asked) = site.counted(|| bearer(instance, &new));
        assert_eq!((response.status, asked), (200, if is_cold { [1, 1, 0] } else { [0, 1, 0] }));
        let (response, asked) = site.counted(|| bearer(instance, &token(key_a())));
        assert_eq!((response.outcome(), asked), (refused("signature_invalid"), [0; 3]), "cached as it was");
        assert_user(&session(instance, &site.browser), false, "a session lasts");
        site.provider.set().key = key_b();
        site.provider.set().id = std::rc::Rc::new(|id| id.header("kid", key_a().kid));
        assert!(logs_in(instance));
    }
    // The same key, published for another algorithm.
    let published_for = |algorithm: &str| {
        key_a().jwk().as_object().cloned().map(|mut jwk| {
            jwk.insert("alg".into(), algorithm.into());
            Value::Object(jwk)
        })
    };
    for is_cold in [true, false] {
        let site = Site::new();
        publish(&site, published_for("PS256"));
        site.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
        let cold = site.cold();
        let instance = if is_cold { &cold } else { &site.deployment };
        assert_eq!(outcome(instance, &token(key_a())), refused("key_alg_mismatch"));
        publish(&site, published_for("RS256"));
        site.sleep_s(limits::UNKNOWN_KID_COOLDOWN_S);
        let (response, asked) = site.counted(|| bearer(instance, &token(key_a())));
        assert_eq!((response.status, asked), (200, [0, 1, 0]));
        assert!(logs_in(instance));
    }
}

#[test]
fn f13_a_provider_whose_clock_differs() {
    for is_cold in [true, false] {
        // Its tokens are issued so many seconds from now.
        for (ahead_s, passes) in [(-300, true), (0, true), (5, true), (6, false), (300, false)] {
            let site = Site::new();
            let cold = site.cold();
            let instance = if is_cold { &cold } else { &site.deployment };
            let iat = site.now().secs() + ahead_s;
            let text = Mint::access(key_a()).claim("iat", iat).claim("nbf", iat).claim("exp", iat + 600).text();
            let code = outcome(instance, &text);
            assert_eq!(code.0, if passes { 200 } else { 401 }, "{ahead_s} s: {code:?}");
            site.provider.set().id = std::rc::Rc::new(move |id| id.claim("iat", iat).claim("exp", iat + 600));
            assert_eq!(logs_in(instance), passes, "{ahead_s} s");
            assert_user(&session(instance, &site.browser), false, "a session lasts");
        }
    }
}

#[test]
fn f13_a_clock_that_jumps() {
    let site = Site::new();
    let start = site.now().secs();
    for jump_s in [-3600, 0, 3600, -24 * 3600, 0] {
        site.set_clock(UnixTime::from_secs(start + jump_s));
        let iat = site.now().secs();
        let text = Mint::access(key_a()).claim("iat", iat).claim("nbf", iat).claim("exp", iat + 600).text();
        for instance in [&site.deployment, &site.cold()] {
            assert_eq!(outcome(instance, &text).0, 200, "{jump_s} s");
        }
    }
    assert!(logs_in(&site) && logs_in(&site.cold()));
    assert_user(&session(&site, &site.browser), false, "a session outlasts it");
}

#[test]
fn f13_a_clock_that_jumps_while_sessions_are_used() {
    let minutes = |minutes: i64| minutes * 60;
    for jump_s in [minutes(-120), -61, -60, -1, 1, 61, minutes(120), minutes(20 * 60)] {
        // The cookie is fresh, or due to be rewritten; the access token is good, or due for refresh.
        for after_s in [0, minutes(200)] {
            let site = Site::new();
            site.sleep_s(after_s);
            let mut browsers = [site.browser.clone(), site.due.clone()];
            site.set_clock(UnixTime::from_secs(site.now().secs() + jump_s));
            for browser in &mut browsers {
                for request in [Request::get("/app").page(), Request::get("/app"), Request::get("/maybe")] {
                    let response = site.send(browser, request);
                    assert_ne!(response.sets(COOKIE), Some(false), "{jump_s} {after_s}: no session is cleared");
                }
            }
            site.set_clock(UnixTime::from_secs(site.now().secs() - jump_s));
            // It lasts as long as it is used.
            for _ in 0..3 {
                for browser in &mut browsers {
                    assert_eq!(site.open(browser, "/app").status, 200, "{jump_s} {after_s}");
                }
                site.sleep_s(minutes(20 * 60));
            }
            assert_eq!(site.provider.state().reused, 0, "{jump_s} {after_s}");
        }
    }
}

#[test]
fn f13_a_clock_that_jumps_during_a_refresh() {
    for jump_s in [-7200, -61, -3, 3, 50] {
        let site = Site::new();
        site.sleep_s(3 * 3600);
        site.provider.fault(Endpoint::Token, Fault::Late(900));
        let request = || Request::get("/app").cookie(&site.due.header(site.now()));
        let mut tasks = site.tasks();
        let first = tasks.start(site.answer(request()));
        tasks.elapse_ms(300);
        site.set_clock(UnixTime::from_secs(site.now().secs() + jump_s));
        let second = tasks.start(site.answer(request()));
        tasks.finish();
        let third = site.fetch(request());
        for response in [tasks.output(first).unwrap(), tasks.output(second).unwrap(), &third] {
            assert_user(response, true, &format!("{jump_s}"));
        }
        assert_eq!((site.provider.refreshes(), site.provider.state().reused), (1, 0), "{jump_s}");
    }
}

#[test]
fn f28_f29_keys_of_other_kinds_and_malformed_ones() {
    let others = || {
        let n = key_a().jwk()["n"].clone();
        [
            json!({ "kty": "AKP", "kid": "pq", "alg": "ML-DSA-65", "pub": "AAAA", "use": "sig" }),
            json!({ "kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "curve" }),
            json!({ "kty": "RSA", "kid": "malformed", "n": "!!", "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "without-e", "n": n }),
            json!({ "kty": 7, "kid": "number" }),
            Value::Null,
            json!("key"),
        ]
    };
    for is_cold in [true, false] {
        let site = Site::new();
        publish(&site, others().into_iter().chain([key_a().jwk(), key_b().jwk()]));
        site.provider.set().key = key_b();
        let cold = site.cold();
        let instance = if is_cold { &cold } else { &site.deployment };
        for key in [key_b(), key_a()] {
            assert_eq!(outcome(instance, &token(key)).0, 200);
        }
        assert_eq!(outcome(instance, &token_with_kid("malformed")), refused("key_not_found"));
        assert!(logs_in(instance));
        assert_user(&session(instance, &site.due), true, "a refresh");
        assert!(site.lines().iter().any(|line| line.starts_with("keys_skipped: ")), "{:?}", site.lines());
    }
}

#[test]
fn f30_a_corrupt_entry_of_the_edge_cache() {
    let evil = json!({ "issuer": "https://evil.example/", "fetched_at": NOW * 1000, "fresh_until": (NOW + 600) * 1000,
        "jwks": json!({ "keys": [key_b().jwk()] }).to_string() });
    for value in [b"\xff\xfe".to_vec(), Vec::new(), b"<html>".to_vec(), evil.to_string().into()] {
        let site = Site::new();
        let key = site.edge().keys().next().expect("an entry").clone();
        let cold = site.instance();
        site.edge().insert(key.clone(), value.clone());
        let (response, asked) = site.counted(|| bearer(&cold, &token(key_a())));
        assert_eq!((response.status, asked), (200, [1, 1, 0]), "it counts as none");
        assert_eq!(outcome(&cold, &token(key_b())), refused("key_not_found"));
        assert!(logs_in(&cold));
        assert_ne!(site.edge()[&key], value, "it is replaced");
        // An instance at work reads it for unknown keys only.
        site.edge().insert(key, value);
        let (response, asked) = site.counted(|| bearer(&site, &token(key_a())));
        assert_eq!((response.status, asked), (200, [0; 3]));
        assert_eq!(outcome(&site, &token(key_b())), refused("key_not_found"));
        assert_user(&session(&site, &site.browser), false, "beside it");
    }
}
