//! Discovery: only the issuer's document says where its keys are.

use edgeward::io::{Incoming, Unreachable};
use edgeward::jwk::{KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Policy, Tenants};
use edgeward::{Verifier, limits};
use serde_json::{Value, json as value};
use support::{AUDIENCE, ISSUER, Mint, NOW, access_policy, key_a, key_b, set_text};

use crate::{Verdict, World, json, status, token, unavailable};

const OPENID: &str = "https://tenant.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://tenant.example.com/.well-known/oauth-authorization-server";
const KEYS: &str = "https://keys.example.com/jwks";

fn document(issuer: &str, jwks_uri: &str) -> Incoming {
    json(&value!({"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["code"]}).to_string())
}

/// A verifier that discovers; the provider has key a at [`KEYS`] and says so.
fn world() -> World {
    let world = World::with(Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery)));
    world.answer(OPENID, document(ISSUER, KEYS));
    world.answer(KEYS, json(&set_text([key_a().jwk()])));
    world
}

fn urls(world: &World) -> Vec<String> {
    world.urls()
}

#[test]
fn the_document_names_the_keys() {
    let world = world();
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(urls(&world), [OPENID, KEYS]);
}

#[test]
fn where_the_keys_are_is_remembered_for_an_hour() {
    let world = world();
    world.run_background(false);
    world.request(&token(key_a()));
    for _ in 1..=6 {
        world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
        assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    }
    let discoveries: Vec<i64> =
        world.seen().asked().iter().filter(|(url, _)| url == OPENID).map(|(_, at)| at.secs() - NOW).collect();
    assert!(discoveries.len() <= 2, "{discoveries:?}");
    assert_eq!(world.urls().iter().filter(|url| *url == KEYS).count(), 7);
}

#[test]
fn keys_that_moved_are_found_again() {
    let world = world();
    world.request(&token(key_a()));
    world.answer(KEYS, status(404));
    world.answer(OPENID, document(ISSUER, "https://keys.example.com/new"));
    world.answer("https://keys.example.com/new", json(&set_text([key_b().jwk()])));
    world.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted, "the last good set serves");
    world.sleep_s(1);
    assert_eq!(world.request(&token(key_b())), Verdict::Accepted);
    assert_eq!(urls(&world)[2..], [KEYS, OPENID, "https://keys.example.com/new"]);
}

#[test]
fn a_document_of_another_issuer_is_refused() {
    for issuer in [
        "https://attacker.example/",
        "https://tenant.example.com",
        "https://tenant.example.com//",
        "HTTPS://tenant.example.com/",
        "https://tenant.example.com/x",
        "",
    ] {
        let world = world();
        world.answer(OPENID, document(issuer, KEYS));
        assert_eq!(world.request(&token(key_a())), unavailable("discovery_issuer_mismatch", 1), "{issuer}");
        assert_eq!(urls(&world), [OPENID], "{issuer}: its keys are not even asked for");
    }
}

#[test]
fn keys_come_over_https_only() {
    for jwks_uri in [
        "http://keys.example.com/jwks",
        "http://127.0.0.1/jwks",
        "file:///etc/jwks",
        "data:application/json,{}",
        "ftp://keys.example.com/",
        "//keys.example.com/jwks",
        "/jwks",
        "jwks",
        "",
        "https://",
        "https://user:secret@keys.example.com/jwks",
        "https://keys.example.com\\@attacker.example/",
        "https://keys.example.com/#x",
        "https://keys.example.com/a b",
        "javascript:alert(1)",
        " https://keys.example.com/jwks",
        "https://keys.example.com/\n",
    ] {
        let world = world();
        world.answer(OPENID, document(ISSUER, jwks_uri));
        world.answer(jwks_uri, json(&set_text([key_a().jwk()])));
        assert_eq!(world.request(&token(key_a())), unavailable("discovery_invalid", 1), "{jwks_uri:?}");
        assert_eq!(urls(&world), [OPENID], "{jwks_uri:?}");
    }
}

#[test]
fn an_invalid_document_is_refused() {
    let good = value!({"issuer": ISSUER, "jwks_uri": KEYS});
    let changed = |name: &str, to: Value| {
        let mut document = good.clone();
        document[name] = to;
        json(&document.to_string())
    };
    let huge = format!("{good}{}", " ".repeat(limits::MAX_KEY_SET_BYTES));
    for (what, answer, code) in [
        ("HTML", json("<html>"), "discovery_invalid"),
        ("nothing", json(""), "discovery_invalid"),
        ("an empty object", json("{}"), "discovery_invalid"),
        ("an array", json("[]"), "discovery_invalid"),
        (
            "a name twice",
            json(&format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":"{KEYS}"}}"#)),
            "discovery_invalid",
        ),
        ("too large", json(&huge), "discovery_invalid"),
        ("issuer in an array", changed("issuer", value!([ISSUER])), "discovery_invalid"),
        ("no keys named", changed("jwks_uri", Value::Null), "discovery_invalid"),
        ("keys in an array", changed("jwks_uri", value!([KEYS])), "discovery_invalid"),
        ("redirect", Incoming { status: 302, ..json(&good.to_string()) }, "discovery_unreachable"),
        ("server error", Incoming { status: 500, ..json(&good.to_string()) }, "discovery_unreachable"),
        ("forbidden", Incoming { status: 403, ..json(&good.to_string()) }, "discovery_unreachable"),
    ] {
        let world = world();
        world.answer(OPENID, answer);
        assert_eq!(world.request(&token(key_a())), unavailable(code, 1), "{what}");
        assert_eq!(urls(&world), [OPENID], "{what}");
    }
    let world = world();
    world.reply(OPENID, Err(Unreachable::Network));
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 1));
}

