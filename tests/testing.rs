//! The features `rsa` and `testing`, and claims as a caller's own types.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use edgeward::error::VerifyError;
use edgeward::jwk::{JwkSet, KeyCache, KeySource, VerifyingKey};
use edgeward::jwt::{Access, Algorithm, Policy, Profile, VerifiedToken};
use edgeward::rsa::{InvalidKey, InvalidKeyFile, PublicKey, Scheme};
use edgeward::testing::{Issuer, SigningKey, TestHost};
use edgeward::{VerificationError, Verifier};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use serde::Deserialize;
use serde_json::json;
use support::{
    AUDIENCE, CLIENT, ISSUER, NONCE, NOW, access_policy, id_policy, key_1024, key_8192, key_a, key_b, now,
    pkcs1v15_encode, verify,
};

fn keys(issuer: &Issuer) -> JwkSet {
    JwkSet::parse(issuer.jwks().as_bytes()).unwrap()
}

fn verified(issuer: &Issuer, claims: &[(&str, serde_json::Value)]) -> VerifiedToken<Access> {
    let token = issuer.access_token(AUDIENCE, now()).claims(claims.iter().cloned());
    verify(&access_policy(), &keys(issuer), &token.sign()).unwrap()
}

#[test]
fn its_tokens_are_valid_with_every_algorithm() {
    let issuer = Issuer::new(ISSUER);
    for algorithm in Algorithm::RSA {
        let access = issuer.access_token(AUDIENCE, now()).algorithm(algorithm);
        let token = verify(&access_policy(), &keys(&issuer), &access.sign()).unwrap();
        assert_eq!(token.header().algorithm(), Some(algorithm));
        let strict = access_policy().profile(Profile::Rfc9068);
        assert!(verify(&strict, &keys(&issuer), &access.sign()).is_ok());
        let id = issuer.id_token(CLIENT, now()).claim("nonce", NONCE).algorithm(algorithm);
        assert!(verify(&id_policy(), &keys(&issuer), &id.sign()).is_ok());
    }
}

#[test]
fn modifications_of_a_token_take_effect() {
    let issuer = Issuer::with_keys(ISSUER, [SigningKey::fixed(), SigningKey::new("b", key_b().private().clone())]);
    let token = issuer.access_token(AUDIENCE, now());
    let verdict = |text: &str| verify(&access_policy(), &keys(&issuer), text).map(|_| ());
    assert_eq!(verdict(&token.clone().signed_by(&issuer.keys()[1]).sign()), Ok(()));
    assert_eq!(
        verdict(&token.clone().signed_by(&issuer.keys()[1]).header("kid", "fixed").sign()),
        Err(VerifyError::SignatureInvalid)
    );
    assert_eq!(
        verdict(&token.clone().header("alg", "none").sign()),
        Err(VerifyError::AlgNotAllowed { allowed: Algorithm::ALL.to_vec(), got: None })
    );
    assert_eq!(verdict(&token.clone().without_header("kid").sign()), Err(VerifyError::KeyAmbiguous));
    assert_eq!(verdict(&token.clone().without_claim("iss").sign()).unwrap_err().code(), "claim_missing");
    assert_eq!(verdict(&token.claim("exp", NOW - 60).sign()).unwrap_err().code(), "token_expired");
}

#[test]
fn it_signs_as_the_tests_encode_by_hand() {
    let signer = SigningKey::new("a", key_a().private().clone());
    for algorithm in Algorithm::RSA {
        let by_hand = match algorithm.scheme().unwrap() {
            Scheme::Pkcs1v15(hash) => key_a().raw(&pkcs1v15_encode(hash, b"message", key_a().private().size())),
            Scheme::Pss(hash) => key_a().sign_pss_with_salt(hash, b"message", &vec![0x5a; hash.len()]),
        };
        assert_eq!(signer.sign(algorithm.scheme().unwrap(), b"message"), by_hand, "{algorithm:?}");
    }
}

