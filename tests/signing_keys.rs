//! Private keys: what is read, what is refused, and what they sign.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use edgeward::base64url;
use edgeward::host::SignError;
use edgeward::jwk::{InvalidJwk, InvalidSigningKey, JwkSet, SigningKey};
use edgeward::jwt::{Algorithm, Policy, sign_jwt};
use edgeward::testing::{Issuer, TestHost};
use rsa::traits::PrivateKeyParts as _;
use serde_json::{Value, json};
use support::{AUDIENCE, ISSUER, NOW, key_a, now};

const RSA: &str = include_str!("keys/rsa2048-a.pem");
const P256: &str = include_str!("keys/p256.pem");
const P384: &str = include_str!("keys/p384.pem");
const ED25519: &str = include_str!("keys/ed25519.pem");

/// The private key of `key_a` with all its members.
fn rsa_jwk() -> Value {
    let key = key_a().private();
    let number = |number: &rsa::BigUint| base64url::encode(&number.to_bytes_be());
    let mut jwk = key_a().private_jwk();
    jwk["p"] = number(&key.primes()[0]).into();
    jwk["q"] = number(&key.primes()[1]).into();
    jwk["dp"] = number(key.dp().unwrap()).into();
    jwk["dq"] = number(key.dq().unwrap()).into();
    jwk["qi"] = number(&key.crt_coefficient().unwrap()).into();
    jwk
}

fn p256_jwk() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "PAMCoi5dT2Phq-HiWuobE1yW5LlSokhBP6j0XP1L2JA", "y": "msTSs5VKBvygSWNYJqQF9OgzL6zx64Pn8P7uKz-I6L8",
        "d": "QaWW7vAY9bAtxITax6Vt_3KHS-KXk8A9lJ-FdIc8vSU",
    })
}

/// Returns the text with one member changed.
fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> String {
    jwk[name] = value.into();
    jwk.to_string()
}

fn without(mut jwk: Value, name: &str) -> String {
    jwk.as_object_mut().unwrap().remove(name);
    jwk.to_string()
}

/// Returns PKCS#8 in PEM.
fn der(octets: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(octets);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")
}

#[test]
fn no_change_of_an_octet_and_no_cut_panics() {
    use base64::Engine as _;
    for pem in [RSA, P256, P384, ED25519] {
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let octets = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        for at in 0..octets.len() {
            assert!(SigningKey::parse(&der(&octets[..at])).is_err());
            // The head has the structure; in the rest are the numbers.
            for bit in [0x01, 0x02, 0x80].into_iter().filter(|_| at < 160) {
                let mut changed = octets.clone();
                changed[at] ^= bit;
                drop(SigningKey::parse(&der(&changed)));
            }
        }
    }
}

#[test]
fn pem_and_jwk_are_the_same_key() {
    for (pem, jwk, algorithms) in [
        (RSA, rsa_jwk(), &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256][..]),
        (P256, p256_jwk(), &[Algorithm::Es256]),
    ] {
        let mut jwk = jwk;
        jwk.as_object_mut().unwrap().remove("kid");
        let (one, two) = (SigningKey::parse(pem).unwrap(), SigningKey::parse(&jwk.to_string()).unwrap());
        assert_eq!(one, two);
        assert_eq!(one.kid(), two.kid());
        assert_eq!(one.algorithms(), algorithms);
        assert_eq!(one.public_jwk(), two.public_jwk());
    }
    assert_eq!(SigningKey::parse(P384).unwrap().algorithms(), [Algorithm::Es384]);
    assert_ne!(SigningKey::parse(P384).unwrap(), SigningKey::parse(P256).unwrap());
}

