//! Why a key or a document is not used: in the error, in the log, and in the status.

use edgeward::host::{Level, SignatureVerdict};
use edgeward::io::{Incoming, Unreachable};
use edgeward::jwk::{KeyCache, KeySource, KeysFailure};
use edgeward::jwt::Algorithm;
use edgeward::{VerificationError, Verifier, limits};
use serde_json::{Value, json as value};
use support::world::{JWKS_URI, Verdict, World, json, token};
use support::{ISSUER, Mint, access_policy, key_1024, key_a, key_b, set_text};

fn reason(world: &World) -> Option<String> {
    match world.result(&token(key_a())) {
        Err(VerificationError::Unavailable(why)) => why.reason.map(|reason| reason.to_string()),
        other => panic!("{other:?}"),
    }
}

fn lines(world: &World) -> Vec<(Level, String)> {
    world.seen().lines.clone()
}

fn oct(kid: impl Into<Value>) -> Value {
    value!({"kty": "oct", "kid": kid.into(), "k": "c2VjcmV0LXNlY3JldA"})
}

#[test]
fn a_set_without_a_usable_key_tells_why_of_each() {
    let world = World::new();
    let mut unnamed = key_b().private_jwk();
    unnamed.as_object_mut().unwrap().remove("kid");
    world.answer(JWKS_URI, json(&set_text([oct("s\n1"), key_1024().jwk(), unnamed, value!(null)])));
    let expected = format!(
        r#""s\n1": key type is not supported; "{}": RSA modulus has 1024 bits, fewer than supported; without kid: key has private members; without kid: key is not a JSON object"#,
        key_1024().kid
    );
    assert_eq!(reason(&world).as_deref(), Some(expected.as_str()));
    let line = format!("jwks_no_usable_key: {JWKS_URI} answered 200; {expected}");
    assert_eq!(lines(&world), [(Level::Warning, line)]);
    assert!(!expected.contains("c2VjcmV0"), "no part of a key is told");
    let cache = world.verifier.keys().next().unwrap();
    let error = edgeward::jwk::KeysError::JwksNoUsableKey;
    assert_eq!(cache.last_failure(), Some(KeysFailure { error, reason: Some(expected.into()) }));
    assert_eq!(reason(&world), cache.last_failure().unwrap().reason.map(|reason| reason.to_string()), "in the pause");
    world.sleep_s(60);
    world.publish([key_a()]);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(cache.last_failure(), None);
}

#[test]
fn a_document_that_is_no_key_set_tells_why() {
    for (body, expected) in [
        (String::from("<!doctype html>"), "key set is not a strict JSON object"),
        (r#"{"keys":1}"#.into(), r#"key set has no array "keys""#),
        (r#"{"keys":[]}"#.into(), "the list of keys is empty"),
        (set_text(vec![value!(1); limits::MAX_KEYS_PER_SET + 1]), "key set has too many keys"),
    ] {
        let world = World::new();
        world.answer(JWKS_URI, json(&body));
        assert_eq!(reason(&world).as_deref(), Some(expected));
        assert!(lines(&world)[0].1.ends_with(expected), "{:?}", lines(&world));
    }
    let world = World::new();
    world.answer(JWKS_URI, Incoming { status: 500, ..json("") });
    assert_eq!(reason(&world), None, "there is no document");
    let message = "the issuer's key set cannot be fetched";
    assert_eq!(lines(&world), [(Level::Warning, format!("jwks_unreachable: {JWKS_URI} answered 500; {message}"))]);
    let world = World::new();
    world.reply(JWKS_URI, Err(Unreachable::GivenUp));
    assert_eq!(reason(&world), None);
    assert_eq!(lines(&world), [(Level::Warning, format!("jwks_unreachable: {JWKS_URI} did not respond; {message}"))]);
}

#[test]
fn an_outage_of_discovery_is_told_apart_from_one_of_the_keys() {
    let openid = "https://tenant.example.com/.well-known/openid-configuration";
    let oauth = "https://tenant.example.com/.well-known/oauth-authorization-server";
    let keys = "https://keys.example.com/jwks?a=secret";
    let document = |issuer: &str, jwks_uri: &str| json(&value!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string());
    let status = |status| Ok(Incoming { status, ..json("") });
    for (at_openid, at_oauth, at_keys, line) in [
        (
            status(503),
            status(200),
            status(200),
            format!("discovery_unreachable: {openid} answered 503; the issuer's discovery document cannot be fetched"),
        ),
        (
            status(404),
            status(500),
            status(200),
            format!("discovery_unreachable: {oauth} answered 500; the issuer's discovery document cannot be fetched"),
        ),
        (
            Err(Unreachable::GivenUp),
            status(200),
            status(200),
            format!(
                "discovery_unreachable: {openid} did not respond; the issuer's discovery document cannot be fetched"
            ),
        ),
        (
            Ok(json("[]")),
            status(200),
            status(200),
            format!("discovery_invalid: {openid} answered 200; document is not a strict JSON object"),
        ),
        (
            Ok(document("https://other.example.com/", keys)),
            status(200),
            status(200),
            format!(
                r#"discovery_issuer_mismatch: {openid} answered 200; document names the issuer "https://other.example.com/""#
            ),
        ),
        (
            Ok(document(ISSUER, "ftp://a")),
            status(200),
            status(200),
            format!(r#"discovery_invalid: the discovery of {ISSUER}; document names no acceptable "jwks_uri""#),
        ),
        (
            Ok(document(ISSUER, keys)),
            status(200),
            status(502),
            "jwks_unreachable: https://keys.example.com/jwks answered 502; the issuer's key set cannot be fetched"
                .into(),
        ),
    ] {
        let world = World::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery)));
        world.reply(openid, at_openid);
        world.reply(oauth, at_oauth);
        world.reply(keys, at_keys);
        assert!(world.result(&token(key_a())).is_err());
        assert_eq!(lines(&world), [(Level::Warning, line)]);
    }
}