#[test]
fn an_issuer_without_openid_is_found_by_rfc_8414() {
    let world = world();
    world.answer(OPENID, status(404));
    world.answer(OAUTH, document(ISSUER, KEYS));
    assert_eq!(world.request(&token(key_a())), Verdict::Accepted);
    assert_eq!(urls(&world), [OPENID, OAUTH, KEYS]);

    let world = self::world();
    world.answer(OPENID, status(404));
    assert_eq!(world.request(&token(key_a())), unavailable("discovery_unreachable", 1));
    assert_eq!(urls(&world), [OPENID, OAUTH]);
}

#[test]
fn well_known_urls_follow_their_specifications_for_issuers_with_a_path() {
    for (issuer, openid, oauth) in [
        (
            "https://id.example.com/realms/one",
            "https://id.example.com/realms/one/.well-known/openid-configuration",
            "https://id.example.com/.well-known/oauth-authorization-server/realms/one",
        ),
        (
            "https://id.example.com",
            "https://id.example.com/.well-known/openid-configuration",
            "https://id.example.com/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example.com:8443/a/",
            "https://id.example.com:8443/a/.well-known/openid-configuration",
            "https://id.example.com:8443/.well-known/oauth-authorization-server/a",
        ),
    ] {
        let policy = Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap();
        let world = World::with(Verifier::new(policy, KeyCache::new(issuer, KeySource::Discovery)));
        world.answer(oauth, document(issuer, KEYS));
        world.answer(KEYS, json(&set_text([key_a().jwk()])));
        let text = Mint::access(key_a()).claim("iss", issuer).text();
        assert_eq!(world.request(&text), Verdict::Accepted, "{issuer}");
        assert_eq!(urls(&world), [openid, oauth, KEYS]);
    }
}

#[test]
fn an_issuer_on_loopback_may_serve_its_keys_over_http() {
    let issuer = "http://127.0.0.1:9400";
    let policy = Policy::access_token(issuer, [AUDIENCE], &Algorithm::ALL).unwrap();
    let world = World::with(Verifier::new(policy, KeyCache::new(issuer, KeySource::Discovery)));
    world.answer(
        "http://127.0.0.1:9400/.well-known/openid-configuration",
        document(issuer, "http://127.0.0.1:9400/jwks"),
    );
    world.answer("http://127.0.0.1:9400/jwks", json(&set_text([key_a().jwk()])));
    let text = Mint::access(key_a()).claim("iss", issuer).text();
    assert_eq!(world.request(&text), Verdict::Accepted);
    let elsewhere = document(issuer, "http://keys.example.com/jwks");
    world.answer("http://127.0.0.1:9400/.well-known/openid-configuration", elsewhere);
    world.sleep_s(7200);
    world.reply("http://127.0.0.1:9400/jwks", Err(Unreachable::Network));
    world.request(&text);
    assert!(!urls(&world).contains(&"http://keys.example.com/jwks".to_owned()));
}

#[test]
fn nothing_in_a_token_decides_what_is_fetched() {
    let world = world();
    for text in [
        Mint::access(key_a()).claim("iss", "https://attacker.example/").text(),
        Mint::access(key_a()).header("jku", "https://attacker.example/jwks").text(),
        Mint::access(key_b()).header("x5u", "https://attacker.example/x").text(),
        Mint::access(key_b()).header("kid", "https://attacker.example/jwks").text(),
        Mint::access(key_b()).header("kid", "../../jwks").text(),
    ] {
        world.request(&text);
        world.sleep_s(31);
    }
    assert!(urls(&world).iter().all(|url| [OPENID, KEYS].contains(&url.as_str())), "{:?}", urls(&world));
}

#[test]
fn the_keys_of_all_tenants_are_in_the_common_document() {
    let (template, common) =
        ("https://login.example/{tenantid}/v2.0", "https://login.example/common/v2.0/.well-known/openid-configuration");
    let tenant = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";
    let issuer = template.replace("{tenantid}", tenant);
    for (named, expected) in [
        (template, Verdict::Accepted),
        (issuer.as_str(), unavailable("discovery_issuer_mismatch", 1)),
        ("https://login.example/common/v2.0", unavailable("discovery_issuer_mismatch", 1)),
    ] {
        let policy = Policy::access_token(template, [AUDIENCE], &[Algorithm::Rs256]).unwrap().tenants(Tenants::Any);
        let world = World::with(Verifier::new(policy, KeyCache::new(template, KeySource::Discovery)));
        world.answer(common, document(named, KEYS));
        world.answer(KEYS, json(&set_text([key_a().jwk()])));
        let text = Mint::access(key_a()).claim("iss", issuer.as_str()).claim("tid", tenant).text();
        assert_eq!(world.request(&text), expected, "{named}");
        assert_eq!(urls(&world)[0], common);
    }
}