#[test]
fn a_public_key_has_the_size_of_its_modulus_or_curve() {
    for (pem, bits) in [(RSA, 2048), (P256, 256), (P384, 384)] {
        let public = format!(r#"{{"keys":[{}]}}"#, SigningKey::parse(pem).unwrap().public_jwk());
        assert_eq!(JwkSet::parse(public.as_bytes()).unwrap().keys().next().unwrap().bits(), bits);
    }
}

#[test]
fn pem_may_be_on_one_line_with_escaped_breaks() {
    let escaped = RSA.trim_end().replace('\n', "\\n");
    assert_eq!(SigningKey::parse(&escaped).unwrap(), SigningKey::parse(RSA).unwrap());
    let spaced = RSA.replace('\n', " ");
    assert_eq!(SigningKey::parse(&spaced).unwrap(), SigningKey::parse(RSA).unwrap());
}

#[test]
fn the_kid_is_as_given_or_the_thumbprint() {
    assert_eq!(SigningKey::parse(&rsa_jwk().to_string()).unwrap().kid(), "rsa2048-a");
    let key = SigningKey::parse(RSA).unwrap();
    let set = JwkSet::parse(json!({"keys": [key_a().jwk()]}).to_string().as_bytes()).unwrap();
    assert_eq!(key.kid(), set.keys().next().unwrap().thumbprint());
}

#[test]
fn the_published_key_verifies_and_holds_nothing_private() {
    for text in [RSA.to_string(), P256.into(), P384.into(), p256_jwk().to_string(), rsa_jwk().to_string()] {
        let key = SigningKey::parse(&text).unwrap();
        let algorithm = key.algorithms()[0];
        let published: Value = serde_json::from_str(&key.published_jwk(algorithm)).unwrap();
        let set = JwkSet::parse(json!({ "keys": [published] }).to_string().as_bytes()).unwrap();
        assert_eq!(set.skipped(), []);
        let public = set.keys().next().unwrap();
        assert_eq!((public.kid(), public.algorithm()), (Some(key.kid()), Some(algorithm)));
    }
}

#[test]
fn unusable_texts_are_refused_with_the_reason() {
    use InvalidSigningKey::{Incomplete, Key, NotAKey, NotForSigning, NotPkcs8, Public};
    let rsa = rsa_jwk;
    let cut = format!("{}\n-----END PRIVATE KEY-----", &RSA[..RSA.len() / 2]);
    for (text, expected) in [
        (String::new(), NotAKey),
        ("secret".into(), NotAKey),
        ("{".into(), NotAKey),
        ("{}".into(), Key(InvalidJwk::KeyTypeUnsupported)),
        (RSA.replace("PRIVATE KEY", "RSA PRIVATE KEY"), NotPkcs8),
        (RSA.replace("PRIVATE KEY", "EC PRIVATE KEY"), NotPkcs8),
        (RSA.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), NotPkcs8),
        (RSA.replace("PRIVATE KEY", "PUBLIC KEY"), NotPkcs8),
        (RSA.replace("-----END PRIVATE KEY-----", ""), NotAKey),
        (RSA.replacen('M', "*", 1), NotAKey),
        (cut, NotAKey),
        (der(&[]), NotAKey),
        (der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), NotAKey),
        (der(&[0x30, 0x82, 0xff]), NotAKey),
        // Another algorithm than those supported: 1.3.101.110, X25519.
        (der(&[0x30, 0x0e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 2, 4, 0]), Key(InvalidJwk::KeyTypeUnsupported)),
        // PKCS#8 of Ed25519 has no public part.
        (ED25519.into(), Incomplete),
        (with(rsa(), "kty", "oct"), Key(InvalidJwk::KeyTypeUnsupported)),
        (with(p256_jwk(), "crv", "P-521"), Key(InvalidJwk::CurveUnsupported)),
        (with(p256_jwk(), "crv", "P-384"), Key(InvalidJwk::Malformed)),
        (without(rsa(), "d"), Public),
        (without(rsa(), "n"), Incomplete),
        (without(rsa(), "p"), Incomplete),
        (without(rsa(), "qi"), Incomplete),
        (with(rsa(), "qi", ""), Incomplete),
        (with(rsa(), "d", 7), Incomplete),
        (without(p256_jwk(), "y"), Incomplete),
        (with(rsa(), "use", "enc"), NotForSigning),
        (with(rsa(), "key_ops", json!(["verify"])), NotForSigning),
        (with(rsa(), "key_ops", "sign"), NotForSigning),
        (with(rsa(), "alg", "ES256"), NotForSigning),
        (with(rsa(), "alg", "RS512"), NotForSigning),
        (with(rsa(), "alg", "HS256"), NotForSigning),
        (with(rsa(), "kid", ""), Key(InvalidJwk::Malformed)),
        (with(rsa(), "kid", 7), Key(InvalidJwk::Malformed)),
        (format!(r#"{{"kty":"RSA",{}"#, &rsa().to_string()[1..]), NotAKey),
        (include_str!("keys/rsa8192.pem").into(), Key(InvalidJwk::ModulusOverConfiguredMaximum { bits: 8192 })),
    ] {
        assert_eq!(SigningKey::parse(&text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn nothing_private_is_shown() {
    let jwk = rsa_jwk();
    let key = SigningKey::parse(&jwk.to_string()).unwrap();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(!format!("{key:?}").contains(jwk[name].as_str().unwrap()));
        assert!(!key.published_jwk(Algorithm::Ps256).contains(jwk[name].as_str().unwrap()));
    }
}

#[test]
fn a_signed_token_is_verified_under_the_published_key() {
    let host = TestHost::new(Issuer::new(ISSUER), now());
    let key = SigningKey::parse(RSA).unwrap();
    let claims = json!({"iss": ISSUER, "sub": "u", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60}).to_string();
    for algorithm in [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256] {
        let published = key.published_jwk(algorithm);
        let keys = JwkSet::parse(format!(r#"{{"keys":[{published}]}}"#).as_bytes()).unwrap();
        let policy = Policy::access_token(ISSUER, [AUDIENCE], &[algorithm]).unwrap();
        let signed = host.run(sign_jwt(&key, algorithm, "at+jwt", &claims, &host)).unwrap();
        assert!(policy.verify(&signed, &keys, now()).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn a_key_signs_with_its_own_algorithms_only() {
    let host = TestHost::new(Issuer::new(ISSUER), now());
    let sign = |key: &str, algorithm| {
        let key = SigningKey::parse(key).unwrap();
        host.run(sign_jwt(&key, algorithm, "JWT", "{}", &host))
    };
    assert_eq!(sign(RSA, Algorithm::Es256), Err(SignError::KeyRefused));
    assert_eq!(sign(RSA, Algorithm::Rs512), Err(SignError::KeyRefused));
    assert_eq!(sign(&with(rsa_jwk(), "alg", "PS256"), Algorithm::Rs256), Err(SignError::KeyRefused));
    assert_eq!(sign(P256, Algorithm::Ps256), Err(SignError::KeyRefused));
    // The host in memory has RSA only.
    assert_eq!(sign(P256, Algorithm::Es256), Err(SignError::Unsupported));
    // The numbers are those of no key.
    assert_eq!(sign(&with(rsa_jwk(), "p", "AQAB"), Algorithm::Rs256), Err(SignError::KeyRefused));
}
