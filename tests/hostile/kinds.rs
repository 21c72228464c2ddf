//! The kinds of token: each passes where it belongs and nowhere else.

use edgeward::error::{AudienceHint, TokenKind, VerifyError};
use edgeward::jwt::{Access, Algorithm, Id, Policy, Profile};
use serde_json::json;
use support::{AUDIENCE, CLIENT, ISSUER, Mint, access_policy, id_policy, key_a, mismatch, verify};

use crate::refusal;

fn logout_policy_lookalike() -> Policy<Id> {
    Policy::id_token(ISSUER, CLIENT, &Algorithm::ALL).unwrap()
}

/// Whether a token passes.
type Validator = Box<dyn Fn(&str) -> bool>;

#[test]
fn each_kind_of_token_passes_only_its_own_validator() {
    let tokens = [
        ("access", Mint::access(key_a())),
        ("access, RFC 9068", Mint::at_jwt(key_a())),
        ("id", Mint::id(key_a())),
        ("logout", Mint::logout(key_a())),
        ("logout, typed", Mint::logout(key_a()).header("typ", "logout+jwt")),
        ("proof of possession", Mint::access(key_a()).header("typ", "dpop+jwt")),
        ("security event", Mint::logout(key_a()).header("typ", "secevent+jwt").claim("aud", AUDIENCE)),
    ];
    let by_access = |policy: Policy<Access>| move |text: &str| verify(&policy, &key_a().set(), text).is_ok();
    let by_id = |policy: Policy<Id>| move |text: &str| verify(&policy, &key_a().set(), text).is_ok();
    let validators: [(&str, Validator, &[&str]); 5] = [
        ("access", Box::new(by_access(access_policy())), &["access", "access, RFC 9068"]),
        ("access, Auth0 only", Box::new(by_access(access_policy().profile(Profile::Auth0))), &["access"]),
        (
            "access, RFC 9068 only",
            Box::new(by_access(access_policy().profile(Profile::Rfc9068))),
            &["access, RFC 9068"],
        ),
        ("id", Box::new(by_id(id_policy())), &["id"]),
        ("id without nonce", Box::new(by_id(logout_policy_lookalike())), &["id"]),
    ];
    for (token, mint) in &tokens {
        for (validator, accepts, own) in &validators {
            assert_eq!(accepts(&mint.text()), own.contains(token), "{token} token to the {validator} validator");
        }
    }
}

#[test]
fn even_with_the_right_audience_an_id_token_is_no_access_token() {
    let kind = id_not_access();
    for (name, value) in [
        ("nonce", json!("n")),
        ("nonce", json!(1)),
        ("at_hash", json!("h")),
        ("c_hash", json!("h")),
        ("s_hash", json!("h")),
    ] {
        let mint = Mint::access(key_a()).without("scope").claim(name, value);
        assert_eq!(refusal(&access_policy(), &key_a().set(), &mint.text()), kind, "{name}");
        let untyped = mint.clone().without_header("typ").text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &untyped), kind, "{name}");
        let null_scope = mint.claim("scope", json!(null)).text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &null_scope), kind, "{name}");
    }
    let both = Mint::id(key_a()).claim("aud", json!([CLIENT, AUDIENCE])).claim("azp", CLIENT).text();
    assert_eq!(refusal(&access_policy(), &key_a().set(), &both), kind);
}

fn id_not_access() -> VerifyError {
    VerifyError::TokenKindMismatch { expected: TokenKind::Access, actual: Some(TokenKind::Id) }
}

#[test]
fn beside_scopes_or_a_mark_a_nonce_or_hash_says_nothing() {
    for name in ["nonce", "at_hash"] {
        for mint in [
            Mint::access(key_a()),
            Mint::access(key_a()).without("scope").claim("scp", json!(["read:things"])),
            Mint::access(key_a()).without("scope").claim("typ", "Bearer"),
            Mint::access(key_a()).without("scope").claim("token_use", "access"),
            Mint::at_jwt(key_a()).without("scope"),
        ] {
            assert!(verify(&access_policy(), &key_a().set(), &mint.claim(name, "x").text()).is_ok(), "{name}");
        }
    }
    for name in ["c_hash", "s_hash"] {
        let text = Mint::access(key_a()).claim(name, "x").text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &text), id_not_access(), "only ID tokens have {name}");
    }
}