#[test]
fn a_generated_key_signs_and_shows_no_secret() {
    let key = SigningKey::generate("new", &mut rand::thread_rng(), 2048);
    assert_eq!(format!("{key:?}"), r#"SigningKey { kid: "new", .. }"#);
    let issuer = Issuer::with_keys(ISSUER, [key]);
    assert!(verify(&access_policy(), &keys(&issuer), &issuer.access_token(AUDIENCE, now()).sign()).is_ok());
}

#[test]
fn public_keys_are_read_from_every_encoding() {
    for key in [key_a(), key_8192()] {
        let public = key.private().to_public_key();
        let spki = public.to_public_key_der().unwrap();
        let pkcs1 = public.to_pkcs1_der().unwrap();
        let read = [
            PublicKey::try_from(&public).map_err(InvalidKeyFile::Key),
            PublicKey::from_der(spki.as_bytes()),
            PublicKey::from_der(pkcs1.as_bytes()),
            PublicKey::from_pem(&public.to_public_key_pem(LineEnding::LF).unwrap()),
            PublicKey::from_pem(&public.to_pkcs1_pem(LineEnding::CRLF).unwrap()),
        ];
        for read in read {
            let read = read.unwrap();
            assert_eq!((read.n(), read.e().to_be_bytes().as_slice()), (&key.n()[..], &left_padded(&key.e())[..]));
        }
    }
}

fn left_padded(bytes: &[u8]) -> Vec<u8> {
    support::left_pad(bytes, 8)
}

#[test]
fn what_is_no_acceptable_public_key_is_refused() {
    let read = |pem: &str| PublicKey::from_pem(pem).map(|_| ()).unwrap_err();
    let public = key_a().private().to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    let private = key_a().private().to_pkcs8_pem(LineEnding::LF).unwrap();
    let small = key_1024().private().to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    // On the curve P-256.
    let other = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAqD+dvTARS9JrI6wLKoDqmEW7UI+\n\
        LtfLICSRNGE5U8OcKBmULquVP7GqcjzFbNJn9fyUzHFhTiDF7G1NDrVXdQ==\n\
        -----END PUBLIC KEY-----\n";
    for pem in [
        "",
        &private,
        other,
        &public.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        &public.replace('M', "N"),
        &public[..200],
    ] {
        assert_eq!(read(pem), InvalidKeyFile::Malformed, "{pem}");
    }
    assert_eq!(read(&small), InvalidKeyFile::Key(InvalidKey::ModulusTooSmall { bits: 1024 }));
    assert_eq!(PublicKey::from_der(&[]).map(|_| ()).unwrap_err(), InvalidKeyFile::Malformed);
}

#[test]
fn a_key_from_a_file_verifies_tokens_of_its_name_and_algorithm() {
    let issuer = Issuer::new(ISSUER);
    let public = PublicKey::try_from(&issuer.keys()[0].private().to_public_key()).unwrap();
    let key = VerifyingKey::new(public).unwrap().with_kid("fixed").only_for(Algorithm::Ps256);
    let keys = JwkSet::from_iter([key]);
    let token = issuer.access_token(AUDIENCE, now());
    assert!(verify(&access_policy(), &keys, &token.clone().algorithm(Algorithm::Ps256).sign()).is_ok());
    assert_eq!(verify(&access_policy(), &keys, &token.sign()).unwrap_err().code(), "key_alg_mismatch");
    let unknown = token.header("kid", "other").sign();
    assert_eq!(verify(&access_policy(), &keys, &unknown).unwrap_err(), VerifyError::KeyNotFound);
}

#[test]
fn claims_become_a_type_of_the_callers() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Caller<'c> {
        sub: &'c str,
        exp: u64,
        roles: Vec<String>,
        plan: Option<u8>,
    }
    let issuer = Issuer::new(ISSUER);
    let token = verified(&issuer, &[("roles", json!(["a", "b"])), ("sub", "user-7".into())]);
    let caller: Caller<'_> = token.claims().deserialize().unwrap();
    assert_eq!(
        caller,
        Caller { sub: "user-7", exp: NOW as u64 + 600, roles: vec!["a".into(), "b".into()], plan: None }
    );

    let token = verified(&issuer, &[("roles", json!("a"))]);
    assert!(token.claims().deserialize::<Caller<'_>>().is_err());
    let all: serde_json::Map<String, serde_json::Value> = token.claims().deserialize().unwrap();
    assert_eq!(all["iss"], ISSUER);
}