#[test]
fn a_discovery_document_that_is_refused_tells_why() {
    let openid = "https://tenant.example.com/.well-known/openid-configuration";
    let long = "x".repeat(10_000);
    let shown = format!(r#"document names the issuer "{}""#, "x".repeat(limits::MAX_SHOWN_VALUE_BYTES));
    for (answer, expected) in [
        (json("<html>"), Some("document is not a strict JSON object")),
        (json("[]"), Some("document is not a strict JSON object")),
        (json("{}"), Some("document names no issuer")),
        (json(r#"{"issuer":1}"#), Some("document names no issuer")),
        (json(r#"{"issuer":"a\n\"b"}"#), Some(r#"document names the issuer "a\n\"b""#)),
        (json(&value!({"issuer": long}).to_string()), Some(shown.as_str())),
        (json(&value!({"issuer": ISSUER}).to_string()), Some(r#"document names no acceptable "jwks_uri""#)),
        (Incoming { status: 500, ..json("{}") }, None),
    ] {
        let world = World::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery)));
        world.answer(openid, answer);
        assert_eq!(reason(&world).as_deref(), expected);
        let failure = world.verifier.keys().next().unwrap().last_failure().unwrap();
        assert_eq!(failure.reason.as_deref(), expected, "in the status, too");
        assert_eq!(reason(&world).as_deref(), expected, "in the pause");
    }
}

#[test]
fn the_reasons_in_one_text_are_bounded() {
    let world = World::new();
    world.answer(JWKS_URI, json(&set_text((0..100).map(|index| oct(format!("{index}"))))));
    let reason = reason(&world).unwrap();
    assert_eq!(reason.matches("key type is not supported").count(), limits::MAX_REASONS);
    assert!(reason.ends_with("; and 92 more"), "{reason}");
}

#[test]
fn skipped_keys_are_logged_when_they_change_and_are_no_failure() {
    let world = World::new();
    world.answer(JWKS_URI, json(&set_text([oct("a"), key_a().jwk()])));
    for _ in 0..3 {
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
        world.sleep_s(700);
    }
    assert_eq!(world.asked(), 3);
    let line = |kid: &str| (Level::Information, format!(r#"keys_skipped: "{kid}": key type is not supported"#));
    assert_eq!(lines(&world), [line("a")]);
    world.answer(JWKS_URI, json(&set_text([oct("b"), key_a().jwk()])));
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(lines(&world), [line("a"), line("b")]);
    assert_eq!(world.verifier.keys().next().unwrap().last_failure(), None);
}

#[test]
fn the_status_tells_which_keys_are_usable_and_why_the_others_are_not() {
    let ec = value!({
        "kty": "EC", "crv": "P-256", "kid": "ec",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    });
    let world = World::new();
    let cache = world.verifier.keys().next().unwrap();
    assert_eq!(cache.published(&Algorithm::ALL), []);
    assert_eq!(world.asked(), 0, "the status fetches nothing");
    world.answer(JWKS_URI, json(&set_text([oct("oct"), key_a().jwk(), ec])));
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    let published = |algorithms: &[Algorithm]| -> Vec<(String, Option<String>)> {
        let keys = cache.published(algorithms).into_iter();
        keys.map(|key| (key.kid.unwrap(), key.unusable.map(Into::into))).collect()
    };
    let row = |kid: &str, unusable: Option<&str>| (kid.to_owned(), unusable.map(Into::into));
    let oct = row("oct", Some("key type is not supported"));
    let (a, ec) = (row(key_a().kid, None), row("ec", None));
    assert_eq!(published(&Algorithm::ALL), [a.clone(), ec, oct.clone()]);
    let unlisted = row("ec", Some("no accepted algorithm fits the key"));
    assert_eq!(published(&[Algorithm::Rs256]), [a.clone(), unlisted, oct.clone()]);
    world.verify_signatures(|_| SignatureVerdict::KeyRefused);
    let text = Mint::access(key_a()).header("alg", "ES256").header("kid", "ec").with_signature(&[1; 64]);
    assert_eq!(world.request(&text), Verdict::Refused("key_not_found"));
    let refused = row("ec", Some("the platform refuses the key: it is not on its curve"));
    assert_eq!(published(&Algorithm::ALL), [a, refused, oct]);
}