#[test]
fn a_marked_id_token_is_never_an_access_token_and_the_reverse() {
    for (name, value) in [("token_use", "id"), ("typ", "ID"), ("typ", "id")] {
        let text = Mint::access(key_a()).claim(name, value).text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &text), id_not_access(), "{name}: {value}");
        let text = Mint::id(key_a()).claim(name, value).text();
        assert!(verify(&id_policy(), &key_a().set(), &text).is_ok(), "{name}: {value}");
    }
    for (name, value) in [("token_use", "access"), ("typ", "Bearer"), ("typ", "bearer")] {
        let text = Mint::id(key_a()).claim(name, value).text();
        let expected = VerifyError::TokenKindMismatch { expected: TokenKind::Id, actual: Some(TokenKind::Access) };
        // No `refusal` here: the mark is what the error says.
        let error = verify(&id_policy(), &key_a().set(), &text).unwrap_err();
        assert_eq!(error, expected, "{name}: {value}");
        let text = Mint::access(key_a()).claim(name, value).text();
        assert!(verify(&access_policy(), &key_a().set(), &text).is_ok(), "{name}: {value}");
    }
    let neither = |expected| VerifyError::TokenKindMismatch { expected, actual: None };
    for typ in ["Refresh", "Offline", "Logout"] {
        let text = Mint::access(key_a()).claim("typ", typ).text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &text), neither(TokenKind::Access), "{typ}");
        let text = Mint::id(key_a()).claim("typ", typ).text();
        assert_eq!(refusal(&id_policy(), &key_a().set(), &text), neither(TokenKind::Id), "{typ}");
    }
    let contradiction = Mint::at_jwt(key_a()).claim("token_use", "id").text();
    assert_eq!(refusal(&access_policy(), &key_a().set(), &contradiction), neither(TokenKind::Access));
    for value in [json!("other"), json!(1), json!(null), json!(["id"])] {
        let text = Mint::access(key_a()).claim("typ", value.clone()).text();
        assert!(verify(&access_policy(), &key_a().set(), &text).is_ok(), "{value} is no mark");
    }
}

/// The audience of an ID token, to a policy for access tokens.
fn wrong_audience(hint: AudienceHint) -> VerifyError {
    VerifyError::AudienceMismatch { mismatch: mismatch(&[AUDIENCE], &[CLIENT]), hint }
}

#[test]
fn an_id_token_is_recognised_and_reported_as_such() {
    let id_token = Mint::id(key_a()).text();
    let error = refusal(&access_policy(), &key_a().set(), &id_token);
    assert_eq!(error, wrong_audience(AudienceHint::IdToken));
    assert!(error.to_string().contains("send the access token"));

    let bare = Mint::id(key_a()).without("nonce").text();
    let named = access_policy().login_client(CLIENT);
    let error = refusal(&named, &key_a().set(), &bare);
    assert_eq!(error, wrong_audience(AudienceHint::LoginClient));
    assert!(!error.to_string().contains("ID token"), "some access tokens have this audience, too: {error}");
    assert_eq!(refusal(&access_policy(), &key_a().set(), &bare), wrong_audience(AudienceHint::None));
    let elsewhere = Mint::access(key_a()).claim("aud", "elsewhere").text();
    let expected =
        VerifyError::AudienceMismatch { mismatch: mismatch(&[AUDIENCE], &["elsewhere"]), hint: AudienceHint::None };
    assert_eq!(refusal(&named, &key_a().set(), &elsewhere), expected, "neither the API's nor the client's");
    let marked = Mint::id(key_a()).without("nonce").claim("token_use", "id").text();
    assert_eq!(refusal(&access_policy(), &key_a().set(), &marked), wrong_audience(AudienceHint::IdToken));
}

#[test]
fn a_token_with_events_is_neither_kind() {
    for events in [json!({}), json!({"http://schemas.openid.net/event/backchannel-logout": {}}), json!(null), json!([])]
    {
        let access = Mint::access(key_a()).claim("events", events.clone()).text();
        let expected = VerifyError::TokenKindMismatch { expected: TokenKind::Access, actual: None };
        assert_eq!(refusal(&access_policy(), &key_a().set(), &access), expected);
        let id = Mint::id(key_a()).claim("events", events).text();
        let expected = VerifyError::TokenKindMismatch { expected: TokenKind::Id, actual: None };
        assert_eq!(refusal(&id_policy(), &key_a().set(), &id), expected);
    }
}

#[test]
fn an_access_token_is_no_id_token() {
    let text = Mint::access(key_a()).text();
    let expected =
        VerifyError::AudienceMismatch { mismatch: mismatch(&[CLIENT], &[AUDIENCE]), hint: AudienceHint::None };
    assert_eq!(refusal(&id_policy(), &key_a().set(), &text), expected);
    let text = Mint::at_jwt(key_a()).claim("aud", CLIENT).claim("nonce", "nonce-1").text();
    let expected = VerifyError::TypNotAllowed(mismatch(&["JWT"], &["at+jwt"]));
    assert_eq!(refusal(&id_policy(), &key_a().set(), &text), expected);
}

#[test]
fn rfc_9068_demands_its_claims_and_its_type() {
    let policy = access_policy().profile(Profile::Rfc9068);
    for name in ["sub", "client_id", "iat", "jti"] {
        let text = Mint::at_jwt(key_a()).without(name).text();
        let expected = VerifyError::ClaimMissing { claim: edgeward::error::ClaimName::Registered(name) };
        assert_eq!(refusal(&policy, &key_a().set(), &text), expected);
        assert!(verify(&access_policy(), &key_a().set(), &text).is_ok(), "other profiles do not demand {name}");
    }
    for typ in ["JWT", "jwt"] {
        let text = Mint::at_jwt(key_a()).header("typ", typ).text();
        let expected = VerifyError::TypNotAllowed(mismatch(&["at+jwt"], &[typ]));
        assert_eq!(refusal(&policy, &key_a().set(), &text), expected);
    }
    let untyped = Mint::at_jwt(key_a()).without_header("typ").text();
    let expected = VerifyError::TypNotAllowed(mismatch(&["at+jwt"], &[]));
    assert_eq!(refusal(&policy, &key_a().set(), &untyped), expected);
}