#[test]
fn a_policy_for_another_audience_refuses_its_tokens() {
    let issuer = Issuer::new(ISSUER);
    let policy = Policy::access_token(ISSUER, ["https://other.example.com"], &Algorithm::ALL).unwrap();
    let token = issuer.access_token(AUDIENCE, now()).sign();
    assert_eq!(verify(&policy, &keys(&issuer), &token).unwrap_err().code(), "audience_mismatch");
}

/// A verifier that finds the keys of a host's issuer by discovery.
fn verifier(host: &TestHost) -> Verifier {
    Verifier::new(access_policy(), KeyCache::new(host.issuer().url(), KeySource::Discovery))
}

fn outcome(host: &TestHost, verifier: &Verifier, token: &str) -> Result<(), &'static str> {
    match host.run(verifier.verify(token, host)) {
        Ok(_) => Ok(()),
        Err(VerificationError::Refused(error)) => Err(error.code()),
        Err(VerificationError::Unavailable(why)) => Err(why.error.code()),
    }
}

#[test]
fn its_host_serves_the_keys_that_the_issuer_has_at_the_time() {
    let host = TestHost::new(Issuer::new(ISSUER), now());
    let (verifier, early) = (verifier(&host), host.issuer().access_token(AUDIENCE, now()).sign());
    assert_eq!(outcome(&host, &verifier, &early), Ok(()));
    assert_eq!(host.requests().len(), 2);
    host.rotate(SigningKey::new("b", key_b().private().clone()));
    host.advance(31);
    assert_eq!(outcome(&host, &verifier, &host.issuer().access_token(AUDIENCE, host.time()).sign()), Ok(()));
    assert_eq!(host.issuer().keys().len(), 2);
    host.withdraw();
    let later = self::verifier(&host);
    assert_eq!(outcome(&host, &later, &early), Err("key_not_found"));
    let late = host.issuer().access_token(AUDIENCE, host.time()).sign();
    host.advance(1000);
    assert_eq!(outcome(&host, &verifier, &late), Err("token_expired"));
}

#[test]
fn its_host_can_be_down() {
    let host = TestHost::new(Issuer::new(ISSUER), now());
    let (verifier, token) = (verifier(&host), host.issuer().access_token(AUDIENCE, now()).sign());
    host.set_down(true);
    assert_eq!(outcome(&host, &verifier, &token), Err("discovery_unreachable"));
    host.set_down(false);
    host.advance(60);
    assert_eq!(outcome(&host, &verifier, &token), Ok(()));
    host.set_down(true);
    let another = host.issuer().access_token(AUDIENCE, host.time()).claim("sub", "user-2").sign();
    assert_eq!(outcome(&host, &verifier, &another), Ok(()), "known keys outlast an outage");
}

#[cfg(feature = "unicode")]
mod sessions {
    use edgeward::gateway::{Answer, Gateway, compile};
    use edgeward::http::{Reply, RequestHead};
    use edgeward::testing::TestUser;

    use super::*;

    const LOGIN: &str = "https://app.example.com/login";

    fn gateway(kind: &serde_json::Value, same_site: &str) -> Gateway {
        let mut authorizer = json!({
            "audience": AUDIENCE, "client_id": CLIENT, "client_secret": "only for this test",
            "redirect_uri": "https://app.example.com/callback", "scope": "openid offline_access read:items",
        });
        authorizer.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let config = json!({
            "authorizer": authorizer,
            "session": { "secrets": "a sealing secret of at least 32 characters", "same_site": same_site },
            "paths": [
                { "method": "GET", "path": "/login", "integration": { "type": "login" } },
                { "method": "GET", "path": "/callback", "integration": { "type": "callback" } },
                { "method": "GET", "path": "/me", "scopes": ["read:items"], "integration": { "type": "userinfo" } },
                { "method": "GET", "path": "/admin", "permissions": ["admin"], "integration": { "type": "respond", "body": "" } },
                { "method": "POST", "path": "/revoke", "permissions": ["admin"], "integration": { "type": "revoke" } },
            ],
        });
        compile(&config.to_string(), &|_| None).unwrap().gateway
    }

    fn get(host: &TestHost, gateway: &Gateway, path: &str, cookie: &str) -> Reply {
        send(host, gateway, "GET", path, cookie)
    }

    fn send(host: &TestHost, gateway: &Gateway, method: &str, path: &str, cookie: &str) -> Reply {
        let url = format!("https://app.example.com{path}");
        let header = |name: &str| match name {
            "cookie" => Some(cookie.to_string()),
            "content-type" => Some("application/json".into()),
            _ => None,
        };
        let head = RequestHead { method, url: &url, header: &header };
        let Answer::Reply(reply) = host.run(gateway.handle(&head, host)) else { panic!("forwarded") };
        reply
    }

    #[test]
    fn are_sealed_by_the_gateway_and_refreshed() {
        let kinds =
            [json!({ "type": "oidc", "issuer": ISSUER }), json!({ "type": "auth0", "domain": "tenant.example.com" })];
        for (kind, same_site) in kinds.iter().flat_map(|kind| ["Lax", "Strict"].map(|same_site| (kind, same_site))) {
            let host = TestHost::new(Issuer::new(ISSUER), now());
            let gateway = gateway(kind, same_site);
            let alice = TestUser::new("alice").claim("email", "alice@example.com");
            let cookie = host.run(host.sign_in(&gateway, LOGIN, &alice));
            let me = get(&host, &gateway, "/me", &cookie);
            assert!(me.status == 200 && me.body.contains("alice@example.com"), "{} {}", me.status, me.body);
            assert_eq!(get(&host, &gateway, "/admin", &cookie).status, 403);
            let admin = alice.access_claim("permissions", json!(["admin"]));
            let cookie = host.run(host.sign_in(&gateway, LOGIN, &admin));
            assert_eq!(get(&host, &gateway, "/admin", &cookie).status, 200);
            assert_eq!(get(&host, &gateway, "/me", "").status, 401);
            // The rights of the next access token, with the next refresh token.
            host.advance(590);
            let refreshed = get(&host, &gateway, "/admin", &cookie);
            assert_eq!((refreshed.status, refreshed.header("set-cookie").is_some()), (200, true));
            assert_eq!(host.log_lines(), Vec::<String>::new());
        }
    }

    #[test]
    fn end_when_they_are_revoked() {
        let host = TestHost::new(Issuer::new(ISSUER), now());
        let gateway = gateway(&json!({ "type": "auth0", "domain": "tenant.example.com" }), "Lax");
        let cookie = host.run(host.sign_in(&gateway, LOGIN, &TestUser::new("alice")));
        let admin = TestUser::new("root").access_claim("permissions", json!(["admin"]));
        let admin = host.run(host.sign_in(&gateway, LOGIN, &admin));
        let revoke = |body| {
            host.set_body(body);
            send(&host, &gateway, "POST", "/revoke", &admin).status
        };
        assert_eq!((revoke("{}"), revoke(r#"{"sub":"alice"}"#)), (400, 204));
        assert_eq!(get(&host, &gateway, "/me", &cookie).status, 401);
        assert_eq!(get(&host, &gateway, "/me", &admin).status, 200);
    }

    #[test]
    #[should_panic(expected = "instead of a redirect to the issuer")]
    fn need_a_gateway_that_trusts_the_issuer() {
        let host = TestHost::new(Issuer::new("https://other.example.com/"), now());
        let gateway = gateway(&json!({ "type": "auth0", "domain": "tenant.example.com" }), "Lax");
        host.run(host.sign_in(&gateway, LOGIN, &TestUser::new("alice")));
    }
}
